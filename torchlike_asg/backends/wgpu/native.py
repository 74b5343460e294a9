"""What the native library of wgpu offers and its Python interface does not."""

from __future__ import annotations

import collections
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from . import walk
from .ahead import Order, Program, State, Successors

if TYPE_CHECKING:
    from .readback import Copy


def trusted_module(gpu: Any, text: str) -> Any:
    """A shader module without checks of bounds and loops, or None where the library has no such function."""
    try:
        from wgpu.backends.wgpu_native import _api, ffi, lib

        create = _api.libf.wgpuDeviceCreateShaderModuleTrusted
    except (ImportError, AttributeError):
        return None
    raw = text.encode()
    code = ffi.new("char []", raw)
    source = ffi.new("WGPUShaderSourceWGSL *")
    source.chain.next = ffi.NULL
    source.chain.sType = lib.WGPUSType_ShaderSourceWGSL
    source.code.data, source.code.length = code, len(raw)
    descriptor = ffi.new("WGPUShaderModuleDescriptor *")
    descriptor.nextInChain = ffi.cast("WGPUChainedStruct *", source)
    descriptor.label.data, descriptor.label.length = ffi.NULL, 0
    return _api.GPUShaderModule("", create(gpu._internal, descriptor, 0), gpu)


#: WGPUMapMode_Read
_READ = 1
_UNREADABLE = "the GPU's memory cannot be read: its device was lost"


class Compiled:
    """The sequences of `walk` for a device."""

    def __init__(self, gpu: Any, queue: Any, descriptors: Sequence[Any]) -> None:
        """`descriptors`: of an encoder, a pass, commands. ImportError, RuntimeError or OSError if they cannot be compiled here."""
        from wgpu.backends.wgpu_native import ffi, lib

        found = walk.addresses()
        others = [gpu._internal, queue._internal, *descriptors]
        entries = [*[getattr(lib, name) for name in walk.TABLE[: -len(others)]], *others]
        self._table = np.array([int(ffi.cast("uintptr_t", e)) for e in entries], np.uint64)
        self.table, self.mapped = self._table.ctypes.data, found["mapped"]
        self.record = ffi.cast("WGPUCommandEncoder(*)(uintptr_t, uintptr_t, uint64_t, uint32_t)", found["record"])
        self.commands = ffi.cast("WGPUCommandBuffer(*)(uintptr_t, uintptr_t, uint64_t, uint32_t)", found["record"])
        self.submit = ffi.cast("uint64_t(*)(uintptr_t, WGPUCommandBuffer)", found["submit"])
        self.wait = ffi.cast("uint32_t(*)(uintptr_t, WGPUBuffer, uint64_t, void *, void *)", found["wait"])


