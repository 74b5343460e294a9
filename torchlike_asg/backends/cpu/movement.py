"""Operations that move elements without computing: joined, padded, turned, repeated, written into a region.

Each is a handful of strided copies and fills that do not overlap, done in one launch.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ...asg.declare import REGISTRY
from ...ops.conv import output_sizes
from ...ops.padding import sources
from .accumulate import accumulate
from .calls import Call, LibraryNode, Lowering, View, library
from .copies import broadcast, copy, copy_call, fill, fill_call
from .together import together
from .views import apart, at, moved, numel, row_major, same_layout, shaped, split, without

#: launches with more parts than this are left to the reference
_MANY = 256
#: windows that overlap are added one position at a time, up to so many
_WINDOW = 64


class _Parts:
    """Copies and fills that do not overlap, collected into one launch."""

    def __init__(self, lowering: Lowering) -> None:
        self._lowering, self._calls, self._possible = lowering, list[Call](), True

    def copy(self, src: View, dst: View) -> None:
        self._take(copy_call(self._lowering.isa, src, dst))

    def fill(self, dst: View, value: Any = 0) -> None:
        self._take(fill_call(self._lowering.isa, dst, value))

    def _take(self, call: Call | None) -> None:
        if call is None:
            self._possible = False
        elif call.units:
            self._calls.append(call)

    def add(self, label: str) -> bool:
        """Add the launch; whether that was possible."""
        if not self._possible or len(self._calls) > _MANY:
            return False
        if self._calls:
            self._lowering.add(together(self._calls, label))
        return True


def _moving(*names: str) -> Callable[[Any], Any]:
    """Register ``fn(parts, node, *attrs)``, which gives copies and fills for an operation."""

    def register(fn: Callable[..., None]) -> Any:
        def lower(lowering: Lowering, node: LibraryNode) -> bool:
            parts = _Parts(lowering)
            fn(parts, node, *node.attrs)
            return parts.add(node.op)

        library(*names)(lower)
        return fn

    return register


# ---------------------------------------------------------------- whole copies
@_moving("clone", "contiguous", "relayout")
def _copy(parts: _Parts, node: LibraryNode, *_: Any) -> None:
    parts.copy(node.operands[0], node.result)


@_moving("copy", "fill")
def _written(parts: _Parts, node: LibraryNode) -> None:
    parts.copy(node.operands[1], node.result)


@_moving("full")
def _full(parts: _Parts, node: LibraryNode, *_: Any) -> None:
    parts.copy(node.operands[0], node.result)


@library("reshape")
def _reshape(lowering: Lowering, node: LibraryNode) -> bool:
    x, out = node.operands[0], node.result
    if out.contiguous:
        return copy(lowering, x, replace(row_major(out.slot, x.shape, x), offset=out.offset))
    return False


# ---------------------------------------------------------------- joined
@_moving("cat")
def _cat(parts: _Parts, node: LibraryNode, dim: int) -> None:
    start, rank = 0, len(node.result.shape)
    for x in node.operands:
        if len(x.shape) == rank and numel(x):
            parts.copy(x, at(node.result, dim, start, x.shape[dim]))
            start += x.shape[dim]


@_moving("stack")
def _stack(parts: _Parts, node: LibraryNode, dim: int) -> None:
    for i, x in enumerate(node.operands):
        parts.copy(x, without(at(node.result, dim, i, 1), dim))


@_moving("block_diag")
def _block_diag(parts: _Parts, node: LibraryNode) -> None:
    row = column = 0
    for x in node.operands:
        rows, columns = x.shape
        band = at(node.result, 0, row, rows)
        parts.fill(at(band, 1, 0, column))
        parts.copy(x, at(band, 1, column, columns))
        parts.fill(at(band, 1, column + columns, node.result.shape[1] - column - columns))
        row, column = row + rows, column + columns


# ---------------------------------------------------------------- turned
@_moving("flip")
def _flip(parts: _Parts, node: LibraryNode, *dims: int) -> None:
    x = node.operands[0]
    for d in dims:
        d %= len(x.shape)
        x = at(x, d, x.shape[d] - 1, x.shape[d], -1)
    parts.copy(x, node.result)


@_moving("roll")
def _roll(parts: _Parts, node: LibraryNode, shifts: Any, dims: Any) -> None:
    x = node.operands[0]
    by = dict.fromkeys(range(len(x.shape)), 0)
    for s, d in zip(shifts, dims, strict=True):
        by[d % len(x.shape)] += s
    # along each dimension: (from, to, count) of the part that stays in order and of the part that wraps around
    cuts = [
        [(0, s % max(n, 1), n - s % max(n, 1)), (n - s % max(n, 1), 0, s % max(n, 1))] for n, s in zip(x.shape, by.values(), strict=True)
    ]
    _boxes(parts, x, node.result, [[(a, 1, b, c) for a, b, c in cut if c] for cut in cuts])


def _boxes(parts: _Parts, src: View, dst: View, cuts: list[list[tuple[int, int, int, int]]]) -> None:
    """Copies for every combination of pieces (from, step, to, count) along the dimensions."""
    for pieces in itertools.product(*cuts):
        a, b = src, dst
        for d, (come, step, to, count) in enumerate(pieces):
            a, b = at(a, d, come, count, step), at(b, d, to, count)
        parts.copy(a, b)


# ---------------------------------------------------------------- repeated
@_moving("repeat")
def _repeat(parts: _Parts, node: LibraryNode, *times: int) -> None:
    x = node.operands[0]
    x = broadcast(x, (1,) * (len(times) - len(x.shape)) + x.shape)
    out = node.result
    for d in reversed(range(len(times))):
        out = split(out, d, (times[d], x.shape[d]))
    src = View(x.slot, out.shape, tuple([s for step in x.strides for s in (0, step)]), x.offset, x.dtype)
    parts.copy(src, out)


@_moving("repeat_interleave")
def _interleave(parts: _Parts, node: LibraryNode, times: int, dim: int) -> None:
    x = node.operands[0]
    x = replace(x, shape=(*x.shape[: dim + 1], 1, *x.shape[dim + 1 :]), strides=(*x.strides[: dim + 1], 0, *x.strides[dim + 1 :]))
    parts.copy(x, split(node.result, dim, (x.shape[dim], times)))


# ---------------------------------------------------------------- padded and shifted
@_moving("pad_constant")
def _pad_constant(parts: _Parts, node: LibraryNode, widths: Any, value: Any) -> None:
    _padded(parts, node.operands[0], node.result, widths, value)


def _padded(parts: _Parts, x: View, out: View, widths: Any, value: Any) -> None:
    """`x` in the middle of `out` and `value` around it; negative widths crop."""
    for d, (a, b) in enumerate(widths):
        n, before = x.shape[d] + min(a, 0) + min(b, 0), max(a, 0)
        x = at(x, d, max(-a, 0), n)
        parts.fill(at(out, d, 0, before), value)
        parts.fill(at(out, d, before + n, max(b, 0)), value)
        out = at(out, d, before, n)
    parts.copy(x, out)


@_moving("pad_mirror")
def _pad_mirror(parts: _Parts, node: LibraryNode, widths: Any, mode: str) -> None:
    x = node.operands[0]
    _boxes(parts, x, node.result, [_runs(sources(mode, n, a, b)) for n, (a, b) in zip(x.shape, widths, strict=True)])


def _runs(positions: Any) -> list[tuple[int, int, int, int]]:
    """Positions as pieces (first, step, where it stands, count), each evenly spaced."""
    values, runs, start = [int(p) for p in positions], [], 0
    while start < len(values):
        step = values[start + 1] - values[start] if start + 1 < len(values) else 1
        end = start + 1
        while end < len(values) and values[end] - values[end - 1] == step:
            end += 1
        runs.append((values[start], step, start, end - start))
        start = end
    return runs


@library("pad_mirror_grad")
def _pad_mirror_grad(lowering: Lowering, node: LibraryNode) -> bool:
    """Every piece of the padded gradient is added where it was shown from: dimension after dimension, the pieces one after another."""
    widths, mode = node.attrs
    g, padded = node.operands[0], [d for d, (a, b) in enumerate(node.attrs[0]) if a or b]
    for d in padded:
        a, b = widths[d]
        size = g.shape[d] - a - b
        shape = (*g.shape[:d], size, *g.shape[d + 1 :])
        last = d == padded[-1]
        out = node.result if last else row_major(lowering.temporary(numel(g) // max(g.shape[d], 1) * size * g.itemsize), shape, g)
        runs = _runs(sources(mode, size, a, b))
        if len(runs) > _WINDOW or not fill(lowering, out, 0):
            return False
        for first, step, to, count in runs:
            pieces = [(first, step, to, count)] if step else [(first, 0, to + i, 1) for i in range(count)]
            for come, k, position, n in pieces:
                if not accumulate(lowering, at(g, d, position, n), at(out, d, come, n, k or 1)):
                    return False
        g = out
    return bool(padded) or copy(lowering, g, node.result)


@_moving("shift")
def _shift(parts: _Parts, node: LibraryNode, dim: int, by: int, value: float) -> None:
    x, out = node.operands[0], node.result
    n = x.shape[dim] if x.shape else 1
    if not x.shape or abs(by) >= n:
        return parts.fill(out, value)
    kept = n - abs(by)
    parts.copy(at(x, dim, max(-by, 0), kept), at(out, dim, max(by, 0), kept))
    parts.fill(at(out, dim, 0 if by > 0 else kept, abs(by)), value)
    return None


# ---------------------------------------------------------------- writes through views, gradients of views
def _in_layout(lowering: Lowering, v: View, strides: tuple[int, ...]) -> View:
    """A temporary with room for the elements of `v` in these dense strides."""
    return replace(v, slot=lowering.temporary(max(numel(v), 1) * v.itemsize), strides=strides, offset=0)


@library("restride")
def _restride(lowering: Lowering, node: LibraryNode) -> bool:
    x = node.operands[0]
    shape, strides, offset, base = node.attrs
    if not same_layout(x, base):
        storage = _in_layout(lowering, x, base)
        if not copy(lowering, x, storage):
            return False
        x = storage
    return copy(lowering, shaped(x, shape, strides, offset), node.result)


@library("restride_scatter")
def _restride_scatter(lowering: Lowering, node: LibraryNode) -> bool:
    (h, v), (geometry, base, _), out = node.operands, node.attrs, node.result
    storage = out if same_layout(out, base) else _in_layout(lowering, out, base)
    region = shaped(storage, *geometry)
    if not apart(region):
        return False
    if (h.place, h.strides) != (storage.place, storage.strides) and not copy(lowering, h, storage):
        return False
    return copy(lowering, v, region) and (storage is out or copy(lowering, storage, out))


@library("unview")
def _unview(lowering: Lowering, node: LibraryNode) -> bool:
    (g,), (op, attrs, _), out = node.operands, node.attrs, node.result
    if op in ("select", "slice"):
        return _unslice(lowering, g, out, op, attrs)
    storage = out
    if op == "restride":
        shape, strides, offset, base = attrs
        storage = out if same_layout(out, base) else _in_layout(lowering, out, base)
        region = shaped(storage, shape, strides, offset)
    else:
        region = View(out.slot, *REGISTRY[op].rule.geometry((out.shape, out.strides, out.offset), *attrs), out.dtype)  # type: ignore[union-attr]
    if op == "unfold" and not apart(region):
        return _unfold_add(lowering, g, region, out)
    if not apart(region) or not fill(lowering, storage, 0):
        return False
    return copy(lowering, g, region) and (storage is out or copy(lowering, storage, out))


def _unslice(lowering: Lowering, g: View, out: View, op: str, attrs: Any) -> bool:
    dim, lo, *rest = attrs
    step = rest[1] if rest else 1
    parts, n, end = _Parts(lowering), g.shape[dim] if op == "slice" else 1, out.shape[dim]
    if n == 0:
        return fill(lowering, out, 0)
    region = at(out, dim, lo, n, step)
    region = region if op == "slice" else without(region, dim)
    if step == 1:  # what lies before and behind is zero
        parts.fill(at(out, dim, 0, lo))
        parts.fill(at(out, dim, lo + n, end - lo - n))
        parts.copy(g, region)
        return parts.add("unview")
    return fill(lowering, out, 0) and copy(lowering, g, region)


def _unfold_add(lowering: Lowering, g: View, region: View, out: View) -> bool:
    """Windows that overlap: one position of all windows after another."""
    last = len(region.shape) - 1
    if region.shape[last] > _WINDOW or not fill(lowering, out, 0):
        return False
    return all(accumulate(lowering, at(g, last, i, 1), at(region, last, i, 1)) for i in range(region.shape[last]))


# ---------------------------------------------------------------- sliding blocks of images
def _columns(v: View, channels: int, kernel: Any, out: Any) -> View:
    """(N, C * taps, positions) as (N, C, *taps, *positions)."""
    return split(split(v, 2, out), 1, (channels, *kernel))


@library("im2col")
def _im2col(lowering: Lowering, node: LibraryNode) -> bool:
    x, (kernel, dilation, padding, stride) = node.operands[0], node.attrs
    rank = len(kernel)
    out = output_sizes(x.shape[2:], kernel, stride, padding, dilation)
    columns = _columns(node.result, x.shape[1], kernel, out)
    if any(padding):
        parts = _Parts(lowering)
        shape = (*x.shape[:2], *[n + 2 * p for n, p in zip(x.shape[2:], padding, strict=True)])
        padded = row_major(lowering.temporary(numel(replace(x, shape=shape)) * x.itemsize), shape, x)
        _padded(parts, x, padded, [(0, 0), (0, 0), *[(p, p) for p in padding]], 0)
        if not parts.add("pad"):
            return False
        x = padded
    steps = x.strides[2:]
    taps, places = ([s * k for s, k in zip(steps, by, strict=True)] for by in (dilation, stride))
    src = shaped(x, (*x.shape[:2], *kernel, *out), (*x.strides[:2], *taps, *places))
    assert len(columns.shape) == 2 + 2 * rank
    return copy(lowering, src, columns)


@library("col2im")
def _col2im(lowering: Lowering, node: LibraryNode) -> bool:
    """Tap after tap is added to the image; what falls on the padding is left out."""
    x, (size, kernel, dilation, padding, stride) = node.operands[0], node.attrs
    rank = len(kernel)
    out = output_sizes(size, kernel, stride, padding, dilation)
    image = node.result
    columns = _columns(x, image.shape[1], kernel, out)
    taps = list(itertools.product(*[range(k) for k in kernel]))
    if len(taps) > _WINDOW or not fill(lowering, image, 0):
        return False
    for tap in taps:
        src = columns
        dst = image
        for d in range(rank):
            first = tap[d] * dilation[d] - padding[d]  # where position 0 lies
            lo = max(0, -(first // stride[d]))
            hi = min(out[d], (size[d] - 1 - first) // stride[d] + 1)
            src = at(at(src, 2 + d, tap[d], 1), 2 + rank + d, lo, max(hi - lo, 0))
            dst = at(dst, 2 + d, first + lo * stride[d], max(hi - lo, 0), stride[d])
        src = moved(src, (0, 1, *range(2 + rank, 2 + 2 * rank), *range(2, 2 + rank)))
        src = replace(src, shape=src.shape[: 2 + rank], strides=src.strides[: 2 + rank])
        if numel(src) and not accumulate(lowering, src, dst):
            return False
    return True
