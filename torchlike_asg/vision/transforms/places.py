"""Random transforms of places, and whether and which of several to apply.

Their numbers come from the default generator in torchvision's order (from Python's `random` where torchvision takes them from there),
so the same seed augments alike.
"""

from __future__ import annotations

import math
import random
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import torchlike_asg as torch

from . import functional as F
from .base import Chance, Compose, Transform, aspect, chance, integer, interval, logarithms, pair, uniform
from .interpolation import InterpolationMode, mode_of

__all__ = [
    "RandomAffine",
    "RandomApply",
    "RandomChoice",
    "RandomCrop",
    "RandomErasing",
    "RandomHorizontalFlip",
    "RandomOrder",
    "RandomPerspective",
    "RandomResizedCrop",
    "RandomRotation",
    "RandomVerticalFlip",
]


class RandomHorizontalFlip(Chance):
    """Mirrors left and right with probability `p`."""

    def changed(self, img: Any) -> Any:
        return F.hflip(img)


class RandomVerticalFlip(Chance):
    """Mirrors top and bottom with probability `p`."""

    def changed(self, img: Any) -> Any:
        return F.vflip(img)


class RandomCrop(Transform):
    """A part of `size` at a random place, after padding. With `pad_if_needed` a smaller image is padded on both sides by what is missing.

    Raises:
        ValueError: an image smaller than the crop.
    """

    def __init__(
        self,
        size: int | Sequence[int],
        padding: int | Sequence[int] | None = None,
        pad_if_needed: bool = False,
        fill: Any = 0,
        padding_mode: str = "constant",
    ) -> None:
        super().__init__()
        self.size = pair(size)
        self.padding, self.pad_if_needed, self.fill, self.padding_mode = padding, pad_if_needed, fill, padding_mode

    @staticmethod
    def get_params(img: Any, output_size: Sequence[int]) -> tuple[int, int, int, int]:
        """(top, left, height, width) of a random crop."""
        _, height, width = F.get_dimensions(img)
        down, across = output_size
        if height < down or width < across:
            raise ValueError(f"Required crop size {(down, across)} is larger than input image size {(height, width)}")
        if (height, width) == (down, across):
            return 0, 0, height, width
        top = integer(0, height - down + 1)
        left = integer(0, width - across + 1)
        return top, left, down, across

    def forward(self, img: Any) -> Any:
        if self.padding is not None:
            img = F.pad(img, self.padding, self.fill, self.padding_mode)
        _, height, width = F.get_dimensions(img)
        if self.pad_if_needed and width < self.size[1]:
            img = F.pad(img, [self.size[1] - width, 0], self.fill, self.padding_mode)
        if self.pad_if_needed and height < self.size[0]:
            img = F.pad(img, [0, self.size[0] - height], self.fill, self.padding_mode)
        return F.crop(img, *self.get_params(img, self.size))

    def __repr__(self) -> str:
        return f"{type(self).__name__}(size={self.size}, padding={self.padding})"


class RandomResizedCrop(Transform):
    """A part of random area (a share between `scale`) and aspect ratio (between `ratio`), resampled to `size`."""

    def __init__(
        self,
        size: int | Sequence[int],
        scale: Sequence[float] = (0.08, 1.0),
        ratio: Sequence[float] = (3.0 / 4.0, 4.0 / 3.0),
        interpolation: Any = InterpolationMode.BILINEAR,
        antialias: bool | None = True,
    ) -> None:
        super().__init__()
        self.size = pair(size)
        if not isinstance(scale, list | tuple):
            raise TypeError("Scale should be a sequence")
        if not isinstance(ratio, list | tuple):
            raise TypeError("Ratio should be a sequence")
        if scale[0] > scale[1] or ratio[0] > ratio[1]:
            warnings.warn("Scale and ratio should be of kind (min, max)", stacklevel=2)
        self.scale, self.ratio = scale, ratio
        self.interpolation, self.antialias = mode_of(interpolation), antialias

    @staticmethod
    def get_params(img: Any, scale: Sequence[float], ratio: Sequence[float]) -> tuple[int, int, int, int]:
        """(top, left, height, width): ten attempts, then the largest middle part whose ratio is permitted."""
        _, height, width = F.get_dimensions(img)
        area = height * width
        logs = logarithms(ratio)
        for _ in range(10):
            target = area * uniform(scale[0], scale[1])
            shape = aspect(logs)
            across, down = round(math.sqrt(target * shape)), round(math.sqrt(target / shape))
            if 0 < across <= width and 0 < down <= height:
                top = integer(0, height - down + 1)
                left = integer(0, width - across + 1)
                return top, left, down, across
        shape = width / height
        if shape < min(ratio):
            across, down = width, round(width / min(ratio))
        elif shape > max(ratio):
            across, down = round(height * max(ratio)), height
        else:
            across, down = width, height
        return (height - down) // 2, (width - across) // 2, down, across

    def forward(self, img: Any) -> Any:
        place = self.get_params(img, self.scale, self.ratio)
        return F.resized_crop(img, *place, self.size, self.interpolation, antialias=self.antialias)

    def __repr__(self) -> str:
        scale, ratio = (tuple(round(v, 4) for v in values) for values in (self.scale, self.ratio))
        return (
            f"{type(self).__name__}(size={self.size}, scale={scale}, ratio={ratio}, interpolation={self.interpolation.value}, "
            f"antialias={self.antialias})"
        )


