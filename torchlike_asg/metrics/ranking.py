"""Metrics of rankings: one row of scores per query, one column per document."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from .base import Array, Metric, require_no_nan, to_array

__all__ = ["MRR", "NDCG"]


class _PerQuery(Metric):
    """Scores (queries, documents) and relevance of the same shape (or the index of the one relevant document per query).

    Documents of equal score may come in any order: the result is the mean over all of them, so it does not depend on how documents
    happen to be numbered. A query without a relevant document counts as 0 (`empty="zero"`) or is left out (`empty="skip"`).
    """

    higher_is_better = True

    def __init__(self, k: int | None = None, empty: Literal["zero", "skip"] = "zero") -> None:
        if k is not None and k < 1:
            raise ValueError(f"k must be positive, got {k}")
        if empty not in ("zero", "skip"):
            raise ValueError(f"empty must be 'zero' or 'skip', got {empty!r}")
        self.k, self.empty = k, empty
        super().__init__()

    def update(self, predictions: Any, targets: Any) -> None:
        scores = np.atleast_2d(to_array(predictions)).astype(np.float64)
        relevance = to_array(targets)
        require_no_nan(scores, "predictions")
        if relevance.shape != scores.shape and relevance.size == len(scores):
            relevance = (np.arange(scores.shape[1]) == relevance.reshape(-1, 1)).astype(np.float64)
        relevance = np.atleast_2d(relevance).astype(np.float64)
        if relevance.shape != scores.shape:
            raise ValueError(f"scores of shape {scores.shape} and relevance of shape {relevance.shape} do not match")
        if (relevance < 0).any() or np.isnan(relevance).any():
            raise ValueError("relevance must not be negative or NaN")
        for row, gains in zip(scores, relevance, strict=True):
            if gains.any():
                self.total += self._measure(row, gains)
                self.count += 1
            elif self.empty == "zero":
                self.count += 1

    def _measure(self, scores: Array, relevance: Array) -> float:
        raise NotImplementedError

    def compute(self) -> float:
        """Mean over the queries, in [0, 1]."""
        self._require(self.count)
        return self.total / self.count

    def reset(self) -> None:
        self.total, self.count = 0.0, 0

    def __repr__(self) -> str:
        return f"{self.name}(k={self.k})"


def _tied_groups(scores: Array) -> tuple[Array, Array]:
    """For each distinct score, from the highest down: which group each document is in, and the groups' sizes."""
    _, group, sizes = np.unique(-scores, return_inverse=True, return_counts=True)
    return group.reshape(-1), sizes


class MRR(_PerQuery):
    __doc__ = (
        "Mean reciprocal rank: 1 / position of the first relevant document, 0 if that is beyond `k`. Any relevance > 0 is relevant.\n\n"
        + (_PerQuery.__doc__ or "")
    )

    def _measure(self, scores: Array, relevance: Array) -> float:
        group, sizes = _tied_groups(scores)
        first = int(group[relevance > 0].min())
        ahead, tied = int(sizes[:first].sum()), int(sizes[first])
        relevant = int((group[relevance > 0] == first).sum())
        expected, none_yet = 0.0, 1.0
        for place in range(tied - relevant + 1):  # chance that the first relevant one of the group is at this place
            here = none_yet * relevant / (tied - place)
            rank = ahead + place + 1
            if self.k is None or rank <= self.k:
                expected += here / rank
            none_yet -= here
        return expected


class NDCG(_PerQuery):
    __doc__ = (
        "Normalised discounted cumulative gain: sum of gain / log2(position + 1) over the first `k`, divided by that of the best order.\n\n"
        '`gains`: "linear" (the relevance) or "exponential" (2^relevance - 1).\n\n' + (_PerQuery.__doc__ or "")
    )

    def __init__(
        self, k: int | None = None, gains: Literal["linear", "exponential"] = "linear", empty: Literal["zero", "skip"] = "zero"
    ) -> None:
        if gains not in ("linear", "exponential"):
            raise ValueError(f"gains must be 'linear' or 'exponential', got {gains!r}")
        self.gains = gains
        super().__init__(k, empty)

    def _measure(self, scores: Array, relevance: Array) -> float:
        gains = relevance if self.gains == "linear" else np.exp2(relevance) - 1
        discount = 1 / np.log2(np.arange(len(gains)) + 2)
        if self.k is not None:
            discount[self.k :] = 0
        group, sizes = _tied_groups(scores)
        mean_gain = np.bincount(group, weights=gains) / sizes
        starts = np.concatenate(([0], np.cumsum(sizes)[:-1]))
        found = float(np.sum(mean_gain * np.add.reduceat(discount, starts)))
        return found / float(np.sort(gains)[::-1] @ discount)
