"""Elementwise arithmetic, comparison and logic, as functions, methods, operators and in-place operations."""

from __future__ import annotations

from typing import Any

import numpy as np

from ... import dtypes, notices
from ...errors import Unsupported
from ...formats import strided
from ...ops import division, logic
from ...ops import pointwise as ops
from ...ops.blend import add_scaled
from ...ops.formula import refuse
from ...ops.promotion import title
from ..autocast import governed
from ..core import Tensor, binary, nary, node_of, operand, rbinary, unary, wrap
from ..misfits import combination
from ..refusals import check_divisor
from ..register import function, named
from ..steps import keeping, step

_NUMBERS = (int, float, bool, complex)


def _is_operand(x: Any) -> bool:
    return isinstance(x, Tensor) or x.__class__ in _NUMBERS or isinstance(x, (int, float, complex, np.number, np.bool_))


def _either(op: Any, a: Any, b: Any, name: str = "") -> Tensor:
    """``op(a, b)``. TypeError for two numbers, if it is the function `name` that takes no such."""
    if isinstance(a, Tensor):
        return binary(op, a, b)
    if isinstance(b, Tensor):
        return rbinary(op, b, a)
    if name:
        raise _no_tensor(name, a, b)
    from .creation import tensor

    return binary(op, tensor(a), b)


def _with_tensor(op: Any, a: Any, b: Any, name: str) -> Tensor:
    """``op(a, b)``. TypeError if `a` is a number: the function takes one as its second operand only."""
    if isinstance(a, Tensor):
        return binary(op, a, b)
    raise _no_tensor(name, a, b)


def _no_tensor(name: str, a: Any, b: Any) -> Exception:
    return combination(name, (a, b), {}, ", but expected (Tensor input, Tensor other) or (Tensor input, Number other)")


def _scaled(input: Any, other: Any, alpha: Any) -> Any:
    """``alpha * other``, to be added to `input`. RuntimeError if the sum is of a type that cannot hold `alpha`."""
    if alpha.__class__ is int:
        if alpha == 1:
            return other
        plain = other.dtype is not dtypes.bool_ if isinstance(other, Tensor) else other.__class__ is not bool
    else:
        plain = isinstance(other, Tensor) and alpha.__class__ is float and other.dtype.is_floating_point and _same_type(input, other)
    if not plain and alpha.__class__ in _NUMBERS:
        other, alpha = _in_common(input, other, alpha)
    if isinstance(other, Tensor):
        try:
            return binary(ops.mul, other, alpha)
        except Unsupported:  # a sparse one, which scales itself
            return other * alpha
    return other * alpha if other.__class__ is not bool or alpha.__class__ is not bool else other and alpha


def scaled_sum(input: Any, other: Any, alpha: Any) -> bool:
    """Whether ``input + alpha * other`` is rounded once, by one operation: of real tensors of one type."""
    return (
        (alpha.__class__ is float or (alpha.__class__ is int and alpha != 1))
        and isinstance(input, Tensor)
        and isinstance(other, Tensor)
        and input.dtype is other.dtype
        and input.dtype.is_floating_point
        and input.layout is other.layout is strided  # type: ignore[attr-defined]
    )


def _sum(input: Any, other: Any, alpha: Any, minus: bool, name: str = "") -> Tensor:
    if scaled_sum(input, other, alpha):
        x = node_of(input)
        return wrap(add_scaled(x, node_of(other), operand(add_scaled, alpha, x), minus))
    return _either(ops.sub if minus else ops.add, input, _scaled(input, other, alpha), name)


def _same_type(input: Any, other: Tensor) -> bool:
    return isinstance(input, Tensor) and input.dtype is other.dtype


