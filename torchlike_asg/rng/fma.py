"""Fused multiply-add for NumPy arrays: x*y + z rounded once, as processors do it and NumPy does not."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np

__all__ = ["fma32", "fma64"]

Array = np.ndarray[Any, Any]

_HALFWAY = 0x10000000  # low 29 bits of a binary64 number midway between two binary32 neighbours
_SPLITTER = float(2**27 + 1)


def fma32(x: Any, y: Any, z: Any) -> Array:
    """float32 operands (arrays or scalars), float32 result.

    The product is exact in float64. Only where the float64 sum falls on the midpoint of two float32 neighbours (or is
    subnormal in float32) could the second rounding go wrong; those elements are repaired by rounding to odd first
    (Boldo and Melquiond, "Emulation of FMA and correctly rounded sums", 2008).
    """
    with np.errstate(over="ignore", invalid="ignore"):
        product = np.multiply(x, y, dtype=np.float64)
        addend = np.asarray(z, np.float64)
        total = np.asarray(product + addend)
        suspicious = ((total.view(np.int64) & 0x1FFFFFFF) == _HALFWAY) | ((total != 0) & (np.abs(total) < 2.0**-126))
        if suspicious.any():
            product, addend = np.broadcast_arrays(product, addend)
            total[suspicious] = _sum_to_odd(product[suspicious], addend[suspicious])
        return total.astype(np.float32)


def _sum_to_odd(x: Array, y: Array) -> Array:
    """x + y in float64, rounded to odd: what was cut off is recorded in the last bit."""
    total = x + y
    back = total - x
    error = (x - (total - back)) + (y - back)
    bits = total.view(np.int64)
    even = (bits & 1) == 0
    away = (error > 0) == (total > 0)  # the exact sum is larger in magnitude than the rounded one
    return np.where((error != 0) & even, bits + np.where(away, 1, -1), bits).view(np.float64)


def fma64(x: Array, y: float, z: float) -> Array:
    """float64 array times scalar plus scalar. Exact products by Dekker's splitting; extreme magnitudes in rational arithmetic."""
    sizes = [abs(v) for v in (y, z) if v != 0]
    if any(not 2.0**-400 < size < 2.0**400 for size in sizes) or not np.all((np.abs(x) < 2.0**400) & ((x == 0) | (np.abs(x) > 2.0**-400))):
        return np.array([_exact(v, y, z) for v in x.tolist()], np.float64)
    high, low = _product(x, y)
    inner_high, inner_low = _two_sum(np.float64(z), low)
    outer_high, outer_low = _two_sum(high, inner_high)
    return outer_high + _sum_to_odd(inner_low, outer_low)


def _exact(x: float, y: float, z: float) -> float:
    if not all(np.isfinite((x, y, z))):
        return x * y + z
    exact = Fraction(x) * Fraction(y) + Fraction(z)
    if exact == 0:
        return x * y + z  # keeps the sign of a zero
    try:
        return float(exact)
    except OverflowError:
        return np.inf if exact > 0 else -np.inf


def _split(x: Any) -> tuple[Any, Any]:
    scaled = x * _SPLITTER
    high = scaled - (scaled - x)
    return high, x - high


def _product(x: Array, y: float) -> tuple[Array, Array]:
    """x*y as an unevaluated sum of the rounded product and its error."""
    product = x * y
    x_high, x_low = _split(x)
    y_high, y_low = _split(y)
    return product, ((x_high * y_high - product) + x_high * y_low + x_low * y_high) + x_low * y_low


def _two_sum(x: Any, y: Any) -> tuple[Any, Any]:
    total = x + y
    back = total - x
    return total, (x - (total - back)) + (y - back)
