"""Random transforms of values. Their numbers come from the default generator in torchvision's order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torchlike_asg as torch

from . import functional as F
from .base import Chance, Transform, pair, uniform

__all__ = [
    "ColorJitter",
    "GaussianBlur",
    "RandomAdjustSharpness",
    "RandomAutocontrast",
    "RandomEqualize",
    "RandomGrayscale",
    "RandomInvert",
    "RandomPosterize",
    "RandomSolarize",
]

Range = tuple[float, float] | None
_ADJUST = (F.adjust_brightness, F.adjust_contrast, F.adjust_saturation, F.adjust_hue)


class ColorJitter(Transform):
    """Brightness, contrast, saturation and hue changed by random factors, in random order.

    Each of the first three is a number v (a factor between max(0, 1 - v) and 1 + v) or (low, high); `hue` a number v (a turn between
    -v and v, at most half) or (low, high).
    """

    def __init__(self, brightness: Any = 0, contrast: Any = 0, saturation: Any = 0, hue: Any = 0) -> None:
        super().__init__()
        self.brightness = self._range(brightness, "brightness")
        self.contrast = self._range(contrast, "contrast")
        self.saturation = self._range(saturation, "saturation")
        self.hue = self._range(hue, "hue", center=0, bounds=(-0.5, 0.5))

    @staticmethod
    def _range(value: Any, name: str, center: float = 1, bounds: tuple[float, float] = (0, float("inf"))) -> Range:
        if isinstance(value, int | float):
            if value < 0:
                raise ValueError(f"If {name} is a single number, it must be non negative.")
            low, high = center - float(value), center + float(value)
            if name != "hue":
                low = max(low, 0.0)
        elif isinstance(value, tuple | list) and len(value) == 2:
            low, high = float(value[0]), float(value[1])
        else:
            raise TypeError(f"{name} should be a single number or a list/tuple with length 2.")
        if not bounds[0] <= low <= high <= bounds[1]:
            raise ValueError(f"{name} values should be between {bounds}, but got {[low, high]}.")
        return None if low == high == center else (low, high)

    @staticmethod
    def get_params(
        brightness: Range, contrast: Range, saturation: Range, hue: Range
    ) -> tuple[torch.Tensor, float | None, float | None, float | None, float | None]:
        """(the order of the four changes, and the factor of each, None where nothing is to change)."""
        order = torch.randperm(4)
        b, c, s, h = (None if r is None else uniform(r[0], r[1]) for r in (brightness, contrast, saturation, hue))
        return order, b, c, s, h

    def forward(self, img: Any) -> Any:
        order, *factors = self.get_params(self.brightness, self.contrast, self.saturation, self.hue)
        for i in order.tolist():
            if factors[i] is not None:
                img = _ADJUST[i](img, factors[i])
        return img

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(brightness={self.brightness}, contrast={self.contrast}, saturation={self.saturation}, hue={self.hue})"
        )


class RandomGrayscale(Chance):
    """Grey with probability `p`, in as many channels as before."""

    def __init__(self, p: float = 0.1) -> None:
        super().__init__(p)

    def changed(self, img: Any) -> Any:
        return F.rgb_to_grayscale(img, num_output_channels=F.get_image_num_channels(img))


class GaussianBlur(Transform):
    """Blurred by a Gaussian whose standard deviation is random between `sigma`."""

    def __init__(self, kernel_size: int | Sequence[int], sigma: float | Sequence[float] = (0.1, 2.0)) -> None:
        super().__init__()
        self.kernel_size = pair(kernel_size, "Kernel size should be a tuple/list of two integers")
        if any(size <= 0 or size % 2 == 0 for size in self.kernel_size):
            raise ValueError("Kernel size value should be an odd and positive number.")
        self.sigma = (float(sigma),) * 2 if isinstance(sigma, int | float) else tuple(float(s) for s in sigma)
        if not 0.0 < self.sigma[0] <= self.sigma[1]:
            raise ValueError(f"sigma values should be positive and of the form (min, max). Got {self.sigma}")

    @staticmethod
    def get_params(sigma_min: float, sigma_max: float) -> float:
        """A random standard deviation."""
        return uniform(sigma_min, sigma_max)

    def forward(self, img: Any) -> Any:
        sigma = self.get_params(self.sigma[0], self.sigma[1])
        return F.gaussian_blur(img, self.kernel_size, [sigma, sigma])

    def __repr__(self) -> str:
        return f"{type(self).__name__}(kernel_size={self.kernel_size}, sigma={self.sigma})"


class RandomInvert(Chance):
    """Inverted with probability `p`."""

    def changed(self, img: Any) -> Any:
        return F.invert(img)


class RandomAutocontrast(Chance):
    """Each channel stretched to the whole range with probability `p`."""

    def changed(self, img: Any) -> Any:
        return F.autocontrast(img)


class RandomEqualize(Chance):
    """The histogram spread evenly with probability `p`."""

    def changed(self, img: Any) -> Any:
        return F.equalize(img)


class RandomPosterize(Chance):
    """Reduced to `bits` bits with probability `p`."""

    _detail = "bits"

    def __init__(self, bits: int, p: float = 0.5) -> None:
        super().__init__(p)
        self.bits = bits

    def changed(self, img: Any) -> Any:
        return F.posterize(img, self.bits)


class RandomSolarize(Chance):
    """Values of at least `threshold` inverted with probability `p`."""

    _detail = "threshold"

    def __init__(self, threshold: float, p: float = 0.5) -> None:
        super().__init__(p)
        self.threshold = threshold

    def changed(self, img: Any) -> Any:
        return F.solarize(img, self.threshold)


class RandomAdjustSharpness(Chance):
    """Sharpened or blurred with probability `p`. See `functional.adjust_sharpness`."""

    _detail = "sharpness_factor"

    def __init__(self, sharpness_factor: float, p: float = 0.5) -> None:
        super().__init__(p)
        self.sharpness_factor = sharpness_factor

    def changed(self, img: Any) -> Any:
        return F.adjust_sharpness(img, self.sharpness_factor)
