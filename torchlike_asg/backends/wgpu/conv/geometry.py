"""Images and filters as the kernels see them: three spatial dimensions, channels last, and the walk of a convolution over them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ..calls import View

Three = tuple[int, int, int]


def three(values: Sequence[int], missing: int) -> Three:
    """Numbers of one to three spatial dimensions as those of three, the new ones first."""
    return (*(missing,) * (3 - len(values)), *values)  # type: ignore[return-value]


def image(v: View) -> View:
    """(N, C, *S) as (N, D, H, W, C)."""
    n, c, *s = v.shape
    n_step, c_step, *steps = v.strides
    return replace(v, shape=(n, *three(s, 1), c), strides=(n_step, *three(steps, 0), c_step))


def filters(v: View, groups: int) -> View:
    """A weight (O, C / groups, *K) as (groups, O / groups, D, H, W, C / groups)."""
    o, c, *kernel = v.shape
    o_step, c_step, *steps = v.strides
    each = o // groups
    return replace(v, shape=(groups, each, *three(kernel, 1), c), strides=(o_step * each, o_step, *three(steps, 0), c_step))


def backwards(w: View) -> View:
    """Filters with inputs and outputs exchanged."""
    order = (0, 5, 2, 3, 4, 1)
    return replace(w, shape=tuple([w.shape[d] for d in order]), strides=tuple([w.strides[d] for d in order]))


def part(v: View, dim: int, first: int, count: int, step: int) -> View:
    """Elements `first`, ``first + step``, ... of a dimension."""
    shape, strides = list(v.shape), list(v.strides)
    shape[dim], strides[dim] = count, strides[dim] * step
    return replace(v, shape=tuple(shape), strides=tuple(strides), offset=v.offset + first * v.strides[dim])


@dataclass(frozen=True)
class Walk:
    """Pixel q of the result and tap j meet pixel ``q * step + first + j * apart`` of the image, along each spatial dimension."""

    step: Three
    first: Three
    apart: Three


def spatial(x: View, w: View, y: View) -> tuple[int, ...]:
    """The spatial dimensions (0, 1, 2) that there is anything to say about: those where not all of image, kernel and result have size 1."""
    return tuple([d for d in range(3) if not x.shape[d + 1] == w.shape[d + 2] == y.shape[d + 1] == 1])


def numel(shape: Sequence[int]) -> int:
    return math.prod(shape)
