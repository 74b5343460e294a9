"""Images as convolutions see them: batch, three spatial dimensions, channels last; copies where memory does not lie so."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from ..calls import Lowering, View
from ..copies import copy, fill

Three = tuple[int, int, int]


def three(values: Sequence[int], missing: int) -> Three:
    """Numbers of one to three spatial dimensions as those of three, the new ones first."""
    return (*(missing,) * (3 - len(values)), *values)  # type: ignore[return-value]


def up(n: int, to: int) -> int:
    """The next multiple."""
    return -(-n // to) * to


def image(v: View) -> View:
    """(N, C, *S) as (N, D, H, W, C)."""
    n, c, *s = v.shape
    ns, cs, *ss = v.strides
    return replace(v, shape=(n, *three(s, 1), c), strides=(ns, *three(ss, 0), cs))


def filters(v: View) -> View:
    """A weight (O, C, *K) with three spatial dimensions: (O, C, D, H, W)."""
    return replace(v, shape=(*v.shape[:2], *three(v.shape[2:], 1)), strides=(*v.strides[:2], *three(v.strides[2:], 0)))


def channels_last(slot: int, shape: Sequence[int], like: View) -> View:
    """A dense view of that shape at the start of a slot."""
    strides = [math.prod([max(n, 1) for n in shape[d + 1 :]]) for d in range(len(shape))]
    return View(slot, tuple(shape), tuple(strides), 0, like.dtype)


def temporary(lowering: Lowering, shape: Sequence[int], like: View, spare: int = 0) -> View:
    """A dense image of its own; ``spare`` more elements may be read behind it."""
    return channels_last(lowering.temporary((math.prod(shape) + spare) * like.itemsize), shape, like)


def adjacent(v: View) -> bool:
    """Whether the channels of a pixel lie side by side."""
    return v.strides[-1] == 1 or v.shape[-1] == 1


def dense(lowering: Lowering, v: View) -> View:
    """The image where it lies, if dense, or a copy."""
    made = channels_last(v.slot, v.shape, v)
    if all(n == 1 or a == b for n, a, b in zip(v.shape, v.strides, made.strides, strict=True)):
        return replace(v, strides=made.strides)
    made = temporary(lowering, v.shape, v)
    copy(lowering, v, made)
    return made


def framed(lowering: Lowering, v: View, before: Three, size: Three) -> View:
    """The part of an image of `size` pixels that begins `before` pixels before it (after it, if negative), zero where there is no image.
    Channels side by side. A view, if the part lies inside.
    """
    inside = all(b <= 0 and -b + s <= n for b, s, n in zip(before, size, v.shape[1:4], strict=True))
    if inside and adjacent(v):
        offset = v.offset + sum(-b * s for b, s in zip(before, v.strides[1:4], strict=True))
        return replace(v, shape=(v.shape[0], *size, v.shape[4]), strides=(*v.strides[:4], 1), offset=offset)
    out = temporary(lowering, (v.shape[0], *size, v.shape[4]), v)
    lo = [max(b, 0) for b in before]
    hi = [min(b + n, s) for b, n, s in zip(before, v.shape[1:4], size, strict=True)]
    if any(a >= b for a, b in zip(lo, hi, strict=True)):
        fill(lowering, out, 0)
        return out
    rest = out
    for d in range(3):  # the frame, dimension by dimension, around what is left inside
        for first, end in ((0, lo[d]), (hi[d], size[d])):
            if first < end:
                fill(lowering, part(rest, d + 1, first, end), 0)
        rest = part(rest, d + 1, lo[d], hi[d])
    source = v
    for d in range(3):
        source = part(source, d + 1, lo[d] - before[d], hi[d] - before[d])
    copy(lowering, source, rest)
    return out


def part(v: View, dim: int, lo: int, hi: int, step: int = 1) -> View:
    """Elements ``lo:hi:step`` of a dimension."""
    shape, strides = list(v.shape), list(v.strides)
    shape[dim] = max(0, -(-(hi - lo) // step))
    strides[dim] *= step
    return replace(v, shape=tuple(shape), strides=tuple(strides), offset=v.offset + lo * v.strides[dim])
