"""Image operations on PIL images, by Pillow's own routines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..pictures import pillow
from .geometry import four_sides

Image = Any


def _fill(image: Image, fill: Any, keyword: str = "fillcolor") -> dict[str, Any]:
    """The keyword that fills the outside: one number is used for every channel.

    Raises:
        ValueError: as many numbers as the image has no channels.
    """
    channels = len(image.getbands())
    if fill is None:
        fill = 0
    if isinstance(fill, int | float) and channels > 1:
        fill = (fill,) * channels
    elif isinstance(fill, tuple | list):
        if len(fill) == 1:
            fill = tuple(fill) * channels if channels > 1 else fill[0]
        elif len(fill) != channels:
            raise ValueError(
                f"The number of elements in 'fill' does not match the number of channels of the image ({len(fill)} != {channels})"
            )
        else:
            fill = tuple(fill)
    if image.mode != "F":
        fill = tuple(int(v) for v in fill) if isinstance(fill, tuple) else int(fill)
    return {keyword: fill}


def resize(image: Image, size: Sequence[int], resample: int) -> Image:
    return image.resize((size[1], size[0]), resample)


def crop(image: Image, top: int, left: int, height: int, width: int) -> Image:
    return image.crop((left, top, left + width, top + height))


def pad(image: Image, padding: Any, fill: Any, mode: str) -> Image:
    left, top, right, bottom = four_sides(padding)
    if mode == "constant":
        options = _fill(image, fill, "fill")
        expanded = pillow("Pad", "ImageOps").expand(image, border=(left, top, right, bottom), **options)
        if image.mode == "P":
            expanded.putpalette(image.getpalette())
        return expanded
    if min(left, top, right, bottom) < 0:  # a negative border cuts off
        image = image.crop((max(-left, 0), max(-top, 0), image.width - max(-right, 0), image.height - max(-bottom, 0)))
        left, top, right, bottom = (max(n, 0) for n in (left, top, right, bottom))
    values = np.asarray(image)
    padded = np.pad(values, [(top, bottom), (left, right), (0, 0)][: values.ndim], mode)  # type: ignore[call-overload]
    result = pillow("Pad").fromarray(padded)
    if image.mode == "P":
        result.putpalette(image.getpalette())
    return result


def flip(image: Image, dim: int) -> Image:
    transpose = pillow("a flip").Transpose
    return image.transpose(transpose.FLIP_LEFT_RIGHT if dim == -1 else transpose.FLIP_TOP_BOTTOM)


def rotate(image: Image, angle: float, resample: int, expand: bool, center: Any, fill: Any) -> Image:
    return image.rotate(angle, resample, expand, center, **_fill(image, fill))


def affine(image: Image, matrix: Sequence[float], resample: int, fill: Any) -> Image:
    return image.transform(image.size, pillow("affine").Transform.AFFINE, matrix, resample, **_fill(image, fill))


def perspective(image: Image, coefficients: Sequence[float], resample: int, fill: Any) -> Image:
    return image.transform(image.size, pillow("perspective").Transform.PERSPECTIVE, coefficients, resample, **_fill(image, fill))


def gray(image: Image, channels: int = 1) -> Image:
    if channels not in (1, 3):
        raise ValueError("num_output_channels should be either 1 or 3")
    luma = image.convert("L")
    return luma if channels == 1 else pillow("Grayscale").fromarray(np.repeat(np.asarray(luma)[:, :, None], 3, 2))


def _enhanced(image: Image, kind: str, factor: float) -> Image:
    return getattr(pillow("a change of colour", "ImageEnhance"), kind)(image).enhance(factor)


def brightness(image: Image, factor: float) -> Image:
    return _enhanced(image, "Brightness", factor)


def contrast(image: Image, factor: float) -> Image:
    return _enhanced(image, "Contrast", factor)


def saturation(image: Image, factor: float) -> Image:
    return _enhanced(image, "Color", factor)


def sharpness(image: Image, factor: float) -> Image:
    return _enhanced(image, "Sharpness", factor)


def hue(image: Image, factor: float) -> Image:
    if image.mode in ("L", "1", "I", "F"):
        return image
    module = pillow("hue")
    h, s, v = image.convert("HSV").split()
    turned = np.asarray(h) + np.uint8(int(factor * 255) % 256)  # wraps around, as angles do
    return module.merge("HSV", (module.fromarray(turned), s, v)).convert(image.mode)


def gamma(image: Image, exponent: float, gain: float) -> Image:
    table = [int((255 + 1 - 1e-3) * gain * pow(level / 255.0, exponent)) for level in range(256)] * 3
    return image.convert("RGB").point(table).convert(image.mode)


def invert(image: Image) -> Image:
    return pillow("invert", "ImageOps").invert(image)


def posterize(image: Image, bits: int) -> Image:
    return pillow("posterize", "ImageOps").posterize(image, bits)


def solarize(image: Image, threshold: float) -> Image:
    return pillow("solarize", "ImageOps").solarize(image, threshold)


def autocontrast(image: Image) -> Image:
    return pillow("autocontrast", "ImageOps").autocontrast(image)


def equalize(image: Image) -> Image:
    return pillow("equalize", "ImageOps").equalize(image)
