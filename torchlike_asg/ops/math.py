"""Elementary functions of one and two variables: trigonometric, hyperbolic, sigmoid, logarithms of sums, blends.

Derivatives are the textbook ones; where one can be written with the result (tan, tanh, sigmoid), it is, so that only that is kept.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..asg.declare import Array, Grads, Op, Sample, node
from ..asg.node import Node, weak
from ..asg.saving import keep, keep_result
from ..errors import MissingGradientError
from .activation import derivative
from .elementwise import INPUT_, bar, binary, pointwise, unary, unary_samples, unit_samples
from .formula import floating_only
from .logic import eq, logical_and, lt, ne
from .pointwise import log, log1p, mul, neg, where, zeros_like
from .promotion import in_steps, promoting

_X = np.array([[-2.3, -0.7, 0.4], [1.1, 0.9, 2.6]])
_Y = np.array([[1.7, -1.2, 0.6], [-0.8, 2.2, 0.3]])
_ODD = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 2.5, -1.5])


def _one(e: Any) -> Any:
    return e.const(1)


# ---------------------------------------------------------------- trigonometric
sin = unary("sin", lambda e, x: e.sin(x), lambda n, g: (mul(g, bar(cos(n.srcs[0]))),))
cos = unary("cos", lambda e, x: e.cos(x), lambda n, g: (neg(mul(g, bar(sin(n.srcs[0])))),))
tan = unary("tan", lambda e, x: e.tan(x), lambda n, g: (mul(g, bar(n * n + 1.0)),), keep_result)
asin = unary("asin", lambda e, x: e.asin(x), lambda n, g: (mul(g, bar(_rsqrt(1.0 - n.srcs[0] * n.srcs[0]))),), samples=unit_samples)
acos = unary("acos", lambda e, x: e.acos(x), lambda n, g: (neg(mul(g, bar(_rsqrt(1.0 - n.srcs[0] * n.srcs[0])))),), samples=unit_samples)
atan = unary("atan", lambda e, x: e.atan(x), lambda n, g: (g / bar(n.srcs[0] * n.srcs[0] + 1.0),))


def _rsqrt(n: Node) -> Node:
    from .pointwise import rsqrt

    return rsqrt(n)


def _vjp_atan2(n: Node, g: Node) -> Grads:
    """At the origin, where there is no gradient, it is PyTorch's: zero."""
    y, x = n.srcs
    squares = y * y + x * x
    scaled = where(eq(squares, weak(0.0)), weak(0.0), g / squares)
    return lambda: scaled * x, lambda: neg(scaled * y)


atan2 = binary("atan2", lambda e, y, x: e.atan2(y, x), _vjp_atan2, keep((0, (0, 1)), (1, (0, 1))), floating=True)


# ---------------------------------------------------------------- hyperbolic
sinh = unary("sinh", lambda e, x: e.sinh(x), lambda n, g: (mul(g, bar(cosh(n.srcs[0]))),))
cosh = unary("cosh", lambda e, x: e.cosh(x), lambda n, g: (mul(g, bar(sinh(n.srcs[0]))),))
asinh = unary("asinh", lambda e, x: e.asinh(x), lambda n, g: (mul(g, bar(_rsqrt(n.srcs[0] * n.srcs[0] + 1.0))),))


def _acosh_slope(x: Node) -> Node:
    """Of complex numbers in two roots: their product is the right branch."""
    return _rsqrt(x - 1.0) * _rsqrt(x + 1.0) if x.dtype.is_complex else _rsqrt(x * x - 1.0)  # type: ignore[operator]


acosh = unary(
    "acosh",
    lambda e, x: e.acosh(x),
    lambda n, g: (mul(g, bar(_acosh_slope(n.srcs[0]))),),
    samples=lambda: [Sample((np.abs(_X) + 1.2,)), Sample((np.zeros((0, 3)),)), Sample((np.asarray(1.7),))],
)
atanh = unary("atanh", lambda e, x: e.atanh(x), lambda n, g: (g / bar(1.0 - n.srcs[0] * n.srcs[0]),), samples=unit_samples)

