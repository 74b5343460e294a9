"""Integer draws and permutations against torch: values and state bytes."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from torchlike_asg import dtypes
from torchlike_asg.rng import Engine, draws, integers

INTEGERS = (dtypes.uint8, dtypes.int8, dtypes.int16, dtypes.int32, dtypes.int64)
FLOATS = (dtypes.float32, dtypes.float64, dtypes.float16, dtypes.bfloat16)
REALS = (dtypes.bool_, *INTEGERS, *FLOATS)
SIZES = (1, 15, 16, 17, 100, 1000)

Compare = Callable[..., None]
Named = Callable[[dtypes.dtype], Any]


@pytest.fixture
def torch() -> Any:
    return pytest.importorskip("torch")


@pytest.mark.parametrize("dtype", REALS, ids=str)
def test_random_without_bounds(way: str, compare: Compare, torch: Any, torch_dtype: Named, dtype: dtypes.dtype) -> None:
    for size in SIZES:
        compare(
            lambda e, n=size: draws.random_(e, (n,), None, dtype),
            lambda g, n=size: torch.empty(n, dtype=torch_dtype(dtype)).random_(generator=g),
            (0, 42, -1),
        )


def _ranges(dtype: dtypes.dtype) -> list[tuple[int, int | None]]:
    if dtype is dtypes.bool_:
        return [(0, 2), (1, 2), (0, None)]
    if dtype in (dtypes.float16, dtypes.bfloat16):
        return [(0, 10), (-7, 120), (3, None), (0, 2 ** {dtypes.float16: 11, dtypes.bfloat16: 8}[dtype])]
    if dtype in (dtypes.float32, dtypes.float64):
        return [(0, 10), (-1000, 3), (0, 2**24), (-(2**24), 2**24), (12345, None)]
    info = np.iinfo(dtype.storage)
    ranges: list[tuple[int, int | None]] = [(0, 10), (max(-20, int(info.min)), 100), (3, None)]
    if dtype in (dtypes.int32, dtypes.int64):
        ranges += [(0, 2**28 - 1), (0, 2**28), (5, 5 + 2**28), (-(2**30), 2**30), (int(info.min) + 1, int(info.max)), (-(2**31), None)]
    if dtype is dtypes.int64:
        ranges += [(0, 2**40 + 7), (-(2**62), 2**62 + 5), (-(2**63), None), (-(2**63), 2**63 - 1), (2**62, None)]
    return ranges


@pytest.mark.parametrize("dtype", REALS, ids=str)
def test_random_with_bounds(way: str, compare: Compare, torch: Any, torch_dtype: Named, dtype: dtypes.dtype) -> None:
    for low, high in _ranges(dtype):
        for size in (1, 17, 1000):
            compare(
                lambda e, n=size, low=low, high=high: draws.random_(e, (n,), None, dtype, low, high),
                lambda g, n=size, low=low, high=high: torch.empty(n, dtype=torch_dtype(dtype)).random_(low, high, generator=g),
                (0, 2**40 + 123),
            )


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_bounds_a_floating_point_type_holds_inexactly(compare: Compare, torch: Any, torch_dtype: Named, dtype: dtypes.dtype) -> None:
    """Both move the bounds inwards and warn."""
    digits = {dtypes.float16: 11, dtypes.bfloat16: 8, dtypes.float32: 24, dtypes.float64: 53}[dtype]
    odd = 2 ** (digits + 2) + 3
    for low, high in ((0, odd), (-odd, odd), (odd, 2 * odd), (-odd, 5), (0, 65504 if dtype is dtypes.float16 else 2 ** (digits + 4) - 1)):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compare(
                lambda e, low=low, high=high: draws.random_(e, (400,), None, dtype, low, high),
                lambda g, low=low, high=high: torch.empty(400, dtype=torch_dtype(dtype)).random_(low, high, generator=g),
                (0, 3),
            )
        with pytest.warns(UserWarning, match="is out of bounds"):
            draws.random_(Engine(), (2,), None, dtype, low, high)


def test_random_in_memory_order(way: str, compare: Compare, torch: Any) -> None:
    for shape, strides in (((3, 4), (1, 3)), ((2, 3, 4), (24, 1, 6)), ((5,), (3,))):
        compare(
            lambda e, shape=shape, strides=strides: draws.random_(e, shape, strides, dtypes.int64, -5, 100),
            lambda g, shape=shape, strides=strides: (
                torch.empty(100, dtype=torch.int64).as_strided(shape, strides).random_(-5, 100, generator=g).contiguous()
            ),
            (1, 42),
        )


def test_randint(way: str, compare: Compare, torch: Any) -> None:
    for low, high in ((0, 2), (-3, 17), (0, 50257), (0, 2**31), (-(2**63), 2**63 - 1)):
        compare(
            lambda e, low=low, high=high: draws.randint(e, low, high, (4, 33)),
            lambda g, low=low, high=high: torch.randint(low, high, (4, 33), generator=g),
        )


@pytest.mark.parametrize("dtype", (*INTEGERS, *FLOATS), ids=str)
def test_randperm(way: str, compare: Compare, torch: Any, torch_dtype: Named, dtype: dtypes.dtype) -> None:
    for count in (0, 1, 2, 3, 16, 100, 127):
        compare(
            lambda e, n=count: draws.randperm(e, n, dtype),
            lambda g, n=count: torch.randperm(n, dtype=torch_dtype(dtype), generator=g),
            (0, 42, -1),
        )


def test_large_randperm(compare: Compare, torch: Any) -> None:
    for count in (1000, 1023, 1025, 60_000):
        compare(lambda e, n=count: draws.randperm(e, n), lambda g, n=count: torch.randperm(n, generator=g))


def test_both_ways_of_the_largest_permutations_agree(way: str) -> None:
    """From 214,748,364 on a permutation is built inside out; checked on a small one against the textbook loop."""
    order = integers._inside_out(Engine(6), 3000)
    expected: list[int] = []
    for i, draw in enumerate(Engine(6).draws64(3000).tolist()):
        place = draw % (i + 1)
        expected.append(i if place == i else expected[place])
        expected[place] = i
    assert order.tolist() == expected
    assert sorted(expected) == list(range(3000))


@pytest.mark.parametrize(
    ("draw", "theirs"),
    (
        (lambda e: draws.random_(e, (3,), None, dtypes.float32, 5, 3), lambda t: t.empty(3).random_(5, 3)),
        (lambda e: draws.random_(e, (3,), None, dtypes.int64, 0, 0), lambda t: t.empty(3).long().random_(0, 0)),
        (lambda e: draws.random_(e, (3,), None, dtypes.uint8, 0, 257), lambda t: t.empty(3).byte().random_(0, 257)),
        (lambda e: draws.random_(e, (3,), None, dtypes.uint8, -1, 7), lambda t: t.empty(3).byte().random_(-1, 7)),
        (lambda e: draws.random_(e, (3,), None, dtypes.int8, 0, 129), lambda t: t.empty(3).char().random_(0, 129)),
        (lambda e: draws.random_(e, (3,), None, dtypes.int16, 0, 2**15 + 1), lambda t: t.empty(3).short().random_(0, 2**15 + 1)),
        (lambda e: draws.random_(e, (3,), None, dtypes.int32, -(2**31) - 1, 3), lambda t: t.empty(3).int().random_(-(2**31) - 1, 3)),
        (lambda e: draws.random_(e, (3,), None, dtypes.bool_, 0, 3), lambda t: t.empty(3).bool().random_(0, 3)),
        (lambda e: draws.random_(e, (3,), None, dtypes.float16, 0, 70000), lambda t: t.empty(3).half().random_(0, 70000)),
        (lambda e: draws.random_(e, (3,), None, dtypes.float32, 2**25), lambda t: t.empty(3).random_(2**25, None)),
        (lambda e: draws.random_(e, (3,), None, dtypes.int16, -(2**63)), lambda t: t.empty(3).short().random_(-(2**63), None)),
        (lambda e: draws.random_(e, (3,), None, dtypes.float16, -(2**63)), lambda t: t.empty(3).half().random_(-(2**63), None)),
        (lambda e: draws.random_(e, (3,), None, dtypes.complex64, 0, 3), lambda t: t.empty(3, dtype=t.complex64).random_(0, 3)),
        (lambda e: draws.random_(e, (3,), None, dtypes.complex64, 3), lambda t: t.empty(3, dtype=t.complex64).random_(3, None)),
        (lambda e: draws.random_(e, (3,), None, dtypes.complex64), lambda t: t.empty(3, dtype=t.complex64).random_()),
        (lambda e: draws.random_(e, (5,), (0,), dtypes.int64, 0, 3), lambda t: t.empty(1).long().expand(5).random_(0, 3)),
        (lambda e: draws.randint(e, 0, 2**63, (3,)), lambda t: t.randint(2**63, (3,))),
        (lambda e: draws.randperm(e, -1), lambda t: t.randperm(-1)),
        (lambda e: draws.randperm(e, 300, dtypes.uint8), lambda t: t.randperm(300, dtype=t.uint8)),
        (lambda e: draws.randperm(e, 2050, dtypes.float16), lambda t: t.randperm(2050, dtype=t.float16)),
        (lambda e: draws.randperm(e, 2**24 + 2, dtypes.float32), lambda t: t.randperm(2**24 + 2, dtype=t.float32)),
        (lambda e: draws.randperm(e, 3, dtypes.bool_), lambda t: t.randperm(3, dtype=t.bool)),
        (lambda e: draws.randperm(e, 3, dtypes.complex64), lambda t: t.randperm(3, dtype=t.complex64)),
    ),
)
def test_errors(torch: Any, draw: Callable[[Engine], Any], theirs: Callable[[Any], Any]) -> None:
    with pytest.raises(Exception) as expected:
        theirs(torch)
    engine = Engine(1)
    before = engine.get_state()
    with pytest.raises(type(expected.value)) as raised:
        draw(engine)
    assert str(raised.value) == str(expected.value).split("\n")[0]
    assert np.array_equal(engine.get_state(), before)
