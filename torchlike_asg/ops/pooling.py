"""Pooling over any number of spatial dimensions of (N, C, *S).

Maximum pooling is decomposed: which element of its plane wins in each window (`..._index`), and reading the planes at these
places (`plane_gather`), whose transpose `plane_scatter` is the backward pass. The fused forms `max_pool` and `adaptive_max_pool` give the
values alone.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import dtypes
from ..asg.declare import Array, Meta, Op, Sample
from ..asg.geometry import contiguous
from ..asg.node import Node
from ..asg.saving import keep_all
from .formula import refuse

WINDOW = ("kernel_size", "stride", "padding", "dilation", "ceil_mode")


def pooled_size(n: int, kernel: int, stride: int, padding: int, dilation: int, ceil_mode: bool) -> int:
    """The number of windows along one dimension;
    with `ceil_mode` the last may reach beyond the input, but must start inside it or its left padding.
    """
    out = (n + 2 * padding - dilation * (kernel - 1) - 1 + (stride - 1 if ceil_mode else 0)) // stride + 1
    return out - 1 if ceil_mode and (out - 1) * stride >= n + padding else out


def pooled_sizes(sizes: Any, kernel: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool) -> tuple[int, ...]:
    """`pooled_size` of every dimension."""
    return tuple([pooled_size(n, k, s, p, d, ceil_mode) for n, k, s, p, d in zip(sizes, kernel, stride, padding, dilation, strict=True)])


def _surrounded(x: Array, kernel: Any, stride: Any, padding: Any, dilation: Any, out: Any, value: Any) -> Array:
    """`x` padded so that every tap of every window exists."""
    right = [
        max((o - 1) * s + d * (k - 1) + 1 - n - p, 0)
        for o, s, d, k, n, p in zip(out, stride, dilation, kernel, x.shape[2:], padding, strict=True)
    ]
    widths = [(0, 0), (0, 0), *zip(padding, right, strict=True)]
    return np.pad(x, widths, constant_values=value) if any(a or b for a, b in widths) else x


def _window(tap: Any, out: Any, stride: Any, dilation: Any) -> tuple[Any, ...]:
    return (..., *[slice(t * d, t * d + (o - 1) * s + 1, s) for t, o, s, d in zip(tap, out, stride, dilation, strict=True)])


def _lowest(d: Any) -> Any:
    return -np.inf if d.kind == "f" else np.iinfo(d).min


# ---------------------------------------------------------------- planes read and written by position
def _flat(index: Array, plane: int) -> Array:
    """Positions in their planes -> positions in the whole array."""
    rows = math.prod(index.shape[:2])
    return (index.reshape(rows, math.prod(index.shape[2:])) + np.arange(rows)[:, None] * plane).reshape(-1)


def _ref_gather(x: Array, index: Array) -> Array:
    return x.reshape(-1)[_flat(index, math.prod(x.shape[2:]))].reshape(index.shape)


def _ref_scatter(g: Array, index: Array, sizes: Any) -> Array:
    plane = math.prod(sizes)
    total = np.bincount(_flat(index, plane), g.reshape(-1), math.prod(g.shape[:2]) * plane)
    return total.astype(g.dtype).reshape(*g.shape[:2], *sizes)


def bad_place(i: int, sizes: Any) -> RuntimeError:
    """PyTorch's error for an index that is no place of the output; one of a line lies in a plane."""
    shown = (*sizes, 1) if len(sizes) == 1 else sizes
    return RuntimeError(f"Found an invalid max index: {i} (output volumes are of size {'x'.join(map(str, shown))})")


def _ref_unpool(x: Array, index: Array, sizes: Any) -> Array:
    plane = math.prod(sizes)
    bad = (index < 0) | (index >= plane)
    if bad.any():
        raise bad_place(index[bad][-1], sizes)
    out = np.zeros(math.prod(x.shape[:2]) * plane, x.dtype)
    out[_flat(index, plane)] = x.reshape(-1)
    return out.reshape(*x.shape[:2], *sizes)


