"""The lines of an array along one dimension, for operations that treat each line on its own."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..views import merge
from .calls import View
from .walk import MAX_RANK


@dataclass(frozen=True)
class Lines:
    """All lines along a dimension of several arrays of equal shape otherwise; steps in bytes, one for each array.

    ``length``    elements of a line of the first array, and their steps
    ``columns``   how many lines lie side by side, and the steps between them: the dimension where the first array is densest
    ``outer``     the other dimensions, as `walk_words` takes them
    """

    length: int
    steps: tuple[int, ...]
    columns: int
    column_steps: tuple[int, ...]
    outer: list[tuple[int, ...]]

    @property
    def points(self) -> int:
        """How many groups of columns there are."""
        return math.prod([d[0] for d in self.outer])


def lines(dim: int, first: View, *others: View) -> Lines | None:
    """The lines along `dim`. Arrays without that dimension (or with another size there) are given with size one or their own size."""
    views = (first, *others)
    sizes = [v.itemsize for v in views]
    steps = tuple([v.strides[dim] * s for v, s in zip(views, sizes, strict=True)])
    rest = [d for d in range(len(first.shape)) if d != dim]
    dims = merge([first.shape[d] for d in rest], *[[v.strides[d] * s for d in rest] for v, s in zip(views, sizes, strict=True)])
    if len(dims) > MAX_RANK:
        return None
    if not dims:
        return Lines(first.shape[dim], steps, 1, (0,) * len(views), [])
    k = min(range(len(dims)), key=lambda i: abs(dims[i][1]) or 1 << 62)
    return Lines(first.shape[dim], steps, dims[k][0], dims[k][1:], dims[:k] + dims[k + 1 :])
