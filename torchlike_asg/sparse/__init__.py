"""Sparse COO tensors as far as graph networks and embeddings use them: building, coalescing, products with dense matrices."""

from __future__ import annotations

from typing import Any

import torchlike_asg as torch

from ..errors import Unsupported
from ..facade.core import Tensor
from .coo import SparseTensor, mm
from .functions import addmm, log_softmax, softmax

__all__ = ["FloatTensor", "SparseTensor", "addmm", "log_softmax", "mm", "softmax", "sparse_coo_tensor", "spmm", "sum"]


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


spmm = mm


def sum(input: SparseTensor, dim: Any = None, dtype: Any = None) -> Any:
    """The sum of all values, or over dimensions (sparse, as long as a sparse dimension is left)."""
    return input.sum(dim, dtype=dtype)


def to_sparse(dense: Tensor, sparse_dim: int | None = None) -> SparseTensor:
    """The elements of `dense` that are not zero."""
    places = torch.nonzero(dense).t()
    return SparseTensor(places, dense[tuple(places)], dense.shape, True)


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    raise Unsupported(f"torchlike_asg.sparse.{name} is not implemented: use to_dense() for what is not mm, addmm, softmax or sum")
