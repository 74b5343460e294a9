"""The vocabulary of elementwise formulas.

A pointwise operation writes its formula once, as a function of a *handler* `e` and values: ``lambda e, x: e.mul(x, e.sigmoid(x))``.
Who interprets the formula decides what it means: `NumpyHandler` computes, a renderer emits LLVM IR or WGSL, a printer LaTeX.

Vocabulary (every handler has all of it; values of one formula have one type unless `cast`):
arithmetic  add sub mul div neg abs sign pow fmod remainder floor_div maximum minimum reciprocal
            fma(a, b, c): a * b + c, rounded once where the processor can
functions   exp expm1 log log1p log2 log10 sqrt rsqrt sin cos tan asin acos atan atan2 sinh cosh tanh sigmoid erf erfc erfinv
            lgamma digamma exp2 asinh acosh atanh
rounding    floor ceil round trunc;  rounded(x, dtype): a number of a 16-bit float formula as that type has it
tests       eq ne lt le gt ge isnan isinf (give booleans), where(c, a, b), logical_and logical_or logical_not logical_xor
bits        bit_and bit_or bit_xor bit_not shift_left shift_right
other       const(value): a literal of the formula's type;  cast(x, dtype);  is_float: whether the type is floating
            require(c, x): x, where c holds everywhere; else the data are refused (kernels report it, and the reference raises the error)
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import dtypes
from . import special


class NumpyHandler:
    """Evaluates formulas on NumPy arrays: the reference for every other handler."""

    def __init__(self, d: Any = None) -> None:
        self.type = np.dtype(np.float64) if d is None else np.dtype(d)

    @property
    def is_float(self) -> bool:
        return self.type.kind in "fc"

    def const(self, value: Any) -> Any:
        return self.type.type(value)

    def cast(self, x: Any, d: Any) -> Any:
        return np.asarray(x).astype(d.compute)

    add, sub, mul, neg, abs = np.add, np.subtract, np.multiply, np.negative, np.absolute
    pow, fmod, maximum, minimum = np.power, np.fmod, np.maximum, np.minimum
    div, floor_div = np.true_divide, np.floor_divide
    exp, expm1, exp2, log, log2, log10, sqrt = np.exp, np.expm1, np.exp2, np.log, np.log2, np.log10, np.sqrt
    sin, cos, tan, asin, acos, atan, atan2 = np.sin, np.cos, np.tan, np.arcsin, np.arccos, np.arctan, np.arctan2
    sinh, cosh, tanh, asinh, acosh, atanh = np.sinh, np.cosh, np.tanh, np.arcsinh, np.arccosh, np.arctanh
    floor, ceil, round, trunc, sign = np.floor, np.ceil, np.rint, np.trunc, np.sign
    eq, ne, lt, le, gt, ge = np.equal, np.not_equal, np.less, np.less_equal, np.greater, np.greater_equal
    isnan, isinf, where = np.isnan, np.isinf, staticmethod(np.where)  # np.where alone would be bound as a method
    logical_and, logical_or, logical_not, logical_xor = np.logical_and, np.logical_or, np.logical_not, np.logical_xor
    bit_and, bit_or, bit_xor, bit_not = np.bitwise_and, np.bitwise_or, np.bitwise_xor, np.invert
    shift_left, shift_right = np.left_shift, np.right_shift
    erf, erfc, erfinv, lgamma, digamma, log1p, sigmoid = map(
        staticmethod, (special.erf, special.erfc, special.erfinv, special.lgamma, special.digamma, special.log1p, special.sigmoid)
    )

    def require(self, c: Any, x: Any) -> Any:
        if not np.all(c):
            raise ValueError("a value is out of range")
        return x

    def remainder(self, a: Any, b: Any) -> Any:
        if self.type.kind != "f":
            return np.remainder(a, b)
        rest = np.fmod(a, b)  # whose sign a zero keeps, unlike NumPy's
        return np.where((rest != 0) & ((rest < 0) != (b < 0)), rest + b, rest)

    def rounded(self, x: Any, d: Any) -> Any:
        return dtypes.load(dtypes.store(np.asarray(x), d), d)

    def fma(self, a: Any, b: Any, c: Any) -> Any:
        if self.type != np.float32:
            return a * b + c
        return (np.multiply(a, b, dtype=np.float64) + c).astype(np.float32)  # the product is exact, the sum almost

    def reciprocal(self, x: Any) -> Any:
        return self.type.type(1) / x

    def rsqrt(self, x: Any) -> Any:
        return self.type.type(1) / np.sqrt(x)


def evaluate(formula: Any, arrays: tuple[Any, ...], attrs: tuple[Any, ...]) -> Any:
    """A formula on arrays."""
    d = next((a.dtype for a in arrays if a.dtype.kind != "b"), arrays[0].dtype if arrays else np.float64)
    return formula(NumpyHandler(d), *arrays, *attrs)