class Mapper:
    """Reads buffers that the host can map."""

    #: bytes up to which a compiled sequence reads
    FEW = 8192

    def __init__(self, gpu: Any) -> None:
        """ImportError or AttributeError if the native library is another one than this was written for."""
        from wgpu.backends.wgpu_native import ffi, lib

        self._ffi, self._lib, self._gpu, self._done = ffi, lib, gpu, [0]
        self._callback = ffi.callback("void(WGPUMapAsyncStatus, WGPUStringView, void *, void *)", self._called)
        self._info = self._information(self._callback)
        for name in ("wgpuBufferMapAsync", "wgpuDevicePoll", "wgpuBufferGetConstMappedRange", "wgpuBufferUnmap"):
            getattr(lib, name)
        self._success = lib.WGPUMapAsyncStatus_Success
        #: compiled sequences for small contents; where they leave the status, and where they put what they read
        self.compiled: Compiled | None = None
        self._state = ffi.new("uint32_t[1]")
        self._content = np.empty(self.FEW, np.uint8)
        self._out = ffi.from_buffer(self._content)
        #: the information for their callback
        self._told: Any = None

    def _information(self, callback: Any) -> Any:
        info = self._ffi.new("WGPUBufferMapCallbackInfo *")
        info.mode, info.callback = self._lib.WGPUCallbackMode_AllowProcessEvents, callback
        return info

    def _called(self, status: int, message: Any, *_: Any) -> None:
        self._done[0] = 1 if status == self._success else -1

    def content(self, buffer: Any, nbytes: int, meanwhile: Callable[[], None] | None = None) -> np.ndarray[Any, Any]:
        """The first bytes of a buffer (a multiple of 4), when all that was ordered is done; they are there until the next call. `meanwhile`
        is called before the host waits. RuntimeError if the device was lost."""
        lib, compiled = self._lib, self.compiled
        if compiled is not None and nbytes <= self.FEW:
            if self._told is None:
                self._told = self._information(self._ffi.cast("WGPUBufferMapCallback", compiled.mapped))
                self._told.userdata1 = self._state
            self._state[0] = 0
            try:
                lib.wgpuBufferMapAsync(buffer._internal, _READ, 0, nbytes, self._told[0])
                if meanwhile is not None:
                    meanwhile()
                status = compiled.wait(compiled.table, buffer._internal, nbytes, self._state, self._out)
            except BaseException:
                self._abandon(buffer)
                raise
            if status != self._success:
                raise RuntimeError(_UNREADABLE)
            return self._content[:nbytes]
        done = self._done
        done[0] = 0
        try:
            lib.wgpuBufferMapAsync(buffer._internal, lib.WGPUMapMode_Read, 0, nbytes, self._info[0])
            if meanwhile is not None:
                meanwhile()
            tries = 0
            while not done[0]:
                lib.wgpuDevicePoll(self._gpu._internal, tries > walk.POLLS, self._ffi.NULL)
                tries += 1
            if done[0] > 0:
                pointer = lib.wgpuBufferGetConstMappedRange(buffer._internal, 0, nbytes)
                out = np.frombuffer(self._ffi.buffer(pointer, nbytes), np.uint8).copy()
                lib.wgpuBufferUnmap(buffer._internal)
        except BaseException:
            self._abandon(buffer)
            raise
        if done[0] < 0:
            raise RuntimeError(_UNREADABLE)
        return out

    def _abandon(self, buffer: Any) -> None:
        """Nobody waits for this mapping any more (Ctrl-C, as a rule). The library ends the process when somebody orders a copy to a buffer
        that is mapped, or about to be."""
        complaints = _Complaints()
        complaints.begin()
        try:
            self._lib.wgpuBufferUnmap(buffer._internal)
            self._lib.wgpuDevicePoll(self._gpu._internal, False, self._ffi.NULL)  # the callback is called now, not during the next one
        finally:
            complaints.end()  # it may not have been mapped yet, or no more


class Later:
    """The bytes of a buffer that the host can map, when the copy to it that was ordered is done. Nobody waits: `ready` asks."""

    #: those that the library will call: they must live until then
    _called_back: ClassVar[set[Later]] = set()

    def __init__(self, gpu: Any, buffer: Any, nbytes: int) -> None:
        from wgpu.backends.wgpu_native import ffi, lib

        self._ffi, self._lib, self._gpu, self._buffer, self._nbytes = ffi, lib, gpu, buffer, nbytes
        self._status = 0
        self._callback = ffi.callback("void(WGPUMapAsyncStatus, WGPUStringView, void *, void *)", self._called)
        self._info = ffi.new("WGPUBufferMapCallbackInfo *")
        self._info.mode = lib.WGPUCallbackMode_AllowProcessEvents
        self._info.callback = self._callback
        self._called_back.add(self)
        lib.wgpuBufferMapAsync(buffer._internal, lib.WGPUMapMode_Read, 0, nbytes, self._info[0])

    def _called(self, status: int, message: Any, *_: Any) -> None:
        self._status = 1 if status == self._lib.WGPUMapAsyncStatus_Success else -1
        self._called_back.discard(self)

    def ready(self) -> bool:
        """Whether `content` can be asked for (if the device was lost, to raise RuntimeError)."""
        if not self._status:
            self._lib.wgpuDevicePoll(self._gpu._internal, False, self._ffi.NULL)
        return self._status != 0

    def content(self) -> np.ndarray[Any, Any]:
        """The bytes; once."""
        if self._status <= 0:
            raise RuntimeError(_UNREADABLE)
        pointer = self._lib.wgpuBufferGetConstMappedRange(self._buffer._internal, 0, self._nbytes)
        out = np.frombuffer(self._ffi.buffer(pointer, self._nbytes), np.uint8).copy()
        self._lib.wgpuBufferUnmap(self._buffer._internal)
        self._buffer.destroy()
        return out


