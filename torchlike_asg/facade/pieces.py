"""Histories that go on over many reads, in pieces.

A loop that reads values while histories live, an adaptive solver or an agent that asks for its next action, would have one trace that grows
until the backward pass: other nodes and other plans after every number of steps. Its trace is closed at such reads instead (`cut`). What
lives on is carried into the next one (past.py), whose nodes and plans are then those of the step before.

A backward pass through such a history goes piece by piece, latest first: the gradients of what was carried in are computed, the trace that
it came from is opened again, and the pass goes on from there. The sweep over a piece and its plan are found again, too.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from typing import Any
from weakref import ref

import numpy as np

from ..asg import gradients, trace
from ..asg.declare import REBIND, VAR
from ..asg.geometry import flat, gather
from ..asg.gradients import history
from ..asg.node import Node
from ..asg.trace import Trace, current, lock
from ..errors import Unsupported
from . import backward as passes
from .accumulation import accumulate
from .backward import asked_node, grad_mode, held, run
from .core import Tensor, node_of
from .families import family_of
from .flush import flush
from .past import SUMMED, Past, Snapshot, same_memory
from .sparse_gradients import is_sparse
from .storage import Family, leaf_family

__all__ = ["Gradients", "through", "undivided"]

#: a gradient: a node of its shape, type and layout, and its value
Value = tuple[Node, Any]


class Gradients:
    """The outcome of a backward pass: ``leaves`` by family, ``inputs`` of the tensors asked for, None where there is none."""

    def __init__(self, count: int) -> None:
        self.leaves: dict[Family, Value] = {}
        self.inputs: list[Value | None] = [None] * count

    def accumulate(self, inputs: Sequence[Tensor] | None) -> None:
        """Give the leaves, or the tensors asked for, their gradients."""
        for f, (g, value) in self.leaves.items():
            give(f, g, value)
        for t, found in zip(inputs or (), self.inputs, strict=True):
            if found is not None:
                give(family_of(t), *found)


def give(f: Family, g: Node, value: Any) -> None:
    """Accumulate a computed gradient, laid out as node `g`, in a leaf."""
    if f.held is None and f.hooks is None:
        with lock:
            if f.held is None:
                f.held = (g, value)
                return
    with grad_mode(False), held():
        accumulate(f, current().input(value, tuple(g.shape), g.strides, g.dtype, f.cell.device))


class _Keeper:
    """Takes a value from a flush, in the place of a leaf's family."""

    __slots__ = ("__weakref__", "held")


class _Unsuited(Exception):
    """A gradient that cannot be handed on from piece to piece."""


def through(
    outputs: Sequence[Tensor], grads: Sequence[Any], retain: bool, create: bool, inputs: Sequence[Tensor] | None = None
) -> Gradients | None:
    """A backward pass through all pieces. None if the present trace has all that it needs; that is so afterwards in any case."""
    tr = current()
    if tr.whole or not all([t.requires_grad for t in outputs]):
        return None
    roots = tuple([node_of(t) for t in outputs])
    carried = [tr.carried[n] for n in history(roots) if n in tr.carried] if tr.carried else []
    wanted = None if inputs is None else _Wanted(inputs, tr)
    if wanted is not None and not wanted.views:
        carried = [p for p in carried if wanted.behind(p)]
    if not carried:
        return None
    if not (
        create or (wanted is not None and wanted.views) or tr.held or tr.level or tr.hooks or tr.retained or tr.saving or trace.several
    ) and all(map(_clean, _reached(carried))):
        try:
            return _sweep(tr, outputs, grads, retain, wanted)
        except _Unsuited:
            pass
    undivided(tr)
    return None


def undivided(tr: Trace) -> None:
    """From here to the end of the trace, histories are recorded again as a whole where they are used."""
    if tr.carried:
        if tr.held:
            raise Unsupported("a hook or custom Function went through a history that was read from on its way: detach what it goes through")
        flush(closing=True)
    tr.whole = True


# ---------------------------------------------------------------- which pieces, and whether they will do
def _reached(pasts: Sequence[Past]) -> Iterator[Snapshot]:
    """The traces that these histories come from, directly or not."""
    seen: set[Snapshot] = set()
    stack = [p.snapshot for p in pasts]
    while stack:
        snap = stack.pop()
        if snap not in seen:
            seen.add(snap)
            yield snap
            stack += [p.snapshot for p in snap.carried.values()]


