"""Tensors whose strides are given: new ones, and a tensor that sees its own memory anew."""

from __future__ import annotations

from typing import Any

from ...asg.geometry import ordered_strides
from ...dtypes import dtype
from ..core import Tensor
from ..register import FUNCTIONS, function, method
from .creation import empty_strided
from .factory_arguments import device_of, sequence
from .inplace_views import take
from .views import as_strided


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
