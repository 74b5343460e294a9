"""Batching rules of the layers: convolutions, pools, normalisations, embeddings, losses, attention.

Where only the data are batched, the batch is folded into the layer's own. A convolution with batched weights becomes a grouped one: that is
how gradients of each sample are computed at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..asg.batching import Operand, aligned, one_by_one, spread
from ..asg.declare import REGISTRY, STOP
from ..asg.node import Node, const, weak
from ..dtypes import int64
from . import attention, conv, fold, norm, pooling, resize, sampling  # noqa: F401  (they declare what gets a rule here)
from .batching_shared import rows_of, shifted, whole
from .cross_entropy import class_dim, nll_loss, nll_loss_grad
from .embedding import embedding, embedding_grad
from .formula import sum_over
from .logic import eq
from .movement import cast, expand, full, permute, reshape
from .pointwise import add, div, mul, where
from .softmax import log_softmax


def merged(x: Node, at: int = 0) -> Node:
    """The batch merged into dimension `at` of the examples."""
    size, *shape = x.shape
    if at:
        x = permute(x, *range(1, at + 1), 0, *range(at + 1, x.ndim))
    return reshape(x, (*shape[:at], size * shape[at], *shape[at + 1 :]))


def split(x: Node, size: int, at: int = 0) -> Node:
    """The inverse of `merged`."""
    shape = tuple(x.shape)
    y = reshape(x, (*shape[:at], size, shape[at] // size, *shape[at + 1 :]))
    return permute(y, at, *range(at), *range(at + 1, y.ndim)) if at else y


# ---------------------------------------------------------------- layers over (N, C, ...)
def _folded(n: Node, operands: Sequence[Operand], size: int) -> Node:
    """All operands carry the sample dimension in front."""
    return split(n.op(*[merged(x) for x in whole(operands, size)], *n.attrs), size)


def _biased(y: Node, bias: Sequence[Operand], n: Node, size: int) -> Node:
    if not bias:
        return y
    b, mapped = bias[0]
    b = reshape(b, (size if mapped else 1, 1, b.shape[-1], *(1,) * (n.ndim - 2)))
    return add(y, b)


def _conv(n: Node, operands: Sequence[Operand], size: int) -> Node:
    """Data batched: more samples. Weights batched: a group for each example."""
    x, w, *bias = operands
    *attrs, groups = n.attrs
    if x[1] and not w[1]:
        return _biased(split(n.op(merged(x[0]), w[0], *attrs, groups), size), bias, n, size)
    if not w[1]:
        return _biased(spread(n.op(x[0], w[0], *attrs, groups), size), bias, n, size)
    data = merged(x[0] if x[1] else spread(x[0], size), 1)
    return _biased(split(n.op(data, merged(w[0]), *attrs, groups * size), size, 1), bias, n, size)


def _conv_grad_weight(n: Node, operands: Sequence[Operand], size: int) -> Node:
    g, x = (merged(a, 1) for a in whole(operands, size))
    *attrs, groups = n.attrs
    return split(n.op(g, x, *attrs, groups * size), size)


# ---------------------------------------------------------------- normalisations
def _normalised(n: Node, operands: Sequence[Operand], size: int) -> Node:
    """Statistics over named dimensions; weight and bias broadcast to the data, and one follows the other."""
    x, *affine = operands
    data = x[0] if x[1] else spread(x[0], size)
    dims, *rest = n.attrs
    if n.op.name in ("layer_norm", "rms_norm") and not any(mapped for _, mapped in affine):
        return n.op(data, *[a for a, _ in affine], shifted(dims), *rest)
    y = n.op(data, shifted(dims), *rest)
    for combine, a in zip((mul, add), affine, strict=False):
        y = combine(y, *aligned([a], n.ndim))
    return y


def _groups(n: Node, operands: Sequence[Operand], size: int) -> Node:
    x, *affine = operands
    y = split(n.op(merged(x[0] if x[1] else spread(x[0], size)), *n.attrs), size)
    for combine, (a, mapped) in zip((mul, add), affine, strict=False):
        y = combine(y, reshape(a, (size if mapped else 1, 1, a.shape[-1], *(1,) * (n.ndim - 2))))
    return y


# ---------------------------------------------------------------- embeddings
def _offset(indices: Operand, rows: int, size: int) -> Node:
    """Indices into the rows of all examples' tables, laid one after another."""
    i, mapped = indices
    i = i if mapped else spread(i, size)
    i = i if i.dtype is int64 else cast(i, int64)
    return add(i, mul(rows_of(size, i.ndim - 1), const(rows, int64)))


def _padded(indices: Operand, padding: int, size: int) -> Node:
    """Whether each index names the padding row, with a dimension for the elements of the row."""
    i = indices[0] if indices[1] else spread(indices[0], size)
    return reshape(eq(i, const(padding, i.dtype)), (*i.shape, 1))


def _embedding(n: Node, operands: Sequence[Operand], size: int) -> Node:
    table, indices = operands
    padding, by_frequency = n.attrs
    if not table[1]:
        return embedding(table[0], indices[0], *n.attrs)
    if by_frequency:
        return one_by_one(n, operands, size)
    rows = n.srcs[0].shape[0]
    picked = embedding(merged(table[0]), _offset(indices, rows, size), -1, False)
    return picked if padding < 0 else where(_padded(indices, padding, size), STOP(picked), picked)


