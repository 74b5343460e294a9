"""Operations that move elements without computing: joined, padded, turned, repeated, written into a region.

Each is a handful of strided copies, fills and additions, which a backend's `Mover` does.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Protocol

from ..asg.declare import REGISTRY
from ..ops.conv import output_sizes
from ..ops.padding import sources
from .library import LibraryNode, View
from .views import apart, at, moved, numel, same_layout, shaped, split, without

#: windows that overlap are added one position at a time, up to so many
_WINDOW = 64


class Mover(Protocol):
    """What a backend does for these operations. Each method says whether it was possible; views keep their backend's class."""

    def copy(self, src: Any, dst: Any) -> bool:
        """`src`, broadcast to the shape of `dst`, into `dst`."""
        ...

    def fill(self, dst: Any, value: Any = 0) -> bool: ...

    def accumulate(self, src: Any, dst: Any) -> bool:
        """``dst += src``; no two elements of `dst` share memory."""
        ...

    def temporary(self, shape: Sequence[int], like: Any, strides: tuple[int, ...] | None = None) -> Any:
        """Memory for a view of that shape and the element type of another one, row-major if `strides` are not given."""
        ...

    def together(self, copies: Sequence[tuple[Any, Any]], fills: Sequence[tuple[Any, Any]], label: str) -> bool:
        """Copies (source, target) and fills (target, value) that do not overlap."""
        ...


class Parts:
    """Copies and fills that do not overlap."""

    def __init__(self, mover: Mover) -> None:
        self._mover = mover
        self.copies: list[tuple[View, View]] = []
        self.fills: list[tuple[View, Any]] = []

    def copy(self, src: View, dst: View) -> None:
        if numel(dst):
            self.copies.append((src, dst))

    def fill(self, dst: View, value: Any = 0) -> None:
        if numel(dst):
            self.fills.append((dst, value))

    def add(self, label: str) -> bool:
        return self._mover.together(self.copies, self.fills, label)


#: op name -> function(mover, node) -> whether it was possible
MOVING: dict[str, Callable[[Mover, LibraryNode], bool]] = {}


def _direct(*names: str) -> Callable[[Any], Any]:
    """Register ``fn(mover, node) -> whether it was possible`` for operations."""

    def register(fn: Any) -> Any:
        MOVING.update(dict.fromkeys(names, fn))
        return fn

    return register


def _moving(*names: str) -> Callable[[Any], Any]:
    """Register ``fn(parts, node, *attrs)``, which gives copies and fills, for operations."""

    def register(fn: Callable[..., None]) -> Any:
        def lower(mover: Mover, node: LibraryNode) -> bool:
            parts = Parts(mover)
            fn(parts, node, *node.attrs)
            return parts.add(node.op)

        MOVING.update(dict.fromkeys(names, lower))
        return fn

    return register


# ---------------------------------------------------------------- whole copies
@_moving("clone", "contiguous", "relayout")
def _copy(parts: Parts, node: LibraryNode, *_: Any) -> None:
    parts.copy(node.operands[0], node.result)


@_moving("copy", "fill")
def _written(parts: Parts, node: LibraryNode) -> None:
    parts.copy(node.operands[1], node.result)


@_moving("full")
def _full(parts: Parts, node: LibraryNode, *_: Any) -> None:
    parts.copy(node.operands[0], node.result)


@_direct("reshape")
def _reshape(mover: Mover, node: LibraryNode) -> bool:
    x, out = node.operands[0], node.result
    if out.contiguous:
        return mover.copy(x, replace(out, shape=x.shape, strides=_dense(x.shape)))
    return False


def _dense(shape: Sequence[int]) -> tuple[int, ...]:
    steps, step = [], 1
    for n in reversed(shape):
        steps.append(step)
        step *= max(n, 1)
    return tuple(reversed(steps))


# ---------------------------------------------------------------- joined
@_moving("cat")
def _cat(parts: Parts, node: LibraryNode, dim: int) -> None:
    start, rank = 0, len(node.result.shape)
    for x in node.operands:
        if len(x.shape) == rank and numel(x):
            parts.copy(x, at(node.result, dim, start, x.shape[dim]))
            start += x.shape[dim]


@_moving("stack")
def _stack(parts: Parts, node: LibraryNode, dim: int) -> None:
    for i, x in enumerate(node.operands):
        parts.copy(x, without(at(node.result, dim, i, 1), dim))


@_moving("block_diag")
def _block_diag(parts: Parts, node: LibraryNode) -> None:
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
def _flip(parts: Parts, node: LibraryNode, *dims: int) -> None:
    x = node.operands[0]
    for d in dims:
        d %= len(x.shape)
        x = at(x, d, x.shape[d] - 1, x.shape[d], -1)
    parts.copy(x, node.result)