def _clean(snap: Snapshot) -> bool:
    """Whether the trace can be opened again as it was: nothing of it was freed, watched by hooks or written."""
    if snap.hooks or snap.retained or snap.freed:
        return False
    if any([counter.version != version for counter, version, _ in snap.watched.values()]):
        return False
    for n, (value, version) in snap.versions.items():
        if n.device.type != "cpu" or n.dtype not in SUMMED:
            return False
        if n.op is VAR:
            f = n.owner() if n.owner is not None else None
            if f is None or f.counter.version != version or f.cell.empty or not same_memory(f.cell.whole(), value):
                return False
        else:
            f = snap.leaf_owner[n]() if n in snap.leaf_owner else None
            if f is not None and f.counter.version != version:
                return False
        if n.rg and f is not None and not f.wants:  # it wants no gradient any more
            return False
    return True


class _Wanted:
    """The tensors that alone are to have gradients: leaves, results of earlier traces, and nodes of the present one.

    ``leaves``, ``places``  leaf's family, (trace, node) -> which of the tensors
    """

    def __init__(self, inputs: Sequence[Tensor], tr: Trace) -> None:
        self.nodes = [asked_node(t) for t in inputs]
        self.leaves: dict[Family, list[int]] = {}
        self.places: dict[tuple[Snapshot, Node], list[int]] = {}
        #: whether one is a view of what earlier traces may have gone through: it is another node here than there
        self.views = False
        for i, (t, n) in enumerate(zip(inputs, self.nodes, strict=True)):
            if n in tr.carried:
                self.places.setdefault(_place(tr.carried[n]), []).append(i)
            elif not gradients.is_leaf(n):
                self.views |= _made_before(t, n)
            elif (f := leaf_family(n)) is not None:
                self.leaves.setdefault(f, []).append(i)
        self.count = len(self.nodes)

    def behind(self, past: Past) -> bool:
        """Whether one of them may have a gradient through this history."""
        if not self.leaves and not self.places:
            return False
        own = past.snapshot, past.node
        if own in self.places and len(self.places) == 1 and not self.leaves:
            return False
        traces = {snap for snap, n in self.places if (snap, n) != own}
        return any([snap in traces or not self.leaves_in(snap).isdisjoint(self.leaves) for snap in _reached([past])])

    def leaves_in(self, snap: Snapshot) -> set[Any]:
        return {_owner(n, snap) for n in snap.versions}

    def within(self, snap: Snapshot) -> frozenset[Node]:
        """Where a sweep over a piece has to go to."""
        found = [n for n in snap.versions if _owner(n, snap) in self.leaves]
        return frozenset((*found, *snap.carried, *self.asked(snap)))

    def asked(self, snap: Snapshot) -> dict[Node, list[int]]:
        """The nodes of a trace whose gradients are asked for."""
        return {n: found for (s, n), found in self.places.items() if s is snap}


def _place(past: Past) -> tuple[Snapshot, Node]:
    """Where a history has its gradient: a write without history leaves it where it was."""
    snap, n = past.snapshot, past.node
    while n.op is REBIND or n in snap.carried:
        if n.op is REBIND:
            n = n.srcs[0]
        else:
            snap, n = snap.carried[n].snapshot, snap.carried[n].node
    return snap, n


def _made_before(t: Tensor, n: Node) -> bool:
    """Whether a view may be older than the present trace: closing traces note that on views, but not on those of leaves."""
    f = t._f
    return f is not None and n is not f.h and (t._kind is None or "_older" in t.__dict__ or f.leaf is not None)


def _owner(n: Node, snap: Snapshot) -> Any:
    owner = n.owner if n.op is VAR else snap.leaf_owner.get(n)
    return None if owner is None else owner()


