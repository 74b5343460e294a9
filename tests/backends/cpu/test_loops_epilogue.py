"""Kernels as epilogues: called on pieces of a matrix that another kernel wrote, through the pointer and block it is given."""

from __future__ import annotations

import numpy as np
import pytest

from tests.backends.cpu.harness import run
from tests.backends.cpu.random_kernels import expected
from torchlike_asg import dtypes
from torchlike_asg.backends.cpu import loops
from torchlike_asg.backends.cpu.calls import Call, Kernel, Lowering, Source, View
from torchlike_asg.compiler import parts
from torchlike_asg.compiler.kernel import Apply, Index, Load, LoopKernel, Operand, Reduce

F = dtypes.float32
ROWS, COLUMNS = 4, 40


def ADD(e, a, b):
    return e.add(a, b)


def write_pieces(module, name):
    """Calls the function of word 0 with the block of word 1 on 4 x 40 pieces of a matrix of words 2 x 3."""
    k = Kernel(module, name, 0)
    f = k.f
    fn, block, rows, columns = k.word(0, "ptr"), k.word(1, "ptr"), k.word(2), k.word(3)
    with f.loop(0, rows, ROWS) as r, f.loop(0, columns, COLUMNS) as c:
        f.call_pointer("void", fn, block, r, f.minimum(rows, r + ROWS), c, f.minimum(columns, c + COLUMNS))


def apply(k, memories, slots=None, columns=None):
    """The memories after the epilogue ran on every piece; operand 0 is the result."""
    slots = slots or list(range(len(memories)))
    views = [View(s, (), (), 0, o.dtype) for s, o in zip(slots, k.operands, strict=True)]
    columns = columns or k.sizes[-1]
    source, block, reads, writes = loops.epilogue(k, views, 0, columns)
    assert set(reads) | set(writes) | {slots[0]} == set(slots)
    rows = int(np.prod(k.sizes)) // columns
    lowering = Lowering(len(memories))
    driver = Source(("pieces",), write_pieces)
    named = tuple(sorted(set(slots)))
    lowering.add(Call(driver, (), (source, block, rows, columns), named, named))
    arrays = {s: m.copy() for s, m in zip(slots, memories, strict=True)}
    run(lowering, arrays)
    return [arrays[s] for s in slots]


