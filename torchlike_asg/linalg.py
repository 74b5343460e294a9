"""torch.linalg: norms, products, decompositions and solutions of linear systems."""

from __future__ import annotations

from typing import Any

from .errors import Unsupported
from .facade.core import Tensor, unary
from .facade.functions import decompose as _decompose
from .facade.functions import eigen as _eigen
from .facade.functions import linalg as _products
from .facade.functions import lu as _lu
from .facade.functions import matrix_norm as _norms
from .facade.functions import pseudo_inverse as _pseudo_inverse
from .facade.functions import returns as _returns
from .facade.functions import views as _views
from .facade.functions.series import vander
from .facade.outright import outright
from .facade.register import FUNCTIONS, function
from .facade.steps import step as _step
from .ops import solve as _solve
from .ops.solve import LinAlgError

__all__ = [
    "LinAlgError",
    "cholesky",
    "cholesky_ex",
    "cond",
    "cross",
    "det",
    "diagonal",
    "eig",
    "eigh",
    "eigvals",
    "eigvalsh",
    "inv",
    "inv_ex",
    "lstsq",
    "householder_product",
    "ldl_factor",
    "ldl_factor_ex",
    "ldl_solve",
    "lu",
    "lu_factor",
    "lu_factor_ex",
    "lu_solve",
    "matmul",
    "matrix_exp",
    "matrix_norm",
    "matrix_power",
    "matrix_rank",
    "multi_dot",
    "norm",
    "pinv",
    "qr",
    "slogdet",
    "solve",
    "solve_ex",
    "solve_triangular",
    "svd",
    "svdvals",
    "tensorinv",
    "tensorsolve",
    "vander",
    "vecdot",
    "vector_norm",
]

cholesky, cond, det, eigh, eigvalsh, lstsq = (
    _decompose.linalg_cholesky,
    _norms.cond,
    FUNCTIONS["det"],
    _decompose.eigh,
    _decompose.eigvalsh,
    _decompose.lstsq,
)
matmul, matrix_exp, matrix_norm, matrix_power, matrix_rank = (
    FUNCTIONS["matmul"],
    _decompose.matrix_exp,
    _norms.matrix_norm,
    FUNCTIONS["matrix_power"],
    _norms.matrix_rank,
)
multi_dot, norm, pinv, vecdot, vector_norm = (
    _decompose.multi_dot,
    _norms.norm,
    _pseudo_inverse.pinv,
    _decompose.vecdot,
    _norms.vector_norm,
)
qr, solve, solve_triangular, svd, svdvals = (
    _decompose.qr_mode,
    _decompose.solve_,
    _decompose.solve_triangular,
    _decompose.svd_full,
    _decompose.svdvals,
)
cholesky_ex, eig, eigvals, inv_ex, solve_ex = _eigen.cholesky_ex, _eigen.eig, _eigen.eigvals, _eigen.inv_ex, _eigen.solve_ex
lu, lu_factor, lu_factor_ex, lu_solve = _lu.lu, _lu.lu_factor, _lu.lu_factor_ex, _lu.lu_solve
ldl_factor, ldl_factor_ex, ldl_solve, householder_product = _lu.ldl_factor, _lu.ldl_factor_ex, _lu.ldl_solve, _lu.householder_product
tensorinv, tensorsolve = _decompose.tensorinv, _decompose.tensorsolve


@function(method=False, namespace=False)
@outright
def inv(A: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The inverse of a (batch of) square matrix; raises `LinAlgError` if it is singular."""
    return unary(_solve.inverse, A)


@function(method=False, namespace=False)
def slogdet(A: Tensor, *, out: Any = None) -> Any:
    """Sign and logarithm of the absolute value of the determinant: named tuple (sign, logabsdet)."""
    return _returns.linalg_slogdet(unary(_solve.det_sign, A), unary(_solve.logabsdet, A))


@function(method=False, namespace=False)
@_step("LinalgCrossBackward0", keeps=((1, (0,)), (0, (1,))))
def cross(input: Tensor, other: Tensor, *, dim: int = -1, out: Tensor | None = None) -> Tensor:
    """The cross product of vectors along `dim`, of size three; the other dimensions broadcast."""
    return _products.cross_product(input, other, dim)


def diagonal(A: Tensor, *, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """A view of the diagonals of matrices."""
    return _views.diagonal(A, offset, dim1, dim2)  # type: ignore[no-any-return]


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    raise Unsupported(f"torch.linalg.{name} is not implemented; linalg has {', '.join(__all__[1:])}")