#: ``g * (1 - y^2)`` and ``g * y * (1 - y)``, from the result `y`
tanh_grad = derivative("tanh_grad", lambda e, g, y: e.mul(g, e.fma(e.neg(y), y, _one(e))))
sigmoid_grad = derivative("sigmoid_grad", lambda e, g, y: e.mul(e.mul(g, e.sub(_one(e), y)), y))
tanh = unary("tanh", lambda e, x: e.tanh(x), lambda n, g: (tanh_grad(g, bar(n)),), keep_result, category="activation")
sigmoid = unary("sigmoid", lambda e, x: e.sigmoid(x), lambda n, g: (sigmoid_grad(g, bar(n)),), keep_result, category="activation")


# ---------------------------------------------------------------- angles, parts, signs
deg2rad = unary("deg2rad", lambda e, x: e.mul(x, e.const(math.pi / 180)), lambda n, g: (mul(g, weak(math.pi / 180)),), None)
rad2deg = unary("rad2deg", lambda e, x: e.mul(x, e.const(180 / math.pi)), lambda n, g: (mul(g, weak(180 / math.pi)),), None)
frac = pointwise(
    "frac", "arithmetic", 1, lambda e, x: e.sub(x, e.trunc(x)), lambda n, g: (g,), prepare=floating_only("frac_cpu"), samples=unary_samples
)


def _sinc_slope(e: Any, g: Any, x: Any) -> Any:
    """d/dx sin(pi x) / (pi x) = pi (z cos z - sin z) / z^2 with z = pi x; near zero, where that cancels, by its power series."""
    z = e.mul(x, e.const(math.pi))
    near = e.lt(e.abs(z), e.const(0.2))
    safe = e.where(near, _one(e), z)
    direct = e.div(e.sub(e.mul(safe, e.cos(safe)), e.sin(safe)), e.mul(safe, safe))
    square, series = e.mul(z, z), e.const(-1 / 3991680)
    for c in (1 / 45360, -1 / 840, 1 / 30, -1 / 3):
        series = e.add(e.mul(series, square), e.const(c))
    return e.mul(g, e.mul(e.where(near, e.mul(series, z), direct), e.const(math.pi)))


def _sinc(e: Any, x: Any) -> Any:
    zero = e.eq(x, e.const(0))
    z = e.mul(e.where(zero, _one(e), x), e.const(math.pi))
    return e.where(zero, _one(e), e.div(e.sin(z), z))


sinc_grad = derivative("sinc_grad", _sinc_slope)
sinc = unary("sinc", _sinc, lambda n, g: (sinc_grad(g, n.srcs[0]),))


def _negative(e: Any, x: Any) -> Any:
    """Whether the sign bit is set; of a NaN it is not known."""
    if not e.is_float:
        return e.lt(x, e.const(0))
    zero = e.const(0)
    return e.logical_or(e.lt(x, zero), e.logical_and(e.eq(x, zero), e.lt(e.reciprocal(x), zero)))


def _ref_signbit(x: Array) -> Array:
    return np.signbit(x) if x.dtype.kind == "f" else x < 0


signbit = pointwise(
    "signbit",
    "comparison",
    1,
    _negative,
    boolean=True,
    prepare=None,
    ref=_ref_signbit,
    samples=lambda: [
        Sample((_ODD[:4],), (), False),
        Sample((np.array([1, -2, 0]),), (), False),
        Sample((np.array([True, False]),), (), False),
    ],
)


def _vjp_copysign(n: Node, g: Node) -> Grads:
    a, _ = n.srcs
    # a zero has no side to turn to: PyTorch gives it no gradient
    return lambda: where(eq(a, weak(0.0)), weak(0.0), mul(g, n / where(eq(a, weak(0.0)), weak(1.0), a))), lambda: zeros_like(g)


copysign = binary(
    "copysign",
    lambda e, a, b: e.where(_negative(e, b), e.neg(e.abs(a)), e.abs(a)),
    _vjp_copysign,
    lambda n: (n.srcs[0], n),
    floating=True,
    ref=np.copysign,
)


