"""Offsets in one page for values with known lifetimes."""

from __future__ import annotations

from bisect import bisect_left

ALIGNMENT = 64


class Planner:
    """First fit over the gaps between live blocks; `size` is the page needed so far."""

    def __init__(self, alignment: int = ALIGNMENT, limit: int = 0) -> None:
        """`limit`: the largest page that may be, in bytes (0: none)."""
        self._alignment, self._limit = alignment, limit
        self._live: dict[int, int] = {}  # offset -> bytes
        self._gaps: list[tuple[int, int]] = []  # (offset, bytes) below `size`, by offset; no two adjoin
        self.size = 0

    def allocate(self, nbytes: int) -> int:
        """The offset of a free block of that many bytes. MemoryError if the page would have to be larger than its limit."""
        nbytes = -(-nbytes // self._alignment) * self._alignment
        for i, (at, length) in enumerate(self._gaps):
            if length >= nbytes:
                self._gaps[i : i + 1] = [(at + nbytes, length - nbytes)] if length > nbytes else []
                break
        else:
            at = self.size
            growing = bool(self._gaps) and sum(self._gaps[-1]) == at  # the last gap reaches the end: let the block grow out of it
            if growing:
                at = self._gaps[-1][0]
            if self._limit and at + nbytes > self._limit:
                raise MemoryError(f"a page of {self._limit} bytes is full")
            if growing:
                self._gaps.pop()
            self.size = at + nbytes
        self._live[at] = nbytes
        return at

    def free(self, offset: int) -> None:
        """Give a block back."""
        lo, hi = offset, offset + self._live.pop(offset)
        i = bisect_left(self._gaps, (lo, 0))
        first = i - 1 if i > 0 and sum(self._gaps[i - 1]) == lo else i
        last = i + 1 if i < len(self._gaps) and self._gaps[i][0] == hi else i
        if first < i:
            lo = self._gaps[first][0]
        if last > i:
            hi = sum(self._gaps[i])
        self._gaps[first:last] = [(lo, hi - lo)]
