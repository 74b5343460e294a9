"""Draws of categories by weight."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import dtypes
from .checks import NAME
from .continuous import exponential
from .engine import Engine
from .layout import rounded
from .uniform import uniform64

__all__ = ["multinomial"]

Array = np.ndarray[Any, Any]

MOST_CATEGORIES = 2**24


def multinomial(
    engine: Engine, weights: Array, dtype: dtypes.dtype, count: int, replacement: bool = False, strides: tuple[int, ...] | None = None
) -> Array:
    """`torch.multinomial`: `count` category numbers (int64) for each row of `weights`, a (categories,) or (rows, categories) array
    of non-negative values of `dtype` (bfloat16 as float32).

    Without replacement, and for a single draw either way: the categories with the largest weight / Exp(1), two words a category,
    in the order in which a tensor of `strides` lies.
    With replacement: a search in the cumulative weights, two words a draw. Of equal candidates the first one comes first, where
    PyTorch leaves the order to its partial sort (in the 16-bit types, and among categories of weight 0).

    RuntimeError for weights that are negative, not finite or all zero in a row, and for more draws than there are categories.
    """
    if weights.ndim not in (1, 2):
        raise RuntimeError("prob_dist must be 1 or 2 dim")
    if not dtype.is_floating_point:
        raise RuntimeError(f"multinomial only supports floating-point dtypes for input, got: {NAME[dtype]}")
    if count <= 0:
        raise RuntimeError("cannot sample n_sample <= 0 samples")
    categories = weights.shape[-1]
    if not replacement and count > categories:
        raise RuntimeError("cannot sample n_sample > prob_dist.size(-1) samples without replacement")
    if categories > MOST_CATEGORIES:
        raise RuntimeError("number of categories cannot exceed 2^24")
    rows = weights.reshape(-1, categories)
    if rows.size == 0:
        return np.zeros((*weights.shape[:-1], count), np.int64)
    if replacement and count > 1:
        picked = _with_replacement(engine, rows, dtype, count)
    else:
        picked = _without_replacement(engine, rows, dtype, count, strides if weights.ndim == 2 else None)
    return picked.reshape(*weights.shape[:-1], count)


def _without_replacement(engine: Engine, rows: Array, dtype: dtypes.dtype, count: int, strides: tuple[int, ...] | None) -> Array:
    if not (np.isfinite(rows).all() and (rows >= 0).all()):
        raise RuntimeError("probability tensor contains either `inf`, `nan` or element < 0")
    if (rows.sum(axis=1) == 0).any():
        raise RuntimeError("invalid multinomial distribution (sum of probabilities <= 0)")
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        race = rounded(rows / exponential(engine, rows.shape, strides, dtype, 1.0), dtype)
    if count == 1:
        return race.argmax(axis=1, keepdims=True).astype(np.int64)
    return np.argsort(-race, axis=1, kind="stable")[:, :count].astype(np.int64)


def _with_replacement(engine: Engine, rows: Array, dtype: dtypes.dtype, count: int) -> Array:
    if (rows < 0).any() or np.isnan(rows).any():
        raise RuntimeError("invalid multinomial distribution (encountering probability entry < 0)")
    if np.isinf(rows).any():
        raise RuntimeError("invalid multinomial distribution (encountering probability entry = infinity or NaN)")
    picked = np.empty((len(rows), count), np.int64)
    for row, out in zip(rows.astype(dtype.compute, copy=False), picked, strict=True):
        cumulative = np.add.accumulate(row)  # one after another, unlike sum()
        total = cumulative[-1]
        if not total > 0:
            raise RuntimeError("invalid multinomial distribution (sum of probabilities <= 0)")
        bounds = (cumulative / total).astype(np.float64)
        bounds[-1] = 1.0
        out[:] = np.searchsorted(bounds, uniform64(engine, count), "left")
    return picked
