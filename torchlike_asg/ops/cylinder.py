"""Bessel functions of order 0 and 1 of both kinds, modified ones of the second kind, spherical ones of the first, and Airy's function.

PyTorch's versions have no gradients; these have. All algorithms work in double precision. Sources: AS = Abramowitz & Stegun (1964); the
trapezoidal rule on periodic and on rapidly decaying integrands converges exponentially (Trefethen & Weideman, 2014), which turns integral
representations into short sums.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from ..asg.declare import Op
from ..asg.node import Node, weak
from .elementwise import positive_samples
from .gamma import function
from .logic import eq
from .pointwise import neg, where
from .special import _in_double

Array = np.ndarray[Any, Any]
_FAR = 25.0  # above: Hankel's expansions are exact to double precision
_NODES = 128  # of the trapezoidal rule; Bessel functions of order 128 - 64 are below 1e-16 up to `_FAR`


@functools.cache
def _weights(order: int, second: bool) -> tuple[Array, Array]:
    """Nodes s in [0, 1] and weights w with ``sum_j w[j] * cos(s[j] x)`` (sine for order 1) equal to J_order(x) (AS 9.1.21),

    or to the sum over Bessel functions of higher order in Neumann's expansion of Y_order (AS 9.1.88).
    """
    angle = 2 * np.pi * np.arange(_NODES) / _NODES
    wave = np.sin if order else np.cos
    if not second:
        weight = wave(order * angle)
    elif order == 0:
        weight = sum((-1.0) ** k / k * np.cos(2 * k * angle) for k in range(1, 32))
    else:
        weight = sum((-1.0) ** k * (2 * k + 1) / (k * (k + 1)) * np.sin((2 * k + 1) * angle) for k in range(1, 32))
    s, w = np.sin(angle), np.asarray(weight) / _NODES
    upper = s > 1e-12  # both halves of the circle, and both halves of the upper half, contribute the same
    nodes, place = np.unique(np.round(s[upper], 14), return_inverse=True)
    folded = np.bincount(place, 2 * w[upper])
    if order == 0:
        return np.append(nodes, 0.0), np.append(folded, w[~upper & (s > -1e-12)].sum())
    return nodes, folded


def _wave_sum(x: Array, order: int, second: bool) -> Array:
    wave = np.sin if order else np.cos
    total = np.zeros_like(x)
    for s, w in zip(*_weights(order, second), strict=True):
        total += w * wave(s * x)
    return total


def _hankel(x: Array, order: int, second: bool) -> Array:
    """AS 9.2.5 and 9.2.6, for x > `_FAR`."""
    mu, z = 4.0 * order * order, 8 * x
    term, p, q = np.ones_like(x), np.ones_like(x), np.zeros_like(x)
    for k in range(1, 26):
        term = term * (mu - (2 * k - 1) ** 2) / (k * z)
        if k % 2:
            q = q + (-1) ** (k // 2) * term
        else:
            p = p + (-1) ** (k // 2) * term
    # cos and sin of x - (order/2 + 1/4) pi, without rounding the difference
    c, s = np.cos(x) / math.sqrt(2), np.sin(x) / math.sqrt(2)
    cosine, sine = (c + s, s - c) if order == 0 else (s - c, -(s + c))
    wave = p * sine + q * cosine if second else p * cosine - q * sine
    return np.sqrt(2 / (np.pi * x)) * wave


def _first_kind(x: Array, order: int) -> Array:
    a = np.abs(x)
    near = a <= _FAR
    out = np.where(near, _wave_sum(np.where(near, a, 0.0), order, False), _hankel(np.where(near, _FAR, a), order, False))
    return np.copysign(1.0, x) * out if order else out


@_in_double
def j0(x: Array) -> Array:
    """The Bessel function of the first kind of order 0."""
    return _first_kind(x, 0)


@_in_double
def j1(x: Array) -> Array:
    """The Bessel function of the first kind of order 1."""
    return _first_kind(x, 1)


def _second_kind(x: Array, order: int) -> Array:
    near = x <= _FAR
    z = np.where(near & (x > 0), x, 1.0)
    log = np.log(z / 2) + np.euler_gamma
    if order == 0:
        small = 2 / np.pi * (log * _wave_sum(z, 0, False) - 2 * _wave_sum(z, 0, True))
    else:
        small = 2 / np.pi * ((log - 1) * _wave_sum(z, 1, False) - _wave_sum(z, 1, True) - _wave_sum(z, 0, False) / z)
    out = np.where(near, small, _hankel(np.where(near, _FAR, x), order, True))
    return np.where(x == 0, -np.inf, np.where((x < 0) | np.isnan(x), np.nan, out))


@_in_double
def y0(x: Array) -> Array:
    """The Bessel function of the second kind of order 0; -inf at 0, NaN below."""
    return _second_kind(x, 0)


@_in_double
def y1(x: Array) -> Array:
    """The Bessel function of the second kind of order 1; -inf at 0, NaN below."""
    return _second_kind(x, 1)


def _decaying(x: Array, order: float) -> Array:
    """exp(x) K_order(x) for x >= 2: the integral of exp(-x (cosh t - 1)) cosh(order t) over t > 0 (AS 9.6.24)."""
    step = 0.1 * np.sqrt(2 / x)
    total = np.full_like(x, 0.5)
    for k in range(1, 72):
        t = k * step
        total += np.exp(-2 * x * np.sinh(t / 2) ** 2) * np.cosh(order * t)
    return total * step


def _small_k(x: Array, order: int) -> Array:
    """K_order(x) for 0 < x <= 2 by AS 9.6.11 and 9.6.13."""
    quarter, log = x * x / 4, np.log(x / 2)
    term = np.ones_like(x)
    total = term * (-log - np.euler_gamma) if order == 0 else term * (log + np.euler_gamma - 0.5)
    harmonic = 0.0
    for k in range(1, 20):
        term = term * quarter / (k * (k + order))
        harmonic += 1 / k
        if order == 0:
            total += term * (harmonic - log - np.euler_gamma)
        else:
            total += term * (log + np.euler_gamma - harmonic - 0.5 / (k + 1))
    return total if order == 0 else 1 / x + x / 2 * total


def _modified(x: Array, order: int, scaled: bool) -> Array:
    small = x <= 2
    z = np.where(small & (x > 0), x, 1.0)
    low = _small_k(z, order) * (np.exp(z) if scaled else 1.0)
    large = np.where(small | ~np.isfinite(x), 2.0, x)
    high = _decaying(large, order) * (1.0 if scaled else np.exp(-large))
    out = np.where(small, low, np.where(np.isinf(x), 0.0, high))
    return np.where(x == 0, np.inf, np.where((x < 0) | np.isnan(x), np.nan, out))


@_in_double
def k0(x: Array) -> Array:
    """The modified Bessel function of the second kind of order 0; inf at 0, NaN below."""
    return _modified(x, 0, False)


@_in_double
def k1(x: Array) -> Array:
    """The modified Bessel function of the second kind of order 1; inf at 0, NaN below."""
    return _modified(x, 1, False)


@_in_double
def k0e(x: Array) -> Array:
    """exp(x) K0(x)."""
    return _modified(x, 0, True)


@_in_double
def k1e(x: Array) -> Array:
    """exp(x) K1(x)."""
    return _modified(x, 1, True)


@_in_double
def sphere0(x: Array) -> Array:
    """sin(x) / x."""
    return np.where(np.isinf(x), 0.0, np.where(x == 0, 1.0, np.sin(x) / np.where(x == 0, 1.0, x)))


@_in_double
def sphere1(x: Array) -> Array:
    """(sin(x) / x - cos(x)) / x, minus the derivative of `sphere0`; near 0 by its series (AS 10.1.2)."""
    near = np.abs(x) < 0.5
    z = np.where(near, x, 0.0)
    term, total = z / 3, z / 3
    for k in range(1, 10):
        term = term * -z * z / (2 * k * (2 * k + 3))
        total = total + term
    far = np.where(near, 1.0, x)
    return np.where(np.isinf(x), 0.0, np.where(near, total, (np.sin(far) / far - np.cos(far)) / far))


# ---------------------------------------------------------------- Airy
_AIRY_LOW, _AIRY_HIGH, _AIRY_STEP = -10.0, 2.0, 0.5
_AI_ZERO, _AI_SLOPE = 0.35502805388781723926, -0.25881940379280679840  # AS 10.4.4, 10.4.5


def _airy_step(centre: Any, value: Any, slope: Any, h: Any) -> tuple[Any, Any]:
    """Ai and Ai' at ``centre + h`` by Taylor's series, whose coefficients follow from y'' = x y; |h| <= 0.5."""
    before, a, b = value * 0.0, value, slope  # a[n - 1], a[n], a[n + 1]
    total, derivative, power = value + slope * h, slope + 0.0 * h, h
    for n in range(28):
        before, a, b = a, b, (centre * a + before) / ((n + 1) * (n + 2))
        derivative = derivative + (n + 2) * b * power
        power = power * h
        total = total + b * power
    return total, derivative


@functools.cache
def _airy_table() -> tuple[Array, Array, Array]:
    """Centres from `_AIRY_LOW` to `_AIRY_HIGH` with Ai and Ai' there, continued from 0 in both directions."""
    found = {0.0: (_AI_ZERO, _AI_SLOPE)}
    for direction, end in ((-_AIRY_STEP, _AIRY_LOW), (_AIRY_STEP, _AIRY_HIGH)):
        x = 0.0
        while x != end:
            found[x + direction] = _airy_step(x, *found[x], direction)
            x += direction
    centres = np.array(sorted(found))
    return centres, np.array([found[c][0] for c in centres]), np.array([found[c][1] for c in centres])


