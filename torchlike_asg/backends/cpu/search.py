"""Bisection in sorted edges. A NaN lies beyond every edge."""

from __future__ import annotations

import math

from ... import dtypes
from ..views import merge
from .calls import Call, Kernel, LibraryNode, Lowering, Source, library
from .elements import MACHINE, code
from .emit import Module
from .walk import MAX_RANK, Walk, walk_words


@library("searchsorted")
def _searchsorted(lowering: Lowering, node: LibraryNode) -> bool:
    (edges, x), (right, _), out = node.operands, node.attrs, node.result
    element = code(x.dtype)
    if element not in MACHINE or x.dtype is not edges.dtype or 0 in x.shape or out.dtype not in (dtypes.int64, dtypes.int32):
        return False
    n = edges.shape[-1]
    lead = (0,) * len(x.shape) if len(edges.shape) == 1 else (*edges.strides[:-1], 0)
    dims = merge(
        x.shape, [s * x.itemsize for s in x.strides], [s * edges.itemsize for s in lead], [s * out.itemsize for s in out.strides]
    ) or [(1, 0, 0, 0)]
    if len(dims) > MAX_RANK:
        return False
    rows, line = dims[:-1], dims[-1]
    count = math.prod(x.shape)
    lowering.add(
        Call(
            Source(("searchsorted", element, code(out.dtype), bool(right)), lambda m, k: _write(m, k, element, code(out.dtype), right)),
            (x.place, edges.place, out.place),
            (n, edges.strides[-1] * edges.itemsize, *line, *walk_words(rows)),
            (x.slot, edges.slot),
            (out.slot,),
            units=count,
            cost=20 + count * (2 + 2 * n.bit_length()),
            label="searchsorted",
            bytes=count * (x.itemsize + out.itemsize),
        )
    )
    return True


def _write(module: Module, name: str, element: str, result: str, right: bool) -> None:
    k = Kernel(module, name, 3)
    f = k.f
    lo, hi, _ = k.rest
    type_, size = MACHINE[element], int(element[1:])
    x, edges, out = (k.operand(i) for i in range(3))
    n, step, length, *steps = (k.word(i) for i in range(6))
    walk = Walk(f, k.word_address(6), 3)
    walk.start(lo // length)
    place = f.variable(lo % length)
    with f.loop(lo, hi):
        i = place.get()
        here, among, to = (f.gep(f.gep(p, walk.offset(j), "i8"), i * steps[j], "i8") for j, p in enumerate((x, edges, out)))
        v = f.load(type_, here)
        first, count = f.variable(0, "i64"), f.variable(n)
        with f.loop_while(lambda: count.get() > 0):
            half = count.get() // 2
            middle = first.get() + half
            edge = f.load(type_, f.gep(among, middle * step, "i8"), size)
            if edge.floating:  # not beyond the edge, a NaN never being before one
                relation = "ugt" if right else "uge"
                before = f.op("i1", f"fcmp {relation} {type_} {edge.ref}, {v.ref}") & f.compare("eq", v, v)
            else:
                before = f.compare("gt" if right else "ge", edge, v, unsigned=element[0] in "bu")
            after = before ^ True
            first.set(f.select(after, middle + 1, first.get()))
            count.set(f.select(after, count.get() - half - 1, half))
        found = first.get()
        f.store(found if result == "i8" else f.convert("trunc", found, "i32"), to)
        done = f.compare("eq", i + 1, length)
        place.set(f.select(done, 0, i + 1))
        with f.when(done):
            walk.advance()
