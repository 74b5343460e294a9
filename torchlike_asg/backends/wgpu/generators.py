"""The generators of operations with shaders of their own; importing this module registers them all."""

from __future__ import annotations

from . import (
    attention,
    complexes,
    conv,
    distance,
    extrema,
    fourier,
    gemm,
    indexing,
    movement,
    order,
    philox,
    pooling,
    recurrent,
    resize,
    scan,
    search,
)

__all__ = [
    "attention", "complexes", "conv", "distance", "extrema", "fourier", "gemm", "indexing", "movement", "order", "philox", "pooling",
    "recurrent", "resize", "scan", "search",
]  # fmt: skip
