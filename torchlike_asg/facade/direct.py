"""Writes of data into data, done at once.

A loop that fills a table element by element (counting pairs, copying rows into a replay buffer) has nothing to record: nobody
differentiates it, and both sides are known. Recording would give every element a node of its own and every write a copy of the table.

Only tensors that are plain data are written this way (`target`): no history, nothing pending, and no other autograd identity of the
storage. Then there is nothing that `write.commit` would have to move; what is left of it, the version and the names that must be looked up
again, is `write.commit_data`. What recorded operations captured earlier stays as it was, because a buffer that anybody else refers to is
copied before it is written, and what is read of a buffer shared with NumPy is a copy.

A result that is still to be computed is recorded with the write, unless the place changes from one read to the next
(``values[step] = value`` in an agent's rollout): places are part of the recorded operations, and every one would be planned anew
(`_wanders`).
"""

from __future__ import annotations

import math
import sys
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from .. import dtypes
from ..asg import scope, trace
from ..asg.declare import CONST, Op, get
from ..asg.geometry import Geometry, gather
from ..asg.node import within
from ..asg.reference import constant
from ..asg.trace import current, lock
from ..devices import cpu
from ..dtypes import dtype, store
from ..ops.indexing import fits
from .core import Tensor
from .exposure import shared
from .families import family_of
from .flush import divides, flush
from .held import held_value
from .hosted import known
from .known_numbers import FEW, counted
from .moving import goes_over
from .overlaps import check_overlap
from .places import ROWS
from .storage import Cell, Family
from .write import commit_data

#: elements up to which arithmetic in place is done here; beyond, a compiled program is worth its overhead
SMALL = 4096
#: elements of a new tensor up to which it is filled here when data is written into it
FILLED = 1 << 16
#: recorded writes of data into one pending storage after which it is computed, so that the next ones are direct
PILE = 16
#: the same, at a line of the script where that was of no use once
LATER = 64
#: the same, where another storage became data at the same line: for its first write and for those that are recorded after it
AGAIN = 1, 2
#: results recorded in a trace that are not to be one plan with what a loop over a table goes on to record
LONG = 256
_LINES = 256
#: places of a storage of data that results are written to, each after a read, from which on they are computed before they are written
PLACES = 4
_ADD, _FULL = get("add"), get("full")
_BIG = 1 << 62
#: storage -> the trace in which results were written into it last, and how many
_runs: WeakKeyDictionary[Family, tuple[Any, int]] = WeakKeyDictionary()
#: the line at which such a trace was ended last
_ending: Any = None
_piles: WeakKeyDictionary[Family, int] = WeakKeyDictionary()
#: line -> whether storages that many were written into at it became data
_piling: dict[Any, bool] = {}
_places: WeakKeyDictionary[Family, set[Geometry]] = WeakKeyDictionary()


def target(t: Tensor, exposed: bool = False) -> Family | None:
    """The family of a tensor whose memory can be written at once, or None. `exposed`: also if a NumPy array shares that memory."""
    f = t._f
    if f is None or t.__class__ is not Tensor or f.h is not None or f.past is not None or f.wants or t._lens is not None:
        return None
    if trace.transforming:  # what a function that is being differentiated may write to, `write` sees to
        return None
    cell = f.cell
    if f.inferred is True and current().inference is None:  # which is refused
        return None
    if cell.exposed and not (exposed and cell.buf.flags.writeable and not trace.several):  # type: ignore[union-attr]
        return None
    if cell.empty or cell.remote or (len(cell.families) > 1 and any(g is not f for g in cell.live())):
        return None
    shape, strides, _ = t.geometry
    return None if 0 in strides and any([s == 0 and n > 1 for n, s in zip(shape, strides, strict=True)]) else f


def _unfilled(t: Tensor, limit: float = FILLED) -> Family | None:
    """The family of a tensor of a new storage that is one number and not computed yet (``torch.zeros(n)``), if it is to be written here."""
    f = t._f
    n = None if f is None else f.h
    if n is None or n.op is not _FULL or n.srcs[0].op is not CONST or t.__class__ is not Tensor or n.device.type != "cpu":
        return None
    if f.leaf is not None or f.past is not None or f.wants or n.rg or (f.inferred is True and current().inference is None):  # type: ignore[union-attr]
        return None
    tr = current()
    if n in tr.known or tr.held or math.prod(n.shape) > limit:
        return None
    return f if len(f.cell.families) == 1 else None  # type: ignore[union-attr]


