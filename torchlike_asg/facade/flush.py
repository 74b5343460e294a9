"""Flush = execute. Every live pending result is computed at once, so that nothing is computed twice and nothing reads a later value.

A flush in mid-step, while a live tensor could still be differentiated, leaves the trace open: the values become known. Otherwise,
and at the end of an optimizer step, the trace closes: storages take their values and the next iteration starts from the same leaves.
"""

from __future__ import annotations

from typing import Any
from weakref import ref

import numpy as np

from ..asg import arena, trace
from ..asg.declare import CONST, INPUT, REBIND, VAR
from ..asg.node import COUNTS, Node
from ..asg.trace import Trace, current
from . import texts
from .core import Tensor, derive
from .exposure import release, sync
from .past import Ended, Past, Snapshot, prune, saved_values, verdict
from .storage import Cell, Failed, Family

_new = object.__new__

arena.register(prune)
_LEAVES = (VAR, INPUT, CONST)


def flush(close: bool | None = None) -> None:
    """Compute everything pending. `close`: end the trace even if a live tensor still has a history (it is kept aside)."""
    tr = current()
    if not tr.claims and not tr.families and tr.plan is None and not tr.updates:
        return
    tensors, leaves, families = _live(tr)
    outputs: list[Any] = (
        [t._n for t in tensors] + [f.h for f in leaves] + [f.h for f in families if f.h is not None and f.h.op not in _LEAVES]
    )
    for _, old, new, _ in tr.updates:
        close = True
        outputs += new
        tr.stale.update(old)
    histories = _histories(tr, tensors, families)
    for _, n in histories:  # what a later backward pass will read is kept, as PyTorch keeps saved tensors
        outputs += saved_values(n)
    donated = _donated(tr, leaves) if (close or not tr.held) and not histories else ()
    try:
        compute(tr, outputs, donated)
    except Exception as error:
        _give_up(tr, tensors, leaves + families, error)
        raise
    if not close and (tr.held or (histories and not _moved_on(tr))):
        tr.flushes += 1
        tr.alive = [ref(o) for o, _ in histories]
        return
    _close(tr, tensors, leaves, families)


def _donated(tr: Trace, leaves: list[Family]) -> Any:
    """Pairs (new value, leaf) of the storages that a closing flush overwrites. A history that is kept aside would miss the old values."""
    found = tr.updates[0][3] if len(tr.updates) == 1 else tuple([pair for update in tr.updates for pair in update[3]])
    return found + tuple([(f.h, f.leaf) for f in leaves if not f.cell.exposed]) if leaves else found


def _give_up(tr: Trace, tensors: list[Tensor], families: list[Family], error: Exception) -> None:
    """Some pending computation raised. Those that can be computed are; the others are set aside, so that the next flush is not spoilt too:
    a result raises the error again when read, and a storage keeps the value it had.
    """
    tr.updates = []
    for t in tensors:
        n = t._n
        if not _computes(tr, n):  # type: ignore[arg-type]
            tr.claims.pop(n, None)  # type: ignore[arg-type]
            _make_concrete(t, Failed(error), None)
    for f in families:
        n = f.h
        if n is None or n.op in _LEAVES or _computes(tr, n):
            continue
        for m in [m for m, r in tr.claims.items() if r() is f]:
            del tr.claims[m]
        f.invalidate()
        f.past = None
        if f.cell.empty:
            tr.families = [r for r in tr.families if r() is not f]
            f.value = (n, Failed(error))
            f.h = f.leaf = None
            del f.cell, f.counter
        else:
            _to_leaf(f)


def _computes(tr: Trace, n: Node) -> bool:
    try:
        compute(tr, (n,))
    except Exception:
        return False
    return True


def _histories(tr: Trace, tensors: list[Tensor], families: list[Family]) -> list[tuple[Any, Node]]:
    """The live results that could still be differentiated, with their nodes."""
    found: list[tuple[Any, Any]] = [(t, t._n) for t in tensors if t._n.rg]  # type: ignore[union-attr]
    found += [(f, f.h) for f in families if f.h is not None and f.h.rg and not (f.wants and f.leaf_history)]
    return [(o, n) for o, n in found if verdict(n, tr) is None]


def _moved_on(tr: Trace) -> bool:
    """Whether every history that kept the trace open at its last read is gone: then a loop reads anew what it computes anew."""
    return tr.flushes > 0 and all(r() is None for r in tr.alive)


