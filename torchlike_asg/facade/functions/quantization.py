"""Fake quantisation, which quantisation-aware training is made of. Tensors of quantised types are not here."""

from __future__ import annotations

from typing import Any

import numpy as np

from ... import dtypes
from ...ops.formula import refuse, title
from ...ops.quantization import fake_quantize
from ..core import Tensor, nary
from ..held import value_of
from ..misfits import combination
from ..register import function
from ..steps import step
from .creation import from_array
from .views import wrap_dim

_COUNTERS = (dtypes.int32, dtypes.float32, dtypes.float16)


def _faked(x: Tensor, scale: Tensor, point: Tensor, lo: int, hi: int) -> Tensor:
    """Computed in float32 (float64 for doubles), but for the inverse of the scale, which PyTorch's kernels round to float32."""
    wide = dtypes.float64 if x.dtype is dtypes.float64 else dtypes.float32
    scale = scale.to(dtypes.float32)  # type: ignore[attr-defined]
    operands = [t.to(wide) for t in (x, scale, scale.reciprocal(), point)]  # type: ignore[attr-defined]
    between = point.dtype.is_floating_point
    return nary(fake_quantize, operands, lo, hi, between).to(x.dtype)  # type: ignore[attr-defined, no-any-return]


def _is_number(value: Any) -> bool:
    """Whether it is a number, or a tensor of no dimensions and without gradients, which stands for one."""
    if isinstance(value, Tensor):
        return not value.shape and not value.requires_grad
    return isinstance(value, int | float | np.number) and not isinstance(value, bool)


def _of_tensors(scale: Any, zero_point: Any) -> str:
    return "TensorQparams" if isinstance(scale, Tensor) and isinstance(zero_point, Tensor) else ""


def _check_limits(quant_min: int, quant_max: int) -> None:
    if quant_min > quant_max:
        raise RuntimeError("`quant_min` should be less than or equal to `quant_max`.")


def _check_points(points: Any, quant_min: int, quant_max: int) -> None:
    if points.size and (points.min() < quant_min or points.max() > quant_max):
        raise RuntimeError("`zero_point` must be between `quant_min` and `quant_max`.")


def _no_gradient(name: str, scale: Tensor) -> None:
    if scale.requires_grad:
        raise RuntimeError(
            f"The function '{name}' is not differentiable with respect to argument 'scale'. This input cannot have requires_grad True."
        )


@function(method=False)
@step(lambda input, scale, zero_point, *_, **__: f"FakeQuantizePerTensorAffineCachemask{_of_tensors(scale, zero_point)}Backward0")
def fake_quantize_per_tensor_affine(input: Tensor, scale: Any, zero_point: Any, quant_min: int, quant_max: int) -> Tensor:
    """``(clamp(round(input / scale) + zero_point, quant_min, quant_max) - zero_point) * scale``, of the shape and type of `input`.

    `scale` and `zero_point` are numbers, or tensors of one element. The gradient passes where the rounded value was within the limits, and
    is zero elsewhere (Jacob et al., 2018).

    Raises:
        RuntimeError: limits in the wrong order, a number as `zero_point` outside them, a scale that requires a gradient.
        NotImplementedError: `input` is not of a floating type.
    """
    tensors = isinstance(scale, Tensor) and isinstance(zero_point, Tensor)
    if not tensors and not (_is_number(scale) and _is_number(zero_point) and float(zero_point).is_integer()):
        why = ": numbers for both, of which the second is an integer, or tensors"
        raise combination("fake_quantize_per_tensor_affine", (input, scale, zero_point, quant_min, quant_max), {}, why)
    _check_limits(quant_min, quant_max)
    if not input.dtype.is_floating_point:
        raise refuse("fake_quantize_tensor_cachemask_kernel_type_handling", input.dtype)
    if not tensors:
        _check_points(np.asarray(int(zero_point)), quant_min, quant_max)
        scale = from_array(np.asarray(float(scale), np.float32), dtypes.float32)
        zero_point = from_array(np.asarray(int(zero_point), np.int64), dtypes.int64)
    else:
        _no_gradient("_fake_quantize_per_tensor_affine_cachemask_tensor_qparams", scale)
        for t in (scale, zero_point):
            if t.shape.numel() != 1:
                raise RuntimeError(f"a Tensor with {t.shape.numel()} elements cannot be converted to Scalar")
        scale, zero_point = scale.reshape(()), zero_point.reshape(()).to(dtypes.int64)
    found = _faked(input, scale, zero_point, quant_min, quant_max)
    return found.to(dtypes.float32).to(found.dtype)  # type: ignore[attr-defined, no-any-return]  # so does PyTorch's kernel with doubles


@function(method=False)
@step("FakeQuantizePerChannelAffineCachemaskBackward0")
def fake_quantize_per_channel_affine(input: Tensor, scale: Tensor, zero_point: Tensor, axis: int, quant_min: int, quant_max: int) -> Tensor:
    """`fake_quantize_per_tensor_affine` with a scale and a zero point for each place of dimension `axis`, which are vectors of its length.

    Raises:
        RuntimeError: vectors of another length or type, limits in the wrong order, an integer zero point outside them.
        NotImplementedError: `input` is not of a floating type.
    """
    _no_gradient("fake_quantize_per_channel_affine_cachemask", scale)
    if scale.dtype not in (dtypes.float32, dtypes.bfloat16):
        raise RuntimeError(f"Scale must be Float or BFloat16, found {title(scale.dtype)}")
    if zero_point.dtype not in _COUNTERS:
        raise RuntimeError(f"Zero-point must be Int32, Float or Half, found {title(zero_point.dtype)}")
    if scale.dim() != 1:  # type: ignore[attr-defined]
        raise RuntimeError("scale should be a 1-D tensor")
    if zero_point.dim() != 1:  # type: ignore[attr-defined]
        raise RuntimeError("zero point should be a 1-D tensor")
    if scale.shape != zero_point.shape:
        raise RuntimeError("scale and zero-point need to have the same dimensions")
    if scale.shape[0] != input.shape[wrap_dim(axis, input.dim())]:  # type: ignore[attr-defined]
        raise RuntimeError("dimensions of scale and zero-point are not consistent with input tensor")
    _check_limits(quant_min, quant_max)
    if zero_point.dtype is dtypes.int32:
        _check_points(value_of(zero_point), quant_min, quant_max)
    if axis < 0:
        raise RuntimeError("`axis` must be between 0 and number of dimensions of input")
    if not input.dtype.is_floating_point:
        raise refuse("fake_quantize_channel_cachemask_cpu_type_handling", input.dtype)
    along = [1] * input.dim()  # type: ignore[attr-defined]
    along[axis] = -1
    return _faked(input, scale.reshape(along), zero_point.reshape(along), quant_min, quant_max)  # type: ignore[attr-defined]
