"""``torchvision.transforms.functional``: one function for each transform, for tensors (..., C, H, W) and PIL images alike.

PIL images are worked on by Pillow and come back as PIL images; tensors need no Pillow.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

import torchlike_asg as torch

from ..pictures import is_picture, is_tensor_image, refuse
from . import _pil, _tensor, _tensor_color
from .conversion import pil_to_tensor, to_pil_image, to_tensor
from .elastic import elastic_transform
from .geometry import four_sides, inverse_affine, perspective_coefficients, resized
from .interpolation import InterpolationMode, mode_of, pillow_filter

__all__ = [
    "InterpolationMode",
    "adjust_brightness",
    "adjust_contrast",
    "adjust_gamma",
    "adjust_hue",
    "adjust_saturation",
    "adjust_sharpness",
    "affine",
    "autocontrast",
    "center_crop",
    "convert_image_dtype",
    "crop",
    "elastic_transform",
    "equalize",
    "erase",
    "five_crop",
    "gaussian_blur",
    "get_dimensions",
    "get_image_num_channels",
    "get_image_size",
    "hflip",
    "invert",
    "normalize",
    "pad",
    "perspective",
    "pil_to_tensor",
    "posterize",
    "resize",
    "resized_crop",
    "rgb_to_grayscale",
    "rotate",
    "solarize",
    "ten_crop",
    "to_grayscale",
    "to_pil_image",
    "to_tensor",
    "vflip",
]

_SMOOTH = (InterpolationMode.BILINEAR, InterpolationMode.BICUBIC)


def _kernels(img: Any, tensor: Any) -> Any:
    """The module that works on this kind of image.

    Raises:
        TypeError: no image.
    """
    if is_picture(img):
        return _pil
    if is_tensor_image(img):
        return tensor
    raise refuse(img)


def get_dimensions(img: Any) -> list[int]:
    """[channels, height, width]."""
    if is_picture(img):
        return [len(img.getbands()), img.height, img.width]
    if not is_tensor_image(img):
        raise refuse(img)
    return [1 if img.ndim == 2 else img.shape[-3], img.shape[-2], img.shape[-1]]


def get_image_size(img: Any) -> list[int]:
    """[width, height]."""
    _, height, width = get_dimensions(img)
    return [width, height]


def get_image_num_channels(img: Any) -> int:
    """How many channels an image has."""
    return get_dimensions(img)[0]


# ===== Values


def convert_image_dtype(image: torch.Tensor, dtype: Any = torch.float32) -> torch.Tensor:
    """A tensor in another dtype, its values scaled to that dtype's range.

    Raises:
        TypeError: not a tensor.
        RuntimeError: float32 to int32 or int64, and float64 to int64, which would lose the largest values.
    """
    if not isinstance(image, torch.Tensor):
        raise TypeError("Input img should be Tensor Image")
    return _tensor.rescaled(image, dtype)


def normalize(tensor: torch.Tensor, mean: Sequence[float], std: Sequence[float], inplace: bool = False) -> torch.Tensor:
    """(tensor - mean) / std for each channel of a floating-point tensor (..., C, H, W).

    Raises:
        TypeError: no tensor, or one of integers.
        ValueError: fewer than 3 dimensions, or a `std` of zero.
    """
    if not isinstance(tensor, torch.Tensor):
        raise TypeError(f"img should be Tensor Image. Got {type(tensor)}")
    if not tensor.dtype.is_floating_point:
        raise TypeError(f"Input tensor should be a float tensor. Got {tensor.dtype}.")
    if tensor.ndim < 3:
        raise ValueError(f"Expected tensor to be a tensor image of size (..., C, H, W). Got tensor.size() = {tensor.size()}")
    if any(v == 0 for v in np.asarray(std, tensor.dtype.compute).reshape(-1)):
        raise ValueError(f"std evaluated to zero after conversion to {tensor.dtype}, leading to division by zero.")
    result = _tensor.normalize(tensor, mean, std)
    return tensor.copy_(result) if inplace else result


def to_grayscale(img: Any, num_output_channels: int = 1) -> Any:
    """A PIL image in grey, in 1 or 3 equal channels.

    Raises:
        TypeError: not a PIL image.
    """
    if not is_picture(img):
        raise TypeError("Input should be PIL Image")
    return _pil.gray(img, num_output_channels)


def rgb_to_grayscale(img: Any, num_output_channels: int = 1) -> Any:
    """An image in grey, in 1 or 3 equal channels."""
    if num_output_channels not in (1, 3):
        raise ValueError("num_output_channels should be either 1 or 3")
    return _kernels(img, _tensor_color).gray(img, num_output_channels)


def adjust_brightness(img: Any, brightness_factor: float) -> Any:
    """0 is black, 1 the image, 2 twice as bright."""
    if brightness_factor < 0:
        raise ValueError(f"brightness_factor ({brightness_factor}) is not non-negative.")
    return _kernels(img, _tensor_color).brightness(img, brightness_factor)


def adjust_contrast(img: Any, contrast_factor: float) -> Any:
    """0 is an even grey, 1 the image."""
    if contrast_factor < 0:
        raise ValueError(f"contrast_factor ({contrast_factor}) is not non-negative.")
    return _kernels(img, _tensor_color).contrast(img, contrast_factor)


def adjust_saturation(img: Any, saturation_factor: float) -> Any:
    """0 is black and white, 1 the image."""
    if saturation_factor < 0:
        raise ValueError(f"saturation_factor ({saturation_factor}) is not non-negative.")
    return _kernels(img, _tensor_color).saturation(img, saturation_factor)


def adjust_hue(img: Any, hue_factor: float) -> Any:
    """Turn the hue by `hue_factor` of a whole turn, between -0.5 and 0.5."""
    if not -0.5 <= hue_factor <= 0.5:
        raise ValueError(f"hue_factor ({hue_factor}) is not in [-0.5, 0.5].")
    return _kernels(img, _tensor_color).hue(img, hue_factor)


def adjust_gamma(img: Any, gamma: float, gain: float = 1) -> Any:
    """gain * img ** gamma, of values in [0, 1]."""
    if gamma < 0:
        raise ValueError("Gamma should be a non-negative real number")
    return _kernels(img, _tensor_color).gamma(img, gamma, gain)


def adjust_sharpness(img: Any, sharpness_factor: float) -> Any:
    """0 is blurred, 1 the image."""
    if sharpness_factor < 0:
        raise ValueError(f"sharpness_factor ({sharpness_factor}) is not non-negative.")
    return _kernels(img, _tensor_color).sharpness(img, sharpness_factor)


def invert(img: Any) -> Any:
    """White minus the image."""
    return _kernels(img, _tensor_color).invert(img)


def posterize(img: Any, bits: int) -> Any:
    """Keep the `bits` highest bits of every value."""
    if not 0 <= bits <= 8:
        raise ValueError(f"The number if bits should be between 0 and 8. Got {bits}")
    return _kernels(img, _tensor_color).posterize(img, bits)


def solarize(img: Any, threshold: float) -> Any:
    """Invert the values of at least `threshold`."""
    return _kernels(img, _tensor_color).solarize(img, threshold)


def autocontrast(img: Any) -> Any:
    """Stretch each channel to the whole range."""
    return _kernels(img, _tensor_color).autocontrast(img)


def equalize(img: Any) -> Any:
    """Spread each channel's histogram evenly."""
    return _kernels(img, _tensor_color).equalize(img)