def compute(tr: Trace, outputs: Any, donated: Any = ()) -> None:
    """Make the values of these nodes known."""
    known = tr.known
    needed = tuple([n for n in dict.fromkeys(outputs) if n not in known])
    if needed:
        COUNTS["flushes"] += 1
        trace.execute(tr, needed, donated)


def evaluate(n: Node) -> np.ndarray[Any, Any]:
    """The value of one node, computing only what it needs."""
    tr = current()
    if n not in tr.known:
        found = leaf_value(n, tr)
        if found is not None:
            return found
        compute(tr, (n,))
    return tr.known[n]  # type: ignore[no-any-return]


def leaf_value(n: Node, tr: Trace) -> np.ndarray[Any, Any] | None:
    """The data a leaf stands for in this trace; None for other nodes."""
    if n.op is INPUT:
        found = tr.bound.get(n)
        if found is None:
            other = trace.by_index(n.attrs[0])
            found = other.bound.get(n) if other is not None else None
            if found is None:
                raise RuntimeError(texts.OTHER_THREAD)
        return found
    if n.op is VAR:
        f = n.owner() if n.owner is not None else None
        if f is not None:
            return f.cell.shaped()  # type: ignore[no-any-return]
        if n not in tr.orphans:
            raise RuntimeError(texts.OTHER_THREAD)
        cell = tr.orphans[n]
        return cell.whole()  # type: ignore[no-any-return]
    if n.op is CONST:
        return np.asarray(n.attrs[0], n.dtype.compute)
    return None


def leaf_arrays(owners: Any) -> list[np.ndarray[Any, Any]]:
    """What the storages of permanent leaves hold, where that takes no more than looking."""
    return [o().cell.array for o in owners]


def _live(tr: Trace) -> tuple[list[Tensor], list[Family], list[Family]]:
    """The results and storages that are still reachable, in order of recording: plain results, permanent leaves that were overwritten
    (an optimizer step: the common case, kept apart because it is quick to finish), and all others.
    """
    tensors: list[Tensor] = []
    found: dict[Family, None] = {}
    for r in list(tr.claims.values()):
        o = r()
        if o is None:
            continue
        if o.__class__ is Family:
            found[o] = None
        elif o._f is None:
            tensors.append(o)
        else:
            found[o._f] = None
    for r in tr.families:
        f = r()
        if f is not None:
            found[f] = None
    leaves, families = [], []
    for f in found:
        leaf, h = f.leaf, f.h
        if (
            leaf is not None
            and leaf.op is VAR
            and h is not None
            and h is not leaf
            and (not h.rg or (h.op is REBIND and h.srcs[0] is leaf))
            and h.op not in _LEAVES
        ):
            leaves.append(f)
        else:
            families.append(f)
    return tensors, leaves, families


def _close(tr: Trace, tensors: list[Tensor], leaves: list[Family], families: list[Family]) -> None:
    known = tr.known
    snapshot: Snapshot | None = None
    values = []
    for f in families:
        n = f.h
        if n is None:  # data read in this trace: its tensors forget their Input
            f.invalidate()
            f.counter.roots = []
            continue
        if n.op is VAR:
            continue
        past = None
        if n.rg and not (f.wants and f.leaf_history):
            past = _past_of(n, tr, snapshot)
            snapshot = past.snapshot if isinstance(past, Past) else snapshot
        values.append((f, _value(n, tr), past))
    pasts = []
    for t in tensors:
        past = None
        if t._n.rg:  # type: ignore[union-attr]
            past = _past_of(t._n, tr, snapshot)  # type: ignore[arg-type]
            snapshot = past.snapshot if isinstance(past, Past) else snapshot
        pasts.append(past)
    if snapshot is not None:
        for f in (*families, *leaves):
            for n in f.counter.roots:
                snapshot.watch(n, f.counter)
    for storages, _, new, _ in tr.updates:  # their tensors go on naming the same leaves
        for f, n in zip(storages, new, strict=True):
            f.cell.take(known[n])
            f.counter.version += 1
    written: dict[Cell, None] = {}
    for f in leaves:
        cell = f.cell
        if cell not in written:
            written[cell] = None
            if not cell.exposed:
                cell.take(known[f.h])  # type: ignore[index]
        if len(f.faces) > 1:
            f.invalidate()
        _to_leaf(f)
    for f, value, past in values:
        cell = f.cell
        if f.h.op is not INPUT and cell not in written:  # type: ignore[union-attr]
            written[cell] = None
            if not cell.exposed:
                cell.take(value)
        f.invalidate()
        f.past = past
        f.counter.roots = []
        _to_leaf(f)
    for t, past in zip(tensors, pasts, strict=True):
        n = t._n
        _make_concrete(t, known[n], past)  # type: ignore[index]
        if snapshot is not None and n in snapshot.saved:
            snapshot.watch(n, t._f.counter)  # type: ignore[arg-type, union-attr]
    for cell in dict.fromkeys([f.cell for f in families] + [f.cell for f in leaves]):
        if cell.exposed:
            release(cell)
    for r in tr.moved:  # their views name a place of this trace
        f = r()
        if f is not None and f.h is not None and f.h.op is VAR:
            f.invalidate()
            _to_leaf(f)
    tr.reset()
    for f in families:  # a leaf over part of a storage is made again at its next use
        if f.h is not None and f.h.op is VAR and f.h not in f.counter.roots:
            f.counter.roots.append(f.h)
    if arena.due():
        arena.compact()


