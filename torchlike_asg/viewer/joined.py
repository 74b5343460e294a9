"""One graph of a step that ran in several traces.

A script that reads its loss between ``backward()`` and ``step()`` ends the trace there: the optimizer then finds gradients that are data.
Which data these are is told by the arrays themselves, so the graphs can be joined again, as if nobody had read anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..asg.declare import INPUT
from ..asg.gradients import MEMO
from ..asg.node import Node
from ..asg.rewrite import substitute
from .capture import Step
from .links import Part


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
        sweeps = [sweep.gradients for key, sweep in list(MEMO.items()) if any(r in own for r in key[0])]
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
