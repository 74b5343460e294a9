"""Scaled dot-product attention with dropout of the probabilities: (M * softmax(scale * Q K^T + mask)) V.

The factors M are 0 with probability p and 1 / (1 - p) elsewhere. They come from the counter-based stream (ops/random.py): factor number i
of a row-major array (..., L, S) belongs to number i of the blocks from `block` on under `key`, so that no such array need exist: forward
and backward make the same factors.

Operands: query, key and value as in ops/attention.py, the stream's key and first block (int64 numbers), optionally a mask.
Attributes: whether position i sees only positions up to i, the scale, p.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import dtypes
from ..asg.declare import Array, Grads, Meta, Op, Sample
from ..asg.geometry import broadcast
from ..asg.node import Node, weak
from ..asg.saving import keep_all
from ..rng import philox
from . import attention
from .kept_factors import of_weighted
from .linalg import matmul, swap_last
from .logic import ge
from .movement import cast
from .pointwise import mul
from .random import philox_uniform
from .softmax import softmax_grad

PARAMS = ("is_causal", "scale", "dropout_p")
#: what there are gradients of, by the operands' places
_WHICH = ("query", "key", "value", None, None, "mask")


def kept_factor(p: float, d: dtypes.dtype) -> float:
    """What is kept by dropout is multiplied by 1 / (1 - p), computed in the type as PyTorch does."""
    one = np.float64(1) if d is dtypes.float64 else np.float32(1)
    return float(one / one.__class__(1.0 - p))


def _parted(args: tuple[Any, ...]) -> tuple[tuple[Any, ...], tuple[Any, Any], tuple[Any, ...]]:
    """Operands and attributes as (operands of attention, state of the stream, attributes)."""
    q, k, v, key, block, *rest = args
    mask = [a for a in rest if a.__class__ is Node or isinstance(a, np.ndarray)]
    return (q, k, v, *mask), (key, block), tuple(rest[len(mask) :])


def _rule(*args: Any) -> Meta:
    operands, _, (causal, scale, _) = _parted(args)
    return attention._rule(*operands, causal, scale)


def _rule_grad(g: Node, *args: Any) -> Meta:
    operands, _, (causal, scale, _, which) = _parted(args)
    return attention._rule_grad(g, *operands, causal, scale, which)


# ---------------------------------------------------------------- values
def _shape(operands: tuple[Any, ...]) -> tuple[int, ...]:
    """That of the scores."""
    return (*broadcast(*[tuple(a.shape[:-2]) for a in operands]), operands[0].shape[-2], operands[1].shape[-2])


def _factors(operands: tuple[Array, ...], state: tuple[Array, Array], p: float) -> Array:
    shape, d = _shape(operands), operands[0].dtype
    drawn = philox.uniform(int(state[0]) & (2**64 - 1), 4 * int(state[1]), math.prod(shape)).reshape(shape)
    return (drawn >= np.float32(p)) * d.type(kept_factor(p, dtypes.float64 if d == np.float64 else dtypes.float32))


def _ref(*args: Any) -> Array:
    (q, k, v, *mask), state, (causal, scale, p) = _parted(args)
    probabilities = attention._probabilities(q, k, mask[0] if mask else None, causal, scale)
    return np.matmul(probabilities * _factors((q, k, v, *mask), state, p), v)


def _ref_grad(g: Array, *args: Any) -> Array:
    (q, k, v, *mask), state, (causal, scale, p, which) = _parted(args)
    probabilities = attention._probabilities(q, k, mask[0] if mask else None, causal, scale)
    factors = _factors((q, k, v, *mask), state, p)
    if which == "value":
        return np.matmul(np.swapaxes(probabilities * factors, -1, -2), g)
    d = np.matmul(g, np.swapaxes(v, -1, -2)) * factors
    d = probabilities * (d - (d * probabilities).sum(-1, keepdims=True))
    if which == "mask":
        return d  # type: ignore[no-any-return]
    scale = q.dtype.type(scale)
    return np.matmul(d, k) * scale if which == "query" else np.matmul(np.swapaxes(d, -1, -2), q) * scale  # type: ignore[no-any-return]


# ---------------------------------------------------------------- the same from elementary operations
def _factors_node(operands: tuple[Node, ...], state: tuple[Node, Node], p: float) -> Node:
    d = operands[0].dtype
    return mul(cast(ge(philox_uniform(*state, _shape(operands)), weak(p)), d), weak(kept_factor(p, d)))


def _expand(n: Node) -> Node:
    (q, k, v, *mask), state, (causal, scale, p) = _parted((*n.srcs, *n.attrs))
    probabilities = attention._probability_node(q, k, mask[0] if mask else None, causal, scale)
    return matmul(mul(probabilities, _factors_node((q, k, v, *mask), state, p)), v)


def _expand_grad(n: Node) -> Node:
    g, *args = *n.srcs, *n.attrs
    (q, k, v, *mask), state, (causal, scale, p, which) = _parted(tuple(args))
    probabilities = attention._probability_node(q, k, mask[0] if mask else None, causal, scale)
    factors = _factors_node((q, k, v, *mask), state, p)
    if which == "value":
        return matmul(swap_last(mul(probabilities, factors)), g)
    d = mul(matmul(g, swap_last(v)), factors)
    d = softmax_grad(d, probabilities, len(d.shape) - 1)
    if which == "mask":
        return d
    return matmul(d, k) * scale if which == "query" else matmul(swap_last(d), q) * scale  # type: ignore[operator, no-any-return]


def _vjp(n: Node, g: Node) -> Grads:
    return tuple(
        [(lambda which=w: sdpa_dropout_grad(g, *n.srcs, *n.attrs, which)) if w is not None else None for w in _WHICH[: len(n.srcs)]]
    )


def _cases() -> list[tuple[tuple[Any, ...], tuple[Any, ...]]]:
    state = np.asarray(7), np.asarray(3)
    return [((q, k, v, *state, *mask), (*attrs, 0.3)) for (q, k, v, *mask), attrs in attention._cases()]


def _grad_samples() -> list[Sample]:
    out = []
    for operands, attrs in _cases():
        g = np.random.default_rng(1).standard_normal(_ref(*operands, *attrs).shape)
        wanted = _WHICH[: 6 if len(operands) > 5 and operands[5].dtype.kind == "f" else 3]
        out += [Sample((g, *operands), (*attrs, w)) for w in wanted if w is not None]
    return out


sdpa_dropout_grad = Op(
    "sdpa_dropout_grad",
    "gradient",
    _rule_grad,
    _ref_grad,
    expand=_expand_grad,
    saves=keep_all,
    params=(*PARAMS, "of"),
    samples=_grad_samples,
)
sdpa_dropout = Op(
    "sdpa_dropout",
    "attention",
    _rule,
    _ref,
    vjp=_vjp,
    expand=_expand,
    saves=of_weighted,
    params=PARAMS,
    samples=lambda: [Sample(operands, attrs) for operands, attrs in _cases()],
)
