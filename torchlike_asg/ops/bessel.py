"""Special functions on arrays that NumPy lacks: modified Bessel functions, Hurwitz zeta, incomplete gamma, scaled erfc, normal quantiles.

All work in double precision inside; the caller rounds. Sources are named at each function. AS = Abramowitz & Stegun (1964).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .special import _erfc, _in_double, _poly, lgamma

Array = np.ndarray[Any, Any]
_SWITCH = 30.0  # below: the power series has only positive terms; above: the asymptotic series is exact to double precision


def _bessel_series(x: Array, order: int) -> Array:
    """exp(-|x|) * I_order(x) for |x| <= `_SWITCH`; AS 9.6.10."""
    quarter = x * x / 4
    term = np.full_like(x, 1.0) if order == 0 else x / 2
    total = term.copy()
    for k in range(1, 75):
        term = term * quarter / (k * (k + order))
        total += term
    return total * np.exp(-np.abs(x))


def _bessel_asymptotic(x: Array, order: int) -> Array:
    """exp(-|x|) * I_order(|x|) for |x| > `_SWITCH`; AS 9.7.1 with mu = 4 order^2."""
    a, mu = np.abs(x), 4.0 * order * order
    term = np.ones_like(a)
    total = term.copy()
    for k in range(1, 30):
        term = term * ((2 * k - 1) ** 2 - mu) / (8 * k * a)
        total += term
    return total / np.sqrt(2 * np.pi * a)


def _scaled_bessel(x: Array, order: int) -> Array:
    near = np.abs(x) <= _SWITCH
    far = _bessel_asymptotic(np.where(near, _SWITCH, x), order)
    out = np.where(near, _bessel_series(np.where(near, x, 0.0), order), far if order == 0 else np.copysign(far, x))
    return np.where(np.isnan(x), x, out)


@_in_double
def i0e(x: Array) -> Array:
    """exp(-|x|) * I0(x), the modified Bessel function of order 0, scaled."""
    return _scaled_bessel(x, 0)


@_in_double
def i1e(x: Array) -> Array:
    """exp(-|x|) * I1(x)."""
    return _scaled_bessel(x, 1)


@_in_double
def i0(x: Array) -> Array:
    """The modified Bessel function of the first kind of order 0."""
    return _scaled_bessel(x, 0) * np.exp(np.abs(x))


@_in_double
def i1(x: Array) -> Array:
    """The modified Bessel function of the first kind of order 1."""
    return _scaled_bessel(x, 1) * np.exp(np.abs(x))


_BERNOULLI = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510)


def zeta(x: Any, q: Any) -> Array:
    """The Hurwitz zeta function, sum over k >= 0 of (q + k)^-x, by Euler-Maclaurin summation (AS 23.1.30).

    NaN where x < 1, and where a negative base meets a fractional x.
    """
    d = np.result_type(x, q)
    x, q = np.broadcast_arrays(np.asarray(x, np.float64), np.asarray(q, np.float64))
    with np.errstate(all="ignore"):
        pole = (q <= 0) & (q == np.floor(q))
        safe = np.where(pole | ~np.isfinite(q), 1.0, q)
        total, base = np.zeros(x.shape), safe
        for k in range(_terms(safe)):
            below = base < 10
            total = np.where(below | (k < 10), total + base**-x, total)
            base = np.where(below | (k < 10), base + 1, base)
        total = total + base ** (1 - x) / (x - 1) + 0.5 * base**-x
        factor, power = x, base ** (-x - 1)
        for j, b in enumerate(_BERNOULLI, 1):
            total = total + b / math.factorial(2 * j) * factor * power
            factor = factor * (x + 2 * j - 1) * (x + 2 * j)
            power = power / (base * base)
        total = np.where(pole, np.inf, total)
        total = np.where((x < 1) | (~pole & (q < 0) & (x != np.floor(x))), np.nan, total)
        total = np.where(np.isposinf(q) & (x > 1), 0.0, total)
        total = np.where(x == 1, np.inf, total)
        return np.where(np.isnan(x) | np.isnan(q), np.nan, total).astype(d if d.kind == "f" else np.float64)


def _terms(q: Array) -> int:
    """How many terms are summed one by one; 10,000 suffice for any argument in use below zero."""
    return int(min(10_000, max(10, 11 - math.floor(q.min())))) if q.size else 0


def polygamma(n: int, x: Any) -> Array:
    """The n-th derivative of digamma, n >= 1: (-1)^(n+1) n! zeta(n + 1, x) (AS 6.4.10); for n = 1 below 1/2 by reflection (AS 6.4.7)."""
    x = np.asarray(x)
    with np.errstate(all="ignore"):
        y = x.astype(np.float64)
        low = y < 0.5 if n == 1 else np.zeros(y.shape, bool)
        found = (-1.0) ** (n + 1) * math.gamma(n + 1) * zeta(np.asarray(n + 1.0), np.where(low, 1 - y, y))
        found = np.where(low, np.square(np.pi / np.sin(np.pi * y)) - found, found) if n == 1 else found
    return found.astype(x.dtype)


@_in_double
def erfcx(x: Array) -> Array:
    """exp(x^2) * erfc(x): the product while both factors are in range, then the asymptotic series (AS 7.1.23)."""
    far = x > 25
    near = np.where(far, 0.0, x)
    product = np.exp(near * near) * np.asarray(_erfc(near), np.float64)
    z = 1 / np.square(np.where(far, x, 26.0))
    series = np.sqrt(z / np.pi) * _poly(z, (1.0, -0.5, 0.75, -1.875, 6.5625))
    return np.where(np.isnan(x), x, np.where(far, series, product))


_CENTRAL = (
    (
        3.3871328727963666080e0,
        1.3314166789178437745e2,
        1.9715909503065514427e3,
        1.3731693765509461125e4,
        4.5921953931549871457e4,
        6.7265770927008700853e4,
        3.3430575583588128105e4,
        2.5090809287301226727e3,
    ),
    (
        1.0,
        4.2313330701600911252e1,
        6.8718700749205790830e2,
        5.3941960214247511077e3,
        2.1213794301586595867e4,
        3.9307895800092710610e4,
        2.8729085735721942674e4,
        5.2264952788528545610e3,
    ),
)
_MIDDLE = (
    (
        1.42343711074968357734e0,
        4.63033784615654529590e0,
        5.76949722146069140550e0,
        3.64784832476320460504e0,
        1.27045825245236838258e0,
        2.41780725177450611770e-1,
        2.27238449892691845833e-2,
        7.74545014278341407640e-4,
    ),
    (
        1.0,
        2.05319162663775882187e0,
        1.67638483018380384940e0,
        6.89767334985100004550e-1,
        1.48103976427480074590e-1,
        1.51986665636164571966e-2,
        5.47593808499534494600e-4,
        1.05075007164441684324e-9,
    ),
)
_TAIL = (
    (
        6.65790464350110377720e0,
        5.46378491116411436990e0,
        1.78482653991729133580e0,
        2.96560571828504891230e-1,
        2.65321895265761230930e-2,
        1.24266094738807843860e-3,
        2.71155556874348757815e-5,
        2.01033439929228813265e-7,
    ),
    (
        1.0,
        5.99832206555887937690e-1,
        1.36929880922735805310e-1,
        1.48753612908506148525e-2,
        7.86869131145613259100e-4,
        1.84631831751005468180e-5,
        1.42151175831644588870e-7,
        2.04426310338993978564e-15,
    ),
)


@_in_double
def ndtri(p: Array) -> Array:
    """The quantile of the standard normal distribution: Wichura (1988), algorithm AS 241."""
    q = p - 0.5
    central = np.abs(q) <= 0.425
    r = 0.180625 - q * q
    middle = q * _poly(r, _CENTRAL[0]) / _poly(r, _CENTRAL[1])
    tail = np.where(central | (p <= 0) | (p >= 1), 0.1, np.minimum(p, 1 - p))
    r = np.sqrt(-np.log(tail))
    near, far = r - 1.6, r - 5.0
    outer = np.where(r <= 5, _poly(near, _MIDDLE[0]) / _poly(near, _MIDDLE[1]), _poly(far, _TAIL[0]) / _poly(far, _TAIL[1]))
    out = np.where(central, middle, np.copysign(outer, q))
    out = np.where(p == 0, -np.inf, np.where(p == 1, np.inf, out))
    return np.where((p < 0) | (p > 1) | np.isnan(p), np.nan, out)


@_in_double
def log_ndtr(x: Array) -> Array:
    """The logarithm of the standard normal distribution function, without loss in the lower tail."""
    low = x < -1
    z = x * math.sqrt(0.5)
    tail = np.log(erfcx(np.where(low, -z, 0.0)) / 2) - z * z
    body = np.log1p(-np.asarray(_erfc(np.where(low, 0.0, z)), np.float64) / 2)
    return np.where(low, tail, body)


def igamma(a: Any, x: Any) -> Array:
    """The regularised lower incomplete gamma function P(a, x)."""
    return _incomplete_gamma(a, x, False)


def igammac(a: Any, x: Any) -> Array:
    """The regularised upper incomplete gamma function Q(a, x) = 1 - P(a, x)."""
    return _incomplete_gamma(a, x, True)


def _incomplete_gamma(a: Any, x: Any, upper: bool) -> Array:
    """P by its series below a + 1 (AS 6.5.29), Q by Legendre's continued fraction above (AS 6.5.31, evaluated by Lentz's method)."""
    d = np.result_type(a, x)
    a, x = np.broadcast_arrays(np.asarray(a, np.float64), np.asarray(x, np.float64))
    with np.errstate(all="ignore"):
        valid = (a > 0) & (x > 0) & np.isfinite(a) & np.isfinite(x)
        s, z = np.where(valid, a, 1.0), np.where(valid, x, 0.5)
        scale = np.exp(s * np.log(z) - z - lgamma(s))
        series = z < s + 1
        p = np.where(series, scale * _gamma_series(s, np.where(series, z, s)), 1 - scale * _gamma_fraction(s, np.where(series, s + 2, z)))
        q = np.where(series, 1 - p, scale * _gamma_fraction(s, np.where(series, s + 2, z)))
        out = q if upper else p
        out = np.where((x == 0) & (a >= 0), float(upper), out)
        out = np.where(np.isposinf(x) & (a >= 0), float(not upper), out)
        out = np.where((a == 0) & (x > 0), float(not upper), out)
        out = np.where((a < 0) | (x < 0) | np.isnan(a) | np.isnan(x) | ((a == 0) & (x == 0)) | (np.isinf(a) & np.isinf(x)), np.nan, out)
        out = np.where(np.isposinf(a) & np.isfinite(x) & (x >= 0), float(upper), out)
    return out.astype(d if d.kind == "f" else np.float64)


def _gamma_series(s: Array, z: Array) -> Array:
    term = 1 / s
    total = term.copy()
    for k in range(1, 2000):
        term = term * z / (s + k)
        total += term
        if not (term > total * 1e-17).any():
            break
    return total


def _gamma_fraction(s: Array, z: Array) -> Array:
    b = z + 1 - s
    c, d = np.full_like(z, 1e300), 1 / b
    h = d.copy()
    for k in range(1, 2000):
        n = -k * (k - s)
        b = b + 2
        d = 1 / (n * d + b)
        c = b + n / c
        step = c * d
        h *= step
        if not (np.abs(step - 1) > 1e-16).any():
            break
    return h
