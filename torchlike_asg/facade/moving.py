"""What is at a place that moves from iteration to iteration: ``probabilities[action]``, ``text[i : i + n]``, ``x.roll(i)``.

As with Python numbers beside an operand (scalar lifting), a place is part of the graph until a later trace asks for another one at
the same spot; from then on it is data, so that a new place makes no new graph. Places that differ within a trace, as the steps
of an unrolled loop do, stay what they are, unless something was read before each of them: ``vec[0, vec.argmax().item()]`` in a recurrence.
What is written at such a place is written at data, too (places.py).
"""

from __future__ import annotations

from typing import Any
from weakref import ref

from ..asg import arena, scope
from ..asg.declare import Op, get
from ..asg.geometry import Geometry
from ..asg.node import Node
from ..asg.trace import Trace, current
from ..ops.movement import select as SELECT
from ..ops.window import window
from .claiming import owned
from .core import Tensor, begin, face
from .families import apart, family_of, inherited_kind, view
from .nodes import node_of
from .places import at_data, part

_MOVES = "moves"
#: different places at one line of the script, each after a read, from which on the line's places are data
_FEW = 4
#: nodes at one line whose place moved, from which on the line's places are data
_SPOTS = 2
#: places recorded at a line of a loop over tables, from which on they are data
_PASSES = 8
#: lines that are noted before all are forgotten
_MOST = 4096
#: places recorded at a line that are forgotten when it is found to move
_MANY = 64


class _Line:
    """What is known of a line of the script, for one kind of place."""

    __slots__ = ("last", "moves", "places", "recorded", "spots")

    def __init__(self) -> None:
        self.moves = False
        self.last: Any = None  # the trace, and its reads, at the last place
        self.places: set[tuple[Any, ...]] = set()  # those that each came after a read
        self.recorded: list[tuple[Any, ...]] = []
        self.spots = 0  # nodes whose place moved

    def move(self, op: Op) -> None:
        """From now on its places are data. Those that were recorded before that is found are not met again."""
        self.moves = True
        for entry in self.recorded:
            op.table.pop(entry, None)
        self.recorded.clear()


_lines: dict[Any, _Line] = {}


def moves(op: Op, n: Node, place: tuple[Any, ...], kind: tuple[Any, ...], entry: tuple[Any, ...] | None = None) -> bool:
    """Whether what `op` makes of `n` at `place`, which was not recorded before, is at a place that moves. `kind` is what places of one spot
    have in common; `entry` what the node is found by in the table of `op` (by default `n` and `place`).
    """
    key = (op.name, n, *kind)
    seen = window.sites.get(key)
    if seen == _MOVES:
        return True
    tr = current()
    line = _line(op, n, kind)
    entry = (n, *place) if entry is None else entry
    if line.moves or _follows_reads(line, op, place, entry, tr):
        window.sites[key] = _MOVES  # to ask which line it is takes longer than all else
        return True
    if seen is None:
        window.sites[key] = (tr.index, tr.generation, {place: entry})
        return False
    index, generation, places = seen
    if (index, generation) == (tr.index, tr.generation) or place in places:
        places[place] = entry
        return False
    window.sites[key] = _MOVES
    for entry in places.values():
        op.table.pop(entry, None)
    line.spots += 1
    if line.spots >= _SPOTS:  # a chain of writes, ``counts[i] += 1``: each has a node of its own
        line.move(op)
    return True


def _line(op: Op, n: Node, kind: tuple[Any, ...]) -> _Line:
    key = (op.name, n.ndim, *kind, scope.place(3))  # one subscript may select several times
    found = _lines.get(key)
    if found is None:
        if len(_lines) >= _MOST:
            _lines.clear()
        found = _lines[key] = _Line()
    return found


def _follows_reads(line: _Line, op: Op, place: tuple[Any, ...], entry: tuple[Any, ...], tr: Trace) -> bool:
    """Whether the places asked for at a line of the script follow from what was read: one read or more before each of several."""
    now = (tr.index, tr.generation, tr.flushes)
    if len(line.recorded) < _MANY:
        line.recorded.append(entry)
    if line.last == now or not tr.flushes:  # two places and no read between: an unrolled loop
        line.places.clear()
    else:
        line.places.add(place)
    line.last = now
    if len(line.places) < _FEW:
        return False
    line.move(op)
    return True


def goes_over(function: tuple[Any, ...]) -> None:
    """A loop in this function (file and line) goes over tables: the lines of it at which many places were asked for have moving ones."""
    for key, line in _lines.items():
        if key[-1][-1][:2] == function and not line.moves and len(line.recorded) > _PASSES:
            line.move(get(key[0]))


@arena.register
def _prune(dead: Any) -> None:
    for key in [key for key, line in list(_lines.items()) if not line.moves]:
        _lines.pop(key, None)


def moved(op: Op, t: Tensor, place: tuple[Any, ...], kind: tuple[Any, ...]) -> Node | None:
    """The node of `t`, if ``op(t, *place)`` is at a place that moves."""
    table = op.table
    try:
        if (t._n, *place) in table:
            return None
    except AttributeError:  # a sparse tensor
        return None
    begin((t,))
    n = node_of(t)
    return n if n.numel and (n, *place) not in table and moves(op, n, place, kind) else None


def pending(t: Tensor) -> Node | None:
    """The node of a tensor that is part of what is recorded, also after a write through another name; None for data, whose views
    need none.
    """
    if t._n is None:
        f = t._f
        assert f is not None
        if f.h is not None:
            begin((t,))
        if (f.h is None and f.past is None and not f.wants) or f.cell.exposed:
            return None
        node_of(t)
    return t._n


def moving_region(t: Tensor, geometry: Geometry) -> Tensor:
    """What `geometry`, whose offset is data, shows of the storage of `t`, which is recorded and has no lens: as a view."""
    f = family_of(t)
    assert f.h is not None
    current().moved.append(ref(f))
    return face(f, apart(part(f.h, geometry, f.cell.strides)), geometry[2], inherited_kind(t, "view"))  # type: ignore[no-any-return]


def moving_view(t: Tensor, d: int, start: int, length: int, step: int) -> Tensor:
    """``t[start : start + length * step : step]`` along `d`, as a view whose place is data."""
    n = t._n
    assert n is not None
    f, tr = family_of(t), current()
    tr.moved.append(ref(f))
    out = face(
        f, apart(window(n, at_data(start, n), d, length, step)), t._d + start * n.strides[d], inherited_kind(t, "view"), lens=t._lens
    )
    if f.exposed:
        out._geo, out._n = out.geometry, None
    return out  # type: ignore[no-any-return]


def moving_slice(t: Tensor, d: int, i: int) -> Tensor:
    """The slice at `i` of dimension `d`, as a view whose place is data."""
    n, f, tr = t._n, t._f or family_of(t), current()
    assert n is not None
    if f.h is None or f.exposed or tr.forward or not (tr.grad or not n.rg):
        return view(SELECT, moving_view(t, d, i, 1, 1), (d, 0))
    tr.moved.append(ref(f))  # as there, without the view between
    n = SELECT(window(n, at_data(i, n), d, 1, 1), d, 0)
    out: Tensor = face(f, n, t._d + i * t._n.strides[d], inherited_kind(t, "view"), lens=t._lens)  # type: ignore[union-attr]
    if n.rg:
        out._n = owned(n, out)
    return out
