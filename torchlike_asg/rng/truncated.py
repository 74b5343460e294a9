"""Normal values inside bounds, by PyTorch's rejection scheme: whole tensors are redrawn, only the rejected places change."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import dtypes
from .engine import Engine
from .layout import Shape, dense_strides, rounded
from .normal import normal
from .uniform import uniform

__all__ = ["trunc_normal"]

Array = np.ndarray[Any, Any]

LIKELY = 0.3  # above this chance of falling inside, plain normals are drawn until they do


def _cdf(x: float) -> float:
    return (1.0 + math.erf(x / math.sqrt(2.0))) / 2.0


def trunc_normal(
    engine: Engine,
    shape: Shape,
    strides: Shape | None,
    dtype: dtypes.dtype,
    mean: float = 0.0,
    std: float = 1.0,
    a: float = -2.0,
    b: float = 2.0,
) -> Array:
    """`nn.init.trunc_normal_`: values of N(mean, std^2) that lie in [a, b], both bounds rounded to `dtype` first.

    Where [a, b] holds less than 0.3 of the distribution, uniform candidates are accepted with the density's ratio to its peak; that
    test takes logarithms in `dtype`, so a value could differ from PyTorch's if a logarithm differed at the very threshold.
    """
    again = dense_strides(shape, strides)
    if _cdf((b - mean) / std) - _cdf((a - mean) / std) > LIKELY:
        low, high = rounded(np.array([a, b]), dtype)
        values = normal(engine, shape, strides, dtype, mean, std)
        while (outside := (values < low) | (values > high)).any():
            values = np.where(outside, normal(engine, shape, again, dtype, mean, std), values)
        return values

    peak = -0.5 * ((max(a, min(mean, b)) - mean) / std) ** 2

    def rejected(candidates: Array) -> Array:
        compute = dtype.compute.type

        def step(values: Array) -> Array:
            return rounded(values, dtype).astype(compute, copy=False)

        # In the 16-bit types PyTorch rounds a number to the type before it adds or subtracts it, but not before it multiplies or divides.
        shift, top = step(np.array([mean, peak]))
        with np.errstate(divide="ignore"):
            log_density = step(step(candidates.astype(compute, copy=False) - shift) / compute(std))
            log_density = step(step(step(log_density * log_density) * compute(-0.5)) - top)
            chance = step(np.log(uniform(engine, shape, again, dtype).astype(np.float64)))
        return chance > log_density

    values = uniform(engine, shape, strides, dtype, a, b)
    pending = rejected(values)
    while pending.any():
        candidates = uniform(engine, shape, again, dtype, a, b)
        values = np.where(pending, candidates, values)
        pending &= rejected(candidates)
    return values
