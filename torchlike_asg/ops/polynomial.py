"""Orthogonal polynomials of Chebyshev, Hermite, Laguerre and Legendre, and their derivatives of any order in the argument.

All follow from three-term recurrences ``P[k + 1] = (a x + b) P[k] - c P[k - 1]`` (Abramowitz & Stegun 22.7), differentiated as often as
needed. PyTorch's versions have no gradients; these have, by the argument.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..asg.declare import Array, Grads, Op, Sample
from ..asg.node import Node
from .elementwise import shape_rule
from .pointwise import mul
from .promotion import promoting

#: kind -> (a, b) of the polynomial of degree 1, and k -> (a, b, c) of the recurrence
_RECURRENCES: dict[str, tuple[tuple[float, float], Callable[[int], tuple[float, float, float]]]] = {
    "chebyshev_t": ((1, 0), lambda k: (2, 0, 1)),
    "chebyshev_u": ((2, 0), lambda k: (2, 0, 1)),
    "chebyshev_v": ((2, -1), lambda k: (2, 0, 1)),
    "chebyshev_w": ((2, 1), lambda k: (2, 0, 1)),
    "hermite_h": ((2, 0), lambda k: (2, 0, 2 * k)),
    "hermite_he": ((1, 0), lambda k: (1, 0, k)),
    "laguerre_l": ((-1, 1), lambda k: (-1 / (k + 1), (2 * k + 1) / (k + 1), k / (k + 1))),
    "legendre_p": ((1, 0), lambda k: ((2 * k + 1) / (k + 1), 0, k / (k + 1))),
}
for _kind in "tuvw":
    (_a, _b), _rule = _RECURRENCES[f"chebyshev_{_kind}"]
    _RECURRENCES[f"shifted_chebyshev_{_kind}"] = ((2 * _a, _b - _a), lambda k: (4, -2, 1))

KINDS = tuple(_RECURRENCES)
#: the largest degrees of Hermite polynomials that PyTorch computes, in float32 and in float64; beyond it gives NaN
_HERMITE = 128, 512


def _ref(x: Array, n: Array, kind: str, order: int) -> Array:
    """The derivative of order `order` in x of the polynomial of degree ``trunc(n)``; 0 for negative degrees."""
    (a, b), rule = _RECURRENCES[kind]
    degree = np.trunc(np.asarray(n, np.float64))
    degree = np.where(np.abs(degree) < 2**63, degree, -1.0)  # PyTorch's are int64: others, and NaN, overflow to a negative one
    z, degree = np.broadcast_arrays(np.asarray(x, np.float64), degree)
    # previous[d], now[d]: the d-th derivatives of two neighbours
    previous = [np.where(np.isnan(z), z, 1.0)] + [np.zeros_like(z)] * order
    now = [a * z + b, np.full_like(z, a), *[np.zeros_like(z)] * order][: order + 1]
    out = np.where(degree == 0, previous[order], np.where(degree == 1, now[order], 0.0))
    limit = _HERMITE[np.result_type(x, n).itemsize > 4] if kind.startswith("hermite") else np.inf
    out = np.where(degree > limit, np.nan, out)
    degree = np.where(degree > limit, -1.0, degree)
    with np.errstate(all="ignore"):
        for k in range(1, int(degree.max(initial=0))):
            if np.isnan(now).all():  # so are all that follow
                out = np.where(degree > k, np.nan, out)
                break
            a, b, c = rule(k)
            line = a * z + b
            after = [line * now[d] + (d * a * now[d - 1] if d else 0.0) - c * previous[d] for d in range(order + 1)]
            previous, now = now, after
            out = np.where(degree == k + 1, now[order], out)
    return out.astype(np.result_type(x, n))


def _vjp(n: Node, g: Node) -> Grads:
    x, degree = n.srcs
    kind, order = n.attrs
    return mul(g, orthogonal_polynomial(x, degree, kind, order + 1)), None


_X = np.array([[-1.3, -0.7, 0.0], [0.4, 0.9, 1.6]])


def _samples() -> list[Sample]:
    degrees = np.array([[0.0, 1.0, 2.0], [3.0, 5.0, 6.0]])
    return [
        *[Sample((_X, degrees), (kind, 0), (0,)) for kind in KINDS],
        Sample((_X, np.asarray(4.0)), ("legendre_p", 1), (0,)),
        Sample((np.asarray(0.3), degrees), ("hermite_he", 2), (0,)),
        Sample((np.zeros((0, 3)), np.ones(3)), ("laguerre_l", 0), False),
        Sample((_X.astype(np.float32), degrees.astype(np.float32)), ("chebyshev_t", 0), False),
    ]


#: The value, or with `order` a derivative, of the polynomial of family `kind` at x, of the degree in the second operand.
orthogonal_polynomial = Op(
    "orthogonal_polynomial",
    "special",
    shape_rule,
    _ref,
    vjp=_vjp,
    saves=lambda n: n.srcs,
    layout="pointwise",
    prepare=promoting(2, floating=True),
    params=("kind", "order"),
    samples=_samples,
)


def family(kind: str) -> Callable[..., Any]:
    """The operation as a function of argument and degree alone."""
    return lambda x, n: orthogonal_polynomial(x, n, kind, 0)
