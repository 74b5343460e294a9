"""Elastic deformation (Simard et al., 2003): every pixel is read a little elsewhere, by a smooth random field."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

import torchlike_asg as torch

from ...rng import draws
from ..pictures import is_picture, is_tensor_image, refuse
from . import _tensor
from .base import Transform
from .conversion import pil_to_tensor, to_pil_image
from .interpolation import InterpolationMode, mode_of

__all__ = ["ElasticTransform", "elastic_transform"]


def _size(img: Any) -> tuple[int, int]:
    return (img.size[1], img.size[0]) if is_picture(img) else (int(img.shape[-2]), int(img.shape[-1]))


def elastic_transform(img: Any, displacement: Any, interpolation: Any = InterpolationMode.BILINEAR, fill: Any = None) -> Any:
    """Every pixel read elsewhere: `displacement` (1, H, W, 2) says how far along x and y, in halves of the image's width and height.

    Raises:
        TypeError: it is no tensor.
        ValueError: it has another shape.
    """
    mode = mode_of(interpolation)
    if not isinstance(displacement, torch.Tensor):
        raise TypeError("Argument displacement should be a Tensor")
    if not is_picture(img) and not is_tensor_image(img):
        raise refuse(img)
    expected = (1, *_size(img), 2)
    if tuple(displacement.shape) != expected:
        raise ValueError(f"Argument displacement expected shape {expected}, but given {tuple(displacement.shape)}")
    shifts = displacement.detach().numpy()
    if is_picture(img):
        return to_pil_image(_tensor.elastic(pil_to_tensor(img), shifts, mode.value, fill), mode=img.mode)
    return _tensor.elastic(img, shifts, mode.value, fill)


def _two(value: Any, name: str) -> list[float]:
    """A number for x and one for y."""
    if not isinstance(value, int | float | list | tuple):
        raise TypeError(f"{name} should be float or a sequence of floats. Got {type(value)}")
    found = [value] if isinstance(value, int | float) else list(value)
    if len(found) not in (1, 2):
        raise ValueError(f"If {name} is a sequence its length should be 1 or 2. Got {len(found)}")
    return [float(v) for v in found * (3 - len(found))]


class ElasticTransform(Transform):
    """Moved by fields of even noise, `alpha` pixels at most, that a Gaussian of standard deviation `sigma` smooths; both for x and y."""

    def __init__(
        self,
        alpha: float | Sequence[float] = 50.0,
        sigma: float | Sequence[float] = 5.0,
        interpolation: Any = InterpolationMode.BILINEAR,
        fill: Any = 0,
    ) -> None:
        super().__init__()
        self.alpha, self.sigma = _two(alpha, "alpha"), _two(sigma, "sigma")
        self.interpolation = mode_of(interpolation)
        self.fill = [float(fill)] if isinstance(fill, int | float) else [float(f) for f in fill]

    @staticmethod
    def get_params(alpha: Sequence[float], sigma: Sequence[float], size: Sequence[int]) -> Any:
        """A random displacement (1, H, W, 2) for an image of `size` (H, W)."""
        fields = []
        for strength, spread, extent in zip(alpha, sigma, reversed(size), strict=True):
            noise = draws.uniform(torch.default_generator._engine, (1, 1, *size), None, torch.float32, 0.0, 1.0) * 2 - 1
            if spread > 0:
                width = int(8 * spread + 1) | 1
                noise = _tensor.gaussian_blur(torch.from_numpy(np.ascontiguousarray(noise, np.float32)), [width] * 2, sigma).numpy()
            fields.append(noise[0] * (strength / extent))
        return torch.from_numpy(np.ascontiguousarray(np.stack(fields, -1), np.float32))

    def forward(self, img: Any) -> Any:
        displacement = self.get_params(self.alpha, self.sigma, _size(img))
        return elastic_transform(img, displacement, self.interpolation, self.fill)

    def __repr__(self) -> str:
        shown = f"alpha={self.alpha}, sigma={self.sigma}, interpolation={self.interpolation}, fill={self.fill}"
        return f"{type(self).__name__}({shown})"
