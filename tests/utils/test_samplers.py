from __future__ import annotations

from typing import Any

import pytest

import torchlike_asg as ours
from torchlike_asg.utils import data

from .loader_helpers import Rows, generator, outcome

SEEDS = (0, 1, 42, 2**40 + 123)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("size", [1, 2, 15, 16, 17, 100, 1000])
@pytest.mark.parametrize(
    "options", [{}, {"num_samples": 7}, {"num_samples": 250}, {"replacement": True}, {"replacement": True, "num_samples": 64}]
)
def test_random_sampler_is_torchs(torch: Any, seed: int, size: int, options: dict[str, Any]) -> None:
    def default(package: Any) -> Any:
        sampler = package.utils.data.RandomSampler(Rows(size), **options)
        return list(sampler), list(sampler), len(sampler)  # a second pass has another order

    def private(package: Any) -> Any:
        own = generator(package, seed)
        sampler = package.utils.data.RandomSampler(Rows(size), generator=own, **options)
        return list(sampler), list(sampler), own.get_state().tolist()

    assert outcome(ours, seed, default) == outcome(torch, seed, default)
    assert outcome(ours, 0, private) == outcome(torch, 0, private)


def test_a_random_sampler_without_end_takes_no_memory_for_it() -> None:
    sampler = data.RandomSampler(Rows(5), replacement=True, num_samples=10**15)
    assert 0 <= next(iter(sampler)) < 5 and len(sampler) == 10**15


def test_random_sampler_draws_at_the_first_next() -> None:
    before = ours.get_rng_state().tolist()
    sampler = iter(data.RandomSampler(Rows(5)))
    assert ours.get_rng_state().tolist() == before
    next(sampler)
    assert ours.get_rng_state().tolist() != before


def test_random_sampler_errors() -> None:
    with pytest.raises(TypeError, match="replacement should be a boolean"):
        data.RandomSampler(Rows(3), replacement=1)
    for samples in (0, -1, 2.5):
        with pytest.raises(ValueError, match="num_samples should be a positive integer"):
            data.RandomSampler(Rows(3), num_samples=samples)
    with pytest.raises(ValueError, match="num_samples=0"):
        data.RandomSampler(Rows(0))


def test_random_sampler_follows_the_datasets_length() -> None:
    rows = list(range(3))
    sampler = data.RandomSampler(rows)
    rows.append(3)
    assert len(sampler) == 4 and sorted(sampler) == [0, 1, 2, 3]


@pytest.mark.parametrize("seed", SEEDS)
def test_subset_random_sampler_is_torchs(torch: Any, seed: int) -> None:
    def run(package: Any) -> Any:
        sampler = package.utils.data.SubsetRandomSampler([4, 8, 15, 16, 23, 42])
        return list(sampler), list(sampler), len(sampler)

    assert outcome(ours, seed, run) == outcome(torch, seed, run)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("samples", "replacement"), [(1, True), (1, False), (4, False), (5, True), (100, True)])
def test_weighted_random_sampler_is_torchs(torch: Any, seed: int, samples: int, replacement: bool) -> None:
    def run(package: Any) -> Any:
        sampler = package.utils.data.WeightedRandomSampler([0.1, 0.9, 0.4, 0.7, 3.0, 0.6], samples, replacement)
        return list(sampler), list(sampler), len(sampler)

    assert outcome(ours, seed, run) == outcome(torch, seed, run)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [(([1.0], 0), "num_samples"), (([1.0], True), "num_samples"), (([1.0], 1, 1), "replacement"), (([[1.0, 2.0]], 1), "1d sequence")],
)
def test_weighted_random_sampler_errors(arguments: Any, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        data.WeightedRandomSampler(*arguments)


@pytest.mark.parametrize("size", [0, 1, 9, 10, 11])
@pytest.mark.parametrize("drop_last", [False, True])
def test_batch_sampler_is_torchs(torch: Any, size: int, drop_last: bool) -> None:
    got, want = data.BatchSampler(range(size), 5, drop_last), torch.utils.data.BatchSampler(range(size), 5, drop_last)
    assert list(got) == list(want) and len(got) == len(want)


@pytest.mark.parametrize("arguments", [(range(3), 0, False), (range(3), True, False), (range(3), 1.5, False), (range(3), 2, 1)])
def test_batch_sampler_errors(arguments: Any) -> None:
    with pytest.raises(ValueError, match="should be a"):
        data.BatchSampler(*arguments)


def test_sampler_needs_iter() -> None:
    with pytest.raises(NotImplementedError):
        iter(data.Sampler())
    with pytest.raises(TypeError):
        len(data.Sampler())


@pytest.mark.parametrize("size", [1, 2, 10, 11])
@pytest.mark.parametrize("replicas", [1, 3, 4])
@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("drop_last", [False, True])
def test_distributed_sampler_is_torchs(torch: Any, size: int, replicas: int, shuffle: bool, drop_last: bool) -> None:
    for rank in range(replicas):
        options = {"num_replicas": replicas, "rank": rank, "shuffle": shuffle, "seed": 7, "drop_last": drop_last}
        got = data.DistributedSampler(Rows(size), **options)
        want = torch.utils.data.DistributedSampler(Rows(size), **options)
        for epoch in (0, 3):
            got.set_epoch(epoch)
            want.set_epoch(epoch)
            assert list(got) == list(want)
        assert len(got) == len(want)


def test_distributed_sampler_errors() -> None:
    with pytest.raises(ValueError, match=r"interval \[0, 1\]"):
        data.DistributedSampler(Rows(3), num_replicas=2, rank=2)
    with pytest.raises(RuntimeError, match="Requires distributed package"):
        data.DistributedSampler(Rows(3))
