"""MNASNet (Tan et al., "MnasNet: Platform-Aware Neural Architecture Search for Mobile", 2019)."""

from __future__ import annotations

from typing import Any

import torchlike_asg as torch

from ... import nn
from .registry import builder

__all__ = ["MNASNet", "mnasnet0_5", "mnasnet0_75", "mnasnet1_0", "mnasnet1_3"]

#: of each stage: channels, kernel, stride, expansion, blocks
_STAGES = ((24, 3, 2, 3, 3), (40, 5, 2, 3, 3), (80, 5, 2, 6, 3), (96, 3, 1, 6, 2), (192, 5, 2, 6, 4), (320, 3, 1, 6, 1))
_MOMENTUM = 1 - 0.9997


def _round(value: float, divisor: int = 8) -> int:
    """A multiple of `divisor`; up, unless that is more than 10 % above what is nearest."""
    nearest = max(divisor, int(value + divisor / 2) // divisor * divisor)
    return nearest if nearest >= 0.9 * value else nearest + divisor


def _widths(alpha: float) -> list[int]:
    return [_round(width * alpha) for width in (32, 16, *[stage[0] for stage in _STAGES])]


class _InvertedResidual(nn.Module):
    def __init__(self, inp: int, out: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = inp * expansion
        self.apply_residual = inp == out and stride == 1
        self.layers = nn.Sequential(
            nn.Conv2d(inp, hidden, 1, bias=False),
            nn.BatchNorm2d(hidden, momentum=_MOMENTUM),
            nn.ReLU(inplace=True),
            nn.Conv2d(hidden, hidden, kernel, padding=kernel // 2, stride=stride, groups=hidden, bias=False),
            nn.BatchNorm2d(hidden, momentum=_MOMENTUM),
            nn.ReLU(inplace=True),
            nn.Conv2d(hidden, out, 1, bias=False),
            nn.BatchNorm2d(out, momentum=_MOMENTUM),
        )

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return self.layers(input) + input if self.apply_residual else self.layers(input)


class MNASNet(nn.Module):
    """Classifies images (N, 3, H, W): scores (N, num_classes). `alpha` scales the channels."""

    def __init__(self, alpha: float, num_classes: int = 1000, dropout: float = 0.2) -> None:
        super().__init__()
        if alpha <= 0.0:
            raise ValueError(f"alpha should be greater than 0.0 instead of {alpha}")
        self.alpha, self.num_classes = alpha, num_classes
        first, second, *widths = _widths(alpha)
        layers: list[Any] = [
            nn.Conv2d(3, first, 3, padding=1, stride=2, bias=False),
            nn.BatchNorm2d(first, momentum=_MOMENTUM),
            nn.ReLU(inplace=True),
            nn.Conv2d(first, first, 3, padding=1, stride=1, groups=first, bias=False),
            nn.BatchNorm2d(first, momentum=_MOMENTUM),
            nn.ReLU(inplace=True),
            nn.Conv2d(first, second, 1, padding=0, stride=1, bias=False),
            nn.BatchNorm2d(second, momentum=_MOMENTUM),
        ]
        inp = second
        for (_, kernel, stride, expansion, blocks), out in zip(_STAGES, widths, strict=True):
            row = [_InvertedResidual(inp, out, kernel, stride, expansion)]
            row += [_InvertedResidual(out, out, kernel, 1, expansion) for _ in range(blocks - 1)]
            layers.append(nn.Sequential(*row))
            inp = out
        layers += [nn.Conv2d(inp, 1280, 1, bias=False), nn.BatchNorm2d(1280, momentum=_MOMENTUM), nn.ReLU(inplace=True)]
        self.layers = nn.Sequential(*layers)
        self.classifier = nn.Sequential(nn.Dropout(p=dropout, inplace=True), nn.Linear(1280, num_classes))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            elif isinstance(module, nn.BatchNorm2d):
                nn.init.ones_(module.weight)
                nn.init.zeros_(module.bias)
            elif isinstance(module, nn.Linear):
                nn.init.kaiming_uniform_(module.weight, mode="fan_out", nonlinearity="sigmoid")
                nn.init.zeros_(module.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.classifier(self.layers(x).mean([2, 3]))


@builder
def mnasnet0_5(**options: Any) -> MNASNet:
    """MNASNet with half the channels."""
    return MNASNet(0.5, **options)


@builder
def mnasnet0_75(**options: Any) -> MNASNet:
    """MNASNet with three quarters of the channels."""
    return MNASNet(0.75, **options)


@builder
def mnasnet1_0(**options: Any) -> MNASNet:
    """MNASNet."""
    return MNASNet(1.0, **options)


@builder
def mnasnet1_3(**options: Any) -> MNASNet:
    """MNASNet with 1.3 times the channels."""
    return MNASNet(1.3, **options)
