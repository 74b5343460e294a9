"""Special functions as operations: error functions, gamma and its derivatives, modified Bessel functions, zeta, normal distribution."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..asg.declare import Grads, Op, Sample
from ..asg.node import Node, weak
from ..asg.saving import keep, keep_result
from ..errors import MissingGradientError
from . import bessel
from .activation import derivative
from .elementwise import INPUT_, positive_samples, shape_rule, unary, unary_samples, unit_samples
from .formula import floating_only
from .logic import eq, gt
from .pointwise import exp, log, mul, neg, sign, where
from .promotion import promoting

_X = np.array([[-2.3, -0.7, 0.4], [1.1, 0.9, 2.6]])
_P = np.abs(_X) + 0.2
_Q = np.array([[0.05, 0.3, 0.45], [0.62, 0.9, 0.99]])


def function(name: str, ref: Any, vjp: Any, saves: Any = INPUT_, samples: Any = None, count: int = 1, params: tuple[str, ...] = ()) -> Op:
    """Declare a function whose values come from an algorithm, not from a formula of the scalar vocabulary."""
    return Op(
        name,
        "special",
        shape_rule,
        ref,
        vjp=vjp,
        saves=saves if vjp else None,
        layout="pointwise",
        prepare=promoting(count, floating=True),
        params=params,
        samples=samples or unary_samples,
    )


# ---------------------------------------------------------------- error functions
erf = unary(
    "erf", lambda e, x: e.erf(x), lambda n, g: (mul(g, exp(neg(n.srcs[0] * n.srcs[0])) * (2 / math.sqrt(math.pi))),), category="special"
)
erfc = unary(
    "erfc", lambda e, x: e.erfc(x), lambda n, g: (mul(g, exp(neg(n.srcs[0] * n.srcs[0])) * (-2 / math.sqrt(math.pi))),), category="special"
)
erfinv = unary(
    "erfinv",
    lambda e, x: e.erfinv(x),
    lambda n, g: (mul(g, exp(n * n) * (math.sqrt(math.pi) / 2)),),
    INPUT_,
    category="special",
    samples=unit_samples,
)
erfcx = function("erfcx", bessel.erfcx, lambda n, g: (g * (2.0 * n.srcs[0] * n - 2 / math.sqrt(math.pi)),), lambda n: (n.srcs[0], n))
log_ndtr = function(
    "log_ndtr",
    bessel.log_ndtr,
    lambda n, g: (g * (math.sqrt(2 / math.pi) / erfcx(n.srcs[0] * -math.sqrt(0.5))),),
    lambda n: (n.srcs[0], n),
)
ndtri = function(
    "ndtri",
    bessel.ndtri,
    lambda n, g: (g * (exp(n * n * 0.5) * math.sqrt(2 * math.pi)),),
    keep_result,
    lambda: [Sample((_Q,)), Sample((np.zeros((0, 2)),)), Sample((np.asarray(0.3),))],
)


# ---------------------------------------------------------------- gamma
lgamma = unary("lgamma", lambda e, x: e.lgamma(x), lambda n, g: (mul(g, digamma(n.srcs[0])),), category="special", samples=positive_samples)
digamma = unary(
    "digamma", lambda e, x: e.digamma(x), lambda n, g: (mul(g, polygamma(n.srcs[0], 1)),), category="special", samples=positive_samples
)
polygamma = function(
    "polygamma",
    lambda x, n: bessel.polygamma(n, x),
    lambda n, g: (mul(g, polygamma(n.srcs[0], n.attrs[0] + 1)),),
    params=("n",),
    samples=lambda: [Sample((_P,), (1,)), Sample((_P,), (2,)), Sample((np.zeros((0, 2)),), (1,)), Sample((np.asarray(0.8),), (3,))],
)


def _vjp_igamma(scale: float) -> Any:
    """By x: +-x^(a-1) exp(-x) / Gamma(a). By a there is no closed form, and none in PyTorch."""

    def vjp(n: Node, g: Node) -> Grads:
        a, x = n.srcs

        def by_first() -> Node:
            raise MissingGradientError(f"the derivative for '{n.op.name}: input' is not implemented.")

        return by_first, lambda: g * (exp((a - 1.0) * log(x) - x - lgamma(a)) * scale)

    return vjp


def _two() -> list[Sample]:
    return [
        Sample((_P, _P[::-1] * 2), (), False),
        Sample((_P, np.asarray(1.5)), (), False),
        Sample((np.zeros((0, 2)), np.ones(2)), (), False),
    ]


igamma = function("igamma", bessel.igamma, _vjp_igamma(1.0), keep((0, (0, 1)), (1, (0, 1))), _two, 2)
igammac = function("igammac", bessel.igammac, _vjp_igamma(-1.0), keep((0, (0, 1)), (1, (0, 1))), _two, 2)
igamma.prepare, igammac.prepare = floating_only("igamma", 2), floating_only("igammac", 2)


def _vjp_zeta(n: Node, g: Node) -> Grads:
    x, q = n.srcs

    def by_first() -> Node:
        raise MissingGradientError("the derivative for 'special_zeta: self' is not implemented.")

    return by_first, lambda: g * (neg(x) * zeta(x + 1.0, q))


zeta = function(
    "zeta",
    bessel.zeta,
    _vjp_zeta,
    keep((0, (0, 1)), (1, (0, 1))),
    lambda: [Sample((_P + 1.1, _P), (), False), Sample((np.asarray(2.0), _P), (), False)],
    2,
)


# ---------------------------------------------------------------- modified Bessel functions
def _ratio(n: Node) -> Node:
    """I1(x) / x (or its scaled form), with its limit at zero."""
    x = n.srcs[0]
    zero = eq(x, weak(0.0))
    return where(zero, weak(0.5), n / where(zero, weak(1.0), x))


i0 = function("i0", bessel.i0, lambda n, g: (g * i1(n.srcs[0]),))
i1 = function("i1", bessel.i1, lambda n, g: (g * (i0(n.srcs[0]) - _ratio(n)),), lambda n: (n.srcs[0], n))
i0e = function("i0e", bessel.i0e, lambda n, g: (g * (i1e(n.srcs[0]) - sign(n.srcs[0]) * n),), lambda n: (n.srcs[0], n))
i1e = function("i1e", bessel.i1e, lambda n, g: (g * (i0e(n.srcs[0]) - n * sign(n.srcs[0]) - _ratio(n)),), lambda n: (n.srcs[0], n))


# ---------------------------------------------------------------- entropy and odds
def _entr(e: Any, x: Any) -> Any:
    zero = e.const(0)
    positive = e.gt(x, zero)
    inside = e.neg(e.mul(x, e.log(e.where(positive, x, e.const(1)))))
    return e.where(e.isnan(x), x, e.where(positive, inside, e.where(e.eq(x, zero), zero, e.const(-math.inf))))


def _vjp_entr(n: Node, g: Node) -> Grads:
    x = n.srcs[0]
    return (g * where(gt(x, weak(0.0)), neg(log(x)) - 1.0, where(eq(x, weak(0.0)), weak(math.inf), weak(math.nan))),)


#: ``-x log x``
entr = unary(
    "entr",
    _entr,
    _vjp_entr,
    category="special",
    samples=lambda: [Sample((_P,)), Sample((np.array([0.0, -1.0, np.nan]),), (), False), Sample((np.zeros((0, 2)),))],
)


def _step(e: Any, x: Any, steps: Any) -> Any:
    """`x`, rounded to the 16-bit type `steps`: PyTorch's kernel rounds each step of a formula to it."""
    return x if steps is None else e.rounded(x, steps)


