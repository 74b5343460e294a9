"""Arithmetic of 16-bit floats beside numbers and single elements, and rounded quotients, bit for bit as in PyTorch; signs of zeros."""

import numpy as np
import pytest

import torchlike_asg as ours
from torchlike_asg import config

theirs = pytest.importorskip("torch")

NUMBERS = (0.3, -1.1)
BESIDE = {
    "add": lambda T, x, y, c: x + c,
    "sub": lambda T, x, y, c: x - c,
    "rsub": lambda T, x, y, c: c - x,
    "mul": lambda T, x, y, c: x * c,
    "div": lambda T, x, y, c: x / c,
    "rdiv": lambda T, x, y, c: c / x,
    "pow": lambda T, x, y, c: x.abs() ** c,
    "rpow": lambda T, x, y, c: abs(c) ** x,
    "floor_divide": lambda T, x, y, c: x // c,
    "floor": lambda T, x, y, c: T.div(x, c, rounding_mode="floor"),
    "trunc": lambda T, x, y, c: T.div(x, c, rounding_mode="trunc"),
    "rfloor_divide": lambda T, x, y, c: c // x,
    "remainder": lambda T, x, y, c: x % c,
    "rremainder": lambda T, x, y, c: c % x,
    "fmod": lambda T, x, y, c: T.fmod(x, c),
    "xlogy": lambda T, x, y, c: T.xlogy(c, x.abs()),
    "xlog1py": lambda T, x, y, c: T.special.xlog1py(x, y.abs()),
    "lt": lambda T, x, y, c: x < c,
    "fill": lambda T, x, y, c: x.clone().fill_(c),
    "floor of two": lambda T, x, y, c: T.div(x, y, rounding_mode="floor"),
    "trunc of two": lambda T, x, y, c: T.div(x, y, rounding_mode="trunc"),
    "floor by one element": lambda T, x, y, c: x // y[:1],
    "trunc by one element": lambda T, x, y, c: T.div(x, y[0], rounding_mode="trunc"),
    "floor of one element": lambda T, x, y, c: x[0] // y,
    "in place": lambda T, x, y, c: x.clone().floor_divide_(y),
}


@pytest.fixture(params=["cpu", "reference"])
def backend(request, monkeypatch):
    monkeypatch.setattr(config, "backend", request.param)


def given(kind):
    """Values of a 16-bit type, in both packages."""
    rng = np.random.default_rng(3)
    arrays = [rng.standard_normal(600) * scale for scale in (60, 1)]
    return [[getattr(T.tensor(a), kind)() for a in arrays] for T in (theirs, ours)]


def values(t):
    return t.double().numpy()


ON_THE_REFERENCE = ("add", "remainder", "rfloor_divide", "xlogy", "floor of two", "trunc of two", "floor by one element")


@pytest.mark.parametrize("kind", ["half", "bfloat16"])
@pytest.mark.parametrize("name, where", [*[(n, "cpu") for n in BESIDE], *[(n, "reference") for n in ON_THE_REFERENCE]])
def test_halves(name, where, kind, monkeypatch):
    monkeypatch.setattr(config, "backend", where)
    f = BESIDE[name]
    (x, y), mine = given(kind)
    for c in NUMBERS:  # from the second on, the number may be data
        np.testing.assert_array_equal(values(f(ours, *mine, c)), values(f(theirs, x, y, c)))


@pytest.mark.parametrize("kind", ["float", "double", "half"])
def test_zeros_keep_the_sign_of_the_dividend(kind, backend):
    a, b = (x.ravel() for x in np.meshgrid([0.0, -0.0, 3.0, -3.0, 1.0, -7.5, np.inf], [3.0, -3.0, 0.5, -0.5, np.inf, -np.inf, 0.0]))
    for f in (lambda T, x, y: x % y, lambda T, x, y: x % -3, lambda T, x, y: 3 % y, lambda T, x, y: T.fmod(x, y), lambda T, x, y: x // y):
        found, wanted = (values(f(T, getattr(T.tensor(a), kind)(), getattr(T.tensor(b), kind)())) for T in (ours, theirs))
        np.testing.assert_array_equal(found, wanted)
        known = ~np.isnan(wanted)
        np.testing.assert_array_equal(np.signbit(found)[known], np.signbit(wanted)[known])


@pytest.mark.parametrize("kind", ["float32", "float64"])
def test_a_number_over_a_tensor_is_a_multiple_of_the_reciprocal(kind, backend):
    a = np.random.default_rng(1).standard_normal(500)
    found, wanted = ((3.3 / T.tensor(a, dtype=getattr(T, kind))).numpy() for T in (ours, theirs))
    np.testing.assert_array_equal(found, wanted)


def test_gradients_of_rounded_quotients(backend):
    for T in (ours, theirs):
        x, y = (T.tensor([5.0, -7.5, 1.0]).half().requires_grad_() for _ in range(2))
        (T.remainder(x, 0.3 * y) + T.fmod(x, y) + T.div(x, y, rounding_mode="floor")).sum().backward()
        found = [values(t.grad) for t in (x, y)]
        if T is ours:
            mine = found
    np.testing.assert_array_equal(mine, found)
