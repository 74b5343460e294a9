"""The vocabulary of elementwise formulas (ops/scalar.py) as WGSL on single numbers; conversions between element types.

In registers floats of every type are f32 (float16 and bfloat16 rounded after every operation), integers i32 (the short ones wrapped after
every operation), booleans bool. Elements of memory are f32, i32 and u32, see calls.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ... import dtypes
from ...dtypes import dtype
from .wgslmath import literal


@dataclass(frozen=True)
class Value:
    """An expression that may be written any number of times (a name or a literal), and the element type of what it is."""

    text: str
    dtype: dtype

    @property
    def floating(self) -> bool:
        return self.dtype.is_floating_point

    @property
    def boolean(self) -> bool:
        return self.dtype is dtypes.bool_

    def __str__(self) -> str:
        return self.text


def register_type(d: dtype) -> str:
    return "f32" if d.is_floating_point else "bool" if d is dtypes.bool_ else "i32"


class Block:
    """Lines of WGSL, with names for intermediate values."""

    def __init__(self, prefix: str = "t") -> None:
        self.lines: list[str] = []
        self.prefix, self._count = prefix, 0
        self._known: dict[tuple[str, str], Value] = {}

    def let(self, text: str, d: dtype) -> Value:
        """A name for an expression."""
        key = (text, register_type(d))
        found = self._known.get(key)
        if found is None or found.dtype is not d:
            self._count += 1
            name = f"{self.prefix}{self._count}"
            self.lines.append(f"let {name} = {text};")
            found = self._known[key] = Value(name, d)
        return found

    def add(self, line: str) -> None:
        self.lines.append(line)


#: the least and the greatest int64, which stand for "less" and "more than all others": so do those of 32 bits in their place
_EXTREMES = (-(2**63), 2**63 - 1)


def constant(value: Any, d: dtype) -> Value:
    """A literal of a type."""
    if d is dtypes.bool_:
        return Value("true" if value else "false", d)
    if d.is_floating_point:
        with np.errstate(over="ignore"):
            number = float(np.float32(value))
        if math.isnan(number):
            return Value("k_nan()", d)
        if math.isinf(number):
            return Value("k_inf()" if number > 0 else "(-k_inf())", d)
        if number == 0 and math.copysign(1, number) < 0:
            return Value("k_copysign(0f, -1f)", d)
        text = literal(number)
        return Value(f"({text})" if number < 0 else text, d)
    with np.errstate(all="ignore"):
        whole = int(np.asarray(value).astype(d.storage))
    if d is dtypes.int64 and not -(2**31) <= whole < 2**31:
        if whole not in _EXTREMES:
            raise OverflowError(f"the int64 {whole} does not fit into 32 bits, which is how the wgpu device computes")
        whole = max(min(whole, 2**31 - 1), -(2**31))
    return Value(integer(whole), d)


def integer(whole: int) -> str:
    """An i32 literal."""
    return "(-2147483647 - 1)" if whole == -(2**31) else f"({whole})" if whole < 0 else str(whole)


def wrapped(b: Block, v: Value) -> Value:
    """A value as its element type holds it: short integers wrap, 16-bit floats are rounded."""
    d = v.dtype
    if d is dtypes.float16:
        return b.let(f"k_round_f16({v})", d)
    if d is dtypes.bfloat16:
        return b.let(f"k_round_bf16({v})", d)
    if d is dtypes.uint8:
        return b.let(f"({v} & 255)", d)
    if d in (dtypes.int8, dtypes.int16):
        bits = 32 - 8 * d.itemsize
        return b.let(f"(({v} << {bits}u) >> {bits}u)", d)
    return v


def convert(b: Block, v: Value, d: dtype) -> Value:
    """A value as another type: floats truncate, integers wrap, what is not 0 is True."""
    src = v.dtype
    if src is d:
        return v
    if d is dtypes.bool_:
        return b.let(f"!({v} == 0f)" if v.floating else f"({v} != 0)", d)  # a NaN is True, and may not be taken to be != 0
    if d.is_floating_point:
        if src is dtypes.bool_:
            return b.let(f"select(0f, 1f, {v})", d)
        if v.floating:
            return v if d is dtypes.float32 else wrapped(b, Value(v.text, d))
        return wrapped(b, b.let(f"f32({v})", d))
    if src is dtypes.bool_:
        return b.let(f"select(0, 1, {v})", d)
    if v.floating:
        return wrapped(b, b.let(f"k_to_int({v})", d))
    if d in (dtypes.int32, dtypes.int64):
        return Value(v.text, d)
    return wrapped(b, Value(v.text, d))


def from_memory(b: Block, text: str, d: dtype) -> Value:
    """A loaded element as it is computed with."""
    return b.let(f"({text} != 0u)" if d is dtypes.bool_ else text, d)


def to_memory(v: Value) -> str:
    """A value as it is stored."""
    return f"select(0u, 1u, {v})" if v.boolean else v.text


#: words that are functions of one float: name in wgslmath
_UNARY = {
    name: f"k_{name}"
    for name in (
        "exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh",
        "asinh", "acosh", "atanh", "sigmoid", "erf", "erfc", "erfinv", "lgamma", "digamma", "sqrt",
    )
}  # fmt: skip
WORDS = frozenset(_UNARY)


def _endless(x: Value) -> str:
    """Whether a number is not finite, by its bits: compilers take ``x - x`` and ``x * 0`` for 0, and ``x / x`` for 1, in any case."""
    return f"k_isnan({x}) || k_isinf({x})"


class Handler:
    """Interprets formulas of one element type, adding lines to a block."""

    def __init__(self, block: Block, d: dtype, fail: Callable[[Value, Value], None] | None = None) -> None:
        """`fail(c, x)` adds what is to happen where a value x, of which a formula requires c, is not as it should be."""
        self.b, self.type, self._fail = block, d, fail

    # ---------------------------------------------------------------- values
    @property
    def is_float(self) -> bool:
        return self.type.category == dtypes.FLOAT

    def const(self, value: Any) -> Value:
        return constant(value, self.type)

    def cast(self, x: Value, d: dtype) -> Value:
        return convert(self.b, x, d)

    def rounded(self, x: Value, d: dtype) -> Value:
        return Value(wrapped(self.b, Value(x.text, d)).text, x.dtype)

    def _numbers(self, *values: Value) -> tuple[Value, ...]:
        """Booleans beside numbers become numbers."""
        other = next((v for v in values if not v.boolean), None)
        if other is None:
            return values
        return tuple(convert(self.b, v, other.dtype) if v.boolean else v for v in values)

    def _truth(self, v: Value) -> Value:
        return convert(self.b, v, dtypes.bool_)

    def _make(self, text: str, like: Value) -> Value:
        out = self.b.let(text, like.dtype)
        return out if like.floating else wrapped(self.b, out)

    def _test(self, text: str) -> Value:
        return self.b.let(text, dtypes.bool_)

    # ---------------------------------------------------------------- arithmetic
    def _arithmetic(self, sign: str, logical: str, a: Value, b: Value) -> Value:
        a, b = self._numbers(a, b)
        return self._make(f"({a} {logical} {b})" if a.boolean else f"({a} {sign} {b})", a)

    def add(self, a: Value, b: Value) -> Value:
        return self._arithmetic("+", "||", a, b)

    def sub(self, a: Value, b: Value) -> Value:
        if a.floating and a.text == b.text:
            return self._make(f"select({a} - {a}, k_nan(), {_endless(a)})", a)
        return self._arithmetic("-", "!=", a, b)

    def mul(self, a: Value, b: Value) -> Value:
        for x, zero in ((a, b), (b, a)):
            if x.floating and zero.text == "0f":
                return self._make(f"select({x} * 0f, k_nan(), {_endless(x)})", x)
        return self._arithmetic("*", "&&", a, b)

    def div(self, a: Value, b: Value) -> Value:
        """Of integers: rounded towards 0."""
        a, b = self._numbers(a, b)
        if a.floating and a.text == b.text:
            return self._make(f"select(1f, k_nan(), {a} == 0f || {_endless(a)})", a)
        if a.floating and b.text == "0f":  # Mesa's compiler makes 0 of a quotient by a constant 0
            return self._make(f"select({a} * k_inf(), k_nan(), {a} == 0f)", a)
        return self._make(f"({a} / {b})" if a.floating else f"({a} / select({b}, 1, {b} == 0))", a)

    def _pair(self, real: str, whole: str, a: Value, b: Value) -> Value:
        a, b = self._numbers(a, b)
        return self._make(f"{real if a.floating else whole}({a}, {b})", a)

    def fmod(self, a: Value, b: Value) -> Value:
        return self._pair("k_fmod", "k_imod", a, b)

    def remainder(self, a: Value, b: Value) -> Value:
        return self._pair("k_remainder", "k_iremainder", a, b)

    def floor_div(self, a: Value, b: Value) -> Value:
        return self._pair("k_floor_div", "k_ifloor_div", a, b)

    def neg(self, a: Value) -> Value:
        return a if a.boolean else self._make(f"(-{a})", a)

    def abs(self, a: Value) -> Value:
        return a if a.boolean else self._make(f"abs({a})", a)

    def sign(self, a: Value) -> Value:
        if a.boolean:
            return a
        return self._make(f"k_sign({a})" if a.floating else f"sign({a})", a)

    def pow(self, a: Value, b: Value) -> Value:
        a, b = self._numbers(a, b)
        if a.boolean:
            return self._make(f"({a} || !{b})", a)
        if not a.floating:
            return self._make(f"k_ipow({a}, {b})", a)
        square = {"2f": f"({a} * {a})", "3f": f"({a} * {a} * {a})", "1f": f"({a})", "(-1f)": f"(1f / {a})", "(-2f)": f"(1f / ({a} * {a}))"}
        return self._make(square.get(b.text, f"k_pow({a}, {b})"), a)

    def maximum(self, a: Value, b: Value) -> Value:
        a, b = self._numbers(a, b)
        return self._make(f"({a} || {b})" if a.boolean else f"k_max({a}, {b})" if a.floating else f"max({a}, {b})", a)

    def minimum(self, a: Value, b: Value) -> Value:
        a, b = self._numbers(a, b)
        return self._make(f"({a} && {b})" if a.boolean else f"k_min({a}, {b})" if a.floating else f"min({a}, {b})", a)

    def fma(self, a: Value, b: Value, c: Value) -> Value:
        return self._make(f"fma({a}, {b}, {c})", a) if a.floating else self.add(self.mul(a, b), c)

    def reciprocal(self, a: Value) -> Value:
        return self.div(self.const(1), a)

    # ---------------------------------------------------------------- functions
    def atan2(self, a: Value, b: Value) -> Value:
        return self._make(f"k_atan2({a}, {b})", a)

    def rsqrt(self, a: Value) -> Value:
        return self._make(f"(1f / k_sqrt({a}))", a)

    def _rounding(self, name: str, a: Value) -> Value:
        return self._make(f"{name}({a})", a) if a.floating else a

    def floor(self, a: Value) -> Value:
        return self._rounding("floor", a)

    def ceil(self, a: Value) -> Value:
        return self._rounding("ceil", a)

    def round(self, a: Value) -> Value:
        """To the nearest, ties to even."""
        return self._rounding("round", a)

    def trunc(self, a: Value) -> Value:
        return self._rounding("trunc", a)

    def require(self, c: Value, x: Value) -> Value:
        """`x`; where `c` does not hold, the data are an error."""
        if self._fail is not None:
            self._fail(c, x)
        return x

    def __getattr__(self, word: str) -> Callable[..., Value]:
        name = _UNARY.get(word)
        if name is None:
            raise AttributeError(f"the formula vocabulary has no {word!r}")
        return lambda a: self._make(f"{name}({a})", a)

    # ---------------------------------------------------------------- tests and choice
    def _compare(self, sign: str, a: Value, b: Value) -> Value:
        a, b = self._numbers(a, b)
        if a.boolean and sign not in ("==", "!="):
            a, b = (convert(self.b, v, dtypes.int32) for v in (a, b))
        return self._test(f"({a} {sign} {b})")

    def eq(self, a: Value, b: Value) -> Value:
        return self._compare("==", a, b)

    def ne(self, a: Value, b: Value) -> Value:
        a, b = self._numbers(a, b)
        if a.floating:  # an implementation may take != to mean "less or greater", which two NaNs are not
            return self._test(f"!({a} == {b})")
        return self._compare("!=", a, b)

    def lt(self, a: Value, b: Value) -> Value:
        return self._compare("<", a, b)

    def le(self, a: Value, b: Value) -> Value:
        return self._compare("<=", a, b)

    def gt(self, a: Value, b: Value) -> Value:
        return self._compare(">", a, b)

    def ge(self, a: Value, b: Value) -> Value:
        return self._compare(">=", a, b)

    def isnan(self, a: Value) -> Value:
        return self._test(f"k_isnan({a})") if a.floating else Value("false", dtypes.bool_)

    def isinf(self, a: Value) -> Value:
        return self._test(f"k_isinf({a})") if a.floating else Value("false", dtypes.bool_)

    def where(self, c: Value, a: Value, b: Value) -> Value:
        a, b = self._numbers(a, b)
        return self.b.let(f"select({b}, {a}, {self._truth(c)})", a.dtype)

    def logical_and(self, a: Value, b: Value) -> Value:
        return self._test(f"({self._truth(a)} && {self._truth(b)})")

    def logical_or(self, a: Value, b: Value) -> Value:
        return self._test(f"({self._truth(a)} || {self._truth(b)})")

    def logical_xor(self, a: Value, b: Value) -> Value:
        return self._test(f"({self._truth(a)} != {self._truth(b)})")

    def logical_not(self, a: Value) -> Value:
        return self._test(f"!{self._truth(a)}")

    # ---------------------------------------------------------------- bits
    def bit_and(self, a: Value, b: Value) -> Value:
        return self._arithmetic("&", "&&", a, b)

    def bit_or(self, a: Value, b: Value) -> Value:
        return self._arithmetic("|", "||", a, b)

    def bit_xor(self, a: Value, b: Value) -> Value:
        return self._arithmetic("^", "!=", a, b)

    def bit_not(self, a: Value) -> Value:
        return self._test(f"!{a}") if a.boolean else self._make(f"(~{a})", a)

    def shift_left(self, a: Value, b: Value) -> Value:
        """By more than there are bits (a negative count, too): 0."""
        a, b = self._numbers(a, b)
        return self._make(f"k_ishl({a}, {b})", a)

    def shift_right(self, a: Value, b: Value) -> Value:
        """By more than there are bits: all bits are the sign."""
        a, b = self._numbers(a, b)
        return self._make(f"k_ishr({a}, {b})", a)
