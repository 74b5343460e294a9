"""Comparisons, logic, bits and tests of single numbers, element by element: operations whose results are no numbers to differentiate."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from .. import dtypes
from ..asg.declare import Op, Sample
from .elementwise import _X, _Y, binary, binary_samples, integer_samples, logic_samples, pointwise
from .promotion import promoting, title


# ---------------------------------------------------------------- comparisons
def comparison(name: str, formula: Any) -> Op:
    promote = promoting(2, elements=True)

    @functools.wraps(promote)
    def prepare(a: Any, b: Any) -> tuple[Any, ...]:
        args = promote(a, b)
        if args[0].dtype.is_complex and name not in ("eq", "ne"):
            raise NotImplementedError(f"\"{name}_cpu\" not implemented for '{title(args[0].dtype)}'")
        return args  # type: ignore[no-any-return]

    return binary(
        name, formula, category="comparison", boolean=True, prepare=prepare, samples=lambda: [*binary_samples(), *logic_samples()]
    )


eq = comparison("eq", lambda e, a, b: e.eq(a, b))
ne = comparison("ne", lambda e, a, b: e.ne(a, b))
lt = comparison("lt", lambda e, a, b: e.lt(a, b))
le = comparison("le", lambda e, a, b: e.le(a, b))
gt = comparison("gt", lambda e, a, b: e.gt(a, b))
ge = comparison("ge", lambda e, a, b: e.ge(a, b))


# ---------------------------------------------------------------- logic and bits
def _bits(kernel: str, count: int = 2) -> Any:
    promote = promoting(count)

    def prepare(*operands: Any) -> tuple[Any, ...]:
        args: tuple[Any, ...] = promote(*operands)
        if args[0].dtype.category >= dtypes.FLOAT:
            raise NotImplementedError(f"\"{kernel}_cpu\" not implemented for '{title(args[0].dtype)}'")
        return args

    return prepare


def _bit(name: str, formula: Any, kernel: str = "") -> Op:
    return binary(
        name,
        formula,
        category="logic",
        prepare=_bits(kernel or name),
        samples=lambda: [Sample((_X > 0, _Y > 0), (), False), *integer_samples()],
        differentiable=False,
    )


logical_and = binary("logical_and", lambda e, a, b: e.logical_and(a, b), category="logic", boolean=True, samples=logic_samples)
logical_or = binary("logical_or", lambda e, a, b: e.logical_or(a, b), category="logic", boolean=True, samples=logic_samples)
logical_xor = binary("logical_xor", lambda e, a, b: e.logical_xor(a, b), category="logic", boolean=True, samples=logic_samples)
logical_not = pointwise(
    "logical_not",
    "logic",
    1,
    lambda e, x: e.logical_not(x),
    boolean=True,
    prepare=None,
    samples=lambda: [Sample((_X > 0,), (), False), Sample((_X,), (), False)],
)
bitwise_and = _bit("bitwise_and", lambda e, a, b: e.bit_and(a, b))
bitwise_or = _bit("bitwise_or", lambda e, a, b: e.bit_or(a, b))
bitwise_xor = _bit("bitwise_xor", lambda e, a, b: e.bit_xor(a, b))
shift_left = _bit("bitwise_left_shift", lambda e, a, b: e.shift_left(a, b), "lshift")
shift_right = _bit("bitwise_right_shift", lambda e, a, b: e.shift_right(a, b), "rshift")
shift_left.samples = shift_right.samples = integer_samples
bitwise_not = pointwise(
    "bitwise_not",
    "logic",
    1,
    lambda e, x: e.bit_not(x),
    prepare=_bits("bitwise_not", 1),
    differentiable=False,
    ref=np.invert,
    samples=lambda: [Sample((_X > 0,), (), False), Sample((np.array([1, -4]),), (), False)],
)


# ---------------------------------------------------------------- tests
def _test(name: str, formula: Any, ref: Any) -> Op:
    return pointwise(
        name,
        "comparison",
        1,
        formula,
        boolean=True,
        prepare=None,
        ref=lambda x: ref(x) if x.dtype.kind in "fc" else np.zeros(x.shape, bool),
        samples=lambda: [Sample((np.array([1.0, np.nan, np.inf, -np.inf]),), (), False), Sample((np.array([1, 2]),), (), False)],
    )


isnan = _test("isnan", lambda e, x: e.isnan(x), np.isnan)
isinf = _test("isinf", lambda e, x: e.isinf(x), np.isinf)
