"""Rates against torch over many steps, and the warm-ups of our own."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import torchlike_asg as ours

from .schedules import SCHEDULES, optimizer_of, rates_of


@pytest.mark.parametrize("name", SCHEDULES)
def test_same_rates(torch: Any, name: str) -> None:
    theirs, mine = (rates_of(package, SCHEDULES[name], 40) for package in (torch, ours))
    assert mine == pytest.approx(theirs, rel=1e-12, abs=1e-15)


@pytest.mark.parametrize("name", ["cyclic", "one cycle", "three phases"])
def test_betas_cycle_like_momenta(torch: Any, name: str) -> None:
    theirs, mine = (rates_of(package, SCHEDULES[name], 39, "AdamW") for package in (torch, ours))
    assert mine == pytest.approx(theirs, rel=1e-12, abs=1e-15)


@pytest.mark.parametrize(
    "name",
    ["lambda", "step", "milestones", "constant", "linear", "exponential", "polynomial", "cosine", "restarts", "one cycle", "sequence"],
)
def test_rates_that_are_tensors(torch: Any, name: str) -> None:
    """They are written in place: whoever holds one sees it change."""
    theirs, mine = (rates_of(p, SCHEDULES[name], 12, lr=(p.tensor(0.5), p.tensor([0.02]))) for p in (torch, ours))
    assert mine == pytest.approx(theirs, rel=1e-5)
    rate = ours.tensor(0.5)
    optimizer = optimizer_of(ours, lr=(rate, 0.1))
    scheduler = ours.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
    optimizer.step()
    scheduler.step()
    assert rate.item() == 0.25 and optimizer.param_groups[0]["lr"] is rate
    scheduler.get_last_lr()[0].fill_(9.0)
    assert rate.item() == 0.25


@pytest.mark.parametrize(
    "name", ["lambda", "step", "milestones", "constant", "linear", "exponential", "polynomial", "cosine", "multiplicative"]
)
def test_steps_to_a_given_epoch(torch: Any, name: str) -> None:
    epochs = [3, 4, 9, 2, 0, 17]
    theirs, mine = (rates_of(package, SCHEDULES[name], 6, epochs=epochs) for package in (torch, ours))
    assert mine == pytest.approx(theirs, rel=1e-12)


@pytest.mark.parametrize("name", ["restarts", "longer restarts"])
def test_restarts_at_fractions_of_epochs(torch: Any, name: str) -> None:
    epochs = [0.25, 0.5, 2.75, 3.0, 9.5, 11.0, 30.5, None, None, None]
    theirs, mine = (rates_of(package, SCHEDULES[name], 10, epochs=epochs) for package in (torch, ours))
    assert mine == pytest.approx(theirs, rel=1e-12)


@given(st.integers(1, 12), st.floats(0.05, 1.2), st.floats(0.0, 0.4), st.integers(1, 3), st.integers(0, 25))
@settings(max_examples=25, deadline=None)
def test_random_parameters(torch: Any, length: int, gamma: float, least: float, times: int, steps: int) -> None:
    makes: list[Any] = [
        lambda s, o: s.StepLR(o, length, gamma),
        lambda s, o: s.MultiStepLR(o, [length, 2 * length, length + times], gamma),
        lambda s, o: s.CosineAnnealingLR(o, length, least),
        lambda s, o: s.CosineAnnealingWarmRestarts(o, length, times, least),
        lambda s, o: s.LinearLR(o, min(1.0, gamma), least, length),
        lambda s, o: s.PolynomialLR(o, length, gamma),
        lambda s, o: s.CyclicLR(o, least, gamma, length, times, mode=("triangular", "triangular2", "exp_range")[times - 1], gamma=0.97),
        lambda s, o: s.OneCycleLR(o, gamma, total_steps=steps + 2 + 4 * length, pct_start=0.13 + least / 2, three_phase=times == 2),
        lambda s, o: s.SequentialLR(o, [s.LinearLR(o, 0.5, 1.0, length), s.ExponentialLR(o, gamma)], [length]),
    ]
    for make in makes:
        theirs, mine = (rates_of(package, make, steps) for package in (torch, ours))
        assert mine == pytest.approx(theirs, rel=1e-9, abs=1e-12)


PLATEAUS: list[dict[str, Any]] = [
    {},
    {"factor": 0.5, "patience": 1},
    {"mode": "max", "patience": 0, "threshold": 0.1, "threshold_mode": "abs"},
    {"mode": "max", "patience": 2, "cooldown": 2, "factor": 0.3, "threshold": 0.05},
    {"patience": 0, "factor": 0.2, "min_lr": [0.1, 0.001], "threshold_mode": "abs"},
    {"patience": 0, "factor": 0.5, "min_lr": 0.004, "eps": 1e-3},
]


@pytest.mark.parametrize("options", PLATEAUS)
def test_plateau(torch: Any, options: dict[str, Any]) -> None:
    metrics = [
        5.0,
        4.0,
        4.1,
        3.9999,
        3.9999,
        4.2,
        float("nan"),
        3.0,
        3.0,
        3.1,
        3.2,
        2.99999,
        7.0,
        7.1,
        0.5,
        0.5,
        0.5,
        0.5,
        9.0,
        9.5,
        9.6,
    ] * 2

    def run(package: Any) -> list[Any]:
        optimizer = optimizer_of(package)
        scheduler = package.optim.lr_scheduler.ReduceLROnPlateau(optimizer, **options)
        found = []
        for i, metric in enumerate(metrics):
            scheduler.step(package.tensor(metric, dtype=package.float64) if i % 2 else metric)
            state = {k: v for k, v in scheduler.state_dict().items() if k != "best" or not math.isnan(v)}
            found += [[g["lr"] for g in optimizer.param_groups], state]
            if i == 20:
                other = package.optim.lr_scheduler.ReduceLROnPlateau(optimizer, **options)
                other.load_state_dict(scheduler.state_dict())
                scheduler = other
        return found

    assert run(ours) == run(torch)


# ---------------------------------------------------------------- our own
def test_linear_warmup() -> None:
    make = lambda s, o: s.LinearWarmup(o, 5)  # noqa: E731
    rates = rates_of(ours, make, 12)[::4]
    assert rates == pytest.approx([0.5 * min(1.0, t / 5) for t in range(13)])
    assert rates_of(ours, lambda s, o: s.LinearWarmup(o, 0), 3)[::4] == [0.5] * 4


def test_warmup_and_cosine() -> None:
    make = lambda s, o: s.WarmupCosine(o, 4, 14, min_lr=0.1)  # noqa: E731
    rates = rates_of(ours, make, 40)[::4]
    assert rates[:5] == pytest.approx([0.5 * t / 4 for t in range(5)])
    assert rates[4:15] == pytest.approx([0.1 + 0.4 * (1 + math.cos(math.pi * (t - 4) / 10)) / 2 for t in range(4, 15)])
    assert rates[14:] == [0.1] * 27  # stays down


def test_warmup_without_anything_after() -> None:
    rates = rates_of(ours, lambda s, o: s.WarmupCosine(o, 3, 3), 6)[::4]
    assert rates == pytest.approx([0.0, 0.5 / 3, 1 / 3, 0.5, 0.0, 0.0, 0.0])


@pytest.mark.parametrize(
    "make", [lambda s, o: s.LinearWarmup(o, -1), lambda s, o: s.WarmupCosine(o, 2.5, 4), lambda s, o: s.WarmupCosine(o, 5, 4)]
)
def test_warmups_check_their_lengths(make: Any) -> None:
    with pytest.raises(ValueError, match="Expected"):
        make(ours.optim.lr_scheduler, optimizer_of(ours))


@pytest.mark.parametrize("make", [lambda s, o: s.LinearWarmup(o, 6), lambda s, o: s.WarmupCosine(o, 3, 12)])
def test_warmups_resume(make: Any) -> None:
    straight = rates_of(ours, make, 15)
    optimizer = optimizer_of(ours)
    scheduler = make(ours.optim.lr_scheduler, optimizer)
    for _ in range(5):
        optimizer.step()
        scheduler.step()
    continued = optimizer_of(ours)
    other = make(ours.optim.lr_scheduler, continued)
    other.load_state_dict(scheduler.state_dict())
    for _ in range(10):
        continued.step()
        other.step()
    assert other.get_last_lr() == pytest.approx(straight[-4:-2])
