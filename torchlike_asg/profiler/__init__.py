"""``torch.profiler``: where the time of a program goes, kernel by kernel.

    with torch.profiler.profile() as p:
        train_step()
    print(p.key_averages().table(sort_by="self_cpu_time_total"))
    p.export_chrome_trace("trace.json")

Operations are recorded first and run later, several in one kernel: the rows of the table are kernels, named after the operations they
compute, and NumPy's share of operations without one. While a profiler is active every kernel reads the processor's counter before and
after it, and on a GPU the device's own clock; otherwise nothing is measured and nothing is slower.
"""

from __future__ import annotations

import contextlib
import enum
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from .. import events
from ..absent import asked
from ..backends.cpu import timing
from ..backends.wgpu import profiling
from ..facade.flush import flush
from .schedule import ProfilerAction, schedule, tensorboard_trace_handler

__all__ = ["EventList", "FunctionEvent", "FunctionEventAvg", "ProfilerAction", "ProfilerActivity", "kineto_available", "profile",
           "record_function", "schedule", "supported_activities", "tensorboard_trace_handler"]  # fmt: skip

_active: profile | None = None
_MEASURED = (ProfilerAction.RECORD, ProfilerAction.RECORD_AND_SAVE)
#: rows of GPUs in a trace come behind those of threads
_GPU = 1000


class ProfilerActivity(enum.Enum):
    """What is measured: the CPU, or GPUs (any other name), which are those of wgpu."""

    CPU = 0
    XPU = 1
    CUDA = 2


@dataclass(frozen=True)
class FunctionEvent:
    """One kernel run (all its parts, if threads shared it), one operation of NumPy, or one labelled stretch of the program.

    ``start``, ``end``  nanoseconds of `time.perf_counter_ns`;  ``busy`` nanoseconds of processor time, of all threads together
    ``bytes``, ``flops``  what it moves and computes, as far as that is known
    ``parts``   (thread, start, end)
    ``device``  where it ran: "" for the CPU, "wgpu:0" and so on, where `busy` is the device's time
    """

    name: str
    kind: str
    start: float
    end: float
    busy: float
    bytes: int = 0
    flops: int = 0
    parts: tuple[tuple[int, float, float], ...] = ()
    device: str = ""


class FunctionEventAvg:
    """Events of one name. Times are microseconds, as PyTorch's are; shapes and stacks are not kept."""

    input_shapes, stack = "", ()

    def __init__(self, key: str) -> None:
        self.key, self.count, self.bytes, self.flops = key, 0, 0, 0
        self.self_cpu_time_total = self.cpu_time_total = self.self_device_time_total = self.device_time_total = 0.0

    def add(self, e: FunctionEvent) -> None:
        self.count += 1
        self.bytes += e.bytes
        self.flops += e.flops
        if e.device:
            self.device_time_total += (e.end - e.start) / 1000
            self.self_device_time_total += e.busy / 1000
            return
        self.cpu_time_total += (e.end - e.start) / 1000
        self.self_cpu_time_total += e.busy / 1000

    @property
    def cpu_time(self) -> float:
        """Of one event, on average."""
        return self.cpu_time_total / max(self.count, 1)

    @property
    def device_time(self) -> float:
        """Of one event on a GPU, on average."""
        return self.device_time_total / max(self.count, 1)

    @property
    def _time(self) -> float:
        return self.cpu_time_total + self.device_time_total

    @property
    def gigabytes_per_second(self) -> float:
        return self.bytes / 1000 / self._time if self._time else 0.0

    @property
    def gigaflops(self) -> float:
        """Billions of operations a second."""
        return self.flops / 1000 / self._time if self._time else 0.0

    # what older scripts say
    self_cuda_time_total = property(lambda self: self.self_device_time_total)
    cuda_time_total = property(lambda self: self.device_time_total)
    cuda_time = property(lambda self: self.device_time)

    def __repr__(self) -> str:
        return f"<FunctionEventAvg key={self.key} count={self.count} cpu_time={self.cpu_time:.3f}us>"


