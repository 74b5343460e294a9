"""EfficientNet (Tan and Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", 2019) and EfficientNetV2 (2021)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torchlike_asg as torch

from ... import nn
from ..ops.misc import Conv2dNormActivation, SqueezeExcitation, StochasticDepth
from .mobilenetv2 import make_divisible
from .registry import builder

__all__ = ["EfficientNet", "FusedMBConv", "MBConv", "Stage"]

#: expansion, kernel size, stride of the first block, channels, blocks, of each stage of B0 (table 1 of the paper)
_STAGES = ((1, 3, 1, 16, 1), (6, 3, 2, 24, 2), (6, 5, 2, 40, 2), (6, 3, 2, 80, 3), (6, 5, 1, 112, 3), (6, 5, 2, 192, 4), (6, 3, 1, 320, 1))

#: the stages of V2 whose blocks are fused, and the others, in the same way
_V2 = {
    "s": (0.2, ((1, 3, 1, 24, 2), (4, 3, 2, 48, 4), (4, 3, 2, 64, 4)), ((4, 3, 2, 128, 6), (6, 3, 1, 160, 9), (6, 3, 2, 256, 15))),
    "m": (
        0.3,
        ((1, 3, 1, 24, 3), (4, 3, 2, 48, 5), (4, 3, 2, 80, 5)),
        ((4, 3, 2, 160, 7), (6, 3, 1, 176, 14), (6, 3, 2, 304, 18), (6, 3, 1, 512, 5)),
    ),
    "l": (
        0.4,
        ((1, 3, 1, 32, 4), (4, 3, 2, 64, 7), (4, 3, 2, 96, 7)),
        ((4, 3, 2, 192, 10), (6, 3, 1, 224, 19), (6, 3, 2, 384, 25), (6, 3, 1, 640, 7)),
    ),
}


@dataclass
class Stage:
    """`count` blocks of one kind; the first takes `inp` channels and has the stride."""

    block: Callable[..., Any]
    expansion: int
    kernel: int
    stride: int
    inp: int
    out: int
    count: int


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


class FusedMBConv(nn.Module):
    """Expand the channels by one convolution over places and channels, project to few; a shortcut where sizes agree."""

    def __init__(self, inp: int, out: int, expansion: int, kernel: int, stride: int, drop: float, norm_layer: Callable[..., Any]) -> None:
        super().__init__()
        hidden = make_divisible(inp * expansion, 8)
        self.use_res_connect, self.out_channels = stride == 1 and inp == out, out
        options = {"norm_layer": norm_layer, "activation_layer": nn.SiLU}
        layers: list[Any] = [Conv2dNormActivation(inp, hidden if hidden != inp else out, kernel_size=kernel, stride=stride, **options)]
        if hidden != inp:
            layers.append(Conv2dNormActivation(hidden, out, kernel_size=1, norm_layer=norm_layer, activation_layer=None))
        self.block = nn.Sequential(*layers)
        self.stochastic_depth = StochasticDepth(drop, "row")

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        result = self.block(input)
        return self.stochastic_depth(result) + input if self.use_res_connect else result


class EfficientNet(nn.Module):
    """Classifies images (N, 3, H, W): scores (N, num_classes). Without `last_channel`, four times the channels of the last stage."""

    def __init__(
        self,
        stages: Sequence[Stage],
        dropout: float,
        stochastic_depth_prob: float = 0.2,
        num_classes: int = 1000,
        norm_layer: Callable[..., Any] | None = None,
        last_channel: int | None = None,
    ) -> None:
        super().__init__()
        norm_layer = norm_layer or nn.BatchNorm2d
        options = {"norm_layer": norm_layer, "activation_layer": nn.SiLU}
        features: list[Any] = [Conv2dNormActivation(3, stages[0].inp, kernel_size=3, stride=2, **options)]
        total, done = sum(stage.count for stage in stages), 0
        for stage in stages:
            blocks, channels = [], stage.inp
            for i in range(stage.count):
                drop = stochastic_depth_prob * done / total
                step = stage.stride if i == 0 else 1
                blocks.append(stage.block(channels, stage.out, stage.expansion, stage.kernel, step, drop, norm_layer))
                channels, done = stage.out, done + 1
            features.append(nn.Sequential(*blocks))
        last = last_channel if last_channel is not None else 4 * stages[-1].out
        features.append(Conv2dNormActivation(stages[-1].out, last, kernel_size=1, **options))
        self.features = nn.Sequential(*features)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(nn.Dropout(p=dropout, inplace=True), nn.Linear(last, num_classes))
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


def _chained(rows: Sequence[tuple[Any, ...]], width: float = 1.0, depth: float = 1.0, first: int | None = None) -> list[Stage]:
    """Stages of rows (block, expansion, kernel, stride, channels, count), each of which takes what the one before gives."""
    inp = make_divisible(32 * width, 8) if first is None else first
    stages = []
    for block, expansion, kernel, stride, channels, count in rows:
        out = make_divisible(channels * width, 8)
        stages.append(Stage(block, expansion, kernel, stride, inp, out, math.ceil(count * depth)))
        inp = out
    return stages


def _offer(name: str, title: str, stages: Callable[[], list[Stage]], defaults: dict[str, Any]) -> None:
    def make(**options: Any) -> EfficientNet:
        return EfficientNet(stages(), **{**defaults, **options})

    make.__name__ = make.__qualname__ = name
    make.__doc__ = f"{title}."
    __all__.append(name)
    globals()[name] = builder(make)


for _number, (_width, _depth, _dropout) in enumerate(
    ((1.0, 1.0, 0.2), (1.0, 1.1, 0.2), (1.1, 1.2, 0.3), (1.2, 1.4, 0.3), (1.4, 1.8, 0.4), (1.6, 2.2, 0.4), (1.8, 2.6, 0.5), (2.0, 3.1, 0.5))
):
    _rows = [(MBConv, *row) for row in _STAGES]
    _defaults: dict[str, Any] = {"dropout": _dropout}
    if _number > 4:
        _defaults["norm_layer"] = partial(nn.BatchNorm2d, eps=0.001, momentum=0.01)
    _offer(f"efficientnet_b{_number}", f"EfficientNet B{_number}", partial(_chained, _rows, _width, _depth), _defaults)
for _size, (_dropout, _fused, _plain) in _V2.items():
    _rows = [(FusedMBConv, *row) for row in _fused] + [(MBConv, *row) for row in _plain]
    _defaults = {"dropout": _dropout, "norm_layer": partial(nn.BatchNorm2d, eps=0.001), "last_channel": 1280}
    _offer(f"efficientnet_v2_{_size}", f"EfficientNetV2 {_size.upper()}", partial(_chained, _rows, first=_fused[0][3]), _defaults)
