"""Factorizations in LAPACK's compact forms: LU, LDL and Householder reflectors, and what is done with them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ... import dtypes, notices
from ...asg.node import Node, const
from ...ops import householder, ldl
from ...ops import lu as ops
from ...ops.arrange import tril, triu
from ...ops.linalg import matmul, swap_last
from ...ops.logic import eq
from ...ops.movement import cast, diagonal, full, slice_
from ...ops.pointwise import add, where
from ...ops.reduce import any_, argmax
from ...ops.solve import LinAlgError, adjoint, check_square, column_major, eye, solve_triangular
from ..core import Tensor, node_of, unary, wrap
from ..held import value_of
from ..refusals import check_places
from ..register import function
from ..steps import RESULT, SECOND, THIRD, step
from . import returns
from .creation import placed
from .decompose import linalg_function

__all__: list[str] = []


def _check_pivots(found: Any, compact: Tensor, pivots: Tensor, error: Callable[[Any], Exception]) -> None:
    """The error if pivots that are data name rows that the matrix has not; they count from 1."""
    check_places(found, pivots, compact.shape[-2] + 1, error, 1)


def _unsolvable(bad: Any) -> Exception:
    bound = "greater or equal to 1" if bad.min() < 1 else "smaller or equal to LU.size(-2)"
    return RuntimeError(f"Pivots given to lu_solve must all be {bound}. Did you properly pass the result of lu_factor?")


def _not_unpackable(_: Any) -> Exception:
    return RuntimeError(
        "pivots passed to lu_unpack must be between 1 and LU.size(-2) inclusive.Did you properly pass the result of lu_factor?"
    )


def _check_pivoting(name: str, pivot: bool) -> None:
    if not pivot:
        raise RuntimeError(f"{name}: LU without pivoting is not implemented on the CPU")


def _zero_pivot(compact: Node) -> Node:
    """0, or the number of the first zero on U's diagonal, as int32."""
    rank = len(compact.shape)
    d = diagonal(compact, 0, rank - 2, rank - 1)
    zero = eq(d, const(0, d.dtype))
    if not d.shape[-1]:
        return placed(full(const(0, dtypes.int32), tuple(d.shape[:-1])), d.device)
    place = argmax(where(zero, const(1, dtypes.int32), const(0, dtypes.int32)), rank - 2, False)
    return where(any_(zero, (rank - 2,), False), add(place, const(1, dtypes.int64)), const(0, dtypes.int64))


def _factor(A: Tensor, check: bool) -> tuple[Tensor, Tensor, Tensor]:
    x = node_of(A)
    compact = ops.lu_compact(x)
    found = wrap(compact), wrap(ops.lu_pivots(x)), wrap(cast(_zero_pivot(compact), dtypes.int32))
    if check and A.device.type != "meta":
        values = value_of(found[2])  # computes all three
        if values.any():
            first = int(values[values != 0].flat[0])
            which = f"(Batch element {int((values != 0).argmax())}): " if values.ndim else ""
            raise RuntimeError(
                f"torch.linalg.lu_factor: {which}U[{first},{first}] is zero and using it on lu_solve would result in a division by zero. "
                "If you still want to perform the factorization, consider calling linalg.lu(A, pivot) or linalg.lu_factor_ex(A, pivot)"
            )
    return found


@linalg_function
@step(None, keeps=((SECOND, (0,)),))
def lu_factor(A: Tensor, *, pivot: bool = True, out: Any = None) -> Any:
    """The compact LU factors and the pivots (int32, counted from 1): named tuple (LU, pivots). Raises if U has a zero on its diagonal."""
    _check_pivoting("linalg.lu_factor", pivot)
    return returns.linalg_lu_factor(*_factor(A, True)[:2])


@linalg_function
@step(None, keeps=((SECOND, (0,)),))
def lu_factor_ex(A: Tensor, *, pivot: bool = True, check_errors: bool = False, out: Any = None) -> Any:
    """As `lu_factor`, with 0 or the number of the first zero pivot instead of an error: named tuple (LU, pivots, info)."""
    _check_pivoting("linalg.lu_factor", pivot)
    return returns.linalg_lu_factor_ex(*_factor(A, bool(check_errors)))


