"""The exponential of (batches of) square matrices."""

from __future__ import annotations

import numpy as np

from ..asg.declare import Array, Grads, Op, Sample
from ..asg.node import Node, const
from .join import cat
from .movement import full, slice_
from .solve import BATCH, adjoint, square_rule, square_samples

_PADE = (
    64764752532480000.0,
    32382376266240000.0,
    7771770303897600.0,
    1187353796428800.0,
    129060195264000.0,
    10559470521600.0,
    670442572800.0,
    33522128640.0,
    1323241920.0,
    40840800.0,
    960960.0,
    16380.0,
    182.0,
    1.0,
)


def _ref_matrix_exp(x: Array) -> Array:
    """Scaling and squaring with the Pade approximant of order 13: Higham (2005)."""
    if not x.size:
        return x.copy()
    a = x.astype(np.result_type(x, np.float64))
    size = np.abs(a).sum(-2).max(-1)
    halvings = np.maximum(0, np.ceil(np.log2(np.maximum(size, 1e-300) / 5.371920351148152))).astype(int)
    a = a / (2.0**halvings)[..., None, None]
    b, eye = _PADE, np.eye(a.shape[-1])
    a2 = a @ a
    a4 = a2 @ a2
    a6 = a4 @ a2
    odd = a @ (a6 @ (b[13] * a6 + b[11] * a4 + b[9] * a2) + b[7] * a6 + b[5] * a4 + b[3] * a2 + b[1] * eye)
    even = a6 @ (b[12] * a6 + b[10] * a4 + b[8] * a2) + b[6] * a6 + b[4] * a4 + b[2] * a2 + b[0] * eye
    out = np.linalg.solve(even - odd, even + odd)
    for k in range(int(halvings.max())):
        out = np.where((halvings > k)[..., None, None], out @ out, out)
    return out.astype(x.dtype)


def _vjp_matrix_exp(n: Node, g: Node) -> Grads:
    """The upper right block of exp([[A^H, g], [0, A^H]])."""
    t = adjoint(n.srcs[0])
    rank, k = len(t.shape), t.shape[-1]
    zero = full(const(0, t.dtype), tuple(t.shape))
    whole = matrix_exp(cat(cat(t, g, rank - 1), cat(zero, t, rank - 1), rank - 2))
    return (slice_(slice_(whole, rank - 2, 0, k, 1), rank - 1, k, 2 * k, 1),)


matrix_exp = Op(
    "matrix_exp",
    "linalg",
    square_rule("linalg.matrix_exp", lambda s: s),
    _ref_matrix_exp,
    vjp=_vjp_matrix_exp,
    saves=lambda n: n.srcs,
    samples=lambda: [*square_samples()(), Sample((BATCH * 6,), (), False)],
)
