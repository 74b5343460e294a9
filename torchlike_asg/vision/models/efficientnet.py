"""EfficientNet (Tan and Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", 2019)."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import torchlike_asg as torch

from ... import nn
from ..ops.misc import Conv2dNormActivation, SqueezeExcitation, StochasticDepth
from .mobilenetv2 import make_divisible
from .registry import builder

__all__ = ["EfficientNet", "MBConv"]

#: expansion, kernel size, stride of the first block, channels, blocks, of each stage of B0 (table 1 of the paper)
_STAGES = ((1, 3, 1, 16, 1), (6, 3, 2, 24, 2), (6, 5, 2, 40, 2), (6, 3, 2, 80, 3), (6, 5, 1, 112, 3), (6, 5, 2, 192, 4), (6, 3, 1, 320, 1))


class MBConv(nn.Module):
    """Expand the channels, convolve each by itself, weigh them, project to few; a shortcut where sizes agree."""

    def __init__(self, inp: int, out: int, expansion: int, kernel: int, stride: int, drop: float, norm_layer: Callable[..., Any]) -> None:
        super().__init__()
        hidden = make_divisible(inp * expansion, 8)
        self.use_res_connect, self.out_channels = stride == 1 and inp == out, out
        options = {"norm_layer": norm_layer, "activation_layer": nn.SiLU}
        layers: list[Any] = []
        if hidden != inp:
            layers.append(Conv2dNormActivation(inp, hidden, kernel_size=1, **options))
        layers += [
            Conv2dNormActivation(hidden, hidden, kernel_size=kernel, stride=stride, groups=hidden, **options),
            SqueezeExcitation(hidden, max(1, inp // 4), activation=partial(nn.SiLU, inplace=True)),
            Conv2dNormActivation(hidden, out, kernel_size=1, norm_layer=norm_layer, activation_layer=None),
        ]
        self.block = nn.Sequential(*layers)
        self.stochastic_depth = StochasticDepth(drop, "row")

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        result = self.block(input)
        return self.stochastic_depth(result) + input if self.use_res_connect else result


class EfficientNet(nn.Module):
    """Classifies images (N, 3, H, W): scores (N, num_classes). `width` and `depth` scale the channels and blocks of B0."""

    def __init__(
        self,
        width: float,
        depth: float,
        dropout: float,
        stochastic_depth_prob: float = 0.2,
        num_classes: int = 1000,
        norm_layer: Callable[..., Any] | None = None,
    ) -> None:
        super().__init__()
        norm_layer = norm_layer or nn.BatchNorm2d
        options = {"norm_layer": norm_layer, "activation_layer": nn.SiLU}
        channels = make_divisible(32 * width, 8)
        features: list[Any] = [Conv2dNormActivation(3, channels, kernel_size=3, stride=2, **options)]
        counts = [math.ceil(blocks * depth) for *_, blocks in _STAGES]
        done = 0
        for (expansion, kernel, stride, out, _), count in zip(_STAGES, counts, strict=True):
            stage = []
            for i in range(count):
                wide = make_divisible(out * width, 8)
                drop = stochastic_depth_prob * done / sum(counts)
                stage.append(MBConv(channels, wide, expansion, kernel, stride if i == 0 else 1, drop, norm_layer))
                channels, done = wide, done + 1
            features.append(nn.Sequential(*stage))
        features.append(Conv2dNormActivation(channels, 4 * channels, kernel_size=1, **options))
        self.features = nn.Sequential(*features)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(nn.Dropout(p=dropout, inplace=True), nn.Linear(4 * channels, num_classes))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
            elif isinstance(module, nn.BatchNorm2d | nn.GroupNorm):
                nn.init.ones_(module.weight)
                nn.init.zeros_(module.bias)
            elif isinstance(module, nn.Linear):
                bound = 1.0 / math.sqrt(module.out_features)
                nn.init.uniform_(module.weight, -bound, bound)
                nn.init.zeros_(module.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.classifier(torch.flatten(self.avgpool(self.features(x)), 1))


def _variant(number: int, width: float, depth: float, dropout: float) -> None:
    def make(**options: Any) -> EfficientNet:
        if number > 4:
            options.setdefault("norm_layer", partial(nn.BatchNorm2d, eps=0.001, momentum=0.01))
        options.setdefault("dropout", dropout)
        return EfficientNet(width, depth, **options)

    make.__name__ = make.__qualname__ = f"efficientnet_b{number}"
    make.__doc__ = f"EfficientNet B{number}."
    __all__.append(make.__name__)
    globals()[make.__name__] = builder(make)


for _number, _scales in enumerate(
    ((1.0, 1.0, 0.2), (1.0, 1.1, 0.2), (1.1, 1.2, 0.3), (1.2, 1.4, 0.3), (1.4, 1.8, 0.4), (1.6, 2.2, 0.4), (1.8, 2.6, 0.5), (2.0, 3.1, 0.5))
):
    _variant(_number, *_scales)
