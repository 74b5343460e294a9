"""How a view reads its storage, where that is not simply as the storage's elements: as another type, conjugated, or with the sign changed.

A tensor's ``_lens`` is None for all others. With a lens, sizes, strides and offset count elements of the lens's type.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..asg.geometry import Geometry, gather
from ..asg.node import Node
from ..backends.meta import Absent
from ..dtypes import dtype, load
from ..ops.movement import restride as RESTRIDE
from ..ops.movement import restride_scatter as RESTRIDE_SCATTER
from ..ops.reinterpret import bits, bytes_as, conj_of, neg_of, pairs_of, unbits
from .storage import Cell


class Lens(NamedTuple):
    """The element type that is read, and what the memory holds instead of the value: its conjugate, its negative."""

    dtype: dtype
    conj: bool = False
    neg: bool = False


def lens_over(source: dtype, d: dtype, conj: bool = False, neg: bool = False) -> Lens | None:
    """The lens through which a storage of type `source` is read; None if it changes nothing."""
    return None if d is source and not conj and not neg else Lens(d, conj, neg)


def region(h: Node, cell: Cell, lens: Lens, geometry: Geometry) -> Node:
    """What the lens shows of a storage whose value is `h`."""
    d = lens.dtype
    if d is cell.dtype:
        n = h if geometry == cell.geometry else RESTRIDE(h, *geometry, cell.strides)
    elif cell.dtype.is_complex and d is cell.dtype.to_real() and geometry == pairs_of.rule.geometry(cell.geometry, cell.dtype):  # type: ignore[union-attr]
        n = pairs_of(h)
    else:
        n = RESTRIDE(bits(h, cell.strides, cell.dtype, d), *geometry, (1,))
    if lens.conj:
        n = conj_of(n)
    return neg_of(n) if lens.neg else n


def scattered(h: Node, v: Node, cell: Cell, lens: Lens, geometry: Geometry, refuses: bool) -> Node:
    """The storage with the region that the lens shows replaced by `v`."""
    d = lens.dtype
    v = neg_of(v) if lens.neg else v
    v = conj_of(v) if lens.conj else v
    if d is cell.dtype:
        return RESTRIDE_SCATTER(h, v, geometry, cell.strides, refuses)
    flat = bits(h, cell.strides, cell.dtype, d)
    return unbits(RESTRIDE_SCATTER(flat, v, geometry, (1,), refuses), cell.shape, cell.strides, d, cell.dtype)


def memory(cell: Cell, lens: Lens | None) -> np.ndarray[Any, Any]:
    """The flat buffer in elements of the lens's type, sharing the storage's memory."""
    buf = cell.buf
    assert buf is not None
    if lens is None or lens.dtype is cell.dtype:
        return buf
    size = lens.dtype.itemsize
    return buf.view(np.uint8)[: buf.nbytes // size * size].view(lens.dtype.storage)


def seen_values(cell: Cell, lens: Lens | None, geometry: Geometry, buf: Any = None) -> np.ndarray[Any, Any]:
    """What a region holds, as something to compute with; `buf` is another content than the storage's."""
    if lens is None:
        return cell.values(geometry) if buf is None else load(gather(buf, geometry), cell.dtype)
    if cell.device.type == "meta":
        return Absent(geometry[0], geometry[1], lens.dtype)  # type: ignore[return-value]
    stored = memory(cell, lens) if buf is None else bytes_as(buf, lens.dtype)
    values = load(gather(stored, geometry), lens.dtype)
    if lens.conj:
        values = np.conjugate(values)
    return np.negative(values) if lens.neg else values


def in_bytes(geometry: Geometry, d: dtype) -> Geometry:
    """A geometry in bytes, so that regions of different element types can be compared."""
    shape, strides, offset = geometry
    k = d.itemsize
    return (*shape, k), (*[s * k for s in strides], 1), offset * k
