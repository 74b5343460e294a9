"""Histories that go on over many reads, in pieces.

A loop that reads values while histories live, an adaptive solver or an agent that asks for its next action, would have one trace that grows
until the backward pass: other nodes and other plans after every number of steps. Its trace is closed at such reads instead (`cut`). What
lives on is carried into the next one (past.py), whose nodes and plans are then those of the step before.

A backward pass through such a history goes piece by piece, latest first: the gradients of what was carried in are computed, the trace that
it came from is opened again, and the pass goes on from there. The sweep over a piece and its plan are found again, too.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from typing import Any
from weakref import ref

import numpy as np

from ..asg import gradients, trace
from ..asg.declare import VAR
from ..asg.geometry import contiguous, flat, gather
from ..asg.gradients import history
from ..asg.node import Node
from ..asg.trace import Trace, current, lock
from ..errors import Unsupported
from . import backward as passes
from .accumulation import add, tensor_of
from .asked import keeper
from .backward import grad_mode, held, run, seed
from .core import Tensor, node_of, wrap
from .families import family_of
from .flush import flush
from .held import value_of
from .owners import leaf_family
from .past import SUMMED, Past, Snapshot, same_memory
from .sparse_gradients import is_sparse
from .storage import Family
from .wanted import Wanted, reached

__all__ = ["Gradients", "through", "undivided"]

#: a gradient: a node of its shape, type and layout, and its value
Value = tuple[Any, Any]


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
                give(keeper(t), *found)


def give(f: Family | Tensor, g: Node, value: Any) -> None:
    """Accumulate a computed gradient, laid out as node `g`, in a leaf."""
    if f.__class__ is Family and f.held is None and f.hooks is None:
        with lock:
            if f.held is None:
                f.held = (g, value)
                return
    with grad_mode(False), held():
        add(f, tensor_of((g, value)))


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
    if _reads(outputs) and not (create or _hindered(tr)):
        return _in_turn(tr, outputs, grads, retain, inputs)
    roots = tuple([node_of(t) for t in outputs])
    carried = [tr.carried[n] for n in history(roots) if n in tr.carried] if tr.carried else []
    wanted = None if inputs is None else Wanted(inputs, tr)
    if wanted is not None and not wanted.apart:
        carried = [p for p in carried if wanted.behind(p)]
    if not carried:
        return None
    if not (create or (wanted is not None and wanted.apart) or _hindered(tr)) and all(map(_clean, reached(carried))):
        try:
            return _sweep(tr, outputs, grads, retain, wanted)
        except _Unsuited:
            pass
    undivided(tr)
    return None


def _hindered(tr: Trace) -> bool:
    """Whether the present trace cannot be ended in the middle of a backward pass, or its steps are watched."""
    return bool(tr.held or tr.level or tr.hooks or tr.retained or tr.saving or trace.several)


def _reads(outputs: Sequence[Tensor]) -> bool:
    """Whether a custom Function in the present trace, or in one that an output comes from, reads values in its `backward`."""
    pasts = [f.past for t in outputs if (f := t._f) is not None and f.h is None and f.past.__class__ is Past]
    calls = [*current().contexts.values(), *[call for p in pasts for call in p.snapshot.contexts.values()]]
    return any([getattr(call, "reads", False) for call in calls])


def _in_turn(tr: Trace, outputs: Sequence[Tensor], grads: Sequence[Any], retain: bool, inputs: Sequence[Tensor] | None) -> Gradients | None:
    """The pass if the present trace, too, is to be closed before it begins, so that user code may read on the way. None as in `through`."""
    if len(outputs) != len(grads):
        return None
    seeds = [seed(t, g, i) for i, (t, g) in enumerate(zip(outputs, grads, strict=True))]
    if any([t._f is not None and (t._kind is not None or t._lens is not None) for t in (*outputs, *(inputs or ()))]):
        tr.whole = True
        return None
    try:
        values = _computed(tr, seeds)
    except _Unsuited:
        tr.whole = True
        return None
    pasts = [f.past for t in outputs if (f := family_of(t)).h is None and f.past.__class__ is Past]
    if len(pasts) < len(outputs) or not all(map(_clean, reached(pasts))):
        tr.whole = True
        return None
    wanted = None
    if inputs is not None:
        wanted = Wanted(inputs, tr)
        flush(closing=True)
    work = _Pass(tr, retain, wanted)
    for past, g, value in zip(pasts, seeds, values, strict=True):
        work.hand_on(past, (g, value))
    try:
        return work.run()
    except _Unsuited:
        tr.whole = True
        return None


def undivided(tr: Trace) -> None:
    """From here to the end of the trace, histories are recorded again as a whole where they are used."""
    if tr.carried:
        if tr.division is not None:
            tr.division.refuse()
        if tr.held:
            raise Unsupported("a hook or custom Function went through a history that was read from on its way: detach what it goes through")
        flush(closing=True)
    tr.whole = True


# ---------------------------------------------------------------- which pieces, and whether they will do
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


# ---------------------------------------------------------------- the pass
def _sweep(tr: Trace, outputs: Sequence[Tensor], grads: Sequence[Any], retain: bool, wanted: Wanted | None) -> Gradients:
    """Through the present trace, then through the earlier ones."""
    work = _Pass(tr, retain, wanted)
    here: dict[Node, list[int]] = {}
    aims = None
    if wanted is not None:
        for i, n in wanted.nodes:
            if n not in tr.carried and not gradients.is_leaf(n):
                here.setdefault(n, []).append(i)
        aims = frozenset((*[n for _, n in wanted.nodes], *tr.carried))
    work.distribute(run(outputs, grads, retain, False, aims), dict(tr.carried), here)
    return work.run()


class _Pass:
    """A backward pass under way.

    ``todo``   trace -> its nodes whose gradients are known;  ``heap`` these traces, latest first
    ``calls``  joint of a custom Function in the trace at hand -> the gradients of its outputs
    """

    def __init__(self, tr: Trace, retain: bool, wanted: Wanted | None) -> None:
        self.tr, self.retain, self.wanted = tr, retain, wanted
        self.found = Gradients(0 if wanted is None else wanted.count)
        self.todo: dict[Snapshot, dict[Node, Value]] = {}
        self.heap: list[tuple[int, Snapshot]] = []
        self.calls: dict[Node, dict[int, Value]] = {}

    def hand_on(self, past: Past, value: Value) -> None:
        """Add to the gradient of a result of an earlier trace."""
        snap = past.snapshot
        if snap not in self.todo:
            self.todo[snap] = {}
            heapq.heappush(self.heap, (-snap.number, snap))
        _add(self.todo[snap], past.node, value)

    def distribute(self, result: gradients.Sweep, carried: dict[Node, Past], nodes: dict[Node, list[int]]) -> None:
        """Compute what a sweep has given and end the trace; `nodes` are inputs asked for that are no leaves, and which ones."""
        wanted, found = self.wanted, self.found
        pairs = [(n, g, leaf_family(n)) for n, g in result.leaves]
        pairs = [(n, g, f) for n, g, f in pairs if f is not None or n in carried or not n.op.pure]
        inner = [(which, gradients.dense(result.gradients[n])) for n, which in nodes.items() if n in result.gradients]
        values = _computed(self.tr, [*[g for _, g, _ in pairs], *[g for _, g in inner]])
        with np.errstate(all="ignore"):  # of all sums: entering it takes longer than a small one
            for (n, g, f), value in zip(pairs, values[: len(pairs)], strict=True):
                if n in carried:
                    self.hand_on(carried[n], (g, value))
                elif not n.op.pure:
                    _add(self.calls.setdefault(n.srcs[1], {}), n.op.output, (g, value))  # type: ignore[attr-defined]
                elif wanted is None:
                    _add(found.leaves, f, (g, value))
                elif f in wanted.leaves:
                    _give(found.inputs, wanted.leaves[f], (g, value))
            for (which, g), value in zip(inner, values[len(pairs) :], strict=True):
                _give(found.inputs, which, (g, value))

    def run(self) -> Gradients:
        """Go through the earlier traces."""
        while self.heap:
            snap = heapq.heappop(self.heap)[1]
            given = self.todo.pop(snap)
            aims = None if self.wanted is None else self.wanted.within(snap)
            stop = _stops(snap, aims)
            self._through(snap, tuple(given), list(given.values()), aims, stop)
            while self.calls:  # the latest has all its gradients
                joint = max(self.calls, key=lambda n: n.serial)
                self._call(snap, joint, self.calls.pop(joint), aims, stop)
        self.tr.cut = False
        return self.found

    def _through(
        self, snap: Snapshot, roots: tuple[Node, ...], values: Sequence[Value], aims: frozenset[Node] | None, stop: frozenset[Node]
    ) -> None:
        """Sweep over a piece, as far as custom Functions whose `backward` reads."""
        tr = self.tr
        _open(tr, snap)
        try:
            seeds = tuple([tr.input(v, tuple(g.shape), g.strides, g.dtype, n.device) for n, (g, v) in zip(roots, values, strict=True)])
            tr.running = roots, self.retain, aims
            with grad_mode(False), held():
                result = gradients.sweep(roots, seeds, wanted=None if aims is None else aims | stop, stop=stop)
            passes.check(result.roots, result.savers, tr, aims)
            self.distribute(result, snap.carried, {} if self.wanted is None else self.wanted.asked(snap))
        except BaseException:
            flush(closing=True)
            raise
        if not self.retain:
            snap.freed.update(result.savers)

    def _call(self, snap: Snapshot, joint: Node, given: dict[int, Value], aims: frozenset[Node] | None, stop: frozenset[Node]) -> None:
        """Ask a custom Function, in a trace of its own, and go on from its operands."""
        tr, found = self.tr, {}
        tr.running = (joint,), self.retain, aims
        with grad_mode(False):
            asked = snap.contexts[joint].computed({i: tensor_of(value) for i, value in given.items()})
            for s, t in zip(joint.srcs, asked, strict=False):
                if t is not None and s.rg:
                    t = wrap(gradients.fit(node_of(t), s))
                    found[s] = _Like(t), np.array(value_of(t), order="C")
        del asked, t
        flush(closing=True)
        if not self.retain:
            snap.freed.add(joint)
        if found:
            self._through(snap, tuple(found), list(found.values()), aims, stop)


class _Like:
    """Stands for the node of a gradient that a custom Function gave."""

    def __init__(self, t: Tensor) -> None:
        self.shape, self.strides, self.dtype, self.device = t.shape, contiguous(t.shape), t.dtype, t.device


def _stops(snap: Snapshot, aims: frozenset[Node] | None) -> frozenset[Node]:
    """The outputs of custom Functions whose `backward` reads values, and leads to these nodes if there are any."""
    joints = {joint for joint, call in snap.contexts.items() if getattr(call, "reads", False) and all(map(_summed, joint.srcs))}
    if not joints:
        return frozenset()
    found = [n for n in snap.kept if not n.op.pure and len(n.srcs) == 2 and n.srcs[1] in joints]
    return frozenset([n for n in found if aims is None or not aims.isdisjoint(history((n,)))])


def _summed(n: Node) -> bool:
    return n.dtype in SUMMED and n.device.type == "cpu"


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
    shape, strides, size = g.shape, g.strides, value.itemsize
    if value.strides == tuple([s * size for s in strides]):
        return value
    if all([d == 1 or s == t * size for d, s, t in zip(shape, value.strides, strides, strict=True)]):
        return value
    return gather(flat(value, strides), (tuple(shape), strides, 0))


def _add(table: dict[Any, Value], key: Any, value: Value) -> None:
    old = table.get(key)
    table[key] = value if old is None else _sum(old, value)


def _give(table: list[Value | None], places: Sequence[int], value: Value) -> None:
    for i in places:
        old = table[i]
        table[i] = value if old is None else _sum(old, value)


def _sum(a: Value, b: Value) -> Value:
    return a[0], _laid_out(np.add(a[1], b[1]), a[0])
