"""Elementary functions in native code against the true values: units in the last place over their whole range, and special values."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tests.backends.cpu.test_handler import word
from torchlike_asg import dtypes
from torchlike_asg.ops import special

#: function, truth in higher precision, arguments, largest error in units in the last place (float32, float64)
WIDE = np.concatenate([np.geomspace(1e-44, 3e38, 40_001), -np.geomspace(1e-44, 3e38, 40_001)])
POSITIVE = np.geomspace(1e-44, 3e38, 60_001)
CASES = {
    "exp": (np.exp, np.concatenate([np.linspace(-103.9, 88.7, 60_001), WIDE]), 1, 1.5),
    "expm1": (np.expm1, np.concatenate([np.linspace(-20, 88.7, 60_001), np.linspace(-1, 1, 20_001), WIDE]), 2, 2.5),
    "exp2": (np.exp2, np.linspace(-149, 127.9, 60_001), 1, 1.5),
    "log": (np.log, POSITIVE, 1, 1),
    "log2": (np.log2, POSITIVE, 1.5, 1.5),
    "log10": (np.log10, POSITIVE, 2, 3),
    "log1p": (np.log1p, np.concatenate([np.linspace(-0.9999, 2, 60_001), POSITIVE]), 2.5, 3),
    "tanh": (np.tanh, np.concatenate([np.linspace(-10, 10, 60_001), WIDE]), 2.5, 3),
    "sin": (np.sin, np.concatenate([np.linspace(-20, 20, 60_001), np.linspace(0, 1e6, 60_001)]), 1.6, 1.6),
    "cos": (np.cos, np.concatenate([np.linspace(-20, 20, 60_001), np.linspace(0, 1e6, 60_001)]), 1.6, 1.6),
    "tan": (np.tan, np.linspace(-20, 20, 60_001), 3, 4),
    "atan": (np.arctan, np.concatenate([np.linspace(-8, 8, 20_001), WIDE]), 1, 2),
    "asin": (
        np.arcsin,
        np.concatenate([np.linspace(-1, 1, 20_001), 1 - np.geomspace(1e-16, 0.1, 5_001), np.geomspace(1e-30, 0.1, 5_001)]),
        1,
        3,
    ),
    "acos": (
        np.arccos,
        np.concatenate([np.linspace(-1, 1, 20_001), 1 - np.geomspace(1e-16, 0.1, 5_001), np.geomspace(1e-16, 0.1, 5_001) - 1]),
        1,
        3,
    ),
    "sinh": (np.sinh, np.concatenate([np.linspace(-89, 89, 20_001), np.linspace(-2, 2, 20_001), WIDE[np.abs(WIDE) < 1]]), 1, 3),
    "cosh": (np.cosh, np.concatenate([np.linspace(-89, 89, 20_001), np.linspace(-2, 2, 20_001)]), 1, 3),
    "asinh": (np.arcsinh, np.concatenate([np.linspace(-20, 20, 20_001), WIDE]), 1, 3),
    "acosh": (np.arccosh, np.concatenate([np.linspace(1, 20, 20_001), 1 + np.geomspace(1e-15, 1, 5_001), POSITIVE[POSITIVE > 1]]), 1, 3),
    "atanh": (
        np.arctanh,
        np.concatenate([np.linspace(-1, 1, 20_001), 1 - np.geomspace(1e-16, 0.1, 5_001), np.geomspace(1e-30, 0.1, 5_001)]),
        1,
        3,
    ),
    "sigmoid": (lambda x: 1 / (1 + np.exp(-x)), np.linspace(-80, 80, 60_001), 3, 5),
}
#: computed in double precision for every type
INVERSE = ("atan", "asin", "acos", "sinh", "cosh", "asinh", "acosh", "atanh", "erfc", "erfinv")


def ulps(got, truth):
    """Errors in units in the last place of the rounded truth."""
    return np.abs(got.astype(np.longdouble) - truth) / np.spacing(np.abs(truth.astype(got.dtype)))


@pytest.mark.parametrize("level", ["", "avx2"])
@pytest.mark.parametrize("d", [dtypes.float32, dtypes.float64])
@pytest.mark.parametrize("name", CASES)
def test_errors(name, d, level):
    fn, x, single, double = CASES[name]
    x = x.astype(d.compute)
    with np.errstate(all="ignore"):
        got, _ = word(name, d, x, level=level)
        truth = fn(x.astype(np.longdouble))
        rounded = truth.astype(d.compute)
    finite = np.isfinite(rounded)
    np.testing.assert_array_equal(got[~finite], rounded[~finite])
    assert ulps(got[finite], truth[finite]).max() <= (single if d is dtypes.float32 else double)


@pytest.mark.parametrize("level", ["", "avx2"])
def test_erf(level):
    x = np.concatenate([np.linspace(-5, 5, 60_001), WIDE]).astype(np.float32)
    got, _ = word("erf", dtypes.float32, x, level=level)
    truth = special.erf(x.astype(np.float64))
    normal = np.abs(truth) > 1e-37
    assert np.abs(got[normal] / truth[normal] - 1).max() < 2e-7
    assert ulps(got, truth.astype(np.longdouble)).max() <= 3


def test_erf_of_doubles():
    x = np.concatenate([np.linspace(-6.5, 6.5, 3001), np.geomspace(1e-300, 0.6, 301), [0.5, -0.5, 1e300, 5e-324]])
    got, _ = word("erf", dtypes.float64, x)
    truth = np.array([math.erf(v) for v in x])
    assert ulps(got, truth.astype(np.longdouble)).max() <= 4


@pytest.mark.parametrize(("d", "most"), [(dtypes.float32, 1), (dtypes.float64, 5)])
def test_erfc(d, most):
    x = np.concatenate([np.linspace(-6, 9 if d is dtypes.float32 else 26, 20_001), np.linspace(-1, 1, 10_001)]).astype(d.compute)
    got, _ = word("erfc", d, x)
    assert ulps(got, np.array([math.erfc(v) for v in x.tolist()], np.longdouble)).max() <= most


@pytest.mark.parametrize("d", [dtypes.float32, dtypes.float64])
def test_erfinv(d):
    """Its erf is the argument, but for what its last place is worth there."""
    x = np.concatenate([np.linspace(-1, 1, 20_001), 1 - np.geomspace(1e-15, 0.1, 5_001), np.geomspace(1e-30, 0.1, 5_001)]).astype(d.compute)
    x = x[np.abs(x) < 1]
    got, _ = word("erfinv", d, x)
    y = np.abs(got.astype(np.float64))
    slope = 2 / math.sqrt(math.pi) * np.exp(-y * y)
    low = np.array([math.erf(v) for v in y]) - np.abs(x.astype(np.float64))
    high = (1 - np.abs(x.astype(np.float64))) - np.array([math.erfc(v) for v in y])
    off = np.abs(np.where(y < 0.5, low, high)) / slope
    assert (off / np.spacing(np.abs(got))).max() <= (1.5 if d is dtypes.float32 else 5)
    np.testing.assert_array_equal(np.sign(got), np.sign(x))


def test_pow_of_doubles():
    rng = np.random.default_rng(0)
    x = [rng.lognormal(0, 20, 20_000), rng.lognormal(0, 0.01, 20_000), -rng.integers(1, 50, 999), [5e-324, 1e308, 1.0]]
    y = [rng.standard_normal(20_000) * 20, rng.standard_normal(20_000) * 5e4, rng.integers(-9, 9, 999), [-1.0, 1.001, np.nan]]
    x, y = np.concatenate(x), np.concatenate(y)
    with np.errstate(all="ignore"):
        got, _ = word("pow", dtypes.float64, x, y)
        truth = np.power(x.astype(np.longdouble), y.astype(np.longdouble))
        rounded = truth.astype(np.float64)
    normal = np.isfinite(rounded) & (np.abs(rounded) > 1e-307)
    np.testing.assert_array_equal(got[~np.isfinite(rounded)], rounded[~np.isfinite(rounded)])
    np.testing.assert_allclose(got, rounded, rtol=2e-15, atol=1e-322)
    assert ulps(got[normal], truth[normal]).max() <= 1.5


@pytest.mark.parametrize("level", ["", "avx2"])
def test_pow(level):
    rng = np.random.default_rng(0)
    special_values = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1, -1, 2, -2, 3, -3, 0.5, -0.5, 1e-45, 3e38, 1e10, 16777217.0])
    x = np.concatenate([rng.lognormal(0, 3, 50_000), -rng.integers(1, 50, 999), special_values.repeat(special_values.size)])
    y = np.concatenate([rng.standard_normal(50_000) * 5, rng.integers(-9, 9, 999), np.tile(special_values, special_values.size)])
    x, y = x.astype(np.float32), y.astype(np.float32)
    with np.errstate(all="ignore"):
        got, _ = word("pow", dtypes.float32, x, y, level=level)
        truth = np.power(x.astype(np.longdouble), y.astype(np.longdouble))
        rounded = truth.astype(np.float32)
    finite = np.isfinite(rounded)
    np.testing.assert_array_equal(got[~finite], rounded[~finite])
    np.testing.assert_array_equal(np.signbit(got[finite]), np.signbit(rounded[finite]))
    assert ulps(got[finite], truth[finite]).max() <= 1


@pytest.mark.parametrize("d", [dtypes.float32, dtypes.float64])
@pytest.mark.parametrize("name", ["sin", "cos", "tan", "exp", "log", "tanh", "erf", "log1p", "expm1", *INVERSE])
def test_infinities_and_nan(name, d):
    x = np.array([np.inf, -np.inf, np.nan, 0.0, -0.0, 1e30, 1.0, -1.0, 2.0, -2.0], d.compute)
    got, want = word(name, d, x)
    np.testing.assert_allclose(got, want, rtol=1e-6)
    zero = want == 0
    np.testing.assert_array_equal(np.signbit(got[zero]), np.signbit(want[zero]))
