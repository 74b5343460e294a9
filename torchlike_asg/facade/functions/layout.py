"""Sizes and strides, and what changes them: size, stride, contiguous, clone, resize_."""

from __future__ import annotations

import functools
from typing import Any

from ...asg.geometry import is_contiguous
from ...formats import contiguous_format
from ...ops import movement
from ..core import Tensor, plain, unary
from ..register import function, method
from ..resize import resize
from .creation import sizes
from .views import reshape, wrap_dim


@function(method=False)
def clone(input: Tensor, *, memory_format: Any = None) -> Tensor:
    """A copy, laid out as the input or, for ``contiguous_format``, in row-major order; gradients flow through."""
    if memory_format is contiguous_format and not _row_major(*input.geometry[:2]):
        return plain(movement.contiguous, input)
    return unary(movement.clone, input)


Tensor.clone = clone  # type: ignore[attr-defined]


@method()
def contiguous(self: Tensor, memory_format: Any = None) -> Tensor:
    """This tensor if its elements lie in row-major order, else a copy that does."""
    n = self._n
    shape, strides = (n.shape, n.strides) if n is not None else self._geo[:2]
    return self if _row_major(shape, strides) else plain(movement.contiguous, self)


_row_major = functools.lru_cache(4096)(is_contiguous)


@function()
def ravel(input: Tensor) -> Tensor:
    """The elements as one dimension: a view where possible."""
    return reshape(contiguous(input), -1)  # type: ignore[no-any-return]


def _is_contiguous(self: Tensor, memory_format: Any = None) -> bool:
    """Whether the elements lie in row-major order without gaps."""
    return is_contiguous(*self.geometry[:2])


Tensor.is_contiguous = _is_contiguous  # type: ignore[attr-defined]


@method()
def stride(self: Tensor, dim: int | None = None) -> Any:
    """Strides in elements, of all dimensions or of one."""
    strides = self.geometry[1]
    return strides if dim is None else strides[wrap_dim(dim, len(strides))]


@method()
def storage_offset(self: Tensor) -> int:
    """Where in its storage the tensor starts, in elements."""
    return self.geometry[2]


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
    return resize(self, sizes(size))


@method()
def resize_as_(self: Tensor, other: Tensor, memory_format: Any = None) -> Tensor:
    """``resize_(other.size())``."""
    return resize(self, tuple(other.shape))