def _in_common(input: Any, other: Any, alpha: Any) -> tuple[Any, Any]:
    """`other` and `alpha` in the type of the sum with `input`."""
    from .misc import result_type

    d = result_type(input, other)
    if alpha.__class__ is bool and d is not dtypes.bool_:
        raise RuntimeError("Boolean alpha only supported for Boolean results.")
    if alpha.__class__ in (float, complex) and d.category < dtypes.FLOAT:
        raise RuntimeError("For integral input tensors, argument alpha must not be a floating point number.")
    if alpha.__class__ is complex and not d.is_complex:
        raise RuntimeError("For non-complex input tensors, argument alpha must not be a complex number.")
    return other.to(d) if isinstance(other, Tensor) else other, bool(alpha) if d is dtypes.bool_ else alpha  # type: ignore[attr-defined]


@function()
def add(input: Any, other: Any, *, alpha: Any = 1, out: Tensor | None = None) -> Tensor:
    """``input + alpha * other``."""
    return _sum(input, other, alpha, False)


@function(aliases=("subtract",))
def sub(input: Any, other: Any, *, alpha: Any = 1, out: Tensor | None = None) -> Tensor:
    """``input - alpha * other``."""
    return _sum(input, other, alpha, True)


@function()
@step(lambda input, other, **_: "RsubBackward0" if isinstance(other, Tensor) else "RsubBackward1")
def rsub(input: Tensor, other: Any, *, alpha: Any = 1) -> Tensor:
    """``other - alpha * input``."""
    if not isinstance(input, Tensor):
        raise _no_tensor("rsub", input, other)
    return _sum(other, input, alpha, True, "rsub")


@function(aliases=("multiply",))
def mul(input: Any, other: Any, *, out: Tensor | None = None) -> Tensor:
    """``input * other``."""
    return _either(ops.mul, input, other)


_ROUNDED = {None: ops.div, "floor": division.floor_divide, "trunc": division.trunc_divide}
#: divisions that integers by zero have no result of
_WHOLE = (division.floor_divide, division.trunc_divide, division.remainder, division.fmod)


@function(inplace=True, aliases=("divide",))
def div(input: Any, other: Any, *, rounding_mode: str | None = None, out: Tensor | None = None) -> Tensor:
    """``input / other``, rounded towards zero or down if `rounding_mode` says so ("trunc", "floor")."""
    if rounding_mode not in _ROUNDED:
        raise RuntimeError(f"div expected rounding_mode to be one of None, 'trunc', or 'floor' but found '{rounding_mode}'")
    found = _either(_ROUNDED[rounding_mode], input, other)
    return found if rounding_mode is None else check_divisor(found, other)


@function(inplace=True)
def true_divide(input: Any, other: Any, *, out: Tensor | None = None) -> Tensor:
    """``input / other``."""
    return _either(ops.div, input, other)


def _two(
    name: str, op: Any, doc: str, inplace: bool = True, aliases: tuple[str, ...] = (), numbers: bool = True, first: bool = False
) -> Any:
    """Register a plain function of two operands. `numbers`: the second may be one, with `first` the first, too."""

    def f(input: Any, other: Any, *, out: Tensor | None = None) -> Tensor:
        if not numbers and not isinstance(other, Tensor):
            raise TypeError(f"{name}(): argument 'other' must be Tensor, not {type(other).__name__}")
        found = apply(op, input, other, alone)
        return check_divisor(found, other) if whole else found

    whole = op in _WHOLE
    alone = "" if op is division.floor_divide else name
    apply = _either if first else _with_tensor
    named(f, name, doc)
    if not numbers:
        f.__annotations__["other"] = "Tensor"
    return function(inplace=inplace, aliases=aliases, name=name)(f)


