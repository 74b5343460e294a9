"""The driver of kernel tests: argument blocks of every kind of word, scratch, failure."""

import numpy as np

from torchlike_asg.backends.cpu.calls import Block, Call, Kernel, Lowering, Source

from .harness import run


def _axpy(module, name):
    """y[i] = a * x[i] + 1, `a` a float64 word."""
    k = Kernel(module, name, 2)
    lo, hi, _ = k.rest
    x, y, a = k.operand(0), k.operand(1), k.word(0, "double")
    with k.f.loop(lo, hi) as i:
        k.f.store(k.f.fma(k.f.load("double", k.f.gep(x, i, "double")), a, 1.0), k.f.gep(y, i, "double"))


def _caller(module, name):
    """Calls the function in word 0 with the block in word 1."""
    k = Kernel(module, name, 0)
    k.f.call_pointer("void", k.word(0, "ptr"), k.word(1, "ptr"), *k.rest)


def _checker(module, name):
    """Fails if an element is negative; leaves the numbers it saw in scratch."""
    k = Kernel(module, name, 1)
    lo, hi, scratch = k.rest
    x = k.operand(0)
    with k.f.loop(lo, hi) as i:
        value = k.f.load("double", k.f.gep(x, i, "double"))
        k.f.store(value, k.f.gep(scratch, i, "double"))
        with k.f.when(value < 0.0):
            k.fail()


AXPY, CALLER, CHECKER = Source(("test_axpy",), _axpy), Source(("test_caller",), _caller), Source(("test_checker",), _checker)


def lowering(n, a):
    low = Lowering(2)
    t = low.temporary(8 * n)
    low.add(Call(AXPY, ((0, 8), (t, 0)), (a,), (0,), (t,), units=n))
    low.add(Call(CALLER, (), (AXPY, Block(((t, 0), (1, 0)), (a,))), (t,), (1,), units=n))
    return low


def test_operands_offsets_floats_sources_and_blocks_reach_the_kernel():
    for threads in (1, 2, 3):
        x, y = np.arange(8.0), np.zeros(7)
        assert not run(lowering(7, 2.5), {0: x, 1: y}, threads)
        np.testing.assert_array_equal(y, (x[1:] * 2.5 + 1) * 2.5 + 1)


def test_failure_is_reported():
    for last, failed in ((1.0, False), (-1.0, True)):
        low = Lowering(1)
        low.add(Call(CHECKER, ((0, 0),), (), (0,), (), units=4, scratch=32))
        assert run(low, {0: np.array([1.0, 2.0, 3.0, last])}, 2) is failed
