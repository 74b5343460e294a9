"""Normalisations that treat every sample alone: layer, group, root-mean-square and local response."""

from __future__ import annotations

import numbers
from typing import Any

from .. import functional as F
from .. import init
from ..parameter import empty_parameter
from .module import Module

__all__ = ["CrossMapLRN2d", "GroupNorm", "LayerNorm", "LocalResponseNorm", "RMSNorm"]


class _Affine(Module):
    """What these layers share: `weight` (ones) and `bias` (zeros), either of which may be absent."""

    weight: Any
    bias: Any

    def _make_parameters(self, shape: tuple[int, ...], weight: bool, bias: bool | None, device: Any, dtype: Any) -> None:
        self.register_parameter("weight", empty_parameter(*shape, device=device, dtype=dtype) if weight else None)
        if bias is not None:  # RMSNorm has no such name at all
            self.register_parameter("bias", empty_parameter(*shape, device=device, dtype=dtype) if weight and bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        for parameter, fill in zip(self._parameters.values(), (init.ones_, init.zeros_), strict=False):
            if parameter is not None:
                fill(parameter)


def _as_shape(normalized_shape: Any) -> tuple[int, ...]:
    return (normalized_shape,) if isinstance(normalized_shape, numbers.Integral) else tuple(normalized_shape)


class LayerNorm(_Affine):
    """``(x - mean) / sqrt(var + eps) * weight + bias`` over the last dimensions, which are `normalized_shape` (Ba et al., 2016).

    The variance is the biased one, here and in evaluation alike. `weight` (ones) and `bias` (zeros) have `normalized_shape`, an int or a
    sequence; None without `elementwise_affine` (`bias=False`: no bias). RuntimeError if the input ends in other dimensions.
    """

    def __init__(
        self,
        normalized_shape: Any,
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.normalized_shape = _as_shape(normalized_shape)
        self.eps = eps
        self.elementwise_affine = elementwise_affine
        self._make_parameters(self.normalized_shape, elementwise_affine, bool(bias), device, dtype)

    def forward(self, input: Any) -> Any:
        return F.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        affine = f"elementwise_affine={self.elementwise_affine}, bias={self.bias is not None}"
        return f"{self.normalized_shape}, eps={self.eps}, {affine}"


class RMSNorm(_Affine):
    """``x / sqrt(mean(x^2) + eps) * weight`` over the last dimensions, which are `normalized_shape` (Zhang & Sennrich, 2019).

    eps=None takes the machine epsilon of the input's dtype.
    """

    def __init__(
        self,
        normalized_shape: Any,
        eps: float | None = None,
        elementwise_affine: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.normalized_shape = _as_shape(normalized_shape)
        self.eps = eps
        self.elementwise_affine = elementwise_affine
        self._make_parameters(self.normalized_shape, elementwise_affine, None, device, dtype)

    def forward(self, x: Any) -> Any:
        return F.rms_norm(x, self.normalized_shape, self.weight, self.eps)

    def extra_repr(self) -> str:
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"


class GroupNorm(_Affine):
    """Normalises each of `num_groups` groups of channels of each sample of (N, C, *), then applies `weight` and `bias` (C,) per channel.

    With one group that is LayerNorm over (C, *), with C of them InstanceNorm (Wu & He, 2018). ValueError unless the groups divide
    `num_channels`, RuntimeError for an input of another number of channels or of less than two dimensions.
    """

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__()
        if num_channels % num_groups != 0:
            raise ValueError(f"num_channels ({num_channels}) must be divisible by num_groups ({num_groups})")
        self.num_groups = num_groups
        self.num_channels = num_channels
        self.eps = eps
        self.affine = affine
        self._make_parameters((num_channels,), affine, bool(bias), device, dtype)

    def forward(self, input: Any) -> Any:
        return F.group_norm(input, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}, bias={self.bias is not None}"


class LocalResponseNorm(Module):
    """``x / (k + alpha/size * sum of x^2 over `size` neighbouring channels)^beta`` for (N, C, *) (Krizhevsky et al., 2012)."""

    def __init__(self, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> None:
        super().__init__()
        self.size = size
        self.alpha = alpha
        self.beta = beta
        self.k = k

    def forward(self, input: Any) -> Any:
        return F.local_response_norm(input, self.size, self.alpha, self.beta, self.k)

    def extra_repr(self) -> str:
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"


class CrossMapLRN2d(LocalResponseNorm):
    """`LocalResponseNorm` of (N, C, H, W) as it was first, and as PyTorch keeps it: an even number of neighbours is one less, and the first
    channel is a neighbour of every later one.
    """

    def __init__(self, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1) -> None:
        super().__init__(size, alpha, beta, k)

    def forward(self, input: Any) -> Any:
        if input.dim() != 4:
            raise ValueError(f"CrossMapLRN2d: Expected input to be 4D, got {input.dim()}D instead.")
        reach = (self.size - 1) // 2
        squares = input * input
        sums = F.pad(squares, (0, 0, 0, 0, reach, reach)).unfold(1, 2 * reach + 1, 1).sum(-1)
        far = sums.new_zeros((1, sums.shape[1], 1, 1))
        far[:, reach + 1 :] = 1
        return input * (self.k + self.alpha / self.size * (sums + squares[:, :1] * far)) ** -self.beta
