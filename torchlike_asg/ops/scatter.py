"""gather and the scatters: an index tensor of the operand's rank says where each element comes from, or goes to, along one dimension."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..asg.declare import Array, Grads, Meta, Op, Sample
from ..asg.geometry import Shape
from ..asg.node import Node, const, weak
from .indexing import check, same_type
from .logic import eq, logical_and
from .movement import cast, full
from .pointwise import masked_fill, where

_X = np.arange(1.0, 13.0).reshape(3, 4) * 0.5 - 2.2
_I = np.array([[2, 0, 1, 0], [0, 0, 2, 1]])
_S = np.array([[1.5, -2.0, 0.7, 3.0], [0.4, 2.5, -1.0, 0.9]])


# ---------------------------------------------------------------- positions
def _positions(index: Array, shape: Shape, d: int) -> Array:
    """The flat position in an array of `shape` of every element the index names."""
    check(index, shape[d] if shape else 1, d, RuntimeError, negative=False)
    if index.ndim == 0 or index.size == 0:
        return index.reshape(-1).astype(np.int64)
    flat = np.zeros((1,) * index.ndim, np.int64)
    step = 1
    for axis in range(index.ndim - 1, -1, -1):
        where_ = index if axis == d else np.arange(index.shape[axis]).reshape((-1,) + (1,) * (index.ndim - 1 - axis))
        flat = flat + where_ * step
        step *= shape[axis] if shape else 1
    return np.broadcast_to(flat, index.shape).reshape(-1)


def _corner(v: Array, shape: Shape) -> Array:
    """The elements of a source that an index of `shape` uses; a 0-d source serves every position."""
    return np.broadcast_to(v, shape) if v.ndim == 0 else v[tuple([slice(n) for n in shape])]


# ---------------------------------------------------------------- gather
def _ref_gather(x: Array, index: Array, d: int) -> Array:
    return np.ascontiguousarray(x).reshape(-1)[_positions(index, x.shape, d)].reshape(index.shape)


gather = Op(
    "gather",
    "index",
    lambda x, i, d: (i.shape, x.dtype),
    _ref_gather,
    saves=lambda n: n.srcs,
    params=("dim",),
    vjp=lambda n, g: (scatter_add(_filled(g, tuple(n.srcs[0].shape)), n.srcs[1], g, *n.attrs),),
    samples=lambda: [
        Sample((_X, _I), (0,)),
        Sample((_X, _I[:, :1]), (1,)),
        Sample((_X, _I[:0]), (1,)),
        Sample((np.asarray(2.5), np.asarray(0)), (0,)),
    ],
)


def _filled(like: Node, shape: Shape, value: float = 0) -> Node:
    return full(const(value, like.dtype), shape)


# ---------------------------------------------------------------- scatter
def _same(x: Node, *_: Any) -> Meta:
    return x.shape, x.dtype


def _ref_scatter(x: Array, index: Array, v: Array, d: int) -> Array:
    out = np.array(x, order="C")
    out.reshape(-1)[_positions(index, x.shape, d)] = _corner(v, index.shape).reshape(-1)
    return out


def _ref_scatter_add(x: Array, index: Array, v: Array, d: int) -> Array:
    out = np.array(x, order="C")
    np.add.at(out.reshape(-1), _positions(index, x.shape, d), _corner(v, index.shape).reshape(-1))
    return out


def _prepare(x: Node, index: Node, v: Any, *attrs: Any) -> tuple[Any, ...]:
    x, v = same_type(x, v)[:2]
    return x, index, v, *attrs


scatter = Op(
    "scatter",
    "index",
    _same,
    _ref_scatter,
    saves=lambda n: n.srcs[1:2],
    prepare=_prepare,
    params=("dim",),
    vjp=lambda n, g: (lambda: scatter(g, n.srcs[1], weak(0.0), *n.attrs), None, lambda: gather(g, n.srcs[1], *n.attrs)),
    samples=lambda: [
        Sample((_X, _I[:1], _S[:1]), (0,)),
        Sample((_X, _I[:, 1:2], np.asarray(5.0)), (1,), False),
        Sample((_X, _I[:0], _S), (1,), False),
    ],
)
scatter_add = Op(
    "scatter_add",
    "index",
    _same,
    _ref_scatter_add,
    saves=lambda n: n.srcs[1:2] if n.srcs[2].rg else None,
    prepare=_prepare,
    params=("dim",),
    vjp=lambda n, g: (g, None, lambda: gather(g, n.srcs[1], *n.attrs)),
    samples=lambda: [
        Sample((_X, _I, _S), (0,)),
        Sample((_X, _I[:1], _S[:1]), (1,)),
        Sample((np.asarray(2.5), np.asarray(0), np.asarray(3.0)), (0,)),
    ],
)


# ---------------------------------------------------------------- reductions at the scattered positions
def _extreme(d: np.dtype[Any], largest: bool) -> Any:
    if d.kind == "f":
        return np.inf if largest else -np.inf
    if d.kind == "b":
        return largest
    return np.iinfo(d).max if largest else np.iinfo(d).min


#: reduction -> what it starts from, by element type
STARTS: dict[str, Callable[[np.dtype[Any]], Any]] = {
    "sum": lambda d: 0,
    "mean": lambda d: 0,
    "prod": lambda d: 1,
    "amax": lambda d: _extreme(d, False),
    "amin": lambda d: _extreme(d, True),
}
_ACTIONS: dict[str, Any] = {"sum": np.add, "mean": np.add, "prod": np.multiply, "amax": np.maximum, "amin": np.minimum}


def _ref_scatter_reduce(x: Array, index: Array, v: Array, d: int, reduce: str, include_self: bool) -> Array:
    out = np.array(x, order="C")
    flat, at = out.reshape(-1), _positions(index, x.shape, d)
    if not include_self:
        flat[at] = STARTS[reduce](x.dtype)
    with np.errstate(all="ignore"):
        _ACTIONS[reduce].at(flat, at, _corner(v, index.shape).reshape(-1))
    if reduce == "mean":
        counts = np.zeros(flat.size, np.int64)
        np.add.at(counts, at, 1)
        counts = np.maximum(counts + include_self, 1)
        flat[...] = flat / counts if x.dtype.kind in "fc" else flat // counts
    return out


def _vjp_scatter_reduce(n: Node, g: Node) -> Grads:
    """Sums pass the gradient on, means share it, products leave one factor out, extrema split it between equals (as PyTorch's do)."""
    (x, index, v), (d, reduce, include_self) = n.srcs, n.attrs
    own = (lambda gx: gx) if include_self else (lambda gx: scatter(gx, index, weak(0.0), d))

    def pick(gv: Node) -> Node:
        return gather(gv, index, d)

    def count(start: Node, what: Node) -> Node:
        return scatter_add(start, index, what, d)

    if reduce == "sum":
        return lambda: own(g), None, lambda: pick(g)
    if reduce == "mean":
        some = count(_filled(g, tuple(x.shape), float(include_self)), _filled(g, tuple(index.shape), 1.0))
        share = g / masked_fill(some, eq(some, weak(0.0)), weak(1.0))
        return lambda: own(share), None, lambda: pick(share)
    if reduce == "prod":
        return lambda: own(_without_self(n, g)), None, lambda: _without_one(n, g)
    winners = cast(eq(v, pick(n)), g.dtype)
    mine = cast(eq(x, n), g.dtype)
    share = g / count(own(mine), winners)
    return lambda: own(mine * share), None, lambda: winners * pick(share)


def _without_self(n: Node, g: Node) -> Node:
    """The product at each position without the operand's own factor."""
    (x, index, v), (d, reduce, include_self) = n.srcs, n.attrs
    ones = _filled(x, tuple(x.shape), 1.0)
    return g * scatter_reduce(ones, index, v, d, reduce, True) if include_self else g


def _without_one(n: Node, g: Node) -> Node:
    """The product at each position without one scattered factor: by division where no factor is zero, anew where just one is."""
    (x, index, v), (d, reduce, include_self) = n.srcs, n.attrs
    zero = eq(v, weak(0.0))
    zeros = gather(scatter_add(_filled(g, tuple(x.shape)), index, cast(zero, g.dtype), d), index, d)
    single = logical_and(zero, eq(zeros, weak(1.0)))
    others = scatter_reduce(x, index, masked_fill(v, single, weak(1.0)), d, reduce, include_self)
    divided = gather(g * n, index, d) / masked_fill(v, zero, weak(1.0))
    return where(single, gather(g * others, index, d), divided)


def _reduce_samples() -> list[Sample]:
    some = [Sample((_X, _I, _S), (0, reduce, own)) for reduce in _ACTIONS for own in (True, False)]
    return [*some, Sample((_X, _I[:0], _S[:0]), (1, "mean", False)), Sample((_X, _I, np.where(_S > 2, 0.0, _S)), (0, "prod", True))]


scatter_reduce = Op(
    "scatter_reduce",
    "index",
    _same,
    _ref_scatter_reduce,
    vjp=_vjp_scatter_reduce,
    saves=lambda n: (*n.srcs, n),
    prepare=_prepare,
    params=("dim", "reduce", "include_self"),
    samples=_reduce_samples,
)
