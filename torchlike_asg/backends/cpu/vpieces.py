"""What elementary functions are made of, as LLVM IR on float or double vectors of any number of lanes: see vmath.py."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .emit import Function
from .isa import Isa
from .values import Value, element, lanes, vector

#: adding it to a number rounds the number to an integer, which then is in the low bits of the sum
MAGIC = {"float": 1.5 * 2.0**23, "double": 1.5 * 2.0**52}
BITS = {"float": ("i32", 23, 127), "double": ("i64", 52, 1023)}


class Pieces:
    """Sums, products, bits and powers of two, for one function under construction."""

    def __init__(self, f: Function, isa: Isa) -> None:
        self.f, self.isa = f, isa

    def mad(self, a: Any, b: Any, c: Any) -> Value:
        """a * b + c, fused where the processor can."""
        type_ = next(x.type for x in (a, b, c) if x.__class__ is Value)
        return self.f.intrinsic("fmuladd", type_, *[self.f.value(x, type_) for x in (a, b, c)])

    def poly(self, x: Value, coefficients: Sequence[float]) -> Value:
        """c[0] + c[1] x + c[2] x^2 + ..."""
        out: Any = coefficients[-1]
        for c in coefficients[-2::-1]:
            out = self.mad(out, x, c)
        return out  # type: ignore[no-any-return]

    def abs(self, x: Value) -> Value:
        return self.f.intrinsic("fabs", x.type, x)

    def sqrt(self, x: Value) -> Value:
        return self.f.intrinsic("sqrt", x.type, x)

    def copysign(self, x: Value, sign: Value) -> Value:
        return self.f.intrinsic("copysign", x.type, x, sign)

    def at_least(self, x: Value, low: float) -> Value:
        """max(x, low); a NaN stays."""
        return self.f.select(x < low, low, x)

    def at_most(self, x: Value, high: float) -> Value:
        """min(x, high); a NaN stays."""
        return self.f.select(x > high, high, x)

    def bits(self, x: Value) -> Value:
        """The representation as integers."""
        return self.f.convert("bitcast", x, vector(BITS[element(x.type)][0], lanes(x.type)))

    def widen(self, x: Value) -> Value:
        return self.f.convert("fpext", x, vector("double", lanes(x.type)))

    def narrow(self, x: Value) -> Value:
        return self.f.convert("fptrunc", x, vector("float", lanes(x.type)))

    def in_double(self, fn: Any, *xs: Value) -> Value:
        """A function of doubles on floats."""
        return self.narrow(fn(*map(self.widen, xs))) if element(xs[0].type) == "float" else fn(*xs)

    def any(self, mask: Value) -> Value:
        """Whether a lane is set: an i1."""
        n = lanes(mask.type)
        return mask if n == 1 else self.f.compare("ne", self.f.convert("bitcast", mask, f"i{n}"), 0)

    def library(self, name: str, *xs: Value) -> Value:
        """A function of the C library of doubles, lane by lane."""
        f, n = self.f, lanes(xs[0].type)
        if n == 1:
            return f.call("double", name, *xs)  # type: ignore[no-any-return]
        helper = f"{name}_lanes{n}"
        if helper not in f.module.functions:
            g = f.module.function(helper, [(x.type, f"x{i}") for i, x in enumerate(xs)], xs[0].type, internal=True)
            memory = [g.alloca(p.type) for p in g.params]
            for p, m in zip(g.params, memory, strict=True):
                g.store(p, m, 64)
            with g.loop(0, n) as i:
                place = [g.gep(m, i, "double") for m in memory]
                g.store(g.call("double", name, *[g.load("double", p) for p in place]), place[0])
            g.ret_value(g.load(xs[0].type, memory[0], 64))
        return f.call(xs[0].type, helper, *xs)  # type: ignore[no-any-return]

    # ---------------------------------------------------------------- powers of two
    def scale(self, x: Value, shifted: Value) -> Value:
        """x * 2^n, where ``shifted = n + magic``; over- and underflow as they should be for |n| < 2 * 127 (1023)."""
        f = self.f
        e = element(x.type)
        if e == "float" and self.isa.name == "avx512" and lanes(x.type) == 16:
            n = shifted - MAGIC["float"]
            every, rounding = f.value(-1, "i16"), f.value(4, "i32")
            return f.call(x.type, "llvm.x86.avx512.mask.scalef.ps.512", x, n, x, every, rounding)  # type: ignore[no-any-return]
        _, shift, bias = BITS[e]
        whole = self.bits(shifted) - self.bits(f.splat(MAGIC[e], x.type))
        half = f.binary("ashr", whole, 1)
        first, second = (f.convert("bitcast", f.binary("shl", i + bias, shift), x.type) for i in (half, whole - half))
        return x * first * second

    def power_of_two(self, shifted: Value) -> Value:
        """2^n, where ``shifted = n + magic`` and 2^n is a normal number."""
        f = self.f
        _, shift, bias = BITS[element(shifted.type)]
        return f.convert("bitcast", f.binary("shl", self.bits(shifted), shift) + (bias << shift), shifted.type)

    def exact_product(self, a: Any, b: Any) -> tuple[Value, Value]:
        """a * b as a rounded product and what rounding took away."""
        type_ = a.type
        a, b = self.f.value(a, type_), self.f.value(b, type_)
        product = self.f.op(type_, f"fmul {type_} {a.ref}, {b.ref}")  # without leave to fuse: the rounded product is what is meant
        return product, self.f.fma(a, b, -product)
