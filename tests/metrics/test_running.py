from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import torchlike_asg as ours
from torchlike_asg.metrics import ExponentialMovingAverage, RunningMean, RunningMinMax, RunningStd

numbers = st.lists(st.integers(-1000, 1000).map(lambda n: n / 16), min_size=1, max_size=30)


@settings(deadline=None)
@given(values=numbers, cut=st.integers(0, 30))
def test_merged_parts_are_the_whole(values: list[float], cut: int) -> None:
    array = np.array(values)
    for kind, want in (
        (RunningMean, array.mean()),
        (lambda: RunningStd(ddof=0), array.std()),
        (RunningStd, array.std(ddof=1) if len(array) > 1 else math.nan),
        (RunningMinMax, (array.min(), array.max())),
    ):
        whole, left, right = kind(), kind(), kind()
        whole.update(array)
        left.update(array[:cut])
        right.update(array[cut:])
        left.merge(right)
        assert whole.compute() == pytest.approx(want, abs=1e-9, nan_ok=True)
        assert left.compute() == pytest.approx(want, abs=1e-9, nan_ok=True)


def test_std_is_stable_far_from_zero() -> None:
    values = 1e9 + np.random.default_rng(0).standard_normal(10_000)
    running = RunningStd()
    for part in np.split(values, 100):
        running.update(part)
    assert running.compute() == pytest.approx(values.std(ddof=1), rel=1e-6)


def test_std_per_column() -> None:
    rows = np.random.default_rng(0).standard_normal((20, 3))
    running = RunningStd(axis=0)
    running.update(rows[:7])
    running.update(ours.tensor(rows[7:]))
    np.testing.assert_allclose(running.compute(), rows.std(axis=0, ddof=1))
    np.testing.assert_allclose(running.mean, rows.mean(axis=0))
    with pytest.raises(ValueError, match="do not go with earlier ones"):
        running.update(np.ones((2, 4)))


def test_mean_weights() -> None:
    running = RunningMean()
    running.update(1.0, weight=3)
    running.update(5.0, weight=1)
    assert running.compute() == 2.0
    running.update(100.0, weight=0)
    assert running.compute() == 2.0
    with pytest.raises(ValueError, match="must not be negative"):
        running.update(1.0, weight=-1)


def test_range() -> None:
    running = RunningMinMax()
    running.update([3, -1, 2])
    assert running.compute() == (-1.0, 3.0) and running.range == 4.0


@given(values=numbers, alpha=st.sampled_from([0.1, 0.5, 1.0]))
def test_moving_average(values: list[float], alpha: float) -> None:
    plain, debiased = ExponentialMovingAverage(alpha), ExponentialMovingAverage(alpha, debias=True)
    want = values[0]
    for value in values:
        plain.update(value)
        debiased.update(value)
        want = want + alpha * (value - want)
    weights = alpha * (1 - alpha) ** np.arange(len(values))[::-1]
    assert plain.compute() == pytest.approx(want, abs=1e-9)
    assert debiased.compute() == pytest.approx(np.sum(weights * values) / np.sum(weights), abs=1e-9)


def test_moving_average_of_a_span() -> None:
    assert ExponentialMovingAverage.from_span(9).alpha == pytest.approx(0.2)
    with pytest.raises(ValueError, match="span"):
        ExponentialMovingAverage.from_span(0.5)
    for alpha in (0.0, 1.5, math.nan):
        with pytest.raises(ValueError, match="alpha"):
            ExponentialMovingAverage(alpha)


@pytest.mark.parametrize("kind", [RunningMean, RunningStd, RunningMinMax, lambda **o: ExponentialMovingAverage(1.0, **o)])
def test_nan_policies(kind: Any) -> None:
    data = [1.0, math.nan, 3.0]
    spread = kind(nan_policy="propagate")
    spread.update(data)
    spread.update(2.0)
    result = spread.compute()
    assert np.isnan(result).all() or isinstance(spread, ExponentialMovingAverage)
    left_out, clean = kind(nan_policy="omit"), kind()
    left_out.update(data)
    clean.update([1.0, 3.0])
    assert left_out.compute() == clean.compute()
    with pytest.raises(ValueError, match="was given NaN"):
        kind(nan_policy="raise").update(data)
    with pytest.raises(ValueError, match="nan_policy must be"):
        kind(nan_policy="ignore")


@pytest.mark.parametrize("kind", [RunningMean, RunningStd, RunningMinMax, ExponentialMovingAverage])
def test_reset_and_empty(kind: Any) -> None:
    running = kind()
    with pytest.raises(RuntimeError, match="has seen no data"):
        running.compute()
    running.update([1.0, 2.0])
    running.reset()
    with pytest.raises(RuntimeError, match="has seen no data"):
        running.compute()


def test_only_like_merges_with_like() -> None:
    with pytest.raises(TypeError, match="cannot merge RunningStd into RunningMean"):
        RunningMean().merge(RunningStd())