def erase(img: torch.Tensor, i: int, j: int, h: int, w: int, v: Any, inplace: bool = False) -> torch.Tensor:
    """Overwrite the rectangle of `h` by `w` pixels at row `i`, column `j` of a tensor by `v`."""
    if not isinstance(img, torch.Tensor):
        raise TypeError(f"img should be Tensor Image. Got {type(img)}")
    if inplace:
        img[..., i : i + h, j : j + w] = v
        return img
    return _tensor.erase(img, i, j, h, w, v)


def gaussian_blur(img: Any, kernel_size: int | Sequence[int], sigma: float | Sequence[float] | None = None) -> Any:
    """Blur by a Gaussian of odd `kernel_size` (x, y); `sigma` follows from the size by default (0.15 size + 0.35)."""
    sizes = [kernel_size, kernel_size] if isinstance(kernel_size, int) else list(kernel_size)
    if len(sizes) != 2:
        raise ValueError(f"If kernel_size is a sequence its length should be 2. Got {len(sizes)}")
    for size in sizes:
        if size % 2 == 0 or size < 0:
            raise ValueError(f"kernel_size should have odd and positive integers. Got {sizes}")
    if sigma is None:
        sigma = [size * 0.15 + 0.35 for size in sizes]
    spreads = [float(sigma)] * 2 if isinstance(sigma, int | float) else [float(s) for s in sigma]
    spreads = spreads * 2 if len(spreads) == 1 else spreads
    if len(spreads) != 2 or min(spreads) <= 0:
        raise ValueError(f"sigma should have positive values. Got {spreads}")
    if is_picture(img):
        return to_pil_image(_tensor.gaussian_blur(pil_to_tensor(img), sizes, spreads), mode=img.mode)
    if not is_tensor_image(img):
        raise refuse(img)
    return _tensor.gaussian_blur(img, sizes, spreads)


