"""Transforms of images: conversion to tensors, and random augmentation. Images are (..., C, H, W).

Random transforms draw from the default generator, with torchvision's calls in torchvision's order, so the same seed augments alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

import torchlike_asg as torch

from ..dtypes import get_default_dtype
from .base import Array, Transform, tensor_of

__all__ = ["RandomCrop", "RandomHorizontalFlip", "RandomRotation90", "RandomVerticalFlip", "ToTensor"]


class ToTensor:
    """An image (H, W, C) or (H, W), as an array or PIL image, to a tensor (C, H, W).

    uint8 is scaled from [0, 255] to [0, 1] in the default dtype; other types keep their values.

    Raises:
        TypeError: not an array or image (a tensor needs no conversion).
        ValueError: not 2 or 3 axes.
    """

    def __call__(self, image: Any) -> torch.Tensor:
        if not isinstance(image, np.ndarray):
            if not hasattr(image, "__array_interface__"):
                raise TypeError(f"pic should be PIL Image or ndarray. Got {type(image)}")
            image = np.asarray(image)
        if image.ndim not in (2, 3):
            raise ValueError(f"pic should be 2/3 dimensional. Got {image.ndim} dimensions.")
        planes = image[None] if image.ndim == 2 else image.transpose(2, 0, 1)
        if planes.dtype == np.uint8:
            default = get_default_dtype()
            planes = planes.astype(default.compute) / default.compute.type(255)
            return tensor_of(planes, default)
        return torch.tensor(planes)

    def __repr__(self) -> str:
        return "ToTensor()"


_PADDING_MODES = ("constant", "edge", "reflect", "symmetric")


def _require_image(values: Array, name: str) -> None:
    if values.ndim < 2:
        raise ValueError(f"{name} needs an image of shape (..., H, W), got {values.shape}")


class _RandomFlip(Transform):
    _axis: int

    def __init__(self, p: float = 0.5) -> None:
        if not 0 <= p <= 1:
            raise ValueError(f"p must lie in [0, 1], got {p}")
        self.p = p

    def apply(self, values: Array) -> Array:
        _require_image(values, type(self).__name__)
        return np.flip(values, self._axis) if torch.rand(1).item() < self.p else values


class RandomHorizontalFlip(_RandomFlip):
    """Mirrors left and right with probability `p`."""

    _axis = -1


class RandomVerticalFlip(_RandomFlip):
    """Mirrors top and bottom with probability `p`."""

    _axis = -2


class RandomRotation90(Transform):
    """Rotates by 0, 90, 180 or 270 degrees counter-clockwise with equal chances; no pixel is interpolated."""

    def apply(self, values: Array) -> Array:
        _require_image(values, "RandomRotation90")
        return np.rot90(values, int(torch.randint(0, 4, (1,)).item()), axes=(-2, -1))


class RandomCrop(Transform):
    """A part of `size` (H, W) at a random place, after padding.

    `padding`: one number for all sides, two for (left/right, top/bottom), or four for (left, top, right, bottom). With
    `pad_if_needed` an image smaller than the crop is padded on both sides to twice the missing size, as torchvision does.

    Raises:
        ValueError: an image smaller than the crop, or padding of another length.
    """

    def __init__(
        self,
        size: int | Sequence[int],
        padding: int | Sequence[int] | None = None,
        pad_if_needed: bool = False,
        fill: float = 0,
        padding_mode: Literal["constant", "edge", "reflect", "symmetric"] = "constant",
    ) -> None:
        self.size = _pair(size)
        self.padding = padding
        self.pad_if_needed, self.fill, self.padding_mode = pad_if_needed, fill, padding_mode
        if padding_mode not in _PADDING_MODES:
            raise ValueError(f"padding_mode must be one of {_PADDING_MODES}, got {padding_mode!r}")
        self._sides = _four_sides(padding)

    def apply(self, values: Array) -> Array:
        _require_image(values, "RandomCrop")
        values = self._padded(values, *self._sides)
        height, width = values.shape[-2:]
        crop_height, crop_width = self.size
        if self.pad_if_needed:
            across, down = max(crop_width - width, 0), max(crop_height - height, 0)
            values = self._padded(values, across, down, across, down)
            height, width = values.shape[-2:]
        if height < crop_height or width < crop_width:
            raise ValueError(f"Required crop size {self.size} is larger than input image size {(height, width)}")
        if (height, width) == self.size:
            return values
        top = int(torch.randint(0, height - crop_height + 1, size=(1,)).item())
        left = int(torch.randint(0, width - crop_width + 1, size=(1,)).item())
        return values[..., top : top + crop_height, left : left + crop_width]

    def _padded(self, values: Array, left: int, top: int, right: int, bottom: int) -> Array:
        if not any((left, top, right, bottom)):
            return values
        widths = [(0, 0)] * (values.ndim - 2) + [(top, bottom), (left, right)]
        options = {"constant_values": self.fill} if self.padding_mode == "constant" else {}
        return np.pad(values, widths, mode=self.padding_mode, **options)


def _pair(size: int | Sequence[int]) -> tuple[int, int]:
    pair = (size, size) if isinstance(size, int) else tuple(size) * (2 if len(size) == 1 else 1)
    if len(pair) != 2 or min(pair) < 1:
        raise ValueError(f"Please provide only two dimensions (h, w) for size, got {size}")
    return pair[0], pair[1]


def _four_sides(padding: int | Sequence[int] | None) -> tuple[int, int, int, int]:
    sides = (0,) if padding is None else (padding,) if isinstance(padding, int) else tuple(padding)
    if len(sides) not in (1, 2, 4) or min(sides) < 0:
        raise ValueError(f"padding must be 1, 2 or 4 numbers that are not negative, got {padding}")
    left, top, right, bottom = sides * (4 // len(sides))
    return left, top, right, bottom
