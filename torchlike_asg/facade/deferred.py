"""Views made several at once, of which most are often not used: ``x.unbind(0)[i]``, ``x.split(4)[i]``, ``for row in x``.

Those that were recorded before have their node at once. The others get one at their first use: so a loop that uses another of them in each
iteration is seen to move, as one that asks for ``x[i]`` is (moving.py), and what nobody uses makes no node.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..asg import trace
from ..asg.declare import Op
from ..asg.node import Node
from ..asg.trace import Trace, current
from ..ops.movement import select
from ..ops.window import window
from . import moving
from .core import Tensor, begin, face
from .families import family_of, inherited_kind, seen_view, view
from .nodes import node_of
from .places import MARK, at_data, is_moving
from .storage import Family
from .view_steps import DEFERRED, Deferred

__all__ = ["node_of_part", "parts"]


def parts(a: Tensor, op: Op, places: Sequence[tuple[Any, ...]], kind: str = "multi") -> tuple[Tensor, ...]:
    """The views ``op(a, *place)`` for each of several places, as one function gives them; `op` is `select` or `slice_`."""
    if len(places) < 2 or (f := _recorded(a)) is None:
        return tuple([view(op, a, place, kind) for place in places])
    tr, source, table, geometry = current(), a._n, op.table, a.geometry
    inherited, when = inherited_kind(a, kind), (tr.index, tr.generation)
    if source is not f.h:
        f.take_part()  # as the trace ends it is noted how they are made: on a view that they are made of, and nobody has, hooks may be
    found = []
    for place in places:
        n = table.get((source, *place))
        if n is None:
            t = face(f, None, 0, inherited, op.rule.geometry(geometry, *place))  # type: ignore[union-attr]
            t.__dict__[DEFERRED] = Deferred(f.h, source, op, place, when)
        else:
            t = seen_view(a, f, n, kind)
        found.append(t)
    return tuple(found)


def _recorded(a: Tensor) -> Family | None:
    """The family of a tensor that is part of what is recorded, if its views may get their nodes later."""
    tr = current()
    if trace.several or tr.mapped or tr.level or tr.forward or tr.inference is not None or a._lens is not None:
        return None
    if a._n is None:
        begin((a,))
        f = family_of(a)
        if f.h is None and f.past is None and not f.wants:
            return None  # data, whose views need no node
        node_of(a)
    f = family_of(a)
    cell = f.made
    return None if a._n is None or f.h is None or (cell is not None and cell.exposed) else f


def node_of_part(t: Tensor, h: Node, tr: Trace) -> Node | None:
    """The node of a view that has had none yet, `h` being that of its storage; None if that was written since or its trace ended."""
    made: Deferred = t.__dict__.pop(DEFERRED)
    op, source, place = made.op, made.source, made.place
    if made.root is not h or (made.when != (tr.index, tr.generation) and source is not h):
        return None
    if (source, *place) not in op.table and not tr.mapped and _moves(made):
        d, start = place[:2]
        n = window(source, at_data(start, source), d, 1 if op is select else place[2] - start, 1)
        n = select(n, d, 0) if op is select else n
        t.__dict__[MARK] = True
    else:
        n = op(source, *place)
        is_moving(t, n)
    if made.called is not None and n.rg:
        t.__dict__["_step"] = n.serial, *made.called
    return n


def _moves(made: Deferred) -> bool:
    d, start = made.place[:2]
    kind = (d,) if made.op is select else (d, made.place[2] - start, 1)
    return moving.moves(made.op, made.source, made.place, kind)
