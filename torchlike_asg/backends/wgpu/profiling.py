"""How long each dispatch of a plan takes on the device, while somebody watches: each gets a pass of its own with a timestamp at both ends.

Timestamps come back when the watcher asks for them (`Recorder.events`), so that the program waits no more than without; what it costs is
that dispatches no longer overlap. On an adapter without timestamps, a submission is timed as a whole, by waiting for it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .calls import Dispatch
from .readback import Copy

if TYPE_CHECKING:
    from .bindings import Bindings
    from .device import Device
    from .stamps import Stamps

#: queries of one set
MOST = 4096
#: who watches; None: nobody does
recorder: Recorder | Stamps | None = None


@dataclass(frozen=True)
class Timed:
    """A dispatch, or several that were timed together; ``start`` and ``end`` in nanoseconds of `time.perf_counter_ns`."""

    device: int
    calls: tuple[Dispatch, ...]
    start: float
    end: float


class _Clock:
    """A device's timestamps in nanoseconds of the host, from one reading of both."""

    def __init__(self, device: Device) -> None:
        self._device = device
        self._set = device.gpu.create_query_set(type="timestamp", count=MOST)
        self._period = period(device)
        self.mark()

    def mark(self) -> None:
        """Read both clocks: of several tries the one that took least."""
        tries = []
        for _ in range(3):
            before = time.perf_counter_ns()
            encoder = self._device.gpu.create_command_encoder()
            encoder.begin_compute_pass(timestamp_writes=self._writes(0)).end()
            target = self.resolved(encoder, 1)
            self._device.queue.submit([encoder.finish()])
            ticks = int(self._device.read(target, 16).view(np.uint64)[1])
            after = time.perf_counter_ns()
            tries.append((after - before, ticks, (before + after) / 2))
        _, self._ticks, self._time = min(tries)

    def _writes(self, k: int) -> dict[str, Any]:
        return {"query_set": self._set, "beginning_of_pass_write_index": 2 * k, "end_of_pass_write_index": 2 * k + 1}

    def begin(self, encoder: Any, k: int) -> Any:
        """A pass whose beginning and end are timestamps number 2k and 2k + 1."""
        return encoder.begin_compute_pass(timestamp_writes=self._writes(k))

    def resolved(self, encoder: Any, count: int) -> Any:
        """A buffer that the timestamps of that many passes are brought to."""
        usage = self._device.wgpu.BufferUsage
        target = self._device.gpu.create_buffer(size=16 * count, usage=usage.QUERY_RESOLVE | usage.COPY_SRC)
        encoder.resolve_query_set(self._set, 0, 2 * count, target, 0)
        return target

    def nanoseconds(self, raw: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Timestamps (as bytes) as pairs of times."""
        ticks = raw.view(np.uint64).astype(np.int64) - self._ticks
        return (self._time + ticks * self._period).reshape(-1, 2)


def period(device: Device) -> float:
    """Nanoseconds of a tick."""
    try:
        from wgpu.backends.wgpu_native import lib

        return float(lib.wgpuQueueGetTimestampPeriod(device.queue._internal))
    except (ImportError, AttributeError):
        return 1.0  # what WebGPU says


class Recorder:
    """What ran on the devices since it was made."""

    def __init__(self) -> None:
        self._clocks: dict[int, _Clock] = {}
        self._runs: list[tuple[Device, tuple[Dispatch, ...], Any]] = []
        self._whole: list[Timed] = []
        #: NumPy's parts: name, start and end in nanoseconds
        self.others: list[tuple[str, int, int]] = []

    def submit(self, b: Bindings, device: Device, first: int, end: int, copies: Sequence[Copy]) -> None:
        """What `Bindings.submit` does, timed."""
        live = [k for k in range(first, end) if 0 not in b.calls[k].grid]
        if "timestamp-query" not in device.caps.features:
            start = time.perf_counter_ns()
            b.order(first, end, copies)
            device.synchronize()
            self._whole.append(Timed(device.adapter.index, tuple([b.calls[k] for k in live]), start, time.perf_counter_ns()))
            return
        clock = self._clocks.get(id(device))
        if clock is None:
            clock = self._clocks[id(device)] = _Clock(device)
        encoder = device.gpu.create_command_encoder()
        for at in range(0, len(live), MOST // 2):
            some = live[at : at + MOST // 2]
            for i, k in enumerate(some):
                compute = clock.begin(encoder, i)
                b.record(compute, k)
                compute.end()
            self._runs.append((device, tuple([b.calls[k] for k in some]), clock.resolved(encoder, len(some))))
        for copy in copies:
            encoder.copy_buffer_to_buffer(*copy)
        device.queue.submit([encoder.finish()])

    def events(self) -> Iterator[Timed]:
        """All that was timed. Waits for the devices."""
        yield from self._whole
        for device, calls, stamps in self._runs:
            times = self._clocks[id(device)].nanoseconds(device.read(stamps, 16 * len(calls)))
            for call, (start, end) in zip(calls, times.tolist(), strict=True):
                yield Timed(device.adapter.index, (call,), start, max(start, end))
        self._runs.clear()
        self._whole.clear()


def noted(name: str, fn: Callable[..., Any], *args: Any) -> Any:
    """``fn(*args)``, which is NumPy's part of a plan; the recorder notes how long it took."""
    if recorder is None:
        return fn(*args)
    start = time.perf_counter_ns()
    value = fn(*args)
    recorder.others.append((name, start, time.perf_counter_ns()))
    return value
