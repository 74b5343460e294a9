"""Interpolation and its gradient: one dimension after another, each output a weighted sum of a few inputs along it.

Which inputs and weights is a table, made when the plan is and placed among the argument blocks.
"""

from __future__ import annotations

import math
from typing import Any

from ... import dtypes
from ..resampling import Table, passes
from ..views import row_major
from .calls import Block, Call, Kernel, LibraryNode, Lowering, Source, View, library
from .copies import copy
from .elements import MACHINE, code
from .emit import Function, Module, Variable
from .isa import Isa
from .lines import lines
from .values import Value, vector
from .walk import Walk, walk_words

#: tables with more entries are left to the reference
_MANY = 1 << 16


@library("interpolate", "interpolate_grad")
def _interpolate(lowering: Lowering, node: LibraryNode) -> bool:
    x, out = node.operands[0], node.result
    if x.dtype not in (dtypes.float32, dtypes.float64) or 0 in x.shape or 0 in out.shape:
        return False
    there, steps = tuple(node.attrs[0]), passes(node)
    if sum(len(row) for _, table in steps for row in table) > _MANY:
        return False
    if not steps:
        return copy(lowering, x, out)
    for i, (d, table) in enumerate(steps):
        shape = (*x.shape[: d + 2], there[d], *x.shape[d + 3 :])
        y = out if i == len(steps) - 1 else row_major(lowering.temporary(math.prod(shape) * x.itemsize), shape, x)
        if not _along(lowering, x, y, d + 2, table):
            return False
        x = y
    return True


def _along(lowering: Lowering, x: View, out: View, dim: int, table: Table) -> bool:
    """Add the pass along one dimension."""
    found = lines(dim, out, x)
    if found is None:
        return False
    size, isa, counts = x.itemsize, lowering.isa, {len(row) for row in table}
    taps = counts.pop() if len(counts) == 1 else 0  # 0: as many as the table says
    weighted = taps != 1 or any(v != 1.0 for row in table for _, v in row)
    across = found.column_steps == (size, size) and found.columns > 1
    starts, entries = [0], list[Any]()
    for row in table:
        starts.append(starts[-1] + len(row))
        for p, v in row:
            entries += (p * found.steps[1], v)
    words = (
        found.length,
        *found.steps,
        found.columns,
        *found.column_steps,
        Block((), tuple(starts)),
        Block((), tuple(entries)),
        *walk_words(found.outer),
    )
    element = code(x.dtype)
    count, terms = found.length * found.columns * found.points, starts[-1] * found.columns * found.points
    lowering.add(
        Call(
            Source(
                ("resample", element, taps, weighted, across, isa.name),
                lambda m, n: _Pass(m, n, isa, element, taps, weighted).write(across),
            ),
            (x.place, out.place),
            words,
            (x.slot,),
            (out.slot,),
            units=found.points * (found.length if across else found.columns),
            cost=20 + (count + terms) * (0.05 * size if across else 1.0),
            label="resample",
            flops=2 * terms,
            bytes=(count + terms) * size,
        )
    )
    return True


class _Pass:
    """The code. Streams: the result, the operand."""

    def __init__(self, module: Module, name: str, isa: Isa, element: str, taps: int, weighted: bool) -> None:
        k = self.k = Kernel(module, name, 2)
        self.f: Function = k.f
        self.isa, self.type, self.size = isa, MACHINE[element], int(element[1:])
        self.taps, self.weighted = taps, weighted
        self.x, self.out = k.operand(0), k.operand(1)
        self.length, self.out_step, _, self.columns, self.out_column, self.x_column = (k.word(i) for i in range(6))
        self.starts, self.entries = k.word(6, "ptr"), k.word(7, "ptr")
        self.walk = Walk(self.f, k.word_address(8), 2)

    def write(self, across: bool) -> None:
        f = self.f
        lo, hi, _ = self.k.rest
        inner = self.length if across else self.columns
        self.walk.start(lo // inner)
        place = f.variable(lo % inner)
        with f.loop(lo, hi):
            out, x = f.gep(self.out, self.walk.offset(0), "i8"), f.gep(self.x, self.walk.offset(1), "i8")
            at = place.get()
            if across:
                self._row(f.gep(out, at * self.out_step, "i8"), x, at)
            else:
                self._line(f.gep(out, at * self.out_column, "i8"), f.gep(x, at * self.x_column, "i8"))
            done = f.compare("eq", at + 1, inner)
            place.set(f.select(done, 0, at + 1))
            with f.when(done):
                self.walk.advance()

    def _range(self, o: Value) -> tuple[Value, Value]:
        """The table's entries for an output."""
        f = self.f
        if self.taps:
            return o * self.taps, o * self.taps + self.taps
        return f.load("i64", f.gep(self.starts, o, "i64")), f.load("i64", f.gep(self.starts, o + 1, "i64"))

    def _term(self, x: Value, entry: Value, lanes: int, total: Variable | None) -> Value:
        f = self.f
        place = f.gep(self.entries, entry * 2, "i64")
        v = f.load(vector(self.type, lanes), f.gep(x, f.load("i64", place), "i8"), self.size)
        if self.weighted:
            w = f.load("double", f.gep(place, 1, "i64"))
            v = v * f.splat(f.convert("fptrunc", w, self.type), v.type)
        return v if total is None else total.get() + v

    def _sum(self, x: Value, first: Value, end: Value, lanes: int) -> Value:
        f = self.f
        if self.taps == 1:
            return self._term(x, first, lanes, None)
        total = f.variable(0.0, vector(self.type, lanes))
        if 0 < self.taps <= 4:
            for t in range(self.taps):
                total.set(self._term(x, first + t, lanes, total))
        else:
            with f.loop(first, end) as e:
                total.set(self._term(x, e, lanes, total))
        return total.get()

    def _row(self, out: Value, x: Value, o: Value) -> None:
        """One output of all columns, which are neighbours."""
        f, n = self.f, self.isa.lanes(self.size)
        first, end = self._range(o)
        whole = self.columns - self.columns % n
        for lo, hi, lanes in ((f.value(0, "i64"), whole, n), (whole, self.columns, 1)):
            with f.loop(lo, hi, lanes) as c:
                f.store(self._sum(f.gep(x, c, self.type), first, end, lanes), f.gep(out, c, self.type), self.size)

    def _line(self, out: Value, x: Value) -> None:
        """All outputs of one line."""
        f = self.f
        with f.loop(0, self.length) as o:
            first, end = self._range(o)
            f.store(self._sum(x, first, end, 1), f.gep(out, o * self.out_step, "i8"))
