"""Argument blocks: the calls of a plan as words of memory that compiled kernels read."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from .calls import Block, Call, Source


def sources(calls: Iterable[Call]) -> Iterator[Source]:
    """Every source that the calls run, or pass on as words."""
    for call in calls:
        yield call.source
        yield from _sources(call.words)


def _sources(words: Sequence[Any]) -> Iterator[Source]:
    for word in words:
        if isinstance(word, Source):
            yield word
        elif isinstance(word, Block):
            yield from _sources(word.words)


def slots(calls: Iterable[Call]) -> set[int]:
    """Every slot that an argument block of the calls names."""
    found: set[int] = set()
    pending: list[Call | Block] = list(calls)
    while pending:
        c = pending.pop()
        found.update(slot for slot, _ in c.operands)
        pending += [w for w in c.words if isinstance(w, Block)]
    return found


def aligned(nbytes: int) -> np.ndarray[Any, Any]:
    """Uninitialised bytes that begin at a multiple of 64."""
    raw = np.empty(nbytes + 64, np.uint8)
    skip = -raw.ctypes.data % 64
    return raw[skip : skip + nbytes]


class ArgumentBlocks:
    """The blocks of calls, and of the blocks they point to, in one array.

    ``addresses``  of each call's block, in the order of the calls
    """

    def __init__(self, calls: Sequence[Call], functions: Mapping[str, int], table: int) -> None:
        """`functions`: address by symbol; `table`: the address of the pointer table: the entry of a slot is at ``table + 8 * slot``."""
        self._functions, self._table = functions, table
        size = sum(_size(c) for c in calls)
        self._words = aligned(8 * size).view(np.int64)
        self._base, self._end = self._words.ctypes.data, 0
        self._text = [0] * size
        self.addresses = [self._write(c) for c in calls]
        self._words[:] = self._text
        del self._text

    def _write(self, c: Call | Block) -> int:
        at = self._end
        self._end += 2 * len(c.operands) + len(c.words)
        text: list[int] = []
        for slot, offset in c.operands:
            text += (self._table + 8 * slot, offset)
        text += [self._word(w) for w in c.words]
        self._text[at : at + len(text)] = text
        return self._base + 8 * at

    def _word(self, w: Any) -> int:
        if w.__class__ is int:
            return w  # type: ignore[no-any-return]
        if isinstance(w, Source):
            return self._functions[w.symbol]
        if isinstance(w, Block):
            return self._write(w)
        if isinstance(w, float):
            return int(struct.unpack("<q", struct.pack("<d", w))[0])
        return int(w)


def _size(c: Call | Block) -> int:
    """Words of a block and of those it points to."""
    return 2 * len(c.operands) + len(c.words) + sum(_size(w) for w in c.words if isinstance(w, Block))
