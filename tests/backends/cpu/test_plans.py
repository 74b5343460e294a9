"""Whole plans against the reference: the structures that fusion is for, memory, refusals."""

from __future__ import annotations

import gc
import math
import warnings
from typing import Any

import numpy as np
import pytest

import torchlike_asg as ours
from torchlike_asg import events
from torchlike_asg.asg.geometry import contiguous
from torchlike_asg.asg.node import const
from torchlike_asg.asg.rewrite import topo
from torchlike_asg.backends import base
from torchlike_asg.backends.build import Build
from torchlike_asg.backends.cpu.assemble import CpuAssembly
from torchlike_asg.backends.cpu.device import backend
from torchlike_asg.compiler import plan
from torchlike_asg.compiler.groups import Group

from .graphs import Graph, calls, op, random, update


# ---------------------------------------------------------------- what belongs together is one kernel
def test_a_chain_and_a_softmax_are_one_kernel() -> None:
    g = Graph()
    x = g.input(random(7, 33))
    y = op("softmax", op("add", op("mul", op("tanh", x), const(1.5, x.dtype)), const(0.1, x.dtype)), 1)
    assert len(calls(g.same([y]))) == 1


@pytest.mark.parametrize("shape", [(6, 40), (3, 5, 16)])
def test_layer_norm_shares_its_statistics_with_its_gradient(shape: tuple[int, ...]) -> None:
    g = Graph()
    x, dy = g.input(random(*shape)), g.input(random(*shape, seed=1))
    w, b = g.input(random(shape[-1], seed=2)), g.input(random(shape[-1], seed=3))
    attrs = ((len(shape) - 1,), 1e-5)
    roots = [
        op("layer_norm", x, w, b, *attrs),
        op("norm_grad_input", dy, x, w, *attrs),
        op("norm_grad_weight", dy, x, (shape[-1],), *attrs),
    ]
    executable = g.same(roots, 1e-4, 1e-4)
    assert len(calls(executable)) <= 4  # forward with statistics, by input, by weight (perhaps in parts)
    rows = math.prod(shape[:-1]) * 4
    assert executable.page_bytes <= 4 * max(rows, 64) + 4096, "no value of the size of x is kept beside the results"


def test_an_elementwise_tail_is_the_epilogue_of_its_product() -> None:
    g = Graph()
    x, w, b = g.input(random(20, 30)), g.input(random(40, 30, seed=1)), g.input(random(40, seed=2))
    pre = op("linear", x, w, b)
    assert len(calls(g.same([op("gelu", pre)]))) == 1
    assert len(calls(g.same([op("gelu", pre), pre]))) == 1


def test_a_product_that_another_kernel_reads_again_is_not_overwritten_by_its_epilogue() -> None:
    """A step of a solver: the scaled product is cheap, so the epilogue of the second product computes it again from the first one."""
    g = Graph()
    y, w = g.input(random(1, 2)), g.input(random(2, 2, seed=1))
    slope = op("mul", op("matmul", y, w), const(1.25, y.dtype))
    inner = op("add", y, slope)
    second = op("mul", op("matmul", inner, w), const(1.25, y.dtype))
    g.same([op("add", y, op("add", slope, second))])
    g.same([op("add", slope, second), inner])


def test_a_product_that_a_sum_computes_its_operand_from_again_is_not_overwritten_by_its_epilogue() -> None:
    """A bias that several layers share: its gradient sums what the epilogue of a product goes on from, and what it gives."""
    g = Graph()
    y, z, w = g.input(random(2, 3)), g.input(random(2, 3, seed=1)), g.input(random(3, 3, seed=2))
    factor = g.input(np.asarray(0.3, np.float32))
    ones = op("expand", op("reshape", op("full", const(1.0, y.dtype), ()), (1, 1)), 2, 3)
    last = op("tanh_grad", op("add", op("mul", op("mul", ones, const(0.3, y.dtype)), y), ones), y)
    middle = op("add", op("mul", ones, factor), op("matmul", last, w))
    first = op("tanh_grad", op("permute", op("permute", middle, 1, 0), 1, 0), z)
    bias = op("add", op("add", op("sum_to", last, (3,)), op("sum_to", middle, (3,))), op("sum_to", first, (3,)))
    g.same([bias, op("add", y, op("matmul", first, w))])


def test_code_made_for_a_known_number_serves_others() -> None:
    """The argument was computed from a literal, in a trace that goes on; the next plan of this structure has other numbers there."""
    ones = op("full", const(1.0, ours.float32), (3,))
    for known in (ones, op("reshape", ones, (3, 1)), op("neg", ones)):
        values = {known: np.array([3.0, -2.0, 0.5], np.float32).reshape(tuple(known.shape))}
        roots = (op("mul", known, known), op("div", op("sqrt", op("mul", known, known)), op("reshape", known, (3, 1))))
        executable = base.get("cpu").program(roots, values, topo(roots, values), [known], [contiguous(known.shape)], ())
        executable.run([values[known]])
        x = values[known]
        np.testing.assert_allclose(executable.outputs()[0], x * x)
        np.testing.assert_allclose(executable.outputs()[1], np.sqrt(x * x) / x.reshape(3, 1))


