"""Sums of float32 arrays that keep their precision."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

_MANY = 512  # up to here adding one by one loses less than a factor of ten against pairwise summation


def total(x: np.ndarray[Any, Any], dims: tuple[int, ...], keepdims: bool) -> np.ndarray[Any, Any]:
    """The sum over `dims`, in the type of `x`.

    NumPy sums the fastest dimension pairwise, but adds up slower ones one by one, which can cost several digits: long sums of that
    kind are carried in double precision.
    """
    if x.dtype == np.float32 and dims and x.ndim - 1 not in dims and math.prod([x.shape[d] for d in dims]) > _MANY:
        return np.asarray(x.sum(dims, dtype=np.float64, keepdims=keepdims)).astype(np.float32)
    return np.asarray(x.sum(dims, dtype=x.dtype, keepdims=keepdims))
