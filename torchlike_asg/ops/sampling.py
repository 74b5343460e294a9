"""Values of (N, C, *S) at fractional places: the sampler of spatial transformers (Jaderberg et al., 2015).

The algorithm is written once, over the elementwise vocabulary: on arrays it is the reference, on nodes the expansion that
gradients of any order come from.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import dtypes
from ..asg.declare import Array, Grads, Meta, Op, Sample
from ..asg.node import Node
from ..asg.saving import keep_all
from .formula import NodeHandler, refuse
from .movement import expand, reshape, select, zeros_of
from .pooling import _ref_gather, plane_gather, plane_scatter
from .scalar import NumpyHandler

PARAMS = ("mode", "padding_mode", "align_corners")


class _Arrays(NumpyHandler):
    """Formulas on arrays, and reading planes."""

    def component(self, grid: Array, i: int) -> Array:
        return grid[..., i]

    def channels(self, w: Array) -> Array:
        return w[:, None]

    def planes(self, x: Array, at: Array) -> Array:
        where = np.broadcast_to(at[:, None], (len(x), x.shape[1], *at.shape[1:]))
        return _ref_gather(x, where)


class _Nodes(NodeHandler):
    """Formulas on nodes, and reading planes."""

    def component(self, grid: Node, i: int) -> Node:
        return select(grid, len(grid.shape) - 1, i)

    def channels(self, w: Node) -> Node:
        return reshape(w, (w.shape[0], 1, *w.shape[1:]))

    def planes(self, x: Node, at: Node) -> Node:
        return plane_gather(x, expand(self.channels(at), *x.shape[:2], *at.shape[1:]))


# ---------------------------------------------------------------- coordinates
def _unnormalized(e: Any, g: Any, n: int, align: bool, dims: int) -> Any:
    """From [-1, 1] to positions: the ends are the centres of the outer elements (`align`) or their outer edges.

    Rounded as PyTorch rounds them, once in images and twice in volumes, since the cell that a place is in decides its derivative.
    """
    if align:
        return e.mul(e.add(g, e.const(1)), e.const((n - 1) / 2))
    if dims == 2:
        return e.fma(e.add(g, e.const(1)), e.const(n / 2), e.const(-0.5))
    return e.mul(e.sub(e.mul(e.add(g, e.const(1)), e.const(n)), e.const(1)), e.const(0.5))


def _clipped(e: Any, x: Any, n: int) -> Any:
    low, high = e.const(0), e.const(n - 1)
    return e.where(e.le(x, low), low, e.where(e.ge(x, high), high, x))


def _reflected(e: Any, x: Any, n: int, align: bool) -> Any:
    low, span = (0.0, float(n - 1)) if align else (-0.5, float(n))
    if span == 0:
        return e.mul(x, e.const(0))
    x = e.abs(e.sub(x, e.const(low)))
    extra, flips = e.fmod(x, e.const(span)), e.floor(e.div(x, e.const(span)))
    even = e.eq(e.fmod(flips, e.const(2)), e.const(0))
    return e.add(e.where(even, extra, e.sub(e.const(span), extra)), e.const(low))


def _placed(e: Any, x: Any, n: int, padding: str, align: bool) -> Any:
    """Positions outside are moved inside as the padding mode says."""
    if padding == "zeros":
        return x
    return _clipped(e, _reflected(e, x, n, align) if padding == "reflection" else x, n)


def _address(e: Any, at: list[Any], sizes: Any) -> tuple[Any, Any]:
    """Integral positions (held as floats) -> whether they are inside, and where in the plane."""
    inside, flat = None, None
    for p, n in zip(at, sizes, strict=True):
        ok = e.logical_and(e.ge(p, e.const(0)), e.le(p, e.const(n - 1)))
        i = e.cast(e.where(ok, p, e.const(0)), dtypes.int64)
        inside = ok if inside is None else e.logical_and(inside, ok)
        flat = i if flat is None else _flat(e, flat, i, n)
    return inside, flat


def _read(e: Any, x: Any, at: list[Any], sizes: Any) -> Any:
    """The planes at integral positions; zero outside."""
    inside, flat = _address(e, at, sizes)
    return e.where(e.channels(inside), e.planes(x, flat), e.const(0))


def _flat(e: Any, flat: Any, i: Any, n: int) -> Any:
    wide = _Nodes(dtypes.int64) if isinstance(e, NodeHandler) else _Arrays(np.int64)
    return wide.add(wide.mul(flat, wide.const(n)), i)  # type: ignore[operator]


# ---------------------------------------------------------------- modes
def _nearest(e: Any, grid: Any, sizes: Any, padding: str, align: bool) -> list[Any]:
    dims = len(sizes)
    at = [_unnormalized(e, e.component(grid, dims - 1 - d), n, align, dims) for d, n in enumerate(sizes)]
    return [e.round(_placed(e, p, n, padding, align)) for p, n in zip(at, sizes, strict=True)]


def _sample(e: Any, x: Any, grid: Any, sizes: Any, mode: str, padding: str, align: bool) -> Any:
    dims = len(sizes)
    at = [_unnormalized(e, e.component(grid, dims - 1 - d), n, align, dims) for d, n in enumerate(sizes)]  # the last axis is x, y(, z)
    if mode == "bicubic":
        return _bicubic(e, x, at, sizes, padding, align)
    at = [_placed(e, p, n, padding, align) for p, n in zip(at, sizes, strict=True)]
    low = [e.floor(p) for p in at]
    part = [e.sub(p, f) for p, f in zip(at, low, strict=True)]
    total = None
    for corner in np.ndindex(*(2,) * dims):
        w = None
        for c, t in zip(corner, part, strict=True):
            factor = t if c else e.sub(e.const(1), t)
            w = factor if w is None else e.mul(w, factor)
        place = [e.add(f, e.const(1)) if c else f for c, f in zip(corner, low, strict=True)]
        term = e.mul(_read(e, x, place, sizes), e.channels(w))
        total = term if total is None else e.add(total, term)
    return total


def _cubic_weights(e: Any, t: Any) -> list[Any]:
    """Keys (1981) with a = -3/4, for the neighbours at -1, 0, 1 and 2."""
    a = -0.75

    def near(x: Any) -> Any:
        return e.add(e.mul(e.mul(e.sub(e.mul(x, e.const(a + 2)), e.const(a + 3)), x), x), e.const(1))

    def far(x: Any) -> Any:
        return e.sub(e.mul(e.mul(e.add(e.mul(e.sub(x, e.const(5)), x), e.const(8)), x), e.const(a)), e.const(4 * a))

    return [far(e.add(t, e.const(1))), near(t), near(e.sub(e.const(1), t)), far(e.sub(e.const(2), t))]


def _bicubic(e: Any, x: Any, at: list[Any], sizes: Any, padding: str, align: bool) -> Any:
    low = [e.floor(p) for p in at]
    weights = [_cubic_weights(e, e.sub(p, f)) for p, f in zip(at, low, strict=True)]
    total = None
    for i, j in np.ndindex(4, 4):
        place = [_placed(e, e.add(f, e.const(k - 1)), n, padding, align) for f, k, n in zip(low, (i, j), sizes, strict=True)]
        place = [e.trunc(p) for p in place] if padding == "reflection" else place
        term = e.mul(_read(e, x, place, sizes), e.channels(e.mul(weights[0][i], weights[1][j])))
        total = term if total is None else e.add(total, term)
    return total


# ---------------------------------------------------------------- the operations
def _rule(x: Node, grid: Node, *_: Any) -> Meta:
    if not x.dtype.is_floating_point:
        raise refuse("grid_sampler_2d_cpu_kernel_impl", x.dtype)
    return (*x.shape[:2], *grid.shape[1:-1]), x.dtype


def _evaluated(sample: Any) -> Any:
    def ref(x: Array, grid: Array, *attrs: Any) -> Array:
        shape = (*x.shape[:2], *grid.shape[1:-1])
        if not math.prod(shape):
            return np.zeros(shape, x.dtype)
        with np.errstate(all="ignore"):
            return np.asarray(sample(_Arrays(x.dtype), x, grid, x.shape[2:], *attrs), x.dtype)

    return ref


def _expand(n: Node) -> Node:
    x, grid = n.srcs
    return _sample(_Nodes(n.dtype), x, grid, tuple(x.shape[2:]), *n.attrs)  # type: ignore[no-any-return]


def _sample_nearest(e: Any, x: Any, grid: Any, sizes: Any, padding: str, align: bool) -> Any:
    return _read(e, x, _nearest(e, grid, sizes, padding, align), sizes)


def _vjp_nearest(n: Node, g: Node) -> Grads:
    """To the elements that were read; the places themselves have derivative zero."""
    x, grid = n.srcs
    sizes, e = tuple(x.shape[2:]), _Nodes(n.dtype)

    def read() -> Node:
        inside, flat = _address(e, _nearest(e, grid, sizes, *n.attrs), sizes)
        at = expand(e.channels(flat), *x.shape[:2], *flat.shape[1:])
        return plane_scatter(e.where(e.channels(inside), g, e.const(0)), at, sizes)

    return read, lambda: zeros_of(grid)


def _expand_nearest(n: Node) -> Node:
    x, grid = n.srcs
    return _sample_nearest(_Nodes(n.dtype), x, grid, tuple(x.shape[2:]), *n.attrs)  # type: ignore[no-any-return]


_X, _GRID = np.sin(1.7 * np.arange(80.0)).reshape(2, 2, 4, 5), 1.4 * np.sin(2.3 * np.arange(1.0, 37.0)).reshape(2, 3, 3, 2)
_X3, _GRID3 = np.sin(1.7 * np.arange(36.0)).reshape(1, 2, 3, 3, 2), 1.2 * np.sin(2.3 * np.arange(1.0, 25.0)).reshape(1, 2, 2, 2, 3)
_PADDINGS = [(p, a) for p in ("zeros", "border", "reflection") for a in (True, False)]

grid_sample = Op(
    "grid_sample",
    "shape",
    _rule,
    _evaluated(_sample),
    expand=_expand,
    saves=keep_all,
    params=PARAMS,
    samples=lambda: [
        *[Sample((_X, _GRID), (m, *p)) for m in ("bilinear", "bicubic") for p in _PADDINGS],
        Sample((_X3, _GRID3), ("bilinear", "zeros", False)),
    ],
)
grid_sample_nearest = Op(
    "grid_sample_nearest",
    "shape",
    _rule,
    _evaluated(_sample_nearest),
    vjp=_vjp_nearest,
    expand=_expand_nearest,
    saves=keep_all,
    params=PARAMS[1:],
    samples=lambda: [*[Sample((_X, _GRID), p) for p in _PADDINGS], Sample((_X3, _GRID3), ("zeros", False))],
)
