"""Safetensors files, as HuggingFace's tools read and write them: a JSON table of contents, then the bytes of the tensors.

    save_file(model.state_dict(), "model.safetensors")
    model.load_state_dict(load_file("model.safetensors"))
    with safe_open("model.safetensors", framework="pt") as f:
        rows = f.get_slice("embedding.weight")[:100]   # reads only these rows

Format: https://github.com/huggingface/safetensors#format
"""

from __future__ import annotations

import json
import math
import os
import struct
import sys
from collections.abc import Mapping
from types import TracebackType
from typing import Any

import numpy as np

from .. import dtypes
from ..devices import check
from ..devices import device as device_type
from ..dtypes import dtype
from ..errors import Unsupported
from .atomic import atomic_write
from .errors import CorruptFileError
from .tensors import elements_of, stored_array, tensor_of_array

__all__ = ["load_file", "safe_open", "save_file"]

_NAMES: dict[dtype, str] = {
    dtypes.bool_: "BOOL",
    dtypes.uint8: "U8",
    dtypes.int8: "I8",
    dtypes.int16: "I16",
    dtypes.int32: "I32",
    dtypes.int64: "I64",
    dtypes.float16: "F16",
    dtypes.bfloat16: "BF16",
    dtypes.float32: "F32",
    dtypes.float64: "F64",
    dtypes.complex64: "C64",
}
_TYPES = {name: d for d, name in _NAMES.items()}


def save_file(tensors: Mapping[str, Any], path: str | os.PathLike[str], metadata: Mapping[str, str] | None = None) -> None:
    """Write named tensors (or NumPy arrays) and text metadata to `path`, replacing it as a whole.

    Any layout is accepted and written in row-major order; tensors that share memory are written in full each. Raises TypeError for names,
    metadata or values of other types, and for complex128, which the format does not have.
    """
    arrays: dict[str, tuple[np.ndarray[Any, Any], dtype]] = {}
    for name, tensor in tensors.items():
        if not isinstance(name, str):
            raise TypeError(f"names of tensors must be str, not {type(name).__name__}")
        if name == "__metadata__":
            raise ValueError("a tensor cannot be named '__metadata__': the format uses that name itself")
        if not hasattr(tensor, "dtype") or not hasattr(tensor, "shape"):
            raise TypeError(f"'{name}' is an object of type {type(tensor).__name__}: a safetensors file holds tensors only")
        stored, d = stored_array(tensor)
        if d not in _NAMES:
            raise TypeError(f"'{name}' is of type {d}, which safetensors files do not have")
        arrays[name] = stored, d
    header: dict[str, Any] = {}
    if metadata is not None:
        if not all(isinstance(text, str) for pair in metadata.items() for text in pair):
            raise TypeError("metadata must map str to str")
        header["__metadata__"] = dict(metadata)
    order = sorted(arrays, key=lambda name: (-arrays[name][1].itemsize, name))  # widest first, so that every tensor is aligned
    position = 0
    for name in order:
        stored, d = arrays[name]
        header[name] = {"dtype": _NAMES[d], "shape": list(stored.shape), "data_offsets": [position, position + stored.nbytes]}
        position += stored.nbytes
    table = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode("utf-8")
    table += b" " * (-len(table) % 8)
    with atomic_write(path) as stream:
        stream.write(struct.pack("<Q", len(table)) + table)
        for name in order:
            stored = arrays[name][0]
            if sys.byteorder == "big":
                stored = stored.byteswap()
            stream.write(stored.reshape(-1).view(np.uint8).data)


def load_file(path: str | os.PathLike[str], device: Any = "cpu", *, mmap: bool | None = None) -> dict[str, Any]:
    """All tensors of a safetensors file, by name.

    `mmap`: map the file into memory, so that each tensor is read from the disk when first used, and written to private memory. By default
    on, except on Windows, where a mapped file cannot be replaced.
    """
    with safe_open(path, device=device, mmap=sys.platform != "win32" if mmap is None else mmap) as f:
        return {name: f.get_tensor(name) for name in f.keys()}