def _prepare_heaviside(x: Any, v: Any) -> tuple[Any, ...]:
    x, v = node(x), node(v)
    if x.dtype is not v.dtype:
        raise RuntimeError("heaviside is not yet implemented for tensors with different dtypes.")
    if x.dtype.is_complex:
        raise RuntimeError("heaviside is not yet implemented for complex tensors.")
    return x, v


def _heaviside(e: Any, x: Any, v: Any) -> Any:
    """A NaN is not above zero."""
    zero = e.const(0)
    return e.where(e.eq(x, zero), v, e.where(e.gt(x, zero), _one(e), zero))


def _no_slope(n: Node, g: Node) -> Grads:
    raise MissingGradientError("derivative for aten::heaviside is not implemented")


heaviside = binary(
    "heaviside",
    _heaviside,
    _no_slope,
    prepare=_prepare_heaviside,
    samples=lambda: [
        Sample((np.array([-1.0, 0.0, 2.0]), np.array([0.5, 0.5, 0.5])), (), False),
        Sample((np.array([-1, 0, 2]), np.array([7, 7, 7])), (), False),
    ],
)
nextafter = binary(
    "nextafter",
    lambda e, a, b: e.nextafter(a, b),
    lambda n, g: (lambda: where(ne(n.srcs[0], n.srcs[1]), g, weak(0.0)), lambda: zeros_like(g)),
    keep((0, (0,)), (1, (0,))),
    prepare=floating_only("nextafter_cpu", 2),
    ref=np.nextafter,
    samples=lambda: [Sample((_X, _Y), (), False), Sample((_X.astype(np.float32), _Y.astype(np.float32)), (), False)],
)
nextafter.scalar = None  # bits, not arithmetic: no formula in the vocabulary


# ---------------------------------------------------------------- tests
def _finite(e: Any, x: Any) -> Any:
    return e.logical_not(e.logical_or(e.isnan(x), e.isinf(x)))


def _test(name: str, formula: Any, ref: Any) -> Op:
    def prepare(x: Any) -> tuple[Any, ...]:
        if x.dtype.is_complex and name != "isfinite":
            raise RuntimeError(f"{name} does not support complex inputs.")
        return (x,)

    return pointwise(
        name,
        "comparison",
        1,
        formula,
        boolean=True,
        prepare=prepare,
        ref=ref,
        samples=lambda: [Sample((_ODD,), (), False), Sample((np.array([1, 2]),), (), False)],
    )


isfinite = _test("isfinite", _finite, lambda x: np.isfinite(x))


def _is(value: float) -> Any:
    return lambda e, x: e.eq(x, e.const(value)) if e.is_float else e.ne(x, x)


isposinf = _test("isposinf", _is(math.inf), lambda x: np.isposinf(x) if x.dtype.kind == "f" else np.zeros(x.shape, bool))
isneginf = _test("isneginf", _is(-math.inf), lambda x: np.isneginf(x) if x.dtype.kind == "f" else np.zeros(x.shape, bool))


def _nan_to_num(e: Any, x: Any, nan: float, high: float, low: float) -> Any:
    return e.where(
        e.isnan(x), e.const(nan), e.where(e.eq(x, e.const(math.inf)), e.const(high), e.where(e.eq(x, e.const(-math.inf)), e.const(low), x))
    )


#: Only for floating operands: integers hold neither NaN nor infinities.
nan_to_num = pointwise(
    "nan_to_num",
    "arithmetic",
    1,
    _nan_to_num,
    lambda n, g: (where(isfinite(n.srcs[0]), g, weak(0.0)),),
    INPUT_,
    prepare=None,
    params=("nan", "posinf", "neginf"),
    varying=("nan", "posinf", "neginf"),
    samples=lambda: [
        Sample((_ODD,), (0.0, 1e9, -1e9), False),
        Sample((_X,), (1.0, 2.0, 3.0)),
        Sample((np.zeros((0, 2)),), (0.0, 1.0, 2.0)),
    ],
)


# ---------------------------------------------------------------- two variables
def _vjp_hypot(n: Node, g: Node) -> Grads:
    safe = where(eq(n, weak(0.0)), weak(1.0), n)  # at the origin the numerators are 0, too
    return lambda: g * (n.srcs[0] / safe), lambda: g * (n.srcs[1] / safe)