# ===== Places


def resize(
    img: Any,
    size: int | Sequence[int],
    interpolation: Any = InterpolationMode.BILINEAR,
    max_size: int | None = None,
    antialias: bool | None = True,
) -> Any:
    """Resample to `size`: (height, width), or one number for the shorter edge. `antialias` is for tensors: Pillow always does it.

    Raises:
        ValueError: `max_size` together with two edges, or not above the shorter edge asked for.
    """
    mode = mode_of(interpolation)
    if isinstance(size, list | tuple):
        if len(size) not in (1, 2):
            raise ValueError(f"Size must be an int or a 1 or 2 element tuple/list, not a {len(size)} element tuple/list")
        if max_size is not None and len(size) != 1:
            raise ValueError("max_size should only be passed if size specifies the length of the smaller edge")
    _, height, width = get_dimensions(img)
    target = resized(height, width, size, max_size)
    if target == (height, width):
        return img
    if is_picture(img):
        return _pil.resize(img, target, pillow_filter(mode))
    if mode.value in ("box", "hamming", "lanczos"):
        raise ValueError(f"This interpolation mode is unsupported with Tensor input: {mode.value}")
    return _tensor.resize(img, target, mode.value, bool(antialias) and mode in _SMOOTH)


def pad(img: Any, padding: Any, fill: Any = 0, padding_mode: str = "constant") -> Any:
    """Borders: `padding` is one number, (left and right, top and bottom), or (left, top, right, bottom). Modes: see the error."""
    if not isinstance(fill, int | float | str | tuple | list):
        raise TypeError("Got inappropriate fill arg")
    if padding_mode not in ("constant", "edge", "reflect", "symmetric"):
        raise ValueError("Padding mode should be either constant, edge, reflect or symmetric")
    return _kernels(img, _tensor).pad(img, four_sides(padding), fill, padding_mode)


def crop(img: Any, top: int, left: int, height: int, width: int) -> Any:
    """A rectangle; what lies outside the image is zero."""
    return _kernels(img, _tensor).crop(img, top, left, height, width)


