"""Norms and distances, as functions and methods."""

from __future__ import annotations

from typing import Any

import numpy as np

from ... import dtypes
from ...asg.node import weak
from ...ops import distance as ops
from ...ops.logic import gt
from ...ops.pointwise import mul, where
from ...ops.promotion import title
from ..core import Tensor, binary, node_of, unary, wrap
from ..lifting import scalar
from ..parsing import constant
from ..register import function, method
from ..steps import RESULT, step
from . import pointwise
from .arguments import check_flag, check_tensor, reduced_dims
from .reduce import converted
from .views import wrap_dim


def _check_precision(name: str, own: dtypes.dtype, asked: dtypes.dtype) -> None:
    """A norm is computed in a type of the operand's kind, and never a narrower one."""
    if not (asked.is_floating_point or asked.is_complex):
        raise RuntimeError(f"{name}: dtype should be floating point or complex, but got {title(asked)}")
    if asked.is_complex is not own.is_complex:
        kind = "complex" if own.is_complex else "real"
        raise RuntimeError(f"{name}: dtype should be {kind} for {kind} inputs, but got {title(asked)}")
    if dtypes.promote_types(own, asked) is not asked:
        raise RuntimeError(
            f"{name}: the dtype of the input ({title(own)}) should be convertible without narrowing to the specified dtype ({title(asked)})"
        )


def vector_norm(input: Tensor, p: float, dim: Any, keepdim: bool, dtype: Any, name: str = "linalg.vector_norm") -> Tensor:
    """The p-norm over `dim`; an empty list of dimensions means all."""
    if isinstance(p, np.number) or constant(p):
        p = p.item()  # type: ignore[union-attr]
    if not isinstance(p, (int, float)):
        raise TypeError(f"{name}(): argument 'ord' must be Number, not {type(p).__name__}")
    if dtype is not None:
        _check_precision(name, input.dtype, dtype)
    return unary(
        ops.vector_norm, converted(input, dtype), float(p), reduced_dims(name, dim, len(input.shape)), check_flag(name, "keepdim", keepdim)
    )


@function(method=False)
def norm(input: Tensor, p: Any = "fro", dim: Any = None, keepdim: bool = False, out: Tensor | None = None, dtype: Any = None) -> Tensor:
    """The p-norm of all elements or over `dim`; p is a number, "fro" (2) or "nuc" (the sum of the singular values)."""
    if p == "nuc":
        from .matrix_norm import matrix_norm

        return matrix_norm(input, "nuc", tuple(range(len(input.shape))) if dim is None else dim, keepdim, dtype=dtype)  # type: ignore[no-any-return]
    if isinstance(p, str) and p != "fro":
        raise RuntimeError(f"linalg.matrix_norm: Order {p} not supported.")
    return vector_norm(input, 2.0 if p is None or p == "fro" else p, dim, keepdim, dtype)


@method("norm")
def _norm_method(self: Tensor, p: Any = "fro", dim: Any = None, keepdim: bool = False, dtype: Any = None) -> Tensor:
    """See `torch.norm`."""
    return norm(self, p, dim, keepdim, dtype=dtype)  # type: ignore[no-any-return]


@function()
@step("DistBackward0", keeps=((0, (0, 1)), (1, (0, 1)), (RESULT, (0, 1))))
def dist(input: Tensor, other: Tensor, p: float = 2) -> Tensor:
    """The p-norm of ``input - other``."""
    check_tensor("dist", "other", 2, other)
    return vector_norm(pointwise.sub(input, other), p, None, False, None)


_MODES = ("use_mm_for_euclid_dist_if_necessary", "use_mm_for_euclid_dist", "donot_use_mm_for_euclid_dist")


@function(method=False)
def cdist(x1: Tensor, x2: Tensor, p: float = 2.0, compute_mode: str = "use_mm_for_euclid_dist_if_necessary") -> Tensor:
    """Distances in p-norm between all rows of `x1` (..., P, M) and of `x2` (..., R, M): (..., P, R).

    Euclidean distances of more than 25 rows go through a matrix product, unless `compute_mode` is "donot_use_mm_for_euclid_dist".
    """
    mode = compute_mode
    if mode not in _MODES:
        raise ValueError(f"{mode} is not a valid value for compute_mode")
    for name, x in (("X1", x1), ("X2", x2)):
        if not x.dtype.is_floating_point:
            raise RuntimeError(f"cdist only supports floating-point dtypes, {name} got: {title(x.dtype)}")
    if x1.dtype is not x2.dtype:
        raise RuntimeError(f"expected scalar type {title(x1.dtype)} but found {title(x2.dtype)}")
    for name, x in (("X1", x1), ("X2", x2)):
        if len(x.shape) < 2:
            raise RuntimeError(f"cdist only supports at least 2D tensors, {name} got: {len(x.shape)}D")
    if x1.shape[-1] != x2.shape[-1]:
        raise RuntimeError(f"X1 and X2 must have the same number of columns. X1: {x1.shape[-1]} X2: {x2.shape[-1]}")
    if p < 0:
        raise RuntimeError("cdist only supports non-negative p values")
    if x1.dtype is not x2.dtype:
        x1, x2 = (x.to(dtypes.promote_types(x1.dtype, x2.dtype)) for x in (x1, x2))  # type: ignore[attr-defined]
    large = mode == _MODES[1] or (mode == _MODES[0] and max(x1.shape[-2], x2.shape[-2]) > 25)
    if p == 2 and large:
        return binary(ops.euclidean, x1, x2)
    return wrap(ops.cdist(node_of(x1), node_of(x2), float(p)))


@function(inplace=True)
@step("RenormBackward0")
def renorm(input: Tensor, p: float, dim: int, maxnorm: float, *, out: Tensor | None = None) -> Tensor:
    """Every slice along `dim` scaled down to a p-norm of at most `maxnorm`."""
    rank = len(input.shape)
    if rank < 2:
        raise RuntimeError(f"renorm: input needs at least 2 dimensions, got {rank} dimensions")
    if p <= 0:
        raise RuntimeError("renorm: non-positive norm not supported")
    if maxnorm < 0:
        raise RuntimeError(f"renorm: expected maxnorm to be >= 0 but got {maxnorm:g}")
    d = wrap_dim(dim, rank)
    x = node_of(input)
    size = ops.vector_norm(x, float(p), tuple([i for i in range(rank) if i != d]), True)
    most = scalar(mul, float(maxnorm), x)
    factor = where(gt(size, most), most / (size + 1e-7), weak(1.0))  # type: ignore[operator]
    found: Any = wrap(x * factor)  # type: ignore[operator]
    return found.contiguous()  # type: ignore[no-any-return]
