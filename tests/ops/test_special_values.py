"""Special functions and sums against SciPy and exact arithmetic."""

import numpy as np
import pytest

special = pytest.importorskip("scipy.special")

from torchlike_asg.ops import bessel, cylinder  # noqa: E402
from torchlike_asg.ops.summation import total  # noqa: E402

LINE = np.concatenate([np.linspace(-60, 60, 601), [0.0, 1e-12, np.nan]])
POSITIVE = np.linspace(0.05, 30, 300)
UNIT = np.concatenate([np.linspace(-0.1, 1.1, 401), 10.0 ** -np.arange(1, 300, 7)])


@pytest.mark.parametrize("name", ["i0", "i1", "i0e", "i1e", "erfcx", "log_ndtr"])
def test_on_the_line(name):
    with np.errstate(all="ignore"):
        np.testing.assert_allclose(getattr(bessel, name)(LINE), getattr(special, name)(LINE), rtol=1e-12, atol=1e-300)


def test_normal_quantiles():
    np.testing.assert_allclose(bessel.ndtri(UNIT), special.ndtri(UNIT), rtol=1e-13)


def test_zeta():
    x, q = np.meshgrid(np.linspace(1.0, 20, 20), POSITIVE[::5])
    np.testing.assert_allclose(bessel.zeta(x, q), special.zeta(x, q), rtol=1e-12)
    assert np.isnan(bessel.zeta(0.5, 1.0)) and np.isinf(bessel.zeta(2.0, -3.0)) and np.isnan(bessel.zeta(2.5, -0.5))


@pytest.mark.parametrize("n", [1, 2, 3, 6])
def test_polygamma(n):
    np.testing.assert_allclose(bessel.polygamma(n, POSITIVE), special.polygamma(n, POSITIVE), rtol=1e-12)


def test_trigamma_of_negative_numbers():
    """By reflection; the values follow from the recurrence trigamma(x) = trigamma(x + 1) + 1 / x^2."""
    x = np.array([-0.3, -1.7, -4.5])
    want = sum(1 / (x + k) ** 2 for k in range(6)) + special.polygamma(1, x + 6)
    np.testing.assert_allclose(bessel.polygamma(1, x), want, rtol=1e-12)


def test_incomplete_gamma():
    a, x = np.meshgrid(np.linspace(0.1, 60, 40), np.linspace(0, 80, 41))
    np.testing.assert_allclose(bessel.igamma(a, x), special.gammainc(a, x), rtol=1e-10, atol=1e-300)
    np.testing.assert_allclose(bessel.igammac(a, x), special.gammaincc(a, x), rtol=1e-10, atol=1e-300)


def test_types_are_kept():
    assert bessel.i0(np.float32([1.0])).dtype == np.float32
    assert bessel.zeta(np.float32([2.0]), np.float32([1.0])).dtype == np.float32


def test_long_sums_over_slow_dimensions_are_exact():
    x = np.full((1_000_000, 4), 0.1, np.float32)
    np.testing.assert_allclose(total(x, (0,), False), np.full(4, float(np.float32(0.1)) * 1e6), rtol=1e-6)
    assert total(x, (0,), True).shape == (1, 4) and total(x[:3], (0, 1), False).dtype == np.float32


CYLINDER = {
    "j0": (special.j0, -60.0),
    "j1": (special.j1, -60.0),
    "y0": (special.y0, 0.0),
    "y1": (special.y1, 0.0),
    "k0": (special.k0, 0.0),
    "k1": (special.k1, 0.0),
    "k0e": (special.k0e, 0.0),
    "k1e": (special.k1e, 0.0),
    "ai": (lambda x: special.airy(x)[0], -60.0),
    "ai_slope": (lambda x: special.airy(x)[1], -60.0),
    "sphere0": (lambda x: special.spherical_jn(0, x), -60.0),
    "sphere1": (lambda x: special.spherical_jn(1, x), -60.0),
}


@pytest.mark.parametrize("name", CYLINDER)
def test_cylinder_functions(name):
    """Oscillating functions to 1e-12 of their amplitude, decaying ones to 1e-12 of themselves."""
    want, low = CYLINDER[name]
    x = np.concatenate([np.linspace(low, 60, 1501), 10.0 ** np.linspace(-9, 2, 60), [25.0, 25.0001, 2.0, 2.0001, -10.0001, 0.5]])
    x = x[x >= low]
    with np.errstate(all="ignore"):
        oscillates = x < (0 if name.startswith("ai") else np.inf)
        amplitude = np.where(oscillates & ~np.isinf(want(x)), 1 / np.sqrt(1 + np.abs(x)), 0) if "k" not in name else 0.0
        got, true = getattr(cylinder, name)(x), want(x)
        finite = np.isfinite(true)
        np.testing.assert_array_equal(got[~finite], true[~finite])
        assert (np.abs(got - true)[finite] <= (1e-12 * np.abs(true) + 2e-12 * amplitude)[finite]).all()
    assert np.isnan(getattr(cylinder, name)(np.nan))