@pytest.mark.parametrize("shape", [(10, 100), (1, 7), (100,), (3, 5, 64), (2, 1, 3, 1)])
def test_bias_activation_and_residual_in_place(shape):
    n = int(np.prod(shape))
    rank, c = len(shape), shape[-1]
    strides = tuple(int(np.prod(shape[d + 1 :])) for d in range(rank))
    bias = (*[0] * (rank - 1), 1)
    body = (
        Load(0, F),
        Load(1, F),
        Apply("add", (0, 1), (), F, F, ADD),
        Apply("tanh", (2,), (), F, F, lambda e, x: e.tanh(x)),
        Load(2, F),
        Apply("add", (3, 4), (), F, F, ADD),
    )
    operands = (Operand(F, strides), Operand(F, bias), Operand(F, tuple(2 * s for s in strides)), Operand(F, strides), Operand(F, strides))
    k = LoopKernel(shape, rank, operands, body, ((3, 5), (4, 2)))
    rng = np.random.default_rng(0)
    x, b, residual = (rng.standard_normal(m).astype(np.float32) for m in (n, c, 2 * n))
    memories = [x, b, residual, x, np.zeros(n, np.float32)]
    got, want = apply(k, memories, [0, 1, 2, 0, 4]), expected(k, memories)
    np.testing.assert_allclose(got[3], want[3], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(got[4], want[4], rtol=1e-6)


def test_operands_that_move_over_only_some_of_the_rows():
    """A position table (T, C) added to a result (B, T, C), a factor per batch, and a causal mask."""
    b, t, c = 3, 5, 7
    body = (
        Load(0, F),
        Load(1, F),
        Load(2, F),
        Apply("add", (0, 1), (), F, F, ADD),
        Apply("mul", (3, 2), (), F, F, lambda e, x, y: e.mul(x, y)),
        Index((0, 1, -1)),
        Apply("past", (5,), (), dtypes.bool_, dtypes.int64, lambda e, i: e.lt(i, e.const(0))),
        Apply("where", (6, 4), (), F, F, lambda e, m, x: e.where(m, e.const(-1), x)),
    )
    operands = (Operand(F, (t * c, c, 1)), Operand(F, (0, c, 1)), Operand(F, (1, 0, 0)), Operand(F, (t * c, c, 1)))
    k = LoopKernel((b, t, c), 3, operands, body, ((3, 7),))
    rng = np.random.default_rng(0)
    memories = [rng.standard_normal(m).astype(np.float32) for m in (b * t * c, t * c, b, b * t * c)]
    np.testing.assert_allclose(apply(k, memories)[3], expected(k, memories)[3], rtol=1e-6)


def test_a_kernel_that_walks_the_result_in_another_order():
    """A result of 5 rows and 7 columns, in a kernel over (columns, rows)."""
    operands = (Operand(F, (1, 7)), Operand(F, (5, 1)), Operand(F, (1, 7)))
    k = LoopKernel((7, 5), 2, operands, (Load(0, F), Load(1, F), Apply("add", (0, 1), (), F, F, ADD)), ((2, 2),))
    memories = [np.random.default_rng(0).standard_normal(35).astype(np.float32) for _ in range(3)]
    np.testing.assert_array_equal(apply(k, memories, columns=7)[2], expected(k, memories)[2])


@pytest.mark.parametrize("sizes", [(1, 6), (6, 1), (6,), (2, 1, 3)])
@pytest.mark.parametrize("columns", [1, None])
def test_one_column(sizes, columns):
    strides = parts.contiguous(sizes)
    operands = tuple(Operand(F, strides) for _ in range(3))
    k = LoopKernel(sizes, len(sizes), operands, (Load(0, F), Load(1, F), Apply("add", (0, 1), (), F, F, ADD)), ((2, 2),))
    memories = [np.random.default_rng(n).standard_normal(6).astype(np.float32) for n in range(3)]
    if columns is None and sizes in ((1, 6), (6, 1)):
        assert loops.epilogue(k, [View(n, (), (), 0, F) for n in range(3)], 0) is None
    else:
        np.testing.assert_array_equal(apply(k, memories, columns=columns or sizes[-1])[2], expected(k, memories)[2])


def test_what_is_no_epilogue():
    full, views = Operand(F, (8, 1)), [View(n, (), (), 0, F) for n in range(3)]
    reduces = LoopKernel((4, 8), 1, (full, Operand(F, (1, 0))), (Load(0, F), Reduce("sum", 0, F)), ((1, 1),))
    assert loops.epilogue(reduces, views, 0) is None
    unread = LoopKernel((4, 8), 2, (full, full, full), (Load(1, F),), ((2, 0),))
    assert loops.epilogue(unread, views, 0) is None
    across = LoopKernel((8, 8), 2, (full, Operand(F, (1, 8))), (Load(0, F),), ((1, 0),))
    assert loops.epilogue(across, views, 0) is not None
    assert loops.epilogue(across, [views[0], views[0]], 0) is None
    gaps = LoopKernel((4, 4), 2, (full, full), (Load(0, F),), ((1, 0),))
    assert loops.epilogue(gaps, views, 0) is None
    i = dtypes.int32
    whole = Operand(i, (8, 1))
    divide = Apply("floor_divide", (0, 1), (), i, i, lambda e, a, b: e.floor_div(a, b))
    fails = LoopKernel((4, 8), 2, (whole, whole, whole), (Load(0, i), Load(1, i), divide), ((2, 2),))
    assert loops.epilogue(fails, views, 0) is None
