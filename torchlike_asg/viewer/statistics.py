"""Statistics of arrays: six numbers and a histogram."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .protocol import BINS

#: elements that are looked at, at most; of larger arrays evenly spread ones
MOST = 1 << 20
HISTOGRAM = 1 << 16
#: elements whose squares are added up at once, in their own precision
BLOCK = 1 << 15


def thinned(value: NDArray[Any], most: int = MOST) -> NDArray[Any]:
    """The array flat, or at most `most` of its elements, evenly spread."""
    flat = value.reshape(-1)
    return flat if flat.size <= most else flat[:: -(-flat.size // most)]


def squares(x: NDArray[Any]) -> float:
    """The sum of the squares of an array's elements. Not by a dot product: the library of matrix products would share it among threads of
    its own, which then stay awake for some milliseconds, on the processors that training needs.
    """
    flat, total = x.reshape(-1), 0.0
    for at in range(0, flat.size, BLOCK):
        part = flat[at : at + BLOCK]
        part = np.abs(part) if part.dtype.kind == "c" else part
        total += float(np.einsum("i,i->", part, part))
    return total


def summary(value: NDArray[Any]) -> tuple[float, float, float, float, float, float]:
    """(mean, standard deviation, minimum, maximum, how many are NaN or infinite, Euclidean norm) of the finite elements."""
    x = thinned(value)
    scale = value.size / max(x.size, 1)
    if not x.size:
        return (0.0,) * 6
    if x.dtype.kind == "c":
        x = np.abs(x)
    if x.dtype.kind != "f":
        x = x.astype(np.float64)
    elif x.dtype != np.float64:
        x = x.astype(np.float32, copy=False)
    low, high = float(x.min()), float(x.max())
    bad = 0
    if not (np.isfinite(low) and np.isfinite(high)):
        finite = x[np.isfinite(x)]
        bad = x.size - finite.size
        x = finite
        if not x.size:
            return (np.nan, np.nan, np.nan, np.nan, float(bad) * scale, np.nan)
        low, high = float(x.min()), float(x.max())
    mean = float(x.mean(dtype=np.float64))
    square = squares(x) / x.size
    if not np.isfinite(square):
        square = squares(x.astype(np.float64)) / x.size
    spread = max(square - mean * mean, 0.0)
    if spread < 1e-4 * square:  # cancellation
        spread = float(np.var(x, dtype=np.float64))
    return mean, spread**0.5, low, high, float(bad) * scale, (square * x.size * scale) ** 0.5


def histogram(value: NDArray[Any]) -> tuple[NDArray[Any], tuple[float, float]]:
    """Counts of `BINS` bins between the smallest and the largest finite element, and these."""
    x = thinned(value, HISTOGRAM)
    x = np.abs(x) if x.dtype.kind == "c" else x
    x = x[np.isfinite(x)] if x.dtype.kind == "f" else x
    if not x.size:
        return np.zeros(BINS, np.uint32), (0.0, 0.0)
    low, high = float(x.min()), float(x.max())
    if low == high:
        low, high = low - 0.5, high + 0.5
    counts, _ = np.histogram(x, BINS, (low, high))
    return counts.astype(np.uint32), (low, high)
