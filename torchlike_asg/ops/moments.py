"""Variance and standard deviation."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import dtypes
from ..asg.declare import Array, Grads, Meta, Op, Sample, get
from ..asg.node import Node, weak
from .logic import eq
from .pointwise import add, mul, sqrt, where
from .reduce import X, count_of, kept, mean, reduced_shape
from .summation import total


def _rule(x: Node, dims: tuple[int, ...], correction: float, keepdim: bool, way: str = "") -> Meta:
    if x.dtype.category < dtypes.FLOAT:
        raise RuntimeError("std and var only support floating point and complex dtypes")
    return reduced_shape(x.shape, dims, keepdim), x.dtype


def _ref_var(x: Array, dims: tuple[int, ...], correction: float, keepdim: bool, way: str = "") -> Array:
    """In two passes over the differences from one element, so that equal elements give exactly 0, which their mean, rounded, may not;
    the sum of squares is divided by ``max(count - correction, 0)``.
    """
    with np.errstate(all="ignore"):
        count = count_of(x.shape, dims)
        x = x - x[tuple([slice(0, 1) if d in dims else slice(None) for d in range(x.ndim)])] if count else x
        centre = total(x, dims, True) / x.dtype.type(count)
        squares = total(np.square(x - centre), dims, keepdim)
        return np.asarray(squares / x.dtype.type(max(count - correction, 0)))


def _centred(n: Node, g: Node) -> Node:
    """The gradient of a variance: 2 / (count - correction) * g * (x - mean)."""
    x, (dims, correction, _) = n.srcs[0], n.attrs
    freedom = count_of(x.shape, dims) - correction
    g, centre = kept(g, x.shape, dims), mean(x, dims, True)
    if freedom <= 0:  # the factor is infinite
        return mul(g, where(eq(x, centre), weak(math.nan), weak(math.inf)))
    return mul(g * (2.0 / freedom), x - centre)  # type: ignore[operator]


def _vjp_std(n: Node, g: Node) -> Grads:
    flat = eq(n, weak(0.0))  # all elements equal: PyTorch takes 0 for the gradient
    return (_centred(n, where(flat, weak(0.0), g / (2.0 * where(flat, weak(1.0), n)))),)  # type: ignore[operator]


def _samples() -> list[Sample]:
    return [
        Sample((X,), ((0, 1, 2), 1.0, False)),
        Sample((X,), ((1,), 0.0, False)),
        Sample((X,), ((0, 2), 1.0, True)),
        Sample((X,), ((2,), 1.5, True)),
        Sample((X[:, :1],), ((1,), 1.0, False), False),
        Sample((X[:, :0],), ((2,), 1.0, False)),
        Sample((np.asarray(1.5),), ((), 0.0, False), False),
    ]


_PARAMS: Any = ("dim", "correction", "keepdim")
#: `var` is the name of the graph's leaf for stored values, hence the long one
var = Op(
    "variance", "reduction", _rule, _ref_var, vjp=lambda n, g: (_centred(n, g),), saves=lambda n: n.srcs, params=_PARAMS, samples=_samples
)
std = Op(
    "std",
    "reduction",
    _rule,
    lambda *a: np.asarray(np.sqrt(_ref_var(*a))),
    vjp=_vjp_std,
    saves=lambda n: (n.srcs[0], n),
    params=_PARAMS,
    samples=_samples,
)


def of_complex(op: Op, z: Node, dims: tuple[int, ...], correction: float, keepdim: bool) -> Node:
    """The variance (or, for `std`, deviation) of complex numbers: that of the real plus that of the imaginary parts, a real number."""
    parts = [op(get(part)(z), dims, correction, keepdim) for part in ("real", "imag")]
    if op is var:
        return add(*parts)
    both = add(*[mul(p, p) for p in parts])
    flat = eq(both, weak(0.0))
    return where(flat, weak(0.0), sqrt(where(flat, weak(1.0), both)))
