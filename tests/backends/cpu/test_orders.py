"""Results whose last bit is PyTorch's: sums, softmax, layer norm and their gradients, with vectors of 64 bytes on AMD's processors."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

import torchlike_asg as asg
from tests.backends.cpu.random_kernels import compute, expected
from torchlike_asg import dtypes
from torchlike_asg.backends.cpu import isa
from torchlike_asg.compiler.kernel import Apply, Convert, Load, LoopKernel, Operand, Reduce

_HOST = isa.host()
#: MKL has other kernels for Intel's processors
same_vectors = pytest.mark.skipif(
    _HOST.name != "avx512" or not _HOST.cpu.startswith("znver") or torch.backends.cpu.get_cpu_capability() != "AVX512",
    reason="other vectors or kernels, other orders",
)


@pytest.fixture(autouse=True)
def one_thread():
    """PyTorch's order depends on how many threads there are."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def draw(*shape, dtype=np.float32):
    return np.random.default_rng(math.prod(shape)).standard_normal(shape).astype(dtype)


def differing(ours, theirs) -> int:
    return int(np.sum(ours.detach().numpy() != theirs.detach().numpy()))


@same_vectors
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("rows,columns", [(160, 48), (33, 200), (64, 128), (7, 64), (17, 1000), (300, 27), (1000, 17), (600, 35), (3, 5)])
def test_sums_of_columns_and_rows(rows, columns, dtype):
    x = draw(rows, columns, dtype=dtype)
    assert differing(asg.from_numpy(x).sum(0), torch.from_numpy(x).sum(0)) == 0
    assert differing(asg.from_numpy(x).sum(1), torch.from_numpy(x).sum(1)) == 0


@same_vectors
@pytest.mark.parametrize("length", [1, 3, 4, 6, 7, 8, 11, 15, 16, 17, 31, 32, 47, 63, 100, 511, 512, 700, 8200])
def test_sums_of_rows_of_any_length(length):
    x = draw(9, length)
    assert differing(asg.from_numpy(x).sum(1), torch.from_numpy(x).sum(1)) == 0
    assert differing(asg.from_numpy(x).mean(1), torch.from_numpy(x).mean(1)) == 0


def with_gradient(package, fn, x, g):
    """(result, gradient of x) of a function."""
    x = package.from_numpy(x.copy()).requires_grad_()
    y = fn(package, x)
    y.backward(package.from_numpy(g))
    return y, x.grad


@same_vectors
@pytest.mark.parametrize("length", [2, 5, 10, 15, 16, 20, 32, 33, 100])
def test_softmax(length):
    x, g = draw(200, length), draw(length, 200).T.copy()
    ours, theirs = (with_gradient(p, lambda p, x: p.softmax(x, -1), x, g) for p in (asg, torch))
    # what is left are the exponentials, of which one in some thousands is rounded differently: a row of them then has another sum
    assert differing(ours[0], theirs[0]) <= 3 * length
    assert differing(ours[1], theirs[1]) <= 6 * length


@same_vectors
@pytest.mark.parametrize("length", [2, 15, 33, 100])
def test_softmax_of_columns(length):
    x = draw(length, 200)
    assert differing(asg.softmax(asg.from_numpy(x), 0), torch.softmax(torch.from_numpy(x), 0)) <= 6 * length


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("dim", [0, 1, None])
def test_quotients_by_totals_are_rounded_once(dtype, dim):
    """Many elements share such a divisor; its reciprocal would be a rounding more."""
    x = np.abs(draw(60, 97, dtype=dtype)) + dtype(0.1)
    total = asg.from_numpy(x).sum(dim, keepdim=dim is not None).numpy()
    a = asg.from_numpy(x)
    np.testing.assert_array_equal((a / a.sum(dim, keepdim=dim is not None)).numpy(), x / total)


@same_vectors
@pytest.mark.parametrize("rows,columns", [(160, 16), (7, 5), (40, 40), (33, 100), (64, 128), (5, 23)])
def test_layer_norm_and_its_gradients(rows, columns):
    results = []
    for package in (asg, torch):
        x, w, b = (package.from_numpy(draw(*s)).requires_grad_() for s in ((rows, columns), (columns,), (1, columns)))
        y = package.nn.functional.layer_norm(x, (columns,), w, b[0])
        y.backward(package.from_numpy(draw(columns, rows).T.copy()))
        results.append((y, x.grad, w.grad, b.grad))
    assert [differing(a, b) for a, b in zip(*results, strict=True)] == [0, 0, 0, 0]


@pytest.mark.parametrize("level", ["", "avx2", "sse2"])
@pytest.mark.parametrize("kind", ["mean", "variance"])
@pytest.mark.parametrize("rows,columns", [(3, 1), (4, 7), (5, 8), (6, 29), (2, 100)])
@pytest.mark.parametrize("down", [False, True])
def test_moments_in_one_pass(kind, rows, columns, down, level):
    """A mean far from zero costs no digits of the variance."""
    x = draw(rows, columns).ravel() + np.float32(1000)
    k = LoopKernel(
        (rows, columns),
        1,
        (Operand(dtypes.float32, (1, rows) if down else (columns, 1)), Operand(dtypes.float32, (1, 0))),
        (Load(0, dtypes.float32), Reduce(kind, 0, dtypes.float32)),
        ((1, 1),),
    )
    memories = [x, np.zeros(rows, np.float32)]
    np.testing.assert_allclose(compute(k, memories, level=level)[0][1], expected(k, memories)[1], rtol=2e-4)


@pytest.mark.parametrize("level", ["", "avx2", "sse2"])
@pytest.mark.parametrize("lines,length", [(3, 2), (2, 13), (4, 16), (3, 29)])
def test_moments_of_rows_of_several_lines(lines, length, level):
    """Every line of a row has elements after its last whole vector, and all of them count."""
    x = draw(2, lines, length)
    k = LoopKernel(
        (2, lines, length),
        1,
        (Operand(dtypes.float32, (lines * (length + 1), length + 1, 1)), *[Operand(dtypes.float32, (1, 0, 0))] * 2),
        (Load(0, dtypes.float32), Reduce("mean", 0, dtypes.float32), Reduce("variance", 0, dtypes.float32)),
        ((1, 1), (2, 2)),
    )
    memories = [np.pad(x, ((0, 0), (0, 0), (0, 1))).ravel(), np.zeros(2, np.float32), np.zeros(2, np.float32)]
    got = compute(k, memories, level=level)[0]
    np.testing.assert_allclose(got[1], x.mean((1, 2)), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(got[2], x.var((1, 2)), rtol=1e-5)


@pytest.mark.parametrize("level", ["", "avx2", "sse2"])
@pytest.mark.parametrize("columns", [1, 3, 16, 21, 333])
def test_sum_of_rows_whose_vectors_are_several_registers(columns, level):
    """Beside float32 values, float64 ones have as many lanes: 64 bytes also where there are no masks for what is left of a row."""
    f, d = dtypes.float32, dtypes.float64
    body = (Load(0, d), Reduce("sum", 0, d), Apply("div", (0, 1), (), d, d, lambda e, a, b: e.div(a, b)), Convert(2, f))
    k = LoopKernel((5, columns), 1, (Operand(d, (columns, 1)), Operand(f, (columns, 1))), body, ((1, 3),))
    memories = [draw(5 * columns, dtype=np.float64) ** 2 + 0.1, np.zeros(5 * columns, np.float32)]
    got = compute(k, memories, level=level)[0][1]
    np.testing.assert_allclose(got, expected(k, memories)[1], rtol=1e-6)
