"""Elementary and special functions, blends and tests of values, as functions, methods and in-place operations."""

from __future__ import annotations

import math as numbers
from typing import Any

from ... import dtypes
from ...asg.limits import check_size
from ...formats import contiguous_format
from ...ops import blend, gamma, logic
from ...ops import math as ops
from ...ops import pointwise as basic
from ...ops.formula import title
from ...ops.movement import contiguous
from ...ops.promotion import to
from ..core import Tensor, binary, node_of, operand, unary, wrap
from ..register import FUNCTIONS, function, named
from ..steps import RESULT, SECOND, step, unsaved
from . import returns
from .arguments import check_tensor
from .pointwise import _either, _one, _two

# ---------------------------------------------------------------- one operand
sin = _one("sin", ops.sin, "The sine.")
cos = _one("cos", ops.cos, "The cosine.")
tan = _one("tan", ops.tan, "The tangent.")
asin = _one("asin", ops.asin, "The inverse sine, in [-pi/2, pi/2].", aliases=("arcsin",))
acos = _one("acos", ops.acos, "The inverse cosine, in [0, pi].", aliases=("arccos",))
atan = _one("atan", ops.atan, "The inverse tangent, in (-pi/2, pi/2).", aliases=("arctan",))
sinh = _one("sinh", ops.sinh, "The hyperbolic sine.")
cosh = _one("cosh", ops.cosh, "The hyperbolic cosine.")
tanh = _one("tanh", ops.tanh, "The hyperbolic tangent.")
asinh = _one("asinh", ops.asinh, "The inverse hyperbolic sine.", aliases=("arcsinh",))
acosh = _one("acosh", ops.acosh, "The inverse hyperbolic cosine.", aliases=("arccosh",))
atanh = _one("atanh", ops.atanh, "The inverse hyperbolic tangent.", aliases=("arctanh",))
sigmoid = _one("sigmoid", ops.sigmoid, "``1 / (1 + exp(-input))``.")
frac = _one("frac", ops.frac, "The fractional part, with the sign of `input`.")
sinc = _one("sinc", ops.sinc, "``sin(pi input) / (pi input)``, and 1 at 0.")
deg2rad = _one("deg2rad", ops.deg2rad, "Degrees to radians.")
rad2deg = _one("rad2deg", ops.rad2deg, "Radians to degrees.")
sgn = _one("sgn", basic.sign, "-1, 0 or 1 by the sign.")
erf = _one("erf", gamma.erf, "The error function.")
erfc = _one("erfc", gamma.erfc, "The complementary error function.")
erfinv = _one("erfinv", gamma.erfinv, "The inverse of the error function.")
lgamma = _one("lgamma", gamma.lgamma, "The logarithm of the absolute value of the gamma function.")
digamma = _one("digamma", gamma.digamma, "The logarithmic derivative of the gamma function.")
i0 = _one("i0", gamma.i0, "The modified Bessel function of the first kind of order 0.")
signbit = _one("signbit", ops.signbit, "Whether the sign bit is set (also that of -0.0).", inplace=False)
isfinite = _one("isfinite", ops.isfinite, "Whether an element is neither infinite nor NaN.", inplace=False)
isposinf = _one("isposinf", ops.isposinf, "Whether an element is positive infinity.", inplace=False)
isneginf = _one("isneginf", ops.isneginf, "Whether an element is negative infinity.", inplace=False)


@function()
def positive(input: Tensor) -> Tensor:
    """`input` itself; refused for booleans."""
    if input.dtype is dtypes.bool_:
        raise RuntimeError("The `+` operator, on a bool tensor is not supported.")
    return input


@function()
def isreal(input: Tensor) -> Tensor:
    """Whether an element has no imaginary part: True for every real type."""
    if input.dtype.is_complex:
        return input.imag == 0  # type: ignore[attr-defined, no-any-return]
    return binary(logic.logical_or, unary(ops.isfinite, input), True)


