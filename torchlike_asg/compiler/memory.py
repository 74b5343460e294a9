"""Offsets in one page for values with known lifetimes."""

from __future__ import annotations

ALIGNMENT = 64


class Planner:
    """First fit over the gaps between live blocks; `size` is the page needed so far."""

    def __init__(self) -> None:
        self._blocks: list[tuple[int, int]] = []  # (offset, bytes) of live blocks, by offset
        self.size = 0

    def allocate(self, nbytes: int) -> int:
        """The offset of a free block of that many bytes."""
        nbytes = -(-nbytes // ALIGNMENT) * ALIGNMENT
        at = 0
        for i, (offset, length) in enumerate(self._blocks):
            if offset - at >= nbytes:
                self._blocks.insert(i, (at, nbytes))
                return at
            at = offset + length
        self._blocks.append((at, nbytes))
        self.size = max(self.size, at + nbytes)
        return at

    def free(self, offset: int) -> None:
        """Give a block back."""
        self._blocks = [b for b in self._blocks if b[0] != offset]