class RandomRotation(Transform):
    """Turned by a random angle between `degrees` (one number: minus it to it), counter-clockwise. See `functional.rotate`."""

    def __init__(
        self,
        degrees: float | Sequence[float],
        interpolation: Any = InterpolationMode.NEAREST,
        expand: bool = False,
        center: Sequence[float] | None = None,
        fill: Any = 0,
    ) -> None:
        super().__init__()
        self.degrees = interval(degrees, "degrees")
        self.interpolation, self.expand, self.center, self.fill = mode_of(interpolation), expand, center, 0 if fill is None else fill

    @staticmethod
    def get_params(degrees: Sequence[float]) -> float:
        """A random angle."""
        return uniform(float(degrees[0]), float(degrees[1]))

    def forward(self, img: Any) -> Any:
        fill = _fill_of(self.fill, img)
        return F.rotate(img, self.get_params(self.degrees), self.interpolation, self.expand, self.center, fill)

    def __repr__(self) -> str:
        center = "" if self.center is None else f", center={self.center}"
        return (
            f"{type(self).__name__}(degrees={self.degrees}, interpolation={self.interpolation.value}, expand={self.expand}{center}, "
            f"fill={self.fill})"
        )


def _fill_of(fill: Any, img: Any) -> Any:
    """One number of fill for each channel of a tensor; PIL images take theirs as it is."""
    if not isinstance(img, torch.Tensor):
        return fill
    channels = F.get_image_num_channels(img)
    return [float(fill)] * channels if isinstance(fill, int | float) else [float(v) for v in fill]


