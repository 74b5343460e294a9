"""Uniform draws on [low, high)."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import dtypes
from .checks import C_NAME, LARGEST, NAME, require_floating, shown
from .engine import Engine
from .fma import fma32, fma64
from .layout import Shape, arrange, element_count, nothing, rounded
from .native import address, kernels

__all__ = ["uniform", "uniform32", "uniform64"]

Array = np.ndarray[Any, Any]


def uniform(engine: Engine, shape: Shape, strides: Shape | None, dtype: dtypes.dtype, low: float = 0.0, high: float = 1.0) -> Array:
    """`Tensor.uniform_(low, high)`: values for a tensor of `shape` and element `strides` (None: row major), of `dtype`'s NumPy type
    (bfloat16 as float32). One word a value (float64: two); complex types draw real and imaginary parts in turn.

    RuntimeError for bounds that are out of order or of the type's range, NotImplementedError for integer types.
    """
    if dtype.is_complex:
        inner = None if strides is None else (*(2 * stride for stride in strides), 1)
        parts = uniform(engine, (*shape, 2), inner, dtype.to_real(), low, high)
        return np.ascontiguousarray(parts).view(dtype.storage)[..., 0]
    low, high = float(low), float(high)
    _check(dtype, low, high)
    count = element_count(shape, strides)
    if count == 0:
        return nothing(shape, dtype)
    if dtype is dtypes.float64:
        flat = uniform64(engine, count, low, high)
    else:
        flat = uniform32(engine, count, low, high)
        if dtype is not dtypes.float32:
            flat = rounded(flat, dtype)
            low_rounded, high_rounded = rounded(np.array([low, high]), dtype)
            flat[flat == high_rounded] = low_rounded  # rounding to the narrow type may reach the open end
    return arrange(flat, shape, strides)


def _check(dtype: dtypes.dtype, low: float, high: float) -> None:
    require_floating(dtype, "check_uniform_bounds")
    limit = LARGEST[dtype]
    for name, bound in (("from", low), ("to", high)):
        if not -limit <= bound <= limit:
            raise RuntimeError(f"{name} is out of bounds for {C_NAME[dtype]}")
    if low > high:
        raise RuntimeError(f"uniform_ expects to return a [from, to) range, but found from={shown(low)} > to={shown(high)}")
    if high - low > limit:
        raise RuntimeError(
            f"uniform_ expects to-from <= std::numeric_limits<{NAME[dtype]}>::max(), but found to={shown(high)} and "
            f"from={shown(low)} which result in to-from to exceed the limit"
        )


def uniform32(engine: Engine, count: int, low: float = 0.0, high: float = 1.0) -> Array:
    """`count` float32 values fma(U, high - low, low), U the low 24 bits of a word; a value that equals `high` becomes `low`."""
    plain = low == 0.0 and high == 1.0
    bottom, top = (low, high) if plain else (np.float32(low), np.float32(high))
    span = top - bottom
    native = kernels(count * (10.0 if plain else 20.0))
    with engine.lock:
        if native is not None and count:
            out = np.empty(count, np.float32)
            native.uniform32(engine.kernel_address(), address(out), count, bottom, span, top)
            return out
        words = engine.raw_words(count)
    unit = (words & np.uint64(2**24 - 1)).astype(np.float32) * np.float32(2.0**-24)
    if plain:
        return unit
    values = fma32(unit, span, bottom)
    values[values == top] = bottom
    return values


def uniform64(engine: Engine, count: int, low: float = 0.0, high: float = 1.0) -> Array:
    """`count` float64 values in the same way, U being the low 53 bits of a 64-bit draw."""
    native = kernels(count * 12.0)
    with engine.lock:
        if native is not None and count:
            out = np.empty(count, np.float64)
            native.uniform64(engine.kernel_address(), address(out), count, low, high - low, high)
            return out
        draws = engine.raw_draws(count)
    unit = (draws & np.uint64(2**53 - 1)) * 2.0**-53
    if low == 0.0 and high == 1.0:
        return unit
    values = fma64(unit, high - low, low)
    values[values == high] = low
    return values
