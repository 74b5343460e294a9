"""Epilogues: called once for each element of the result, on the rows and columns as the whole result counts them."""

import numpy as np
import pytest

from torchlike_asg.backends.cpu.calls import EPILOGUE, EPILOGUES, Block, Kernel, Source

from .gemm_cases import lowered, node, run


def _write(module, name):
    """result[r, c] = 2 * result[r, c] + x[r, c] for a contiguous result and x of `words[0]` columns."""
    kernel = Kernel(module, name, 2, EPILOGUE)
    f, (row_lo, row_hi, column_lo, column_hi) = kernel.f, kernel.rest
    result, x, width = kernel.operand(0), kernel.operand(1), kernel.word(0)
    with f.loop(row_lo, row_hi) as i, f.loop(column_lo, column_hi) as j:
        p = f.gep(result, i * width + j, "float")
        f.store(f.fma(f.load("float", p), 2.0, f.load("float", f.gep(x, i * width + j, "float"))), p)


TWICE = Source(("test_gemm_epilogue",), _write)
CASES = [
    ("matmul", (3, 4), (4, 5)),
    ("matmul", (100, 70), (70, 333)),
    ("matmul", (300, 600), (600, 90)),
    ("matmul", (4, 30, 20), (4, 20, 40)),
    ("matmul", (4, 30, 20), (20, 40)),
    ("matmul", (4, 3, 20), (4, 20, 2)),
    ("matmul", (6, 100), (100,)),
    ("matmul", (2, 60, 100), (100,)),
    ("matmul", (100,), (100, 300)),
    ("matmul", (500, 100), (100, 1)),
    ("matmul", (50, 30), (30, 2)),
    ("matmul", (50, 30), (30, 1)),
    ("matmul", (30, 9000), (9000, 40)),
    ("linear", (50, 300), (2, 300)),
    ("linear", (5, 20, 100), (70, 100)),
    ("linear", (1, 64), (128, 64)),
]


@pytest.mark.parametrize("pieces", [1, 4])
@pytest.mark.parametrize("op,of_a,of_b", CASES)
def test_epilogue(op, of_a, of_b, pieces):
    rng = np.random.default_rng(0)
    a, b = (rng.standard_normal(s).astype("float32") for s in (of_a, of_b))
    exact = a.astype("float64") @ (b if op == "matmul" else b.T)
    result, x = np.zeros(exact.shape, "float32"), rng.standard_normal(exact.shape).astype("float32")
    block = Block(((2, 0), (3, 0)), (exact.shape[-1],))
    n = node(op, (a, b), result, epilogue=(TWICE, block), epilogue_reads=(3,))
    assert op in EPILOGUES
    assert not run(lowered(n, threads=pieces), {0: a, 1: b, 2: result, 3: x}, pieces)
    np.testing.assert_allclose(result, 2 * exact + x, rtol=1e-4, atol=1e-3)
