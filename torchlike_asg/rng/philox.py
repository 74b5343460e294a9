"""Philox4x32-10, the counter-based generator of Salmon, Moraes, Dror and Shaw ("Parallel random numbers: as easy as 1, 2, 3", 2011).

A value depends on nothing but a 64-bit key and its own number, so kernels on any device make any part of a stream in any order.
Value number i comes from word i % 4 of the block whose 128-bit counter is i // 4.
"""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["blocks", "normal", "uniform", "words"]

Array = np.ndarray[Any, Any]

ROUNDS = 10
MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
WEYL = (0x9E3779B9, 0xBB67AE85)
_MULTIPLY = (np.uint64(MULTIPLIERS[0]), np.uint64(MULTIPLIERS[1]))
_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)
_PIECE = 1 << 13  # blocks at a time: four arrays and a temporary stay in cache


def blocks(counter: Array, key: tuple[int, int]) -> Array:
    """The blocks of an (n, 4) array of counters (32-bit words, lowest first) under a key of two 32-bit words: (n, 4) uint32."""
    made = np.empty((len(counter), 4), np.uint32)
    for start in range(0, len(counter), _PIECE):
        part = slice(start, start + _PIECE)
        for word, values in enumerate(_rounds([counter[part, word].astype(np.uint64) for word in range(4)], key)):
            made[part, word] = values
    return made


def _rounds(block: list[Array], key: tuple[int, int]) -> list[Array]:
    """Ten rounds on four arrays of 32-bit words held in 64 bits."""
    x0, x1, x2, x3 = block
    k0, k1 = key
    for _ in range(ROUNDS):
        x0 *= _MULTIPLY[0]
        x2 *= _MULTIPLY[1]
        x1 ^= x2 >> _HALF
        x1 ^= np.uint64(k0)
        x3 ^= x0 >> _HALF
        x3 ^= np.uint64(k1)
        x2 &= _LOW
        x0 &= _LOW
        x0, x1, x2, x3 = x1, x2, x3, x0
        k0, k1 = (k0 + WEYL[0]) & 0xFFFFFFFF, (k1 + WEYL[1]) & 0xFFFFFFFF
    return [x0, x1, x2, x3]


def words(key: int, start: int, count: int) -> Array:
    """Words number start .. start + count - 1 of the stream of a 64-bit key, uint32. `start` is taken modulo 2^66."""
    first = start // 4
    offset = start - 4 * first
    amount = (offset + count + 3) // 4
    counter = np.zeros((amount, 4), np.uint64)
    index = np.arange(amount, dtype=np.uint64) + np.uint64(first & (2**64 - 1))  # wraps modulo 2^64, as a kernel's counter does
    counter[:, 0], counter[:, 1] = index & _LOW, index >> _HALF
    made = blocks(counter, (key & 0xFFFFFFFF, key >> 32 & 0xFFFFFFFF))
    return made.reshape(-1)[offset : offset + count]


def uniform(key: int, start: int, count: int) -> Array:
    """float32 values number start .. start + count - 1, multiples of 2^-24 in [0, 1): the upper 24 bits of a word each."""
    return (words(key, start, count) >> np.uint32(8)).astype(np.float32) * np.float32(2.0**-24)


def normal(key: int, start: int, count: int) -> Array:
    """Standard normal float32 values number start .. start + count - 1: Box-Muller on the two words of values 2j and 2j + 1."""
    first = start // 2 * 2
    draws = uniform(key, first, (start + count + 1) // 2 * 2 - first).reshape(-1, 2)
    radius = np.sqrt(np.float32(-2) * np.log(np.float32(1) - draws[:, 0]))
    angle = np.float32(2 * np.pi) * draws[:, 1]
    pairs = np.stack((radius * np.cos(angle), radius * np.sin(angle)), axis=1)
    return pairs.reshape(-1)[start - first : start - first + count]
