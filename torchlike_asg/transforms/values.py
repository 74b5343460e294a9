"""Transforms of the values, element by element or by fitted statistics."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np

import torchlike_asg as torch

from ..facade.core import Tensor
from ..facade.held import value_of
from .base import Array, Transform, floating

__all__ = ["Clip", "Flatten", "Log", "Normalize", "OneHot", "RandomNoise"]

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class Normalize(Transform):
    """``(x - mean) / std``: with numbers everywhere, with sequences per channel.

    `channel_axis` is where the channels are: -3 for images (..., C, H, W), -1 for features. A channel sequence must be as long as
    that axis.

    Raises:
        ValueError: a standard deviation of 0, or a number of channels that does not fit.
        TypeError: integer data (scale it first, for example by ToTensor).
    """

    def __init__(self, mean: float | Sequence[float], std: float | Sequence[float], channel_axis: int = -3) -> None:
        self.mean = np.asarray(mean, np.float64)
        self.std = np.asarray(std, np.float64)
        self.channel_axis = channel_axis
        if self.mean.ndim > 1 or self.std.ndim > 1:
            raise ValueError("mean and std must be numbers or one-dimensional sequences")
        if not np.all(self.std > 0):
            raise ValueError(f"std must be positive, got {self.std.tolist()}")

    @classmethod
    def imagenet(cls) -> Self:
        """The statistics of ImageNet's RGB images scaled to [0, 1], which pretrained vision models expect."""
        return cls(IMAGENET_MEAN, IMAGENET_STD)

    @classmethod
    def fit(cls, data: Any, per_channel: bool = True, channel_axis: int = -3) -> Self:
        """Mean and (population) standard deviation of `data`, per channel or overall. Fit on the training data only."""
        values = floating(value_of(data) if isinstance(data, Tensor) else np.asarray(data)).astype(np.float64)
        axes = None
        if per_channel:
            channel = _axis(values, channel_axis)
            axes = tuple(axis for axis in range(values.ndim) if axis != channel)
        return cls(values.mean(axes), values.std(axes), channel_axis)

    def apply(self, values: Array) -> Array:
        mean, std = self._statistics(values)
        return (values - mean) / std

    def inverse(self, sample: Any) -> Any:
        """``x * std + mean``, what brings a normalised sample back."""
        return _Inverse(self)(sample)

    def _statistics(self, values: Array) -> tuple[Array, Array]:
        if values.dtype.kind != "f":
            raise TypeError(f"Normalize works on floating-point data, got {values.dtype}: scale it first, for example with ToTensor()")
        mean, std = self.mean.astype(values.dtype), self.std.astype(values.dtype)
        if not np.all(std > 0):
            raise ValueError(f"std evaluated to zero after conversion to {values.dtype}, leading to division by zero")
        return self._aligned(mean, values), self._aligned(std, values)

    def _aligned(self, statistic: Array, values: Array) -> Array:
        """Shaped to broadcast along the channel axis."""
        if statistic.ndim == 0:
            return statistic
        axis = _axis(values, self.channel_axis)
        if values.shape[axis] != len(statistic):
            raise ValueError(
                f"{len(statistic)} channel statistics do not fit data of shape {values.shape} "
                f"with {values.shape[axis]} channels on axis {self.channel_axis}"
            )
        return statistic.reshape([-1 if i == axis else 1 for i in range(values.ndim)])

    def __repr__(self) -> str:
        return f"Normalize(mean={self.mean.tolist()}, std={self.std.tolist()})"


class _Inverse(Transform):
    def __init__(self, forward: Normalize) -> None:
        self.forward = forward

    def apply(self, values: Array) -> Array:
        mean, std = self.forward._statistics(values)
        return values * std + mean


def _axis(values: Array, axis: int) -> int:
    if not -values.ndim <= axis < values.ndim:
        raise ValueError(f"data of shape {values.shape} has no channel axis {axis}")
    return axis % values.ndim


class RandomNoise(Transform):
    """Adds normal noise of standard deviation `std` around `mean`, fresh in each call, from `generator` (or the default generator)."""

    def __init__(self, std: float = 0.1, mean: float = 0.0, generator: torch.Generator | None = None) -> None:
        if not std >= 0:
            raise ValueError(f"std must not be negative, got {std}")
        self.std, self.mean = std, mean
        self._generator = generator

    def apply(self, values: Array) -> Array:
        values = floating(values)
        noise = value_of(torch.randn(values.shape, generator=self._generator))
        return (values + (noise * self.std + self.mean)).astype(values.dtype)


class Clip(Transform):
    """Limits values to [min, max]; either may be None."""

    def __init__(self, min: float | None = None, max: float | None = None) -> None:
        if min is None and max is None:
            raise ValueError("Clip needs min, max or both")
        if min is not None and max is not None and min > max:
            raise ValueError(f"min must not exceed max, got {min} > {max}")
        self.min, self.max = min, max

    def apply(self, values: Array) -> Array:
        return np.clip(values, self.min, self.max)


class Log(Transform):
    """Natural logarithm of ``x + eps``. ValueError where that is not positive."""

    def __init__(self, eps: float = 1e-8) -> None:
        self.eps = eps

    def apply(self, values: Array) -> Array:
        shifted = floating(values) + np.asarray(self.eps, floating(values).dtype)
        if not np.all((shifted > 0) | np.isnan(shifted)):
            raise ValueError(f"Log(eps={self.eps}) needs x + eps > 0, but the smallest x is {values.min()}")
        return np.log(shifted)


class Flatten(Transform):
    """All axes from `start_axis` on as one, in row-major order whatever the memory layout."""

    def __init__(self, start_axis: int = 0) -> None:
        self.start_axis = start_axis

    def apply(self, values: Array) -> Array:
        if not 0 <= self.start_axis <= max(values.ndim - 1, 0):
            raise ValueError(f"Flatten(start_axis={self.start_axis}) does not fit data of shape {values.shape}")
        return np.ascontiguousarray(values).reshape(*values.shape[: self.start_axis], -1)


class OneHot(Transform):
    """Class indices (...) to one-hot vectors (..., num_classes) of the default dtype.

    Raises:
        TypeError: indices that are not integers.
        ValueError: an index outside [0, num_classes).
    """

    def __init__(self, num_classes: int) -> None:
        if num_classes < 1:
            raise ValueError(f"num_classes must be positive, got {num_classes}")
        self.num_classes = num_classes

    def apply(self, values: Array) -> Array:
        if values.dtype.kind not in "iu":
            raise TypeError(f"OneHot takes integer class indices, got {values.dtype}")
        if values.size and not (0 <= values.min() and values.max() < self.num_classes):
            raise ValueError(f"class indices must lie in [0, {self.num_classes}), got {values.min()}..{values.max()}")
        return floating(values[..., None] == np.arange(self.num_classes))
