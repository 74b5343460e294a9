"""Deformable convolution (Dai et al., 2017; with a mask: Zhu et al., "Deformable ConvNets v2", 2019)."""

from __future__ import annotations

import math
from typing import Any

import torchlike_asg as torch

from ... import nn
from ...nn import functional as F
from .regions import pair

__all__ = ["DeformConv2d", "deform_conv2d"]

Tensor = torch.Tensor


def deform_conv2d(
    input: Tensor,
    offset: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = (1, 1),
    padding: Any = (0, 0),
    dilation: Any = (1, 1),
    mask: Tensor | None = None,
) -> Tensor:
    """A convolution of `input` (N, C, H, W) whose kernel's places are moved, at each place of the result, by `offset`.

    `offset` (N, 2 * groups * kernel places, H', W') holds pairs (down, right) for each place of the kernel, and for each of equally large
    groups of channels; between pixels, values are interpolated, and beyond the edges they are 0. `mask` (N, groups * kernel places,
    H', W') scales what each place reads. `weight`: (C', C / convolution groups, rows, columns).

    Raises:
        RuntimeError: the channels of `offset` fit no number of groups.
    """
    (down, right), (above, beside), (apart, across) = pair(stride), pair(padding), pair(dilation)
    n, channels, height, width = input.shape
    rows, columns = weight.shape[-2:]
    places = rows * columns
    groups, out = offset.shape[1] // (2 * places), offset.shape[-2:]
    if groups == 0 or offset.shape[1] != 2 * groups * places:
        raise RuntimeError(
            "the shape of the offset tensor at dimension 1 is not valid. It should be a multiple of 2 * weight.size[2] * weight.size[3].\n"
            f"Got offset.shape[1]={offset.shape[1]}, while 2 * weight.size[2] * weight.size[3]={2 * places}"
        )

    def steps(count: int, step: int) -> Tensor:
        return torch.arange(count, device=input.device, dtype=input.dtype) * step

    moved = offset.view(n * groups, places, 2, *out)
    y = steps(rows, apart).repeat_interleave(columns)[:, None, None] + (steps(out[0], down) - above)[:, None] + moved[:, :, 0]
    x = steps(columns, across).repeat(rows)[:, None, None] + (steps(out[1], right) - beside) + moved[:, :, 1]
    grid = torch.stack([(2 * x + 1) / width - 1, (2 * y + 1) / height - 1], dim=-1)  # as grid_sample counts: the edges are -1 and 1
    maps = input.reshape(n * groups, channels // groups, height, width)
    read = F.grid_sample(maps, grid.reshape(n * groups, places * out[0], out[1], 2), padding_mode="zeros", align_corners=False)
    read = read.view(n, groups, channels // groups, places, *out)
    if mask is not None:
        read = read * mask.view(n, groups, 1, places, *out)
    parts = channels // weight.shape[1]
    kernels = weight.reshape(parts, -1, weight.shape[1] * places)
    result = torch.einsum("gok,ngkp->ngop", kernels, read.reshape(n, parts, -1, out[0] * out[1])).reshape(n, -1, *out)
    return result if bias is None else result + bias.view(1, -1, 1, 1)


class DeformConv2d(nn.Module):
    """`deform_conv2d` with a kernel and a bias of its own: ``layer(input, offset, mask=None)``."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
        bias: bool = True,
    ) -> None:
        super().__init__()
        if in_channels % groups:
            raise ValueError("in_channels must be divisible by groups")
        if out_channels % groups:
            raise ValueError("out_channels must be divisible by groups")
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        self.kernel_size, self.stride, self.padding, self.dilation = map(pair, (kernel_size, stride, padding, dilation))
        self.weight = nn.Parameter(torch.empty(out_channels, in_channels // groups, *self.kernel_size))
        self.bias = nn.Parameter(torch.empty(out_channels)) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the kernel and the bias anew."""
        nn.init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            bound = 1 / math.sqrt(self.weight[0].numel())
            nn.init.uniform_(self.bias, -bound, bound)

    def forward(self, input: Tensor, offset: Tensor, mask: Tensor | None = None) -> Tensor:
        return deform_conv2d(input, offset, self.weight, self.bias, self.stride, self.padding, self.dilation, mask)

    def __repr__(self) -> str:
        parts = [f"{self.in_channels}", f"{self.out_channels}", f"kernel_size={self.kernel_size}", f"stride={self.stride}"]
        parts += [f"padding={self.padding}"] if self.padding != (0, 0) else []
        parts += [f"dilation={self.dilation}"] if self.dilation != (1, 1) else []
        parts += [f"groups={self.groups}"] if self.groups != 1 else []
        parts += ["bias=False"] if self.bias is None else []
        return f"{type(self).__name__}({', '.join(parts)})"
