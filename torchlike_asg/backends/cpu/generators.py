"""The generators of operations with kernels of their own; importing this module registers them all."""

from __future__ import annotations

from . import attention, gemm, indexing, movement, triangle

__all__ = ["attention", "gemm", "indexing", "movement", "triangle"]
