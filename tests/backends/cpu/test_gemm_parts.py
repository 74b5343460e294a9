"""The parts of the matrix product that other generators call inside their kernels."""

import numpy as np
import pytest

from torchlike_asg.backends.cpu import gemm, isa
from torchlike_asg.backends.cpu.calls import Call, Kernel, Lowering, Source
from torchlike_asg.backends.cpu.values import Value

from .gemm_cases import run

TILES = gemm.tiles(isa.host(), "float")


def _call(write, arrays, words):
    """Run a kernel that `write` writes over three operands and the kit, the words after it given."""

    def source(module, name):
        kernel = Kernel(module, name, len(arrays))
        given = [kernel.word(1 + i) for i in range(len(words))]
        write(kernel.f, kernel.word(0, "ptr"), [kernel.operand(i) for i in range(len(arrays))], given, kernel.rest[2])

    low = Lowering(len(arrays))
    slots = tuple(range(len(arrays)))
    operands = tuple((i, 0) for i in slots)
    key = Source((f"test_{write.__name__}", len(arrays), len(words)), source)
    low.add(Call(key, operands, (gemm.kit(TILES), *words), slots, slots, scratch=TILES.scratch))
    assert not run(low, dict(enumerate(arrays)))


def block_twice(f, kit, operands, words, scratch):
    """c = a @ b, then c += a @ b."""
    a, b, c = operands
    m, n, k, packing = words
    null, zero, one = Value(f, "null", "ptr"), f.value(0, "i64"), f.value(1, "i64")
    for init, init_row in ((null, zero), (c, n)):
        gemm.call_block(f, kit, a, k, one, b, n, one, init, init_row, c, n, m, n, k, packing, scratch, null, zero, zero)


def panel(f, kit, operands, words, scratch):
    """c = bias + a @ b for a B with whole vectors in each row."""
    a, b, c, bias = operands
    m, n, k, width = words
    zero = f.value(0, "i64")
    gemm.call_panel(f, kit, a, k, f.value(1, "i64"), b, width, k, bias, zero, c, n, m, n)


def pack(f, kit, operands, words, scratch):
    of, to = operands
    width, of_k, of_column, rows, columns = words
    gemm.call_pack(f, kit, to, width, of, of_k, of_column, rows, columns)


@pytest.mark.parametrize("packing", [0, gemm.PACK_A, gemm.PACK_B, gemm.PACK_A | gemm.PACK_B])
@pytest.mark.parametrize("m,n,k", [(1, 1, 1), (29, 67, 40), (150, 300, 600)])
def test_block_overwrites_and_accumulates(m, n, k, packing):
    rng = np.random.default_rng(0)
    a, b, c = (rng.standard_normal(s).astype("float32") for s in ((m, k), (k, n), (m, n)))
    _call(block_twice, (a, b, c), (m, n, k, packing))
    np.testing.assert_allclose(c, 2 * (a.astype("float64") @ b), rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("m", [1, 2, 3, TILES.rows - 1, TILES.rows, 3 * TILES.rows + 5])
@pytest.mark.parametrize("n", [1, TILES.lanes - 1, TILES.lanes, TILES.lanes + 1, TILES.columns - 1, TILES.columns])
def test_panel_reads_whole_vectors_and_writes_only_its_columns(m, n):
    rng = np.random.default_rng(1)
    k, width = 37, TILES.columns
    a, b, bias = (rng.standard_normal(s).astype("float32") for s in ((m, k), (k, width), (n,)))
    b[:, n:] = np.nan
    c = np.full((m + 1, n), 7, "float32")
    _call(panel, (a, b, c, bias), (m, n, k, width))
    np.testing.assert_allclose(c[:m], a.astype("float64") @ b[:, :n] + bias, rtol=1e-4, atol=1e-4)
    assert (c[m] == 7).all()


@pytest.mark.parametrize("rows", [1, 3, 4, 5, 16, 37])
@pytest.mark.parametrize("columns", [1, 15, 16, 17, 32, 50])
@pytest.mark.parametrize("order", ["rows", "columns", "neither"])
def test_pack(rows, columns, order):
    rng = np.random.default_rng(2)
    width = -(-columns // TILES.lanes) * TILES.lanes
    x = rng.standard_normal((rows, columns)).astype("float32")
    if order == "columns":
        x = np.asfortranarray(x)
    elif order == "neither":
        x = np.repeat(x, 2, 1)[:, ::2]
    to = np.full((rows + 1, width), 7, "float32")
    of_k, of_column = (s // 4 for s in x.strides)
    of_k = columns if rows == 1 else of_k
    _call(pack, (x, to), (width, of_k, of_column, rows, columns))
    np.testing.assert_array_equal(to[:rows, :columns], x)
    assert (to[rows] == 7).all()
