"""Memory of plans: what is written over, what is used again, and what stays as it was."""

from __future__ import annotations

import sys
import weakref

import numpy as np
import pytest

import torchlike_asg as ours
from torchlike_asg.backends.base import Misfit
from torchlike_asg.backends.cpu.executable import CpuExecutable
from torchlike_asg.backends.cpu.workspace import Workspace, workspace

from .graphs import Graph, op, random, update


def test_new_values_are_written_over_old_ones_if_nobody_else_looks() -> None:
    g = Graph()
    p, new = update(g, 30, 5)
    executable, arrays = g.program([new], donated=[(0, p)])
    expected = g.run([new], "reference")[0]
    mine = g.values.pop(p).copy()
    arrays = [mine if a is not mine and a.shape == mine.shape and np.array_equal(a, mine) else a for a in arrays]
    address = mine.ctypes.data
    storage = [mine]
    del mine
    executable.run(arrays, [(0, 0)])
    (out,) = executable.outputs()
    assert out.ctypes.data == address and storage[0] is out
    np.testing.assert_allclose(out, expected, 1e-6)


def _same_where_it_is_overwritten(g, roots, p, rtol: float, atol: float) -> None:
    """The roots are those of NumPy, though the first of them takes the memory of `p`, which is nobody else's."""
    executable, arrays = g.program(roots, donated=[(0, p)])
    expected = g.run(roots, "reference")
    own = [a.copy() for a in arrays]
    g.values.clear()
    executable.run(own, [(0, 0)])
    for got, want in zip(executable.outputs(), expected, strict=True):
        np.testing.assert_allclose(got, want, rtol, atol)


def test_an_epilogue_does_not_write_over_what_its_product_reads() -> None:
    g = Graph()
    p = g.input(random(300, 300))
    product = op("matmul", p, p)
    new = op("mul", op("relu", product), p)
    _same_where_it_is_overwritten(g, [new, product], p, 1e-4, 1e-3)


def test_what_is_joined_along_rows_is_read_flat_elsewhere() -> None:
    """A part of a concatenation may be computed into its place there, unless another reader wants it as a matrix that is none there."""
    x, p, g = (np.random.default_rng(i).standard_normal(s).astype(np.float32) for i, s in enumerate([(4, 6, 8), (4, 3, 8), (5, 24)]))
    for turned in (False, True):

        def results(turned: bool = turned) -> tuple[ours.Tensor, ours.Tensor]:
            v = ours.tensor(x).sin()
            flat = v.reshape(24, 8)
            return ours.cat([v, ours.tensor(p)], 1).cumsum(1), flat.t() @ ours.tensor(g).t() if turned else ours.tensor(g) @ flat

        joined, product = results()
        total = float(joined.sum() + product.sum())
        want = np.concatenate([np.sin(x), p], 1).cumsum(1).sum(dtype=np.float64) + (g.astype(np.float64) @ np.sin(x).reshape(24, 8)).sum()
        assert abs(total - want) < 1e-4 * abs(want)


def test_old_values_that_somebody_holds_stay() -> None:
    g = Graph()
    p, new = update(g, 9)
    executable, arrays = g.program([new], donated=[(0, p)])
    held = [a.copy() for a in arrays]
    expected = g.run([new], "reference")[0]
    executable.run(list(arrays), [(0, 0)])
    (out,) = executable.outputs()
    assert all(np.array_equal(a, b) for a, b in zip(arrays, held, strict=True)) and out is not arrays[0]
    np.testing.assert_allclose(out, expected, 1e-6)


def test_other_readers_of_an_old_value_come_first() -> None:
    g = Graph()
    p, new = update(g, 12, 12)
    product = op("matmul", p, p)
    g.same([new, product])
    _same_where_it_is_overwritten(g, [new, product], p, 1e-5, 1e-5)


def test_results_are_reused_only_when_nobody_holds_them() -> None:
    g = Graph()
    x = g.input(random(50))
    executable, arrays = g.program([op("exp", x)])
    executable.run(list(arrays))
    kept = executable.outputs()[0]
    content = kept.copy()
    arrays[0] = arrays[0] + 1
    executable.run(list(arrays))
    other = executable.outputs()[0]
    assert other is not kept and np.array_equal(kept, content)
    address = other.ctypes.data
    del other
    executable.run(list(arrays))
    assert executable.outputs()[0].ctypes.data == address


