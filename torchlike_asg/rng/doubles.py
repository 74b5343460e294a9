"""Transformations of float64 draws with the C library's log, sine and so on, one value at a time: NumPy's own differ in the last bits.

Each function overwrites its argument (contiguous float64) and returns it. Compiled loops and Python's :mod:`math` agree bit for bit.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .fma import fma64
from .native import address, kernels

__all__ = ["affine", "cauchy", "exp", "exponential", "geometric", "polar_blocks", "polar_pairs"]

Array = np.ndarray[Any, Any]

_NANOSECONDS = 100.0  # a value through Python's math module and back


def _mapped(function: Callable[[float], float], values: Array) -> Array:
    return np.fromiter(map(function, values.tolist()), np.float64, values.size)


def _log(x: float) -> float:
    return math.log(x) if x else -math.inf


def _exp(x: float) -> float:
    try:
        return math.exp(x)
    except OverflowError:
        return math.inf


def polar_pairs(values: Array) -> Array:
    """Uniforms (u1, u2) side by side -> standard normals (r cos t, r sin t), r = sqrt(-2 log1p(-u2)), t = 2 pi u1."""
    native = kernels(values.size * _NANOSECONDS)
    if native is not None:
        native.polar_pairs(address(values), values.size)
        return values
    radius = np.sqrt(-2.0 * _mapped(math.log1p, -values[1::2]))
    angle = 2 * math.pi * values[0::2]
    values[0::2], values[1::2] = radius * _mapped(math.cos, angle), radius * _mapped(math.sin, angle)
    return values


def polar_blocks(values: Array, mean: float, std: float) -> Array:
    """Blocks of eight u1 and eight u2 -> normals fma(r cos t, std, mean), fma(r sin t, std, mean), r = sqrt(-2 log(1-u1)), t = 2 pi u2."""
    native = kernels(values.size * _NANOSECONDS)
    if native is not None:
        native.polar_blocks(address(values), values.size, mean, std)
        return values
    first, second = values.reshape(-1, 2, 8).swapaxes(0, 1)
    shape = first.shape
    radius = np.sqrt(-2.0 * _mapped(math.log, 1.0 - first.reshape(-1)))
    angle = 2 * math.pi * second.reshape(-1)
    first[...] = fma64(radius * _mapped(math.cos, angle), std, mean).reshape(shape)
    second[...] = fma64(radius * _mapped(math.sin, angle), std, mean).reshape(shape)
    return values


def affine(values: Array, scale: float, shift: float) -> Array:
    """fma(values, scale, shift)."""
    if scale == 1.0 and shift == 0.0:
        values += 0.0  # what is left of it: -0 becomes 0
        return values
    native = kernels(values.size * 20.0)
    if native is not None:
        native.affine(address(values), values.size, scale, shift)
    else:
        values[...] = fma64(values, scale, shift)
    return values


def exponential(values: Array, scale: float) -> Array:
    """scale * log1p(-values)."""
    native = kernels(values.size * _NANOSECONDS)
    if native is not None:
        native.exponential(address(values), values.size, scale)
    else:
        values[...] = scale * _mapped(math.log1p, -values)
    return values


def geometric(values: Array, log: float) -> Array:
    """ceil(log(values) / log), log(0) being -inf."""
    native = kernels(values.size * _NANOSECONDS)
    if native is not None:
        native.geometric(address(values), values.size, log)
    else:
        values[...] = np.ceil(_mapped(_log, values) / log)
    return values


def exp(values: Array) -> Array:
    """e^values."""
    native = kernels(values.size * _NANOSECONDS)
    if native is not None:
        native.exp(address(values), values.size)
    else:
        values[...] = _mapped(_exp, values)
    return values


def cauchy(values: Array, scale: float, shift: float) -> Array:
    """fma(scale, tan(pi (values - 1/2)), shift)."""
    native = kernels(values.size * _NANOSECONDS)
    if native is not None:
        native.cauchy(address(values), values.size, scale, shift)
    else:
        values[...] = fma64(_mapped(math.tan, math.pi * (values - 0.5)), scale, shift)
    return values
