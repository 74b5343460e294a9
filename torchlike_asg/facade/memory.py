"""The memory behind a tensor: its address, and tensors over the memory of another tensor or storage (`storages.py`)."""

from __future__ import annotations

import itertools
import math
from typing import Any
from weakref import WeakKeyDictionary, ref

import numpy as np

from .. import dtypes
from ..asg.geometry import contiguous, span
from ..asg.trace import current, lock
from ..ops.promotion import title
from .core import Tensor, concrete, face
from .exposure import sync
from .families import family_of
from .held import settle
from .inference import refuse_write
from .lens import lens_over
from .misfits import what
from .register import method
from .resize import overwritten, set_data
from .storage import Cell, Family


def settled(t: Tensor) -> Cell:
    """The cell of a tensor, with what was recorded computed and foreign writes noticed."""
    settle(t)
    cell = family_of(t).cell
    sync(cell)
    return cell


_addresses: WeakKeyDictionary[Cell, int] = WeakKeyDictionary()
_next_address = itertools.count(1)
_SPACING = 1 << 44  # larger than any storage, so that no two of them seem to overlap
_ALIGNMENT = 64


class _Block:
    """The memory whose address stands for a storage on the host.

    It was copied from the array `source` when the storage's aliases had counted `counters`: as long as both are so, nobody has written.
    """

    source: Any
    counters: list[tuple[int, int, int]]

    def __init__(self, size: int) -> None:
        room = np.empty(size + _ALIGNMENT, np.uint8)
        start = -room.ctypes.data % _ALIGNMENT
        self.bytes = room[start : start + size]
        self.address = int(self.bytes.ctypes.data)


_blocks: WeakKeyDictionary[Cell, _Block] = WeakKeyDictionary()


@method()
def data_ptr(self: Tensor) -> int:
    """An address of the first element: equal for tensors that start at the same element of one storage, different otherwise; 0 without
    elements.

    It is the address in memory while a NumPy array shares the storage. Otherwise it is that of a copy of the content at the time of the
    call, and stays the same while the storage lives: what is read there is right until the next write to the tensor, and what is written
    there goes unnoticed. (The content itself moves with every write, and may be shared with equal storages until then.) That of a tensor on
    another device, whose memory nothing else can read, only identifies the storage; on the meta device it is 0.
    """
    if not self.shape.numel():
        return 0
    return address(settled(self)) + self.geometry[2] * self.dtype.itemsize


def address(cell: Cell) -> int:
    """The address of a storage's first byte."""
    if cell.device.type == "meta":
        return 0
    with lock:
        if cell.exposed:
            return int(cell.buf.ctypes.data)  # type: ignore[union-attr]
        if cell.remote or cell.empty:  # empty: another thread is to compute it
            return _addresses.get(cell) or _addresses.setdefault(cell, next(_next_address) * _SPACING)
        held: Any = cell._flat if cell._flat is not None else cell.array
        counters = [(id(f.counter), f.counter.version, f.counter.silent) for f in cell.live()]
        known = _blocks.get(cell)
        if known is not None and known.source() is held and known.counters == counters:
            return known.address
        as_it_is = cell.plain and cell.dtype is not dtypes.bfloat16  # asking for the buffer would end the form without one
        content = (cell.whole().reshape(-1) if as_it_is else cell.buf).view(np.uint8)  # type: ignore[union-attr]
        if known is None or len(known.bytes) != len(content):
            known = _blocks[cell] = _Block(len(content))
        known.bytes[:] = content
        known.source, known.counters = ref(cell._flat if cell._flat is not None else cell.array), counters
        return known.address


# ---------------------------------------------------------------- tensors over a given storage
def over(cell: Cell, d: dtypes.dtype, geometry: Any = None) -> Tensor:
    """A tensor without history over a storage read as type `d`, by default over all of it as a vector."""
    whole = math.prod(cell.shape) * cell.dtype.itemsize
    shape, strides, offset = ((whole // d.itemsize,), (1,), 0) if geometry is None else geometry
    extent = span((shape, strides, offset))
    if extent * d.itemsize > whole:
        raise RuntimeError(
            f"setStorage: sizes {list(shape)}, strides {list(strides)}, storage offset {offset}, and itemsize {d.itemsize} "
            f"requiring a storage size of {extent * d.itemsize} are out of bounds for storage of size {whole}"
        )
    return face(Family(cell), None, 0, None, (shape, strides, offset), lens=lens_over(cell.dtype, d))  # type: ignore[no-any-return]


def tensor_over(source: Any, d: dtypes.dtype, geometry: Any = None) -> Tensor:
    """A tensor without history over the memory of a storage, by default all of it as a vector."""
    owner = source._owner
    if getattr(source, "dtype", d) is not d:  # bytes have no type
        raise RuntimeError(f"Expected a Storage of type {title(d)} or an UntypedStorage, but got type {title(source.dtype)}")
    return over(settled(owner), d, geometry)


def elements(source: Any, d: dtypes.dtype) -> Any:
    """All of a storage as a vector, to be read and written without any tensor's version noticing."""
    return over(settled(source._owner), d)


@method()
def set_(self: Tensor, source: Any = None, storage_offset: int = 0, size: Any = None, stride: Any = None) -> Tensor:
    """Make this tensor show the memory of another tensor or storage (or nothing): with that tensor's geometry, or the one given."""
    refuse_write(self)
    keeps = self.requires_grad
    if keeps and current().grad:
        raise RuntimeError(
            "a leaf Variable that requires grad is being used in an in-place operation."
            if self.is_leaf
            else "derivative for set_ is not implemented"
        )
    if source is None:
        other = concrete(np.zeros(0, self.dtype.storage), (0,), self.dtype, self.device)
    else:
        owner = source if isinstance(source, Tensor) else source._owner
        if owner.dtype is not self.dtype and (isinstance(source, Tensor) or hasattr(source, "dtype")):
            raise RuntimeError(f"Could not set tensor of type {owner.dtype.name} to a tensor of type {self.dtype.name}")
        geometry = owner.geometry if isinstance(source, Tensor) and size is None else None
        if size is not None:
            shape = tuple(size)
            geometry = (shape, contiguous(shape) if stride is None else tuple(stride), storage_offset)
        other = over(settled(owner), self.dtype, geometry)
    if keeps:  # its gradient and its hooks, or its history
        set_data(self, other, counted=True)
        self._f.counter.version += 1  # type: ignore[union-attr]
        return self
    overwritten(self)
    other._f.counter.version = self._f.counter.version  # type: ignore[union-attr]  # the counter is the tensor's
    self._lens = other._lens
    self._n, self._f, self._d, self._geo, self._kind = None, other._f, 0, other._geo, None
    other._f.add(self)  # type: ignore[union-attr]
    return self


@method()
def is_set_to(self: Tensor, tensor: Tensor) -> bool:
    """Whether both show the same memory in the same way."""
    if not isinstance(tensor, Tensor):
        raise TypeError(f"is_set_to(): argument 'tensor' (position 1) must be Tensor, not {what(tensor)}")

    def shown(t: Tensor) -> Any:
        shape, strides, offset = t.geometry
        return family_of(t).cell, t._lens, tuple(shape), tuple(strides), offset

    return bool(shown(self) == shown(tensor))
