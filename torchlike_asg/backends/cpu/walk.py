"""Walking over the points of a strided space, whose rank, sizes and strides are run-time words."""

from __future__ import annotations

from collections.abc import Sequence

from .emit import Function
from .values import Value

#: as many dimensions as NumPy has
MAX_RANK = 64


def walk_words(dims: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    """The words that describe a space to `Walk`: the rank, then for each of `dims`, slowest first, its size and the step of each stream."""
    return (len(dims), *[word for dim in reversed(dims) for word in dim])


class Walk:
    """A point that moves through a space in row-major order, and how far it is from the origin along `streams` arrays.

    `words` is where the description of the space lies (`walk_words`). Moving on costs a few instructions; only `start` divides.
    """

    def __init__(self, f: Function, words: Value, streams: int) -> None:
        self.f, self._words, self._width = f, words, streams + 1
        self.rank = f.load("i64", words)
        self._counts = f.alloca("i64", MAX_RANK)
        self._offsets = [f.variable(0, "i64") for _ in range(streams)]
        self._dim, self._rest, self._going = f.variable(0, "i64"), f.variable(0, "i64"), f.variable(False, "i1")

    def _word(self, dim: Value, k: int) -> Value:
        return self.f.load("i64", self.f.gep(self._words, dim * self._width + (1 + k), "i64"))

    def offset(self, stream: int) -> Value:
        """The distance of the point from the origin, in the units that the steps have."""
        return self._offsets[stream].get()

    def start(self, point: Value) -> None:
        """Go to the point of that number in row-major order."""
        f = self.f
        self._rest.set(point)
        for o in self._offsets:
            o.set(0)
        with f.loop(0, self.rank) as d:
            size = self._word(d, 0)
            quotient = self._rest.get() // size
            c = self._rest.get() - quotient * size
            self._rest.set(quotient)
            f.store(c, f.gep(self._counts, d, "i64"))
            for k, o in enumerate(self._offsets):
                o.set(o.get() + c * self._word(d, k + 1))

    def advance(self) -> None:
        """Go to the next point; from the last one to the first."""
        f = self.f
        self._dim.set(0)
        self._going.set(True)
        with f.loop_while(lambda: self._going.get() & (self._dim.get() < self.rank)):
            d = self._dim.get()
            size = self._word(d, 0)
            c = f.load("i64", f.gep(self._counts, d, "i64")) + 1
            for k, o in enumerate(self._offsets):
                o.set(o.get() + self._word(d, k + 1))

            def wrap() -> None:
                for k, o in enumerate(self._offsets):
                    o.set(o.get() - size * self._word(d, k + 1))
                f.store(f.value(0, "i64"), f.gep(self._counts, d, "i64"))
                self._dim.set(d + 1)

            def stay() -> None:
                f.store(c, f.gep(self._counts, d, "i64"))
                self._going.set(False)

            f.branch(c < size, stay, wrap)


def by_step(dims: Sequence[tuple[int, ...]], stream: int) -> list[tuple[int, ...]]:
    """The dimensions in order of a stream's steps, largest first."""
    return sorted(dims, key=lambda dim: -abs(dim[1 + stream]))
