"""``torch.nn.grad``: the gradients of convolutions with respect to their input and their weight, by name."""

from __future__ import annotations

from typing import Any

import torchlike_asg as torch

from ..facade.steps import note
from . import functional as F

__all__ = ["conv1d_input", "conv1d_weight", "conv2d_input", "conv2d_weight", "conv3d_input", "conv3d_weight"]


def _gradient(rank: int, of_input: bool) -> Any:
    convolve = (F.conv1d, F.conv2d, F.conv3d)[rank - 1]
    sizes = "(" + ", ".join(["N", "C", *"DHW"[3 - rank :]]) + ")"

    def of(given: Any, other: Any, grad_output: Any, stride: Any, padding: Any, dilation: Any, groups: int) -> Any:
        with torch.enable_grad():
            sought = torch.zeros(other if not of_input else given, dtype=grad_output.dtype, device=grad_output.device, requires_grad=True)
            input, weight = (sought, other) if of_input else (given, sought)
            out = convolve(input, weight, None, stride, padding, dilation, groups)
            create = grad_output.requires_grad or (other if of_input else given).requires_grad
            found = torch.autograd.grad(out, sought, grad_output, create_graph=create)[0]
        note(found, "ConvolutionBackwardBackward0")
        return found

    if of_input:

        def input_gradient(
            input_size: Any, weight: Any, grad_output: Any, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1
        ) -> Any:
            return of(input_size, weight, grad_output, stride, padding, dilation, groups)

        made: Any = input_gradient
    else:

        def weight_gradient(
            input: Any, weight_size: Any, grad_output: Any, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1
        ) -> Any:
            return of(input, weight_size, grad_output, stride, padding, dilation, groups)

        made = weight_gradient
    what = f"input, of size `input_size` {sizes}" if of_input else "weight, of size `weight_size`"
    made.__name__ = made.__qualname__ = f"conv{rank}d_{'input' if of_input else 'weight'}"
    made.__doc__ = f"The gradient of `conv{rank}d` with respect to its {what}, for the gradient `grad_output` of its result."
    return made


conv1d_input, conv1d_weight = _gradient(1, True), _gradient(1, False)
conv2d_input, conv2d_weight = _gradient(2, True), _gradient(2, False)
conv3d_input, conv3d_weight = _gradient(3, True), _gradient(3, False)
