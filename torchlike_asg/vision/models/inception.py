"""Inception v3 (Szegedy et al., "Rethinking the Inception Architecture for Computer Vision", 2016)."""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple

import torchlike_asg as torch

from ... import nn
from ...nn import functional as F
from .registry import builder

__all__ = ["Inception3", "InceptionOutputs", "inception_v3"]


class InceptionOutputs(NamedTuple):
    """Scores, and those of the classifier in the middle, in training."""

    logits: torch.Tensor
    aux_logits: torch.Tensor | None


class BasicConv2d(nn.Module):
    """A convolution without bias, normalised, and ReLU."""

    def __init__(self, in_channels: int, out_channels: int, **options: Any) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, bias=False, **options)
        self.bn = nn.BatchNorm2d(out_channels, eps=0.001)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.relu(self.bn(self.conv(x)), inplace=True)


def _conv(channels: int, out: int, size: int | tuple[int, int], stride: int = 1) -> BasicConv2d:
    """A `BasicConv2d` that keeps the size at stride 1; with stride 2 without padding."""
    if stride == 2:
        return BasicConv2d(channels, out, kernel_size=size, stride=2)
    padding = size // 2 if isinstance(size, int) else (size[0] // 2, size[1] // 2)
    return BasicConv2d(channels, out, kernel_size=size, padding=padding)


