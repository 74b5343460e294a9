"""Calls as a program: compiled, with its argument blocks, its temporaries' places and its lists of tasks, run by one native call."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ... import config
from . import blocks, native, partition, threads, timing
from .cache import compile_sources
from .calls import Call

#: programs of less estimated work (nanoseconds) keep Python's lock while they run: giving it up and taking it again would cost more
KEEP_LOCK = 20_000


class PointerTable:
    """The addresses of slots. Programs that share a table see each other's slots."""

    def __init__(self, slots: int) -> None:
        #: entry number `slot` is the address of the slot's memory
        self.words = blocks.aligned(8 * max(1, slots)).view(np.int64)
        self.words.fill(0)
        self.address: int = self.words.ctypes.data


class Program:
    """Calls, ready to run.

    ``calls``        in an order in which they could run one after the other
    ``table``        the pointer table; entries of slots that are not temporaries are the owner's to set, before `run` and whenever they
    change ``temporaries``  slot -> bytes of what only these calls use; `place` says where they lie
    ``overlaps``     pairs of slots, not temporaries, that share memory

    One run at a time: temporaries are the program's own. Different programs may run at once, on different threads of Python.
    """

    def __init__(
        self,
        calls: Sequence[Call],
        table: PointerTable,
        temporaries: Mapping[int, int] | None = None,
        overlaps: Sequence[tuple[int, int]] = (),
    ) -> None:
        self.calls, self.table = list(calls), table
        self._temporaries = dict(temporaries or {})
        self._overlaps = partition.Overlaps(overlaps)
        self._functions = compile_sources(blocks.sources(self.calls))
        self._arguments = blocks.ArgumentBlocks(self.calls, self._functions, table.address)
        self.cost = sum(c.cost for c in self.calls)
        self._scratch = max((c.scratch for c in self.calls), default=0)
        # one order of time for any number of threads, so that the places stay where they are if that number changes
        self._levels = (
            list(range(len(self.calls))) if self.cost < partition.ALONE else partition.levels(self.calls, self._overlaps, self._temporaries)
        )
        #: slot -> byte offset in the program's page, and bytes of the page, which begins at a multiple of 64
        self.offsets, self.page_bytes = partition.place(self.calls, self._levels, self._temporaries)
        self._pool = threads.pool()
        self._link(config.threads)

    def place(self, page: int) -> None:
        """Put the temporaries into memory of `page_bytes` bytes at that address."""
        for slot, offset in self.offsets.items():
            self.table.words[slot] = page + offset

    def run(self) -> bool:
        """Run all calls; False if a kernel reported an error: then some later calls did not run. Uses up to `config.threads` threads."""
        if config.threads != self._configured:
            self._link(config.threads)
        watcher = timing.watcher
        address = self._address if watcher is None else self._begin_timing()
        status = self._run(address, None)
        if status > native.FAILURE:
            status = self._pool.resume(address, status, self.threads, self._scratch)
        if watcher is not None and self._timed is not None:
            self._timed.end(watcher)
        return bool(status == native.DONE)

    def _begin_timing(self) -> int:
        if self._timed is None:
            self._timed = timing.TimedProgram(self)
        self._timed.begin()
        return self._timed.address

    def _link(self, wanted: int) -> None:
        self._configured = wanted
        order = sorted(range(len(self.calls)), key=lambda i: self._levels[i])
        alone: partition.Tasks = [partition.Task(i, 0, self.calls[i].units) for i in order if self.calls[i].units]
        lists = [alone]
        count = min(wanted, native.MOST_THREADS)
        if count > 1 and self.cost >= partition.ALONE:
            ranges = {s: (at, at + max(1, self._temporaries[s])) for s, at in self.offsets.items()}
            lists = partition.spread(self.calls, self._levels, count, self._overlaps, ranges)
        #: how many threads take part
        self.threads = len(lists)
        self.barriers = sum(task is None for task in lists[0])
        self._pool.reserve(self.threads, self._scratch)
        #: who does what: lists of tasks, each with the number of its thread; the first is for doing all on one
        self.tasks = [(0, alone), *(enumerate(lists) if self.threads > 1 else ())]
        self._timed: timing.TimedProgram | None = None
        self._words = self.write(lambda *record: record)
        self._address = int(self._words.ctypes.data)
        self._run: Any = self._pool.run_holding if self.cost < KEEP_LOCK else self._pool.run

    def write(self, record: Callable[[int, int, int, int], tuple[int, int, int, int]]) -> np.ndarray[Any, Any]:
        """The words that `native.RUN` reads; `record` may replace a task's (function, argument block, first unit, end of units)."""
        every = [self.tasks[0][1], *[[*tasks, None] for _, tasks in self.tasks[1:]]]
        header = 2 + 2 * len(every)
        words = blocks.aligned(8 * (header + 4 * sum(map(len, every)))).view(np.int64)
        words[0], words[1] = self._pool.address, max(1, len(every) - 1)
        at, base = header, int(words.ctypes.data)
        for n, tasks in enumerate(every):
            words[2 + 2 * n], words[3 + 2 * n] = base + 8 * at, len(tasks)
            for task in tasks:
                words[at : at + 4] = (0, 0, 0, 0) if task is None else record(*self._record(task))
                at += 4
        return words

    def _record(self, task: partition.Task) -> tuple[int, int, int, int]:
        return self._functions[self.calls[task.call].source.symbol], self._arguments.addresses[task.call], task.lo, task.hi