@function(inplace=True)
def nan_to_num(
    input: Tensor, nan: float | None = None, posinf: float | None = None, neginf: float | None = None, *, out: Tensor | None = None
) -> Tensor:
    """NaN replaced by `nan` (0), infinities by `posinf` and `neginf` (the largest and smallest finite values of the type)."""
    if input.dtype.is_complex:
        parts = [nan_to_num(FUNCTIONS[part](input), nan, posinf, neginf) for part in ("real", "imag")]
        return FUNCTIONS["complex"](*parts)  # type: ignore[no-any-return]
    if not input.dtype.is_floating_point:
        return input.clone()  # type: ignore[attr-defined, no-any-return]
    limits = dtypes.finfo(input.dtype)
    return unary(
        ops.nan_to_num,
        input,
        0.0 if nan is None else float(nan),
        limits.max if posinf is None else float(posinf),
        limits.min if neginf is None else float(neginf),
    )


@function(inplace=True)
def logit(input: Tensor, eps: float | None = None, *, out: Tensor | None = None) -> Tensor:
    """``log(input / (1 - input))``, with `input` clamped to [eps, 1 - eps] if `eps` is given."""
    return unary(gamma.logit, input, None if eps is None or eps < 0 else float(eps))


@function(method=False)
def polygamma(n: int, input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The n-th derivative of digamma."""
    check_tensor("polygamma", "input", 2, input)
    if n < 0:
        raise RuntimeError("polygamma(n, x) does not support negative n.")
    return unary(gamma.digamma, input) if n == 0 else unary(gamma.polygamma, input, int(n))


def _polygamma_method(input: Tensor, n: int) -> Tensor:
    """The n-th derivative of digamma."""
    return polygamma(n, input)  # type: ignore[no-any-return]


function(namespace=False, inplace=True, name="polygamma")(_polygamma_method)


@function(inplace=True)
@step("MvlgammaBackward0")
def mvlgamma(input: Tensor, p: int, *, out: Tensor | None = None) -> Tensor:
    """The logarithm of the multivariate gamma function: log(pi) p (p - 1) / 4 + sum over j < p of lgamma(input - j / 2)."""
    if p < 1:
        raise RuntimeError("p has to be greater than or equal to 1")
    x = node_of(input)
    check_size((p, *x.shape), x.dtype, x.device)
    total = gamma.lgamma(x)
    for j in range(1, p):
        total = total + gamma.lgamma(x - j / 2)  # type: ignore[operator]
    return wrap(contiguous(total + p * (p - 1) / 4 * numbers.log(numbers.pi)))  # type: ignore[operator]


@function()
@step(None, keeps=((SECOND, (0,)),))
def frexp(input: Tensor, *, out: Any = None) -> Any:
    """Mantissa in (-1, -1/2] or [1/2, 1) and integer exponent (int32) with ``input = mantissa * 2 ** exponent``."""
    if not input.dtype.is_floating_point:
        raise RuntimeError("torch.frexp() only supports floating-point dtypes")
    return returns.frexp(unary(blend.frexp_mantissa, input), unary(blend.frexp_exponent, input))


# ---------------------------------------------------------------- two operands
def _tensors(name: str, op: Any, doc: str, inplace: bool = True, aliases: tuple[str, ...] = ()) -> Any:
    """Register a function of two tensors, neither of them a number."""

    def f(input: Tensor, other: Tensor, *, out: Tensor | None = None) -> Tensor:
        check_tensor(name, "input", 1, input)
        check_tensor(name, "other", 2, other)
        return binary(op, input, other)

    return function(inplace=inplace, aliases=aliases, name=name)(named(f, name, doc))


atan2 = _tensors("atan2", ops.atan2, "The angle of the point (`other`, `input`), in (-pi, pi].", aliases=("arctan2",))
hypot = _tensors("hypot", ops.hypot, "``sqrt(input**2 + other**2)`` without overflow.")
heaviside = _tensors("heaviside", ops.heaviside, "0 below zero, 1 above, `other` at zero.")


@function(inplace=True)
def nextafter(input: Tensor, other: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The next number of the type after `input` towards `other`. It has no gradient in types of 16 bits."""
    check_tensor("nextafter", "input", 1, input)
    check_tensor("nextafter", "other", 2, other)
    d = dtypes.promote_types(input.dtype, other.dtype)
    return binary(ops.nextafter, input, other) if d.itemsize != 2 or not d.is_floating_point else _next_half(input, other, d)


def _next_half(input: Any, other: Any, d: dtypes.dtype) -> Tensor:
    """`nextafter` in a type of 16 bits, which arithmetic widens: the numbers of one sign are in the order of their bits."""
    if input.requires_grad or other.requires_grad:
        raise NotImplementedError(f"the derivative for 'nextafter' is not implemented in {d}: use float32")
    a, b = FUNCTIONS["broadcast_tensors"](input.to(d), other.to(d))
    bits, least = a.clone(memory_format=contiguous_format).view(dtypes.int16), 2.0 ** (-24 if d is dtypes.float16 else -133)
    where, up = FUNCTIONS["where"], b > a
    found = (bits + where(up == (bits >= 0), 1, -1)).to(dtypes.int16).view(d)
    found = where(a == 0, where(up, least, -least).to(d), found)
    return where(a == b, b, where((a != a) | (b != b), a + b, found))  # type: ignore[no-any-return]


@function()
def logaddexp(input: Tensor, other: Tensor, *, out: Tensor | None = None) -> Tensor:
    """``log(exp(input) + exp(other))`` without overflow."""
    check_tensor("logaddexp", "input", 1, input)
    check_tensor("logaddexp", "other", 2, other)
    if input.dtype.is_complex or other.dtype.is_complex:
        return _complex_logaddexp(input, other)  # type: ignore[no-any-return]
    return binary(ops.logaddexp, input, other)


@step("LogaddexpBackward0", keeps=((0, (0, 1)), (1, (0, 1))))
def _complex_logaddexp(input: Any, other: Any) -> Any:
    """The number of the larger real part, and what the other one adds to it."""
    d = dtypes.promote_types(input.dtype, other.dtype)
    where = FUNCTIONS["where"]
    a, b = FUNCTIONS["broadcast_tensors"](input.to(d), other.to(d))
    first = a.real.detach() >= b.real.detach()
    high, low = where(first, a, b), where(first, b, a)
    ends = (high.real == low.real) & high.real.isinf()  # of both: their difference says nothing
    nothing = low.real == -numbers.inf
    apart = where(ends | nothing, 0, low) - where(ends | nothing, 0, high)
    found = where(nothing, high, high + apart.exp().log1p())
    missing, real = complex(numbers.nan, numbers.nan), b.real.detach()
    found = where(ends, where(real < 0, b, FUNCTIONS["complex"](real, real * numbers.nan)), found)
    return where(a.isnan() | b.isnan(), missing, found)


logaddexp2 = _tensors("logaddexp2", ops.logaddexp2, "``log2(2**input + 2**other)`` without overflow.", inplace=False)
gcd = _tensors("gcd", blend.gcd, "The greatest common divisor of integers, non-negative.")
lcm = _tensors("lcm", blend.lcm, "The least common multiple of integers, non-negative.")
igamma = _tensors("igamma", gamma.igamma, "The regularised lower incomplete gamma function P(input, other).")
igammac = _tensors("igammac", gamma.igammac, "The regularised upper incomplete gamma function Q(input, other).")
copysign = _two("copysign", ops.copysign, "The magnitude of `input` with the sign of `other`.")
xlogy = _two("xlogy", ops.xlogy, "``input * log(other)``, and 0 where `input` is 0.", first=True)


@function(inplace=True)
@step("LdexpBackward0", keeps=((1, (0,)), (RESULT, (0, 1))))
def ldexp(input: Tensor, other: Tensor, *, out: Tensor | None = None) -> Tensor:
    """``input * 2 ** other``."""
    check_tensor("ldexp", "other", 2, other)
    return binary(basic.mul, unsaved(input), _either(basic.pow_, 2.0, unsaved(other)))


@function()
def float_power(input: Any, exponent: Any, *, out: Tensor | None = None) -> Tensor:
    """``input ** exponent``, computed in double precision whatever the operands are."""
    complex_ = any(x.dtype.is_complex if isinstance(x, Tensor) else isinstance(x, complex) for x in (input, exponent))
    d = dtypes.complex128 if complex_ else dtypes.float64
    base, power = [x.to(d) if isinstance(x, Tensor) else x for x in (input, exponent)]  # type: ignore[attr-defined]
    return _either(basic.pow_, base, power, "float_power")


def _float_power_(self: Tensor, exponent: Any) -> Tensor:
    """In-place version of `float_power`, for tensors that are double already."""
    if self.dtype is not dtypes.float64:
        raise RuntimeError(f"the base given to float_power_ has dtype {title(self.dtype)} but the operation's result requires dtype Double")
    return self.pow_(exponent.to(dtypes.float64) if isinstance(exponent, Tensor) else exponent)  # type: ignore[attr-defined, no-any-return]


Tensor.float_power_ = _float_power_  # type: ignore[attr-defined]


# ---------------------------------------------------------------- blends
@function(inplace=True)
def lerp(input: Tensor, end: Tensor, weight: Any, *, out: Tensor | None = None) -> Tensor:
    """``input + weight * (end - input)``; `weight` is a number or a tensor."""
    check_tensor("lerp", "end", 2, end)
    x = node_of(input)
    return wrap(blend.lerp(x, node_of(end), operand(blend.lerp, weight, x)))


def _fused(name: str, op: Any, doc: str) -> Any:
    def f(input: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: Any = 1, out: Tensor | None = None) -> Tensor:
        check_tensor(name, "tensor1", 2, tensor1)
        check_tensor(name, "tensor2", 3, tensor2)
        if isinstance(value, Tensor) and value.requires_grad:
            raise TypeError(f"{name}(): argument 'value' must be Number, not Tensor")
        x = node_of(input)
        return wrap(op(x, node_of(tensor1), node_of(tensor2), operand(op, value, x)))

    return function(inplace=True, name=name)(named(f, name, doc))


addcmul = _fused("addcmul", blend.addcmul, "``input + value * tensor1 * tensor2``.")
addcdiv = _fused("addcdiv", blend.addcdiv, "``input + value * tensor1 / tensor2``.")


# ---------------------------------------------------------------- comparing tensors
@function()
def isclose(input: Tensor, other: Tensor, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False) -> Tensor:
    """Elementwise ``|input - other| <= atol + rtol * |other|``; equal infinities are close, NaNs only with `equal_nan`."""
    check_tensor("isclose", "other", 2, other)
    if input.dtype is not other.dtype:
        raise RuntimeError(f"{title(input.dtype)} did not match {title(other.dtype)}")
    for name, bound in (("rtol", rtol), ("atol", atol)):
        if not bound >= 0:
            raise RuntimeError(f"{name} must be greater than or equal to zero, but got {bound:g}")
    a, b = node_of(input), node_of(other)
    close = logic.eq(a, b)
    if equal_nan and input.dtype.category >= dtypes.FLOAT:
        close = logic.logical_or(close, logic.logical_and(logic.isnan(a), logic.isnan(b)))
    if rtol == 0 and atol == 0:
        return wrap(close)
    d = dtypes.float64 if input.dtype.category < dtypes.FLOAT else input.dtype
    a, b = to(a, d), to(b, d)
    gap = basic.abs_(a - b)  # type: ignore[operator]
    near = logic.le(gap, basic.abs_(b * rtol) + atol)  # type: ignore[operator]
    return wrap(logic.logical_or(close, logic.logical_and(ops.isfinite(gap), near)))


@function()
def allclose(input: Tensor, other: Tensor, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False) -> bool:
    """Whether all elements are close, see `isclose`."""
    return bool(isclose(input, other, rtol, atol, equal_nan).all())


@function()
def equal(input: Tensor, other: Tensor) -> bool:
    """Whether two tensors have the same shape and the same elements."""
    check_tensor("equal", "other", 2, other)
    if tuple(input.shape) != tuple(other.shape):
        return False
    return bool(binary(logic.eq, input, other).all())  # type: ignore[attr-defined]
