"""Elementwise kernels as epilogues of products and convolutions: in the operation's own dispatch, with the numbers of the reference."""

from dataclasses import replace

import numpy as np
import pytest

import torchlike_asg as torch
from tests.backends.cpu.graphs import Graph, op
from torchlike_asg import dtypes
from torchlike_asg.backends.wgpu import loops
from torchlike_asg.backends.wgpu.calls import LIBRARY, Dispatch, LibraryNode, View
from torchlike_asg.backends.wgpu.gemm import lowering as gemm
from torchlike_asg.backends.wgpu.gemm import tiles
from torchlike_asg.compiler.kernel import Apply, Index, Load, LoopKernel, Operand, Reduce

from .harness import device, lowering, run

F = dtypes.float32


def normal(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def dispatches(g, roots):
    """The number of dispatches of a plan whose results are those of the reference."""
    device()
    executable, arrays = g.program(roots, "wgpu")
    executable.run(list(arrays))
    for n, got, want in zip(roots, executable.outputs(), g.run(roots, "reference"), strict=True):
        np.testing.assert_allclose(np.asarray(got), want, 1e-4, 1e-4, err_msg=repr(n))
    return sum(isinstance(s, Dispatch) for s in executable.assembly.steps)


@pytest.mark.parametrize("columns", [40, 37])
@pytest.mark.parametrize("parts", [1, 3])
def test_an_activation_and_a_residual_after_a_product(columns, parts, monkeypatch):
    monkeypatch.setattr(gemm, "planned", lambda low, kind, count, m, n, k, build: tiles.in_parts(tiles.SOFTWARE[0], parts, k))
    g = Graph()
    x, w, b = g.input(normal(0, 2, 20, 30)), g.input(normal(1, columns, 30)), g.input(normal(2, columns))
    residual, scale = g.input(normal(3, 2, 20, columns)), g.input(normal(4, 2, 1, 1))
    before = op("linear", x, w, b)
    after = op("add", op("mul", op("gelu", before), scale), residual)
    assert dispatches(g, [after]) == (1 if parts == 1 else 2)
    assert dispatches(g, [op("gelu", before), before]) == (1 if parts == 1 else 2), "the product itself is stored as well"


@pytest.mark.parametrize("shape", [(1, 64), (1, 1, 64), (2, 1, 64)])
def test_an_activation_after_a_product_of_one_row(shape):
    g = Graph()
    x, w, b = g.input(normal(0, *shape)), g.input(normal(1, 128, 64)), g.input(normal(2, 128))
    assert dispatches(g, [op("relu", op("linear", x, w, b))]) == 1


def test_few_columns_after_many():
    """Four columns, one vec4 a row, have a text of their own."""
    for columns in (8, 4, 12):
        g = Graph()
        y = op("linear", g.input(normal(0, 10, 6)), g.input(normal(1, columns, 6)))
        assert dispatches(g, [op("add", op("relu", y), g.input(normal(2, 10, columns)))]) == 1


def test_large_results_are_left_alone_where_there_is_much_to_compute(monkeypatch):
    monkeypatch.setattr(gemm, "LARGE", 20 * 40)
    g = Graph()
    y = op("linear", g.input(normal(0, 20, 30)), g.input(normal(1, 40, 30)))
    assert dispatches(g, [op("gelu", y)]) == 2
    assert dispatches(g, [op("relu", y)]) == 1


@pytest.mark.parametrize("name", ["conv", "conv_transpose"])
def test_an_activation_after_a_convolution(name):
    g = Graph()
    x, w, b = g.input(normal(0, 2, 6, 7, 5)), g.input(normal(1, 6, 6, 3, 3)), g.input(normal(2, 6))
    shift, mask = g.input(normal(3, 1, 6, 1, 1)), g.input(normal(4, 2, 6, 7, 5))
    y = op(name, x, w, b, *([(7, 5)] if name == "conv_transpose" else []), (1, 1), (1, 1), (1, 1), 1)
    assert dispatches(g, [op("relu", op("add", y, shift))]) == 1
    assert dispatches(g, [op("where", op("gt", mask, op("mul", mask, shift)), y, mask)]) == 1


@pytest.mark.parametrize("stride,groups", [((2, 1), 1), ((1, 1), 2), ((1, 1), 6)])
def test_convolutions_that_take_no_epilogue(stride, groups):
    """Done in parts, none of which is all of the result's rows and columns."""
    g = Graph()
    x, w = g.input(normal(0, 2, 6, 7, 5)), g.input(normal(1, 6, 6 // groups, 3, 3))
    size = tuple((n - 1) * s + 1 for n, s in zip((7, 5), stride, strict=True))
    y = op("conv_transpose", x, w, size, stride, (1, 1), (1, 1), groups)
    assert dispatches(g, [op("relu", y)]) >= 2


def kernel(sizes, strides, body, stores, extra=()):
    """A kernel over a result (operand 0), whose other operands are `extra` and then those stored."""
    operands = (Operand(F, strides), *[Operand(F, s) for s in extra], *[Operand(F, strides) for _ in stores])
    return LoopKernel(sizes, len(sizes), operands, body, tuple((1 + len(extra) + i, v) for i, v in enumerate(stores)))


def follow(k, sizes, arrays, slots, columns=None):
    """A product of (rows, 8) and (8, columns) followed by a kernel; gives the product and the memory of all slots."""
    columns = columns or sizes[-1]
    rows = int(np.prod(sizes)) // columns
    a, b = normal(10, rows, 8), normal(11, 8, columns)
    low = lowering(10)
    result = View(slots[0], (rows, columns), (columns, 1), 0, F)
    made = loops.epilogue(low, k, [View(s, (), (), 0, o.dtype) for s, o in zip(slots, k.operands, strict=True)], 0, columns)
    assert made is not None
    operands = (View(8, (rows, 8), (8, 1), 0, F), View(9, (8, columns), (columns, 1), 0, F))
    assert LIBRARY["matmul"](low, LibraryNode("matmul", (), operands, result, epilogue=made))
    memories = {8: a, 9: b} | {s: m.copy() for s, m in zip(slots, arrays, strict=True)}
    run(low, memories)
    return a @ b, [memories[s] for s in slots]


def test_operands_that_move_over_only_some_of_the_rows():
    """A position table (T, C) added to a result (B, T, C), and a causal mask."""
    b, t, c = 3, 5, 12
    body = (
        Load(0, F),
        Load(1, F),
        Apply("add", (0, 1), (), F, F, lambda e, x, y: e.add(x, y)),
        Index((0, 1, -1)),
        Apply("past", (3,), (), dtypes.bool_, dtypes.int64, lambda e, i: e.lt(i, e.const(0))),
        Apply("where", (4, 2), (), F, F, lambda e, m, x: e.where(m, e.const(-1), x)),
    )
    k = kernel((b, t, c), (t * c, c, 1), body, (5,), ((0, c, 1),))
    table = normal(1, t, c)
    product, memories = follow(k, (b, t, c), [np.zeros(b * t * c, np.float32), table, np.zeros(b * t * c, np.float32)], [0, 1, 2])
    shown = np.arange(t)[:, None] >= np.arange(c)
    want = np.where(shown, product.reshape(b, t, c) + table, -1)
    np.testing.assert_allclose(memories[2].reshape(b, t, c), want, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(memories[0], product.ravel(), rtol=1e-5, atol=1e-5)


def test_a_kernel_in_another_order_that_writes_over_the_result():
    body = (Load(0, F), Load(1, F), Apply("mul", (0, 1), (), F, F, lambda e, x, y: e.mul(x, y)))
    k = kernel((12, 5), (1, 12), body, (2,), ((5, 1),))
    factor = normal(1, 12, 5)
    product, memories = follow(k, (12, 5), [np.zeros(60, np.float32), factor, np.zeros(60, np.float32)], [0, 1, 0], 12)
    np.testing.assert_allclose(memories[0].reshape(5, 12), product * factor.T, rtol=1e-5, atol=1e-5)


def test_what_is_no_epilogue():
    low = lowering(4)
    views = [View(n, (), (), 0, F) for n in range(3)]
    add = (Load(0, F), Load(1, F), Apply("add", (0, 1), (), F, F, lambda e, x, y: e.add(x, y)))
    fine = kernel((4, 8), (8, 1), add, (2,), ((8, 1),))
    assert loops.epilogue(low, fine, views, 0, 8) is not None
    assert loops.epilogue(low, fine, views, 0, 4) is None, "another matrix"
    assert loops.epilogue(low, replace(fine, body=(Load(1, F), *add[1:])), views, 0, 8) is None, "the result is not read"
    assert loops.epilogue(low, kernel((4, 4), (8, 1), add, (2,), ((4, 1),)), views, 0, 4) is None, "gaps"
    low.caps = replace(low.caps, limits={"max-storage-buffers-per-shader-stage": 4})
    assert loops.epilogue(low, fine, views, 0, 8) is None, "too many operands"
    reduces = LoopKernel((4, 8), 1, (Operand(F, (8, 1)), Operand(F, (1, 0))), (Load(0, F), Reduce("sum", 0, F)), ((1, 1),))
    assert loops.epilogue(lowering(4), reduces, views[:2], 0, 8) is None


def test_training_with_epilogues_of_both_directions():
    """Gradients of activations follow products of the backward pass."""

    def losses(where):
        torch.manual_seed(0)
        model = torch.nn.Sequential(
            torch.nn.Linear(12, 32), torch.nn.Tanh(), torch.nn.Linear(32, 32), torch.nn.GELU(), torch.nn.Linear(32, 4)
        ).to(where)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        x, y = torch.randn(16, 12).to(where), torch.randn(16, 4).to(where)
        found = []
        for _ in range(3):
            optimizer.zero_grad()
            loss = torch.nn.functional.mse_loss(model(x), y)
            loss.backward()
            optimizer.step()
            found.append(loss.item())
        return found

    device()
    np.testing.assert_allclose(losses("wgpu"), losses("cpu"), rtol=1e-5)
