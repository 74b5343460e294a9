"""What a tensor holds now: found among what is known already, where it is, else computed by a flush."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..asg import trace
from ..asg.declare import INPUT, VAR
from ..asg.geometry import gather
from ..asg.trace import Trace, current, lock
from ..backends.meta import AWAY
from .core import Tensor
from .exposure import sync
from .families import family_of
from .flush import evaluate, flush
from .known_numbers import counted
from .leaf_data import leaf_value
from .lens import seen_values
from .nodes import derive
from .sharing import foreign, preserve, settle_left
from .storage import Family


def settle(t: Tensor) -> bool:
    """Have the tensor's storage hold its current value, so that it can be shared or handed out. False if it cannot: another thread has
    recorded what it is to hold, and will compute that.
    """
    f = family_of(t)
    with lock:
        sync(f.cell)
        if f.h is None or (f.h.op in (VAR, INPUT) and not f.cell.empty):
            return True
        flush()
        n = f.h
        if n is None or (n.op is VAR and n is f.leaf) or f.cell.exposed:  # an exposed buffer is written through at once
            return True
        if trace.several and foreign(f, current()):
            return False
        cell = f.cell  # the trace stays open: the buffer takes the value now, and what was recorded keeps the old one
        for g in cell.live():
            if g.leaf is not None and g.leaf.op is VAR and not cell.empty:  # a leaf that took a pending result has nothing to keep yet
                preserve(g.leaf, cell.whole())
        cell.take(evaluate(n))
        cell.writer = None
        return True


def _untouched(t: Tensor) -> Any:
    """The value of a result whose trace has closed and that nothing was done with since; else None."""
    f = t._f
    if t._n is None and f.value is not None and t._kind is None:  # type: ignore[union-attr]
        value = f.value[1]  # type: ignore[union-attr]
        if (value.__class__ is np.ndarray or value.__class__ in AWAY) and f.h is None:  # type: ignore[union-attr]
            return value
    return None


def value_of(t: Tensor) -> np.ndarray[Any, Any]:
    """What a tensor holds now, as an array of its shape; read-only by convention. bfloat16 comes as float32. A value on another device is
    copied from there.
    """
    found: Any = held_value(t)
    return found.numpy() if found.__class__ in AWAY else found  # type: ignore[no-any-return]


def _shown(t: Tensor, f: Family, tr: Trace) -> Any:
    """What a view shows of a storage whose value is known though the trace is open (``for r in returns: r.item()``), without a plan for
    every element. None if that takes more than looking.
    """
    h = f.h
    whole = None if h is None else tr.known.get(h)
    if whole.__class__ is not np.ndarray or t._lens is not None or not f.cell.plain or not whole.flags.c_contiguous:  # type: ignore[union-attr]
        return None
    return gather(whole.reshape(-1), t.geometry)  # type: ignore[union-attr]


def held_value(t: Tensor) -> Any:
    """What a tensor holds now: an array, or what stands for one that lies on another device (`meta.AWAY`)."""
    shared = trace.several
    if shared:
        lock.acquire()
    try:
        if shared and trace.left:
            settle_left()
        tr = current()
        n, f = t._n, t._f
        if f is not None:
            found = _untouched(t)
            if found is not None:
                return found
            if f.cell.exposed:
                sync(f.cell)
                n = t._n
            if shared and n is not None and n is f.h and n.op is VAR:  # not what the trace may have kept of it
                return seen_values(f.cell, t._lens, t.geometry)
        if n is None:
            assert f is not None
            if f.h is None or (f.h.op is VAR and f.h is f.leaf) or (shared and f.cell.exposed and foreign(f, tr)):
                return seen_values(f.cell, t._lens, t._geo)
            flush()
            if t._n is None and (f.h is None or f.h.op is VAR):
                return seen_values(f.cell, t._lens, t._geo)
            n = t._n if t._n is not None else derive(t, check=False)
            return evaluate(n)
        if n in tr.known:
            return tr.known[n]  # type: ignore[no-any-return]
        found = leaf_value(n, tr)
        if found is None and f is not None:
            found = _shown(t, f, tr)
        if found is None and not n.shape:
            found = counted(n, tr)
        if found is not None:
            return found
        flush()
        if t._n is not None:
            return evaluate(t._n)
        found = _untouched(t)
        return seen_values(t._f.cell, t._lens, t._geo) if found is None else found  # type: ignore[union-attr]
    finally:
        if shared:
            lock.release()
