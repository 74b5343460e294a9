"""Bisection: edges shared or one set for every row, ties on either side, NaN, every element type."""

import numpy as np
import pytest

import torchlike_asg.backends.cpu.search
from torchlike_asg import dtypes

from .nodes import check_all

assert torchlike_asg
RNG = np.random.default_rng(9)


@pytest.mark.parametrize("d", [np.uint8, np.int16, np.int64, np.float32, np.float64])
@pytest.mark.parametrize("right", [False, True])
@pytest.mark.parametrize("result", [dtypes.int64, dtypes.int32])
def test_search(d, right, result):
    for n in (1, 2, 7, 64):
        x = RNG.integers(0, 20, (3, 5, 9)).astype(d)
        if np.dtype(d).kind == "f":
            x[0, 0, :3] = np.nan, np.inf, -np.inf
        check_all("searchsorted", (np.sort(RNG.integers(0, 20, n).astype(d)), x), right, result)
        check_all("searchsorted", (np.sort(RNG.integers(0, 20, (3, 5, n)).astype(d), -1), x), right, result)
