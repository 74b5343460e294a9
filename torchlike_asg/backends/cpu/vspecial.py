"""Inverse circular, hyperbolic, Gamma and inverse error functions as LLVM IR in double precision.

Errors against the true value, measured: atan, asin, acos, sinh, cosh and the inverse hyperbolic functions 1 to 3 units in the last place,
erfc 4 and erfinv 3 of the normal numbers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ..coefficients import ATAN64, ERF64_NEAR, ERFCX64, ERFINV32_OUTER, ERFINV64_OUTER, ERFINV_CENTRAL
from .values import Value
from .vmath import VectorMath

_DIGAMMA = (1 / 12, -1 / 120, 1 / 252, -1 / 240, 1 / 132, -691 / 32760, 1 / 12)


def digamma(m: VectorMath, x: Value) -> Value:
    """The logarithmic derivative of Gamma, of doubles: recurrence up to 10, then the asymptotic series; reflection below 0."""
    f = m.f
    negative = x < 0.0
    y, shift = f.variable(f.select(negative, 1.0 - x, x)), f.variable(f.value(0.0, x.type))
    with f.loop(0, 10):
        v = y.get()
        low = v < 10.0
        shift.set(f.select(low, shift.get() - 1.0 / v, shift.get()))
        y.set(f.select(low, v + 1.0, v))
    v = y.get()
    z = 1.0 / (v * v)
    out = shift.get() + m.log(v) - 0.5 / v - z * m.poly(z, _DIGAMMA)
    out = f.select(negative, out - math.pi / m.library("tan", x * math.pi), out)
    out = f.select(f.compare("eq", x, 0.0), m.copysign(f.value(math.inf, x.type), -x), out)
    return f.select(negative & f.compare("eq", f.intrinsic("floor", x.type, x), x), math.nan, out)


def atan(m: VectorMath, x: Value) -> Value:
    """Reduced to |t| <= tan(pi/8) by atan x = pi/4 + atan((x - 1) / (x + 1)) = pi/2 - atan(1 / x), for x > 0."""
    f = m.f
    a = m.abs(x)
    middle, outer = a > math.tan(math.pi / 8), a > math.tan(3 * math.pi / 8)
    over = f.select(outer, f.value(-1.0, x.type), f.select(middle, a - 1.0, a))
    t = over / f.select(outer, a, f.select(middle, a + 1.0, 1.0))
    z = t * t
    near = m.mad(t * z, m.poly(z, ATAN64), t)
    # the parts of pi that a double does not hold
    start, rest = math.pi / 2, 6.123233995736766e-17
    high = f.select(outer, f.value(start, x.type), f.select(middle, f.value(start / 2, x.type), f.value(0.0, x.type)))
    low = f.select(outer, f.value(rest, x.type), f.select(middle, f.value(rest / 2, x.type), f.value(0.0, x.type)))
    return m.copysign(high + (near + low), x)


def asin(m: VectorMath, x: Value) -> Value:
    return atan(m, x / m.sqrt((1.0 - x) * (x + 1.0)))


def acos(m: VectorMath, x: Value) -> Value:
    """By the tangent of half the angle."""
    return atan(m, m.sqrt((1.0 - x) / (x + 1.0))) * 2.0


def sinh(m: VectorMath, x: Value) -> Value:
    """From e^|x| - 1, and where that may be too large from the square of e^|x|/2."""
    f = m.f
    a = m.abs(x)
    u = m.expm1(m.at_most(a, 40.0))
    root = m.exp(a * 0.5)
    return m.copysign(f.select(a > 40.0, (root * 0.5) * root, (u + u / (u + 1.0)) * 0.5), x)


def cosh(m: VectorMath, x: Value) -> Value:
    root = m.exp(m.abs(x) * 0.5)
    return (root * 0.5) * root + 0.5 / (root * root)


#: from here on log(1 + x) is log x, and the square roots of x^2 + 1 and x^2 - 1 are x
_LARGE = 2.0**60


def _inverse_hyperbolic(m: VectorMath, a: Value, rest: Value) -> Value:
    """log(1 + rest), or log(2 a) where `a` is large."""
    f = m.f
    large = a > _LARGE
    return m.log1p(f.select(large, a, rest)) + f.select(large, f.value(math.log(2), a.type), f.value(0.0, a.type))


def asinh(m: VectorMath, x: Value) -> Value:
    a = m.abs(x)
    square = a * a
    return m.copysign(_inverse_hyperbolic(m, a, a + square / (m.sqrt(square + 1.0) + 1.0)), x)


def acosh(m: VectorMath, x: Value) -> Value:
    t = x - 1.0
    return m.f.select(x < 1.0, math.nan, _inverse_hyperbolic(m, x, t + m.sqrt(t * (t + 2.0))))


def atanh(m: VectorMath, x: Value) -> Value:
    a = m.abs(x)
    return m.copysign(m.log1p(a * 2.0 / (1.0 - a)) * 0.5, x)


def _erfc_parts(m: VectorMath, a: Value) -> tuple[Value, Value]:
    """(e^-a^2, erfc a e^a^2), the latter for 1/2 <= a <= 28."""
    product, lost = m.exact_product(a, a)
    e = m.exp(-product)
    r = 1.0 / (a + 2.0)
    return e - e * lost, m.poly((a - 2.0) * r, ERFCX64) * r


def erfc(m: VectorMath, x: Value) -> Value:
    f = m.f
    near = m.mad(x, m.poly(x * x, ERF64_NEAR), x)
    a = m.at_most(m.abs(x), 28.0)
    e, scaled = _erfc_parts(m, a)
    tail = e * scaled
    return f.select(a < 0.5, 1.0 - near, f.select(x < 0.0, 2.0 - tail, tail))


def _near_erfinv(m: VectorMath, a: Value, outer: Sequence[float], centre: float) -> Value:
    """Some eight digits of the inverse of erf at ``0 <= a < 1``, as a polynomial in -log(1 - a^2) or its root (after Giles (2012),
    "Approximating the erfinv function")."""
    f = m.f
    w = -m.log((1.0 - a) * (a + 1.0), False)
    far = m.poly(m.sqrt(f.select(w < 5.0, 5.0, w)) - centre, outer)
    return f.select(w < 5.0, m.poly(w - 2.5, ERFINV_CENTRAL), far) * a


def _erfinv_special(m: VectorMath, x: Value, y: Value) -> Value:
    """The results at 0 and from 1 on."""
    f = m.f
    a = m.abs(x)
    y = f.select(f.compare("eq", a, 1.0), math.inf, f.select(a > 1.0, math.nan, y))
    return f.select(f.compare("eq", x, 0.0), x, m.copysign(y, x))


def erfinv_of_floats(m: VectorMath, x: Value) -> Value:
    return _erfinv_special(m, x, _near_erfinv(m, m.abs(x), ERFINV32_OUTER, 3.0))


def erfinv(m: VectorMath, x: Value) -> Value:
    """A step of Halley's method doubles the digits twice over."""
    f = m.f
    a = m.abs(x)
    y = _near_erfinv(m, a, ERFINV64_OUTER, 4.0)
    e, scaled = _erfc_parts(m, y)
    small = m.mad(y, m.poly(y * y, ERF64_NEAR), y) - a  # erf y - a, where erfc would lose digits
    off = f.select(y < 0.5, small, (1.0 - a) - e * scaled)
    step = off / (e * (2 / math.sqrt(math.pi)))
    return _erfinv_special(m, x, y - step / (step * y + 1.0))


#: functions that are computed in double precision for every floating type; the last two are the C library's
DOUBLE: dict[str, Any] = {
    "digamma": digamma,
    "erfinv": erfinv,
    "erfc": erfc,
    "asin": asin,
    "acos": acos,
    "atan": atan,
    "sinh": sinh,
    "cosh": cosh,
    "asinh": asinh,
    "acosh": acosh,
    "atanh": atanh,
    "atan2": lambda m, *xs: m.library("atan2", *xs),
    "lgamma": lambda m, *xs: m.library("lgamma", *xs),
}
#: the same where float32's digits are enough
SINGLE: dict[str, Any] = {"erfinv": erfinv_of_floats}
