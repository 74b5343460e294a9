"""Softmax and its logarithm over one dimension, with gradients that read the result only."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..asg.declare import Array, Grads, Meta, Op, Sample, get
from ..asg.node import Node
from ..asg.saving import keep_result
from .formula import refuse, sum_over

_X = np.array([[-0.3, 1.2, 0.8, 2.5], [0.6, -0.9, 0.4, -0.2], [3.1, 0.1, -2.0, 0.7]])
_G = np.array([[0.7, -0.2, 1.8, 0.5], [-1.6, 0.3, 0.9, 2.2], [0.1, 1.1, -0.4, -0.8]])


def _rule(name: str) -> Any:
    def rule(x: Node, dim: int) -> Meta:
        if not x.dtype.is_floating_point:
            where = "_lastdim" if dim == x.ndim - 1 or not x.ndim else ""
            raise refuse(f"{name}{where}_kernel_impl", x.dtype)
        return x.shape, x.dtype

    return rule


def _rule_grad(g: Node, y: Node, dim: int) -> Meta:
    return y.shape, y.dtype


def _shifted(x: Array, dim: int) -> Array:
    """x - max(x): the largest exponent becomes zero. A row of -inf gives NaN, as in PyTorch."""
    if x.ndim == 0:
        x = x.reshape(1)
    if x.shape[dim] == 0:
        return x
    with np.errstate(invalid="ignore"):
        return x - x.max(dim, keepdims=True)  # type: ignore[no-any-return]


def _ref_softmax(x: Array, dim: int) -> Array:
    with np.errstate(all="ignore"):
        e = np.exp(_shifted(x, dim))
        e /= e.sum(dim, keepdims=True)
    return e.reshape(x.shape)


def _ref_log_softmax(x: Array, dim: int) -> Array:
    with np.errstate(all="ignore"):
        z = _shifted(x, dim)
        return (z - np.log(np.exp(z).sum(dim, keepdims=True))).reshape(x.shape)  # type: ignore[no-any-return]


def _sum(x: Array, dim: int) -> Array:
    return x.sum(dim, keepdims=True) if x.ndim else x  # type: ignore[no-any-return]


def _ref_softmax_grad(g: Array, y: Array, dim: int) -> Array:
    p = g * y
    return p - y * _sum(p, dim)


def _ref_log_softmax_grad(g: Array, y: Array, dim: int) -> Array:
    with np.errstate(all="ignore"):
        return g - np.exp(y) * _sum(g, dim)  # type: ignore[no-any-return]


def _dims(n: Node) -> tuple[int, ...]:
    return (n.attrs[0],) if n.ndim else ()


def _expand_softmax_grad(n: Node) -> Node:
    g, y = n.srcs
    return y * (g - sum_over(g * y, _dims(n)))  # type: ignore[operator, no-any-return]


def _expand_log_softmax_grad(n: Node) -> Node:
    g, y = n.srcs
    return g - get("exp")(y) * sum_over(g, _dims(n))  # type: ignore[operator, no-any-return]


def _samples() -> list[Sample]:
    return [
        Sample((_X,), (1,)),
        Sample((_X,), (0,)),
        Sample((np.zeros((0, 3)),), (1,)),
        Sample((np.asarray(0.7),), (0,)),
        Sample((_X.reshape(3, 2, 2),), (1,)),
        Sample((_X.astype(np.float32),), (1,), False),
    ]


def _grad_samples() -> list[Sample]:
    return [
        Sample((_G, _X), (1,)),
        Sample((_G, _X), (0,)),
        Sample((np.zeros((0, 3)), np.zeros((0, 3))), (1,)),
        Sample((np.asarray(0.7), np.asarray(1.0)), (0,)),
        Sample((_G.astype(np.float32), _X.astype(np.float32)), (1,), False),
    ]


def _vjp(n: Node, g: Node) -> Grads:
    return (get(f"{n.op.name}_grad")(g, n, *n.attrs),)


softmax_grad = Op(
    "softmax_grad",
    "gradient",
    _rule_grad,
    _ref_softmax_grad,
    expand=_expand_softmax_grad,
    saves=lambda n: n.srcs,
    params=("dim",),
    samples=_grad_samples,
)
softmax = Op("softmax", "activation", _rule("softmax"), _ref_softmax, vjp=_vjp, saves=keep_result, params=("dim",), samples=_samples)
log_softmax_grad = Op(
    "log_softmax_grad",
    "gradient",
    _rule_grad,
    _ref_log_softmax_grad,
    expand=_expand_log_softmax_grad,
    saves=lambda n: n.srcs,
    params=("dim",),
    samples=_grad_samples,
)
log_softmax = Op(
    "log_softmax", "activation", _rule("log_softmax"), _ref_log_softmax, vjp=_vjp, saves=keep_result, params=("dim",), samples=_samples
)