def native_encoder(gpu: Any, queue: Any) -> Encoder | None:
    """An `Encoder`, where the library is the one that this was written for."""
    try:
        return Encoder(gpu, queue) if hasattr(gpu, "_internal") else None
    except (ImportError, AttributeError):
        return None


#: how far who reads nothing may run ahead of the device: that many dispatches (PyTorch's queues have room for 1024 launches), but at least
#: so many passes, and bytes of data that were sent for passes still to come
DISPATCHES, PASSES, SENT = 2048, 16, 1 << 28


class _Complaints:
    """What the library says against calls, as wgpu's own ``capture`` and ``release`` gather it, which make an object for each time.

    ``slot.message``: the last one so far
    """

    def __init__(self) -> None:
        from wgpu.backends.wgpu_native import _api
        from wgpu.backends.wgpu_native._helpers import ErrorSlot

        #: gives this thread's list of whoever gathers
        self.stack, self.slot = _api.error_handler._get_proxy_stack, ErrorSlot("torchlike_asg")

    def begin(self) -> None:
        """From here on this thread's are kept."""
        self.stack().append(self.slot)

    def end(self) -> str | None:
        """The last one since `begin`."""
        slot = self.stack().pop()
        said: str | None = slot.message
        if said is not None:
            slot.message = None
        return said


