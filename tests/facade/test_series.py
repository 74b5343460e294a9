"""Differences, numerical derivatives and integrals, powers, covariance."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from .compare import gradients, same, same_error  # noqa: E402

X = np.random.default_rng(0).standard_normal((3, 5))
POINTS = np.array([0.0, 1.0, 3.0, 4.0, 6.0])

CASES = {
    "diff": lambda T, x: T.diff(x),
    "diff twice": lambda T, x: x.diff(2, 0),
    "diff too often": lambda T, x: T.diff(x, 7),
    "diff not at all": lambda T, x: T.diff(x, 0, prepend=x),
    "diff with ends": lambda T, x: T.diff(x, 2, 1, prepend=x[:, :1], append=x[:, :2] * 2),
    "gradient": lambda T, x: T.gradient(x),
    "gradient along one": lambda T, x: T.gradient(x, dim=1, spacing=2.0),
    "gradient with spacings": lambda T, x: T.gradient(x, spacing=[1.0, 0.5]),
    "gradient at points": lambda T, x: T.gradient(x, spacing=(T.tensor(POINTS[:3]), T.tensor(POINTS))),
    "gradient of second order": lambda T, x: T.gradient(x, edge_order=2),
    "gradient of second order at points": lambda T, x: T.gradient(x, dim=1, spacing=(T.tensor(POINTS),), edge_order=2),
    "trapezoid": lambda T, x: T.trapezoid(x),
    "trapezoid with dx": lambda T, x: T.trapz(x, dx=0.5, dim=0),
    "trapezoid at points": lambda T, x: T.trapezoid(x, T.tensor(POINTS)),
    "trapezoid at points along the first": lambda T, x: T.trapezoid(x, T.tensor(POINTS[:3]), dim=0),
    "trapezoid of both": lambda T, x: T.trapezoid(x, x * x),
    "cumulative_trapezoid": lambda T, x: T.cumulative_trapezoid(x),
    "cumulative_trapezoid at points": lambda T, x: T.cumulative_trapezoid(x, T.tensor(POINTS), dim=1),
    "vander": lambda T, x: T.vander(x[0].detach()) * x[0],
    "vander increasing": lambda T, x: T.vander(x[0].detach(), 3, True) + x[0, 0],
    "linalg.vander": lambda T, x: T.linalg.vander(x, N=4),
    "cov": lambda T, x: T.cov(x),
    "cov of a series": lambda T, x: x[0].cov(correction=0),
    "cov of one row": lambda T, x: T.cov(x[:1]),
    "corrcoef": lambda T, x: T.corrcoef(x),
    "corrcoef of one row": lambda T, x: x[:1].corrcoef(),
}


@pytest.mark.parametrize("f", CASES.values(), ids=CASES)
def test_values_and_gradients(f):
    def run(T):
        x = T.tensor(X, requires_grad=True)
        y = f(T, x)
        return list(y) if isinstance(y, (tuple, list)) else y, gradients(T, y, x)

    same(run, 1e-6, 1e-10)


def test_gradient_of_powers():
    """PyTorch's own `vander` overwrites what its gradient needs, so the powers are spelled out there."""

    def run(T):
        x = T.tensor([0.0, 1.5, -2.0], requires_grad=True)
        y = T.vander(x, 4, True) if T is not torch else T.stack([x**k for k in range(4)], 1)
        return y, gradients(T, y, x)

    same(run)


def test_weighted_covariance():
    counts, weights = np.array([1, 2, 1, 3, 1]), np.array([0.1, 0.2, 0.3, 0.2, 0.9])

    def run(T):
        x, w = T.tensor(X, requires_grad=True), T.tensor(weights, requires_grad=True)
        f = T.tensor(counts)
        found = [T.cov(x, fweights=f), T.cov(x, aweights=w), T.cov(x, fweights=f, aweights=w), T.cov(x, correction=0, aweights=w)]
        return found, gradients(T, found, x, w)

    same(run, 1e-6)


def test_integers_and_booleans():
    same(lambda T: T.diff(T.tensor([1, 4, 9])))
    same(lambda T: T.diff(T.tensor([True, False, False])))
    same(lambda T: T.diff(T.tensor([1, 4]), prepend=T.tensor([0.5])))
    same(lambda T: list(T.gradient(T.tensor([1, 4, 9]))))
    same(lambda T: T.trapezoid(T.tensor([1, 4, 9])))
    same(lambda T: T.vander(T.tensor([1, 2, 3])))
    same(lambda T: T.vander(T.tensor([True, False]), 3))
    same(lambda T: T.cov(T.tensor([[1, 4, 9], [2, 2, 5]])))
    same(lambda T: T.corrcoef(T.tensor([1, 4, 9])))


def test_empty():
    same(lambda T: T.trapezoid(T.ones(2, 0)))
    same(lambda T: T.cumulative_trapezoid(T.ones(2, 0)))
    same(lambda T: T.vander(T.tensor([1, 2]), 0))


@pytest.mark.parametrize(
    "call",
    [
        lambda T: T.diff(T.tensor(1.0)),
        lambda T: T.diff(T.ones(2), -1),
        lambda T: T.diff(T.ones(2, 3), prepend=T.ones(3)),
        lambda T: T.diff(T.ones(2, 3), prepend=T.ones(3, 1)),
        lambda T: T.gradient(T.ones(1)),
        lambda T: T.gradient(T.ones(4), edge_order=3),
        lambda T: T.gradient(T.ones(4, 4), spacing=[1.0]),
        lambda T: T.gradient(T.ones(4, 4), dim=(0, 0)),
        lambda T: T.trapezoid(T.tensor([True, False])),
        lambda T: T.trapezoid(T.ones(2, 3), T.ones(2)),
        lambda T: T.trapezoid(T.tensor(1.0)),
        lambda T: T.vander(T.ones(2, 2)),
        lambda T: T.vander(T.ones(2), -1),
        lambda T: T.cov(T.ones(2, 2, 2)),
        lambda T: T.cov(T.tensor([True])),
        lambda T: T.cov(T.ones(2, 3), fweights=T.ones(3)),
        lambda T: T.cov(T.ones(2, 3), fweights=T.tensor([1, 2])),
        lambda T: T.cov(T.ones(2, 3), fweights=T.tensor([1, -2, 3])),
        lambda T: T.cov(T.ones(2, 3), aweights=T.tensor([1, 2, 3])),
        lambda T: T.corrcoef(T.ones(2, 2, 2)),
    ],
)
def test_refuses(call):
    same_error(call)


def test_too_few_observations():
    def run(T):
        with pytest.warns(UserWarning, match="degrees of freedom"):
            return T.cov(T.tensor(X), correction=9)

    same(run)


def test_complex_distances():
    same(lambda T: T.gradient(T.tensor([1 + 1j, 2 - 1j, 4]), spacing=1 + 2j))
    same(lambda T: T.gradient(T.arange(3.0), spacing=2.0 + 1j))
    same(lambda T: T.gradient(T.arange(9.0).reshape(3, 3), spacing=[1.0, 2.0 + 1j]))
    same(lambda T: T.gradient(T.arange(3), spacing=2 + 1j))
