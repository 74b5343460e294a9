"""Elementary functions as LLVM IR, on float or double vectors of any number of lanes (one lane is a scalar).

Every function reduces its argument to a short interval and evaluates a polynomial there (see coefficients.py). NaN passes through: bounds
are applied by selects whose false side is the argument, and exponents are taken from the bits of a sum with a large constant instead of
converting floats to integers, which is undefined for NaN. Functions that programs rarely use call the C library once per lane, in double
precision.

Errors against the true value, measured: float32 exp, log, sin, cos, pow, expm1, log1p 1 to 2 units in the last place, tanh half a unit,
erf 1.7e-7 relative; float64 exp, log, expm1, log1p, tanh, sin, cos, erf, pow 1 to 3 units in the last place.
"""

from __future__ import annotations

import math
from typing import Any

from ..coefficients import (
    COS32,
    COS64,
    ERF32_END,
    ERF32_FAR,
    ERF32_NEAR,
    ERF32_SCALE,
    ERF32_TABLE,
    ERF64_FAR,
    ERF64_NEAR,
    EXP2_SHORT,
    EXP32,
    EXP32_SHORT,
    EXP64,
    EXPM1_32,
    LOG2_SHORT,
    LOG32,
    LOG64,
    SIN32,
    SIN64,
)
from .values import Value, element, lanes, literal, vector
from .vpieces import BITS, MAGIC, Pieces

_LN2 = {"float": (0.693145751953125, 1.4286068203094173e-06), "double": (0.6931471803691238, 1.9082149292705877e-10)}
_LOG2_E = (1.4426950408889634, 2.0355273740931033e-17)
_LOG10_2 = {"float": (0.301025390625, 4.605038981195214e-06), "double": (0.3010299955494702, 1.1451100898021838e-10)}
_PI_2 = (1.5707963267341256, 6.077100506303966e-11, 2.0222662487959506e-21)  # two parts of 33 bits and the rest
_PI_2_WHOLE = (1.5707963267948966, 6.123233995736766e-17)


