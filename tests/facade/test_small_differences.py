"""Odd arguments of creating, joining, moving and reading, against PyTorch."""

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from .compare import same  # noqa: E402

ITSELF: list = [0]
ITSELF.append(ITSELF)
FIRST: list = []  # begins with itself
FIRST.append(FIRST)
DEEP: list = [1]
for _ in range(200):
    DEEP = [DEEP]
CALLS = {
    "joining nothing": lambda T: T.cat([T.empty(0), T.empty(0)], dim=1),
    "joining nothing to something": lambda T: T.cat([T.empty(0), T.ones(2, 2)], dim=1),
    "a list in itself": lambda T: T.tensor(ITSELF),
    "a list that begins with itself": lambda T: T.tensor(FIRST),
    "a list in itself, within others": lambda T: T.tensor([1, [ITSELF]]),
    "a list that is too deep": lambda T: T.tensor(DEEP),
    "a large number": lambda T: T.tensor([2**63, 1], dtype=T.float64),
    "a larger number": lambda T: T.tensor(2**64 - 1, dtype=T.float32),
    "a large integer": lambda T: T.tensor(2**63),
    "a complex number as a real one": lambda T: float(T.tensor(1.5j)),
    "a complex number as an integer": lambda T: int(T.tensor(1.5j)),
    "a number without an imaginary part": lambda T: int(T.tensor(2.7 + 0j)),
    "a source twice": lambda T: T.movedim(T.ones(2, 3, 4), (0, 0), (0, 1)),
    "a destination twice": lambda T: T.movedim(T.ones(2, 3, 4), (0, 1), (1, -2)),
    "moved": lambda T: T.movedim(T.ones(2, 3, 4), [0, -1], (1, 0)).shape,
    "moved by one of NumPy's": lambda T: T.movedim(T.ones(2, 3, 4), np.int64(0), 2).shape,
    "a number of NumPy's, shared": lambda T: T.asarray(np.float64(0.5), copy=False),
    "a number of NumPy's": lambda T: T.asarray(np.float64(0.5)),
    "no gradients to search along": lambda T: T.optim.LBFGS([T.ones(2)], tolerance_grad=-math.inf).step(lambda: T.tensor([10])),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_small_differences(call):
    same(call)
