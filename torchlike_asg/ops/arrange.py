"""Elements in another order, repeated, or cut to a triangle."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..asg.declare import Array, Meta, Op, Sample
from ..asg.node import Node
from .movement import expand, reshape

_X = np.arange(1.0, 25.0).reshape(2, 3, 4)


def _same(x: Node, *_: Any) -> Meta:
    return x.shape, x.dtype


# ---------------------------------------------------------------- order
flip = Op(
    "flip",
    "shape",
    _same,
    lambda x, *dims: np.flip(x, dims),
    vjp=lambda n, g: (flip(g, *n.attrs),),
    layout="preserve",
    params=("dims",),
    samples=lambda: [Sample((_X,), (0, 2)), Sample((_X[0, 0],), (0,)), Sample((_X[:0],), (1,)), Sample((np.asarray(3.0),), (), False)],
)
roll = Op(
    "roll",
    "shape",
    _same,
    lambda x, shifts, dims: np.roll(x, shifts, dims),
    vjp=lambda n, g: (roll(g, tuple([-s for s in n.attrs[0]]), n.attrs[1]),),
    params=("shifts", "dims"),
    samples=lambda: [Sample((_X,), ((1, -2), (0, 2))), Sample((_X,), ((7,), (1,))), Sample((_X[:, :0],), ((1,), (1,)))],
)


# ---------------------------------------------------------------- repetition
def _rule_repeat(x: Node, *times: int) -> Meta:
    lead = (1,) * (len(times) - x.ndim)
    return tuple([n * k for n, k in zip(lead + tuple(x.shape), times, strict=True)]), x.dtype


def _expand_repeat(n: Node) -> Node:
    (x,), times = n.srcs, n.attrs
    sizes = (1,) * (len(times) - x.ndim) + tuple(x.shape)
    apart = reshape(x, tuple([d for size in sizes for d in (1, size)]))
    return reshape(expand(apart, *[d for pair in zip(times, sizes, strict=True) for d in pair]), tuple(n.shape))


repeat = Op(
    "repeat",
    "shape",
    _rule_repeat,
    lambda x, *times: np.tile(x, times),
    expand=_expand_repeat,
    params=("repeats",),
    samples=lambda: [Sample((_X[0],), (2, 1, 3)), Sample((_X[0],), (0, 2)), Sample((_X[0, 0],), (3,)), Sample((np.asarray(2.0),), (2, 2))],
)


def _expand_interleave(n: Node) -> Node:
    (x,), (times, d) = n.srcs, n.attrs
    shape = tuple(x.shape)
    apart = reshape(x, (*shape[: d + 1], 1, *shape[d + 1 :]))
    return reshape(expand(apart, *shape[: d + 1], times, *shape[d + 1 :]), tuple(n.shape))


interleave = Op(
    "repeat_interleave",
    "shape",
    lambda x, times, d: ((*x.shape[:d], x.shape[d] * times, *x.shape[d + 1 :]), x.dtype),
    lambda x, times, d: np.repeat(x, times, d),
    expand=_expand_interleave,
    params=("repeats", "dim"),
    samples=lambda: [Sample((_X,), (2, 1)), Sample((_X[0],), (0, 0)), Sample((_X[:0],), (3, 2))],
)


# ---------------------------------------------------------------- triangles
def _triangle(name: str, part: Any) -> Op:
    def vjp(n: Node, g: Node) -> Any:
        return (op(g, *n.attrs),)

    def ref(x: Array, k: int) -> Array:
        return np.asarray(part(x, k))

    op = Op(
        name,
        "shape",
        _same,
        ref,
        vjp=vjp,
        params=("diagonal",),
        samples=lambda: [Sample((_X,), (0,)), Sample((_X[0],), (1,)), Sample((_X[0],), (-2,)), Sample((_X[:, :0],), (0,))],
    )
    return op


tril = _triangle("tril", np.tril)
triu = _triangle("triu", np.triu)
