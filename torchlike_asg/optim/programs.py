"""Which programs the gradients of an optimizer's steps come from."""

from __future__ import annotations

from collections.abc import Sequence

from ..asg.declare import LEAVES
from ..asg.node import Node
from ..asg.trace import Trace
from ..facade.flush import flush

#: Programs of which each gets the update as its end: a loop's first two steps may differ from the others, which have as data what changes.
#: One more is taken for one of many, as those of batches of other shapes are, and is not compiled with the update, which is a plan that has
#: served others or will: until it comes as often in a row as the second number says, or as often in all as the third. The fourth bounds how
#: many are remembered.
_WHOLE, _STEADY, _OFTEN, _REMEMBERED = 3, 8, 32, 4096


class Programs:
    """Those that a batch of parameters had its gradients from, without the nodes: what tells them apart, and how often each came."""

    __slots__ = ("_counts", "_last", "_row")

    def __init__(self) -> None:
        self._counts: dict[int, int] = {}
        self._last: int | None = None
        self._row = 0

    def another(self, gradients: Sequence[Node]) -> bool:
        """Whether new gradients come from one of many programs. Asked for those with which no update is recorded yet."""
        if all([g.op in LEAVES for g in gradients]):
            return False
        program, counts = hash(tuple(gradients)), self._counts
        self._row = self._row + 1 if program == self._last else 1
        self._last = program
        count = counts[program] = counts.pop(program, 0) + 1
        if len(counts) > _REMEMBERED:
            del counts[next(iter(counts))]
        return len(counts) > _WHOLE and count < _OFTEN and self._row < _STEADY


def set_apart(tr: Trace) -> None:
    """Compute what a step starts from, which is one of many programs, and end the trace there."""
    tr.varied = True
    try:
        flush(closing=True)
    finally:
        tr.varied = False
