"""Sparse tensors as far as graph networks and embeddings use them: building, coalescing, products with dense matrices. Most are COO."""

from __future__ import annotations

from typing import Any

import torchlike_asg as torch

from ..errors import Unsupported
from .arithmetic import called
from .coo import SparseTensor, masked
from .coo import mm as product
from .csr import of_coo, sampled_addmm, sparse_csr_tensor
from .functions import addmm as sum_with_product
from .functions import log_softmax, softmax, sspaddmm

__all__ = [
    "DoubleTensor", "FloatTensor", "IntTensor", "LongTensor", "SparseTensor", "addmm", "check_sparse_tensor_invariants", "hspmm",
    "log_softmax", "masked", "mm", "of_coo", "sampled_addmm", "smm", "softmax", "sparse_coo_tensor", "sparse_csr_tensor", "spdiags",
    "spmm", "sspaddmm", "sum",
]  # fmt: skip


def sparse_coo_tensor(
    indices: Any = None, values: Any = None, size: Any = None, *, dtype: Any = None, device: Any = None, requires_grad: bool = False,
    check_invariants: Any = None, is_coalesced: Any = None, pin_memory: bool = False,
) -> SparseTensor:  # fmt: skip
    """The sparse tensor with `values` at `indices` (dimensions, n). The size is the smallest that holds them, unless given."""
    if values is None:
        size = indices if size is None else size
        indices, values = torch.zeros((len(size), 0), dtype=torch.int64), torch.zeros(0, dtype=dtype)
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
    elif v.requires_grad:
        v = v.view_as(v)  # the sparse tensor is no leaf, even if its values are one
    return SparseTensor(i, v, size, len(v) < 2 if is_coalesced is None else bool(is_coalesced))


def _legacy(name: str, dtype: Any) -> Any:
    def construct(*args: Any) -> SparseTensor:
        if not args:
            args = ((0,),)
        if all(isinstance(a, int) for a in args):
            args = (args,)
        return sparse_coo_tensor(*args, dtype=dtype)

    construct.__name__ = construct.__qualname__ = name
    construct.__doc__ = f"The legacy constructor ``torch.sparse.{name}``: of indices, values and maybe the size, or of a size alone."
    return construct


FloatTensor, DoubleTensor = _legacy("FloatTensor", torch.float32), _legacy("DoubleTensor", torch.float64)
IntTensor, LongTensor = _legacy("IntTensor", torch.int32), _legacy("LongTensor", torch.int64)

spmm = product


def mm(mat1: Any, mat2: Any) -> Any:
    """The product of two matrices, or of a matrix and a vector; sparse if both operands are."""
    return called(product(mat1, mat2), "SparseAddmmBackward0")


def addmm(mat: Any, mat1: Any, mat2: Any, *, beta: float = 1, alpha: float = 1) -> Any:
    """``beta * mat + alpha * (mat1 @ mat2)``"""
    return called(sum_with_product(mat, mat1, mat2, beta=beta, alpha=alpha), "SparseAddmmBackward0")


def smm(input: SparseTensor, mat: Any) -> SparseTensor:
    """The product with a dense matrix as a sparse one."""
    return product(input, mat).to_sparse()  # type: ignore[no-any-return]


hspmm = smm


def spdiags(diagonals: Any, offsets: Any, shape: Any, layout: Any = None) -> Any:
    """The sparse matrix with rows of `diagonals` along its diagonals: column c of a row stands in column c of the matrix."""
    rows = torch.atleast_2d(diagonals)
    places, values = [], []
    for row, offset in zip(rows, torch.atleast_1d(offsets).tolist(), strict=True):
        columns = torch.arange(max(0, offset), min(len(row), shape[1], shape[0] + offset), device=rows.device)
        places.append(torch.stack([columns - offset, columns]))
        values.append(row[columns])
    out = sparse_coo_tensor(torch.cat(places, 1), torch.cat(values), shape)
    return of_coo(out) if layout is torch.sparse_csr else out


class check_sparse_tensor_invariants:
    """Whether constructors check what they are given: here they always do, so that this changes nothing."""

    def __init__(self, enable: bool = True) -> None:
        self.checks = enable

    @staticmethod
    def is_enabled() -> bool:
        return True

    @staticmethod
    def enable() -> None:
        """They do in any case."""

    @staticmethod
    def disable() -> None:
        """They do all the same: what they check for would give errors later."""

    def __enter__(self) -> check_sparse_tensor_invariants:
        return self

    def __exit__(self, *error: object) -> None:
        pass


def sum(input: SparseTensor, dim: Any = None, dtype: Any = None) -> Any:
    """The sum of all values, or over dimensions (sparse, as long as a sparse dimension is left)."""
    return input.sum(dim, dtype=dtype)


def to_sparse(dense: Any, sparse_dim: int | None = None) -> SparseTensor:
    """The elements of `dense` that are not zero; with `sparse_dim`, its slices of the other dimensions that hold one."""
    if sparse_dim is None or sparse_dim == dense.dim():
        places = torch.nonzero(dense).t()
        return SparseTensor(places, dense[tuple(places)], dense.shape, True)
    if not 0 < sparse_dim < dense.dim():
        raise RuntimeError(f"dense_to_sparse: sparse_dim argument must be in [0,{dense.dim()}] range, but {sparse_dim} is given")
    places = torch.nonzero((dense != 0).flatten(sparse_dim).any(-1)).t()
    return SparseTensor(places, dense[tuple(places)], dense.shape, True)


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    raise Unsupported(f"torchlike_asg.sparse.{name} is not implemented: use to_dense() for what is not mm, addmm, softmax or sum")
