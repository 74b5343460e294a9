"""Loops that read in every step, whose traces take several reads once what is computed at these comes in rounds."""

from types import SimpleNamespace

import numpy as np
import pytest

import torchlike_asg as ours
from torchlike_asg import asg
from torchlike_asg.asg.node import COUNTS
from torchlike_asg.asg.trace import current
from torchlike_asg.facade import rhythm

torch = pytest.importorskip("torch")


def trained(T, steps, lengths, decide=lambda step, i: False, seen=None):
    """A recurrence that is read after each of its steps, trained; every third step does more, and where `decide` says so, another thing."""
    T.manual_seed(0)
    cell, head = T.nn.Linear(4, 4), T.nn.Linear(4, 3)
    optimizer = T.optim.SGD([*cell.parameters(), *head.parameters()], lr=0.05)
    losses = []
    for step in range(steps):
        before = COUNTS["flushes"], asg.stats()["plans"]
        state, parts = T.ones(1, 4), []
        for i in range(lengths[step % len(lengths)]):
            state = T.tanh(cell(state)) if not decide(step, i) else state * 0.9
            scores = head(state)
            parts.append(scores[0, scores.argmax().item()].view(1))
            if i % 3 == 2:
                state = state + T.cat(parts[-3:]).sum().exp().view(1, -1) / 8
        loss = T.cat(parts).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.detach())
        if seen is not None:
            seen.append((COUNTS["flushes"] - before[0], asg.stats()["plans"] - before[1]))
    return [*cell.parameters(), *head.parameters(), *losses]


def like_torch(*args, **how):
    for x, y in zip(trained(ours, *args, **how), trained(torch, *args), strict=True):
        np.testing.assert_allclose(x.detach().numpy(), y.detach().numpy(), rtol=1e-4, atol=1e-5)


def test_a_trace_takes_several_rounds_once_nothing_in_the_loop_is_new():
    seen = []
    like_torch(14, [30], seen=seen)
    flushes, plans = zip(*seen, strict=True)
    assert current().rhythm.length == 9
    assert flushes[-1] < 0.7 * flushes[1]  # the backward pass, too, has fewer pieces
    assert plans[-3:] == (0, 0, 0)


def test_loops_of_any_length_have_their_gradients():
    like_torch(24, [30, 41, 27, 9, 35])
    assert current().rhythm.found == 9


def test_a_loop_that_decides_each_time_has_its_traces_end_at_every_read_again(monkeypatch):
    monkeypatch.setattr(rhythm, "_NEW", 10)
    monkeypatch.setattr(rhythm, "_EACH", 0.5)
    found = []
    for T in (ours, torch):
        chance = np.random.default_rng(0)
        found.append(trained(T, 16, [30], lambda step, i, chance=chance: step > 8 and bool(chance.integers(2))))
    for x, y in zip(*found, strict=True):
        np.testing.assert_allclose(x.detach().numpy(), y.detach().numpy(), rtol=1e-4, atol=1e-5)
    assert (current().rhythm.length, current().rhythm.found) == (1, 0)


def test_the_length_of_rounds():
    assert rhythm._round([30] * 24) == 1
    assert rhythm._round([42, 31, 33, 31, 33] * 5) == 5
    assert rhythm._round([int(2 ** (i % 12)) for i in range(24)]) == 0


def test_a_round_of_as_many_reads_as_a_trace_takes_is_found():
    """Returns of trajectories of ten steps: the first of each starts anew."""
    found = rhythm.Rhythm()
    for i in range(40):
        found.read(SimpleNamespace(runs=2, nodes=7 if i % 10 == 3 else 14))
    assert found.found == 10


def test_a_loop_with_many_plans_may_have_many_new_ones():
    """A table's rows are constants: each has plans of its own, whether a trace takes one read or several."""
    for rows, plans, given_up in ((40, 150, False), (4, 150, True)):
        found = rhythm.Rhythm()
        for runs in [1] * rows + [2] * 24:
            found.read(SimpleNamespace(runs=runs, nodes=30))
        found.step(True)
        assert found.length == 10
        for _ in range(plans):
            found.read(SimpleNamespace(runs=1, nodes=30))
        assert (found.length == 1) is given_up
        found.step(True)
        assert (found.length == 1) is given_up
