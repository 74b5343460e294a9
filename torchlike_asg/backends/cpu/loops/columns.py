"""Wide column kernels: the totals of a block of columns lie in scratch memory, and rows are read from left to right, some at a time.

Memory is then read in its order, which processors can fetch ahead; with the totals in registers a block of few columns would be read from
top to bottom, every row of it from another page.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..handler import from_memory, memory_type, to_memory
from ..values import Value, vector
from .memory import At, Place
from .orders import LEVEL, LEVELS

if TYPE_CHECKING:
    from .render import Renderer

#: rows that are read side by side
ROWS = 4


class _Totals:
    """The totals of one reduction in scratch memory."""

    def __init__(self, r: Renderer, n: int, low: Value) -> None:
        self.r, self.low, self.reduction = r, low, r.reduction(n)
        self.start, self.element = r.scratch(n), memory_type(self.reduction.dtype)
        #: a sum in levels (see orders.py) has its totals of higher levels behind those of the first
        self.levels = LEVELS if n in r.nest.leveled else 1

    def _place(self, at: At, level: int = 0) -> Value:
        assert at.lane is not None
        i = at.lane - self.low
        return self.r.f.gep(self.start, i + self.r.word("block") * level if level else i, self.element)

    def load(self, at: At, level: int = 0) -> Value:
        v = self.r.f.load(vector(self.element, at.lanes), self._place(at, level))
        return from_memory(self.r.f, v, self.reduction.dtype)

    def store(self, v: Value, at: At, level: int = 0) -> None:
        self.r.f.store(to_memory(self.r.f, v, self.reduction.dtype), self._place(at, level))

    def clear(self, at: At, level: int = 0) -> None:
        f = self.r.f
        memory = vector(self.element, at.lanes)
        f.store(f.value(self.reduction.identity(), memory), self._place(at, level))

    def flush(self, at: At, level: int) -> None:
        """Add the totals of a level to those of the next."""
        self.store(self.load(at, level + 1) + self.load(at, level), at, level + 1)
        self.clear(at, level)

    def result(self, at: At) -> Value:
        total = self.load(at)
        for level in range(1, self.levels):
            total = total + self.load(at, level)
        return total


def write_columns(r: Renderer, low: Value, high: Value) -> None:
    """All of a single-pass kernel for the columns from `low` to `high`."""
    f, nest, k, (p,) = r.f, r.nest, r.k, r.nest.passes
    *dims, last = nest.inner_dims
    totals = {n: _Totals(r, n, low) for n in p.reduces}

    def clear(at: At) -> None:
        for t in totals.values():
            for level in range(t.levels):
                t.clear(at, level)

    def flush(level: int) -> None:
        leveled = [t for t in totals.values() if t.levels > 1]

        def point(at: At) -> None:
            for t in leveled:
                t.flush(at, level)

        if leveled:
            r.vectors(low, high, point, 1)

    def rows(first: Value, count: int, position: Place) -> None:
        places = [{**position, last: first + n} for n in range(count)]
        r.rows = {}
        shared = [r.uniform_values(p, place) for place in places]

        def point(at: At) -> None:
            r.begin(at)
            sums = {n: t.load(at) for n, t in totals.items()}
            for known, place in zip(shared, places, strict=True):
                here = At(at.lanes, 1, at.mask, at.lane, place)
                values = r.pass_values(p, here, known)
                for n, t in totals.items():
                    v = r.fetch(k.body[n].arg, here, values)[0]  # type: ignore[union-attr]
                    factors = r.factors(n, here, values)
                    fused = f.fma(factors[0][0], factors[1][0], sums[n]) if factors else None
                    sums[n] = fused if fused is not None else t.reduction.combine(sums[n], t.reduction.enter(v))
                r.pass_stores(p, here, values)
            for n, t in totals.items():
                t.store(sums[n], at)

        r.vectors(low, high, point, 1)

    def inner(dims: Sequence[int], position: Place) -> None:
        if dims:
            with f.loop(*r.range(dims[0])) as i:
                inner(dims[1:], {**position, dims[0]: i})
            return
        start, end = r.range(last)
        whole = end - ((end - start) & (ROWS - 1))
        with f.loop(start, whole, ROWS) as i:
            rows(i, ROWS, position)
            if nest.leveled:
                done = i + ROWS - start
                with f.when(f.compare("eq", done & (LEVEL - 1), 0)):
                    flush(0)
                    with f.when(f.compare("eq", done & (LEVEL**2 - 1), 0)):
                        flush(1)
        with f.loop(whole, end) as i:
            rows(i, 1, position)

    def finish(at: At) -> None:
        r.begin(at)
        for n, t in totals.items():
            r.rows[n] = [t.reduction.leave(t.result(at))]
        r.row_values(1, at)
        r.row_stores(at)

    r.vectors(low, high, clear, 1)
    inner(dims, {})
    r.vectors(low, high, finish, 1)
