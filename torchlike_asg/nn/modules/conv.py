"""Convolutions and transposed convolutions."""

from __future__ import annotations

from typing import Any

import torchlike_asg as torch

from .. import functional as F
from ..parameter import empty_parameter
from .linear import draw_weight_and_bias
from .module import Module
from .utils import _ntuple, _reverse_repeat_tuple

__all__ = [
    "Conv1d",
    "Conv2d",
    "Conv3d",
    "ConvTranspose1d",
    "ConvTranspose2d",
    "ConvTranspose3d",
]

_PADDINGS = ("same", "valid")
_PADDING_MODES = ("zeros", "reflect", "replicate", "circular")


class _ConvNd(Module):
    """What all convolutions share: `weight` (out, in / groups, *kernel), transposed (in, out / groups, *kernel), `bias` (out,) or None."""

    _dims: int

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: tuple[int, ...],
        stride: tuple[int, ...],
        padding: str | tuple[int, ...],
        dilation: tuple[int, ...],
        transposed: bool,
        output_padding: tuple[int, ...],
        groups: int,
        bias: bool,
        padding_mode: str,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        if groups <= 0:
            raise ValueError("groups must be a positive integer")
        if in_channels % groups != 0:
            raise ValueError("in_channels must be divisible by groups")
        if out_channels % groups != 0:
            raise ValueError("out_channels must be divisible by groups")
        if isinstance(padding, str):
            if padding not in _PADDINGS:
                raise ValueError(f"Invalid padding string {padding!r}, should be one of {_PADDINGS}")
            if padding == "same" and any(step != 1 for step in stride):
                raise ValueError("padding='same' is not supported for strided convolutions")
        hash(padding_mode)  # TypeError, as PyTorch looks for it in a set
        if padding_mode not in _PADDING_MODES:
            raise ValueError(f"padding_mode must be one of {_PADDING_MODES}, but got padding_mode='{padding_mode}'")
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.kernel_size = kernel_size
        self.stride = stride
        self.padding = padding
        self.dilation = dilation
        self.transposed = transposed
        self.output_padding = output_padding
        self.groups = groups
        self.padding_mode = padding_mode
        self.weight = empty_parameter(*self._weight_shape(), device=device, dtype=dtype)
        self.register_parameter("bias", empty_parameter(out_channels, device=device, dtype=dtype) if bias else None)
        self.reset_parameters()

    def _weight_shape(self) -> tuple[int, ...]:
        first, second = self.out_channels, self.in_channels
        if self.transposed:
            first, second = second, first
        return (first, second // self.groups, *self.kernel_size)

    @property
    def _reversed_padding_repeated_twice(self) -> tuple[int, ...]:
        """The padding as amounts per side, last dimension first, as `functional.pad` takes it."""
        if self.padding == "valid":
            return (0, 0) * len(self.kernel_size)
        if self.padding == "same":
            totals = [d * (k - 1) for d, k in zip(self.dilation, self.kernel_size, strict=True)]
            return tuple(side for total in reversed(totals) for side in (total // 2, total - total // 2))
        return _reverse_repeat_tuple(self.padding, 2)  # type: ignore[arg-type]

    def reset_parameters(self) -> None:
        with torch.no_grad():
            if self.weight.is_contiguous():
                draw_weight_and_bias(self.weight, self.bias)
            else:  # drawing goes by memory order: values must not depend on the memory format
                weight = torch.empty(tuple(self.weight.shape), dtype=self.weight.dtype, device=self.weight.device)
                draw_weight_and_bias(weight, self.bias)
                self.weight.copy_(weight)

    def extra_repr(self) -> str:
        shown = [f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"]
        for name, default in (("padding", 0), ("dilation", 1), ("output_padding", 0)):
            if getattr(self, name) != (default,) * len(getattr(self, name)):
                shown.append(f"{name}={getattr(self, name)}")
        if self.groups != 1:
            shown.append(f"groups={self.groups}")
        if self.bias is None:
            shown.append("bias=False")
        if self.padding_mode != "zeros":
            shown.append(f"padding_mode={self.padding_mode}")
        return ", ".join(shown)


class _Conv(_ConvNd):
    """A convolution over `_dims` dimensions."""

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
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        per_dim = _ntuple(self._dims)
        super().__init__(
            in_channels,
            out_channels,
            per_dim(kernel_size),
            per_dim(stride),
            padding if isinstance(padding, str) else per_dim(padding),
            per_dim(dilation),
            False,
            per_dim(0),
            groups,
            bias,
            padding_mode,
            device,
            dtype,
        )

    def forward(self, input: Any) -> Any:
        return self._conv_forward(input, self.weight, self.bias)

    def _conv_forward(self, input: Any, weight: Any, bias: Any) -> Any:
        raise NotImplementedError

    def _convolve(self, function: Any, input: Any, weight: Any, bias: Any) -> Any:
        padding: Any = self.padding
        if self.padding_mode != "zeros":
            input = F.pad(input, self._reversed_padding_repeated_twice, mode=self.padding_mode)
            padding = 0
        return function(input, weight, bias, self.stride, padding, self.dilation, self.groups)


class Conv1d(_Conv):
    """Cross-correlation of (N, C_in, L) or (C_in, L) with `out_channels` kernels.

    ``L_out = floor((L + 2 padding - dilation (kernel_size - 1) - 1) / stride + 1)``. `padding` may be 'same' (stride 1) or 'valid';
    `padding_mode` is 'zeros', 'reflect', 'replicate' or 'circular'. Input and output channels are split into `groups`, which divides both.

    `weight` (out_channels, in_channels / groups, kernel_size) and `bias` (out_channels,) or None are drawn from U(-b, b) with
    ``b = 1/sqrt(in_channels / groups * kernel_size)``. ValueError for settings that do not fit each other, RuntimeError for an input of
    another dtype or number of channels, or shorter than the kernel.
    """

    _dims = 1

    def _conv_forward(self, input: Any, weight: Any, bias: Any) -> Any:
        return self._convolve(F.conv1d, input, weight, bias)


class Conv2d(_Conv):
    """Cross-correlation of images (N, C_in, H, W) or (C_in, H, W); sizes as for Conv1d, per dimension."""

    _dims = 2

    def _conv_forward(self, input: Any, weight: Any, bias: Any) -> Any:
        return self._convolve(F.conv2d, input, weight, bias)


class Conv3d(_Conv):
    """Cross-correlation of volumes (N, C_in, D, H, W) or (C_in, D, H, W); sizes as for Conv1d, per dimension."""

    _dims = 3

    def _conv_forward(self, input: Any, weight: Any, bias: Any) -> Any:
        return self._convolve(F.conv3d, input, weight, bias)


class _ConvTransposeNd(_ConvNd):
    """A transposed convolution over `_dims` dimensions: the gradient of a convolution with respect to its input, as a layer."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        output_padding: Any = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Any = 1,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        if padding_mode != "zeros":
            raise ValueError(f'Only "zeros" padding mode is supported for {type(self).__name__}')
        per_dim = _ntuple(self._dims)
        super().__init__(
            in_channels,
            out_channels,
            per_dim(kernel_size),
            per_dim(stride),
            per_dim(padding),
            per_dim(dilation),
            True,
            per_dim(output_padding),
            groups,
            bias,
            padding_mode,
            device,
            dtype,
        )

    def _output_padding(self, input: Any, output_size: Any) -> tuple[int, ...]:
        """The amount by which the smallest output must grow at one end to have `output_size`."""
        if output_size is None:
            return self.output_padding
        n = self._dims
        leading = input.dim() - n
        wanted = list(output_size)[leading:] if len(output_size) == leading + n else list(output_size)
        if len(wanted) != n:
            raise ValueError(
                f"ConvTranspose{n}D: for {input.dim()}D input, output_size must have {n} or {leading + n} elements (got {len(output_size)})"
            )
        geometry = zip(input.shape[leading:], self.stride, self.padding, self.dilation, self.kernel_size, strict=True)  # type: ignore[arg-type]
        smallest = [(size - 1) * s - 2 * p + d * (k - 1) + 1 for size, s, p, d, k in geometry]
        largest = [size + s - 1 for size, s in zip(smallest, self.stride, strict=True)]
        if any(not low <= size <= high for low, size, high in zip(smallest, wanted, largest, strict=True)):
            raise ValueError(
                f"requested an output size of {wanted}, but valid sizes range from {smallest} to {largest} "
                f"(for an input of {input.size()[2:]})"
            )
        return tuple(size - low for size, low in zip(wanted, smallest, strict=True))

    def _convolve(self, function: Any, input: Any, output_size: Any) -> Any:
        output_padding = self._output_padding(input, output_size)
        return function(input, self.weight, self.bias, self.stride, self.padding, output_padding, self.groups, self.dilation)


class ConvTranspose1d(_ConvTransposeNd):
    """Transposed convolution of (N, C_in, L) or (C_in, L): the gradient of `Conv1d` by its input, as a layer.

    ``L_out = (L - 1) stride - 2 padding + dilation (kernel_size - 1) + output_padding + 1``; ``forward(x, output_size=...)`` chooses
    the output padding to fit (ValueError if none does). `weight` is (in_channels, out_channels / groups, kernel_size), `bias`
    (out_channels,) or None. RuntimeError unless `output_padding` is less than `stride` or `dilation`.
    """

    _dims = 1

    def forward(self, input: Any, output_size: Any = None) -> Any:
        return self._convolve(F.conv_transpose1d, input, output_size)


class ConvTranspose2d(_ConvTransposeNd):
    """Transposed convolution of images (N, C_in, H, W) or (C_in, H, W); sizes as for ConvTranspose1d, per dimension."""

    _dims = 2

    def forward(self, input: Any, output_size: Any = None) -> Any:
        return self._convolve(F.conv_transpose2d, input, output_size)


class ConvTranspose3d(_ConvTransposeNd):
    """Transposed convolution of volumes (N, C_in, D, H, W) or (C_in, D, H, W); sizes as for ConvTranspose1d, per dimension."""

    _dims = 3

    def forward(self, input: Any, output_size: Any = None) -> Any:
        return self._convolve(F.conv_transpose3d, input, output_size)
