"""ShuffleNet V2 (Ma et al., "ShuffleNet V2: Practical Guidelines for Efficient CNN Architecture Design", 2018)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torchlike_asg as torch

from ... import nn
from ...nn import functional as F
from .registry import builder

__all__ = ["InvertedResidual", "ShuffleNetV2", "shufflenet_v2_x0_5", "shufflenet_v2_x1_0", "shufflenet_v2_x1_5", "shufflenet_v2_x2_0"]


def _pointwise(inp: int, out: int) -> list[Any]:
    return [nn.Conv2d(inp, out, kernel_size=1, stride=1, padding=0, bias=False), nn.BatchNorm2d(out), nn.ReLU(inplace=True)]


def _depthwise(channels: int, stride: int) -> list[Any]:
    return [nn.Conv2d(channels, channels, 3, stride, padding=1, bias=False, groups=channels), nn.BatchNorm2d(channels)]


class InvertedResidual(nn.Module):
    """Half of the channels is convolved, the other kept (or convolved by itself at stride 2); then the halves are mixed."""

    def __init__(self, inp: int, oup: int, stride: int) -> None:
        super().__init__()
        if stride not in (1, 2, 3):
            raise ValueError("illegal stride value")
        half = oup // 2
        if stride == 1 and inp != 2 * half:
            raise ValueError(f"Invalid combination of stride {stride}, inp {inp} and oup {oup} values. At stride 1 the channels stay.")
        self.stride = stride
        self.branch1 = nn.Sequential(*([*_depthwise(inp, stride), *_pointwise(inp, half)] if stride > 1 else []))
        self.branch2 = nn.Sequential(*_pointwise(inp if stride > 1 else half, half), *_depthwise(half, stride), *_pointwise(half, half))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.stride == 1:
            kept, changed = x.chunk(2, dim=1)
            return F.channel_shuffle(torch.cat((kept, self.branch2(changed)), dim=1), 2)
        return F.channel_shuffle(torch.cat((self.branch1(x), self.branch2(x)), dim=1), 2)


class ShuffleNetV2(nn.Module):
    """Classifies images (N, 3, H, W): scores (N, num_classes).

    `stages_repeats`: blocks of each of the three sizes; `stages_out_channels`: channels of the five stages.
    """

    def __init__(
        self,
        stages_repeats: list[int],
        stages_out_channels: list[int],
        num_classes: int = 1000,
        inverted_residual: Callable[..., Any] = InvertedResidual,
    ) -> None:
        super().__init__()
        if len(stages_repeats) != 3:
            raise ValueError("expected stages_repeats as list of 3 positive ints")
        if len(stages_out_channels) != 5:
            raise ValueError("expected stages_out_channels as list of 5 positive ints")
        first, *middle, last = stages_out_channels
        self.conv1 = nn.Sequential(nn.Conv2d(3, first, 3, 2, 1, bias=False), nn.BatchNorm2d(first), nn.ReLU(inplace=True))
        self.maxpool = nn.MaxPool2d(kernel_size=3, stride=2, padding=1)
        channels = first
        for i, (repeats, out) in enumerate(zip(stages_repeats, middle, strict=True), 2):
            blocks = [inverted_residual(channels, out, 2), *[inverted_residual(out, out, 1) for _ in range(repeats - 1)]]
            self.add_module(f"stage{i}", nn.Sequential(*blocks))
            channels = out
        self.conv5 = nn.Sequential(*_pointwise(channels, last))
        self.fc = nn.Linear(last, num_classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.maxpool(self.conv1(x))
        x = self.conv5(self.stage4(self.stage3(self.stage2(x))))
        return self.fc(x.mean([2, 3]))


def _shufflenet(widths: tuple[int, ...], options: dict[str, Any]) -> ShuffleNetV2:
    return ShuffleNetV2([4, 8, 4], [24, *widths], **options)


@builder
def shufflenet_v2_x0_5(**options: Any) -> ShuffleNetV2:
    """ShuffleNet V2 with half the channels."""
    return _shufflenet((48, 96, 192, 1024), options)


@builder
def shufflenet_v2_x1_0(**options: Any) -> ShuffleNetV2:
    """ShuffleNet V2."""
    return _shufflenet((116, 232, 464, 1024), options)


@builder
def shufflenet_v2_x1_5(**options: Any) -> ShuffleNetV2:
    """ShuffleNet V2 with one and a half times the channels."""
    return _shufflenet((176, 352, 704, 1024), options)


@builder
def shufflenet_v2_x2_0(**options: Any) -> ShuffleNetV2:
    """ShuffleNet V2 with twice the channels."""
    return _shufflenet((244, 488, 976, 2048), options)