def center_crop(img: Any, output_size: int | Sequence[int]) -> Any:
    """The middle (height, width) of an image, which is padded with zeros first where it is smaller."""
    sizes = (output_size,) * 2 if isinstance(output_size, int) else tuple(output_size) * (3 - len(output_size))
    down, across = int(sizes[0]), int(sizes[1])
    _, height, width = get_dimensions(img)
    if across > width or down > height:
        missing_x, missing_y = max(across - width, 0), max(down - height, 0)
        img = pad(img, (missing_x // 2, missing_y // 2, (missing_x + 1) // 2, (missing_y + 1) // 2), fill=0)
        _, height, width = get_dimensions(img)
        if (across, down) == (width, height):
            return img
    return crop(img, round((height - down) / 2.0), round((width - across) / 2.0), down, across)


def resized_crop(
    img: Any,
    top: int,
    left: int,
    height: int,
    width: int,
    size: int | Sequence[int],
    interpolation: Any = InterpolationMode.BILINEAR,
    antialias: bool | None = True,
) -> Any:
    """`crop`, then `resize`."""
    return resize(crop(img, top, left, height, width), size, interpolation, antialias=antialias)


def hflip(img: Any) -> Any:
    """Left and right exchanged."""
    return _kernels(img, _tensor).flip(img, -1)


def vflip(img: Any) -> Any:
    """Top and bottom exchanged."""
    return _kernels(img, _tensor).flip(img, -2)


def five_crop(img: Any, size: int | Sequence[int]) -> tuple[Any, ...]:
    """The four corners (top left, top right, bottom left, bottom right) and the middle."""
    sizes = (size,) * 2 if isinstance(size, int) else tuple(size) * (3 - len(size))
    down, across = int(sizes[0]), int(sizes[1])
    _, height, width = get_dimensions(img)
    if across > width or down > height:
        raise ValueError(f"Requested crop size {(down, across)} is bigger than input size {(height, width)}")
    corners = [crop(img, top, left, down, across) for top in (0, height - down) for left in (0, width - across)]
    return (*corners, center_crop(img, [down, across]))


def ten_crop(img: Any, size: int | Sequence[int], vertical_flip: bool = False) -> tuple[Any, ...]:
    """`five_crop` of the image and of its mirror image."""
    return five_crop(img, size) + five_crop(vflip(img) if vertical_flip else hflip(img), size)


def rotate(
    img: Any,
    angle: float,
    interpolation: Any = InterpolationMode.NEAREST,
    expand: bool = False,
    center: Sequence[int] | None = None,
    fill: Any = None,
) -> Any:
    """Turn counter-clockwise by `angle` degrees about `center` (x, y), by default the middle. `expand` makes room for the corners."""
    mode = mode_of(interpolation)
    if not isinstance(angle, int | float):
        raise TypeError("Argument angle should be int or float")
    if center is not None and not isinstance(center, list | tuple):
        raise TypeError("Argument center should be a sequence")
    if is_picture(img):
        return _pil.rotate(img, angle, pillow_filter(mode), expand, center, fill)
    _, height, width = get_dimensions(img)
    middle = [0.0, 0.0] if center is None else [center[0] - width * 0.5, center[1] - height * 0.5]
    # a clockwise matrix is asked for, of coordinates whose y points down
    return _tensor.warp(img, inverse_affine(middle, -angle, [0.0, 0.0], 1.0, [0.0, 0.0]), mode.value, fill, expand)


def affine(
    img: Any,
    angle: float,
    translate: Sequence[int],
    scale: float,
    shear: float | Sequence[float],
    interpolation: Any = InterpolationMode.NEAREST,
    fill: Any = None,
    center: Sequence[int] | None = None,
) -> Any:
    """Rotate clockwise by `angle`, shear, scale about `center` and move by `translate` pixels; angles are in degrees."""
    mode = mode_of(interpolation)
    if scale <= 0.0:
        raise ValueError("Argument scale should be positive")
    if len(translate) != 2:
        raise ValueError("Argument translate should be a sequence of length 2")
    shears = [shear, 0.0] if isinstance(shear, int | float) else [*shear, 0.0] if len(shear) == 1 else list(shear)
    _, height, width = get_dimensions(img)
    if is_picture(img):
        # Pillow counts from the corners of pixels: the middle of an even image lies between two of them
        middle = [width * 0.5, height * 0.5] if center is None else list(center)
        return _pil.affine(img, inverse_affine(middle, angle, translate, scale, shears), pillow_filter(mode), fill)
    middle = [0.0, 0.0] if center is None else [center[0] - width * 0.5, center[1] - height * 0.5]
    return _tensor.warp(img, inverse_affine(middle, angle, [float(t) for t in translate], scale, shears), mode.value, fill)


def perspective(
    img: Any,
    startpoints: Sequence[Sequence[int]],
    endpoints: Sequence[Sequence[int]],
    interpolation: Any = InterpolationMode.BILINEAR,
    fill: Any = None,
) -> Any:
    """The projective transform that moves the four corners `startpoints` (x, y) to `endpoints`."""
    mode = mode_of(interpolation)
    coefficients = perspective_coefficients(startpoints, endpoints)
    if is_picture(img):
        return _pil.perspective(img, coefficients, pillow_filter(mode), fill)
    if not is_tensor_image(img):
        raise refuse(img)
    return _tensor.perspective(img, coefficients, mode.value, fill)
