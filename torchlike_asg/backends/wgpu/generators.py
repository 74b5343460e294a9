"""The generators of operations with shaders of their own; importing this module registers them all."""

from __future__ import annotations

from . import (
    attention,
    conv,
    gemm,
    indexing,
    philox,
    pooling,
)

__all__ = [
    "attention",
    "conv",
    "gemm",
    "indexing",
    "philox",
    "pooling",
]