class _Branches(nn.Module):
    """Chains of convolutions side by side, and perhaps a pooled one; their channels are put together.

    `chains`: for every branch the channels, sizes and strides of its layers, under their names.
    """

    def __init__(self, channels: int, chains: list[list[tuple[str, int, Any, int]]], pooled: int | None) -> None:
        super().__init__()
        self._chains: list[list[str]] = []
        for chain in chains:
            width = channels
            for name, out, size, stride in chain:
                setattr(self, name, _conv(width, out, size, stride))
                width = out
            self._chains.append([name for name, *_ in chain])
        self._pools = pooled is not None
        if pooled:
            self.branch_pool = _conv(channels, pooled, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found = []
        for chain in self._chains:
            y = x
            for name in chain:
                y = getattr(self, name)(y)
            found.append(y)
        if self._pools:
            found.append(self.branch_pool(F.avg_pool2d(x, 3, stride=1, padding=1)))
        else:
            found.append(F.max_pool2d(x, kernel_size=3, stride=2))
        return torch.cat(found, 1)


class InceptionA(_Branches):
    """(N, C, 35, 35) to 224 + `pool_features` channels."""

    def __init__(self, in_channels: int, pool_features: int) -> None:
        one = [("branch1x1", 64, 1, 1)]
        five = [("branch5x5_1", 48, 1, 1), ("branch5x5_2", 64, 5, 1)]
        double = [("branch3x3dbl_1", 64, 1, 1), ("branch3x3dbl_2", 96, 3, 1), ("branch3x3dbl_3", 96, 3, 1)]
        super().__init__(in_channels, [one, five, double], pool_features)


class InceptionB(_Branches):
    """Half the size, 480 channels more."""

    def __init__(self, in_channels: int) -> None:
        double = [("branch3x3dbl_1", 64, 1, 1), ("branch3x3dbl_2", 96, 3, 1), ("branch3x3dbl_3", 96, 3, 2)]
        super().__init__(in_channels, [[("branch3x3", 384, 3, 2)], double], None)


class InceptionC(_Branches):
    """768 channels, through convolutions along a row and a column."""

    def __init__(self, in_channels: int, channels_7x7: int) -> None:
        c, row, column = channels_7x7, (1, 7), (7, 1)
        seven = [("branch7x7_1", c, 1, 1), ("branch7x7_2", c, row, 1), ("branch7x7_3", 192, column, 1)]
        sizes = (1, column, row, column, row)
        double = [(f"branch7x7dbl_{i}", c if i < 5 else 192, size, 1) for i, size in enumerate(sizes, 1)]
        super().__init__(in_channels, [[("branch1x1", 192, 1, 1)], seven, double], 192)


class InceptionD(_Branches):
    """Half the size, 512 channels more."""

    def __init__(self, in_channels: int) -> None:
        three = [("branch3x3_1", 192, 1, 1), ("branch3x3_2", 320, 3, 2)]
        seven = [(f"branch7x7x3_{i}", 192, size, stride) for i, (size, stride) in enumerate(((1, 1), ((1, 7), 1), ((7, 1), 1), (3, 2)), 1)]
        super().__init__(in_channels, [three, seven], None)


class InceptionE(nn.Module):
    """2048 channels; two of the branches end in two convolutions side by side."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.branch1x1 = _conv(in_channels, 320, 1)
        self.branch3x3_1 = _conv(in_channels, 384, 1)
        self.branch3x3_2a = _conv(384, 384, (1, 3))
        self.branch3x3_2b = _conv(384, 384, (3, 1))
        self.branch3x3dbl_1 = _conv(in_channels, 448, 1)
        self.branch3x3dbl_2 = _conv(448, 384, 3)
        self.branch3x3dbl_3a = _conv(384, 384, (1, 3))
        self.branch3x3dbl_3b = _conv(384, 384, (3, 1))
        self.branch_pool = _conv(in_channels, 192, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        three = self.branch3x3_1(x)
        double = self.branch3x3dbl_2(self.branch3x3dbl_1(x))
        found = [self.branch1x1(x), self.branch3x3_2a(three), self.branch3x3_2b(three)]
        found += [self.branch3x3dbl_3a(double), self.branch3x3dbl_3b(double)]
        return torch.cat([*found, self.branch_pool(F.avg_pool2d(x, 3, stride=1, padding=1))], 1)


class InceptionAux(nn.Module):
    """The classifier in the middle: (N, C, 17, 17) to scores (N, num_classes)."""

    def __init__(self, in_channels: int, num_classes: int) -> None:
        super().__init__()
        self.conv0 = _conv(in_channels, 128, 1)
        self.conv1 = BasicConv2d(128, 768, kernel_size=5)
        self.conv1.stddev = 0.01
        self.fc = nn.Linear(768, num_classes)
        self.fc.stddev = 0.001

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.conv1(self.conv0(F.avg_pool2d(x, kernel_size=5, stride=3)))
        return self.fc(torch.flatten(F.adaptive_avg_pool2d(x, (1, 1)), 1))


class Inception3(nn.Module):
    """Classifies images (N, 3, 299, 299): scores (N, num_classes), and `InceptionOutputs` in training with `aux_logits`.

    `transform_input`: images normalised as ImageNet's are scaled to the range that the published weights were trained in.
    """

    def __init__(
        self,
        num_classes: int = 1000,
        aux_logits: bool = True,
        transform_input: bool = False,
        inception_blocks: Any = None,
        init_weights: bool | None = None,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        if inception_blocks is None:
            inception_blocks = [BasicConv2d, InceptionA, InceptionB, InceptionC, InceptionD, InceptionE, InceptionAux]
        if init_weights is None:
            warnings.warn(
                "The default weight initialization of inception_v3 will be changed in future releases of torchvision. If you wish to keep "
                "the old behavior (which leads to long initialization times due to scipy/scipy#11299), please set init_weights=True.",
                FutureWarning,
                stacklevel=2,
            )
            init_weights = True
        if len(inception_blocks) != 7:
            raise ValueError(f"length of inception_blocks should be 7 instead of {len(inception_blocks)}")
        conv, a, b, c, d, e, aux = inception_blocks
        self.aux_logits, self.transform_input = aux_logits, transform_input
        self.Conv2d_1a_3x3 = conv(3, 32, kernel_size=3, stride=2)
        self.Conv2d_2a_3x3 = conv(32, 32, kernel_size=3)
        self.Conv2d_2b_3x3 = conv(32, 64, kernel_size=3, padding=1)
        self.maxpool1 = nn.MaxPool2d(kernel_size=3, stride=2)
        self.Conv2d_3b_1x1 = conv(64, 80, kernel_size=1)
        self.Conv2d_4a_3x3 = conv(80, 192, kernel_size=3)
        self.maxpool2 = nn.MaxPool2d(kernel_size=3, stride=2)
        self.Mixed_5b, self.Mixed_5c, self.Mixed_5d = a(192, pool_features=32), a(256, pool_features=64), a(288, pool_features=64)
        self.Mixed_6a = b(288)
        self.Mixed_6b, self.Mixed_6c = c(768, channels_7x7=128), c(768, channels_7x7=160)
        self.Mixed_6d, self.Mixed_6e = c(768, channels_7x7=160), c(768, channels_7x7=192)
        self.AuxLogits = aux(768, num_classes) if aux_logits else None
        self.Mixed_7a = d(768)
        self.Mixed_7b, self.Mixed_7c = e(1280), e(2048)
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.dropout = nn.Dropout(p=dropout)
        self.fc = nn.Linear(2048, num_classes)
        if init_weights:
            for module in self.modules():
                if isinstance(module, (nn.Conv2d, nn.Linear)):
                    nn.init.trunc_normal_(module.weight, mean=0.0, std=float(getattr(module, "stddev", 0.1)), a=-2, b=2)
                elif isinstance(module, nn.BatchNorm2d):
                    nn.init.constant_(module.weight, 1)
                    nn.init.constant_(module.bias, 0)

    def forward(self, x: torch.Tensor) -> Any:
        if self.transform_input:
            means, stds = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
            x = torch.cat([x[:, i : i + 1] * (s / 0.5) + (m - 0.5) / 0.5 for i, (m, s) in enumerate(zip(means, stds, strict=True))], 1)
        x = self.maxpool1(self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(x))))
        x = self.maxpool2(self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(x)))
        x = self.Mixed_6a(self.Mixed_5d(self.Mixed_5c(self.Mixed_5b(x))))
        x = self.Mixed_6e(self.Mixed_6d(self.Mixed_6c(self.Mixed_6b(x))))
        aux = self.AuxLogits(x) if self.AuxLogits is not None and self.training else None
        x = self.avgpool(self.Mixed_7c(self.Mixed_7b(self.Mixed_7a(x))))
        x = self.fc(torch.flatten(self.dropout(x), 1))
        return InceptionOutputs(x, aux) if self.training and self.aux_logits else x


@builder
def inception_v3(**options: Any) -> Inception3:
    """Inception v3, for images of 299 x 299."""
    return Inception3(**options)
