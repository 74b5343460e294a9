"""How many reads of a loop one trace takes, where histories go on over them.

Where the trace ends at every read (pieces.py), a loop has the same plans whatever the numbers read decide and however often it goes round;
but to end a trace, and to carry what lives on into the next one, takes longer than a small step itself. So once what is computed at the
reads comes in rounds, and all its plans are there, traces end only after several rounds. A loop that does not always do the same after a
read would have another trace for every sequence of decisions: after so many new plans, its traces end at every read again.
"""

from __future__ import annotations

from typing import Any

#: reads that one trace takes at most
_MOST = 10
#: reads that are looked back on, and the longest round that is found in them: one trace has to hold it
_SEEN, _ROUND = 24, _MOST
#: plans built for such traces from which on they are given up, beside this many for each that the loop had before, and for how many reads
#: one is forgotten
_NEW, _EACH, _RARE = 96, 2, 32


class Rhythm:
    """That of the loop in one thread.

    ``length``  how many reads a trace takes in the present step;  ``found`` how many it is to take from the next one on, 0: one for good
    ``sizes``   how many nodes the plans had that ran at the latest reads, while traces take one
    ``built``   how many plans were built lately for traces that take several;  ``before`` for those that took one
    """

    __slots__ = ("before", "built", "found", "length", "sizes")

    def __init__(self) -> None:
        self.length = self.found = 1
        self.built, self.before = 0.0, 0
        self.sizes: list[int] = []

    def read(self, plan: Any) -> None:
        """A number was read, for which `plan` ran last."""
        if self.length > 1:
            self.built = max(self.built - 1 / _RARE, 0)
            if plan is not None and plan.runs == 1:
                self.built += 1
                if self.built > _NEW + _EACH * self.before:
                    self.length, self.found = 1, 0
        elif self.found == 1:
            if plan is None or plan.runs == 1:
                self.before += plan is not None
                self.sizes.clear()
                return
            self.sizes.append(plan.nodes)
            if len(self.sizes) == _SEEN:
                size = _round(self.sizes)
                self.found = _MOST // size * size if size else 1
                del self.sizes[: _SEEN // 2]

    def step(self, often: bool) -> None:
        """A step ends; `often`: it had so many reads that traces are to end at those of the next one."""
        self.length = max(self.found, 1) if often else 1
        self.sizes.clear()


def _round(sizes: list[int]) -> int:
    """After how many reads plans of about the same size run again (some of a table's rows and columns are constants, some are data). 0 if
    they do not.
    """
    for n in range(1, _ROUND + 1):
        if all([abs(a - b) <= a // 10 for a, b in zip(sizes[n:], sizes[:-n], strict=True)]):
            return n
    return 0
