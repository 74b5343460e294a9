"""Compute what depends on no data once, when the plan is built: masks, position tables, arithmetic of literals."""

from __future__ import annotations

from collections.abc import Container, Sequence

import numpy as np

from ...asg import reference
from ...asg.declare import CONST, LEAVES
from ...asg.node import Node, const
from ...asg.rewrite import topo
from ...asg.scope import inherited

#: results larger than this many elements stay operations (they would be kept in memory for as long as the plan)
MAX_ELEMENTS = 1 << 20


def fold(roots: Sequence[Node], stop: Container[Node]) -> list[Node]:
    """Fold operations on literals into literals. Larger constant subgraphs are left to the linker, see `constant_nodes`."""
    changed: dict[Node, Node] = {}
    with inherited() as made:
        for n in topo(roots, stop):
            if n.op in LEAVES:
                continue
            new = n
            if not changed.keys().isdisjoint(n.srcs):
                made.site, made.origin = n.site, n.origin
                new = n.op.again(n, tuple([changed.get(s, s) for s in n.srcs]))
                new.origin = n.origin
            made.site, made.origin = n.site, n.origin
            new = folded(new) or new
            if new is not n:
                changed[n] = new
    return [changed.get(r, r) for r in roots]


def folded(n: Node) -> Node | None:
    """The literal that an operation on literals is; None for others."""
    if n.shape or not n.srcs or n.op.multi or not all([s.op is CONST for s in n.srcs]):
        return None
    with np.errstate(all="ignore"):
        value = reference.apply(n, [reference.constant(s) for s in n.srcs])
    return const(np.asarray(value).item(), n.dtype)


def constant_nodes(order: Sequence[Node]) -> set[Node]:
    """The nodes of a topological order that depend on no leaf but literals, and are small enough to be kept."""
    found: set[Node] = set()
    for n in order:
        if n.op is CONST or (
            n.op not in LEAVES and n.op.category != "random" and n.numel <= MAX_ELEMENTS and all(s in found for s in n.srcs)
        ):
            found.add(n)
    return found
