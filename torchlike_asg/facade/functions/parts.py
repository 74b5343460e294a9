"""A tensor cut into parts along a dimension, as views: unbind, split, chunk."""

from __future__ import annotations

import itertools
import operator
from typing import Any

from ...ops import movement
from ..core import Tensor
from ..deferred import parts
from ..families import view
from ..misfits import what
from ..register import function, method
from ..steps import step
from .factory_arguments import sizes, whole_size
from .views import wrap_dim


@function()
def unbind(input: Tensor, dim: int = 0) -> tuple[Tensor, ...]:
    """The slices along a dimension, as views."""
    d = wrap_dim(dim, len(input.shape))
    return parts(input, movement.select, [(d, i) for i in range(input.shape[d])])


def _sizes(given: Any) -> list[int]:
    """The sizes of parts."""
    name = "split_with_sizes(): argument 'split_sizes'"
    if not isinstance(given, (tuple, list)):
        raise TypeError(f"{name} (position 2) must be tuple of ints, not {what(given)}")
    for i, p in enumerate(given):
        if isinstance(p, bool) or not hasattr(p, "__index__"):
            raise TypeError(f'{name} failed to unpack the object at pos {i + 1} with error "type must be tuple of ints, but got {what(p)}"')
    return list(sizes((given,), "split_sizes"))


@function(method=False)
@step(lambda tensor, split_size_or_sections, dim=0: "SplitWithSizesBackward0" if not isinstance(split_size_or_sections, int) else None)
def split(tensor: Tensor, split_size_or_sections: Any, dim: int = 0) -> tuple[Tensor, ...]:
    """Views of consecutive parts: of one size, the last possibly smaller, or of the sizes in a list."""
    if not tensor.shape:
        raise RuntimeError("split expects at least a 1-dimensional tensor")
    d = wrap_dim(dim, len(tensor.shape))
    n = tensor.shape[d]
    if isinstance(split_size_or_sections, Tensor) and split_size_or_sections.shape == ():
        split_size_or_sections = operator.index(split_size_or_sections)
    if isinstance(split_size_or_sections, int):
        k = split_size_or_sections
        if k < 0 or (k == 0 and n):
            raise RuntimeError(
                f"split expects split_size be non-negative, but got split_size={k}"
                if k < 0
                else f"split_size can only be 0 if dimension size is 0, but got dimension size of {n}"
            )
        if k > n:
            whole_size(k)
        bounds = [(i, min(i + k, n)) for i in range(0, n, k)] if n else [(0, 0)]
    else:
        counts = _sizes(split_size_or_sections)
        if sum(counts) != n:
            raise RuntimeError(
                f"split_with_sizes expects split_sizes to sum exactly to {n} (input tensor's size at dimension {d}), but got split_sizes={counts}"  # noqa: E501
            )
        ends = list(itertools.accumulate(counts))
        bounds = [(e - p, e) for p, e in zip(counts, ends, strict=True)]
    views = parts(tensor, movement.slice_, [(d, lo, hi, 1) for lo, hi in bounds])
    if not isinstance(split_size_or_sections, int):  # places that the views' geometry does not tell
        for i, v in enumerate(views):
            v.__dict__["_output"] = f"Output {i} of SplitWithSizes"
    elif n and n % k:
        views[-1].__dict__["_output"] = f"Output {len(views) - 1} of Split"
    return views


@method("split")
def _split_method(self: Tensor, split_size: Any, dim: int = 0) -> tuple[Tensor, ...]:
    """Views of consecutive parts: of one size, the last possibly smaller, or of the sizes in a list."""
    return split(self, split_size, dim)  # type: ignore[no-any-return]


@function()
@step("SplitWithSizesBackward0")
def split_with_sizes(input: Tensor, split_sizes: Any, dim: int = 0) -> tuple[Tensor, ...]:
    """Views of consecutive parts of the given sizes."""
    return split(input, _sizes(split_sizes), dim)  # type: ignore[no-any-return]


@function()
def chunk(input: Tensor, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
    """At most `chunks` views of equal size, the last possibly smaller."""
    if not input.shape:
        raise RuntimeError("chunk expects at least a 1-dimensional tensor")
    if chunks <= 0:
        raise RuntimeError(f"chunk expects `chunks` to be greater than 0, got: {chunks}")
    d = wrap_dim(dim, len(input.shape))
    n = input.shape[d]
    if chunks > n:
        whole_size(chunks)
    return split(input, -(-n // chunks), d) if n else tuple([view(movement.slice_, input, (d, 0, 0, 1), "multi") for _ in range(chunks)])  # type: ignore[no-any-return]
