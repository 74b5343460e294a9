"""Sums in the orders of PyTorch's CPU kernels, so that results have the same bits as theirs.

Those orders are stated in vectors of 32 bytes (64 in softmax), whatever the processor's are; here they are followed where vectors have
64 bytes. Plain sums add up in levels: sixteen rows into a total of the first level, sixteen such totals into one of the second. Along a
row, four chains of vectors are summed by themselves, then the chains in turn, the elements after the last whole vector, and the lanes in
turn. Columns go down in one chain each, but for those after the last whole group of four vectors, which have four chains of every
fourth row. (T. Kaneko's pairwise summation is the idea behind levels: errors grow with the depth, not with the length.)
"""

from __future__ import annotations

from collections.abc import Sequence

from .... import dtypes
from ..emit import Function
from ..handler import register_type
from ..values import Value, lanes, vector
from .memory import At
from .reduction import Accumulator, Reduction

#: totals that go into one of the next level, and levels
LEVEL, LEVELS = 16, 3
#: bytes of PyTorch's vectors in sums
BYTES = 32
#: chains of a row, and of the columns after the last whole group of vectors
CHAINS = 4
#: of our vectors, in a group of columns
GROUP = 2


def pieces(v: Value, count: int) -> list[Value]:
    """A vector in so many equal parts."""
    n = lanes(v.type) // count
    return [v] if count == 1 else [v.f.shuffle(v, v, range(m * n, (m + 1) * n)) for m in range(count)]


def in_turn(f: Function, total: Value | None, v: Value) -> Value:
    """The lanes of a vector added to a total, one after the other."""
    for n in range(lanes(v.type)):
        lane = f.extract(v, n)
        total = lane if total is None else total + lane
    assert total is not None
    return total


class Levels:
    """Totals of several vectors side by side, in levels."""

    def __init__(self, f: Function, type_: str, copies: int) -> None:
        self.f = f
        self.totals = [[f.variable(0, type_) for _ in range(copies)] for _ in range(LEVELS)]

    def clear(self) -> None:
        for level in self.totals:
            for t in level:
                t.set(0)

    def add(self, n: int, v: Value) -> None:
        t = self.totals[0][n]
        t.set(t.get() + v)

    def flush(self, level: int) -> None:
        """Add a level's totals to the next level's."""
        for low, high in zip(self.totals[level], self.totals[level + 1], strict=True):
            high.set(high.get() + low.get())
            low.set(0)

    def sums(self) -> list[Value]:
        out = []
        for column in zip(*self.totals, strict=True):
            total = column[0].get()
            for t in column[1:]:
                total = total + t.get()
            out.append(total)
        return out


