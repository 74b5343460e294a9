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
    "integers in logarithmic steps": lambda T: [T.logspace(1, 1.2, 4, dtype=T.int64), T.logspace(-1.5, 2.5, 4, dtype=T.int32)],
    "integers in steps of another base": lambda T: [T.logspace(0.9, 5.7, 5, 2, dtype=T.int16), T.logspace(0, 5, 6, -2, dtype=T.int64)],
    "one integer in logarithmic steps": lambda T: T.logspace(1.9, 1.9, 1, dtype=T.int64),
    "booleans summed to a size": lambda T: [T.tensor([True, True]).sum_to_size(1), T.tensor([True]).sum_to_size(1)],
    "integers summed to a size": lambda T: T.ones(2, 3, dtype=T.int32).sum_to_size(1, 3),
    "to another's type, with flags": lambda T: T.ones(2).to(T.ones(3, dtype=T.float64), True, True),
    "to a type, copied": lambda T: [(x := T.ones(2)).to(T.float32, False, True) is x, x.to(T.float32, True, False) is x],
    "to a device, copied": lambda T: [(x := T.ones(2)).to("cpu", T.float32, True, True) is x, x.to("cpu", T.float32, True) is x],
    "products of integers scaled by fractions": lambda T: [
        T.addmv(T.arange(2), T.arange(4).view(2, 2), T.arange(2), beta=0.5, alpha=1.7),
        T.addmm(T.arange(4).view(2, 2), T.arange(4).view(2, 2), T.arange(4).view(2, 2), beta=2.9, alpha=-1.7),
        T.addbmm(T.arange(4).view(2, 2), T.arange(4).view(1, 2, 2), T.arange(4).view(1, 2, 2), beta=0.5, alpha=1.7),
        T.baddbmm(T.arange(4).view(1, 2, 2), T.arange(4).view(1, 2, 2), T.arange(4).view(1, 2, 2), beta=1.5, alpha=2.7),
    ],
    "an outer product of integers scaled by fractions": lambda T: T.addr(T.zeros(2, 2, dtype=T.int64), T.arange(2), T.arange(2), alpha=1.7),
    "the spread of complex numbers under a mask": lambda T: [
        f(T.tensor([1 + 1j, 2.0, 3j]), 0, mask=T.tensor([True, True, False])) for f in (T.masked.var, T.masked.std)
    ],
    "a number rolled": lambda T: T.tensor(1.0).roll(1),
    "a number rolled along a dimension": lambda T: T.tensor(1.0).roll(1, 0),
    "a number rolled along dimensions": lambda T: T.roll(T.tensor(1.0, requires_grad=True), (1, 2), (-1, 0)),
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