def _hypot(e: Any, a: Any, b: Any) -> Any:
    """The larger times sqrt(1 + ratio^2), so that squares do not overflow."""
    a, b = e.abs(a), e.abs(b)
    high, low = e.maximum(a, b), e.minimum(a, b)
    infinite = e.logical_or(e.isinf(a), e.isinf(b))
    plain = e.logical_or(e.eq(high, e.const(0)), infinite)
    ratio = e.div(low, e.where(plain, _one(e), high))
    return e.where(infinite, e.const(math.inf), e.mul(high, e.sqrt(e.add(_one(e), e.mul(ratio, ratio)))))


hypot = binary("hypot", _hypot, _vjp_hypot, keep((0, (0,)), (1, (1,)), (-1, (0, 1))), prepare=floating_only("hypot_cpu", 2), ref=np.hypot)


def _logaddexp(base2: bool) -> Any:
    def formula(e: Any, a: Any, b: Any) -> Any:
        high = e.maximum(a, b)
        gap = e.neg(e.abs(e.sub(a, b)))
        soft = e.mul(e.log1p(e.exp2(gap)), e.const(1 / math.log(2))) if base2 else e.log1p(e.exp(gap))
        return e.where(e.logical_and(e.isinf(a), e.eq(a, b)), a, e.add(high, soft))

    return formula


def _vjp_logaddexp(base2: bool) -> Any:
    def vjp(n: Node, g: Node) -> Grads:
        a, b = n.srcs

        def share(x: Node, y: Node) -> Node:
            gap = x - y  # type: ignore[operator]
            return g * sigmoid(gap * math.log(2) if base2 else gap)  # type: ignore[operator]

        return lambda: share(a, b), lambda: share(b, a)

    return vjp


logaddexp = binary(
    "logaddexp",
    _logaddexp(False),
    _vjp_logaddexp(False),
    keep((0, (0, 1)), (1, (0, 1))),
    prepare=floating_only("logaddexp_cpu", 2),
    ref=lambda a, b: np.logaddexp(a, b),
)
logaddexp2 = binary(
    "logaddexp2",
    _logaddexp(True),
    _vjp_logaddexp(True),
    keep((0, (0, 1)), (1, (0, 1))),
    prepare=floating_only("logaddexp2_cpu", 2),
    ref=lambda a, b: np.logaddexp2(a, b),
)


def _times_log(shift: bool) -> Any:
    def formula(e: Any, x: Any, y: Any, steps: Any = None) -> Any:
        power = e.log1p(y) if shift else e.log(y)
        found = e.mul(x, power if steps is None else e.rounded(power, steps))
        return e.where(e.isnan(y), y, e.where(e.eq(x, e.const(0)), e.const(0), found))

    return formula


def _vjp_times_log(shift: bool) -> Any:
    def vjp(n: Node, g: Node) -> Grads:
        x, y = n.srcs
        zero = logical_and(eq(x, weak(0.0)), where(lt(y, weak(-1.0 if shift else 0.0)), weak(True), eq(y, weak(-1.0 if shift else 0.0))))

        def first() -> Node:
            return where(zero, weak(0.0), g * (log1p(y) if shift else log(y)))

        return first, lambda: g * (x / (y + 1.0 if shift else y))

    return vjp


def _log_samples() -> list[Sample]:
    p = np.abs(_Y) + 0.1
    return [
        Sample((_X, p)),
        Sample((_X, p[:1])),
        Sample((np.asarray(0.5), p)),
        Sample((np.zeros((0, 3)), np.ones(3))),
        Sample((np.array([0.0, 0.0, 1.0]), np.array([0.0, np.nan, 0.0])), (), False),
    ]


_log_steps = in_steps(promoting(2, floating=True, elements=True))
xlogy = binary("xlogy", _times_log(False), _vjp_times_log(False), keep((0, (0, 1)), (1, (0, 1))), prepare=_log_steps, samples=_log_samples)
xlog1py = binary(
    "xlog1py", _times_log(True), _vjp_times_log(True), keep((0, (0, 1)), (1, (0, 1))), prepare=_log_steps, samples=_log_samples
)
