"""Decompositions: eigenvalues of symmetric matrices, singular values, QR, pseudo-inverse.

Each factor is an operation of its own; gradients are linear in the factors' gradients, so they simply add up. Formulas: Giles (2008),
"An extended collection of matrix derivative results"; Walter, Lehmann & Lamour (2012) for QR; Golub & Pereyra (1973) for the
pseudo-inverse. As with PyTorch, gradients exist only where the factor is unique up to what the loss does not see.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..asg import gradients
from ..asg.declare import Array, Grads, Meta, Op, Sample
from ..asg.geometry import contiguous
from ..asg.node import Node, weak
from ..asg.saving import keep_result
from .arrange import triu
from .linalg import matmul
from .movement import reshape, slice_, unview
from .pointwise import add, div, mul, neg, reciprocal, sub
from .solve import (
    BATCH,
    POSITIVE,
    LinAlgError,
    M,
    adjoint,
    by_columns,
    check_floating,
    check_square,
    hermitian,
    identity,
    solve_triangular,
    square_rule,
)

WIDE, TALL = M[:2], M[:, :2]


def _row(v: Node) -> Node:
    """(..., n) as (..., 1, n): scales columns."""
    return reshape(v, (*v.shape[:-1], 1, v.shape[-1]))


def _column(v: Node) -> Node:
    """(..., n) as (..., n, 1): scales rows."""
    return reshape(v, (*v.shape, 1))


def _unpaired(x: Node, values: Node, squared: bool) -> Node:
    """``x[i, j] / (values[j] - values[i])`` (of squares, if `squared`), with zeros on the diagonal."""
    v = mul(values, values) if squared else values
    eye = identity(v.shape[-1], v.dtype)
    gap = add(sub(_row(v), _column(v)), eye)
    return div(sub(x, mul(x, eye)), gap)


def _sides(name: str, x: Node) -> tuple[tuple[int, ...], int, int]:
    if len(x.shape) < 2:
        raise RuntimeError(f"{name}: The input tensor A must have at least 2 dimensions.")
    check_floating(name, x)
    return tuple(x.shape[:-2]), x.shape[-2], x.shape[-1]


# ---------------------------------------------------------------- symmetric eigenproblem
def _ref_eigh(part: int) -> Any:
    def ref(x: Array, upper: bool) -> Array:
        try:
            return np.asarray(np.linalg.eigh(x, "U" if upper else "L")[part])
        except np.linalg.LinAlgError:
            raise LinAlgError(
                "linalg.eigh: The algorithm failed to converge because the input matrix is ill-conditioned or has too "
                "many repeated eigenvalues."
            ) from None

    return ref


def _vjp_eigenvalues(n: Node, g: Node) -> Grads:
    v = eigenvectors(n.srcs[0], *n.attrs)
    return (matmul(mul(v, _row(g)), adjoint(v)),)


def _vjp_eigenvectors(n: Node, g: Node) -> Grads:
    """That of a Hermitian matrix is Hermitian: what a loss says of the vectors' signs or phases, which are nobody's, is left out."""
    values, transposed = eigenvalues(n.srcs[0], *n.attrs), adjoint(n)
    found = matmul(n, matmul(_unpaired(matmul(transposed, g), values, False), transposed))
    return (mul(add(found, adjoint(found)), weak(0.5)),)


def _symmetric(*more: Any) -> Callable[[], list[Sample]]:
    return lambda: [Sample((POSITIVE[0],), more, False), Sample((POSITIVE,), more, False), Sample((np.zeros((0, 2, 2)),), more, False)]


def _rule_eigenvalues(x: Node, upper: bool) -> Meta:
    check_square("linalg.eigh", x)
    return tuple(x.shape[:-1]), x.dtype.to_real()


eigenvalues = Op(
    "eigvalsh",
    "linalg",
    _rule_eigenvalues,
    _ref_eigh(0),
    vjp=_vjp_eigenvalues,
    saves=keep_result,
    params=("upper",),
    samples=_symmetric(False),
)
eigenvectors = Op(
    "eigh_vectors",
    "linalg",
    by_columns(square_rule("linalg.eigh", lambda s: s)),
    _ref_eigh(1),
    vjp=_vjp_eigenvectors,
    saves=keep_result,
    params=("upper",),
    samples=_symmetric(True),
)


# ---------------------------------------------------------------- singular values
def _unconverged(x: Array) -> LinAlgError:
    why = "is ill-conditioned or has too many repeated singular values." if np.isfinite(x).all() else "contained non-finite values."
    return LinAlgError(f"linalg.svd: The algorithm failed to converge because the input matrix {why}")


def _ref_svd(part: int) -> Any:
    def ref(x: Array, full: bool = False) -> Array:
        try:
            if part == 1:
                return np.asarray(np.linalg.svd(x, compute_uv=False))
            return np.asarray(np.linalg.svd(x, full)[part])
        except np.linalg.LinAlgError:
            raise _unconverged(x) from None

    return ref


def _svd_rule(part: int) -> Any:
    def rule(x: Node, full: bool = False) -> Meta:
        lead, m, n = _sides("linalg.svd", x)
        k = min(m, n)
        shape = ((m, m if full else k), (k,), (n if full else k, n))[part]
        return (*lead, *shape), x.dtype.to_real() if part == 1 else x.dtype

    return rule


def _vjp_singular(n: Node, g: Node) -> Grads:
    x = n.srcs[0]
    return (matmul(mul(left_vectors(x, False), _row(g)), right_vectors(x, False)),)


def _skew(x: Node) -> Node:
    return sub(x, adjoint(x))


def _vjp_left(n: Node, g: Node) -> Grads:
    """U ((skew(U^H g) / E) S) V^H, and what lies outside the columns of U over S, for tall matrices.

    Complex vectors are determined up to a common phase of those of U and V; what turns it is charged to U alone, as in PyTorch.
    """
    x = n.srcs[0]
    rank, k = len(x.shape), min(x.shape[-2:])
    if n.attrs[0] and x.shape[-2] > k:  # the surplus columns are arbitrary: PyTorch leaves them out
        g = slice_(g, rank - 1, 0, k, 1)
    u, s, v = left_vectors(x, False), singular_values(x), right_vectors(x, False)
    projected = matmul(adjoint(u), g)
    turned = mul(_unpaired(_skew(projected), s, True), _row(s))
    if x.dtype.is_complex:
        turned = add(turned, mul(_skew(projected), div(identity(k, s.dtype), _row(mul(s, weak(2.0))))))
    core = matmul(u, turned)
    if x.shape[-2] > k:
        core = add(core, mul(sub(g, matmul(u, projected)), _row(reciprocal(s))))
    return (matmul(core, v),)


def _vjp_right(n: Node, g: Node) -> Grads:
    """U (S (skew(V^H g^H) / E)) V^H, and what lies outside the rows of V^T over S, for wide matrices; `g` belongs to V^H."""
    x = n.srcs[0]
    rank, k = len(x.shape), min(x.shape[-2:])
    if n.attrs[0] and x.shape[-1] > k:
        g = slice_(g, rank - 2, 0, k, 1)
    u, s, v = left_vectors(x, False), singular_values(x), right_vectors(x, False)
    projected = matmul(g, adjoint(v))
    core = matmul(mul(_column(s), _unpaired(_skew(adjoint(projected)), s, True)), v)
    if x.shape[-1] > k:
        core = add(core, mul(_column(reciprocal(s)), sub(g, matmul(projected, v))))
    return (matmul(u, core),)


def _shapes(*more: Any, grad: bool = True) -> list[Sample]:
    return [
        Sample((M,), more, grad),
        Sample((TALL,), more, grad),
        Sample((WIDE,), more, grad),
        Sample((BATCH[:, :, :2],), more, grad),
        Sample((np.zeros((0, 2, 3)),), more, False),
    ]


singular_values = Op("svdvals", "linalg", _svd_rule(1), _ref_svd(1), vjp=_vjp_singular, saves=keep_result, samples=_shapes)
left_vectors = Op(
    "svd_left",
    "linalg",
    by_columns(_svd_rule(0)),
    _ref_svd(0),
    vjp=_vjp_left,
    saves=keep_result,
    params=("full",),
    samples=lambda: [*_shapes(False), *_shapes(True, grad=False)],
)
right_vectors = Op(
    "svd_right",
    "linalg",
    by_columns(_svd_rule(2)),
    _ref_svd(2),
    vjp=_vjp_right,
    saves=keep_result,
    params=("full",),
    samples=lambda: [*_shapes(False), *_shapes(True, grad=False)],
)


# ---------------------------------------------------------------- QR
def _qr_rule(part: int) -> Any:
    def rule(x: Node, complete: bool) -> Meta:
        lead, m, n = _sides("linalg.qr", x)
        k = m if complete else min(m, n)
        return (*lead, *((m, k), (k, n))[part]), x.dtype

    return rule


def _ref_qr(part: int) -> Any:
    def ref(x: Array, complete: bool) -> Array:
        m, n = x.shape[-2:]
        if not x.size:
            k = m if complete else min(m, n)
            if part == 0:
                return np.broadcast_to(np.eye(m, k, dtype=x.dtype), (*x.shape[:-2], m, k))
            return np.zeros((*x.shape[:-2], k, n), x.dtype)
        return np.asarray(np.linalg.qr(x, "complete" if complete else "reduced")[part])

    return ref


def _times_inverse_transposed(y: Node, r: Node) -> Node:
    """``y r^-H`` for an upper triangular `r`."""
    return adjoint(solve_triangular(r, adjoint(y), True, False))


def _qr_gradient(q: Node, r: Node, gq: Node | None, gr: Node | None) -> Node:
    """Of a matrix with at least as many rows as columns."""
    inner = matmul(gr, adjoint(r)) if gr is not None else None
    if gq is not None:
        own = neg(matmul(adjoint(q), gq))
        inner = own if inner is None else add(inner, own)
    assert inner is not None
    total = matmul(q, hermitian(triu(inner, 0), triu(inner, 1)))
    return _times_inverse_transposed(total if gq is None else add(gq, total), r)


def _padded(x: Node, lo: int, width: int) -> Node:
    """Columns put in place `lo` of a matrix of zeros with `width` columns."""
    rank = len(x.shape)
    shape = (*x.shape[:-1], width)
    return unview(x, "slice", (rank - 1, lo, lo + x.shape[-1], 1), (shape, contiguous(shape), 0))


def _refuse_complete(n: Node) -> None:
    m, k = n.srcs[0].shape[-2:]
    if n.attrs[0] and m > k:
        raise RuntimeError("The QR decomposition is not differentiable when mode='complete' and nrows > ncols.")


def _vjp_q(n: Node, g: Node) -> Grads:
    _refuse_complete(n)
    x = n.srcs[0]
    rank, (m, k) = len(x.shape), x.shape[-2:]
    r = qr_r(x, *n.attrs)
    if m >= k:
        return (_qr_gradient(n, r, g, None),)
    return (_padded(_qr_gradient(n, slice_(r, rank - 1, 0, m, 1), g, None), 0, k),)


def _vjp_r(n: Node, g: Node) -> Grads:
    """Of a wide matrix (X | Y) with R = (U | V): X = Q U is square, and V = Q^H Y."""
    _refuse_complete(n)
    x = n.srcs[0]
    rank, (m, k) = len(x.shape), x.shape[-2:]
    q = qr_q(x, *n.attrs)
    if m >= k:
        return (_qr_gradient(q, n, None, g),)
    y, gv = slice_(x, rank - 1, m, k, 1), slice_(g, rank - 1, m, k, 1)
    left = _qr_gradient(q, slice_(n, rank - 1, 0, m, 1), matmul(y, adjoint(gv)), slice_(g, rank - 1, 0, m, 1))
    return (add(_padded(left, 0, k), _padded(matmul(q, gv), m, k)),)


qr_q = Op(
    "qr_q",
    "linalg",
    by_columns(_qr_rule(0)),
    _ref_qr(0),
    vjp=_vjp_q,
    saves=keep_result,
    params=("complete",),
    samples=lambda: [*_shapes(False), *_shapes(True, grad=False)],
)
qr_r = Op(
    "qr_r",
    "linalg",
    by_columns(_qr_rule(1)),
    _ref_qr(1),
    vjp=_vjp_r,
    saves=keep_result,
    params=("complete",),
    samples=lambda: [*_shapes(False), *_shapes(True, grad=False)],
)


# ---------------------------------------------------------------- pseudo-inverse
def _rule_pinv(x: Node, rtol: float, atol: float, hermitian: bool = False) -> Meta:
    lead, m, n = _sides("linalg.pinv", x)
    if hermitian and m != n:
        raise RuntimeError(f"linalg.eigh: A must be batches of square matrices, but they are {m} by {n} matrices")
    return (*lead, n, m), x.dtype


def _ref_pinv(x: Array, rtol: float, atol: float, hermitian: bool = False) -> Array:
    if hermitian:
        x = np.tril(x) + np.swapaxes(np.tril(x, -1), -1, -2).conj()
        if np.iscomplexobj(x):  # eigh reads the real parts of the diagonal
            x = np.where(np.eye(x.shape[-1], dtype=bool), x.real, x)
    if not x.size:
        return np.zeros((*x.shape[:-2], x.shape[-1], x.shape[-2]), x.dtype)
    try:
        u, s, v = np.linalg.svd(x, False)
    except np.linalg.LinAlgError:
        raise _unconverged(x) from None
    enough = s > np.maximum(rtol * s.max(-1, keepdims=True), atol)
    inverted = np.where(enough, 1 / np.where(enough, s, 1), 0).astype(s.dtype)
    return np.swapaxes(v, -1, -2).conj() @ (inverted[..., None] * np.swapaxes(u, -1, -2).conj())


def _vjp_pinv(n: Node, g: Node) -> Grads:
    """-P^H g P^H, and two projections that vanish for regular matrices; P = pinv(A)."""
    a, p = n.srcs[0], n
    pt, gt = adjoint(p), adjoint(g)
    k = matmul(gt, p)  # (m, m)
    first = neg(adjoint(matmul(p, k)))
    outside_rows = sub(matmul(k, pt), matmul(matmul(a, p), matmul(k, pt)))
    outside_columns = matmul(matmul(pt, p), sub(gt, matmul(k, a)))
    return (add(first, add(outside_rows, outside_columns)),)


#: Singular values up to ``max(atol, rtol * largest)`` count as zero. With `hermitian` only the lower triangle is read, but the gradient is
#: that of the whole matrix, as PyTorch's.
pinv = Op(
    "pinv",
    "linalg",
    _rule_pinv,
    _ref_pinv,
    vjp=_vjp_pinv,
    saves=lambda n: (n.srcs[0], n),
    params=("rtol", "atol", "hermitian"),
    samples=lambda: [*_shapes(1e-15, 0.0), Sample((BATCH,), (1e-15, 0.0, True), False)],
)
gradients.COMPLEX.update(("eigvalsh", "eigh_vectors", "svdvals", "svd_left", "svd_right", "qr_q", "qr_r", "pinv"))
