from __future__ import annotations

import copy
import gc
import os
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import torchlike_asg as ours
from torchlike_asg.utils import data

from .loader_helpers import Rows, generator, plain

pytestmark = [
    pytest.mark.filterwarnings("ignore:This DataLoader will create"),
    pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning"),
]


class Noisy(Rows):
    """Its items depend on all random streams of the process that reads them."""

    def __getitem__(self, index: int) -> Any:
        return index, ours.rand(1), random.random(), np.random.rand()


class PythonShuffle(data.Sampler):
    """Draws from `random` in a generator function, at the first next()."""

    def __init__(self, size: int) -> None:
        self.size = size

    def __iter__(self) -> Any:
        order = list(range(self.size))
        random.shuffle(order)
        yield from order

    def __len__(self) -> int:
        return self.size


class NumpyShuffle(PythonShuffle):
    """Draws from `numpy.random` as soon as iter() is called."""

    def __iter__(self) -> Any:
        return iter(np.random.permutation(self.size).tolist())


class Stream(data.IterableDataset):
    def __init__(self, size: int) -> None:
        self.size = size

    def __iter__(self) -> Any:
        info = data.get_worker_info()
        if info is None:
            indices = ours.randperm(self.size).tolist()
        else:  # the second worker ends early
            shard = range(info.id, 5 if info.id else self.size, info.num_workers)
            indices = [shard[i] for i in ours.randperm(len(shard)).tolist()]
        for index in indices:
            yield index, ours.rand(1)


SIZE = 17
LOADERS: dict[str, Callable[[int], data.DataLoader]] = {
    "sequential": lambda workers: data.DataLoader(Noisy(SIZE), 3, num_workers=workers),
    "shuffled": lambda workers: data.DataLoader(Noisy(SIZE), 3, shuffle=True, num_workers=workers),
    "drop_last": lambda workers: data.DataLoader(Noisy(SIZE), 3, shuffle=True, drop_last=True, num_workers=workers),
    "no batches": lambda workers: data.DataLoader(Noisy(SIZE), None, shuffle=True, num_workers=workers),
    "own generator": lambda workers: data.DataLoader(Noisy(SIZE), 3, shuffle=True, generator=generator(ours, 5), num_workers=workers),
    "replacement": lambda workers: data.DataLoader(
        Noisy(SIZE), 3, sampler=data.RandomSampler(range(SIZE), True, 70, generator=generator(ours, 6)), num_workers=workers
    ),
    "weighted": lambda workers: data.DataLoader(Noisy(SIZE), 2, sampler=data.WeightedRandomSampler([1.0] * SIZE, 11), num_workers=workers),
    "python shuffle": lambda workers: data.DataLoader(Noisy(SIZE), 3, sampler=PythonShuffle(SIZE), num_workers=workers),
    "numpy shuffle": lambda workers: data.DataLoader(Noisy(SIZE), None, sampler=NumpyShuffle(SIZE), num_workers=workers),
    "stream": lambda workers: data.DataLoader(Stream(SIZE), 2, num_workers=workers),
    "persistent": lambda workers: data.DataLoader(Noisy(SIZE), 3, shuffle=True, num_workers=workers, persistent_workers=workers > 0),
    "persistent stream": lambda workers: data.DataLoader(Stream(SIZE), 2, num_workers=workers, persistent_workers=workers > 0),
}


def seed_everything(seed: int) -> None:
    ours.manual_seed(seed)
    random.seed(seed)
    np.random.seed(seed)


def process_state() -> Any:
    return ours.get_rng_state(), random.getstate(), np.random.get_state()


def set_process_state(state: Any) -> None:
    ours.set_rng_state(state[0])
    random.setstate(state[1])
    np.random.set_state(state[2])


def step(batch: Any) -> Any:
    """A training step that draws from every stream, as dropout and augmentation do."""
    return plain(batch), ours.rand(1).item(), random.random(), np.random.rand()


def train(loader: data.DataLoader, passes: int) -> tuple[list[Any], dict[tuple[int, int], Any]]:
    """Everything seen, and what was saved after each batch, by pass and batch (0: before the pass)."""
    seen: list[Any] = []
    saved: dict[tuple[int, int], Any] = {}

    def save(*place: int) -> None:
        saved[place] = copy.deepcopy((len(seen), process_state(), loader.state_dict()))

    for number in range(passes):
        save(number, 0)
        for count, batch in enumerate(loader, 1):
            seen.append(step(batch))
            save(number, count)
    return seen, saved