@_moving("roll")
def _roll(parts: Parts, node: LibraryNode, shifts: Any, dims: Any) -> None:
    x = node.operands[0]
    by = dict.fromkeys(range(len(x.shape)), 0)
    for s, d in zip(shifts, dims, strict=True):
        by[d % len(x.shape)] += s
    # along each dimension: (from, to, count) of the part that stays in order and of the part that wraps around
    cuts = [
        [(0, s % max(n, 1), n - s % max(n, 1)), (n - s % max(n, 1), 0, s % max(n, 1))] for n, s in zip(x.shape, by.values(), strict=True)
    ]
    _boxes(parts, x, node.result, [[(a, 1, b, c) for a, b, c in cut if c] for cut in cuts])


def _boxes(parts: Parts, src: View, dst: View, cuts: list[list[tuple[int, int, int, int]]]) -> None:
    """Copies for every combination of pieces (from, step, to, count) along the dimensions."""
    for pieces in itertools.product(*cuts):
        a, b = src, dst
        for d, (come, step, to, count) in enumerate(pieces):
            a, b = at(a, d, come, count, step), at(b, d, to, count)
        parts.copy(a, b)


# ---------------------------------------------------------------- repeated
@_moving("repeat")
def _repeat(parts: Parts, node: LibraryNode, *times: int) -> None:
    x = node.operands[0]
    lead = len(times) - len(x.shape)
    x = replace(x, shape=(1,) * lead + x.shape, strides=(0,) * lead + x.strides)
    out = node.result
    for d in reversed(range(len(times))):
        out = split(out, d, (times[d], x.shape[d]))
    src = replace(x, shape=out.shape, strides=tuple([s for step in x.strides for s in (0, step)]))
    parts.copy(src, out)


@_moving("repeat_interleave")
def _interleave(parts: Parts, node: LibraryNode, times: int, dim: int) -> None:
    x = node.operands[0]
    x = replace(x, shape=(*x.shape[: dim + 1], 1, *x.shape[dim + 1 :]), strides=(*x.strides[: dim + 1], 0, *x.strides[dim + 1 :]))
    parts.copy(x, split(node.result, dim, (x.shape[dim], times)))


# ---------------------------------------------------------------- padded and shifted
@_moving("pad_constant")
def _pad_constant(parts: Parts, node: LibraryNode, widths: Any, value: Any) -> None:
    _padded(parts, node.operands[0], node.result, widths, value)


def _padded(parts: Parts, x: View, out: View, widths: Any, value: Any) -> None:
    """`x` in the middle of `out` and `value` around it; negative widths crop."""
    for d, (a, b) in enumerate(widths):
        n, before = x.shape[d] + min(a, 0) + min(b, 0), max(a, 0)
        x = at(x, d, max(-a, 0), n)
        parts.fill(at(out, d, 0, before), value)
        parts.fill(at(out, d, before + n, max(b, 0)), value)
        out = at(out, d, before, n)
    parts.copy(x, out)


@_moving("pad_mirror")
def _pad_mirror(parts: Parts, node: LibraryNode, widths: Any, mode: str) -> None:
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


@_direct("pad_mirror_grad")
def _pad_mirror_grad(mover: Mover, node: LibraryNode) -> bool:
    """Every piece of the padded gradient is added where it was shown from: dimension after dimension, the pieces one after another."""
    widths, mode = node.attrs
    g, padded = node.operands[0], [d for d, (a, b) in enumerate(node.attrs[0]) if a or b]
    for d in padded:
        a, b = widths[d]
        size = g.shape[d] - a - b
        shape = (*g.shape[:d], size, *g.shape[d + 1 :])
        last = d == padded[-1]
        out = node.result if last else mover.temporary(shape, g)
        runs = _runs(sources(mode, size, a, b))
        if len(runs) > _WINDOW or not mover.fill(out, 0):
            return False
        for first, step, to, count in runs:
            pieces = [(first, step, to, count)] if step else [(first, 0, to + i, 1) for i in range(count)]
            for come, k, position, n in pieces:
                if not mover.accumulate(at(g, d, position, n), at(out, d, come, n, k or 1)):
                    return False
        g = out
    return bool(padded) or mover.copy(g, node.result)


@_moving("shift")
def _shift(parts: Parts, node: LibraryNode, dim: int, by: int, value: float) -> None:
    x, out = node.operands[0], node.result
    n = x.shape[dim] if x.shape else 1
    if not x.shape or abs(by) >= n:
        return parts.fill(out, value)
    kept = n - abs(by)
    parts.copy(at(x, dim, max(-by, 0), kept), at(out, dim, max(by, 0), kept))
    parts.fill(at(out, dim, 0 if by > 0 else kept, abs(by)), value)
    return None


# ---------------------------------------------------------------- writes through views, gradients of views
def _in_layout(mover: Mover, v: View, strides: tuple[int, ...]) -> View:
    """A temporary with room for the elements of `v` in these dense strides."""
    return mover.temporary(v.shape, v, strides)  # type: ignore[no-any-return]


