"""Strided copies and fills against NumPy: every loop, element sizes, order of dimensions, both sides strided."""

import itertools

import numpy as np
import pytest

from torchlike_asg import dtypes
from torchlike_asg.backends.cpu import isa
from torchlike_asg.backends.cpu.calls import Lowering, View
from torchlike_asg.backends.cpu.copies import copy, copy_call, fill

from .harness import run

SIZED = {1: dtypes.uint8, 2: dtypes.int16, 4: dtypes.float32, 8: dtypes.float64, 16: dtypes.complex128}


def view(slot, array, base):
    """The view that a NumPy view of `base` is."""
    size = array.itemsize
    start = (array.__array_interface__["data"][0] - base.__array_interface__["data"][0]) // size
    return View(slot, array.shape, tuple(s // size for s in array.strides), start, dtypes.from_numpy(array.dtype))


def numbers(shape, d):
    n = int(np.prod(shape))
    return (np.arange(1, n + 1) % 251).astype(d.storage).reshape(shape)


def check_copy(src, source_base, make, shape, threads=(1, 3), level=None):
    """Copy `src` into ``make(whole)``, a view of a fresh array, and look at all of that array."""
    for t in threads:
        whole = numbers(shape, dtypes.from_numpy(src.dtype)) + src.dtype.type(0)
        expected = whole.copy()
        make(expected)[...] = src
        low = Lowering(2)
        if level is not None:
            low.isa = isa.describe(level)
        assert copy(low, view(0, src, source_base), view(1, make(whole), whole))
        assert not run(low, {0: source_base, 1: whole}, t)
        np.testing.assert_array_equal(whole, expected)


@pytest.mark.parametrize("size", SIZED)
@pytest.mark.parametrize("order", [p for p in itertools.permutations(range(3)) if p != (0, 1, 2)])
def test_dimensions_in_every_order(size, order):
    base = numbers((19, 37, 21), SIZED[size])
    src = base.transpose(order)
    check_copy(src, base, lambda a: a, src.shape)


@pytest.mark.parametrize("size", SIZED)
@pytest.mark.parametrize("shape", [(1, 1), (3, 70), (70, 3), (16, 16), (17, 33), (64, 65), (5, 200)])
def test_transpositions_around_the_block_size(size, shape):
    base = numbers(shape, SIZED[size])
    check_copy(base.T, base, lambda a: a, base.T.shape)


@pytest.mark.parametrize("level", ["avx2", "sse2"])
def test_other_instruction_sets(level):
    base = numbers((19, 37, 21), dtypes.float32)
    check_copy(base.transpose(2, 0, 1), base, lambda a: a, (21, 19, 37), level=level)
    check_copy(base[:, 1:], base, lambda a: a, (19, 36, 21), level=level)


@pytest.mark.parametrize("size", SIZED)
@pytest.mark.parametrize("columns", [1, 2, 3, 5, 7, 8, 9, 15, 16, 17, 31, 33, 63, 64, 65, 100, 129, 600])
def test_runs_of_every_length(size, columns):
    base = numbers((4, columns + 3), SIZED[size])
    check_copy(base[:, 1 : 1 + columns], base, lambda a: a[1:, 2:], (5, columns + 2))


@pytest.mark.parametrize("size", SIZED)
def test_steps_backwards_and_wide_on_both_sides(size):
    base = numbers((6, 5, 8), SIZED[size])
    check_copy(base[::-1, :, ::-2], base, lambda a: a[:, ::2], (6, 9, 4))
    check_copy(base[:, ::2], base, lambda a: a[..., ::2], (6, 3, 15))
    check_copy(base[::-1], base, lambda a: a, (6, 5, 8))


@pytest.mark.parametrize("size", SIZED)
def test_one_element_or_row_repeated(size):
    base = numbers((7, 1, 9), SIZED[size])
    check_copy(np.broadcast_to(base, (7, 20, 9)), base, lambda a: a, (7, 20, 9))
    check_copy(np.broadcast_to(base[:, :, :1], (7, 3, 70)), base, lambda a: a[:, 1:], (7, 4, 70))
    check_copy(np.broadcast_to(base[0, 0, 0], (5, 6)), base, lambda a: a[:, ::2], (5, 12))


def test_long_rows_are_cut():
    for n in (8192, 8193, 100_003):
        base = numbers((n,), dtypes.float32)
        check_copy(base, base, lambda a: a, (n,))
        check_copy(base[::-1], base, lambda a: a, (n,))
        assert copy_call(isa.host(), view(0, base, base), view(1, base, base)).units == -(-n // 8192)


def test_many_dimensions_and_points():
    base = numbers((2, 3, 2, 3, 2, 3, 2, 3), dtypes.float32)
    check_copy(base[:, ::2, :, ::2, :, 1:, :, :2], base, lambda a: a, base[:, ::2, :, ::2, :, 1:, :, :2].shape)
    check_copy(base.transpose(6, 1, 4, 3, 2, 5, 0, 7), base, lambda a: a, base.transpose(6, 1, 4, 3, 2, 5, 0, 7).shape)
    check_copy(base.reshape(-1)[5:6].reshape(()), base, lambda a: a[1:2].reshape(()), (2,))


def test_too_many_dimensions_are_refused():
    shape, strides = (2,) * 66, tuple(3**i for i in range(66))
    a = View(0, shape, strides, 0, dtypes.float32)
    assert not copy(Lowering(2), a, View(1, shape, strides[::-1], 0, dtypes.float32))
    assert not fill(Lowering(2), a, 1.0)


@pytest.mark.parametrize("value", [0, 1, -1.5, np.nan])
@pytest.mark.parametrize(
    "d", [dtypes.float32, dtypes.float64, dtypes.complex64, dtypes.complex128, dtypes.int64, dtypes.int16, dtypes.bool_]
)
def test_fill(value, d):
    if value != value and not (d.is_floating_point or d.is_complex):
        value = 3
    regions = [lambda a: a, lambda a: a[1:, :5], lambda a: a[..., 3], lambda a: a[::2, 1:, ::3], lambda a: a[0, 0, :1], lambda a: a[:0]]
    for region, t in itertools.product(regions, (1, 3)):
        whole = numbers((5, 7, 80), d)
        expected = whole.copy()
        region(expected)[...] = np.asarray(value).astype(d.compute)
        low = Lowering(1)
        assert fill(low, view(0, region(whole), whole), value)
        assert not run(low, {0: whole}, t)
        np.testing.assert_array_equal(whole, expected)
