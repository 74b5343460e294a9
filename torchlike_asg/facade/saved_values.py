"""What gradients will read: which values a history keeps, as PyTorch keeps saved tensors, and whether a backward pass may read them."""

from __future__ import annotations

import heapq
from collections.abc import Container, Iterator
from typing import Any, NamedTuple
from weakref import ref

from ..asg import arena
from ..asg.declare import LEAF_OF, LEAVES, REBIND, VAR
from ..asg.gradients import history, is_leaf
from ..asg.keeps import KEEPING, made
from ..asg.node import Node
from ..asg.rewrite import users
from ..asg.trace import Trace, current
from . import texts
from .history_names import title
from .storage import Family

__all__ = ["Ended", "blame", "blameless", "ended", "saved_together", "verdict", "version_root"]


class Ended:
    """A history that a backward pass has freed, or whose saved values were overwritten: using it in backward raises `error`. Gradients by
    its result may be asked for nevertheless, through what was computed from it: ``places`` says where histories that live on have it.
    """

    __slots__ = ("_noted", "error", "node", "places")

    def __init__(self, error: str, n: Node, noted: str | None) -> None:
        self.error, self.node, self._noted = error, n, noted
        self.places: list[tuple[Any, Node]] = []

    def note(self, snapshot: Any, n: Node) -> None:
        """A trace has closed in which the result was `n`, and histories live on."""
        self.places = [place for place in self.places if place[0]() is not None]
        self.places.append((ref(snapshot), n))

    @property
    def name(self) -> str:
        """PyTorch's name of the backward step (of which hardly anybody asks)."""
        return self._noted or title(self.node)

    def revive(self, f: Family) -> None:
        tr = current()
        cell = f.cell
        n = tr.input(cell.captured(), cell.shape, cell.strides, cell.dtype, cell.device, "ended")
        tr.retained[n] = self  # type: ignore[assignment]
        f.h = n
        f.counter.roots.append(n)
        f.take_part()
        f.invalidate()


class Saved(NamedTuple):
    """Of some histories: ``savers``, the nodes whose gradients read saved values, ``guarded``, the nodes in whose storages these lie, and
    ``computed``, those that are read and are no leaves, in order of creation."""

    savers: set[Node]
    guarded: set[Node]
    computed: list[Node]


class Walk:
    """The histories that a trace was kept open for. Each read looks at what is new since the one before: a solver's state is one long
    history that grows by a step."""

    __slots__ = ("guarded", "savers", "seen")

    def __init__(self) -> None:
        self.seen: set[Node] = set()
        self.savers: set[Node] = set()
        self.guarded: set[Node] = set()

    def on(self, roots: tuple[Node, ...]) -> Saved:
        """What is saved in the histories of `roots` and of all roots before; ``computed`` has what is new."""
        savers = [m for m in history(roots, self.seen) if m.saved is not None]
        guarded = {version_root(s) for m in savers for s in m.saved or ()}
        self.savers.update(savers)
        self.guarded |= guarded
        read = {version_root(s) for m in savers if m.op not in KEEPING for s in m.saved or ()}
        return Saved(self.savers, self.guarded, _computed(read))


def _computed(guarded: set[Node]) -> list[Node]:
    return sorted([n for n in guarded if n.op not in LEAVES], key=lambda n: n.serial)


#: roots that were met -> what is saved for them, from the second time on
_together: dict[tuple[Node, ...], Saved | None] = {}
#: node -> the one in its history for which a backward pass was refused last
_culprits: dict[Node, Node] = {}
#: roots of backward passes -> whether anything in their histories keeps values
_keeping: dict[Node, bool] = {}
#: entries of these tables before they are made anew
_MOST = 8192


def saved_together(roots: tuple[Node, ...], tr: Trace) -> Saved:
    """What is saved in these histories. Of what this trace has asked for before, more may be among it, or for ``computed`` less: that is
    known by then.
    """
    found = _together.get(roots)
    if found is None:
        if roots in _together:  # an iteration that comes again
            found = _together[roots] = Walk().on(roots)
        else:
            if len(_together) >= _MOST:
                _together.clear()
            _together[roots] = None
            if tr.walk is None:
                tr.walk = Walk()
            found = tr.walk.on(roots)
    return found


def blameless(roots: tuple[Node, ...], tr: Trace) -> Saved | None:
    """What is saved for these nodes, if a backward pass from none of them would be refused, as far as can be told of all at once."""
    saved = saved_together(roots, tr)
    if _harmless(saved, tr):
        return saved
    if _together.get(roots) is not saved:
        saved = Walk().on(roots)  # perhaps what would be is nobody's any more
        if _harmless(saved, tr):
            return saved
    tr.walk = None  # what is refused keeps nothing
    return None


def _harmless(saved: Saved, tr: Trace) -> bool:
    return saved.guarded.isdisjoint(tr.stale) and tr.freed.keys().isdisjoint(saved.savers) and saved.savers.isdisjoint(tr.retained)


