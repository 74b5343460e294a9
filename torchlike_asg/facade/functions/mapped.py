"""``torch.asarray`` and ``torch.from_file``, and storages that are files mapped into memory: what readers of weights build their tensors
from."""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ... import dtypes
from ...devices import device
from ...ops.promotion import title
from ..core import Tensor, concrete
from ..leaves import require_grad
from ..memory import tensor_over
from ..register import FUNCTIONS, function
from ..storages import UntypedStorage
from ..typed_storages import TypedStorage
from .creation import as_tensor, finish, from_numpy, over_array, tensor
from .factory_arguments import device_of
from .python_data import WIDE

__all__ = ["MappedStorage", "asarray", "from_file"]


class MappedStorage(UntypedStorage):
    """The bytes of a file, or a slice of them; they are read when they are used.

    Where the mapping is private, a tensor that is made of them has memory of its own, and the type it is first viewed as.
    """

    def __init__(self, content: np.ndarray[Any, Any], shared: bool) -> None:
        self._content, self.shared, self.device = content, shared, device("cpu")

    @cached_property
    def _owner(self) -> Tensor:  # type: ignore[override]
        return self.tensor()

    def tensor(self) -> Tensor:
        """The bytes as a uint8 vector: over the file if it is shared, else a copy."""
        if self.shared:
            return from_numpy(self._content)
        made = concrete(np.array(self._content), self._content.shape, dtypes.uint8, self.device)
        made._unread = True
        return made  # type: ignore[no-any-return]

    @property
    def _buffer(self) -> np.ndarray[Any, Any]:
        return self._content

    def data_ptr(self) -> int:
        """The address of the first byte."""
        return self._content.ctypes.data if len(self._content) else 0

    def nbytes(self) -> int:
        """The number of bytes."""
        return len(self._content)

    size = __len__ = nbytes

    def __getitem__(self, index: Any) -> Any:
        return MappedStorage(self._content[index], self.shared) if isinstance(index, slice) else int(self._content[index])


def _from_file(filename: str | os.PathLike[str], shared: bool = False, nbytes: int = 0) -> MappedStorage:
    """A storage that is a file mapped into memory.

    Args:
        shared: what is written to the storage is written to the file, which is made or lengthened if needed; else the file stays as it is.
        nbytes: how many of its bytes.

    Raises:
        RuntimeError: the file cannot be opened, or is shorter and not shared.
    """
    path = Path(filename)
    try:
        length = path.stat().st_size if path.exists() or not shared else 0
        with path.open("ab" if shared else "rb") as file:
            if shared and length < nbytes:
                file.truncate(nbytes)
    except OSError as error:
        mode = "read-write" if shared else "read-only"
        raise RuntimeError(f"unable to open file <{path}> in {mode} mode: {error.strerror} ({error.errno})") from None
    if length < nbytes and not shared:
        raise RuntimeError(f"file <{path}> size <{length}> is smaller than the required mapping size <{nbytes}>")
    if nbytes == 0:
        return MappedStorage(np.zeros(0, np.uint8), shared)
    return MappedStorage(np.memmap(path, np.uint8, "r+" if shared else "c", shape=(nbytes,)).view(np.ndarray), shared)


UntypedStorage.from_file = staticmethod(_from_file)  # type: ignore[attr-defined]


def from_file(
    filename: str,
    shared: bool | None = None,
    size: int | None = 0,
    *,
    dtype: dtypes.dtype | None = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
) -> Tensor:
    """The first `size` elements of a file of type `dtype` (by default the default type), as a vector.

    `shared`: what is written to the tensor is written to the file, which is made or lengthened if needed; it is there after
    ``torch.asg.sync()``, at the latest. Otherwise the file stays as it is.

    Raises:
        RuntimeError: the file cannot be opened, or is shorter and not shared; pinned memory is asked for.
        NotImplementedError: `device` is not the CPU.
    """
    if not isinstance(filename, str):
        raise TypeError(f"from_file(): argument 'filename' (position 1) must be str, not {type(filename).__name__}")
    if pin_memory:
        raise RuntimeError("tensors constructed from a file cannot be pinned")
    if device_of(device).type != "cpu":
        raise NotImplementedError("torch.from_file() makes tensors on the CPU: move what it gives with to(device)")
    d = dtypes.get_default_dtype() if dtype is None else dtype
    count = size or 0
    if count < 0:
        raise RuntimeError(f"unable to mmap {count * d.itemsize} bytes from file <{filename}>")
    content = _from_file(filename, bool(shared), count * d.itemsize)._content.view(d.storage)
    return finish(over_array(content if shared else content.copy(), d), requires_grad)  # type: ignore[no-any-return]


def asarray(
    obj: Any, *, dtype: dtypes.dtype | None = None, device: Any = None, copy: bool | None = None, requires_grad: bool | None = None
) -> Tensor:
    """`obj` as a tensor: a tensor, an array, a storage, an object with a buffer, a number or nested sequences.

    Args:
        dtype: of the result; the bytes of a storage or buffer are read as this type, by default the default one.
        copy: True always copies; False never does; None only where it must.
        requires_grad: by default as `obj` does. A tensor that has a history keeps it.

    Raises:
        ValueError: copy is False, and a copy is needed.
        ValueError: the bytes are no whole number of elements.
        RuntimeError: a gradient is asked for of a type that has none; copy is False, and it is one of NumPy's numbers.
    """
    if copy is False and isinstance(obj, np.generic):
        raise RuntimeError("can't alias NumPy scalars. Either remove copy=False or transform it in an ndarray.")
    found = None if dtype is not None and isinstance(obj, np.ndarray) and obj.dtype in WIDE else _viewed(obj, dtype)
    if found is None:
        if copy is False:
            raise ValueError("can't alias arbitrary sequence into a tensor.")
        out = tensor(obj, dtype=dtype, device=device)
    else:
        out = found if dtype is None and device is None else found.to(dtype=dtype, device=device)  # type: ignore[attr-defined]
        if copy is False and out is not found:
            what = (
                f"dtype '{title(found.dtype)}' into dtype '{title(out.dtype)}'"
                if out.dtype is not found.dtype
                else f"device '{found.device}' into '{out.device}'"
            )
            raise ValueError(f"can't alias tensor with {what}.")
        if copy and out is found:
            out = out.clone()  # type: ignore[attr-defined]
    if requires_grad:
        return require_grad(out)
    return out.detach() if requires_grad is False and out.requires_grad else out  # type: ignore[attr-defined, no-any-return]


def _viewed(obj: Any, dtype: dtypes.dtype | None) -> Tensor | None:
    """What has memory, as a tensor over it (a private file's bytes: over a copy)."""
    if isinstance(obj, (Tensor, np.ndarray, np.generic)):
        return as_tensor(obj)
    d = dtypes.get_default_dtype() if dtype is None else dtype
    if isinstance(obj, MappedStorage):
        made = obj.tensor()
        return made if d is dtypes.uint8 else made.view(d)  # type: ignore[attr-defined, no-any-return]
    if isinstance(obj, TypedStorage):
        return tensor_over(obj, obj.dtype)
    if isinstance(obj, UntypedStorage):
        return tensor_over(obj, d)
    try:
        length = memoryview(obj).nbytes
    except TypeError:
        return None
    if length % d.itemsize:
        raise ValueError(f"buffer length ({length} bytes) after offset (0 bytes) must be a multiple of element size ({d.itemsize})")
    return FUNCTIONS["frombuffer"](obj, dtype=d)  # type: ignore[no-any-return]


function(method=False)(asarray)
function(method=False)(from_file)
