"""``torchvision.utils``: grids of images, writing them to files, boxes drawn into them."""

from __future__ import annotations

import math
import os
import struct
import warnings
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import torchlike_asg as torch

from ..facade.held import value_of
from ..facade.hosted import data
from .pictures import pillow

__all__ = ["draw_bounding_boxes", "draw_segmentation_masks", "make_grid", "save_image"]

Array = np.ndarray[Any, Any]


def make_grid(
    tensor: torch.Tensor | Sequence[torch.Tensor],
    nrow: int = 8,
    padding: int = 2,
    normalize: bool = False,
    value_range: tuple[float, float] | None = None,
    scale_each: bool = False,
    pad_value: float = 0.0,
) -> torch.Tensor:
    """Images (B, C, H, W), or a list of (C, H, W) of one size, side by side: one image (C, rows, columns), `nrow` images in a row.

    Grey images become three equal channels. `normalize` scales `value_range` (default: the smallest and largest value, of each image with
    `scale_each`) to [0, 1]. The result is data: no gradient flows through it.

    Raises:
        TypeError: not tensors, or a `value_range` that is no tuple.
    """
    if not (isinstance(tensor, torch.Tensor) or (isinstance(tensor, list) and all(isinstance(t, torch.Tensor) for t in tensor))):
        if isinstance(tensor, list):
            raise TypeError("tensor or list of tensors expected, got a list containing something else")
        raise TypeError(f"tensor or list of tensors expected, got {type(tensor)}")
    batch = torch.stack(tensor, dim=0) if isinstance(tensor, list) else tensor
    images, dtype = value_of(batch.detach()), batch.dtype
    images = images[None] if images.ndim == 2 else images
    images = images[None] if images.ndim == 3 else images
    images = np.repeat(images, 3, 1) if images.shape[1] == 1 else images
    if normalize:
        if value_range is not None and not isinstance(value_range, tuple):
            raise TypeError("value_range has to be a tuple (min, max) if specified. min and max are numbers")
        images = np.stack([_scaled(image, value_range) for image in images]) if scale_each else _scaled(images, value_range)
    if len(images) == 1:
        return data(np.ascontiguousarray(images[0]), dtype, torch.device("cpu"))
    count, channels = images.shape[:2]
    columns = min(nrow, count)
    rows = math.ceil(count / columns)
    height, width = images.shape[2] + padding, images.shape[3] + padding
    grid = np.full((channels, height * rows + padding, width * columns + padding), pad_value, images.dtype)
    for k, image in enumerate(images):
        y, x = (k // columns) * height + padding, (k % columns) * width + padding
        grid[:, y : y + height - padding, x : x + width - padding] = image
    return data(grid, dtype, torch.device("cpu"))


def _scaled(values: Array, value_range: tuple[float, float] | None) -> Array:
    low, high = (float(values.min()), float(values.max())) if value_range is None else value_range
    kind = values.dtype.type
    clipped = np.clip(values, kind(low), kind(high))
    return (clipped - kind(low)) / kind(max(high - low, 1e-5))


def save_image(tensor: torch.Tensor | list[torch.Tensor], fp: Any, format: str | None = None, **kwargs: Any) -> None:
    """Write an image, or a grid of several, with values in [0, 1], to a file (a name or an open binary file).

    Pillow writes any of its formats; without Pillow a PNG file can be written. `kwargs` go to `make_grid`.

    Raises:
        ImportError: another format than PNG, and Pillow is not installed.
    """
    grid = value_of(make_grid(tensor, **kwargs))
    pixels = np.clip(grid * grid.dtype.type(255) + grid.dtype.type(0.5), 0, 255).astype(np.uint8).transpose(1, 2, 0)
    named = isinstance(fp, str | os.PathLike)
    kind = (format or (Path(fp).suffix[1:] if named else "png")).lower()
    try:
        image = pillow(f"writing a {kind} file")
    except ImportError:
        if kind != "png":
            raise
        content = png(pixels)
        if named:
            Path(fp).write_bytes(content)
        else:
            fp.write(content)
        return
    image.fromarray(np.ascontiguousarray(pixels)).save(fp, format=format)


def png(pixels: Array) -> bytes:
    """Bytes (H, W, 3) as a PNG file (W3C PNG specification, third edition; no interlacing, filter 0 in every row)."""
    height, width, _ = pixels.shape

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    rows = np.zeros((height, 1 + 3 * width), np.uint8)
    rows[:, 1:] = pixels.reshape(height, -1)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows.tobytes())) + chunk(b"IEND", b"")