floor_divide = _two("floor_divide", division.floor_divide, "``input / other``, rounded down.", first=True)
remainder = _two("remainder", division.remainder, "The remainder of division with the sign of the divisor (as Python's %).", first=True)
fmod = _two("fmod", division.fmod, "The remainder of division with the sign of the dividend (as C's fmod).")
pow = _two("pow", ops.pow_, "``input ** other``.", first=True)
eq = _two("eq", logic.eq, "Elementwise equality.")
ne = _two("ne", logic.ne, "Elementwise inequality.", aliases=("not_equal",))
lt = _two("lt", logic.lt, "Elementwise ``input < other``.", aliases=("less",))
le = _two("le", logic.le, "Elementwise ``input <= other``.", aliases=("less_equal",))
gt = _two("gt", logic.gt, "Elementwise ``input > other``.", aliases=("greater",))
ge = _two("ge", logic.ge, "Elementwise ``input >= other``.", aliases=("greater_equal",))
logical_and = _two("logical_and", logic.logical_and, "Elementwise logical and.", numbers=False)
logical_or = _two("logical_or", logic.logical_or, "Elementwise logical or.", numbers=False)
logical_xor = _two("logical_xor", logic.logical_xor, "Elementwise exclusive or.", numbers=False)
bitwise_and = _two("bitwise_and", logic.bitwise_and, "Bitwise and of integers; logical and of booleans.", first=True)
bitwise_or = _two("bitwise_or", logic.bitwise_or, "Bitwise or of integers; logical or of booleans.", first=True)
bitwise_xor = _two("bitwise_xor", logic.bitwise_xor, "Bitwise exclusive or.", first=True)
bitwise_left_shift = _two("bitwise_left_shift", logic.shift_left, "``input << other``.", first=True)
bitwise_right_shift = _two("bitwise_right_shift", logic.shift_right, "``input >> other``.", first=True)
maximum = _two("maximum", ops.maximum, "The larger of two elements; NaN wins.", inplace=False, numbers=False)
minimum = _two("minimum", ops.minimum, "The smaller of two elements; NaN wins.", inplace=False, numbers=False)
fmax = _two("fmax", ops.fmax, "The larger of two elements; a number wins over NaN.", inplace=False, numbers=False)
fmin = _two("fmin", ops.fmin, "The smaller of two elements; a number wins over NaN.", inplace=False, numbers=False)


def _one(name: str, op: Any, doc: str, inplace: bool = True, aliases: tuple[str, ...] = ()) -> Any:
    """Register a plain function of one operand."""

    def f(input: Tensor, *, out: Tensor | None = None) -> Tensor:
        if not isinstance(input, Tensor):
            raise TypeError(f"{name}(): argument 'input' (position 1) must be Tensor, not {type(input).__name__}")
        return unary(op, input)

    return function(inplace=inplace, aliases=aliases, name=name)(named(f, name, doc))


neg = _one("neg", ops.neg, "``-input``.", aliases=("negative",))
reciprocal = _one("reciprocal", ops.reciprocal, "``1 / input``.")
abs = _one("abs", ops.abs_, "The absolute value.", aliases=("absolute",))


