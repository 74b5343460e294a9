"""What the native library of wgpu offers and its Python interface does not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np


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


class Mapper:
    """Reads buffers that the host can map."""

    def __init__(self, gpu: Any) -> None:
        """ImportError or AttributeError if the native library is another one than this was written for."""
        from wgpu.backends.wgpu_native import ffi, lib

        self._ffi, self._lib, self._gpu, self._done = ffi, lib, gpu, [0]
        self._callback = ffi.callback("void(WGPUMapAsyncStatus, WGPUStringView, void *, void *)", self._called)
        self._info = ffi.new("WGPUBufferMapCallbackInfo *")
        self._info.mode = lib.WGPUCallbackMode_AllowProcessEvents
        self._info.callback = self._callback
        for name in ("wgpuBufferMapAsync", "wgpuDevicePoll", "wgpuBufferGetConstMappedRange", "wgpuBufferUnmap"):
            getattr(lib, name)

    def _called(self, status: int, message: Any, *_: Any) -> None:
        self._done[0] = 1 if status == self._lib.WGPUMapAsyncStatus_Success else -1

    def content(self, buffer: Any, nbytes: int) -> np.ndarray[Any, Any]:
        """The first bytes of a buffer, when all that was ordered is done. RuntimeError if the device was lost."""
        lib, done = self._lib, self._done
        done[0] = 0
        lib.wgpuBufferMapAsync(buffer._internal, lib.WGPUMapMode_Read, 0, nbytes, self._info[0])
        tries = 0
        while not done[0]:
            lib.wgpuDevicePoll(self._gpu._internal, tries > 20000, self._ffi.NULL)
            tries += 1
        if done[0] < 0:
            raise RuntimeError("the GPU's memory cannot be read: its device was lost")
        pointer = lib.wgpuBufferGetConstMappedRange(buffer._internal, 0, nbytes)
        out = np.frombuffer(self._ffi.buffer(pointer, nbytes), np.uint8).copy()
        lib.wgpuBufferUnmap(buffer._internal)
        return out


def native_encoder(gpu: Any, queue: Any) -> Encoder | None:
    """An `Encoder`, where the library is the one that this was written for."""
    try:
        return Encoder(gpu, queue) if hasattr(gpu, "_internal") else None
    except (ImportError, AttributeError):
        return None


class Encoder:
    """Records and submits a pass of dispatches by the C interface, which costs a fraction of what the Python objects do."""

    def __init__(self, gpu: Any, queue: Any) -> None:
        """ImportError or AttributeError if the native library is another one than this was written for."""
        from wgpu.backends.wgpu_native import _api, ffi, lib

        self._ffi, self._lib, self._gpu, self._queue = ffi, lib, gpu, queue
        self._errors = _api.error_handler
        self._error_types = _api.ERROR_TYPES if hasattr(_api, "ERROR_TYPES") else {}
        self._encoder = ffi.new("WGPUCommandEncoderDescriptor *")
        self._pass = ffi.new("WGPUComputePassDescriptor *")
        self._finish = ffi.new("WGPUCommandBufferDescriptor *")
        self._commands = ffi.new("WGPUCommandBuffer[1]")
        self._dispatch = (
            lib.wgpuComputePassEncoderSetPipeline, lib.wgpuComputePassEncoderSetBindGroup, lib.wgpuComputePassEncoderDispatchWorkgroups
        )  # fmt: skip

    def submit(self, records: Sequence[tuple[Any, Any, int, int, int]], copies: Sequence[tuple[Any, int, Any, int]]) -> None:
        """`records`: (pipeline, bind group, workgroups x, y, z);  `copies`, done after them: (source, offset there, target, bytes)."""
        lib, null = self._lib, self._ffi.NULL
        set_pipeline, set_group, dispatch = self._dispatch
        self._errors.capture("submit")
        try:
            encoder = lib.wgpuDeviceCreateCommandEncoder(self._gpu._internal, self._encoder)
            compute = lib.wgpuCommandEncoderBeginComputePass(encoder, self._pass)
            last: Any = None
            for pipeline, group, x, y, z in records:
                if pipeline is not last:
                    last = pipeline
                    set_pipeline(compute, pipeline)
                set_group(compute, 0, group, 0, null)
                dispatch(compute, x, y, z)
            lib.wgpuComputePassEncoderEnd(compute)
            lib.wgpuComputePassEncoderRelease(compute)
            for source, at, target, nbytes in copies:
                lib.wgpuCommandEncoderCopyBufferToBuffer(encoder, source._internal, at, target._internal, 0, nbytes)
            commands = self._commands
            commands[0] = lib.wgpuCommandEncoderFinish(encoder, self._finish)
            lib.wgpuCommandEncoderRelease(encoder)
            lib.wgpuQueueSubmit(self._queue._internal, 1, commands)
            lib.wgpuCommandBufferRelease(commands[0])
        finally:
            error = self._errors.release("submit")
        if error is not None:
            raise RuntimeError(f"the GPU refuses a pass: {error[1]}")
