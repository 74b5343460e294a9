"""Composites as PyTorch's CPU kernels compute them, rounding by rounding: training then goes PyTorch's way to the last bit, as far as
matrix products and elementary functions do.

The orders of sums are wishes to the renderer (`Reduce.order`). `fma` stands where PyTorch's compiler contracts a product and a sum.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from ... import dtypes
from ...asg.declare import get
from ...asg.node import Node, const
from ...ops.linalg import NARROW, lies_across
from .decompose import Expansion
from .likelihood import negative_log_likelihood, negative_log_likelihood_grad

#: what `decompose` is to prefer
ORDERED: dict[str, Expansion] = {}
#: rows of a layer norm up to which its statistics are updated element by element, as PyTorch does for rows of any length
_SHORT = 128


def _register(name: str) -> Callable[[Expansion], Expansion]:
    def register(fn: Expansion) -> Expansion:
        ORDERED[name] = fn
        return fn

    return register


def _lit(value: float, like: Node) -> Node:
    return const(value, like.dtype)


def _add(a: Node, b: Node) -> Node:
    return get("add")(a, b)


def _sub(a: Node, b: Node) -> Node:
    return get("sub")(a, b)


def _mul(*factors: Node) -> Node:
    out = factors[0]
    for f in factors[1:]:
        out = get("mul")(out, f)
    return out


def _neg(a: Node) -> Node:
    return get("neg")(a)


def _fma(a: Node, b: Node, c: Node) -> Node:
    return get("fma")(a, b, c)


def _total(x: Node, dims: tuple[int, ...], order: str) -> Node:
    return get("sum")(x, dims, True, order)


# ---------------------------------------------------------------- softmax
def _exponentials(x: Node, dim: int) -> tuple[Node, Node, Node]:
    """(x - max, exp of it, its sum)"""
    shifted = _sub(x, get("amax")(x, (dim,), True))
    e = get("exp")(shifted)
    return shifted, e, _total(e, (dim,), "vectors")


def _log_softmax_of(x: Node, dim: int) -> Node:
    shifted, _, total = _exponentials(x, dim)
    return _sub(shifted, get("log")(total))


@_register("softmax")
def _softmax(n: Node, x: Node) -> Node | None:
    if not x.numel or not x.ndim:
        return None
    dim = n.attrs[-1]
    _, e, total = _exponentials(x, dim)
    return _mul(e, get("reciprocal")(total)) if dim == x.ndim - 1 else get("div")(e, total)


@_register("log_softmax")
def _log_softmax(n: Node, x: Node) -> Node | None:
    return _log_softmax_of(x, n.attrs[-1]) if x.numel and x.ndim else None


@_register("softmax_grad")
def _softmax_grad(n: Node, g: Node, y: Node) -> Node | None:
    return _mul(_sub(g, _total(_mul(g, y), (n.attrs[-1],), "vectors")), y) if y.numel and y.ndim else None


@_register("log_softmax_grad")
def _log_softmax_grad(n: Node, g: Node, y: Node) -> Node | None:
    return _fma(_neg(get("exp")(y)), _total(g, (n.attrs[-1],), "vectors"), g) if y.numel and y.ndim else None


@_register("cross_entropy")
def _cross_entropy(n: Node, x: Node, t: Node, *w: Node) -> Node | None:
    if not x.numel:
        return None
    return negative_log_likelihood(n, _log_softmax_of(x, 0 if x.ndim == 1 else 1), t, w[0] if w else None, n.attrs)


@_register("cross_entropy_grad")
def _cross_entropy_grad(n: Node, g: Node, x: Node, t: Node, *w: Node) -> Node | None:
    if not x.numel:
        return None
    dim = 0 if x.ndim == 1 else 1
    g = g if g.dtype is x.dtype else get("cast")(g, x.dtype)
    by_log = negative_log_likelihood_grad(g, t, w[0] if w else None, tuple(x.shape), *n.attrs)
    return _fma(_neg(get("exp")(_log_softmax_of(x, dim))), _total(by_log, (dim,), "vectors"), by_log)


# ---------------------------------------------------------------- products
@_register("matmul")
def _matmul(n: Node, a: Node, b: Node) -> Node | None:
    if n.attrs or n.dtype is not dtypes.float32 or a.ndim < 2 or b.ndim < 2 or b.shape[-1] >= NARROW:
        return None
    return n.op(a, b, "columns" if lies_across(b) else "rows")


# ---------------------------------------------------------------- layer norm
def _short(x: Node, dims: tuple[int, ...]) -> bool:
    return x.dtype is dtypes.float32 and dims == (x.ndim - 1,) and 1 < x.shape[-1] <= _SHORT and bool(x.numel)


def _statistics(x: Node, dims: tuple[int, ...], eps: float) -> tuple[Node, Node]:
    """(mean, 1 / sqrt(biased variance + eps))"""
    var = get("variance")(x, dims, 0, True, "updated")
    return get("mean")(x, dims, True, "updated"), get("rsqrt")(_add(var, _lit(eps, x)))


@_register("layer_norm")
def _layer_norm(n: Node, x: Node, *affine: Node) -> Node | None:
    dims, eps = n.attrs
    if not _short(x, dims):
        return None
    mean, scale = _statistics(x, dims, eps)
    y = _mul(_sub(x, mean), scale)
    if len(affine) == 2:
        return _fma(y, *affine)
    return _mul(y, affine[0]) if affine else y


@_register("norm_grad_input")
def _norm_grad_input(n: Node, g: Node, x: Node, *w: Node) -> Node | None:
    dims, eps = n.attrs
    if not _short(x, dims) or (w and (w[0].ndim != 1 or w[0].shape[0] != x.shape[-1])):
        return None
    mean, scale = _statistics(x, dims, eps)
    share = _lit(1 / math.prod([x.shape[d] for d in dims]), x)
    along = _total(_mul(g, x, *w), dims, "halves")
    level = _total(_mul(g, *w), dims, "halves")
    slope = _mul(_fma(level, mean, _neg(along)), scale, scale, scale, share)
    offset = _fma(_neg(slope), mean, _neg(_mul(level, scale, share)))
    return _add(_fma(slope, x, _mul(scale, g, *w)), offset)


@_register("norm_grad_weight")
def _norm_grad_weight(n: Node, g: Node, x: Node) -> Node | None:
    shape, dims, eps = n.attrs
    if not _short(x, dims) or tuple(shape) != tuple(x.shape[-1:]) or x.ndim < 2:
        return None
    mean, scale = _statistics(x, dims, eps)
    y = _fma(scale, x, _neg(_mul(scale, mean)))
    return get("sum")(_mul(g, y), tuple(range(x.ndim - 1)), False, "rows")
