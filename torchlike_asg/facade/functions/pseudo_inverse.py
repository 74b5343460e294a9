"""Inverses of matrices that have none."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ... import dtypes
from ...asg.geometry import broadcast
from ...asg.node import Node
from ...ops import spectral
from ...ops.formula import title
from ...ops.join import stack
from ...ops.movement import expand, reshape, select
from ..core import Tensor, node_of, unary, wrap
from ..held import value_of
from ..outright import outright
from ..register import function
from ..steps import step
from .decompose import linalg_function
from .matrix_checks import check_tolerance, tolerance

__all__: list[str] = []


def _check_type(A: Tensor) -> None:
    if A.dtype not in (dtypes.float32, dtypes.float64, dtypes.complex64, dtypes.complex128):
        raise RuntimeError(
            f"linalg.pinv({title(A.dtype)}{{{list(A.shape)}}}): expected a tensor with 2 or more dimensions of float, double, cfloat or "
            "cdouble types"
        )


@linalg_function
@outright
@step("LinalgPinvBackward0")
def pinv(A: Tensor, rcond: Any = None, hermitian: bool = False, *, atol: Any = None, rtol: Any = None, out: Tensor | None = None) -> Tensor:
    """The Moore-Penrose inverse; singular values up to ``max(atol, rtol * largest)`` are zero. `hermitian`: reads the lower triangle."""
    if len(A.shape) < 2:
        raise RuntimeError(f"linalg.pinv: expected a tensor with 2 or more dimensions, but got {len(A.shape)}")
    _check_type(A)
    for name, given in (("rcond", rcond), ("atol", atol), ("rtol", rtol)):
        check_tolerance("linalg_pinv", name, given)
    relative, absolute = tolerance(A, atol, rcond if rtol is None else rtol)
    limits = [value_of(t) if isinstance(t, Tensor) else np.asarray(float(t)) for t in (relative, absolute)]
    x = node_of(A)  # after the values: reading them may end the trace
    # a tolerance for each matrix: matrices and tolerances broadcast
    batch = broadcast(broadcast(limits[1].shape, limits[0].shape), tuple(x.shape[:-2])) if limits[0].ndim or limits[1].ndim else ()
    found: Node
    if batch:
        count = math.prod(batch)
        listed = reshape(expand(x, *batch, *x.shape[-2:]), (count, *x.shape[-2:]))
        matrices = [select(listed, 0, i) for i in range(count)]
        each = zip(matrices, *[np.broadcast_to(t, batch).flat for t in limits], strict=True)
        found = reshape(stack(*[_inverted(m, r, a, hermitian) for m, r, a in each], 0), (*batch, x.shape[-1], x.shape[-2]))
    else:
        found = _inverted(x, *[t.item() for t in limits], hermitian)
    return wrap(found)


def _inverted(x: Node, relative: float, absolute: float, hermitian: bool) -> Node:
    return spectral.pinv(x, float(relative), float(absolute), *([True] if hermitian else []))


@function()
@outright
def pinverse(input: Tensor, rcond: float = 1e-15) -> Tensor:
    """The Moore-Penrose inverse; singular values up to `rcond` times the largest count as zero."""
    _check_type(input)
    return unary(spectral.pinv, input, float(rcond), 0.0)
