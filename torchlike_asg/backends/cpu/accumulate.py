"""Adding one strided array to another, in place."""

from __future__ import annotations

import numpy as np

from ...dtypes import BOOLEAN, COMPLEX
from ..views import broadcast, merge
from .calls import Call, Kernel, Lowering, Source, View
from .copies import row_words, write_rows
from .elements import MACHINE, code
from .emit import Module
from .isa import Isa
from .values import Value, vector
from .walk import MAX_RANK, by_step


def addable(v: View) -> bool:
    """Whether sums of such elements can be made here: not logical or complex ones, nor those rounded after every addition."""
    d = v.dtype
    return d.category not in (BOOLEAN, COMPLEX) and d.storage == d.compute


def accumulate(lowering: Lowering, src: View, dst: View) -> bool:
    """Add ``dst += src``, `src` broadcast to the shape of `dst`, whose elements must not share memory; whether that was possible."""
    if not addable(dst):
        return False
    if 0 in dst.shape:
        return True
    size, src = dst.itemsize, broadcast(src, dst.shape)
    steps = [[s * size for s in v.strides] for v in (dst, src)]
    ordered = by_step([dim for dim in zip(dst.shape, *steps, strict=True) if dim[0] != 1], 0)
    dims = merge([d[0] for d in ordered], [d[1] for d in ordered], [d[2] for d in ordered]) or [(1, size, size)]
    if len(dims) > MAX_RANK:
        return False
    words, units = row_words(dims, size)
    count = int(np.prod(dst.shape))
    lowering.add(
        Call(
            _source(lowering.isa, code(dst.dtype)),
            (src.place, dst.place),
            words,
            (src.slot, dst.slot),
            (dst.slot,),
            units=units,
            cost=20 + count * (0.3 * size if dims[-1][1:] == (size, size) else 1.5),
            label="accumulate",
            flops=count,
            bytes=3 * size * count,
        )
    )
    return True


def _source(isa: Isa, element: str) -> Source:
    return Source(("accumulate", element, isa.name), lambda module, name: _write(module, name, isa, element))


def _write(module: Module, name: str, isa: Isa, element: str) -> None:
    type_, size = MACHINE[element], int(element[1:])
    lanes = isa.lanes(size)

    def row(k: Kernel, dst: Value, src: Value, count: Value, d: Value, s: Value) -> None:
        f = k.f

        def add(t: str, i: Value) -> None:
            to = f.gep(dst, i * d, "i8")
            f.store(f.load(t, to) + f.load(t, f.gep(src, i * s, "i8")), to)

        dense = f.compare("eq", d, size) & f.compare("eq", s, size)
        whole = f.select(dense, count - count % lanes, 0)
        with f.loop(0, whole, lanes) as i:
            add(vector(type_, lanes), i)
        with f.loop(whole, count) as i:
            add(type_, i)

    write_rows(module, name, 2, 0, row)
