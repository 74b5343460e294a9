"""Functions made of several operations, found again as a whole.

A layer that records the same operations whenever it meets the same operands need not walk through them: what it gave the last time is
remembered under the nodes it read. Only for pure functions whose inner results nobody can hold.

    key = ("name", node_of(a), node_of(b), option, tr.grad)
    found = recall(key)
    if found is None:
        slots = tr.slots
        ...
        remember(key, nodes, tr, slots)
"""

from __future__ import annotations

from typing import Any

from ..asg import arena
from ..asg.node import Node
from ..asg.trace import Trace

_seen: dict[tuple[Any, ...], tuple[Node, ...]] = {}

#: whether nothing is remembered: all is recorded anew, and counted (utils/flop_counter)
paused = False

#: ``recall(key)``: the nodes remembered, or None
recall = _seen.get


def remember(key: tuple[Any, ...], nodes: tuple[Node, ...], tr: Trace, slots: int) -> None:
    """Keep the results of a function; `slots` is what ``tr.slots`` was before. Not where a number or place became data of this trace, and
    not where a result is the twin of another storage's.
    """
    if not paused and tr.slots == slots and all(n.op.table.get((*n.srcs, *n.attrs)) is n for n in nodes):
        _seen[key] = nodes


def unremember(key: Any) -> None:
    """Record what was remembered under this key anew."""
    _seen.pop(key, None)


@arena.register
def _prune(dead: Any) -> None:
    for key in [k for k, nodes in _seen.copy().items() if any(n.__class__ is Node and dead(n) for n in (*k, *nodes))]:
        _seen.pop(key, None)
