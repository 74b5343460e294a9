"""Parts of values: a `View` cut, turned, repeated or taken apart, without a copy; index spaces in as few dimensions as possible."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

from .library import View

Shape = tuple[int, ...]
#: a backend's own kind of view stays what it is
V = TypeVar("V", bound=View)


def at(v: V, dim: int, lo: int, n: int, step: int = 1) -> V:
    """`n` elements along a dimension, from `lo` in steps of `step`, which may be zero or negative."""
    s = v.strides[dim]
    offset = v.offset + lo * s if n else v.offset
    return replace(
        v, shape=(*v.shape[:dim], n, *v.shape[dim + 1 :]), strides=(*v.strides[:dim], s * step, *v.strides[dim + 1 :]), offset=offset
    )


def without(v: V, dim: int) -> V:
    """A dimension dropped, at its first element."""
    return replace(v, shape=v.shape[:dim] + v.shape[dim + 1 :], strides=v.strides[:dim] + v.strides[dim + 1 :])


def shaped(v: V, shape: Sequence[int], strides: Sequence[int], offset: int = 0) -> V:
    """Another geometry over the same memory; `offset` counts from the view's first element."""
    return replace(v, shape=tuple(shape), strides=tuple(strides), offset=v.offset + offset)


def split(v: V, dim: int, sizes: Sequence[int]) -> V:
    """A dimension as several, the last the fastest; the product of `sizes` is its size."""
    steps, step = [], v.strides[dim]
    for n in reversed(sizes):
        steps.append(step)
        step *= n
    return replace(
        v,
        shape=(*v.shape[:dim], *sizes, *v.shape[dim + 1 :]),
        strides=(*v.strides[:dim], *reversed(steps), *v.strides[dim + 1 :]),
    )


def moved(v: V, order: Sequence[int]) -> V:
    """The dimensions in another order."""
    return replace(v, shape=tuple([v.shape[i] for i in order]), strides=tuple([v.strides[i] for i in order]))


def broadcast(v: V, shape: Sequence[int]) -> V:
    """The view repeated to a shape by steps of zero."""
    lead = len(shape) - len(v.shape)
    strides = [0] * lead + [0 if n == 1 and m != 1 else s for n, m, s in zip(v.shape, shape[lead:], v.strides, strict=True)]
    return replace(v, shape=tuple(shape), strides=tuple(strides))


def merge(shape: Sequence[int], *streams: Sequence[int]) -> list[tuple[int, ...]]:
    """Dimensions (size, step of each stream), those of size one dropped, neighbours joined where every stream moves evenly over both."""
    out: list[tuple[int, ...]] = []
    for dim in zip(shape, *streams, strict=True):
        n, *steps = dim
        if n == 1:
            continue
        if out and all(outer == inner * n for outer, inner in zip(out[-1][1:], steps, strict=True)):
            out[-1] = (out[-1][0] * n, *steps)
        else:
            out.append((n, *steps))
    return out


def row_major(slot: int, shape: Sequence[int], like: V) -> V:
    """A contiguous view at the start of a slot, with another one's element type."""
    steps, step = [], 1
    for n in reversed(shape):
        steps.append(step)
        step *= max(n, 1)
    return replace(like, slot=slot, shape=tuple(shape), strides=tuple(reversed(steps)), offset=0)


def numel(v: View) -> int:
    return math.prod(v.shape)


def same_layout(v: View, strides: Shape) -> bool:
    """Whether the view has these strides, wherever they matter."""
    return all(n == 1 or a == b for n, a, b in zip(v.shape, v.strides, strides, strict=True))


def apart(v: View) -> bool:
    """Whether surely no two elements share memory."""
    reach = 0
    for s, n in sorted((abs(s), n) for s, n in zip(v.strides, v.shape, strict=True) if n > 1):
        if s <= reach:
            return False
        reach += s * (n - 1)
    return True
