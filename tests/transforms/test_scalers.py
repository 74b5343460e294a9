from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import torchlike_asg as ours
from torchlike_asg.transforms import MinMaxScaler, StandardScaler


@pytest.fixture(scope="module")
def sklearn() -> Any:
    return pytest.importorskip("sklearn.preprocessing")


def table(seed: int, rows: int = 20) -> np.ndarray[Any, Any]:
    x = np.random.default_rng(seed).standard_normal((rows, 4)) * [1, 100, 0.01, 0] + [0, 5, -3, 7]
    return x  # the last feature is constant


@settings(deadline=None)
@given(seed=st.integers(0, 50), cut=st.integers(1, 19))
def test_against_sklearn(sklearn: Any, seed: int, cut: int) -> None:
    train, test = table(seed), table(seed + 1)
    for mine, theirs in (
        (MinMaxScaler(), sklearn.MinMaxScaler()),
        (MinMaxScaler((-2, 3)), sklearn.MinMaxScaler((-2, 3))),
        (MinMaxScaler(clip=True), sklearn.MinMaxScaler(clip=True)),
        (StandardScaler(), sklearn.StandardScaler()),
        (StandardScaler(with_mean=False), sklearn.StandardScaler(with_mean=False)),
        (StandardScaler(with_std=False), sklearn.StandardScaler(with_std=False)),
    ):
        theirs.fit(train)
        np.testing.assert_allclose(mine.fit(train).transform(test), theirs.transform(test), rtol=1e-7, atol=1e-9)
        np.testing.assert_allclose(mine.inverse_transform(test), theirs.inverse_transform(test), rtol=1e-7, atol=1e-9)
        in_parts = mine.fit(train[:cut]).partial_fit(train[cut:]).transform(test)
        np.testing.assert_allclose(in_parts, theirs.transform(test), rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("scaler", [MinMaxScaler(), StandardScaler()])
def test_kinds_and_dtypes(scaler: Any) -> None:
    x = table(0).astype(np.float32)
    scaled = scaler.fit_transform(ours.tensor(x))
    assert type(scaled) is ours.Tensor and scaled.dtype is ours.float32
    np.testing.assert_array_equal(scaled.numpy(), scaler(x))
    np.testing.assert_allclose(scaler.inverse_transform(scaled).numpy(), x, rtol=1e-4, atol=1e-5)
    assert scaler(x[0]).shape == (4,)  # one sample
    assert scaler.fit(np.arange(6).reshape(3, 2))(np.arange(6).reshape(3, 2)).dtype == np.float32


def test_all_elements_together() -> None:
    x = np.array([[0.0, 10.0], [5.0, 20.0]])
    assert MinMaxScaler(per_feature=False).fit(x)(x).tolist() == [[0, 0.5], [0.25, 1]]
    assert StandardScaler(per_feature=False).fit(x)(x).mean() == pytest.approx(0)
    assert MinMaxScaler(per_feature=False).fit([0.0, 4.0])(2.0) == 0.5


def test_fit_forgets_partial_fit_does_not() -> None:
    scaler = MinMaxScaler().fit([[0.0], [10.0]])
    assert scaler.fit([[0.0], [1.0]])([[1.0]]).tolist() == [[1.0]]
    assert scaler.partial_fit([[2.0]])([[1.0]]).tolist() == [[0.5]]


@pytest.mark.parametrize("kind", [MinMaxScaler, StandardScaler])
def test_errors(kind: Any) -> None:
    with pytest.raises(RuntimeError, match=r"not fitted: call fit\(\) on the training data"):
        kind()(np.ones((2, 2)))
    with pytest.raises(RuntimeError, match="not fitted"):
        kind().inverse_transform(np.ones((2, 2)))
    with pytest.raises(ValueError, match="fitted on 4 features, got data of shape"):
        kind().fit(table(0))(np.ones((2, 3)))
    with pytest.raises(ValueError, match="on no data"):
        kind().fit(np.ones((0, 3)))
    with pytest.raises(ValueError, match="NaN or infinite"):
        kind().fit([[1.0], [float("nan")]])
    with pytest.raises(ValueError, match="features"):
        kind().fit(table(0)).partial_fit(np.ones((2, 3)))
    with pytest.raises(ValueError, match="low < high"):
        MinMaxScaler((1.0, 1.0))


@pytest.mark.parametrize("kind", [MinMaxScaler, StandardScaler])
def test_state_round_trip(kind: Any) -> None:
    first, second = kind().fit(table(0)), kind()
    second.load_state_dict(json.loads(json.dumps(first.state_dict())))
    np.testing.assert_array_equal(second(table(1)), first(table(1)))
    np.testing.assert_allclose(second.partial_fit(table(2))(table(1)), first.partial_fit(table(2))(table(1)))
    with pytest.raises(KeyError, match="has no 'other'"):
        second.load_state_dict({"other": 1})
