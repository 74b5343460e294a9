"""Parts of plain data that numbers pick, ``rows[i]`` and ``table[i, j] += 1``: viewed, read and written with nothing around the arithmetic.

`direct` does the same with any data. A loop over elements asks for one of the cases here time and again, and for nothing else, so what they
cost is what it costs: no array is made for an element, no state of NumPy's is changed and put back, nothing is looked at twice. Whatever
is unusual is left to `direct`, or recorded; a function here then says None or False, and nothing has happened.
"""

from __future__ import annotations

import sys
from contextvars import Context
from typing import Any
from weakref import ref

import numpy as np

from .. import dtypes
from ..asg import trace
from ..asg.declare import INPUT, Op, get
from ..asg.geometry import Geometry
from ..asg.trace import _get as _current
from ..asg.trace import current
from .core import Tensor
from .storage import Family
from .write import commit_data

_new = object.__new__
_part = tuple.__getitem__
#: types whose elements are stored as NumPy computes with them
_NATIVE = frozenset((dtypes.float32, dtypes.float64, dtypes.int32, dtypes.int64))
_UFUNCS: dict[Op, Any] = {get("add"): np.add, get("sub"): np.subtract, get("mul"): np.multiply}
#: below it lie numbers that every one of these types can hold
_LARGE = 6e4
#: arrays of numbers that are kept
_MOST = 256
_numbers: dict[Any, np.ndarray[Any, Any]] = {}
#: elements up to which arithmetic is done here
_SMALL = 4096


# ---------------------------------------------------------------- what a subscript picks
def place(t: Tensor, entries: tuple[Any, ...]) -> Geometry | None:
    """The part of plain data that integers pick (Python's, or tensors of data). None for all else, and for what is out of range."""
    f: Any = t._f
    n = t._n
    if f is None or f.h is not None or f.past is not None or f.wants or trace.several:
        return None
    if n is None:
        shape, strides, offset = t._geo
    elif n.op is INPUT and not current().mapped:  # that a recorded operation has read it makes it no less data
        shape, strides, offset = t.geometry
    else:
        return None
    d, rank = len(entries), len(shape)
    if not 0 < d <= rank:
        return None
    for k, size, s in zip(entries, shape, strides, strict=False):
        if k.__class__ is not int:
            k = _integer(k)
            if k is None:
                return None
        if k < 0:
            k += size
        if not 0 <= k < size:
            return None
        offset += k * s
    if d == rank:
        return (), (), offset
    return shape[d:] if shape.__class__ is tuple else _part(shape, slice(d, None)), strides[d:], offset


def _integer(k: Any) -> int | None:
    """The integer that a tensor of data without dimensions holds."""
    if k.__class__ is not Tensor or k._f is None or k._lens is not None or (_current() or current()).mapped:
        return None
    f, n = k._f, k._n
    if f.h is not None or f.past is not None or f.wants or (n is not None and n.op is not INPUT):
        return None
    cell, geometry = f.cell, k._geo if n is None else k.geometry
    d = cell.dtype
    if geometry[0] or d.category != dtypes.INTEGER or d is dtypes.uint8:
        return None
    buf = cell._flat
    if buf is None:
        if cell.remote or cell.empty:
            return None
        buf = cell.buf
    return buf.item(geometry[2])  # type: ignore[no-any-return]


def seen(t: Tensor, geometry: Geometry) -> Tensor:
    """The view of plain data that shows this part of it."""
    f: Any = t._f
    v = _new(Tensor)
    v._n, v._f, v._d, v._geo = None, f, 0, geometry
    tr = _current() or current()
    kind = t._kind
    if not tr.grad:
        v._kind = "nograd" if tr.inference is None else "inference"
    else:
        v._kind = "view" if kind is None else kind.removesuffix(" stale")
    if t._lens is not None:
        v._lens = t._lens
    faces = f.faces
    faces.append(ref(v))
    if len(faces) > f.limit:
        f.prune()
    return v


# ---------------------------------------------------------------- memory
def _references(f: Any) -> int:
    buf = f._flat
    return sys.getrefcount(buf)


class _Alone:
    _flat = np.zeros(1)


#: what is counted for a buffer that its storage alone refers to, and the local variable of who asks
_ALONE = _references(_Alone)


