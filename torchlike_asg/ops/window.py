"""Slices at a place that is data: what ``x[i]`` becomes in loops whose `i` changes from one iteration to the next.

And what a view at such a place shows of its storage once that was written, and what a write through it makes of the storage: `restride` and
`restride_scatter` whose offset is an operand.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..asg.declare import Array, Op, Sample
from ..asg.geometry import contiguous, flat, gather
from ..asg.node import Node, const
from .join import cat
from .movement import expand, reshape, restride, restride_scatter

_X = np.arange(24.0).reshape(2, 3, 4)


def _span(at: Array, d: int, length: int, step: int) -> tuple[Any, ...]:
    start = int(at)
    return (slice(None),) * d + (slice(start, start + max(length - 1, 0) * step + (length > 0), step),)


def _ref_unwindow(g: Array, at: Array, d: int, step: int, size: int) -> Array:
    out = np.zeros((*g.shape[:d], size, *g.shape[d + 1 :]), g.dtype)
    out[_span(at, d, g.shape[d], step)] = g
    return out


#: The view ``x[start : start + length * step : step]`` along a dimension, its start being data: the graph stays the same as it moves.
window = Op(
    "window",
    "shape",
    lambda x, at, d, length, step: (
        (*x.shape[:d], length, *x.shape[d + 1 :]),
        x.dtype,
        (*x.strides[:d], x.strides[d] * step, *x.strides[d + 1 :]),
        x.offset,
    ),
    lambda x, at, d, length, step: x[_span(at, d, length, step)],
    vjp=lambda n, g: (unwindow(g, n.srcs[1], n.attrs[0], n.attrs[2], n.srcs[0].shape[n.attrs[0]]), None),
    view=True,
    params=("dim", "length", "step"),
    samples=lambda: [
        Sample((_X, np.asarray(1)), (1, 2, 1)),
        Sample((_X, np.asarray(0)), (2, 2, 3)),
        Sample((_X, np.asarray(1)), (0, 0, 1)),
    ],
)
#: The transpose of `window`: zeros with `g` at that place.
unwindow = Op(
    "unwindow",
    "gradient",
    lambda g, at, d, step, size: ((*g.shape[:d], size, *g.shape[d + 1 :]), g.dtype),
    _ref_unwindow,
    vjp=lambda n, g: (window(g, n.srcs[1], n.attrs[0], n.srcs[0].shape[n.attrs[0]], n.attrs[1]), None),
    params=("dim", "step", "size"),
    samples=lambda: [Sample((_X, np.asarray(2)), (1, 1, 7)), Sample((_X[:, :2], np.asarray(1)), (1, 2, 4))],
)


def _ref_window_put(x: Array, v: Array, at: Array, d: int, step: int) -> Array:
    out = x.copy()
    out[_span(at, d, v.shape[d], step)] = v
    return out


#: `x` with the slice at that place replaced by `v`: a write, where ``x[i] = v`` meets another `i` in every iteration.
window_put = Op(
    "window_put",
    "shape",
    lambda x, v, at, d, step: (x.shape, x.dtype),
    _ref_window_put,
    vjp=lambda n, g: (
        lambda: window_put(g, expand(const(0, g.dtype), *n.srcs[1].shape), n.srcs[2], *n.attrs),
        lambda: window(g, n.srcs[2], n.attrs[0], n.srcs[1].shape[n.attrs[0]], n.attrs[1]),
        None,
    ),
    layout="preserve",
    params=("dim", "step"),
    samples=lambda: [Sample((_X, -_X[:, :1], np.asarray(1)), (1, 1)), Sample((_X, -_X[:, :2], np.asarray(0)), (1, 2))],
)


def _expand_roll_at(n: Node) -> Node:
    x = n.srcs[0]
    for at, d in zip(n.srcs[1:], n.attrs[0], strict=False):
        x = window(cat(x, x, d), at, d, x.shape[d], 1)
    return x


#: `roll` by shifts that are data. Operands: along each dimension the place that comes first, then for each that of the inverse.
roll_at = Op(
    "roll_at",
    "shape",
    lambda x, *args: (x.shape, x.dtype),
    lambda x, *args: np.roll(x, [-int(at) for at in args[: len(args) // 2]], args[-1]),
    vjp=lambda n, g: (
        roll_at(g, *n.srcs[1 + len(n.attrs[0]) :], *n.srcs[1 : 1 + len(n.attrs[0])], n.attrs[0]),
        *[None] * (len(n.srcs) - 1),
    ),
    expand=_expand_roll_at,
    params=("dims",),
    samples=lambda: [
        Sample((_X, np.asarray(1), np.asarray(2)), ((1,),), (0,)),
        Sample((_X, np.asarray(0), np.asarray(0)), ((2,),), (0,)),
        Sample((_X, np.asarray(3), np.asarray(1), np.asarray(1), np.asarray(1)), ((2, 0),), (0,)),
    ],
)


# ---------------------------------------------------------------- storages
def _extent(shape: Any, strides: Any) -> int:
    """Over how many elements of a storage these sizes and strides reach."""
    return 1 + sum([(n - 1) * s for n, s in zip(shape, strides, strict=True)])


def _in_a_row(h: Node, base: Any) -> Node:
    """A storage, whose strides are `base`, as its elements one after another."""
    return restride(h, (_extent(h.shape, base),), (1,), 0, base)


def _from(buf: Array, at: Array) -> Array:
    return buf[int(at) :]


def _ref_restride_at(x: Array, at: Array, shape: Any, strides: Any, base: Any) -> Array:
    return gather(_from(flat(x, base), at), (shape, strides, 0))


#: `restride` at an offset that is data: what a view at a moving place shows of its storage.
restride_at = Op(
    "restride_at",
    "shape",
    lambda h, at, shape, strides, base: (shape, h.dtype, strides, 0),
    _ref_restride_at,
    expand=lambda n: restride(window(_in_a_row(n.srcs[0], n.attrs[2]), n.srcs[1], 0, _extent(*n.attrs[:2]), 1), *n.attrs[:2], 0, (1,)),
    view=True,
    params=("size", "stride", "base"),
    samples=lambda: [
        Sample((_X[0], np.asarray(5)), ((2, 3), (4, 1), (4, 1))),
        Sample((_X[0], np.asarray(2)), ((), (), (1, 3))),
        Sample((_X[0], np.asarray(1)), ((3, 4), (2, 1), (4, 1))),
    ],
)


def _ref_restride_put(h: Array, v: Array, at: Array, shape: Any, strides: Any, base: Any, refuses: bool) -> Array:
    buf = flat(h, base).copy()
    gather(_from(buf, at), (shape, strides, 0))[...] = v
    return gather(buf, (h.shape, base, 0))


def _expand_restride_put(n: Node) -> Node:
    h, v, at = n.srcs
    shape, strides, base, _ = n.attrs
    whole, extent = _in_a_row(h, base), _extent(shape, strides)
    if tuple(v.shape) != tuple(shape):
        v = expand(v, *shape)
    if strides != contiguous(shape):
        v = restride_scatter(window(whole, at, 0, extent, 1), v, (shape, strides, 0), (1,), False)
    elif (v.strides, v.offset) == (strides, 0):
        v = restride(v, (extent,), (1,), 0, strides)
    else:
        v = reshape(v, (extent,))
    return restride(window_put(whole, v, at, 0, 1), h.shape, base, 0, (1,))


#: `restride_scatter` at an offset that is data: a write through a view at a moving place.
restride_put = Op(
    "restride_put",
    "shape",
    lambda h, v, at, *a: (h.shape, h.dtype, h.strides, h.offset),
    _ref_restride_put,
    vjp=lambda n, g: (
        lambda: restride_put(g, const(0, g.dtype), n.srcs[2], *n.attrs[:3], False),
        lambda: restride_at(g, n.srcs[2], *n.attrs[:3]),
        None,
    ),
    expand=_expand_restride_put,
    saves=lambda n: () if n.attrs[3] else None,
    params=("size", "stride", "base", "refuses"),
    samples=lambda: [
        Sample((_X[0], -_X[0, 0], np.asarray(4)), ((4,), (1,), (4, 1), False)),
        Sample((_X[0], -_X[0, :2, :3], np.asarray(1)), ((2, 3), (4, 1), (4, 1), True)),
        Sample((_X[0], -_X[0, :2, :3], np.asarray(1)), ((2, 3), (1, 3), (1, 3), False)),
        Sample((_X[0], np.asarray(-1.0), np.asarray(7)), ((2,), (2,), (4, 1), False)),
    ],
)