class Encoder:
    """Records and submits a pass of dispatches by the C interface, which costs a fraction of what the Python objects do."""

    def __init__(self, gpu: Any, queue: Any) -> None:
        """ImportError or AttributeError if the native library is another one than this was written for."""
        from wgpu.backends.wgpu_native import ffi, lib

        self._ffi, self._lib, self._gpu, self._queue = ffi, lib, gpu, queue
        self._complaints = _Complaints()
        self._encoder = ffi.new("WGPUCommandEncoderDescriptor *")
        self._pass = ffi.new("WGPUComputePassDescriptor *")
        self._finish = ffi.new("WGPUCommandBufferDescriptor *")
        self._list = ffi.new("WGPUCommandBuffer[1]")
        self._dispatch = (
            lib.wgpuComputePassEncoderSetPipeline, lib.wgpuComputePassEncoderSetBindGroup, lib.wgpuComputePassEncoderDispatchWorkgroups
        )  # fmt: skip
        self._write = lib.wgpuQueueWriteBuffer
        #: the compiled sequences; how many calls Python has made for the same, None when there is nothing to be compiled
        self.compiled: Compiled | None = None
        self._recorded: int | None = 0
        #: of the submissions that are perhaps not done: number, dispatches, bytes sent for it; the totals; bytes sent for the next one
        self._flight: collections.deque[tuple[int, int, int]] = collections.deque()
        self._dispatches = self._sent = self._written = 0
        self._oldest = ffi.new("WGPUSubmissionIndex *")
        self._successors = Successors()
        #: an order and its commands, recorded before it was submitted
        self._ready: tuple[Order, Any] | None = None

    def write(self, buffer: Any, offset: int, content: np.ndarray[Any, Any]) -> None:
        """Have bytes written to a buffer before what is submitted next; offset and number of bytes are multiples of 4."""
        self._complaints.begin()
        try:
            self._write(self._queue._internal, buffer._internal, offset, self._ffi.from_buffer(content), content.nbytes)
            self._written += content.nbytes
        finally:
            error = self._complaints.end()
        if error is not None:
            raise RuntimeError(f"the GPU refuses data: {error}")

    def submit(self, program: Program, first: int, end: int, copies: Sequence[Copy]) -> None:
        """Dispatches `first` to `end`, then copies."""
        lib, state, copies = self._lib, program.state, tuple(copies)
        ready, self._ready = self._ready, None
        slot = self._complaints.slot
        stack = self._complaints.stack()  # `begin` and `end`, without the calls: every step comes here
        stack.append(slot)
        try:
            if ready is not None and ready[0].state == state.number and ready[0][2:] == (first, end, copies):
                order, commands = ready
            else:
                if ready is not None:
                    lib.wgpuCommandBufferRelease(ready[1])
                order = Order(program.serial, state.number, first, end, copies)
                commands = self._commands(order, state)
            if slot.message is not None:  # the library ends the process over commands that it has refused
                lib.wgpuCommandBufferRelease(commands)
            elif (compiled := self.compiled) is not None:
                self._ahead(compiled.submit(compiled.table, commands), end - first)
            else:
                self._list[0] = commands
                number = lib.wgpuQueueSubmitForIndex(self._queue._internal, 1, self._list)
                lib.wgpuCommandBufferRelease(commands)
                self._ahead(number, end - first)
        finally:
            stack.pop()
            error, slot.message = slot.message, None
        self._successors.note(order)
        if error is not None:
            raise RuntimeError(f"the GPU refuses a pass: {error}")

    def prepare(self) -> None:
        """Record what is likely to be submitted next; the host has nothing else to do now."""
        if self._ready is not None:
            return
        found = self._successors.expected()
        if found is None:
            return
        slot = self._complaints.slot
        stack = self._complaints.stack()
        stack.append(slot)
        try:
            commands = self._commands(*found)
        finally:
            stack.pop()
            error, slot.message = slot.message, None
        if error is None:
            self._ready = found[0], commands
        else:  # it is recorded again when it is wanted, and told then
            self._lib.wgpuCommandBufferRelease(commands)

    def _commands(self, order: Order, state: State) -> Any:
        """A command buffer: one pass, then the copies."""
        lib, compiled = self._lib, self.compiled
        if compiled is not None:
            at, count = state.address + order.first * walk.BYTES, order.end - order.first
            if not order.copies:
                return compiled.commands(compiled.table, at, count, 1)
            encoder = compiled.record(compiled.table, at, count, 0)
        else:
            encoder = lib.wgpuDeviceCreateCommandEncoder(self._gpu._internal, self._encoder)
            compute = lib.wgpuCommandEncoderBeginComputePass(encoder, self._pass)
            self._record(compute, state.records[order.first : order.end])
            lib.wgpuComputePassEncoderEnd(compute)
            lib.wgpuComputePassEncoderRelease(compute)
        for source, at, target, to, nbytes in order.copies:
            lib.wgpuCommandEncoderCopyBufferToBuffer(encoder, source._internal, at, target._internal, to, nbytes)
        commands = lib.wgpuCommandEncoderFinish(encoder, self._finish)
        lib.wgpuCommandEncoderRelease(encoder)
        return commands

    def _ahead(self, number: int, dispatches: int) -> None:
        """Note a submission; wait for the oldest ones if the device is too far behind (which costs next to nothing if it is not)."""
        flight = self._flight
        flight.append((number, dispatches, self._written))
        self._dispatches += dispatches
        self._sent += self._written
        self._written = 0
        while len(flight) > 1 and (self._sent > SENT or (self._dispatches > DISPATCHES and len(flight) > PASSES)):
            self._oldest[0], done, sent = flight.popleft()
            self._dispatches -= done
            self._sent -= sent
            self._lib.wgpuDevicePoll(self._gpu._internal, True, self._oldest)

    def landed(self) -> None:
        """All that was submitted is known to be done."""
        self._flight.clear()
        self._dispatches = self._sent = 0

    def _record(self, compute: Any, records: Sequence[tuple[Any, Any, int, int, int]]) -> None:
        set_pipeline, set_group, dispatch = self._dispatch
        null = self._ffi.NULL
        last: Any = None
        for pipeline, group, x, y, z in records:
            if pipeline is not last:
                last = pipeline
                set_pipeline(compute, pipeline)
            set_group(compute, 0, group, 0, null)
            dispatch(compute, x, y, z)
        if self._recorded is not None:
            self._recorded += len(records) + walk.PASS
            if self._recorded >= walk.PAYS:
                self._recorded = None
                self.compile()

    def compile(self) -> bool:
        """Have the sequences of calls compiled, if llvmlite is there; whether they are."""
        if self.compiled is None:
            try:
                self.compiled = Compiled(self._gpu, self._queue, (self._encoder, self._pass, self._finish))
            except (ImportError, RuntimeError, OSError):  # not installed, or LLVM does not know this processor
                return False
        return True
