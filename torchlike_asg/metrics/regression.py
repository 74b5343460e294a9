"""Metrics of real-valued predictions. Predictions and targets have equal shapes, apart from axes of size 1 as in (N, 1) and (N,)."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np

from .base import Array, Metric, to_array
from .running import RunningStd

__all__ = ["MAE", "MAPE", "MSE", "RMSE", "ExplainedVariance", "MaxError", "RSquared"]


def _pair(predictions: Any, targets: Any) -> tuple[Array, Array]:
    """Both in float64. Shapes that only broadcast, as (N, 1) against (N,) would, to (N, N), are not taken at their word."""
    p, t = to_array(predictions).astype(np.float64), to_array(targets).astype(np.float64)
    if p.shape != t.shape:
        if [n for n in p.shape if n != 1] != [n for n in t.shape if n != 1]:
            raise ValueError(f"predictions of shape {p.shape} and targets of shape {t.shape} do not match")
        p = p.reshape(t.shape)
    return p, t


class _MeanError(Metric):
    """The mean of an elementwise error over all elements. A NaN among the inputs makes the result NaN."""

    higher_is_better = False

    def _error(self, predictions: Array, targets: Array) -> Array:
        raise NotImplementedError

    def update(self, predictions: Any, targets: Any) -> None:
        p, t = _pair(predictions, targets)
        self.total += float(self._error(p, t).sum())
        self.count += t.size

    def compute(self) -> float:
        self._require(self.count)
        return self.total / self.count

    def reset(self) -> None:
        self.total, self.count = 0.0, 0


class MSE(_MeanError):
    """Mean squared error."""

    def _error(self, predictions: Array, targets: Array) -> Array:
        return (predictions - targets) ** 2


class RMSE(MSE):
    """Root of the mean squared error over all data (not the mean of batch values)."""

    def compute(self) -> float:
        return math.sqrt(super().compute())


class MAE(_MeanError):
    """Mean absolute error."""

    def _error(self, predictions: Array, targets: Array) -> Array:
        return np.abs(predictions - targets)


class MAPE(_MeanError):
    """Mean absolute error relative to ``max(|target|, epsilon)``, as a fraction; times 100 if `percent`.

    A target of 0 has no relative error: with the default `epsilon` (float64's) it dominates the mean visibly instead of dropping out of it.
    """

    def __init__(self, percent: bool = False, epsilon: float = float(np.finfo(np.float64).eps)) -> None:
        self.percent, self.epsilon = percent, epsilon
        super().__init__()

    def _error(self, predictions: Array, targets: Array) -> Array:
        return np.abs(predictions - targets) / np.maximum(np.abs(targets), self.epsilon)

    def compute(self) -> float:
        return super().compute() * (100 if self.percent else 1)


class MaxError(Metric):
    """The largest absolute error."""

    higher_is_better = False

    def update(self, predictions: Any, targets: Any) -> None:
        p, t = _pair(predictions, targets)
        if t.size:
            self.largest = float(np.maximum(self.largest, np.abs(p - t).max()))  # maximum, unlike max(), keeps a NaN
        self.count += t.size

    def compute(self) -> float:
        self._require(self.count)
        return self.largest

    def reset(self) -> None:
        self.largest, self.count = 0.0, 0


class _ExplainedShare(Metric):
    """``1 - unexplained / variation of the targets`` per output, from running sums of squares (nothing is stored).

    2-D targets (N, outputs) are so many outputs; other shapes are one. `multioutput`: "uniform_average" of the outputs,
    "variance_weighted" by the targets' variances, or "raw_values" (an array). An output whose targets do not vary scores 1 if predicted
    exactly, else 0. NaN for fewer than two samples.
    """

    higher_is_better = True

    def __init__(self, multioutput: Literal["uniform_average", "variance_weighted", "raw_values"] = "uniform_average") -> None:
        if multioutput not in ("uniform_average", "variance_weighted", "raw_values"):
            raise ValueError(f"multioutput must be 'uniform_average', 'variance_weighted' or 'raw_values', got {multioutput!r}")
        self.multioutput = multioutput
        super().__init__()

    def update(self, predictions: Any, targets: Any) -> None:
        p, t = _pair(predictions, targets)
        if t.ndim != 2:
            p, t = p.reshape(-1, 1), t.reshape(-1, 1)
        self.targets.update(t)
        self.residuals.update(t - p)

    def reset(self) -> None:
        self.targets, self.residuals = RunningStd(axis=0), RunningStd(axis=0)

    def _unexplained(self) -> Array:
        raise NotImplementedError

    def compute(self) -> float | Array:
        self._require(self.targets.count)
        variation, unexplained = np.asarray(self.targets.sum_of_squares), self._unexplained()
        constant = variation == 0
        shares = 1 - np.divide(unexplained, variation, out=np.where(unexplained == 0, 0.0, 1.0), where=~constant)
        if self.targets.count < 2:
            shares = np.full_like(shares, np.nan)
        if self.multioutput == "raw_values":
            return shares
        weights = variation if self.multioutput == "variance_weighted" and variation.any() else None
        return float(np.average(shares, weights=weights))


class RSquared(_ExplainedShare):
    __doc__ = "Coefficient of determination: 1 - sum of squared residuals / squared deviations of the targets.\n\n" + (
        _ExplainedShare.__doc__ or ""
    )

    def _unexplained(self) -> Array:
        residuals = self.residuals
        return np.asarray(residuals.sum_of_squares + residuals.count * np.square(residuals.mean))


class ExplainedVariance(_ExplainedShare):
    __doc__ = "1 - variance of the residuals / variance of the targets; blind to a constant offset.\n\n" + (_ExplainedShare.__doc__ or "")

    def _unexplained(self) -> Array:
        return np.asarray(self.residuals.sum_of_squares)
