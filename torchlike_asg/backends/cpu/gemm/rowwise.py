"""A row times a matrix whose columns are adjacent: rows of the matrix, each multiplied with one number, are added up in registers."""

from __future__ import annotations

import functools

from ..calls import Kernel, Source
from ..emit import Module
from ..values import Value
from .finish import emit_epilogue, emit_round
from .multiply import batch_steps
from .tiles import Tiles

#: words of the call; then the batch as in `multiply`
WORDS = "finish n k a_k b_k block_columns column_blocks with_init transposed dimensions".split()
#: vectors of columns that are added up side by side
VECTORS = 8


@functools.cache
def rowwise_source(t: Tiles) -> Source:
    """Operands a, b, c, init, of which b, c and init have adjacent columns; units are blocks of columns, then the batch."""
    return Source(("gemm_row", *t.key), lambda module, name: _write(module, name, t))


def _write(module: Module, name: str, t: Tiles) -> None:
    kernel = Kernel(module, name, 4)
    f, (lo, hi, _), e = kernel.f, kernel.rest, t.element
    operands = [kernel.operand(i) for i in range(4)]
    w = {word: kernel.word(i, "ptr" if word == "finish" else "i64") for i, word in enumerate(WORDS)}
    with_init = f.compare("ne", w["with_init"], 0)
    one = f.value(1, "i64")

    def columns(a: Value, b: Value, c: Value, init: Value, count: int, mask: Value | None) -> None:
        """Some vectors of columns; if they are few, several k at a time, since each sum waits for itself."""
        at_once = max(1, min(VECTORS // count, 4))

        def load(p: Value, n: int) -> Value:
            q = f.gep(p, n * t.lanes, e)
            return f.masked_load(t.vector, q, mask) if mask else f.load(t.vector, q)

        sums = [[f.variable(0, t.vector) for _ in range(count)] for _ in range(at_once)]
        with f.when(with_init):
            for n, s in enumerate(sums[0]):
                s.set(load(init, n))

        def step(k: Value, chain: int) -> None:
            x = f.splat(f.load(e, f.gep(a, k * w["a_k"], e)), t.vector)
            row = f.gep(b, k * w["b_k"], e)
            for n, s in enumerate(sums[chain]):
                s.set(f.fma(x, load(row, n), s.get()))

        whole = w["k"] - w["k"] % at_once
        with f.loop(0, whole, at_once) as k:
            for chain in range(at_once):
                step(k + chain, chain)
        if at_once > 1:
            with f.loop(whole, w["k"]) as k:
                step(k, 0)
        for n in range(count):
            total = sums[0][n].get()
            for chain in sums[1:]:
                total = total + chain[n].get()
            q = f.gep(c, n * t.lanes, e)
            if mask:
                f.masked_store(total, q, mask)
            else:
                f.store(total, q)

    with f.loop(lo, hi) as unit:
        matrix = unit // w["column_blocks"]
        first = (unit - matrix * w["column_blocks"]) * w["block_columns"]
        n = f.minimum(w["block_columns"], w["n"] - first)
        steps = batch_steps(kernel, w["dimensions"], matrix, len(WORDS))
        a, b, c, init = (f.gep(p, s, e) for p, s in zip(operands, steps, strict=True))
        b, c, init = (f.gep(p, first, e) for p in (b, c, init))
        done: Value | int = 0
        for vectors in (VECTORS, VECTORS // 2):
            wide = n - n % (vectors * t.lanes)
            with f.loop(done, wide, vectors * t.lanes) as j:
                columns(a, *(f.gep(p, j, e) for p in (b, c, init)), vectors, None)
            done = wide
        with f.loop(done, n, t.lanes) as j:
            columns(a, *(f.gep(p, j, e) for p in (b, c, init)), 1, f.first_lanes(f.minimum(n - j, t.lanes), t.lanes))
        emit_round(f, w["finish"], c, n, one, n)
        straight = f.compare("eq", w["transposed"], 0)
        with f.when(straight):
            emit_epilogue(f, w["finish"], matrix, one, first, n)
        with f.when(f.compare("eq", straight, False)):
            emit_epilogue(f, w["finish"], matrix * w["n"] + first, n, f.value(0, "i64"), one)
