"""Programs that were compiled for other leaves are found before the passes (compiler/structure.py)."""

import numpy as np
import pytest

import torchlike_asg as torch
from torchlike_asg.asg.rewrite import topo
from torchlike_asg.compiler import building, plan, structure
from torchlike_asg.facade.core import node_of


@pytest.fixture
def passes(monkeypatch):
    """How often the passes ran."""
    torch.sync()
    ran = []
    original = building.optimise
    monkeypatch.setattr(building, "optimise", lambda *args: ran.append(1) or original(*args))
    return ran


def network(seed):
    torch.manual_seed(seed)
    return torch.nn.Sequential(torch.nn.Linear(5, 7), torch.nn.GELU(), torch.nn.LayerNorm(7), torch.nn.Linear(7, 3))


def steps(m, read):
    """Losses and parameters of two steps, with or without a read between forward and backward pass."""
    optimizer = torch.optim.Adam(m.parameters(), 0.1)
    x, seen = torch.linspace(-1, 1, 20).reshape(4, 5), []
    for _ in range(2):
        loss = m(x).square().mean()
        if read:
            seen.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return [*seen, *[p.detach().numpy().copy() for p in m.parameters()]]


@pytest.mark.parametrize("read", [False, True])
def test_a_second_model_is_not_compiled(passes, read):
    models = [network(0), network(1)]
    torch.sync()
    first = steps(models[0], read)
    assert passes
    passes.clear()
    second = steps(models[1], read)
    assert not passes
    plan.clear()
    for found, wanted in zip(second, steps(network(1), read), strict=True):
        np.testing.assert_array_equal(found, wanted)
    assert not np.array_equal(first[-1], second[-1])


def test_the_order_of_what_is_asked_for_makes_no_other_program():
    p = torch.nn.Parameter(torch.tensor([0.3, 0.5, 0.7]))
    ways = {"sin": lambda: (p * 2).sin(), "cos": lambda: (p * 3).cos(), "exp": lambda: p.exp()}
    compiled = []
    for names in (("sin", "cos", "exp"), ("sin", "cos", "exp"), ("exp", "sin", "cos"), ("cos", "exp", "sin")):
        before = torch.asg.stats()["compiles"]
        found = {name: ways[name]() for name in names}
        torch.sync()
        compiled.append(torch.asg.stats()["compiles"] - before)
        for name, value in found.items():
            np.testing.assert_array_equal(value.detach().numpy(), ways[name]().detach().numpy())
        del found, value
    assert compiled[2:] == [0, 0]


def test_numbers_and_where_a_known_value_comes_from_tell_structures_apart():
    def run(start, factor):
        x = start()
        float(x.sum())  # from here on x is known
        y = x * torch.linspace(1, 2, 4) * factor
        return (y + x[2]).tolist()

    ways = [lambda: torch.ones(4), lambda: torch.full((4,), 3.0), lambda: torch.zeros(4), lambda: torch.arange(4.0)]
    for start in ways:
        for factor in (2.0, -0.0, 1.0):
            x = np.asarray(start().tolist(), np.float32)
            wanted = x * np.linspace(1, 2, 4, dtype=np.float32) * np.float32(factor) + x[2]
            np.testing.assert_allclose(run(start, factor), wanted, rtol=1e-6)


def test_which_operands_are_one_is_part_of_the_structure():
    for _ in range(2):
        a, b = torch.tensor([1.0, 2.0]), torch.tensor([5.0, 7.0])
        assert (a * b).sin().add(a).tolist() == pytest.approx([np.sin(5) + 1, np.sin(14) + 2])
        assert (a * a).sin().add(a).tolist() == pytest.approx([np.sin(1) + 1, np.sin(4) + 2])
        assert (b * a).sin().add(b).tolist() == pytest.approx([np.sin(5) + 5, np.sin(14) + 7])


def test_what_leaves_are_is_part_of_the_structure():
    """An executable's arguments are found by it: known values first, then data, then storages."""
    p, q, data = torch.nn.Parameter(torch.ones(3)), torch.nn.Parameter(torch.ones(3)), torch.tensor([1.0, 2.0, 3.0])
    names = set()
    for a, known in ((p, {}), (data, {}), (p.sin(), {}), (s := p.cos(), {node_of(s): None})):
        n = node_of(a * q)
        names.add(structure.look((n,), topo((n,), known), known, ()).name)
    assert len(names) == 4
