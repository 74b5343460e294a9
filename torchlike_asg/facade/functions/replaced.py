"""Out-of-place counterparts of writes through a view: a copy of the tensor in which one view is replaced."""

from __future__ import annotations

from typing import Any

from ...asg.geometry import Geometry, span
from ...asg.node import Node
from ...asg.trace import current
from ...ops import movement
from .. import moving
from ..core import Tensor, node_of, wrap
from ..places import put
from ..register import function
from ..steps import step
from .strided import as_strided
from .views import wrap_dim


def _view_replaced(input: Tensor, src: Tensor, op: Any, attrs: tuple[Any, ...]) -> Tensor:
    base = movement.clone(node_of(input))
    shape, strides, offset = op.rule.geometry((tuple(base.shape), base.strides, 0), *attrs)
    _check_size(src, shape)
    return wrap(_with(base, _converted(src, base), (tuple(shape), strides, offset)))


def _with(base: Node, v: Node, region: Geometry) -> Node:
    """A dense copy with `v` in a region, whose offset is data if it moves from one iteration to the next."""
    strides, entry = base.strides, (base, v, region, base.strides, False)
    op = movement.restride_scatter
    if entry not in op.table and v.numel and not current().mapped and moving.moves(op, base, region[2:], region[:2], entry):
        return put(base, v, region, strides, False)
    return op(*entry)


def _check_size(src: Tensor, shape: Any) -> None:
    if tuple(src.shape) != tuple(shape):
        raise RuntimeError(
            f"expected src to have a size equal to the slice of self. src size = {list(src.shape)}, slice size = {list(shape)}"
        )


def _converted(src: Tensor, base: Node) -> Node:
    v = node_of(src)
    return v if v.dtype is base.dtype else movement.cast(v, base.dtype)


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
def slice_scatter(
    input: Tensor, src: Tensor, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1, *, out: Tensor | None = None
) -> Tensor:
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
    """A copy of `input` with ``as_strided(size, stride, storage_offset)`` replaced by `src`.

    Places are counted in the storage of `input`, of which a copy is written.
    """
    if any(s == 0 and n > 1 for n, s in zip(*input.geometry[:2], strict=True)):
        input = input.clone()  # type: ignore[attr-defined]  # elements that lie over each other are written apart
    target = as_strided(input, size, stride, storage_offset)
    _check_size(src, target.shape)
    own, region = input.geometry, target.geometry
    whole = as_strided(input, (max(span(own), span(region)),), (1,), 0)
    base = movement.clone(node_of(whole))
    written = _with(base, _converted(src, base), region)
    return wrap(movement.clone(movement.restride(written, *own, base.strides)))