@_direct("restride")
def _restride(mover: Mover, node: LibraryNode) -> bool:
    x = node.operands[0]
    shape, strides, offset, base = node.attrs
    if not same_layout(x, base):
        storage = _in_layout(mover, x, base)
        if not mover.copy(x, storage):
            return False
        x = storage
    return mover.copy(shaped(x, shape, strides, offset), node.result)


@_direct("restride_scatter")
def _restride_scatter(mover: Mover, node: LibraryNode) -> bool:
    (h, v), (geometry, base, _), out = node.operands, node.attrs, node.result
    storage = out if same_layout(out, base) else _in_layout(mover, out, base)
    region = shaped(storage, *geometry)
    if not apart(region):
        return False
    if (h.slot, h.offset, h.strides) != (storage.slot, storage.offset, storage.strides) and not mover.copy(h, storage):
        return False
    return mover.copy(v, region) and (storage is out or mover.copy(storage, out))


@_direct("unview")
def _unview(mover: Mover, node: LibraryNode) -> bool:
    (g,), (op, attrs, _), out = node.operands, node.attrs, node.result
    if op in ("select", "slice"):
        return _unslice(mover, g, out, op, attrs)
    storage = out
    if op == "restride":
        shape, strides, offset, base = attrs
        storage = out if same_layout(out, base) else _in_layout(mover, out, base)
        region = shaped(storage, shape, strides, offset)
    else:
        shape, strides, offset = REGISTRY[op].rule.geometry((out.shape, out.strides, out.offset), *attrs)  # type: ignore[union-attr]
        region = replace(out, shape=tuple(shape), strides=tuple(strides), offset=offset)
    if op == "unfold" and not apart(region):
        return _unfold_add(mover, g, region, out)
    if not apart(region) or not mover.fill(storage, 0):
        return False
    return mover.copy(g, region) and (storage is out or mover.copy(storage, out))


def _unslice(mover: Mover, g: View, out: View, op: str, attrs: Any) -> bool:
    dim, lo, *rest = attrs
    step = rest[1] if rest else 1
    parts, n, end = Parts(mover), g.shape[dim] if op == "slice" else 1, out.shape[dim]
    if n == 0:
        return mover.fill(out, 0)
    region = at(out, dim, lo, n, step)
    region = region if op == "slice" else without(region, dim)
    if step == 1:  # what lies before and behind is zero
        parts.fill(at(out, dim, 0, lo))
        parts.fill(at(out, dim, lo + n, end - lo - n))
        parts.copy(g, region)
        return parts.add("unview")
    return mover.fill(out, 0) and mover.copy(g, region)


def _unfold_add(mover: Mover, g: View, region: View, out: View) -> bool:
    """Windows that overlap: one position of all windows after another."""
    last = len(region.shape) - 1
    if region.shape[last] > _WINDOW or not mover.fill(out, 0):
        return False
    return all(mover.accumulate(at(g, last, i, 1), at(region, last, i, 1)) for i in range(region.shape[last]))


# ---------------------------------------------------------------- sliding blocks of images
def _columns(v: View, channels: int, kernel: Any, out: Any) -> View:
    """(N, C * taps, positions) as (N, C, *taps, *positions)."""
    return split(split(v, 2, out), 1, (channels, *kernel))


@_direct("im2col")
def _im2col(mover: Mover, node: LibraryNode) -> bool:
    x, (kernel, dilation, padding, stride) = node.operands[0], node.attrs
    rank = len(kernel)
    out = output_sizes(x.shape[2:], kernel, stride, padding, dilation)
    columns = _columns(node.result, x.shape[1], kernel, out)
    if any(padding):
        parts = Parts(mover)
        shape = (*x.shape[:2], *[n + 2 * p for n, p in zip(x.shape[2:], padding, strict=True)])
        padded = mover.temporary(shape, x)
        _padded(parts, x, padded, [(0, 0), (0, 0), *[(p, p) for p in padding]], 0)
        if not parts.add("pad"):
            return False
        x = padded
    steps = x.strides[2:]
    taps, places = ([s * k for s, k in zip(steps, by, strict=True)] for by in (dilation, stride))
    src = shaped(x, (*x.shape[:2], *kernel, *out), (*x.strides[:2], *taps, *places))
    assert len(columns.shape) == 2 + 2 * rank
    return mover.copy(src, columns)


@_direct("col2im")
def _col2im(mover: Mover, node: LibraryNode) -> bool:
    """Tap after tap is added to the image; what falls on the padding is left out."""
    x, (size, kernel, dilation, padding, stride) = node.operands[0], node.attrs
    rank = len(kernel)
    out = output_sizes(size, kernel, stride, padding, dilation)
    image = node.result
    columns = _columns(x, image.shape[1], kernel, out)
    taps = list(itertools.product(*[range(k) for k in kernel]))
    if len(taps) > _WINDOW or not mover.fill(image, 0):
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
        if numel(src) and not mover.accumulate(src, dst):
            return False
    return True
