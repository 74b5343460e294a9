"""How a view is made of its storage, remembered over the traces in which it is used.

A view of a leaf, or of a result whose history lives on, has another node in every trace. One that was made of another view leads through
that one's node each time, where hooks may be: they hold for all that was made of it, also when nobody has the view itself any more.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from weakref import WeakKeyDictionary

from ..asg.declare import Op
from ..asg.node import Node
from ..asg.trace import Trace, current
from ..ops.window import restride_at, window
from .claiming import Nobody, owned
from .places import MARK, at_data

#: marks a view that has had no node yet, see deferred.py
DEFERRED = "_deferred"
#: views whose second operand says where they are
_AT_DATA = (window, restride_at)


class Step:
    """An operation on the way from a storage to a view. Views that are made of one another share steps.

    ``hooks``, ``kept``  what was asked of the gradient of its result
    ``number``  where its place is data, which one that is, else None;  ``away`` how far it leads on in memory then, in elements
    """

    __slots__ = ("attrs", "away", "hooks", "kept", "number", "op")

    def __init__(self, op: Op, attrs: tuple[Any, ...], hooks: Any = None, kept: Any = None, number: int | None = None) -> None:
        self.op, self.attrs, self.hooks, self.kept, self.number, self.away = op, attrs, hooks, kept, number, 0


class Deferred:
    """What a view that was not used yet is to be: ``op(source, *place)``, in the storage whose node is `root`. `when`: in which trace;
    `called`: the name of its step, and which of that step's results it is, if they were noted.
    """

    __slots__ = ("called", "op", "place", "root", "source", "when")

    def __init__(self, root: Node, source: Node, op: Op, place: tuple[Any, ...], when: tuple[int, int]) -> None:
        self.root, self.source, self.op, self.place, self.when = root, source, op, place, when
        self.called: tuple[str, int] | None = None


class _Table:
    """The nodes of steps in a trace, and the other way round."""

    def __init__(self, generation: int) -> None:
        self.generation = generation
        self.nodes: dict[Step, Node] = {}
        self.steps: dict[Node, Step] = {}


#: trace -> that of the last time when steps were asked for
_tables: WeakKeyDictionary[Trace, _Table] = WeakKeyDictionary()


def _table(tr: Trace) -> _Table:
    found = _tables.get(tr)
    if found is None or found.generation != tr.generation:
        found = _tables[tr] = _Table(tr.generation)
    return found


def steps_to(n: Node, h: Node | None, tr: Trace) -> list[Step]:
    """The steps by which a view, of node `n`, is made of its storage, of node `h`. None if there are others between."""
    nodes = []
    while n is not h and n.op.view and (len(n.srcs) == 1 or (n.op in _AT_DATA and n.srcs[1] in tr.bound)):
        nodes.append(n)
        n = n.srcs[0]
    if n is not h:
        return []
    table = _table(tr)
    for m in nodes:
        if m not in table.steps:
            number = int(tr.bound[m.srcs[1]]) if m.op in _AT_DATA else None
            table.steps[m] = step = Step(m.op, m.attrs, tr.hooks.get(m), tr.retained.get(m), number)
            if number is not None:
                step.away = number * (m.srcs[0].strides[m.attrs[0]] if m.op is window else 1)
            table.nodes[step] = m
    return [table.steps[m] for m in reversed(nodes)]


def remember(t: Any, n: Node, h: Node | None) -> None:
    """Note on a view, of node `n`, how it is made of its storage, of node `h`."""
    steps = steps_to(n, h, current())
    if steps and away(steps) == t._d:
        _note(t, steps)


def _note(t: Any, steps: list[Step]) -> None:
    t.__dict__["_viewed"] = steps
    if any([step.number is not None for step in steps]):
        t.__dict__[MARK] = True


def away(steps: Sequence[Step]) -> int:
    """How far into the storage steps lead whose places are data: the node of a view does not know."""
    return sum([step.away for step in steps])


def made_by(steps: Sequence[Step], h: Node, tr: Trace) -> Node:
    """The node of the view that these steps make of the storage `h`: the same for all that ask in this trace."""
    table = _table(tr)
    n = h
    for step in steps:
        found = table.nodes.get(step)
        if found is None or found.srcs[0] is not n:
            at = () if step.number is None else (at_data(step.number, n),)
            found = owned(step.op(n, *at, *step.attrs), Nobody())
            table.nodes[step], table.steps[found] = found, step
            if found.rg and step.hooks is not None:
                tr.hooks.setdefault(found, step.hooks)
            if found.rg and step.kept is not None:
                tr.retained.setdefault(found, step.kept)
        n = found
    return n


def is_made_by(n: Node, steps: Sequence[Step], tr: Trace) -> bool:
    """Whether `made_by` gives this node, which is then no other view's."""
    return bool(steps) and _table(tr).nodes.get(steps[-1]) is n


def unused(t: Any, bumped: bool) -> None:
    """A view that has had no node yet loses what it was to be, as its storage moves on. How it is made is remembered, if it has a history
    and the storage was not written (`bumped`).
    """
    made: Deferred = t.__dict__.pop(DEFERRED)
    if bumped or not made.root.rg or "_made" in t.__dict__:
        return
    t.__dict__["_made"] = "UnbindBackward0" if made.op.name == "select" else "SplitBackward0" if made.called is None else made.called[0]
    steps = steps_to(made.source, made.root, current())
    if steps or made.source is made.root:
        _note(t, [*steps, Step(made.op, made.place)])
