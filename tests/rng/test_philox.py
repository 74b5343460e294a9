"""The counter-based generator against published vectors, and what makes it counter-based."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from torchlike_asg.rng import philox

#: Known answers of philox4x32 with 10 rounds, from the generator's authors (Random123, kat_vectors)
VECTORS = (
    ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((0xFFFFFFFF,) * 4, (0xFFFFFFFF,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
)


@pytest.mark.parametrize(("counter", "key", "expected"), VECTORS)
def test_known_answers(counter: tuple[int, ...], key: tuple[int, int], expected: tuple[int, ...]) -> None:
    assert philox.blocks(np.array([counter], np.uint64), key).tolist() == [list(expected)]


def test_words_number_the_blocks() -> None:
    key = 0x299F31D0A4093822
    assert philox.words(key, 0, 4).tolist() == philox.blocks(np.zeros((1, 4), np.uint64), (0xA4093822, 0x299F31D0))[0].tolist()
    beyond = (2**32 + 5) * 4  # the block number has more than 32 bits
    assert philox.words(key, beyond, 4).tolist() == philox.blocks(np.array([[5, 1, 0, 0]], np.uint64), (0xA4093822, 0x299F31D0))[0].tolist()


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**40), st.integers(0, 60), st.integers(0, 60))
def test_any_part_of_the_stream(key: int, start: int, skip: int, count: int) -> None:
    for draw in (philox.words, philox.uniform, philox.normal):
        whole, part = draw(key, start, skip + count), draw(key, start + skip, count)
        assert np.array_equal(whole[skip:], part)


def test_keys_and_places_differ() -> None:
    streams = [philox.words(key, start, 1000) for key in (0, 1, 2**32, 2**63) for start in (0, 4000, 2**33)]
    assert len({stream.tobytes() for stream in streams}) == len(streams)
    assert len(np.unique(np.concatenate(streams))) > 11_990


def test_distributions() -> None:
    """200,000 values: bounds of six standard errors on mean, variance and the share of each tenth."""
    n = 200_000
    uniform, normal = philox.uniform(7, 3, n).astype(np.float64), philox.normal(7, 3, n).astype(np.float64)
    assert uniform.min() >= 0 and uniform.max() < 1
    assert abs(uniform.mean() - 0.5) < 6 * np.sqrt(1 / 12 / n)
    shares = np.histogram(uniform, 10, (0, 1))[0] / n
    assert np.abs(shares - 0.1).max() < 6 * np.sqrt(0.09 / n)
    assert np.isfinite(normal).all()
    assert abs(normal.mean()) < 6 / np.sqrt(n)
    assert abs(normal.var() - 1) < 6 * np.sqrt(2 / n)
    assert abs((normal[:-1] * normal[1:]).mean()) < 6 / np.sqrt(n)
