"""One graph of a step that ran in several traces.

A script that reads its loss between ``backward()`` and ``step()`` ends the trace there: the optimizer then finds gradients that are data.
Which data these are is told by the arrays themselves, so the graphs can be joined again, as if nobody had read anything.
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..asg.declare import INPUT
from ..asg.gradients import MEMO
from ..asg.node import Node
from ..asg.rewrite import substitute
from ..asg.trace import Trace
from .capture import Step


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


def joined(traces: Sequence[Sequence[tuple[Any, Part]]]) -> Step:
    """The step that these plans are, trace by trace in the order in which they ran."""
    plans = [p for trace in traces for p, _ in trace]
    roots: list[Node] = []
    losses: list[Node] = []
    updates: list[tuple[Node, Node]] = []
    gradients: dict[Node, Node] = {}
    originals: dict[Node, Node] = {}
    shown: dict[tuple[Any, Node], Node] = {}  # (plan, node it computes) -> the node that is shown for it
    for trace in traces:
        own = list(dict.fromkeys(n for _, part in trace for n in part.losses))
        pairs = list(dict.fromkeys(pair for _, part in trace for pair in part.updates))
        sweeps = [sweep.gradients for (of, _), sweep in list(MEMO.items()) if any(r in own for r in of)]
        results = [n for p, _ in trace for n in p.outputs]
        mapping = {n: shown[p, m] for _, part in trace for n, p, m in part.links if (p, m) in shown}
        if mapping:
            substitute([*results, *own, *[new for _, new in pairs], *[g for sweep in sweeps for g in sweep.values()]], mapping)
            originals.update((made, n) for n, made in mapping.items() if made is not n and n.op is not INPUT)
        for p, _ in trace:
            shown.update(((p, n), mapping.get(n, n)) for n in p.outputs)
        roots += [mapping.get(n, n) for n in results]
        losses += [mapping.get(n, n) for n in own]
        updates += [(old, mapping.get(new, new)) for old, new in pairs]
        for sweep in sweeps:
            gradients.update((mapping.get(n, n), mapping.get(g, g)) for n, g in sweep.items())
    return Step([*roots, *losses], losses, gradients, updates, plans, originals=originals)
