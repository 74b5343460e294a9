"""The sum of a product's parts, which were computed over pieces of k."""

from __future__ import annotations

import functools

from ..calls import Kernel, Source
from ..emit import Module
from ..values import Value
from .finish import emit_epilogue, emit_round
from .tiles import Tiles

#: words of the call
WORDS = "finish m n parts init_row init_column c_row c_column with_init".split()
_PARTS, _, _C, _INIT = range(4)


@functools.cache
def sum_source(t: Tiles) -> Source:
    """Operands parts, (unused), c, init: ``c = init + parts[0] + parts[1] + ...``, the parts contiguous (parts, m, n); units are rows."""
    return Source(("gemm_sum", *t.key), lambda module, name: _write(module, name, t))


def _write(module: Module, name: str, t: Tiles) -> None:
    kernel = Kernel(module, name, 4)
    f, (lo, hi, _), e = kernel.f, kernel.rest, t.element
    parts, c, init = kernel.operand(_PARTS), kernel.operand(_C), kernel.operand(_INIT)
    w = {word: kernel.word(i, "ptr" if word == "finish" else "i64") for i, word in enumerate(WORDS)}
    size, n = w["m"] * w["n"], w["n"]
    given = f.compare("ne", w["with_init"], 0)
    adjacent = f.compare("eq", w["c_column"], 1) & (f.compare("eq", given, False) | f.compare("eq", w["init_column"], 1))
    whole = f.select(adjacent, n - n % t.lanes, 0)

    def add_up(type_: str, i: Value, j: Value) -> None:
        total = f.variable(0, type_)
        with f.when(given):
            total.set(f.load(type_, f.gep(init, i * w["init_row"] + j * w["init_column"], e)))
        with f.loop(0, w["parts"]) as part:
            total.set(total.get() + f.load(type_, f.gep(parts, part * size + i * n + j, e)))
        f.store(total.get(), f.gep(c, i * w["c_row"] + j * w["c_column"], e))

    with f.loop(lo, hi) as i:
        with f.loop(0, whole, t.lanes) as j:
            add_up(t.vector, i, j)
        with f.loop(whole, n) as j:
            add_up(e, i, j)
    one = f.value(1, "i64")
    rows = hi - lo
    first = f.gep(c, lo * w["c_row"], e)
    f.branch(
        f.compare("eq", w["c_column"], 1),
        lambda: emit_round(f, w["finish"], first, w["c_row"], rows, n),
        lambda: _round_elements(kernel, w, first, rows, one),
    )
    emit_epilogue(f, w["finish"], lo, rows, f.value(0, "i64"), n)


def _round_elements(kernel: Kernel, w: dict[str, Value], first: Value, rows: Value, one: Value) -> None:
    """Rounding where columns are not adjacent: a column of one element at a time."""
    f = kernel.f
    with f.loop(0, rows) as i, f.loop(0, w["n"]) as j:
        emit_round(f, w["finish"], f.gep(first, i * w["c_row"] + j * w["c_column"], "float"), one, one, one)
