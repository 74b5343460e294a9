"""How products are divided: all of the result once, evenly among threads; which kernel takes which product."""

import numpy as np
import pytest

from torchlike_asg.backends.cpu import isa
from torchlike_asg.backends.cpu.gemm.planning import blocks, dot_blocks
from torchlike_asg.backends.cpu.gemm.tiles import tiles
from torchlike_asg.backends.products import product

from .gemm_cases import lowered, node

SHAPES = [
    (1, 700, 800, 200),
    (1, 768, 65, 384),
    (1, 128, 784, 64),
    (1, 1024, 1536, 384),
    (24, 256, 64, 256),
    (1, 20, 200, 800),
    (3, 5, 33, 4000),
]


def nodes(batch, m, n, k, op="matmul"):
    a, b = (np.zeros(s, "float32") for s in ((batch, m, k), (batch, k, n)))
    return node(op, (a, b), np.zeros((batch, m, n), "float32"))


@pytest.mark.parametrize("level", ["avx512", "avx2"])
@pytest.mark.parametrize("threads", [1, 2, 3, 8, 64])
@pytest.mark.parametrize("shape", SHAPES)
def test_blocks_cover_the_result_and_none_is_empty(shape, threads, level):
    t = tiles(isa.describe(level), "float")
    p = product(nodes(*shape))
    for plan in (blocks(p, t, threads), dot_blocks(p, t)):
        for size, block, count in ((p.m, plan.block_rows, plan.row_blocks), (p.n, plan.block_columns, plan.column_blocks)):
            assert (count - 1) * block < size <= count * block
    assert blocks(p, t, threads).block_columns % t.columns == 0


@pytest.mark.parametrize("threads", [2, 4, 8])
@pytest.mark.parametrize("shape", [s for s in SHAPES if np.prod(s) > 5e6])
def test_threads_get_about_equal_work(shape, threads):
    t = tiles(isa.describe("avx512"), "float")
    p = product(nodes(*shape))
    plan = blocks(p, t, threads)
    rows = [min(plan.block_rows, p.m - i * plan.block_rows) for i in range(plan.row_blocks)]
    columns = [min(plan.block_columns, p.n - j * plan.block_columns) for j in range(plan.column_blocks)]
    work = np.array([r * c for c in columns for r in rows] * p.count)
    units = len(work)
    shares = [work[units * i // threads : units * (i + 1) // threads].sum() for i in range(threads)]
    assert max(shares) <= 1.25 * work.sum() / threads


@pytest.mark.parametrize(
    "m,n,k,transposed,kernel",
    [
        (4, 8, 2, True, "gemm_direct"),
        (1, 128, 64, True, "gemm_dot"),
        (8, 128, 784, True, "gemm_dot"),
        (64, 128, 784, True, "gemm"),  # hardly slower, and added up in PyTorch's order
        (768, 384, 128, True, "gemm"),
        (64, 128, 784, False, "gemm"),
        (1, 128, 64, False, "gemm_row"),
        (1000, 1, 64, False, "gemm_dot"),
    ],
)
def test_which_kernel(m, n, k, transposed, kernel):
    a, b = np.zeros((m, k), "float32"), np.zeros((n, k), "float32").T if transposed else np.zeros((k, n), "float32")
    (call,) = lowered(node("matmul", (a, b), np.zeros((m, n), "float32")), isa=isa.describe("avx512")).calls
    assert call.source.key[0] == kernel
    assert call.flops == 2 * m * n * k