def _unpacked(compact: Node, pivots: Node) -> tuple[Node, Node, Node]:
    """P (m, m), L (m, k) and U (k, n) with k = min(m, n)."""
    rank, (m, n) = len(compact.shape), compact.shape[-2:]
    k = min(m, n)
    lower = add(tril(slice_(compact, rank - 1, 0, k, 1), -1), eye(m, k, compact.dtype))
    upper = triu(slice_(compact, rank - 2, 0, k, 1), 0)
    return ops.permutation_matrix(pivots, m, compact.dtype), lower, upper


@linalg_function
@step("LinalgLuBackward0", keeps=((RESULT, (0,)), (SECOND, (0,)), (THIRD, (0,))))
def lu(A: Tensor, *, pivot: bool = True, out: Any = None) -> Any:
    """``A = P L U`` with a permutation, a unit lower triangular and an upper triangular matrix: named tuple (P, L, U)."""
    _check_pivoting("linalg.lu_factor", pivot)
    x = node_of(A)
    return returns.linalg_lu(*map(wrap, _unpacked(ops.lu_compact(x), ops.lu_pivots(x))))


@linalg_function
@step("LinalgLuSolveBackward0", keeps=((0, (0, 2)), (1, (0, 2)), (RESULT, (0, 2))))
def lu_solve(LU: Tensor, pivots: Tensor, B: Tensor, *, left: bool = True, adjoint: bool = False, out: Tensor | None = None) -> Tensor:
    """X with ``A X = B`` (``X A = B`` unless `left`; A^H for A with `adjoint`), from the factors of A."""
    found = wrap(column_major(_solved(node_of(LU), node_of(pivots), node_of(B), bool(left), bool(adjoint))))
    _check_pivots(found, LU, pivots, _unsolvable)
    return found


def _solved(compact: Node, pivots: Node, b: Node, left: bool, adjoint_system: bool) -> Node:
    check_square("linalg.lu_solve", compact)
    if pivots.dtype is not dtypes.int32:
        raise RuntimeError("linalg.lu_solve: pivots should be a Tensor of scalar type torch.int32")
    if not left:  # X A = B is A^H X^H = B^H
        return adjoint(_solved(compact, pivots, adjoint(b), True, not adjoint_system))
    p = ops.permutation_matrix(pivots, compact.shape[-1], compact.dtype)
    if adjoint_system:
        transposed = adjoint(compact)
        y = solve_triangular(transposed, b, False, False)
        return matmul(p, solve_triangular(transposed, y, True, True))
    y = solve_triangular(compact, matmul(swap_last(p), b), False, True)
    return solve_triangular(compact, y, True, False)


@function(name="lu_solve")
@step("LinalgLuSolveBackward0", keeps=((1, (0, 1)), (2, (0, 1)), (RESULT, (0, 1))))
def lu_solve_of(b: Tensor, LU_data: Tensor, LU_pivots: Tensor, *, out: Tensor | None = None) -> Tensor:
    """X with ``A X = b``, from the factors of A. Deprecated in favour of `linalg.lu_solve`."""
    found = wrap(column_major(_solved(node_of(LU_data), node_of(LU_pivots), node_of(b), True, False)))
    _check_pivots(found, LU_data, LU_pivots, _unsolvable)
    return found


@function(name="lu")
@step(None, keeps=((SECOND, (0,)),))
def lu_compact(A: Tensor, pivot: bool = True, get_infos: bool = False, out: Any = None) -> Any:
    """The compact LU factors and the pivots, with `get_infos` also which pivot is zero. Deprecated in favour of `linalg.lu_factor`."""
    notices.once(notices.LU)
    _check_pivoting("linalg.lu_factor", pivot)
    found = _factor(A, False)
    return returns.lu_with_info(*found) if get_infos else found[:2]