def _past_of(n: Node, tr: Trace, snapshot: Snapshot | None) -> Any:
    error = verdict(n, tr)
    if error is not None:
        return Ended(error, n.op.name)
    return Past(n, Snapshot(tr) if snapshot is None else snapshot, tr)


def _value(n: Node, tr: Trace) -> Any:
    found = tr.known.get(n)
    return leaf_value(n, tr) if found is None else found


def _to_leaf(f: Family) -> None:
    """After a closing flush a storage's root is its permanent leaf again, or nothing."""
    leaf = f.leaf
    if leaf is None or leaf.op is not VAR:
        f.h = f.leaf = None
        return
    f.h = leaf
    f.counter.roots = [leaf]
    cell = f.cell
    if cell.exposed:
        return
    for r in f.faces:
        t = r()
        if t is not None and t._kind is None:
            geometry = t._geo
            if geometry[1] == cell.strides and geometry[2] == 0 and tuple(geometry[0]) == cell.shape:
                t._n, t._d = leaf, 0


def _make_concrete(t: Tensor, value: Any, past: Any) -> None:
    """A computed result becomes a storage of its own (made when somebody asks for it)."""
    n = t._n
    assert n is not None
    f = _new(Family)
    f.h = f.leaf = f.grad = f.hooks = f.first = None
    f.past, f.wants, f.limit, f.value, f.faces = past, False, 64, (n, value), [ref(t)]
    t._n, t._f, t._d, t._geo, t._kind = None, f, 0, (n.shape, n.strides, n.offset), None


def settle(t: Tensor) -> None:
    """Have the tensor's storage hold its current value, so that it can be shared or handed out."""
    from .core import family_of

    f = family_of(t)
    sync(f.cell)
    if f.h is None or (f.h.op in (VAR, INPUT) and not f.cell.empty):
        return
    flush()
    n = f.h
    if n is None or (n.op is VAR and n is f.leaf) or f.cell.exposed:  # an exposed buffer is written through at once
        return
    tr, cell = current(), f.cell  # the trace stays open: the buffer takes the value now, and what was recorded keeps the old one
    for g in cell.live():
        if g.leaf is not None and g.leaf.op is VAR and g.leaf not in tr.known:
            tr.known[g.leaf] = cell.whole()
    cell.take(evaluate(n))


def value_of(t: Tensor) -> np.ndarray[Any, Any]:
    """What a tensor holds now, as an array of its shape; read-only by convention. bfloat16 comes as float32."""
    tr = current()
    f = t._f
    if f is not None and f.cell.exposed:
        sync(f.cell)
    n = t._n
    if n is None:
        assert f is not None
        if f.h is None or (f.h.op is VAR and f.h is f.leaf):
            return f.cell.values(t._geo)
        flush()
        if t._n is None and (f.h is None or f.h.op is VAR):
            return f.cell.values(t._geo)
        n = t._n if t._n is not None else derive(t, check=False)
        return evaluate(n)
    if n in tr.known:
        return tr.known[n]  # type: ignore[no-any-return]
    found = leaf_value(n, tr)
    if found is not None:
        return found
    flush()
    if t._n is not None:
        return evaluate(t._n)
    return t._f.cell.values(t._geo)  # type: ignore[union-attr, no-any-return]


def _install() -> None:
    from ..backends import reference
    from ..compiler import plan

    assert reference
    plan.leaf_value, plan.leaf_arrays = leaf_value, leaf_arrays


_install()