_X = (np.arange(180) * 73 % 180).reshape(2, 3, 5, 6) / 17.0  # in disorder, all different
_AT = np.array([[[0, 3], [7, 7]], [[2, 1], [0, 9]]])
_PLANES = np.linspace(-1, 1, 40).reshape(2, 2, 10)
_SMALL = np.linspace(-2, 2, 8).reshape(2, 2, 2)

plane_gather = Op(
    "plane_gather",
    "pool",
    lambda x, index: (index.shape, x.dtype),
    _ref_gather,
    vjp=lambda n, g: (plane_scatter(g, n.srcs[1], tuple(n.srcs[0].shape[2:])),),
    saves=lambda n: n.srcs[1:],
    samples=lambda: [Sample((_PLANES, _AT))],
)
#: The transpose of `plane_gather`: elements that go to the same place are added.
plane_scatter = Op(
    "plane_scatter",
    "gradient",
    lambda g, index, sizes: ((*g.shape[:2], *sizes), g.dtype),
    _ref_scatter,
    vjp=lambda n, g: (plane_gather(g, n.srcs[1]),),
    saves=lambda n: n.srcs[1:],
    params=("size",),
    samples=lambda: [Sample((_SMALL, _AT), ((2, 5),))],
)
max_unpool = Op(
    "max_unpool",
    "pool",
    lambda x, index, sizes: ((*x.shape[:2], *sizes), x.dtype),
    _ref_unpool,
    vjp=lambda n, g: (plane_gather(g, n.srcs[1]),),
    saves=lambda n: n.srcs[1:],
    params=("size",),
    samples=lambda: [Sample((_SMALL, np.array([[[0, 3], [7, 8]], [[2, 1], [0, 9]]])), ((2, 5),))],
)


# ---------------------------------------------------------------- maximum
def _rule_window(d: Any = None) -> Any:
    def rule(x: Node, *attrs: Any) -> Meta:
        if x.dtype is dtypes.bool_ or x.dtype.is_complex:
            raise refuse("max_pool2d", x.dtype)
        return (*x.shape[:2], *pooled_sizes(x.shape[2:], *attrs)), d or x.dtype

    return rule


def _ref_max(x: Array, kernel: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool) -> Array:
    out = pooled_sizes(x.shape[2:], kernel, stride, padding, dilation, ceil_mode)
    low = _lowest(x.dtype)
    xp = _surrounded(x, kernel, stride, padding, dilation, out, low)
    best = np.full((*x.shape[:2], *out), low, x.dtype)
    for tap in np.ndindex(*kernel):
        np.maximum(best, xp[_window(tap, out, stride, dilation)], out=best)
    return best


def _places(tap: Any, sizes: Any, out: Any, stride: Any, padding: Any, dilation: Any) -> tuple[Array, Array]:
    """Where in its plane each window's tap lies, and whether it lies inside."""
    place, inside = np.zeros(out, np.int64), np.ones(out, bool)
    for i, (t, n, o, s, p, d) in enumerate(zip(tap, sizes, out, stride, padding, dilation, strict=True)):
        at = (np.arange(o) * s + t * d - p).reshape(-1, *(1,) * (len(out) - 1 - i))
        place, inside = place * n + at, inside & (at >= 0) & (at < n)
    return place, inside


def _ref_max_index(x: Array, kernel: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool) -> Array:
    out = pooled_sizes(x.shape[2:], kernel, stride, padding, dilation, ceil_mode)
    xp = _surrounded(x, kernel, stride, padding, dilation, out, _lowest(x.dtype))
    best, index = np.full((*x.shape[:2], *out), _lowest(x.dtype), x.dtype), np.full((*x.shape[:2], *out), -1, np.int64)
    for tap in np.ndindex(*kernel):
        place, inside = _places(tap, x.shape[2:], out, stride, padding, dilation)
        value = xp[_window(tap, out, stride, dilation)]
        wins = inside & ((value > best) | (index < 0) | (value != value))  # the first of equals, but the last NaN
        best, index = np.where(wins, value, best), np.where(wins, place, index)
    return index