@function(method=False)
@step("LuUnpackBackward0")
def lu_unpack(LU_data: Tensor, LU_pivots: Tensor, unpack_data: bool = True, unpack_pivots: bool = True, *, out: Any = None) -> Any:
    """The matrices P, L and U of compact factors, empty where they are not asked for: named tuple (P, L, U)."""
    compact, pivots = node_of(LU_data), node_of(LU_pivots)
    if unpack_pivots and pivots.dtype is not dtypes.int32:
        raise RuntimeError(
            "torch.lu_unpack: LU_pivots is expected to be a contiguous tensor of torch.int32 dtype.\n"
            "Note: this function is intended to be used with the output produced by torch.linalg.lu_factor"
        )
    p, lower, upper = _unpacked(compact, pivots)
    empty = placed(full(const(0, compact.dtype), (0,)), compact.device)
    found = (p if unpack_pivots else empty, *((lower, upper) if unpack_data else (empty, empty)))
    tensors = [wrap(n) for n in found]
    if unpack_pivots:
        _check_pivots(tensors[0], LU_data, LU_pivots, _not_unpackable)
    return returns.lu_unpack(*tensors)


# ---------------------------------------------------------------- symmetric indefinite matrices
@linalg_function
def ldl_factor_ex(A: Tensor, *, hermitian: bool = False, check_errors: bool = False, out: Any = None) -> Any:
    """Compact factors of a symmetric matrix, pivots, and 0 or the number of a singular block: named tuple (LD, pivots, info)."""
    found = [unary(op, A, bool(hermitian)) for op in (ldl.ldl_compact, ldl.ldl_pivots, ldl.ldl_info)]
    if check_errors and A.device.type != "meta" and value_of(found[2]).any():
        raise LinAlgError("torch.linalg.ldl_factor: a block of D is singular.")
    return returns.linalg_ldl_factor_ex(*found)


@linalg_function
def ldl_factor(A: Tensor, *, hermitian: bool = False, out: Any = None) -> Any:
    """Compact factors of a symmetric (Hermitian) matrix, of which the lower triangle is read: named tuple (LD, pivots). No gradient."""
    return returns.linalg_ldl_factor(*ldl_factor_ex(A, hermitian=hermitian, check_errors=True)[:2])


@linalg_function
def ldl_solve(LD: Tensor, pivots: Tensor, B: Tensor, *, hermitian: bool = False, out: Tensor | None = None) -> Tensor:
    """X with ``A X = B``, from the factors of a symmetric A."""
    return wrap(ldl.ldl_solve(node_of(LD), node_of(pivots), node_of(B), bool(hermitian)))


# ---------------------------------------------------------------- Householder reflectors
_KEPT_OF_REFLECTORS = ((0, (0, 1)), (1, (0, 1)), (RESULT, (0, 1)))


@linalg_function
@step("LinalgHouseholderProductBackward0", keeps=_KEPT_OF_REFLECTORS)
def householder_product(A: Tensor, tau: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The first columns of ``H[0] H[1] ...``, whose reflectors stand below the diagonal of `A` (m, n), m >= n."""
    return wrap(householder.product(node_of(A), node_of(tau)))


@function()
@step("LinalgHouseholderProductBackward0", keeps=_KEPT_OF_REFLECTORS)
def orgqr(input: Tensor, input2: Tensor, *, out: Tensor | None = None) -> Tensor:
    """`linalg.householder_product` under LAPACK's name."""
    return wrap(householder.product(node_of(input), node_of(input2)))


@function()
def geqrf(input: Tensor, *, out: Any = None) -> Any:
    """The QR decomposition as reflectors: R above them, and their factors: named tuple (a, tau). No gradient: see `linalg.qr`."""
    return returns.geqrf(unary(householder.geqrf_vectors, input), unary(householder.geqrf_tau, input))


@function()
@step("OrmqrBackward0", keeps=tuple([(i, (0, 1, 2)) for i in (0, 1, 2, RESULT)]))
def ormqr(
    input: Tensor, input2: Tensor, input3: Tensor, left: bool = True, transpose: bool = False, *, out: Tensor | None = None
) -> Tensor:
    """``Q input3``, from the reflectors of Q in `input` and their factors `input2`; ``Q^H``, or from the right, if so asked."""
    return wrap(householder.reflect(node_of(input), node_of(input2), node_of(input3), bool(left), bool(transpose)))