_Columns = list[tuple[str, Callable[[FunctionEventAvg, float], str]]]
_COLUMNS: _Columns = [
    ("Self CPU %", lambda a, total: f"{100 * a.self_cpu_time_total / total:.2f}%"),
    ("Self CPU", lambda a, _: _time(a.self_cpu_time_total)),
    ("CPU total", lambda a, _: _time(a.cpu_time_total)),
    ("CPU time avg", lambda a, _: _time(a.cpu_time)),
    ("# of Calls", lambda a, _: str(a.count)),
    ("GB/s", lambda a, _: f"{a.gigabytes_per_second:.1f}" if a.bytes else "--"),
    ("GFLOP/s", lambda a, _: f"{a.gigaflops:.1f}" if a.flops else "--"),
]
#: where something ran on a GPU; the number is all time there
_DEVICE: _Columns = [
    ("Self WGPU %", lambda a, total: f"{100 * a.self_device_time_total / total:.2f}%"),
    ("Self WGPU", lambda a, _: _time(a.self_device_time_total)),
    ("WGPU total", lambda a, _: _time(a.device_time_total)),
    ("WGPU time avg", lambda a, _: _time(a.device_time)),
]


class EventList(list[Any]):
    """Averages, with a table."""

    def table(
        self,
        sort_by: str | None = None,
        row_limit: int = 100,
        max_src_column_width: int = 75,
        max_name_column_width: int = 55,
        max_shapes_column_width: int = 80,
        header: str | None = None,
        top_level_events_only: bool = False,
        time_unit: str | None = None,
    ) -> str:
        """The rows as text, largest first by an attribute: ``self_cpu_time_total``, ``self_device_time_total``, ``count``, ``flops``."""
        rows = list(self)
        if sort_by is not None:
            if not hasattr(FunctionEventAvg(""), sort_by):
                raise AttributeError(f"events have no {sort_by!r}")
            rows.sort(key=lambda a: -getattr(a, sort_by))
        total, there = self.self_cpu_time_total, self.self_device_time_total
        columns = [*_COLUMNS[:4], *(_DEVICE if there else []), *_COLUMNS[4:]]
        cells = [["Name", *[title for title, _ in columns]]]
        for a in rows[: row_limit if row_limit >= 0 else None]:
            name = a.key if len(a.key) <= max_name_column_width else a.key[: max_name_column_width - 3] + "..."
            cells.append([name, *[show(a, (there if column in _DEVICE else total) or 1.0) for column in columns for show in column[1:]]])
        widths = [max(len(row[i]) for row in cells) for i in range(len(cells[0]))]
        rule = "  ".join("-" * w for w in widths)
        lines = ["  ".join(c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True))) for row in cells]
        text = [header] if header else []
        totals = [f"Self CPU time total: {_time(total)}", *([f"Self WGPU time total: {_time(there)}"] if there else [])]
        return "\n".join([*text, rule, lines[0], rule, *lines[1:], rule, *totals]) + "\n"

    @property
    def self_cpu_time_total(self) -> float:
        """Microseconds of processor time in kernels."""
        return sum(a.self_cpu_time_total for a in self)

    @property
    def self_device_time_total(self) -> float:
        """Microseconds of GPUs in kernels."""
        return sum(a.self_device_time_total for a in self)


def _time(us: float) -> str:
    return f"{us / 1e6:.3f}s" if us >= 1e6 else f"{us / 1e3:.3f}ms" if us >= 1e3 else f"{us:.3f}us"


