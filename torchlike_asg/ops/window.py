"""Slices at a place that is data: what ``x[i]`` becomes in loops whose `i` changes from one iteration to the next."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..asg.declare import Array, Op, Sample
from ..asg.node import const
from .movement import expand

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
    samples=lambda: [Sample((_X, -_X[:, :1], np.asarray(2)), (1, 1)), Sample((_X, -_X[:, :2], np.asarray(0)), (1, 2))],
)
