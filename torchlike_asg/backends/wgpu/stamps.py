"""How long a step's dispatches take on the device, found out without waiting: a recorder (see profiling.py) of one device and one step."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from . import profiling
from .calls import Dispatch
from .readback import Copy

if TYPE_CHECKING:
    from .bindings import Bindings
    from .device import Device

#: dispatches of a step that are timed at most
MOST = profiling.MOST // 2

_sets: weakref.WeakKeyDictionary[Device, tuple[Any, Any]] = weakref.WeakKeyDictionary()


class Stamps:
    """The times of what is submitted while this is `profiling.recorder`. RuntimeError where the device has no timestamps."""

    def __init__(self, device: Device) -> None:
        if "timestamp-query" not in device.caps.features:
            raise RuntimeError(f"{device.adapter.name} has no timestamps")
        self.device = device
        self.calls: list[Dispatch] = []
        #: NumPy's parts, which `profiling.noted` adds
        self.others: list[tuple[str, int, int]] = []
        found = _sets.get(device)
        if found is None:
            usage = device.wgpu.BufferUsage
            resolved = device.gpu.create_buffer(size=16 * MOST, usage=usage.QUERY_RESOLVE | usage.COPY_SRC)
            found = _sets[device] = device.gpu.create_query_set(type="timestamp", count=2 * MOST), resolved
        self._set, self._resolved = found

    def submit(self, b: Bindings, device: Device, first: int, end: int, copies: Sequence[Copy]) -> None:
        """What `Bindings.submit` does, timed."""
        if device is not self.device:
            b.order(first, end, copies)
            return
        encoder = device.gpu.create_command_encoder()
        for k in range(first, end):
            if 0 not in b.calls[k].grid:
                compute = encoder.begin_compute_pass(**self._around(b.calls[k]))
                b.record(compute, k)
                compute.end()
        if self.calls:
            encoder.resolve_query_set(self._set, 0, 2 * len(self.calls), self._resolved, 0)
        for copy in copies:
            encoder.copy_buffer_to_buffer(*copy)
        device.queue.submit([encoder.finish()])

    def _around(self, call: Dispatch) -> dict[str, Any]:
        k = len(self.calls)
        if k >= MOST:
            return {}
        self.calls.append(call)
        return {"timestamp_writes": {"query_set": self._set, "beginning_of_pass_write_index": 2 * k, "end_of_pass_write_index": 2 * k + 1}}

    def reading(self) -> Any:
        """Begin to read what was noted: something with ``ready()`` and ``content()``, see `Reader.later`; None where that cannot be."""
        if not self.calls:
            return None
        with self.device.lock:
            return self.device.reader.later(self._resolved, 16 * len(self.calls))

    def microseconds(self, content: NDArray[np.uint8]) -> NDArray[np.float64]:
        """How long each of `calls` took."""
        stamps = content.view(np.uint64)[: 2 * len(self.calls)].astype(np.int64).reshape(-1, 2)
        return np.maximum(stamps[:, 1] - stamps[:, 0], 0) * (profiling.period(self.device) / 1000)
