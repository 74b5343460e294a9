"""Functions of the torch namespace on sparse tensors: ``torch.mm(dense, sparse)``, ``torch.relu(sparse)``, ``F.linear(sparse, weight)``.

A function meant for dense tensors fails on a sparse one; what failed is looked up here by its name (facade/parsing.py), so that calls with
dense tensors pay nothing. What has no entry is looked for among the methods of the sparse tensor.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torchlike_asg as torch

from ..errors import Unsupported
from ..facade.core import Tensor
from ..facade.parsing import OTHERS
from .arithmetic import called
from .coo import SparseTensor, masked, mm
from .form import Sparse

__all__ = ["addmm", "cat", "linear", "log_softmax", "matmul", "softmax", "stack"]


def matmul(input: Any, other: Any) -> Any:
    """The product of two matrices, or of a matrix and a vector, one of them or both sparse."""
    if isinstance(other, Sparse) and not isinstance(input, Sparse) and input.dim() == 1:
        return mm(other.t(), input)
    return mm(input, other)


def addmm(input: Any, mat1: Any, mat2: Any, *, beta: float = 1, alpha: float = 1) -> Any:
    """``beta * input + alpha * (mat1 @ mat2)``"""
    product = mm(mat1, mat2)
    if isinstance(input, SparseTensor):
        if not isinstance(product, SparseTensor):
            raise RuntimeError("addmm: a dense product is not added to a sparse tensor: use sspaddmm() or to_dense()")
        return input * beta + product * alpha
    product = product.to_dense() if isinstance(product, Sparse) else product
    return called(beta * input + alpha * product, "AddmmBackward0")


def sspaddmm(input: SparseTensor, mat1: SparseTensor, mat2: Any, *, beta: float = 1, alpha: float = 1) -> SparseTensor:
    """`addmm` with a sparse summand, and a sparse result."""
    return input * beta + mm(mat1, mat2).to_sparse() * alpha  # type: ignore[no-any-return]


def linear(input: Any, weight: Any, bias: Tensor | None = None) -> Any:
    """``input @ weight.T + bias``, of which one matrix is sparse."""
    product = mm(input, weight.t())
    return product if bias is None else product + bias


def cat(tensors: Any, dim: int = 0) -> SparseTensor:
    """Sparse tensors side by side along a sparse dimension."""
    parts = list(tensors)
    if not all(isinstance(t, SparseTensor) for t in parts):
        raise RuntimeError("Concatenating sparse tensors, but a dense tensor was found: use to_dense() or to_sparse()")
    first = parts[0]
    axis = dim + first.ndim if dim < 0 else dim
    if axis >= first.sparse_dim():
        raise Unsupported("sparse tensors are put side by side along their sparse dimensions only: use to_dense()")
    places, start = [], 0
    for t in parts:
        rows = list(t._i.unbind(0))
        rows[axis] = rows[axis] + start
        places.append(torch.stack(rows))
        start += t.shape[axis]
    size = [*first.shape[:axis], start, *first.shape[axis + 1 :]]
    return SparseTensor(torch.cat(places, 1), torch.cat([t._v for t in parts]), size)


def stack(tensors: Any, dim: int = 0) -> SparseTensor:
    """Sparse tensors of one shape along a new sparse dimension."""
    parts = list(tensors)
    return cat([t.unsqueeze(dim) for t in parts], dim + parts[0].ndim + 1 if dim < 0 else dim)


def _over_rows(of: Callable[[Tensor], Tensor], input: SparseTensor, dim: int, dtype: Any) -> SparseTensor:
    """`of`, a function of columns, over the given values along `dim` of a sparse matrix or more; what is not given takes no part.

    The values are put in a dense matrix with a column for each line along `dim`, and -inf at places that are not given.
    """
    held = input.coalesce()
    axis = dim + held.ndim if dim < 0 else dim
    if axis >= held.sparse_dim() or held.dense_dim():
        raise Unsupported("softmax of a sparse tensor is supported along sparse dimensions of one without dense ones: use to_dense()")
    values = held._v if dtype is None else held._v.to(dtype)  # type: ignore[attr-defined]
    lines = torch.zeros(held._nnz(), dtype=torch.int64, device=held.device)
    for d, n in enumerate(held.shape):
        if d != axis:
            lines = lines * n + held._i[d]
    _, line = torch.unique(lines, return_inverse=True)
    shape = (held.shape[axis], int(line.max()) + 1 if held._nnz() else 0)
    whole = torch.full(shape, -torch.inf, dtype=values.dtype, device=held.device).index_put((held._i[axis], line), values)
    return SparseTensor(held._i, of(whole)[held._i[axis], line], held.shape, True)


def softmax(input: SparseTensor, dim: int, *, dtype: Any = None) -> SparseTensor:
    """Softmax along a sparse dimension, over the values that are given: those that are not count as -inf."""
    return _over_rows(lambda x: torch.softmax(x, 0), input, dim, dtype)


def log_softmax(input: SparseTensor, dim: int, *, dtype: Any = None) -> SparseTensor:
    """The logarithm of `softmax`."""
    return _over_rows(lambda x: torch.log_softmax(x, 0), input, dim, dtype)


def _subtracted(input: Any, other: Any, *, alpha: float = 1) -> Any:
    return input + other * -alpha


def _empty_like(input: Sparse, **kwargs: Any) -> Any:
    kwargs.pop("memory_format", None)
    return input.new_zeros(input.shape, **kwargs)  # type: ignore[attr-defined]


def _embedding(input: Tensor, weight: SparseTensor, *args: Any, **kwargs: Any) -> Any:
    rows = weight.index_select(0, input.reshape(-1))  # type: ignore[attr-defined]
    if input.dim() != 1:
        raise Unsupported("a sparse table is read at a vector of places: flatten them first")
    return rows


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "mm": mm,
    "matmul": matmul,
    "mv": mm,
    "hspmm": lambda mat1, mat2: mm(mat1, mat2).to_sparse(),
    "smm": lambda mat1, mat2: mm(mat1, mat2).to_sparse(),
    "addmm": addmm,
    "sspaddmm": sspaddmm,
    "linear": linear,
    "cat": cat,
    "stack": stack,
    "vstack": cat,
    "hstack": lambda tensors: cat(tensors, 1),
    "embedding": _embedding,
    "add": lambda input, other, *, alpha=1: input + (other if alpha == 1 else other * alpha),
    "sub": _subtracted,
    "mul": lambda a, b: b * a if isinstance(b, Sparse) else a * b,
    "sparse_mask": masked,
    "dropout": lambda input, p=0.5, training=True, inplace=False: _dropout(input, p, training),
    "zeros_like": _empty_like,
    "empty_like": _empty_like,
}


def _dropout(input: Sparse, p: float, training: bool) -> Any:
    if training and p:
        raise Unsupported("dropout of a sparse tensor is not implemented, as in PyTorch: drop among the values before they become one")
    return input


def _has_sparse(values: Any) -> bool:
    """Whether an argument is sparse, or one of the tensors in a list is."""
    return any(isinstance(v, Sparse) or (isinstance(v, (list, tuple)) and any(isinstance(u, Sparse) for u in v)) for v in values)


def _densified(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """A function that writes a sparse tensor into a dense one: it takes part as a dense tensor."""
    return getattr(args[0], name)(*[a.to_dense() if isinstance(a, Sparse) else a for a in args[1:]], **kwargs)


#: what dense tensors take sparse ones in
_WRITTEN = frozenset(("add_", "sub_", "subtract_", "mul_", "multiply_"))


def on_sparse(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """What the function of that name makes of arguments among which is a sparse tensor; NotImplemented if none is, or it knows none."""
    if not _has_sparse((*args, *kwargs.values())):
        return NotImplemented
    name = name.lstrip("_")
    if args and isinstance(args[0], Sparse):
        if name in _FUNCTIONS and not hasattr(args[0], name):
            return _FUNCTIONS[name](*args, **kwargs)
        if hasattr(args[0], name):
            return getattr(args[0], name)(*args[1:], **kwargs)
    elif name in _FUNCTIONS:
        return _FUNCTIONS[name](*args, **kwargs)
    elif name in _WRITTEN:
        return _densified(name, args, kwargs)
    raise Unsupported(f"{name}() takes no sparse tensor: use to_dense() first")


OTHERS.append(on_sparse)