class safe_open:
    """Lazy access to one safetensors file: its table of contents is read at once, tensors on demand. A context manager.

    Args:
        filename: path of the file.
        framework: "pt" gives tensors, "np" NumPy arrays (bfloat16 ones as float32).
        device: where tensors go.
        mmap: False reads each tensor into memory of its own instead of mapping the file.

    Raises CorruptFileError if the table of contents is damaged or does not match the size of the file.
    """

    def __init__(self, filename: str | os.PathLike[str], framework: str = "pt", device: Any = "cpu", *, mmap: bool = True) -> None:
        if framework not in ("pt", "torch", "pytorch", "np", "numpy"):
            raise ValueError(f"framework {framework!r} is not supported: use 'pt' or 'np'")
        self._numpy = framework.startswith("n")
        self._device = check(device_type(device))
        self._path, self._mmap = os.fspath(filename), mmap
        self._where = f"'{self._path}'"
        _validate(self._path)
        with open(self._path, "rb") as stream:
            (length,) = struct.unpack("<Q", stream.read(8))
            table = json.loads(stream.read(length))
        self._metadata: dict[str, str] | None = table.pop("__metadata__", None)
        self._table: dict[str, Any] = dict(sorted(table.items(), key=lambda item: item[1]["data_offsets"]))
        self._start = 8 + length
        self._file: Any = np.memmap(self._path, np.uint8, "c")
        self._open = True

    def keys(self) -> list[str]:
        """The names of the tensors, in the order of the file."""
        return list(self._table)

    def offset_keys(self) -> list[str]:
        return self.keys()

    def metadata(self) -> dict[str, str] | None:
        return None if self._metadata is None else dict(self._metadata)

    def get_tensor(self, name: str) -> Any:
        """One tensor. Raises KeyError for an unknown name, errors.Unsupported for an element type this package lacks."""
        flat, d, shape = self._elements(name)
        return self._finish(flat if self._mmap else flat.copy(), d, shape)

    def get_tensors(self) -> dict[str, Any]:
        return {name: self.get_tensor(name) for name in self._table}

    def get_slice(self, name: str) -> _Slice:
        """A handle of one tensor that reads only what it is indexed with."""
        self._entry(name)
        return _Slice(self, name)

    def _entry(self, name: str) -> Any:
        if not self._open:
            raise ValueError(f"{self._where} is closed")
        if name not in self._table:
            raise KeyError(f"{self._where} has no tensor '{name}'")
        return self._table[name]

    def _elements(self, name: str) -> tuple[np.ndarray[Any, Any], dtype, tuple[int, ...]]:
        entry = self._entry(name)
        d = _TYPES.get(entry["dtype"])
        if d is None:
            raise Unsupported(f"{self._where}: tensor '{name}' is of type {entry['dtype']}, which torchlike_asg does not have")
        begin, end = entry["data_offsets"]
        shape = tuple(entry["shape"])
        if end - begin != math.prod(shape) * d.itemsize or self._start + end > self._file.size:
            raise CorruptFileError(f"{self._where} is damaged: the table of contents changed while it was read")
        flat = elements_of(self._file[self._start + begin : self._start + end], d)
        return flat if sys.byteorder == "little" else flat.byteswap(), d, shape

    def _finish(self, flat: np.ndarray[Any, Any], d: dtype, shape: tuple[int, ...]) -> Any:
        return dtypes.load(flat, d).reshape(shape) if self._numpy else tensor_of_array(flat, d, shape, self._device)

    def __enter__(self) -> safe_open:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._open, self._file = False, None


class _Slice:
    """What `safe_open.get_slice` returns: ``handle[2:5, :, 0]`` reads just that part."""

    def __init__(self, file: safe_open, name: str) -> None:
        self._file, self._name = file, name

    def get_shape(self) -> list[int]:
        return list(self._file._entry(self._name)["shape"])

    def get_dtype(self) -> str:
        return str(self._file._entry(self._name)["dtype"])

    def __getitem__(self, index: Any) -> Any:
        flat, d, shape = self._file._elements(self._name)
        part = np.array(flat.reshape(shape)[index], order="C")
        return self._file._finish(part.reshape(-1), d, part.shape)


def _validate(path: str) -> None:
    """Have the reference implementation check the table of contents: names, types, shapes, and that offsets cover the file exactly."""
    from safetensors import SafetensorError
    from safetensors import safe_open as reference

    try:
        with reference(path, framework="np"):
            pass
    except FileNotFoundError:
        raise FileNotFoundError(f"No such file or directory: '{path}'") from None
    except SafetensorError as error:
        raise CorruptFileError(f"'{path}' is truncated, damaged, or not a safetensors file: {error}") from error
