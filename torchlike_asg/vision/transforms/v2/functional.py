"""``torchvision.transforms.v2.functional``: the functions of version 1, and version 2's names of them."""

from __future__ import annotations

from typing import Any

import torchlike_asg as torch

from .. import functional as _first
from ..conversion import pil_to_tensor
from ..functional import *  # noqa: F403
from ..functional import convert_image_dtype, hflip, vflip

__all__ = [*_first.__all__, "grayscale_to_rgb", "horizontal_flip", "to_dtype", "to_image", "vertical_flip"]

horizontal_flip, vertical_flip = hflip, vflip


def to_image(inpt: Any) -> torch.Tensor:
    """A PIL image, or an array (H, W[, C]), as a tensor (C, H, W) of its own type; a tensor stays."""
    if isinstance(inpt, torch.Tensor):
        return inpt
    if not hasattr(inpt, "ndim"):
        return pil_to_tensor(inpt)
    array = torch.from_numpy(inpt.copy())
    return array[None] if array.ndim == 2 else array.permute(2, 0, 1).contiguous()


def to_dtype(inpt: torch.Tensor, dtype: Any = torch.float32, scale: bool = False) -> torch.Tensor:
    """Another type; with `scale` the values fill its range."""
    return convert_image_dtype(inpt, dtype) if scale else inpt.to(dtype)


def grayscale_to_rgb(inpt: Any) -> Any:
    """A grey image with its channel three times; an image with three or more channels stays (a PIL image becomes RGB)."""
    if isinstance(inpt, torch.Tensor):
        return inpt if inpt.shape[-3] >= 3 else inpt.repeat_interleave(3, -3)
    return inpt.convert("RGB")
