"""Histograms, counts and distinct elements."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from .compare import same, same_error  # noqa: E402

X = np.array([[3.0, 1.0, 2.0], [1.0, 3.0, 3.0]], np.float32)
ROWS = np.array([[1, 2], [1, 2], [0, 3], [1, 2]])


def test_bincount():
    same(lambda T: T.bincount(T.tensor([1, 1, 3])))
    same(lambda T: T.tensor([1, 1, 3]).bincount(minlength=6))
    same(lambda T: T.bincount(T.tensor([1, 1, 3]), T.tensor([0.5, 1.0, 2.0])))
    same(lambda T: T.bincount(T.tensor([1], dtype=T.uint8), T.tensor([2])))
    same(lambda T: T.bincount(T.tensor([], dtype=T.int64), minlength=2))
    for call in (
        lambda T: T.bincount(T.tensor([-1])),
        lambda T: T.bincount(T.tensor([[1]])),
        lambda T: T.bincount(T.tensor([1.0])),
        lambda T: T.bincount(T.tensor([1]), T.ones(2)),
        lambda T: T.bincount(T.tensor([1]), minlength=-1),
    ):
        same_error(call)


def test_histograms():
    for arguments in (dict(), dict(bins=4), dict(bins=4, min=0, max=2), dict(bins=3, min=2, max=2)):
        same(lambda T, g=arguments: T.histc(T.tensor(X), **g))
    same(lambda T: T.histc(T.tensor([1.0, np.nan, np.inf]), 2, 0, 2))
    same(lambda T: T.histc(T.tensor([2.0, 2.0]), 4))
    same(lambda T: list(T.histogram(T.tensor(X), density=True)))
    same(lambda T: list(T.histogram(T.tensor(X), 3)))
    same(lambda T: list(T.histogram(T.tensor(X), T.tensor([0.0, 1.5, 3.0]))))
    same(lambda T: list(T.histogram(T.tensor(X), 4, range=(0.0, 4.0), weight=T.tensor(X), density=True)))
    same(lambda T: list(T.histogram(T.ones(0), 2)))
    for call in (
        lambda T: T.histc(T.tensor([1, 2])),
        lambda T: T.histc(T.ones(2), bins=0),
        lambda T: T.histc(T.ones(2), 2, 3, 2),
        lambda T: T.histogram(T.tensor([1, 2]), 2),
    ):
        same_error(call)


@pytest.mark.parametrize("inverse", [False, True])
@pytest.mark.parametrize("counts", [False, True])
@pytest.mark.parametrize("dim", [None, 0, 1])
@pytest.mark.parametrize("name", ["unique", "unique_consecutive"])
def test_distinct(name, dim, inverse, counts):
    for data in (X, ROWS, X > 1):

        def run(T, data=data):
            found = getattr(T, name)(T.tensor(data), return_inverse=inverse, return_counts=counts, dim=dim)
            return list(found) if isinstance(found, tuple) else found

        same(run)


@pytest.mark.parametrize("name", ["unique", "unique_consecutive"])
def test_distinct_of_odd_tensors(name):
    same(lambda T: getattr(T, name)(T.tensor([np.nan, np.nan, 1.0])))
    same(lambda T: list(getattr(T, name)(T.tensor(3), return_counts=True)))
    same(lambda T: getattr(T, name)(T.ones(0)))
    same(lambda T: getattr(T, name)(T.ones(0, 2), dim=0))
    same_error(lambda T: getattr(T, name)(T.ones(2, 0), dim=0))


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 4), max_size=12))
def test_any_list(values):
    same(lambda T: list(T.unique(T.tensor(values, dtype=T.int64), return_inverse=True, return_counts=True)))
    same(lambda T: list(T.unique_consecutive(T.tensor(values, dtype=T.int64), return_inverse=True, return_counts=True)))
    same(lambda T: T.bincount(T.tensor(values, dtype=T.int64)))
