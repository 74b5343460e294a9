"""Reductions: sums, products, extrema, moments and norms over any set of dimensions.

Attributes of every reduction are ``(dims, keepdim)`` with `dims` a sorted tuple of non-negative numbers; all dimensions are named
explicitly, so that ``x.sum()`` and ``x.sum((0, 1))`` of a matrix are one node.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import dtypes
from ..asg.declare import Array, Grads, Meta, Op, Sample, node
from ..asg.node import Node, weak
from .elementwise import bar
from .logic import eq, isnan, logical_or
from .movement import cast, expand, reshape
from .pointwise import div, exp, mul, where
from .promotion import promoting, title, to
from .scan import product_of_others
from .summation import total

X = np.array(
    [
        [[0.3, -1.2, 2.5, 0.7], [1.4, 0.2, -0.6, 3.1], [-2.2, 0.9, 1.8, -0.4]],
        [[0.5, 1.7, -0.3, 0.8], [2.9, -1.1, 0.6, 1.3], [0.1, -0.8, 2.1, 1.6]],
    ]
)


# ---------------------------------------------------------------- shapes
def kept_shape(shape: Any, dims: tuple[int, ...]) -> tuple[int, ...]:
    """The shape with reduced dimensions kept as one."""
    return tuple([1 if i in dims else d for i, d in enumerate(shape)])


def reduced_shape(shape: Any, dims: tuple[int, ...], keepdim: bool) -> tuple[int, ...]:
    """The shape of a reduction's result."""
    return kept_shape(shape, dims) if keepdim else tuple([d for i, d in enumerate(shape) if i not in dims])


def kept(g: Node, shape: Any, dims: tuple[int, ...]) -> Node:
    """A reduction's result (or its gradient) with the reduced dimensions as ones, ready to broadcast against the operand."""
    full = kept_shape(shape, dims)
    return g if tuple(g.shape) == full else reshape(g, full)


def spread(g: Node, x: Node, dims: tuple[int, ...]) -> Node:
    """The transpose of a sum: every element of `x` gets its result's gradient."""
    k = kept(g, x.shape, dims)
    return k if k.shape == x.shape else expand(k, *x.shape)


def _same_type(x: Node, dims: tuple[int, ...], keepdim: bool, *_: Any) -> Meta:
    return reduced_shape(x.shape, dims, keepdim), x.dtype


def _boolean(x: Node, dims: tuple[int, ...], keepdim: bool) -> Meta:
    return reduced_shape(x.shape, dims, keepdim), dtypes.bool_


def reduction_samples() -> list[Sample]:
    return [
        Sample((X,), ((0, 1, 2), False)),
        Sample((X,), ((1,), False)),
        Sample((X,), ((0, 2), True)),
        Sample((X,), ((2,), True)),
        Sample((np.asarray(1.5),), ((), False)),
        Sample((X[:, :, :1],), ((2,), False)),
        Sample((X[:, :0],), ((2,), False)),
    ]


def _empty_samples(grad: bool = True) -> list[Sample]:
    return [*reduction_samples(), Sample((X[:, :0],), ((1,), False), grad)]


# ---------------------------------------------------------------- sums
def _prepare_sum(x: Any, *attrs: Any) -> tuple[Any, ...]:
    x = node(x)
    return (to(x, dtypes.int64) if x.dtype.category < dtypes.FLOAT else x, *attrs)


def _ref_sum(x: Array, dims: tuple[int, ...], keepdim: bool, order: str = "") -> Array:
    with np.errstate(all="ignore"):
        return total(x, dims, keepdim)


#: Integers and booleans are summed in int64. Kernels may be given an order to add up in (compiler/kernel.py).
sum_ = Op(
    "sum",
    "reduction",
    _same_type,
    _ref_sum,
    vjp=lambda n, g: (spread(g, n.srcs[0], n.attrs[0]),),
    prepare=_prepare_sum,
    params=("dim", "keepdim"),
    samples=lambda: [
        *_empty_samples(),
        Sample((np.array([[1, 2], [3, 4]]),), ((0,), False), False),
        Sample((np.array([True, True]),), ((0,), False), False),
    ],
)


def count_of(shape: Any, dims: tuple[int, ...]) -> int:
    """How many elements go into one result."""
    return math.prod([shape[d] for d in dims])


def _ref_mean(x: Array, dims: tuple[int, ...], keepdim: bool, way: str = "") -> Array:
    with np.errstate(all="ignore"):
        return np.asarray(total(x, dims, keepdim) / x.dtype.type(count_of(x.shape, dims)))


