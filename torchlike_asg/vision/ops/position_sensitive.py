"""Regions of interest whose bins each have channels of their own (Dai et al., "R-FCN", 2016)."""

from __future__ import annotations

from typing import Any

import torchlike_asg as torch

from ... import nn
from .regions import in_bins, line, pair, regions, rounded

__all__ = ["PSRoIAlign", "PSRoIPool", "ps_roi_align", "ps_roi_pool"]

Tensor = torch.Tensor


def _own_channels(input: Tensor, images: Tensor, height: int, width: int) -> Tensor:
    """(K, C / (height * width), height, width, H, W): for each box and bin the maps that are this bin's."""
    channels = input.shape[1]
    if channels % (height * width):
        raise RuntimeError("input channels must be a multiple of pooling height * pooling width")
    return input[images.long()].view(-1, channels // (height * width), height, width, *input.shape[2:])


def ps_roi_align(input: Tensor, boxes: Any, output_size: Any, spatial_scale: float = 1.0, sampling_ratio: int = -1) -> Tensor:
    """(K, C / (height * width), height, width): `roi_align` in which each bin reads channels of its own.

    Channel ``(c * height + i) * width + j`` of `input` (N, C, H, W) is that of bin (i, j) of result c. The rest is as in `roi_align`, with
    places in the middle of pixels.
    """
    rois = regions(boxes).to(input.dtype)
    height, width = pair(output_size)
    maps = _own_channels(input, rois[:, 0], height, width)
    left, top, right, bottom = (rois[:, 1:] * spatial_scale - 0.5).unbind(1)
    rows = line(top, bottom - top, height, input.shape[-2], sampling_ratio)
    columns = line(left, right - left, width, input.shape[-1], sampling_ratio)
    return torch.einsum("kph,kcpqhw,kqw->kcpq", rows, maps, columns)


def ps_roi_pool(input: Tensor, boxes: Any, output_size: Any, spatial_scale: float = 1.0) -> Tensor:
    """(K, C / (height * width), height, width): the mean of each bin of boxes whose corners are rounded, in channels of its own."""
    rois = regions(boxes).to(input.dtype)
    height, width = pair(output_size)
    maps = _own_channels(input, rois[:, 0], height, width)
    left, top, right, bottom = rounded(rois[:, 1:] * spatial_scale).unbind(1)
    rows = in_bins(top, (bottom - top).clamp(min=1), height, input.shape[-2]).to(input.dtype)
    columns = in_bins(left, (right - left).clamp(min=1), width, input.shape[-1]).to(input.dtype)
    sizes = rows.sum(-1)[:, None, :, None] * columns.sum(-1)[:, None, None]
    return torch.einsum("kph,kcpqhw,kqw->kcpq", rows, maps, columns) / sizes.clamp(min=1)


class PSRoIAlign(nn.Module):
    """`ps_roi_align` of a fixed size."""

    def __init__(self, output_size: Any, spatial_scale: float, sampling_ratio: int) -> None:
        super().__init__()
        self.output_size, self.spatial_scale, self.sampling_ratio = output_size, spatial_scale, sampling_ratio

    def forward(self, input: Tensor, rois: Any) -> Tensor:
        return ps_roi_align(input, rois, self.output_size, self.spatial_scale, self.sampling_ratio)

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(output_size={self.output_size}, spatial_scale={self.spatial_scale}, "
            f"sampling_ratio={self.sampling_ratio})"
        )


class PSRoIPool(nn.Module):
    """`ps_roi_pool` of a fixed size."""

    def __init__(self, output_size: Any, spatial_scale: float) -> None:
        super().__init__()
        self.output_size, self.spatial_scale = output_size, spatial_scale

    def forward(self, input: Tensor, rois: Any) -> Tensor:
        return ps_roi_pool(input, rois, self.output_size, self.spatial_scale)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(output_size={self.output_size}, spatial_scale={self.spatial_scale})"
