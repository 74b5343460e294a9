"""Blends and fused products of three operands, binary exponents, divisors of integers."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import dtypes
from ..asg.declare import SCALAR, Array, Grads, Op, Sample, node
from ..asg.node import Node, const, element
from ..asg.saving import keep, keep_shape
from .elementwise import bar, integer_samples, pointwise, shape_rule
from .formula import refuse
from .linalg import C_NAMES
from .pointwise import exp2, neg
from .promotion import promoting, result_type, title, to

_X = np.array([[-2.3, -0.7, 0.4], [1.1, 0.9, 2.6]])
_Y = np.array([[1.7, -1.2, 0.6], [-0.8, 2.2, 0.3]])


# ---------------------------------------------------------------- blends
def _prepare_lerp(a: Node, b: Node, w: Any) -> tuple[Any, ...]:
    w = node(w)
    for name, other in (("end", b), ("weight", w)):
        if other.op is not SCALAR and other.dtype is not a.dtype and not (name == "weight" and not other.shape):
            raise RuntimeError(f"expected dtype {C_NAMES[a.dtype.name]} for `{name}` but got dtype {C_NAMES[other.dtype.name]}")
    if a.dtype.category < dtypes.FLOAT:
        raise refuse("lerp_kernel_tensor" if w.shape else "lerp_kernel_scalar", a.dtype)
    return a, b, to(w, a.dtype)


def _lerp(e: Any, a: Any, b: Any, w: Any) -> Any:
    """Exact at both ends: from `a` for weights below a half, back from `b` above."""
    d = e.sub(b, a)
    return e.where(e.lt(e.abs(w), e.const(0.5)), e.add(a, e.mul(w, d)), e.sub(b, e.mul(d, e.sub(e.const(1), w))))


def _vjp_lerp(n: Node, g: Node) -> Grads:
    a, b, w = n.srcs
    return lambda: g * bar(1.0 - w), lambda: g * bar(w), lambda: g * bar(b - a)


def _lerp_saves(n: Node) -> tuple[Node, ...] | None:
    """A number as weight is not kept, so that nothing is given up after the first backward pass."""
    a, b, w = n.srcs
    return (a, b, w) if w.rg else (w,) if w.shape else None


def _addcmul_saves(n: Node) -> tuple[Node, ...] | None:
    """The factors, each for the others; nothing if only the summand needs a gradient."""
    return keep((1, (2, 3)), (2, (1, 3)), (3, (1, 2)))(n) or None


def _three() -> list[Sample]:
    return [
        Sample((_X, _Y, np.asarray(0.3))),
        Sample((_X, _Y, np.abs(_Y) / 3)),
        Sample((_X, _Y[0], np.asarray(0.8))),
        Sample((np.zeros((0, 2)), np.zeros((0, 2)), np.asarray(0.5))),
    ]


lerp = pointwise("lerp", "arithmetic", 3, _lerp, _vjp_lerp, _lerp_saves, prepare=_prepare_lerp, samples=_three)


def _prepare_fused(name: str) -> Any:
    def prepare(x: Node, a: Node, b: Node, value: Any) -> tuple[Any, ...]:
        operands = [x, a, b]
        d = result_type(operands)
        value = node(value)
        if name == "addcdiv" and a.dtype.category < dtypes.FLOAT and b.dtype.category < dtypes.FLOAT:
            raise RuntimeError(_NO_INTEGER_DIVISION)
        if d is dtypes.bool_:
            raise refuse(f"{name}_cpu_out", d)
        if value.op is SCALAR and d.category < dtypes.FLOAT:
            value = const(int(value.attrs[0]), d)
        return (*[to(n, d) for n in operands], to(value, d))

    return prepare


_NO_INTEGER_DIVISION = (
    "Integer division with addcdiv is no longer supported, and in a future  release addcdiv will perform a true "
    "division of tensor1 and tensor2: "
    "use input + value * torch.trunc(tensor1 / tensor2) for the truncated quotient, or convert the operands to floating point."
)


def _vjp_addcmul(n: Node, g: Node) -> Grads:
    _, a, b, v = n.srcs
    return g, lambda: g * bar(b * v), lambda: g * bar(a * v), lambda: g * bar(a * b)


def _vjp_addcdiv(n: Node, g: Node) -> Grads:
    _, a, b, v = n.srcs
    return g, lambda: g * bar(v / b), lambda: neg(g * bar((v * a) / (b * b))), lambda: g * bar(a / b)


def _four() -> list[Sample]:
    return [
        Sample((_X, _Y, _X + 3.0, np.asarray(0.7))),
        Sample((_X, _Y[:1], _Y[:, :1], np.asarray(-2.0))),
        Sample((np.zeros((0, 2)), np.zeros((0, 2)), np.ones(2), np.asarray(1.0))),
    ]


#: ``a * b + c``, rounded once: what PyTorch's compiled kernels make of a product and a sum that stand beside each other.
fma = pointwise(
    "fma",
    "arithmetic",
    3,
    lambda e, a, b, c: e.fma(a, b, c),
    lambda n, g: (lambda: g * bar(n.srcs[1]), lambda: g * bar(n.srcs[0]), g),
    keep((0, (1,)), (1, (0,))),
    samples=lambda: [
        Sample((_X, _Y, _X + 3.0)),
        Sample((_X, _Y[:1], _Y[:, :1])),
        Sample((np.zeros((0, 2)), np.zeros((0, 2)), np.ones(2))),
    ],
)


def _prepare_scaled(x: Node, y: Node, v: Any, minus: bool) -> tuple[Any, ...]:
    """The number is rounded as an element is."""
    d, v = result_type([x, y]), node(v)
    return to(x, d), to(y, d), element(v.attrs[0], d) if v.op is SCALAR else to(v, d), minus


_prepare_scaled.elements = (True,)  # type: ignore[attr-defined]


def _vjp_scaled(n: Node, g: Node) -> Grads:
    _, y, v = n.srcs
    back = neg(g) if n.attrs[0] else g
    return g, lambda: back * bar(v), lambda: back * bar(y)


#: ``x + v * y``, or (`minus`) ``x - v * y``, rounded once as PyTorch's kernel does; the number `v` is an operand, as it is a step's size.
add_scaled = pointwise(
    "add_scaled",
    "arithmetic",
    3,
    lambda e, x, y, v, minus: e.fma(e.neg(v) if minus else v, y, x),
    _vjp_scaled,
    lambda n: keep((1, (2,)), (2, (1,)))(n) or None,
    prepare=_prepare_scaled,
    params=("minus",),
    samples=lambda: [Sample((*s.operands[:2], s.operands[3]), (minus,)) for s in _four() for minus in (False, True)],
)
#: ``x + v * a * b`` and ``x + v * a / b``; the number `v` is an operand, since optimizers change it from step to step.
addcmul = pointwise(
    "addcmul",
    "arithmetic",
    4,
    lambda e, x, a, b, v: e.add(x, e.mul(e.mul(v, a), b)),
    _vjp_addcmul,
    _addcmul_saves,
    prepare=_prepare_fused("addcmul"),
    samples=_four,
)
addcdiv = pointwise(
    "addcdiv",
    "arithmetic",
    4,
    lambda e, x, a, b, v: e.add(x, e.div(e.mul(v, a), b)),
    _vjp_addcdiv,
    keep((1, (2, 3)), (2, (1, 2, 3)), (3, (1, 2))),
    prepare=_prepare_fused("addcdiv"),
    samples=_four,
)


# ---------------------------------------------------------------- binary exponents
def _ref_exponent(x: Array) -> Array:
    return np.frexp(x)[1].astype(np.int32)


def _vjp_mantissa(n: Node, g: Node) -> Grads:
    return (g / exp2(to(frexp_exponent(n.srcs[0]), g.dtype)),)


frexp_exponent = Op(
    "frexp_exponent",
    "arithmetic",
    lambda x: (x.shape, dtypes.int32),
    _ref_exponent,
    layout="pointwise",
    differentiable=False,
    samples=lambda: [Sample((_X,), (), False), Sample((np.array([0.0, 8.0, -0.1]),), (), False)],
)
frexp_mantissa = Op(
    "frexp_mantissa",
    "arithmetic",
    lambda x: (x.shape, x.dtype),
    lambda x: np.asarray(np.frexp(x)[0]),
    vjp=_vjp_mantissa,
    saves=keep_shape,
    layout="pointwise",
    samples=lambda: [Sample((_X,)), Sample((np.zeros((0, 3)),)), Sample((np.asarray(0.7),))],
)


# ---------------------------------------------------------------- integers
def _integers_only(kernel: str) -> Any:
    promote = promoting(2)

    def prepare(a: Any, b: Any) -> tuple[Any, ...]:
        args = promote(a, b)
        if args[0].dtype.category != dtypes.INTEGER:
            raise NotImplementedError(f"\"{kernel}\" not implemented for '{title(args[0].dtype)}'")
        return args  # type: ignore[no-any-return]

    return prepare


gcd = Op(
    "gcd",
    "arithmetic",
    shape_rule,
    np.gcd,
    layout="pointwise",
    prepare=_integers_only("gcd_cpu"),
    differentiable=False,
    samples=integer_samples,
)
lcm = Op(
    "lcm",
    "arithmetic",
    shape_rule,
    np.lcm,
    layout="pointwise",
    prepare=_integers_only("lcm_cpu"),
    differentiable=False,
    samples=integer_samples,
)