def _rule_mean(x: Node, dims: tuple[int, ...], keepdim: bool, way: str = "") -> Meta:
    if x.dtype.category < dtypes.FLOAT:
        raise RuntimeError(
            f"mean(): could not infer output dtype. Input dtype must be either a floating point or complex dtype. Got: {title(x.dtype)}"
        )
    return reduced_shape(x.shape, dims, keepdim), x.dtype


def _vjp_mean(n: Node, g: Node) -> Grads:
    count = count_of(n.srcs[0].shape, n.attrs[0])
    return (spread(div(g, weak(float(count))), n.srcs[0], n.attrs[0]),)


mean = Op(
    "mean",
    "reduction",
    _rule_mean,
    _ref_mean,
    vjp=_vjp_mean,
    params=("dim", "keepdim"),
    samples=lambda: _empty_samples(False),
    expand=lambda n: div(sum_(n.srcs[0], *n.attrs), weak(float(count_of(n.srcs[0].shape, n.attrs[0])))),
)


# ---------------------------------------------------------------- extrema
def _extremum_rule(name: str) -> Any:
    def rule(x: Node, dims: tuple[int, ...], keepdim: bool) -> Meta:
        for d in dims:
            if not x.shape[d]:
                if len(dims) == len(x.shape):
                    raise RuntimeError(
                        f"{name}(): Expected reduction dim to be specified for input.numel() == 0. Specify the reduction "
                        "dim with the 'dim' argument."
                    )
                raise IndexError(f"{name}(): Expected reduction dim {d} to have non-zero size.")
        return reduced_shape(x.shape, dims, keepdim), x.dtype

    return rule


def _vjp_shared(n: Node, g: Node) -> Grads:
    """Equal shares for all elements that reach the extremum; all NaN where it is a NaN, as PyTorch's amax."""
    x, dims = n.srcs[0], n.attrs[0]
    winners = cast(eq(x, kept(n, x.shape, dims)), g.dtype)
    return (mul(winners, div(kept(g, x.shape, dims), sum_(winners, dims, True))),)


def _vjp_shared_nan(n: Node, g: Node) -> Grads:
    """As `_vjp_shared`, but a NaN result gives its gradient to the NaNs: the rule of ``max()`` without a dimension."""
    x, dims = n.srcs[0], n.attrs[0]
    top = kept(n, x.shape, dims)
    winners = cast(logical_or(eq(x, top), where(isnan(top), isnan(x), weak(False))), g.dtype)
    return (mul(winners, div(kept(g, x.shape, dims), sum_(winners, dims, True))),)


def _extremum(name: str, find: Any, vjp: Any, error_name: str) -> Op:
    def ref(x: Array, dims: tuple[int, ...], keepdim: bool) -> Array:
        return np.asarray(find(x, dims, keepdims=keepdim)) if x.size or dims else x

    return Op(
        name,
        "reduction",
        _extremum_rule(error_name),
        ref,
        vjp=vjp,
        saves=lambda n: (n.srcs[0], n),
        params=("dim", "keepdim"),
        samples=lambda: [
            *reduction_samples(),
            Sample((np.array([[2.0, 2.0, 1.0], [3.0, 1.0, 3.0]]),), ((1,), False), False),
            Sample((np.array([[1, 5], [3, 4]]),), ((0,), False), False),
            Sample((np.array([True, False]),), ((0,), False), False),
        ],
    )


amax = _extremum("amax", np.max, _vjp_shared, "amax")
amin = _extremum("amin", np.min, _vjp_shared, "amin")
max_all = _extremum("max", np.max, _vjp_shared_nan, "max")
min_all = _extremum("min", np.min, _vjp_shared_nan, "min")


def _index_rule(name: str) -> Any:
    def rule(x: Node, dim: int | None, keepdim: bool) -> Meta:
        if dim is None:
            if not x.numel:
                raise IndexError(f"{name}(): Expected reduction dim to be specified for input.numel() == 0.")
            return ((1,) * len(x.shape) if keepdim else ()), dtypes.int64
        if x.shape and not x.shape[dim]:
            raise IndexError(f"{name}(): Expected reduction dim {dim} to have non-zero size.")
        return (reduced_shape(x.shape, (dim,), keepdim) if x.shape else ()), dtypes.int64

    return rule


