"""Activation functions of torch.nn.functional, and those that torch also has at top level and as methods.

Elementwise unless said otherwise.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ... import dtypes
from ...asg.declare import get
from ...asg.trace import current
from ...ops import activation as ops
from ...ops.formula import refuse, title
from ...rng.uniform import uniform64
from ..core import Tensor, binary, nary, plain, unary
from ..held import value_of
from ..register import apply_inplace, checked, function, named
from ..steps import note, note_write, step
from .creation import of_values
from .pointwise import abs as _abs
from .streams import engine_of
from .views import wrap_dim

SELU_ALPHA, SELU_SCALE = (
    1.6732632423543772848170429916717,
    1.0507009873554804934193349852946,
)  # Klambauer et al. (2017), "Self-normalizing neural networks"


def apply(op: Any, input: Tensor, inplace: bool, *attrs: Any) -> Tensor:
    """``op(input, *attrs)``, written into `input` if `inplace`."""
    if not isinstance(input, Tensor):
        raise TypeError(f"{op.name}(): argument 'input' (position 1) must be Tensor, not {type(input).__name__}")
    return apply_inplace(input, lambda x: unary(op, x, *attrs), fills=op is ops.threshold) if inplace else unary(op, input, *attrs)


#: what PyTorch adds to the refusal of a gradient through a negative slope that was written over its operand
_LEAKY = (
    "leakyReLu",
    " File an issue at https://github.com/pytorch/pytorch if you do require supporting in-place leakRelu backward calculation with "
    "negative slope",
)
_ELU = "elu", ""


def _sloped(op: Any, input: Tensor, inplace: bool, texts: tuple[str, str], step: str, *attrs: Any) -> Tensor:
    """`apply` for operations whose first attribute is a slope below zero. `step`: the name in a history of what is written in place."""
    if not inplace or not isinstance(input, Tensor):
        return apply(op, input, inplace, *attrs)
    keeps = attrs[0] >= 0
    found = apply_inplace(input, lambda x: unary(op, x, *attrs) if keeps else unary(ops.overwritten_slope, unary(op, x, *attrs), *texts))
    note_write(found, step)
    return found


def _also(name: str, method: bool = False, inplace: bool = True) -> Any:
    """Register a function under the name it has at top level, too."""
    return function(name=name, method=method, inplace=inplace)


# ---------------------------------------------------------------- piecewise linear
def relu(input: Tensor, inplace: bool = False) -> Tensor:
    """max(input, 0)."""
    return apply_inplace(input, lambda x: unary(ops.relu, x)) if inplace else plain(ops.relu, input)


@_also("relu", method=True)
def _relu(input: Tensor) -> Tensor:
    """max(input, 0)."""
    return plain(ops.relu, input)


@checked
def relu6(input: Tensor, inplace: bool = False) -> Tensor:
    """min(max(input, 0), 6)."""
    return apply(ops.hardtanh, input, inplace, 0.0, 6.0)


@checked
def hardtanh(input: Tensor, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> Tensor:
    """`input` limited to the range from `min_val` to `max_val`; the gradient is zero at and beyond the bounds."""
    if min_val > max_val:
        raise ValueError("min_val cannot be greater than max_val")
    return apply(ops.hardtanh, input, inplace, float(min_val), float(max_val))


@checked
def leaky_relu(input: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    """`input` where positive, else ``negative_slope * input``."""
    return _sloped(ops.leaky_relu, input, inplace, _LEAKY, "LeakyReluBackward1", float(negative_slope))


@checked
def threshold(input: Tensor, threshold: float, value: float, inplace: bool = False) -> Tensor:
    """`input` where it is above `threshold`, else `value`."""
    return apply(ops.threshold, input, inplace, float(threshold), float(value))


@_also("threshold")
def _threshold(input: Tensor, threshold: float, value: float, *, out: Tensor | None = None) -> Tensor:
    """`input` where it is above `threshold`, else `value`."""
    return apply(ops.threshold, input, False, float(threshold), float(value))


@function(inplace=False)
def hardshrink(input: Tensor, lambd: float = 0.5, *, out: Tensor | None = None) -> Tensor:
    """`input` outside [-lambd, lambd], zero inside: bounds in the type of `input`, as in PyTorch."""
    d = input.dtype
    if d.is_floating_point and d.itemsize == 2:
        lambd = dtypes.load(dtypes.store(lambd, d), d).item()
    return unary(ops.hardshrink, input, float(lambd))


@checked
def softshrink(input: Tensor, lambd: float = 0.5) -> Tensor:
    """`input` moved towards zero by `lambd`; zero inside [-lambd, lambd]."""
    if not input.dtype.is_floating_point:
        raise refuse("softshrink_check", input.dtype)
    if not 0 <= lambd <= dtypes.finfo(input.dtype).max:
        limit = f"[0, {dtypes.finfo(input.dtype).max:g}]"
        raise RuntimeError(f"lambda must be in range {limit} for input dtype {title(input.dtype)}, but found {lambd:g}")
    return unary(ops.softshrink, input, float(lambd))


@checked
def hardsigmoid(input: Tensor, inplace: bool = False) -> Tensor:
    """min(max(input + 3, 0), 6) / 6."""
    return apply(ops.hardsigmoid, input, inplace)


@checked
def hardswish(input: Tensor, inplace: bool = False) -> Tensor:
    """``input * hardsigmoid(input)``; Howard et al. (2019), "Searching for MobileNetV3"."""
    return apply(ops.hardswish, input, inplace)


# ---------------------------------------------------------------- smooth
@checked
def gelu(input: Tensor, approximate: str = "none") -> Tensor:
    """``input * Phi(input)`` with the normal distribution function, or its "tanh" approximation."""
    if approximate not in ("none", "tanh"):
        raise RuntimeError("approximate argument must be either none or tanh.")
    return plain(ops.gelu if approximate == "none" else ops.gelu_tanh, input)


@checked
def silu(input: Tensor, inplace: bool = False) -> Tensor:
    """``input * sigmoid(input)``."""
    if isinstance(input, Tensor) and input.dtype.is_complex:
        if input.requires_grad and current().grad:
            raise RuntimeError("silu does not support automatic differentiation for outputs with complex dtype.")
        product = unary(get("sigmoid"), input) * input  # type: ignore[operator]
        return input.copy_(product) if inplace else product  # type: ignore[attr-defined, no-any-return]
    return apply(ops.silu, input, inplace)


@checked
def mish(input: Tensor, inplace: bool = False) -> Tensor:
    """``input * tanh(softplus(input))``; Misra (2019)."""
    return apply(ops.mish, input, inplace)


@checked
def softplus(input: Tensor, beta: float = 1, threshold: float = 20) -> Tensor:
    """``log(1 + exp(beta * input)) / beta``; `input` itself where ``beta * input > threshold``."""
    return unary(ops.softplus, input, float(beta), float(threshold))


@checked
def logsigmoid(input: Tensor) -> Tensor:
    """``log(sigmoid(input))``, exact for large negative values."""
    return unary(ops.logsigmoid, input)


@checked
def elu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """`input` where positive, else ``alpha * (exp(input) - 1)``; Clevert et al. (2015)."""
    return _sloped(ops.elu, input, inplace, _ELU, "EluBackward1", float(alpha), 1.0, 1.0)


@checked
def selu(input: Tensor, inplace: bool = False) -> Tensor:
    """Scaled ELU with the constants that keep mean 0 and variance 1; Klambauer et al. (2017)."""
    return _sloped(ops.elu, input, inplace, _ELU, "EluBackward1", SELU_ALPHA, SELU_SCALE, 1.0)


@_also("selu")
def _selu(input: Tensor) -> Tensor:
    """Scaled ELU with the constants that keep mean 0 and variance 1."""
    return selu(input)


@checked
@step(lambda input, alpha=1.0, inplace=False: f"CeluBackward{int(inplace)}")
def celu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """``max(0, x) + min(0, alpha * (exp(x / alpha) - 1))``; Barron (2017)."""
    if alpha == 0:
        raise RuntimeError("ZeroDivisionError: alpha cannot be 0 for CELU")
    return _sloped(ops.elu, input, inplace, _ELU, "CeluBackward1", float(alpha), 1.0, 1.0 / alpha)


@_also("celu")
def _celu(input: Tensor, alpha: float = 1.0) -> Tensor:
    """``max(0, x) + min(0, alpha * (exp(x / alpha) - 1))``."""
    return celu(input, alpha)


@checked
def softsign(input: Tensor) -> Tensor:
    """``input / (1 + |input|)``."""
    if input.dtype is dtypes.bool_:
        raise refuse("abs_cpu", input.dtype)
    return input / (_abs(input) + 1)  # type: ignore[operator, no-any-return]


def tanhshrink(input: Tensor) -> Tensor:
    """``input - tanh(input)``."""
    return input - input.tanh()  # type: ignore[operator, attr-defined, no-any-return]


def sigmoid(input: Tensor) -> Tensor:
    """1 / (1 + exp(-input))."""
    return input.sigmoid()  # type: ignore[attr-defined, no-any-return]


def tanh(input: Tensor) -> Tensor:
    """The hyperbolic tangent."""
    return input.tanh()  # type: ignore[attr-defined, no-any-return]


@checked
def glu(input: Tensor, dim: int = -1) -> Tensor:
    """``a * sigmoid(b)`` with `a` and `b` the two halves of `input` along `dim`; Dauphin et al. (2017)."""
    if not input.shape:
        raise RuntimeError("glu does not support scalars because halving size must be even")
    d = wrap_dim(dim, len(input.shape))
    if input.shape[d] % 2:
        raise RuntimeError(f"Halving dimension must be even, but dimension {d} is size {input.shape[d]}")
    return unary(ops.glu, input, d)


# ---------------------------------------------------------------- with a learned or random slope
@function(inplace=False)
def prelu(input: Tensor, weight: Tensor) -> Tensor:
    """`input` where positive, else ``weight * input``; one weight, or one for each channel (dimension 1). He et al. (2015)."""
    rank = len(weight.shape)
    if rank > 1:
        raise RuntimeError(f"prelu: Expected `weight` to be a scalar or 1D tensor, but got: ndim = {rank}")
    count = weight.shape.numel()
    if count == 1:
        return binary(ops.prelu, input, weight.reshape(()) if rank else weight)  # type: ignore[attr-defined]
    if not input.shape:
        raise RuntimeError("Not allow zero-dim input tensor.")
    channels = input.shape[1] if len(input.shape) > 1 else 1
    if count != channels:
        raise RuntimeError(
            f"Mismatch of parameter numbers and input channel size. Found parameter numbers = {count} and channel size = {channels}."
        )
    return binary(ops.prelu, input, weight.reshape((-1,) + (1,) * (len(input.shape) - 2)))  # type: ignore[attr-defined]


@checked
def rrelu(input: Tensor, lower: float = 1.0 / 8, upper: float = 1.0 / 3, training: bool = False, inplace: bool = False) -> Tensor:
    """`input` where positive, else scaled by a slope: while training drawn from [lower, upper) for each element, otherwise their mean.

    Xu et al. (2015).
    """
    _check_slopes(lower, upper)
    return _with_slopes(input, lower, upper, training, inplace, None)


def _check_slopes(lower: float, upper: float) -> None:
    for name, bound in (("lower", lower), ("upper", upper)):
        if not math.isfinite(bound):
            raise RuntimeError(f"rrelu: {name} bound must be finite, got {bound:g}")
    if lower > upper:
        raise RuntimeError("Lower bound should be less than or equal to the upper bound")


def _with_slopes(input: Tensor, lower: float, upper: float, training: bool, inplace: bool, generator: Any) -> Tensor:
    if training:
        slopes = _drawn_slopes(input, lower, upper, generator)
        if inplace:
            found = apply_inplace(input, lambda x: nary(ops.prelu, (x, slopes)))
        else:  # PyTorch fills a new tensor, row by row
            found = nary(ops.prelu, (input.contiguous(), slopes))  # type: ignore[attr-defined]
    else:
        found = leaky_relu(input, (lower + upper) / 2, inplace)
    note(found, f"RreluWithNoiseBackward{int(inplace)}")
    if inplace:
        note_write(found, "RreluWithNoiseBackward1")
    return found


def _drawn_slopes(input: Tensor, lower: float, upper: float, generator: Any) -> Tensor:
    """One slope for every element that is not positive, drawn row by row as PyTorch does; one elsewhere."""

    def drawn() -> np.ndarray[Any, Any]:
        values = value_of(input)
        slopes = np.ones(values.shape, np.float64)
        falls = values <= 0
        low, high = (float(input.dtype.compute.type(bound)) for bound in (lower, upper))  # PyTorch rounds the bounds, draws, and rounds
        slopes[falls] = uniform64(engine_of(generator), int(falls.sum())) * (high - low) + low
        return slopes.astype(input.dtype.compute)

    return of_values(input.shape, input.dtype, input.device, drawn)


@_also("rrelu")
def _rrelu(input: Tensor, lower: float = 1.0 / 8, upper: float = 1.0 / 3, training: bool = False, generator: Any = None) -> Tensor:
    """`input` where positive, else scaled by a (while training random) slope."""
    _check_slopes(lower, upper)
    return _with_slopes(input, lower, upper, training, False, generator)


# ---------------------------------------------------------------- in-place forms of torch.nn.functional
def _written(fn: Any, name: str) -> Any:
    def written(input: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        return fn(input, *args, inplace=True, **kwargs)  # type: ignore[no-any-return]

    named(written, name, f"In-place version of `{fn.__name__}`.")
    return written


relu_, elu_, celu_, selu_ = _written(relu, "relu_"), _written(elu, "elu_"), _written(celu, "celu_"), _written(selu, "selu_")
hardtanh_, leaky_relu_, threshold_, rrelu_ = (
    _written(hardtanh, "hardtanh_"),
    _written(leaky_relu, "leaky_relu_"),
    _written(threshold, "threshold_"),
    _written(rrelu, "rrelu_"),
)