@pytest.mark.parametrize("name", LOADERS)
@pytest.mark.parametrize("workers", [0, pytest.param(2, marks=pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork"))])
def test_resuming_continues_bit_for_bit(name: str, workers: int) -> None:
    """Before a pass, within it and at its end; workers are forks of a large process, so that one run serves all places."""
    seed_everything(8)
    whole, saved = train(LOADERS[name](workers), 3)
    batches = saved[1, 0][0]
    assert len(whole) == 3 * batches
    for number, count in ((0, 0), (0, 1), (1, 0), (1, 3), (1, batches)):
        done, process, state = saved[number, count]
        seed_everything(999)
        ours.rand(3)
        loader = LOADERS[name](workers)
        loader.load_state_dict(state)
        set_process_state(process)
        rest, _ = train(loader, 2 if count else 1)  # what is left of the pass, and a whole one
        assert len(rest) == batches * (2 if count else 1) - count
        assert rest == whole[done : done + len(rest)], (number, count)


@pytest.mark.parametrize("workers", [0, pytest.param(2, marks=pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork"))])
def test_saving_again_before_and_after_resuming(workers: int) -> None:
    seed_everything(1)
    loader = LOADERS["shuffled"](workers)
    iterator = iter(loader)
    first = [plain(next(iterator)) for _ in range(2)]
    process, state = process_state(), copy.deepcopy(loader.state_dict())
    rest = [plain(batch) for batch in iterator]
    assert len(first) + len(rest) == 6

    again = LOADERS["shuffled"](workers)
    again.load_state_dict(state)
    third = LOADERS["shuffled"](workers)
    third.load_state_dict(copy.deepcopy(again.state_dict()))  # what was loaded can be saved before it is used
    set_process_state(process)
    iterator = iter(third)
    assert plain(next(iterator)) == rest[0]
    process, state = process_state(), copy.deepcopy(third.state_dict())
    fourth = LOADERS["shuffled"](workers)
    fourth.load_state_dict(state)
    set_process_state(process)
    assert [plain(batch) for batch in fourth] == rest[1:]


def test_resuming_leaves_no_trace_in_the_streams() -> None:
    seed_everything(1)
    loader = LOADERS["python shuffle"](0)
    next(iter(loader))
    state = copy.deepcopy(loader.state_dict())
    seed_everything(77)
    before = process_state()
    loader.load_state_dict(state)
    iter(loader)
    after = process_state()
    assert after[0].tolist() == before[0].tolist() and after[1] == before[1] and after[2][1].tolist() == before[2][1].tolist()


def test_state_after_leaving_a_loop_is_the_place_it_was_left_at() -> None:
    seed_everything(1)
    loader = LOADERS["sequential"](0)
    for batch in loader:
        if batch[0][0] == 3:
            break
    process, state = process_state(), copy.deepcopy(loader.state_dict())
    gc.collect()
    again = LOADERS["sequential"](0)
    again.load_state_dict(state)
    set_process_state(process)
    assert next(iter(again))[0].tolist() == [6, 7, 8]


def test_state_holds_only_plain_containers_and_tensors() -> None:
    def check(value: Any) -> None:
        if isinstance(value, dict):
            assert all(type(key) is str for key in value)
            value = list(value.values())
        if isinstance(value, list):
            for each in value:
                check(each)
        else:
            assert value is None or type(value) in (int, float, bool, str, ours.Tensor), type(value)

    loader = LOADERS["python shuffle"](0)
    next(iter(loader))
    check(loader.state_dict())


def test_state_keys_do_not_depend_on_the_moment() -> None:
    loader = LOADERS["shuffled"](0)
    fresh = loader.state_dict().keys()
    next(iter(loader))
    assert loader.state_dict().keys() == fresh


def test_errors() -> None:
    state = LOADERS["shuffled"](0).state_dict()
    with pytest.raises(ValueError, match="unknown version"):
        LOADERS["shuffled"](0).load_state_dict({**state, "version": 99})
    with pytest.raises(ValueError, match="num_workers=0, this DataLoader has num_workers=1"):
        LOADERS["shuffled"](1).load_state_dict(state)
    with pytest.raises(ValueError, match="has generators at"):
        LOADERS["own generator"](0).load_state_dict(state)
    with pytest.raises(RuntimeError, match="in_order=False is not defined"):
        data.DataLoader(Rows(3), num_workers=1, in_order=False).state_dict()
