"""Image operations on tensors (..., C, H, W): the geometric ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

import torchlike_asg as torch

from ...facade.held import value_of
from ...facade.hosted import data
from .geometry import affine_output_size, four_sides
from .isolation import isolated

F = torch.nn.functional
Tensor = torch.Tensor
_PAD_MODES = {"constant": "constant", "edge": "replicate", "reflect": "reflect"}


def _as_batch(image: Tensor, dtypes: Sequence[Any]) -> tuple[Tensor, Any]:
    """(image of four dimensions and of one of `dtypes`, function that undoes both)."""
    batch = image if image.ndim == 4 else image.reshape(-1, *image.shape[-3:]) if image.ndim > 4 else image[(None,) * (4 - image.ndim)]
    given, shape = image.dtype, image.shape

    def restore(result: Tensor) -> Tensor:
        result = result.reshape(*shape[:-3], *result.shape[-3:]) if len(shape) > 4 else result[(0,) * (4 - len(shape))]
        if result.dtype is given:
            return result
        return (result if given.is_floating_point else torch.round(result)).to(given)

    return (batch if given in dtypes else batch.to(dtypes[0])), restore


@isolated
def resize(image: Tensor, size: Sequence[int], mode: str, antialias: bool) -> Tensor:
    """Resample to (height, width). Integers are computed in float32 and rounded."""
    smooth = mode in ("bilinear", "bicubic")
    batch, restore = _as_batch(image, (torch.float32, torch.float64) if smooth or image.dtype.is_floating_point else (image.dtype,))
    options: dict[str, Any] = {"align_corners": False, "antialias": antialias} if smooth else {}
    result = F.interpolate(batch, size=tuple(size), mode=mode, **options)
    if mode == "bicubic" and image.dtype is torch.uint8:
        result = result.clamp(0, 255)
    return restore(result)


@isolated
def crop(image: Tensor, top: int, left: int, height: int, width: int) -> Tensor:
    """A rectangle; what lies outside the image is zero."""
    h, w = image.shape[-2:]
    right, bottom = left + width, top + height
    part = image[..., max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)]
    if left >= 0 and top >= 0 and right <= w and bottom <= h:
        return part
    before_x, before_y = max(-left + min(0, right), 0), max(-top + min(0, bottom), 0)
    after_x, after_y = max(right - max(w, left), 0), max(bottom - max(h, top), 0)
    return F.pad(part, (before_x, after_x, before_y, after_y))


@isolated
def pad(image: Tensor, padding: Any, fill: Any, mode: str) -> Tensor:
    """Borders on all sides. `fill`: a number, or one for each channel; "symmetric" repeats the edge, "reflect" does not."""
    left, top, right, bottom = four_sides(padding)
    if mode == "symmetric":
        rows, columns = (_mirrored(n, *ends, image) for n, ends in ((image.shape[-2], (top, bottom)), (image.shape[-1], (left, right))))
        return image[..., rows[:, None], columns[None, :]]
    sides = (left, right, top, bottom)
    if mode != "constant":
        batch, restore = _as_batch(image, (torch.float32, torch.float64))
        return restore(F.pad(batch, sides, mode=_PAD_MODES[mode]))
    if isinstance(fill, tuple | list) and len(fill) > 1:
        return torch.cat([F.pad(plane, sides, value=value) for plane, value in zip(image.split(1, -3), fill, strict=True)], -3)
    value = fill[0] if isinstance(fill, tuple | list) else 0 if fill is None else fill
    return F.pad(image, sides, value=value)


def _mirrored(n: int, before: int, after: int, image: Tensor) -> Tensor:
    if before < 0 or after < 0:
        raise ValueError("Padding can not be negative for symmetric padding_mode")
    if before > n or after > n:
        raise ValueError(f"symmetric padding of {max(before, after)} is larger than the image, which has {n} there")
    order = [*reversed(range(before)), *range(n), *reversed(range(n - after, n))]
    return torch.tensor(order, device=image.device)


@isolated
def flip(image: Tensor, dim: int) -> Tensor:
    return image.flip(dim)


def _sampled(image: Tensor, grid: Tensor, mode: str, fill: Any) -> Tensor:
    """The image read at `grid` (1, H, W, 2), in [-1, 1]; `fill` (a number for each channel, or None for zero) where that is outside."""
    batch, restore = _as_batch(image, (torch.float32, torch.float64))
    grid = grid.to(batch.dtype).expand(len(batch), *grid.shape[1:])
    if fill is None:
        return restore(F.grid_sample(batch, grid, mode=mode, padding_mode="zeros", align_corners=False))
    inside = torch.ones(len(batch), 1, *batch.shape[-2:], dtype=batch.dtype)
    both = F.grid_sample(torch.cat((batch, inside), 1), grid, mode=mode, padding_mode="zeros", align_corners=False)
    result, mask = both[:, :-1], both[:, -1:]
    values = [float(v) for v in fill] if isinstance(fill, tuple | list) else [float(fill)]
    border = torch.tensor(values, dtype=batch.dtype).view(1, -1, 1, 1)
    if mode == "nearest":
        return restore(torch.where(mask < 0.5, border.expand_as(result), result))
    return restore(result * mask + (1.0 - mask) * border)


@isolated
def warp(image: Tensor, matrix: Sequence[float], mode: str, fill: Any, expand: bool = False) -> Tensor:
    """An affine transform; `matrix` takes output pixels to input pixels, both measured from the image's middle."""
    height, width = image.shape[-2:]
    across, down = affine_output_size(matrix, width, height) if expand else (width, height)
    dtype = image.dtype if image.dtype.is_floating_point else torch.float32
    theta = torch.tensor(list(matrix), dtype=dtype).reshape(1, 2, 3)
    x = torch.linspace(-across * 0.5 + 0.5, across * 0.5 + 0.5 - 1, steps=across, dtype=dtype)
    y = torch.linspace(-down * 0.5 + 0.5, down * 0.5 + 0.5 - 1, steps=down, dtype=dtype)
    base = torch.stack((x.expand(down, across), y[:, None].expand(down, across), torch.ones(down, across, dtype=dtype)), -1)
    scaled = theta.transpose(1, 2) / torch.tensor([0.5 * width, 0.5 * height], dtype=dtype)
    return _sampled(image, (base.view(1, -1, 3) @ scaled).view(1, down, across, 2), mode, fill)


