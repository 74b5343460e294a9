"""``save`` and ``load``: PyTorch's own file formats, written and read without executing anything they contain."""

from __future__ import annotations

import io
import os
import pickle
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

import numpy as np

from ..errors import Unsupported
from .archive import Archive, is_archive, write_archive
from .atomic import atomic_write
from .decode import Decoder, Survey
from .encode import Encoder
from .errors import CorruptFileError
from .legacy import is_legacy, read_legacy, survey_legacy, write_legacy
from .placement import Place, placement
from .skipping import blank_storage, refuse_legacy, skipping

__all__ = ["get_unsafe_globals_in_checkpoint", "load", "save"]

_HEAD = 512


def save(
    obj: Any,
    f: Any,
    pickle_module: Any = pickle,
    pickle_protocol: int = 2,
    _use_new_zipfile_serialization: bool = True,
    _disable_byteorder_record: bool = False,
) -> None:
    """Write `obj` to `f` (a path, or a binary file object) in the format of ``torch.save``; PyTorch reads the result.

    State dicts, tensors, parameters and modules, plain values, nested containers, NumPy arrays and scalars, dtypes, devices and sizes
    are written, and other objects as pickle would. Tensors that share a storage share it after loading. A file at a path is replaced as a
    whole: readers see the old content or the new, also after a crash. The pickle inside is always of protocol 2.

    Raises pickle.PicklingError for what cannot be written, RuntimeError if the parent directory does not exist.
    """
    _check_pickle_module("save", pickle_module)
    if not _use_new_zipfile_serialization:
        refuse_legacy()
    if not isinstance(pickle_protocol, int) or not 0 <= pickle_protocol <= pickle.HIGHEST_PROTOCOL:
        raise ValueError(f"pickle protocol must be <= {pickle.HIGHEST_PROTOCOL}, got {pickle_protocol!r}")
    if isinstance(f, str | os.PathLike):
        if _use_new_zipfile_serialization:
            records = _records(obj, not _disable_byteorder_record)  # before the file is touched: what cannot be saved costs nothing
        with atomic_write(f) as stream:
            if _use_new_zipfile_serialization:
                write_archive(stream, "archive", records)
            else:
                write_legacy(stream, obj)
        return
    if not hasattr(f, "write"):
        raise AttributeError(f"expected 'f' to be a string, a path, or an object with a write method, but got {type(f).__name__}")
    if isinstance(f, io.TextIOBase):
        raise TypeError("the file must be opened in binary mode: open(..., 'wb')")
    if _use_new_zipfile_serialization:
        write_archive(f, "archive", _records(obj, not _disable_byteorder_record), forward=True)
    else:
        write_legacy(f, obj)


def _records(obj: Any, byteorder: bool) -> list[tuple[str, Any]]:
    encoder = Encoder()
    records: list[tuple[str, Any]] = [("data.pkl", encoder.dumps(obj))]
    if byteorder:
        records.append(("byteorder", sys.byteorder.encode()))
    kept = encoder.storages.items()
    records += [(f"data/{key}", blank_storage(key, len(content), 1) if skipping() else content) for key, content in kept]
    records.append(("version", b"3\n"))
    return records


def load(
    f: Any,
    map_location: Any = None,
    pickle_module: Any = None,
    *,
    weights_only: bool | None = None,
    mmap: bool | None = None,
    encoding: str = "utf-8",
) -> Any:
    """Read what `save`, or PyTorch's ``torch.save``, has written to `f` (a path, or a binary file object that can seek).

    Nothing in the file is executed: its pickle is interpreted, and only known classes are rebuilt, by code of this package. Others are
    refused unless `add_safe_globals` lists them.

    Args:
        map_location: where tensors go: a device or its name, a dict from the file's names to others, a callable
            ``(storage, location) -> storage or None``, or None for the devices the file names.
        weights_only: False also rebuilds nn.Modules whose classes are imported already. It executes nothing either.
        mmap: map the file into memory, so that tensors are read when first used. Needs a path and a zip file. Checksums are not verified.
        encoding: how to decode text in files written by Python 2.

    Raises CorruptFileError (a RuntimeError) for truncated, damaged or foreign files, UnsafeContentError (a pickle.UnpicklingError) for
    what is refused, errors.Unsupported for kinds of tensors this package lacks. All messages name the file.
    """
    _check_pickle_module("load", pickle_module)
    if mmap and not isinstance(f, str | os.PathLike):
        raise ValueError("f must be a file path in order to use the mmap argument")
    with _opened(f) as (stream, where):
        place = placement(map_location, where)
        if not is_archive(_head(stream)):
            if mmap:
                raise RuntimeError(f"mmap can only be used with zip files, but {where} is not one: load it without mmap, and save it again")
            refuse_legacy()
            return _load_legacy(stream, where, place, weights_only is False, encoding)
        mapped = np.memmap(f, np.uint8, "c") if mmap else None
        archive = _archive(stream, where, mapped)
        read = blank_storage if skipping() else archive.storage
        return Decoder(where, read, place, weights_only is False).loads(archive.read("data.pkl"), encoding=encoding)


