"""Pieces of a pyramid's maps: each region of interest from the map that suits its size."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torchlike_asg as torch

from ... import nn
from .boxes import box_area
from .regions import roi_align

__all__ = ["MultiScaleRoIAlign"]

Tensor = torch.Tensor


class MultiScaleRoIAlign(nn.Module):
    """`roi_align` of each box in the map whose scale suits its size: equation 1 of Lin et al., "Feature Pyramid Networks" (2017).

    ``forward(maps, boxes, image_shapes)``: the maps by name, boxes (L, 4) for each image, and the images' (height, width).
    """

    def __init__(
        self,
        featmap_names: Sequence[str],
        output_size: Any,
        sampling_ratio: int,
        *,
        canonical_scale: int = 224,
        canonical_level: int = 4,
    ) -> None:
        super().__init__()
        self.featmap_names, self.sampling_ratio = list(featmap_names), sampling_ratio
        self.output_size = (output_size, output_size) if isinstance(output_size, int) else tuple(output_size)
        self.canonical_scale, self.canonical_level = canonical_scale, canonical_level

    def forward(self, x: dict[str, Tensor], boxes: list[Tensor], image_shapes: Sequence[tuple[int, int]]) -> Tensor:
        maps = [value for name, value in x.items() if name in self.featmap_names]
        sides = [max(sizes) for sizes in zip(*image_shapes, strict=True)]
        scales = [_scale(features.shape[-2:], sides) for features in maps]
        if len(maps) == 1:
            return roi_align(maps[0], boxes, self.output_size, scales[0], self.sampling_ratio)
        levels = self._levels(boxes, scales)
        regions = torch.cat([torch.cat([torch.full_like(b[:, :1], i), b], dim=1) for i, b in enumerate(boxes)])
        result = torch.zeros(len(regions), maps[0].shape[1], *self.output_size, dtype=maps[0].dtype, device=maps[0].device)
        for level, (features, scale) in enumerate(zip(maps, scales, strict=True)):
            places = torch.where(levels == level)[0]
            if len(places):
                result[places] = roi_align(features, regions[places], self.output_size, scale, self.sampling_ratio)
        return result

    def _levels(self, boxes: list[Tensor], scales: list[float]) -> Tensor:
        """The number of the map for each box, from 0."""
        finest, coarsest = -math.log2(scales[0]), -math.log2(scales[-1])
        side = torch.cat([box_area(b) for b in boxes]).sqrt()
        level = torch.floor(self.canonical_level + torch.log2(side / self.canonical_scale) + 1e-6)
        return level.clamp(min=finest, max=coarsest).to(torch.int64) - int(finest)

    def __repr__(self) -> str:
        sizes = f"output_size={self.output_size}, sampling_ratio={self.sampling_ratio}"
        return f"{type(self).__name__}(featmap_names={self.featmap_names}, {sizes})"


def _scale(shape: Sequence[int], sides: Sequence[int]) -> float:
    """How much smaller than the images a map is, as a power of two."""
    scales = {2.0 ** round(math.log2(own / whole)) for own, whole in zip(shape, sides, strict=True)}
    return scales.pop() if len(scales) == 1 else 2.0 ** round(math.log2(shape[0] / sides[0]))
