"""Inverses, determinants, linear systems and decompositions of matrices: the functions of torch.linalg, and their older names in torch."""

from __future__ import annotations

import math
from typing import Any

from ... import dtypes, notices
from ...asg.declare import STOP
from ...asg.node import Node, const, weak
from ...ops import cholesky as factors
from ...ops import matrix_exp as matrix_exponential
from ...ops import solve, spectral
from ...ops.elementwise import bar
from ...ops.linalg import matmul, swap_last
from ...ops.logic import gt, lt
from ...ops.movement import cast, clone, contiguous, copy, expand, full, permute, reshape, reshaped
from ...ops.pointwise import add, log, mul, sub, where
from ...ops.promotion import title
from ...ops.reduce import amax, sum_
from ...ops.solve import LinAlgError
from ..core import Tensor, node_of, unary, wrap
from ..held import value_of
from ..outright import computed, outright
from ..register import function
from ..steps import RESULT, note, step
from . import returns
from .creation import placed
from .linalg import multiply_chain
from .matrix_checks import check_diagonal, check_double
from .views import wrap_dim

__all__ = ["LinAlgError"]


def linalg_function(fn: Any) -> Any:
    """Register a function that only torch.linalg has."""
    return function(method=False, namespace=False)(fn)


# ---------------------------------------------------------------- inverse and determinant
@function(name="inverse")
@outright
def inverse(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The inverse of a (batch of) square matrix; raises `linalg.LinAlgError` if it is singular."""
    return unary(solve.inverse, input)


@function(name="det")
def det(A: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The determinant of a (batch of) square matrix."""
    return unary(solve.det, A)


@function(name="slogdet")
def slogdet(A: Tensor, *, out: Any = None) -> Any:
    """Sign and logarithm of the absolute value of the determinant: named tuple (sign, logabsdet)."""
    return returns.slogdet(unary(solve.det_sign, A), unary(solve.logabsdet, A))


@function()
def logdet(input: Tensor) -> Tensor:
    """The logarithm of the determinant; NaN where that is a negative real number."""
    x = node_of(input)
    sign = solve.det_sign(x)
    if x.dtype.is_complex:
        return wrap(add(solve.logabsdet(x), log(sign)))
    return wrap(where(lt(sign, weak(0.0)), weak(math.nan), solve.logabsdet(x)))


@function()
def matrix_power(input: Tensor, n: int, *, out: Tensor | None = None) -> Tensor:
    """The n-th power of a (batch of) square matrix; of its inverse for negative `n`."""
    x = node_of(input)
    if len(x.shape) < 2:
        raise RuntimeError("linalg.matrix_power: The input tensor A must have at least 2 dimensions.")
    if x.shape[-1] != x.shape[-2]:
        raise RuntimeError(
            f"linalg.matrix_power: A must be batches of square matrices, but they are {x.shape[-2]} by {x.shape[-1]} matrices"
        )
    if n == 0:
        eye = solve.identity(x.shape[-1], x.dtype)
        return wrap(copy(contiguous(x), eye))  # which does not depend on `x`, but has a gradient by it: zeros
    if n < 0:
        return matrix_power(computed(unary(solve.inverse, input)), -n)  # type: ignore[no-any-return]
    result: Node | None = None
    while True:
        if n & 1:
            result = x if result is None else matmul(result, x)
        n >>= 1
        if not n:
            break
        x = matmul(x, x)
    assert result is not None
    return wrap(clone(result) if result is node_of(input) else result)


@function(name="matrix_exp")
def matrix_exp(input: Tensor) -> Tensor:
    """The exponential of a (batch of) square matrix."""
    return unary(matrix_exponential.matrix_exp, input)


# ---------------------------------------------------------------- linear systems
def solution(a: Node, b: Node, left: bool) -> Node:
    """X with ``A X = B`` (or ``X A = B``); `b` may be a vector, or a batch of vectors if its shape says so."""
    vectors = len(b.shape) == 1 or (len(a.shape) - 1 == len(b.shape) and tuple(a.shape[:-1]) == tuple(b.shape))
    if vectors:
        b = reshape(b, (*b.shape, 1))
    if not left:
        if vectors:
            raise RuntimeError(
                "linalg.solve: Vector broadcasting of the left hand side is not supported for left=False. In this case "
                "linalg.solve is equivalent to B / A.squeeze(-1)"
            )
        return swap_last(solve.solve(swap_last(a), swap_last(b)))
    x = solve.solve(a, b)
    if not vectors:
        return x
    x = reshaped(x, tuple(x.shape[:-1]))
    return solve.column_major(x) if x.ndim > 1 else x


@linalg_function
@outright
@step("LinalgSolveExBackward0", keeps=((0, (0, 1)), (RESULT, (0, 1))))
def solve_(A: Tensor, B: Tensor, *, left: bool = True, out: Tensor | None = None) -> Tensor:
    """The solution of ``A X = B`` (``X A = B`` with ``left=False``); raises `LinAlgError` for a singular matrix."""
    return wrap(solution(node_of(A), node_of(B), left))


@linalg_function
@step("LinalgSolveTriangularBackward0")
def solve_triangular(
    A: Tensor, B: Tensor, *, upper: bool, left: bool = True, unitriangular: bool = False, out: Tensor | None = None
) -> Tensor:
    """The solution of ``A X = B`` (``X A = B`` with ``left=False``) for a triangular matrix."""
    a, b = node_of(A), node_of(B)
    b = b if b.dtype.category < dtypes.FLOAT else cast(b, a.dtype)  # PyTorch takes numbers of any precision
    if left:
        return wrap(solve.solve_triangular(a, b, bool(upper), bool(unitriangular)))
    return wrap(solve.column_major(swap_last(solve.solve_triangular(swap_last(a), swap_last(b), not upper, bool(unitriangular)))))


@function()
@step("TriangularSolveBackward0", keeps=((0, (0, 1)), (1, (0, 1)), (RESULT, (0, 1))))
def triangular_solve(
    input: Tensor, A: Tensor, upper: bool = True, transpose: bool = False, unitriangular: bool = False, *, out: Any = None
) -> Any:
    """The solution X of ``A X = input``: named tuple (solution, cloned_coefficient). Deprecated in favour of `linalg.solve_triangular`."""
    notices.once(notices.TRIANGULAR_SOLVE)
    a = node_of(A)
    x = solve.solve_triangular(swap_last(a) if transpose else a, node_of(input), bool(upper) != bool(transpose), bool(unitriangular))
    return returns.triangular_solve(wrap(x), wrap(solve.column_major(a)))


@function(name="cholesky")
@outright
@step("CholeskyBackward0", keeps=((RESULT, (0,)),))
def cholesky(input: Tensor, upper: bool = False, *, out: Tensor | None = None) -> Tensor:
    """The lower factor L with ``input = L L^T`` (or its transpose) of a symmetric positive-definite matrix. Deprecated in favour of
    `linalg.cholesky`.
    """
    notices.once(notices.CHOLESKY)
    return _factor(node_of(input), upper)


def _factor(x: Node, upper: bool) -> Tensor:
    return wrap(solve.column_major(swap_last(factors.cholesky(swap_last(x)))) if upper else factors.cholesky(x))


@function(method=False, namespace=False)
@outright
@step("LinalgCholeskyExBackward0", keeps=((RESULT, (0,)),))
def linalg_cholesky(A: Tensor, *, upper: bool = False, out: Tensor | None = None) -> Tensor:
    """The lower factor L with ``A = L L^T`` (with `upper` its transpose) of a symmetric positive-definite matrix; raises `LinAlgError` if
    it is not positive-definite.
    """
    return _factor(node_of(A), upper)


@function()
def cholesky_solve(input: Tensor, L: Tensor, upper: bool = False, *, out: Tensor | None = None) -> Tensor:
    """X with ``A X = input``, from the Cholesky factor of A."""
    return wrap(factors.cholesky_solve(node_of(input), node_of(L), bool(upper)))


@function()
@step("CholeskyInverseBackward0")
def cholesky_inverse(input: Tensor, upper: bool = False, *, out: Tensor | None = None) -> Tensor:
    """The inverse of A, from its Cholesky factor."""
    solve.check_square("cholesky_inverse", node_of(input))
    check_diagonal(input)
    factor = node_of(input)  # asked for after a look at the values, which ends a trace
    return wrap(factors.cholesky_solve(expand(solve.identity(factor.shape[-1], factor.dtype), *factor.shape), factor, bool(upper)))


def largest(x: Node, dims: tuple[int, ...], keepdim: bool) -> Node:
    """The largest of numbers that are not negative; 0 if there are none."""
    return (amax if all(x.shape[d] for d in dims) else sum_)(x, dims, keepdim)


def _full_rank(a: Node, limit: float) -> Node:
    s = spectral.singular_values(a)
    last = (len(s.shape) - 1,)
    return sum_(gt(s, largest(s, last, True) * limit), last, False)  # type: ignore[operator]


@linalg_function
@outright
@step("LinalgLstsqBackward0", keeps=((0, (0, 1)), (1, (0, 1)), (RESULT, (0, 1))))
def lstsq(A: Tensor, B: Tensor, rcond: float | None = None, *, driver: str | None = None, out: Any = None) -> Any:
    """The least-squares solution of ``A X = B`` of smallest norm: named tuple (solution, residuals, rank, singular_values).

    `residuals` are filled for tall matrices of full rank unless the driver is "gelsy" (the default), `rank` unless it is "gels",
    `singular_values` for "gelsd" and "gelss".
    """
    kind = "gelsy" if driver is None else driver
    if kind not in ("gels", "gelsy", "gelsd", "gelss"):
        raise RuntimeError(f"torch.linalg.lstsq: parameter `driver` should be one of (gels, gelsy, gelsd, gelss), got {driver}")
    if len(A.shape) < 2:
        raise RuntimeError("torch.linalg.lstsq: input must have at least 2 dimensions.")
    if not B.shape:
        raise RuntimeError("torch.linalg.lstsq: other must have at least 1 dimension.")
    if A.dtype is not B.dtype:
        raise RuntimeError(
            f"torch.linalg.lstsq: Expected input and other to have the same dtype, but got input's dtype {title(A.dtype)} and other's "
            f"dtype {title(B.dtype)}"
        )
    check_double(A)
    if not 0 <= len(A.shape) - len(B.shape) <= 1:
        raise RuntimeError("torch.linalg.lstsq: input.dim() must be greater or equal to other.dim() and (input.dim() - other.dim()) <= 1")
    m, n = A.shape[-2:]
    limit = dtypes.finfo(A.dtype).eps * max(m, n) if rcond is None else float(rcond)
    regular = m > n and kind != "gelsy" and bool((value_of(wrap(_full_rank(node_of(A), limit))) == n).all())
    a, b = node_of(A), node_of(B)
    vectors = len(b.shape) == 1 or len(a.shape) - 1 == len(b.shape)
    if vectors:
        b = reshape(b, (*b.shape, 1))
    if b.shape[-2] != m:
        raise RuntimeError(f"torch.linalg.lstsq: input.size(-2) should match other.size(-2) ({m} and {b.shape[-2]})")
    found = matmul(spectral.pinv(a, limit, 0.0), b)
    solution = wrap(solve.column_major(found) if m <= n else found)  # of taller ones PyTorch's columns lie further apart
    x = node_of(solution)  # this call's own, which the residuals share with it
    rest = sub(matmul(a, x), b)
    empty = placed(full(const(0, a.dtype), (0,)), A.device)
    residuals = sum_(mul(rest, rest), (len(rest.shape) - 2,), False) if regular else empty
    rank = placed(full(const(0, dtypes.int64), (0,)), A.device) if kind == "gels" else _full_rank(a, limit)
    values = STOP(spectral.singular_values(a)) if kind in ("gelsd", "gelss") else empty
    return returns.linalg_lstsq(wrap(reshape(x, tuple(x.shape[:-1]))) if vectors else solution, wrap(residuals), wrap(rank), wrap(values))


# ---------------------------------------------------------------- decompositions
def _upper(uplo: str) -> bool:
    if uplo.upper() not in ("L", "U"):
        raise RuntimeError(f"Expected UPLO argument to be 'L' or 'U', but got {uplo}")
    return uplo.upper() == "U"


@linalg_function
@outright
def eigh(A: Tensor, UPLO: str = "L", *, out: Any = None) -> Any:
    """Eigenvalues (ascending) and orthonormal eigenvectors (columns) of a symmetric matrix: named tuple (eigenvalues, eigenvectors)."""
    upper = _upper(UPLO)
    return returns.linalg_eigh(unary(spectral.eigenvalues, A, upper), unary(spectral.eigenvectors, A, upper))


@linalg_function
@outright
def eigvalsh(A: Tensor, UPLO: str = "L", *, out: Tensor | None = None) -> Tensor:
    """The eigenvalues of a symmetric matrix, ascending."""
    return unary(spectral.eigenvalues, A, _upper(UPLO))


def _refuse_driver(driver: str | None) -> None:
    if driver is not None:
        raise RuntimeError("torch.linalg.svd: keyword argument `driver=` is only supported on CUDA inputs with cuSOLVER backend.")


@linalg_function
@outright
def svd_full(A: Tensor, full_matrices: bool = True, *, driver: str | None = None, out: Any = None) -> Any:
    """The singular value decomposition ``A = U diag(S) Vh``: named tuple (U, S, Vh)."""
    _refuse_driver(driver)
    whole = bool(full_matrices)
    return returns.linalg_svd(
        unary(spectral.left_vectors, A, whole), unary(spectral.singular_values, A), unary(spectral.right_vectors, A, whole)
    )


@linalg_function
@outright
def svdvals(A: Tensor, *, driver: str | None = None, out: Tensor | None = None) -> Tensor:
    """The singular values, descending."""
    _refuse_driver(driver)
    return unary(spectral.singular_values, A)


@function()
@outright
def svd(input: Tensor, some: bool = True, compute_uv: bool = True, *, out: Any = None) -> Any:
    """The singular value decomposition ``input = U diag(S) V^T``: named tuple (U, S, V). Deprecated in favour of `linalg.svd`."""
    x = node_of(input)
    if not compute_uv:
        lead, m, n = tuple(x.shape[:-2]), x.shape[-2], x.shape[-1]
        zeros = [wrap(placed(full(const(0, x.dtype), (*lead, k, k)), x.device)) for k in (m, n)]
        return returns.svd(zeros[0], unary(spectral.singular_values, input), zeros[1])
    whole = not some
    right = wrap(clone(swap_last(spectral.right_vectors(x, whole))))
    note(right, "TransposeBackward0")
    return returns.svd(wrap(spectral.left_vectors(x, whole)), wrap(spectral.singular_values(x)), right)


def _qr(result: Any, A: Tensor, mode: str) -> Any:
    if mode not in ("reduced", "complete", "r"):
        raise RuntimeError(f"qr received unrecognized mode '{mode}' but expected one of 'reduced' (default), 'r', or 'complete'")
    complete = mode == "complete"
    if mode == "r":
        return result(wrap(placed(full(const(0, A.dtype), (0,)), A.device)), unary(spectral.qr_r, A, False))
    return result(unary(spectral.qr_q, A, complete), unary(spectral.qr_r, A, complete))


@linalg_function
def qr_mode(A: Tensor, mode: str = "reduced", *, out: Any = None) -> Any:
    """``A = Q R`` with orthonormal columns in Q and R upper triangular: named tuple (Q, R). Modes: reduced, complete, r (R alone)."""
    return _qr(returns.linalg_qr, A, mode)


@function()
def qr(input: Tensor, some: bool = True, *, out: Any = None) -> Any:
    """``input = Q R``: named tuple (Q, R). Deprecated in favour of `linalg.qr`."""
    notices.once(notices.QR)
    return _qr(returns.qr, input, "reduced" if some else "complete")


# ---------------------------------------------------------------- several products
@linalg_function
@step("ViewBackward0")
def multi_dot(tensors: Any, *, out: Tensor | None = None) -> Tensor:
    """The product of several matrices in the order of least work."""
    if not isinstance(tensors, (list, tuple)):
        raise TypeError(f"linalg_multi_dot(): argument 'tensors' (position 1) must be tuple of Tensors, not {type(tensors).__name__}")
    for i, t in enumerate(tensors):
        if not isinstance(t, Tensor):
            raise TypeError(f"expected Tensor as element {i} in argument 0, but got {type(t).__name__}")
    return multiply_chain("multi_dot", tensors)


@linalg_function
@step(lambda x, y, *, dim=-1, **_: "VdotBackward0" if len(x.shape) == len(y.shape) == 1 else None)
def vecdot(x: Tensor, y: Tensor, *, dim: int = -1, out: Tensor | None = None) -> Tensor:
    """Inner products along `dim`, of complex numbers with the conjugates of `x`; the other dimensions broadcast."""
    if x.dtype.category < dtypes.FLOAT:
        raise RuntimeError(f"linalg.vecdot: Expected a floating point or complex tensor as input. Got {title(x.dtype)}")
    if x.dtype is not y.dtype:
        raise RuntimeError(
            f"linalg.vecdot: Expected x and y to have the same dtype, but found x of type {title(x.dtype)} and y of type {title(y.dtype)} "
            "instead"
        )
    product = bar(node_of(x)) * node_of(y)  # type: ignore[operator]
    return wrap(sum_(product, (wrap_dim(dim, len(product.shape)),), False))


@linalg_function
@outright
@step("ReshapeAliasBackward0", keeps=((RESULT, (0,)),))
def tensorinv(A: Tensor, ind: int = 2, *, out: Tensor | None = None) -> Tensor:
    """The inverse for `tensordot`: the first `ind` dimensions as rows, the others as columns of a matrix."""
    x = node_of(A)
    if ind <= 0:
        raise RuntimeError("Expected a strictly positive integer for 'ind'")
    rows, columns = tuple(x.shape[:ind]), tuple(x.shape[ind:])
    if math.prod(rows) != math.prod(columns):
        raise RuntimeError(
            "Expected self to satisfy the requirement prod(self.shape[ind:]) == prod(self.shape[:ind]), but got "
            f"{math.prod(columns)} != {math.prod(rows)}"
        )
    return wrap(reshaped(solve.inverse(reshaped(x, (math.prod(rows), math.prod(columns)))), (*columns, *rows)))


@linalg_function
@outright
@step("ViewBackward0", keeps=((RESULT, (0, 1)),))
def tensorsolve(A: Tensor, B: Tensor, dims: Any = None, *, out: Tensor | None = None) -> Tensor:
    """X with ``tensordot(A, X, X.ndim) = B``."""
    a, b = node_of(A), node_of(B)
    rank = len(a.shape)
    if dims is not None:
        moved = [wrap_dim(d, rank) for d in dims]
        a = permute(a, *[i for i in range(rank) if i not in moved], *moved)
    unknown = tuple(a.shape[len(b.shape) :])
    if math.prod(unknown) != b.numel:
        raise RuntimeError(
            "Expected self to satisfy the requirement prod(self.shape[other.ndim:]) == prod(self.shape[:other.ndim]), "
            f"but got {math.prod(unknown)} != {b.numel}"
        )
    return wrap(reshaped(solve.solve(reshaped(a, (b.numel, b.numel)), reshaped(b, (b.numel, 1))), unknown))
