"""Eigenvalues of general matrices, and factorizations that report failure instead of raising it."""

from __future__ import annotations

import math
from typing import Any

from ...asg.node import Node, const, weak
from ...ops import cholesky as factors
from ...ops import eigen as ops
from ...ops import solve
from ...ops.logic import eq
from ...ops.movement import reshape
from ...ops.pointwise import where
from ..core import Tensor, node_of, unary, wrap
from ..outright import computed, outright
from ..steps import RESULT, step
from . import returns
from .decompose import linalg_function, solution


@linalg_function
@outright
def eig(A: Tensor, *, out: Any = None) -> Any:
    """Eigenvalues and eigenvectors (columns) of a square matrix, both complex: named tuple (eigenvalues, eigenvectors).

    Eigenvectors have norm one and an arbitrary phase; gradients are those of functions that do not depend on the phase.
    """
    return returns.linalg_eig(unary(ops.values, A), unary(ops.vectors, A))


@linalg_function
@outright
def eigvals(A: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The eigenvalues of a square matrix: complex numbers."""
    return unary(ops.values, A)


def repaired(x: Node, info: Node) -> tuple[Node, Node]:
    """(where the matrix is regular, the matrix with an identity in place of those that are not)."""
    regular = eq(reshape(info, (*info.shape, 1, 1)), const(0, info.dtype))
    return regular, where(regular, x, solve.identity(x.shape[-1], x.dtype))


@linalg_function
@step("LinalgCholeskyExBackward0", keeps=((RESULT, (0,)),))
def cholesky_ex(A: Tensor, *, upper: bool = False, check_errors: bool = False, out: Any = None) -> Any:
    """The Cholesky factor, and 0 or the order of the first leading minor that is not positive: named tuple (L, info).

    The factor of a matrix that is not positive definite is NaN; with `check_errors` it raises.
    """
    x = node_of(A)
    x = solve.adjoint(x) if upper else x
    info = ops.cholesky_info(x)
    if check_errors:
        factor = factors.cholesky(x)
    else:
        regular, safe = repaired(x, info)
        factor = where(regular, factors.cholesky(safe), weak(math.nan))
    found = returns.linalg_cholesky_ex(wrap(solve.column_major(solve.adjoint(factor)) if upper else factor), wrap(info))
    return computed(found) if check_errors else found


@linalg_function
@step("LinalgInvExBackward0", keeps=((RESULT, (0,)),))
def inv_ex(A: Tensor, *, check_errors: bool = False, out: Any = None) -> Any:
    """The inverse, and 0 or the number of the first pivot that is zero: named tuple (inverse, info). NaN for singular matrices."""
    x = node_of(A)
    info = ops.inverse_info(x)
    if check_errors:
        return computed(returns.linalg_inv_ex(wrap(solve.inverse(x)), wrap(info)))
    regular, safe = repaired(x, info)
    return returns.linalg_inv_ex(wrap(where(regular, solve.inverse(safe), weak(math.nan))), wrap(info))


@linalg_function
@step("LinalgSolveExBackward0", keeps=((0, (0, 1)), (RESULT, (0, 1))))
def solve_ex(A: Tensor, B: Tensor, *, left: bool = True, check_errors: bool = False, out: Any = None) -> Any:
    """The solution of ``A X = B``, and 0 or the number of the first pivot that is zero: named tuple (result, info). NaN if singular."""
    a, b = node_of(A), node_of(B)
    info = ops.inverse_info(a)
    if check_errors:
        return computed(returns.linalg_solve_ex(wrap(solution(a, b, left)), wrap(info)))
    regular, safe = repaired(a, info)
    x = solution(safe, b, left)
    if len(x.shape) == len(a.shape) - 1:  # vectors
        regular = reshape(regular, tuple(regular.shape[:-1]))
    return returns.linalg_solve_ex(wrap(where(regular, x, weak(math.nan))), wrap(info))
