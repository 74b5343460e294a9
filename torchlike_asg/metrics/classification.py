"""Metrics of predicted classes: accuracy, precision, recall, F1, top-k accuracy."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from .base import Array, Metric
from .labels import label_pairs, score_matrix

__all__ = ["Accuracy", "F1Score", "Precision", "Recall", "TopKAccuracy"]

Average = Literal["binary", "micro", "macro", "weighted", "none"]
_AVERAGES = ("binary", "micro", "macro", "weighted", "none")


class Accuracy(Metric):
    """Share of samples whose class is right, in [0, 1]. Inputs as in :func:`torchlike_asg.metrics.label_pairs`."""

    higher_is_better = True

    def __init__(self, threshold: float = 0.5) -> None:
        self.threshold = threshold
        super().__init__()

    def update(self, predictions: Any, targets: Any) -> None:
        labels, truth = label_pairs(predictions, targets, self.threshold)
        self.correct += int((labels == truth).sum())
        self.count += truth.size

    def compute(self) -> float:
        self._require(self.count)
        return self.correct / self.count

    def reset(self) -> None:
        self.correct = self.count = 0


class _PerClass(Metric):
    """Counts of true positives, predicted and actual members per class, and the ways to average a ratio of them.

    `average`: "binary" looks at class 1 only and accepts labels 0 and 1; "micro" counts all classes together; "macro" is the mean over
    classes, "weighted" the mean weighted by how often each occurs in the targets; "none" (or None) gives an array with one value per class.
    Without `num_classes`, macro averages over the classes that occurred in predictions or targets, and "none" goes up to the largest label.
    A ratio with denominator 0 counts as `zero_division`.
    """

    higher_is_better = True

    def __init__(
        self, average: Average | None = "binary", num_classes: int | None = None, threshold: float = 0.5, zero_division: float = 0.0
    ) -> None:
        if average is not None and average not in _AVERAGES:
            raise ValueError(f"average must be one of {_AVERAGES} or None, got {average!r}")
        self.average: Average = "none" if average is None else average
        self.num_classes = num_classes
        self.threshold = threshold
        self.zero_division = zero_division
        super().__init__()

    def update(self, predictions: Any, targets: Any) -> None:
        labels, truth = label_pairs(predictions, targets, self.threshold)
        if not truth.size:
            return
        largest = int(max(labels.max(), truth.max()))
        limit = 2 if self.average == "binary" else self.num_classes
        if limit is not None and largest >= limit:
            hint = ": choose another average for more than two classes" if self.average == "binary" else ""
            raise ValueError(f"label {largest} is out of range for {limit} classes{hint}")
        self._grow(largest + 1 if limit is None else limit)
        size = len(self.actual)
        self.actual += np.bincount(truth, minlength=size)
        self.predicted += np.bincount(labels, minlength=size)
        self.true_positives += np.bincount(truth[labels == truth], minlength=size)

    def _grow(self, size: int) -> None:
        missing = size - len(self.actual)
        if missing > 0:
            self.true_positives, self.predicted, self.actual = (
                np.pad(counts, (0, missing)) for counts in (self.true_positives, self.predicted, self.actual)
            )

    def reset(self) -> None:
        self.true_positives, self.predicted, self.actual = (np.zeros(0, np.int64) for _ in range(3))

    def _ratio(self, true_positives: Array, predicted: Array, actual: Array) -> Array:
        raise NotImplementedError

    def _divide(self, numerator: Array, denominator: Array) -> Array:
        numerator, denominator = np.asarray(numerator, np.float64), np.asarray(denominator, np.float64)
        return np.divide(numerator, denominator, out=np.full_like(numerator, self.zero_division), where=denominator != 0)

    def compute(self) -> float | Array:
        self._require(self.actual.sum())
        if self.average == "micro":
            return float(self._ratio(self.true_positives.sum(), self.predicted.sum(), self.actual.sum()))
        per_class = self._ratio(self.true_positives, self.predicted, self.actual)
        if self.average == "none":
            return per_class
        if self.average == "binary":
            return float(per_class[1])
        if self.average == "weighted":
            return float(np.average(per_class, weights=self.actual))
        seen = slice(None) if self.num_classes is not None else (self.predicted + self.actual) > 0
        return float(per_class[seen].mean())


class Precision(_PerClass):
    __doc__ = "True positives / predicted positives.\n\n" + (_PerClass.__doc__ or "")

    def _ratio(self, true_positives: Array, predicted: Array, actual: Array) -> Array:
        return self._divide(true_positives, predicted)


class Recall(_PerClass):
    __doc__ = "True positives / actual positives.\n\n" + (_PerClass.__doc__ or "")

    def _ratio(self, true_positives: Array, predicted: Array, actual: Array) -> Array:
        return self._divide(true_positives, actual)


class F1Score(_PerClass):
    __doc__ = "Harmonic mean of precision and recall, 2 TP / (predicted + actual), per class and then averaged.\n\n" + (
        _PerClass.__doc__ or ""
    )

    def _ratio(self, true_positives: Array, predicted: Array, actual: Array) -> Array:
        return self._divide(2 * true_positives, predicted + actual)


class TopKAccuracy(Metric):
    """Share of samples whose true class is among the `k` highest scores. Scores (N, C), targets class indices (N,) or one-hot (N, C).

    Of equal scores the lower class index ranks first.
    """

    higher_is_better = True

    def __init__(self, k: int = 5) -> None:
        if k < 1:
            raise ValueError(f"k must be positive, got {k}")
        self.k = k
        super().__init__()

    def update(self, predictions: Any, targets: Any) -> None:
        scores, truth = score_matrix(predictions, targets)
        own = scores[np.arange(len(truth)), truth][:, None]
        before = (scores > own) | ((scores == own) & (np.arange(scores.shape[1]) < truth[:, None]))
        self.correct += int((before.sum(axis=1) < self.k).sum())
        self.count += truth.size

    def compute(self) -> float:
        self._require(self.count)
        return self.correct / self.count

    def reset(self) -> None:
        self.correct = self.count = 0

    def __repr__(self) -> str:
        return f"TopKAccuracy(k={self.k})"
