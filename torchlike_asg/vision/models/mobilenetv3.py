"""MobileNetV3 (Howard et al., "Searching for MobileNetV3", 2019)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torchlike_asg as torch

from ... import nn
from ..ops.misc import Conv2dNormActivation, SqueezeExcitation
from .mobilenetv2 import make_divisible
from .registry import builder

__all__ = ["InvertedResidual", "MobileNetV3", "mobilenet_v3_large", "mobilenet_v3_small"]

#: kernel, expanded channels, output channels, whether channels are weighed, whether hard-swish, stride (tables 1 and 2 of the paper)
_LARGE = (
    (3, 16, 16, False, False, 1), (3, 64, 24, False, False, 2), (3, 72, 24, False, False, 1), (5, 72, 40, True, False, 2),
    (5, 120, 40, True, False, 1), (5, 120, 40, True, False, 1), (3, 240, 80, False, True, 2), (3, 200, 80, False, True, 1),
    (3, 184, 80, False, True, 1), (3, 184, 80, False, True, 1), (3, 480, 112, True, True, 1), (3, 672, 112, True, True, 1),
    (5, 672, 160, True, True, 2), (5, 960, 160, True, True, 1), (5, 960, 160, True, True, 1),
)  # fmt: skip
_SMALL = (
    (3, 16, 16, True, False, 2), (3, 72, 24, False, False, 2), (3, 88, 24, False, False, 1), (5, 96, 40, True, True, 2),
    (5, 240, 40, True, True, 1), (5, 240, 40, True, True, 1), (5, 120, 48, True, True, 1), (5, 144, 48, True, True, 1),
    (5, 288, 96, True, True, 2), (5, 576, 96, True, True, 1), (5, 576, 96, True, True, 1),
)  # fmt: skip


class InvertedResidual(nn.Module):
    """Expand the channels, convolve each by itself, perhaps weigh them, project to few; a shortcut where sizes agree."""

    def __init__(
        self, inp: int, hidden: int, out: int, kernel: int, stride: int, dilation: int, weighs: bool, hard: bool,
        norm_layer: Callable[..., Any],
    ) -> None:  # fmt: skip
        super().__init__()
        self.use_res_connect, self.out_channels = stride == 1 and inp == out, out
        options = {"norm_layer": norm_layer, "activation_layer": nn.Hardswish if hard else nn.ReLU}
        layers: list[Any] = []
        if hidden != inp:
            layers.append(Conv2dNormActivation(inp, hidden, kernel_size=1, **options))
        stride = 1 if dilation > 1 else stride
        layers.append(Conv2dNormActivation(hidden, hidden, kernel, stride=stride, dilation=dilation, groups=hidden, **options))
        if weighs:
            layers.append(SqueezeExcitation(hidden, make_divisible(hidden // 4, 8), scale_activation=nn.Hardsigmoid))
        layers.append(Conv2dNormActivation(hidden, out, kernel_size=1, norm_layer=norm_layer, activation_layer=None))
        self.block = nn.Sequential(*layers)

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return self.block(input) + input if self.use_res_connect else self.block(input)


class MobileNetV3(nn.Module):
    """Classifies images (N, 3, H, W): scores (N, num_classes).

    `stages`: the rows of the paper's tables; `last_channel`: features before the classifier; `width_mult` scales all channels. With
    `reduced_tail` the last stage has half the channels, with `dilated` it keeps its size.
    """

    def __init__(
        self,
        stages: Any,
        last_channel: int,
        num_classes: int = 1000,
        norm_layer: Callable[..., Any] | None = None,
        dropout: float = 0.2,
        width_mult: float = 1.0,
        reduced_tail: bool = False,
        dilated: bool = False,
    ) -> None:
        super().__init__()
        norm_layer = norm_layer or partial(nn.BatchNorm2d, eps=0.001, momentum=0.01)
        width = lambda channels: make_divisible(channels * width_mult, 8)  # noqa: E731
        tail = len(stages) - 3
        inp = first = width(16)
        features: list[Any] = []
        for i, (kernel, hidden, out, weighs, hard, stride) in enumerate(stages):
            if reduced_tail:
                hidden, out = (hidden if i <= tail else hidden // 2), (out if i < tail else out // 2)
            dilation = 2 if dilated and i >= tail else 1
            features.append(InvertedResidual(inp, width(hidden), width(out), kernel, stride, dilation, weighs, hard, norm_layer))
            inp = width(out)
        last = {"kernel_size": 1, "norm_layer": norm_layer, "activation_layer": nn.Hardswish}
        self.features = nn.Sequential(
            Conv2dNormActivation(3, first, stride=2, norm_layer=norm_layer, activation_layer=nn.Hardswish),
            *features,
            Conv2dNormActivation(inp, 6 * inp, **last),
        )
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        last_channel = width(last_channel // (2 if reduced_tail else 1))
        self.classifier = nn.Sequential(
            nn.Linear(6 * inp, last_channel),
            nn.Hardswish(inplace=True),
            nn.Dropout(p=dropout, inplace=True),
            nn.Linear(last_channel, num_classes),
        )
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
            elif isinstance(module, nn.BatchNorm2d | nn.GroupNorm):
                nn.init.ones_(module.weight)
                nn.init.zeros_(module.bias)
            elif isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, 0, 0.01)
                nn.init.zeros_(module.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.classifier(torch.flatten(self.avgpool(self.features(x)), 1))


@builder
def mobilenet_v3_large(**options: Any) -> MobileNetV3:
    """MobileNetV3, large."""
    return MobileNetV3(_LARGE, 1280, **options)


@builder
def mobilenet_v3_small(**options: Any) -> MobileNetV3:
    """MobileNetV3, small."""
    return MobileNetV3(_SMALL, 1024, **options)
