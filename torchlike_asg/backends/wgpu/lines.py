"""Lines of an array along one dimension, as index spaces of `points`."""

from __future__ import annotations

from dataclasses import replace

from .calls import Lowering, View
from .copies import copy, row_major, temporary


def without(v: View, dim: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Shape and steps of the other dimensions."""
    return (*v.shape[:dim], *v.shape[dim + 1 :]), (*v.strides[:dim], *v.strides[dim + 1 :])


def flat(lowering: Lowering, v: View) -> View:
    """All elements in row-major order as one dimension: where they lie, if they lie so, or a copy."""
    if not v.contiguous:
        made = temporary(lowering, v.shape, v.dtype)
        copy(lowering, v, made)
        v = made
    count = 1
    for n in v.shape:
        count *= n
    return replace(v, shape=(count,), strides=(1,))


__all__ = ["flat", "row_major", "without"]
