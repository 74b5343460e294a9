"""What a backward pass through several traces (pieces.py) is asked for, and which of these traces lead there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from ..asg import gradients
from ..asg.declare import REBIND, VAR
from ..asg.node import Node
from ..asg.trace import Trace
from .asked import asked_nodes
from .core import Tensor
from .owners import leaf_family
from .past import Past, Snapshot
from .saved_values import Ended
from .storage import Family


def reached(pasts: Sequence[Past]) -> Iterator[Snapshot]:
    """The traces that these histories come from, directly or not."""
    seen: set[Snapshot] = set()
    stack = [p.snapshot for p in pasts]
    while stack:
        snap = stack.pop()
        if snap not in seen:
            seen.add(snap)
            yield snap
            stack += [p.snapshot for p in snap.carried.values()]


class Wanted:
    """The tensors that alone are to have gradients: leaves, results of earlier traces, and nodes of the present one.

    ``leaves``, ``places``  leaf's family, (trace, node) -> which of the tensors
    """

    def __init__(self, inputs: Sequence[Tensor], tr: Trace) -> None:
        #: which of the tensors, and a node that it has or had
        self.nodes = [(i, n) for i, t in enumerate(inputs) for n in asked_nodes(t)]
        self.leaves: dict[Family, list[int]] = {}
        self.places: dict[tuple[Snapshot, Node], list[int]] = {}
        #: whether one is a view of what earlier traces may have gone through, a result that was recorded again alone (it has hooks), or one
        #: whose own history has ended: it is another node here than there
        self.apart = False
        for i, n in self.nodes:
            if n in tr.carried:
                self.places.setdefault(_place(tr.carried[n]), []).append(i)
            elif not gradients.is_leaf(n):
                self.apart |= _made_before(inputs[i], n) or any([n in snap.replayed[1].values() for snap in tr.replays])
            elif (end := tr.retained.get(n)).__class__ is Ended:
                self.apart |= any([r() is not None for r, _ in end.places])  # type: ignore[union-attr]
            elif (f := leaf_family(n)) is not None:
                self.leaves.setdefault(f, []).append(i)
        self.count = len(inputs)

    def behind(self, past: Past) -> bool:
        """Whether one of them may have a gradient through this history."""
        if not self.leaves and not self.places:
            return False
        own = _place(past)
        if own in self.places and len(self.places) == 1 and not self.leaves:
            return False
        return any([self._leads(snap, own) or not self.leaves_in(snap).isdisjoint(self.leaves) for snap in reached([past])])

    def _leads(self, snap: Snapshot, but: tuple[Snapshot, Node]) -> bool:
        """Whether a result of that trace is asked for, other than the one at a place."""
        return any([_first(snap, n) != but for n in self.asked(snap)])

    def leaves_in(self, snap: Snapshot) -> set[Any]:
        return {_owner(n, snap) for n in snap.versions}

    def within(self, snap: Snapshot) -> frozenset[Node]:
        """Where a sweep over a piece has to go to."""
        found = [n for n in snap.versions if _owner(n, snap) in self.leaves]
        return frozenset((*found, *snap.carried, *self.asked(snap)))

    def asked(self, snap: Snapshot) -> dict[Node, list[int]]:
        """The nodes of a trace whose gradients are asked for, also where they were recorded again."""
        found = {n: which for (s, n), which in self.places.items() if s is snap}
        if self.places:
            found.update([(n, self.places[place]) for n in snap.origins if (place := _first(snap, n)) in self.places])
        return found


def _place(past: Past) -> tuple[Snapshot, Node]:
    """Where a history has its gradient: a write without history leaves it where it was."""
    return _first(past.snapshot, past.node)


def _first(snap: Snapshot, n: Node) -> tuple[Snapshot, Node]:
    """The first trace that a node of this one was recorded in, and the node there."""
    while n.op is REBIND or n in snap.carried or n in snap.origins:
        if n in snap.carried:
            snap, n = snap.carried[n].snapshot, snap.carried[n].node
        elif n in snap.origins:
            snap, n = snap.origins[n]
        else:
            n = n.srcs[0]
    return snap, n


def _made_before(t: Tensor, n: Node) -> bool:
    """Whether a view may be older than the present trace: closing traces note that on views, but not on those of leaves."""
    f = t._f
    return f is not None and n is not f.h and (t._kind is None or "_older" in t.__dict__ or f.leaf is not None)


def _owner(n: Node, snap: Snapshot) -> Any:
    owner = n.owner if n.op is VAR else snap.leaf_owner.get(n)
    return None if owner is None else owner()
