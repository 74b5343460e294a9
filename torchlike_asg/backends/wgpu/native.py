"""What the native library of wgpu offers and its Python interface does not."""

from __future__ import annotations

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