# ---------------------------------------------------------------- the pass
def _sweep(tr: Trace, outputs: Sequence[Tensor], grads: Sequence[Any], retain: bool, wanted: _Wanted | None) -> Gradients:
    found = Gradients(0 if wanted is None else wanted.count)
    todo: dict[Snapshot, dict[Node, Value]] = {}
    heap: list[tuple[int, Snapshot]] = []

    def distribute(result: gradients.Sweep, carried: dict[Node, Past], nodes: dict[Node, list[int]]) -> None:
        """Compute what a sweep has given and end the trace; `nodes` are inputs asked for that are no leaves, and which ones."""
        pairs = [(n, g) for n, g in result.leaves if n in carried or leaf_family(n) is not None]
        inner = [(which, gradients.dense(result.gradients[n])) for n, which in nodes.items() if n in result.gradients]
        owners = [leaf_family(n) for n, _ in pairs]
        values = _computed(tr, [*[g for _, g in pairs], *[g for _, g in inner]])
        for (n, g), f, value in zip(pairs, owners, values[: len(pairs)], strict=True):
            past = carried.get(n)
            if past is not None:
                snap = past.snapshot
                if snap not in todo:
                    todo[snap] = {}
                    heapq.heappush(heap, (-snap.number, snap))
                _add(todo[snap], past.node, (g, value))
            elif wanted is None:
                _add(found.leaves, f, (g, value))
            elif f in wanted.leaves:
                for i in wanted.leaves[f]:
                    old = found.inputs[i]
                    found.inputs[i] = (g, value) if old is None else _sum(old, (g, value))
        for (which, g), value in zip(inner, values[len(pairs) :], strict=True):
            for i in which:
                found.inputs[i] = g, value

    here: dict[Node, list[int]] = {}
    aims = None
    if wanted is not None:
        for i, n in enumerate(wanted.nodes):
            if n not in tr.carried and not gradients.is_leaf(n):
                here.setdefault(n, []).append(i)
        aims = frozenset((*wanted.nodes, *tr.carried))
    distribute(run(outputs, grads, retain, False, aims), dict(tr.carried), here)
    while heap:
        snap = heapq.heappop(heap)[1]
        given = todo.pop(snap)
        _open(tr, snap)
        try:
            seeds = tuple([tr.input(value, tuple(g.shape), g.strides, g.dtype, n.device) for n, (g, value) in given.items()])
            tr.running = (tuple(given), retain)
            with grad_mode(False), held():
                result = gradients.sweep(tuple(given), seeds, wanted=None if wanted is None else wanted.within(snap))
            passes.check(result.roots, result.savers, tr)
            distribute(result, snap.carried, {} if wanted is None else wanted.asked(snap))
        except BaseException:
            flush(closing=True)
            raise
        if not retain:
            snap.freed.update(result.savers)
    tr.cut = False
    return found


def _open(tr: Trace, snap: Snapshot) -> None:
    """Have the trace, which was closed, be that of a piece again."""
    tr.bound.update(snap.inputs)
    tr.known.update(snap.known)
    tr.contexts.update(snap.contexts)
    tr.leaf_owner.update(snap.leaf_owner)
    tr.slots, tr.leaves = snap.slots, snap.leaves
    tr.silent.update(snap.silent)
    tr.silent.update([n for n, (counter, _, silent) in snap.watched.items() if counter.silent != silent])


def _computed(tr: Trace, nodes: list[Node]) -> list[Any]:
    """The values of these nodes; the trace is closed."""
    if any([is_sparse(g) or g.dtype not in SUMMED or g.device.type != "cpu" for g in nodes]):
        raise _Unsuited
    keepers = []
    for g in nodes:
        k = _Keeper()
        k.held = g  # type: ignore[attr-defined]
        keepers.append(k)
    tr.grads.append((tuple([ref(k) for k in keepers]), tuple(nodes)))
    flush(closing=True)
    return [_laid_out(k.held[1], g) for k, g in zip(keepers, nodes, strict=True)]  # type: ignore[attr-defined]


def _laid_out(value: Any, g: Node) -> Any:
    """A value with the layout that its node names: a plan may give it as a part of something else, and what an Input stands for has to lie
    as the Input says. Plans are found again by that.
    """
    shape, strides = tuple(g.shape), g.strides
    steps = tuple([s // value.itemsize for s in value.strides])
    if all([d == 1 or s == t for d, s, t in zip(shape, steps, strides, strict=True)]):
        return value
    return gather(flat(value, strides), (shape, strides, 0))


def _add(table: dict[Any, Value], key: Any, value: Value) -> None:
    old = table.get(key)
    table[key] = value if old is None else _sum(old, value)


def _sum(a: Value, b: Value) -> Value:
    with np.errstate(all="ignore"):
        return a[0], _laid_out(np.add(a[1], b[1]), a[0])
