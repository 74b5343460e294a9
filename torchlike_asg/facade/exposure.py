"""Memory shared with NumPy. An array may be written at any time, so an exposed storage is looked at on every use.

A NumPy write after an operation was recorded never changes that operation's result: what it reads is a snapshot.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from ..asg import trace
from ..asg.declare import VAR
from ..asg.geometry import gather
from ..asg.node import Node
from ..asg.trace import current, lock
from .lens import memory
from .nodes import bind, derive, history_of, root_of
from .sharing import preserve
from .storage import Cell, Family


def sync(cell: Cell) -> None:
    """Notice a foreign write: it becomes a new snapshot, with the history untouched and no version bump."""
    if cell.exposed:
        with lock:
            _sync(cell)


def _sync(cell: Cell) -> None:
    if not cell.exposed or cell.shadow is None or _equal(cell.buf, cell.shadow):
        return
    cell.shadow = cell.buf.copy()  # type: ignore[union-attr]
    tr = current()
    for g in cell.live():
        tr.silent.update(g.counter.roots)
        g.counter.silent += 1
        if g.h is None and g.past is not None:  # the value changes, the history from an earlier trace stays
            root_of(g)
        if g.h is not None:
            new = bind(g, cell.geometry, tr, cell.shadow)
            g.h, cell.writer = history_of(g.h, new), tr.index
            g.counter.roots.append(g.h)
            g.take_part()
            g.invalidate()


def _equal(a: Any, b: Any) -> bool:
    """Byte equality (a NaN equals itself)."""
    if a.dtype.kind == "f":
        a, b = a.view(f"u{a.itemsize}"), b.view(f"u{b.itemsize}")
    return bool(np.array_equal(a, b))


def pin(t: Any, f: Family, cell: Cell) -> Node:
    """The node of a tensor in an exposed storage: a snapshot, made anew unless the content is the one seen last."""
    from .flush import evaluate

    if f.h is None and not f.wants and f.past is None:
        return _snapshot(t, f, cell)
    _watch(cell)
    sync(cell)
    root = root_of(f)
    if root.op is VAR and root not in current().known:
        current().known[root] = cell.whole().copy()  # what this operation reads; NumPy may write before the flush
    elif root.op is not VAR:
        evaluate(root)
    return derive(t)


def _watch(cell: Cell) -> None:
    if cell.shadow is None:
        cell.shadow = cell.buf.copy()  # type: ignore[union-attr]


def _snapshot(t: Any, f: Family, cell: Cell) -> Node:
    """Concrete data without history: copy just the region that is read, and reuse the copy while the content stays."""
    tr = current()
    last = t.__dict__.get("_snapshot")
    now = gather(memory(cell, t._lens), t._geo)
    if last is not None and last[0] == (tr.index, tr.generation) and np.array_equal(last[2], now):
        return last[1]  # type: ignore[no-any-return]
    n = bind(f, t._geo, tr, lens=t._lens)
    t.__dict__["_snapshot"] = ((tr.index, tr.generation), n, now.copy())
    return n


def expose(cell: Cell) -> None:
    """From now on a NumPy array shares this buffer."""
    with lock:
        if cell.exposed:
            return
        for g in cell.live():  # operations recorded on the permanent leaf read what it holds now
            if g.leaf is not None and g.leaf.op is VAR:
                preserve(g.leaf, cell.whole())
        cell.buf = cell.buf.copy()  # type: ignore[union-attr]  # a private buffer: results may share theirs with other storages
        cell.exposed, cell.shadow = True, cell.buf.copy()
        for g in cell.live():
            g.invalidate()


def shared(cell: Cell) -> bool:
    """Whether a NumPy array may still look at a storage's memory. A storage whose arrays are all gone is an ordinary one again, if they
    left no foreign write to be noticed: a write to it need not be computed at once.
    """
    if cell.exposed:
        with lock:
            if cell.exposed and (cell.shadow is None or _equal(cell.buf, cell.shadow)):
                release(cell)
    return cell.exposed


def release(cell: Cell) -> None:
    """Stop watching a buffer that no NumPy array refers to any more."""
    if not cell.exposed or (trace.several and cell.writer is not None):  # or what others see of a pending value is the buffer
        return
    if cell.source is not None:  # the user's own array: free once only this storage holds it (its views would hold it too)
        if cell.source.base is not None or sys.getrefcount(cell.source) > 3:
            return
        cell.source = None
    elif sys.getrefcount(cell.buf) > 2:
        return
    cell.exposed, cell.shadow = False, None
