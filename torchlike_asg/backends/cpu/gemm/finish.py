"""What is done to each piece of a product while it is in the cache: rounding to a narrow float type, then the epilogue."""

from __future__ import annotations

import functools

from ....compiler.parts import HALVES
from ....dtypes import dtype
from ..calls import Block, LibraryNode, Source
from ..emit import Function, Module
from ..rounding import rounded
from ..values import Value, vector

_ROUND = [("ptr", "c"), ("i64", "c_row"), ("i64", "m"), ("i64", "n")]
_LANES = 16


def finish_block(node: LibraryNode) -> Block | int:
    """The functions as one word of a call: null if there is nothing to do."""
    narrow = node.result.dtype in HALVES
    if node.epilogue is None and not narrow:
        return 0
    return Block((), (round_source(node.result.dtype) if narrow else 0, *(node.epilogue or (0, 0))))


def emit_round(f: Function, finish: Value, c: Value, c_row: Value, m: Value, n: Value) -> None:
    """Round `m` rows of `n` adjacent elements, if the finish block says so (it may be null)."""
    with f.when(given(finish)):
        target = f.load("ptr", finish)
        with f.when(given(target)):
            f.call_pointer("void", target, c, c_row, m, n)


def emit_epilogue(f: Function, finish: Value, row: Value, m: Value, column: Value, n: Value) -> None:
    """Run the epilogue, if there is one, on rows ``row`` to ``row + m`` and columns ``column`` to ``column + n`` of the result."""
    with f.when(given(finish)):
        target = f.load("ptr", f.gep(finish, 1, "i64"))
        with f.when(given(target)):
            f.call_pointer("void", target, f.load("ptr", f.gep(finish, 2, "i64")), row, row + m, column, column + n)


def emit_finish(f: Function, finish: Value, c: Value, c_row: Value, row: Value, m: Value, column: Value, n: Value) -> None:
    """Both, for a piece of the result at `c` with adjacent columns."""
    emit_round(f, finish, c, c_row, m, n)
    emit_epilogue(f, finish, row, m, column, n)


def given(p: Value) -> Value:
    """Whether a pointer is not null."""
    return p.f.compare("ne", p, Value(p.f, "null", "ptr"))


@functools.cache
def round_source(d: dtype) -> Source:
    """``c[:m, :n]``, float32 numbers, rounded to float16 or bfloat16 (nearest, ties to even)."""
    return Source(("gemm_round", d.name), lambda module, name: _write_round(module, name, d))


def _write_round(module: Module, name: str, d: dtype) -> None:
    f = module.function(name, _ROUND)
    c, c_row, m, n = f.params
    whole = n - n % _LANES
    with f.loop(0, m) as i:
        row = f.gep(c, i * c_row, "float")
        for type_, lo, hi, step in ((vector("float", _LANES), 0, whole, _LANES), ("float", whole, n, 1)):
            with f.loop(lo, hi, step) as j:
                p = f.gep(row, j, "float")
                f.store(rounded(f, f.load(type_, p), d), p)