def draw_bounding_boxes(
    image: torch.Tensor,
    boxes: torch.Tensor,
    labels: Sequence[str | None] | None = None,
    colors: Any = None,
    fill: bool | None = False,
    width: int = 1,
    font: str | None = None,
    font_size: int | None = None,
) -> torch.Tensor:
    """A copy of an image (C, H, W; uint8, or floating point in [0, 1]) with rectangles (N, 4) of (left, top, right, bottom), and labels.

    `colors`: one colour (a name or an RGB tuple) or one for each box; by default evenly spread hues. `fill` shades the boxes.

    Raises:
        TypeError: not a tensor.
        ValueError: another type or shape, boxes whose right or bottom is before the left or top, or too few labels or colours.
        ImportError: Pillow is not installed.
    """
    if not isinstance(image, torch.Tensor):
        raise TypeError(f"Tensor expected, got {type(image)}")
    if not (image.dtype is torch.uint8 or image.dtype.is_floating_point):
        raise ValueError(f"The image dtype must be uint8 or float, got {image.dtype}")
    if image.ndim != 3:
        raise ValueError("Pass individual images, not batches")
    if image.shape[0] not in (1, 3):
        raise ValueError("Only grayscale and RGB images are supported")
    corners = value_of(boxes.detach())
    if len(corners) and ((corners[:, 0] > corners[:, 2]).any() or (corners[:, 1] > corners[:, 3]).any()):
        raise ValueError("Boxes need to be in (xmin, ymin, xmax, ymax) format. Use torchvision.ops.box_convert to convert them")
    if labels is not None and len(labels) != len(corners):
        raise ValueError(f"The number of boxes ({len(corners)}) and labels ({len(labels)}) mismatch. Please specify labels for each box.")
    values = value_of(image.detach())
    floating = image.dtype.is_floating_point
    pixels = np.repeat(values, 3, 0) if values.shape[0] == 1 else values
    pixels = (pixels * 255).astype(np.uint8) if floating else pixels
    module, drawing = pillow("draw_bounding_boxes"), pillow("draw_bounding_boxes", "ImageDraw")
    picture = module.fromarray(np.ascontiguousarray(pixels.transpose(1, 2, 0)))
    draw = drawing.Draw(picture, "RGBA") if fill else drawing.Draw(picture)
    fonts = pillow("draw_bounding_boxes", "ImageFont")
    face = fonts.load_default() if font is None else fonts.truetype(font=font, size=font_size or 10)
    for box, label, color in zip(
        corners.astype(np.int64).tolist(), labels or [None] * len(corners), _colors(colors, len(corners)), strict=True
    ):
        draw.rectangle(box, width=width, outline=color, fill=(*color, 100) if fill else None)
        if label is not None:
            draw.text((box[0] + width + 1, box[1] + width + 1), label, fill=color, font=face)
    result = np.array(picture).transpose(2, 0, 1)
    result = result.astype(values.dtype) / values.dtype.type(255) if floating else result
    return data(np.ascontiguousarray(result), image.dtype, torch.device("cpu"))


def draw_segmentation_masks(image: torch.Tensor, masks: torch.Tensor, alpha: float = 0.8, colors: Any = None) -> torch.Tensor:
    """A copy of an RGB image (3, H, W; uint8, or floating point in [0, 1]) in which the places of boolean masks (N, H, W) are coloured.

    Places of several masks are black.

    `alpha`: how much of a colour there is, 0 to 1. `colors`: one colour (a name or an RGB tuple) or one for each mask.

    Raises:
        TypeError: not a tensor.
        ValueError: another type or shape, or too few colours.
    """
    if not isinstance(image, torch.Tensor):
        raise TypeError(f"The image must be a tensor, got {type(image)}")
    if not (image.dtype is torch.uint8 or image.dtype.is_floating_point):
        raise ValueError(f"The image dtype must be uint8 or float, got {image.dtype}")
    if image.ndim != 3:
        raise ValueError("Pass individual images, not batches")
    if image.shape[0] != 3:
        raise ValueError("Pass an RGB image. Other Image formats are not supported")
    masks = masks[None] if masks.ndim == 2 else masks
    if masks.ndim != 3:
        raise ValueError("masks must be of shape (H, W) or (batch_size, H, W)")
    if masks.dtype is not torch.bool:
        raise ValueError(f"The masks must be of dtype bool. Got {masks.dtype}")
    if masks.shape[-2:] != image.shape[-2:]:
        raise ValueError("The image and the masks must have the same height and width")
    values, chosen = value_of(image.detach()), value_of(masks)
    if not len(chosen):
        warnings.warn("masks doesn't contain any mask. No mask was drawn", stacklevel=2)
        return image
    floating = image.dtype.is_floating_point
    painted = values.copy()
    for mask, color in zip(chosen, _colors(colors, len(chosen)), strict=True):
        tone = (np.array(color) / 255).astype(values.dtype) if floating else np.array(color, values.dtype)
        painted[:, mask] = tone[:, None]
    painted[:, chosen.sum(0) > 1] = 0
    mixed = values.astype(np.float32) * np.float32(1 - alpha) + painted.astype(np.float32) * np.float32(alpha)
    return data(np.ascontiguousarray(mixed.astype(values.dtype)), image.dtype, torch.device("cpu"))


def _colors(given: Any, count: int) -> list[tuple[int, ...]]:
    """An RGB colour for each of `count` boxes."""
    named = pillow("a colour", "ImageColor").getrgb
    if given is None:
        primes = (2**25 - 1, 2**15 - 1, 2**21 - 1)
        given = [tuple((i * p) % 255 for p in primes) for i in range(count)]
    several = isinstance(given, list)
    if several and len(given) < count:
        raise ValueError(f"Number of colors must be equal or larger than the number of objects, but got {len(given)} < {count}.")
    colors = list(given)[:count] if several else [given] * count
    return [named(color) if isinstance(color, str) else tuple(color) for color in colors]
