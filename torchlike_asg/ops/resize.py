"""Interpolation of (N, C, *S) to other sizes: a linear map of each dimension on its own, given by source positions and weights."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from .. import dtypes
from ..asg.declare import Array, Meta, Op, Sample
from ..asg.node import Node
from .embedding import add_rows
from .formula import refuse

PARAMS = ("size", "mode", "align_corners", "scales", "antialias")


# ---------------------------------------------------------------- one dimension
def _ratio(n: int, out: int, align: bool, scale: float | None, d: Any) -> Any:
    """Input elements per output element."""
    if align:
        return d.type(n - 1) / d.type(out - 1) if out > 1 else d.type(0)
    return d.type(1.0 / scale) if scale is not None and scale > 0 else d.type(n) / d.type(out)


def _cubic(t: Array, a: float) -> list[Array]:
    """Weights of the four neighbours at distance t from the second; Keys (1981), "Cubic convolution interpolation"."""
    return [_keys(t + 1, a), _keys(t, a), _keys(1 - t, a), _keys(2 - t, a)]


def _keys(x: Array, a: float) -> Array:
    x = np.abs(x)
    near, far = ((a + 2) * x - (a + 3)) * x * x + 1, ((x - 5) * x + 8) * x * a - 4 * a
    return np.where(x <= 1, near, np.where(x < 2, far, 0)).astype(x.dtype)


def _nearest(n: int, out: int, scale: float | None, exact: bool) -> tuple[Array, Array]:
    f = np.dtype(np.float32)  # PyTorch computes these positions in single precision for every type
    i = np.arange(out)
    if not exact and out in (n, 2 * n):
        at = i if out == n else i // 2
    else:
        at = np.floor((i.astype(f) + f.type(0.5 if exact else 0)) * _ratio(n, out, False, scale, f)).astype(np.int64)
    return np.clip(at, 0, n - 1)[:, None], np.ones((out, 1), f)


def _triangle(x: Array) -> Array:
    return np.maximum(1 - np.abs(x), 0)


def _lanczos(x: Array) -> Array:
    """sinc(x) sinc(x / 3) within 3; Lanczos (1956), Duchon (1979)."""
    return np.where(np.abs(x) < 3, np.sinc(x) * np.sinc(x / 3), 0).astype(x.dtype)


#: filters for shrinking and how far they reach
_FILTERS = {"linear": (_triangle, 1), "bicubic": (lambda x: _keys(x, -0.5), 2), "lanczos": (_lanczos, 3)}


def _antialiased(n: int, out: int, ratio: Any, mode: str, d: Any) -> tuple[Array, Array]:
    """A filter as wide as the input elements that one output element covers."""
    weigh, radius = _FILTERS[mode]
    stretch = max(ratio, d.type(1))
    support = stretch * d.type(radius)
    centre = ratio * (np.arange(out, dtype=d) + d.type(0.5))
    first = np.maximum((centre - support + d.type(0.5)).astype(np.int64), 0)
    last = np.minimum((centre + support + d.type(0.5)).astype(np.int64), n)
    at = first[:, None] + np.arange(max(int((last - first).max()), 1))
    w = np.where(at < last[:, None], weigh((at - centre[:, None] + d.type(0.5)) / stretch), 0).astype(d)
    return np.minimum(at, n - 1), w / w.sum(1, keepdims=True)


@cache
def taps(mode: str, n: int, out: int, align: bool, scale: float | None, antialias: bool, double: bool) -> tuple[Array, Array]:
    """Source positions (out, k) and their weights (out, k) along one dimension."""
    if mode.startswith("nearest"):
        return _nearest(n, out, scale, mode == "nearest-exact")
    d = np.dtype(np.float64 if double else np.float32)
    ratio = _ratio(n, out, align, scale, d)
    cubic = mode == "bicubic"
    if antialias:
        return _antialiased(n, out, ratio, mode, d)
    i = np.arange(out, dtype=d)
    at = i * ratio if align else (i + d.type(0.5)) * ratio - d.type(0.5)
    if not cubic:
        at = np.maximum(at, 0)
    low = np.floor(at).astype(np.int64)
    if not cubic:
        low = np.minimum(low, n - 1)
    t = (at - low).astype(d)
    if cubic:
        return np.clip(low[:, None] + np.arange(-1, 3), 0, n - 1), np.stack(_cubic(t, -0.75), 1)
    return np.stack([low, np.minimum(low + 1, n - 1)], 1), np.stack([1 - t, t], 1)


# ---------------------------------------------------------------- all dimensions
def maps(sizes: Any, outs: Any, mode: str, align: bool, scales: Any, antialias: bool, d: Any) -> Any:
    """For each dimension the positions and weights of `taps`."""
    return [taps(mode, n, o, align, s, antialias, d == np.float64) for n, o, s in zip(sizes, outs, scales, strict=True)]


def _along(weights: Array, rank: int, axis: int) -> Array:
    return weights.reshape(-1, *(1,) * (rank - axis - 1))


def _ref(x: Array, outs: Any, mode: str, align: bool, scales: Any, antialias: bool) -> Array:
    kind = x.dtype
    for axis, (at, w) in enumerate(maps(x.shape[2:], outs, mode, align, scales, antialias, kind), 2):
        if mode.startswith("nearest"):
            x = np.take(x, at[:, 0], axis)
            continue
        total = np.zeros(
            (*x.shape[:axis], len(at), *x.shape[axis + 1 :]), np.result_type(x.dtype, w.dtype) if kind.kind == "f" else np.float32
        )
        for k in range(at.shape[1]):
            total += np.take(x, at[:, k], axis) * _along(w[:, k], x.ndim, axis)
        x = total
    return np.clip(np.floor(x + 0.5), 0, 255).astype(kind) if kind.kind in "iu" else x.astype(kind)


def _ref_grad(g: Array, sizes: Any, mode: str, align: bool, scales: Any, antialias: bool) -> Array:
    kind = g.dtype
    for axis, (at, w) in enumerate(maps(sizes, g.shape[2:], mode, align, scales, antialias, kind), 2):
        moved = np.moveaxis(g, axis, 0)
        rows = moved.reshape(len(moved), -1)
        out = np.zeros((sizes[axis - 2], rows.shape[1]), kind)
        for k in range(at.shape[1]):
            add_rows(out, at[:, k], (rows * w[:, k, None]).astype(kind))
        g = np.moveaxis(out.reshape(len(out), *moved.shape[1:]), 0, axis)
    return np.ascontiguousarray(g)


def _rule(x: Node, outs: Any, mode: str, *_: Any) -> Meta:
    if not x.dtype.is_floating_point and x.dtype is not dtypes.uint8:
        raise refuse(
            {"nearest": "upsample_nearest2d", "nearest-exact": "_upsample_nearest_exact2d"}.get(mode, f"compute_indices_weights_{mode}"),
            x.dtype,
        )
    return (*x.shape[:2], *outs), x.dtype


_X = np.sin(1.7 * np.arange(80.0)).reshape(2, 2, 4, 5)
_CASES: tuple[Any, ...] = (
    ((6, 3), "nearest", False, (None, None), False),
    ((3, 7), "nearest-exact", False, (None, None), False),
    ((7, 9), "linear", False, (None, None), False),
    ((7, 9), "linear", True, (None, None), False),
    ((6, 8), "linear", False, (1.7, 1.6), False),
    ((2, 3), "linear", False, (None, None), True),
    ((7, 3), "bicubic", False, (None, None), False),
    ((3, 2), "bicubic", False, (None, None), True),
    ((3, 2), "lanczos", False, (None, None), True),
    ((1, 5), "bicubic", True, (None, None), False),
)


def _grad_samples() -> list[Sample]:
    return [Sample((_ref(_X, *c),), ((4, 5), *c[1:])) for c in _CASES]


interpolate = Op(
    "interpolate",
    "shape",
    _rule,
    _ref,
    vjp=lambda n, g: (interpolate_grad(g, tuple(n.srcs[0].shape[2:]), *n.attrs[1:]),),
    params=PARAMS,
    samples=lambda: [*[Sample((_X,), c) for c in _CASES], Sample((_X[0],), ((9,), "linear", False, (None,), False))],
)
#: The transpose of `interpolate`; its first attribute is the size before interpolation.
interpolate_grad = Op(
    "interpolate_grad",
    "gradient",
    lambda g, sizes, *_: ((*g.shape[:2], *sizes), g.dtype),
    _ref_grad,
    vjp=lambda n, g: (interpolate(g, tuple(n.srcs[0].shape[2:]), *n.attrs[1:]),),
    params=PARAMS,
    samples=_grad_samples,
)