def _index_of(name: str, find: Any) -> Op:
    def ref(x: Array, dim: int | None, keepdim: bool) -> Array:
        if not x.ndim:
            return np.zeros((), np.int64)
        if not x.size:
            return np.zeros(reduced_shape(x.shape, (dim,), keepdim), np.int64)  # type: ignore[arg-type]
        return np.asarray(find(x, dim, keepdims=keepdim))

    ties = np.array([[1.0, 3.0, 3.0], [2.0, 0.0, 2.0]])
    return Op(
        name,
        "reduction",
        _index_rule(name),
        ref,
        params=("dim", "keepdim"),
        differentiable=False,
        samples=lambda: [
            Sample((X,), (1, False), False),
            Sample((X,), (None, False), False),
            Sample((X,), (2, True), False),
            Sample((ties,), (1, False), False),
            Sample((np.asarray(2.0),), (0, False), False),
            Sample((np.array([1.0, np.nan, 3.0, np.nan]),), (0, False), False),
            Sample((X[:0],), (1, True), False),
        ],
    )


#: The first of equal elements; a NaN wins over everything.
argmax = _index_of("argmax", np.argmax)
argmin = _index_of("argmin", np.argmin)


# ---------------------------------------------------------------- products
def _ref_prod(x: Array, dims: tuple[int, ...], keepdim: bool) -> Array:
    with np.errstate(all="ignore"):
        return np.asarray(x.prod(dims, dtype=x.dtype, keepdims=keepdim))


def _vjp_prod(n: Node, g: Node) -> Grads:
    """Every element's gradient is the product of the others."""
    x, dims = n.srcs[0], n.attrs[0]
    if len(dims) == 1:
        return (mul(kept(g, x.shape, dims), bar(product_of_others(x, dims[0]))),)
    return (mul(kept(g, x.shape, dims), bar(reshape(product_of_others(reshape(x, (x.numel,)), 0), tuple(x.shape)))),)


#: Along one dimension or over all.
prod = Op(
    "prod",
    "reduction",
    _same_type,
    _ref_prod,
    vjp=_vjp_prod,
    saves=lambda n: (n.srcs[0], n),
    prepare=_prepare_sum,
    params=("dim", "keepdim"),
    samples=lambda: [
        Sample((X,), ((0, 1, 2), False)),
        Sample((X,), ((1,), True)),
        Sample((np.array([[0.0, 2.0, 3.0], [0.0, 0.0, 1.5]]),), ((1,), False)),
        Sample((X[:, :0],), ((1,), False)),
        Sample((np.asarray(1.5),), ((), False)),
        Sample((np.array([[1, 2], [3, 4]]),), ((0,), False), False),
    ],
)


# ---------------------------------------------------------------- truth
def _truth(name: str, reduce: Any) -> Op:
    return Op(
        name,
        "reduction",
        _boolean,
        lambda x, dims, keepdim: np.asarray(reduce(x, dims, keepdims=keepdim)),
        params=("dim", "keepdim"),
        differentiable=False,
        samples=lambda: [
            Sample((np.array([[True, False], [True, True]]),), ((1,), False), False),
            Sample((X,), ((0, 1, 2), False), False),
            Sample((X[:0],), ((0,), True), False),
            Sample((np.asarray(0.0),), ((), False), False),
            Sample((np.array([0, 2, np.nan]),), ((0,), False), False),
        ],
    )


all_ = _truth("all", np.all)
any_ = _truth("any", np.any)


# ---------------------------------------------------------------- log of a sum of exponentials
def _ref_logsumexp(x: Array, dims: tuple[int, ...], keepdim: bool) -> Array:
    with np.errstate(all="ignore"):
        if not count_of(x.shape, dims):
            return np.full(reduced_shape(x.shape, dims, keepdim), -np.inf, x.dtype)
        top = x.real.max(dims, keepdims=True) if dims else x.real
        top = np.where(np.isinf(top), top.dtype.type(0), top)
        out = np.log(total(np.exp(x - top), dims, True)) + top
        return np.asarray(out.reshape(reduced_shape(x.shape, dims, keepdim)))


def _vjp_logsumexp(n: Node, g: Node) -> Grads:
    x, dims = n.srcs[0], n.attrs[0]
    return (mul(kept(g, x.shape, dims), bar(exp(x - kept(n, x.shape, dims)))),)  # type: ignore[operator]


logsumexp = Op(
    "logsumexp",
    "reduction",
    _same_type,
    _ref_logsumexp,
    vjp=_vjp_logsumexp,
    saves=lambda n: (n.srcs[0], n),
    prepare=promoting(1, floating=True),
    params=("dim", "keepdim"),
    samples=lambda: [
        *reduction_samples(),
        Sample((np.array([[-np.inf, -np.inf], [np.inf, 1.0], [900.0, 901.0]]),), ((1,), False), False),
        Sample((X[:0],), ((0,), False)),
    ],
)
