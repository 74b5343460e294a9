"""Vector norms, and distances between all pairs of two sets of points."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import dtypes
from ..asg.declare import Array, Grads, Meta, Op, Sample
from ..asg.geometry import broadcast
from ..asg.node import Node, weak
from .linalg import matmul, swap_last
from .logic import eq, isnan, logical_and, logical_or, ne
from .movement import cast, reshape
from .pointwise import abs_, ceil, minimum, mul, pow_, sign, where, zeros_like
from .promotion import title
from .reduce import X, kept, reduced_shape, sum_


# ---------------------------------------------------------------- vector norm
def _rule_norm(x: Node, p: float, dims: tuple[int, ...], keepdim: bool) -> Meta:
    if x.dtype.category < dtypes.FLOAT:
        raise RuntimeError(f"linalg.vector_norm: Expected a floating point or complex tensor as input. Got {title(x.dtype)}")
    if p < 0 or p == math.inf:
        for d in dims:
            if not x.shape[d]:
                order = "inf" if p == math.inf else "-inf" if p == -math.inf else f"{p:g}"
                where_ = (
                    "an empty tensor because the"
                    if len(dims) == len(x.shape)
                    else f"the dimension {d} because this dimension is empty and the"
                )
                raise RuntimeError(f"linalg.vector_norm cannot compute the {order} norm on {where_} operation does not have an identity")
    return reduced_shape(x.shape, dims, keepdim), x.dtype


def _ref_norm(x: Array, p: float, dims: tuple[int, ...], keepdim: bool) -> Array:
    with np.errstate(all="ignore"):
        if p == 2:
            return np.asarray(np.sqrt((x * x).sum(dims, dtype=x.dtype, keepdims=keepdim)))
        a = np.abs(x)
        if p == math.inf:
            return np.asarray(a.max(dims, keepdims=keepdim))
        if p == -math.inf:
            return np.asarray(a.min(dims, keepdims=keepdim))
        if p == 0:
            return np.asarray((a != 0).sum(dims, keepdims=keepdim)).astype(x.dtype)
        if p == 1:
            return np.asarray(a.sum(dims, dtype=x.dtype, keepdims=keepdim))
        return np.asarray(np.power(np.power(a, x.dtype.type(p)).sum(dims, dtype=x.dtype, keepdims=keepdim), x.dtype.type(1 / p)))


def _over(g: Node, n: Node) -> Node:
    """``g / n``, and 0 where a norm is 0 (PyTorch's subgradient there)."""
    zero = eq(n, weak(0.0))
    return where(zero, weak(0.0), g / where(zero, weak(1.0), n))  # type: ignore[operator]


def power_slope(x: Node, p: float) -> Node:
    """sign(x) |x|^(p - 1), and 0 at 0."""
    if p >= 2:
        return x if p == 2 else mul(x, pow_(abs_(x), weak(p - 2)))
    zero = eq(x, weak(0.0))
    return where(zero, weak(0.0), mul(sign(x), pow_(abs_(where(zero, weak(1.0), x)), weak(p - 1))))


def _vjp_norm(n: Node, g: Node) -> Grads:
    x, (p, dims, _) = n.srcs[0], n.attrs
    g, top = kept(g, x.shape, dims), kept(n, x.shape, dims)
    if p == 0:
        return (lambda: zeros_like(x),)
    if p == 1:
        return (mul(sign(x), g),)
    if math.isinf(p):
        reached = logical_or(eq(abs_(x), top), logical_and(isnan(x), isnan(top)))
        winners = cast(reached, x.dtype)
        return (mul(sign(x), mul(g / sum_(winners, dims, True), winners)),)  # type: ignore[operator]
    return (mul(power_slope(x, p), _over(g, top if p == 2 else pow_(top, weak(p - 1)))),)


def _norm_samples() -> list[Sample]:
    orders = [Sample((X,), (p, (1,), False)) for p in (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, -1.0, math.inf, -math.inf)]
    return [
        *orders,
        Sample((X,), (2.0, (0, 1, 2), False)),
        Sample((X,), (3.0, (0, 2), True)),
        Sample((X[:0],), (2.0, (0,), False), False),
        Sample((np.asarray(-1.5),), (2.0, (), False)),
        Sample((np.zeros((2, 2)),), (2.0, (1,), False), False),
    ]


#: (sum |x|^p)^(1/p); the number of nonzero elements for p = 0, the extrema of |x| for p = inf and -inf
vector_norm = Op(
    "vector_norm",
    "reduction",
    _rule_norm,
    _ref_norm,
    vjp=_vjp_norm,
    saves=lambda n: (n.srcs[0], n),
    prepare=lambda x, *attrs: (abs_(x) if x.dtype.is_complex else x, *attrs),
    params=("ord", "dim", "keepdim"),
    samples=_norm_samples,
)


# ---------------------------------------------------------------- all pairs
_BLOCK = 1 << 21  # elements of differences held at once


def _rule_cdist(a: Node, b: Node, *_: Any) -> Meta:
    return (*broadcast(tuple(a.shape[:-2]), tuple(b.shape[:-2])), a.shape[-2], b.shape[-2]), a.dtype


def _blocks(a: Array, b: Array) -> Any:
    """(slice of rows of `a`, differences (..., rows, columns, features)), a bounded number of elements at a time."""
    per_row = max(1, math.prod(np.broadcast_shapes(a.shape[:-2], b.shape[:-2])) * b.shape[-2] * b.shape[-1])
    step = max(1, _BLOCK // per_row)
    for lo in range(0, a.shape[-2], step):
        rows = slice(lo, lo + step)
        with np.errstate(invalid="ignore"):
            yield rows, a[..., rows, None, :] - b[..., None, :, :]


def _ref_gaps(gap: Array, p: float) -> Array:
    """The norm over the last dimension as a distance has it: a NaN is no difference of 1."""
    if p:
        return _ref_norm(gap, p, (gap.ndim - 1,), False)
    return np.asarray(np.where(np.isnan(gap), gap, gap != 0).sum(-1, dtype=gap.dtype))


def _ref_cdist(a: Array, b: Array, p: float) -> Array:
    out = np.zeros((*np.broadcast_shapes(a.shape[:-2], b.shape[:-2]), a.shape[-2], b.shape[-2]), a.dtype)
    if a.shape[-1] and out.size:
        for rows, gap in _blocks(a, b):
            # as PyTorch's kernel, which asks of each size whether it is larger: a NaN is not, though pdist's maximum is NaN
            out[..., rows, :] = np.fmax.reduce(np.abs(gap), -1, initial=0) if p == math.inf else _ref_gaps(gap, p)
    return out


def _vjp_cdist(n: Node, g: Node) -> Grads:
    (a, b), (p,) = n.srcs, n.attrs
    return lambda: cdist_grad(g, a, b, n, p), lambda: cdist_grad(swap_last(g), b, a, swap_last(n), p)


def _point_samples(*attrs: Any, grad: bool = True) -> list[Sample]:
    a, b = X[0], X[1, :2]
    return [
        Sample((a, b), attrs, grad),
        Sample((X, X[::-1, 1:]), attrs, grad),
        Sample((a * 1.1 + 0.3, X), attrs, grad),
        Sample((a[:0], b), attrs, grad),
    ]


#: Distances in p-norm between the rows of `a` (..., P, M) and of `b` (..., R, M): (..., P, R).
cdist = Op(
    "cdist",
    "linalg",
    _rule_cdist,
    _ref_cdist,
    vjp=_vjp_cdist,
    saves=lambda n: (*n.srcs, n),
    params=("p",),
    samples=lambda: [
        *_point_samples(2.0),
        *_point_samples(1.0),
        *_point_samples(3.0),
        *_point_samples(1.5),
        *_point_samples(math.inf),
        *_point_samples(0.0),
    ],
)


def _slope(g: Node, gap: Node, near: Node, p: float) -> Node:
    """g times the slope of the norm `near` at each coordinate of a difference. The sign of a NaN is NaN here."""
    if p == 0:
        return zeros_like(mul(g, gap))
    if p == 1:
        return mul(g, where(isnan(gap), gap, sign(gap)))
    if p == math.inf:
        # infinitely far from an infinite distance is a NaN, as in PyTorch's formula
        reached = weak(1.0) - minimum(ceil(abs_(abs_(gap) - near)), weak(1.0))  # type: ignore[operator]
        return mul(g, mul(where(isnan(gap), gap, sign(gap)), reached))
    found = mul(power_slope(gap, p), _over(g, near if p == 2 else pow_(near, weak(p - 1))))
    return where(eq(gap, weak(0.0)), weak(0.0), found) if p < 1 else found


def _expand_gaps(n: Node) -> Node:
    (gap,), (p,) = n.srcs, n.attrs
    last = (len(gap.shape) - 1,)
    if p:
        return vector_norm(gap, p, last, False)
    return sum_(where(isnan(gap), gap, cast(ne(gap, weak(0.0)), gap.dtype)), last, False)


def _vjp_gaps(n: Node, g: Node) -> Grads:
    (gap,), (p,) = n.srcs, n.attrs
    return (lambda: _slope(reshape(g, (*g.shape, 1)), gap, reshape(n, (*n.shape, 1)), p),)


#: The norm of differences along the last dimension: `vector_norm`, but for what NaN and infinities give.
gap_norm = Op(
    "gap_norm",
    "reduction",
    lambda gap, p: (tuple(gap.shape[:-1]), gap.dtype),
    _ref_gaps,
    vjp=_vjp_gaps,
    expand=_expand_gaps,
    saves=lambda n: (n.srcs[0], n),
    params=("p",),
    samples=lambda: [Sample((X,), (p,), p not in (0, math.inf)) for p in (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, math.inf)],
)


def _ref_cdist_grad(g: Array, a: Array, b: Array, d: Array, p: float) -> Array:
    out = np.zeros((*d.shape[:-1], a.shape[-1]), g.dtype)
    if p == 0 or not d.size:
        return out
    with np.errstate(all="ignore"):
        for rows, gap in _blocks(a, b):
            near, weight = d[..., rows, :, None], g[..., rows, :, None]
            if p == 1:
                slope = np.sign(gap)
            elif p == math.inf:
                slope = np.sign(gap) * (1 - np.minimum(1, np.ceil(np.abs(np.abs(gap) - near))))
            else:
                slope = np.where(gap == 0, 0, np.sign(gap) * np.abs(gap) ** g.dtype.type(p - 1)) if p != 2 else gap
                slope = np.where(near == 0, 0, slope / np.where(near == 0, 1, near) ** g.dtype.type(p - 1))
                slope = np.where(gap == 0, 0, slope) if p < 1 else slope
            out[..., rows, :] = (weight * slope).sum(-2)
    return out


def _expand_cdist_grad(n: Node) -> Node:
    (g, a, b, d), (p,) = n.srcs, n.attrs
    gap = reshape(a, (*a.shape[:-1], 1, a.shape[-1])) - reshape(b, (*b.shape[:-2], 1, *b.shape[-2:]))  # type: ignore[operator]
    weight, near = reshape(g, (*g.shape, 1)), reshape(d, (*d.shape, 1))
    return sum_(_slope(weight, gap, near, p), (len(gap.shape) - 2,), False)


def _gradient_samples(p: float) -> list[Sample]:
    a, b = X[0], X[1, :2]
    return [Sample((np.cos(np.arange(6.0)).reshape(3, 2), a, b, _ref_cdist(a, b, p)), (p,), p not in (0, math.inf))]


#: The gradient by the first set of points: sum over pairs of g * (slope of the norm at the difference).
cdist_grad = Op(
    "cdist_grad",
    "gradient",
    lambda g, a, b, d, p: ((*d.shape[:-1], a.shape[-1]), g.dtype),
    _ref_cdist_grad,
    expand=_expand_cdist_grad,
    saves=lambda n: n.srcs,
    params=("p",),
    samples=lambda: [s for p in (2.0, 1.0, 3.0, 1.5, math.inf, 0.0) for s in _gradient_samples(p)],
)


def _squares(x: Array, y: Array) -> Array:
    """|x|^2 - 2 x.y + |y|^2 for all pairs."""
    return np.asarray((x * x).sum(-1)[..., :, None] + (y * y).sum(-1)[..., None, :] - 2 * (x @ np.swapaxes(y, -1, -2)))


def _ref_euclidean(a: Array, b: Array) -> Array:
    """By the product, around the mean of `b` and in double precision, so that close points lose little.

    Around nothing where a coordinate is not finite: the product of infinities and zeros decides between infinity and NaN.
    """
    if not a.shape[-1] or not b.shape[-2]:
        return np.zeros((*np.broadcast_shapes(a.shape[:-2], b.shape[:-2]), a.shape[-2], b.shape[-2]), a.dtype)
    rows, columns = (np.isfinite(v).all(-1, keepdims=True) for v in (a, b))
    y = np.where(columns, b, 0).astype(np.float64)
    centre = y.mean(-2, keepdims=True)
    squares = _squares(np.where(rows, a, 0) - centre, y - centre)
    if not (rows.all() and columns.all()):
        with np.errstate(all="ignore"):
            plain = _squares(a.astype(np.float64), b.astype(np.float64))
        squares = np.where(rows & np.swapaxes(columns, -1, -2), squares, plain)
    return np.sqrt(np.maximum(squares, 0)).astype(a.dtype)


def _vjp_euclidean(n: Node, g: Node) -> Grads:
    """With weights w = g / distance: row sums of w times the points, minus w times the other points."""
    a, b = n.srcs
    w = _over(g, n)
    last = len(w.shape) - 1

    def by(points: Node, others: Node, weights: Node) -> Node:
        return mul(points, sum_(weights, (last,), True)) - matmul(weights, others)  # type: ignore[operator]

    return lambda: by(a, b, w), lambda: by(b, a, swap_last(w))


#: `cdist` in the 2-norm through one matrix product: for large sets of points.
euclidean = Op(
    "cdist_euclidean", "linalg", _rule_cdist, _ref_euclidean, vjp=_vjp_euclidean, saves=lambda n: (*n.srcs, n), samples=_point_samples
)
