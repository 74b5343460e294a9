"""Generated loop nests against the NumPy interpreter of the kernel IR."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.backends.cpu.random_kernels import Draw, assert_close, compute, expected, lowered, tolerance
from torchlike_asg import dtypes
from torchlike_asg.compiler.kernel import Apply, Const, Convert, Index, Load, LoopKernel, Operand, Reduce

F, D = dtypes.float32, dtypes.float64
ADD = lambda e, a, b: e.add(a, b)  # noqa: E731


@pytest.mark.parametrize("level", ["", "avx2", "sse2"])
@settings(max_examples=40, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**32 - 1))
def test_random_kernels(seed, level):
    d = Draw(seed)
    got, _, failed = compute(d.kernel, d.memories, level=level)
    assert not failed
    assert_close(got, expected(d.kernel, d.memories), tolerance(d.kernel), d.kernel)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**32 - 1), threads=st.integers(2, 5))
def test_results_do_not_depend_on_how_units_are_split(seed, threads):
    d = Draw(seed)
    once, many = compute(d.kernel, d.memories)[0], compute(d.kernel, d.memories, threads)[0]
    assert all(np.array_equal(a.view(np.uint8), b.view(np.uint8)) for a, b in zip(once, many, strict=True))


def softmax(rows, columns, strides=None, inplace=False):
    strides = strides or (columns, 1)
    body = (
        Load(0, F),
        Reduce("max", 0, F),
        Apply("sub", (0, 1), (), F, F, lambda e, a, b: e.sub(a, b)),
        Apply("exp", (2,), (), F, F, lambda e, a: e.exp(a)),
        Reduce("sum", 3, F),
        Apply("div", (3, 4), (), F, F, lambda e, a, b: e.div(a, b)),
    )
    return LoopKernel((rows, columns), 1, (Operand(F, strides), Operand(F, strides)), body, ((1, 5),))


@pytest.mark.parametrize("rows,columns", [(1, 1), (3, 17), (2, 64), (40, 5), (1, 200_000), (9, 70_001)])
@pytest.mark.parametrize("down", [False, True])
@pytest.mark.parametrize("inplace", [False, True])
def test_softmax(rows, columns, down, inplace):
    k = softmax(rows, columns, (1, rows) if down else (columns, 1))
    x = np.random.default_rng(0).standard_normal(rows * columns).astype(np.float32) * 5
    want = expected(k, [x, np.zeros_like(x)])[1]
    got = compute(k, [x, x], threads=2, slots=[0, 0] if inplace else [0, 1])[0][1]
    np.testing.assert_allclose(got, want, rtol=2e-5, atol=1e-9)


def test_a_row_too_long_to_keep_its_exponentials_computes_them_twice():
    d, rows, columns = dtypes.float64, 8, 100_000
    body = tuple(replace(i, dtype=d, **({"compute": d} if isinstance(i, Apply) else {})) for i in softmax(rows, columns).body)
    k = LoopKernel((rows, columns), 1, (Operand(d, (columns, 1)),) * 2, body, ((1, 5),))
    x = np.random.default_rng(0).standard_normal(rows * columns)
    (_, got), lowering, _ = compute(k, [x, np.zeros_like(x)])
    assert lowering.calls[0].scratch == 0
    np.testing.assert_allclose(got, expected(k, [x, np.zeros_like(x)])[1], rtol=1e-12)


@pytest.mark.parametrize("level", ["", "avx2", "sse2"])
def test_a_sum_in_doubles_of_floats(level):
    """As many doubles as floats in a vector take two registers: no sum in levels, which takes one of 64 bytes."""
    k = LoopKernel((1728,), 0, (Operand(F, (1,)), Operand(D, (0,))), (Load(0, F), Convert(0, D), Reduce("sum", 1, D)), ((1, 2),))
    x = np.random.default_rng(1).standard_normal(1728).astype(np.float32)
    np.testing.assert_allclose(compute(k, [x, np.zeros(1)], level=level)[0][1], x.astype(np.float64).sum(), rtol=1e-12)


@pytest.mark.parametrize("n", [0, 1, 63, 64, 65, 4096, 300_000])
def test_nan_passes_through_extrema(n):
    for kind in ("max", "min"):
        k = LoopKernel((n,), 0, (Operand(F, (1,)), Operand(F, (0,))), (Load(0, F), Reduce(kind, 0, F)), ((1, 1),))
        x = np.random.default_rng(1).standard_normal(n).astype(np.float32)
        for place in [None, *range(0, n, max(1, n // 7))]:
            y = x.copy()
            if place is not None:
                y[place] = np.nan
            assert_close(compute(k, [y, np.zeros(1, np.float32)])[0], expected(k, [y, np.zeros(1, np.float32)]), 0)


@pytest.mark.parametrize("rows,columns", [(3, 5), (40, 33), (40, 100), (700, 70)])
def test_nan_passes_through_extrema_of_columns(rows, columns):
    x = np.random.default_rng(1).standard_normal((rows, columns)).astype(np.float32)
    x[rows // 2, 1] = x[0, 2] = x[rows - 1, columns - 1] = np.nan
    for kind, fn in (("max", np.max), ("min", np.min)):
        k = LoopKernel((columns, rows), 1, (Operand(F, (1, columns)), Operand(F, (1, 0))), (Load(0, F), Reduce(kind, 0, F)), ((1, 1),))
        np.testing.assert_array_equal(compute(k, [x.ravel(), np.zeros(columns, np.float32)])[0][1], fn(x, 0))


def test_long_sums_are_accurate_and_in_parts():
    n = 3_000_001
    x = np.random.default_rng(2).random(n).astype(np.float32)
    k = LoopKernel((n,), 0, (Operand(F, (1,)), Operand(F, (0,))), (Load(0, F), Reduce("sum", 0, F)), ((1, 1),))
    (_, got), lowering, _ = compute(k, [x, np.zeros(1, np.float32)], threads=3)
    assert lowering.calls[0].units > 16
    assert abs(got[0] / x.sum(dtype=np.float64) - 1) < 3e-7
    rows = LoopKernel((3, n // 3), 1, (Operand(F, (n // 3, 1)), Operand(F, (1, 0))), (Load(0, F), Reduce("sum", 0, F)), ((1, 1),))
    got = compute(rows, [x, np.zeros(3, np.float32)])[0][1]
    np.testing.assert_allclose(got, x[: n // 3 * 3].reshape(3, -1).sum(1, dtype=np.float64), rtol=3e-7)


def test_column_sums_of_many_rows():
    rows, columns = 100_003, 19
    x = np.random.default_rng(3).random(rows * columns).astype(np.float32)
    k = LoopKernel((columns, rows), 1, (Operand(F, (1, columns)), Operand(F, (1, 0))), (Load(0, F), Reduce("sum", 0, F)), ((1, 1),))
    (_, got), lowering, _ = compute(k, [x, np.zeros(columns, np.float32)])
    assert len(lowering.calls) > 1
    np.testing.assert_allclose(got, x.reshape(rows, columns).sum(0, dtype=np.float64), rtol=1e-6)


@pytest.mark.parametrize("reduces", [False, True])
def test_an_operand_that_lies_across_the_others_is_turned_first(reduces):
    rows, columns = 130, 70
    full, across = Operand(F, (columns, 1), 3), Operand(F, (1, rows), 5)
    body = (
        Load(0, F),
        Load(1, F),
        Apply("sub", (0, 1), (), F, F, lambda e, a, b: e.sub(a, b)),
        *([Reduce("sum", 2, F)] if reduces else []),
    )
    outer, out = (1, Operand(F, (1, 0))) if reduces else (2, Operand(F, (columns, 1)))
    k = LoopKernel((rows, columns), outer, (full, across, out), body, ((2, len(body) - 1),))
    rng = np.random.default_rng(0)
    memories = [rng.standard_normal(rows * columns + 8).astype(np.float32) for _ in range(3)]
    got, lowering, _ = compute(k, memories, threads=2)
    assert len(lowering.calls) == 2
    assert_close(got, expected(k, memories), 1e-6)


def test_few_units_of_much_work_are_done_in_parts():
    """A loss of 100 000 elements, whose gradient is stored on the way, and the column sums of a wide matrix."""
    n = 100_000
    steps = [Apply("log1p", (m,), (), F, F, lambda e, x: e.log1p(e.exp(e.sin(x)))) for m in range(3)]
    k = LoopKernel(
        (n,), 0, (Operand(F, (1,)), Operand(F, (1,)), Operand(F, (0,))), (Load(0, F), *steps, Reduce("sum", 3, F)), ((1, 2), (2, 4))
    )
    x = np.random.default_rng(0).standard_normal(n).astype(np.float32)
    memories = [x, np.zeros_like(x), np.zeros(1, np.float32)]
    got, lowering, _ = compute(k, memories, threads=3)
    assert lowering.calls[0].units > 4
    assert_close(got, expected(k, memories), 1e-6)
    rows, columns = 2048, 1024
    k = LoopKernel((columns, rows), 1, (Operand(F, (1, columns)), Operand(F, (1, 0))), (Load(0, F), Reduce("sum", 0, F)), ((1, 1),))
    assert lowered(k).calls[0].units >= 16


@pytest.mark.parametrize("inplace", [False, True])
def test_long_statistics_with_stores_between(inplace):
    """Mean, then variance about it, then the normalised row, with the doubled input stored on the way: few rows, so in parts."""
    n = 400_000
    number = Const(1 / n, F)
    body = (
        Load(0, F),
        Reduce("sum", 0, F),
        number,
        Apply("mul", (1, 2), (), F, F, lambda e, a, b: e.mul(a, b)),
        Apply("sub", (0, 3), (), F, F, lambda e, a, b: e.sub(a, b)),
        Apply("mul", (4, 4), (), F, F, lambda e, a, b: e.mul(a, b)),
        Reduce("sum", 5, F),
        Apply("mul", (6, 2), (), F, F, lambda e, a, b: e.mul(a, b)),
        Apply("rsqrt", (7,), (), F, F, lambda e, a: e.rsqrt(a)),
        Apply("mul", (4, 8), (), F, F, lambda e, a, b: e.mul(a, b)),
        Apply("add", (0, 0), (), F, F, ADD),
    )
    full, row = Operand(F, (n, 1)), Operand(F, (1, 0))
    k = LoopKernel((2, n), 1, (full, full, full, row), body, ((1, 9), (2, 10), (3, 7)))
    x = np.random.default_rng(4).standard_normal(2 * n).astype(np.float32) + 3
    memories = [x, x.copy(), np.zeros_like(x), np.zeros(2, np.float32)]
    want = expected(k, memories)
    got, lowering, _ = compute(k, memories, threads=3, slots=[0, 0, 2, 3] if inplace else None)
    assert len(lowering.calls) >= 4
    assert_close(got[1:], want[1:], 1e-5)


def test_kernels_that_differ_in_sizes_and_literals_share_code():
    def kernel(n, factor):
        body = (
            Load(0, F),
            Load(1, F),
            Const(factor, F),
            Apply("mul", (1, 2), (), F, F, lambda e, a, b: e.mul(a, b)),
            Apply("add", (0, 3), (), F, F, ADD),
        )
        return LoopKernel((n,), 1, (Operand(F, (1,)), Operand(F, (1,))), body, ((0, 4),))

    def source(k):
        return lowered(k).calls[0].source

    assert source(kernel(1000, 0.1)) == source(kernel(77, 0.3))
    assert source(softmax(4, 100)) == source(softmax(31, 5000))


def test_a_target_is_compared_with_the_index():
    rows, columns = 5, 37
    body = (
        Load(0, F),
        Load(1, dtypes.int64),
        Index((0, 1)),
        Apply("eq", (2, 1), (), dtypes.bool_, dtypes.int64, lambda e, a, b: e.eq(a, b)),
        Const(0.0, F),
        Apply("where", (3, 0, 4), (), F, F, lambda e, c, a, b: e.where(c, a, b)),
        Reduce("sum", 5, F),
    )
    k = LoopKernel((rows, columns), 1, (Operand(F, (columns, 1)), Operand(dtypes.int64, (1, 0)), Operand(F, (1, 0))), body, ((2, 6),))
    x, target = np.arange(rows * columns, dtype=np.float32), np.array([3, 36, 0, 17, 5])
    got = compute(k, [x, target, np.zeros(rows, np.float32)])[0][2]
    np.testing.assert_array_equal(got, x.reshape(rows, columns)[np.arange(rows), target])


def test_division_by_zero_is_reported_only_where_there_is_an_element():
    d = dtypes.int32
    k = LoopKernel(
        (21,),
        1,
        (Operand(d, (1,)), Operand(d, (1,)), Operand(d, (1,))),
        (Load(0, d), Load(1, d), Apply("floor_divide", (0, 1), (), d, d, lambda e, a, b: e.floor_div(a, b))),
        ((2, 2),),
    )
    a, b = np.arange(-10, 11, dtype=np.int32), np.full(21, -3, np.int32)
    got, _, failed = compute(k, [a, b, np.zeros_like(a)])
    assert not failed
    np.testing.assert_array_equal(got[2], a // b)
    b[20] = 0
    assert compute(k, [a, b, np.zeros_like(a)])[2]


def test_kernels_that_are_alike_share_what_was_found_but_not_their_memory():
    """The second kernel is lowered from what is remembered of the first; one in place is another kernel."""
    double = Apply("add", (0, 0), (), dtypes.float32, dtypes.float32, lambda e, a, b: e.add(a, b))
    o = Operand(dtypes.float32, (1,))
    k = LoopKernel((5000,), 1, (o, o), (Load(0, dtypes.float32), double), ((1, 1),))
    x = np.arange(5000, dtype=np.float32)
    for slots in ([0, 1], [3, 2], [1, 1]):
        after, calls, _ = compute(k, [x, x if slots[0] == slots[1] else 0 * x], slots=slots)
        np.testing.assert_array_equal(after[1], 2 * x)
        assert all(c.reads == (slots[0],) and c.writes == (slots[1],) for c in calls.calls)


def test_kernels_that_differ_in_the_sign_of_a_zero():
    k = LoopKernel((7,), 1, (Operand(dtypes.float32, (1,)),), (Const(0.0, dtypes.float32),), ((0, 0),))
    negative = replace(k, body=(Const(-0.0, dtypes.float32),))
    assert k != negative and Const(float("nan"), dtypes.float32) == Const(float("nan"), dtypes.float32)
    for kernel, sign in ((k, False), (negative, True), (k, False)):
        after, _, _ = compute(kernel, [np.ones(7, np.float32)])
        assert np.signbit(after[0]).tolist() == [sign] * 7 and not after[0].any()
