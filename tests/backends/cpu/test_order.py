"""Sorting against the references: both ways of sorting, ties, NaN, every element type, lines in either direction."""

import numpy as np
import pytest

import torchlike_asg.backends.cpu.order
from torchlike_asg.backends.cpu import isa

from .nodes import check_all

assert torchlike_asg
RNG = np.random.default_rng(11)
TYPES = [np.uint8, np.int8, np.int16, np.int32, np.float32, np.int64, np.float64]


def numbers(shape, d):
    """Values over the whole range of the type, and many equal ones."""
    if np.dtype(d).kind == "f":
        a = (RNG.standard_normal(shape) * np.exp(RNG.normal(0, 20, shape))).astype(d)
        a[RNG.random(shape) < 0.1] = np.nan
        a[RNG.random(shape) < 0.1] = np.inf
        a[RNG.random(shape) < 0.1] = -np.inf
        a[RNG.random(shape) < 0.1] = 0.0
        a[RNG.random(shape) < 0.1] = -0.0
    else:
        a = RNG.integers(np.iinfo(d).min, np.iinfo(d).max, shape, d, endpoint=True)
    twice = RNG.random(shape) < 0.3
    a[twice] = np.roll(a, 1, -1)[twice]
    return a


@pytest.mark.parametrize("d", [np.bool_, *TYPES])
@pytest.mark.parametrize("descending", [False, True])
def test_every_type_and_length(d, descending):
    for n in (1, 2, 39, 41, 300):
        a = RNG.random((3, n)) < 0.5 if d is np.bool_ else numbers((3, n), d)
        check_all("argsort", (a,), 1, descending, threads=(2,))
        check_all("argsort", (a.T,), 0, descending, threads=(2,))
        check_all("unstable_order", (a,), 1, descending, threads=(2,))
        check_all("unstable_order", (a.T,), 0, descending, threads=(2,))


@pytest.mark.parametrize("d", [np.uint8, np.int64, np.float32, np.float64])
def test_selections_pick_as_pytorch_does_among_equals(d):
    for n, ks in ((1, (1,)), (5, (2, 5)), (100, (1, 3, 40, 100)), (700, (2, 10, 30, 300))):  # a heap, the best few, all; sorted or not
        a = RNG.integers(0, 9, (2, n)).astype(d)
        for k in ks:
            check_all("topk_unstable", (a,), k, 1, True, True, threads=(2,))
            check_all("topk_unstable", (a.T,), k, 0, False, k % 2 == 0, threads=(2,))
            check_all("kth_unstable", (a,), 1, k - 1, threads=(2,))
        check_all("mode_unstable", (a,), 1, threads=(2,))
        b = numbers((2, n), d)
        check_all("topk_unstable", (b,), ks[-1], 1, True, True, threads=(2,))
        check_all("kth_unstable", (b,), 1, ks[0] - 1, threads=(2,))
        check_all("mode_unstable", (b,), 1, threads=(2,))


def test_bytes_that_all_keys_share_are_left_out():
    for d in (np.int32, np.int64):
        check_all("argsort", (RNG.integers(0, 200, (2, 500)).astype(d) * 256,), 1, False)


@pytest.mark.parametrize("d", TYPES)
def test_positions_along_a_middle_dimension(d):
    a = numbers((3, 45, 4), d)
    check_all("argsort", (a,), 1, True)
    check_all("kth_index", (a,), 1, 17)
    check_all("mode_index", (a,), 1)
    check_all("median_index", (a,), 1, False)
    check_all("median_index", (a,), 1, True)
    check_all("topk_index", (a,), 20, 1, True)


@pytest.mark.parametrize("d", [np.float32, np.float64])
def test_medians_with_missing_numbers(d):
    a = np.full((6, 50), np.nan, d)
    for row, known in enumerate((0, 1, 2, 25, 49, 50)):
        a[row, RNG.permutation(50)[:known]] = RNG.standard_normal(known)
    check_all("median_index", (a,), 1, False)
    check_all("median_index", (a,), 1, True)
    check_all("mode_index", (a,), 1)


@pytest.mark.parametrize("d", TYPES)
def test_the_median_of_everything(d):
    for shape in ((7,), (3, 30), (2, 3, 50)):
        a = numbers(shape, d)
        for name in ("median", "nanmedian"):
            check_all(name, (a,), tuple(range(a.ndim)), False, layouts=[("contiguous", "contiguous"), ("gaps", "contiguous")])
            if np.dtype(d).kind == "f":
                check_all(name, (np.nan_to_num(a, nan=1.5),), tuple(range(a.ndim)), False, layouts=[("reversed", "contiguous")])


@pytest.mark.parametrize("d", [np.int16, np.int32, np.float32])
@pytest.mark.parametrize("largest", [True, False])
def test_the_first_few(d, largest):
    n = 200 if d is np.int16 else 1000
    a = RNG.permutation(n * 3).reshape(3, n).astype(d)  # no ties: the reference leaves their order open
    if d is np.float32:
        a[0, 7], a[1, 8], a[2, 9] = np.nan, np.inf, -np.inf
    for k in (1, 2, 16, 32, 33, n):
        if k <= n:
            check_all("topk_index", (a,), k, 1, largest)
    check_all("topk_index", (a.T,), 5, 0, largest)
    for rising in (np.sort(a, 1), np.sort(a, 1)[:, ::-1]):
        check_all("topk_index", (np.ascontiguousarray(rising),), 9, 1, largest)


def test_the_first_few_of_equals():
    a = np.repeat(np.float32([[3, 1, 2]]), 60, 1)
    check_all("topk_index", (a,), 10, 1, True)
    assert isa.host().lanes(4) > 1
