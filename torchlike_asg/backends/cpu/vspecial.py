"""Gamma and inverse error functions as LLVM IR in double precision; formulas and sources as in ops/special.py."""

from __future__ import annotations

import math
from typing import Any

from .emit import Value
from .vmath import VectorMath

_DIGAMMA = (1 / 12, -1 / 120, 1 / 252, -1 / 240, 1 / 132, -691 / 32760, 1 / 12)
# Giles (2012), "Approximating the erfinv function": starting values for w = -log(1 - x^2) below and above 5
_ERFINV_CENTRAL = (
    1.50140941,
    0.246640727,
    -0.00417768164,
    -0.00125372503,
    0.00021858087,
    -4.39150654e-06,
    -3.5233877e-06,
    3.43273939e-07,
    2.81022636e-08,
)
_ERFINV_OUTER = (
    2.83297682,
    1.00167406,
    0.00943887047,
    -0.0076224613,
    0.00573950773,
    -0.00367342844,
    0.00134934322,
    0.000100950558,
    -0.000200214257,
)


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


def erfinv(m: VectorMath, x: Value) -> Value:
    """The inverse of erf, of doubles: a starting value, then two Newton steps."""
    f = m.f
    w = -m.log((1.0 - x) * (x + 1.0))
    central = m.poly(w - 2.5, _ERFINV_CENTRAL)
    outer = m.poly(m.sqrt(f.select(w < 5.0, 5.0, w)) - 3.0, _ERFINV_OUTER)
    size = f.variable(f.select(w < 5.0, central, outer) * x)
    with f.loop(0, 2):
        y = size.get()
        error = m.library("erfc", m.abs(y)) - (1.0 - m.abs(x))  # erf |y| = 1 - erfc |y|
        step = error / (m.exp(-(y * y)) * (2 / math.sqrt(math.pi)))
        size.set(f.select(m.abs(step) < math.inf, y + m.copysign(f.value(1.0, x.type), x) * step, y))
    y = size.get()
    y = f.select(f.compare("eq", m.abs(x), 1.0), m.copysign(f.value(math.inf, x.type), x), y)
    y = f.select(f.compare("eq", x, 0.0), x, y)
    return f.select(m.abs(x) > 1.0, math.nan, y)


#: functions that are computed in double precision for every floating type; those not defined here are the C library's
DOUBLE: dict[str, Any] = {"digamma": digamma, "erfinv": erfinv} | {
    word: lambda m, *xs, name=name: m.library(name, *xs)
    for word, name in {
        "asin": "asin",
        "acos": "acos",
        "atan": "atan",
        "atan2": "atan2",
        "sinh": "sinh",
        "cosh": "cosh",
        "asinh": "asinh",
        "acosh": "acosh",
        "atanh": "atanh",
        "erfc": "erfc",
        "lgamma": "lgamma",
    }.items()
}
