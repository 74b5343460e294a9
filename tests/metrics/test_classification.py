from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import torchlike_asg as ours
from torchlike_asg.metrics import (
    AUCROC,
    Accuracy,
    AveragePrecision,
    BinaryConfusionMatrix,
    F1Score,
    MultiClassConfusionMatrix,
    Precision,
    Recall,
    TopKAccuracy,
    label_pairs,
)

METRICS = {"precision": Precision, "recall": Recall, "f1": F1Score}


@pytest.fixture(scope="module")
def sklearn() -> Any:
    return pytest.importorskip("sklearn.metrics")


@st.composite
def labels(draw: Any, classes: int = 4) -> tuple[list[int], list[int]]:
    size = draw(st.integers(1, 40))
    each = st.lists(st.integers(0, classes - 1), min_size=size, max_size=size)
    return draw(each), draw(each)


@st.composite
def cuts(draw: Any, size: int) -> list[int]:
    return sorted(draw(st.lists(st.integers(0, size), max_size=4)))


def in_batches(metric: Any, predictions: Any, targets: Any, at: list[int]) -> Any:
    """The result of updating with the pieces between the cuts (some may be empty)."""
    for start, stop in zip([0, *at], [*at, len(targets)], strict=True):
        metric.update(predictions[start:stop], targets[start:stop])
    return metric.compute()


# ---------------------------------------------------------------- inputs
@pytest.mark.parametrize("make", [np.asarray, ours.tensor, list], ids=["array", "tensor", "list"])
def test_kinds_of_input(make: Any) -> None:
    assert Accuracy()(make([0, 1, 2, 2]), make([0, 1, 1, 2])) == 0.75
    assert Accuracy()(make([[0.1, 0.9], [0.8, 0.2]]), make([1, 1])) == 0.5  # scores per class
    assert Accuracy()(make([[0.1, 0.9], [0.8, 0.2]]), make([[0, 1], [0, 1]])) == 0.5  # one-hot
    assert Accuracy()(make([0.2, 0.5, 0.7]), make([0, 1, 1])) == 1.0  # binary scores, 0.5 counts as positive
    assert Accuracy()(make([[0.2], [0.5]]), make([0.0, 1.0])) == 1.0
    assert Accuracy(threshold=0.6)(make([0.2, 0.5, 0.7]), make([0, 1, 1])) == pytest.approx(2 / 3)


def test_tensors_with_history_and_in_half_precision() -> None:
    scores = ours.tensor([[0.25, 0.75], [0.5, 0.25]], requires_grad=True) * 2
    assert Accuracy()(scores, ours.tensor([1, 0])) == 1.0
    assert Accuracy()(scores.detach().to(ours.bfloat16), ours.tensor([1, 0])) == 1.0
    assert Accuracy()(scores.detach().half(), ours.tensor([1, 1])) == 0.5


def test_classes_on_the_second_axis_as_in_losses() -> None:
    scores = np.zeros((2, 3, 4))  # (N, C, L)
    scores[:, 1] = 1.0
    predicted, true = label_pairs(scores, np.full((2, 4), 1))
    assert predicted.tolist() == [1] * 8 == true.tolist()


