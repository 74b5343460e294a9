"""Running sums, products and extrema along a dimension, and the linear recurrence that their gradients are made of.

With y_k = b_k + a_k y_(k-1) (`recurrence`), the gradient of a running product is a recurrence, and so is the gradient of a recurrence:
zeros among the factors need no special case, nothing divides, and every order of derivative costs linear time.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import dtypes
from ..asg import gradients
from ..asg.declare import Array, Grads, Meta, Op, Sample, node
from ..asg.node import Node, weak
from . import special
from .arrange import flip
from .complex import conj
from .elementwise import bar
from .formula import refuse
from .logic import gt, lt
from .pointwise import exp, log, mul, neg, sub, where
from .promotion import to

_X = np.array([[0.5, -1.2, 2.0, 0.7], [1.4, 0.3, -0.6, 1.1], [-0.9, 0.8, 1.6, -0.4]])
_Z = np.array([[0.5, 0.0, 2.0, 0.7], [1.4, 0.3, 0.0, 0.0], [-0.9, 0.8, 1.6, -0.4]])


def _same(x: Node, *_: Any) -> Meta:
    return x.shape, x.dtype


def _index(x: Node, *_: Any) -> Meta:
    return x.shape, dtypes.int64


def _prepare_whole(x: Any, *attrs: Any) -> tuple[Any, ...]:
    """Integers and booleans are accumulated in int64."""
    x = node(x)
    return (to(x, dtypes.int64) if x.dtype.category < dtypes.FLOAT else x, *attrs)


def _samples(x: Array, *more: Any) -> Any:
    return lambda: [
        Sample((x,), (0, *more)),
        Sample((x,), (1, *more)),
        Sample((np.zeros((0, 3)),), (0, *more)),
        Sample((x[:1],), (0, *more)),
        Sample((np.asarray(1.5),), (0, *more)),
    ]


def _along(x: Array, dim: int, reverse: bool = False) -> Array:
    """The scanned dimension in front, in scanning order (a view)."""
    moved = np.moveaxis(x, dim, 0)
    return moved[::-1] if reverse else moved


def _back(x: Array, dim: int, reverse: bool = False) -> Array:
    return np.moveaxis(x[::-1] if reverse else x, 0, dim)


# ---------------------------------------------------------------- moving by one
def _ref_shift(x: Array, dim: int, by: int, fill: float) -> Array:
    if not x.ndim:
        return np.full_like(x, fill)
    out = np.full_like(x, fill)
    n = x.shape[dim]
    if abs(by) < n:
        source, target = _along(x, dim), _along(out, dim)
        if by >= 0:
            target[by:] = source[: n - by]
        else:
            target[:by] = source[-by:]
    return out


#: ``y[k] = x[k - by]``, and `fill` where that lies outside.
shift = Op(
    "shift",
    "shape",
    _same,
    _ref_shift,
    vjp=lambda n, g: (shift(g, n.attrs[0], -n.attrs[1], 0.0),),
    params=("dim", "by", "fill"),
    samples=lambda: [
        Sample((_X,), (1, 1, 1.0)),
        Sample((_X,), (0, -2, 0.0)),
        Sample((_X,), (0, 5, 2.0)),
        Sample((np.zeros((0, 3)),), (0, 1, 0.0)),
        Sample((np.asarray(1.5),), (0, 1, 1.0)),
    ],
)


# ---------------------------------------------------------------- linear recurrence
def _ref_recurrence(a: Array, b: Array, dim: int, reverse: bool) -> Array:
    if not b.ndim or not b.size:
        return b.copy()
    out = b.astype(b.dtype, copy=True)
    y, factor = _along(out, dim, reverse), _along(np.broadcast_to(a, b.shape), dim, reverse)
    n = len(y)
    with np.errstate(all="ignore"):
        if n > 64 and b.size // n < n:  # long and thin: log(n) passes over the whole array instead of n over single rows
            factor, step = factor.copy(), 1
            while step < n:
                y[step:] = y[step:] + factor[step:] * y[:-step]
                factor[step:] = factor[step:] * factor[:-step]
                step *= 2
        else:
            for k in range(1, n):
                y[k] += factor[k] * y[k - 1]
    return out


def _vjp_recurrence(n: Node, g: Node) -> Grads:
    a, _ = n.srcs
    dim, reverse = n.attrs
    one = -1 if reverse else 1
    adjoint = recurrence(shift(bar(a), dim, -one, 0.0), g, dim, not reverse)
    return lambda: mul(adjoint, bar(shift(n, dim, one, 0.0))), adjoint


#: ``y[k] = b[k] + a[k] y[k - 1]`` along a dimension (from the end, with `reverse`), y = 0 before the start.
recurrence = Op(
    "recurrence",
    "reduction",
    lambda a, b, *_: (b.shape, b.dtype),
    _ref_recurrence,
    vjp=_vjp_recurrence,
    saves=lambda n: (n.srcs[0], n),
    params=("dim", "reverse"),
    samples=lambda: [
        Sample((_X, _Z), (0, False)),
        Sample((_X, _Z), (1, True)),
        Sample((_Z, _X), (1, False)),
        Sample((np.zeros((0, 3)), np.zeros((0, 3))), (0, False)),
        Sample((np.asarray(2.0), np.asarray(1.5)), (0, False)),
        Sample((np.cos(np.arange(70.0)), np.sin(np.arange(70.0))), (0, True), False),
    ],
)


# ---------------------------------------------------------------- sums and products
def _ref_accumulate(ufunc: Any) -> Any:
    def ref(x: Array, dim: int, reverse: bool) -> Array:
        if not x.ndim:
            return x
        with np.errstate(all="ignore"):
            return _back(ufunc.accumulate(_along(x, dim, reverse), 0, dtype=x.dtype), dim, reverse)

    return ref


cumsum = Op(
    "cumsum",
    "reduction",
    _same,
    _ref_accumulate(np.add),
    vjp=lambda n, g: (cumsum(g, n.attrs[0], not n.attrs[1]),),
    prepare=_prepare_whole,
    params=("dim", "reverse"),
    samples=lambda: [*_samples(_X, False)(), *_samples(_X, True)(), Sample((np.array([1, 2, 3], np.int32),), (0, False), False)],
)


def _vjp_cumprod(n: Node, g: Node) -> Grads:
    """d/dx_k = (product before k) * sum over i >= k of g_i (product between k and i), the sum by recurrence from the end."""
    x = n.srcs[0]
    dim, reverse = n.attrs
    one = -1 if reverse else 1
    return (mul(bar(shift(n, dim, one, 1.0)), recurrence(shift(bar(x), dim, -one, 0.0), g, dim, not reverse)),)


cumprod = Op(
    "cumprod",
    "reduction",
    _same,
    _ref_accumulate(np.multiply),
    vjp=_vjp_cumprod,
    saves=lambda n: (n.srcs[0], n),
    prepare=_prepare_whole,
    params=("dim", "reverse"),
    samples=lambda: [
        *_samples(_X, False)(),
        *_samples(_Z, False)(),
        *_samples(_Z, True)(),
        Sample((np.array([1, 2, 3], np.int32),), (0, False), False),
    ],
)


def product_of_others(x: Node, dim: int) -> Node:
    """For each element the product of all others along `dim`: the gradient of a product, right where elements are zero."""
    before, after = shift(cumprod(x, dim, False), dim, 1, 1.0), shift(cumprod(x, dim, True), dim, -1, 1.0)
    return mul(before, after)


# ---------------------------------------------------------------- extrema
def _extremum_index(name: str, better: Any) -> Op:
    def ref(x: Array, dim: int) -> Array:
        """Position of the running extremum: the latest of equals, and the latest NaN once there is one."""
        if not x.ndim:
            return np.zeros((), np.int64)
        v = _along(x, dim)
        if not v.size:
            return np.zeros(x.shape, np.int64)
        with np.errstate(all="ignore"):
            running = better.accumulate(v, 0)
        hit = v == running
        if x.dtype.kind == "f":
            hit |= np.isnan(v)
        position = np.arange(len(v)).reshape(-1, *[1] * (x.ndim - 1))
        return _back(np.maximum.accumulate(np.where(hit, position, 0), 0), dim)

    ties = np.array([1.0, 3.0, 3.0, 2.0, np.nan, 5.0, np.nan])
    return Op(
        name,
        "reduction",
        _index,
        ref,
        params=("dim",),
        differentiable=False,
        samples=lambda: [
            Sample((_X,), (0,), False),
            Sample((_X,), (1,), False),
            Sample((ties,), (0,), False),
            Sample((np.asarray(1.5),), (0,), False),
            Sample((np.zeros((0, 3)),), (0,), False),
            Sample((np.array([3, 1, 3]),), (0,), False),
        ],
    )


cummax_index = _extremum_index("cummax_index", np.maximum)
cummin_index = _extremum_index("cummin_index", np.minimum)


# ---------------------------------------------------------------- log of running sums of exponentials
def _rule_logcumsumexp(x: Node, dim: int) -> Meta:
    if x.dtype.category < dtypes.FLOAT:
        raise refuse("logcumsumexp_out_cpu", x.dtype)
    return x.shape, x.dtype


def _log_add_exp(a: Array, b: Array) -> Array:
    """log(exp(a) + exp(b)) of complex numbers, by the one with the larger real part. PyTorch's cases: what is not a number makes both parts
    so; of two that vanish, which have no angle, `b` is taken; of two that are infinite, the formula as it stands.
    """
    smaller, larger = np.where(a.real < b.real, a, b), np.where(a.real < b.real, b, a)
    sums = special.log1p(np.exp(smaller - larger)) + larger
    alike = np.isinf(smaller.real) & (smaller.real == larger.real)
    sums = np.where(alike, np.where(smaller.real < 0, smaller, np.log(np.exp(smaller) + np.exp(larger))), sums)
    return np.where(np.isnan(a) | np.isnan(b), complex(np.nan, np.nan), sums)


def _ref_logcumsumexp(x: Array, dim: int) -> Array:
    if not x.ndim:
        return x
    with np.errstate(all="ignore"):  # as in PyTorch, the running sum is a double
        if x.dtype.kind == "c":
            terms = _along(x, dim).astype(np.complex128)
            total, sums = np.full(terms.shape[1:], complex(-np.inf, 0.0)), np.empty_like(terms)
            for k, term in enumerate(terms):
                sums[k] = total = _log_add_exp(term, total)
            return _back(sums.astype(x.dtype), dim)
        return _back(np.logaddexp.accumulate(_along(x, dim).astype(np.float64), 0).astype(x.dtype), dim)


def _vjp_logcumsumexp(n: Node, g: Node) -> Grads:
    """exp(x_k) times the sum over i >= k of g_i exp(-y_i), as logarithms of its positive and its negative part: PyTorch's own formula,
    because in float32 its cancellation can be seen in the third digit.
    """
    x, dim = n.srcs[0], n.attrs[0]
    dims = (dim,) if x.shape else ()
    if x.dtype.is_complex:  # a complex logarithm has no need of two parts
        return (conj(exp(flip(logcumsumexp(flip(log(conj(g)) - n, *dims), dim), *dims) + x)),)

    def later(part: Node, of: Node) -> Node:
        terms = log(where(of, part, weak(1.0))) - n  # type: ignore[operator]
        kept = where(of, terms, weak(float(np.finfo(np.float32).min)))
        return exp(flip(logcumsumexp(flip(kept, *dims), dim), *dims) + x)  # type: ignore[operator]

    return (sub(later(g, gt(g, weak(0.0))), later(neg(g), lt(g, weak(0.0)))),)


logcumsumexp = Op(
    "logcumsumexp",
    "reduction",
    _rule_logcumsumexp,
    _ref_logcumsumexp,
    vjp=_vjp_logcumsumexp,
    saves=lambda n: (n.srcs[0], n),
    params=("dim",),
    samples=_samples(_X),
)
gradients.COMPLEX.add("logcumsumexp")
