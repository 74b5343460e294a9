"""Norms, condition and rank of matrices."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ... import dtypes, notices
from ...asg.keeps import KEEPS_RESULT
from ...asg.node import Node, const, weak
from ...ops import distance, solve, spectral
from ...ops.eigen import inverse_info
from ...ops.logic import eq, gt
from ...ops.movement import permute, reshape, reshaped
from ...ops.pointwise import div, maximum, mul, where
from ...ops.promotion import title, to
from ...ops.reduce import amin, sum_
from ..core import Tensor, node_of, wrap
from ..outright import computed, outright
from ..register import function
from ..steps import step
from .arguments import one_dim
from .decompose import eigvalsh, largest, linalg_function
from .distance import vector_norm as norm_along
from .eigen import repaired
from .matrix_checks import check_tolerance, tolerance
from .reduce import converted
from .views import dims_of, wrap_dim


# ---------------------------------------------------------------- norms of matrices
def _moved_last(x: Node, dims: tuple[int, int]) -> Node:
    rest = [i for i in range(len(x.shape)) if i not in dims]
    return permute(x, *rest, *dims)


@linalg_function
def matrix_norm(
    A: Tensor, ord: Any = "fro", dim: Any = (-2, -1), keepdim: bool = False, *, dtype: Any = None, out: Tensor | None = None
) -> Tensor:
    """A norm of matrices: "fro", "nuc", or the number 1, -1, 2, -2, inf, -inf (column sums, singular values, row sums)."""
    if isinstance(ord, np.number) or (isinstance(ord, Tensor) and not ord.shape):
        ord = ord.item()  # type: ignore[union-attr]
    if not isinstance(ord, (int, float, str)):
        raise TypeError(f"linalg_matrix_norm(): argument 'ord' must be Number or str, not {type(ord).__name__}")
    x = node_of(converted(A, dtype))
    singular = ord == "nuc" or ord in (2, -2)
    if singular or x.dtype.category < dtypes.FLOAT:
        solve.check_floating("linalg.matrix_norm", x)
    rank = len(x.shape)
    if rank < 2:
        raise RuntimeError("linalg.matrix_norm: The input tensor A must have at least 2 dimensions.")
    if not isinstance(dim, (tuple, list)) or len(dim) != 2:
        raise RuntimeError(
            "linalg.matrix_norm: dim must be a 2-tuple. Got " + " ".join(map(str, dim if isinstance(dim, (tuple, list)) else (dim,)))
        )
    rows, columns = wrap_dim(dim[0], rank), wrap_dim(dim[1], rank)
    if rows == columns:
        raise RuntimeError(f"linalg.matrix_norm: dims must be different. Got ({dim[0]}, {dim[1]})")
    both = tuple(sorted((rows, columns)))
    if ord == "fro":
        return wrap(distance.vector_norm(x, 2.0, both, keepdim))
    if singular:
        s = spectral.singular_values(_moved_last(x, (rows, columns)))
        last = (len(s.shape) - 1,)
        found = sum_(s, last, False) if ord == "nuc" else (largest if ord == 2 else amin)(s, last, False)
    elif ord in (1, -1, math.inf, -math.inf):
        first, second = (rows, columns) if abs(ord) == 1 else (columns, rows)
        sums = distance.vector_norm(x, 1.0, (first,), True)
        found = (largest if ord > 0 else amin)(sums, (second,), True)
    else:
        raise RuntimeError(f"linalg.matrix_norm: Order {ord} not supported.")
    shape = (
        tuple([1 if i in both else n for i, n in enumerate(x.shape)])
        if keepdim
        else tuple([n for i, n in enumerate(x.shape) if i not in both])
    )
    if tuple(found.shape) != shape:
        found = reshaped(found, shape)
        found = KEEPS_RESULT(found) if found.rg and not singular else found  # a view of an extreme, which is kept
    result = wrap(found)
    return computed(result) if singular else result


@linalg_function
def vector_norm(
    x: Tensor, ord: float = 2, dim: Any = None, keepdim: bool = False, *, dtype: Any = None, out: Tensor | None = None
) -> Tensor:
    """The norm (sum |x|^ord)^(1/ord) of the elements along `dim`, or of all."""
    if x.dtype.category < dtypes.FLOAT:
        raise RuntimeError(f"linalg.vector_norm: Expected a floating point or complex tensor as input. Got {title(x.dtype)}")
    return norm_along(x, ord, dim, keepdim, dtype)


@linalg_function
def norm(A: Tensor, ord: Any = None, dim: Any = None, keepdim: bool = False, *, dtype: Any = None, out: Tensor | None = None) -> Tensor:
    """A vector norm along one dimension, a matrix norm along two; without `ord` the 2-norm of all elements (along `dim`)."""
    rank = len(A.shape)
    dims = None if dim is None else dims_of(dim, rank)
    if dims is not None and len(dims) not in (1, 2):
        raise RuntimeError(f"linalg.norm: If dim is specified, it must be of length 1 or 2. Got {list(dims)}")
    if isinstance(ord, str) or (ord is not None and ((dims is not None and len(dims) == 2) or (dims is None and rank == 2))):
        if dims is None and rank != 2:
            raise RuntimeError(f"linalg.norm: If dim is not specified but ord is, the input must be 1D or 2D. Got {rank}D.")
        return matrix_norm(A, ord, (-2, -1) if dims is None else dims, keepdim, dtype=dtype)  # type: ignore[no-any-return]
    if ord is not None and dims is None and rank > 2:
        raise RuntimeError(f"linalg.norm: If dim is not specified but ord is, the input must be 1D or 2D. Got {rank}D.")
    return vector_norm(A, 2 if ord is None else ord, dims, keepdim, dtype=dtype)  # type: ignore[no-any-return]


@linalg_function
@outright
@step(lambda A, p=None, **_: "SqueezeBackward1" if p is None or p in (2, -2) else None)
def cond(A: Tensor, p: Any = None, *, out: Tensor | None = None) -> Tensor:
    """The condition number in the norm `p`: by default the ratio of the largest and smallest singular value."""
    x = node_of(A)
    singular = p is None or p in (2, -2)
    if len(x.shape) < 2:
        raise RuntimeError("linalg.cond: The input tensor must have at least 2 dimensions.")
    if not singular:
        solve.check_square("linalg.cond", x)
    if not all(x.shape[-2:]):
        return wrap(sum_(spectral.singular_values(x), (len(x.shape) - 2,), False))  # zeros, with a history
    if singular:
        s = spectral.singular_values(x)
        last = (len(s.shape) - 1,)
        high, low = largest(s, last, False), amin(s, last, False)
        return wrap(div(low, high) if p == -2 else div(high, low))
    info = wrap(inverse_info(x))
    inverse = wrap(solve.inverse(repaired(x, node_of(info))[1]))  # tensors, not nodes: some norms are computed by their call
    product = matrix_norm(A, p) * matrix_norm(inverse, p)  # type: ignore[operator]
    return wrap(where(eq(node_of(info), const(0, info.dtype)), node_of(product), weak(math.inf)))


@linalg_function
@outright
def matrix_rank(
    A: Tensor, tol: Any = None, hermitian: bool = False, *, atol: Any = None, rtol: Any = None, out: Tensor | None = None
) -> Tensor:
    """The number of singular values above ``max(atol, rtol * largest)``; tolerances may be tensors, one per matrix."""
    if len(A.shape) < 2:
        raise RuntimeError("torch.linalg.matrix_rank: The input tensor input must have at least 2 dimensions.")
    for name, given in (("tol", tol), ("atol", atol), ("rtol", rtol)):
        check_tolerance("linalg_matrix_rank", name, given)
    relative, absolute = (0.0, tol) if tol is not None else tolerance(A, atol, rtol)
    s = node_of(eigvalsh(A).abs()) if hermitian else spectral.singular_values(node_of(A))
    last = (len(s.shape) - 1,)
    if not s.shape[-1]:
        return wrap(sum_(gt(s, weak(0.0)), last, False))

    def per_matrix(t: Any) -> Node:
        if not isinstance(t, Tensor):
            return const(float(t), s.dtype)
        n = to(node_of(t), s.dtype)
        return reshape(n, (*n.shape, 1))

    above = gt(s, maximum(per_matrix(absolute), mul(per_matrix(relative), largest(s, last, True))))
    return wrap(sum_(above, (len(above.shape) - 1,), False))


# ---------------------------------------------------------------- by their old names
@function(method=False)
def nuclear_norm(input: Tensor, dim: Any = (-2, -1), keepdim: bool = False, *, out: Tensor | None = None) -> Tensor:
    """The sum of the singular values. Deprecated in favour of `linalg.matrix_norm`."""
    notices.once(notices.NUCLEAR_NORM)
    return matrix_norm(input, "nuc", dim, keepdim)  # type: ignore[no-any-return]


@function(method=False)
def frobenius_norm(input: Tensor, dim: Any, keepdim: bool = False, *, out: Tensor | None = None) -> Tensor:
    """The root of the sum of squares along one or two dimensions. Deprecated in favour of `linalg.vector_norm`."""
    notices.once(notices.FROBENIUS_NORM)
    return vector_norm(input, 2, dim, keepdim)  # type: ignore[no-any-return]


@function(method=False)
def norm_except_dim(v: Tensor, pow: int = 2, dim: int = 0) -> Tensor:
    """The norms of the slices along `dim`, which stays with size one for the others; of the whole tensor if `dim` is -1."""
    if dim == -1:
        return vector_norm(v, pow)  # type: ignore[no-any-return]
    dim = one_dim("norm_except_dim", dim, len(v.shape))
    return vector_norm(v, pow, [d for d in range(len(v.shape)) if d != dim], True)  # type: ignore[no-any-return]
