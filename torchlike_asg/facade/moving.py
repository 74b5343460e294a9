"""Slices whose place moves from iteration to iteration: ``probabilities[action]``, ``text[i : i + n]``.

As with Python numbers beside an operand (scalar lifting), a place is part of the graph until a later trace asks for another one at
the same spot; from then on it is data, so that a new place makes no new graph. Places that differ within a trace, as the steps
of an unrolled loop do, stay what they are, unless something was read before each of them: ``vec[0, vec.argmax().item()]`` in a recurrence.
"""

from __future__ import annotations

from typing import Any
from weakref import ref

import numpy as np

from ..asg import arena, scope
from ..asg.declare import Op
from ..asg.node import Node
from ..asg.trace import Trace, current
from ..dtypes import int64
from ..ops.window import window
from .core import Tensor, face
from .families import apart, family_of, inherited_kind

_MOVES = "moves"
#: different places at one line of the script, each after a read, from which on the line's places are data
_FEW = 4
#: lines that are noted before all are forgotten
_MOST = 4096
#: places recorded at a line that are forgotten when it is found to move
_MANY = 64
#: line -> (the trace and its reads at the last place, places that each came after a read, what was recorded), or that they move
_lines: dict[Any, Any] = {}


def moves(op: Op, n: Node, attrs: tuple[int, ...], kind: tuple[int, ...]) -> bool:
    """Whether ``op(n, *attrs)``, which was not recorded before, is a place that moves. `kind` is what places of one spot have in common."""
    tr = current()
    key = (op.name, n, *kind)
    if _follows_reads(op, n, attrs, kind, tr):
        return True
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


def _follows_reads(op: Op, n: Node, attrs: tuple[int, ...], kind: tuple[int, ...], tr: Trace) -> bool:
    """Whether the places asked for at a line of the script follow from what was read: one read or more before each of several. Those
    that were recorded before that is found are not met again.
    """
    line = (op.name, n.ndim, *kind, scope.place(3))  # one subscript may select several times
    seen = _lines.get(line)
    if seen == _MOVES:
        return True
    now = (tr.index, tr.generation, tr.flushes)
    if seen is None:
        if len(_lines) >= _MOST:
            _lines.clear()
        seen = (None, set(), [])
    last, places, recorded = seen
    if len(recorded) < _MANY:
        recorded.append((n, *attrs))
    if last == now or not tr.flushes:  # two places and no read between: an unrolled loop
        places.clear()
    else:
        places.add(attrs)
    if len(places) < _FEW:
        _lines[line] = now, places, recorded
        return False
    _lines[line] = _MOVES
    for entry in recorded:
        op.table.pop(entry, None)
    return True


@arena.register
def _prune(dead: Any) -> None:
    for line in [line for line, seen in list(_lines.items()) if seen != _MOVES]:
        _lines.pop(line, None)


def moving_view(t: Tensor, d: int, start: int, length: int, step: int) -> Tensor:
    """``t[start : start + length * step : step]`` along `d`, as a view whose place is data."""
    n = t._n
    assert n is not None
    f, tr = family_of(t), current()
    tr.moved.append(ref(f))
    at = tr.input(np.asarray(start), (), (), int64, n.device)
    out = face(f, apart(window(n, at, d, length, step)), t._d + start * n.strides[d], inherited_kind(t, "view"), lens=t._lens)
    if f.cell.exposed:
        out._geo, out._n = out.geometry, None
    return out  # type: ignore[no-any-return]