def prepare(t: Tensor, value: Any) -> None:
    """Fill a new tensor that data is about to be written into, before a view of the part that is written is recorded."""
    n = t._n
    if n is None or n.op is not _FULL or t.__class__ is not Tensor:
        return
    if isinstance(value, Tensor) and ((value.requires_grad and current().grad) or _at_hand(value) is None):
        return
    family_of(t)
    f = _unfilled(t)
    if f is not None:
        _fill(f)


def realise(t: Tensor) -> None:
    """Fill a new tensor that is one number where it is, without a plan for its shape. The memory of zeros is the system's until it is first
    written: a parameter that is replaced before (by one on the meta device) takes none.
    """
    n = t._n
    if n is not None and n.op is _FULL and t.__class__ is Tensor:
        family_of(t)
        f = _unfilled(t, math.inf)
        if f is not None:
            _fill(f)


def _fill(f: Family) -> None:
    """Have the storage hold the value it was to be filled with: rows of a batch that are written at places of their own then have no nodes.

    The node stays claimed and among the counter's roots: other results may have captured it, and a backward pass must refuse it later.
    """
    n = f.h
    assert n is not None
    cell = f.cell
    value = constant(n.srcs[0])
    cell.take(np.full(n.shape, value) if any(value.tobytes()) else np.zeros(n.shape, value.dtype))
    f.h = cell.writer = None
    f.invalidate()


def _references(cell: Cell) -> int:
    buf = cell.buf
    return sys.getrefcount(buf)


#: what `_references` counts for a buffer that only its storage refers to (interpreters differ in what they count for the asking)
_ALONE = _references(Cell((1,), (1,), dtypes.float32, cpu, np.zeros(1, np.float32)))


def _region(t: Tensor, f: Family) -> np.ndarray[Any, Any]:
    """The memory of a tensor, as an array that nobody else sees."""
    cell = f.cell
    shared = _references(cell) > _ALONE
    buf = cell.buf
    if shared or buf.base is not None or not buf.flags.writeable:  # type: ignore[union-attr]
        buf = cell.buf = buf.copy()  # type: ignore[union-attr]
    return gather(buf, t.geometry)  # type: ignore[arg-type]


def _number(value: Any, d: dtype) -> Any:
    """A Python number in an element type, or None where the recorded path must decide (or complain)."""
    if isinstance(value, complex) and not d.is_complex:
        return None
    if d.category == dtypes.INTEGER:
        if value != value or value in (float("inf"), -float("inf")):
            return None
        value, limits = int(value), dtypes.iinfo(d)
        return value if limits.min <= value <= limits.max else None
    if d is dtypes.bool_:
        return bool(value)
    return None if abs(value) > 6e4 and not within(value, dtypes.finfo(d).max) else value


def _at_hand(value: Tensor) -> Any:
    """What a tensor holds, if it is data or follows from numbers by one sum: ``total[i] = x[i] + y[i]``."""
    v = known(value)
    n = value._n
    if v is None and n is not None and value._f is None and not n.rg:
        tr = current()
        v = counted(n, tr)
        if v is None and tr.slots >= FEW:  # the trace takes no more of them: a new one does
            flush()
            v = known(value)
    return v


def _wanders(t: Tensor, f: Family) -> bool:
    """Whether results were written to many places of this data already, and after each of these writes the data was read."""
    if f.cell.device.type != "cpu" or current().level or f in ROWS:
        return False
    shape, strides, offset = t.geometry
    places = _places.setdefault(f, set())
    if len(places) < PLACES:
        places.add((tuple(shape), tuple(strides), offset))
        return False
    return True


def _values(t: Tensor, value: Any, f: Family | None = None) -> Any:
    """The value to write, in the element type of `t` as it is stored; None if it is not at hand, nor to be computed for the data `f`."""
    if isinstance(value, Tensor):
        if value.requires_grad and current().grad:
            return None
        if value.dtype.is_complex and not t.dtype.is_complex:
            return None
        v = _at_hand(value)
        if v is None and f is not None and value.device.type == "cpu" and _wanders(t, f):
            v = held_value(value)
        if v is None:
            return None
        return store(v if value.dtype is t.dtype else get("cast").ref(v, t.dtype), t.dtype)  # type: ignore[misc]
    number = _number(value, t.dtype)
    return None if number is None else store(np.asarray(number), t.dtype)


