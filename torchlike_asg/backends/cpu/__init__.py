"""The CPU backend: graphs as fused native kernels, generated as LLVM IR and compiled in the process by llvmlite."""

from __future__ import annotations

from .device import CpuBackend

__all__ = ["CpuBackend", "get_cpu_capability"]


def get_cpu_capability() -> str:
    """The widest vectors of this processor, by PyTorch's names (``torch.backends.cpu.get_cpu_capability``)."""
    from .isa import host

    return {"avx512": "AVX512", "avx2": "AVX2"}.get(host().name, "DEFAULT")
