"""The vocabulary of elementwise formulas (ops/scalar.py) as LLVM IR, on vectors of one element type; conversions between types.

In registers booleans are i1, float16 and bfloat16 are float (rounded after every operation); in memory booleans are bytes.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ... import dtypes
from ...dtypes import dtype
from .emit import Function
from .isa import Isa
from .rounding import rounded
from .values import SIZES, Value, element, lanes, vector
from .vmath import VectorMath
from .vspecial import DOUBLE, SINGLE


def register_type(d: dtype) -> str:
    """The LLVM element type of a value."""
    if d is dtypes.bool_:
        return "i1"
    if d.category == dtypes.FLOAT:
        return "double" if d is dtypes.float64 else "float"
    return f"i{8 * d.itemsize}"


def memory_type(d: dtype) -> str:
    """The LLVM element type of a value in memory."""
    return "i8" if d is dtypes.bool_ else register_type(d)


def from_memory(f: Function, v: Value, d: dtype) -> Value:
    """A loaded value as it is computed with."""
    return f.compare("ne", v, 0) if d is dtypes.bool_ else v


def to_memory(f: Function, v: Value, d: dtype) -> Value:
    """A value as it is stored."""
    return f.convert("zext", v, vector("i8", lanes(v.type))) if d is dtypes.bool_ else v


def convert(f: Function, v: Value, src: dtype, dst: dtype) -> Value:
    """A value of type `src` as `dst`, as NumPy's ``astype`` on this machine: floats truncate, integers wrap, what is not 0 is True."""
    if src is dst:
        return v
    n = lanes(v.type)
    target = vector(register_type(dst), n)
    if dst is dtypes.bool_:
        return f.compare("ne", v, 0.0 if v.floating else 0)
    if dst.category == dtypes.FLOAT:
        if src.category == dtypes.FLOAT:
            out = f.convert("fpext" if register_type(src) == "float" else "fptrunc", v, target)
        else:
            out = f.convert("sitofp" if src.is_signed else "uitofp", v, target)
        return rounded(f, out, dst)
    if src.category == dtypes.FLOAT:
        wide = vector("i64" if dst is dtypes.int64 else "i32", n)
        # what does not fit is undefined in LLVM; frozen it is what the processor's instruction gives
        whole = f.op(wide, f"fptosi {v.type} {v.ref} to {wide}")
        return f.convert("trunc", f.op(wide, f"freeze {wide} {whole.ref}"), target)
    if src.itemsize > dst.itemsize:
        return f.convert("trunc", v, target)
    return f.convert("sext" if src.is_signed else "zext", v, target)


#: words of the vocabulary that `VectorMath` has under the same name
FUNCTIONS = ("exp", "expm1", "exp2", "log", "log1p", "log2", "log10", "sin", "cos", "tan", "tanh", "sigmoid", "erf")


