"""History that outlives its trace.

When a trace closes, a live tensor that could still be differentiated keeps a `Past`: its node and the data its leaves stood for.
If it is used again, it is *carried* into the current trace as an Input whose gradient is handed on to the earlier trace (pieces.py).
Where that would not do, for higher derivatives, hooks and errors, the history is replayed into the current trace, under new
slots, and goes on there as if the trace had stayed open. A tensor whose history was freed keeps only the error it must raise.
"""

from __future__ import annotations

import itertools
from typing import Any
from weakref import WeakValueDictionary

from ..asg import arena, trace
from ..asg.declare import ARGUMENT, INPUT, LEAF_OF, LEAVES, REBIND, VAR
from ..asg.gradients import argument_of, history
from ..asg.node import Node
from ..asg.rewrite import topo
from ..asg.trace import Trace, current
from ..backends.meta import AWAY
from ..dtypes import float32, float64
from ..ops.movement import restride_scatter as RESTRIDE_SCATTER
from .claiming import Nobody, owned
from .history_names import title
from .nodes import root_of
from .owners import owner
from .saved_values import version_root
from .storage import Family

_numbers = itertools.count()
#: trace that was closed -> what is kept of it, as long as anything is
_living: WeakValueDictionary[tuple[int, int], Snapshot] = WeakValueDictionary()
#: element types in which gradients of several pieces can be added up outside of a plan
SUMMED = (float32, float64)


class Snapshot:
    """The data of a closed trace, shared by the tensors whose histories live on.

    ``number``  in order of closing;  ``made`` which trace it was;  ``slots``, ``leaves`` how many that had, so that it can be opened again
    """

    __slots__ = (
        "__weakref__",
        "carried",
        "contexts",
        "freed",
        "holders",
        "hooks",
        "inputs",
        "kept",
        "known",
        "leaf_owner",
        "leaves",
        "made",
        "number",
        "origins",
        "replayed",
        "retained",
        "saved",
        "silent",
        "slots",
        "untouched",
        "versions",
        "watched",
    )

    def __init__(self, tr: Trace) -> None:
        self.number, self.slots, self.leaves = next(_numbers), tr.slots, tr.leaves
        self.made = tr.index, tr.generation
        _living[self.made] = self
        self.carried: dict[Node, Past] = {}
        #: nodes of histories of earlier traces that were recorded again in this one -> what they are in the trace they come from, where
        #: other histories may lead to them, too
        self.origins: dict[Node, tuple[Snapshot, Node]] = {
            new: (older, old) for older in tr.replays for old, new in older.replayed[1].items() if new.op not in LEAVES
        }
        self.inputs: dict[Node, Any] = {}
        self.known: dict[Node, Any] = {}
        self.leaf_owner: dict[Node, Any] = {}
        self.contexts: dict[Node, Any] = {}
        self.hooks: dict[Node, Any] = {}
        self.silent: set[Node] = set()
        self.freed: set[Node] = set()  # given up by a backward pass of a later trace
        self.saved: frozenset[Node] = frozenset()  # values that the gradients of these histories read
        self.watched: dict[Node, tuple[Any, int, int]] = {}  # of those, the ones a storage holds: its counter, and where it stood
        self.retained: dict[Node, Any] = {}
        self.versions: dict[Node, tuple[Any, int]] = {}  # permanent leaf -> its buffer and version then
        self.untouched: dict[Node, tuple[int, int]] = {}  # leaf of the trace that was not overwritten in it -> its storage's counts then
        self.replayed: tuple[Any, dict[Node, Node]] = (None, {})
        self.kept: frozenset[Node] = frozenset()  # the nodes of these histories, with all operands
        #: values of replayed histories -> their counters: what holds them need not have taken part in this trace
        self.holders: dict[Node, Any] = {
            older.replayed[1][old]: counter
            for older in tr.replays
            for old, (counter, _, _) in older.watched.items()
            if old in older.replayed[1]
        }

    def give_up(self, savers: set[Node]) -> None:
        """Note what a backward pass of the current trace freed: another tensor of this history may be revived in a later one."""
        self.freed.update(old for old, new in self.replayed[1].items() if new in savers)

    def hear(self, tr: Trace) -> None:
        """Note the hooks on steps that were recorded again in the trace: their histories may be, in a later one."""
        for old, new in self.replayed[1].items():
            hooks = tr.hooks.get(new)
            if hooks is not None and (hooks or hooks.post) and new.op not in LEAVES:
                self.hooks[old] = hooks

    def watch(self, n: Node, counter: Any) -> None:
        """Note that a storage with that counter holds the value of `n`, so that a later write to it is noticed."""
        if n in self.saved:
            self.watched[n] = (counter, counter.version, counter.silent)

    def settle(self) -> None:
        """All histories are kept: of earlier traces, those that no history comes from are let go."""
        self.origins = {n: origin for n, origin in self.origins.items() if n in self.kept}

    def keep(self, roots: tuple[Node, ...], tr: Trace) -> None:
        """Keep what the histories of these nodes need of the trace, and nothing else of it."""
        needs = _needs(roots)
        members = self.kept = needs.members
        self.saved = needs.saved
        for kept, source in (
            (self.inputs, tr.bound),
            (self.known, tr.known),
            (self.carried, tr.carried),
            (self.leaf_owner, tr.leaf_owner),
            (self.contexts, tr.contexts),
            (self.hooks, tr.hooks),
            (self.retained, tr.retained),
        ):
            if source:  # most are empty
                kept.update([(n, value) for n, value in source.items() if n in members])
        if tr.silent:
            self.silent = tr.silent & members
        for n in tr.leaf_owner:
            if n.op is not VAR and n in members and (f := tr.leaf_owner[n]()) is not None:
                self.versions[n] = (None, f.counter.version)
                if f.h is n or (f.h is not None and f.h.op is RESTRIDE_SCATTER and f.h.srcs[1] is n):
                    self.untouched[n] = (f.counter.version, f.counter.silent)
        for n in needs.variables:
            f = n.owner() if n.owner is not None else None
            if f is not None and f.hooks:
                self.leaf_owner[n] = owner(f)
            cell = tr.orphans.get(n) if f is None else f.cell
            if cell is not None:  # one that was just given to the leaf may not be computed yet: what was recorded reads the one before
                value = tr.known.get(n)
                if value is None and not cell.empty:
                    value = cell.whole()
                self.versions[n] = (value, 0 if f is None else f.counter.version)
        if self.holders:
            for n in self.saved & self.holders.keys():
                self.watch(n, self.holders[n])


