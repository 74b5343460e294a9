"""What passes from trace to trace in a step: data in one that a plan computed in another, told by the arrays themselves."""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from typing import Any

from ..asg.declare import INPUT, VAR
from ..asg.node import Node
from ..asg.trace import Trace
from ..facade.storage import Family


@dataclass(frozen=True)
class Part:
    """What is known of a plan that took part in a step.

    ``losses``  where backward passes of its trace began;  ``updates`` (old, new) values of storages
    ``links``   Input node -> (the plan of an earlier trace that computed what it stands for, the node of that)
    """

    losses: tuple[Node, ...] = ()
    updates: tuple[tuple[Node, Node], ...] = ()
    links: tuple[tuple[Node, Any, Node], ...] = ()


class Made:
    """Which node of which plan an array is the value of, while the array lives."""

    def __init__(self) -> None:
        self._by_id: dict[int, tuple[Any, Any, Node]] = {}

    def add(self, tr: Trace, plan: Any) -> None:
        """The results of a plan that just ran."""
        known = tr.known
        for n in plan.outputs:
            value = known.get(n)
            if value is not None:
                self._by_id[id(value)] = weakref.ref(value), plan, n

    def links(self, tr: Trace, plan: Any) -> tuple[tuple[Node, Any, Node], ...]:
        """See `Part`."""
        found = []
        for n in plan.leaves:
            if n.op is INPUT and (value := tr.bound.get(n)) is not None:
                for a in (value, getattr(value, "base", None)):  # itself, or a view of all of it
                    entry = self._by_id.get(id(a))
                    if entry is not None and entry[0]() is a and tuple(entry[2].shape) == tuple(n.shape):
                        found.append((n, entry[1], entry[2]))
                        break
        return tuple(found)


def details(tr: Trace, plan: Any, links: Any) -> Part:
    """What the trace that a plan ran in tells of it."""
    losses = tuple(r for roots in tr.swept for r in roots)
    updates = [(old, new) for _, olds, news, _ in tr.updates for old, new in zip(olds, news, strict=True)]
    for r in (*tr.families, *tr.claims.values()):  # storages that were written otherwise
        family = r()
        if family.__class__ is Family and family.leaf is not None and family.leaf.op is VAR and family.h not in (None, family.leaf):
            updates.append((family.leaf, family.h))
    return Part(losses, tuple(dict.fromkeys(updates)), links)
