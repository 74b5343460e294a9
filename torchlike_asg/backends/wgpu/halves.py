"""Work cut in two along a dimension, where an operand is larger than a binding may be."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from ..views import at, moved
from .calls import Lowering, View
from .copies import temporary


def too_large(lowering: Lowering, v: View) -> bool:
    """Whether the view's memory cannot be bound."""
    return (v.bind()[0].size or 0) > lowering.caps.max_binding


def longest(lowering: Lowering, views: Iterable[View], dims: Iterable[int]) -> int | None:
    """Which of some dimensions, which all views share, to halve: the one that takes a view furthest that is too large. None if none is,
    or if no dimension can be halved.
    """
    able = list(dims)
    for v in views:
        if too_large(lowering, v):
            reach = {d: abs(v.strides[d]) * (v.shape[d] - 1) for d in able}
            best = max(able, key=reach.__getitem__, default=None)
            if best is not None and reach[best]:
                return best
    return None


def halves(views: Sequence[View], d: int) -> tuple[list[View], list[View]]:
    """The views' first and second half."""
    first = views[0].shape[d] // 2
    return [at(v, d, 0, first) for v in views], [at(v, d, first, v.shape[d] - first) for v in views]


def divisible(lowering: Lowering, v: View, dims: Sequence[int]) -> View:
    """The view, if it can be bound once it is cut along some dimensions; else, where that helps, dense memory of its own (uninitialised) in
    which these dimensions are the outer ones.
    """
    inner, limit = [d for d in range(len(v.shape)) if d not in dims], lowering.caps.max_binding
    spanned = v.itemsize * sum(abs(v.strides[d]) * (v.shape[d] - 1) for d in inner)
    if not too_large(lowering, v) or spanned < limit // 2 or v.itemsize * math.prod([v.shape[d] for d in inner]) > limit:
        return v
    order = [*dims, *inner]
    made = temporary(lowering, [v.shape[d] for d in order], v.dtype)
    return moved(made, [order.index(d) for d in range(len(order))])
