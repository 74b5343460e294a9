"""What passes from trace to trace in a step: data in one that a plan computed in another, told by the arrays themselves."""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from typing import Any

from ..asg.declare import INPUT
from ..asg.node import Node
from ..asg.trace import Trace


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