def test_a_steady_training_step_allocates_nothing_and_copies_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    ours.manual_seed(0)
    model = ours.nn.Sequential(ours.nn.Linear(30, 20), ours.nn.Tanh(), ours.nn.Linear(20, 4))
    optimizer = ours.optim.AdamW(model.parameters(), lr=1e-4)
    x = ours.randn(8, 30)

    def step() -> float:
        optimizer.zero_grad()
        loss = (model(x) ** 2).mean()
        loss.backward()
        optimizer.step()
        return loss.item()

    losses = [step() for _ in range(4)]
    for name in ("_renew", "_copy_shared", "_fit"):
        monkeypatch.setattr(CpuExecutable, name, None)
    losses += [step() for _ in range(3)]
    assert losses == sorted(losses, reverse=True)


def test_plans_share_their_working_memory_and_give_it_back() -> None:
    g = Graph()
    x = g.input(random(64, 64))
    small = op("matmul", op("softmax", x, 1), x)
    y = g.input(random(600, 600))
    large = op("matmul", op("softmax", op("matmul", op("softmax", y, 1), y), 1), y)
    first, few = g.program([small])
    second, many = g.program([large])
    first.run(list(few))
    expected = first.outputs()[0]
    second.run(list(many))
    second.outputs()
    assert second.page_bytes > first.page_bytes > 0 and workspace.nbytes >= second.page_bytes
    first.run(list(few))  # the page has moved
    assert np.array_equal(first.outputs()[0], expected)
    with pytest.MonkeyPatch.context() as m:
        m.setattr(workspace, "_users", weakref.WeakSet([first]))
        m.setattr(workspace, "_largest", lambda: None)
        other, _ = g.program([op("exp", small)])
        other.run(list(few))
        assert workspace.nbytes < second.page_bytes
    second.run(list(many))
    np.testing.assert_allclose(second.outputs()[0], g.run([large], "reference")[0], 1e-4, 1e-4)


def test_two_results_of_equal_value_are_two_arrays() -> None:
    g = Graph()
    x = g.input(random(6))
    a, b, c = g.run([op("relu", x), op("clone", op("relu", x)), x])
    assert not np.shares_memory(a, b) and not np.shares_memory(c, g.values[x])


@pytest.mark.parametrize("first", [lambda a: a, lambda a: np.pad(a, 1)[1:-1, 1:-1], lambda a: np.stack([a] * 3, -1)[..., 1]])
def test_arguments_that_come_otherwise_than_the_first_time_are_laid_out(first) -> None:
    g = Graph()
    x = g.input(first(random(6, 5)))
    executable, arrays = g.program([op("exp", x)])
    for a in (arrays[0], np.asfortranarray(arrays[0]), arrays[0].astype(np.float64), np.pad(arrays[0], 1)[1:-1, 1:-1], arrays[0].copy()):
        executable.run([a])
        np.testing.assert_allclose(executable.outputs()[0], np.exp(arrays[0]), 1e-6)
    assert sys.getrefcount(executable._inputs) >= 1 and executable._inputs == [], "arguments are not kept"


class Wanting:
    """A plan, as the workspace sees it."""

    def __init__(self, nbytes: int) -> None:
        self.page_bytes = nbytes


def test_a_plan_too_large_for_memory_leaves_room_for_others() -> None:
    """It was counted as the largest for good: every plan after it asked for as much. The page that was to go was freed, and used."""
    space = Workspace()
    small, huge = Wanting(1000), Wanting(1 << 60)
    space.enter(small)
    address = space.address
    with pytest.raises(MemoryError):
        space.enter(huge)
    assert space.address != address and space.nbytes == 64, "who was placed in the old page is placed anew"
    space.enter(small)
    assert 1000 <= space.nbytes <= 2000
    with pytest.raises(MemoryError):
        space.enter(huge)
    space.enter(Wanting(3000))
    assert 3000 <= space.nbytes <= 6000


def test_results_that_are_too_large_are_refused_and_forgotten() -> None:
    x = ours.ones(2, 4, 6, 6, 6)
    for kind in (RuntimeError, MemoryError):
        with pytest.raises(kind, match="allocate"):
            ours.nn.functional.pad(x, (100000,) * 6).sum().item()
    assert (x + 1).sum().item() == 2 * x.numel()


def test_values_are_not_squeezed_into_a_layout_whose_elements_share_memory() -> None:
    g = Graph()
    x = g.input(np.broadcast_to(random(6, 1), (6, 5)))
    executable, arrays = g.program([op("exp", x)])
    executable.run(arrays)
    np.testing.assert_allclose(executable.outputs()[0], np.exp(g.values[x]), 1e-6)
    with pytest.raises(Misfit):
        executable.run([random(6, 5)])
