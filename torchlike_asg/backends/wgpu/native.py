"""What the native library of wgpu offers and its Python interface does not."""

from __future__ import annotations

from typing import Any


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
