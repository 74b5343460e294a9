"""Repeated steps of public scripts settle: after the first few they record no new node and build no new plan.

Nodes and plans do not depend on who computes them, so the NumPy reference does: nothing is compiled.
"""

import pytest

import torchlike_asg as torch
from torchlike_asg import asg, config, events

from .loops import LOOPS

#: steps until a loop has settled: numbers that change have become data, and what later plans need is kept by earlier ones
SETTLED = 4


@pytest.fixture(autouse=True)
def _reference(monkeypatch):
    monkeypatch.setattr(config, "backend", "reference")


@pytest.mark.filterwarnings("ignore:.*weight_norm:FutureWarning")
@pytest.mark.parametrize("loop", LOOPS, ids=lambda f: f.__name__)
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
