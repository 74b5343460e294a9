"""Distances of all pairs at sizes around the blocks, batches that broadcast, and missing coordinates."""

import math

import numpy as np
import pytest

import torchlike_asg.backends.cpu.distance

from .nodes import check_all

assert torchlike_asg
RNG = np.random.default_rng(8)
LAYOUTS = [("contiguous", "contiguous"), ("gaps", "contiguous"), ("reversed", "contiguous")]


@pytest.mark.parametrize("d", [np.float32, np.float64])
@pytest.mark.parametrize("p", [0.0, 1.0, 2.0, math.inf])
def test_pairs(d, p):
    for points, others, features in ((1, 1, 1), (4, 16, 3), (9, 37, 5), (3, 70, 33)):
        a, b = (RNG.integers(-3, 4, (n, features)).astype(d) for n in (points, others))
        check_all("cdist", (a, b), p, layouts=LAYOUTS, threads=(2,))
        check_all("cdist", (np.stack([a, -a, a * 2]), b), p, layouts=LAYOUTS, threads=(2,))
        check_all("cdist", (np.stack([a, -a]), np.stack([b, b + 1])), p, layouts=LAYOUTS, threads=(2,))


def test_missing_coordinates():
    a, b = RNG.standard_normal((6, 4)).astype(np.float32), RNG.standard_normal((20, 4)).astype(np.float32)
    a[1, 0], a[2, 3], b[18, 2], b[3, 3] = np.nan, np.inf, np.nan, -np.inf
    for p in (0.0, 1.0, 2.0, math.inf):
        check_all("cdist", (a, b), p, layouts=LAYOUTS)
    check_all("cdist_euclidean", (a, b), layouts=LAYOUTS)


def test_close_points_lose_nothing():
    a = (1e4 + RNG.standard_normal((30, 8)) * 1e-2).astype(np.float32)
    check_all("cdist_euclidean", (a, a[::-1]), layouts=LAYOUTS)
