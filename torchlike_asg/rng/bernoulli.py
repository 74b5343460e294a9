"""Bernoulli draws and the masks of dropout."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import dtypes
from .checks import NAME, shown
from .engine import Engine
from .layout import Shape, arrange, element_count, gather, rounded
from .native import address, kernels
from .uniform import uniform32, uniform64

__all__ = ["bernoulli", "bernoulli_tensor", "dropout_noise"]

Array = np.ndarray[Any, Any]


def bernoulli(engine: Engine, shape: Shape, strides: Shape | None, p: float, dtype: dtypes.dtype = dtypes.bool_) -> Array:
    """`Tensor.bernoulli_(p)` for a number p: ones with probability p, zeros elsewhere, for a tensor of `shape` and element `strides`
    (None: row major). A 64-bit draw a value, whatever the type.

    RuntimeError unless 0 <= p <= 1, NotImplementedError for complex types.
    """
    p = float(p)
    if not 0.0 <= p <= 1.0:
        raise RuntimeError(f"bernoulli_ expects p to be in [0, 1], but got p={shown(p)}")
    count = element_count(shape, strides)
    if count:
        _check_result(dtype)
    return arrange(rounded(_draw(engine, count, p), dtype), shape, strides)


def _draw(engine: Engine, count: int, p: float) -> Array:
    threshold = math.ceil(p * 2**53)  # exact: low 53 bits < p * 2^53
    native = kernels(count * 8.0)
    with engine.lock:
        if native is not None and count:
            out = np.empty(count, np.bool_)
            native.bernoulli(engine.kernel_address(), address(out), count, threshold)
            return out
        return (engine.raw_draws(count) & np.uint64(2**53 - 1)) < np.uint64(threshold)


def bernoulli_tensor(
    engine: Engine, shape: Shape, strides: Shape | None, p: Array, p_dtype: dtypes.dtype, dtype: dtypes.dtype | None = None
) -> Array:
    """`torch.bernoulli(p)` and `Tensor.bernoulli_(p)` for a tensor p of `p_dtype` that broadcasts to `shape`. A word a value, compared
    in float32; two where p is float64. The result is of `dtype`, or of `p_dtype`. (`torch.bernoulli` is row major however p lies.)

    RuntimeError if a probability is not in [0, 1], NotImplementedError for types that are not real floating-point.
    """
    dtype = p_dtype if dtype is None else dtype
    count = element_count(shape, strides)
    if count == 0:
        return rounded(np.empty(shape, np.bool_), dtype)
    _check_result(dtype)
    if not p_dtype.is_floating_point:
        raise NotImplementedError(f"\"bernoulli_tensor_cpu_p_\" not implemented for '{NAME[p_dtype]}'")
    chances = gather(p, shape, strides)
    if not (chances.min() >= 0 and chances.max() <= 1):
        raise RuntimeError("Expected p_in >= 0 && p_in <= 1 to be true, but got false.")
    draws = uniform64(engine, count) if p_dtype is dtypes.float64 else uniform32(engine, count)
    return arrange(rounded(draws < chances, dtype), shape, strides)


def _check_result(dtype: dtypes.dtype) -> None:
    if dtype.is_complex:
        raise NotImplementedError(f"\"bernoulli_tensor_cpu_self_\" not implemented for '{NAME[dtype]}'")


def dropout_noise(engine: Engine, shape: Shape, strides: Shape | None, dtype: dtypes.dtype, p: float) -> Array:
    """The factors of dropout with 0 < p < 1: 0 with probability p, otherwise 1/(1-p) rounded to `dtype`. Two words a value.

    Dropout of nothing, of everything, and outside training draws nothing: the caller sees to that.
    """
    keep = bernoulli(engine, shape, strides, 1.0 - p)
    scale = rounded(np.array([1.0 / _as_computed(1.0 - p, dtype)]), dtype)[0]
    return keep * scale


def _as_computed(value: float, dtype: dtypes.dtype) -> float:
    """A Python number as it enters arithmetic with tensors of `dtype`: float32 for the types below it."""
    return value if dtype is dtypes.float64 else float(np.float32(value))
