"""Sparse matrices in compressed rows (CSR): making them, looking at them, products with dense matrices. The rest goes through COO."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torchlike_asg as torch

from ..asg.node import Node
from ..errors import Unsupported
from ..facade.core import Tensor
from .arithmetic import Elementwise
from .coo import SparseTensor
from .form import Sparse, beside, block, suffixed

__all__ = ["CSR", "of_coo", "sampled_addmm", "sparse_csr_tensor"]


class CSR(Elementwise):
    """The matrix whose row r has `values` at the columns ``col[crow[r]:crow[r + 1]]``; zeros elsewhere."""

    is_sparse = False
    is_sparse_csr = True
    layout = torch.sparse_csr

    def __init__(self, crow: Tensor, col: Tensor, values: Tensor, size: Any) -> None:
        super().__init__(size)
        self._places, self._v = (beside(values, crow), beside(values, col)), values

    @property
    def _held(self) -> Tensor:
        return self._v

    @property
    def grad(self) -> CSR | None:
        """A leaf's gradient, at its places."""
        g = self._v.grad if self.is_leaf else None  # type: ignore[attr-defined]
        return None if g is None else CSR(*self._places, g, self.shape)

    @grad.setter
    def grad(self, g: CSR | None) -> None:
        self._v.grad = None if g is None else g._v  # type: ignore[attr-defined]

    def crow_indices(self) -> Tensor:
        """Where each row begins among the values, and where the last one ends."""
        return self._places[0]

    def col_indices(self) -> Tensor:
        """The column of each value."""
        return self._places[1]

    def values(self) -> Tensor:
        return self._v

    def _nnz(self) -> int:
        return int(self._v.shape[0])

    def sparse_dim(self) -> int:
        return 2

    def dense_dim(self) -> int:
        return 0

    # ------------------------------------------------------------ other forms
    def _coo(self) -> SparseTensor:
        crow, col = self._places
        rows = torch.repeat_interleave(torch.arange(self.shape[0], device=crow.device), torch.diff(crow.to(torch.int64)))
        return SparseTensor(torch.stack([rows, col.to(torch.int64)]), self._v, self.shape, True)

    def to_sparse(self, sparse_dim: int | None = None, *, layout: Any = None) -> Any:
        return self if layout is torch.sparse_csr else self._coo()

    to_sparse_coo = to_sparse

    def to_sparse_csr(self, dense_dim: int | None = None) -> CSR:
        return self

    def to_dense(self, dtype: Any = None, *, masked_grad: bool | None = None) -> Tensor:
        return self._coo().to_dense(dtype)

    def dense_node(self) -> Node:
        return self._coo().dense_node()

    def _summed(self) -> CSR:
        return self

    def _map(self, change: Callable[[Any], Any]) -> CSR:
        return CSR(*self._places, change(self._v), self.shape)

    def _set(self, other: CSR) -> CSR:
        self._places, self._v, self._size = other._places, other._v, other._size
        return self

    # ------------------------------------------------------------ arithmetic
    def mm(self, other: Any) -> Any:
        """The product with a matrix or, as ``matmul``, a vector; sparse if `other` is."""
        product = self._coo().mm(other)
        return of_coo(product) if isinstance(product, SparseTensor) else product

    matmul = __matmul__ = mm

    def __rmatmul__(self, other: Any) -> Any:
        return (other @ self._coo()).contiguous()

    def mv(self, vector: Tensor) -> Tensor:
        return self._coo().mv(vector)

    def _times(self, other: Any) -> CSR:
        return of_coo(self._coo() * other)

    def __add__(self, other: Any) -> CSR:
        if not isinstance(other, Sparse):
            raise RuntimeError("add(sparse, dense) is not supported. Use add(dense, sparse) instead.")
        return of_coo(self._coo() + other.to_sparse())  # type: ignore[attr-defined]

    def __radd__(self, other: Any) -> Tensor:
        return other + self.to_dense()  # type: ignore[no-any-return]

    def __sub__(self, other: Any) -> CSR:
        return self + -other

    def add(self, other: Any, *, alpha: float = 1) -> CSR:
        return self + (other if alpha == 1 else other * alpha)

    def sum(self, dim: Any = None, *, dtype: Any = None) -> Any:
        if dim is not None:
            raise Unsupported("a CSR matrix is summed as a whole only: use to_sparse() or to_dense()")
        return self._v.sum(dtype=dtype)  # type: ignore[attr-defined]

    def t(self) -> Any:
        raise Unsupported("the transpose of a CSR matrix is a CSC one in PyTorch, which is not here: use to_sparse().t()")

    # ------------------------------------------------------------ as an object
    def __deepcopy__(self, memo: dict[int, Any]) -> CSR:
        if id(self) not in memo:
            memo[id(self)] = self._like(CSR(*(copy.deepcopy(part, memo) for part in (*self._places, self._v)), self.shape))
        return memo[id(self)]  # type: ignore[no-any-return]

    def __copy__(self) -> CSR:
        return self._like(self)  # type: ignore[no-any-return]

    def __reduce_ex__(self, protocol: Any) -> Any:
        return CSR, (*self._places, self._v, tuple(self.shape))

    def __repr__(self, *, tensor_contents: Any = None) -> str:
        crow, col = block("tensor(crow_indices=", self._places[0]), block("       col_indices=", self._places[1])
        return f"{crow},\n{col},\n" + suffixed(block("       values=", self._v), self, False)

    __str__ = __repr__


