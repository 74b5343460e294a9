"""The end of a trace: storages take their values, results become storages of their own, and the next iteration starts from the leaves."""

from __future__ import annotations

from typing import Any
from weakref import ref

from ..asg import arena, trace
from ..asg.declare import INFERRED, INPUT, LEAVES, VAR
from ..asg.keeps import made
from ..asg.node import Node
from ..asg.trace import Trace
from . import texts
from .core import Tensor
from .exposure import release
from .hooks import asking
from .leaf_data import value_at
from .past import Past, Snapshot
from .saved_values import Ended
from .steps import noted
from .storage import Cell, Family

_new = object.__new__


class Live:
    """What of a trace is still reachable, in order of recording.

    ``tensors``   plain results;  ``tracked`` those of them with a history
    ``gradients`` (family, node) of gradients that nobody has looked at
    ``leaves``    permanent leaves that were overwritten: a common case, kept apart because it is quick to finish
    ``data``      storages that were only read
    ``families``  all other storages that take part
    ``errors``    tensor or family -> for those with a history: why a backward pass through it would be refused, or None
    """

    __slots__ = ("data", "errors", "families", "gradients", "leaves", "tensors", "tracked")

    def __init__(self) -> None:
        self.tensors: list[Tensor] = []
        self.tracked: list[Tensor] = []
        self.gradients: list[tuple[Family, Node]] = []
        self.leaves: list[Family] = []
        self.data: list[Family] = []
        self.families: list[Family] = []
        self.errors: dict[Any, str | None] = {}


def close(tr: Trace, live: Live) -> None:
    """End a trace whose live results are known."""
    known = tr.known
    pasts: dict[Any, Any] = {}
    snapshot = _keep_histories(tr, live, pasts) if live.errors else None
    for storages, _, new, _ in tr.updates:  # their tensors go on naming the same leaves
        for f, value in zip(storages, map(known.__getitem__, new)):  # noqa: B905
            cell = f.cell
            if cell._flat is None and value is cell.array:  # written over the old one
                pass
            elif cell.plain and value.dtype is cell.dtype.storage and value.flags.c_contiguous:  # Cell.take, at hand
                cell.array, cell._flat = value, None
            else:
                cell.take(value)
            f.counter.version += 1
    if live.leaves or live.families:
        _overwrite(tr, live, pasts)
    for f in live.data:
        faces = f.faces
        if len(faces) == 1 and (t := faces[0]()) is not None and t._geo is not None:  # Family.invalidate, in the common case
            t._n = None
        else:
            f.invalidate()
        f.counter.roots = []
    for f, g in live.gradients:
        f.held = (g, known[g])
    for t in live.tensors:
        n = t._n
        make_concrete(t, known[n], pasts.get(t) if pasts else None, ref(t))
        if snapshot is not None and n in snapshot.saved:
            snapshot.watch(n, t._f.counter)
    if tr.inference is not None:
        tr.inference.closed(live.tensors)
    for f in (*live.families, *live.leaves, *live.data):
        if f.cell.exposed:
            release(f.cell)
    if tr.moved:  # their views name a place of this trace
        for f in [f for r in tr.moved if (f := r()) is not None and f.h is not None and f.h.op is VAR]:
            f.invalidate()
            to_leaf(f)
    if tr.hooks or tr.retained:
        for n, past in tr.carried.items():
            past.ask(n, tr)
        for earlier in tr.replays:
            earlier.hear(tr)
        for f in asking():  # their nodes may be the same in the next trace: they are to ask for them again
            if f.h is not None and f.h.op is VAR:
                f.invalidate()
                to_leaf(f)
    tr.reset()
    for f in live.families:  # a leaf over part of a storage is made again at its next use
        if f.h is not None and f.h.op is VAR and f.h not in f.counter.roots:
            f.counter.roots.append(f.h)
    if arena.due():
        arena.compact()


def _called(o: Any, n: Node, tr: Trace) -> str | None:
    """What the last step of a history is called, where its node does not tell: by what was noted, or as in an earlier trace."""
    t = o if o.__class__ is not Family else next((t for r in o.faces if (t := r()) is not None and t._kind is None), None)
    name = noted(t, n)
    if name is None and t is not None and t._n is not None:  # it took another shape in place
        name = noted(t, t._n)
    if name is not None:
        return name
    n = made(n)
    if n.op is not INPUT:
        return None
    past = tr.carried.get(n) or tr.retained.get(n)
    return past.name if isinstance(past, (Past, Ended)) else None


