"""Learned and random augmentation: a few of fourteen changes, each with a strength, as torchvision draws them.

AutoAugment: Cubuk et al., 2019; RandAugment: Cubuk et al., 2020; TrivialAugment: Mueller & Hutter, 2021.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from enum import Enum
from typing import Any

import numpy as np

import torchlike_asg as torch

from . import functional as F
from .base import Transform, integer, uniform
from .interpolation import InterpolationMode

__all__ = ["AutoAugment", "AutoAugmentPolicy", "RandAugment", "TrivialAugmentWide"]


class AutoAugmentPolicy(Enum):
    """The data that a policy was learned on."""

    IMAGENET = "imagenet"
    CIFAR10 = "cifar10"
    SVHN = "svhn"


#: the policies found in the paper: pairs of changes, each with its probability and the number of its strength
_POLICIES = {
    AutoAugmentPolicy.IMAGENET: """
        Posterize 0.4 8 + Rotate 0.6 9; Solarize 0.6 5 + AutoContrast 0.6; Equalize 0.8 + Equalize 0.6; Posterize 0.6 7 +
        Posterize 0.6 6; Equalize 0.4 + Solarize 0.2 4; Equalize 0.4 + Rotate 0.8 8; Solarize 0.6 3 + Equalize 0.6; Posterize
        0.8 5 + Equalize 1; Rotate 0.2 3 + Solarize 0.6 8; Equalize 0.6 + Posterize 0.4 6; Rotate 0.8 8 + Color 0.4 0; Rotate
        0.4 9 + Equalize 0.6; Equalize 0 + Equalize 0.8; Invert 0.6 + Equalize 1; Color 0.6 4 + Contrast 1 8; Rotate 0.8 8 +
        Color 1 2; Color 0.8 8 + Solarize 0.8 7; Sharpness 0.4 7 + Invert 0.6; ShearX 0.6 5 + Equalize 1; Color 0.4 0 +
        Equalize 0.6; Equalize 0.4 + Solarize 0.2 4; Solarize 0.6 5 + AutoContrast 0.6; Invert 0.6 + Equalize 1; Color 0.6 4
        + Contrast 1 8; Equalize 0.8 + Equalize 0.6
    """,
    AutoAugmentPolicy.CIFAR10: """
        Invert 0.1 + Contrast 0.2 6; Rotate 0.7 2 + TranslateX 0.3 9; Sharpness 0.8 1 + Sharpness 0.9 3; ShearY 0.5 8 +
        TranslateY 0.7 9; AutoContrast 0.5 + Equalize 0.9; ShearY 0.2 7 + Posterize 0.3 7; Color 0.4 3 + Brightness 0.6 7;
        Sharpness 0.3 9 + Brightness 0.7 9; Equalize 0.6 + Equalize 0.5; Contrast 0.6 7 + Sharpness 0.6 5; Color 0.7 7 +
        TranslateX 0.5 8; Equalize 0.3 + AutoContrast 0.4; TranslateY 0.4 3 + Sharpness 0.2 6; Brightness 0.9 6 + Color 0.2
        8; Solarize 0.5 2 + Invert 0; Equalize 0.2 + AutoContrast 0.6; Equalize 0.2 + Equalize 0.6; Color 0.9 9 + Equalize
        0.6; AutoContrast 0.8 + Solarize 0.2 8; Brightness 0.1 3 + Color 0.7 0; Solarize 0.4 5 + AutoContrast 0.9; TranslateY
        0.9 9 + TranslateY 0.7 9; AutoContrast 0.9 + Solarize 0.8 3; Equalize 0.8 + Invert 0.1; TranslateY 0.7 9 +
        AutoContrast 0.9
    """,
    AutoAugmentPolicy.SVHN: """
        ShearX 0.9 4 + Invert 0.2; ShearY 0.9 8 + Invert 0.7; Equalize 0.6 + Solarize 0.6 6; Invert 0.9 + Equalize 0.6;
        Equalize 0.6 + Rotate 0.9 3; ShearX 0.9 4 + AutoContrast 0.8; ShearY 0.9 8 + Invert 0.4; ShearY 0.9 5 + Solarize 0.2
        6; Invert 0.9 + AutoContrast 0.8; Equalize 0.6 + Rotate 0.9 3; ShearX 0.9 4 + Solarize 0.3 3; ShearY 0.8 8 + Invert
        0.7; Equalize 0.9 + TranslateY 0.6 6; Invert 0.9 + Equalize 0.6; Contrast 0.3 3 + Rotate 0.8 4; Invert 0.8 +
        TranslateY 0 2; ShearY 0.7 6 + Solarize 0.4 8; Invert 0.6 + Rotate 0.8 4; ShearY 0.3 7 + TranslateX 0.9 3; ShearX 0.1
        6 + Invert 0.6; Solarize 0.7 2 + TranslateY 0.6 7; ShearY 0.8 4 + Invert 0.8; ShearX 0.7 9 + TranslateY 0.8 3; ShearY
        0.8 5 + AutoContrast 0.7; ShearX 0.7 2 + Invert 0.1
    """,
}
_Step = tuple[str, float, int | None]


def _read(text: str) -> list[tuple[_Step, ...]]:
    """Pairs of (change, probability, number of its strength or None)."""

    def step(words: list[str]) -> _Step:
        return words[0], float(words[1]), int(words[2]) if len(words) > 2 else None

    return [tuple(step(one.split()) for one in pair.split("+")) for pair in text.split(";")]


def _moved(translate: tuple[float, float] = (0, 0), shear: tuple[float, float] = (0.0, 0.0), **how: Any) -> Callable[[Any], Any]:
    return lambda img: F.affine(img, angle=0.0, translate=[int(t) for t in translate], scale=1.0, shear=list(shear), **how)


def _change(img: Any, name: str, strength: float, interpolation: InterpolationMode, fill: Any) -> Any:
    """The image changed; a shear is the tangent of an angle, taken from the upper left corner."""
    how = {"interpolation": interpolation, "fill": fill}
    changes: dict[str, Callable[[Any], Any]] = {
        "Identity": lambda x: x,
        "ShearX": _moved(shear=(math.degrees(math.atan(strength)), 0.0), center=[0, 0], **how),
        "ShearY": _moved(shear=(0.0, math.degrees(math.atan(strength))), center=[0, 0], **how),
        "TranslateX": _moved(translate=(strength, 0), **how),
        "TranslateY": _moved(translate=(0, strength), **how),
        "Rotate": lambda x: F.rotate(x, strength, **how),
        "Brightness": lambda x: F.adjust_brightness(x, 1.0 + strength),
        "Color": lambda x: F.adjust_saturation(x, 1.0 + strength),
        "Contrast": lambda x: F.adjust_contrast(x, 1.0 + strength),
        "Sharpness": lambda x: F.adjust_sharpness(x, 1.0 + strength),
        "Posterize": lambda x: F.posterize(x, int(strength)),
        "Solarize": lambda x: F.solarize(x, strength),
        "AutoContrast": F.autocontrast,
        "Equalize": F.equalize,
        "Invert": F.invert,
    }
    return changes[name](img)


#: changes whose strength has a random sign
_SIGNED = frozenset(("ShearX", "ShearY", "TranslateX", "TranslateY", "Rotate", "Brightness", "Color", "Contrast", "Sharpness"))
_COLOURS = ("Brightness", "Color", "Contrast", "Sharpness")


def _strengths(count: int, shear: float, shifts: tuple[float, float], turn: float, colour: float, bits: int) -> dict[str, Any]:
    """Change -> its `count` strengths from none to the largest, None for a change without one; in the order that torchvision draws from."""

    def evenly(low: float, high: float) -> list[float]:
        return torch.linspace(low, high, count).tolist()  # type: ignore[attr-defined, no-any-return]

    lost = np.round(np.arange(count, dtype=np.float32) / np.float32((count - 1) / bits))
    return {
        "ShearX": evenly(0.0, shear),
        "ShearY": evenly(0.0, shear),
        "TranslateX": evenly(0.0, shifts[0]),
        "TranslateY": evenly(0.0, shifts[1]),
        "Rotate": evenly(0.0, turn),
        **{name: evenly(0.0, colour) for name in _COLOURS},
        "Posterize": (8 - lost).tolist(),
        "Solarize": evenly(255.0, 0.0),
        "AutoContrast": None,
        "Equalize": None,
    }


class _Augment(Transform):
    """What the three share: the strengths, and how outside pixels are filled."""

    #: whether random numbers are drawn as `transforms.v2` draws them
    _second = False

    def __init__(self, interpolation: InterpolationMode, fill: Any) -> None:
        super().__init__()
        self.interpolation, self.fill = interpolation, fill

    def _changed(self, img: Any, name: str, strength: float) -> Any:
        fill = self.fill
        if isinstance(img, torch.Tensor) and fill is not None:
            fill = [float(fill)] * F.get_dimensions(img)[0] if isinstance(fill, int | float) else [float(f) for f in fill]
        return _change(img, name, strength, self.interpolation, fill)

    def _signed(self, name: str, strength: float) -> float:
        """The strength, with a random sign where the change has one."""
        if name not in _SIGNED:
            return strength
        return -strength if (uniform(0.0, 1.0) <= 0.5 if self._second else integer(0, 2)) else strength

    @staticmethod
    def _usual(img: Any, count: int) -> dict[str, Any]:
        _, height, width = F.get_dimensions(img)
        return _strengths(count, 0.3, (150.0 / 331.0 * width, 150.0 / 331.0 * height), 30.0, 0.9, 4)

    def _shown(self, *names: str) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={getattr(self, name)}' for name in (*names, 'interpolation', 'fill'))})"


class AutoAugment(_Augment):
    """One of the pairs of changes that were learned for a data set."""

    def __init__(
        self,
        policy: AutoAugmentPolicy = AutoAugmentPolicy.IMAGENET,
        interpolation: InterpolationMode = InterpolationMode.NEAREST,
        fill: Any = None,
    ) -> None:
        super().__init__(interpolation, fill)
        if policy not in _POLICIES:
            raise ValueError(f"The provided policy {policy} is not recognized.")
        self.policy, self.policies = policy, _read(_POLICIES[policy])

    def forward(self, img: Any) -> Any:
        pair = self.policies[integer(0, len(self.policies))]
        strengths = {**self._usual(img, 10), "Invert": None}
        if self._second:
            for name, p, number in pair:
                if uniform(0.0, 1.0) <= np.float32(p):
                    img = self._changed(img, name, 0.0 if number is None else self._signed(name, strengths[name][number]))
            return img
        chances = [uniform(0.0, 1.0) for _ in pair]
        signs = [integer(0, 2) for _ in pair]
        for (name, p, number), chance, sign in zip(pair, chances, signs, strict=True):
            if chance <= np.float32(p):
                strength = 0.0 if number is None else strengths[name][number]
                img = self._changed(img, name, -strength if name in _SIGNED and sign == 0 else strength)
        return img

    def __repr__(self) -> str:
        return f"{type(self).__name__}(policy={self.policy}, fill={self.fill})"


class _RandomStrengths(_Augment):
    def _one(self, img: Any, strengths: dict[str, Any], number: int | None) -> Any:
        """A random change of the given strength, or (None) of a random one."""
        names = list(strengths)
        name = names[integer(0, len(names))]
        strength = 0.0
        if strengths[name] is not None:
            strength = strengths[name][integer(0, len(strengths[name])) if number is None else number]
        return self._changed(img, name, self._signed(name, strength))


class RandAugment(_RandomStrengths):
    """`num_ops` random changes, one after another, each of strength `magnitude` out of `num_magnitude_bins`."""

    def __init__(
        self,
        num_ops: int = 2,
        magnitude: int = 9,
        num_magnitude_bins: int = 31,
        interpolation: InterpolationMode = InterpolationMode.NEAREST,
        fill: Any = None,
    ) -> None:
        super().__init__(interpolation, fill)
        self.num_ops, self.magnitude, self.num_magnitude_bins = num_ops, magnitude, num_magnitude_bins

    def forward(self, img: Any) -> Any:
        strengths = {"Identity": None, **self._usual(img, self.num_magnitude_bins)}
        for _ in range(self.num_ops):
            img = self._one(img, strengths, self.magnitude)
        return img

    def __repr__(self) -> str:
        return self._shown("num_ops", "magnitude", "num_magnitude_bins")


class TrivialAugmentWide(_RandomStrengths):
    """One random change of random strength, in a wider range."""

    def __init__(
        self, num_magnitude_bins: int = 31, interpolation: InterpolationMode = InterpolationMode.NEAREST, fill: Any = None
    ) -> None:
        super().__init__(interpolation, fill)
        self.num_magnitude_bins = num_magnitude_bins

    def forward(self, img: Any) -> Any:
        return self._one(img, {"Identity": None, **_strengths(self.num_magnitude_bins, 0.99, (32.0, 32.0), 135.0, 0.99, 6)}, None)

    def __repr__(self) -> str:
        return self._shown("num_magnitude_bins")
