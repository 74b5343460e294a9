"""Horizontal fusion: small dispatches of one shader that do not need each other become one.

An optimizer updates every parameter by the same kernel, a network of many normalisations moves twice as many running statistics: each is
less work than a launch costs. Such dispatches wait for others like them, until something needs what they write or writes what they read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ..assemble import Origin
from .calls import Capabilities, Dispatch
from .loops.joined import bindings_of, join

#: bytes moved up to which a dispatch is worth waiting for others: about what the device moves in the time of a launch
SMALL = 1 << 24
#: bytes of intermediate results that may be kept for a dispatch that waits, and for all of them
KEPT_FOR_ONE, KEPT = 1 << 20, 1 << 26
#: dispatches in one, and their bindings, words: a text of thousands of lines takes long to compile
MOST, MOST_BINDINGS, MOST_WORDS = 128, 400, 4000


@dataclass(eq=False)
class _Waiting:
    """Dispatches of one shader, what they read and write, and the waiting ones that must come before them."""

    calls: list[Dispatch] = field(default_factory=list)
    origins: list[Origin] = field(default_factory=list)
    touched: set[int] = field(default_factory=set)
    written: set[int] = field(default_factory=set)
    before: set[_Waiting] = field(default_factory=set)

    def meets(self, touched: set[int], written: set[int]) -> bool:
        """Whether a dispatch must keep its place behind these."""
        return not (self.written.isdisjoint(touched) and self.touched.isdisjoint(written))

    def behind(self, other: _Waiting) -> bool:
        """Whether these come after others."""
        return any(w is other or w.behind(other) for w in self.before)


class _Joining:
    def __init__(self, caps: Capabilities, sizes: dict[int, int]) -> None:
        """`sizes`: bytes of intermediate results."""
        self._caps, self._sizes = caps, sizes
        self._waiting: dict[Any, _Waiting] = {}
        self._kept = 0
        self.steps: list[Any] = []
        self.origins: list[Origin] = []

    def add(self, step: Any, origin: Origin) -> None:
        if step.__class__ is not Dispatch:  # NumPy's part of a plan, which looks at memory
            self.finish()
        else:
            touched, written = {b.slot for b in step.operands}, set(step.writes)
            met = [w for w in self._waiting.values() if w.meets(touched, written)]
            kept = sum(self._sizes.get(slot, 0) for slot in touched)
            if step.form is not None and step.bytes <= SMALL and kept <= KEPT_FOR_ONE:
                self._wait(step, origin, touched, written, met)
                self._kept += kept
                if self._kept > KEPT:
                    self.finish()
                return
            for w in met:
                self._emit(w)
        self.steps.append(step)
        self.origins.append(origin)

    def _wait(self, call: Dispatch, origin: Origin, touched: set[int], written: set[int], met: Sequence[_Waiting]) -> None:
        key = call.source.symbol
        mine = self._waiting.get(key)
        if mine is not None and (mine in met or any(w.behind(mine) for w in met) or not self._fits([*mine.calls, call])):
            self._emit(mine)
            met, mine = [w for w in met if w in self._waiting.values()], None
        if mine is None:
            mine = self._waiting[key] = _Waiting()
        mine.calls.append(call)
        mine.origins.append(origin)
        mine.touched |= touched
        mine.written |= written
        mine.before.update(met)

    def _fits(self, calls: Sequence[Dispatch]) -> bool:
        if len(calls) > MOST or len(calls) * (1 + -(-len(calls[0].words) // 4) * 4) > MOST_WORDS:
            return False
        return len(bindings_of(calls)[0]) <= min(self._caps.max_operands, MOST_BINDINGS)

    def _emit(self, w: _Waiting) -> None:
        """Those, and what must come before them."""
        key = w.calls[0].source.symbol
        if self._waiting.get(key) is not w:
            return
        del self._waiting[key]
        for other in w.before:
            self._emit(other)
        if len(w.calls) == 1:
            self.steps.append(w.calls[0])
            self.origins.append(w.origins[0])
            return
        self.steps.append(join(w.calls))
        self.origins.append(Origin(tuple(dict.fromkeys([n for o in w.origins for n in o.nodes])), w.origins[0].kernel))

    def finish(self) -> None:
        """Nothing waits any more."""
        while self._waiting:
            self._emit(next(iter(self._waiting.values())))
        self._kept = 0


def joined(steps: Sequence[Any], origins: Sequence[Origin], caps: Capabilities, sizes: dict[int, int]) -> tuple[list[Any], list[Origin]]:
    """A plan's steps with its small dispatches joined; `sizes`: bytes of the slots that live only inside the plan."""
    found = _Joining(caps, sizes)
    for step, origin in zip(steps, origins, strict=True):
        found.add(step, origin)
    found.finish()
    return found.steps, found.origins
