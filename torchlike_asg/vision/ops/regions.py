"""Features of regions of interest: pieces of feature maps at one size."""

from __future__ import annotations

from typing import Any

import torchlike_asg as torch

from ... import nn

__all__ = ["RoIAlign", "RoIPool", "roi_align", "roi_pool"]

Tensor = torch.Tensor


def pair(size: Any) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else (int(size[0]), int(size[1]))


def regions(boxes: Any) -> Tensor:
    """(K, 5) of (index of the image, left, top, right, bottom), also of a list of boxes (L, 4) for each image."""
    if isinstance(boxes, (list, tuple)):
        for b in boxes:
            if b.shape[-1] != 4:
                raise AssertionError("The shape of the tensor in the boxes list is not correct as List[Tensor[L, 4]]")
        images = [torch.full_like(b[:, :1], i) for i, b in enumerate(boxes)]
        return torch.cat([torch.cat(images), torch.cat(list(boxes))], dim=1)
    if boxes.shape[-1] != 5:
        raise AssertionError("The boxes tensor shape is not correct as Tensor[K, 5]")
    return boxes  # type: ignore[no-any-return]


def _weights(at: Tensor, size: int) -> Tensor:
    """(..., size): what each place of a line of `size` counts at the places `at`, linearly interpolated; nothing beyond its ends."""
    inside = (at >= -1.0) & (at <= size)
    clamped = at.clamp(0, size - 1)
    places = torch.arange(size, device=at.device, dtype=at.dtype)
    return (1 - (clamped[..., None] - places).abs()).clamp(min=0) * inside[..., None]


def line(start: Tensor, length: Tensor, bins: int, size: int, ratio: int) -> Tensor:
    """(K, bins, size): the mean weights of the samples of each bin of a line from `start`."""
    width = length / bins
    count = torch.full_like(length, ratio) if ratio > 0 else torch.ceil(width)
    most = max(int(count.max().item()), 1) if count.numel() else 1
    sample = torch.arange(most, device=start.device, dtype=start.dtype)
    used = sample < count[:, None]
    bin_start = start[:, None] + torch.arange(bins, device=start.device, dtype=start.dtype) * width[:, None]
    at = bin_start[:, :, None] + ((sample + 0.5) * (width / count.clamp(min=1))[:, None])[:, None]
    weights = _weights(at, size) * used[:, None, :, None]
    return weights.sum(2) / count.clamp(min=1)[:, None, None]


def roi_align(
    input: Tensor, boxes: Any, output_size: Any, spatial_scale: float = 1.0, sampling_ratio: int = -1, aligned: bool = False
) -> Tensor:
    """(K, C, *output_size): the means of bilinear samples of `input` (N, C, H, W) in each bin of each box (He et al., 2017).

    `boxes`: (K, 5) with the image's index in front, or a list of (L, 4) for each image; `spatial_scale`: from their coordinates to those
    of `input`; `sampling_ratio`: samples of a bin along each side, by default as many as it has places; `aligned`: places are points in
    the middle of pixels.
    """
    rois = regions(boxes).to(input.dtype)
    height, width = pair(output_size)
    corners = rois[:, 1:] * spatial_scale - (0.5 if aligned else 0.0)
    left, top, right, bottom = corners.unbind(1)
    wide, high = right - left, bottom - top
    if not aligned:
        wide, high = wide.clamp(min=1.0), high.clamp(min=1.0)
    rows = line(top, high, height, input.shape[-2], sampling_ratio)
    columns = line(left, wide, width, input.shape[-1], sampling_ratio)
    images = input[rois[:, 0].long()]
    return torch.einsum("kph,kchw,kqw->kcpq", rows, images, columns)


def in_bins(start: Tensor, length: Tensor, bins: int, size: int) -> Tensor:
    """(K, bins, size): which places of a line each bin has."""
    step = length.to(torch.float32)[:, None] / bins
    numbers = torch.arange(bins, device=start.device)
    low = (torch.floor(numbers * step) + start[:, None]).clamp(0, size)
    high = (torch.ceil((numbers + 1) * step) + start[:, None]).clamp(0, size)
    places = torch.arange(size, device=start.device)
    return (places >= low[..., None]) & (places < high[..., None])


def rounded(values: Tensor) -> Tensor:
    """To the nearest integer, halves away from zero."""
    return torch.where(values < 0, -torch.floor(-values + 0.5), torch.floor(values + 0.5))


def roi_pool(input: Tensor, boxes: Any, output_size: Any, spatial_scale: float = 1.0) -> Tensor:
    """(K, C, *output_size): the largest value of `input` in each bin of each box, whose corners are rounded; 0 of empty bins."""
    rois = regions(boxes).to(input.dtype)
    height, width = pair(output_size)
    left, top, right, bottom = rounded(rois[:, 1:] * spatial_scale).unbind(1)
    rows = in_bins(top, (bottom - top + 1).clamp(min=1), height, input.shape[-2])
    columns = in_bins(left, (right - left + 1).clamp(min=1), width, input.shape[-1])
    lowest = float("-inf")
    images = input[rois[:, 0].long()]
    found = images[:, :, None].masked_fill(~rows[:, None, :, :, None], lowest).amax(3)
    found = found[:, :, :, None].masked_fill(~columns[:, None, None], lowest).amax(4)
    return torch.where(found == lowest, torch.zeros_like(found), found)


class RoIAlign(nn.Module):
    """`roi_align` of a fixed size."""

    def __init__(self, output_size: Any, spatial_scale: float, sampling_ratio: int, aligned: bool = False) -> None:
        super().__init__()
        self.output_size, self.spatial_scale, self.sampling_ratio, self.aligned = output_size, spatial_scale, sampling_ratio, aligned

    def forward(self, input: Tensor, rois: Any) -> Tensor:
        return roi_align(input, rois, self.output_size, self.spatial_scale, self.sampling_ratio, self.aligned)

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(output_size={self.output_size}, spatial_scale={self.spatial_scale}, "
            f"sampling_ratio={self.sampling_ratio}, aligned={self.aligned})"
        )


class RoIPool(nn.Module):
    """`roi_pool` of a fixed size."""

    def __init__(self, output_size: Any, spatial_scale: float) -> None:
        super().__init__()
        self.output_size, self.spatial_scale = output_size, spatial_scale

    def forward(self, input: Tensor, rois: Any) -> Tensor:
        return roi_pool(input, rois, self.output_size, self.spatial_scale)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(output_size={self.output_size}, spatial_scale={self.spatial_scale})"
