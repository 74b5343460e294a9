"""Padding whose widths, and triangles whose diagonals, are data: where these change from one iteration to the next and the sizes do not."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import dtypes
from ..asg.declare import Array, Op, Sample
from ..asg.node import Node, const
from .indexing import index_select
from .logic import ge, le
from .movement import arange, full, reshape
from .padding import pad_constant
from .pointwise import sub, where
from .window import window, window_put

_X = np.arange(1.0, 13.0).reshape(1, 3, 4)


# ---------------------------------------------------------------- padding
def _padded(x: Any, dims: tuple[int, ...], sizes: tuple[int, ...]) -> tuple[int, ...]:
    of = dict(zip(dims, sizes, strict=True))
    return tuple([of.get(d, n) for d, n in enumerate(x.shape)])


def _ref_pad_at(x: Array, *args: Any) -> Array:
    *starts, dims, sizes, margins, value = args
    for at, d, size, margin in zip(starts, dims, sizes, margins, strict=True):
        start = int(at) if margin is None else margin - int(at)
        n, shape = x.shape[d], (*x.shape[:d], size, *x.shape[d + 1 :])
        out = np.full(shape, value, x.dtype)
        lo, hi = max(start, 0), min(start + n, size)
        if lo < hi:
            lead = (slice(None),) * d
            out[(*lead, slice(lo, hi))] = x[(*lead, slice(lo - start, hi - start))]
        x = out
    return x


def _expand_pad_at(n: Node) -> Node:
    x = n.srcs[0]
    dims, sizes, margins, value = n.attrs
    for at, d, size, margin in zip(n.srcs[1:], dims, sizes, margins, strict=True):
        if margin is None:
            x = window_put(full(const(value, x.dtype), (*x.shape[:d], size, *x.shape[d + 1 :])), x, at, d, 1)
            continue
        if margin:
            x = pad_constant(x, tuple([(margin * (k == d),) * 2 for k in range(x.ndim)]), value)
        x = window(x, at, d, size, 1)
    return x


#: `pad_constant` by widths that are data. Along each dimension the operand is where the result shows the first element, or, with a margin,
#: where the result begins in the operand with so many elements around it.
pad_at = Op(
    "pad_at",
    "shape",
    lambda x, *args: (_padded(x, *args[-4:-2]), x.dtype),
    _ref_pad_at,
    expand=_expand_pad_at,
    params=("dims", "sizes", "margins", "value"),
    samples=lambda: [
        Sample((_X, np.asarray(1)), ((1,), (5,), (None,), 0.5), (0,)),
        Sample((_X, np.asarray(2), np.asarray(0)), ((1, 2), (5, 6), (None, None), 0.0), (0,)),
        Sample((_X, np.asarray(1)), ((2,), (2,), (0,), 0.0), (0,)),
        Sample((_X, np.asarray(1), np.asarray(7)), ((1, 2), (3, 4), (3, 4), 2.0), (0,)),
    ],
)


def _expand_mirror_at(n: Node) -> Node:
    x, *picked = n.srcs
    for i, d in zip(picked, n.attrs[0], strict=True):
        x = index_select(x, i, d)
    return x


def _ref_mirror_at(x: Array, *args: Any) -> Array:
    for i, d in zip(args[:-2], args[-2], strict=True):
        x = np.take(x, i, d)
    return x


#: `pad_mirror` by widths that are data: the operands are the places that the result shows, along each dimension.
mirror_at = Op(
    "mirror_at",
    "shape",
    lambda x, *args: (_padded(x, args[-2], tuple([i.shape[0] for i in args[:-2]])), x.dtype),
    _ref_mirror_at,
    expand=_expand_mirror_at,
    params=("dims", "mode"),
    samples=lambda: [
        Sample((_X, np.array([1, 0, 1, 2])), ((1,), "reflect"), (0,)),
        Sample((_X, np.array([0, 0, 1, 2]), np.array([0, 1, 2, 3, 3])), ((1, 2), "replicate"), (0,)),
    ],
)


# ---------------------------------------------------------------- triangles
def _triangle(name: str, part: Any, inside: Any) -> Op:
    def expand(n: Node) -> Node:
        x, k = n.srcs
        zero, one, d = const(0, dtypes.int64), const(1, dtypes.int64), dtypes.int64
        rows, columns = [arange(zero, one, size, d) for size in x.shape[-2:]]
        return where(inside(sub(columns, reshape(rows, (x.shape[-2], 1))), k), x, const(0, x.dtype))

    def ref(x: Array, k: Array) -> Array:
        return np.asarray(part(x, int(k)))

    op = Op(
        name,
        "shape",
        lambda x, k: (x.shape, x.dtype),
        ref,
        vjp=lambda n, g: (op(g, n.srcs[1]), None),
        expand=expand,
        samples=lambda: [Sample((_X, np.asarray(k)), (), (0,)) for k in (0, 1, -2)] + [Sample((_X[:, :0], np.asarray(0)), (), (0,))],
    )
    return op


#: `tril` and `triu` with a diagonal that is data.
tril_at = _triangle("tril_at", np.tril, le)
triu_at = _triangle("triu_at", np.triu, ge)