@pytest.mark.parametrize(
    ("predictions", "targets", "text"),
    [
        ([[0.1, 0.9]], [0, 1], r"need targets of shape \(1,\), got \(2,\)"),
        ([0, 1, 1], [0, 1], "differ in number of elements"),
        ([0.5, float("nan")], [0, 1], "predictions contain NaN"),
        ([0.5, 0.5], [0.0, float("nan")], "targets contain NaN"),
        ([0, -1], [0, 1], "must not be negative"),
    ],
)
def test_input_errors(predictions: Any, targets: Any, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        Accuracy().update(predictions, targets)


def test_text_is_refused() -> None:
    with pytest.raises(TypeError, match="metrics take numbers"):
        Accuracy().update(["a"], ["b"])


# ---------------------------------------------------------------- against scikit-learn
@settings(deadline=None)
@given(pair=labels())
def test_accuracy_is_sklearns(sklearn: Any, pair: Any) -> None:
    predicted, true = pair
    assert Accuracy()(predicted, true) == pytest.approx(sklearn.accuracy_score(true, predicted))


@settings(deadline=None)
@given(
    pair=labels(),
    name=st.sampled_from(sorted(METRICS)),
    average=st.sampled_from(["micro", "macro", "weighted", None]),
    zero=st.sampled_from([0.0, 1.0]),
)
def test_ratios_are_sklearns(sklearn: Any, pair: Any, name: str, average: Any, zero: float) -> None:
    predicted, true = pair
    score = getattr(sklearn, f"{name}_score")
    want = score(true, predicted, average=average, zero_division=zero, labels=range(4))
    assert METRICS[name](average, num_classes=4, zero_division=zero)(predicted, true) == pytest.approx(want)
    if average in ("macro", "weighted"):  # over the classes that occur
        assert METRICS[name](average, zero_division=zero)(predicted, true) == pytest.approx(
            score(true, predicted, average=average, zero_division=zero)
        )


@settings(deadline=None)
@given(pair=labels(classes=2), name=st.sampled_from(sorted(METRICS)))
def test_binary_ratios_are_sklearns(sklearn: Any, pair: Any, name: str) -> None:
    predicted, true = pair
    assert METRICS[name]()(predicted, true) == pytest.approx(getattr(sklearn, f"{name}_score")(true, predicted, zero_division=0))


@settings(deadline=None)
@given(pair=labels(), normalize=st.sampled_from([None, "true", "pred", "all"]))
def test_confusion_matrix_is_sklearns(sklearn: Any, pair: Any, normalize: Any) -> None:
    predicted, true = pair
    metric = MultiClassConfusionMatrix(4, normalize)
    np.testing.assert_allclose(metric(predicted, true), sklearn.confusion_matrix(true, predicted, labels=range(4), normalize=normalize))
    for ours_, theirs in ((metric.precision_per_class, "precision"), (metric.recall_per_class, "recall"), (metric.f1_per_class, "f1")):
        np.testing.assert_allclose(
            ours_, getattr(sklearn, f"{theirs}_score")(true, predicted, labels=range(4), average=None, zero_division=0)
        )
    assert metric.accuracy == pytest.approx(np.mean(np.equal(predicted, true)))
    assert metric.macro_f1 == pytest.approx(metric.f1_per_class.mean())


@settings(deadline=None)
@given(pair=labels(classes=2))
def test_binary_confusion_matrix_is_sklearns(sklearn: Any, pair: Any) -> None:
    predicted, true = pair
    metric = BinaryConfusionMatrix()
    assert metric(predicted, true).tolist() == sklearn.confusion_matrix(true, predicted, labels=[0, 1]).tolist()
    cells = metric.true_negatives, metric.false_positives, metric.false_negatives, metric.true_positives
    assert cells == tuple(metric.compute().reshape(-1))
    options = {"zero_division": 0}
    assert metric.precision == pytest.approx(sklearn.precision_score(true, predicted, **options))
    assert metric.recall == pytest.approx(sklearn.recall_score(true, predicted, **options))
    assert metric.specificity == pytest.approx(sklearn.recall_score(true, predicted, pos_label=0, **options))
    assert metric.f1 == pytest.approx(sklearn.f1_score(true, predicted, **options))
    if 0 < sum(true) < len(true) and 0 < sum(predicted) < len(predicted):
        assert metric.matthews == pytest.approx(sklearn.matthews_corrcoef(true, predicted))


def test_confusion_rows_are_actual_classes() -> None:
    assert MultiClassConfusionMatrix(3)([1, 1, 2], [0, 1, 2]).tolist() == [[0, 1, 0], [0, 1, 0], [0, 0, 1]]
    assert BinaryConfusionMatrix(threshold=0.3)([0.4, 0.2, 0.9], [0, 1, 1]).tolist() == [[0, 1], [1, 1]]


@st.composite
def binary_scores(draw: Any) -> tuple[list[float], list[int]]:
    """Few distinct scores, so that ties abound."""
    size = draw(st.integers(2, 30))
    scores = draw(st.lists(st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.9, 1.0]), min_size=size, max_size=size))
    true = draw(st.lists(st.integers(0, 1), min_size=size - 2, max_size=size - 2)) + [0, 1]
    return scores, true


@settings(deadline=None)
@given(pair=binary_scores())
def test_areas_are_sklearns_with_ties(sklearn: Any, pair: Any) -> None:
    scores, true = pair
    assert AUCROC()(scores, true) == pytest.approx(sklearn.roc_auc_score(true, scores))
    assert AveragePrecision()(scores, true) == pytest.approx(sklearn.average_precision_score(true, scores))


@settings(deadline=None)
@given(pair=binary_scores())
def test_auc_is_the_chance_of_a_right_order(pair: Any) -> None:
    scores, true = np.array(pair[0]), np.array(pair[1])
    positive, negative = scores[true == 1][:, None], scores[true == 0][None]
    assert AUCROC()(scores, true) == pytest.approx(np.mean((positive > negative) + 0.5 * (positive == negative)))


@pytest.mark.parametrize("average", ["macro", "weighted"])
def test_multiclass_areas_are_sklearns(sklearn: Any, average: Any) -> None:
    generator = np.random.default_rng(0)
    true = generator.integers(0, 4, 200)
    scores = generator.random((200, 4)).round(1) + 0.3 * np.eye(4)[true]
    scores /= scores.sum(axis=1, keepdims=True)
    assert AUCROC(average)(scores, true) == pytest.approx(sklearn.roc_auc_score(true, scores, multi_class="ovr", average=average))
    one_hot = np.eye(4)[true]
    assert AveragePrecision(average)(scores, true) == pytest.approx(sklearn.average_precision_score(one_hot, scores, average=average))
    np.testing.assert_allclose(AUCROC("none")(scores, one_hot), sklearn.roc_auc_score(true, scores, multi_class="ovr", average=None))


