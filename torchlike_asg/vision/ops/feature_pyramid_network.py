"""Features at several scales: the pyramid of Lin et al., "Feature Pyramid Networks for Object Detection" (2017)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

import torchlike_asg as torch

from ... import nn
from .misc import Conv2dNormActivation

__all__ = ["ExtraFPNBlock", "FeaturePyramidNetwork", "LastLevelMaxPool", "LastLevelP6P7"]

Tensor = torch.Tensor


class ExtraFPNBlock(nn.Module):
    """Base class of what adds maps behind the coarsest: ``forward(results, x, names)`` returns longer lists (results, names)."""

    def forward(self, results: list[Tensor], x: list[Tensor], names: list[str]) -> tuple[list[Tensor], list[str]]:
        raise NotImplementedError


class LastLevelMaxPool(ExtraFPNBlock):
    """Every second place of the coarsest map, as "pool"."""

    def forward(self, x: list[Tensor], y: list[Tensor], names: list[str]) -> tuple[list[Tensor], list[str]]:
        return [*x, nn.functional.max_pool2d(x[-1], kernel_size=1, stride=2)], [*names, "pool"]


class LastLevelP6P7(ExtraFPNBlock):
    """Two further maps, "p6" and "p7", as RetinaNet has them: of the coarsest result, or of the coarsest input if channels differ."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.p6 = nn.Conv2d(in_channels, out_channels, 3, 2, 1)
        self.p7 = nn.Conv2d(out_channels, out_channels, 3, 2, 1)
        for layer in (self.p6, self.p7):
            _begin(layer)
        self.use_P5 = in_channels == out_channels

    def forward(self, p: list[Tensor], c: list[Tensor], names: list[str]) -> tuple[list[Tensor], list[str]]:
        sixth = self.p6(p[-1] if self.use_P5 else c[-1])
        return [*p, sixth, self.p7(nn.functional.relu(sixth))], [*names, "p6", "p7"]


def _begin(layer: Any) -> None:
    nn.init.kaiming_uniform_(layer.weight, a=1)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)


class FeaturePyramidNetwork(nn.Module):
    """Maps (N, C_i, H_i, W_i) of an ordered dict, finest first, to maps (N, out_channels, H_i, W_i) under the same names.

    Each is a 3 by 3 convolution of the map's own projection plus the coarser sum, enlarged. `extra_blocks` adds maps behind the coarsest.
    """

    def __init__(
        self,
        in_channels_list: Sequence[int],
        out_channels: int,
        extra_blocks: ExtraFPNBlock | None = None,
        norm_layer: Callable[..., Any] | None = None,
    ) -> None:
        super().__init__()
        if 0 in in_channels_list:
            raise ValueError("in_channels=0 is currently not supported")
        options = {"padding": None, "norm_layer": norm_layer, "activation_layer": None}
        pairs = [
            (
                Conv2dNormActivation(channels, out_channels, kernel_size=1, **options),
                Conv2dNormActivation(out_channels, out_channels, kernel_size=3, **options),
            )
            for channels in in_channels_list
        ]
        self.inner_blocks = nn.ModuleList([inner for inner, _ in pairs])
        self.layer_blocks = nn.ModuleList([layer for _, layer in pairs])
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                _begin(module)
        if extra_blocks is not None and not isinstance(extra_blocks, ExtraFPNBlock):
            raise TypeError(f"extra_blocks should be of type ExtraFPNBlock not {type(extra_blocks)}")
        self.extra_blocks = extra_blocks

    def forward(self, x: dict[str, Tensor]) -> OrderedDict[str, Tensor]:
        names, maps = list(x), list(x.values())
        found: list[Tensor] = []
        above: Any = None
        for inner, layer, features in zip(reversed(self.inner_blocks), reversed(self.layer_blocks), reversed(maps), strict=True):
            own = inner(features)
            above = own if above is None else own + nn.functional.interpolate(above, size=own.shape[-2:], mode="nearest")
            found.insert(0, layer(above))
        if self.extra_blocks is not None:
            found, names = self.extra_blocks(found, maps, names)
        return OrderedDict(zip(names, found, strict=True))