def ended(n: Node, tr: Trace) -> bool:
    """Whether a backward pass from this very node has freed its history."""
    if (n,) not in tr.swept:
        return False
    found = _keeping.get(n)  # every step asks this of its loss
    if found is None:
        if len(_keeping) >= _MOST:
            _keeping.clear()
        found = _keeping[n] = any(m.saved is not None for m in _downwards(n, set()))
    return found


def verdict(n: Node, tr: Trace, clean: set[Node]) -> str | None:
    """Why a backward pass through `n` would be refused now, or None. `clean`: nodes that are no reason, nor is what they were made of;
    more are added."""
    if ended(n, tr):  # what follows would find the first of them freed
        return texts.TWICE
    last = _culprits.get(n)
    error = None if last is None else blame((n,), (last,), tr)
    if error is not None:
        return error
    seen: set[Node] = set()
    shared = False
    for m in _downwards(n, seen, clean):
        if m.saved is not None:
            shared = shared or m in tr.freed
            error = blame((n,), (m,), tr)
            if error is not None:
                if len(_culprits) >= _MOST:
                    _culprits.clear()
                _culprits[n] = m
                return error
    if not shared:  # else it may be freed for another root
        clean |= seen
    return None


def _downwards(root: Node, seen: set[Node], left_out: Container[Node] = ()) -> Iterator[Node]:
    """The nodes gradients of `root` flow through, in the order in which they would: latest first. They are added to `seen`."""
    heap = [(-root.serial, root)] if root.rg else []
    while heap:
        n = heapq.heappop(heap)[1]
        if n in seen or n in left_out:
            continue
        seen.add(n)
        yield n
        if n.op is not LEAF_OF:
            for s in n.srcs[:1] if n.op is REBIND else n.srcs:
                if s.rg and s not in seen:
                    heapq.heappush(heap, (-s.serial, s))


def blame(roots: tuple[Node, ...], savers: tuple[Node, ...], tr: Trace) -> str | None:
    """Why a backward pass from `roots` that reads what `savers` saved is refused, or None."""
    for m in savers:
        if m in tr.freed and (_claimed_before(m, tr) or _gave_up(m, roots, tr)):
            return texts.TWICE
        if m in tr.retained and isinstance(tr.retained[m], Ended):
            return str(tr.retained[m].error)
        assert m.saved is not None
        for s in m.saved:
            if version_root(s) in tr.stale:
                return texts.overwritten(s.shape)
    return None


def _whole(n: Node) -> Node:
    """What a view is a view of; any other node itself."""
    while (n := made(n)).op.view:
        n = n.srcs[0]
    return n


def leads_to(end: Any, n: Node, wanted: frozenset[Node], tr: Trace) -> bool:
    """Whether a history that has ended, with `n` as its result in this trace, may lead to one of these nodes: not to what was computed
    since. Where leaves may be other nodes than they were, it is assumed, and of views of what an earlier trace has: they may be as old.
    """
    if end.__class__ is not Ended:
        return True
    shown = {m: _whole(m) for m in wanted}
    asked = [shown[m] for m in wanted if m is not n and (is_leaf(shown[m]) or any([m in snap.replayed[1].values() for snap in tr.replays]))]
    if not asked:
        return False
    before = [m for m in history((end.node,)) if is_leaf(m)]
    return any([m.op is not VAR or m in before for m in asked]) or not all([m.op is VAR for m in before])


def _gave_up(m: Node, roots: tuple[Node, ...], tr: Trace) -> bool:
    """Whether the call that recorded `m` on the way from `roots` was freed.

    A function of several operations names only its results. What it recorded inside is shared with every call on the same operands, so a
    backward pass through one of them frees it for that call alone: the one whose result the pass went through.
    """
    if roots in tr.swept:
        return True
    found, callers = users(history(roots)), set()
    seen, stack = {m}, [m]
    while stack:
        n = stack.pop()
        for u in found[n] if n not in roots else (n,):
            if u in tr.claims or u in roots:
                callers.add(u)
            elif u not in seen:
                seen.add(u)
                stack.append(u)
    while tr.swept:
        tr.passed.update(history(tr.swept.pop()))
    return any(c in tr.passed and (c not in tr.freed or _claimed_before(c, tr)) for c in callers)


def _claimed_before(m: Node, tr: Trace) -> bool:
    """Whether a tensor was made of `m` before a backward pass freed it. One that was recorded afterwards saved its operands anew."""
    if m not in tr.claims:
        return False
    return next(i for i, n in enumerate(tr.claims) if n is m) < tr.freed[m]


def version_root(n: Node) -> Node:
    """The node whose storage a saved value lives in."""
    while n.op.view:
        n = n.srcs[0]
    return n


@arena.register
def _prune(dead: Any) -> None:
    for roots in [roots for roots in list(_together) if any(dead(n) for n in roots)]:
        _together.pop(roots, None)
    for n in [n for n, m in list(_culprits.items()) if dead(n) or dead(m)]:
        _culprits.pop(n, None)
    for n in [n for n in list(_keeping) if dead(n)]:
        _keeping.pop(n, None)