class VectorMath(Pieces):
    """Elementary functions of one function under construction."""

    # ---------------------------------------------------------------- exponentials
    def _reduced(self, x: Value) -> tuple[Value, Value]:
        """(r, n + magic) with x = n log 2 + r."""
        e = element(x.type)
        shifted = self.mad(x, 1 / math.log(2), MAGIC[e])
        n = shifted - MAGIC[e]
        high, low = _LN2[e]
        return self.mad(n, -low, self.mad(n, -high, x)), shifted

    def exp(self, x: Value) -> Value:
        single = element(x.type) == "float"
        x = self.at_most(self.at_least(x, -104.0 if single else -746.0), 89.0 if single else 710.0)
        r, shifted = self._reduced(x)
        p = self.mad(self.poly(r, EXP32 if single else EXP64), r * r, r) + 1.0
        return self.scale(p, shifted)

    def exp2(self, x: Value) -> Value:
        e = element(x.type)
        single = e == "float"
        x = self.at_most(self.at_least(x, -151.0 if single else -1076.0), 129.0 if single else 1025.0)
        shifted = x + MAGIC[e]
        r = (x - (shifted - MAGIC[e])) * math.log(2)
        p = self.mad(self.poly(r, EXP32 if single else EXP64), r * r, r) + 1.0
        return self.scale(p, shifted)

    def _expm1_parts(self, x: Value) -> tuple[Value, Value]:
        """(s, p): e^x - 1 = s p + (s - 1), with s a power of two."""
        r, shifted = self._reduced(x)
        c = EXPM1_32 if element(x.type) == "float" else EXP64
        return self.power_of_two(shifted), self.mad(self.poly(r, c), r * r, r)

    def expm1(self, x: Value) -> Value:
        single = element(x.type) == "float"
        bounded = self.at_most(self.at_least(x, -30.0 if single else -60.0), 89.0 if single else 710.0)
        # at the upper end the power of two itself is too large: use half of it and double the result
        r, shifted = self._reduced(bounded)
        p = self.mad(self.poly(r, EXPM1_32 if single else EXP64), r * r, r)
        s = self.power_of_two(shifted - 1.0)
        y = self.mad(s, p, s - 0.5) * 2.0
        return self.f.select(self.f.compare("eq", x, 0.0), x, y)

    def sigmoid(self, x: Value) -> Value:
        return 1.0 / (self.exp(-x) + 1.0)

    def tanh(self, x: Value) -> Value:
        """(e^2|x| - 1) / (e^2|x| + 1)"""
        twice = self.at_most(self.abs(x) * 2.0, 20.0 if element(x.type) == "float" else 44.0)
        s, p = self._expm1_parts(twice)
        t = self.mad(s, p, s - 1.0)
        return self.copysign(t / (t + 2.0), x)

    # ---------------------------------------------------------------- logarithms
    def _split(self, x: Value, subnormal: bool) -> tuple[Value, Value]:
        """(e, m) with x = 2^e m and sqrt(1/2) <= m < sqrt(2), for positive finite x."""
        f = self.f
        e = element(x.type)
        integer, shift, _ = BITS[e]
        type_ = vector(integer, lanes(x.type))
        small = x < (2.0**-126 if e == "float" else 2.0**-1022)
        if subnormal:
            x = f.select(small, x * 2.0**shift, x)
        root = int.from_bytes(_packed(math.sqrt(0.5), e), "little")
        exponent = f.binary("ashr", self.bits(x) - f.value(root, type_), shift)
        m = f.convert("bitcast", self.bits(x) - f.binary("shl", exponent, shift), x.type)
        if subnormal:
            exponent = f.select(small, exponent - shift, exponent)
        return f.convert("sitofp", exponent, x.type), m

    def _log_mantissa(self, g: Value) -> tuple[Value, Value]:
        """log(1 + g) as (g, a correction)."""
        if element(g.type) == "float":
            square = g * g
            return g, self.mad(square * g, self.poly(g, LOG32), square * -0.5)
        s = g / (g + 2.0)
        z = s * s
        half_square = g * g * 0.5
        return g, s * (half_square + z * self.poly(z, LOG64)) - half_square

    def _log_special(self, x: Value, y: Value) -> Value:
        """A logarithm's results at 0, infinity, NaN and below 0."""
        f = self.f
        other = f.select(f.compare("eq", x, 0.0), f.value(-math.inf, x.type), f.select(x < 0.0, math.nan, x))
        return f.select((x > 0.0) & (x < math.inf), y, other)

    def log(self, x: Value, subnormal: bool = True) -> Value:
        """``subnormal=False``: the argument is known to be no positive number that is not normal."""
        exponent, m = self._split(x, subnormal)
        high, low = _LN2[element(x.type)]
        g, rest = self._log_mantissa(m - 1.0)
        return self._log_special(x, self.mad(exponent, high, g + self.mad(exponent, low, rest)))

    def log2(self, x: Value) -> Value:
        exponent, m = self._split(x, True)
        g, rest = self._log_mantissa(m - 1.0)
        extra = 1 / math.log(2) - 1
        return self._log_special(x, exponent + (g + self.mad(g, extra, rest * (1 / math.log(2)))))

    def log10(self, x: Value) -> Value:
        exponent, m = self._split(x, True)
        high, low = _LOG10_2[element(x.type)]
        g, rest = self._log_mantissa(m - 1.0)
        return self._log_special(x, self.mad(exponent, high, self.mad(g + rest, 1 / math.log(10), exponent * low)))

    def log1p(self, x: Value) -> Value:
        """log(u) x / (u - 1) with u = 1 + x rounded (Kahan)."""
        f = self.f
        u = x + 1.0
        exact = f.compare("eq", u, 1.0)
        # the sum is rounded, so the quotient measures what rounding did
        y = self.log(u, False) * (x / f.select(exact, 1.0, u - 1.0))
        return f.select(exact | f.compare("eq", x, math.inf), x, y)

    # ---------------------------------------------------------------- circle
    def _quadrant(self, x: Value) -> tuple[Value, Value]:
        """(r, n): x = n pi/2 + r, n an integer vector, of doubles whose quotient by pi/2 is below 2^31."""
        shifted = self.mad(x, 2 / math.pi, MAGIC["double"])
        n = shifted - MAGIC["double"]
        r = self.mad(n, -_PI_2_WHOLE[1], self.f.fma(n, -_PI_2_WHOLE[0], x))
        return r, self.f.convert("trunc", self.bits(shifted), vector("i32", lanes(x.type)))

    def _sin_cos(self, r: Value) -> tuple[Value, Value]:
        """Of |r| <= pi/4."""
        z = r * r
        sine, cosine = (SIN32, COS32) if element(r.type) == "float" else (SIN64, COS64)
        half = z * 0.5
        whole = 1.0 - half
        # what rounding 1 - z/2 lost is added to the small terms
        lost = (1.0 - whole) - half
        return self.mad(r * z, self.poly(z, sine), r), whole + self.mad(z * z, self.poly(z, cosine), lost)

    def _circular(self, name: str, x: Value) -> Value:
        """sin, cos or tan. Large arguments are left to the C library, whose reduction knows enough digits of pi."""
        f = self.f
        single = element(x.type) == "float"
        limit = 2.0**30 if single else 2.0**20
        out = f.variable(f.value(0.0, x.type))

        def usual() -> None:
            if single:
                r, n = self._quadrant(self.widen(x))
                sine, cosine = self._sin_cos(self.narrow(r))
            else:
                r, tail, n = self._quadrant64(x)
                sine, cosine = self._sin_cos(r)
                sine, cosine = self.mad(tail, cosine, sine), cosine - tail * sine
            swap = f.compare("ne", n & 1, 0)
            if name == "tan":
                y = f.select(swap, -cosine, sine) / f.select(swap, sine, cosine)
            else:
                n, swap = (n + 1, f.compare("eq", n & 1, 0)) if name == "cos" else (n, swap)
                y = f.select(swap, cosine, sine)
                y = f.select(f.compare("ne", n & 2, 0), -y, y)
            out.set(f.select(f.compare("eq", x, 0.0), x, y) if name != "cos" else y)

        f.branch(self.any(f.compare("ge", self.abs(x), limit)), lambda: out.set(self.in_double(lambda d: self.library(name, d), x)), usual)
        return out.get()

    def _quadrant64(self, x: Value) -> tuple[Value, Value, Value]:
        """(r, tail, n): x = n pi/2 + r + tail for |x| < 2^20, after Cody and Waite: the first two products are exact."""
        f = self.f
        shifted = self.mad(x, 2 / math.pi, MAGIC["double"])
        n = shifted - MAGIC["double"]
        first = f.fma(n, -_PI_2[0], x)
        second = n * _PI_2[1]
        a = first - second
        lost = (first - a) - second
        third = n * _PI_2[2]
        b = a - (third - lost)
        return b, (a - b) - (third - lost), f.convert("trunc", self.bits(shifted), vector("i32", lanes(x.type)))

    def sin(self, x: Value) -> Value:
        return self._circular("sin", x)

    def cos(self, x: Value) -> Value:
        return self._circular("cos", x)

    def tan(self, x: Value) -> Value:
        return self._circular("tan", x)

    # ---------------------------------------------------------------- error function, powers
    def erf(self, x: Value) -> Value:
        if element(x.type) == "double":
            near = self.mad(x, self.poly(x * x, ERF64_NEAR), x)
            a = self.at_most(self.abs(x), 6.0)
            tail = self.exp(-(a * a)) * self.poly((a - 2.0) / (a + 2.0), ERF64_FAR)
            return self.f.select(a < 0.5, near, self.copysign(1.0 - tail, x))
        if self._lookups(x):
            return self._erf_by_table(x)
        f = self.f
        near = self.mad(x, self.poly(x * x, ERF32_NEAR), x)
        a = self.at_most(self.abs(x), 4.0)
        t = -self.poly(a, ERF32_FAR)
        shifted = self.mad(t, 1 / math.log(2), MAGIC["float"])
        n = shifted - MAGIC["float"]
        r = self.mad(n, -math.log(2), t)
        tail = self.power_of_two(shifted) * self.mad(self.poly(r, EXP32_SHORT), r, 1.0)
        return f.select(a < 1.0, near, self.copysign(1.0 - tail, x))

    def _lookups(self, x: Value) -> bool:
        """Whether 16 floats can be looked up at once, each in a table of 16."""
        return self.isa.name == "avx512" and x.type == "<16 x float>"

    def _erf_by_table(self, x: Value) -> Value:
        f = self.f
        a = self.at_most(self.abs(x), ERF32_END)
        shifted = self.mad(a, ERF32_SCALE, MAGIC["float"])
        t = self.mad(shifted - MAGIC["float"], -1 / ERF32_SCALE, a)
        number = self.bits(shifted)
        out: Any = None
        for row in reversed(ERF32_TABLE):
            lanes_ = ", ".join(f"float {literal(c, 'float')}" for c in row)
            c = f.call(x.type, "llvm.x86.avx512.permvar.sf.512", Value(f, f"<{lanes_}>", x.type), number)
            out = c if out is None else self.mad(out, t, c)
        return self.copysign(a * out, x)

    def _short_power(self, exponent: Value, m: Value, y: Value) -> Value:
        """(2^exponent m)^y of floats, by way of doubles."""
        g = self.widen(m - 1.0)
        power = self.widen(y) * self.mad(g, self.poly(g, LOG2_SHORT), self.widen(exponent))
        power = self.at_most(self.at_least(power, -160.0), 160.0)
        shifted = power + MAGIC["double"]
        r = power - (shifted - MAGIC["double"])
        return self.narrow(self.poly(r, EXP2_SHORT) * self.power_of_two(shifted))

    def _power(self, exponent: Value, m: Value, y: Value) -> Value:
        """(2^exponent m)^y of doubles: the logarithm to base 2 in two parts, since an error in it is multiplied by up to 1074."""
        f = self.f
        g, d = m - 1.0, m + 1.0
        s = g / d
        s_low = (f.fma(-s, d, g) - s * (m - (d - 1.0))) / d
        z = s * s
        # log m = 2 s + 2 s_low + s z R(z)
        small = self.mad(s * z, self.poly(z, LOG64), s_low * 2.0)
        high, low = self.exact_product(s * 2.0, _LOG2_E[0])
        low = self.mad(small, _LOG2_E[0], self.mad(s, 2.0 * _LOG2_E[1], low))
        whole = exponent + high
        rest = f.select(self.abs(whole) < math.inf, (exponent - whole) + high + low, 0.0)
        total = whole + rest
        rest = (whole - total) + rest
        power, lost = self.exact_product(y, total)
        lost = f.select(self.abs(power) < 1100.0, self.mad(y, rest, lost), 0.0)
        power = self.at_most(self.at_least(power, -1100.0), 1100.0)
        shifted = power + MAGIC["double"]
        r = ((power - (shifted - MAGIC["double"])) + lost) * math.log(2)
        return self.scale(self.mad(self.poly(r, EXP64), r * r, r) + 1.0, shifted)

    def pow(self, x: Value, y: Value) -> Value:
        """The C library's rules for the signs, zeros, infinities and NaNs."""
        f = self.f
        a = self.abs(x)
        exponent, m = self._split(a, True)
        exponent = f.select((a > 0.0) & (a < math.inf), exponent, f.select(f.compare("eq", a, 0.0), f.value(-math.inf, a.type), a))
        size = self._power(exponent, m, y) if element(x.type) == "double" else self._short_power(exponent, m, y)
        size = f.select(f.compare("eq", y, 0.0) | f.compare("eq", a, 1.0), 1.0, size)
        whole = f.compare("eq", f.intrinsic("floor", y.type, y), y)
        half = y * 0.5
        odd = whole & f.compare("ne", f.intrinsic("floor", y.type, half), half)
        no_root = (x < 0.0) & (x > -math.inf) & f.compare("eq", whole, 0) & f.compare("ne", y, 0.0)
        signed = f.select(odd, self.copysign(size, x), size)
        special = f.compare("eq", x, 1.0)
        return f.select(special, 1.0, f.select(no_root, math.nan, signed))


def _packed(value: float, type_: str) -> bytes:
    import struct

    return struct.pack("<f" if type_ == "float" else "<d", value)
