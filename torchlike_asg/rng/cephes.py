"""Float32 Box-Muller pairs with Cephes' single precision log, sine and cosine (Moshier 1989), fused as PyTorch's AVX builds are.

The coefficients serve both the NumPy path here and the compiled one in :mod:`.native.normal`; the two agree bit for bit.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .fma import fma32

__all__ = ["box_muller"]

Array = np.ndarray[Any, Any]

SQRT_HALF = 0.707106781186547524
LOG = (
    7.0376836292e-2,
    -1.1514610310e-1,
    1.1676998740e-1,
    -1.2420140846e-1,
    1.4249322787e-1,
    -1.6668057665e-1,
    2.0000714765e-1,
    -2.4999993993e-1,
    3.3333331174e-1,
)
LOG_TWO_LOW, LOG_TWO_HIGH = -2.12194440e-4, 0.693359375  # ln 2 in two parts
FOUR_OVER_PI = 1.27323954473516
MINUS_QUARTER_PI = (-0.78515625, -2.4187564849853515625e-4, -3.77489497744594108e-8)  # -pi/4 in three parts
SINE = (-1.9515295891e-4, 8.3321608736e-3, -1.6666654611e-1)
COSINE = (2.443315711809948e-5, -1.388731625493765e-3, 4.166664568298827e-2)
TWO_PI = 6.283185307179586

_BLOCK = 1 << 14  # pairs transformed at a time: the temporaries stay in cache


def box_muller(first: Array, second: Array, mean: float, std: float) -> tuple[Array, Array]:
    """Uniform float32 arrays -> fma(r cos t, std, mean) and fma(r sin t, std, mean), r = sqrt(-2 log(1 - first)), t = 2 pi second."""
    cosines, sines = np.empty_like(first), np.empty_like(first)
    for start in range(0, first.size, _BLOCK):
        part = slice(start, start + _BLOCK)
        radius = np.sqrt(np.float32(-2) * _log(np.float32(1) - first[part]))
        sine, cosine = _sincos(np.float32(TWO_PI) * second[part])
        cosines[part] = fma32(radius * cosine, np.float32(std), np.float32(mean))
        sines[part] = fma32(radius * sine, np.float32(std), np.float32(mean))
    return cosines, sines


def _horner(x: Array, coefficients: tuple[float, ...]) -> Array:
    value: Any = np.float32(coefficients[0])
    for coefficient in coefficients[1:]:
        value = fma32(value, x, np.float32(coefficient))
    return value


def _log(x: Array) -> Array:
    """Natural logarithm of float32 values in (0, 1], none subnormal."""
    bits = x.view(np.int32)
    exponent = ((bits >> 23) - 126).astype(np.float32)
    x = ((bits & 0x007FFFFF) | 0x3F000000).view(np.float32)  # mantissa in [0.5, 1)
    small = x < np.float32(SQRT_HALF)
    exponent -= small
    x = (x - np.float32(1)) + np.where(small, x, np.float32(0))
    z = x * x
    y = fma32(_horner(x, LOG) * x, z, exponent * np.float32(LOG_TWO_LOW))
    y -= z * np.float32(0.5)
    return fma32(exponent, np.float32(LOG_TWO_HIGH), x + y)


def _sincos(x: Array) -> tuple[Array, Array]:
    """Sine and cosine of non-negative float32 values: the octant selects polynomial and signs."""
    octant = ((x * np.float32(FOUR_OVER_PI)).astype(np.int32) + 1) & ~1
    y = octant.astype(np.float32)
    for part in MINUS_QUARTER_PI:
        x = fma32(y, np.float32(part), x)
    z = x * x
    by_cosine = fma32(_horner(z, COSINE) * z, z, z * np.float32(-0.5)) + np.float32(1)
    by_sine = fma32(_horner(z, SINE) * z, x, x)
    swapped = (octant & 2) != 0
    sine, cosine = np.where(swapped, by_cosine, by_sine), np.where(swapped, by_sine, by_cosine)
    sine = np.where(octant & 4, -sine, sine)
    cosine = np.where((octant - 2) & 4, cosine, -cosine)
    return sine, cosine
