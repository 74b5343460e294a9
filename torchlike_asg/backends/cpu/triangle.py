"""Upper and lower triangles: every row copied in part, the rest of it zero."""

from __future__ import annotations

import math
from typing import Any

from ..views import merge, row_major
from .calls import Call, Kernel, LibraryNode, Lowering, Source, library
from .copies import copy, copying_cost, move_bytes
from .emit import Module
from .isa import Isa
from .values import Value
from .walk import MAX_RANK, Walk, walk_words


@library("tril", "triu")
def _triangle(lowering: Lowering, node: LibraryNode) -> bool:
    x, out, (diagonal,) = node.operands[0], node.result, node.attrs
    rows, columns = out.shape[-2:] if len(out.shape) > 1 else (0, 0)
    if not math.prod(out.shape) or (out.strides[-1] != 1 and columns > 1):
        return False
    size = out.itemsize
    if x.strides[-1] != 1 and columns > 1:
        dense = row_major(lowering.temporary(math.prod(x.shape) * size), x.shape, x)
        if not copy(lowering, x, dense):
            return False
        x = dense
    dims = merge(out.shape[:-2], [s * size for s in out.strides[:-2]], [s * size for s in x.strides[:-2]])
    if len(dims) > MAX_RANK:
        return False
    # a row's first part ends after `shift + row` elements
    shift = diagonal + (node.op == "tril")
    words = (columns, rows, shift, size, out.strides[-2] * size, x.strides[-2] * size, *walk_words(dims))
    nbytes = 2 * math.prod(out.shape) * size
    lower = node.op == "tril"
    lowering.add(
        Call(
            Source(("triangle", lower, lowering.isa.name), _Writer(lowering.isa, lower)),
            (x.place, out.place),
            words,
            (x.slot,),
            (out.slot,),
            units=math.prod(out.shape[:-1]),
            cost=copying_cost(nbytes),
            label=node.op,
            bytes=nbytes,
        )
    )
    return True


class _Writer:
    def __init__(self, isa: Isa, lower: bool) -> None:
        self._isa, self._lower = isa, lower

    def __call__(self, module: Module, name: str) -> None:
        k = Kernel(module, name, 2)
        f = k.f
        lo, hi, _ = k.rest
        columns, rows, shift, size, out_row, x_row = (k.word(i) for i in range(6))
        x, out = k.operand(0), k.operand(1)
        walk = Walk(f, k.word_address(6), 2)
        walk.start(lo // rows)
        row = f.variable(lo % rows)
        with f.loop(lo, hi):
            r = row.get()
            first = f.minimum(f.maximum(r + shift, 0), columns) * size
            to = f.gep(out, walk.offset(0) + r * out_row, "i8")
            come = f.gep(x, walk.offset(1) + r * x_row, "i8")
            rest = columns * size - first

            def clear(p: Value, nbytes: Value) -> Any:
                f.call("void", "llvm.memset.p0.i64", p, f.value(0, "i8"), nbytes, f.value(0, "i1"))

            if self._lower:
                move_bytes(f, self._isa, to, come, first)
                clear(f.gep(to, first, "i8"), rest)
            else:
                clear(to, first)
                move_bytes(f, self._isa, f.gep(to, first, "i8"), f.gep(come, first, "i8"), rest)
            done = f.compare("eq", r + 1, rows)
            row.set(f.select(done, 0, r + 1))
            with f.when(done):
                walk.advance()
