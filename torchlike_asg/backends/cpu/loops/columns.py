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

if TYPE_CHECKING:
    from .render import Renderer

#: rows that are read side by side
ROWS = 4


class _Totals:
    """The totals of one reduction in scratch memory."""

    def __init__(self, r: Renderer, n: int, low: Value) -> None:
        self.r, self.low, self.reduction = r, low, r.reduction(n)
        self.start, self.element = r.scratch(n), memory_type(self.reduction.dtype)

    def _place(self, at: At) -> Value:
        assert at.lane is not None
        return self.r.f.gep(self.start, at.lane - self.low, self.element)

    def load(self, at: At) -> Value:
        v = self.r.f.load(vector(self.element, at.lanes), self._place(at))
        return from_memory(self.r.f, v, self.reduction.dtype)

    def store(self, v: Value, at: At) -> None:
        self.r.f.store(to_memory(self.r.f, v, self.reduction.dtype), self._place(at))

    def clear(self, at: At) -> None:
        f = self.r.f
        memory = vector(self.element, at.lanes)
        f.store(f.value(self.reduction.identity(), memory), self._place(at))


def write_columns(r: Renderer, low: Value, high: Value) -> None:
    """All of a single-pass kernel for the columns from `low` to `high`."""
    f, nest, k, (p,) = r.f, r.nest, r.k, r.nest.passes
    *dims, last = nest.inner_dims
    totals = {n: _Totals(r, n, low) for n in p.reduces}

    def clear(at: At) -> None:
        for t in totals.values():
            t.clear(at)

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
                    sums[n] = t.reduction.combine(sums[n], t.reduction.enter(v))
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
        with f.loop(whole, end) as i:
            rows(i, 1, position)

    def finish(at: At) -> None:
        r.begin(at)
        for n, t in totals.items():
            r.rows[n] = [t.reduction.leave(t.load(at))]
        r.row_values(1, at)
        r.row_stores(at)

    r.vectors(low, high, clear, 1)
    inner(dims, {})
    r.vectors(low, high, finish, 1)
