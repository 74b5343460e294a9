"""The generators of operations with shaders of their own; importing this module registers them all."""

from __future__ import annotations

from . import attention, complexes, conv, extrema, fourier, gemm, indexing, movement, order, philox, pooling, recurrent, resize, scan

__all__ = [
    "attention", "complexes", "conv", "extrema", "fourier", "gemm", "indexing", "movement", "order", "philox", "pooling", "recurrent",
    "resize", "scan",
]  # fmt: skip