def assign(t: Tensor, value: Any, key: Any = None) -> bool:
    """``t[key] = value`` (or all of `t`), where that can be done at once; `key` holds arrays. Shapes were checked. False if it cannot."""
    if trace.several:
        with lock:
            return _assign(t, value, key)
    return _assign(t, value, key)


def _assign(t: Tensor, value: Any, key: Any) -> bool:
    fresh = _unfilled(t)
    f = fresh or target(t, exposed=True)
    if f is None:
        return False
    shared(f.cell)
    if value.__class__ is Tensor and value._f is f and fresh is key is value._lens is None and value.geometry == t.geometry:
        commit_data(f)  # x[i] += v ends in the assignment of a region to itself
        return True
    v = _values(t, value, None if fresh is not None or key is not None else f)
    if v is None:
        return False
    if fresh is not None:
        _fill(fresh)
        if target(t) is None:
            return False
    if isinstance(value, Tensor):
        check_overlap(t, t.geometry, f.cell, (value,))
        if value._f is f:
            v = v.copy()
    place = ... if key is None else key
    if f.cell.exposed:  # the arrays see it at once, and it is no foreign write
        for memory in (f.cell.buf, f.cell.shadow):
            if memory is not None:
                gather(memory, t.geometry)[place] = v
    else:
        _region(t, f)[place] = v
    commit_data(f)
    return True


def update(t: Tensor, op: Op, other: Any) -> bool:
    """``t = op(t, other)`` in place for a small tensor and a number or known tensor of its type. False if it cannot be done at once."""
    if trace.several:
        with lock:
            return _update(t, op, other)
    return _update(t, op, other)


def _update(t: Tensor, op: Op, other: Any) -> bool:
    f = target(t)
    if f is None or t.shape.numel() > SMALL or t.dtype is dtypes.bool_ or t.dtype.is_complex:
        return False
    if other.__class__ is int and op is _ADD and t.dtype is dtypes.int64 and -_BIG < other < _BIG:  # a count
        region = _region(t, f)
        region += other
        commit_data(f)
        return True
    if isinstance(other, Tensor):
        if other.dtype is not t.dtype or other.requires_grad or other._f is f:
            return False
        b = known(other)
    else:
        weaker = isinstance(other, (int, float)) and (t.dtype.is_floating_point or isinstance(other, int))
        b = np.asarray(other, t.dtype.compute) if weaker and _number(other, t.dtype) is not None else None
    if b is None or not (b.shape == t.shape or fits(b.shape, tuple(t.shape))):
        return False
    region = _region(t, f)
    with np.errstate(all="ignore"):
        region[...] = store(op.ref(dtypes.load(region, t.dtype).astype(t.dtype.compute, copy=False), b), t.dtype)  # type: ignore[misc]
    commit_data(f)
    return True


def _run_on(f: Family) -> None:
    """Count a recorded write of a result. A loop that goes over a table, each row computed from the one before, would be one plan of all
    its rows: its trace ends on the way, each time at the same line, and the next rows have the plans of those before.
    """
    global _ending
    tr = current()
    now = tr.index, tr.generation
    when, count = _runs.get(f, (None, 0))
    count = count + 1 if when == now else 1
    _runs[f] = now, count
    if count >= PILE and len(tr.claims) > LONG and (count > PILE or _ending == scope.place(3)) and divides(tr):
        _ending = scope.place(3)
        goes_over(_ending[-1][:2])
        ROWS.update([g for g, (when, _) in _runs.items() if when == now])
        flush(closing=True)


def piled(t: Tensor, value: Any) -> None:
    """Count a recorded write of data; a storage that gets many of them is computed, so that it becomes data itself."""
    f = t._f
    if f is None or t.requires_grad:
        return
    if isinstance(value, Tensor) and value._f is not f and known(value) is None:
        _run_on(f)
        return
    before, here = _piles.get(f), scope.place(3)
    count, helped = (before or 0) + 1, _piling.get(here)
    if count < (AGAIN[before is not None] if helped else PILE if helped is None else LATER):
        _piles[f] = count
        return
    flush()
    helps = f.h is None  # so will the next storages that are written at this line be; else somebody's gradient left the trace open
    _piles[f] = 0 if helps else -100 * LATER
    if len(_piling) >= _LINES:
        _piling.clear()
    _piling[here] = helps