@isolated
def perspective(image: Tensor, coefficients: Sequence[float], mode: str, fill: Any) -> Tensor:
    """A projective transform: output (x, y) reads ((a x + b y + c) / w, (d x + e y + f) / w) with w = g x + h y + 1."""
    height, width = image.shape[-2:]
    dtype = image.dtype if image.dtype.is_floating_point else torch.float32
    a, b, c, d, e, f, g, h = coefficients
    x = torch.linspace(0.5, width + 0.5 - 1.0, steps=width, dtype=dtype).expand(height, width)
    y = torch.linspace(0.5, height + 0.5 - 1.0, steps=height, dtype=dtype)[:, None].expand(height, width)
    points = torch.stack((x, y, torch.ones(height, width, dtype=dtype)), -1).view(1, -1, 3)
    numerator = torch.tensor([[a, b, c], [d, e, f]], dtype=dtype).t() / torch.tensor([0.5 * width, 0.5 * height], dtype=dtype)
    denominator = torch.tensor([[g, h, 1.0], [g, h, 1.0]], dtype=dtype).t()
    grid = ((points @ numerator) / (points @ denominator) - 1.0).view(1, height, width, 2)
    return _sampled(image, grid, mode, fill)


def _at_hand(image: Tensor) -> Any:
    """The values of a tensor that is data of a type NumPy computes in, or None."""
    return None if image.requires_grad or image.dtype in (torch.bfloat16, torch.float16) else value_of(image)


def erase(image: Tensor, top: int, left: int, height: int, width: int, value: Any) -> Tensor:
    values = _at_hand(image)
    if values is None or getattr(value, "requires_grad", False):
        return _erased(image, top, left, height, width, value)
    values = values.copy()  # on the host: every rectangle would be a graph of its own
    values[..., top : top + height, left : left + width] = value_of(value) if isinstance(value, Tensor) else value
    return data(values, image.dtype, image.device)


