"""What the device is likely to be asked for next, so that its commands are recorded while the host waits for what it is doing now.

Recording a pass costs the host two microseconds a dispatch, during which a device that has been read from is idle. A loop that reads its
loss asks for the same passes again and again: the same dispatches with the same memory, perhaps alternately (batches that stay on the
device, a plan for each of two networks). Which order follows which is noted; what followed twice is recorded ahead. If something else
comes, what was recorded is thrown away.
"""

from __future__ import annotations

import functools
import itertools
import weakref
from collections.abc import Hashable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from . import walk

if TYPE_CHECKING:
    from .readback import Copy

#: states of a program that are told apart: those of a loop over as many batches
STATES = 8
#: orders whose successor is remembered
ORDERS = 256
_serials = itertools.count()


class State(NamedTuple):
    """All that a program's dispatches are bound to at some time: its number, which is never used again; the dispatches as `walk` reads
    them, at their address, and as Python does; the bind groups that they name, and what else must live as long."""

    number: int
    table: np.ndarray[Any, Any]
    address: int
    records: list[Any]
    groups: list[Any]
    kept: Any


class Program:
    """The dispatches of a plan, in the two forms that `Encoder` takes, and the states that they were in lately."""

    def __init__(self, count: int) -> None:
        self.serial = next(_serials)
        #: (pipeline, bind group, workgroups x, y, z) of each
        self.records: list[Any] = [None] * count
        self.table = np.zeros((count, walk.WORDS), np.uint64)
        self.groups: list[Any] = [None] * count
        #: by what tells them apart: for the memory that changes from run to run, which it is
        self._states: dict[Hashable, State] = {}
        self.state = State(-1, self.table, self.table.ctypes.data, self.records, self.groups, None)
        self._resumed = False
        _programs[self.serial] = weakref.ref(self, functools.partial(_gone, self.serial))

    def put(self, k: int, pipeline: Any, group: Any, grid: tuple[int, int, int]) -> None:
        """Say what dispatch `k` is. (Pipelines live as long as the device.)"""
        from wgpu.backends.wgpu_native import ffi

        if self._resumed:  # what it has now is that state's own
            self.table, self.records, self.groups = self.state.table.copy(), list(self.state.records), list(self.state.groups)
            self._resumed = False
        raw = pipeline._internal, group._internal
        self.records[k] = (*raw, *grid)
        self.table[k] = walk.packed(*[int(ffi.cast("uintptr_t", p)) for p in raw], *grid)
        self.groups[k] = group

    def settle(self, key: Hashable, kept: Any = None) -> None:
        """After dispatches were put: this is the state that `key` tells from all others; `kept` lives as long as it."""
        if len(self._states) >= STATES:
            del self._states[next(iter(self._states))]
        table = self.table.copy()
        self.state = State(next(_serials), table, table.ctypes.data, list(self.records), list(self.groups), kept)
        self._states[key] = self.state

    def resume(self, key: Hashable) -> bool:
        """Take up the state of that key, if it is one of the latest."""
        found = self._states.pop(key, None)
        if found is None:
            return False
        self.state = self._states[key] = found
        self._resumed = True
        return True

    def forget(self) -> None:
        """Keys mean something else from now on."""
        self._states.clear()

    def known(self, number: int) -> State | None:
        """The state of that number, if it is one of the latest."""
        if self.state.number == number and self._states:
            return self.state
        return next((s for s in self._states.values() if s.number == number), None)


#: those in use, by their numbers: whoever looks ahead keeps none of them alive
_programs: dict[int, weakref.ref[Program]] = {}


def _gone(serial: int, _: Any, programs: Any = _programs) -> None:
    programs.pop(serial, None)


class Order(NamedTuple):
    """Dispatches and copies that are submitted together, by the numbers of their program and its state."""

    program: int
    state: int
    first: int
    end: int
    copies: tuple[Copy, ...]


class Successors:
    """Which order came after which."""

    def __init__(self) -> None:
        #: what tells the last order
        self._last: tuple[int, int, int] | None = None
        #: by what tells an order: the one that came next the last time, and whether it did so the time before
        self._next: dict[tuple[int, int, int], tuple[Order, bool]] = {}

    def note(self, order: Order) -> None:
        """This is submitted now."""
        last = self._last
        if last is not None:
            old = self._next.get(last)
            if old is None:
                if len(self._next) >= ORDERS:
                    self._next.clear()
                self._next[last] = order, False
            elif old[0] != order:
                self._next[last] = order, False
            elif not old[1]:
                self._next[last] = order, True
        self._last = order[:3]

    def expected(self) -> tuple[Order, State] | None:
        """What comes next, if that is likely and its memory is still what it was."""
        found = None if self._last is None else self._next.get(self._last)
        if found is None or not found[1]:
            return None
        order = found[0]
        alive = _programs.get(order.program)
        program = None if alive is None else alive()
        state = None if program is None else program.known(order.state)
        return None if state is None else (order, state)
