"""The numbers of a stream made in vectors are those of its reference, bit for bit."""

import numpy as np
import pytest

import torchlike_asg
from torchlike_asg import dtypes
from torchlike_asg.backends.cpu import philox
from torchlike_asg.backends.cpu.calls import LIBRARY, LibraryNode, Lowering, View
from torchlike_asg.rng import philox as reference

from .harness import run

assert torchlike_asg and philox


def made(key, start, count, threads):
    out = np.full(count, -1, np.float32)
    scalar = [View(i, (), (), 0, dtypes.int64) for i in (0, 1)]
    low = Lowering(3)
    node = LibraryNode("philox_uniform", ((count,),), tuple(scalar), View(2, (count,), (1,), 0, dtypes.float32))
    assert LIBRARY["philox_uniform"](low, node)
    assert not run(low, {0: np.array([key], np.int64), 1: np.array([start], np.int64), 2: out}, threads)
    return out


@pytest.mark.parametrize("start", [0, 1, 3, 4, 31, 2**33 + 5, 2**62 + 2, -7])
@pytest.mark.parametrize("count", [1, 5, 31, 32, 33, 4096, 10_001])
def test_uniform(start, count):
    for key in (0, 7, -1, 0x123456789ABCDEF0):
        expected = reference.uniform(key & (2**64 - 1), start, count)
        for threads in (1, 3):
            np.testing.assert_array_equal(made(key, start, count, threads), expected)
