"""Results that are computed from literals, or from constants that are kept: masks, positions, tables of sines.

A module that makes one in its first call and keeps it has it as data in all later ones. Computed at once, it is data in the first one, too:
the first step has the program of the others.
"""

from __future__ import annotations

from collections.abc import Iterable
from weakref import ref

from ..asg import trace
from ..asg.declare import CONST, INPUT, VAR
from ..asg.node import Node
from ..asg.trace import Trace, current, lock, using
from .claiming import Nobody
from .closing import make_concrete
from .core import Tensor
from .flush import evaluate

#: nodes that are gone through for it
_MOST = 256


def hold(t: Tensor, beside: Iterable[Tensor] = ()) -> None:
    """Compute what a pending tensor holds now, if that follows from literals and from the data of tensors `beside` it: it is data from here
    on. What was recorded with it stays.
    """
    tr = current()
    n = t._n if t._f is None else t._f.h
    if n is None or n.rg or trace.several or tr.mapped or tr.level or tr.held or tr.inference is not None:
        return
    families = {o._f for o in beside}
    given = {m for r in tr.data if (f := r()) in families for m in f.counter.roots if m.op is INPUT}
    if not _literal(n, given):
        return
    f = t._f
    if f is not None and (f.leaf is not None or f.past is not None or f.wants or f.cell.exposed or len(f.cell.live()) > 1):
        return
    with using(Trace()):
        value = evaluate(n)
    with lock:
        tr.claims[n] = ref(Nobody())
        if f is None:
            make_concrete(t, value, None, ref(t))
            return
        f.cell.take(value)
        f.cell.writer = None
        f.invalidate()
        f.h, f.counter.roots = None, []


def _literal(n: Node, given: set[Node]) -> bool:
    """Whether a value reads neither data, but those `given`, nor parameters nor random numbers, and takes computing (zeros do not)."""
    if n.op.category == "creation" or n.op is CONST:
        return False
    seen, stack = {n, *given}, [n]
    while stack:
        n = stack.pop()
        if n.op is INPUT or n.op is VAR or not n.op.pure or n.op.category == "random" or len(seen) > _MOST:
            return False
        for s in n.srcs:
            if s not in seen:
                seen.add(s)
                stack.append(s)
    return True
