"""The CPU backend: graphs as fused native kernels, generated as LLVM IR and compiled in the process by llvmlite."""

from __future__ import annotations

from .device import CpuBackend

__all__ = ["CpuBackend"]
