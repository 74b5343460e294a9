"""Products whose operands both have adjacent k: rows of one operand times rows of the other. Nothing is packed.

A tile has as many vectors of partial sums as a vector has lanes: one for each pair of ``group`` rows of a and ``others`` rows of b, or
several along k if these are fewer. In the end all vectors of a tile are added up into one vector of results by a tree of shuffles and
additions.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

from ..calls import Kernel, Source
from ..emit import Function, Module
from ..values import Value, vector
from .finish import emit_epilogue, emit_round
from .multiply import batch_steps
from .tiles import DOT_K, Tiles

#: words of the call; then the batch as in `multiply`
WORDS = (
    "finish m n k a_row b_column init_row init_column c_row c_column block_rows block_columns row_blocks column_blocks "
    "with_init transposed dimensions"
).split()


@functools.cache
def dot_source(t: Tiles, group: int, others: int) -> Source:
    """Operands a, b, c, init; `a_k` and `b_k` are 1. Units count the row blocks fastest, then the column blocks, then the batch."""
    return Source(("gemm_dot", *t.key, group, others), lambda module, name: _Writer(module, name, t, group, others).write())


class _Writer:
    def __init__(self, module: Module, name: str, t: Tiles, group: int, others: int) -> None:
        self.t, self.group, self.others = t, group, others
        self.unroll = t.lanes // (group * others)
        self.kernel = Kernel(module, name, 4)
        self.f = self.kernel.f
        self.w = {word: self.kernel.word(i, "ptr" if word == "finish" else "i64") for i, word in enumerate(WORDS)}

    def write(self) -> None:
        f, w, t, e = self.f, self.w, self.t, self.t.element
        lo, hi, _ = self.kernel.rest
        operands = [self.kernel.operand(i) for i in range(4)]
        given = f.compare("ne", w["with_init"], 0)
        blocks = f.maximum((w["k"] + (DOT_K - 1)) // DOT_K, 1)
        with f.loop(lo, hi) as unit:
            outer = unit // w["row_blocks"]
            matrix = outer // w["column_blocks"]
            top, first = (unit - outer * w["row_blocks"]) * w["block_rows"], (outer - matrix * w["column_blocks"]) * w["block_columns"]
            bottom, end = f.minimum(top + w["block_rows"], w["m"]), f.minimum(first + w["block_columns"], w["n"])
            steps = batch_steps(self.kernel, w["dimensions"], matrix, len(WORDS))
            a, b, c, init = (f.gep(p, s, e) for p, s in zip(operands, steps, strict=True))
            with f.loop(0, blocks) as block:
                at, start = block * DOT_K, f.compare("eq", block, 0)
                self.with_init = given | f.compare("ne", block, 0)
                self.init = f.select(start, init, c)
                self.init_row, self.init_column = (
                    f.select(start, w["init_row"], w["c_row"]),
                    f.select(start, w["init_column"], w["c_column"]),
                )
                self.k = f.minimum(w["k"] - at, DOT_K)
                rest = self.k % t.lanes
                self.whole, self.mask = self.k - rest, f.first_lanes(rest, t.lanes)
                self.plain = f.compare("eq", w["c_column"], 1) & (
                    f.compare("eq", self.init_column, 1) | f.compare("eq", self.with_init, False)
                )
                with f.loop(top, bottom, self.group) as i, f.loop(first, end, self.others) as j:
                    self._tile(f.gep(a, at, e), f.gep(b, at, e), c, i, j, end)
            self._finish(c, matrix, top, bottom - top, first, end - first)

    def _tile(self, a: Value, b: Value, c: Value, i: Value, j: Value, end: Value) -> None:
        """Rows i to i + group, columns from j; those beyond the last repeat it and are left out."""
        f, w, t, e = self.f, self.w, self.t, self.t.element
        a_rows = [f.gep(a, f.minimum(i + n, w["m"] - 1) * w["a_row"], e) for n in range(self.group)]
        b_rows = [f.gep(b, f.minimum(j + n, end - 1) * w["b_column"], e) for n in range(self.others)]
        sums = [f.variable(0, t.vector) for _ in range(t.lanes)]
        pairs = self.group * self.others

        def load(p: Value, k: Value, mask: Value | None) -> Value:
            q = f.gep(p, k, e)
            return f.masked_load(t.vector, q, mask) if mask else f.load(t.vector, q)

        def step(k: Value, at: int, mask: Value | None) -> None:
            x, y = ([load(p, k, mask) for p in rows] for rows in (a_rows, b_rows))
            for n in range(pairs):
                s = sums[at * pairs + n]
                s.set(f.fma(x[n // self.others], y[n % self.others], s.get()))

        long = self.whole - self.whole % (self.unroll * t.lanes)
        with f.loop(0, long, self.unroll * t.lanes) as k:
            for at in range(self.unroll):
                step(k + at * t.lanes, at, None)
        if self.unroll > 1:
            with f.loop(long, self.whole, t.lanes) as k:
                step(k, 0, None)
        with f.when(self.whole < self.k):
            step(self.whole, 0, self.mask)
        vectors = [s.get() for s in sums]
        while len(vectors) > pairs:
            half = len(vectors) // 2
            vectors = [x + y for x, y in zip(vectors[:half], vectors[half:], strict=True)]
        result = totals(f, t, vectors + [Value(f, "poison", t.vector)] * (t.lanes - pairs))
        f.branch(self.plain, lambda: self._store(result, c, i, j, end), lambda: self._scatter(result, c, i, j, end))

    def _store(self, result: Value, c: Value, i: Value, j: Value, end: Value) -> None:
        f, w, e = self.f, self.w, self.t.element
        type_ = vector(e, self.others)
        mask = f.first_lanes(end - j, self.others)
        for n in range(self.group):
            with f.when(i + n < w["m"]):
                part = f.shuffle(result, result, range(n * self.others, (n + 1) * self.others)) if self.others < self.t.lanes else result
                value = f.variable(part)
                with f.when(self.with_init):
                    value.set(part + f.masked_load(type_, f.gep(self.init, (i + n) * self.init_row + j, e), mask))
                f.masked_store(value.get(), f.gep(c, (i + n) * w["c_row"] + j, e), mask)

    def _scatter(self, result: Value, c: Value, i: Value, j: Value, end: Value) -> None:
        f, w, e = self.f, self.w, self.t.element
        buffer = f.alloca(result.type)
        f.store(result, buffer, 64)
        with f.loop(i, f.minimum(i + self.group, w["m"])) as row, f.loop(j, f.minimum(j + self.others, end)) as column:
            value = f.variable(f.load(e, f.gep(buffer, (row - i) * self.others + (column - j), e)))
            with f.when(self.with_init):
                value.set(value.get() + f.load(e, f.gep(self.init, row * self.init_row + column * self.init_column, e)))
            f.store(value.get(), f.gep(c, row * w["c_row"] + column * w["c_column"], e))

    def _finish(self, c: Value, matrix: Value, row: Value, m: Value, column: Value, n: Value) -> None:
        """Rounding goes along the adjacent dimension; epilogues count rows along m, or along n."""
        f, w, finish = self.f, self.w, self.w["finish"]
        piece = f.gep(c, row * w["c_row"] + column * w["c_column"], self.t.element)
        f.branch(
            f.compare("eq", w["c_column"], 1),
            lambda: emit_round(f, finish, piece, w["c_row"], m, n),
            lambda: emit_round(f, finish, piece, w["c_column"], n, m),
        )
        f.branch(
            f.compare("eq", w["transposed"], 0),
            lambda: emit_epilogue(f, finish, matrix * w["m"] + row, m, column, n),
            lambda: emit_epilogue(f, finish, matrix * w["n"] + column, n, row, m),
        )


def totals(f: Function, t: Tiles, vectors: Sequence[Value]) -> Value:
    """As many vectors as lanes; the sum of each vector's lanes, as one vector in their order. Vectors that are poison cost nothing.

    Halves the number of vectors until one is left: the even elements of a pair plus the odd ones; first elements within 16 bytes, whose
    shuffles are the cheapest, then pieces of 16 bytes.
    """
    few = 16 // t.itemsize
    n = t.lanes
    while len(vectors) > 1:
        within = len(vectors) > n // few
        size, span = (1, few) if within else (few, n)
        orders = [
            [
                vector_ * n + base + at + i
                for base in range(0, n, span)
                for vector_ in (0, 1)
                for at in range(odd * size, span, 2 * size)
                for i in range(size)
            ]
            for odd in (0, 1)
        ]
        vectors = [f.shuffle(a, b, orders[0]) + f.shuffle(a, b, orders[1]) for a, b in zip(vectors[::2], vectors[1::2], strict=True)]
    return vectors[0]
