"""What is heard of a training loop, and how little is done for it where steps are quick."""

import math

import numpy as np
import pytest

import torchlike_asg as torch
from torchlike_asg import nn
from torchlike_asg.compiler import execution
from torchlike_asg.viewer import loss_log, taps
from torchlike_asg.viewer.points import Points
from torchlike_asg.viewer.probe import Governor, Pace

from .models import Tiny


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Steps count as quick however busy the machine is."""
    monkeypatch.setattr(taps, "SLOW", math.inf)


def loop(model, lr=0.1):
    """A function that does one step and gives its loss."""
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    x, y = torch.randn(16, 6), torch.randint(0, 3, (16,))

    def step():
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return step


def curves(points):
    found = {}
    for m in points.take():
        found.setdefault(m.name, []).extend(zip(m.steps.tolist(), m.values.tolist(), strict=True))
    return found


def test_every_loss_is_heard_and_plans_only_when_asked_for():
    step, original = loop(Tiny()), execution.execute_plan
    tap = taps.Tap()
    taps.add(tap)
    points = Points(tap)
    try:
        losses = [step() for _ in range(40)]
        assert execution.execute_plan is original  # steps are quick, and the first ones have been looked at
        assert len(tap.fresh) >= 1
        seen = len(tap.marks)
        assert taps.FIRST <= seen < 40
        tap.ask()
        losses += [step() for _ in range(3)]
        assert len(tap.marks) == seen + 2  # the end of the step before, and the step
        found = curves(points)
    finally:
        taps.remove(tap)
    assert found["loss"] == [(k + 1, loss.item()) for k, loss in enumerate(losses)]
    assert found["lr"] == [(1, 0.1)]
    assert points.bad == 0


def test_of_very_quick_steps_some_are_heard_and_all_are_counted():
    step = loop(Tiny())
    tap = taps.Tap()
    taps.add(tap)
    try:
        for _ in range(taps.FIRST):
            step()
        tap.every = 5
        losses = [step().item() for _ in range(50)]
        heard = [(k, loss) for k, loss, _ in tap.log.points if k > taps.FIRST]
    finally:
        taps.remove(tap)
    assert tap.steps == taps.FIRST + 50
    assert 9 <= len(heard) <= 11
    assert all(losses[k - taps.FIRST - 1] == loss for k, loss in heard)


def test_two_optimizers_have_curves_of_their_own():
    first, second = loop(Tiny(), 0.1), loop(Tiny(), 0.2)
    tap = taps.Tap()
    taps.add(tap)
    points = Points(tap)
    try:
        losses = [[f().item() for f in (first, second)] for _ in range(12)]
        found = curves(points)
    finally:
        taps.remove(tap)
    assert [loss for _, loss in found["loss 1"]] == [a for a, _ in losses]
    assert [loss for _, loss in found["loss 2"]] == [b for _, b in losses]
    assert found["lr 2"] == [(2, 0.2)]


def test_the_curve_shows_the_loss_and_not_what_a_scaler_made_of_it():
    model = Tiny()
    optimizer, scaler = torch.optim.SGD(model.parameters(), lr=0.1), torch.amp.GradScaler("cpu", init_scale=1024.0)
    tap = taps.Tap()
    taps.add(tap)
    try:
        losses = []
        for _ in range(12):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(torch.randn(16, 6)), torch.randint(0, 3, (16,)))
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
            losses.append(loss.item())
        found = [loss for _, loss, _ in tap.log.points]
    finally:
        taps.remove(tap)
    assert found == losses


def test_the_first_bad_loss_is_told():
    tap = taps.Tap()
    points = Points(tap)
    tap.log.points += [(1, 0.5, 0), (2, np.nan, 0), (3, np.inf, 0)]
    tap.log.first -= 3
    points.take()
    assert (points.bad, points.well) == (2, False)
    tap.log.points.append((4, 0.5, 0))
    points.take()
    assert (points.bad, points.well) == (0, True)


def test_times_lie_between_those_that_are_known():
    tap = taps.Tap()
    points = Points(tap)
    tap.log.points += [(k, 1.0, 0) for k in range(1, 5)]
    tap.marks.append((2, 10.0, None, 0))
    tap.log.first, tap.begun = tap.log.first - 4, taps._clock() - 20.0
    (curve,) = points.take()
    assert np.allclose(curve.times, [5.0, 10.0, 15.0, 20.0], atol=0.1)


def test_points_that_nobody_takes_are_thinned_and_counted():
    tap = taps.Tap()
    tap.log.points += [(k, 0.0, 0) for k in range(loss_log.MOST_POINTS + 1)]
    tap.log.thin(tap.log.points)
    assert len(tap.log.points) + tap.log.dropped == loss_log.MOST_POINTS + 1
    assert tap.log.dropped == loss_log.MOST_POINTS // 4
    assert tap.log.points[0][0] == 0
    assert tap.log.points[-1][0] == loss_log.MOST_POINTS


def test_a_governor_pays_from_what_time_has_passed():
    governor = Governor(share=0.01, credit=0.1, now=0.0)
    assert governor.allows(0.1, now=0.0)
    governor.spend(0.2)
    assert not governor.allows(0.05, now=10.0)
    assert governor.allows(0.05, now=15.5)
    assert governor.allows(5.0, now=100.0)  # dearer than the account is large: when it is full


def test_the_pace_follows_the_share_of_the_processor_time():
    pace = Pace(share=0.01, shortest=0.1, longest=0.5)
    assert pace.pause((0.0, 0.0, 0.0)) == 0.1
    assert pace.pause((0.0001, 1.0, 1.0)) == 0.1
    assert np.isclose(pace.pause((0.0031, 2.0, 2.0)), 0.3)  # 3 ms of a processor that is all ours
    assert np.isclose(pace.pause((0.0041, 2.25, 3.0)), 0.4)  # 1 ms of a quarter of one
    assert pace.pause((1.0, 3.0, 4.0)) == 0.5
