"""Confusion matrices, rows = actual class, columns = predicted class."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np

from .base import Array, Metric
from .labels import label_pairs

__all__ = ["BinaryConfusionMatrix", "MultiClassConfusionMatrix"]


def _ratio(numerator: float, denominator: float) -> float:
    return numerator / denominator if denominator else 0.0


class MultiClassConfusionMatrix(Metric):
    """Counts, int64 (num_classes, num_classes): entry [i, j] is how many samples of class i were predicted as class j.

    `normalize`: "true" divides each row by its sum, "pred" each column, "all" everything by the total (rows or columns without a
    sample stay 0). The derived figures are computed from the counts; a ratio with denominator 0 is 0.
    """

    def __init__(self, num_classes: int, normalize: Literal["true", "pred", "all"] | None = None, threshold: float = 0.5) -> None:
        if num_classes < 2:
            raise ValueError(f"num_classes must be at least 2, got {num_classes}")
        if normalize not in (None, "true", "pred", "all"):
            raise ValueError(f"normalize must be 'true', 'pred', 'all' or None, got {normalize!r}")
        self.num_classes = num_classes
        self.normalize = normalize
        self.threshold = threshold
        super().__init__()

    def update(self, predictions: Any, targets: Any) -> None:
        labels, truth = label_pairs(predictions, targets, self.threshold)
        if truth.size and max(labels.max(), truth.max()) >= self.num_classes:
            raise ValueError(f"label {max(labels.max(), truth.max())} is out of range for {self.num_classes} classes")
        flat = np.bincount(truth * self.num_classes + labels, minlength=self.num_classes**2)
        self.counts += flat.reshape(self.num_classes, self.num_classes)

    def compute(self) -> Array:
        self._require(self.counts.sum())
        if self.normalize is None:
            return self.counts.copy()
        axis = {"true": 1, "pred": 0, "all": None}[self.normalize]
        totals = np.broadcast_to(self.counts.sum(axis=axis, keepdims=True), self.counts.shape)
        return np.divide(self.counts, totals, out=np.zeros(self.counts.shape), where=totals != 0)

    def reset(self) -> None:
        self.counts = np.zeros((self.num_classes, self.num_classes), np.int64)

    @property
    def accuracy(self) -> float:
        self._require(self.counts.sum())
        return float(np.trace(self.counts) / self.counts.sum())

    @property
    def precision_per_class(self) -> Array:
        return self._per_class(self.counts.sum(axis=0))

    @property
    def recall_per_class(self) -> Array:
        return self._per_class(self.counts.sum(axis=1))

    @property
    def f1_per_class(self) -> Array:
        return self._per_class((self.counts.sum(axis=0) + self.counts.sum(axis=1)) / 2)

    @property
    def macro_f1(self) -> float:
        """Mean of :attr:`f1_per_class` over all `num_classes` classes."""
        return float(self.f1_per_class.mean())

    def _per_class(self, totals: Array) -> Array:
        self._require(self.counts.sum())
        return np.divide(np.diagonal(self.counts), totals, out=np.zeros(self.num_classes), where=totals != 0)

    def __repr__(self) -> str:
        return f"{self.name}(num_classes={self.num_classes})"


class BinaryConfusionMatrix(MultiClassConfusionMatrix):
    """``[[true negatives, false positives], [false negatives, true positives]]``; float scores are positive from `threshold` on."""

    def __init__(self, threshold: float = 0.5, normalize: Literal["true", "pred", "all"] | None = None) -> None:
        super().__init__(2, normalize, threshold)

    @property
    def true_negatives(self) -> int:
        return int(self.counts[0, 0])

    @property
    def false_positives(self) -> int:
        return int(self.counts[0, 1])

    @property
    def false_negatives(self) -> int:
        return int(self.counts[1, 0])

    @property
    def true_positives(self) -> int:
        return int(self.counts[1, 1])

    @property
    def precision(self) -> float:
        return _ratio(self.true_positives, self.true_positives + self.false_positives)

    @property
    def recall(self) -> float:
        """Also called sensitivity."""
        return _ratio(self.true_positives, self.true_positives + self.false_negatives)

    @property
    def specificity(self) -> float:
        return _ratio(self.true_negatives, self.true_negatives + self.false_positives)

    @property
    def f1(self) -> float:
        return _ratio(2 * self.true_positives, 2 * self.true_positives + self.false_positives + self.false_negatives)

    @property
    def matthews(self) -> float:
        """Matthews correlation coefficient, in [-1, 1]."""
        tn, fp, fn, tp = (int(count) for count in self.counts.reshape(-1))
        return _ratio(tp * tn - fp * fn, math.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)))

    def __repr__(self) -> str:
        return f"BinaryConfusionMatrix(threshold={self.threshold})"
