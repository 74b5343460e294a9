"""Running sums, products, extrema and recurrences: every direction and layout, lengths around the width of vectors."""

import numpy as np
import pytest

import torchlike_asg.backends.cpu.scan

from .nodes import check_all

assert torchlike_asg
RNG = np.random.default_rng(4)


def numbers(shape, d):
    return (RNG.standard_normal(shape) if np.dtype(d).kind == "f" else RNG.integers(-3, 4, shape)).astype(d)


@pytest.mark.parametrize("d", [np.float32, np.float64, np.int64])
@pytest.mark.parametrize("reverse", [False, True])
def test_sums_and_products(d, reverse):
    for shape in ((3, 5, 16), (2, 33, 17), (4, 1, 100), (2, 3, 1)):
        a = numbers(shape, d)
        for dim in range(3):
            check_all("cumsum", (a,), dim, reverse, threads=(2,))
            check_all("cumprod", (a,), dim, reverse, threads=(2,))


@pytest.mark.parametrize("d", [np.float32, np.float64])
@pytest.mark.parametrize("reverse", [False, True])
def test_recurrences(d, reverse):
    for shape in ((3, 5, 16), (2, 33, 17), (4, 1, 100)):
        a, b = numbers(shape, d), numbers(shape, d)
        for dim in range(3):
            check_all("recurrence", (a, b), dim, reverse, threads=(2,))


def test_a_recurrence_with_shared_factors():
    for shape in ((1, 33, 1), (33, 1), ()):
        check_all("recurrence", (numbers(shape, np.float32), numbers((2, 33, 40), np.float32)), 1, False)


@pytest.mark.parametrize("name", ["cummax_index", "cummin_index"])
@pytest.mark.parametrize("d", [np.uint8, np.int32, np.int64, np.float32, np.float64])
def test_extrema(name, d):
    a = np.abs(numbers((3, 40, 35), d)).round()
    if np.dtype(d).kind == "f":
        a[0, 10, 4] = a[0, 20, 4] = a[1, 0, 0] = np.nan
        a[2] *= np.where(RNG.random(a[2].shape) < 0.5, -0.0, 1)
    for dim in range(3):
        check_all(name, (a,), dim)


def test_the_sign_of_zero_and_infinities():
    a = np.array([[-0.0] * 40, [0.0] * 40, [1.0] * 20 + [np.inf] * 20, [np.inf] * 30 + [-np.inf] * 10, [np.nan] + [1.0] * 39], np.float32)
    check_all("cumsum", (a,), 1, False)
    check_all("cumprod", (a,), 1, True)
    check_all("cumsum", (a,), 0, False)
