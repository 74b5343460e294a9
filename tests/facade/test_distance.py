"""Norms and distances."""

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from .compare import gradients, same, same_error, second_gradients  # noqa: E402

R = np.random.default_rng(1)
X = R.standard_normal((3, 4)).astype(np.float32)
A, B = R.standard_normal((2, 5, 3)).astype(np.float32), R.standard_normal((2, 4, 3)).astype(np.float32)
ORDERS = [0, 0.5, 1, 1.5, 2, 3, -1, math.inf, -math.inf]


@pytest.mark.parametrize("p", ORDERS)
@pytest.mark.parametrize("dim", [None, 1, (0, 1)])
def test_norms(p, dim):
    def run(T):
        x = T.tensor(X, requires_grad=True)
        y = T.linalg.vector_norm(x, p, dim)
        return y, gradients(T, y, x) if p else None

    same(run, 1e-4)


@pytest.mark.parametrize("p", [1, 1.5, 2, 3, math.inf])
def test_gradient_of_the_norm_of_zero(p):
    def run(T):
        x = T.zeros(2, 3, requires_grad=True)
        return gradients(T, T.norm(x, p, 1), x)

    same(run)


def test_spellings():
    same(lambda T: T.tensor(X).norm())
    same(lambda T: T.tensor(X).norm(1, 0, True))
    same(lambda T: T.norm(T.tensor(X), "fro", (0, 1)))
    same(lambda T: T.norm(T.tensor(X), "nuc"), 1e-4)
    same(lambda T: T.norm(T.tensor(X), dim=1, dtype=T.float64))
    same_error(lambda T: T.norm(T.tensor([1, 2])))
    same_error(lambda T: T.norm(T.ones(0), math.inf))
    same_error(lambda T: T.norm(T.ones(2, 2), "other"))
    same(lambda T: T.dist(T.tensor(X), T.tensor(X[:1]), 3))


@pytest.mark.parametrize("p", [0, 1, 1.5, 2, 3, math.inf])
def test_cdist(p):
    def run(T):
        a, b = T.tensor(A, requires_grad=True), T.tensor(B[:1], requires_grad=True)
        y = T.cdist(a, b, p)
        return y, gradients(T, y, a, b)

    same(run, 1e-4, 1e-5)


@pytest.mark.parametrize("mode", ["use_mm_for_euclid_dist", "donot_use_mm_for_euclid_dist"])
def test_cdist_modes(mode):
    def run(T):
        a, b = T.tensor(A.astype(np.float64), requires_grad=True), T.tensor(B.astype(np.float64), requires_grad=True)
        y = T.cdist(a, b, compute_mode=mode)
        return y, gradients(T, y, a, b)

    same(run, 1e-6)


def test_cdist_of_many_points():
    data = R.standard_normal((40, 3))

    def run(T):
        a = T.tensor(data, requires_grad=True)
        y = T.cdist(a, T.tensor(data[::-1].copy()) + 0.1)
        return y, gradients(T, y, a)

    same(run, 1e-5)


def test_cdist_of_equal_points():
    def run(T):
        a = T.tensor(A[0], requires_grad=True)
        y = T.cdist(a, a.detach())
        return y, gradients(T, y, a)

    same(run, 1e-4)


def test_cdist_second_order():
    def run(T):
        a = T.tensor(A[0].astype(np.float64), requires_grad=True)
        b = T.tensor(B[0].astype(np.float64))
        y = (a[:, None] - b).norm(dim=-1) if T is torch else T.cdist(a, b)
        return second_gradients(T, y, a)

    same(run, 1e-6)


def test_cdist_errors():
    same_error(lambda T: T.cdist(T.ones(2, 3), T.ones(2, 4)))
    same_error(lambda T: T.cdist(T.ones(3), T.ones(2, 3)))
    same_error(lambda T: T.cdist(T.ones(2, 3), T.ones(2, 3), -1))
    same_error(lambda T: T.cdist(T.ones(2, 3).long(), T.ones(2, 3).long()))
    same_error(lambda T: T.cdist(T.ones(2, 3), T.ones(2, 3), compute_mode="fast"))


@pytest.mark.parametrize("p", [1, 2, 3])
def test_renorm(p):
    def run(T):
        x = T.tensor(X, requires_grad=True)
        y = T.renorm(x * 1, p, 0, 1.5)
        z = T.tensor(X).renorm_(p, 1, 1.0)
        return y, z, gradients(T, y, x)

    same(run, 1e-4)


BEYOND = [[0, 0, 0], [1, 2, 0], [np.nan, 1, 0], [np.inf, 1, 2], [-np.inf, 0, 1], [1, 0, np.nan], [np.inf, -1, np.nan], [np.nan] * 3]
BEYOND += [[np.inf, 1, 2], [2, -1, -np.inf], [-1, 1, 0]]


@pytest.mark.parametrize("d", ["float32", "float64"])
@pytest.mark.parametrize("width", [3, 11])
@pytest.mark.parametrize("p", [0, 0.5, 1, 1.5, 2, 3, math.inf])
def test_distances_that_are_not_finite(p, width, d):
    """The maximum of cdist passes over NaN and that of pdist does not; a NaN is a NaN in p = 0; its sign is one, too."""

    def run(T):
        points = [[*row, *[0.5] * (width - 3)] for row in BEYOND]
        a, b = (T.tensor(v, dtype=getattr(T, d), requires_grad=True) for v in (points, points[::-2]))
        modes = ("use_mm_for_euclid_dist", "donot_use_mm_for_euclid_dist")
        found = [T.cdist(a, b, p, compute_mode=m) for m in modes] + [T.nn.functional.pdist(a, p)]
        return found, [T.autograd.grad(y.sum(), (a, b), allow_unused=True) for y in found]

    same(run)