class profile:
    """Measures what runs inside a ``with`` block (or between `start` and `stop`).

    Work that is pending at the start is done before, and what is pending at the end is done before the measurement ends. One profiler is
    active at a time. `activities` may name the CPU alone, or GPUs. `on_trace_ready` is called with the profiler at the end of each
    measurement: with a `schedule` those of its active steps, which `step` counts, else the one of the whole block.
    The other options of PyTorch's profiler are accepted: what is known is always recorded.
    """

    def __init__(
        self,
        *,
        activities: Iterable[Any] | None = None,
        schedule: Callable[[int], ProfilerAction] | None = None,
        on_trace_ready: Callable[[profile], Any] | None = None,
        record_shapes: bool = False,
        profile_memory: bool = False,
        with_stack: bool = False,
        with_flops: bool = False,
        with_modules: bool = False,
        experimental_config: Any = None,
        execution_trace_observer: Any = None,
        acc_events: bool = False,
        use_cuda: bool | None = None,
        custom_trace_id_callback: Any = None,
        post_processing_timeout_s: float | None = None,
    ) -> None:
        self._schedule = schedule
        named = None if activities is None else {getattr(a, "name", str(a)) for a in activities}
        self._here, self._there = named is None or "CPU" in named, named is None or bool(named - {"CPU"})
        self._ready = on_trace_ready
        self._runs: list[tuple[Any, ...]] = []
        self._others: list[FunctionEvent] = []
        self._events: list[FunctionEvent] | None = None
        self._steps = 0

    # ---------------------------------------------------------------- measuring
    def __enter__(self) -> profile:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Begin: to measure, or to follow the schedule."""
        self._action = ProfilerAction.RECORD if self._schedule is None else self._schedule(0)
        if self._action in _MEASURED:
            self._begin()

    def stop(self) -> None:
        """End it."""
        if self._schedule is None or _active is self:
            self._end()
        self._action = ProfilerAction.NONE

    def _begin(self) -> None:
        global _active
        if _active is not None:
            raise RuntimeError("Profiler is already enabled on this thread")
        flush()
        _active = self
        self._clock = timing.Clock()
        self._began = self._step = time.perf_counter_ns()
        events.subscribe("plan_built", self._plan_built)
        timing.watcher = self if self._here else None
        profiling.recorder = profiling.Recorder() if self._there else None

    def _end(self) -> None:
        global _active
        if _active is not self:
            raise RuntimeError("the profiler is not active")
        try:
            flush()
        finally:
            timing.watcher = _active = None
            recorder, profiling.recorder = profiling.recorder, None
            events.unsubscribe("plan_built", self._plan_built)
        self._ended = time.perf_counter_ns()
        self._clock.stop()
        kernels = [e for run in self._runs for e in self._kernels(*run)]
        there = [] if recorder is None else [_on_device(t) for t in recorder.events()]
        for name, start, end in recorder.others if recorder is not None else ():
            self.other(f"numpy {name}", start, end)
        self._events = [*self._others, *kernels, *there]
        self._others = []
        self._events.sort(key=lambda e: e.start)
        self._runs.clear()
        if self._ready is not None:
            self._ready(self)

    def step(self) -> None:
        """Mark the end of a step of training."""
        if _active is self:
            now = time.perf_counter_ns()
            self._others.append(FunctionEvent(f"ProfilerStep#{self._steps}", "step", self._step, now, 0.0))
            self._step = now
        self._steps += 1
        if self._schedule is None:
            return
        before, self._action = self._action, self._schedule(self._steps)
        goes_on = before is ProfilerAction.RECORD and self._action in _MEASURED
        if _active is self and not goes_on:
            self._end()
        if self._action in _MEASURED and not goes_on:
            self._begin()

    @property
    def step_num(self) -> int:
        """How many steps have ended."""
        return self._steps

    # what `timing.watcher` is for
    def calls(self, program: Any, threads: Any, calls: Any, ticks: Any) -> None:
        self._runs.append((program.calls, threads, calls, ticks))

    def other(self, name: str, start: int, end: int) -> None:
        self._others.append(FunctionEvent(name, "numpy", start, end, end - start))

    def _plan_built(self, e: Any) -> None:
        end = time.perf_counter_ns()
        self._others.append(FunctionEvent("compile", "compile", end - e.seconds * 1e9, end, e.seconds * 1e9))

    def _kernels(self, calls: Any, threads: Any, numbers: Any, ticks: Any) -> Iterator[FunctionEvent]:
        times = self._clock.nanoseconds(ticks)
        parts: dict[int, list[tuple[int, float, float]]] = {}
        for thread, number, (start, end) in zip(threads.tolist(), numbers.tolist(), times.tolist(), strict=True):
            parts.setdefault(number, []).append((thread, start, end))
        for number, some in parts.items():
            c = calls[number]
            busy = sum(end - start for _, start, end in some)
            first, last = min(p[1] for p in some), max(p[2] for p in some)
            yield FunctionEvent(timing.name_of(c), "kernel", first, last, busy, c.bytes, c.flops, tuple(some))

    # ---------------------------------------------------------------- results
    def events(self) -> list[FunctionEvent]:
        """All events, in order of their start."""
        if self._events is None:
            raise RuntimeError("the profiler has not finished")
        return self._events

    def key_averages(
        self, group_by_input_shape: bool = False, group_by_stack_n: int = 0, group_by_overload_name: bool = False
    ) -> EventList:
        """Events of equal names together."""
        found: dict[str, FunctionEventAvg] = {}
        for e in self.events():
            found.setdefault(e.name, FunctionEventAvg(e.name)).add(e)
        return EventList(found.values())

    def export_chrome_trace(self, path: str | os.PathLike[str]) -> None:
        """Write a file that ``chrome://tracing`` and Perfetto show: rows for the program, each thread of kernels, each GPU."""
        rows: list[dict[str, Any]] = []
        for e in self.events():
            detail = {"bytes": e.bytes, "flops": e.flops} if e.bytes or e.flops else {}
            row = _GPU + int(e.device.partition(":")[2]) if e.device else -1
            for thread, start, end in e.parts or ((row, e.start, e.end),):
                at, took = (start - self._began) / 1000, (end - start) / 1000
                rows.append(
                    {"ph": "X", "name": e.name, "cat": e.kind, "pid": os.getpid(), "tid": thread + 1, "ts": at, "dur": took, "args": detail}
                )
        for tid in sorted({row["tid"] for row in rows}):
            name = "program" if tid == 0 else f"wgpu:{tid - 1 - _GPU}" if tid > _GPU else f"thread {tid - 1}"
            rows.append({"ph": "M", "name": "thread_name", "pid": os.getpid(), "tid": tid, "args": {"name": name}})
        with open(path, "w", encoding="utf-8") as file:
            json.dump({"traceEvents": rows, "displayTimeUnit": "ms"}, file)


