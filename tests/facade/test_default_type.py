"""Results whose type is the default floating-point type: of the time they are computed, not of an earlier one."""

import contextlib

import pytest

torch = pytest.importorskip("torch")

from .compare import same  # noqa: E402

OPERATIONS = {
    "a number": lambda T, x: x / 2.0,
    "an integer": lambda T, x: x / 3,
    "its like": lambda T, x: x / (x + 1),
    "a product": lambda T, x: x * 0.5,
    "a number before": lambda T, x: 1.5 - x,
    "a function": lambda T, x: x.sigmoid() + T.exp(x),
    "logarithms": lambda T, x: T.log1p(x).sum(),
    "a mean of booleans": lambda T, x: (x > 1).div(2),
    "a bound": lambda T, x: x.clamp(0.5),
    "a choice": lambda T, x: T.where(x > 1, x, 0.5),
    "the way on": lambda T, x: T.sqrt(x).mul(2).cumsum(0).double(),
}


@contextlib.contextmanager
def _default(T, dtype):
    before = T.get_default_dtype()
    T.set_default_dtype(dtype)
    try:
        yield
    finally:
        T.set_default_dtype(before)


@pytest.mark.parametrize("case", OPERATIONS)
def test_the_type_follows_the_default(case):
    """An expression recorded under one default was taken for the same one under another."""

    def run(T):
        x = T.tensor([1, 2, 3])
        found = []
        for dtype in (T.float32, T.float64, T.float32, T.float64):
            with _default(T, dtype):
                found += [OPERATIONS[case](T, x), OPERATIONS[case](T, x + 1)]
        return found

    same(run)
