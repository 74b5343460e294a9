"""Products of few columns add up as MKL's do; any strides, threads and epilogues give the same numbers."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import torchlike_asg as asg
from tests.backends.cpu.test_orders import differing, draw, one_thread, same_vectors

__all__ = ["one_thread"]

SHAPES = [
    (3, 10, 8, 10),
    (4, 10, 10, 8),
    (4, 8, 10, 10),
    (2, 10, 10, 10),
    (5, 32, 16, 7),
    (3, 32, 30, 11),
    (3, 33, 21, 9),
    (2, 9, 5, 6),
    (3, 4, 4, 4),
]


def both(fn, *arrays):
    return [fn(p, *[p.from_numpy(a) for a in arrays]) for p in (asg, torch)]


@same_vectors
@pytest.mark.parametrize("batch,m,k,n", SHAPES)
def test_batches(batch, m, k, n):
    a, b = draw(batch, m, k), draw(batch, k, n)
    assert differing(*both(lambda p, a, b: a @ b, a, b)) == 0
    assert differing(*both(lambda p, a, b: a.mT.contiguous().mT @ b, a, b)) == 0
    assert differing(*both(lambda p, a, b: a @ b.mT, a, draw(batch, n, k))) == 0


@same_vectors
@pytest.mark.parametrize("m,k,n", [(160, 16, 10), (12, 40, 5), (7, 3, 2)])
def test_single_matrices(m, k, n):
    assert differing(*both(lambda p, a, b: a @ b, draw(m, k), draw(k, n))) == 0
    assert differing(*both(lambda p, a, b: a @ b.T, draw(m, k), draw(n, k))) == 0


@same_vectors
def test_attention_of_few_tokens_and_its_gradients():
    """Heads are views of one projection: the keys are copied for the product, and the gradient reads that copy the other way round."""
    results = []
    for package in (asg, torch):
        x = package.from_numpy(draw(16, 10, 48)).requires_grad_()
        q, k, v = (t.view(16, 10, 2, 8).transpose(1, 2) for t in x.split(16, dim=2))
        y = ((q @ k.transpose(-2, -1)) * 0.35) @ v
        y.transpose(1, 2).contiguous().view(16, 10, 16).backward(package.from_numpy(draw(10, 16, 16).swapaxes(0, 1).copy()))
        results.append((y, x.grad))
    assert [differing(a, b) for a, b in zip(*results, strict=True)] == [0, 0]


@pytest.mark.parametrize("batch,m,k,n", SHAPES)
def test_numbers(batch, m, k, n):
    a, b, c = draw(batch, m, k), draw(batch, k, n), draw(n)
    want = np.maximum(a.astype(np.float64) @ b.astype(np.float64) + c, 0)
    for left, right in ((a, b), (a.swapaxes(1, 2).copy().swapaxes(1, 2), b), (a[:, ::-1][:, ::-1], b.swapaxes(1, 2).copy().swapaxes(1, 2))):
        got = asg.relu(asg.from_numpy(left) @ asg.from_numpy(right) + asg.from_numpy(c))
        np.testing.assert_allclose(got.numpy(), want, rtol=1e-5, atol=1e-5)
