from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import torchlike_asg as ours
from torchlike_asg.metrics import MAE, MAPE, MSE, RMSE, ExplainedVariance, MaxError, RSquared

METRICS = {
    MSE: "mean_squared_error",
    RMSE: "root_mean_squared_error",
    MAE: "mean_absolute_error",
    MAPE: "mean_absolute_percentage_error",
    RSquared: "r2_score",
    ExplainedVariance: "explained_variance_score",
    MaxError: "max_error",
}

values = st.lists(st.integers(-100, 100).map(lambda n: n / 8), min_size=2, max_size=40)


@pytest.fixture(scope="module")
def sklearn() -> Any:
    return pytest.importorskip("sklearn.metrics")


@settings(deadline=None)
@given(true=values, seed=st.integers(0, 100), metric=st.sampled_from(sorted(METRICS, key=str)))
def test_against_sklearn(sklearn: Any, true: list[float], seed: int, metric: Any) -> None:
    predicted = np.array(true) + np.random.default_rng(seed).integers(-2, 3, len(true))
    assert metric()(predicted, true) == pytest.approx(getattr(sklearn, METRICS[metric])(true, predicted), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("multioutput", ["uniform_average", "variance_weighted", "raw_values"])
@pytest.mark.parametrize("metric", [RSquared, ExplainedVariance])
def test_several_outputs_are_sklearns(sklearn: Any, metric: Any, multioutput: Any) -> None:
    generator = np.random.default_rng(0)
    true = generator.standard_normal((50, 3)) * [1, 10, 0] + 5  # the last output is constant
    predicted = true + generator.standard_normal((50, 3)) + 1
    want = getattr(sklearn, METRICS[metric])(true, predicted, multioutput=multioutput)
    np.testing.assert_allclose(metric(multioutput)(predicted, true), want)
    np.testing.assert_allclose(metric(multioutput)(true, true), getattr(sklearn, METRICS[metric])(true, true, multioutput=multioutput))


@settings(deadline=None)
@given(data=st.data(), true=values, metric=st.sampled_from(sorted(METRICS, key=str)))
def test_batches_give_what_all_at_once_gives(data: Any, true: list[float], metric: Any) -> None:
    predicted = np.array(data.draw(st.lists(st.integers(-9, 9), min_size=len(true), max_size=len(true)))) / 4
    at = sorted(data.draw(st.lists(st.integers(0, len(true)), max_size=4)))
    parts = metric()
    for start, stop in zip([0, *at], [*at, len(true)], strict=True):
        parts.update(predicted[start:stop], true[start:stop])
    assert parts.compute() == pytest.approx(metric()(predicted, true), rel=1e-9, abs=1e-12)


def test_streamed_r_squared_is_accurate_far_from_zero(sklearn: Any) -> None:
    generator = np.random.default_rng(0)
    true = 1e8 + generator.standard_normal(3000)
    predicted = true + 0.1 * generator.standard_normal(3000)
    metric = RSquared()
    for part in range(0, 3000, 7):
        metric.update(predicted[part : part + 7], true[part : part + 7])
    assert metric.compute() == pytest.approx(sklearn.r2_score(true, predicted), rel=1e-6)


def test_shapes() -> None:
    assert MSE()(ours.tensor([[1.0], [2.0]]), ours.tensor([1.0, 4.0])) == 2.0  # (N, 1) against (N,)
    assert MAE()(3.0, 5.0) == 2.0
    for predicted, true in (([1.0, 2.0], [1.0]), (np.ones((2, 3)), np.ones((3, 2)))):
        with pytest.raises(ValueError, match="do not match"):
            MSE().update(predicted, true)


def test_nan_is_not_hidden() -> None:
    for metric in METRICS:
        assert np.isnan(metric()([1.0, float("nan"), 2.0], [1.0, 1.0, 3.0])), metric


def test_mape_options() -> None:
    assert MAPE()([9.0, 22.0], [10.0, 20.0]) == pytest.approx(0.1)
    assert MAPE(percent=True)([9.0, 22.0], [10.0, 20.0]) == pytest.approx(10)
    assert MAPE(epsilon=1.0)([0.5], [0.0]) == 0.5


def test_rmse_is_not_the_mean_of_batch_values() -> None:
    metric = RMSE()
    metric.update([0.0], [3.0])
    metric.update([0.0], [4.0])
    assert metric.compute() == pytest.approx(np.sqrt(12.5))


def test_too_few_samples_for_a_variance() -> None:
    assert np.isnan(RSquared()([1.0], [1.0])) and np.isnan(ExplainedVariance()([1.0], [1.0]))


@pytest.mark.parametrize("metric", METRICS)
def test_reset_and_empty(metric: Any) -> None:
    each = metric()
    with pytest.raises(RuntimeError, match="called before any data"):
        each.compute()
    each.update([1.0, 2.0], [5.0, 3.0])
    each.reset()
    with pytest.raises(RuntimeError, match="called before any data"):
        each.compute()
    assert each([1.0, 2.0, 4.0], [1.0, 2.0, 4.0]) == (1.0 if each.higher_is_better else 0.0)


def test_unknown_multioutput() -> None:
    with pytest.raises(ValueError, match="multioutput"):
        RSquared("mean")
