"""The numbers of a stream made inside of loop kernels are those of its reference, bit for bit."""

import numpy as np
import pytest

from tests.backends.cpu.interpret import interpret
from tests.backends.cpu.random_kernels import compute
from torchlike_asg import dtypes
from torchlike_asg.compiler.kernel import Apply, Load, LoopKernel, Operand, Random, Reduce, verify
from torchlike_asg.rng import philox as reference

NUMBER = Operand(dtypes.int64, (0,))


def state(key, block):
    return [np.array([v], np.int64) for v in (key, block)]


@pytest.mark.parametrize("level", ["", "avx2", "sse2"])
@pytest.mark.parametrize("offset", [0, 1, 3, 2**33 + 5])
@pytest.mark.parametrize("count", [1, 5, 31, 33, 10_001])
def test_a_stream(count, offset, level):
    k = LoopKernel((count,), 1, (NUMBER, NUMBER, Operand(dtypes.float32, (1,))), (Random(0, 1, (1,), offset),), ((2, 0),))
    verify(k)
    for key, block in ((0, 0), (7, 2**33 + 1), (-1, 2**62), (0x123456789ABCDEF0, -3)):
        expected = reference.uniform(key & (2**64 - 1), 4 * block + offset, count)
        for threads in (1, 3):
            after, _, failed = compute(k, [*state(key, block), np.full(count, -1, np.float32)], threads, level)
            assert not failed
            np.testing.assert_array_equal(after[2], expected)


@pytest.mark.parametrize("level", ["", "sse2"])
@pytest.mark.parametrize("strides", [(70, 10, 1), (1, 7, 35), (10, 1, 0), (0, 0, 1), (0, 3, -2), (4, 0, 0)])
@pytest.mark.parametrize("outer", [3, 2, 1, 0])
@pytest.mark.parametrize("d", [dtypes.float32, dtypes.float64])
def test_numbers_of_any_walk_beside_other_values_and_in_reductions(d, outer, strides, level):
    """Two stores: x * number, as it is or summed over the inner dimensions, and the number again where it is a full value."""
    sizes = (3, 5, 18)
    zero, full = (0, 0, 0), (90, 18, 1)
    row = (90, 18, 0) if outer == 2 else (90, 0, 0) if outer == 1 else zero if outer == 0 else full
    body = [Load(2, d), Random(0, 1, strides, 6), Apply("mul", (0, 1), (), d, d, lambda e, a, b: e.mul(a, b))]
    if outer < 3:
        body.append(Reduce("sum", 2, d))
    operands = [Operand(dtypes.int64, zero), Operand(dtypes.int64, zero), Operand(d, full), Operand(d, full), Operand(d, row)]
    stores = ((3, 2), (4, 3)) if outer < 3 else ((3, 2),)
    k = LoopKernel(sizes, outer, tuple(operands[: 3 + len(stores)]), tuple(body), stores)
    verify(k)
    memories = [*state(5, 9), np.random.default_rng(0).random(270).astype(d.compute)]
    memories += [np.zeros(270, d.compute) for _ in stores]
    expected = [m.copy() for m in memories]
    interpret(k, expected)
    for threads in (1, 2):
        after, _, failed = compute(k, memories, threads, level)
        assert not failed
        np.testing.assert_array_equal(after[3], expected[3])
        for a, b in zip(after[4:], expected[4:], strict=True):
            np.testing.assert_allclose(a, b, rtol=3e-6)


def test_the_state_is_one_number_each():
    k = LoopKernel((4,), 1, (Operand(dtypes.int64, (1,)), NUMBER, Operand(dtypes.float32, (1,))), (Random(0, 1, (1,)),), ((2, 0),))
    with pytest.raises(ValueError, match="not one int64"):
        verify(k)