def _window_samples(grad: bool = True) -> Any:
    attrs = [((2, 2), (2, 2), (0, 0), (1, 1), False), ((3, 2), (2, 1), (1, 0), (1, 2), False), ((3, 3), (2, 2), (1, 1), (1, 1), True)]
    return lambda: [
        *[Sample((_X,), a, grad) for a in attrs],
        Sample((_X[0],), ((3,), (2,), (1,), (1,), True), grad),
        Sample((_X[:0],), attrs[0], grad),
        Sample((np.arange(24).reshape(1, 2, 3, 4),), attrs[0], False),
    ]


max_pool_index = Op(
    "max_pool_index",
    "pool",
    _rule_window(dtypes.int64),
    _ref_max_index,
    params=WINDOW,
    differentiable=False,
    samples=_window_samples(False),
)
max_pool = Op(
    "max_pool",
    "pool",
    _rule_window(),
    _ref_max,
    expand=lambda n: plane_gather(n.srcs[0], max_pool_index(n.srcs[0], *n.attrs)),
    saves=keep_all,
    params=WINDOW,
    samples=_window_samples(),
)


# ---------------------------------------------------------------- average
def _divisors(sizes: Any, kernel: Any, stride: Any, padding: Any, out: Any, include_pad: bool, divisor: int | None, d: Any) -> Any:
    """By what each window's sum is divided: elements inside the input, or inside the padded input."""
    if divisor is not None:
        return d.type(divisor)
    total = np.ones(out, d)
    for i, (n, k, s, p, o) in enumerate(zip(sizes, kernel, stride, padding, out, strict=True)):
        start = np.arange(o) * s - p
        end = np.minimum(start + k, n + p)
        count = end - start if include_pad else np.minimum(end, n) - np.maximum(start, 0)
        total = total * count.astype(d).reshape(-1, *(1,) * (len(out) - 1 - i))
    return total


def _rule_avg(x: Node, kernel: Any, stride: Any, padding: Any, ceil_mode: bool, *_: Any) -> Meta:
    if x.dtype is dtypes.bool_ or x.dtype.is_complex:
        raise refuse("avg_pool2d", x.dtype)
    return (*x.shape[:2], *pooled_sizes(x.shape[2:], kernel, stride, padding, (1,) * len(kernel), ceil_mode)), x.dtype


def _ref_avg(x: Array, kernel: Any, stride: Any, padding: Any, ceil_mode: bool, include_pad: bool, divisor: int | None) -> Array:
    ones = (1,) * len(kernel)
    out = pooled_sizes(x.shape[2:], kernel, stride, padding, ones, ceil_mode)
    xp = _surrounded(x, kernel, stride, padding, ones, out, 0)
    total = np.zeros((*x.shape[:2], *out), x.dtype)
    for tap in np.ndindex(*kernel):
        total += xp[_window(tap, out, stride, ones)]
    by = _divisors(x.shape[2:], kernel, stride, padding, out, include_pad, divisor, x.dtype)
    return total / by if x.dtype.kind == "f" else np.trunc(total / by).astype(x.dtype)


def _ref_avg_grad(
    g: Array, sizes: Any, kernel: Any, stride: Any, padding: Any, ceil_mode: bool, include_pad: bool, divisor: int | None
) -> Array:
    ones, out = (1,) * len(kernel), g.shape[2:]
    g = g / _divisors(sizes, kernel, stride, padding, out, include_pad, divisor, g.dtype)
    x = _surrounded(np.zeros((*g.shape[:2], *sizes), g.dtype), kernel, stride, padding, ones, out, 0)
    for tap in np.ndindex(*kernel):
        x[_window(tap, out, stride, ones)] += g
    return np.ascontiguousarray(x[(..., *[slice(p, p + n) for p, n in zip(padding, sizes, strict=True)])])


AVERAGE = ("kernel_size", "stride", "padding", "ceil_mode", "count_include_pad", "divisor_override")
_AVERAGES: tuple[Any, ...] = (
    ((2, 2), (2, 2), (0, 0), False, True, None),
    ((3, 2), (2, 1), (1, 1), False, True, None),
    ((3, 3), (2, 2), (1, 1), True, False, None),
    ((3, 3), (2, 2), (1, 1), True, True, None),
    ((2, 3), (1, 2), (0, 1), False, True, 5),
)


