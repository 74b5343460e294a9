"""Eigenvalues and eigenvectors of general square matrices, which are complex; and whether a matrix can be factored at all."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import dtypes
from ..asg import gradients
from ..asg.declare import Array, Grads, Meta, Op, Sample
from ..asg.node import Node
from ..asg.saving import keep_result
from .cholesky import positive
from .complex import real
from .elementwise import bar
from .linalg import matmul
from .movement import reshape
from .pointwise import add, div, mul, sub
from .reduce import sum_
from .solve import BATCH, POSITIVE, M, adjoint, by_columns, check_square, identity, solve


# ---------------------------------------------------------------- eigenvalues
def _rule(vectors: bool) -> Any:
    def rule(x: Node) -> Meta:
        check_square("linalg.eig", x)
        return tuple(x.shape) if vectors else tuple(x.shape[:-1]), x.dtype if x.dtype.is_complex else x.dtype.to_complex()

    return rule


def _ref(part: int) -> Any:
    def ref(x: Array) -> Array:
        if not np.isfinite(x).all():
            raise RuntimeError("torch.linalg.eig: input tensor should not contain infs or NaNs.")
        kind = np.complex128 if x.dtype in (np.float64, np.complex128) else np.complex64
        return np.asarray(np.linalg.eig(x)[part]).astype(kind)

    return ref


def _vjp_values(n: Node, g: Node) -> Grads:
    """V^-H diag(g) V^H."""
    v = adjoint(vectors(n.srcs[0]))
    return (solve(v, mul(reshape(g, (*g.shape, 1)), v)),)


def _vjp_vectors(n: Node, g: Node) -> Grads:
    """V^-H ((V^H g - V^H V Re diag(V^H g)) / E) V^H with E[i, j] = conj(w[j] - w[i]) and zeros on the diagonal: Boeddeker et al. (2017).

    Vectors have norm one and any phase: as with PyTorch, the gradient is that of functions which do not see the phase.
    """
    vh, w = adjoint(n), bar(values(n.srcs[0]))
    k = w.shape[-1]
    eye = identity(k, w.dtype)
    projected = matmul(vh, g)
    kept = real(mul(projected, eye))
    along = reshape(sum_(kept, (len(kept.shape) - 1,), False), (*w.shape[:-1], 1, k))
    off = sub(projected, mul(matmul(vh, n), along))
    gap = add(sub(reshape(w, (*w.shape[:-1], 1, k)), reshape(w, (*w.shape, 1))), eye)
    return (solve(vh, matmul(div(sub(off, mul(off, eye)), gap), vh)),)


def _samples() -> list[Sample]:
    return [Sample((M,), (), False), Sample((BATCH,), (), False), Sample((np.array([[0.0, -1.0], [1.0, 0.0]], np.float32),), (), False)]


values = Op("eigvals", "linalg", _rule(False), _ref(0), vjp=_vjp_values, saves=keep_result, samples=_samples)
vectors = Op("eig_vectors", "linalg", by_columns(_rule(True)), _ref(1), vjp=_vjp_vectors, saves=keep_result, samples=_samples)
gradients.COMPLEX.update(("eigvals", "eig_vectors"))


# ---------------------------------------------------------------- why a factorization does not exist
def _rule_info(x: Node) -> Meta:
    check_square("linalg.inv", x)
    return tuple(x.shape[:-2]), dtypes.int32


def _each(find: Any) -> Any:
    def ref(x: Array) -> Array:
        flat = x.reshape(math.prod(x.shape[:-2]), *x.shape[-2:])
        return np.array([find(m) for m in flat], np.int32).reshape(x.shape[:-2])

    return ref


def _bad_minor(m: Array) -> int:
    """The order of the first leading minor that is not positive; 0 if there is none."""
    return next((k for k in range(1, len(m) + 1) if not positive(m[:k, :k])), 0)


def _zero_pivot(m: Array) -> int:
    """The number of the first pivot of Gaussian elimination that is zero; 0 if there is none."""
    try:
        np.linalg.inv(m)
        return 0
    except np.linalg.LinAlgError:
        m = m.copy()
    for k in range(len(m)):
        row = k + int(np.argmax(np.abs(m[k:, k])))
        if m[row, k] == 0:
            return k + 1
        m[[k, row]] = m[[row, k]]
        m[k + 1 :] -= m[k + 1 :, k, None] / m[k, k] * m[k]
    return len(m)


cholesky_info = Op(
    "cholesky_info",
    "linalg",
    _rule_info,
    _each(_bad_minor),
    differentiable=False,
    samples=lambda: [Sample((POSITIVE,), (), False), Sample((np.diag([1.0, -1.0]),), (), False), Sample((np.zeros((0, 2, 2)),), (), False)],
)
inverse_info = Op(
    "inverse_info",
    "linalg",
    _rule_info,
    _each(_zero_pivot),
    differentiable=False,
    samples=lambda: [
        Sample((BATCH,), (), False),
        Sample((np.diag([1.0, 0.0, 2.0]),), (), False),
        Sample((np.ones((2, 2)),), (), False),
        Sample((np.zeros((2, 0, 0)),), (), False),
    ],
)
