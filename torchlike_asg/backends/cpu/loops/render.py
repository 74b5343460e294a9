"""Writes the loops of a `Nest`: units of work, rows, passes, vectors.

A row kernel has its vectors along the row: every pass has a loop over vectors, whose remainder is done under a mask (AVX-512) or one
element at a time, and row values are scalars. A column kernel has its vectors along independent points: the loop over vectors is outside
of the passes, and row values are vectors. Reductions add up in an order that depends on sizes and the instruction set alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from .... import dtypes
from ....compiler.kernel import NUMBERED, Apply, Reduce
from ..emit import Module
from ..isa import Isa
from ..values import Value, element
from .columns import write_columns
from .instructions import Instructions
from .memory import At, Place
from .nest import Nest, Pass
from .orders import CHAINS, GROUP, LEVEL, Chain, ColumnSum, Moments, RowSum
from .reduction import Accumulator, Reduction


class Renderer(Instructions):
    """Writes one kernel."""

    def __init__(self, nest: Nest, isa: Isa, module: Module, name: str) -> None:
        super().__init__(nest, isa, module, name)
        self.part: tuple[Value, Value] | None = None
        #: columns are those after the last whole group of vectors (see orders.py)
        self.chained = False

    def reduction(self, n: int) -> Reduction:
        i = self.k.body[n]
        assert isinstance(i, Reduce)
        return Reduction(self.f, i, self.handler)

    # ---------------------------------------------------------------- outside of rows
    def render(self) -> None:
        f = self.f
        f.contract = False
        self.find_fixed()
        low, high = self.kernel.rest[:2]
        with f.loop(low, high) as unit:
            index, low, high = self._unit(unit)
            self._block(index, low, high)

    def _unit(self, unit: Value) -> tuple[Place, Value, Value]:
        """The unit's place in the outer dimensions, and its range of the vectors' dimension."""
        f, nest = self.f, self.nest
        low, high = f.value(0, "i64"), self.word("size", nest.lane) if nest.lane >= 0 else f.value(1, "i64")
        if nest.matrix:
            low, high = self.kernel.rest[2:4]
        if nest.blocked:
            blocks, size = self.word("blocks"), self.word("block")
            low = unit % blocks * size
            high = f.minimum(high, low + size)
            unit = unit // blocks
        index: Place = {}
        for d in reversed(nest.outer_dims[1:]):
            size = self.word("size", d)
            index[d] = unit % size
            unit = unit // size
        if nest.outer_dims:
            index[nest.outer_dims[0]] = unit
        return index, low, high

    def _block(self, index: Place, low: Value, high: Value) -> None:
        """A range of the vectors' dimension at one place of the outer dimensions."""
        f, nest, k = self.f, self.nest, self.k
        self.place = [self.moved(n, self.base[n], index) for n in range(len(k.operands))]
        self.index = []
        for n, i in enumerate(k.body):
            self.index.append(self.number(n, self.word("index", n), index) if isinstance(i, NUMBERED) else None)
        if nest.split >= 0:
            length = self.word("part")
            start = index[0] * length
            self.part = start, f.minimum(self.word("size", nest.split), start + length)
        if nest.column and nest.leveled:
            # groups of four of PyTorch's vectors are added up in another order than the columns after them
            size = self.word("size", nest.lane)
            end = f.maximum(low, f.minimum(high, size - size % (GROUP * nest.lanes)))
            self._columns(low, end)
            self.chained = True
            self.vectors(end, high, self._program, 1, whole=False)
            self.chained = False
        elif nest.column:
            self._columns(low, high)
        else:
            self._program(At(1, 1, None, None, {}), (low, high))

    def _columns(self, low: Value, high: Value) -> None:
        if self.nest.wide:
            write_columns(self, low, high)
        else:
            self.vectors(low, high, self._program, self.nest.copies, rest=not self.nest.leveled)

    def vectors(
        self,
        low: Value,
        high: Value,
        write: Callable[[At], None],
        copies: int,
        position: Place | None = None,
        whole: bool = True,
        rest: bool = True,
        sums: Sequence[Accumulator] = (),
    ) -> None:
        """The loop over the vectors' dimension: groups of vectors, then the rest under a mask or one by one. Without `whole` all vectors
        are of the rest; without `rest` there is none. `sums` are told when sixteen groups are over, and when the last one is.
        """
        f, w = self.f, self.nest.lanes
        position = position or {}
        step = w * copies
        end = high - ((high - low) & (step - 1)) if whole else low
        if whole and sums:
            self.leveled_loop(low, end, step, lambda i: write(At(w, copies, None, i, position)), sums)
        elif whole:
            with f.loop(low, end, step) as i:
                write(At(w, copies, None, i, position))
        if not rest:
            return
        if self.masked:
            with f.loop(end, high, w) as i:
                self.mask = f.first_lanes(f.minimum(high - i, w), w) if w > 1 else None
                write(At(w, 1, self.mask, i, position))
                self.mask = None
        elif step > 1:
            with f.loop(end, high) as i:
                write(At(1, 1, None, i, position))

    def leveled_loop(self, low: Value, high: Value, step: int, write: Callable[[Value], None], sums: Sequence[Accumulator]) -> None:
        """A loop whose rounds go into totals of several levels (see orders.py)."""
        f = self.f
        with f.loop(low, high, step * LEVEL) as start:
            end = f.minimum(start + step * LEVEL, high)
            with f.loop(start, end, step) as i:
                write(i)
            with f.when(f.compare("eq", end - start, step * LEVEL)):
                for s in sums:
                    s.flush(0)
                with f.when(f.compare("eq", (end - low) & (step * LEVEL**2 - 1), 0)):
                    for s in sums:
                        s.flush(1)
        for s in sums:
            s.middle()

    # ---------------------------------------------------------------- a row (or a block of columns)
    def begin(self, at: At) -> None:
        """Find the row values that depend on no reduction. `at`: where row values live."""
        self.rows = {}
        self.row_values(0, at)

    def row_values(self, stage: int, at: At) -> None:
        for n in self.nest.row_values[stage]:
            self.rows[n] = self.compute(n, at, self.rows)

    def row_stores(self, at: At) -> None:
        for operand, n in self.k.stores:
            if not self.nest.full(operand):
                self.store(operand, self.fetch(n, at, self.rows), at)

    def _program(self, at: At, bounds: tuple[Value, Value] | None = None) -> None:
        """All passes. `bounds`: the vectors' range within the row."""
        self.begin(at)
        for stage, p in enumerate(self.nest.passes):
            self._pass(p, at, bounds)
            self.row_values(stage + 1, at)
        self.row_stores(at)

    def uniform_values(self, p: Pass, position: Place) -> dict[int, list[Value]]:
        """The values of a pass that are the same along the vectors' dimension, as scalars."""
        at, values = At(1, 1, None, None, position), dict[int, list[Value]]()
        for n in p.values:
            if self.nest.uniform[n]:
                values[n] = self.compute(n, at, values)
        return values

    def pass_values(self, p: Pass, at: At, known: dict[int, list[Value]]) -> dict[int, list[Value]]:
        """What a pass computes at one place, besides what is known; expensive values are saved for later passes."""
        values = {**known, **{n: self.recall(n, at) for n in p.kept}}
        for n in p.values:
            if n not in known:
                values[n] = self.compute(n, at, values)
        for n in p.saves:
            self.save(n, values[n], at)
        return values

    def pass_stores(self, p: Pass, at: At, values: dict[int, list[Value]]) -> None:
        for s in p.stores:
            operand, n = self.k.stores[s]
            self.store(operand, self.fetch(n, at, values), at)

    def _pass(self, p: Pass, row: At, bounds: tuple[Value, Value] | None) -> None:
        nest, k = self.nest, self.k
        copies = row.copies if nest.column else nest.copies_along(p)
        width = row.lanes if nest.column else nest.lanes
        accumulators: dict[int, Accumulator] = {}
        moments: dict[int, Moments] = {}
        for n in p.reduces:
            i = k.body[n]
            assert isinstance(i, Reduce)
            if i.kind not in ("mean", "variance"):
                accumulators[n] = self._accumulator(n, width, copies)
            elif i.arg not in moments:
                moments[i.arg] = Moments(self.f, i.dtype, width, copies, not nest.column)
        sums = [a for a in accumulators.values() if isinstance(a, (RowSum, ColumnSum))]

        def point(at: At) -> None:
            values = self.pass_values(p, at, {})
            for n, a in accumulators.items():
                a.add(self.fetch(k.body[n].arg, at, values), at, self.factors(n, at, values))  # type: ignore[union-attr]
            for n, m in moments.items():
                m.add(self.fetch(n, at, values), at)
            self.pass_stores(p, at, values)

        def inner(dims: Sequence[int], position: Place) -> None:
            if not dims:
                if bounds is None:
                    point(At(row.lanes, row.copies, row.mask, row.lane, position))
                else:
                    limits = self.range(nest.lane) if nest.split == nest.lane else bounds
                    self.vectors(*limits, point, copies, position, sums=sums)
                    if nest.inner_dims:
                        for m in moments.values():
                            m.line_ends()
            elif sums and nest.column:
                self._down(dims[0], lambda i: inner(dims[1:], {**position, dims[0]: i}), sums)
            else:
                with self.f.loop(*self.range(dims[0])) as i:
                    inner(dims[1:], {**position, dims[0]: i})

        inner(nest.inner_dims, {})
        low, high = self.range(nest.lane) if bounds is None or nest.split == nest.lane else bounds
        for n, a in accumulators.items():
            self.rows[n] = a.result(not nest.column, high - low)
        self._moments(p, moments)

    def _accumulator(self, n: int, width: int, copies: int) -> Accumulator:
        nest, reduction = self.nest, self.reduction(n)
        i = reduction.i
        if n in nest.leveled:
            return ColumnSum(reduction, width, copies) if nest.column else RowSum(reduction, width)
        if i.order in ("vectors", "halves") and not nest.column and not nest.inner_dims and i.dtype in (dtypes.float32, dtypes.float64):
            return Chain(reduction, width)
        return Accumulator(reduction, width, copies, not nest.column and not self.masked and width * copies > 1)

    def factors(self, n: int, at: At, values: dict[int, list[Value]]) -> list[list[Value]]:
        """The factors of a product that a sum in a given order adds up, if it is to fuse them."""
        i = self.k.body[n]
        assert isinstance(i, Reduce)
        product = self.k.body[i.arg]
        if not i.order or not isinstance(product, Apply) or product.op != "mul" or product.compute is not i.dtype:
            return []
        if any(self.k.body[a].dtype is not i.dtype for a in product.args):
            return []
        return [self.fetch(a, at, values) for a in product.args]

    def _down(self, d: int, write: Callable[[Value], None], sums: Sequence[Accumulator]) -> None:
        """The loop over the rows of columns that are added up in levels, or in chains of every fourth row."""
        f = self.f
        low, high = self.range(d)
        if not self.chained:
            self.leveled_loop(low, high, 1, write, sums)
        else:
            end = high - (high - low) % CHAINS
            with f.loop(0, CHAINS) as chain:
                self.leveled_loop(low + chain, end + chain, CHAINS, write, sums)
                with f.loop(end, f.select(f.compare("eq", chain, 0), high, end)) as i:
                    write(i)
                for s in sums:
                    s.chain()  # type: ignore[attr-defined]
            return
        for s in sums:
            s.chain()  # type: ignore[attr-defined]

    def _moments(self, p: Pass, moments: dict[int, Moments]) -> None:
        """Means and variances that a pass has found."""
        f, found = self.f, {n: m.result() for n, m in moments.items()}
        for n in p.reduces:
            i = self.k.body[n]
            if isinstance(i, Reduce) and i.kind in ("mean", "variance"):
                means, squares = found[i.arg]
                type_ = means[0].type
                count = f.splat(f.convert("sitofp", self._length(), element(type_)), type_)
                self.rows[n] = means if i.kind == "mean" else [s / count for s in squares]

    def _length(self) -> Value:
        """Points of a row."""
        total = self.f.value(1, "i64")
        for d in range(self.k.outer, self.nest.rank):
            total = total * self.word("size", d)
        return total

    def range(self, d: int) -> tuple[Value, Value]:
        if d == self.nest.split and self.part is not None:
            return self.part
        return self.f.value(0, "i64"), self.word("size", d)
