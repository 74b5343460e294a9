"""Running statistics of a stream of numbers or arrays, in float64. Two of a kind merge into what one alone would have seen."""

from __future__ import annotations

import abc
import math
from typing import Any, Literal, Self

import numpy as np

from .base import Array, to_array

__all__ = ["ExponentialMovingAverage", "NanPolicy", "RunningMean", "RunningMinMax", "RunningStd"]

#: What a NaN does: "propagate" into the result, be left out ("omit"), or "raise" ValueError.
NanPolicy = Literal["propagate", "omit", "raise"]


def check_policy(policy: str) -> None:
    if policy not in ("propagate", "omit", "raise"):
        raise ValueError(f"nan_policy must be 'propagate', 'omit' or 'raise', got {policy!r}")


class _Running(abc.ABC):
    def __init__(self, nan_policy: NanPolicy = "propagate") -> None:
        check_policy(nan_policy)
        self.nan_policy = nan_policy
        self.reset()

    @abc.abstractmethod
    def reset(self) -> None:
        """Forget everything seen."""

    @abc.abstractmethod
    def compute(self) -> Any:
        """The statistic. RuntimeError before any data."""

    def _require(self, count: Any) -> None:
        if not count:
            raise RuntimeError(f"{type(self).__name__} has seen no data: call update() first")

    def _kept(self, values: Array) -> Array:
        """Which elements count, by the policy on NaN."""
        missing = np.isnan(values)
        if self.nan_policy == "raise" and missing.any():
            raise ValueError(f"{type(self).__name__} was given NaN (nan_policy='raise')")
        return ~missing if self.nan_policy == "omit" else np.ones(values.shape, bool)

    def _check_mergeable(self, other: Any) -> None:
        if type(other) is not type(self):
            raise TypeError(f"cannot merge {type(other).__name__} into {type(self).__name__}")


class RunningMean(_Running):
    """Weighted mean of all elements seen. ``update(batch_loss, weight=len(batch))`` averages over samples, not over batches."""

    def update(self, values: Any, weight: float = 1.0) -> None:
        array = to_array(values).astype(np.float64)
        array = array[self._kept(array)]
        if weight < 0:
            raise ValueError(f"weight must not be negative, got {weight}")
        if array.size and weight:
            self._add(float(array.mean()), weight * array.size)

    def _add(self, mean: float, weight: float) -> None:
        self.weight += weight
        self.mean += (mean - self.mean) * (weight / self.weight)

    def merge(self, other: RunningMean) -> None:
        """Take in what `other` has seen."""
        self._check_mergeable(other)
        if other.weight:
            self._add(other.mean, other.weight)

    def compute(self) -> float:
        self._require(self.weight)
        return self.mean

    def reset(self) -> None:
        self.mean, self.weight = 0.0, 0.0


class RunningStd(_Running):
    """Mean and standard deviation, stable for data far from 0: parts are combined by their means (Chan, Golub & LeVeque 1979).

    `axis=None` takes all elements as one stream of numbers; `axis=0` takes the rows of arrays (n, ...) as samples and keeps one
    statistic per place in a row (then NaN cannot be omitted). ``ddof=1`` gives the sample, ``ddof=0`` the population deviation.
    """

    def __init__(self, ddof: int = 1, axis: Literal[0] | None = None, nan_policy: NanPolicy = "propagate") -> None:
        if axis not in (0, None):
            raise ValueError(f"axis must be 0 or None, got {axis!r}")
        if axis == 0 and nan_policy == "omit":
            raise ValueError("nan_policy='omit' needs axis=None")
        self.ddof, self.axis = ddof, axis
        super().__init__(nan_policy)

    def update(self, values: Any) -> None:
        array = to_array(values).astype(np.float64)
        kept = self._kept(array)
        rows = array[kept] if self.axis is None else array
        if len(rows):
            mean = rows.mean(axis=0)
            self._add(len(rows), mean, np.square(rows - mean).sum(axis=0))

    def _add(self, count: int, mean: Any, sum_of_squares: Any) -> None:
        if self.count and np.shape(mean) != np.shape(self.mean):
            raise ValueError(f"rows of shape {np.shape(mean)} do not go with earlier ones of shape {np.shape(self.mean)}")
        total = self.count + count
        delta = mean - self.mean
        self.mean = self.mean + delta * (count / total)
        self.sum_of_squares = self.sum_of_squares + sum_of_squares + np.square(delta) * (self.count * count / total)
        self.count = total

    def merge(self, other: RunningStd) -> None:
        """Take in what `other` has seen."""
        self._check_mergeable(other)
        if other.count:
            self._add(other.count, other.mean, other.sum_of_squares)

    @property
    def variance(self) -> Any:
        """NaN for fewer than ``ddof + 1`` samples."""
        self._require(self.count)
        if self.count <= self.ddof:
            return np.full(np.shape(self.mean), np.nan) if self.axis == 0 else math.nan
        variance = self.sum_of_squares / (self.count - self.ddof)
        return variance if self.axis == 0 else float(variance)

    def compute(self) -> Any:
        return np.sqrt(self.variance) if self.axis == 0 else math.sqrt(self.variance)

    def reset(self) -> None:
        self.count = 0
        self.mean: Any = 0.0
        self.sum_of_squares: Any = 0.0


class RunningMinMax(_Running):
    """Smallest and largest element seen."""

    def update(self, values: Any) -> None:
        array = to_array(values).astype(np.float64)
        array = array[self._kept(array)]
        if array.size:
            self._add(array.size, array.min(), array.max())

    def _add(self, count: int, low: float, high: float) -> None:
        self.count += count
        self.min, self.max = float(np.minimum(self.min, low)), float(np.maximum(self.max, high))

    def merge(self, other: RunningMinMax) -> None:
        """Take in what `other` has seen."""
        self._check_mergeable(other)
        self._add(other.count, other.min, other.max)

    @property
    def range(self) -> float:
        low, high = self.compute()
        return high - low

    def compute(self) -> tuple[float, float]:
        self._require(self.count)
        return self.min, self.max

    def reset(self) -> None:
        self.count, self.min, self.max = 0, math.inf, -math.inf


class ExponentialMovingAverage(_Running):
    """``average += alpha * (value - average)``, from the first value on. `alpha` in (0, 1]; larger follows faster.

    With `debias` the average starts at 0 and is divided by ``1 - (1 - alpha)^n`` (Kingma & Ba 2015), so that the first value has
    no special weight.
    """

    def __init__(self, alpha: float = 0.1, debias: bool = False, nan_policy: NanPolicy = "propagate") -> None:
        if not 0 < alpha <= 1:
            raise ValueError(f"alpha must lie in (0, 1], got {alpha}")
        self.alpha, self.debias = alpha, debias
        super().__init__(nan_policy)

    @classmethod
    def from_span(cls, span: float, **options: Any) -> Self:
        """``alpha = 2 / (span + 1)``: the weights' centre of mass is that of a plain mean over `span` values."""
        if span < 1:
            raise ValueError(f"span must be at least 1, got {span}")
        return cls(2 / (span + 1), **options)

    def update(self, values: Any) -> None:
        """A number, or several in the order of time."""
        array = to_array(values).astype(np.float64).reshape(-1)
        for value in array[self._kept(array)]:
            first = 0.0 if self.debias else float(value)
            before = self.average if self.count else first
            self.average = before + self.alpha * (float(value) - before)
            self.count += 1

    def compute(self) -> float:
        self._require(self.count)
        return self.average / (1 - (1 - self.alpha) ** self.count) if self.debias else self.average

    def reset(self) -> None:
        self.count, self.average = 0, 0.0
