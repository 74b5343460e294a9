"""Out-of-place counterparts of writes through a view: a copy of the tensor in which one view is replaced."""

from __future__ import annotations

from typing import Any

from ...ops import movement
from ..core import Tensor, node_of, wrap
from ..register import function
from ..steps import step
from .views import wrap_dim


def _view_replaced(input: Tensor, src: Tensor, op: Any, attrs: tuple[Any, ...]) -> Tensor:
    base = movement.clone(node_of(input))
    shape, strides, offset = op.rule.geometry((tuple(base.shape), base.strides, 0), *attrs)
    if tuple(src.shape) != tuple(shape):
        raise RuntimeError(
            f"expected src to have a size equal to the slice of self. src size = {list(src.shape)}, slice size = {list(shape)}"
        )
    v = node_of(src)
    v = v if v.dtype is base.dtype else movement.cast(v, base.dtype)
    return wrap(movement.restride_scatter(base, v, (tuple(shape), strides, offset), base.strides, False))


@function()
@step("SelectScatterBackward0")
def select_scatter(input: Tensor, src: Tensor, dim: int, index: int) -> Tensor:
    """A copy of `input` with ``select(dim, index)`` replaced by `src`."""
    d = wrap_dim(dim, len(input.shape))
    n = input.shape[d]
    if not -n <= index < n:
        raise IndexError(f"select(): index {index} out of range for tensor of size {list(input.shape)} at dimension {d}")
    return _view_replaced(input, src, movement.select, (d, index % n))


@function()
@step("SliceScatterBackward0")
def slice_scatter(input: Tensor, src: Tensor, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1) -> Tensor:
    """A copy of `input` with the slice ``start:end:step`` of dimension `dim` replaced by `src`."""
    if step <= 0:
        raise RuntimeError("slice step must be positive")
    d = wrap_dim(dim, len(input.shape))
    lo, hi, step = slice(start, end, step).indices(input.shape[d])
    return _view_replaced(input, src, movement.slice_, (d, lo, max(lo, hi), step))


@function()
@step("DiagonalScatterBackward0")
def diagonal_scatter(input: Tensor, src: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """A copy of `input` with ``diagonal(offset, dim1, dim2)`` replaced by `src`."""
    rank = len(input.shape)
    return _view_replaced(input, src, movement.diagonal, (offset, wrap_dim(dim1, rank), wrap_dim(dim2, rank)))


@function()
@step("AsStridedScatterBackward0")
def as_strided_scatter(input: Tensor, src: Tensor, size: Any, stride: Any, storage_offset: int | None = None) -> Tensor:
    """A copy of `input` with ``as_strided(size, stride, storage_offset)`` replaced by `src`."""
    base = movement.contiguous(node_of(input))
    geometry = (tuple(size), tuple(stride), storage_offset or 0)
    v = node_of(src)
    return wrap(movement.restride_scatter(base, v, geometry, base.strides, False))
