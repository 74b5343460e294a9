"""How long dispatches take on a device."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from .calls import Dispatch, Lowering
from .device import Device

#: seconds of work that one measurement should last, and most repetitions
_LONG, _MOST = 3e-3, 200


class Prepared:
    """Dispatches with their pipelines and bind groups, ready to be repeated."""

    def __init__(self, device: Device, calls: Sequence[Dispatch], buffers: Mapping[int, tuple[Any, int]]) -> None:
        """`buffers`: for each slot its buffer and the buffer's size in bytes."""
        self.device = device
        self._calls = []
        for call in calls:
            words = None
            if call.words:
                raw = call.packed
                words = (device.buffer(len(raw), uniform=True), 0, len(raw))
                device.queue.write_buffer(words[0], 0, raw)
            bound = []
            for b in call.operands:
                buffer, nbytes = buffers[b.slot]
                bound.append((buffer, b.offset, b.size if b.size is not None else nbytes - b.offset))
            pipeline = device.pipeline(call.source, len(call.operands), words is not None)
            self._calls.append((pipeline, device.bind_group(call, bound, words), call.grid))

    def run(self, times: int = 1) -> float:
        """Seconds from the submit until the last repetition is done."""
        d = self.device
        with d.lock:
            start = time.perf_counter()
            encoder = d.gpu.create_command_encoder()
            compute = encoder.begin_compute_pass()
            for _ in range(times):
                for pipeline, group, grid in self._calls:
                    compute.set_pipeline(pipeline)
                    compute.set_bind_group(0, group)
                    compute.dispatch_workgroups(*grid)
            compute.end()
            d.queue.submit([encoder.finish()])
            d.synchronize()
            return time.perf_counter() - start

    def seconds(self, rounds: int = 2) -> float:
        """Of one repetition: the difference between many and one, the least of some rounds."""
        self.run()
        times = int(max(2, min(_MOST, _LONG / max(self.run(), 1e-6))))
        one = min(self.run() for _ in range(rounds))
        many = min(self.run(1 + times) for _ in range(rounds))
        return max(many - one, 1e-9) / times


def sizes_of(low: Lowering) -> dict[int, int]:
    """How many bytes of each slot the dispatches reach."""
    sizes = {slot: max(n, 16) for slot, n in low.temporaries.items()}
    for call in low.calls:
        for b in call.operands:
            if b.slot not in low.temporaries:
                sizes[b.slot] = max(sizes.get(b.slot, 16), b.offset + (b.size or 16))
    return sizes
