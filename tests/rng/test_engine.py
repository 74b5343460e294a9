"""Seeding, words and state bytes."""

from __future__ import annotations

import copy
import pickle
import threading

import numpy as np
import pytest

from torchlike_asg import dtypes
from torchlike_asg.rng import Engine, draws, native

SEEDS = (0, 1, 42, 2**31 + 7, 2**32 + 5, 2**40 + 123, -1, -12345, 2**64 - 1, -(2**63))


def test_words_of_the_published_reference() -> None:
    """std::mt19937 is specified to give 4123659995 as word 10,000 of its default seed."""
    assert Engine(5489).words32(10_000)[-1] == 4123659995


def test_64_bit_draws_take_the_high_half_first() -> None:
    words = Engine(3).words32(20).astype(np.uint64)
    assert np.array_equal(Engine(3).draws64(10), words[0::2] << np.uint64(32) | words[1::2])


def test_compiled_words_are_numpys(way: str) -> None:
    engine = Engine(9)
    for count in (1, 622, 3, 624, 625, 5000, 17):
        if way == "native":
            made = np.empty(count, np.uint32)
            native.kernels(0).words(engine.kernel_address(), native.address(made), count)
        else:
            made = engine.words32(count)
        if count == 1:
            collected = [made]
        else:
            collected.append(made)
    expected = np.random.RandomState(9).randint(0, 2**32, 6892, np.uint32)
    assert np.array_equal(np.concatenate(collected), expected)


@pytest.mark.parametrize("seed", SEEDS)
def test_seeds_and_states_are_torchs(seed: int) -> None:
    torch = pytest.importorskip("torch")
    engine, generator = Engine().manual_seed(seed), torch.Generator().manual_seed(seed)
    assert engine.initial_seed() == generator.initial_seed()
    assert engine.get_state().tobytes() == generator.get_state().numpy().tobytes()
    for words in (1, 3, 619, 1, 1, 623, 624, 2000):  # 624 words in all at the fifth step: the end of a block
        engine.words32(words)
        torch.rand(words, generator=generator)
        assert engine.get_state().tobytes() == generator.get_state().numpy().tobytes()


def test_default_seed_is_torchs() -> None:
    torch = pytest.importorskip("torch")
    assert Engine().initial_seed() == torch.Generator().initial_seed() == 67280421310721


def test_neighbouring_seeds_are_told_apart() -> None:
    """The comparison sees a wrong stream: values and state of seed + 1 differ."""
    torch = pytest.importorskip("torch")
    for seed in SEEDS[:8]:
        engine, generator = Engine(seed + 1), torch.Generator().manual_seed(seed)
        ours, theirs = draws.uniform(engine, (100,), None, dtypes.float32), torch.rand(100, generator=generator).numpy()
        assert (ours != theirs).sum() > 90
        assert engine.get_state().tobytes() != generator.get_state().numpy().tobytes()


@pytest.mark.parametrize("words", (0, 1, 100, 623, 624, 625, 1248))
@pytest.mark.parametrize("cached", (False, True))
def test_states_travel_both_ways(words: int, cached: bool) -> None:
    torch = pytest.importorskip("torch")
    generator = torch.Generator().manual_seed(77)
    torch.rand(words, generator=generator)
    if cached:
        torch.randn(3, generator=generator)
    engine = Engine(1).set_state(generator.get_state().numpy())
    assert engine.initial_seed() == 77
    back = torch.Generator()
    back.set_state(torch.from_numpy(engine.get_state()))
    for other in (generator, back):
        again = Engine().set_state(engine.get_state())
        assert np.array_equal(draws.normal(again, (5,), None, dtypes.float32), torch.randn(5, generator=other).numpy())
        assert np.array_equal(draws.uniform(again, (700,), None, dtypes.float32), torch.rand(700, generator=other).numpy())
        assert again.get_state().tobytes() == other.get_state().numpy().tobytes()


def test_reseeding_forgets_the_cached_normal() -> None:
    engine = Engine(5)
    first = draws.normal(engine, (1,), None, dtypes.float64)
    second = draws.normal(engine, (1,), None, dtypes.float64)
    engine.manual_seed(5)
    assert draws.normal(engine, (1,), None, dtypes.float64) == first != second
    engine.manual_seed(5)
    assert engine.cached_normal is None


@pytest.mark.parametrize("duplicate", (copy.copy, copy.deepcopy, Engine.copy, lambda e: pickle.loads(pickle.dumps(e))))
def test_copies_continue_alone(duplicate: object) -> None:
    engine = Engine(11)
    engine.words32(100)
    draws.normal(engine, (3,), None, dtypes.float32)
    twin = duplicate(engine)
    assert np.array_equal(twin.get_state(), engine.get_state())
    twin.words32(5)
    assert not np.array_equal(twin.get_state(), engine.get_state())
    engine.words32(5)
    assert np.array_equal(twin.get_state(), engine.get_state())


def test_nondeterministic_seed() -> None:
    engine = Engine(1)
    seeds = {engine.seed() for _ in range(5)}
    assert len(seeds) == 5
    assert all(0 <= seed < 2**53 for seed in seeds)
    assert engine.initial_seed() in seeds
    assert np.array_equal(engine.get_state(), Engine(engine.initial_seed()).get_state())


@pytest.mark.parametrize("seed", (2**64, -(2**63) - 1, 10**40))
def test_seeds_out_of_range(seed: int) -> None:
    with pytest.raises(ValueError, match="Overflow when unpacking long"):
        Engine().manual_seed(seed)


@pytest.mark.parametrize("seed", (1.5, True, "7", None))
def test_seeds_that_are_no_integers(seed: object) -> None:
    with pytest.raises(RuntimeError, match=f"manual_seed expected a long, but got {type(seed).__name__}"):
        Engine().manual_seed(seed)
    assert Engine().manual_seed(np.int64(7)).initial_seed() == 7


def test_states_that_are_refused() -> None:
    engine = Engine(2)
    good = engine.get_state()
    with pytest.raises(RuntimeError, match=r"CPUGeneratorImplState of size 5056 but found the input RNG state size to be 10"):
        engine.set_state(np.zeros(10, np.uint8))
    with pytest.raises(TypeError, match=r"RNG state must be a torch\.ByteTensor"):
        engine.set_state(np.zeros(5056, np.int64))
    for offset, value in ((12, 0), (8, 0), (16, 255), (9, 255)):  # not seeded; nothing left; position outside; left outside
        bad = good.copy()
        bad[offset] = value
        with pytest.raises(RuntimeError, match="Invalid mt19937 state"):
            engine.set_state(bad)
    assert np.array_equal(engine.get_state(), good)
    assert np.array_equal(Engine(3).set_state(good.tobytes()).get_state(), good)


def test_threads_share_one_stream(way: str) -> None:
    """Draws of several threads interleave whole: together they are the single-threaded stream."""
    engine, collected = Engine(8), []

    def work() -> None:
        for _ in range(50):
            collected.append(draws.uniform(engine, (100,), None, dtypes.float32))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    expected = draws.uniform(Engine(8), (200, 100), None, dtypes.float32)
    assert {part.tobytes() for part in collected} == {row.tobytes() for row in expected}