@function(inplace=True)
def sign(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """-1, 0 or 1 by the sign of a real number."""
    if input.dtype.is_complex:
        raise NotImplementedError("Unlike NumPy, torch.sign is not intended to support complex numbers. Please use torch.sgn instead.")
    return unary(ops.sign, input)


exp = _one("exp", ops.exp, "e to the power of `input`.")
exp2 = _one("exp2", ops.exp2, "Two to the power of `input`.")
expm1 = _one("expm1", ops.expm1, "``exp(input) - 1``, exact near zero.")
log = _one("log", ops.log, "The natural logarithm.")
log1p = _one("log1p", ops.log1p, "``log(1 + input)``, exact near zero.")
log2 = _one("log2", ops.log2, "The logarithm to base 2.")
log10 = _one("log10", ops.log10, "The logarithm to base 10.")
sqrt = _one("sqrt", ops.sqrt, "The square root.")
rsqrt = _one("rsqrt", ops.rsqrt, "One over the square root.")
floor = _one("floor", ops.floor, "The largest integer not above.")
ceil = _one("ceil", ops.ceil, "The smallest integer not below.")
trunc = _one("trunc", ops.trunc, "The integer part.", aliases=("fix",))
isnan = _one("isnan", logic.isnan, "Whether an element is NaN.", inplace=False)
isinf = _one("isinf", logic.isinf, "Whether an element is infinite.", inplace=False)
logical_not = _one("logical_not", logic.logical_not, "Elementwise negation of truth.")
bitwise_not = _one("bitwise_not", logic.bitwise_not, "Bitwise complement of integers; negation of booleans.")


@function(inplace=True)
def square(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """``input * input``."""
    return binary(ops.pow_, input, 2)


#: `decimals` where none are given: integers are rounded only then
_UNSAID = -(1 << 62)


@function(inplace=True)
@step(lambda input, *, decimals=None, **_: None if decimals is None else "RoundBackward1")
def round(input: Tensor, *, decimals: int = _UNSAID, out: Tensor | None = None) -> Tensor:
    """Round half to even, to `decimals` places; integers are only rounded without them."""
    if decimals == _UNSAID:
        return unary(ops.round_, input)
    if input.dtype.category < dtypes.FLOAT:
        raise refuse("round_cpu" if decimals else "round_vml_cpu", input.dtype)
    if decimals == 0:
        return unary(ops.round_, input)
    scale = 10.0 ** builtin_abs(decimals)
    up, down = (ops.mul, ops.div) if decimals > 0 else (ops.div, ops.mul)
    return binary(down, unary(ops.round_, binary(up, input, scale)), scale)


builtin_abs = __builtins__["abs"] if isinstance(__builtins__, dict) else __builtins__.abs


@function(method=False)
def where(condition: Tensor, input: Any = None, other: Any = None, *, out: Tensor | None = None) -> Any:
    """`input` where `condition` holds, else `other`; with the condition alone, the indices where it holds."""
    if input is None and other is None:
        return condition.nonzero(as_tuple=True)  # type: ignore[attr-defined]
    if condition.dtype is not dtypes.bool_:
        if condition.dtype is not dtypes.uint8:
            raise RuntimeError(f"where expected condition to be a boolean tensor, but got a tensor with dtype {title(condition.dtype)}")
        notices.once(notices.WHERE_UINT8)
        condition = condition.bool()  # type: ignore[attr-defined]
    return nary(ops.where, (condition, input, other))


def _where_method(self: Tensor, condition: Tensor, other: Any) -> Tensor:
    """This tensor where `condition` holds, else `other`."""
    return where(condition, self, other)  # type: ignore[no-any-return]


Tensor.where = _where_method  # type: ignore[attr-defined]


@function(inplace=True)
def masked_fill(input: Tensor, mask: Tensor, value: Any) -> Tensor:
    """`input` with `value` where `mask` (bool, broadcastable) is True."""
    n = node_of(value) if isinstance(value, Tensor) else operand(ops.masked_fill, value, node_of(input))
    return wrap(ops.masked_fill(node_of(input), node_of(mask), n))


@function(inplace=True, aliases=("clip",))
@step(lambda input, min=None, max=None, **_: f"ClampBackward{0 if isinstance(min, Tensor) or isinstance(max, Tensor) else 1}")
def clamp(input: Tensor, min: Any = None, max: Any = None, *, out: Tensor | None = None) -> Tensor:
    """`input` limited to the range from `min` to `max` (numbers or tensors, either may be None)."""
    if min is None and max is None:
        raise RuntimeError("torch.clamp: At least one of 'min' or 'max' must not be None")
    low = input if min is None else binary(ops.clamp_min, input, min)
    found = low if max is None else binary(ops.clamp_max, low, max)
    return keeping(found, (input, min, max)) if isinstance(min, Tensor) or isinstance(max, Tensor) else found  # type: ignore[no-any-return]


@function(inplace=True)
def clamp_min(input: Tensor, min: Any, *, out: Tensor | None = None) -> Tensor:
    """`input`, but at least `min`."""
    return binary(ops.clamp_min, input, min)


@function(inplace=True)
def clamp_max(input: Tensor, max: Any, *, out: Tensor | None = None) -> Tensor:
    """`input`, but at most `max`."""
    return binary(ops.clamp_max, input, max)


# ---------------------------------------------------------------- operators
_COMMUTING = ("add", "mul", "and", "or", "xor")


def _operator(name: str, op: Any) -> None:
    def forward(self: Tensor, other: Any) -> Any:
        return binary(op, self, other) if isinstance(other, Tensor) or _is_operand(other) else NotImplemented

    def backward(self: Tensor, other: Any) -> Any:
        if isinstance(other, Tensor) and name in _COMMUTING:  # only by a call of the method itself
            return binary(op, self, other)
        return rbinary(op, self, other) if _is_operand(other) else NotImplemented

    def multiple(self: Tensor, other: Any) -> Any:  # as PyTorch computes it, rounded twice
        return binary(ops.mul, unary(ops.reciprocal, self), other) if _is_operand(other) else NotImplemented

    def quotient(self: Tensor, other: Any) -> Any:
        return check_divisor(binary(op, self, other), other) if isinstance(other, Tensor) or _is_operand(other) else NotImplemented

    def reversed_quotient(self: Tensor, other: Any) -> Any:
        return check_divisor(rbinary(op, self, other), self) if _is_operand(other) else NotImplemented

    whole = op in _WHOLE
    setattr(Tensor, f"__{name}__", governed(quotient if whole else forward, name))
    setattr(Tensor, f"__r{name}__", governed(reversed_quotient if whole else multiple if name == "truediv" else backward, name))


for _name, _op in (
    ("add", ops.add),
    ("sub", ops.sub),
    ("mul", ops.mul),
    ("truediv", ops.div),
    ("floordiv", division.floor_divide),
    ("mod", division.remainder),
    ("pow", ops.pow_),
    ("and", logic.bitwise_and),
    ("or", logic.bitwise_or),
    ("xor", logic.bitwise_xor),
    ("lshift", logic.shift_left),
    ("rshift", logic.shift_right),
):
    _operator(_name, _op)


def _compare(name: str, op: Any) -> None:
    def compare(self: Tensor, other: Any) -> Any:
        return binary(op, self, other) if isinstance(other, Tensor) or (other is not None and _is_operand(other)) else NotImplemented

    setattr(Tensor, f"__{name}__", compare)


for _name, _op in (("eq", logic.eq), ("ne", logic.ne), ("lt", logic.lt), ("le", logic.le), ("gt", logic.gt), ("ge", logic.ge)):
    _compare(_name, _op)
Tensor.__hash__ = object.__hash__  # type: ignore[method-assign]
Tensor.__neg__ = lambda self: unary(ops.neg, self)  # type: ignore[attr-defined]
Tensor.__pos__ = lambda self: self  # type: ignore[attr-defined]
Tensor.__abs__ = lambda self: unary(ops.abs_, self)  # type: ignore[attr-defined]


def _invert(self: Tensor) -> Tensor:
    if self.dtype.category > dtypes.INTEGER:
        raise TypeError("~ (operator.invert) is only implemented on integer and Boolean-type tensors")
    return unary(logic.bitwise_not, self)


Tensor.__invert__ = _invert  # type: ignore[attr-defined]
for _name, _fn in (
    ("truediv", "div_"),
    ("floordiv", "floor_divide_"),
    ("mod", "remainder_"),
    ("pow", "pow_"),
    ("and", "bitwise_and_"),
    ("or", "bitwise_or_"),
    ("xor", "bitwise_xor_"),
    ("lshift", "bitwise_left_shift_"),
    ("rshift", "bitwise_right_shift_"),
):
    setattr(Tensor, f"__i{_name}__", getattr(Tensor, _fn))
