"""Quotients rounded to whole numbers and remainders.

Of 16-bit floats PyTorch computes rounded quotients in steps, each rounded to the type, unless the divisor is a single number: then it
computes in float32 with that number as it is, and rounds once. The graph says which it is: the type of the steps is an attribute.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..asg.declare import Array, Grads, Sample, get
from ..asg.node import Node
from ..asg.saving import keep
from .elementwise import _X, _Y, binary, integer_samples
from .pointwise import mul, neg, zeros_like
from .promotion import in_steps, promoting
from .scalar import NumpyHandler


def _ref_whole(whole: Any, floating: Any) -> Any:
    """A reference whose integers are not divided by zero."""

    def ref(a: Array, b: Array, *steps: Any) -> Array:
        with np.errstate(all="ignore"):
            if a.dtype.kind not in "iu":
                return np.asarray(floating(a, b, *steps))
            if (b == 0).any():
                raise RuntimeError("ZeroDivisionError")
            return np.asarray(whole(a, b))

    return ref


def _trunc_integers(a: Array, b: Array) -> Array:
    q = np.abs(a) // np.abs(b)
    return np.where((a < 0) != (b < 0), -q, q).astype(a.dtype)


def _apart(e: Any, rest: Any, b: Any) -> Any:
    """Whether a remainder is not 0 and has another sign than the divisor."""
    zero = e.const(0)
    return e.logical_and(e.ne(rest, zero), e.logical_xor(e.lt(rest, zero), e.lt(b, zero)))


def _floor_formula(e: Any, a: Any, b: Any, steps: Any = None) -> Any:
    if steps is None:
        return e.floor_div(a, b)

    def r(x: Any) -> Any:
        return e.rounded(x, steps)

    zero, one = e.const(0), e.const(1)
    rest = r(e.fmod(a, b))
    q = r(e.div(r(e.sub(a, rest)), b))
    q = e.where(_apart(e, rest, b), r(e.sub(q, one)), q)
    whole = e.floor(q)
    whole = e.where(e.gt(r(e.sub(q, whole)), e.const(0.5)), r(e.add(whole, one)), whole)
    plain = r(e.div(a, b))
    return e.where(e.eq(b, zero), plain, e.where(e.eq(q, zero), e.mul(plain, zero), whole))


def _trunc_formula(e: Any, a: Any, b: Any, steps: Any = None) -> Any:
    return e.trunc(e.div(a, b) if steps is None else e.rounded(e.div(a, b), steps))


def _on_arrays(formula: Any) -> Any:
    return lambda a, b, *steps: formula(NumpyHandler(a.dtype), a, b, *steps)


def _single(a: Node, b: Node) -> bool:
    return math.prod(b.shape) == 1


def _vjp_remainder(rounded: str) -> Any:
    def vjp(n: Node, g: Node) -> Grads:
        return g, lambda: neg(mul(g, get(rounded)(n.srcs[0], n.srcs[1])))

    return vjp


def _zeros_both(n: Node, g: Node) -> Grads:
    return lambda: zeros_like(g), lambda: zeros_like(g)


def _quotient(name: str, formula: Any, whole: Any) -> Any:
    return binary(
        name,
        formula,
        _zeros_both,
        keep((1, (0, 1)), (0, (1,))),
        prepare=in_steps(promoting(2, elements=(True, False)), _single),
        ref=_ref_whole(whole, _on_arrays(formula)),
        samples=lambda: [Sample((_X, _Y), (), False), *integer_samples()],
    )


def _remainder(name: str, formula: Any, whole: Any, rounded: str) -> Any:
    return binary(
        name,
        formula,
        _vjp_remainder(rounded),
        keep((0, (1,)), (1, (1,))),
        prepare=promoting(2, elements=True),
        ref=_ref_whole(whole, _on_arrays(formula)),
    )


floor_divide = _quotient("floor_divide", _floor_formula, np.floor_divide)
trunc_divide = _quotient("trunc_divide", _trunc_formula, _trunc_integers)
remainder = _remainder("remainder", lambda e, a, b: e.remainder(a, b), np.remainder, "floor_divide")
fmod = _remainder("fmod", lambda e, a, b: e.fmod(a, b), np.fmod, "trunc_divide")