def test_areas_without_both_kinds_are_undefined() -> None:
    assert np.isnan(AUCROC()([0.1, 0.2], [1, 1])) and np.isnan(AUCROC()([0.1, 0.2], [0, 0]))
    assert np.isnan(AveragePrecision()([0.1, 0.2], [0, 0]))
    assert np.isnan(AUCROC("none")(np.eye(3), [0, 1, 0])).tolist() == [False, False, True]


@pytest.mark.parametrize(
    ("scores", "true", "text"),
    [
        ([0.1, float("nan")], [0, 1], "NaN"),
        ([0.1, 0.2], [0, 2], "must be 0 or 1"),
        ([0.1], [0, 1], "need as many targets"),
        (np.eye(2), [0, 2], r"must lie in \[0, 2\)"),
    ],
)
def test_area_errors(scores: Any, true: Any, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        AUCROC().update(scores, true)


def test_area_batches_must_agree() -> None:
    metric = AUCROC()
    metric.update([0.1, 0.2], [0, 1])
    with pytest.raises(ValueError, match="do not go with earlier ones"):
        metric.update(np.eye(3), [0, 1, 2])


@pytest.mark.parametrize("k", [1, 2, 3, 10])
def test_top_k_is_sklearns(sklearn: Any, k: int) -> None:
    generator = np.random.default_rng(1)
    scores, true = generator.permuted(np.tile(np.arange(5.0), (50, 1)), axis=1), generator.integers(0, 5, 50)
    want = sklearn.top_k_accuracy_score(true, scores, k=k, labels=range(5)) if k < 5 else 1.0
    assert TopKAccuracy(k)(ours.tensor(scores), ours.tensor(true)) == pytest.approx(want)


def test_top_k_ties_go_to_the_lower_index() -> None:
    assert TopKAccuracy(1)(np.zeros((3, 3)), [0, 1, 2]) == pytest.approx(1 / 3)
    assert TopKAccuracy(2)(np.zeros((3, 3)), [0, 1, 2]) == pytest.approx(2 / 3)


# ---------------------------------------------------------------- protocol
FACTORIES = [
    Accuracy,
    Precision,
    lambda: Recall("macro"),
    lambda: F1Score("none", num_classes=2),
    lambda: F1Score("weighted"),
    BinaryConfusionMatrix,
    lambda: MultiClassConfusionMatrix(2),
    AUCROC,
    AveragePrecision,
]


@settings(deadline=None)
@given(data=st.data(), pair=binary_scores(), make=st.sampled_from(FACTORIES))
def test_batches_give_what_all_at_once_gives(data: Any, pair: Any, make: Any) -> None:
    scores, true = np.array(pair[0]), np.array(pair[1])
    at = data.draw(cuts(len(true)))
    np.testing.assert_array_equal(in_batches(make(), scores, true, at), make()(scores, true))


@settings(deadline=None)
@given(data=st.data(), pair=labels(), average=st.sampled_from(["micro", "macro", "weighted", "none"]))
def test_batches_may_bring_new_classes(data: Any, pair: Any, average: Any) -> None:
    predicted, true = pair
    at = data.draw(cuts(len(true)))
    np.testing.assert_allclose(in_batches(F1Score(average), predicted, true, at), F1Score(average)(predicted, true))


@pytest.mark.parametrize("make", [*FACTORIES, TopKAccuracy])
def test_reset_and_empty(make: Any) -> None:
    metric = make()
    with pytest.raises(RuntimeError, match="called before any data"):
        metric.compute()
    if make is TopKAccuracy:
        metric.update(np.eye(2), [0, 1])
    else:
        metric.update([0.2, 0.8], [0, 1])
    metric.compute()
    metric.reset()
    with pytest.raises(RuntimeError, match="called before any data"):
        metric.compute()


def test_option_errors() -> None:
    with pytest.raises(ValueError, match="average must be one of"):
        Precision("mean")
    with pytest.raises(ValueError, match="choose another average"):
        Precision().update([2], [1])
    with pytest.raises(ValueError, match="out of range for 2 classes"):
        MultiClassConfusionMatrix(2).update([2], [1])
    for make in (
        lambda: TopKAccuracy(0),
        lambda: MultiClassConfusionMatrix(1),
        lambda: MultiClassConfusionMatrix(2, "rows"),
        lambda: AUCROC("micro"),
    ):
        with pytest.raises(ValueError):
            make()
