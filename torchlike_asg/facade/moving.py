"""Slices whose place moves from iteration to iteration: ``probabilities[action]``, ``text[i : i + n]``.

As with Python numbers beside an operand (scalar lifting), a place is part of the graph until a later trace asks for another one at
the same spot; from then on it is data, so that a new place makes no new graph. Places that differ within a trace, as the steps
of an unrolled loop do, stay what they are.
"""

from __future__ import annotations

from weakref import ref

import numpy as np

from ..asg.declare import Op
from ..asg.node import Node
from ..asg.trace import current
from ..dtypes import int64
from ..ops.window import window
from .core import Tensor, _inherit, apart, face, family_of

_MOVES = "moves"


def moves(op: Op, n: Node, attrs: tuple[int, ...], kind: tuple[int, ...]) -> bool:
    """Whether ``op(n, *attrs)``, which was not recorded before, is a place that moves. `kind` is what places of one spot have in common."""
    tr = current()
    key = (op.name, n, *kind)
    seen = window.sites.get(key)
    if seen is None:
        window.sites[key] = (tr.index, tr.generation, {attrs})
        return False
    if seen == _MOVES:
        return True
    index, generation, places = seen
    if (index, generation) == (tr.index, tr.generation) or attrs in places:
        places.add(attrs)
        return False
    window.sites[key] = _MOVES
    for place in places:
        op.table.pop((n, *place), None)
    return True


def moving_view(t: Tensor, d: int, start: int, length: int, step: int) -> Tensor:
    """``t[start : start + length * step : step]`` along `d`, as a view whose place is data."""
    n = t._n
    assert n is not None
    f, tr = family_of(t), current()
    tr.moved.append(ref(f))
    at = tr.input(np.asarray(start), (), (), int64, n.device)
    out = face(f, apart(window(n, at, d, length, step)), t._d + start * n.strides[d], _inherit(t, "view"), lens=t._lens)
    if f.cell.exposed:
        out._geo, out._n = out.geometry, None
    return out  # type: ignore[no-any-return]
