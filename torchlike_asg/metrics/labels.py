"""Turning what a model puts out into class labels."""

from __future__ import annotations

from typing import Any

import numpy as np

from .base import Array, require_no_nan, to_array

__all__ = ["label_pairs", "score_matrix"]


def label_pairs(predictions: Any, targets: Any, threshold: float = 0.5) -> tuple[Array, Array]:
    """Predicted and true labels, both int64 of shape (n,).

    * Scores (N, C) or (N, C, ...) with C > 1, where targets are class indices (N, ...) or one-hot of the same shape: argmax over dim 1.
    * Otherwise both have the same number of elements. Integer and bool predictions are labels; floating-point ones are binary
    scores, positive
      from `threshold` on. Floating-point targets are labels, or binary ones positive from 0.5 on if they are not whole numbers.

    Raises:
        ValueError: shapes that do not fit, NaN scores, negative labels.
    """
    scores, truth = to_array(predictions), to_array(targets)
    require_no_nan(scores, "predictions")
    require_no_nan(truth, "targets")
    if scores.ndim >= 2 and scores.shape[1] > 1 and scores.dtype.kind == "f":
        if truth.shape == scores.shape:
            truth = truth.argmax(axis=1)
        elif truth.size != scores.size // scores.shape[1]:
            raise ValueError(
                f"scores of shape {scores.shape} need targets of shape {(scores.shape[0], *scores.shape[2:])}, got {truth.shape}"
            )
        labels = scores.argmax(axis=1)
    else:
        if scores.size != truth.size:
            raise ValueError(f"predictions of shape {scores.shape} and targets of shape {truth.shape} differ in number of elements")
        labels = scores >= threshold if scores.dtype.kind == "f" else scores
    if truth.dtype.kind == "f" and (truth != np.floor(truth)).any():
        truth = truth >= 0.5
    pair = labels.astype(np.int64).reshape(-1), truth.astype(np.int64).reshape(-1)
    if any((part < 0).any() for part in pair):
        raise ValueError("class labels must not be negative")
    return pair


def score_matrix(predictions: Any, targets: Any) -> tuple[Array, Array]:
    """Scores (N, C) in float64 and class indices (N,).

    Raises:
        ValueError: other shapes, NaN scores, an index outside [0, C).
    """
    scores, truth = to_array(predictions).astype(np.float64), to_array(targets)
    require_no_nan(scores, "predictions")
    if scores.ndim != 2:
        raise ValueError(f"expected scores of shape (N, C), got {scores.shape}")
    if truth.shape == scores.shape and scores.shape[1] > 1:
        truth = truth.argmax(axis=1)
    truth = truth.reshape(-1).astype(np.int64)
    if truth.size != len(scores):
        raise ValueError(f"scores of shape {scores.shape} need {len(scores)} targets, got {truth.size}")
    if truth.size and not (0 <= truth.min() and truth.max() < scores.shape[1]):
        raise ValueError(f"targets must lie in [0, {scores.shape[1]}), got {truth.min()}..{truth.max()}")
    return scores, truth
