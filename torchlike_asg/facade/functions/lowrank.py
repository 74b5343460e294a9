"""Singular values and principal components of the leading directions only, by random projections."""

from __future__ import annotations

from typing import Any

from ... import dtypes
from ..core import Tensor
from ..register import FUNCTIONS, function
from .decompose import qr_mode, svd_full
from .linalg import matmul

__all__: list[str] = []


def _times(A: Any, x: Any, M: Any) -> Any:
    """``(A - M) x``."""
    return matmul(A, x) if M is None else matmul(A, x) - matmul(M, x)


def _basis(A: Any, q: int, niter: int, M: Any) -> Any:
    """An orthonormal basis (..., m, q) of nearly the range of `A`: Halko, Martinsson & Tropp (2009), algorithm 4.4."""
    basis = qr_mode(_times(A, FUNCTIONS["randn"](A.shape[-1], q, dtype=A.dtype, device=A.device), M)).Q
    for _ in range(niter):
        basis = qr_mode(_times(A.mH, basis, None if M is None else M.mH)).Q
        basis = qr_mode(_times(A, basis, M)).Q
    return basis


@function(method=False)
def svd_lowrank(A: Tensor, q: int | None = 6, niter: int | None = 2, M: Tensor | None = None) -> Any:
    """The `q` leading singular values and vectors of ``A - M`` (..., m, n), approximately: U (..., m, q), S (..., q) and V (..., n, q).

    Halko, Martinsson & Tropp (2009), algorithm 5.1, with `niter` power iterations. Draws a random matrix.
    """
    a: Any = A
    mean: Any = None if M is None else M.broadcast_to(a.size())  # type: ignore[attr-defined]
    wide = a.shape[-2] < a.shape[-1]
    if wide:
        a, mean = a.mH, None if mean is None else mean.mH
    basis = _basis(a, 6 if q is None else q, 2 if niter is None else niter, mean)
    u, s, vh = svd_full(matmul(basis.mH, a if mean is None else a - mean), False)
    left, right = matmul(basis, u), vh.mH
    return (right, s, left) if wide else (left, s, right)


@function(method=False)
def pca_lowrank(A: Tensor, q: int | None = None, center: bool = True, niter: int = 2) -> Any:
    """Principal components of the rows of `A` (..., m, n), `q` of them (6 unless the matrix is smaller): U, S and V as `svd_lowrank`.

    With `center` the mean of the rows is taken off first. ``A @ V[:, :k]`` projects on k components.
    """
    a: Any = A
    m, n = a.shape[-2:]
    if q is None:
        q = min(6, m, n)
    elif not (0 <= q <= min(m, n)):
        raise ValueError(f"q(={q}) must be non-negative integer and not greater than min(m, n)={min(m, n)}")
    if not niter >= 0:
        raise ValueError(f"niter(={niter}) must be non-negative integer")
    if not a.dtype.is_floating_point and not a.dtype.is_complex:
        a = a.to(dtypes.get_default_dtype())
    return svd_lowrank(a - a.mean(-2, keepdim=True) if center else a, q, niter=niter)


@function(method=False)
def lobpcg(
    A: Any,
    k: int | None = None,
    B: Any = None,
    X: Tensor | None = None,
    n: int | None = None,
    iK: Tensor | None = None,
    niter: int | None = None,
    tol: float | None = None,
    largest: bool | None = None,
    method: str | None = None,
    tracker: Any = None,
    ortho_iparams: dict[str, int] | None = None,
    ortho_fparams: dict[str, float] | None = None,
    ortho_bparams: dict[str, bool] | None = None,
) -> Any:
    """The `k` largest (or smallest) eigenvalues (..., k) and eigenvectors (..., m, k) of ``A x = lambda B x``.

    `A` is symmetric and `B` positive definite, (..., m, m); both may be sparse. PyTorch iterates, from `X` and preconditioned by `iK`,
    until the error is below `tol`. Here all eigenvalues are computed, so what steers the iteration has no effect but that `X` (..., m, k)
    says how many are wanted.

    Raises:
        ValueError: ``m < 3 k``, where PyTorch's iteration does not apply.
    """
    from .decompose import eigh, linalg_cholesky, solve_triangular

    a, b = ((m.to_dense() if m is not None and m.is_sparse else m) for m in (A, B))
    wanted = k if k is not None else 1 if X is None else X.shape[-1]
    if a.shape[-1] < 3 * wanted:
        raise ValueError(
            f"LPBPCG algorithm is not applicable when the number of A rows (={a.shape[-1]}) is smaller than 3 x "
            f"the number of requested eigenpairs (={wanted})"
        )
    if b is None:
        values, vectors = eigh(a)
    else:
        root = linalg_cholesky(b)
        half = solve_triangular(root, a, upper=False)
        values, vectors = eigh(solve_triangular(root, half.mT, upper=False))
        vectors = solve_triangular(root.mT, vectors, upper=True)
    if largest is None or largest:
        return values[..., -wanted:].flip(-1), vectors[..., -wanted:].flip(-1)
    return values[..., :wanted], vectors[..., :wanted]
