"""Scaled dot-product attention as one operation: softmax(scale * Q K^T + mask) V (Vaswani et al., 2017).

Operands: query (..., L, E), key (..., S, E), value (..., S, V), optionally a mask broadcastable to (..., L, S): boolean (False = hidden)
or added to the scores. Leading dimensions broadcast. Attributes: whether position i sees only positions up to i, and the scale.
A query that sees nothing gets zeros.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import dtypes
from ..asg.declare import Array, Grads, Meta, Op, Sample, get
from ..asg.geometry import broadcast
from ..asg.node import Node, const, weak
from ..asg.saving import keep_all
from .kept_factors import of_attention
from .linalg import matmul, swap_last
from .logic import eq, ge
from .movement import arange, reshape
from .pointwise import where
from .promotion import to
from .softmax import softmax, softmax_grad

PARAMS = ("is_causal", "scale")
_WHICH = ("query", "key", "value", "mask")


def _batch(q: Node, k: Node, v: Node, *mask: Node) -> tuple[int, ...]:
    return broadcast(*[tuple(n.shape[:-2]) for n in (q, k, v, *mask)])


def _operands(args: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple([a for a in args if a.__class__ is Node or isinstance(a, np.ndarray)])


def _rule(*args: Any) -> Meta:
    q, k, v, *mask = _operands(args)
    if q.shape[-1] != k.shape[-1] or k.shape[-2] != v.shape[-2]:
        raise RuntimeError(
            f"scaled_dot_product_attention: query {list(q.shape)}, key {list(k.shape)} and value {list(v.shape)} do not fit together"
        )
    if mask:
        broadcast(tuple(mask[0].shape[-2:]), (q.shape[-2], k.shape[-2]))
    return (*_batch(q, k, v, *mask), q.shape[-2], v.shape[-1]), q.dtype


def _rule_grad(g: Node, *args: Any) -> Meta:
    q, k, v, *mask = _operands(args)
    tail = {"query": q.shape[-2:], "key": k.shape[-2:], "value": v.shape[-2:], "mask": (q.shape[-2], k.shape[-2])}[args[-1]]
    return (*_batch(q, k, v, *mask), *tail), q.dtype


# ---------------------------------------------------------------- values
def _probabilities(q: Array, k: Array, mask: Array | None, causal: bool, scale: float) -> Array:
    s = np.matmul(q, np.swapaxes(k, -1, -2)) * q.dtype.type(scale)
    if causal:
        s = np.where(np.tri(s.shape[-2], s.shape[-1], dtype=bool), s, -np.inf)
    if mask is not None:
        s = np.where(mask, s, -np.inf) if mask.dtype.kind == "b" else s + mask
    if not s.shape[-1]:
        return s
    with np.errstate(all="ignore"):
        top = s.max(-1, keepdims=True)
        e = np.exp(s - np.where(top == -np.inf, 0, top))
        total = e.sum(-1, keepdims=True)
        return (e / np.where(total == 0, 1, total)).astype(q.dtype)  # type: ignore[no-any-return]


def _ref(*args: Any) -> Array:
    (q, k, v, *mask), (causal, scale) = _operands(args), args[-2:]
    return np.matmul(_probabilities(q, k, mask[0] if mask else None, causal, scale), v)


def _ref_grad(g: Array, *args: Any) -> Array:
    (q, k, v, *mask), (causal, scale, which) = _operands(args), args[-3:]
    p = _probabilities(q, k, mask[0] if mask else None, causal, scale)
    if which == "value":
        return np.matmul(np.swapaxes(p, -1, -2), g)
    d = np.matmul(g, np.swapaxes(v, -1, -2))
    d = p * (d - (d * p).sum(-1, keepdims=True))
    if which == "mask":
        return d  # type: ignore[no-any-return]
    scale = q.dtype.type(scale)
    return np.matmul(d, k) * scale if which == "query" else np.matmul(np.swapaxes(d, -1, -2), q) * scale  # type: ignore[no-any-return]


# ---------------------------------------------------------------- the same from elementary operations
def _positions(n: int) -> Node:
    return arange(const(0, dtypes.int64), const(1, dtypes.int64), n, dtypes.int64)


def _probability_node(q: Node, k: Node, mask: Node | None, causal: bool, scale: float) -> Node:
    s = matmul(q, swap_last(k)) * scale  # type: ignore[operator]
    rows, columns, last = q.shape[-2], k.shape[-2], len(s.shape) - 1
    if causal:
        s = where(ge(reshape(_positions(rows), (rows, 1)), _positions(columns)), s, weak(-np.inf))
    if mask is None or not columns:
        return softmax(s, last)
    s = where(mask, s, weak(-np.inf)) if mask.dtype is dtypes.bool_ else s + mask
    blind = eq(get("amax")(s, (last,), True), weak(-np.inf))  # rows that see nothing: kept out of softmax, where they would be NaN
    return where(blind, weak(0.0), softmax(where(blind, weak(0.0), s), last))


def _expand(n: Node) -> Node:
    q, k, v, *mask = n.srcs
    return matmul(_probability_node(q, k, mask[0] if mask else None, *n.attrs), v)


def _expand_grad(n: Node) -> Node:
    g, q, k, v, *mask = n.srcs
    causal, scale, which = n.attrs
    p = _probability_node(q, k, mask[0] if mask else None, causal, scale)
    if which == "value":
        return matmul(swap_last(p), g)
    d = softmax_grad(matmul(g, swap_last(v)), p, len(p.shape) - 1)
    if which == "mask":
        return d
    return matmul(d, k) * scale if which == "query" else matmul(swap_last(d), q) * scale  # type: ignore[operator, no-any-return]


def _vjp(n: Node, g: Node) -> Grads:
    return tuple([lambda which=w: sdpa_grad(g, *n.srcs, *n.attrs, which) for w in _WHICH[: len(n.srcs)]])


def _cases() -> list[tuple[tuple[Any, ...], tuple[Any, ...]]]:
    r = np.random.default_rng(0).standard_normal
    q, k, v = r((2, 3, 4)), r((2, 5, 4)), r((2, 5, 2))
    hidden = np.array([[True, False, True, True, False], [False] * 5, [True] * 5])
    return [
        ((q, k, v), (False, 0.5)),
        ((q, k, v), (True, 0.5)),
        ((q, k, v, r((3, 5))), (False, 0.3)),
        ((q, k, v, hidden), (False, 0.5)),
        ((r((2, 2, 3, 4)), r((2, 1, 5, 4)), r((2, 1, 5, 2))), (True, 1.0)),
        ((q[0], k[0], v[0]), (False, 0.5)),
    ]


def _grad_samples() -> list[Sample]:
    out = []
    for operands, attrs in _cases():
        g = np.random.default_rng(1).standard_normal(_ref(*operands, *attrs).shape)
        out += [Sample((g, *operands), (*attrs, w)) for w in _WHICH[: 4 if len(operands) > 3 and operands[3].dtype.kind == "f" else 3]]
    return out


sdpa_grad = Op(
    "sdpa_grad", "gradient", _rule_grad, _ref_grad, expand=_expand_grad, saves=keep_all, params=(*PARAMS, "of"), samples=_grad_samples
)
sdpa = Op(
    "scaled_dot_product_attention",
    "attention",
    _rule,
    _ref,
    vjp=_vjp,
    saves=of_attention,
    params=PARAMS,
    samples=lambda: [Sample(operands, attrs) for operands, attrs in _cases()],
)


def _varied_scale(srcs: tuple[Node, ...], attrs: tuple[Any, ...]) -> Node:
    q, *rest = srcs
    causal, scale = attrs
    return sdpa(q * to(scale, q.dtype), *rest, causal, 1.0)


sdpa.varying, sdpa.varied = (PARAMS.index("scale"),), _varied_scale
