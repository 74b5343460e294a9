"""Which memory each dispatch of a plan is bound to, and the commands of a run."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from . import profiling
from .ahead import Program
from .calls import ALIGNMENT, Dispatch, extent
from .readback import Copy

if TYPE_CHECKING:
    from .device import Device

#: bind groups kept for one dispatch: memory that changes from run to run (batches, results that are kept for a while) comes back
KEEP = 8


class Bindings:
    """Dispatches with their pipelines, words and bind groups.

    ``bound``  slot -> (buffer, offset of the slot there, bytes)
    """

    def __init__(self, device: Device, calls: Sequence[Dispatch]) -> None:
        self._device, self.calls = device, list(calls)
        self.bound: dict[int, tuple[Any, int, int]] = {}
        self._users: dict[int, list[int]] = {}
        for k, call in enumerate(self.calls):
            for slot in {b.slot for b in call.operands} if 0 not in call.grid else ():
                self._users.setdefault(slot, []).append(k)
        self._pipelines = [device.pipeline(c.source, len(c.operands), bool(c.words)) for c in self.calls]
        self._words = self._upload_words()
        self._groups: list[Any] = [None] * len(self.calls)
        self._grids = [c.grid for c in self.calls]
        #: dispatches that have workgroups, and how many there are before each
        self._live = [k for k, grid in enumerate(self._grids) if 0 not in grid]
        self._before = [0, *itertools.accumulate(int(0 not in grid) for grid in self._grids)]
        #: those whose memory is another than at the last submission
        self._moved = set(self._live)
        #: slots whose memory changes from run to run: batches, results
        self._mobile: dict[int, None] = {}
        self._program = Program(len(self._live))
        self._native = hasattr(device.gpu, "_internal")
        self._known: list[dict[Any, Any]] = [{} for _ in self.calls]

    def _upload_words(self) -> list[tuple[int, int] | None]:
        """All words in one uniform buffer: (offset, bytes) for each dispatch."""
        places: dict[bytes, int] = {}
        content = bytearray()
        found: list[tuple[int, int] | None] = []
        for call in self.calls:
            if not call.words:
                found.append(None)
                continue
            raw = call.packed
            at = places.get(raw)
            if at is None:
                at = places[raw] = len(content)
                content += raw + b"\0" * (-len(raw) % ALIGNMENT)
            found.append((at, len(raw)))
        self._uniform: Any = None
        if content:
            self._uniform = self._device.buffer(len(content), uniform=True)
            self._device.queue.write_buffer(self._uniform, 0, content)
        return found

    def bind(self, slot: int, buffer: Any, offset: int, nbytes: int) -> None:
        """Say where a slot lies."""
        old = self.bound.get(slot)
        if old is not None and old[0] is buffer and old[1] == offset:
            return
        self.bound[slot] = (buffer, offset, nbytes)
        users = self._users.get(slot)
        if users is not None:
            self._moved.update(users)
            if old is not None and slot not in self._mobile:
                self._mobile[slot] = None
                self._program.forget()

    def placed(self) -> None:
        """Slots were bound anew that will stay where they are: nothing else tells states of the program apart so far."""
        self._mobile.clear()
        self._program.forget()

    def _group(self, k: int) -> Any:
        """The bind group of dispatch `k` for what is bound now."""
        call, bound = self.calls[k], self.bound
        places = [bound[b.slot] for b in call.operands]
        key = tuple([(id(p[0]), p[1]) for p in places])
        known = self._known[k]
        found = known.get(key)
        if found is None:
            ranges = []
            for b, (buffer, base, nbytes) in zip(call.operands, places, strict=True):
                size = b.size if b.size is not None else extent(max(-(-(nbytes - b.offset) // 4) * 4, 0))
                ranges.append((buffer, base + b.offset, size))
            at = self._words[k]
            group = self._device.bind_group(call, ranges, None if at is None else (self._uniform, *at))
            if len(known) >= KEEP:
                known.pop(next(iter(known)))
            found = known[key] = (group, [p[0] for p in places])  # while the buffers are kept, no other has their identity
        return found[0]

    def _renew(self) -> None:
        """Have the bind groups of all that was bound anew."""
        if not self._native:
            for k in self._moved:
                self._groups[k] = self._group(k)
            self._moved.clear()
            return
        buffers = [self.bound[slot] for slot in self._mobile]
        key = tuple([(id(buffer), offset) for buffer, offset, _ in buffers])
        if not self._program.resume(key):
            for k in self._moved:
                self._program.put(self._before[k], self._pipelines[k], self._group(k), self._grids[k])
            self._program.settle(key, buffers)  # while a state keeps the buffers, no other has their identity
        self._moved.clear()

    def submit(self, first: int, end: int, copies: Sequence[Copy] = ()) -> None:
        """Order dispatches `first` to `end`, then copies: one encoder, one pass, one submission. (While somebody watches how long
        they take, each dispatch has a pass of its own.)"""
        if self._moved:
            self._renew()
        native = self._device.encoder
        if profiling.recorder is not None:
            profiling.recorder.submit(self, self._device, first, end, copies)
        elif native is None:
            self._submit(first, end, copies)
        else:  # as `order` does, without the call: every step comes here
            native.submit(self._program, self._before[first], self._before[end], copies)

    def order(self, first: int, end: int, copies: Sequence[Copy]) -> None:
        """The submission itself."""
        native = self._device.encoder
        if native is None:
            self._submit(first, end, copies)
        else:
            native.submit(self._program, self._before[first], self._before[end], copies)

    def record(self, compute: Any, k: int) -> None:
        """Dispatch `k` in a pass of wgpu's."""
        compute.set_pipeline(self._pipelines[k])
        compute.set_bind_group(0, self._program.state.groups[self._before[k]] if self._native else self._groups[k])
        compute.dispatch_workgroups(*self._grids[k])

    def _submit(self, first: int, end: int, copies: Sequence[Copy]) -> None:
        """The same by the objects of wgpu."""
        device = self._device
        encoder = device.gpu.create_command_encoder()
        compute = encoder.begin_compute_pass()
        for k in range(first, end):
            if 0 in self._grids[k]:
                continue
            self.record(compute, k)
        compute.end()
        for source, at, target, to, nbytes in copies:
            encoder.copy_buffer_to_buffer(source, at, target, to, nbytes)
        device.queue.submit([encoder.finish()])