def _avg_grad_samples() -> list[Sample]:
    return [Sample((_ref_avg(_X, *a),), ((5, 6), *a)) for a in _AVERAGES]


avg_pool = Op(
    "avg_pool",
    "pool",
    _rule_avg,
    _ref_avg,
    vjp=lambda n, g: (avg_pool_grad(g, tuple(n.srcs[0].shape[2:]), *n.attrs),),
    saves=keep_all,
    params=AVERAGE,
    samples=lambda: [*[Sample((_X,), a) for a in _AVERAGES], Sample((_X[0],), ((3,), (2,), (1,), True, True, None))],
)
avg_pool_grad = Op(
    "avg_pool_grad",
    "gradient",
    lambda g, sizes, *_: ((*g.shape[:2], *sizes), g.dtype),
    _ref_avg_grad,
    vjp=lambda n, g: (avg_pool(g, *n.attrs[1:]),),
    params=("size", *AVERAGE),
    samples=_avg_grad_samples,
)


# ---------------------------------------------------------------- to a given size
def bounds(n: int, out: int) -> list[tuple[int, int]]:
    """The windows that divide `n` elements into `out` parts as evenly as possible; they may overlap."""
    return [(i * n // out, -(-(i + 1) * n // out)) for i in range(out)]


def _rule_adaptive(kernel: str, d: Any = None) -> Any:
    def rule(x: Node, sizes: Any) -> Meta:
        if not x.dtype.is_floating_point:
            raise refuse(kernel, x.dtype)
        shape = *x.shape[:2], *sizes
        return (shape, d or x.dtype, contiguous(shape)) if len(sizes) == 3 and math.prod(sizes) != 1 else (shape, d or x.dtype)

    return rule


def _ref_adaptive_avg(x: Array, sizes: Any) -> Array:
    for d, out in enumerate(sizes, 2):
        at = (slice(None),) * d
        parts = [x[(*at, slice(a, b))].mean(d, keepdims=True, dtype=x.dtype) for a, b in bounds(x.shape[d], out)]
        x = np.concatenate(parts, d) if parts else np.zeros((*x.shape[:d], 0, *x.shape[d + 1 :]), x.dtype)
    return x


def _ref_adaptive_avg_grad(g: Array, sizes: Any) -> Array:
    for d, n in enumerate(sizes, 2):
        x, at = np.zeros((*g.shape[:d], n, *g.shape[d + 1 :]), g.dtype), (slice(None),) * d
        for i, (a, b) in enumerate(bounds(n, g.shape[d])):
            x[(*at, slice(a, b))] += g[(*at, slice(i, i + 1))] / g.dtype.type(b - a)
        g = x
    return g


def _ref_adaptive_max_index(x: Array, sizes: Any) -> Array:
    out, spatial = np.zeros((*x.shape[:2], *sizes), np.int64), x.shape[2:]
    windows = [bounds(n, o) for n, o in zip(spatial, sizes, strict=True)]
    for at in np.ndindex(*sizes):
        out[(..., *at)] = _winner(x, [w[i] for w, i in zip(windows, at, strict=True)])
    return out


def _winner(x: Array, window: list[tuple[int, int]]) -> Array:
    """The position in its plane of each window's largest element."""
    part = x[(..., *[slice(a, b) for a, b in window])]
    best = np.unravel_index(part.reshape(*x.shape[:2], math.prod(part.shape[2:])).argmax(-1), part.shape[2:])
    return np.ravel_multi_index(tuple([i + a for i, (a, _) in zip(best, window, strict=True)]), x.shape[2:])  # type: ignore[return-value]


def _adaptive_samples() -> list[Sample]:
    return [
        Sample((_X,), ((2, 3),)),
        Sample((_X,), ((3, 4),)),
        Sample((_X,), ((7, 1),)),
        Sample((_X[0],), ((4,),)),
        Sample((_X[:0],), ((2, 2),)),
    ]


adaptive_avg_pool = Op(
    "adaptive_avg_pool",
    "pool",
    _rule_adaptive("adaptive_avg_pool2d"),
    _ref_adaptive_avg,
    params=("output_size",),
    saves=lambda n: None if math.prod(n.attrs[0]) == 1 else n.srcs,  # one window per plane is a mean for PyTorch
    vjp=lambda n, g: (adaptive_avg_pool_grad(g, tuple(n.srcs[0].shape[2:])),),
    samples=_adaptive_samples,
)
adaptive_avg_pool_grad = Op(
    "adaptive_avg_pool_grad",
    "gradient",
    lambda g, sizes: ((*g.shape[:2], *sizes), g.dtype),
    _ref_adaptive_avg_grad,
    params=("size",),
    vjp=lambda n, g: (adaptive_avg_pool(g, tuple(n.srcs[0].shape[2:])),),
    samples=lambda: [Sample((_X,), ((9, 13),)), Sample((_X,), ((4, 6),))],
)
adaptive_max_pool_index = Op(
    "adaptive_max_pool_index",
    "pool",
    _rule_adaptive("adaptive_max_pool2d", dtypes.int64),
    _ref_adaptive_max_index,
    params=("output_size",),
    differentiable=False,
    samples=lambda: [Sample(s.operands, s.attrs, False) for s in _adaptive_samples()],
)
adaptive_max_pool = Op(
    "adaptive_max_pool",
    "pool",
    _rule_adaptive("adaptive_max_pool2d"),
    lambda x, sizes: _ref_gather(x, _ref_adaptive_max_index(x, sizes)),
    saves=keep_all,
    expand=lambda n: plane_gather(n.srcs[0], adaptive_max_pool_index(n.srcs[0], *n.attrs)),
    params=("output_size",),
    samples=_adaptive_samples,
)


# ---------------------------------------------------------------- fractional
def _starts(sample: Array, n: int, out: int, kernel: int) -> Array:
    """The pseudo-random window starts of one dimension for every plane: (planes, out). Graham (2014), "Fractional max-pooling"."""
    i = np.arange(out - 1)
    alpha = sample.dtype.type((n - kernel) / (out - 1)) if out > 1 else sample.dtype.type(0)
    inner = ((i + sample[:, None]) * alpha).astype(np.int64) - (sample[:, None] * alpha).astype(np.int64)
    return np.concatenate([inner, np.full((len(sample), 1), n - kernel)], 1)


def _ref_fractional_index(x: Array, samples: Array, kernel: Any, sizes: Any) -> Array:
    planes, spatial = math.prod(x.shape[:2]), x.shape[2:]
    order = (
        range(len(spatial) - 1, -1, -1) if len(spatial) == 2 else range(len(spatial))
    )  # in two dimensions the first sample is the width's
    starts = [
        _starts(samples.reshape(planes, len(spatial))[:, s], n, o, k) for s, n, o, k in zip(order, spatial, sizes, kernel, strict=True)
    ]
    flat, rows, out = x.reshape(planes, math.prod(spatial)), np.arange(planes), np.zeros((planes, *sizes), np.int64)
    steps = [math.prod(spatial[d + 1 :]) for d in range(len(spatial))]
    taps = sum(t.reshape(-1) * s for t, s in zip(np.indices(kernel), steps, strict=True))
    for at in np.ndindex(*sizes):
        first = sum(st[:, i] * s for st, i, s in zip(starts, at, steps, strict=True))
        where = first[:, None] + taps
        out[(slice(None), *at)] = where[rows, flat[rows[:, None], where].argmax(1)]
    return out.reshape(*x.shape[:2], *sizes)


#: x (N, C, *S), samples in [0, 1) (N, C, dimensions)
fractional_max_pool_index = Op(
    "fractional_max_pool_index",
    "pool",
    lambda x, u, kernel, sizes: ((*x.shape[:2], *sizes), dtypes.int64),
    _ref_fractional_index,
    params=("kernel_size", "output_size"),
    differentiable=False,
    samples=lambda: [Sample((_X, np.linspace(0, 0.9, 12).reshape(2, 3, 2)), ((2, 2), (3, 4)), False)],
)
