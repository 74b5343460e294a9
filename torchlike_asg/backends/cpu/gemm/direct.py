"""Products without blocks or vectors: tiny ones, where setting up blocks would cost more than the work, and those of integers.

Every element is one sum in the order of k; four columns are computed side by side. Integers wrap around.
"""

from __future__ import annotations

import functools

from ..calls import Kernel, Source
from ..emit import Module
from ..values import FLOATS, Value
from .finish import emit_epilogue, emit_round
from .multiply import batch_steps

#: words of the call; then the batch as in `multiply`
WORDS = "finish m n k a_row a_k b_k b_column init_row init_column c_row c_column block_rows row_blocks with_init dimensions".split()
_COLUMNS = 4


@functools.cache
def direct_source(element: str) -> Source:
    """Operands a, b, c, init of any strides; units are blocks of rows, then the batch. Rounding needs adjacent columns."""
    return Source(("gemm_direct", element), lambda module, name: _write(module, name, element))


def _write(module: Module, name: str, e: str) -> None:
    kernel = Kernel(module, name, 4)
    f, (lo, hi, _) = kernel.f, kernel.rest
    a, b, c, init = (kernel.operand(i) for i in range(4))
    w = {word: kernel.word(i, "ptr" if word == "finish" else "i64") for i, word in enumerate(WORDS)}
    with f.loop(lo, hi) as unit:
        matrix = unit // w["row_blocks"]
        row = (unit - matrix * w["row_blocks"]) * w["block_rows"]
        end = f.minimum(row + w["block_rows"], w["m"])
        steps = batch_steps(kernel, w["dimensions"], matrix, len(WORDS))
        a_at, b_at, c_at, init_at = (f.gep(p, s, e) for p, s in zip((a, b, c, init), steps, strict=True))
        with f.loop(row, end) as i:
            a_i, c_i, init_i = (f.gep(p, i * w[s], e) for p, s in ((a_at, "a_row"), (c_at, "c_row"), (init_at, "init_row")))
            with f.loop(0, w["n"], _COLUMNS) as j:
                _columns(kernel, e, w, j, a_i, b_at, c_i, init_i)
        count = matrix * w["m"] + row
        first = f.gep(c_at, row * w["c_row"], e)
        if e == "float":
            emit_round(f, w["finish"], first, w["c_row"], end - row, w["n"])
        emit_epilogue(f, w["finish"], count, end - row, f.value(0, "i64"), w["n"])


def _columns(kernel: Kernel, e: str, w: dict[str, Value], j: Value, a: Value, b: Value, c: Value, init: Value) -> None:
    """Columns j to j + 3 of one row; those beyond the last are computed from the last one and left out."""
    f = kernel.f
    columns = [f.minimum(j + i, w["n"] - 1) for i in range(_COLUMNS)]
    sums = [f.variable(0, e) for _ in columns]
    with f.when(f.compare("ne", w["with_init"], 0)):
        for s, column in zip(sums, columns, strict=True):
            s.set(f.load(e, f.gep(init, column * w["init_column"], e)))
    starts = [f.gep(b, column * w["b_column"], e) for column in columns]
    with f.loop(0, w["k"]) as k:
        x = f.load(e, f.gep(a, k * w["a_k"], e))
        row = k * w["b_k"]
        for s, start in zip(sums, starts, strict=True):
            y = f.load(e, f.gep(start, row, e))
            s.set(f.fma(x, y, s.get()) if e in FLOATS else x * y + s.get())
    for i, (s, column) in enumerate(zip(sums, columns, strict=True)):
        with f.when(j + i < w["n"]):
            f.store(s.get(), f.gep(c, column * w["c_column"], e))
