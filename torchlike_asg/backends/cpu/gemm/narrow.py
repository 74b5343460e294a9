"""Products with few columns, in the order of MKL's kernels for them: factors are multiplied, rounded, and then added.

``rows``     b's rows are adjacent: sums in the order of k. But a row of the result that does not begin at a multiple of 16 bytes has its
             columns before the next such place added up in another way: of each eight products the first four one by one, and the sum of
             the other four.
``columns``  b's columns are adjacent: what of a row of a lies before a multiple of 16 bytes is added up, and begins the first of four
             chains of every fourth product; then chains 0 and 2, 1 and 3, and both, then the products left over. Columns after the last
             four have eight chains, of which each half is added to the other first.

Places are those in operands without gaps, as PyTorch's are, wherever ours lie. b is first copied to rows of one vector.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..calls import Kernel, Source
from ..emit import Module, Variable
from ..values import Value
from .finish import emit_epilogue, emit_round
from .multiply import batch_steps

#: words of the call; then the batch as in `multiply`
WORDS = "finish m n k a_row a_k b_k b_column c_row c_column block_rows row_blocks way dimensions".split()
#: the word `way`: in the order of k; rows; columns
IN_TURN, ROWS, COLUMNS = range(3)
#: floats of 16 bytes, of a vector of b
_QUAD, _LANES = 4, 16
#: rows that are computed side by side
_ROWS = 4
_VECTOR = f"<{_LANES} x float>"


def scratch(k: int) -> int:
    """Bytes for the copy of b."""
    return k * _LANES * 4


@functools.cache
def narrow_source() -> Source:
    """Operands a, b, c, init (not read); units are blocks of rows, then the batch."""
    return Source(("gemm_narrow",), lambda module, name: _Writer(module, name).write())


@dataclass(frozen=True)
class _Row:
    """A row of a, its number in the batch, and the sums of all columns."""

    a: Value
    number: Value
    sums: Variable


class _Writer:
    def __init__(self, module: Module, name: str) -> None:
        self.kernel = Kernel(module, name, 4)
        self.f = self.kernel.f
        self.f.contract = False
        self.w = {word: self.kernel.word(i, "ptr" if word == "finish" else "i64") for i, word in enumerate(WORDS)}

    def write(self) -> None:
        f, w = self.f, self.w
        lo, hi, self.b = self.kernel.rest
        a, b, c, _ = (self.kernel.operand(i) for i in range(4))
        with f.loop(lo, hi) as unit:
            matrix = unit // w["row_blocks"]
            first = (unit - matrix * w["row_blocks"]) * w["block_rows"]
            end = f.minimum(first + w["block_rows"], w["m"])
            a_at, b_at, c_at, _ = (
                f.gep(p, s, "float")
                for p, s in zip((a, b, c, c), batch_steps(self.kernel, w["dimensions"], matrix, len(WORDS)), strict=True)
            )
            self._copy(b_at)
            self.before = matrix * w["m"]
            f.branch(
                f.compare("eq", w["way"], COLUMNS),
                lambda at=(a_at, c_at), r=(first, end): self._each(*at, *r, 1, self._by_columns),
                lambda at=(a_at, c_at), r=(first, end): self._in_fours(*at, *r),
            )
            start = f.gep(c_at, first * w["c_row"], "float")
            emit_round(f, w["finish"], start, w["c_row"], end - first, w["n"])
            emit_epilogue(f, w["finish"], matrix * w["m"] + first, end - first, f.value(0, "i64"), w["n"])

    def _in_fours(self, a: Value, c: Value, first: Value, end: Value) -> None:
        """Rows whose sums are in the order of k: four side by side, so that they do not wait for their own results. Then what of them is
        added up in another way, written over it: few columns of some rows, and code that need not be there for each of the four.
        """
        f, w = self.f, self.w
        whole = end - (end - first) % _ROWS
        self._each(a, c, first, whole, _ROWS, self._by_rows)
        self._each(a, c, whole, end, 1, self._by_rows)
        with f.when(f.compare("eq", w["way"], ROWS)), f.loop(first, end) as i:
            ahead = (0 - (self.before + i) * w["n"]) & (_QUAD - 1)
            with f.when(f.compare("ne", ahead, 0) & (w["n"] - ahead >= _QUAD)):
                sums = self._by_eights(f.gep(a, i * w["a_row"], "float"))
                self._store(sums, f.gep(c, i * w["c_row"], "float"), ahead)

    def _each(self, a: Value, c: Value, first: Value, end: Value, step: int, compute: Callable[[Sequence[_Row]], None]) -> None:
        f, w = self.f, self.w
        with f.loop(first, end, step) as i:
            rows = [_Row(f.gep(a, (i + n) * w["a_row"], "float"), self.before + i + n, f.variable(0, _VECTOR)) for n in range(step)]
            compute(rows)
            if step == 1:
                self._store(rows[0].sums.get(), f.gep(c, i * w["c_row"], "float"), w["n"])
                return
            buffer = f.alloca(_VECTOR, step)
            for n, row in enumerate(rows):
                f.store(row.sums.get(), f.gep(buffer, n * _LANES, "float"), 64)
            with f.loop(0, step) as n:
                self._store(f.load(_VECTOR, f.gep(buffer, n * _LANES, "float"), 64), f.gep(c, (i + n) * w["c_row"], "float"), w["n"])

    def _copy(self, b: Value) -> None:
        f, w = self.f, self.w
        with f.loop(0, w["k"]) as k:
            to = f.gep(self.b, k * _LANES, "float")
            f.store(f.value(0, _VECTOR), to, 64)
            with f.loop(0, w["n"]) as j:
                f.store(f.load("float", f.gep(b, k * w["b_k"] + j * w["b_column"], "float")), f.gep(to, j, "float"))

    def _store(self, v: Value, c: Value, count: Value) -> None:
        """Write the first `count` columns of a row."""
        f, w = self.f, self.w

        def apart() -> None:
            buffer = f.alloca(_VECTOR)
            f.store(v, buffer, 64)
            with f.loop(0, count) as j:
                f.store(f.load("float", f.gep(buffer, j, "float")), f.gep(c, j * w["c_column"], "float"))

        f.branch(f.compare("eq", w["c_column"], 1), lambda: f.masked_store(v, c, f.first_lanes(count, _LANES)), apart)

    def _product(self, a: Value, k: Value) -> Value:
        """The products of element k of a row, for all columns."""
        f = self.f
        x = f.load("float", f.gep(a, k * self.w["a_k"], "float"))
        return f.splat(x, _VECTOR) * f.load(_VECTOR, f.gep(self.b, k * _LANES, "float"), 64)

    def _in_turn(self, a: Value, total: Variable, low: Value, high: Value) -> None:
        with self.f.loop(low, high) as k:
            total.set(total.get() + self._product(a, k))

    def _by_rows(self, rows: Sequence[_Row]) -> None:
        f, w = self.f, self.w
        with f.loop(0, w["k"]) as k:
            for row in rows:
                row.sums.set(row.sums.get() + self._product(row.a, k))

    def _by_eights(self, a: Value) -> Value:
        f, w = self.f, self.w
        total = f.variable(0, _VECTOR)
        whole = w["k"] - w["k"] % (2 * _QUAD)
        with f.loop(0, whole, 2 * _QUAD) as k:
            self._in_turn(a, total, k, k + _QUAD)
            four = f.variable(0, _VECTOR)
            self._in_turn(a, four, k + _QUAD, k + 2 * _QUAD)
            total.set(total.get() + four.get())
        self._in_turn(a, total, whole, w["k"])
        return total.get()

    def _by_columns(self, rows: Sequence[_Row]) -> None:
        f, w = self.f, self.w
        (row,) = rows
        ahead = (0 - row.number * w["k"]) & (_QUAD - 1)

        def usual() -> None:
            row.sums.set(self._chains(row.a, ahead, _QUAD))
            grouped = w["n"] - w["n"] % _QUAD
            with f.when(f.compare("ne", grouped, w["n"])):
                row.sums.set(f.select(f.first_lanes(grouped, _LANES), row.sums.get(), self._chains(row.a, ahead, 2 * _QUAD)))

        f.branch(w["k"] - ahead >= _QUAD, usual, lambda: self._in_turn(row.a, row.sums, f.value(0, "i64"), w["k"]))

    def _chains(self, a: Value, ahead: Value, count: int) -> Value:
        f, w = self.f, self.w
        chains = [f.variable(0, _VECTOR) for _ in range(count)]
        self._in_turn(a, chains[0], f.value(0, "i64"), ahead)
        end = w["k"] - (w["k"] - ahead) % count
        with f.loop(ahead, end, count) as k:
            for n, chain in enumerate(chains):
                chain.set(chain.get() + self._product(a, k + n))
        sums = [c.get() for c in chains]
        while len(sums) > 1:
            half = len(sums) // 2
            sums = [x + y for x, y in zip(sums[:half], sums[half:], strict=True)]
        total = f.variable(sums[0])
        self._in_turn(a, total, end, w["k"])
        return total.get()
