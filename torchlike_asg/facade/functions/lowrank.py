"""Singular values and principal components of large matrices by random projections.

Halko, Martinsson and Tropp, "Finding structure with randomness", 2011, algorithms 4.4 and 5.1.
"""

from __future__ import annotations

from typing import Any

from ..core import Tensor
from ..register import FUNCTIONS, function
from .decompose import qr_mode, svd_full

Three = tuple[Tensor, Tensor, Tensor]


def _orthonormal(x: Tensor) -> Tensor:
    return qr_mode(x)[0]  # type: ignore[no-any-return]


def _range_of(a: Tensor, q: int, niter: int) -> Tensor:
    """`q` orthonormal columns that span most of what a matrix maps to, after `niter` rounds of subspace iteration."""
    basis = _orthonormal(a @ FUNCTIONS["randn"](a.shape[-1], q, dtype=a.dtype, device=a.device))
    for _ in range(niter):
        basis = _orthonormal(a @ _orthonormal(a.mH @ basis))
    return basis


@function(method=False)
def svd_lowrank(A: Tensor, q: int | None = 6, niter: int | None = 2, M: Tensor | None = None) -> Three:
    """(U, S, V) with ``A ~ U diag(S) V^H`` of rank `q`, for a matrix (*, m, n), or of ``A - M`` with the mean `M`, which is broadcast.

    Random: the columns of the projection come from the default generator.
    """
    a = A if M is None else A - M
    wide = a.shape[-2] < a.shape[-1]
    if wide:
        a = a.mH
    basis = _range_of(a, 6 if q is None else q, 2 if niter is None else niter)
    u, s, vh = svd_full(basis.mH @ a, full_matrices=False)
    u, v = basis @ u, vh.mH
    return (v, s, u) if wide else (u, s, v)


@function(method=False)
def pca_lowrank(A: Tensor, q: int | None = None, center: bool = True, niter: int = 2) -> Three:
    """(U, S, V) of the rows of a matrix (*, m, n), with `center` less their mean: the columns of V are `q` principal directions.

    Raises:
        ValueError: `q` is not between 0 and min(m, n), or `niter` is negative.
    """
    m, n = A.shape[-2:]
    rank = min(6, m, n) if q is None else q
    if not 0 <= rank <= min(m, n):
        raise ValueError(f"q(={rank}) must be non-negative integer and not greater than min(m, n)={min(m, n)}")
    if niter < 0:
        raise ValueError(f"niter(={niter}) must be non-negative integer")
    mean: Any = A.mean(-2, keepdim=True) if center else None
    return svd_lowrank(A, rank, niter, mean)