def _on_device(t: profiling.Timed) -> FunctionEvent:
    name = ", ".join(dict.fromkeys([c.label or str(c.source.key[0]) for c in t.calls]))
    moved, flops = sum(c.bytes for c in t.calls), sum(c.flops for c in t.calls)
    return FunctionEvent(name, "kernel", t.start, t.end, t.end - t.start, moved, flops, device=f"wgpu:{t.device}")


def kineto_available() -> bool:
    """False: kernels are timed by this package, not by PyTorch's library for it."""
    return False


def supported_activities() -> set[ProfilerActivity]:
    """What can be measured here."""
    from ..backends.wgpu import is_available

    return {ProfilerActivity.CPU, *([ProfilerActivity.CUDA, ProfilerActivity.XPU] if is_available() else [])}


class record_function(contextlib.ContextDecorator):
    """Label a stretch of the program. What it records may run later: ``torch.sync()`` at its end keeps the work inside."""

    def __init__(self, name: str, args: str | None = None) -> None:
        self.name, self.args = name, args
        self._starts: list[int] = []

    def __enter__(self) -> record_function:
        self._starts.append(time.perf_counter_ns())
        return self

    def __exit__(self, *error: object) -> None:
        start = self._starts.pop()
        p = _active
        if p is not None:
            p._others.append(FunctionEvent(self.name, "user_annotation", start, time.perf_counter_ns(), 0.0))


__getattr__ = asked(__name__)
