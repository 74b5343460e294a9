"""Steps that are new each time, divided at the calls of their modules.

A step that goes over many examples one by one, names or trees of ever other sizes, records another graph every time, and its plan is built
for nothing: it is not met again. Its parts are: an example of a size that was there before has a plan. So where such steps follow each
other, each outermost call of a module begins a trace of its own; histories go on over them (past.py), and a backward pass goes through them
piece by piece (pieces.py). Where steps turn out to be repeated as they were, they are recorded as a whole again.
"""

from __future__ import annotations

from typing import Any

from ..asg.trace import Trace

#: nodes of a plan whose building takes longer than what division costs
LARGE = 1000
#: calls of one outermost module in a step that are a loop over examples
_CALLS = 8
#: large steps in a row, each with other data, after which one is divided
_NEW = 2
#: divided steps that are remembered, and how many in a row are to be among them before steps are whole again
_REMEMBERED, _AGAIN = 256, 4


class Division:
    """What one trace's steps were like.

    ``on``    whether they are divided;  ``new`` how many in a row were new, ``shapes`` the shapes of the data of the last of these
    ``step``  the plans of the present step, as one hash;  ``seen`` those of steps before;  ``again`` how many in a row were among them
    """

    __slots__ = ("again", "new", "on", "seen", "shapes", "step")

    def __init__(self) -> None:
        self.seen: dict[int, None] = {}
        self.shapes: Any = None
        self._whole(0)

    def _whole(self, new: float) -> None:
        self.on, self.new, self.again, self.step, self.shapes = False, new, 0, 0, None
        self.seen.clear()

    def ran(self, tr: Trace, ended: bool) -> None:
        """Note what one of the traces of a divided step computed, and whether that was the last of it."""
        for _, plan in tr.ran:
            self.step = hash((self.step, id(plan)))
        if ended:
            self.again = self.again + 1 if self.step in self.seen else 0
            self.seen[self.step] = None
            self.step = 0
            if len(self.seen) > _REMEMBERED:
                self.seen.pop(next(iter(self.seen)))
            if self.again >= _AGAIN:
                self._whole(0)

    def met(self, plan: Any) -> None:
        """Note a large step that was recorded as a whole."""
        shapes = [n.shape for n in plan.inputs]
        if plan.runs > 1:
            self.new = 0
        elif shapes != self.shapes:
            self.new += 1
            self.on = self.new >= _NEW
        self.shapes = shapes

    def refuse(self) -> None:
        """These steps do not bear it: their histories had to be recorded again as a whole."""
        self._whole(float("-inf"))


def look(tr: Trace, ended: bool) -> None:
    """A trace is about to close; `ended`: with it a step of an optimizer, or what takes its place."""
    division: Division | None = tr.division
    if division is not None and division.on:
        division.ran(tr, ended)
        return
    if not ended:  # a part of one, perhaps, whose data is other data than that of the part before
        return
    for _, plan in tr.ran:
        if plan.nodes > LARGE and max(tr.entered.values(), default=0) >= _CALLS:
            if division is None:
                division = tr.division = Division()
            division.met(plan)
            return
