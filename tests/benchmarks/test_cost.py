"""What recording costs, and what steps take. Timed only on request, see README.md beside this file; otherwise each runs once."""

import pytest

import torchlike_asg as ours
from torchlike_asg.compiler import plan

from . import models

pytestmark = pytest.mark.benchmark


@pytest.fixture
def dry():
    """Plans give the values of their first run again, so that a step costs its Python alone."""
    values = {}
    run = plan.Plan.run

    def replayed(self, tr, donated=()):
        self.bind(tr)
        known = values.get(self)
        if known is None:
            run(self, tr)
            values[self] = {n: tr.known[n] for n in self.outputs}
        else:
            tr.known.update(known)

    plan.Plan.run = replayed
    yield
    plan.Plan.run = run


def warmed(make, steps=4):
    ours.manual_seed(0)
    step = make()
    for _ in range(steps):
        step()
    return step


def test_recording_a_warm_step_of_a_12_layer_gpt(benchmark, dry):
    step = warmed(models.recording_gpt, 6)
    nodes = next(reversed(plan.PLANS.values())).nodes
    before = ours.asg.stats()["nodes"]
    benchmark(step)
    assert ours.asg.stats()["nodes"] == before, "a warm step records nothing new"
    assert nodes > 3000
    if benchmark.enabled:
        benchmark.extra_info |= {"nodes": nodes, "microseconds per node": benchmark.stats.stats.min * 1e6 / nodes}


@pytest.mark.parametrize("name", models.WORKLOADS)
def test_python_of_a_warm_step(benchmark, dry, name):
    step = models.WORKLOADS[name]()
    read = warmed(lambda: lambda: step().item(), 6)
    before = ours.asg.stats()["nodes"], ours.asg.stats()["plans"]
    loss = benchmark(read)
    assert (ours.asg.stats()["nodes"], ours.asg.stats()["plans"]) == before, "a warm step records nothing new"
    assert loss == loss


def test_finding_a_plan(benchmark, dry):
    x = ours.randn(4)

    def lookup():
        (x * 2 + 1).tolist()

    lookup()
    benchmark(lookup)


def test_one_recorded_operation(benchmark):
    x, y = ours.randn(4), ours.randn(4)
    x + y

    def hundred():
        for _ in range(100):
            x + y

    benchmark(hundred)
    ours.sync()


@pytest.mark.parametrize("name", models.WORKLOADS)
def test_first_step(benchmark, name):
    def fresh():
        plan.clear()
        ours.manual_seed(0)
        return (models.WORKLOADS[name](),), {}

    loss = benchmark.pedantic(lambda step: step().item(), setup=fresh, rounds=3)
    assert loss == loss and loss < 1e4


@pytest.mark.parametrize("name", models.WORKLOADS)
def test_warm_step(benchmark, name):
    step = warmed(models.WORKLOADS[name])
    loss = benchmark(lambda: step().item())
    assert loss == loss and loss < 1e4
