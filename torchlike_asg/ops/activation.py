"""Activation functions: fused elementwise operations, each with a fused derivative.

Every derivative is an operation of its own, so that the backward pass is one kernel, too; its gradient (for second order) is
derived from its formula. At kinks the derivative is PyTorch's choice.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import dtypes
from ..asg.declare import Array, Grads, Meta, Op, Sample
from ..asg.geometry import preserved_strides
from ..asg.node import Node
from ..asg.saving import keep, keep_result
from .elementwise import pointwise, product
from .formula import floating_only, from_formula, refuse, title

_X = np.array([[-7.3, -3.4, -0.7, 0.4], [1.1, 0.2, 2.6, 8.5]])
_G = np.array([[0.3, -1.2, 0.8, 1.5], [-0.6, 0.9, 0.4, -0.2]])
INPUT = keep((0, (0,)))


def _samples(attrs: tuple[Any, ...]) -> Any:
    return lambda: [
        Sample((_X,), attrs),
        Sample((np.zeros((0, 3)),), attrs),
        Sample((np.asarray(0.7),), attrs),
        Sample((_X.astype(np.float32),), attrs, False),
    ]


def _grad_samples(attrs: tuple[Any, ...]) -> Any:
    return lambda: [
        Sample((_G, _X), attrs),
        Sample((np.zeros((0, 3)), np.zeros((0, 3))), attrs),
        Sample((_G.astype(np.float32), _X.astype(np.float32)), attrs, False),
    ]


def derivative(name: str, formula: Any, params: tuple[str, ...] = (), attrs: tuple[Any, ...] = ()) -> Op:
    """Declare ``name(g, x, *attrs)``, the gradient of an activation; its own gradient comes from its formula."""
    op = pointwise(name, "gradient", 2, formula, params=params, samples=_grad_samples(attrs), prepare=None)
    op.expand, op.saves = from_formula(op.scalar), lambda n: n.srcs  # type: ignore[arg-type]
    return op


def activation(
    name: str,
    formula: Any,
    slope: Op,
    kernel: str | None,
    params: tuple[str, ...] = (),
    attrs: tuple[Any, ...] = (),
    by_result: bool = False,
    prepare: Any = None,
) -> Op:
    """Declare ``name(x, *attrs)`` with derivative `slope`, which reads the operand or (`by_result`) the result.

    `attrs` are the attributes of the samples; `kernel` is the name under which PyTorch refuses non-floating operands. All attributes may
    become data.
    """

    def vjp(n: Node, g: Node) -> Grads:
        return (slope(g, n if by_result else n.srcs[0], *n.srcs[1:], *n.attrs),)

    return pointwise(
        name,
        "activation",
        1,
        formula,
        vjp,
        keep_result if by_result else INPUT,
        params=params,
        samples=_samples(attrs),
        prepare=prepare or (floating_only(kernel) if kernel else None),
        varying=params,
    )


def _real_only(bool_text: str) -> Any:
    def prepare(x: Node, *attrs: Any) -> tuple[Any, ...]:
        if x.dtype is dtypes.bool_:
            raise RuntimeError(bool_text)
        if x.dtype.is_complex:
            raise NotImplementedError("clamp is not supported for complex types")
        return x, *attrs

    return prepare


# ---------------------------------------------------------------- piecewise linear
relu_grad = derivative("relu_grad", lambda e, g, y: e.where(e.le(y, e.const(0)), e.const(0), g))
relu = activation(
    "relu",
    lambda e, x: e.maximum(x, e.const(0)),
    relu_grad,
    None,
    by_result=True,
    prepare=_real_only("Boolean inputs not supported for relu"),
)

_RANGE = ("min_val", "max_val")
hardtanh_grad = derivative(
    "hardtanh_grad",
    lambda e, g, x, lo, hi: e.where(e.logical_or(e.le(x, e.const(lo)), e.ge(x, e.const(hi))), e.const(0), g),
    _RANGE,
    (-1.0, 6.0),
)
hardtanh = activation(
    "hardtanh",
    lambda e, x, lo, hi: e.minimum(e.maximum(x, e.const(lo)), e.const(hi)),
    hardtanh_grad,
    None,
    _RANGE,
    (-1.0, 6.0),
    prepare=_real_only("Bool inputs not supported for hardtanh"),
)

leaky_relu_grad = derivative(
    "leaky_relu_grad", lambda e, g, x, slope: e.where(e.gt(x, e.const(0)), g, e.mul(g, e.const(slope))), ("negative_slope",), (0.01,)
)
leaky_relu = activation(
    "leaky_relu",
    lambda e, x, slope: e.where(e.gt(x, e.const(0)), x, e.mul(x, e.const(slope))),
    leaky_relu_grad,
    "leaky_relu_cpu",
    ("negative_slope",),
    (0.01,),
)

threshold_grad = derivative(
    "threshold_grad", lambda e, g, x, limit, value: e.where(e.le(x, e.const(limit)), e.const(0), g), ("threshold", "value"), (0.1, 20.0)
)


def _prepare_threshold(x: Node, *attrs: Any) -> tuple[Any, ...]:
    if x.dtype is dtypes.bool_ or x.dtype.is_complex:
        raise refuse("threshold_cpu", x.dtype)
    return x, *attrs


threshold = activation(
    "threshold",
    lambda e, x, limit, value: e.where(e.le(x, e.const(limit)), e.const(value), x),
    threshold_grad,
    None,
    ("threshold", "value"),
    (0.1, 20.0),
    prepare=_prepare_threshold,
)

shrink_grad = derivative(
    "shrink_grad",
    lambda e, g, x, lambd: e.where(e.logical_and(e.ge(x, e.neg(e.const(lambd))), e.le(x, e.const(lambd))), e.const(0), g),
    ("lambd",),
    (0.5,),
)
hardshrink = activation(
    "hardshrink",
    lambda e, x, lambd: e.where(e.logical_and(e.ge(x, e.neg(e.const(lambd))), e.le(x, e.const(lambd))), e.const(0), x),
    shrink_grad,
    "hardshrink_cpu",
    ("lambd",),
    (0.5,),
)
softshrink = activation(
    "softshrink",
    lambda e, x, lambd: e.where(
        e.logical_and(e.ge(x, e.neg(e.const(lambd))), e.le(x, e.const(lambd))),
        e.const(0),
        e.where(e.gt(x, e.const(lambd)), e.sub(x, e.const(lambd)), e.add(x, e.const(lambd))),
    ),
    shrink_grad,
    "softshrink_cpu",
    ("lambd",),
    (0.5,),
)


def _six(e: Any, x: Any) -> Any:
    """min(max(x + 3, 0), 6) / 6"""
    return e.div(e.minimum(e.maximum(e.add(x, e.const(3)), e.const(0)), e.const(6)), e.const(6))


hardsigmoid_grad = derivative(
    "hardsigmoid_grad", lambda e, g, x: e.where(e.logical_and(e.gt(x, e.const(-3)), e.lt(x, e.const(3))), e.div(g, e.const(6)), e.const(0))
)
hardsigmoid = activation("hardsigmoid", _six, hardsigmoid_grad, "hardsigmoid_cpu")
hardswish_grad = derivative(
    "hardswish_grad",
    lambda e, g, x: e.where(
        e.le(x, e.const(-3)), e.const(0), e.where(e.lt(x, e.const(3)), e.mul(g, e.add(e.div(x, e.const(3)), e.const(0.5))), g)
    ),
)
hardswish = activation("hardswish", lambda e, x: e.mul(x, _six(e, x)), hardswish_grad, "hardswish_cpu")


# ---------------------------------------------------------------- smooth
def _gelu(e: Any, x: Any) -> Any:
    """x * Phi(x); Hendrycks & Gimpel (2016), "Gaussian error linear units"."""
    return e.mul(e.mul(x, e.const(0.5)), e.add(e.erf(e.mul(x, e.const(math.sqrt(0.5)))), e.const(1)))


def _gelu_slope(e: Any, g: Any, x: Any) -> Any:
    """g * (Phi(x) + x * phi(x))"""
    cdf = e.mul(e.const(0.5), e.add(e.erf(e.mul(x, e.const(math.sqrt(0.5)))), e.const(1)))
    pdf = e.mul(e.exp(e.mul(e.mul(x, x), e.const(-0.5))), e.const(1 / math.sqrt(2 * math.pi)))
    return e.mul(g, e.add(cdf, e.mul(x, pdf)))


_A, _B = math.sqrt(2 / math.pi), 0.044715  # the constants of the tanh approximation, from the same paper


def _tanh_argument(e: Any, x: Any) -> Any:
    return e.mul(e.const(_A), e.add(x, e.mul(e.const(_B), e.mul(x, e.mul(x, x)))))


def _gelu_tanh(e: Any, x: Any) -> Any:
    return e.mul(e.mul(e.const(0.5), x), e.add(e.const(1), e.tanh(_tanh_argument(e, x))))


def _gelu_tanh_slope(e: Any, g: Any, x: Any) -> Any:
    t = e.tanh(_tanh_argument(e, x))
    inner = e.mul(e.const(_A), e.add(e.const(1), e.mul(e.const(3 * _B), e.mul(x, x))))
    left = e.mul(e.const(0.5), e.add(e.const(1), t))
    right = e.mul(e.mul(e.mul(e.const(0.5), x), e.sub(e.const(1), e.mul(t, t))), inner)
    return e.mul(g, e.add(left, right))


gelu_grad = derivative("gelu_grad", _gelu_slope)
gelu = activation("gelu", _gelu, gelu_grad, "GeluKernelImpl")
gelu_tanh_grad = derivative("gelu_tanh_grad", _gelu_tanh_slope)
gelu_tanh = activation("gelu_tanh", _gelu_tanh, gelu_tanh_grad, "GeluKernelImpl")


def _silu_slope(e: Any, g: Any, x: Any) -> Any:
    s = e.sigmoid(x)
    return e.mul(e.mul(g, s), e.add(e.const(1), e.mul(x, e.sub(e.const(1), s))))


silu_grad = derivative("silu_grad", _silu_slope)
silu = activation("silu", lambda e, x: e.mul(x, e.sigmoid(x)), silu_grad, "silu_cpu")


def _softplus1(e: Any, x: Any) -> Any:
    """log(1 + exp(x)) without overflow."""
    return e.add(e.maximum(x, e.const(0)), e.log1p(e.exp(e.neg(e.abs(x)))))


def _mish_slope(e: Any, g: Any, x: Any) -> Any:
    t, s = e.tanh(_softplus1(e, x)), e.sigmoid(x)
    return e.mul(g, e.add(t, e.mul(e.mul(x, s), e.sub(e.const(1), e.mul(t, t)))))


mish_grad = derivative("mish_grad", _mish_slope)
mish = activation("mish", lambda e, x: e.mul(x, e.tanh(_softplus1(e, x))), mish_grad, "mish_cpu")


def _softplus(e: Any, x: Any, beta: float, limit: float) -> Any:
    z = e.mul(x, e.const(beta))
    return e.where(e.gt(z, e.const(limit)), x, e.div(_softplus1(e, z), e.const(beta)))


def _softplus_slope(e: Any, g: Any, x: Any, beta: float, limit: float) -> Any:
    z = e.mul(x, e.const(beta))
    return e.where(e.gt(z, e.const(limit)), g, e.mul(g, e.sigmoid(z)))


softplus_grad = derivative("softplus_grad", _softplus_slope, ("beta", "threshold"), (2.0, 5.0))
softplus = activation("softplus", _softplus, softplus_grad, "softplus_cpu", ("beta", "threshold"), (2.0, 5.0))

logsigmoid_grad = derivative("logsigmoid_grad", lambda e, g, x: e.mul(g, e.sigmoid(e.neg(x))))
logsigmoid = activation("logsigmoid", lambda e, x: e.neg(_softplus1(e, e.neg(x))), logsigmoid_grad, "log_sigmoid_cpu")

_ELU = ("alpha", "scale", "input_scale")


def _elu(e: Any, x: Any, alpha: float, scale: float, inner: float) -> Any:
    """scale * (x if x > 0 else alpha * (exp(inner * x) - 1)): ELU, SELU and CELU in one."""
    falls = e.mul(e.expm1(e.mul(x, e.const(inner))), product(e, alpha, scale))
    return e.where(e.lt(x, e.const(0)), falls, e.mul(x, e.const(scale)))


def _elu_slope(e: Any, g: Any, x: Any, alpha: float, scale: float, inner: float) -> Any:
    falls = e.mul(e.mul(g, product(e, alpha, scale, inner)), e.exp(e.mul(x, e.const(inner))))
    return e.where(e.le(x, e.const(0)), falls, e.mul(g, e.const(scale)))


elu_grad = derivative("elu_grad", _elu_slope, _ELU, (1.3, 1.1, 0.9))
elu = activation("elu", _elu, elu_grad, "elu_cpu", _ELU, (1.3, 1.1, 0.9))


def _refuse_slope(n: Node, g: Node) -> Grads:
    name, more = n.attrs
    raise RuntimeError(
        f"In-place {name} backward calculation is triggered with a negative slope which is not supported. This is caused by calling "
        f"in-place forward function with a negative slope, please call out-of-place version instead.{more}"
    )


#: What a negative slope was written over, whose sign no longer tells that of the operand: PyTorch's gradient reads the result, and refuses.
overwritten_slope = Op(
    "overwritten_slope",
    "activation",
    lambda x, *_: (x.shape, x.dtype),
    lambda x, *_: x,
    vjp=_refuse_slope,
    expand=lambda n: n.srcs[0],
    layout="preserve",
    params=("name", "more"),
    samples=lambda: [Sample((_X,), ("elu", ""), False)],
)


# ---------------------------------------------------------------- with a second operand
def _prepare_prelu(x: Any, w: Any) -> tuple[Any, ...]:
    if x.dtype is not w.dtype:
        raise RuntimeError(f"prelu: Type promoting not supported. Got {title(x.dtype)} and {title(w.dtype)}")
    if not x.dtype.is_floating_point:
        raise refuse("prelu_cpu", x.dtype)
    return x, w


def _vjp_prelu(n: Node, g: Node) -> Grads:
    x, w = n.srcs
    return lambda: prelu_grad_input(g, x, w), lambda: prelu_grad_weight(g, x)


prelu_grad_input = pointwise(
    "prelu_grad_input",
    "gradient",
    3,
    lambda e, g, x, w: e.where(e.gt(x, e.const(0)), g, e.mul(g, w)),
    prepare=None,
    samples=lambda: [Sample((_G, _X, np.array([0.25, 0.1, -0.3, 2.0])))],
)
prelu_grad_weight = derivative("prelu_grad_weight", lambda e, g, x: e.where(e.gt(x, e.const(0)), e.const(0), e.mul(g, x)))
prelu_grad_input.expand, prelu_grad_input.saves = from_formula(prelu_grad_input.scalar), lambda n: n.srcs  # type: ignore[arg-type]
#: the weight arrives broadcastable to `x`
prelu = pointwise(
    "prelu",
    "activation",
    2,
    lambda e, x, w: e.where(e.gt(x, e.const(0)), x, e.mul(w, x)),
    _vjp_prelu,
    lambda n: n.srcs,
    prepare=_prepare_prelu,
    samples=lambda: [Sample((_X, np.array([0.25, 0.1, -0.3, 2.0]))), Sample((_X, np.asarray(0.3))), Sample((np.zeros((0, 4)), np.ones(4)))],
)


def _rule_glu(x: Node, dim: int) -> Meta:
    if not x.dtype.is_floating_point:
        raise refuse("glu_cpu", x.dtype)
    shape = tuple(x.shape[:dim]) + (x.shape[dim] // 2,) + tuple(x.shape[dim + 1 :])
    return shape, x.dtype, preserved_strides(shape, x.strides)


def _halves(n: Node) -> tuple[Node, Node]:
    from .movement import slice_

    x, (dim,) = n.srcs[0], n.attrs
    half = x.shape[dim] // 2
    return slice_(x, dim, 0, half, 1), slice_(x, dim, half, 2 * half, 1)


def _ref_glu(x: Array, dim: int) -> Array:
    from .special import sigmoid

    a, b = np.split(x, 2, dim)
    return a * sigmoid(b)  # type: ignore[no-any-return]


def _expand_glu(n: Node) -> Node:
    from ..asg.declare import get

    a, b = _halves(n)
    return a * get("sigmoid")(b)  # type: ignore[operator, no-any-return]


glu = Op(
    "glu",
    "activation",
    _rule_glu,
    _ref_glu,
    expand=_expand_glu,
    saves=INPUT,
    params=("dim",),
    samples=lambda: [Sample((_X,), (1,)), Sample((_X,), (0,)), Sample((np.zeros((2, 0)),), (1,))],
)
