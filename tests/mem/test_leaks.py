"""What is dropped is freed: storages, nodes, plans."""

import gc
import os
import sys
import weakref

import numpy as np
import pytest

import torchlike_asg as ours
from torchlike_asg import nn, optim
from torchlike_asg.asg import arena
from torchlike_asg.compiler import plan


def resident():
    """Mebibytes of memory that the process has."""
    if sys.platform != "linux":
        pytest.skip("reads resident memory from /proc")
    with open("/proc/self/statm") as f:
        return int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def train(steps=3, width=16):
    model = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 1))
    opt = optim.Adam(model.parameters())
    x = ours.randn(8, width)
    for _ in range(steps):
        opt.zero_grad()
        model(x).pow(2).mean().backward()
        opt.step()
    return model, opt


def test_a_dropped_model_frees_its_storages():
    model, opt = train()
    cells = [weakref.ref(p._f.cell) for p in model.parameters()]
    buffers = [weakref.ref(s["exp_avg"]) for s in opt.state.values()]
    assert all(r() is not None for r in cells + buffers)
    del model, opt
    gc.collect()
    ours.asg.collect()
    assert all(r() is None for r in cells + buffers)


def test_nodes_and_plans_of_dropped_models_go():
    train()
    ours.asg.collect()
    before, plans = arena.live_nodes(), len(plan.PLANS)
    for _ in range(8):
        train()
        gc.collect()
    ours.asg.collect()
    assert arena.live_nodes() < before + 400
    assert len(plan.PLANS) <= plans + 4


def test_few_dropped_parameters_are_not_looked_for_in_a_large_graph(monkeypatch):
    """A sweep looks at every node: one after each small model would take longer, the more the process had recorded before."""
    ours.asg.collect()
    monkeypatch.setattr(arena, "_floor", 0)
    monkeypatch.setitem(arena._state, "kept", arena.live_nodes() + 10_000)
    monkeypatch.setitem(arena._state, "removed", arena.node.COUNTS["nodes"] - arena._state["kept"])
    swept, compact = [], arena.compact
    monkeypatch.setattr(arena, "compact", lambda *a: swept.append(1) or compact(*a))
    few = 20 + arena._counts["vars"] // 8  # what other tests keep counts, too
    for _ in range(3):
        parameters = [nn.Parameter(ours.ones(2)) for _i in range(few)]
        sum(parameters).sum().item()
        del parameters
        gc.collect()
    assert arena._counts["dead"] > 2 * few and not swept
    x = ours.ones(2)
    for i in range(1_000 + arena._state["kept"] // 16):
        x = x * (i + 0.5) + x.sum(0, keepdim=True)
    x.sum().item()
    (ours.ones(3) * 7.5).sum().item()
    assert swept and arena._counts["dead"] == 0


@pytest.mark.slow
def test_building_training_and_dropping_models_does_not_grow_the_process():
    for _ in range(10):
        train(width=128)
    gc.collect()
    ours.asg.collect()
    start = resident()
    for _ in range(50):
        train(width=128)
    gc.collect()
    ours.asg.collect()
    assert resident() - start < 30


def test_results_die_with_their_names():
    from torchlike_asg.asg.trace import current

    ours.sync()
    x = ours.randn(4)
    y = x * 2
    r = weakref.ref(y)
    del y
    assert r() is None
    ours.sync()
    assert not current().claims


def test_growing_shapes_stay_bounded():
    arena.compact(everything=True)  # what other tests left behind is not counted
    old = ours.config.max_nodes
    ours.config.max_nodes = 3000
    try:
        w = ours.randn(4, requires_grad=True)
        for n in range(1, 900):
            (w * ours.ones(n, 4)).exp().sum().item()
        assert arena.live_nodes() < 12_000
    finally:
        ours.config.max_nodes = old


def test_a_plan_cache_is_bounded():
    old = ours.config.max_plans
    ours.config.max_plans = 20
    try:
        for n in range(1, 60):
            ours.ones(n).sum().item()
        assert len(plan.PLANS) <= 20 and len(plan.EXECUTABLES) <= 20
    finally:
        ours.config.max_plans = old


def test_a_state_dict_outlives_its_model():
    model = ours.nn.Sequential(ours.nn.Linear(2, 3), ours.nn.BatchNorm1d(3))
    model(ours.ones(4, 2)).sum().item()
    ours.sync()
    want = {k: v.tolist() for k, v in model.state_dict().items()}
    state = model.state_dict()
    del model
    assert {k: v.tolist() for k, v in state.items()} == want


@pytest.mark.slow
def test_ten_thousand_shapes_stay_within_bounded_memory(monkeypatch):
    """Each shape is a plan of its own; plans, executables and nodes are bounded, and no shape compiles anything."""
    from torchlike_asg import events

    monkeypatch.setattr(ours.config, "max_nodes", 30_000)
    x = ours.randn(100, 100)
    sums = np.exp(x.numpy() * 2.0 + 1).cumsum(0).cumsum(1)

    def run(rows, columns):
        return (x[:rows, :columns] * 2 + 1).exp().sum().item()

    for rows in range(1, 41):
        for columns in range(1, 101):
            run(rows, columns)
    compiled = []
    stop = events.subscribe("kernel_compiled", compiled.append)
    before = resident()
    try:
        for rows in range(41, 101):
            for columns in range(1, 101):
                assert run(rows, columns) == pytest.approx(sums[rows - 1, columns - 1], rel=1e-4)
    finally:
        stop()
    assert len(plan.PLANS) <= ours.config.max_plans and len(plan.EXECUTABLES) <= ours.config.max_plans
    assert len(compiled) == 0 and resident() - before < 40
