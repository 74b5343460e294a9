"""Tensors whose strides are given: new ones, and a tensor that sees its own memory anew."""

from __future__ import annotations

import math
from typing import Any

from ...asg.batching import depends
from ...asg.geometry import ordered_strides, span
from ...asg.trace import current
from ...dtypes import dtype
from ...ops.movement import restride as RESTRIDE
from .. import moving
from ..core import Tensor, face
from ..examples import layout, separate
from ..exposure import sync
from ..families import apart, family_of, inherited_kind
from ..lens import region
from ..nodes import node_of, refuse_stale
from ..register import FUNCTIONS, function, method
from ..steps import step
from .creation import empty_strided
from .factory_arguments import device_of, sequence
from .inplace_views import take


def _refuse_scattered(t: Tensor, offset: int | None) -> None:
    """NotImplementedError for one example of a batch whose storage is not a piece of memory by itself."""
    if not separate(t) or (offset is not None and layout(t)[2] != t.geometry[2]):
        raise NotImplementedError(
            "as_strided() inside vmap of an example that lies scattered in the memory of its batch is not supported: call contiguous() on "
            "the batch, with the mapped dimension in front, or use views by dimension"
        )


@function()
@step("AsStridedBackward0")
def as_strided(input: Tensor, size: Any, stride: Any, storage_offset: int | None = None) -> Tensor:
    """A view of the underlying storage with any sizes, strides and offset."""
    if input._n is None and input.requires_grad:
        refuse_stale(input)
    shape, strides = sequence(size), sequence(stride, "stride", 2)
    if len(shape) != len(strides):
        raise RuntimeError("mismatch in length of strides and shape")
    if current().mapped and depends((node_of(input),)):
        _refuse_scattered(input, storage_offset)
    offset = input.geometry[2] if storage_offset is None else storage_offset
    if any(s < 0 for s in strides):
        raise RuntimeError(f"as_strided: Negative strides are not supported at the moment, got strides: {list(strides)}")
    if any(n < 0 for n in shape):
        raise RuntimeError(f"as_strided: negative dimension in sizes {list(shape)}")
    if offset < 0:
        raise RuntimeError(f"Tensor: invalid storage offset {offset}")
    extent = span((shape, strides, offset))
    f, lens, size_of = family_of(input), input._lens, input.dtype.itemsize
    whole = math.prod(f.cell.shape) * f.cell.dtype.itemsize
    if extent * size_of > whole:
        raise RuntimeError(
            f"setStorage: sizes {list(shape)}, strides {list(strides)}, storage offset {offset}, and itemsize {size_of} requiring a storage size of "  # noqa: E501
            f"{extent * size_of} are out of bounds for storage of size {whole}"
        )
    sync(f.cell)
    if f.h is None and (f.wants or f.past is not None):
        node_of(input)
    if f.cell.exposed or f.h is None:
        return face(f, None, 0, inherited_kind(input, "view"), (shape, strides, offset), lens=lens)  # type: ignore[no-any-return]
    node_of(input)
    attrs = (shape, strides, offset, f.cell.strides)
    if lens is not None:
        n = region(f.h, f.cell, lens, attrs[:3])
    elif (f.h, *attrs) not in RESTRIDE.table and extent and not current().mapped and moving.moves(RESTRIDE, f.h, attrs, (shape, strides)):
        return moving.moving_region(input, attrs[:3])
    else:
        n = RESTRIDE(f.h, *attrs)
    return face(f, apart(n), 0, inherited_kind(input, "view"), lens=lens)  # type: ignore[no-any-return]


@function(method=False)
def empty_permuted(
    size: Any,
    physical_layout: Any,
    *,
    dtype: dtype | None = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
) -> Tensor:
    """A dense tensor of zeros whose dimensions lie in memory in the order `physical_layout`, the outermost first.

    Raises:
        RuntimeError: `physical_layout` does not name every dimension once.
    """
    shape, order = sequence(size), sequence(physical_layout, "physical_layout", 2)
    if len(order) != len(shape):
        raise RuntimeError(
            "Number of dimensions in size does not match the length of the physical_layout; i.e. len(size) = "
            f"{len(shape)} is not equal to len(physical_layout) = {len(order)}"
        )
    for d in order:
        if not 0 <= d < len(shape):
            raise RuntimeError(f"Dimension out of range (expected to be between 0 and {len(shape) - 1}, but got {d})")
    if len(set(order)) < len(order):
        raise RuntimeError("Duplicate dim not allowed")
    strides = ordered_strides(tuple(shape), order[::-1])
    return empty_strided(shape, strides, dtype=dtype, device=device, requires_grad=requires_grad)  # type: ignore[no-any-return]


@method()
def new_empty_strided(
    self: Tensor,
    size: Any,
    stride: Any,
    *,
    dtype: dtype | None = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
) -> Tensor:
    """`empty_strided` of this tensor's type, on its device."""
    d = self.dtype if dtype is None else dtype
    return empty_strided(size, stride, dtype=d, device=device_of(device, self), requires_grad=requires_grad)  # type: ignore[no-any-return]


@method()
def as_strided_(self: Tensor, size: Any, stride: Any, storage_offset: int | None = None) -> Tensor:
    """In-place version of `as_strided`: the tensor sees its memory by these sizes and strides."""
    return take(self, as_strided(self, size, stride, storage_offset), "AsStridedBackward1")


FUNCTIONS.update(as_strided_=as_strided_, resize_as_=Tensor.resize_as_)  # type: ignore[attr-defined]