def shown_by(t: Any) -> list[Past]:
    """The places that a view has in histories of earlier traces which are still kept."""
    tr = current()
    had = [(_living.get(when), n) for when, n in t.__dict__.get("_shown", ()) if when != (tr.index, tr.generation)]
    return [_known_as(snap, n) for snap, n in had if snap is not None and n in snap.kept]


class _Needs:
    """What histories consist of: their nodes with all operands, the permanent leaves among these, and the values that gradients read."""

    __slots__ = ("members", "saved", "variables")

    def __init__(self, roots: tuple[Node, ...]) -> None:
        order = topo(roots)
        self.members = frozenset(order)
        self.variables = tuple([n for n in order if n.op is VAR])
        self.saved = frozenset([version_root(s) for n in history(roots) for s in n.saved or ()])


#: nodes whose histories outlived a trace -> what these consist of, from the second time on
_met: dict[tuple[Node, ...], _Needs | None] = {}
_MOST = 2048


def _needs(roots: tuple[Node, ...]) -> _Needs:
    found = _met.get(roots)
    if found is None:
        found = _Needs(roots)
        if len(_met) >= _MOST:
            _met.clear()
        _met[roots] = found if roots in _met else None
    return found


@arena.register
def _prune(dead: Any) -> None:
    for roots in [roots for roots in list(_met) if any(dead(n) for n in roots)]:
        _met.pop(roots, None)