def of_coo(t: SparseTensor) -> CSR:
    """The CSR form of a sparse matrix."""
    if t.sparse_dim() != 2 or t.dense_dim():
        raise Unsupported("CSR is here for matrices only: keep other sparse tensors as COO")
    held = t.coalesce()
    rows, col = held._i
    crow = torch.searchsorted(rows.contiguous(), torch.arange(t.shape[0] + 1, device=rows.device))
    return CSR(crow, col, held._v, t.shape)


def sparse_csr_tensor(
    crow_indices: Any, col_indices: Any, values: Any, size: Any = None, *, dtype: Any = None, device: Any = None, pin_memory: bool = False,
    requires_grad: bool = False, check_invariants: Any = None,
) -> CSR:  # fmt: skip
    """The matrix of rows that begin at `crow_indices` among `values`, which stand at `col_indices`."""
    crow, col, v = torch.as_tensor(crow_indices), torch.as_tensor(col_indices), torch.as_tensor(values, dtype=dtype, device=device)
    if crow.dim() != 1 or v.dim() != 1:
        raise Unsupported("CSR is here for single matrices of numbers only: use sparse_coo_tensor()")
    if col.shape != v.shape or int(crow[0]) != 0 or int(crow[-1]) != len(v) or bool((torch.diff(crow) < 0).any()):
        raise RuntimeError("sparse_csr_tensor: crow_indices must rise from 0 to the number of values, of which each has a column")
    if size is None:
        size = (len(crow) - 1, int(col.max()) + 1 if len(col) else 0)
    if len(size) != 2 or size[0] != len(crow) - 1 or (len(col) and not (0 <= int(col.min()) and int(col.max()) < size[1])):
        raise RuntimeError(f"sparse_csr_tensor: the size {tuple(size)} does not fit the indices")
    if requires_grad:
        v = v.detach().requires_grad_()
    elif v.requires_grad:
        v = v.view_as(v)
    return CSR(crow, col, v, size)


def sampled_addmm(input: CSR, mat1: Tensor, mat2: Tensor, *, beta: float = 1.0, alpha: float = 1.0) -> CSR:
    """``beta * input + alpha * (mat1 @ mat2)`` at the places of `input`."""
    rows, columns = input._coo()._i
    products = (mat1[rows] * mat2.t()[columns]).sum(1)  # type: ignore[attr-defined, index]
    return input._map(lambda v: beta * v + alpha * products)
