"""Repeated steps of public scripts settle: after the first few they record no new node and build no new plan.

Nodes and plans do not depend on who computes them, so the NumPy reference does: nothing is compiled.
"""

import pytest

import torchlike_asg as torch
from torchlike_asg import asg, config, events
from torchlike_asg.asg import arena

from .changing import BRANCHING, SETTLING
from .loops import LOOPS

#: steps until a loop has settled: numbers that change have become data, and what later plans need is kept by earlier ones
SETTLED = 4


@pytest.fixture(autouse=True)
def _reference(monkeypatch):
    monkeypatch.setattr(config, "backend", "reference")
    arena.collect()  # inputs of earlier tests are the same nodes: numbers seen beside them have a loop settle by another way


@pytest.mark.filterwarnings("ignore:.*weight_norm:FutureWarning")
@pytest.mark.parametrize("loop", [*LOOPS, *SETTLING], ids=lambda f: f.__name__)
def test_repeated_steps_record_nothing_and_build_nothing(loop):
    torch.manual_seed(0)
    steps = loop(torch)
    for _ in range(SETTLED):
        next(steps)
    reasons = []
    stop = events.subscribe("cache_miss", lambda event: reasons.append(event.reason))
    before = asg.stats()
    for _ in range(4):
        next(steps)
    stop()
    after = asg.stats()
    assert [after[k] - before[k] for k in ("nodes", "plans")] == [0, 0], reasons


@pytest.mark.parametrize("loop", BRANCHING, ids=lambda f: f.__name__)
def test_a_step_whose_way_was_gone_before_builds_nothing(loop):
    """What was met twice is known: plans are as many as the ways, however long the loop goes on, and each has a reason."""
    torch.manual_seed(0)
    steps, ways, again, reasons = loop(torch), [], 0, []
    for _ in range(SETTLED):
        ways.append(next(steps))
    stop = events.subscribe("cache_miss", lambda event: reasons.append(event.reason))
    for _ in range(24):
        before, told = asg.stats(), len(reasons)
        way = next(steps)
        built = asg.stats()["plans"] - before["plans"]
        assert built == len(reasons) - told and all(reasons)
        if ways.count(way) >= 2:
            again += 1
            assert built == 0, (way, reasons[told:])
        ways.append(way)
    stop()
    assert again >= 8
