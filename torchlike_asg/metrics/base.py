"""What all metrics share: update in batches, compute over all of them, reset."""

from __future__ import annotations

import abc
from typing import Any

import numpy as np

from ..facade.core import Tensor
from ..facade.held import value_of

__all__ = ["Array", "Metric", "require_no_nan", "to_array"]

Array = np.ndarray[Any, Any]


def to_array(values: Any) -> Array:
    """A tensor (of any floating type, with or without history), array, list or number as an array, to be read only."""
    if isinstance(values, Tensor):
        values = value_of(values)
    array = np.asarray(values)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"metrics take numbers, got an array of dtype {array.dtype}")
    return array.astype(np.float32) if array.dtype == np.float16 else array


class Metric(abc.ABC):
    """A figure of merit over a data set seen in batches, computed in float64.

    ``metric(predictions, targets)`` is ``update`` followed by ``compute``. Batches of any sizes give the same result as all data at once,
    up to rounding.
    """

    #: Whether larger is better, None where that question has no answer (MetricLogger reads it).
    higher_is_better: bool | None = None

    def __init__(self) -> None:
        self.reset()

    @abc.abstractmethod
    def update(self, predictions: Any, targets: Any) -> None:
        """Take in one batch: tensors, arrays or lists."""

    @abc.abstractmethod
    def compute(self) -> Any:
        """The result over everything since the last reset. RuntimeError if that is nothing."""

    @abc.abstractmethod
    def reset(self) -> None:
        """Forget all batches."""

    @property
    def name(self) -> str:
        return type(self).__name__

    def __call__(self, predictions: Any, targets: Any) -> Any:
        self.update(predictions, targets)
        return self.compute()

    def _require(self, count: Any) -> None:
        if not count:
            raise RuntimeError(f"{self.name}.compute() was called before any data: call update() first")

    def __repr__(self) -> str:
        return f"{self.name}()"


def require_no_nan(scores: Array, what: str) -> None:
    """Scores that are ranked or compared must be numbers: NaN has no place in an order, so it is an error and not a result."""
    if scores.dtype.kind == "f" and np.isnan(scores).any():
        raise ValueError(f"{what} contain NaN")
