"""The generators of operations with shaders of their own; importing this module registers them all."""

from __future__ import annotations

from . import attention, conv, extrema, gemm, indexing, movement, order, philox, pooling, recurrent, resize, scan

__all__ = ["attention", "conv", "extrema", "gemm", "indexing", "movement", "order", "philox", "pooling", "recurrent", "resize", "scan"]
