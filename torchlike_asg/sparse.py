"""Sparse COO tensors as far as graph networks use them: building, coalescing, products with dense matrices.

A `SparseTensor` keeps a dense tensor of values, which carries the history, and one of indices. Products gather rows and add them up, so
memory stays proportional to the number of values; anything else asks for `to_dense` first.
"""

from __future__ import annotations

from typing import Any

import torchlike_asg as torch

from .errors import Unsupported
from .facade.core import Tensor

__all__ = ["FloatTensor", "SparseTensor", "mm", "sparse_coo_tensor", "spmm", "sum"]


class SparseTensor:
    """Values (n, ...) at the places `indices` (dimensions, n) of a tensor of that size, zeros elsewhere; repeated places add up."""

    is_sparse = True
    layout = torch.sparse_coo

    def __init__(self, indices: Tensor, values: Tensor, size: Any, coalesced: bool = False) -> None:
        self._i, self._v, self.shape, self._coalesced = indices, values, torch.Size(size), coalesced

    # ------------------------------------------------------------ looking
    @property
    def dtype(self) -> Any:
        return self._v.dtype

    @property
    def device(self) -> Any:
        return self._v.device

    @property
    def requires_grad(self) -> bool:
        return self._v.requires_grad

    @property
    def grad_fn(self) -> Any:
        return self._v.grad_fn  # type: ignore[attr-defined]

    @property
    def is_cuda(self) -> bool:
        return False

    @property
    def ndim(self) -> int:
        return len(self.shape)

    def dim(self) -> int:
        return len(self.shape)

    def size(self, dim: int | None = None) -> Any:
        return self.shape if dim is None else self.shape[dim]

    def sparse_dim(self) -> int:
        return int(self._i.shape[0])

    def dense_dim(self) -> int:
        return len(self.shape) - int(self._i.shape[0])

    def numel(self) -> int:
        return self.shape.numel()

    def _nnz(self) -> int:
        return int(self._i.shape[1])

    def _indices(self) -> Tensor:
        return self._i

    def _values(self) -> Tensor:
        return self._v

    def is_coalesced(self) -> bool:
        return self._coalesced

    def indices(self) -> Tensor:
        """The places of a coalesced tensor."""
        self._demand("indices")
        return self._i

    def values(self) -> Tensor:
        """The values of a coalesced tensor."""
        self._demand("values")
        return self._v

    def _demand(self, what: str) -> None:
        if not self._coalesced:
            raise RuntimeError(f"Cannot get {what} on an uncoalesced tensor, please call .coalesce() first")

    # ------------------------------------------------------------ changing form
    def _flat(self) -> Tensor:
        flat = torch.zeros(self._nnz(), dtype=torch.int64)
        for place, n in zip(self._i, self.shape, strict=False):
            flat = flat * n + place
        return flat

    def coalesce(self) -> SparseTensor:
        """The same tensor with every place once, in order."""
        if self._coalesced:
            return self
        places, where = torch.unique(self._flat(), return_inverse=True)
        values = torch.zeros((places.shape[0], *self._v.shape[1:]), dtype=self.dtype).index_add(0, where, self._v)
        rows = []
        for n in reversed(self.shape[: self.sparse_dim()]):
            rows.append(places % n)
            places = places // n
        return SparseTensor(torch.stack(rows[::-1]), values, self.shape, True)

    def to_dense(self, dtype: Any = None) -> Tensor:
        """The dense tensor."""
        lead = self.shape[: self.sparse_dim()].numel() if self.sparse_dim() else 1
        rest = tuple(self.shape[self.sparse_dim() :])
        dense = torch.zeros((lead, *rest), dtype=self.dtype).index_add(0, self._flat(), self._v).view(self.shape)
        return dense if dtype is None else dense.to(dtype)

    def to_sparse(self, *args: Any) -> SparseTensor:
        return self

    def _with(self, values: Tensor) -> SparseTensor:
        return SparseTensor(self._i, values, self.shape, self._coalesced)

    def to(self, *args: Any, **kwargs: Any) -> SparseTensor:
        return self._with(self._v.to(*args, **kwargs))

    def float(self) -> SparseTensor:
        return self._with(self._v.float())

    def double(self) -> SparseTensor:
        return self._with(self._v.double())

    def cpu(self) -> SparseTensor:
        return self

    def cuda(self, *args: Any, **kwargs: Any) -> SparseTensor:
        return self._with(self._v.cuda(*args, **kwargs))

    def clone(self) -> SparseTensor:
        return self._with(self._v.clone())

    def detach(self) -> SparseTensor:
        return self._with(self._v.detach())

    def requires_grad_(self, requires_grad: bool = True) -> SparseTensor:
        self._v.requires_grad_(requires_grad)
        return self

    def transpose(self, dim0: int, dim1: int) -> SparseTensor:
        """Two of the sparse dimensions exchanged."""
        order = list(range(self.sparse_dim()))
        order[dim0], order[dim1] = order[dim1], order[dim0]
        size = [self.shape[d] for d in order] + list(self.shape[self.sparse_dim() :])
        return SparseTensor(self._i[order], self._v, size)

    def t(self) -> SparseTensor:
        return self.transpose(0, 1)

    # ------------------------------------------------------------ arithmetic
    def mm(self, other: Any) -> Any:
        """The product with a dense matrix."""
        return mm(self, other)

    matmul = spmm = __matmul__ = mm

    def mv(self, vector: Tensor) -> Tensor:
        return mm(self, vector.unsqueeze(1)).squeeze(1)  # type: ignore[no-any-return]

    def __mul__(self, other: Any) -> SparseTensor:
        if isinstance(other, (Tensor, SparseTensor)) and other.shape != torch.Size(()):
            raise Unsupported("products of sparse tensors element by element are not supported: use to_dense()")
        return self._with(self._v * other)

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> SparseTensor:
        return self * (1 / other)

    def __neg__(self) -> SparseTensor:
        return self._with(-self._v)

    def __add__(self, other: Any) -> Any:
        if isinstance(other, Tensor):
            return self.to_dense() + other
        if self.shape != other.shape:
            raise RuntimeError(f"add: expected sizes of 'self' and 'other' to match, but {self.shape} != {other.shape}")
        return SparseTensor(torch.cat([self._i, other._i], 1), torch.cat([self._v, other._v]), self.shape)

    __radd__ = __add__

    def sum(self, dim: int | None = None) -> Any:
        return self._v.sum() if dim is None else self.to_dense().sum(dim)

    def __getattr__(self, name: str) -> Any:
        raise Unsupported(f"SparseTensor.{name} is not implemented: use to_dense() first")

    def __repr__(self) -> str:
        size = f"size={tuple(self.shape)}, nnz={self._nnz()}, layout=torch.sparse_coo"
        return f"tensor(indices={self._i!r},\n       values={self._v!r},\n       {size})"


