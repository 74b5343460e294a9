"""How pixels between pixels are computed."""

from __future__ import annotations

from enum import Enum
from typing import Any

__all__ = ["InterpolationMode", "mode_of", "pillow_filter"]


class InterpolationMode(Enum):
    """Methods of resampling. BOX, HAMMING and LANCZOS are for PIL images only."""

    NEAREST = "nearest"
    NEAREST_EXACT = "nearest-exact"
    BILINEAR = "bilinear"
    BICUBIC = "bicubic"
    BOX = "box"
    HAMMING = "hamming"
    LANCZOS = "lanczos"


#: Pillow's numbers of its filters
_PILLOW = {"nearest": 0, "nearest-exact": 0, "lanczos": 1, "bilinear": 2, "bicubic": 3, "box": 4, "hamming": 5}
_NUMBERED = {number: InterpolationMode(name) for name, number in reversed(_PILLOW.items())}


def mode_of(interpolation: Any) -> InterpolationMode:
    """The mode of what a caller gave: a mode, or Pillow's number of one.

    Raises:
        TypeError: neither.
    """
    if isinstance(interpolation, int):
        interpolation = _NUMBERED.get(int(interpolation), interpolation)
    if not isinstance(interpolation, InterpolationMode):
        raise TypeError("Argument interpolation should be a InterpolationMode or a corresponding Pillow integer constant")
    return interpolation


def pillow_filter(mode: InterpolationMode) -> int:
    """Pillow's number of a mode."""
    return _PILLOW[mode.value]
