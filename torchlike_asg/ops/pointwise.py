"""Arithmetic and choice, element by element. Each operation states its formula once, for every backend."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from .. import dtypes
from ..asg.declare import CONST, SCALAR, Array, Grads, Op, Sample, get, node
from ..asg.geometry import broadcast
from ..asg.node import Node, weak
from ..asg.saving import keep, keep_result
from .elementwise import (
    _P,
    _X,
    _Y,
    BOTH,
    bar,
    binary,
    integer_samples,
    pointwise,
    positive_samples,
    unary,
)
from .formula import refuse
from .logic import eq, ge, gt, le, logical_and, logical_or, lt, ne
from .power import power
from .promotion import promoting, title

# ---------------------------------------------------------------- four operations
#: 16-bit floats are added to numbers that are rounded as they are, and multiplied with those that are not
_rounding_numbers = promoting(2, elements=True)


def _ref_add(a: Array, b: Array) -> Array:
    return np.logical_or(a, b) if a.dtype.kind == "b" else np.add(a, b)


def _ref_mul(a: Array, b: Array) -> Array:
    return np.logical_and(a, b) if a.dtype.kind == "b" else np.multiply(a, b)


@functools.wraps(_rounding_numbers)
def _prepare_sub(a: Any, b: Any) -> tuple[Any, ...]:
    booleans = (node(a).dtype is dtypes.bool_) + (node(b).dtype is dtypes.bool_)
    if booleans == 2:
        raise RuntimeError(
            "Subtraction, the `-` operator, with two bool tensors is not supported. Use the `^` or `logical_xor()` operator instead."
        )
    if booleans:
        raise RuntimeError(
            "Subtraction, the `-` operator, with a bool tensor is not supported. If you are trying to invert a mask, use the `~` or `logical_not()` operator instead."  # noqa: E501
        )
    return _rounding_numbers(a, b)  # type: ignore[no-any-return]


add = binary("add", lambda e, a, b: e.add(a, b), lambda n, g: (g, g), ref=_ref_add, prepare=_rounding_numbers)
sub = binary("sub", lambda e, a, b: e.sub(a, b), lambda n, g: (g, lambda: neg(g)), prepare=_prepare_sub, ref=np.subtract)
mul = binary(
    "mul", lambda e, a, b: e.mul(a, b), lambda n, g: (lambda: mul(g, bar(n.srcs[1])), lambda: mul(g, bar(n.srcs[0]))), BOTH, ref=_ref_mul
)
div = binary(
    "div",
    lambda e, a, b: e.div(a, b),
    lambda n, g: (lambda: div(g, bar(n.srcs[1])), lambda: neg(mul(div(g, bar(n.srcs[1])), bar(div(n.srcs[0], n.srcs[1]))))),
    keep((1, (0, 1)), (0, (1,))),
    floating=True,
)
neg = unary("neg", lambda e, x: e.neg(x), lambda n, g: (neg(g),), None, floating=False, ref=np.negative)


def _rule_neg(x: Node) -> Any:
    if x.dtype is dtypes.bool_:
        raise RuntimeError(
            "Negation, the `-` operator, on a bool tensor is not supported. If you are trying to invert a mask, use the `~` or "
            "`logical_not()` operator instead."
        )
    return x.shape, x.dtype


neg.rule = _rule_neg
reciprocal = unary(
    "reciprocal", lambda e, x: e.reciprocal(x), lambda n, g: (neg(mul(g, bar(mul(n, n)))),), keep_result, samples=positive_samples
)
abs_ = unary("abs", lambda e, x: e.abs(x), lambda n, g: (mul(g, sign(n.srcs[0])),), floating=False, ref=np.absolute)


def _rule_abs(x: Node) -> Any:
    if x.dtype is dtypes.bool_:
        raise refuse("abs_cpu", x.dtype)
    return x.shape, x.dtype.to_real() if x.dtype.is_complex else x.dtype


abs_.rule = _rule_abs


def _vjp_sign(n: Node, g: Node) -> Grads:
    """Zero; of a complex number, what of `g` is across its direction, over its absolute value."""
    if not n.dtype.is_complex:
        return (zeros_like(g),)
    size = abs_(n.srcs[0])
    along = get("real")(mul(g, bar(n)))
    return (where(eq(size, weak(0.0)), weak(0.0), div(sub(g, mul(n, along)), size)),)


#: -1, 0 or 1; of a complex number, the one of absolute value 1 with its angle.
sign = unary(
    "sign",
    lambda e, x: e.where(e.isnan(x), e.const(0), e.sign(x)) if e.is_float else e.sign(x),
    _vjp_sign,
    lambda n: (n, n.srcs[0]) if n.dtype.is_complex else None,
    floating=False,
    ref=lambda x: _ref_sign(x),
    samples=lambda: [Sample((_X,)), Sample((np.array([np.nan, -0.0, np.inf]),), (), False)],
)


def _ref_sign(x: Array) -> Array:
    """A NaN has no sign: 0."""
    if x.dtype.kind == "b":
        return x.copy()
    if x.dtype.kind == "c":
        size = np.abs(x)
        return np.where(size == 0, 0, x / np.where(size == 0, 1, size))
    return np.where(np.isnan(x), x.dtype.type(0), np.sign(x)) if x.dtype.kind == "f" else np.sign(x)


def zeros_like(g: Node) -> Node:
    from .movement import zeros_of

    return zeros_of(g)


def _vjp_pow(n: Node, g: Node) -> Grads:
    a, b = n.srcs

    def base() -> Node:
        if b.op.name == "const":
            exponent = b.attrs[0]
            return zeros_like(g) if exponent == 0 else mul(g, bar(mul(weak(exponent), pow_(a, weak(exponent - 1))))) if exponent != 1 else g
        return where(eq(b, weak(0.0)), weak(0.0), mul(g, bar(mul(b, pow_(a, sub(b, weak(1.0)))))))

    def exponent() -> Node:
        above = get("real")(b) if b.dtype.is_complex else b
        flat = logical_and(eq(a, weak(0.0)), ge(above, weak(0.0)))  # 0**b is flat for b > 0, where log(0) would give a NaN
        return where(flat, weak(0.0), mul(g, bar(mul(n, log(a)))))

    return base, exponent


pow_ = binary(
    "pow",
    lambda e, a, b: e.pow(a, b),
    _vjp_pow,
    lambda n: (n.srcs if n.srcs[1].op is not CONST else n.srcs[:1]) + ((n,) if n.srcs[1].rg else ()),
    ref=power,
    prepare=promoting(2, exact=True, elements=True),
    samples=lambda: [Sample((_P, _Y)), Sample((_P, np.asarray(2.0))), Sample((_X, np.asarray(3.0)), (), False), *integer_samples()],
)


_prepare_pow = pow_.prepare


@functools.wraps(_prepare_pow)
def _integer_powers(a: Any, b: Any) -> tuple[Any, ...]:
    """Integers to a negative Python number are refused: they are no integers."""
    power = b.attrs[0] if isinstance(b, Node) and b.op is SCALAR else b
    base = a.dtype if isinstance(a, Node) else None
    if base is not None and base.category == dtypes.INTEGER and isinstance(power, int) and power < 0:
        raise RuntimeError("Integers to negative integer powers are not allowed.")
    return _prepare_pow(a, b)  # type: ignore[misc, no-any-return]


pow_.prepare = _integer_powers


# ---------------------------------------------------------------- choice
where = pointwise(
    "where",
    "logic",
    3,
    lambda e, c, a, b: e.where(c, a, b),
    lambda n, g: (None, lambda: where(n.srcs[0], g, weak(0.0)), lambda: where(n.srcs[0], weak(0.0), g)),
    lambda n: n.srcs[:1],
    prepare=promoting(3, skip=1, exact=True, elements=True),
    ref=np.where,
    samples=lambda: [Sample((_X > 0, _X, _Y)), Sample((_X[0] > 0, np.asarray(0.0), _Y)), Sample((np.asarray(True), _X, _Y))],
)
masked_fill = Op(
    "masked_fill",
    "logic",
    lambda x, m, v: (broadcast(x.shape, m.shape), x.dtype),
    lambda x, m, v: np.where(m, v, x),
    vjp=lambda n, g: (lambda: masked_fill(g, n.srcs[1], weak(0.0)), None, lambda: where(n.srcs[1], g, weak(0.0))),
    saves=lambda n: n.srcs[1:2],
    scalar=lambda e, x, m, v: e.where(m, v, x),
    prepare=lambda x, m, v: _prepare_masked_fill(x, m, v),
    samples=lambda: [Sample((_X, _X > 0, np.asarray(2.0)))],
)


def _prepare_masked_fill(x: Node, m: Node, v: Any) -> tuple[Any, ...]:
    from .movement import _prepare_value

    if m.dtype is not dtypes.bool_:
        kind = "unsigned char" if m.dtype is dtypes.uint8 else title(m.dtype).lower()
        raise RuntimeError(f"masked_fill_ only supports boolean masks, but got mask with dtype {kind}")
    v = _prepare_value(x, v)[1]
    if v.shape:
        raise RuntimeError(f"masked_fill_ only supports a 0-dimensional value tensor, but got tensor with {v.ndim} dimension(s).")
    return x, m, v


def _shared_extremum(worse: Any) -> Any:
    """Gradient of max and min: to the winner, halved between equals; to both where one is not a number."""

    def vjp(n: Node, g: Node) -> Grads:
        a, b = n.srcs

        def to(x: Node, y: Node) -> Node:
            return where(eq(x, y), mul(g, weak(0.5)), where(worse(x, y), weak(0.0), g))

        return lambda: to(a, b), lambda: to(b, a)

    return vjp


def _first_extremum(inside: Any) -> Any:
    """Gradient of fmax and fmin: to the number that was taken, of equals the first."""

    def vjp(n: Node, g: Node) -> Grads:
        a, b = n.srcs
        first = logical_or(inside(a, b), ne(b, b))
        return lambda: where(first, g, weak(0.0)), lambda: where(first, weak(0.0), g)

    return vjp


maximum = binary("maximum", lambda e, a, b: e.maximum(a, b), _shared_extremum(lt), keep((0, (0, 1)), (1, (0, 1))), ref=np.maximum)
minimum = binary("minimum", lambda e, a, b: e.minimum(a, b), _shared_extremum(gt), keep((0, (0, 1)), (1, (0, 1))), ref=np.minimum)
fmax = binary(
    "fmax",
    lambda e, a, b: e.where(e.isnan(a), b, e.where(e.isnan(b), a, e.maximum(a, b))),
    _first_extremum(ge),
    keep((0, (0, 1)), (1, (0, 1))),
    ref=np.fmax,
)
fmin = binary(
    "fmin",
    lambda e, a, b: e.where(e.isnan(a), b, e.where(e.isnan(b), a, e.minimum(a, b))),
    _first_extremum(le),
    keep((0, (0, 1)), (1, (0, 1))),
    ref=np.fmin,
)


def _clamped(inside: Any, outside: Any) -> Any:
    """Gradient of a bound: to the value where it holds already (the bound itself included), else to the bound."""

    def vjp(n: Node, g: Node) -> Grads:
        x, bound = n.srcs
        return lambda: where(inside(x, bound), g, weak(0.0)), lambda: where(outside(x, bound), g, weak(0.0))

    return vjp


clamp_min = binary(
    "clamp_min",
    lambda e, x, lo: e.maximum(x, lo),
    _clamped(ge, lt),
    keep((0, (0, 1)), (1, (0, 1))),
    ref=np.maximum,
    prepare=promoting(2, exact=True, elements=True),
)
clamp_max = binary(
    "clamp_max",
    lambda e, x, hi: e.minimum(x, hi),
    _clamped(le, gt),
    keep((0, (0, 1)), (1, (0, 1))),
    ref=np.minimum,
    prepare=promoting(2, exact=True, elements=True),
)

# ---------------------------------------------------------------- exponentials and roots
exp = unary("exp", lambda e, x: e.exp(x), lambda n, g: (mul(g, bar(n)),), keep_result)
exp2 = unary("exp2", lambda e, x: e.exp2(x), lambda n, g: (mul(mul(g, bar(n)), weak(float(np.log(2)))),), keep_result)
expm1 = unary("expm1", lambda e, x: e.expm1(x), lambda n, g: (mul(g, bar(add(n, weak(1.0)))),), keep_result)
log = unary("log", lambda e, x: e.log(x), lambda n, g: (div(g, bar(n.srcs[0])),), samples=positive_samples)
log1p = unary("log1p", lambda e, x: e.log1p(x), lambda n, g: (div(g, bar(add(n.srcs[0], weak(1.0)))),), samples=positive_samples)
log2 = unary("log2", lambda e, x: e.log2(x), lambda n, g: (div(g, bar(mul(n.srcs[0], weak(float(np.log(2)))))),), samples=positive_samples)
log10 = unary(
    "log10", lambda e, x: e.log10(x), lambda n, g: (div(g, bar(mul(n.srcs[0], weak(float(np.log(10)))))),), samples=positive_samples
)
sqrt = unary("sqrt", lambda e, x: e.sqrt(x), lambda n, g: (div(g, bar(mul(n, weak(2.0)))),), keep_result, samples=positive_samples)
rsqrt = unary(
    "rsqrt", lambda e, x: e.rsqrt(x), lambda n, g: (mul(mul(g, weak(-0.5)), bar(mul(n, mul(n, n)))),), keep_result, samples=positive_samples
)

# ---------------------------------------------------------------- rounding


def _zero(n: Node, g: Node) -> Grads:
    return (zeros_like(g),)


def _rounding(name: str, formula: Any, ref: Any) -> Op:
    promote = promoting(1, False)

    def prepare(x: Node) -> tuple[Any, ...]:
        if x.dtype is dtypes.bool_ or (name == "round" and x.dtype.is_complex):
            raise refuse(f"{name}_vml_cpu", x.dtype)
        return promote(x)

    return unary(
        name,
        formula,
        _zero,
        None,
        floating=False,
        prepare=prepare,
        ref=lambda x: x.copy() if x.dtype.kind in "biu" else ref(x),
        samples=lambda: [Sample((_X,)), Sample((np.array([3, -4]),), (), False)],
    )


floor = _rounding("floor", lambda e, x: e.floor(x), np.floor)
ceil = _rounding("ceil", lambda e, x: e.ceil(x), np.ceil)
trunc = _rounding("trunc", lambda e, x: e.trunc(x), np.trunc)
round_ = _rounding("round", lambda e, x: e.round(x), np.rint)


# ---------------------------------------------------------------- operators on nodes, so that rules read as formulas
def _operators() -> None:
    for name, op in (("add", add), ("sub", sub), ("mul", mul), ("truediv", div), ("pow", pow_)):
        setattr(Node, f"__{name}__", lambda self, other, op=op: op(self, other if other.__class__ is Node else weak(other)))
        setattr(Node, f"__r{name}__", lambda self, other, op=op: op(weak(other), self))
    Node.__neg__ = lambda self: neg(self)  # type: ignore[attr-defined]


_operators()
