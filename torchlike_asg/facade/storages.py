"""Storages of bytes: ``x.untyped_storage()``, and those that are made by themselves.

A storage is what a tensor over all of it shows: it holds such a tensor, and what it does to its elements it does by one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from .. import dtypes
from ..devices import device as Device
from ..errors import Unsupported
from .core import Tensor
from .families import family_of
from .memory import address, elements, settled
from .misfits import what
from .register import FUNCTIONS, method

__all__ = ["Storage", "UntypedStorage", "bytes_of", "of_buffer", "room", "within"]


class Storage:
    """What storages of bytes and of numbers have in common."""

    _owner: Tensor
    device: Any

    is_cuda = is_sparse = False
    #: of a storage that is no file
    filename: str | None = None

    def nbytes(self) -> int:
        """The number of bytes."""
        cell = family_of(self._owner).cell
        return math.prod(cell.shape) * cell.dtype.itemsize

    def data_ptr(self) -> int:
        """The address of the first byte (see `Tensor.data_ptr`); 0 if there is none."""
        return address(settled(self._owner)) if self.nbytes() else 0

    def __sizeof__(self) -> int:
        return object.__sizeof__(self) + self.nbytes()

    def is_shared(self) -> bool:
        """False: processes have memory of their own."""
        return False

    def is_pinned(self, device: Any = None) -> bool:
        """False: no memory is locked for a device."""
        return False

    def get_device(self) -> int | None:
        """The number of the device, None on the CPU."""
        return None if self.device.index is None else int(self.device.index)


class UntypedStorage(Storage):
    """The bytes of one storage. Equal for tensors that share memory; ``data_ptr()`` is its address.

    ``UntypedStorage()`` has none, ``UntypedStorage(size)`` so many zeros (PyTorch leaves them uninitialised), and of a sequence of integers
    each is a byte.

    Raises:
        RuntimeError: what is given is neither, or an element of the sequence is no integer.
    """

    def __init__(self, size: Any = 0, *, device: Any = None) -> None:
        if isinstance(size, int | np.integer):
            owner = room(int(size), dtypes.uint8, device)
        else:
            owner = FUNCTIONS["tensor"](_bytes(size), dtype=dtypes.uint8, device=device)
        self._owner, self.device = owner, owner.device

    @property
    def _buffer(self) -> np.ndarray[Any, Any]:
        return np.ascontiguousarray(settled(self._owner).buf).view(np.uint8)

    size = __len__ = Storage.nbytes

    def untyped(self) -> UntypedStorage:
        """This storage itself."""
        return self

    def element_size(self) -> int:
        """One: the elements are bytes."""
        return 1

    def type(self, dtype: Any = None) -> Any:
        """The name of this class."""
        if dtype is not None:
            raise Unsupported("UntypedStorage.type(dtype): float(), long() and their like give the bytes a type")
        return "torch.storage.UntypedStorage"

    def tolist(self) -> list[int]:
        """The bytes as numbers."""
        return self._buffer.tolist()  # type: ignore[no-any-return]

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            raise Unsupported("A slice of a storage shares its memory in PyTorch: slice a tensor over it, as x.set_(storage) is")
        return int(within(self._buffer, index))

    def __iter__(self) -> Iterator[int]:
        return iter(self.tolist())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, UntypedStorage) and family_of(other._owner).cell is family_of(self._owner).cell

    def __hash__(self) -> int:
        return id(family_of(self._owner).cell)

    def __repr__(self) -> str:
        lines = "".join([f" {v}\n" for v in self.tolist()])
        return f"{lines}[torch.storage.UntypedStorage(device={self.device}) of size {self.nbytes()}]"

    def __setitem__(self, index: Any, value: int) -> None:
        elements(self, dtypes.uint8)[index] = value

    def fill_(self, value: int) -> UntypedStorage:
        """Set every byte."""
        elements(self, dtypes.uint8).fill_(value)
        return self

    def copy_(self, source: UntypedStorage, non_blocking: bool | None = None) -> UntypedStorage:
        """Take the bytes of a storage of this size."""
        if source.nbytes() != self.nbytes():
            raise RuntimeError(f"copy_: a storage of {source.nbytes()} bytes does not fit one of {self.nbytes()}")
        elements(self, dtypes.uint8).copy_(elements(source, dtypes.uint8))
        return self

    def clone(self) -> UntypedStorage:
        """A copy."""
        return bytes_of(elements(self, dtypes.uint8).clone())

    def to(self, *, device: Any, non_blocking: bool = False) -> UntypedStorage:
        """This storage, or a copy on another device."""
        return self if Device(device) == self.device else bytes_of(elements(self, dtypes.uint8).to(device))

    def cpu(self) -> UntypedStorage:
        """This storage, or a copy on the CPU."""
        return self.to(device="cpu")

    def resize_(self, size: int) -> None:
        """Not supported: see the error."""
        raise Unsupported("UntypedStorage.resize_() is not supported: resize the tensor with tensor.resize_(*size)")

    def __copy__(self) -> UntypedStorage:
        return self.clone()

    def __deepcopy__(self, memo: dict[int, Any]) -> UntypedStorage:
        return memo.setdefault(id(self), self.clone())

    def __reduce__(self) -> Any:
        return bytes_of, (elements(self, dtypes.uint8).clone(),)

    @classmethod
    def from_buffer(cls, *args: Any, **kwargs: Any) -> UntypedStorage:
        """The bytes of an object that has a buffer, copied: see `TypedStorage.from_buffer`."""
        return bytes_of(of_buffer(*args, **{"dtype": dtypes.uint8, **kwargs}))


def bytes_of(t: Any) -> UntypedStorage:
    """The bytes of the storage that a tensor is a view of."""
    made = UntypedStorage.__new__(UntypedStorage)
    made._owner, made.device = t, t.device  # the tensor keeps the storage alive and current
    return made


# ---------------------------------------------------------------- making them
def room(size: int, d: dtypes.dtype, device: Any) -> Tensor:
    if size < 0:
        raise RuntimeError(f"a storage cannot have {size} elements")
    return FUNCTIONS["zeros"](size, dtype=d, device=device)  # type: ignore[no-any-return]


def _bytes(values: Any) -> list[int]:
    if isinstance(values, (Tensor, np.ndarray)) or not isinstance(values, Sequence):
        raise RuntimeError(f"torch.UntypedStorage(): Expected a sequence type, but got {what(values)}")
    for v in values:
        if not isinstance(v, int | np.integer):
            raise RuntimeError(
                f"torch.UntypedStorage(): tried to construct a storage from a sequence ({what(values)}), but one of the items was of type "
                f"{what(v)} instead of int"
            )
    return [int(v) & 255 for v in values]


def of_buffer(buffer: Any, byte_order: str | None = None, count: int = -1, offset: int = 0, *, dtype: Any = None) -> Tensor:
    if dtype is None:
        raise RuntimeError("from_buffer(): dtype= is needed, which FloatStorage and its like know")
    if byte_order not in ("native", "little", "big") and (byte_order is not None or dtype.itemsize > 1):
        raise ValueError(f"invalid byte_order '{byte_order}' (expected 'big', 'little', or 'native')")
    order = {"little": "<", "big": ">"}.get(byte_order or "native", "=")
    found = np.frombuffer(buffer, dtype.storage.newbyteorder(order), count, offset)
    return FUNCTIONS["frombuffer"](bytearray(found.astype(dtype.storage).tobytes()), dtype=dtype) if found.size else room(0, dtype, None)


def within(values: Any, index: Any) -> Any:
    if not -len(values) <= index < len(values):
        raise IndexError(f"index {index} out of range for storage of size {len(values)}")
    return values[index]


@method()
def untyped_storage(self: Tensor) -> UntypedStorage:
    """The bytes of the storage this tensor is a view of."""
    return bytes_of(self)


FUNCTIONS["UntypedStorage"] = UntypedStorage
