"""What the traces of several threads know of each other's pending results."""

from __future__ import annotations

from typing import Any

from . import trace
from .declare import INPUT, VAR
from .node import Node
from .trace import Trace, current, everyone


def others(tr: Trace) -> list[Trace]:
    """The other traces in which something is pending."""
    return [t for t in everyone() if t is not tr and t.pending]


def look_up(table: str, n: Node) -> Any:
    """What the table of that name in this thread's trace has for a node, or else that of another thread's; None if none has it."""
    tr = current()
    found = getattr(tr, table).get(n)
    if found is None and trace.several:
        found = next((getattr(o, table)[n] for o in others(tr) if n in getattr(o, table)), None)
    return found


def results_before(tr: Trace) -> dict[Node, Any]:
    """What results of other traces were when these were closed last."""
    return {n: value for t in everyone() if t is not tr for n, value in t.before.items()}


def home_of(n: Node) -> Trace:
    """The trace in which a result with this node is pending: this thread's, if it is there."""
    tr = current()
    if trace.several and n not in tr.claims:
        for other in others(tr):
            r = other.claims.get(n)
            if r is not None and r() is not None:
                return other
    return tr


def leaves_of(tr: Trace) -> set[Node]:
    """The leaves that what is pending in a trace reads. Its thread may go on recording meanwhile: what it adds now need not be among it."""
    generation, seen, leaves = tr.reached
    if generation != tr.generation:
        tr.reached = tr.generation, seen, leaves = tr.generation, set(), set()
    stack = [n for n, r in tr.claims.copy().items() if n not in seen and r() is not None]
    stack += [f.h for r in tr.families.copy() if (f := r()) is not None and f.h is not None]
    stack += [n for _, grads in tr.grads.copy() for n in grads]
    stack += [n for update in tr.updates.copy() for n in update[2]]
    while stack:
        n = stack.pop()
        if n not in seen:
            seen.add(n)
            if n.srcs:
                stack += n.srcs
            elif n.op is INPUT or n.op is VAR:
                leaves.add(n)
    return leaves
