"""Products of Householder reflectors ``H = I - tau v v^H``, whose vectors stand below the diagonal of a matrix, as LAPACK keeps a QR."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..asg import gradients
from ..asg.declare import Array, Grads, Meta, Op, Sample
from ..asg.node import Node
from ..errors import MissingGradientError
from .arrange import tril
from .elementwise import bar
from .linalg import matmul
from .movement import expand, reshape, slice_
from .pointwise import add, mul, sub
from .promotion import title
from .solve import BATCH, M, adjoint, by_columns, check_floating, eye


def _rule_reflect(a: Node, tau: Node, c: Node, left: bool, transpose: bool) -> Meta:
    check_floating("torch.ormqr", a)
    if len(a.shape) < 2 or len(c.shape) < 2:
        raise RuntimeError("torch.ormqr: input must have at least 2 dimensions.")
    if len(tau.shape) != len(a.shape) - 1:
        raise RuntimeError(
            f"torch.ormqr: Expected tau to have one dimension less than input, but got tau.ndim equal to {len(tau.shape)} and input.ndim "
            f"is equal to {len(a.shape)}"
        )
    if tau.dtype is not a.dtype or c.dtype is not a.dtype:
        other = tau if tau.dtype is not a.dtype else c
        raise RuntimeError(
            f"torch.ormqr: Expected input and {'tau' if other is tau else 'other'} to have the same dtype, but input has dtype "
            f"{title(a.dtype)} and {'tau' if other is tau else 'other'} has dtype {title(other.dtype)}"
        )
    if c.shape[-2 if left else -1] < tau.shape[-1]:
        raise RuntimeError(f"torch.ormqr: other.shape[{-2 if left else -1}] must be greater than or equal to tau.shape[-1]")
    if c.shape[-2 if left else -1] != a.shape[-2]:
        raise RuntimeError(f"torch.ormqr: other.shape[{-2 if left else -1}] must be equal to input.shape[-2]")
    return tuple(c.shape), c.dtype


def _ref_reflect(a: Array, tau: Array, c: Array, left: bool, transpose: bool) -> Array:
    if not left:
        back = _ref_reflect(a, tau, np.swapaxes(c, -1, -2).conj(), True, not transpose)
        return np.swapaxes(back, -1, -2).conj()
    k = tau.shape[-1]
    c, v = c.copy(), np.tril(a[..., :k], -1) + np.eye(a.shape[-2], k, dtype=a.dtype)
    for i in range(k) if transpose else reversed(range(k)):
        column, t = v[..., i, None], tau[..., i, None, None]
        c = c - (t.conj() if transpose else t) * (column * (np.swapaxes(column, -1, -2).conj() @ c))
    return c


def _expand_reflect(n: Node) -> Node:
    """One reflector after the other."""
    (a, tau, c), (left, transpose) = n.srcs, n.attrs
    if not left:
        return adjoint(reflect(a, tau, adjoint(c), True, not transpose))
    rank, k, m = len(a.shape), tau.shape[-1], a.shape[-2]
    v = add(tril(slice_(a, rank - 1, 0, k, 1), -1), eye(m, k, a.dtype))
    scale = bar(tau) if transpose else tau
    for i in range(k) if transpose else reversed(range(k)):
        column = slice_(v, rank - 1, i, i + 1, 1)
        t = reshape(slice_(scale, rank - 2, i, i + 1, 1), (*tau.shape[:-1], 1, 1))
        c = sub(c, mul(t, mul(column, matmul(adjoint(column), c))))
    return c


_TAU = np.array([1.2, 0.7])

#: ``Q other``, ``Q^H other`` (`transpose`), or with the product from the right; Q = H[0] H[1] ... of all rows of the first operand
reflect = Op(
    "reflect",
    "linalg",
    by_columns(_rule_reflect),
    _ref_reflect,
    expand=_expand_reflect,
    params=("left", "transpose"),
    samples=lambda: [
        Sample((M[:, :2], _TAU, M), (True, False)),
        Sample((M, _TAU, M[:, 1:]), (True, True)),
        Sample((M[:, :2], _TAU, M[:2]), (False, False)),
        Sample((BATCH, np.stack([_TAU, -_TAU]), BATCH), (False, True)),
        Sample((np.zeros((0, 2, 2)), np.zeros((0, 2)), np.zeros((0, 2, 3))), (True, False), False),
    ],
)


def product(a: Node, tau: Node) -> Node:
    """The first columns of Q, as many as `a` has."""
    check_floating("torch.linalg.householder_product", a)
    if len(a.shape) < 2:
        raise RuntimeError("torch.linalg.householder_product: input must have at least 2 dimensions.")
    m, n = a.shape[-2:]
    if len(tau.shape) != len(a.shape) - 1:
        raise RuntimeError(
            "torch.linalg.householder_product: Expected tau to have one dimension less than input, but got tau.ndim equal to "
            f"{len(tau.shape)} and input.ndim is equal to {len(a.shape)}"
        )
    if m < n:
        raise RuntimeError("torch.linalg.householder_product: input.shape[-2] must be greater than or equal to input.shape[-1]")
    if n < tau.shape[-1]:
        raise RuntimeError("torch.linalg.householder_product: input.shape[-1] must be greater than or equal to tau.shape[-1]")
    if tau.dtype is not a.dtype:
        raise RuntimeError(
            "torch.linalg.householder_product: Expected input and tau to have the same dtype, but input has dtype "
            f"{title(a.dtype)} and tau has dtype {title(tau.dtype)}"
        )
    start = eye(m, n, a.dtype)
    return reflect(a, tau, expand(start, *a.shape[:-2], m, n) if len(a.shape) > 2 else start, True, False)


# ---------------------------------------------------------------- the factorization itself
def _rule_geqrf(part: int) -> Any:
    def rule(x: Node) -> Meta:
        if len(x.shape) < 2:
            raise RuntimeError(f"torch.geqrf: input must have at least 2 dimensions, but has {len(x.shape)}.")
        check_floating("torch.geqrf", x)
        return tuple(x.shape) if part == 0 else (*x.shape[:-2], min(x.shape[-2:])), x.dtype

    return rule


def _ref_geqrf(part: int) -> Any:
    def ref(x: Array) -> Array:
        if not x.size:
            return x.copy() if part == 0 else np.zeros((*x.shape[:-2], min(x.shape[-2:])), x.dtype)
        transposed, tau = np.linalg.qr(x, "raw")
        return np.ascontiguousarray(np.swapaxes(transposed, -1, -2)) if part == 0 else tau

    return ref


def _vjp_geqrf(n: Node, g: Node) -> Grads:
    raise MissingGradientError("the derivative for 'geqrf' is not implemented; use linalg.qr, which has one.")


def _geqrf(part: int) -> Op:
    return Op(
        ("geqrf_vectors", "geqrf_tau")[part],
        "linalg",
        _rule_geqrf(part) if part else by_columns(_rule_geqrf(part)),
        _ref_geqrf(part),
        vjp=_vjp_geqrf,
        samples=lambda: [
            Sample((M,), (), False),
            Sample((M[:, :2],), (), False),
            Sample((BATCH[:, :2],), (), False),
            Sample((np.zeros((0, 2, 3)),), (), False),
        ],
    )


geqrf_vectors, geqrf_tau = _geqrf(0), _geqrf(1)
gradients.COMPLEX.update(("reflect", "geqrf_vectors", "geqrf_tau"))
