"""Exponential, geometric and Cauchy draws: inversions of one 64-bit uniform draw each, in float64 whatever the type."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import dtypes
from . import doubles
from .checks import C_NAME, NAME, shown
from .engine import Engine
from .layout import Shape, arrange, element_count, nothing, rounded
from .uniform import uniform64

__all__ = ["cauchy", "exponential", "geometric"]

Array = np.ndarray[Any, Any]


def exponential(engine: Engine, shape: Shape, strides: Shape | None, dtype: dtypes.dtype, rate: float = 1.0) -> Array:
    """`Tensor.exponential_(rate)`: -log(1 - U) / rate. RuntimeError unless rate > 0 and the type is real floating-point."""
    rate = float(rate)
    if not rate > 0.0:
        raise RuntimeError(f"exponential_ expects lambda > 0.0, but found lambda={shown(rate)}")
    count = element_count(shape, strides)
    if count == 0:
        return nothing(shape, dtype)
    _require_continuous(dtype, "Exponential", NAME[dtype])
    return arrange(rounded(doubles.exponential(uniform64(engine, count), -1.0 / rate), dtype), shape, strides)


def geometric(engine: Engine, shape: Shape, strides: Shape | None, dtype: dtypes.dtype, p: float) -> Array:
    """`Tensor.geometric_(p)`: trials up to the first success, ceil(log U / log(1 - p)).

    RuntimeError unless 0 < p < 1, NotImplementedError for bool and complex types.
    """
    p = float(p)
    if not 0.0 < p < 1.0:
        raise RuntimeError(f"geometric_ expects p to be in (0, 1), but got p={shown(p)}")
    count = element_count(shape, strides)
    if count == 0:
        return nothing(shape, dtype)
    if dtype is dtypes.bool_ or dtype.is_complex:
        raise NotImplementedError(f"\"geometric_cpu\" not implemented for '{NAME[dtype]}'")
    return arrange(rounded(doubles.geometric(uniform64(engine, count), math.log1p(-p)), dtype), shape, strides)


def cauchy(engine: Engine, shape: Shape, strides: Shape | None, dtype: dtypes.dtype, median: float = 0.0, sigma: float = 1.0) -> Array:
    """`Tensor.cauchy_(median, sigma)`: median + sigma tan(pi (U - 1/2)).

    RuntimeError unless sigma > 0 and the type is real floating-point.
    """
    median, sigma = float(median), float(sigma)
    if not sigma > 0.0:
        raise RuntimeError(f"cauchy_ expects sigma > 0.0, but found sigma={shown(sigma)}")
    _require_continuous(dtype, "Cauchy", C_NAME[dtype])
    count = element_count(shape, strides)
    if count == 0:
        return nothing(shape, dtype)
    return arrange(rounded(doubles.cauchy(uniform64(engine, count), sigma, median), dtype), shape, strides)


def _require_continuous(dtype: dtypes.dtype, distribution: str, name: str) -> None:
    if not dtype.is_floating_point:
        raise RuntimeError(
            f"{distribution} distribution is a continuous probability distribution. dtype must be a floating point but you specified {name}"
        )