def sparse_coo_tensor(
    indices: Any, values: Any = None, size: Any = None, *, dtype: Any = None, device: Any = None, requires_grad: bool = False,
    check_invariants: Any = None, is_coalesced: Any = None, pin_memory: bool = False,
) -> SparseTensor:  # fmt: skip
    """The sparse tensor with `values` at `indices` (dimensions, n). The size is the smallest that holds them, unless given."""
    if values is None and size is None:
        size, indices = indices, torch.zeros((len(indices), 0), dtype=torch.int64)
        values = torch.zeros(0, dtype=dtype)
    i = torch.as_tensor(indices)
    i = (i.unsqueeze(0) if i.dim() == 1 else i).to(torch.int64)
    v = torch.as_tensor(values, dtype=dtype, device=device)
    if i.shape[1] != v.shape[0]:
        raise RuntimeError(f"indices and values must have same nnz, but got nnz from indices: {i.shape[1]}, nnz from values: {v.shape[0]}")
    largest = i.max(1).values.tolist() if i.shape[1] else [-1] * i.shape[0]
    if size is None:
        size = [n + 1 for n in largest] + list(v.shape[1:])
    for d, (n, top) in enumerate(zip(size, largest, strict=False)):
        if top >= n:
            raise RuntimeError(f"size is inconsistent with indices: for dim {d}, size is {n} but found index {top}")
    if i.numel() and int(i.min()) < 0:
        raise RuntimeError(f"found negative index {int(i.min())}")
    if requires_grad:
        v = v.detach().requires_grad_()
    return SparseTensor(i, v, size, bool(is_coalesced))


def FloatTensor(indices: Any, values: Any, size: Any = None) -> SparseTensor:
    """The legacy constructor ``torch.sparse.FloatTensor``."""
    return sparse_coo_tensor(indices, values, size, dtype=torch.float32)


def mm(mat1: Any, mat2: Any) -> Any:
    """The product of a sparse matrix and a dense one (dense)."""
    if not isinstance(mat1, SparseTensor):
        if isinstance(mat2, SparseTensor):
            return mm(mat2.t(), mat1.mT).mT
        return torch.mm(mat1, mat2)
    if isinstance(mat2, SparseTensor):
        return mm(mat1, mat2.to_dense())
    if mat1.ndim != 2 or mat1.shape[1] != mat2.shape[0]:
        shapes = ["x".join(map(str, m.shape)) for m in (mat1, mat2)]
        raise RuntimeError(f"mat1 and mat2 shapes cannot be multiplied ({shapes[0]} and {shapes[1]})")

    if mat2.dim() == 1:
        return mat1.mv(mat2)
    rows, columns = mat1._i
    zeros = torch.zeros(mat1.shape[0], mat2.shape[1], dtype=mat2.dtype)
    return zeros.index_add(0, rows, mat1._v.unsqueeze(1) * mat2.index_select(0, columns))


spmm = mm


def addmm(mat: Tensor, mat1: Any, mat2: Any, *, beta: float = 1, alpha: float = 1) -> Any:
    """``beta * mat + alpha * (mat1 @ mat2)``"""
    return beta * mat + alpha * mm(mat1, mat2)


def sum(input: SparseTensor, dim: int | None = None, dtype: Any = None) -> Any:
    """The sum of all values, or over a dimension (dense)."""
    return input.sum(dim)


def to_sparse(dense: Tensor, sparse_dim: int | None = None) -> SparseTensor:
    """The elements of `dense` that are not zero."""
    places = torch.nonzero(dense).t()
    return SparseTensor(places, dense[tuple(places)], dense.shape, True)


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    raise Unsupported(f"torchlike_asg.sparse.{name} is not implemented: use to_dense() for what is not mm, addmm or sum")
