"""torch.masked: reductions and normalisations under a mask, with gradients, as PyTorch's."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("torch.masked")

from .compare import same, same_error  # noqa: E402
from .parity import agree, normal  # noqa: E402

X = normal(3, 4, dtype=np.float64)
MASK = np.array([[1, 0, 1, 1], [0, 0, 0, 0], [1, 1, 0, 1]], bool)


def masked(name):
    return lambda lib: getattr(lib.masked, name)


@pytest.mark.parametrize("mask", [None, MASK, MASK[:1]])
@pytest.mark.parametrize("name", ["sum", "prod", "amax", "amin", "mean", "var", "std", "logsumexp"])
def test_reductions(name, mask):
    for kwargs in ({}, {"dim": 1}, {"dim": (0, 1), "keepdim": True}):
        order = 0 if name in ("mean", "std", "var") and kwargs.get("dim") == 1 else 1  # NaN for the empty line
        agree(masked(name), X, mask=mask, order=order, **kwargs)


@pytest.mark.parametrize("name", ["argmax", "argmin", "median"])
def test_choices(name):
    agree(masked(name), X, dim=0, mask=MASK, order=0)
    agree(masked(name), X, dim=1, mask=MASK, keepdim=True, order=0)


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "softmin", "cumsum", "cumprod"])
def test_along_a_dimension(name):
    agree(masked(name), X, 0, mask=MASK)
    agree(masked(name), X, 1)


def test_norms():
    agree(masked("norm"), X, 2.0, 1, mask=MASK[2:])
    agree(masked("norm"), X, float("-inf"), 1, mask=MASK, order=0)
    agree(masked("normalize"), X, 1.0, 1, mask=MASK)
    agree(masked("logaddexp"), X, X[::-1].copy(), input_mask=MASK, other_mask=MASK[::-1].copy())


def test_whole_numbers():
    n = np.arange(12).reshape(3, 4) - 5
    for name in ("sum", "prod", "amax", "amin"):
        agree(masked(name), n, dim=1, mask=MASK, order=0)
    for name in ("logsumexp", "cumsum", "cumprod"):
        for kind in (np.int64, np.int32, np.uint8):
            agree(masked(name), np.abs(n).astype(kind), dim=1, mask=MASK, order=0)
    agree(masked("logsumexp"), n, dim=1, order=0)
    same(lambda T: T.masked.logsumexp(T.tensor(n), 1, dtype=T.float32, mask=T.tensor(MASK)))
    same_error(lambda T: T.masked.logsumexp(T.tensor(n > 0), 1, mask=T.tensor(MASK)))
    same_error(lambda T: T.masked.mean(T.tensor(n), 1, mask=T.tensor(MASK)))
    same_error(lambda T: T.masked.mean(T.tensor(n), 1, dtype=T.int32))
