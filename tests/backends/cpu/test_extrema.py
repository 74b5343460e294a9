"""argmax and argmin: ties, NaN, lines in either direction, lines longer than a unit of work."""

import numpy as np
import pytest

import torchlike_asg.backends.cpu.extrema
from torchlike_asg.backends.cpu import extrema

from .nodes import check_all

assert torchlike_asg
RNG = np.random.default_rng(3)
TYPES = [np.bool_, np.uint8, np.int16, np.float32, np.int64, np.float64]


def numbers(shape, d):
    """Few different values, so that there are many ties."""
    return RNG.integers(-4, 5, shape).astype(d)


@pytest.mark.parametrize("name", ["argmax", "argmin"])
@pytest.mark.parametrize("d", TYPES)
def test_ties(name, d):
    for shape in ((3, 5, 17), (2, 70, 33), (4, 64, 1), (1, 1, 130)):
        a = numbers(shape, d)
        for dim in (0, 1, 2, None):
            check_all(name, (a,), dim, dim == 1)


@pytest.mark.parametrize("name", ["argmax", "argmin"])
@pytest.mark.parametrize("d", [np.float32, np.float64])
def test_nan_infinities_and_signed_zeros(name, d):
    a = numbers((6, 50, 37), d)
    a[0, 7, 5] = a[0, 40, 5] = a[0, 20, 36] = a[0, 7, 0] = a[1, 0, 0] = np.nan
    a[2, ::3], a[3, 1::2] = np.inf, -np.inf
    a[4] = np.where(RNG.random((50, 37)) < 0.5, -0.0, 0.0)
    for dim in (0, 1, 2, None):
        check_all(name, (a,), dim, False)


@pytest.mark.parametrize("name", ["argmax", "argmin"])
def test_long_lines_are_looked_at_in_parts(name, monkeypatch):
    monkeypatch.setattr(extrema, "_PART", 40)
    a = numbers((3, 130, 5), np.float32)
    a[1, 100, 2] = a[1, 45, 2] = np.nan
    for dim in (0, 1, None):
        check_all(name, (a,), dim, False)