def get_unsafe_globals_in_checkpoint(f: Any) -> list[str]:
    """The names of all classes and functions in file `f` that `load` would refuse. Nothing is rebuilt or executed."""
    with _opened(f) as (stream, where):
        survey = Survey(where)
        if is_archive(_head(stream)):
            survey.loads(_archive(stream, where, None).read("data.pkl"))
        else:
            _check_legacy(stream, where)
            survey_legacy(stream.read(), where, survey)
        return survey.unsafe


def _check_pickle_module(function: str, module: Any) -> None:
    if module is not None and module is not pickle:
        name = getattr(module, "__name__", module)
        raise Unsupported(f"{function}(pickle_module={name}) is not supported: pickles are written and read by code of our own")


@contextmanager
def _opened(f: Any) -> Iterator[tuple[IO[bytes], str]]:
    """(stream positioned at 0 or at its start, name for messages)."""
    if isinstance(f, str | os.PathLike):
        with open(f, "rb") as stream:
            yield stream, f"'{os.fspath(f)}'"
        return
    if not hasattr(f, "read"):
        raise AttributeError(f"expected 'f' to be a string, a path, or an object with a read method, but got {type(f).__name__}")
    if isinstance(f, io.TextIOBase):
        raise TypeError("the file must be opened in binary mode: open(..., 'rb')")
    name = getattr(f, "name", None)
    where = f"'{name}'" if isinstance(name, str) else f"the {type(f).__name__} object"
    if not (hasattr(f, "seek") and hasattr(f, "tell")):
        f = io.BytesIO(f.read())
    yield f, where


def _head(stream: IO[bytes]) -> bytes:
    start = stream.tell()
    head = stream.read(_HEAD)
    stream.seek(start)
    return head


def _archive(stream: IO[bytes], where: str, mapped: Any) -> Archive:
    archive = Archive(stream if stream.tell() == 0 else io.BytesIO(stream.read()), where, mapped)
    if "constants.pkl" in archive:
        raise CorruptFileError(f"{where} is a TorchScript archive: save the model's state_dict() with PyTorch and load that")
    return archive


def _load_legacy(stream: IO[bytes], where: str, place: Place, modules: bool, encoding: str) -> Any:
    _check_legacy(stream, where)
    start = stream.tell()
    obj, end = read_legacy(stream.read(), where, place, modules, encoding)
    stream.seek(start + end)
    return obj


def _check_legacy(stream: IO[bytes], where: str) -> None:
    head = _head(stream)
    if not is_legacy(head):
        raise CorruptFileError(f"{where} {_what_else(head)}")


def _what_else(head: bytes) -> str:
    """What a file is that is none of ours, as the end of a sentence."""
    if not head:
        return "is empty"
    if head[257:262] == b"ustar":
        return "is in the tar format of PyTorch before 0.1.10, which is not supported: load and save it again with a newer PyTorch"
    if head[8:9] == b"{":
        return "looks like a safetensors file: read it with torchlike_asg.serialization.safetensors.load_file"
    if head[:1] == b"\x80":
        return "is a pickle, but not one that torch.save has written (it has no magic number)"
    return "is truncated, damaged, or not a file that torch.save has written"
