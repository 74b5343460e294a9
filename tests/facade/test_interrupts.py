"""Ctrl-C at any moment of a training step: the step happened or it did not, and training goes on."""

import os
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest

import torchlike_asg as torch
from torchlike_asg import nn
from torchlike_asg.asg.interrupts import whole
from torchlike_asg.compiler.plan import Plan

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals of a terminal")


@pytest.fixture(autouse=True)
def _handler():
    """The handler of every Python program, whoever runs the tests."""
    old = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, old)


def ctrl_c():
    signal.raise_signal(signal.SIGINT)


def test_the_signal_waits_for_the_end():
    done = []

    @whole
    def work(times):
        for _ in range(times):
            ctrl_c()
        done.append(times)

    with pytest.raises(KeyboardInterrupt):
        work(1)
    assert done == [1]
    with pytest.raises(KeyboardInterrupt):  # somebody insists
        work(2)
    assert done == [1]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    work(0)  # nothing is left over
    assert done == [1, 0]


def test_a_handler_of_the_program_is_called():
    seen = []
    signal.signal(signal.SIGINT, lambda number, frame: seen.append(number))
    order = []

    @whole
    def inner():
        ctrl_c()
        order.append(list(seen))
        return 7

    @whole
    def outer(value):
        order.append(value)
        result = inner()
        order.append(list(seen))
        return result

    assert outer("begun") == 7
    assert order == ["begun", [], []]
    assert seen == [signal.SIGINT]


def test_ignored_signals_and_other_threads():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    assert whole(lambda a: (ctrl_c(), a)[1])(3) == 3
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    signal.signal(signal.SIGINT, signal.default_int_handler)
    found = []
    thread = threading.Thread(target=whole(lambda: found.append(signal.getsignal(signal.SIGINT))))
    thread.start()
    thread.join()
    assert found == [signal.default_int_handler]


def model_and_optimizer():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
    groups = [{"params": list(model[0].parameters()), "lr": 0.1}, {"params": list(model[2].parameters()), "lr": 0.2}]
    return model, torch.optim.Adam(groups)


def step(model, optimizer):
    optimizer.zero_grad()
    model(torch.ones(5, 3)).square().mean().backward()
    optimizer.step()


def values(model):
    return [p.detach().numpy().copy() for p in model.parameters()]


def equal(a, b):
    return all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


@pytest.mark.parametrize("times", [1, 2])
def test_in_the_middle_of_a_step(monkeypatch, times):
    """Once: the step is finished first. Twice: it did not happen (the second comes before anything was overwritten here)."""
    model, optimizer = model_and_optimizer()
    after = [values(model)]
    for _ in range(5):
        step(model, optimizer)
        after.append(values(model))
    model, optimizer = model_and_optimizer()
    step(model, optimizer)
    step(model, optimizer)
    run = Plan.run

    def interrupted(plan, *args):
        monkeypatch.setattr(Plan, "run", run)
        for _ in range(times):
            ctrl_c()
        run(plan, *args)

    monkeypatch.setattr(Plan, "run", interrupted)
    with pytest.raises(KeyboardInterrupt):
        step(model, optimizer)
    happened = 3 if times == 1 else 2
    assert equal(values(model), after[happened])
    step(model, optimizer)
    if times == 1:  # a step that was called off has counted in the optimizer's own clock
        assert equal(values(model), after[4])
    assert all(np.isfinite(v).all() for v in values(model))


def test_a_group_that_is_refused():
    """What was recorded before it happens, as in PyTorch, and the next step starts from there."""
    model, optimizer = model_and_optimizer()
    step(model, optimizer)
    before = values(model)
    optimizer.param_groups[1]["lr"] = "fast"
    with pytest.raises((TypeError, ValueError)):
        step(model, optimizer)
    first = values(model)
    assert not equal(before[:2], first[:2]) and equal(before[2:], first[2:])
    optimizer.param_groups[1]["lr"] = 0.2
    step(model, optimizer)
    assert not equal(first[2:], values(model)[2:])


RANDOM = """
import random, signal, sys
import numpy as np
import torchlike_asg as torch
from torchlike_asg import nn

random.seed(3)
kind = sys.argv[1]
X, Y = torch.randn(64, 16, 6), torch.randint(0, 3, (64, 16))

def make():
    torch.manual_seed(0)
    norm = nn.BatchNorm1d(8) if kind == "norm" else nn.GELU()
    # without the bias that a normalisation takes out again: Adam makes whole steps of the rounding error that is its gradient
    model = nn.Sequential(nn.Linear(6, 8, bias=kind != "norm"), norm, nn.Linear(8, 3))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    model.kept = [p.detach() for p in model.parameters()] if kind == "views" else []
    return model, optimizer

def count(model, optimizer):
    state = optimizer.state[model[0].weight]
    return int(state["step"]) if "step" in state else 0

def step(model, optimizer):
    k = count(model, optimizer) % 64
    optimizer.zero_grad()
    loss = nn.functional.cross_entropy(model(X[k]), Y[k])
    loss.backward()
    if kind == "read":
        float(loss)
    optimizer.step()

def values(model):
    return np.concatenate([p.detach().numpy().ravel() for p in model.parameters()])

model, optimizer = make()
table = [values(model)]
for _ in range(200):
    step(model, optimizer)
    table.append(values(model))
model, optimizer = make()
step(model, optimizer)
signal.signal(signal.SIGPROF, lambda *_: signal.raise_signal(signal.SIGINT))
for _ in range(int(sys.argv[2])):
    try:  # repeated: Python drops an exception that meets the callback of a dying object. (Processor time: here the machine may be busy.)
        signal.setitimer(signal.ITIMER_PROF, random.uniform(0.0005, 0.003), 0.5)
        while True:
            if count(model, optimizer) > 150:
                model, optimizer = make()
            step(model, optimizer)
    except KeyboardInterrupt:
        signal.setitimer(signal.ITIMER_PROF, 0)
    if not torch.is_grad_enabled():  # PyTorch's own no_grad stays on if its end is interrupted
        torch.set_grad_enabled(True)
        model, optimizer = make()
    step(model, optimizer)
    done = count(model, optimizer)
    assert np.allclose(values(model), table[done], atol=1e-6), done  # one step moves them by 1e-2
print("all is well")
"""


@pytest.mark.parametrize("kind", ["plain", "views", "norm", "read"])
def test_at_random_moments(kind):
    """Every step counts once and whole, wherever it was interrupted: the parameters are those of a run that nobody interrupted."""
    out = subprocess.run([sys.executable, "-c", RANDOM, kind, "100"], capture_output=True, text=True, timeout=300)
    assert out.stdout.strip() == "all is well", out.stderr
