"""The negative log likelihood of class indices, and cross entropy, as elementary operations: classes are masks over the scores."""

from __future__ import annotations

from typing import Any

from ... import dtypes
from ...asg.declare import get
from ...asg.node import Node, const
from .decompose import _add, _div, _exponentials, _lit, _log_softmax_over, _mul, _reshape, _sub, _sum, _to, expansion


class _Classes:
    """Which class each sample has, as masks over scores of a shape, with PyTorch's weights and ignored index."""

    def __init__(self, shape: tuple[int, ...], t: Node, w: Node | None, ignore: int, d: dtypes.dtype) -> None:
        self.dim = 0 if len(shape) == 1 else 1
        self.classes = shape[self.dim]
        kept = tuple(1 if i == self.dim else n for i, n in enumerate(shape))
        along = tuple(n if i == self.dim else 1 for i, n in enumerate(shape))
        t = _reshape(get("class_index")(_to(t, dtypes.int64), self.classes, ignore), kept)
        numbers = get("arange")(const(0, dtypes.int64), const(1, dtypes.int64), self.classes, dtypes.int64)
        self.hot = get("eq")(_reshape(numbers, along), t)
        self.counts = get("ne")(t, const(ignore, dtypes.int64))
        self.each = None if w is None else _reshape(w, along)
        zero, one = const(0, d), const(1, d)
        chosen = one if w is None else _sum(get("where")(self.hot, self.each, zero), (self.dim,))
        #: the weight of each sample, 0 where it is ignored
        self.weight = get("where")(self.counts, chosen, zero)
        self.total = _reshape(_sum(self.weight, tuple(range(len(shape)))), ())


@expansion("nll_loss")
def _nll_loss(n: Node, x: Node, t: Node, *w: Node) -> Node | None:
    return negative_log_likelihood(n, x, t, w[0] if w else None, n.attrs) if x.numel else None


def negative_log_likelihood(n: Node, x: Node, t: Node, w: Node | None, attrs: tuple[Any, ...]) -> Node:
    ignore, reduction, smoothing = attrs
    c = _Classes(tuple(x.shape), t, w, ignore, x.dtype)
    zero = _lit(0, x)
    loss = _mul(get("neg")(_sum(get("where")(c.hot, x, zero), (c.dim,))), c.weight)
    loss = get("where")(c.counts, loss, zero)
    if smoothing:
        spread = get("neg")(_sum(x if c.each is None else _mul(x, c.each), (c.dim,)))
        spread = get("where")(c.counts, spread, zero)
        loss = _add(_mul(loss, _lit(1 - smoothing, x)), _mul(spread, _lit(smoothing / c.classes, x)))
    if reduction == "none":
        return _reshape(loss, tuple(n.shape))
    total = _reshape(_sum(loss, tuple(range(x.ndim))), ())
    return _div(total, c.total) if reduction == "mean" else total


@expansion("nll_loss_grad")
def _nll_loss_grad(n: Node, g: Node, t: Node, *w: Node) -> Node | None:
    return negative_log_likelihood_grad(g, t, w[0] if w else None, *n.attrs) if n.numel else None


def negative_log_likelihood_grad(
    g: Node, t: Node, w: Node | None, shape: tuple[int, ...], ignore: int, reduction: str, smoothing: float
) -> Node:
    c = _Classes(shape, t, w, ignore, g.dtype)
    zero = _lit(0, g)
    if reduction == "none":
        scale = _reshape(g, tuple(1 if i == c.dim else n for i, n in enumerate(shape)))
    else:
        scale = _div(g, c.total) if reduction == "mean" else g
    chosen = _mul(_mul(scale, c.weight), _lit(smoothing - 1, g))
    found = get("where")(c.hot, chosen, zero)
    if smoothing:
        spread = get("where")(c.counts, _mul(scale, _lit(-smoothing / c.classes, g)), zero)
        found = _add(found, spread if c.each is None else _mul(spread, c.each))
    return found if tuple(found.shape) == shape else get("expand")(found, *shape)


@expansion("cross_entropy")
def _cross_entropy(n: Node, x: Node, t: Node, *w: Node) -> Node | None:
    if not x.numel:
        return None
    return negative_log_likelihood(n, _log_softmax_over(x, (0 if x.ndim == 1 else 1,)), t, w[0] if w else None, n.attrs)


@expansion("cross_entropy_grad")
def _cross_entropy_grad(n: Node, g: Node, x: Node, t: Node, *w: Node) -> Node | None:
    """The gradient of `nll_loss` is constant along the classes but for the hot one, so its sum over them needs no pass over the scores."""
    if not x.numel:
        return None
    dims = (0 if x.ndim == 1 else 1,)
    by_log = negative_log_likelihood_grad(_to(g, x.dtype), t, w[0] if w else None, tuple(x.shape), *n.attrs)
    _, e, total = _exponentials(x, dims)
    return _sub(by_log, _mul(_div(e, total), _sum(by_log, dims)))