def _memory(f: Any) -> Any:
    """The buffer of a storage that is plain data and nobody else's, to be written where it is; else None (see `direct.target`)."""
    if f is None or f.h is not None or f.past is not None or f.wants or f.inferred or trace.several or trace.transforming:
        return None
    cell = f.cell
    buf = cell._flat
    if buf is None or sys.getrefcount(buf) > _ALONE or buf.base is not None or cell.exposed or len(cell.families) > 1:
        return None
    return buf if cell.dtype in _NATIVE else None


def _span(geometry: Geometry) -> slice | None:
    """Where in a flat buffer an element, or those of one dimension, lie; None for more of them, and for none."""
    shape, strides, offset = geometry
    if not shape:
        return slice(offset, offset + 1)
    if len(shape) > 1:
        return None
    n, step = shape[0], strides[0]
    return slice(offset, offset + (n - 1) * step + 1, step) if n > 0 and step > 0 else None


def _held(value: Tensor, f: Family, shape: Any) -> Any:
    """What a tensor of data holds, if it has this shape, of one dimension at most, the type of the storage `f`, and one of its own."""
    g: Any = value._f
    n = value._n
    if g is None or g is f or g.h is not None or g.past is not None or g.wants or value._lens is not None:
        return None
    cell = g.cell
    buf = cell._flat
    if buf is None or cell.dtype is not f.cell.dtype or (n is not None and (n.op is not INPUT or cell.exposed)):
        return None
    geometry = value._geo if n is None else value.geometry
    at = _span(geometry) if geometry[0] == shape else None
    return None if at is None else buf[at]


def _plain(number: Any, d: dtypes.dtype) -> bool:
    """Whether a Python number is one of this type, in a range in which no conversion has to be thought of."""
    kind = number.__class__
    return (kind is int or (kind is float and d.is_floating_point)) and -_LARGE < number < _LARGE


def _array(number: Any, d: dtypes.dtype) -> Any:
    """A number as an array, of which as many are kept as a script may have in its lines."""
    key = d, number
    found = _numbers.get(key)
    if found is None:
        if len(_numbers) >= _MOST:
            _numbers.clear()
        found = _numbers[key] = np.asarray(number, d.compute)
    return found


_calm: Any
if int(np.__version__.partition(".")[0]) >= 2:
    #: where floating-point errors are no warnings: entering ``np.errstate`` takes longer than the arithmetic of a row
    _quiet = Context()
    _quiet.run(np.seterr, all="ignore")

    def _calm(ufunc: Any, a: Any, b: Any) -> None:
        try:
            _quiet.run(ufunc, a, b, a)
        except RuntimeError:  # a finalizer that runs in the middle of one
            with np.errstate(all="ignore"):
                ufunc(a, b, a)

else:  # its state is the thread's

    def _calm(ufunc: Any, a: Any, b: Any) -> None:
        with np.errstate(all="ignore"):
            ufunc(a, b, a)


# ---------------------------------------------------------------- writing
def store(t: Tensor, entries: tuple[Any, ...], value: Any) -> bool:
    """``t[entries] = value``, if it is written here."""
    if t._n is not None or t.__class__ is not Tensor or t._lens is not None:
        return False
    where = place(t, entries)
    f: Any = t._f
    buf = None if where is None else _memory(f)
    if buf is None:
        return False
    assert where is not None
    if value.__class__ is Tensor and value._f is f:  # rows[i] += v ends in the assignment of a region to itself
        if value._n is not None or value._geo != where or value._lens is not None:
            return False
        commit_data(f)
        return True
    at = _span(where)
    if value.__class__ is Tensor:
        v = _held(value, f, where[0])
    else:
        v = value if _plain(value, f.cell.dtype) else None
    if at is None or v is None:
        return False
    try:
        buf[at] = v
    except ValueError:  # not to be written
        return False
    commit_data(f)
    return True


def update(t: Tensor, op: Op, other: Any) -> bool:
    """``t = op(t, other)`` of an element or a row, if it is done here."""
    if t._n is not None or t.__class__ is not Tensor or t._lens is not None:
        return False
    f: Any = t._f
    ufunc, buf = _UFUNCS.get(op), _memory(f)
    if ufunc is None or buf is None:
        return False
    geometry = t._geo
    at = _span(geometry)
    if other.__class__ is Tensor:
        v = _held(other, f, geometry[0])
    else:
        v = _array(other, f.cell.dtype) if other and _plain(other, f.cell.dtype) else None  # zeros have signs
    if at is None or v is None or at.stop - at.start > _SMALL:
        return False
    try:
        _calm(ufunc, buf[at], v)
    except ValueError:  # not to be written
        return False
    commit_data(f)
    return True
