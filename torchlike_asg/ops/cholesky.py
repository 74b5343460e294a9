"""The Cholesky factor of (batches of) positive-definite matrices, and linear systems solved with it.

Gradients: Murray (2016), "Differentiation of the Cholesky decomposition".
"""

from __future__ import annotations

import functools

import numpy as np

from ..asg.declare import Array, Grads, Meta, Op, Sample
from ..asg.node import Node, const
from .arrange import tril
from .linalg import matmul
from .pointwise import mul, neg
from .solve import (
    BATCH,
    POSITIVE,
    RIGHT,
    LinAlgError,
    M,
    adjoint,
    by_columns,
    first_failure,
    hermitian,
    ref_triangular,
    solve_triangular,
    square_rule,
    system_rule,
)  # fmt: skip


def _ref_cholesky(x: Array) -> Array:
    try:
        return _strict_cholesky(x)
    except np.linalg.LinAlgError:
        which = first_failure(x, _strict_cholesky)
        bad = x if not which else x.reshape(-1, *x.shape[-2:])[int(which[len("(Batch element ") : which.index(")")])]
        order = next(k for k in range(1, len(bad) + 1) if not positive(bad[:k, :k]))
        raise LinAlgError(
            f"linalg.cholesky: {which}The factorization could not be completed because the input is not "
            f"positive-definite (the leading minor of order {order} is not positive-definite)."
        ) from None


def _strict_cholesky(x: Array) -> Array:
    """NumPy's, which fails at a pivot that is a NaN, too, as LAPACK does since version 3.10 (NumPy's own may be older), and at one that
    follows an infinite one: what is divided by that is no number."""
    factor = np.linalg.cholesky(x)
    pivots = np.diagonal(factor, axis1=-2, axis2=-1)
    if np.isnan(pivots).any() or np.isinf(pivots[..., :-1]).any():
        raise np.linalg.LinAlgError
    return factor


def positive(x: Array) -> bool:
    try:
        _strict_cholesky(x)
    except np.linalg.LinAlgError:
        return False
    return True


def _vjp_cholesky(n: Node, g: Node) -> Grads:
    """1/2 L^-H (P + P^H) L^-1, with P the lower triangle of L^H g and its diagonal halved."""
    transposed = adjoint(n)
    p = matmul(transposed, g)
    left = solve_triangular(transposed, hermitian(tril(p, 0), tril(p, -1)), True, False)
    return (mul(adjoint(solve_triangular(transposed, adjoint(left), True, False)), const(0.5, g.dtype)),)


#: The lower factor L of ``L L^H``; only the lower triangle is read, and the gradient is that of the symmetric matrix.
cholesky = Op(
    "cholesky",
    "linalg",
    by_columns(square_rule("linalg.cholesky", lambda s: s)),
    _ref_cholesky,
    vjp=_vjp_cholesky,
    saves=lambda n: (n,),
    samples=lambda: [Sample((POSITIVE[0],), (), False), Sample((POSITIVE,), (), False), Sample((np.zeros((0, 2, 2)),), (), False)],
)


def _rule_cholesky_solve(b: Node, factor: Node, upper: bool) -> Meta:
    return system_rule("cholesky_solve")(factor, b)  # type: ignore[no-any-return]


def _ref_cholesky_solve(b: Array, factor: Array, upper: bool) -> Array:
    first = np.swapaxes(factor, -1, -2).conj() if upper else factor
    return ref_triangular(np.swapaxes(first, -1, -2).conj(), ref_triangular(first, b, False, False), True, False)


def _vjp_cholesky_solve(n: Node, g: Node) -> Grads:
    """By the factor as by a full matrix in ``L L^H``, as PyTorch has it: -(S + S^H) L, with S = (A^-1 g) X^H."""
    factor, upper = n.srcs[1], n.attrs[0]
    right = functools.cache(lambda: cholesky_solve(g, factor, upper))

    def by_factor() -> Node:
        s = matmul(right(), adjoint(n))
        both = s + adjoint(s)  # type: ignore[operator]
        return neg(matmul(factor, both) if upper else matmul(both, factor))

    return right, by_factor


#: X with ``L L^H X = B``; only the triangle of the factor is read
cholesky_solve = Op(
    "cholesky_solve",
    "linalg",
    by_columns(_rule_cholesky_solve),
    _ref_cholesky_solve,
    vjp=_vjp_cholesky_solve,
    saves=lambda n: (n.srcs[1], n),
    params=("upper",),
    samples=lambda: [
        Sample((RIGHT, np.tril(M)), (False,), (0,)),
        Sample((RIGHT, np.triu(BATCH)), (True,), (0,)),
        Sample((np.zeros((0, 2)), M[:0, :0]), (False,), False),
    ],
)