def _airy_between(x: Array, order: int) -> Array:
    centres, values, slopes = _airy_table()
    i = np.rint((x - _AIRY_LOW) / _AIRY_STEP).astype(int)
    return np.asarray(_airy_step(centres[i], values[i], slopes[i], x - centres[i])[order])


def _airy_above(x: Array, order: int) -> Array:
    """By modified Bessel functions of order 1/3 and 2/3 (AS 10.4.14, 10.4.16)."""
    zeta = 2 / 3 * x * np.sqrt(x)
    if order == 0:
        return np.sqrt(x / 3) / np.pi * _decaying(zeta, 1 / 3) * np.exp(-zeta)
    return -x / (np.pi * math.sqrt(3)) * _decaying(zeta, 2 / 3) * np.exp(-zeta)


def _airy_below(y: Array, order: int) -> Array:
    """At -y, for large y (AS 10.4.60, 10.4.62)."""
    zeta = 2 / 3 * y * np.sqrt(y)
    c, even, odd = 1.0, np.zeros_like(y), np.zeros_like(y)
    for k in range(24):
        if k:
            c *= (6 * k - 5) * (6 * k - 1) / (72 * k)
        factor = c if order == 0 else -c * (6 * k + 1) / (6 * k - 1)
        term = (-1) ** (k // 2) * factor / zeta**k
        if k % 2:
            odd = odd + term
        else:
            even = even + term
    s, r = np.sin(zeta + np.pi / 4), np.cos(zeta + np.pi / 4)
    root = np.sqrt(np.sqrt(y)) * math.sqrt(np.pi)
    return (s * even - r * odd) / root if order == 0 else -(r * even + s * odd) * np.sqrt(y) / root


def _airy(x: Array, order: int) -> Array:
    finite = np.isfinite(x)
    above, below = finite & (x > _AIRY_HIGH + 0.25), finite & (x < _AIRY_LOW)
    out = _airy_between(np.where(finite & ~above & ~below, x, 0.0), order)
    out = np.where(above, _airy_above(np.where(above, x, 4.0), order), out)
    out = np.where(below, _airy_below(np.where(below, -x, 20.0), order), out)
    return np.where(finite, out, np.nan)


@_in_double
def ai(x: Array) -> Array:
    """Airy's function Ai."""
    return _airy(x, 0)


@_in_double
def ai_slope(x: Array) -> Array:
    """The derivative of Ai."""
    return _airy(x, 1)


# ---------------------------------------------------------------- operations
def _over(n: Node, at_zero: float) -> Node:
    """The function `n` over its argument, with the limit at zero."""
    x = n.srcs[0]
    zero = eq(x, weak(0.0))
    return where(zero, weak(at_zero), n / where(zero, weak(1.0), x))


def _both(n: Node) -> tuple[Node, ...]:
    return n.srcs[0], n


def _pair(name: str, refs: Any, vjps: Any, samples: Any = None) -> tuple[Op, Op]:
    """A function whose gradient is the second, and the second, whose gradient takes both."""
    first = function(name.format(0), refs[0], vjps[0], samples=samples)
    return first, function(name.format(1), refs[1], vjps[1], _both, samples=samples)


bessel_j0, bessel_j1 = _pair(
    "bessel_j{}",
    (j0, j1),
    (lambda n, g: (neg(g * bessel_j1(n.srcs[0])),), lambda n, g: (g * (bessel_j0(n.srcs[0]) - _over(n, 0.5)),)),
)
bessel_y0, bessel_y1 = _pair(
    "bessel_y{}",
    (y0, y1),
    (lambda n, g: (neg(g * bessel_y1(n.srcs[0])),), lambda n, g: (g * (bessel_y0(n.srcs[0]) - _over(n, math.nan)),)),
    positive_samples,
)
bessel_k0, bessel_k1 = _pair(
    "bessel_k{}",
    (k0, k1),
    (lambda n, g: (neg(g * bessel_k1(n.srcs[0])),), lambda n, g: (neg(g * (bessel_k0(n.srcs[0]) + _over(n, math.nan))),)),
    positive_samples,
)
bessel_k0e = function("bessel_k0e", k0e, lambda n, g: (g * (n - bessel_k1e(n.srcs[0])),), _both, positive_samples)
bessel_k1e = function("bessel_k1e", k1e, lambda n, g: (g * (n - bessel_k0e(n.srcs[0]) - _over(n, math.nan)),), _both, positive_samples)
spherical_j0, spherical_j1 = _pair(
    "spherical_j{}",
    (sphere0, sphere1),
    (lambda n, g: (neg(g * spherical_j1(n.srcs[0])),), lambda n, g: (g * (spherical_j0(n.srcs[0]) - 2.0 * _over(n, 1 / 3)),)),
)
airy_ai = function("airy_ai", ai, lambda n, g: (g * airy_ai_slope(n.srcs[0]),))
airy_ai_slope = function("airy_ai_slope", ai_slope, lambda n, g: (g * n.srcs[0] * airy_ai(n.srcs[0]),))