class RowSum(Accumulator):
    """A plain sum along a row, two vectors at a time: four chains of half vectors."""

    def __init__(self, reduction: Reduction, width: int) -> None:
        self.reduction = reduction
        f, e = reduction.f, register_type(reduction.dtype)
        half = vector(e, width // 2)
        self.levels = Levels(f, vector(e, width), 2)
        #: the first chain, once the main loop is over, and what comes after the last whole half vector
        self.first, self.rest = f.variable(0, half), f.variable(0, half)
        #: what comes after the last vectors one by one, where there are no masks: vectors of 64 bytes that are several registers
        self.single = f.variable(0, e)
        self.others: list[Value] = []

    def add(self, values: Sequence[Value], at: At, factors: Sequence[Sequence[Value]] = ()) -> None:
        if at.lanes == 1:
            self.single.set(self.single.get() + values[0])
            return
        if at.mask is None:
            for n, v in enumerate(values):
                self.levels.add(n, v)
            return
        f = self.reduction.f
        low, high = pieces(f.select(at.mask, values[0], 0), 2)
        n = lanes(low.type)
        whole, both = f.extract(at.mask, n - 1), f.extract(at.mask, 2 * n - 1)
        first = self.first.get()
        first = f.select(whole, first + low, first)
        self.first.set(f.select(both, first + high, first))
        self.rest.set(f.select(both, f.value(0, low.type), f.select(whole, high, low)))

    def flush(self, level: int) -> None:
        self.levels.flush(level)

    def middle(self) -> None:
        chains = [half for v in self.levels.sums() for half in pieces(v, 2)]
        first, *self.others = chains
        self.first.set(first)

    def result(self, fold: bool, length: Value | None = None) -> list[Value]:
        assert length is not None
        f, vectors = self.reduction.f, self.first.get()
        for chain in self.others:
            vectors = vectors + chain
        rest = self.rest.get()
        n = lanes(rest.type)
        lane = [f.extract(rest, m) for m in range(n)]
        # a row shorter than a vector has four chains of elements
        order = [0, *range(CHAINS, n), *range(1, CHAINS)]
        short, usual = lane[0], lane[0]
        for m, k in zip(order[1:], range(1, n), strict=True):
            short, usual = short + lane[m], usual + lane[k]
        return [in_turn(f, f.select(length < n, short, usual) + self.single.get(), vectors)]


class Chain(Accumulator):
    """A sum along a row in one chain of vectors of 64 bytes (order "vectors") or 32 ("halves"); then halves of the vector are added, or,
    if the row is shorter than a vector, its elements in turn. A product is fused with the addition after the last whole vector.
    """

    def __init__(self, reduction: Reduction, width: int) -> None:
        self.reduction = reduction
        f, e = reduction.f, register_type(reduction.dtype)
        self.parts = 2 if reduction.i.order == "halves" and width * reduction.dtype.itemsize == 2 * BYTES else 1
        self.total = f.variable(0, vector(e, width // self.parts))
        self.single = f.variable(0, e)

    def add(self, values: Sequence[Value], at: At, factors: Sequence[Sequence[Value]] = ()) -> None:
        f = self.reduction.f
        if at.lanes == 1 and lanes(self.total.type) > 1:
            self.single.set(self.single.get() + values[0])
            return
        for n, v in enumerate(values):
            masks = [None] * self.parts if at.mask is None else pieces(at.mask, self.parts)
            terms = [pieces(x[n], self.parts) for x in factors] if at.mask is not None else []
            for m, (piece, mask) in enumerate(zip(pieces(v, self.parts), masks, strict=True)):
                old = self.total.get()
                new = old + piece
                if mask is not None:
                    if terms:
                        whole = f.extract(mask, lanes(mask.type) - 1)
                        new = f.select(whole, new, f.fma(terms[0][m], terms[1][m], old))
                    new = f.select(mask, new, old)
                self.total.set(new)

    def result(self, fold: bool, length: Value | None = None) -> list[Value]:
        assert length is not None
        f, total = self.reduction.f, self.total.get()
        out = f.variable(self.single.get())
        f.branch(
            length < lanes(total.type),
            lambda: out.set(in_turn(f, out.get(), total)),
            lambda: out.set(out.get() + f.fold(lambda a, b: a + b, total)),
        )
        return [out.get()]


class ColumnSum(Accumulator):
    """A plain sum of columns: in levels; `result` takes what is in them now as the next of several chains."""

    def __init__(self, reduction: Reduction, width: int, copies: int) -> None:
        self.reduction = reduction
        f, type_ = reduction.f, vector(register_type(reduction.dtype), width)
        self.levels = Levels(f, type_, copies)
        self.chains = [f.variable(0, type_) for _ in range(copies)]

    def add(self, values: Sequence[Value], at: At, factors: Sequence[Sequence[Value]] = ()) -> None:
        for n, v in enumerate(values):
            self.levels.add(n, v)

    def flush(self, level: int) -> None:
        self.levels.flush(level)

    def middle(self) -> None:
        """Collapse the levels: what is added from now on comes after them."""
        sums = self.levels.sums()
        self.levels.clear()
        for t, v in zip(self.levels.totals[0], sums, strict=True):
            t.set(v)

    def chain(self) -> None:
        """A chain ends, and the next begins."""
        for total, t in zip(self.chains, self.levels.totals[0], strict=True):
            total.set(total.get() + t.get())
        self.levels.clear()

    def result(self, fold: bool, length: Value | None = None) -> list[Value]:
        return [c.get() for c in self.chains]


class Moments:
    """Mean and variance of a row by Welford's updates: each lane of a vector of 32 bytes by itself; then the elements after the last whole
    vector, and the lanes, joined one after the other by Chan's formula.

    B. P. Welford, Technometrics 4 (1962); T. F. Chan, G. H. Golub, R. J. LeVeque, The American Statistician 37 (1983).
    """

    def __init__(self, f: Function, d: dtypes.dtype, width: int, copies: int, fold: bool) -> None:
        self.f, self.fold = f, fold
        self.e = register_type(d)
        self.parts = 2 if fold and width * d.itemsize == 2 * BYTES else 1
        type_ = vector(self.e, width // self.parts)
        count = 1 if fold else copies
        self.mean = [f.variable(0, type_) for _ in range(count)]
        self.square = [f.variable(0, type_) for _ in range(count)]
        self.count = f.variable(0, self.e)
        self.one = tuple(f.variable(0, self.e) for _ in range(3))
        self.rest = f.variable(0, type_)
        self.left = f.variable(0, "i64")

    def add(self, values: Sequence[Value], at: At) -> None:
        f = self.f
        if not self.fold:
            self._counted()
            for n, v in enumerate(values):
                self._update(n, v)
        elif at.lanes == 1:
            self._element(values[0])
        else:
            for v in values:
                masks = [None] * self.parts if at.mask is None else pieces(at.mask, self.parts)
                for piece, mask in zip(pieces(v, self.parts), masks, strict=True):
                    if mask is None:
                        self._counted()
                        self._update(0, piece)
                    else:
                        f.branch(
                            f.extract(mask, lanes(mask.type) - 1), lambda x=piece: self._whole(x), lambda x=piece, m=mask: self._keep(x, m)
                        )

    def _counted(self) -> None:
        self.count.set(self.count.get() + 1.0)

    def _whole(self, v: Value) -> None:
        self._counted()
        self._update(0, v)

    def _keep(self, v: Value, mask: Value) -> None:
        n = self.f.convert(
            "zext", self.f.intrinsic("ctpop", f"i{lanes(mask.type)}", self.f.convert("bitcast", mask, f"i{lanes(mask.type)}")), "i64"
        )
        with self.f.when(self.f.compare("ne", n, 0)):
            self.rest.set(v)
            self.left.set(n)

    def _update(self, n: int, v: Value) -> None:
        f, mean = self.f, self.mean[n].get()
        share = f.splat(1.0 / self.count.get(), v.type)
        off = v - mean
        after = f.fma(off, share, mean)
        self.mean[n].set(after)
        self.square[n].set(f.fma(off, v - after, self.square[n].get()))

    def _element(self, v: Value) -> None:
        count, mean, square = self.one
        count.set(count.get() + 1.0)
        off = v - mean.get()
        mean.set(mean.get() + off / count.get())
        square.set(square.get() + off * (v - mean.get()))

    def line_ends(self) -> None:
        """Take in the elements after the last whole vector. A row of several dimensions has some in each of its lines."""
        f, rest = self.f, self.rest.get()
        memory = f.alloca(rest.type)
        f.store(rest, memory, 64)
        with f.loop(0, self.left.get()) as i:
            self._element(f.load(self.e, f.gep(memory, i, self.e)))
        self.left.set(0)

    def result(self) -> tuple[list[Value], list[Value]]:
        """The means, and the sums of squared distances from them."""
        f = self.f
        if not self.fold:
            return [v.get() for v in self.mean], [v.get() for v in self.square]
        self.line_ends()
        count, mean, square = self.one
        each = self.count.get()
        with f.when(each > 0.0):
            means, squares = self.mean[0].get(), self.square[0].get()
            for n in range(lanes(means.type)):
                before, m = count.get(), mean.get()
                after = before + each
                share = each / after
                off = f.extract(means, n) - m
                mean.set(f.fma(share, off, m))
                square.set(square.get() + f.fma(off * off * share, before, f.extract(squares, n)))
                count.set(after)
        return [mean.get()], [square.get()]
