"""Limiting gradients, in place. The argument `foreach` is accepted everywhere; updates are fused by the compiler in any case."""

from __future__ import annotations

import types
import warnings
from collections.abc import Iterable
from typing import Any

import torchlike_asg as torch

from ...facade.core import Tensor

__all__ = ["clip_grad_norm", "clip_grad_norm_", "clip_grad_value_", "clip_grads_with_norm_", "get_total_norm"]


def _as_list(tensors: Any) -> list[Any]:
    return [tensors] if isinstance(tensors, Tensor) else list(tensors)


def _gradients(parameters: Iterable[Any]) -> list[Any]:
    return [gradient for parameter in parameters if (gradient := parameter.grad) is not None]


def get_total_norm(tensors: Any, norm_type: float = 2.0, error_if_nonfinite: bool = False, foreach: bool | None = None) -> Any:
    """The norm, a 0-d tensor, of all `tensors` together as one vector; 0 for none.

    Raises RuntimeError for a norm that is not finite, with `error_if_nonfinite`, which reads its value.
    """
    tensors = _as_list(tensors)
    norm_type = float(norm_type)
    if not tensors:
        return torch.tensor(0.0)
    if foreach is not None:
        bool(foreach)  # an array or a tensor is no answer
    with torch.no_grad():
        total = torch.stack([tensor.norm(norm_type) for tensor in tensors]).norm(norm_type)
        if error_if_nonfinite and not total.isfinite():
            raise RuntimeError(
                f"The total norm of order {norm_type} for gradients from `parameters` is non-finite, so it cannot be clipped. To disable "
                "this error and scale the gradients by the non-finite norm anyway, set `error_if_nonfinite=False`"
            )
    return total


def clip_grads_with_norm_(parameters: Any, max_norm: float, total_norm: Any, foreach: bool | None = None) -> None:
    """Scales all gradients by ``max_norm / (total_norm + 1e-6)`` where that is less than 1."""
    gradients = _gradients(_as_list(parameters))
    if not gradients:
        return
    with torch.no_grad():
        coefficient = (float(max_norm) / (total_norm + 1e-6)).clamp(max=1.0)
        for gradient in gradients:
            gradient.mul_(coefficient)


def clip_grad_norm_(
    parameters: Any, max_norm: float, norm_type: float = 2.0, error_if_nonfinite: bool = False, foreach: bool | None = None
) -> Any:
    """Scales the gradients down so that their norm, all together as one vector, is at most `max_norm`. Returns the norm before.

    `parameters` is an iterable of tensors or one tensor; those without gradient are passed over.
    """
    is_generator = isinstance(parameters, types.GeneratorType)
    parameters = _as_list(parameters)
    if is_generator and not parameters:
        warnings.warn("`parameters` is an empty generator, no gradient clipping will occur.", stacklevel=2)
    if isinstance(max_norm, str):
        max_norm = float(max_norm)
    total = get_total_norm(_gradients(parameters), norm_type, error_if_nonfinite, foreach)
    clip_grads_with_norm_(parameters, max_norm, total, foreach)
    return total


def clip_grad_norm(
    parameters: Any, max_norm: float, norm_type: float = 2.0, error_if_nonfinite: bool = False, foreach: bool | None = None
) -> Any:
    """Deprecated name of :func:`clip_grad_norm_`."""
    warnings.warn(
        "`torch.nn.utils.clip_grad_norm` is now deprecated in favor of `torch.nn.utils.clip_grad_norm_`.", FutureWarning, stacklevel=2
    )
    return clip_grad_norm_(parameters, max_norm, norm_type, error_if_nonfinite, foreach)


def clip_grad_value_(parameters: Any, clip_value: float, foreach: bool | None = None) -> None:
    """Clamps every element of the gradients to [-clip_value, clip_value]."""
    clip_value = float(clip_value)
    gradients = _gradients(_as_list(parameters))
    if not gradients:
        raise RuntimeError("Expected !nested_tensorlist[0].empty() to be true, but got false: there is no gradient to clip")
    with torch.no_grad():
        for gradient in gradients:
            gradient.clamp_(min=-clip_value, max=clip_value)


_get_total_norm, _clip_grads_with_norm_ = get_total_norm, clip_grads_with_norm_  # their names before PyTorch 2.8