class Handler:
    """Interprets formulas of one element type.

    ``d``     the type of the formula's numbers;  ``lanes`` how many at once
    ``fail``  called with a mask of lanes whose operands are an error (integer division by zero, negative integer exponents)
    """

    def __init__(self, f: Function, isa: Isa, d: dtype, lanes: int, fail: Callable[[Value], None] | None = None) -> None:
        self.f, self.type, self.lanes = f, d, lanes
        self.math = VectorMath(f, isa)
        self.register = vector(register_type(d), lanes)
        self._fail = fail
        self._cast: dict[str, dtype] = {}

    # ---------------------------------------------------------------- values
    @property
    def is_float(self) -> bool:
        return self.type.category == dtypes.FLOAT

    def dtype_of(self, v: Value) -> dtype:
        """The element type of a value of the formula."""
        found = self._cast.get(v.ref)
        return found if found is not None else dtypes.bool_ if element(v.type) == "i1" else self.type

    def const(self, value: Any) -> Value:
        if not self.is_float and self.type is not dtypes.bool_:
            with np.errstate(all="ignore"):
                value = int(np.asarray(value).astype(self.type.storage).astype(f"i{self.type.itemsize}"))
        return self.f.value(value, self.register)

    def cast(self, x: Value, d: dtype) -> Value:
        out = convert(self.f, x, self.dtype_of(x), d)
        self._cast[out.ref] = d
        return out

    def rounded(self, x: Value, d: dtype) -> Value:
        return rounded(self.f, x, d)

    def _numbers(self, *values: Value) -> tuple[Value, ...]:
        """Booleans beside numbers become numbers."""
        other = next((v for v in values if element(v.type) != "i1"), None)
        if other is None:
            return values
        d = self.dtype_of(other)
        return tuple(convert(self.f, v, self.dtype_of(v), d) for v in values)

    def _unsigned(self, v: Value) -> bool:
        return self.dtype_of(v) is dtypes.uint8

    def _truth(self, v: Value) -> Value:
        return convert(self.f, v, self.dtype_of(v), dtypes.bool_)

    # ---------------------------------------------------------------- arithmetic
    def add(self, a: Value, b: Value) -> Value:
        a, b = self._numbers(a, b)
        return a | b if element(a.type) == "i1" else a + b

    def sub(self, a: Value, b: Value) -> Value:
        a, b = self._numbers(a, b)
        return a ^ b if element(a.type) == "i1" else a - b

    def mul(self, a: Value, b: Value) -> Value:
        a, b = self._numbers(a, b)
        return a & b if element(a.type) == "i1" else a * b

    def div(self, a: Value, b: Value) -> Value:
        """Of integers: rounded towards 0, as `trunc` after an exact quotient."""
        a, b = self._numbers(a, b)
        return a / b if a.floating else self._quotient(a, b)

    def _quotient(self, a: Value, b: Value) -> Value:
        f = self.f
        zero = f.compare("eq", b, 0)
        if self._fail is not None:
            self._fail(zero)
        size = SIZES[element(a.type)]
        if size < 8:  # the quotient of doubles, truncated, is exact
            wide, whole = vector("double", lanes(a.type)), vector("i64", lanes(a.type))
            to = "uitofp" if self._unsigned(a) else "sitofp"
            q = f.convert(to, a, wide) / f.convert(to, f.select(zero, 1, b), wide)
            return f.convert("trunc", f.op(whole, f"fptosi {wide} {q.ref} to {whole}"), a.type)
        minus = f.compare("eq", b, -1)  # the smallest number divided by -1 traps
        return f.select(minus, 0 - a, f.binary("sdiv", a, f.select(zero | minus, 1, b)))

    def fmod(self, a: Value, b: Value) -> Value:
        a, b = self._numbers(a, b)
        return self.f.op(a.type, f"frem {a.type} {a.ref}, {b.ref}") if a.floating else a - self._quotient(a, b) * b

    def _apart(self, rest: Value, b: Value) -> Value:
        """Whether a remainder is not 0 and has another sign than the divisor."""
        f = self.f
        if rest.floating:
            return f.compare("ne", rest, 0.0) & ((rest < 0.0) ^ (b < 0.0))
        if self._unsigned(b):
            return f.value(0, vector("i1", lanes(b.type)))
        return f.compare("ne", rest, 0) & ((rest ^ b) < 0)

    def remainder(self, a: Value, b: Value) -> Value:
        a, b = self._numbers(a, b)
        rest = self.fmod(a, b)
        return self.f.select(self._apart(rest, b), rest + b, rest)

    def floor_div(self, a: Value, b: Value) -> Value:
        a, b = self._numbers(a, b)
        f = self.f
        if not a.floating:
            q = self._quotient(a, b)
            return f.select(self._apart(a - q * b, b), q - 1, q)
        rest = self.fmod(a, b)
        q = (a - rest) / b
        q = f.select(self._apart(rest, b), q - 1.0, q)
        floor = f.intrinsic("floor", a.type, q)
        floor = f.select((q - floor) > 0.5, floor + 1.0, floor)
        plain = a / b
        zero = self.math.copysign(f.value(0.0, a.type), plain)
        return f.select(f.compare("eq", b, 0.0), plain, f.select(f.compare("eq", q, 0.0), zero, floor))

    def neg(self, a: Value) -> Value:
        return a if element(a.type) == "i1" else -a

    def abs(self, a: Value) -> Value:
        if a.floating:
            return self.math.abs(a)
        return a if element(a.type) == "i1" or self._unsigned(a) else self.f.select(a < 0, 0 - a, a)

    def sign(self, a: Value) -> Value:
        f = self.f
        if element(a.type) == "i1":
            return a
        if a.floating:
            one = f.select(a > 0.0, f.value(1.0, a.type), f.select(a < 0.0, f.value(-1.0, a.type), f.value(0.0, a.type)))
            return f.select(self.isnan(a), a, one)
        up = f.convert("zext", f.compare("gt", a, 0, self._unsigned(a)), a.type)
        return up if self._unsigned(a) else up - f.convert("zext", a < 0, a.type)

    def pow(self, a: Value, b: Value) -> Value:
        a, b = self._numbers(a, b)
        if not a.floating:
            return self._integer_power(a, b)
        square = {2.0: lambda: a * a, 3.0: lambda: a * a * a, 1.0: lambda: a, -1.0: lambda: 1.0 / a, -2.0: lambda: 1.0 / (a * a)}
        for exponent, write in square.items():
            if b.ref == self.f.value(exponent, b.type).ref:
                return write()
        return self.math.pow(a, b)

    def _integer_power(self, a: Value, b: Value) -> Value:
        """By squaring, over all bits of the exponent."""
        f = self.f
        if element(a.type) == "i1":
            return a | (b ^ 1)
        if self._fail is not None and not self._unsigned(b):
            self._fail(b < 0)
        out, base, rest = f.variable(f.value(1, a.type)), f.variable(a), f.variable(b)
        with f.loop(0, 8 * SIZES[element(a.type)]):
            v, e = base.get(), rest.get()
            out.set(f.select(f.compare("ne", e & 1, 0), out.get() * v, out.get()))
            base.set(v * v)
            rest.set(f.binary("lshr", e, 1))
        return out.get()

    def _extremum(self, relation: str, a: Value, b: Value) -> Value:
        a, b = self._numbers(a, b)
        f = self.f
        if element(a.type) == "i1":
            return a | b if relation == "lt" else a & b
        if not a.floating:
            return f.select(f.compare(relation, a, b, self._unsigned(a)), b, a)
        # the second operand is taken if it is better, so a NaN in the first stays
        if a.ref[0] != "%":
            a, b = b, a
        out = f.select(f.compare(relation, a, b), b, a)
        known = b.ref[0] != "%" and b.ref != f.value(math.nan, b.type).ref
        return out if known else f.select(self.isnan(b), b, out)

    def maximum(self, a: Value, b: Value) -> Value:
        return self._extremum("lt", a, b)

    def minimum(self, a: Value, b: Value) -> Value:
        return self._extremum("gt", a, b)

    def fma(self, a: Value, b: Value, c: Value) -> Value:
        return self.math.mad(a, b, c) if self.is_float else self.add(self.mul(a, b), c)

    def reciprocal(self, a: Value) -> Value:
        return self.div(self.const(1), a)

    # ---------------------------------------------------------------- functions
    def sqrt(self, a: Value) -> Value:
        return self.math.sqrt(a)

    def rsqrt(self, a: Value) -> Value:
        return 1.0 / self.math.sqrt(a)

    def _rounding(self, name: str, a: Value) -> Value:
        return self.f.intrinsic(name, a.type, a) if a.floating else a

    def floor(self, a: Value) -> Value:
        return self._rounding("floor", a)

    def ceil(self, a: Value) -> Value:
        return self._rounding("ceil", a)

    def round(self, a: Value) -> Value:
        """To the nearest, ties to even."""
        return self._rounding("rint", a)

    def trunc(self, a: Value) -> Value:
        return self._rounding("trunc", a)

    def require(self, c: Value, x: Value) -> Value:
        """`x`; where `c` does not hold, the data are an error."""
        if self._fail is not None:
            self._fail(c ^ 1)
        return x

    def __getattr__(self, word: str) -> Callable[..., Value]:
        if word in FUNCTIONS:
            return getattr(self.math, word)  # type: ignore[no-any-return]
        if word in DOUBLE:
            m, fn = self.math, DOUBLE[word]
            if self.type is not dtypes.float64:
                fn = SINGLE.get(word, fn)
            return lambda *xs: m.in_double(lambda *ds: fn(m, *ds), *xs)
        raise AttributeError(f"the formula vocabulary has no {word!r}")

    # ---------------------------------------------------------------- tests and choice
    def _compare(self, relation: str, a: Value, b: Value) -> Value:
        a, b = self._numbers(a, b)
        return self.f.compare(relation, a, b, element(a.type) == "i1" or self._unsigned(a))

    def eq(self, a: Value, b: Value) -> Value:
        return self._compare("eq", a, b)

    def ne(self, a: Value, b: Value) -> Value:
        return self._compare("ne", a, b)

    def lt(self, a: Value, b: Value) -> Value:
        return self._compare("lt", a, b)

    def le(self, a: Value, b: Value) -> Value:
        return self._compare("le", a, b)

    def gt(self, a: Value, b: Value) -> Value:
        return self._compare("gt", a, b)

    def ge(self, a: Value, b: Value) -> Value:
        return self._compare("ge", a, b)

    def isnan(self, a: Value) -> Value:
        mask = vector("i1", lanes(a.type))
        return self.f.op(mask, f"fcmp uno {a.type} {a.ref}, {a.ref}") if a.floating else self.f.value(0, mask)

    def isinf(self, a: Value) -> Value:
        return self.f.compare("eq", self.math.abs(a), math.inf) if a.floating else self.f.value(0, vector("i1", lanes(a.type)))

    def where(self, c: Value, a: Value, b: Value) -> Value:
        a, b = self._numbers(a, b)
        return self.f.select(self._truth(c), a, b)

    def logical_and(self, a: Value, b: Value) -> Value:
        return self._truth(a) & self._truth(b)

    def logical_or(self, a: Value, b: Value) -> Value:
        return self._truth(a) | self._truth(b)

    def logical_xor(self, a: Value, b: Value) -> Value:
        return self._truth(a) ^ self._truth(b)

    def logical_not(self, a: Value) -> Value:
        return self._truth(a) ^ 1

    # ---------------------------------------------------------------- bits
    def bit_and(self, a: Value, b: Value) -> Value:
        a, b = self._numbers(a, b)
        return a & b

    def bit_or(self, a: Value, b: Value) -> Value:
        a, b = self._numbers(a, b)
        return a | b

    def bit_xor(self, a: Value, b: Value) -> Value:
        a, b = self._numbers(a, b)
        return a ^ b

    def bit_not(self, a: Value) -> Value:
        return a ^ (1 if element(a.type) == "i1" else -1)

    def shift_left(self, a: Value, b: Value) -> Value:
        """By more than there are bits (a negative count, too): 0."""
        a, b = self._numbers(a, b)
        return self._shift("shl", a, b, self.f.value(0, a.type))

    def shift_right(self, a: Value, b: Value) -> Value:
        """By more than there are bits: all bits are the sign."""
        a, b = self._numbers(a, b)
        if self._unsigned(a):
            return self._shift("lshr", a, b, self.f.value(0, a.type))
        return self._shift("ashr", a, b, self.f.binary("ashr", a, 8 * SIZES[element(a.type)] - 1))

    def _shift(self, name: str, a: Value, b: Value, beyond: Value) -> Value:
        bits = 8 * SIZES[element(a.type)]
        inside = self.f.compare("lt", b, bits, unsigned=True)
        return self.f.select(inside, self.f.binary(name, a, self.f.select(inside, b, 0)), beyond)
