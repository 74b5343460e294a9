"""Inverses, determinants and linear systems of (batches of) square matrices.

Gradients: Giles (2008), "An extended collection of matrix derivative results".
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import dtypes
from ..asg.declare import Array, Grads, Meta, Op, Sample
from ..asg.geometry import broadcast, contiguous
from ..asg.node import Node, const, weak
from .arrange import tril, triu
from .elementwise import bar
from .formula import refuse
from .linalg import matmul, swap_last
from .movement import full, relayout, reshape, unview
from .pointwise import add, mul, neg, sub
from .promotion import title


class LinAlgError(RuntimeError):
    """A factorization that does not exist: of a singular matrix, or one that is not positive definite."""


#: as PyTorch names it, which reports and pickles show
LinAlgError.__name__ = LinAlgError.__qualname__ = "_LinAlgError"
LinAlgError.__module__ = f"{__name__.partition('.')[0]}._C"


M = np.array([[2.0, 0.5, -0.3], [0.4, 1.7, 0.6], [-0.2, 0.3, 1.4]])
BATCH = np.stack([M, M @ M.T + np.eye(3)])
POSITIVE = BATCH @ np.swapaxes(BATCH, -1, -2)
RIGHT = np.cos(np.arange(6.0)).reshape(3, 2)


#: PyTorch's kernels of functions that leave it to these to refuse types of low precision, and (`_INTEGERS`) integers, too
_KERNELS = {
    "cholesky_inverse": "cholesky_inverse_out_cpu",
    "cholesky_solve": "cholesky_solve_cpu",
    "linalg.cholesky": "cholesky_cpu",
    "linalg.det": "lu_cpu",
    "linalg.eig": "linalg_eig_out_cpu",
    "linalg.eigh": "linalg_eigh_cpu",
    "linalg.lu_solve": "linalg.lu_solve_cpu",
    "linalg.qr": "geqrf_cpu",
    "linalg.solve": "lu_cpu",
    "linalg.solve_triangular": "triangular_solve_cpu",
    "linalg.svd": "linalg_svd_cpu",
    "torch.geqrf": "geqrf_cpu",
    "torch.linalg.householder_product": "orgqr_cpu",
    "torch.linalg.ldl_factor_ex": "ldl_factor_kernel_cpu",
    "torch.lu_factor": "lu_cpu",
}
_INTEGERS = frozenset((
    "cholesky_inverse", "cholesky_solve", "linalg.eigh", "linalg.lu_solve", "linalg.solve_triangular", "torch.geqrf",
    "torch.linalg.householder_product", "torch.lu_factor",
))  # fmt: skip


def check_floating(name: str, x: Node) -> None:
    """Refuse integers and types of low precision, in the words of function `name`."""
    whole, low = x.dtype.category < dtypes.FLOAT, x.dtype in (dtypes.float16, dtypes.bfloat16)
    if name in _KERNELS and (low or (whole and name in _INTEGERS)):
        raise refuse(_KERNELS[name], x.dtype)
    if whole:
        raise RuntimeError(f"{name}: Expected a floating point or complex tensor as input. Got {title(x.dtype)}")
    if low:
        raise RuntimeError(f"{name}: Low precision dtypes not supported. Got {title(x.dtype)}")


def check_square(name: str, x: Node) -> None:
    if len(x.shape) < 2:
        raise RuntimeError(f"{name}: The input tensor A must have at least 2 dimensions.")
    if x.shape[-1] != x.shape[-2]:
        raise RuntimeError(f"{name}: A must be batches of square matrices, but they are {x.shape[-2]} by {x.shape[-1]} matrices")
    check_floating(name, x)


def by_columns(rule: Callable[..., Meta]) -> Callable[..., Meta]:
    """The inference of an operation whose resulting matrices lie column by column, as LAPACK leaves them and PyTorch's strides show."""

    def laid_out(*args: Any) -> Meta:
        shape, dtype = rule(*args)
        rows = shape[-2]
        return shape, dtype, (*contiguous(shape)[:-2], 1, max(rows, 1))

    return laid_out


def column_major(x: Node) -> Node:
    """A copy whose matrices lie column by column."""
    return relayout(x, (*contiguous(tuple(x.shape))[:-2], 1, max(x.shape[-2], 1)))


def square_rule(name: str, shape: Callable[[Any], Any]) -> Any:
    """Inference for operations on square matrices; `shape` maps the operand's shape to the result's."""

    def rule(x: Node, *_: Any) -> Meta:
        check_square(name, x)
        return shape(tuple(x.shape)), x.dtype

    return rule


def first_failure(x: Array, compute: Callable[[Array], Any]) -> str:
    """``(Batch element i): `` for the first matrix that `compute` refuses; empty for a single matrix."""
    if x.ndim == 2:
        return ""
    for i, m in enumerate(x.reshape(-1, *x.shape[-2:])):
        try:
            compute(m)
        except np.linalg.LinAlgError:
            return f"(Batch element {i}): "
    return ""