def test_a_known_value_reads_nothing() -> None:
    """A plan of a trace that goes on: one value is there already, and what it was made of is computed again for another reader."""
    graph = Graph()
    x, w, zeros = (graph.input(random(*shape)) for shape in ((2, 3), (3, 3), (2, 3)))
    product = op("matmul", x, w)
    known = op("scatter_add", zeros, graph.input(np.array([[0, 0, 1], [0, 0, 0]])), product, 0)
    values = {known: graph.run([known])[0]}
    roots = (op("relu", product), op("mul", known, known))
    executable = base.get("cpu").program(roots, values, topo(roots, values), [known, x, w], [(3, 1)] * 3, ())
    executable.run([values[known], graph.values[x], graph.values[w]])
    np.testing.assert_allclose(executable.outputs()[0], np.maximum(graph.values[x] @ graph.values[w], 0), 1e-5)
    np.testing.assert_allclose(executable.outputs()[1], values[known] ** 2, 1e-6)


def test_pieces_of_a_gradient_are_written_where_they_belong() -> None:
    g = Graph()
    pieces = [g.input(random(4, 6, seed=i)) for i in range(3)]
    whole = ((4, 18), (18, 1), 0)
    parts = [op("unview", op("relu", p), "slice", (1, 6 * i, 6 * i + 6, 1), whole) for i, p in enumerate(pieces)]
    executable = g.same([op("add", op("add", parts[0], parts[1]), parts[2])])
    assert len(calls(executable)) == 3 and all(label == "relu" for label in calls(executable))


def test_equal_structures_of_other_sizes_and_numbers_share_their_code() -> None:
    g = Graph()
    symbols = []
    for size, factor in ((5, 1.5), (300, 2.5)):
        x = g.input(random(size, seed=size))
        executable = g.same([op("add", op("mul", x, const(factor, x.dtype)), op("exp", x))])
        symbols.append([c.source.symbol for part in executable.programs for c in part.calls])
    assert symbols[0] == symbols[1]


def test_another_length_compiles_nothing() -> None:
    ours.manual_seed(0)
    layer = ours.nn.TransformerEncoderLayer(32, 4, 64, dropout=0.0, batch_first=True).eval()
    table = ours.nn.Embedding(20, 32)

    def run(length: int) -> float:
        with ours.no_grad():
            return layer(table(ours.arange(length).remainder(20).reshape(1, length))).sum().item()

    for length in (19, 33, 40):  # sizes of different kinds: fewer and more rows than a tile, and a second block of queries
        run(length)
    compiled: list[Any] = []
    stop = events.subscribe("kernel_compiled", compiled.append)
    try:
        for length in (20, 35, 47):
            assert math.isfinite(run(length))
    finally:
        stop()
    assert not compiled


def test_groups_never_wait_for_each_other_in_a_circle() -> None:
    """a -> product -> d and a -> c -> product -> d again: no group may contain both ends of a path through others."""
    g = Graph()
    x, w = g.input(random(8, 8)), g.input(random(8, 8, seed=1))
    a, b = op("relu", x), op("tanh", op("matmul", x, w))
    c = op("mul", op("matmul", a, w), b)
    d = op("add", op("matmul", b, w), a)
    g.same([op("add", c, d), op("sub", op("matmul", d, w), c), b])


def test_a_part_of_a_value_is_read_after_all_of_it_was_stored() -> None:
    """Two groups that meet in a sum, one of which reads a row of the other's value at every point."""
    g = Graph()
    x = op("relu", g.input(random(4, 2)))
    y = op("mul", x, op("select", x, 0, 2))
    g.same([op("add", y, x), y])


def test_rows_and_columns_of_one_value_are_summed_each_in_its_own_way() -> None:
    """Both sums have as many elements and meet in one group: only the axes that they read the square value along tell them apart."""
    g = Graph()
    x = g.input(random(4, 4))
    rows, columns = op("sum", x, (1,), False), op("sum", x, (0,), False)
    g.same([rows, columns, op("add", rows, columns)])
    y = op("relu", x)
    g.same([y, op("add", op("sum", y, (1,), False), op("amax", y, (0,), False))])


def test_what_is_read_by_rows_and_by_columns_is_not_computed_again_for_both() -> None:
    """The group sums one value by rows and another by columns; both are made of the same third one."""
    g = Graph()
    x, y, z = g.input(random(4, 4)), g.input(random(4, seed=1)), g.input(random(4, 1, seed=2))
    both = op("mul", op("reshape", y, (4, 1)), y)
    mean = op("mean", op("mul", both, both), (0, 1), False)
    scaled = op("add", op("mul", x, both), both)
    for shared in (both, scaled):
        columns = op("sum_to", op("mul", shared, z), (4,))
        rows = op("reshape", op("sum_to", op("mul", shared, y), (4, 1)), (4,))
        g.same([mean, op("add", columns, op("mul", rows, y))])


