"""RegNet (Radosavovic et al., "Designing Network Design Spaces", 2020)."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from typing import Any

import torchlike_asg as torch

from ... import nn
from ..ops.misc import Conv2dNormActivation, SqueezeExcitation
from .mobilenetv2 import make_divisible
from .registry import builder

__all__ = ["RegNet", "stages_of"]

#: depth, initial width, slope, quantisation, width of a group; a Y weighs its channels, too (tables of the paper)
_X = {
    "400mf": (22, 24, 24.48, 2.54, 16),
    "800mf": (16, 56, 35.73, 2.28, 16),
    "1_6gf": (18, 80, 34.01, 2.25, 24),
    "3_2gf": (25, 88, 26.31, 2.25, 48),
    "8gf": (23, 80, 49.56, 2.88, 120),
    "16gf": (22, 216, 55.59, 2.1, 128),
    "32gf": (23, 320, 69.86, 2.0, 168),
}
_Y = {
    "400mf": (16, 48, 27.89, 2.09, 8),
    "800mf": (14, 56, 38.84, 2.4, 16),
    "1_6gf": (27, 48, 20.71, 2.65, 24),
    "3_2gf": (21, 80, 42.63, 2.66, 24),
    "8gf": (17, 192, 76.82, 2.19, 56),
    "16gf": (18, 200, 106.23, 2.48, 112),
    "32gf": (20, 232, 115.89, 2.53, 232),
}


def stages_of(depth: int, initial: int, slope: float, factor: float, group: int) -> list[tuple[int, int, int]]:
    """(channels, blocks, width of a group) of each stage: the widths of `depth` blocks grow linearly, and are quantised to powers of
    `factor` times `initial` and multiples of 8; those that agree are a stage.
    """
    if slope < 0 or initial <= 0 or factor <= 1 or initial % 8:
        raise ValueError("Invalid RegNet settings")
    widths = []
    for i in range(depth):
        power = round(math.log((initial + slope * i) / initial) / math.log(factor))
        widths.append(round(initial * factor**power / 8) * 8)
    stages = []
    for width in sorted(set(widths)):
        size = min(group, width)
        stages.append((make_divisible(width, size), widths.count(width), size))
    return stages


class SimpleStemIN(Conv2dNormActivation):
    """The first convolution, at stride 2."""


class BottleneckTransform(nn.Sequential):
    """The convolutions of a block."""


class AnyStage(nn.Sequential):
    """Blocks of one width."""


class ResBottleneckBlock(nn.Module):
    """1 x 1, grouped 3 x 3 and 1 x 1 convolutions beside a shortcut."""

    def __init__(
        self, inp: int, out: int, stride: int, group: int, ratio: float | None, norm: Callable[..., Any], activation: Callable[..., Any]
    ) -> None:
        super().__init__()
        options = {"norm_layer": norm, "activation_layer": activation}
        plain = {"norm_layer": norm, "activation_layer": None}
        self.proj = None
        if inp != out or stride != 1:
            self.proj = Conv2dNormActivation(inp, out, kernel_size=1, stride=stride, **plain)
        parts: OrderedDict[str, Any] = OrderedDict()
        parts["a"] = Conv2dNormActivation(inp, out, kernel_size=1, stride=1, **options)
        parts["b"] = Conv2dNormActivation(out, out, kernel_size=3, stride=stride, groups=out // group, **options)
        if ratio:
            parts["se"] = SqueezeExcitation(out, round(ratio * inp), activation=activation)
        parts["c"] = Conv2dNormActivation(out, out, kernel_size=1, stride=1, **plain)
        self.f = BottleneckTransform(parts)
        self.activation = activation(inplace=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        shortcut = x if self.proj is None else self.proj(x)
        return self.activation(shortcut + self.f(x))


class RegNet(nn.Module):
    """Classifies images (N, 3, H, W): scores (N, num_classes).

    `stages`: what `stages_of` gives; `se_ratio`: features by which the channels are weighed, as a share of a block's input channels.
    """

    def __init__(
        self,
        stages: list[tuple[int, int, int]],
        num_classes: int = 1000,
        stem_width: int = 32,
        se_ratio: float | None = None,
        norm_layer: Callable[..., Any] | None = None,
        activation: Callable[..., Any] | None = None,
    ) -> None:
        super().__init__()
        norm_layer, activation = norm_layer or nn.BatchNorm2d, activation or nn.ReLU
        self.stem = SimpleStemIN(3, stem_width, kernel_size=3, stride=2, norm_layer=norm_layer, activation_layer=activation)
        inp = stem_width
        trunk: OrderedDict[str, Any] = OrderedDict()
        for i, (width, blocks, group) in enumerate(stages, 1):
            row: OrderedDict[str, Any] = OrderedDict()
            for j in range(blocks):
                row[f"block{i}-{j}"] = ResBottleneckBlock(inp, width, 1 if j else 2, group, se_ratio, norm_layer, activation)
                inp = width
            trunk[f"block{i}"] = AnyStage(row)
        self.trunk_output = nn.Sequential(trunk)
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(in_features=inp, out_features=num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                fan_out = module.kernel_size[0] * module.kernel_size[1] * module.out_channels
                nn.init.normal_(module.weight, mean=0.0, std=math.sqrt(2.0 / fan_out))
            elif isinstance(module, nn.BatchNorm2d):
                nn.init.ones_(module.weight)
                nn.init.zeros_(module.bias)
            elif isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, mean=0.0, std=0.01)
                nn.init.zeros_(module.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.avgpool(self.trunk_output(self.stem(x)))
        return self.fc(x.flatten(start_dim=1))


def _builder(kind: str, size: str, settings: Any) -> Callable[..., Any]:
    def make(**options: Any) -> RegNet:
        norm = options.pop("norm_layer", None) or partial(nn.BatchNorm2d, eps=1e-05, momentum=0.1)
        return RegNet(stages_of(*settings), se_ratio=0.25 if kind == "y" else None, norm_layer=norm, **options)

    make.__name__ = make.__qualname__ = f"regnet_{kind}_{size}"
    make.__doc__ = f"RegNet{kind.upper()}, {size.replace('_', '.').upper()}."
    return builder(make)


for _kind, _table in (("x", _X), ("y", _Y)):
    for _size, _settings in _table.items():
        globals()[f"regnet_{_kind}_{_size}"] = _builder(_kind, _size, _settings)
        __all__.append(f"regnet_{_kind}_{_size}")