@isolated
def _erased(image: Tensor, top: int, left: int, height: int, width: int, value: Any) -> Tensor:
    result = image.clone()
    result[..., top : top + height, left : left + width] = value
    return result


@isolated
def gaussian_blur(image: Tensor, kernel_size: Sequence[int], sigma: Sequence[float]) -> Tensor:
    """Convolution with a Gaussian; `kernel_size` and `sigma` for (x, y). The border is reflected."""
    dtype = image.dtype if image.dtype.is_floating_point else torch.float32
    weights = []
    for size, spread in zip(kernel_size, sigma, strict=True):
        half = (size - 1) * 0.5
        density = torch.exp(-0.5 * (torch.linspace(-half, half, steps=size, dtype=dtype) / spread).pow(2))
        weights.append(density / density.sum())
    across, down = weights
    batch, restore = _as_batch(image, (dtype,))
    channels = batch.shape[1]
    kernel = (down[:, None] @ across[None, :]).expand(channels, 1, len(down), len(across))
    x, y = len(across) // 2, len(down) // 2
    return restore(F.conv2d(F.pad(batch, (x, x, y, y), mode="reflect"), kernel, groups=channels))


@isolated
def rescaled(image: Tensor, dtype: Any) -> Tensor:
    """Another dtype with its range: floating point lies in [0, 1], integers in [0, their largest]."""
    if image.dtype is dtype:
        return image
    if image.dtype.is_floating_point:
        if dtype.is_floating_point:
            return image.to(dtype)
        if (image.dtype is torch.float32 and dtype in (torch.int32, torch.int64)) or (
            image.dtype is torch.float64 and dtype is torch.int64
        ):
            raise RuntimeError(f"The cast from {image.dtype} to {dtype} cannot be performed safely.")
        return image.mul(largest(dtype) + 1.0 - 1e-3).to(dtype)  # so that each value gets an equal share of [0, 1]
    if dtype.is_floating_point:
        return image.to(dtype) / largest(image.dtype)
    here, there = largest(image.dtype), largest(dtype)
    if here > there:
        return torch.div(image, (here + 1) // (there + 1), rounding_mode="floor").to(dtype)
    return image.to(dtype) * ((there + 1) // (here + 1))


def largest(dtype: Any) -> int:
    """The value of white: 1 in floating point and bool, the largest value of an integer type."""
    return 1 if dtype.is_floating_point or dtype is torch.bool else int(torch.iinfo(dtype).max)


def normalize(image: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    values = _at_hand(image)
    if values is None or isinstance(mean, Tensor) or isinstance(std, Tensor):
        result = _normalized(image, mean, std)
    else:
        center, spread = (np.asarray(v, values.dtype) for v in (mean, std))
        center, spread = (v.reshape(-1, 1, 1) if v.ndim == 1 else v for v in (center, spread))
        result = data((values - center) / spread, image.dtype, image.device)
    if result.shape != image.shape:
        raise RuntimeError(f"output with shape {list(image.shape)} doesn't match the broadcast shape {list(result.shape)}")
    return result


@isolated
def _normalized(image: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    spread = torch.as_tensor(std, dtype=image.dtype)
    center = torch.as_tensor(mean, dtype=image.dtype)
    center, spread = (v.view(-1, 1, 1) if v.ndim == 1 else v for v in (center, spread))
    return (image - center) / spread


@isolated
def elastic(image: Tensor, displacement: Any, mode: str, fill: Any) -> Tensor:
    """Every pixel read at its place plus its `displacement`, an array (1, H, W, 2) of (x, y) in halves of the image's size."""
    height, width = image.shape[-2:]
    dtype = image.dtype if image.dtype.is_floating_point else torch.float32
    y, x = (torch.linspace((1.0 - n) / n, (n - 1.0) / n, steps=n, dtype=dtype) for n in (height, width))
    places = torch.stack((x.expand(height, width), y[:, None].expand(height, width)), -1)[None]
    return _sampled(image, places + torch.from_numpy(displacement).to(dtype), mode, fill)
