"""The launch of a blocked product: units are blocks of the result, each computed with all of k."""

from __future__ import annotations

import functools

from ..calls import Kernel, Source
from ..emit import Module
from ..values import Value
from .block import call_block
from .finish import emit_epilogue, emit_round
from .tiles import Tiles

#: words of the call, in order; then for each dimension of the batch its size and the steps of a, b, c and init
WORDS = (
    "kit finish m n k a_row a_k b_k b_column init_row init_column c_row c_column "
    "block_rows block_columns row_blocks column_blocks packing init_mode dimensions"
).split()
#: values of ``init_mode``: nothing added, adjacent columns are read as they are, anything else is written to the result first
INIT_NONE, INIT_DIRECT, INIT_COPIED = 0, 1, 2
A, B, C, INIT = range(4)


@functools.cache
def multiply_source(t: Tiles) -> Source:
    """Operands a, b, c, init; units count the row blocks fastest, then the column blocks, then the batch.

    Neighbouring row blocks of one thread are done together, so that their common B is packed once.
    """
    return Source(("gemm", *t.key), lambda module, name: _write(module, name, t))


def _write(module: Module, name: str, t: Tiles) -> None:
    kernel = Kernel(module, name, 4)
    f, (lo, hi, scratch), e = kernel.f, kernel.rest, t.element
    operands = [kernel.operand(i) for i in range(4)]
    w = {word: kernel.word(i, "ptr" if word in ("kit", "finish") else "i64") for i, word in enumerate(WORDS)}
    null = Value(f, "null", "ptr")
    adjacent = f.compare("eq", w["c_column"], 1)
    unit = f.variable(lo)
    with f.loop_while(lambda: unit.get() < hi):
        u = unit.get()
        outer = u // w["row_blocks"]
        row_block = u - outer * w["row_blocks"]
        matrix = outer // w["column_blocks"]
        column = (outer - matrix * w["column_blocks"]) * w["block_columns"]
        run = f.select(adjacent, f.minimum(hi - u, w["row_blocks"] - row_block), 1)
        unit.set(u + run)
        row = row_block * w["block_rows"]
        m = f.minimum(run * w["block_rows"], w["m"] - row)
        n = f.minimum(w["block_columns"], w["n"] - column)
        steps = batch_steps(kernel, w["dimensions"], matrix, len(WORDS))
        a = f.gep(f.gep(operands[A], steps[A], e), row * w["a_row"], e)
        b = f.gep(f.gep(operands[B], steps[B], e), column * w["b_column"], e)
        c = f.gep(f.gep(operands[C], steps[C], e), row * w["c_row"] + column * w["c_column"], e)
        init = f.gep(f.gep(operands[INIT], steps[INIT], e), row * w["init_row"] + column * w["init_column"], e)
        row = row + matrix * w["m"]
        to, to_row = f.select(adjacent, c, f.gep(scratch, t.scratch, "i8")), f.select(adjacent, w["c_row"], w["block_columns"])
        copied = f.compare("eq", w["init_mode"], INIT_COPIED)
        with f.when(copied):
            _copy(kernel, e, to, to_row, 1, init, w["init_row"], w["init_column"], m, n)
        start = f.select(copied, to, f.select(f.compare("eq", w["init_mode"], INIT_NONE), null, init))
        start_row = f.select(copied, to_row, w["init_row"])
        call_block(
            f,
            w["kit"],
            *(a, w["a_row"], w["a_k"], b, w["b_k"], w["b_column"], start, start_row, to, to_row, m, n, w["k"], w["packing"], scratch),
            *(f.select(adjacent, w["finish"], null), row, column),
        )
        with f.when(f.compare("ne", w["c_column"], 1)):
            emit_round(f, w["finish"], to, to_row, m, n)
            _copy(kernel, e, c, w["c_row"], w["c_column"], to, to_row, 1, m, n)
            emit_epilogue(f, w["finish"], row, m, column, n)


def batch_steps(kernel: Kernel, dimensions: Value, matrix: Value, at: int) -> list[Value]:
    """How far into each of the four operands a matrix of the batch lies; the dimensions' words begin at word `at`."""
    f = kernel.f
    rest, steps = f.variable(matrix), [f.variable(0, "i64") for _ in range(4)]
    with f.loop(0, dimensions) as i:
        words = f.gep(kernel.args, (dimensions - 1 - i) * 5 + (at + 8), "i64")
        size = f.load("i64", words)
        index = rest.get() % size
        rest.set(rest.get() // size)
        for n, step in enumerate(steps, 1):
            step.set(step.get() + index * f.load("i64", f.gep(words, n, "i64")))
    return [s.get() for s in steps]


def _copy(
    kernel: Kernel,
    e: str,
    to: Value,
    to_row: Value,
    to_column: Value | int,
    of: Value,
    of_row: Value,
    of_column: Value | int,
    m: Value,
    n: Value,
) -> None:
    """A matrix with any strides, element by element."""
    f = kernel.f
    with f.loop(0, m) as i, f.loop(0, n) as j:
        value = f.load(e, f.gep(of, i * of_row + j * of_column, e))
        f.store(value, f.gep(to, i * to_row + j * to_column, e))