def _bounds(e: Any, eps: float, steps: Any) -> tuple[Any, Any]:
    low = _step(e, e.const(eps), steps)
    return low, _step(e, e.sub(e.const(1), low), steps)


def _logit(e: Any, x: Any, eps: float | None, steps: Any = None) -> Any:
    z = x
    if eps is not None:
        low, high = _bounds(e, eps, steps)
        z = e.where(e.lt(x, low), low, e.where(e.gt(x, high), high, x))
    return e.log(_step(e, e.div(z, _step(e, e.sub(e.const(1), z), steps)), steps))


def _logit_slope(e: Any, g: Any, x: Any, eps: float | None, steps: Any = None) -> Any:
    """g / (x (1 - x)) inside the open or clamped interval; outside 0, or NaN without clamping."""
    low, high = (e.const(0.0), e.const(1.0)) if eps is None else _bounds(e, eps, steps)
    inside = e.logical_and(e.ge(x, low), e.le(x, high))
    product = _step(e, e.mul(x, _step(e, e.sub(e.const(1), x), steps)), steps)
    return e.where(inside, e.div(g, product), e.const(math.nan if eps is None else 0.0))


_promoted = promoting(1, True)


def _prepare_logit(x: Any, eps: float | None, *steps: Any) -> tuple[Any, ...]:
    x = _promoted(x)[0]
    narrow = x.dtype.is_floating_point and x.dtype.compute is not x.dtype.storage
    return (x, eps, x.dtype) if narrow and not steps else (x, eps, *steps)


logit_grad = derivative("logit_grad", _logit_slope, ("eps",), (0.1,))
logit = unary(
    "logit",
    _logit,
    lambda n, g: (logit_grad(g, *n.srcs, *n.attrs),),
    category="special",
    params=("eps",),
    varying=("eps",),
    prepare=_prepare_logit,
    samples=lambda: [
        Sample((_Q,), (None,)),
        Sample((_Q,), (0.07,)),
        Sample((np.zeros((0, 2)),), (None,)),
        Sample((np.asarray(0.7),), (0.2,)),
    ],
)
