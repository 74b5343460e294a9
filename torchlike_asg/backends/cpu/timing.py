"""Timing of native calls: the same program with every task behind a function that reads the processor's counter before and after it.

Only while somebody watches: programs otherwise run as they were linked.
"""

from __future__ import annotations

import functools
import platform
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from . import blocks
from .cache import compile_sources
from .calls import SIGNATURE, Call, Source
from .emit import Function, Module
from .values import Value

if TYPE_CHECKING:
    from .program import Program

#: what watches: ``calls(program, threads, calls, ticks)`` after every run, with an entry for each task (its thread, the number of its call,
#: the counter before and after), and ``other(name, start, end)`` for operations that NumPy computes, in nanoseconds. None: nobody does
watcher: Any = None


def _counter(f: Function) -> Value:
    """A number that grows evenly. (On ARM the cycle counter is not for programs to read; the system's counter is.)"""
    steady = platform.machine().lower() in ("arm64", "aarch64")
    return f.call("i64", f"llvm.{'readsteadycounter' if steady else 'readcyclecounter'}")  # type: ignore[no-any-return]


def _write_timed(module: Module, name: str) -> None:
    """A task whose block is: function, its block, where to write the counter before and after."""
    f = module.function(name, SIGNATURE)
    block, lo, hi, scratch = f.params
    function, inner, record = (f.load("ptr", f.gep(block, i, "i64")) for i in range(3))
    f.store(_counter(f), record)
    f.call_pointer("void", function, inner, lo, hi, scratch)
    f.store(_counter(f), f.gep(record, 1, "i64"))


def _write_now(module: Module, name: str) -> None:
    f = module.function(name, [], "i64")
    f.ret_value(_counter(f))


_TIMED, _NOW = (Source((f"timing_{name}", platform.machine()), write) for name, write in (("task", _write_timed), ("now", _write_now)))


@functools.cache
def _functions() -> dict[str, int]:
    return dict(compile_sources([_TIMED, _NOW]))


@functools.cache
def _now() -> Callable[[], int]:
    import ctypes

    return ctypes.PYFUNCTYPE(ctypes.c_int64)(_functions()[_NOW.symbol])


def _reading() -> tuple[int, float]:
    """The counter and the time of one moment: of several tries the one that was interrupted least."""
    best: tuple[int, int, float] | None = None
    for _ in range(10):
        before = time.perf_counter_ns()
        ticks = _now()()
        after = time.perf_counter_ns()
        if best is None or after - before < best[0]:
            best = after - before, ticks, (before + after) / 2
    assert best is not None
    return best[1:]


class Clock:
    """The processor's counter in nanoseconds of `time.perf_counter_ns`, from readings of both: when made, and in `stop`."""

    def __init__(self) -> None:
        self._ticks, self._start = _reading()
        self._rate = 1.0

    def stop(self) -> None:
        """Find out how fast the counter runs."""
        ticks, end = _reading()
        self._rate = (end - self._start) / max(ticks - self._ticks, 1)

    def nanoseconds(self, ticks: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """The times of counts."""
        return self._start + (ticks - self._ticks) * self._rate


class TimedProgram:
    """The words of a program with timed tasks, and what they recorded in the last run."""

    def __init__(self, program: Program) -> None:
        tasks = program.tasks
        self.program = program
        #: for every list of tasks, one after the other: the thread that does it, and the call
        self.threads = np.array([thread for thread, some in tasks for t in some if t is not None], np.int64)
        self.calls = np.array([t.call for _, some in tasks for t in some if t is not None], np.int64)
        count = len(self.calls)
        self._blocks = blocks.aligned(8 * 3 * count).view(np.int64)
        self.records = blocks.aligned(8 * 2 * count).view(np.int64).reshape(-1, 2)
        self._made = 0
        self.words = program.write(self._record)
        self.address = int(self.words.ctypes.data)

    def _record(self, function: int, block: int, lo: int, hi: int) -> tuple[int, int, int, int]:
        at, self._made = self._made, self._made + 1
        self._blocks[3 * at : 3 * at + 3] = function, block, self.records.ctypes.data + 16 * at
        return _functions()[_TIMED.symbol], int(self._blocks.ctypes.data) + 24 * at, lo, hi

    def begin(self) -> None:
        self.records[:] = 0

    def end(self, watcher: Any) -> None:
        """Hand over what was recorded."""
        ran = self.records[:, 1] != 0
        watcher.calls(self.program, self.threads[ran], self.calls[ran], self.records[ran])


def name_of(c: Call) -> str:
    """A call as people know it."""
    return c.label or str(c.source.key[0])
