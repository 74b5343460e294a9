"""Names of PyTorch's early versions that scripts still use, and small methods that belong to no family."""

from __future__ import annotations

import importlib
import warnings
from typing import Any

import numpy as np

from ... import dtypes
from ...formats import strided
from ..core import Tensor
from ..misfits import combination, what
from ..register import function, method
from .layout import contiguous
from .strided import as_strided
from .views import diagonal, reshape, transpose


@method()
def resize(self: Tensor, *sizes: Any) -> Tensor:
    """``reshape`` of a tensor's contiguous values to as many elements (deprecated in PyTorch as well)."""
    warnings.warn("non-inplace resize is deprecated", stacklevel=2)
    return reshape(contiguous(self), *sizes)  # type: ignore[no-any-return]


@method()
def resize_as(self: Tensor, tensor: Tensor) -> Tensor:
    """``resize(tensor.size())`` (deprecated in PyTorch as well)."""
    warnings.warn("non-inplace resize_as is deprecated", stacklevel=2)
    return reshape(contiguous(self), tensor.shape)  # type: ignore[no-any-return]


@method()
def __div__(self: Tensor, other: Any) -> Any:
    return self / other


@method()
def __rdiv__(self: Tensor, other: Any) -> Any:
    return self.reciprocal() * other  # type: ignore[attr-defined]


@method()
def __idiv__(self: Tensor, other: Any) -> Any:
    self /= other  # type: ignore[operator]
    return self


@method()
def __reversed__(self: Tensor) -> Tensor:
    """The tensor with its first dimension reversed; a 0-d one as it is."""
    return self.flip(0) if self.shape else self  # type: ignore[attr-defined, no-any-return]


@function()
def adjoint(input: Tensor) -> Tensor:
    """The (conjugate) transpose of the last two dimensions."""
    if not input.shape:
        return input.conj() if input.dtype.is_complex else input  # type: ignore[attr-defined, no-any-return]
    if len(input.shape) < 2:
        raise RuntimeError(f"tensor.adjoint() is only supported on matrices or batches of matrices. Got {len(input.shape)}-D tensor.")
    swapped = transpose(input, -2, -1)
    return swapped.conj() if input.dtype.is_complex else swapped  # type: ignore[no-any-return]


@method()
def fill_diagonal_(self: Tensor, fill_value: Any, wrap: bool = False) -> Tensor:
    """Write `fill_value` on the main diagonal: of a matrix, or of a tensor whose dimensions are all equal.

    With `wrap` the diagonal of a tall matrix starts anew, one row free, below the last full one.
    """
    shape, strides, offset = tuple(self.shape), self.geometry[1], self.geometry[2]
    if len(shape) < 2:
        raise RuntimeError("dimensions must larger than 1")
    if len(shape) > 2:
        if len(set(shape)) > 1:
            raise RuntimeError("all dimensions of input must be of equal length")
        as_strided(self, (shape[0],), (sum(strides),), offset).fill_(fill_value)
        return self
    rows, columns = shape
    diagonal(self).fill_(fill_value)  # type: ignore[attr-defined]
    first = columns + 1
    if not wrap or rows <= first:
        return self
    if strides[0] == columns * strides[1]:  # the diagonals of all further blocks are one run
        count = -(-(rows - first) * columns // first)
        as_strided(self, (count,), (sum(strides),), offset + first * strides[0]).fill_(fill_value)
    else:
        for row in range(first, rows, first):
            diagonal(self[row:]).fill_(fill_value)  # type: ignore[index]
    return self


@method()
def is_shared(self: Tensor) -> bool:
    """Whether the memory is shared between processes: never, here."""
    return False


@method()
def is_pinned(self: Tensor, device: Any = None) -> bool:
    """Whether the memory is page-locked for a CUDA device: never, here."""
    return False


def _check_count(name: str, argument: str, value: Any) -> None:
    if value is not None and (isinstance(value, (bool, Tensor)) or not isinstance(value, (int, np.integer))):
        raise TypeError(f"{name}(): argument '{argument}' (position 1) must be int, not {what(value)}")


@method("to_sparse", "to_sparse_coo")
def to_sparse(self: Tensor, *sparse_dim: Any, layout: Any = None, **named: Any) -> Any:
    """The elements that are not zero, as a sparse COO tensor, or a CSR matrix (see torchlike_asg.sparse)."""
    given = sparse_dim if sparse_dim or "sparse_dim" not in named else (named.pop("sparse_dim"),)
    if named or len(given) > 1 or None in given:
        raise combination("to_sparse", given, named, ", but expected (*, torch.layout layout) or (int sparse_dim)")
    dims = given[0] if given else None
    _check_count("to_sparse", "sparse_dim", dims)
    made = importlib.import_module("torchlike_asg.sparse").to_sparse(self, dims)
    return made.to_sparse(layout=layout)


@method()
def to_sparse_csr(self: Tensor, dense_dim: int | None = None) -> Any:
    """The elements that are not zero, as a sparse CSR matrix."""
    _check_count("to_sparse_csr", "dense_dim", dense_dim)
    if dense_dim:
        raise RuntimeError(
            f"dense_to_sparse_csr: dense_dim argument must be in [0,{max(self.ndim - 2, 0)}] range, but {dense_dim} is given"
        )  # type: ignore[attr-defined]
    return self.to_sparse().to_sparse_csr()  # type: ignore[attr-defined]


@method()
def sparse_mask(self: Tensor, mask: Any) -> Any:
    """The elements at the places of a sparse tensor."""
    if not isinstance(mask, Tensor):
        raise TypeError(f"sparse_mask(): argument 'mask' (position 1) must be Tensor, not {what(mask)}")
    if mask.layout is strided:  # type: ignore[attr-defined]
        raise NotImplementedError("Could not run 'aten::sparse_mask' with arguments from the 'CPU' backend: the mask is no sparse tensor.")
    return importlib.import_module("torchlike_asg.sparse").masked(self, mask)


@method()
def to_dense(self: Tensor, dtype: Any = None, *, masked_grad: bool | None = None) -> Tensor:
    """This tensor, which is dense already."""
    if not (dtype is None or isinstance(dtype, (dtypes.dtype, type))):
        raise TypeError(f"to_dense(): argument 'dtype' (position 1) must be torch.dtype, not {what(dtype)}")
    return self if dtype is None else self.to(dtype)  # type: ignore[attr-defined, no-any-return]
