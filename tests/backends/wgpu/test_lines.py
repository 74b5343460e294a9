"""What goes along lines as shaders: extrema, scans, sorting. Long and many lines, ties, NaN, both directions."""

import numpy as np
import pytest

from torchlike_asg.backends.wgpu import extrema, order, scan

from .nodes import check_all

assert extrema and order and scan  # importing them registers the generators


def normal(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def tied(seed, *shape):
    """Many equal elements, some NaN."""
    x = np.random.default_rng(seed).integers(-9, 9, shape).astype(np.float32)
    x.flat[:: max(7, x.size // 50)] = np.nan
    return x


@pytest.mark.parametrize("shape,dim", [((3, 40_000), 1), ((700, 5), 0), ((5000, 20, 2), 1), ((4, 9), None), ((2, 50_000), None)])
def test_extrema(shape, dim):
    for x in (normal(0, *shape), np.random.default_rng(1).integers(-50, 50, shape)):
        for name in ("argmax", "argmin"):
            check_all(name, (x,), dim, False, layouts=("contiguous", "reversed"), results=("contiguous",))
    check_all("argmax", (tied(0, *shape),), dim, False, layouts=("contiguous",), results=("contiguous",))


@pytest.mark.parametrize("shape,dim", [((3, 3000), 1), ((3000, 4), 0), ((2200, 9), 1), ((2, 70, 3), 1)])
def test_scans(shape, dim):
    for reverse in (False, True):
        check_all("cumsum", (normal(0, *shape),), dim, reverse, results=("contiguous",), rtol=1e-4)
        check_all("cumprod", (1 + normal(0, *shape) / 100,), dim, reverse, results=("contiguous",), rtol=1e-3)
        check_all("recurrence", (normal(0, *shape) / 3, normal(1, *shape)), dim, reverse, results=("contiguous",), rtol=1e-4)
    check_all("cumsum", (np.random.default_rng(1).integers(-50, 50, shape),), dim, False)
    for name in ("cummax_index", "cummin_index"):
        check_all(name, (tied(0, *shape),), dim, results=("contiguous",))


@pytest.mark.parametrize("shape,dim", [((3, 40), 1), ((256, 3), 0), ((2, 300), 1), ((2500, 2), 0), ((1, 5000), 1)])
@pytest.mark.parametrize("descending", [False, True])
def test_order(shape, dim, descending):
    few = {"layouts": ("contiguous", "reversed"), "results": ("contiguous",)}
    for x in (tied(0, *shape), np.random.default_rng(1).integers(-2, 50, shape), normal(0, *shape) > 0):
        check_all("argsort", (x,), dim, descending, **few)
    x = normal(0, *shape)
    check_all("topk_index", (x,), 7, dim, descending, **few)
    check_all("kth_index", (x,), dim, 5, **few)
    check_all("median_index", (tied(0, *shape),), dim, descending, **few)
    check_all("median_index", (np.full(shape, 2**31 - 1),), dim, descending, **few)
    check_all("mode_index", (tied(0, *shape),), dim, **few)


def test_signed_zeros_are_equal():
    check_all("argsort", (np.array([0.0, -0.0, 1.0, -0.0, 0.0], np.float32),), 0, False)
