"""Image operations on tensors (..., C, H, W): the ones that change values and no places. C is 1 or 3."""

from __future__ import annotations

from typing import Any

import torchlike_asg as torch

from ._tensor import largest, rescaled
from .isolation import isolated

F = torch.nn.functional
Tensor = torch.Tensor


def _check_channels(image: Tensor, permitted: tuple[int, ...]) -> int:
    channels = image.shape[-3] if image.ndim > 2 else 1
    if channels not in permitted:
        raise TypeError(f"Input image tensor permitted channel values are {list(permitted)}, but found {channels}")
    return channels


def _blend(image: Tensor, other: Tensor, ratio: float) -> Tensor:
    ratio = float(ratio)  # a whole number would multiply integers, and overflow
    return (ratio * image + (1.0 - ratio) * other).clamp(0, float(largest(image.dtype))).to(image.dtype)


@isolated
def gray(image: Tensor, channels: int = 1) -> Tensor:
    """Luma of ITU-R 601-2: 0.2989 R + 0.587 G + 0.114 B, in the image's dtype."""
    if _check_channels(image, (1, 3)) == 1:
        return image.clone()  # grey stays in one channel, whatever was asked for
    r, g, b = image.unbind(-3)
    luma = (0.2989 * r + 0.587 * g + 0.114 * b).to(image.dtype).unsqueeze(-3)
    return luma.expand(image.shape) if channels == 3 else luma


@isolated
def brightness(image: Tensor, factor: float) -> Tensor:
    _check_channels(image, (1, 3))
    return _blend(image, torch.zeros_like(image), factor)


@isolated
def contrast(image: Tensor, factor: float) -> Tensor:
    channels = _check_channels(image, (1, 3))
    dtype = image.dtype if image.dtype.is_floating_point else torch.float32
    mean = (gray(image) if channels == 3 else image).to(dtype).mean((-3, -2, -1), keepdim=True)
    return _blend(image, mean, factor)


@isolated
def saturation(image: Tensor, factor: float) -> Tensor:
    return image if _check_channels(image, (1, 3)) == 1 else _blend(image, gray(image), factor)


@isolated
def hue(image: Tensor, factor: float) -> Tensor:
    if _check_channels(image, (1, 3)) == 1:
        return image
    given = image.dtype
    h, s, v = _to_hsv(rescaled(image, torch.float32 if not given.is_floating_point else given))
    return rescaled(_to_rgb((h + factor) % 1.0, s, v), given)


def _to_hsv(image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Hue, saturation and value, each in [0, 1] (Smith, "Color gamut transform pairs", 1978)."""
    r, g, b = image.unbind(-3)
    high, low = image.amax(-3), image.amin(-3)
    flat = high == low
    span = high - low
    ones = torch.ones_like(high)
    s = span / torch.where(flat, ones, high)
    divisor = torch.where(flat, ones, span)
    rc, gc, bc = (high - r) / divisor, (high - g) / divisor, (high - b) / divisor
    red = (high == r) * (bc - gc)
    green = ((high == g) & (high != r)) * (2.0 + rc - bc)
    blue = ((high != g) & (high != r)) * (4.0 + gc - rc)
    return torch.fmod((red + green + blue) / 6.0 + 1.0, 1.0), s, high


def _to_rgb(h: Tensor, s: Tensor, v: Tensor) -> Tensor:
    sextant = torch.floor(h * 6.0)
    f = h * 6.0 - sextant
    index = sextant.to(torch.int32) % 6
    p = (v * (1.0 - s)).clamp(0.0, 1.0)
    q = (v * (1.0 - s * f)).clamp(0.0, 1.0)
    t = (v * (1.0 - s * (1.0 - f))).clamp(0.0, 1.0)
    channels = []
    for order in ((v, q, p, p, t, v), (t, v, v, q, p, p), (p, p, t, v, v, q)):
        channel = torch.zeros_like(v)
        for k, value in enumerate(order):
            channel = torch.where(index == k, value, channel)
        channels.append(channel)
    return torch.stack(channels, -3)


@isolated
def gamma(image: Tensor, exponent: float, gain: float) -> Tensor:
    given = image.dtype
    values = image if given.is_floating_point else rescaled(image, torch.float32)
    return rescaled((gain * values**exponent).clamp(0, 1), given)


@isolated
def invert(image: Tensor) -> Tensor:
    _check_channels(image, (1, 3))
    return largest(image.dtype) - image


@isolated
def posterize(image: Tensor, bits: int) -> Tensor:
    _check_channels(image, (1, 3))
    if image.dtype is not torch.uint8:
        raise TypeError(f"Only torch.uint8 image tensors are supported, but found {image.dtype}")
    return image & (256 - 2 ** (8 - bits))


@isolated
def solarize(image: Tensor, threshold: float) -> Tensor:
    _check_channels(image, (1, 3))
    if threshold > largest(image.dtype):
        raise TypeError("Threshold should be less than bound of img.")
    return torch.where(image >= threshold, largest(image.dtype) - image, image)


@isolated
def sharpness(image: Tensor, factor: float) -> Tensor:
    """Blend with a smoothed image; pixels at the edge stay."""
    _check_channels(image, (1, 3))
    if image.shape[-1] <= 2 or image.shape[-2] <= 2:
        return image
    dtype = image.dtype if image.dtype.is_floating_point else torch.float32
    kernel = torch.ones(3, 3, dtype=dtype)
    kernel[1, 1] = 5.0
    channels = image.shape[-3]
    batch = image.to(dtype).reshape(-1, channels, *image.shape[-2:])
    smooth = F.conv2d(batch, (kernel / kernel.sum()).expand(channels, 1, 3, 3), groups=channels)
    smooth = smooth.reshape(*image.shape[:-2], *smooth.shape[-2:])
    smooth = (smooth if image.dtype.is_floating_point else smooth.round()).to(image.dtype)
    whole = image.clone()
    whole[..., 1:-1, 1:-1] = smooth
    return _blend(image, whole, factor)


@isolated
def autocontrast(image: Tensor) -> Tensor:
    """Stretch each channel to the whole range; a flat channel stays."""
    _check_channels(image, (1, 3))
    bound = largest(image.dtype)
    dtype = image.dtype if image.dtype.is_floating_point else torch.float32
    low, high = image.amin((-2, -1), keepdim=True).to(dtype), image.amax((-2, -1), keepdim=True).to(dtype)
    flat = high == low
    low = torch.where(flat, torch.zeros_like(low), low)
    scale = torch.where(flat, torch.ones_like(high), bound / torch.where(flat, torch.ones_like(high), high - low))
    return ((image - low) * scale).clamp(0, bound).to(image.dtype)


@isolated
def equalize(image: Tensor) -> Tensor:
    """Spread each channel's histogram evenly (uint8 only)."""
    _check_channels(image, (1, 3))
    if image.dtype is not torch.uint8:
        raise TypeError(f"Only torch.uint8 image tensors are supported, but found {image.dtype}")
    planes = image.reshape(-1, image.shape[-2] * image.shape[-1])
    return torch.stack([_equalized(plane) for plane in planes]).reshape(image.shape)


def _equalized(plane: Any) -> Tensor:
    counts = torch.bincount(plane.long(), minlength=256)
    filled = counts[counts != 0]
    step = int(torch.div(filled[:-1].sum(), 255, rounding_mode="floor"))
    if step == 0:
        return plane  # type: ignore[no-any-return]
    table = torch.div(torch.cumsum(counts, 0) + step // 2, step, rounding_mode="floor")
    table = F.pad(table, (1, 0))[:-1].clamp(0, 255)
    return table[plane.long()].to(torch.uint8)
