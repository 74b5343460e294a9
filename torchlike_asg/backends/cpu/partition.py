"""Who does what and when: the calls of a plan as lists of tasks for one or several threads, made once, when the plan is linked.

Calls have *levels*: a call's level is above those of the calls it depends on. Within a level the calls' work is spread evenly over the
threads. Between levels there is a barrier, unless no thread needs what another one did since the last. Everything here is deterministic;
and as the results of calls do not depend on how their units are split, neither do those of plans depend on the number of threads.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ...compiler.memory import Planner
from .calls import Call

#: nanoseconds of work that are worth a thread of their own: less is done whole by one of them (a barrier takes 300, estimates are rough)
GRAIN = 6_000
#: a plan of less work than that is done by the calling thread: others need 1 microsecond to begin if they are ready, 20 to 150 if they
#: sleep
ALONE = 60_000


@dataclass(frozen=True)
class Task:
    """Units ``lo`` to ``hi`` of call number `call`."""

    call: int
    lo: int
    hi: int


#: a thread's tasks; None is a barrier, of which all threads have equally many
Tasks = list[Task | None]


class Overlaps:
    """Which slots share memory with which."""

    def __init__(self, pairs: Sequence[tuple[int, int]] = ()) -> None:
        self._of: dict[int, tuple[int, ...]] = {}
        for a, b in pairs:
            for x, y in ((a, b), (b, a)):
                if y not in self.of(x):
                    self._of[x] = (*self.of(x), y)

    def of(self, slot: int) -> tuple[int, ...]:
        """The slot itself and those that overlap it."""
        return self._of.get(slot, (slot,))


def levels(calls: Sequence[Call], overlaps: Overlaps, temporaries: Mapping[int, int]) -> list[int]:
    """Each call's level: as early as its operands allow. But a call that waits for nobody, or reads no more bytes of temporaries than it
    makes, goes to just before the first that needs it, so that results do not lie about (packed weights of the backward pass, for
    example)."""
    wrote: dict[int, int] = {}
    touched: dict[int, int] = {}
    found = []
    for c in calls:
        level = max([wrote.get(o, -1) for s in c.reads for o in overlaps.of(s)] + [-1])
        level = 1 + max([touched.get(o, -1) for s in c.writes for o in overlaps.of(s)] + [level])
        found.append(level)
        for s in c.writes:
            wrote[s] = max(wrote.get(s, -1), level)
        for s in (*c.reads, *c.writes):
            touched[s] = max(touched.get(s, -1), level)
    _sink(calls, overlaps, temporaries, found)
    return found


def _sink(calls: Sequence[Call], overlaps: Overlaps, temporaries: Mapping[int, int], found: list[int]) -> None:
    never = len(calls) + 1
    writes: dict[int, int] = {}
    touches: dict[int, int] = {}
    for i in range(len(calls) - 1, -1, -1):
        c = calls[i]
        latest = min([writes.get(o, never) for s in c.reads for o in overlaps.of(s)] + [never])
        latest = min([touches.get(o, never) for s in c.writes for o in overlaps.of(s)] + [latest]) - 1
        made = sum(temporaries.get(s, 0) for s in c.writes)
        held = sum(temporaries.get(s, 0) for s in c.reads if s not in c.writes)
        if latest < never - 1 and made >= held:
            found[i] = latest
        level = found[i]
        for s in c.writes:
            writes[s] = min(writes.get(s, never), level)
        for s in (*c.reads, *c.writes):
            touches[s] = min(touches.get(s, never), level)


def place(calls: Sequence[Call], order: Sequence[int], temporaries: Mapping[int, int]) -> tuple[dict[int, int], int]:
    """Offsets of temporaries in one page, and its size. ``order`` gives each call's time: two temporaries may share memory if the last call
    that names the one comes, by that time, before the first that names the other."""
    first: dict[int, int] = {}
    last: dict[int, int] = {}
    for c, time in zip(calls, order, strict=True):
        for s in {*c.reads, *c.writes}:
            if s in temporaries:
                first[s] = min(first.get(s, time), time)
                last[s] = max(last.get(s, time), time)
    planner = Planner()
    offsets: dict[int, int] = {}
    live: list[tuple[int, int]] = []  # a heap of (last, slot)
    for s in sorted(first, key=lambda s: (first[s], -temporaries[s], s)):
        while live and live[0][0] < first[s]:
            planner.free(offsets[heapq.heappop(live)[1]])
        offsets[s] = planner.allocate(max(1, temporaries[s]))
        heapq.heappush(live, (last[s], s))
    return offsets, planner.size


def spread(
    calls: Sequence[Call],
    level: Sequence[int],
    threads: int,
    overlaps: Overlaps,
    ranges: Mapping[int, tuple[int, int]],
) -> list[Tasks]:
    """Lists of tasks for at most that many threads (fewer if there is too little to do). ``ranges``: the bytes of a common page where
    slots lie."""
    lists: list[Tasks] = [[] for _ in range(threads)]
    since = _Accesses(overlaps, ranges)
    groups: dict[int, list[int]] = {}
    for i in range(len(calls)):
        groups.setdefault(level[i], []).append(i)
    for _, members in sorted(groups.items()):
        shares = _share(calls, members, threads)
        if any(since.conflict(calls[task.call], thread) for thread, task in shares):
            since.clear()
            for tasks in lists:
                tasks.append(None)
        for thread, task in shares:
            lists[thread].append(task)
            since.add(calls[task.call], thread)
    used = [n for n, tasks in enumerate(lists) if any(tasks)]
    lists = lists[: max(used, default=0) + 1]
    return lists if len(lists) > 1 else [[t for t in lists[0] if t is not None]]


class _Accesses:
    """What threads touched since the last barrier."""

    def __init__(self, overlaps: Overlaps, ranges: Mapping[int, tuple[int, int]]) -> None:
        self._overlaps, self._ranges = overlaps, ranges
        self._wrote: dict[int, set[int]] = {}
        self._touched: dict[int, set[int]] = {}
        self._threads: set[int] = set()

    def clear(self) -> None:
        self._threads.clear()
        self._wrote.clear()
        self._touched.clear()

    def add(self, c: Call, thread: int) -> None:
        self._threads.add(thread)
        for s in c.writes:
            self._wrote.setdefault(s, set()).add(thread)
        for s in (*c.reads, *c.writes):
            self._touched.setdefault(s, set()).add(thread)

    def conflict(self, c: Call, thread: int) -> bool:
        """Whether another thread touched what the call needs."""
        mine = {thread}
        if self._threads <= mine:
            return False
        return any(not self._wrote.get(o, mine) <= mine for s in c.reads for o in self._neighbours(s, self._wrote)) or any(
            not self._touched.get(o, mine) <= mine for s in c.writes for o in self._neighbours(s, self._touched)
        )

    def _neighbours(self, slot: int, among: Mapping[int, set[int]]) -> list[int]:
        found = list(self._overlaps.of(slot))
        if slot in self._ranges:
            lo, hi = self._ranges[slot]
            found += [o for o in among if o in self._ranges and self._ranges[o][0] < hi and lo < self._ranges[o][1]]
        return found


def _share(calls: Sequence[Call], members: Sequence[int], threads: int) -> list[tuple[int, Task]]:
    """The work of a level as (thread, task), in the order of the calls for each thread."""
    loads = [0.0] * threads
    parts: dict[int, list[tuple[int, Task]]] = {}
    if sum(calls[i].cost for i in members) < 2 * GRAIN:
        return [(0, Task(i, 0, calls[i].units)) for i in members if calls[i].units]
    whole = [i for i in members if calls[i].cost < 2 * GRAIN or calls[i].units == 1]
    for i in sorted(whole, key=lambda i: (-calls[i].cost, i)):  # longest first, to the thread that has least
        thread = loads.index(min(loads))
        loads[thread] += calls[i].cost
        parts[i] = [(thread, Task(i, 0, calls[i].units))]
    for i in members:
        if i not in parts:
            parts[i] = _split(i, calls[i], loads)
    return [(thread, task) for i in members for thread, task in parts[i] if task.lo < task.hi]


def _split(i: int, c: Call, loads: list[float]) -> list[tuple[int, Task]]:
    """A large call in contiguous ranges, so that all threads that take part have equal loads afterwards."""
    count = min(len(loads), c.units, int(c.cost // GRAIN))
    chosen = sorted(sorted(range(len(loads)), key=lambda t: (loads[t], t))[:count])
    while True:
        level = (sum(loads[t] for t in chosen) + c.cost) / len(chosen)
        busy = [t for t in chosen if loads[t] >= level]
        if not busy:
            break
        chosen = [t for t in chosen if t not in busy]
    done, at, tasks = 0.0, 0, []
    for t in chosen:
        done += level - loads[t]
        loads[t] = level
        to = c.units if t == chosen[-1] else round(c.units * done / c.cost)
        tasks.append((t, Task(i, at, to)))
        at = to
    return tasks
