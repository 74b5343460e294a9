"""What index tensors name, as an iteration space over strided memory: the part of gathers and scatters that all compiled backends share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic

from ..ops.indexing import joined, place_of
from .library import Shape
from .views import V, broadcast


@dataclass(frozen=True)
class Index(Generic[V]):
    """An index tensor: where it lies, its step along every dimension of the iteration space, and what it selects along: how many
    positions there are and the step from one to the next.

    ``negative``: negative indices count from the end. ``skip`` is an index whose points are passed over; ``dim`` the dimension that is
    selected along, as errors name it. ``range``, where a kernel is given a part of the array: only positions from the first number on, so
    many as the second says, are touched, and the array begins there.
    """

    view: V
    steps: Shape
    size: int
    stride: int
    negative: bool = True
    skip: int | None = None
    dim: int = 0
    range: tuple[int, int] | None = None

    @property
    def count(self) -> int:
        """Positions that are touched."""
        return self.range[1] if self.range is not None else self.size


class Subscript(Generic[V]):
    """The iteration space of ``target[indices]``, with indices at the dimensions `dims`: the dimensions of the result."""

    def __init__(self, target: V, indices: Sequence[V], dims: Sequence[int], negative: bool = True, skip: int | None = None) -> None:
        picked = joined([i.shape for i in indices])
        at, rest = place_of(tuple(dims)), [d for d in range(len(target.shape)) if d not in dims]
        before, after = rest[:at], rest[at:]
        self.shape = (*[target.shape[d] for d in before], *picked, *[target.shape[d] for d in after])
        #: steps of the target without the indices
        self.steps = (*[target.strides[d] for d in before], *[0] * len(picked), *[target.strides[d] for d in after])
        self.indices: list[Index[V]] = []
        for i, d in zip(indices, dims, strict=True):
            steps = (*[0] * len(before), *broadcast(i, picked).strides, *[0] * len(after))
            self.indices.append(Index(i, steps, target.shape[d], target.strides[d], negative, skip, d))


def lines(target: V, index: V, d: int) -> tuple[Shape, list[Index[V]]]:
    """Of an index for every element, of the target's rank: steps of the target in the index's iteration space, and the index along `d`."""
    if not target.shape:
        return (0,) * len(index.shape), [Index(index, index.strides, 1, 0, False)]
    steps = (*target.strides[:d], 0, *target.strides[d + 1 :]) if index.shape else ()
    return steps, [Index(index, index.strides, target.shape[d], target.strides[d], False, dim=d)]


def corner(v: V, index: V) -> Shape:
    """Steps of values that are taken from their first element on, in the index's iteration space."""
    return v.strides if v.shape else (0,) * len(index.shape)


def window(x: V, start: V, d: int, length: int, step: int) -> tuple[Shape, Index[V]]:
    """Of `length` elements of `x` along `d`, `step` apart, from a place on that is data: steps of `x` in that space, and the index."""
    steps = (*x.strides[:d], x.strides[d] * step, *x.strides[d + 1 :])
    return steps, Index(start, (0,) * len(x.shape), x.shape[d] - max(length - 1, 0) * step, x.strides[d], False)
