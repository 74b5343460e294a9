"""argmax and argmin: the first of equal elements; a NaN wins over everything."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from ..views import row_major
from .calls import Call, Kernel, LibraryNode, Lowering, Source, View, library
from .copies import copy, fill
from .elements import MACHINE, code
from .emit import Function, Module, Variable
from .isa import Isa
from .lines import Lines, lines
from .values import Value, lanes, vector
from .walk import Walk, walk_words

#: elements of a line that one unit of work looks at
_PART = 1 << 16


@library("argmax", "argmin")
def _extremum(lowering: Lowering, node: LibraryNode) -> bool:
    x, (dim, keepdim), out = node.operands[0], node.attrs, node.result
    if code(x.dtype) not in MACHINE or 0 in x.shape:
        return False
    if not x.shape:
        return fill(lowering, out, 0)
    if dim is None:
        if not x.contiguous:
            dense = row_major(lowering.temporary(math.prod(x.shape) * x.itemsize), x.shape, x)
            if not copy(lowering, x, dense):
                return False
            x = dense
        x, dim = replace(x, shape=(math.prod(x.shape),), strides=(1,)), 0
        out = replace(out, shape=(1,), strides=(0,))
    elif not keepdim:
        out = replace(out, shape=(*out.shape[:dim], 1, *out.shape[dim:]), strides=(*out.strides[:dim], 0, *out.strides[dim:]))
    parts = -(-x.shape[dim] // _PART)
    if parts > 1:
        shape = (*x.shape[:dim], parts, *x.shape[dim + 1 :])
        first = row_major(lowering.temporary(8 * math.prod(shape)), shape, out)
    else:
        first = out
    found = lines(dim, x, first, out)
    if found is None or found.length >= 1 << 31:
        return False
    _add(lowering, found, x, first, out, parts, node.op == "argmax")
    return True


def _add(lowering: Lowering, found: Lines, x: View, first: View, out: View, parts: int, largest: bool) -> None:
    element = code(x.dtype)
    dense = found.steps[0] == x.itemsize
    count = found.length * found.columns * found.points
    block = 1 if dense else lowering.isa.lanes(x.itemsize)
    groups = -(-found.columns // block)
    words = (found.length, *found.steps, found.columns, *found.column_steps, parts, -(-found.length // parts), groups)
    walked = walk_words(found.outer)
    isa = lowering.isa
    cost = 20 + count * x.itemsize * (0.05 if dense or found.column_steps[0] == x.itemsize else 0.3)
    lowering.add(
        Call(
            Source(("extremum", element, dense, largest, isa.name), lambda m, n: _Extremum(m, n, isa, element, largest).lines(dense)),
            (x.place, first.place, first.place),
            (*words, *walked),
            (x.slot,),
            (first.slot,),
            units=parts * groups * found.points,
            cost=cost,
            label="argmax" if largest else "argmin",
            bytes=count * x.itemsize,
        )
    )
    if parts > 1:
        lowering.add(
            Call(
                Source(("extremum_parts", element, largest, isa.name), lambda m, n: _Extremum(m, n, isa, element, largest).parts()),
                (x.place, first.place, out.place),
                (*words, *walked),
                (x.slot, first.slot),
                (out.slot,),
                units=found.columns * found.points,
                cost=20 + parts * found.columns * found.points * 3,
                label="argmax" if largest else "argmin",
            )
        )


class _Extremum:
    """The code: streams are the array, the positions found in parts of lines, and the result."""

    def __init__(self, module: Module, name: str, isa: Isa, element: str, largest: bool) -> None:
        k = self.k = Kernel(module, name, 3)
        self.f: Function = k.f
        self.isa, self.largest = isa, largest
        self.type, self.size, self.unsigned = MACHINE[element], int(element[1:]), element[0] in "bu"
        self.places = [k.operand(i) for i in range(3)]
        self.length, *rest = (k.word(i) for i in range(11))
        self.steps, self.columns, self.column_steps = rest[:3], rest[3], rest[4:7]
        self.count, self.part, self.groups = rest[7:10]
        self.walk = Walk(self.f, k.word_address(11), 3)

    def better(self, x: Value, best: Value) -> Value:
        """Whether `x` beats what was found before it."""
        f = self.f
        if not x.floating:
            return f.compare("gt" if self.largest else "lt", x, best, self.unsigned)
        beats = f.op(vector("i1", lanes(x.type)), f"fcmp {'ugt' if self.largest else 'ult'} {x.type} {x.ref}, {best.ref}")
        return beats & f.compare("eq", best, best)

    def lines(self, dense: bool) -> None:
        f = self.f
        lo, hi, _ = self.k.rest
        inner = self.count * self.groups
        self.walk.start(lo // inner)
        within = f.variable(lo % inner)
        lanes = 1 if dense else self.isa.lanes(self.size)
        with f.loop(lo, hi):
            part, group = within.get() // self.groups, within.get() % self.groups
            first = part * self.part
            count = f.minimum(self.part, self.length - first)
            x, to = (f.gep(p, self.walk.offset(i), "i8") for i, p in enumerate(self.places[:2]))
            x = f.gep(x, first * self.steps[0], "i8")
            to = f.gep(to, part * self.steps[1], "i8")
            start = group * lanes
            if dense:
                at = self._row(f.gep(x, start * self.column_steps[0], "i8"), count)
                f.store(at + first, f.gep(to, start * self.column_steps[1], "i8"))
            else:
                self._group(x, to, start, count, first, lanes)
            after = within.get() + 1
            done = f.compare("eq", after, inner)
            within.set(f.select(done, 0, after))
            with f.when(done):
                self.walk.advance()

    def _group(self, x: Value, to: Value, start: Value, count: Value, first: Value, lanes: int) -> None:
        """Lines side by side, in vectors where they are neighbours and enough."""
        f = self.f
        end = f.minimum(start + lanes, self.columns)
        whole = f.compare("eq", end - start, lanes) & f.compare("eq", self.column_steps[0], self.size)

        def vectors() -> None:
            found = self._along(f.gep(x, start * self.size, "i8"), count, lanes)
            for lane in range(lanes):
                at = f.convert("sext", f.extract(found, lane), "i64") if lanes > 1 else found
                f.store(at + first, f.gep(to, (start + lane) * self.column_steps[1], "i8"))

        def single() -> None:
            with f.loop(start, end) as c:
                at = self._along(f.gep(x, c * self.column_steps[0], "i8"), count, 1)
                f.store(at + first, f.gep(to, c * self.column_steps[1], "i8"))

        if lanes > 1:
            f.branch(whole, vectors, single)
        else:
            single()

    def _along(self, x: Value, count: Value, lanes: int) -> Value:
        """The positions of the extrema of neighbouring lines, going along them."""
        f = self.f
        t, i = (vector(self.type, lanes), vector("i32", lanes)) if lanes > 1 else (self.type, "i64")
        best, at = f.variable(f.load(t, x, self.size)), f.variable(0, i)
        with f.loop(1, count) as n:
            v = f.load(t, f.gep(x, n * self.steps[0], "i8"), self.size)
            number = f.splat(f.convert("trunc", n, "i32"), i) if lanes > 1 else n
            self._take(best, at, v, number)
        return at.get()

    def _take(self, best: Variable, at: Variable, v: Value, number: Value) -> None:
        f = self.f
        wins = self.better(v, best.get())
        best.set(f.select(wins, v, best.get()))
        at.set(f.select(wins, number, at.get()))

    def _row(self, x: Value, count: Value) -> Value:
        """The position of the extremum of consecutive elements: every lane looks for its own, then the lanes are compared."""
        f, n = self.f, self.isa.lanes(self.size)
        if n == 1:
            return self._along(x, count, 1)
        t, i = vector(self.type, n), vector("i32", n)

        def some(lo: Value) -> Value:
            """The elements from `lo` on, and what never wins behind the last."""
            return f.masked_load(t, f.gep(x, lo, self.type), f.first_lanes(count - lo, n), self._worst())

        best, at = f.variable(some(f.value(0, "i64"))), f.variable(f.lane_numbers(i))
        whole = count - count % n
        with f.loop(n, whole, n) as e:
            self._take(best, at, f.load(t, f.gep(x, e, self.type)), f.splat(f.convert("trunc", e, "i32"), i) + f.lane_numbers(i))
        with f.when((whole < count) & (whole > 0)):
            self._take(best, at, some(whole), f.splat(f.convert("trunc", whole, "i32"), i) + f.lane_numbers(i))
        value, place = best.get(), at.get()
        while n > 1:
            n //= 2
            (v, w), (p, q) = ([self._part_of(a, n, half) for half in (0, 1)] for a in (value, place))
            wins = self.better(w, v) | (self._equal(v, w) & (q < p))
            value, place = f.select(wins, w, v), f.select(wins, q, p)
        return f.convert("sext", place, "i64")

    def _part_of(self, a: Value, n: int, half: int) -> Value:
        return self.f.shuffle(a, a, range(half * n, half * n + n)) if n > 1 else self.f.extract(a, half)

    def _worst(self) -> Any:
        """What no element loses against."""
        if self.type in ("float", "double"):
            return float("-inf") if self.largest else float("inf")
        bits = 8 * self.size
        low, high = (0, (1 << bits) - 1) if self.unsigned else (-(1 << bits - 1), (1 << bits - 1) - 1)
        return low if self.largest else high

    def _equal(self, a: Value, b: Value) -> Value:
        """Equal, or both NaN."""
        f = self.f
        same = f.compare("eq", a, b)
        return same | (f.compare("ne", a, a) & f.compare("ne", b, b)) if a.floating else same

    def parts(self) -> None:
        """The best of what was found in the parts of each line."""
        f = self.f
        lo, hi, _ = self.k.rest
        self.walk.start(lo // self.columns)
        column = f.variable(lo % self.columns)
        with f.loop(lo, hi):
            c = column.get()
            x, found, to = (f.gep(f.gep(p, self.walk.offset(i), "i8"), c * self.column_steps[i], "i8") for i, p in enumerate(self.places))
            at = f.variable(f.load("i64", found))
            best = f.variable(f.load(self.type, f.gep(x, at.get() * self.steps[0], "i8"), self.size))
            with f.loop(1, self.count) as p:
                number = f.load("i64", f.gep(found, p * self.steps[1], "i8"))
                self._take(best, at, f.load(self.type, f.gep(x, number * self.steps[0], "i8"), self.size), number)
            f.store(at.get(), to)
            done = f.compare("eq", c + 1, self.columns)
            column.set(f.select(done, 0, c + 1))
            with f.when(done):
                self.walk.advance()