class RandomAffine(Transform):
    """A random rotation, translation (up to a share of each edge), scale and shear (degrees). See `functional.affine`."""

    def __init__(
        self,
        degrees: float | Sequence[float],
        translate: Sequence[float] | None = None,
        scale: Sequence[float] | None = None,
        shear: float | Sequence[float] | None = None,
        interpolation: Any = InterpolationMode.NEAREST,
        fill: Any = 0,
        center: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        self.degrees = interval(degrees, "degrees")
        if translate is not None and not all(0.0 <= t <= 1.0 for t in translate):
            raise ValueError("translation values should be between 0 and 1")
        if scale is not None and min(scale) <= 0:
            raise ValueError("scale values should be positive")
        shears = (
            None
            if shear is None
            else interval(shear, "shear")
            if isinstance(shear, int | float) or len(shear) == 2
            else [float(s) for s in shear]
        )
        self.translate, self.scale, self.shear = translate, scale, shears
        self.interpolation, self.fill, self.center = mode_of(interpolation), 0 if fill is None else fill, center

    @staticmethod
    def get_params(
        degrees: Sequence[float],
        translate: Sequence[float] | None,
        scale_ranges: Sequence[float] | None,
        shears: Sequence[float] | None,
        img_size: Sequence[int],
    ) -> tuple[float, tuple[int, int], float, tuple[float, float]]:
        """(angle, (x, y) translation in pixels, scale, (x, y) shear)."""
        angle = uniform(float(degrees[0]), float(degrees[1]))
        moved = (0, 0)
        if translate is not None:
            reach = [float(share * edge) for share, edge in zip(translate, img_size, strict=True)]
            moved = (round(uniform(-reach[0], reach[0])), round(uniform(-reach[1], reach[1])))
        scale = 1.0 if scale_ranges is None else uniform(scale_ranges[0], scale_ranges[1])
        shear_x = shear_y = 0.0
        if shears is not None:
            shear_x = uniform(shears[0], shears[1])
            if len(shears) == 4:
                shear_y = uniform(shears[2], shears[3])
        return angle, moved, scale, (shear_x, shear_y)

    def forward(self, img: Any) -> Any:
        size = F.get_image_size(img)
        parameters = self.get_params(self.degrees, self.translate, self.scale, self.shear, size)
        return F.affine(img, *parameters, interpolation=self.interpolation, fill=_fill_of(self.fill, img), center=self.center)

    def __repr__(self) -> str:
        optional = (("translate", self.translate), ("scale", self.scale), ("shear", self.shear))
        parts = [f"degrees={self.degrees}", *(f"{name}={value}" for name, value in optional if value is not None)]
        if self.interpolation is not InterpolationMode.NEAREST:
            parts.append(f"interpolation={self.interpolation.value}")
        parts += [f"fill={self.fill}"] * (self.fill != 0) + [f"center={self.center}"] * (self.center is not None)
        return f"{type(self).__name__}({', '.join(parts)})"


class RandomPerspective(Transform):
    """With probability `p` the corners are moved inwards by up to `distortion_scale` of half an edge."""

    def __init__(
        self, distortion_scale: float = 0.5, p: float = 0.5, interpolation: Any = InterpolationMode.BILINEAR, fill: Any = 0
    ) -> None:
        super().__init__()
        self.p, self.distortion_scale, self.interpolation, self.fill = p, distortion_scale, mode_of(interpolation), fill

    @staticmethod
    def get_params(width: int, height: int, distortion_scale: float) -> tuple[list[list[int]], list[list[int]]]:
        """The corners (x, y) before and after: top left, top right, bottom right, bottom left."""

        def draw(low: int, high: int) -> int:
            return integer(low, high)

        x, y = int(distortion_scale * (width // 2)), int(distortion_scale * (height // 2))
        left, right, top, bottom = (0, x + 1), (width - x - 1, width), (0, y + 1), (height - y - 1, height)
        end = [[draw(*a), draw(*b)] for a, b in ((left, top), (right, top), (right, bottom), (left, bottom))]
        return [[0, 0], [width - 1, 0], [width - 1, height - 1], [0, height - 1]], end

    def forward(self, img: Any) -> Any:
        fill = _fill_of(self.fill, img)
        if chance() >= self.p:
            return img
        _, height, width = F.get_dimensions(img)
        start, end = self.get_params(width, height, self.distortion_scale)
        return F.perspective(img, start, end, self.interpolation, fill)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(p={self.p})"


class RandomErasing(Transform):
    """With probability `p` a rectangle (a share of the area between `scale`, an aspect ratio between `ratio`) of a tensor is overwritten.

    `value`: a number, one for each channel, or "random" for normal noise.
    """

    def __init__(
        self,
        p: float = 0.5,
        scale: Sequence[float] = (0.02, 0.33),
        ratio: Sequence[float] = (0.3, 3.3),
        value: Any = 0,
        inplace: bool = False,
    ) -> None:
        super().__init__()
        if not isinstance(value, int | float | str | tuple | list):
            raise TypeError("Argument value should be either a number or str or a sequence")
        if isinstance(value, str) and value != "random":
            raise ValueError("If value is str, it should be 'random'")
        if not 0 <= scale[0] <= scale[1] <= 1:
            raise ValueError("Scale should be between 0 and 1")
        if not 0 <= p <= 1:
            raise ValueError("Random erasing probability should be between 0 and 1")
        self.p, self.scale, self.ratio, self.value, self.inplace = p, scale, ratio, value, inplace

    @staticmethod
    def get_params(img: torch.Tensor, scale: Sequence[float], ratio: Sequence[float], value: list[float] | None = None) -> tuple[Any, ...]:
        """(top, left, height, width, what to write): ten attempts, then the whole image with itself."""
        channels, height, width = img.shape[-3:]
        logs = logarithms(ratio)
        for _ in range(10):
            target = height * width * uniform(scale[0], scale[1])
            shape = aspect(logs)
            down, across = round(math.sqrt(target * shape)), round(math.sqrt(target / shape))
            if not (down < height and across < width):
                continue
            if value is None:
                filling = torch.empty([channels, down, across], dtype=torch.float32).normal_()
            else:
                filling = torch.tensor(value)[:, None, None]
            top = integer(0, height - down + 1)
            left = integer(0, width - across + 1)
            return top, left, down, across, filling
        return 0, 0, height, width, img

    def forward(self, img: torch.Tensor) -> torch.Tensor:
        if chance() >= self.p:
            return img
        value = [float(self.value)] if isinstance(self.value, int | float) else None if isinstance(self.value, str) else list(self.value)
        if value is not None and len(value) not in (1, img.shape[-3]):
            raise ValueError(f"If value is a sequence, it should have either a single value or {img.shape[-3]} (number of input channels)")
        return F.erase(img, *self.get_params(img, self.scale, self.ratio, value), inplace=self.inplace)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(p={self.p}, scale={self.scale}, ratio={self.ratio}, value={self.value}, inplace={self.inplace})"


class RandomApply(Transform):
    """A list of transforms, all applied with probability `p` or none."""

    def __init__(self, transforms: Sequence[Callable[[Any], Any]], p: float = 0.5) -> None:
        super().__init__()
        self.transforms, self.p = transforms, p

    def forward(self, img: Any) -> Any:
        if self.p < chance():
            return img
        for transform in self.transforms:
            img = transform(img)
        return img

    def __repr__(self) -> str:
        return f"{type(self).__name__}(\n    p={self.p}" + "".join(f"\n    {transform}" for transform in self.transforms) + "\n)"


class RandomChoice(Compose):
    """One of several transforms, with chances `p`; drawn by Python's `random`, as torchvision does."""

    def __init__(self, transforms: Sequence[Callable[[Any], Any]], p: Sequence[float] | None = None) -> None:
        super().__init__(transforms)
        self.p = p

    def __call__(self, img: Any) -> Any:
        return random.choices(self.transforms, weights=self.p)[0](img)

    def __repr__(self) -> str:
        return f"{super().__repr__()}(p={self.p})"


class RandomOrder(Compose):
    """All of several transforms, in an order drawn by Python's `random`, as torchvision does."""

    def __call__(self, img: Any) -> Any:
        order = list(range(len(self.transforms)))
        random.shuffle(order)
        for i in order:
            img = self.transforms[i](img)
        return img