def _embedding_grad(n: Node, operands: Sequence[Operand], size: int) -> Node:
    rows, padding, by_frequency = n.attrs
    g, indices = operands
    values = g[0] if g[1] else spread(g[0], size)
    if padding >= 0:
        values = where(_padded(indices, padding, size), weak(0.0), values)
    return split(embedding_grad(values, _offset(indices, rows, size), rows * size, -1, by_frequency), size)


# ---------------------------------------------------------------- negative log likelihood
def _rows(x: Node, n: Node) -> Node:
    """Scores of single samples (batch, classes) are rows already; others are folded."""
    return x if n.srcs[0].ndim == 1 else merged(x)


def _labels(t: Node, n: Node, size: int) -> Node:
    return reshape(t, (size,)) if n.srcs[0].ndim == 1 else merged(t)


def _losses(x: Node, t: Node, weight: Sequence[Operand], n: Node, size: int) -> Node:
    """The loss of each element: (batch, elements)."""
    ignore, _, smoothing = n.attrs
    out = nll_loss(_rows(x, n), _labels(t, n, size), *[w for w, _ in weight], ignore, "none", smoothing)
    return reshape(out, (size, out.numel // size if size else 0))


def _nll(n: Node, operands: Sequence[Operand], size: int) -> Node:
    x, t, *weight = operands
    if any(mapped for _, mapped in weight):
        return one_by_one(n, operands, size)
    scores, targets = whole([x, t], size)
    losses = _losses(scores, targets, weight, n, size)
    reduction = n.attrs[1]
    if reduction == "none":
        return reshape(losses, (size, *n.shape))
    total = reshape(sum_over(losses, (1,)), (size,))
    return div(total, _weights(scores, targets, weight, n, size)) if reduction == "mean" else total


def _weights(scores: Node, targets: Node, weight: Sequence[Operand], n: Node, size: int) -> Node:
    """The total weight of the elements that count: the loss of scores of minus one."""
    ones = full(const(-1.0, scores.dtype), tuple(scores.shape))
    each = nll_loss(_rows(ones, n), _labels(targets, n, size), *[w for w, _ in weight], n.attrs[0], "none", 0.0)
    return reshape(sum_over(reshape(each, (size, each.numel // size if size else 0)), (1,)), (size,))


def _cross_entropy(n: Node, operands: Sequence[Operand], size: int) -> Node:
    x, *rest = operands
    scores = x[0] if x[1] else spread(x[0], size)
    y = log_softmax(scores, class_dim(n.srcs[0].ndim) + 1)
    return _nll(n, [(y, True), *rest], size)


def _nll_grad(n: Node, operands: Sequence[Operand], size: int) -> Node:
    shape, ignore, reduction, smoothing = n.attrs
    g, t, *weight = operands
    if any(mapped for _, mapped in weight) or len(shape) == 1:
        return one_by_one(n, operands, size)
    grads, targets = whole([g, t], size)
    elements = tuple(n.srcs[1].shape)
    if reduction != "none":
        if reduction == "mean":
            ones = full(const(-1.0, n.dtype), (size, *shape))
            each = nll_loss(merged(ones), merged(targets), *[w for w, _ in weight], ignore, "none", 0.0)
            total = reshape(sum_over(reshape(each, (size, each.numel // size if size else 0)), (1,)), (size,))
            grads = div(grads, total)
        grads = expand(reshape(grads, (size, *(1,) * len(elements))), size, *elements)
    wide = (size * shape[0], *shape[1:])
    return split(nll_loss_grad(merged(grads), merged(targets), *[w for w, _ in weight], wide, ignore, "none", smoothing), size)


# ---------------------------------------------------------------- attention
def _attention(n: Node, operands: Sequence[Operand], size: int) -> Node:
    query, key, value, *mask = operands
    if any(s.ndim != n.ndim for s in n.srcs[:3]):
        return one_by_one(n, operands, size)
    return n.op(*whole([query, key, value], size), *aligned(mask, n.ndim), *n.attrs)


_RULES: dict[Any, tuple[str, ...]] = {
    _conv: ("conv", "conv_transpose"),
    _normalised: ("layer_norm", "batch_norm", "instance_norm", "rms_norm"),
    _folded: ("max_pool_index", "max_pool", "avg_pool", "adaptive_avg_pool", "adaptive_max_pool_index", "adaptive_max_pool", "plane_gather",
              "interpolate", "im2col", "grid_sample_nearest", "fractional_max_pool_index", "avg_pool_grad", "adaptive_avg_pool_grad",
              "interpolate_grad", "col2im", "plane_scatter", "max_unpool"),
}  # fmt: skip
_SINGLE: dict[str, Any] = {
    "conv_grad_weight": _conv_grad_weight, "group_norm": _groups, "embedding": _embedding, "embedding_grad": _embedding_grad,
    "nll_loss": _nll, "nll_loss_grad": _nll_grad, "cross_entropy": _cross_entropy, "scaled_dot_product_attention": _attention,
}  # fmt: skip
for _rule, _names in _RULES.items():
    for _name in _names:
        REGISTRY[_name].batch = _rule
for _name, _rule in _SINGLE.items():
    REGISTRY[_name].batch = _rule