class Past:
    """A differentiable history from an earlier trace."""

    __slots__ = ("called", "node", "snapshot")

    def __init__(self, node: Node, snapshot: Snapshot, called: str | None = None) -> None:
        self.node, self.snapshot, self.called = node, snapshot, called

    @property
    def name(self) -> str:
        return self.called or title(self.node)

    def revive(self, f: Family) -> None:
        """Have the tensor take part in the current trace: carried into it, or with its history recorded again."""
        tr, cell = current(), f.cell
        asked = self.node in self.snapshot.hooks or self.node in self.snapshot.retained
        if asked or tr.whole or tr.level or tr.saving or trace.several or cell.device.type != "cpu" or cell.dtype not in SUMMED:
            n = self.recorded(tr)
            tr.known.setdefault(n, cell.captured())
        else:
            n = tr.input(cell.captured(), cell.shape, cell.strides, cell.dtype, cell.device, "carried")
            tr.carried[n] = self
        f.h = n
        f.counter.roots.append(n)
        f.take_part()
        f.invalidate()

    def stands_for(self, n: Node, tr: Trace) -> bool:
        """Whether `n` is this history, recorded again in the current trace and unchanged since."""
        when, done = self.snapshot.replayed
        return when == (tr.index, tr.generation) and done.get(self.node) is n

    def ask(self, n: Node, tr: Trace) -> None:
        """Note the hooks on the value, which was carried into `tr` as `n`, and whether it is to keep its gradient: in every trace that it
        was recorded in, where other histories may lead to it."""
        snap, node = self.snapshot, self.node
        while True:
            if n in tr.hooks:
                snap.hooks[node] = tr.hooks[n]
            if n in tr.retained:
                snap.retained[node] = tr.retained[n]
            if node not in snap.origins:
                return
            snap, node = snap.origins[node]

    def recorded(self, tr: Trace) -> Node:
        """The node of the history, recorded again in the current trace, after those of earlier traces that it goes on from."""
        stack = [self]
        while stack:
            past = stack[-1]
            snap = past.snapshot
            if snap.replayed[0] != (tr.index, tr.generation):
                snap.replayed = ((tr.index, tr.generation), {})
                tr.replays.append(snap)
            done = snap.replayed[1]
            order = topo([past.node], done) if snap.carried or snap.origins else []
            earlier = [snap.carried[n] for n in order if n in snap.carried]
            earlier += [_known_as(*snap.origins[n]) for n in order if n in snap.origins]
            earlier = [p for p in earlier if p.snapshot.replayed[0] != snap.replayed[0] or p.node not in p.snapshot.replayed[1]]
            if earlier:
                stack += earlier
            else:
                replay(past.node, snap, done, tr)
                stack.pop()
        return self.snapshot.replayed[1][self.node]


def _known_as(snapshot: Snapshot, node: Node) -> Past:
    """A history that a snapshot has kept already."""
    past: Past = object.__new__(Past)
    past.snapshot, past.node, past.called = snapshot, node, None
    return past


def replay(root: Node, snap: Snapshot, done: dict[Node, Node], tr: Trace) -> Node:
    if snap.origins:
        for n in topo([root], done):
            if n in snap.origins:
                older, old = snap.origins[n]
                done[n] = older.replayed[1][old]
    for n in topo([root], done):
        _replay(n, snap, done, tr)
        if n in snap.silent:
            tr.silent.add(done[n])
        if n in snap.freed:
            tr.freed[done[n]] = len(tr.claims)
        if n in snap.watched:
            counter, version, silent = snap.watched[n]
            if counter.version != version:
                tr.stale.add(done[n])
            elif counter.silent != silent:
                tr.silent.add(done[n])
            else:
                counter.roots.append(done[n])
    return done[root]