def diagonal_matrix(v: Node) -> Node:
    """(..., n) as diagonals of (..., n, n)."""
    rank, n = len(v.shape), v.shape[-1]
    shape = (*v.shape, n)
    return unview(v, "diagonal", (0, rank - 1, rank), (shape, contiguous(shape), 0))


def identity(n: int, d: dtypes.dtype) -> Node:
    """The identity matrix."""
    return diagonal_matrix(full(const(1, d), (n,)))


def eye(m: int, n: int, d: dtypes.dtype) -> Node:
    """Ones on the main diagonal of an m x n matrix of zeros."""
    ones = full(const(1, d), (min(m, n),))
    return unview(ones, "diagonal", (0, 0, 1), ((m, n), contiguous((m, n)), 0))


def adjoint(n: Node) -> Node:
    """The conjugate transpose of (a batch of) matrices."""
    return swap_last(bar(n))


def hermitian(triangle: Node, strict: Node) -> Node:
    """A triangle mirrored into a symmetric matrix, or a Hermitian one with the real part of the diagonal; `strict` is without diagonal."""
    if not triangle.dtype.is_complex:
        return add(triangle, swap_last(strict))
    diagonal = sub(triangle, strict)
    return add(add(strict, adjoint(strict)), mul(add(diagonal, bar(diagonal)), weak(0.5)))


def column(n: Node) -> Node:
    """(...) as (..., 1, 1), to scale matrices."""
    return reshape(n, (*n.shape, 1, 1))


# ---------------------------------------------------------------- inverse and determinant
def _zero_pivot(x: Array) -> int:
    """The number, from 1, of the first zero on the diagonal of U in ``x = P L U``, of the first matrix that has one."""
    for m in x.reshape(-1, *x.shape[-2:]).astype(np.result_type(x, np.float32)):
        rest = m.copy()
        for k in range(len(rest)):
            best = k + int(np.argmax(np.abs(rest[k:, k])))
            if rest[best, k] == 0:
                return k + 1
            rest[[k, best]] = rest[[best, k]]
            rest[k + 1 :, k:] -= rest[k + 1 :, k : k + 1] / rest[k, k] * rest[k, k:]
    return x.shape[-1]


def _ref_inverse(x: Array) -> Array:
    try:
        return np.linalg.inv(x)
    except np.linalg.LinAlgError:
        raise LinAlgError(
            f"linalg.inv: {first_failure(x, np.linalg.inv)}The diagonal element {_zero_pivot(x)} is zero, "
            "the inversion could not be completed because the input matrix is singular."
        ) from None


def _vjp_inverse(n: Node, g: Node) -> Grads:
    transposed = adjoint(n)
    return (neg(matmul(transposed, matmul(g, transposed))),)


def square_samples(*more: Any, grad: bool = True) -> Callable[[], list[Sample]]:
    return lambda: [
        Sample((M,), more, grad),
        Sample((BATCH,), more, grad),
        Sample((np.zeros((0, 2, 2)),), more, grad),
        Sample((np.zeros((2, 0, 0)),), more, False),
    ]


inverse = Op(
    "inverse",
    "linalg",
    by_columns(square_rule("linalg.inv", lambda s: s)),
    _ref_inverse,
    vjp=_vjp_inverse,
    saves=lambda n: (n,),
    samples=square_samples(),
)


def _ref_cofactor(x: Array) -> Array:
    """det(x) x^-T without dividing: from x = U S V, det(U V) times conj(U) (products of all singular values but one) conj(V)."""
    u, s, v = np.linalg.svd(x)
    n = s.shape[-1]
    others = np.stack([np.delete(s, i, -1).prod(-1) for i in range(n)], -1) if n else s
    return (u.conj() * others[..., None, :]) @ v.conj() * (np.linalg.det(u) * np.linalg.det(v))[..., None, None]


#: The matrix of cofactors: the gradient of the determinant, also of singular matrices. Its own gradient asks for regular ones.
cofactor = Op(
    "cofactor",
    "linalg",
    square_rule("linalg.det", lambda s: s),
    _ref_cofactor,
    expand=lambda n: mul(column(det(n.srcs[0])), swap_last(inverse(n.srcs[0]))),
    saves=lambda n: n.srcs,
    samples=square_samples(),
)
det = Op(
    "det",
    "linalg",
    square_rule("linalg.det", lambda s: s[:-2]),
    lambda x: np.asarray(np.linalg.det(x)),
    vjp=lambda n, g: (mul(column(g), bar(cofactor(n.srcs[0]))),),
    saves=lambda n: (*n.srcs, n),
    samples=square_samples(),
)


def _rule_logabsdet(x: Node) -> Meta:
    check_square("linalg.slogdet", x)
    return tuple(x.shape[:-2]), x.dtype.to_real()


def _ref_logabsdet(x: Array) -> Array:
    with np.errstate(all="ignore"):
        return np.asarray(np.linalg.slogdet(x)[1])


#: log |det| and the sign of the determinant
logabsdet = Op(
    "logabsdet",
    "linalg",
    _rule_logabsdet,
    _ref_logabsdet,
    vjp=lambda n, g: (mul(column(g), adjoint(inverse(n.srcs[0]))),),
    saves=lambda n: n.srcs,
    samples=square_samples(),
)


