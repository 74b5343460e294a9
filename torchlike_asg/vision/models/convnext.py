"""ConvNeXt (Liu et al., "A ConvNet for the 2020s", 2022)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torchlike_asg as torch

from ... import nn
from ...nn import functional as F
from ..ops.misc import Conv2dNormActivation, Permute, StochasticDepth
from .registry import builder

__all__ = ["CNBlock", "ConvNeXt", "LayerNorm2d", "convnext_base", "convnext_large", "convnext_small", "convnext_tiny"]


class LayerNorm2d(nn.LayerNorm):
    """Normalises the channels of (N, C, H, W) at each place."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.layer_norm(x.permute(0, 2, 3, 1), self.normalized_shape, self.weight, self.bias, self.eps)
        return x.permute(0, 3, 1, 2)


class CNBlock(nn.Module):
    """A wide convolution of each channel, and two linear layers over the channels; scaled and added to the input."""

    def __init__(self, dim: int, layer_scale: float, stochastic_depth_prob: float, norm_layer: Callable[..., Any] | None = None) -> None:
        super().__init__()
        norm_layer = norm_layer or partial(nn.LayerNorm, eps=1e-6)
        self.block = nn.Sequential(
            nn.Conv2d(dim, dim, kernel_size=7, padding=3, groups=dim, bias=True),
            Permute([0, 2, 3, 1]),
            norm_layer(dim),
            nn.Linear(dim, 4 * dim, bias=True),
            nn.GELU(),
            nn.Linear(4 * dim, dim, bias=True),
            Permute([0, 3, 1, 2]),
        )
        self.layer_scale = nn.Parameter(torch.ones(dim, 1, 1) * layer_scale)
        self.stochastic_depth = StochasticDepth(stochastic_depth_prob, "row")

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return self.stochastic_depth(self.layer_scale * self.block(input)) + input


class ConvNeXt(nn.Module):
    """Classifies images (N, 3, H, W): scores (N, num_classes). `stages`: the channels and blocks of each size."""

    def __init__(
        self,
        stages: Sequence[tuple[int, int]],
        stochastic_depth_prob: float = 0.0,
        layer_scale: float = 1e-6,
        num_classes: int = 1000,
        block: Callable[..., Any] | None = None,
        norm_layer: Callable[..., Any] | None = None,
    ) -> None:
        super().__init__()
        if not stages:
            raise ValueError("The stages should not be empty")
        block, norm_layer = block or CNBlock, norm_layer or partial(LayerNorm2d, eps=1e-6)
        first, total = stages[0][0], sum(blocks for _, blocks in stages)
        stem = {"kernel_size": 4, "stride": 4, "padding": 0, "norm_layer": norm_layer, "activation_layer": None, "bias": True}
        layers: list[Any] = [Conv2dNormActivation(3, first, **stem)]
        made = 0
        for i, (width, blocks) in enumerate(stages):
            drops = [stochastic_depth_prob * (made + j) / (total - 1.0) for j in range(blocks)]
            layers.append(nn.Sequential(*[block(width, layer_scale, drop) for drop in drops]))
            made += blocks
            if i + 1 < len(stages):
                layers.append(nn.Sequential(norm_layer(width), nn.Conv2d(width, stages[i + 1][0], kernel_size=2, stride=2)))
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        last = stages[-1][0]
        self.classifier = nn.Sequential(norm_layer(last), nn.Flatten(1), nn.Linear(last, num_classes))
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                nn.init.trunc_normal_(module.weight, std=0.02)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.classifier(self.avgpool(self.features(x)))


def _convnext(width: int, third: int, drop: float, options: dict[str, Any]) -> ConvNeXt:
    stages = [(width, 3), (2 * width, 3), (4 * width, third), (8 * width, 3)]
    return ConvNeXt(stages, **{"stochastic_depth_prob": drop, **options})


@builder
def convnext_tiny(**options: Any) -> ConvNeXt:
    """ConvNeXt, tiny."""
    return _convnext(96, 9, 0.1, options)


@builder
def convnext_small(**options: Any) -> ConvNeXt:
    """ConvNeXt, small."""
    return _convnext(96, 27, 0.4, options)


@builder
def convnext_base(**options: Any) -> ConvNeXt:
    """ConvNeXt, base."""
    return _convnext(128, 27, 0.5, options)


@builder
def convnext_large(**options: Any) -> ConvNeXt:
    """ConvNeXt, large."""
    return _convnext(192, 27, 0.5, options)