def _ended(o: Any, n: Node, error: str, tr: Trace) -> Ended:
    """The end of a history: the same one from trace to trace, for what was computed from its result leads to it."""
    kept: Any = tr.retained.get(n) if n.op is INPUT else None
    if kept.__class__ is Ended and kept.error == error:
        return kept  # type: ignore[no-any-return]
    end, past = Ended(error, n, _called(o, n, tr)), o.past if o.__class__ is Family else None
    if past.__class__ is Past and past.stands_for(n, tr):  # recorded again: other histories may go on from where it comes from
        end.note(past.snapshot, past.node)
    return end


def _keep_histories(tr: Trace, live: Live, pasts: dict[Any, Any]) -> Snapshot | None:
    """Fill `pasts`: what tensors and families whose history outlives the trace keep of it."""
    snapshot: Snapshot | None = None
    ends: list[tuple[Ended, Node]] = []
    roots: dict[Node, None] = {}
    for o, error in live.errors.items():
        n = o.h if o.__class__ is Family else o._n
        if error is not None:
            past = o.past if o.__class__ is Family and error != texts.TWICE else None
            # what an earlier trace recorded stays what it was: other histories may lead to it, and reading what was overwritten is refused
            pasts[o] = past if past.__class__ is Past and past.stands_for(n, tr) else _ended(o, n, error, tr)
            if pasts[o].__class__ is Ended:
                ends.append((pasts[o], n))
        elif n in tr.carried:
            pasts[o] = tr.carried[n]
        else:
            if snapshot is None:
                snapshot = Snapshot(tr)
            pasts[o] = Past(n, snapshot, _called(o, n, tr))
            roots[n] = None
    if snapshot is not None:
        snapshot.keep(tuple(roots), tr)
        snapshot.settle()
        for end, n in ends:
            if n in snapshot.kept:
                end.note(snapshot, n)
        for counter in {f.counter: None for f in (*live.families, *live.leaves, *live.data)}:  # that of a storage, which its views share
            for n in counter.roots:
                snapshot.watch(n, counter)
    return snapshot


def _overwrite(tr: Trace, live: Live, pasts: dict[Any, Any]) -> None:
    """Have every storage that was written take its value."""
    written: dict[Cell, None] = {}
    for f in live.leaves:
        cell = f.cell
        if cell not in written:
            written[cell] = None
            if not cell.exposed and _ours(cell, tr):
                cell.take(tr.known[f.h])  # type: ignore[index]
            cell.writer = None
        if len(f.faces) > 1:
            f.invalidate()
        to_leaf(f)
    for f in live.families:
        n = f.h
        if n is not None and n.op is VAR:
            if len(f.faces) > 1:  # its views have nodes of their own in every trace
                f.invalidate()
                to_leaf(f)
            continue
        if n is not None and n.op is not INPUT and f.cell not in written:
            written[f.cell] = None
            if not f.cell.exposed and _ours(f.cell, tr):
                f.cell.take(value_at(n, tr))
            f.cell.writer = None
        f.invalidate()
        f.counter.roots = []
        if n is not None:
            f.past = pasts.get(f)
            to_leaf(f)
    if trace.several:
        for cell in written:
            _tell(cell)


def _tell(cell: Cell) -> None:
    """The storage has its value: aliases that another thread made of it meanwhile need not have it computed."""
    for g in cell.live():
        if g.h is not None and g.h.op not in LEAVES and not g.h.rg:
            g.invalidate()
            to_leaf(g)


def _ours(cell: Cell, tr: Trace) -> bool:
    """Whether what this trace has for the storage is newer than what it holds. Where another thread may have overwritten it meanwhile, that
    is so only if it was written in this trace.
    """
    return not trace.several or cell.writer == tr.index or cell.empty


def to_leaf(f: Family) -> None:
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
        if t is not None and t._kind is None and t._lens is None:
            geometry = t._geo
            if geometry[1] == cell.strides and geometry[2] == 0 and geometry[0] == cell.shape:
                t._n, t._d = leaf, 0


def make_concrete(t: Tensor, value: Any, past: Any, r: Any) -> None:
    """A computed result becomes a storage of its own (made when somebody asks for it); `r` is a weak reference to it."""
    n = t._n
    assert n is not None
    f = t._f = _new(Family)
    f.h = f.leaf = f.held = f.hooks = f.first = t._kind = t._n = None
    f.past, f.wants, f.limit, f.value, f.faces, f.inferred = past, False, 64, (n, value), [r], n.op is INFERRED
    t._d, t._geo = 0, (n.shape, n.strides, n.offset)
