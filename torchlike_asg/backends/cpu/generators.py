"""The generators of operations with kernels of their own; importing this module registers them all."""

from __future__ import annotations

from . import (
    attention,
    conv,
    distance,
    extrema,
    gemm,
    indexing,
    introselect,
    introsort,
    movement,
    order,
    planes,
    pooling,
    recurrent,
    resize,
    scan,
    search,
    triangle,
)

__all__ = [
    "attention",
    "conv",
    "distance",
    "extrema",
    "gemm",
    "indexing",
    "introselect",
    "introsort",
    "movement",
    "order",
    "planes",
    "pooling",
    "recurrent",
    "resize",
    "scan",
    "search",
    "triangle",
]
