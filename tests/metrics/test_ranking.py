from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import torchlike_asg as ours
from torchlike_asg.metrics import MRR, NDCG


@st.composite
def query(draw: Any, size: int = 5, grades: int = 3) -> tuple[list[float], list[int]]:
    scores = draw(st.lists(st.sampled_from([0.0, 0.5, 1.0]), min_size=size, max_size=size))
    relevance = draw(st.lists(st.integers(0, grades), min_size=size, max_size=size))
    return scores, relevance


def over_all_orders(scores: Any, relevance: Any, measure: Any) -> float:
    """The mean of a measure over every order of the documents that the scores allow."""
    orders = [o for o in itertools.permutations(range(len(scores))) if all(scores[a] >= scores[b] for a, b in itertools.pairwise(o))]
    return float(np.mean([measure([relevance[i] for i in order]) for order in orders]))


@settings(deadline=None, max_examples=60)
@given(each=query(), k=st.sampled_from([None, 1, 2, 3]))
def test_mrr_is_the_mean_over_tied_orders(each: Any, k: int | None) -> None:
    def reciprocal(ranked: list[int]) -> float:
        return next((1 / place for place, grade in enumerate(ranked[:k], 1) if grade), 0.0)

    assert MRR(k)([each[0]], [each[1]]) == pytest.approx(over_all_orders(*each, reciprocal))


@settings(deadline=None, max_examples=60)
@given(each=query(), k=st.sampled_from([None, 1, 2, 3]), gains=st.sampled_from(["linear", "exponential"]))
def test_ndcg_is_the_mean_over_tied_orders(each: Any, k: int | None, gains: Any) -> None:
    def dcg(ranked: list[int]) -> float:
        return sum((grade if gains == "linear" else 2**grade - 1) / np.log2(place + 1) for place, grade in enumerate(ranked[:k], 1))

    best = dcg(sorted(each[1], reverse=True))
    want = over_all_orders(*each, dcg) / best if best else 0.0
    assert NDCG(k, gains)([each[0]], [each[1]]) == pytest.approx(want)


@settings(deadline=None)
@given(queries=st.lists(query(size=6), min_size=1, max_size=8), k=st.sampled_from([None, 1, 3, 10]))
def test_ndcg_is_sklearns(queries: Any, k: int | None) -> None:
    sklearn = pytest.importorskip("sklearn.metrics")
    scores, relevance = (np.array(part, float) for part in zip(*queries, strict=True))
    assert NDCG(k)(scores, relevance) == pytest.approx(sklearn.ndcg_score(relevance, scores, k=k))


def test_known_values() -> None:
    scores = [[0.9, 0.5, 0.1], [0.1, 0.9, 0.5], [0.1, 0.5, 0.9]]
    assert MRR()(scores, [[1, 0, 0], [0, 0, 1], [1, 0, 0]]) == pytest.approx((1 + 1 / 2 + 1 / 3) / 3)
    assert MRR(k=2)(scores, [[1, 0, 0], [0, 0, 1], [1, 0, 0]]) == pytest.approx((1 + 1 / 2) / 3)
    assert MRR()(ours.tensor(scores), ours.tensor([0, 2, 0])) == pytest.approx((1 + 1 / 2 + 1 / 3) / 3)  # index of the relevant one
    assert NDCG()([[3.0, 2.0, 1.0]], [[3, 2, 1]]) == 1.0


def test_queries_without_a_relevant_document() -> None:
    scores, relevance = [[1.0, 0.0], [1.0, 0.0]], [[1, 0], [0, 0]]
    for metric in (MRR, NDCG):
        assert metric()(scores, relevance) == 0.5
        assert metric(empty="skip")(scores, relevance) == 1.0
        with pytest.raises(RuntimeError, match="called before any data"):
            metric(empty="skip")(scores[1:], relevance[1:])


@settings(deadline=None)
@given(data=st.data(), queries=st.lists(query(), min_size=1, max_size=8), metric=st.sampled_from([MRR, NDCG]))
def test_batches_give_what_all_at_once_gives(data: Any, queries: Any, metric: Any) -> None:
    scores, relevance = (np.array(part, float) for part in zip(*queries, strict=True))
    cut = data.draw(st.integers(0, len(queries)))
    parts = metric()
    for piece in (slice(None, cut), slice(cut, None)):
        if len(scores[piece]):
            parts.update(scores[piece], relevance[piece])
    assert parts.compute() == pytest.approx(metric()(scores, relevance))


def test_errors() -> None:
    with pytest.raises(ValueError, match="do not match"):
        MRR().update([[1.0, 2.0, 3.0]], [[1, 0]])
    with pytest.raises(ValueError, match="NaN"):
        MRR().update([[1.0, float("nan")]], [[1, 0]])
    with pytest.raises(ValueError, match="must not be negative"):
        NDCG().update([[1.0, 2.0]], [[1, -1]])
    with pytest.raises(ValueError, match="k must be positive"):
        NDCG(0)
    with pytest.raises(ValueError, match="empty must be"):
        MRR(empty="one")
    with pytest.raises(ValueError, match="gains must be"):
        NDCG(gains="square")