# ---------------------------------------------------------------- data that kernels refuse, operations without kernels
def test_a_refused_label_is_the_references_error_and_harms_nothing() -> None:
    x = ours.randn(4, 5, requires_grad=True)
    w = ours.nn.Parameter(ours.ones(5))
    optimizer = ours.optim.SGD([w], lr=0.1)
    with pytest.raises(IndexError, match="Target 7 is out of bounds"):
        ours.nn.functional.cross_entropy(x * w, ours.tensor([0, 1, 3, 2]) * 2 + 1).item()
    ours.nn.functional.cross_entropy(x * w, ours.tensor([0, 1, 4, 2])).backward()
    optimizer.step()
    assert w.tolist() != [1.0] * 5


def test_a_refusal_comes_before_any_storage_is_overwritten() -> None:
    g = Graph()
    p, new = update(g, 200_000)
    scores, labels = g.input(random(4, 5)), g.input(np.array([0, 1, 2, 3]))
    loss = op("cross_entropy", scores, labels, -100, "mean", 0.0)
    executable, arrays = g.program([new, loss], donated=[(0, p)])
    own = [a.copy() for a in arrays]
    g.values.clear()
    del arrays
    next(a for a in own if a.dtype == np.int64)[1] = 9
    held = next(a for a in own if a.size == 200_000)
    before, at = held.copy(), held.ctypes.data
    del held
    with pytest.raises(IndexError, match="Target 9"):
        executable.run(own, [(0, next(i for i, a in enumerate(own) if a.size == 200_000))])
    after = next(a for a in own if a.size == 200_000)
    assert after.ctypes.data == at and np.array_equal(after, before)


def test_operations_without_a_kernel_run_between_native_calls() -> None:
    def run() -> Any:
        a = ours.randn(5, 5, generator=ours.Generator().manual_seed(1)) + 5 * ours.eye(5)
        return (ours.linalg.qr(ours.exp(a * 0.1)).R @ a).relu().sum()

    mine = run().item()
    executable = next(reversed(plan.PLANS.values())).executable
    assert [n.op.name for n in executable.uncovered] == ["qr_r"]
    ours.config.backend = "reference"
    try:
        assert mine == pytest.approx(run().item(), rel=1e-5)
    finally:
        ours.config.backend = "cpu"


def test_an_operation_without_a_kernel_is_named_once() -> None:
    from torchlike_asg.errors import ReferenceWarning

    backend._told.clear()
    x = ours.rand(3)
    with pytest.warns(ReferenceWarning, match=r"no kernel for i0e of float32\[3\], recorded at .*test_plans.py:\d+: NumPy computes it"):
        ours.special.i0e(x).tolist()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ours.special.i0e(x * 2 + 1).tolist()
        ours.linalg.inv(ours.eye(3)).tolist()


def test_the_number_of_threads_does_not_change_a_bit() -> None:
    g = Graph()
    x, w = g.input(random(300, 200)), g.input(random(500, 200, seed=1))
    y = op("softmax", op("gelu", op("linear", x, w)), 1)
    roots = [y, op("sum", y, (0,), False), op("sum", op("mul", y, y), (0, 1), False)]
    before = ours.config.threads
    try:
        results = []
        for threads in (1, 2, 3):
            ours.config.threads = threads
            results.append(g.run(roots))
    finally:
        ours.config.threads = before
    for other in results[1:]:
        assert all(np.array_equal(a, b) for a, b in zip(results[0], other, strict=True))


def test_explain_shows_kernels_and_their_code() -> None:
    text = ours.asg.explain(lambda a: ours.softmax(a * 2, -1), ours.randn(4, 6), show=None, llvm=True)
    assert "=== compiled" in text and "max over row" in text and "define void @loops_" in text


@pytest.mark.parametrize("size", [4, 16, 33])
@pytest.mark.parametrize("inner", [2, 16])
def test_a_product_added_to_its_transpose(size: int, inner: int) -> None:
    """No epilogue: it would read parts of the product that do not exist yet, or no longer."""
    a, b = random(size, inner), random(inner, size, seed=1)
    product = ours.from_numpy(a) @ ours.from_numpy(b)
    total = product + product.T
    flipped = product * product.flip(0)
    del product
    np.testing.assert_allclose(total.numpy(), a @ b + (a @ b).T, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(flipped.numpy(), (a @ b) * (a @ b)[::-1], rtol=1e-4, atol=1e-5)


def test_a_plan_leaves_nothing_of_its_making_behind() -> None:
    def left() -> int:
        return sum(isinstance(o, (Build, Group, CpuAssembly)) for o in gc.get_objects())

    x = ours.randn(6, 13, requires_grad=True)
    before, built = left(), len(plan.EXECUTABLES)
    gc.disable()
    try:
        (x.softmax(1) * x.tanh()).sum().backward()
        assert x.grad is not None
        x.grad.numpy()
        assert plan.EXECUTABLES and len(plan.EXECUTABLES) > min(built, ours.config.max_plans - 1)
        assert left() <= before  # not even in circles
    finally:
        gc.enable()
