"""Sizes and strides, and what changes them: size, stride, contiguous, clone, resize_."""

from __future__ import annotations

import functools
import itertools
import math
import operator
from typing import Any

from ... import formats
from ...asg.geometry import channels_last, is_channels_last, is_contiguous, preserved_strides, suggests_channels_last
from ...asg.geometry import contiguous as row_major
from ...asg.trace import current
from ...ops import movement
from ..core import Tensor, plain, unary
from ..examples import layout
from ..register import function, method
from ..resize import resize
from .factory_arguments import sizes
from .views import reshape, wrap_dim

_RANKS = {formats.channels_last: 4, formats.channels_last_3d: 5}


def format_strides(wanted: Any, shape: Any, strides: Any, name: str = "clone") -> Any:
    """The strides a memory format asks for. `strides` are those of the tensor whose order `torch.preserve_format` (or None) keeps."""
    shape = tuple(shape)
    if wanted is None or wanted is formats.preserve_format:
        return preserved_strides(shape, strides)
    if wanted is formats.contiguous_format:
        return row_major(shape)
    if not isinstance(wanted, formats.memory_format):
        raise TypeError(f"{name}(): argument 'memory_format' must be torch.memory_format, not {type(wanted).__name__}")
    rank = _RANKS[wanted]
    if len(shape) != rank:
        raise RuntimeError(f"required rank {rank} tensor to use {wanted.name} format")
    return channels_last(shape)


def relaid(t: Tensor, wanted: Any, by: str = "to") -> Tensor:
    """`t`, or a copy of it whose elements lie as a memory format asks."""
    shape, strides, _ = t.geometry
    given = format_strides(wanted, shape, strides, by)
    return t if tuple(strides) == given else unary(movement.relayout, t, given, by)


@function(method=False)
def clone(input: Tensor, *, memory_format: Any = None) -> Tensor:
    """A copy, laid out as `input` is or as `memory_format` asks; gradients flow through."""
    if memory_format is None or memory_format is formats.preserve_format:
        return unary(movement.clone, input)
    shape, strides, _ = layout(input)
    given = format_strides(memory_format, shape, strides)
    plainly = given == preserved_strides(tuple(shape), strides) and not current().mapped
    return unary(movement.clone, input) if plainly else unary(movement.relayout, input, given)


Tensor.clone = clone  # type: ignore[attr-defined]


@method()
def contiguous(self: Tensor, *, memory_format: Any = None) -> Tensor:
    """This tensor if its elements lie in row-major order (or as `memory_format` asks), else a copy that does."""
    shape, strides, _ = layout(self)
    if memory_format is not None and memory_format is not formats.contiguous_format:
        if memory_format is formats.preserve_format:
            if _row_major(shape, strides):
                return self
            raise RuntimeError("preserve memory format is unsupported by the contiguous operator")
        given = format_strides(memory_format, shape, strides, "contiguous")
        return self if _is_contiguous(self, memory_format=memory_format) else unary(movement.relayout, self, given)
    return self if _row_major(shape, strides) else plain(movement.contiguous, self)


_row_major = functools.lru_cache(4096)(is_contiguous)


@function()
def ravel(input: Tensor) -> Tensor:
    """The elements as one dimension: a view where possible."""
    return reshape(contiguous(input), -1)  # type: ignore[no-any-return]


def _is_contiguous(self: Tensor, *, memory_format: Any = None) -> bool:
    """Whether the elements lie in row-major order without gaps, or as `memory_format` asks."""
    shape, strides, _ = layout(self)
    rank = _RANKS.get(memory_format)
    return is_contiguous(shape, strides) if rank is None else is_channels_last(tuple(shape), strides, rank)


Tensor.is_contiguous = _is_contiguous  # type: ignore[attr-defined]


@method()
def stride(self: Tensor, dim: int | None = None) -> Any:
    """Strides in elements, of all dimensions or of one."""
    strides = layout(self)[1]
    return strides if dim is None else strides[wrap_dim(dim, len(strides))]


@method()
def storage_offset(self: Tensor) -> int:
    """Where in its storage the tensor starts, in elements."""
    return layout(self)[2]


@method()
def size(self: Tensor, dim: int | None = None) -> Any:
    """The shape, or the size of one dimension."""
    shape = self.shape
    return shape if dim is None else shape[wrap_dim(dim, len(shape))]


@method("dim", "ndimension")
def dim(self: Tensor) -> int:
    """The number of dimensions."""
    return len(self.shape)


@function(method=False)
def numel(input: Tensor) -> int:
    """The number of elements."""
    return input.shape.numel()


Tensor.numel = Tensor.nelement = numel  # type: ignore[attr-defined]
Tensor.ndim = property(dim)  # type: ignore[attr-defined]


@method()
def resize_(self: Tensor, *size: Any, memory_format: Any = None) -> Tensor:
    """Change the shape in place, keeping the storage's elements in order."""
    shape = sizes(size)
    _check_storage(self, shape)
    return resize(self, shape, None if memory_format is None else format_strides(memory_format, shape, row_major(shape), "resize_"))


def _check_storage(t: Tensor, shape: tuple[int, ...]) -> None:
    """Raise RuntimeError if elements, strides or bytes of `shape` are more than 63 bits count."""
    counts = list(itertools.accumulate(shape, operator.mul, initial=1))
    if max(counts) >= 2**63:
        raise RuntimeError("numel: integer multiplication overflow")
    if math.prod([max(n, 1) for n in shape[1:]]) >= 2**63:
        raise RuntimeError("Stride calculation overflowed")
    if counts[-1] * t.dtype.itemsize >= 2**63:
        raise RuntimeError(f"Storage size calculation overflowed with sizes={list(shape)}")


@method()
def resize_as_(self: Tensor, the_template: Tensor, *, memory_format: Any = None) -> Tensor:
    """``resize_(the_template.size())``; with ``torch.preserve_format`` also in the memory format of `the_template`."""
    if memory_format is formats.preserve_format:
        shape, strides, _ = the_template.geometry
        last = next(f for f, rank in _RANKS.items() if rank == len(shape)) if suggests_channels_last(shape, strides) else None
        memory_format = last or formats.contiguous_format
    return resize_(self, *the_template.shape, memory_format=memory_format)
