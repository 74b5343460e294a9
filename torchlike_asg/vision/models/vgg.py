"""VGG networks (Simonyan and Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition", 2014)."""

from __future__ import annotations

from typing import Any

import torchlike_asg as torch

from .registry import builder

__all__ = ["VGG", "vgg11", "vgg11_bn", "vgg13", "vgg13_bn", "vgg16", "vgg16_bn", "vgg19", "vgg19_bn"]

nn = torch.nn
#: convolutions in each of the five stages, and their channels
_STAGES = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}
_CHANNELS = (64, 128, 256, 512, 512)


class VGG(nn.Module):
    """Features, the mean over 7 by 7 fields, and three linear layers."""

    def __init__(self, features: nn.Module, num_classes: int = 1000, init_weights: bool = True, dropout: float = 0.5) -> None:
        super().__init__()
        self.features = features
        self.avgpool = nn.AdaptiveAvgPool2d((7, 7))
        self.classifier = nn.Sequential(
            nn.Linear(512 * 7 * 7, 4096),
            nn.ReLU(True),
            nn.Dropout(p=dropout),
            nn.Linear(4096, 4096),
            nn.ReLU(True),
            nn.Dropout(p=dropout),
            nn.Linear(4096, num_classes),
        )
        if init_weights:
            self._initialise()

    def _initialise(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
                if module.bias is not None:
                    nn.init.constant_(module.bias, 0)
            elif isinstance(module, nn.BatchNorm2d):
                nn.init.constant_(module.weight, 1)
                nn.init.constant_(module.bias, 0)
            elif isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, 0, 0.01)
                nn.init.constant_(module.bias, 0)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.classifier(torch.flatten(self.avgpool(self.features(x)), 1))


def make_layers(cfg: list[int | str], batch_norm: bool = False) -> nn.Sequential:
    """The features: a convolution for each number of channels in `cfg`, and for "M" the maximum over 2 by 2 fields."""
    layers: list[Any] = []
    channels = 3
    for width in cfg:
        if width == "M":
            layers.append(nn.MaxPool2d(kernel_size=2, stride=2))
            continue
        layers.append(nn.Conv2d(channels, width, kernel_size=3, padding=1))
        if batch_norm:
            layers.append(nn.BatchNorm2d(width))
        layers.append(nn.ReLU(inplace=True))
        channels = int(width)
    return nn.Sequential(*layers)


def _vgg(depth: int, batch_norm: bool, options: dict[str, Any]) -> VGG:
    stages = zip(_STAGES[depth], _CHANNELS, strict=True)
    return VGG(make_layers([c for convolutions, width in stages for c in (*[width] * convolutions, "M")], batch_norm), **options)


@builder
def vgg11(**options: Any) -> VGG:
    """VGG-11."""
    return _vgg(11, False, options)


@builder
def vgg11_bn(**options: Any) -> VGG:
    """VGG-11 with batch normalisation."""
    return _vgg(11, True, options)


@builder
def vgg13(**options: Any) -> VGG:
    """VGG-13."""
    return _vgg(13, False, options)


@builder
def vgg13_bn(**options: Any) -> VGG:
    """VGG-13 with batch normalisation."""
    return _vgg(13, True, options)


@builder
def vgg16(**options: Any) -> VGG:
    """VGG-16."""
    return _vgg(16, False, options)


@builder
def vgg16_bn(**options: Any) -> VGG:
    """VGG-16 with batch normalisation."""
    return _vgg(16, True, options)


@builder
def vgg19(**options: Any) -> VGG:
    """VGG-19."""
    return _vgg(19, False, options)


@builder
def vgg19_bn(**options: Any) -> VGG:
    """VGG-19 with batch normalisation."""
    return _vgg(19, True, options)
