"""The order in which a draw fills a tensor, and the rounding of its values to the tensor's type."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import dtypes

__all__ = ["Shape", "arrange", "dense_strides", "element_count", "gather", "is_contiguous", "nothing", "rounded"]

Array = np.ndarray[Any, Any]
Shape = tuple[int, ...]


def is_contiguous(shape: Shape, strides: Shape | None) -> bool:
    """Whether element strides (None: row major) are those of a row-major tensor. Dimensions of size 1 do not count."""
    if strides is None:
        return True
    expected = 1
    for size, stride in zip(reversed(shape), reversed(strides), strict=True):
        if size == 0:
            return True
        if size != 1:
            if stride != expected:
                return False
            expected *= size
    return True


def element_count(shape: Shape, strides: Shape | None) -> int:
    """The number of values to draw. RuntimeError for an expanded tensor, whose elements share memory."""
    if strides is not None and any(size > 1 and stride == 0 for size, stride in zip(shape, strides, strict=True)):
        raise RuntimeError(
            "unsupported operation: more than one element of the written-to tensor refers to a single memory location. "
            "Please clone() the tensor before performing the operation."
        )
    return math.prod(shape)


def _memory_order(shape: Shape, strides: Shape) -> list[int]:
    """The dimensions from the largest stride to the smallest: walking them with the last one innermost walks the memory upwards."""
    return sorted(range(len(shape)), key=lambda dimension: -strides[dimension])


def dense_strides(shape: Shape, strides: Shape | None) -> Shape | None:
    """The strides of `torch.empty_like`: the same order of dimensions, without gaps."""
    if is_contiguous(shape, strides):
        return None
    dense, step = [0] * len(shape), 1
    for dimension in reversed(_memory_order(shape, strides)):
        dense[dimension] = step
        step *= shape[dimension]
    return tuple(dense)


def nothing(shape: Shape, dtype: dtypes.dtype) -> Array:
    """The draw of no values."""
    return np.empty(shape, np.float32 if dtype is dtypes.bfloat16 else dtype.storage)


def arrange(flat: Array, shape: Shape, strides: Shape | None) -> Array:
    """Values in the order they were drawn -> an array of `shape` (a view), drawn values running through it in memory order."""
    if is_contiguous(shape, strides):
        return flat.reshape(shape)
    order = _memory_order(shape, strides)
    return flat.reshape([shape[dimension] for dimension in order]).transpose(np.argsort(order))


def gather(values: Array, shape: Shape, strides: Shape | None) -> Array:
    """The inverse of :func:`arrange`: an array that broadcasts to `shape`, flat, in the order elements are drawn."""
    values = np.broadcast_to(values, shape)
    if is_contiguous(shape, strides):
        return values.reshape(-1)
    return values.transpose(_memory_order(shape, strides)).reshape(-1)


def rounded(values: Array, dtype: dtypes.dtype) -> Array:
    """Drawn values (float64, float32, integers or bool) as NumPy's type of `dtype`; bfloat16 as float32 already rounded to it.

    float16 and bfloat16 are reached through float32, as PyTorch reaches them.
    """
    if dtype is not dtypes.bfloat16 and values.dtype == dtype.storage:
        return values
    with np.errstate(over="ignore", invalid="ignore"):
        if dtype is dtypes.bfloat16:
            return _rounded_to_bfloat16(values.astype(np.float32, copy=False))
        if dtype is dtypes.float16:
            values = values.astype(np.float32, copy=False)
        return values.astype(dtype.storage)


def _rounded_to_bfloat16(values: Array) -> Array:
    """What dtypes.store and dtypes.load make of float32 values, in fewer passes: nearest upper half of the bits, ties to even."""
    if np.isnan(values).any():
        return dtypes.load(dtypes.store(values, dtypes.bfloat16), dtypes.bfloat16)
    bits = values.view(np.uint32)
    made = bits >> np.uint32(16)
    made &= np.uint32(1)
    made += np.uint32(0x7FFF)
    made += bits
    made &= np.uint32(0xFFFF0000)
    return made.view(np.float32)