def _vjp_sign(n: Node, g: Node) -> Grads:
    """Of a complex determinant, whose phase turns with the imaginary part of the trace of A^-1 dA; a real sign is constant."""
    if not n.dtype.is_complex:
        return (None,)
    turn = mul(sub(mul(bar(g), n), mul(g, bar(n))), weak(-0.5))  # -i Im(conj(g) sign)
    return (mul(column(turn), adjoint(inverse(n.srcs[0]))),)


def _ref_det_sign(x: Array) -> Array:
    """The sign of a determinant that is NaN is zero, as LAPACK's factors count it."""
    with np.errstate(all="ignore"):
        sign, logarithm = np.linalg.slogdet(x)
    return np.asarray(sign if np.iscomplexobj(sign) else np.where(np.isnan(logarithm), np.zeros_like(sign), sign))


det_sign = Op(
    "det_sign",
    "linalg",
    square_rule("linalg.slogdet", lambda s: s[:-2]),
    _ref_det_sign,
    vjp=_vjp_sign,
    saves=lambda n: (n.srcs[0], n) if n.dtype.is_complex else (),
    samples=square_samples(grad=False),
)


# ---------------------------------------------------------------- linear systems
def system_rule(name: str) -> Any:
    def rule(a: Node, b: Node, *_: Any) -> Meta:
        check_square(name, a)
        if a.dtype is not b.dtype:
            raise RuntimeError(
                f"{name}: Expected A and B to have the same dtype, but found A of type {title(a.dtype)} and B of type "
                f"{title(b.dtype)} instead"
            )
        if len(b.shape) < 2 or a.shape[-1] != b.shape[-2]:
            raise RuntimeError(
                f"{name}: Incompatible shapes of A and B for the equation AX = B ({a.shape[-2]}x{a.shape[-1]} and "
                f"{'x'.join(map(str, b.shape[-2:]))})"
            )
        return (*broadcast(tuple(a.shape[:-2]), tuple(b.shape[:-2])), *b.shape[-2:]), a.dtype

    return rule


def _ref_solve(a: Array, b: Array) -> Array:
    try:
        return np.linalg.solve(a, b)
    except np.linalg.LinAlgError:
        raise LinAlgError(
            f"torch.linalg.solve: {first_failure(a, np.linalg.inv)}The solver failed because the input matrix is singular."
        ) from None


def _vjp_solve(n: Node, g: Node) -> Grads:
    right = functools.cache(lambda: solve(adjoint(n.srcs[0]), g))
    return lambda: neg(matmul(right(), adjoint(n))), right


def _system_samples(*more: Any, a: Array = M, batch: Array = BATCH) -> Callable[[], list[Sample]]:
    return lambda: [
        Sample((a, RIGHT), more),
        Sample((batch, RIGHT), more),
        Sample((a, np.stack([RIGHT, -RIGHT])), more),
        Sample((a[:0, :0], np.zeros((0, 2))), more, False),
    ]


#: X with ``A X = B``
solve = Op(
    "solve",
    "linalg",
    by_columns(system_rule("linalg.solve")),
    _ref_solve,
    vjp=_vjp_solve,
    saves=lambda n: (n.srcs[0], n),
    samples=_system_samples(),
)


def _triangle(x: Array, upper: bool, unit: bool) -> Array:
    part = np.triu(x, 1 if unit else 0) if upper else np.tril(x, -1 if unit else 0)
    return part + np.eye(x.shape[-1], dtype=x.dtype) if unit else part


def ref_triangular(a: Array, b: Array, upper: bool, unit: bool) -> Array:
    """By substitution, a row at a time; a zero on the diagonal gives infinities, as in PyTorch."""
    t = _triangle(a, upper, unit)
    n = t.shape[-1]
    x = np.broadcast_to(b, (*np.broadcast_shapes(t.shape[:-2], b.shape[:-2]), *b.shape[-2:])).copy()
    with np.errstate(all="ignore"):
        for i in reversed(range(n)) if upper else range(n):
            known = slice(i + 1, n) if upper else slice(0, i)
            x[..., i, :] -= (t[..., i, None, known] @ x[..., known, :])[..., 0, :]
            x[..., i, :] /= t[..., i, i, None]
    return x


def _vjp_triangular(n: Node, g: Node) -> Grads:
    a, (upper, unit) = n.srcs[0], n.attrs
    right = functools.cache(lambda: solve_triangular(adjoint(a), g, not upper, unit))

    def left() -> Node:
        whole = neg(matmul(right(), adjoint(n)))
        return triu(whole, int(unit)) if upper else tril(whole, -int(unit))

    return left, right


#: X with ``A X = B``, reading only one triangle of `A` (with ones on the diagonal, if `unitriangular`)
solve_triangular = Op(
    "solve_triangular",
    "linalg",
    by_columns(system_rule("linalg.solve_triangular")),
    ref_triangular,
    vjp=_vjp_triangular,
    saves=lambda n: (n.srcs[0], n),
    params=("upper", "unitriangular"),
    samples=lambda: [*_system_samples(True, False)(), *_system_samples(False, False)(), *_system_samples(False, True)()],
)