def _replay(n: Node, snap: Snapshot, done: dict[Node, Node], tr: Trace) -> None:
    if n.op not in LEAVES and n.op is not LEAF_OF:
        srcs = tuple([done[s] for s in n.srcs])
        new = argument_of(srcs[0], *n.attrs) if n.op is ARGUMENT else n.op(*srcs, *n.attrs)
        if not n.op.view or n.rg:
            new = owned(new, Nobody())  # what the script records anew is another storage's value, even if it is the same expression
        done[n] = new
        if n in snap.contexts:
            tr.contexts[new] = snap.contexts[n]
        if n in snap.known:
            tr.known.setdefault(new, snap.known[n])
        if n in snap.hooks:
            tr.hooks.setdefault(new, snap.hooks[n])
        if n in snap.retained:
            tr.retained[new] = snap.retained[n]
    elif n.op is INPUT:
        done[n] = _replay_input(n, snap, tr)
    elif n.op is VAR:
        done[n] = _replay_var(n, snap, tr)
    elif n.op is LEAF_OF:
        done[n] = _replay_cut(n, done[n.srcs[0]], snap, tr)
    else:
        done[n] = n


def _replay_input(n: Node, snap: Snapshot, tr: Trace) -> Node:
    flag, value = n.attrs[2], snap.inputs[n]
    if flag == "carried":
        past = snap.carried[n]
        new = past.snapshot.replayed[1][past.node]
        tr.known.setdefault(new, value)
        return new
    if flag == "leaf":
        owner = snap.leaf_owner.get(n)
        f = owner() if owner is not None else None
        if f is not None and f.wants:  # the leaf lives: gradients go on accumulating in it
            root_of(f)
            if f.leaf is not None and f.leaf.shape == n.shape:  # else `x.data = y` gave it another shape
                if f.h is f.leaf and same_memory(f.cell.whole(), value):
                    return f.leaf
                kept = REBIND(f.leaf, tr.input(value, tuple(n.shape), n.strides, n.dtype, n.device))
                _overwritten(kept, f.counter.version != snap.versions.get(n, (None, 0))[1], tr)
                return kept
    new = tr.input(value, tuple(n.shape), n.strides, n.dtype, n.device, flag)
    if flag == "leaf" and n in snap.leaf_owner:
        tr.leaf_owner[new] = snap.leaf_owner[n]
    if n in snap.retained:
        tr.retained[new] = snap.retained[n]  # type: ignore[assignment]
    return new


def _replay_cut(n: Node, value: Node, snap: Snapshot, tr: Trace) -> Node:
    """A leaf that began in its trace as a computed value, such as a parameter initialised by hand."""
    owner = snap.leaf_owner.get(n)
    f = owner() if owner is not None else None
    if f is not None and f.wants:  # it lives, and is one leaf with what the script goes on to use: both are differentiated at once
        root_of(f)
        if f.leaf is not None and f.leaf.shape == n.shape:
            if snap.untouched.get(n) == (f.counter.version, f.counter.silent):
                return f.leaf
            kept = REBIND(f.leaf, value)
            _overwritten(kept, f.counter.version != snap.versions.get(n, (None, 0))[1], tr)
            return kept
    new = Node(LEAF_OF, (value,), n.attrs, n.shape, n.dtype, n.strides, n.offset, n.device, True)
    if n in snap.leaf_owner:
        tr.leaf_owner[new] = snap.leaf_owner[n]
    return new


def _replay_var(n: Node, snap: Snapshot, tr: Trace) -> Node:
    f = n.owner() if n.owner is not None else None
    if n in snap.leaf_owner:
        tr.leaf_owner[n] = snap.leaf_owner[n]
    value, version = snap.versions.get(n, (None, 0))
    if f is not None and (value is None or same_memory(f.cell.whole(), value)):
        return n
    old = tr.input(value, tuple(n.shape), n.strides, n.dtype, n.device)
    if not n.rg:
        return old
    kept = REBIND(n, old)
    if f is not None:
        _overwritten(kept, f.counter.version != version, tr)
    return kept


def _overwritten(kept: Node, counted: bool, tr: Trace) -> None:
    """A leaf was written since: a gradient that reads its old value is refused, as PyTorch's is, unless the write was not counted."""
    (tr.stale if counted else tr.silent).add(kept)


def same_memory(a: Any, b: Any) -> bool:
    """Whether two living arrays begin at one address."""
    if a.__class__ in AWAY or b.__class__ in AWAY:
        return a is b
    return bool(a.__array_interface__["data"][0] == b.__array_interface__["data"][0] and a.shape == b.shape)
