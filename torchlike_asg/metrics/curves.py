"""Metrics of score rankings that look at every threshold: area under the ROC curve, average precision.

Both are exact, ties included, and so keep all scores until `reset`.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from .base import Array, Metric, require_no_nan, to_array
from .labels import score_matrix

__all__ = ["AUCROC", "AveragePrecision"]


def _steps(scores: Array, positive: Array) -> tuple[Array, Array]:
    """True and false positives when everything from the score of each *distinct* value on, downwards, counts as positive."""
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    last_of_value = np.append(np.flatnonzero(ranked[1:] != ranked[:-1]), len(ranked) - 1)
    true_positives = np.cumsum(positive[order], dtype=np.float64)[last_of_value]
    return true_positives, last_of_value + 1 - true_positives


def roc_area(scores: Array, positive: Array) -> float:
    """P(score of a positive > score of a negative), a tie counting one half; NaN without samples of both kinds."""
    true_positives, false_positives = _steps(scores, positive)
    if not true_positives[-1] or not false_positives[-1]:
        return float("nan")
    height, width = (np.concatenate(([0.0], counts)) for counts in (true_positives, false_positives))
    area = np.sum(np.diff(width) * (height[1:] + height[:-1]) / 2)
    return float(area / (true_positives[-1] * false_positives[-1]))


def average_precision(scores: Array, positive: Array) -> float:
    """Sum of precision times gain in recall over the distinct thresholds, without interpolation; NaN without a positive sample."""
    true_positives, false_positives = _steps(scores, positive)
    if not true_positives[-1]:
        return float("nan")
    precision = true_positives / (true_positives + false_positives)
    return float(np.sum(np.diff(true_positives, prepend=0.0) * precision) / true_positives[-1])


class _Ranking(Metric):
    """Scores (N,) or (N, 1) with binary targets, or (N, C) with class indices (N,): then each class against the rest.

    `average` of the classes: "macro" (equal weights), "weighted" (by how often each occurs) or "none" (an array). Classes for which the
    figure is undefined (they are absent, or alone) are NaN, and so is an average over them.
    """

    higher_is_better = True

    def __init__(self, average: Literal["macro", "weighted", "none"] | None = "macro") -> None:
        if average not in ("macro", "weighted", "none", None):
            raise ValueError(f"average must be 'macro', 'weighted', 'none' or None, got {average!r}")
        self.average = average or "none"
        super().__init__()

    def update(self, predictions: Any, targets: Any) -> None:
        scores = to_array(predictions)
        if scores.ndim == 2 and scores.shape[1] > 1:
            scores, truth = score_matrix(scores, targets)
        else:
            scores = scores.astype(np.float64).reshape(-1)
            require_no_nan(scores, "predictions")
            truth = to_array(targets).reshape(-1)
            if truth.size != scores.size:
                raise ValueError(f"{scores.size} scores need as many targets, got {truth.size}")
            if not np.isin(truth, (0, 1)).all():
                raise ValueError("targets of one score per sample must be 0 or 1")
            truth = truth.astype(np.int64)
        if self._scores and self._scores[0].shape[1:] != scores.shape[1:]:
            raise ValueError(f"scores of shape {scores.shape} do not go with earlier ones of shape {self._scores[0].shape}")
        self._scores.append(scores)
        self._truth.append(truth)

    def reset(self) -> None:
        self._scores: list[Array] = []
        self._truth: list[Array] = []

    def _measure(self, scores: Array, positive: Array) -> float:
        raise NotImplementedError

    def compute(self) -> float | Array:
        self._require(sum(len(truth) for truth in self._truth))
        scores, truth = np.concatenate(self._scores), np.concatenate(self._truth)
        if scores.ndim == 1:
            return self._measure(scores, truth == 1)
        per_class = np.array([self._measure(column, truth == label) for label, column in enumerate(scores.T)])
        if self.average == "none":
            return per_class
        weights = np.bincount(truth, minlength=scores.shape[1]) if self.average == "weighted" else None
        return float(np.average(per_class, weights=weights))


class AUCROC(_Ranking):
    __doc__ = "Area under the receiver operating characteristic: the chance that a positive outranks a negative.\n\n" + (
        _Ranking.__doc__ or ""
    )

    def _measure(self, scores: Array, positive: Array) -> float:
        return roc_area(scores, positive)


class AveragePrecision(_Ranking):
    __doc__ = "Area under the precision-recall curve as a sum of steps (no interpolation).\n\n" + (_Ranking.__doc__ or "")

    def _measure(self, scores: Array, positive: Array) -> float:
        return average_precision(scores, positive)
