"""Elementwise losses, each with a fused derivative; the caller reduces them."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..asg.declare import Array, Grads, Op, Sample
from ..asg.node import Node
from ..asg.saving import keep, keep_all, keep_shape
from .elementwise import pointwise, product, reference
from .formula import floating_only, from_formula

_X = np.array([[-2.3, -0.7, 0.4], [1.1, 0.3, 2.6]])
_Y = np.array([[1.7, -1.2, 0.6], [-0.8, 2.2, 0.35]])
_G = np.array([[0.3, -1.2, 0.8], [-0.6, 0.9, 0.4]])
_P = np.array([[0.2, 0.9, 0.4], [0.7, 0.15, 0.6]])


def elementwise(
    name: str,
    formula: Any,
    slopes: tuple[Any, Any],
    kernel: str,
    params: tuple[str, ...] = (),
    attrs: tuple[Any, ...] = (),
    operands: tuple[Any, Any] = (_X, _Y),
    ref: Any = None,
    saves: Any = keep_all,
) -> Op:
    """Declare ``name(x, y, *attrs)`` by its formula and those of its two derivatives, ``slope(e, g, x, y, *attrs)``.

    `operands` and `attrs` are its samples'; `kernel` is the name under which PyTorch refuses integers.
    """
    by_x, by_y = (_slope(f"{name}_grad_{which}", s, params, attrs, operands) for which, s in zip(("input", "target"), slopes, strict=True))

    def vjp(n: Node, g: Node) -> Grads:
        return lambda: by_x(g, *n.srcs, *n.attrs), lambda: by_y(g, *n.srcs, *n.attrs)

    def samples() -> list[Sample]:
        single = tuple([np.asarray(a.flat[0]) for a in operands])
        return [Sample(operands, attrs), Sample((np.zeros((0, 3)), np.zeros((0, 3))), attrs), Sample(single, attrs)]

    prepare = floating_only(kernel, 2)
    return pointwise(name, "loss", 2, formula, vjp, saves, params=params, samples=samples, prepare=prepare, ref=ref, varying=params)


def _slope(name: str, formula: Any, params: tuple[str, ...], attrs: tuple[Any, ...], operands: tuple[Any, ...]) -> Op:
    op = pointwise(name, "gradient", 3, formula, params=params, samples=lambda: [Sample((_G, *operands), attrs)], prepare=None)
    op.expand, op.saves = from_formula(op.scalar), lambda n: n.srcs  # type: ignore[arg-type]
    return op


def _swapped(slope: Any) -> Any:
    """The derivative by the target of a loss of the difference: minus that by the input."""
    return lambda e, g, x, y, *attrs: slope(e, e.neg(g), x, y, *attrs)


# ---------------------------------------------------------------- of a difference
def _squared_slope(e: Any, g: Any, x: Any, y: Any) -> Any:
    return e.mul(e.mul(g, e.const(2)), e.sub(x, y))


squared_error = elementwise(
    "squared_error", lambda e, x, y: e.mul(e.sub(x, y), e.sub(x, y)), (_squared_slope, _swapped(_squared_slope)), "mse_cpu"
)


def _absolute_slope(e: Any, g: Any, x: Any, y: Any) -> Any:
    d = e.sub(x, y)
    return e.mul(g, e.where(e.isnan(d), e.const(0), e.sign(d)))  # a difference that is no number has no slope, not an unknown one


#: PyTorch keeps the difference, not the operands
absolute_error = elementwise(
    "absolute_error", lambda e, x, y: e.abs(e.sub(x, y)), (_absolute_slope, _swapped(_absolute_slope)), "l1_cpu", saves=keep_shape
)


def _smooth(e: Any, x: Any, y: Any, beta: float) -> Any:
    """d^2 / (2 beta) near zero, |d| - beta / 2 beyond; Girshick (2015), "Fast R-CNN"."""
    d = e.abs(e.sub(x, y))
    return e.where(e.lt(d, e.const(beta)), e.div(e.mul(e.mul(e.const(0.5), d), d), e.const(beta)), e.sub(d, product(e, 0.5, beta)))


def _smooth_slope(e: Any, g: Any, x: Any, y: Any, beta: float) -> Any:
    d = e.sub(x, y)
    return e.mul(g, e.where(e.lt(e.abs(d), e.const(beta)), e.div(d, e.const(beta)), e.sign(d)))


smooth_l1 = elementwise("smooth_l1", _smooth, (_smooth_slope, _swapped(_smooth_slope)), "smooth_l1_cpu", ("beta",), (0.9,))


def _huber(e: Any, x: Any, y: Any, delta: float) -> Any:
    """d^2 / 2 near zero, delta (|d| - delta / 2) beyond; Huber (1964)."""
    d = e.abs(e.sub(x, y))
    return e.where(e.le(d, e.const(delta)), e.mul(e.mul(e.const(0.5), d), d), e.mul(e.const(delta), e.sub(d, product(e, 0.5, delta))))


def _huber_slope(e: Any, g: Any, x: Any, y: Any, delta: float) -> Any:
    d = e.sub(x, y)
    return e.mul(g, e.where(e.le(e.abs(d), e.const(delta)), d, e.mul(e.const(delta), e.sign(d))))


huber = elementwise("huber", _huber, (_huber_slope, _swapped(_huber_slope)), "huber_cpu", ("delta",), (0.9,))


# ---------------------------------------------------------------- of probabilities
def _log(e: Any, x: Any) -> Any:
    """log(x), but at least -100, so that a certain wrong prediction has a finite loss."""
    return e.maximum(e.log(x), e.const(-100))


def _is_probability(e: Any, x: Any) -> Any:
    return e.logical_and(e.ge(x, e.const(0)), e.le(x, e.const(1)))  # false of NaN


def _binary(e: Any, x: Any, y: Any) -> Any:
    """-(y log x + (1 - y) log(1 - x))"""
    x = e.require(e.logical_and(_is_probability(e, x), _is_probability(e, y)), x)
    rest = e.maximum(e.log1p(e.neg(x)), e.const(-100))
    return e.sub(e.mul(e.sub(y, e.const(1)), rest), e.mul(y, _log(e, x)))


def _binary_slope(e: Any, g: Any, x: Any, y: Any) -> Any:
    return e.div(e.mul(g, e.sub(x, y)), e.maximum(e.mul(e.sub(e.const(1), x), x), e.const(1e-12)))


def _binary_target_slope(e: Any, g: Any, x: Any, y: Any) -> Any:
    return e.mul(g, e.sub(e.maximum(e.log1p(e.neg(x)), e.const(-100)), _log(e, x)))


def _ref_binary(x: Array, y: Array) -> Array:
    for name, values in (("input", x), ("target", y)):
        if not ((values >= 0) & (values <= 1)).all():
            raise RuntimeError(f"all elements of {name} should be between 0 and 1")
    return reference(_binary, 2)(x, y)  # type: ignore[no-any-return]


binary_cross_entropy = elementwise(
    "binary_cross_entropy",
    _binary,
    (_binary_slope, _binary_target_slope),
    "binary_cross_entropy",
    operands=(_P, _P[::-1].copy()),
    ref=_ref_binary,
)


def _logits(e: Any, x: Any, y: Any) -> Any:
    """binary_cross_entropy(sigmoid(x), y) = max(x, 0) - x y + log(1 + exp(-|x|))"""
    return e.add(e.sub(e.maximum(x, e.const(0)), e.mul(x, y)), e.log1p(e.exp(e.neg(e.abs(x)))))


binary_cross_entropy_logits = elementwise(
    "binary_cross_entropy_logits",
    _logits,
    (lambda e, g, x, y: e.mul(g, e.sub(e.sigmoid(x), y)), lambda e, g, x, y: e.neg(e.mul(g, x))),
    "log_sigmoid_cpu",
)


def _divergence(e: Any, x: Any, y: Any) -> Any:
    """y (log y - x), the pointwise Kullback-Leibler divergence of log-probabilities x from probabilities y; 0 log 0 = 0."""
    return e.sub(e.where(e.eq(y, e.const(0)), e.const(0), e.mul(y, e.log(y))), e.mul(y, x))


def _divergence_target_slope(e: Any, g: Any, x: Any, y: Any) -> Any:
    return e.mul(g, e.sub(e.add(e.log(y), e.const(1)), x))


kl_divergence = elementwise(
    "kl_divergence",
    _divergence,
    (lambda e, g, x, y: e.neg(e.mul(g, y)), _divergence_target_slope),
    "kl_div_cpu",
    operands=(_X, _P),
    saves=keep((0, (1,)), (1, (0, 1))),
)


def _log_divergence(e: Any, x: Any, y: Any) -> Any:
    return e.mul(e.exp(y), e.sub(y, x))


def _log_divergence_target_slope(e: Any, g: Any, x: Any, y: Any) -> Any:
    return e.mul(e.mul(g, e.exp(y)), e.add(e.sub(y, x), e.const(1)))


#: `kl_divergence` with log-probabilities as target
kl_divergence_log = elementwise(
    "kl_divergence_log",
    _log_divergence,
    (lambda e, g, x, y: e.neg(e.mul(g, e.exp(y))), _log_divergence_target_slope),
    "kl_div_cpu",
    saves=keep_shape,
)


# ---------------------------------------------------------------- of a sign
def _soft_margin(e: Any, x: Any, y: Any) -> Any:
    """log(1 + exp(-x y)) without overflow."""
    z = e.neg(e.mul(x, y))
    return e.add(e.maximum(z, e.const(0)), e.log1p(e.exp(e.neg(e.abs(z)))))


def _soft_margin_slope(e: Any, g: Any, x: Any, y: Any) -> Any:
    return e.neg(e.mul(e.mul(g, y), e.sigmoid(e.neg(e.mul(x, y)))))


soft_margin = elementwise(
    "soft_margin", _soft_margin, (_soft_margin_slope, lambda e, g, x, y: _soft_margin_slope(e, g, y, x)), "soft_margin_cpu"
)
