"""Changing the dtype, device and gradients of all tensors of a module."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

import torchlike_asg as torch

from ... import dtypes
from ...backends.meta import NO_DATA
from ...devices import check
from ...devices import device as as_device
from ...facade.core import Tensor
from ..parameter import is_lazy

__all__ = ["ConversionMixin"]


class ConversionMixin:
    """The part of Module that converts parameters and buffers in place. Parameters keep their identity, so optimizers keep working."""

    _parameters: dict[str, Any]
    _buffers: dict[str, Any]
    children: Callable[[], Any]
    parameters: Callable[[], Any]

    def _apply(self, fn: Callable[[Any], Any], recurse: bool = True) -> Self:
        """Replaces the data of each parameter, of its gradient, and each buffer by `fn` of it."""
        if recurse:
            for module in self.children():
                module._apply(fn)
        with torch.no_grad():
            for name, parameter in self._parameters.items():
                if parameter is None:
                    continue
                if is_lazy(parameter):
                    self._parameters[name] = fn(parameter)
                    continue
                gradient = parameter.grad
                converted = fn(parameter)
                if converted is not parameter:
                    parameter.grad = None  # of the old type, which must not meet the new data
                    parameter.data = converted
                if gradient is not None:
                    converted = fn(gradient)
                    parameter.grad = gradient if converted is gradient else converted.requires_grad_(gradient.requires_grad)
        for name, buffer in self._buffers.items():
            if buffer is not None:
                self._buffers[name] = fn(buffer)
        return self

    def to(self, *args: Any, **kwargs: Any) -> Self:
        """Moves to a device and/or converts the floating-point tensors to a dtype.

        Forms: ``to(device=None, dtype=None, non_blocking=False)``, ``to(dtype)``, ``to(tensor)``, ``to(memory_format=...)``.
        """
        device, dtype, options = _parse_to(*args, **kwargs)
        if dtype is not None and not (dtype.is_floating_point or dtype.is_complex):
            raise TypeError(f"nn.Module.to only accepts floating point or complex dtypes, but got desired dtype={dtype}")

        def convert(tensor: Any) -> Any:
            wanted = {"dtype": dtype} if dtype is not None and (tensor.is_floating_point() or tensor.is_complex()) else {}
            if device is not None:
                wanted["device"] = device
            given = options if options and tensor.dim() in (4, 5) else {}  # a memory format is one of images
            try:
                return tensor.to(**wanted, **given) if wanted or given else tensor
            except NotImplementedError as error:
                if str(error) != NO_DATA:
                    raise
                raise NotImplementedError(
                    f"{error} Please use torch.nn.Module.to_empty() instead of torch.nn.Module.to() when moving module from meta to a "
                    "different device."
                ) from None

        return self._apply(convert)

    def type(self, dst_type: Any) -> Self:
        """Converts all parameters and buffers to `dst_type`."""
        return self._apply(lambda tensor: tensor.type(dst_type))

    def float(self) -> Self:
        """Converts the floating-point parameters and buffers to float32."""
        return self._to_float(dtypes.float32)

    def double(self) -> Self:
        """Converts the floating-point parameters and buffers to float64."""
        return self._to_float(dtypes.float64)

    def half(self) -> Self:
        """Converts the floating-point parameters and buffers to float16."""
        return self._to_float(dtypes.float16)

    def bfloat16(self) -> Self:
        """Converts the floating-point parameters and buffers to bfloat16."""
        return self._to_float(dtypes.bfloat16)

    def _to_float(self, dtype: Any) -> Self:
        return self._apply(lambda tensor: tensor.to(dtype) if tensor.is_floating_point() else tensor)

    def cpu(self) -> Self:
        """Moves all parameters and buffers to the CPU."""
        return self._apply(lambda tensor: tensor.cpu())

    def cuda(self, device: Any = None) -> Self:
        """Moves all parameters and buffers to the GPU, where "cuda" means "wgpu"; else RuntimeError: there is no CUDA here."""
        target = check(as_device("cuda", device) if device is None or isinstance(device, int) else as_device(device))
        return self._apply(lambda tensor: tensor.to(target))

    def xpu(self, device: Any = None) -> Self:
        """Raises AssertionError: there is no XPU."""
        raise AssertionError("Torch not compiled with XPU enabled")

    def to_empty(self, *, device: Any, recurse: bool = True) -> Self:
        """Moves to `device` without copying: all parameters and buffers get uninitialised storage there."""
        return self._apply(lambda tensor: torch.empty_like(tensor, device=device), recurse=recurse)

    def share_memory(self) -> Self:
        """Calls `share_memory_` on every parameter and buffer."""
        return self._apply(lambda tensor: tensor.share_memory_())

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Sets `requires_grad` of all parameters."""
        for parameter in self.parameters():
            parameter.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Drops the gradients of all parameters, or with ``set_to_none=False`` fills them with zeros."""
        for parameter in self.parameters():
            gradient = parameter.grad
            if gradient is None:
                continue
            if set_to_none:
                parameter.grad = None
            else:
                if gradient.grad_fn is not None:
                    gradient.detach_()
                else:
                    gradient.requires_grad_(False)
                gradient.zero_()


def _parse_to(
    *args: Any, device: Any = None, dtype: Any = None, non_blocking: bool = False, copy: Any = None, memory_format: Any = None
) -> Any:
    """The arguments of `Module.to` -> (device or None, dtype or None, further options of `Tensor.to`)."""
    if copy is not None:
        raise RuntimeError(".to() does not accept copy argument")
    for position, value in enumerate(args):
        if isinstance(value, Tensor) and position == 0:
            device, dtype = value.device, value.dtype
        elif isinstance(value, dtypes.dtype) or (value.__class__ is type and value in dtypes.OF_PYTHON):
            dtype = value
        elif isinstance(value, bool) and position > 0:
            continue  # non_blocking: copies are never asynchronous here
        elif value is not None:
            device = value
    if device is not None:
        device = check(as_device(device))
    if dtype is not None:
        dtype = dtypes.required(dtype, "to", "dtype")
    return device, dtype, {} if memory_format is None else {"memory_format": memory_format}
