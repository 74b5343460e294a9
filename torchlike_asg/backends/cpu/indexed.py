"""Reading from, and writing to, places that index tensors name: the loops behind every operation whose positions are data.

One launch walks the points of an iteration space. Every array has a step for each of its dimensions, and one side, the source when
reading and the destination when writing, is displaced by each index times a stride. Writing must take points that may name the same place
in their order: dimensions along which only the index moves the destination are loops inside a unit, and units share nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from ..subscripts import Index
from ..views import merge
from .calls import Block, Call, Kernel, Lowering, Source, View
from .copies import MOVED, move_bytes
from .elements import MACHINE, code
from .emit import Function, Module
from .isa import Isa
from .values import Value, vector
from .walk import MAX_RANK, Walk, walk_words

#: element types of index tensors
INDICES = {"i8": "i64", "i4": "i32"}
#: no index at all
_NOTHING = -(2**63)
#: lanes from which on one load of elements from many places is worth it
_GATHERED = 8
#: how a written value meets the one that is there: `copy` replaces it
ACTIONS = ("copy", "sum", "prod", "amax", "amin")
#: of each index: its element type, whether negative ones count from the end, whether one is skipped
Kinds = tuple[tuple[str, bool, bool], ...]


def indexed(
    lowering: Lowering,
    shape: Sequence[int],
    dst: View,
    dst_steps: Sequence[int],
    src: View,
    src_steps: Sequence[int],
    indices: Sequence[Index],
    write: bool,
    action: str = "copy",
) -> bool:
    """Add the launch over `shape`; steps and strides count elements. Whether that was possible.

    An index that is out of range is reported as a failure of the plan.
    """
    if any(code(i.view.dtype) not in INDICES for i in indices) or not math.prod(shape):
        return False
    element = f"m{dst.itemsize}" if action == "copy" else code(dst.dtype)
    if action != "copy" and (element not in MACHINE or dst.dtype.storage != dst.dtype.compute or element == "b1"):
        return False
    size = dst.itemsize
    streams = [[s * size for s in dst_steps], [s * size for s in src_steps], *[[s * i.view.itemsize for s in i.steps] for i in indices]]
    dims = merge(shape, *streams) or [(1, *[0] * len(streams))]
    if len(dims) > MAX_RANK:
        return False
    inner, dims = dims[-1], dims[:-1]
    bound = [d for d in dims if write and d[1] == 0]
    free = [d for d in dims if not (write and d[1] == 0)]
    varies, ordered = any(inner[3:]), write and inner[1] == 0
    piece = inner[0] if ordered else max(1, (64 if bound else 4096) // size)
    pieces = -(-inner[0] // piece)
    words = [*inner, piece, pieces, math.prod([d[0] for d in bound]), Block((), walk_words(free)), Block((), walk_words(bound))]
    for i in indices:
        words += [i.size, i.stride * size, _NOTHING if i.skip is None else i.skip]
    kinds = tuple((code(i.view.dtype), i.negative, i.skip is not None) for i in indices)
    count = math.prod(shape)
    lowering.add(
        Call(
            _source(lowering.isa, element, action, write, varies, kinds),
            (src.place, dst.place, *[i.view.place for i in indices]),
            tuple(words),
            tuple(dict.fromkeys((src.slot, *[i.view.slot for i in indices], *([dst.slot] if write else [])))),
            (dst.slot,),
            units=pieces * math.prod([d[0] for d in free]),
            cost=20 + (count * 2.0 if varies else count * size * 0.2 + count / inner[0] * 4),
            label="scatter" if write else "gather",
            flops=0 if action == "copy" else count,
            bytes=count * size * (2 if action == "copy" else 3),
        )
    )
    return True


def _source(isa: Isa, element: str, action: str, write: bool, varies: bool, kinds: Kinds) -> Source:
    key = ("scatter" if write else "gather", element, action, varies, kinds, isa.name)
    return Source(key, lambda module, name: _Writer(module, name, isa, element, action, write, varies, kinds).write())


class _Writer:
    """The code of one kind of launch."""

    def __init__(self, module: Module, name: str, isa: Isa, element: str, action: str, write: bool, varies: bool, kinds: Kinds) -> None:
        self.isa, self.action, self.into, self.varies = isa, action, write, varies
        self.size = int(element[1:])
        self.type = MOVED[self.size] if action == "copy" else MACHINE[element]
        self.unsigned = element[0] == "u"
        self.kinds = kinds
        self.k = Kernel(module, name, 2 + len(kinds))
        self.f: Function = self.k.f

    def write(self) -> None:
        f, k = self.f, self.k
        lo, hi, _ = k.rest
        count = 2 + len(self.kinds)
        operands = [k.operand(1), k.operand(0), *[k.operand(2 + i) for i in range(len(self.kinds))]]
        n, *self.steps = (k.word(i) for i in range(1 + count))
        piece, pieces, repeats = (k.word(1 + count + i) for i in range(3))
        self.limits = [[k.word(6 + count + 3 * i + j) for j in range(3)] for i in range(len(self.kinds))]
        free = Walk(f, k.word(4 + count, "ptr"), count)
        bound = Walk(f, k.word(5 + count, "ptr"), count) if self.into else None
        free.start(lo // pieces)
        if bound is not None:
            bound.start(f.value(0, "i64"))
        self.bad = f.variable(False, "i1")
        part, unit = f.variable(lo % pieces), f.variable(lo)
        with f.loop_while(lambda: unit.get() < hi):
            first, left = part.get(), hi - unit.get()
            taken = f.minimum(pieces - first, left)
            e0, e1 = first * piece, f.minimum((first + taken) * piece, n)
            places = [f.gep(p, free.offset(i), "i8") for i, p in enumerate(operands)]
            if bound is None:
                self._row(places, e0, e1)
            else:
                with f.loop(0, repeats):
                    self._row([f.gep(p, bound.offset(i), "i8") for i, p in enumerate(places)], e0, e1)
                    bound.advance()
            unit.set(unit.get() + taken)
            part.set(0)
            free.advance()
        with f.when(self.bad.get()):
            k.fail()

    def _row(self, places: list[Value], e0: Value, e1: Value) -> None:
        """Elements e0 to e1 of the innermost dimension."""
        f = self.f
        if self.varies:
            e0 = self._vectors(places, e0, e1)
            here = [f.variable(f.gep(p, e0 * s, "i8")) for p, s in zip(places, self.steps, strict=True)]
            with f.loop(e0, e1):
                self._at([p.get() for p in here], lambda dst, src: self._element(dst, src))
                for p, s in zip(here, self.steps, strict=True):
                    p.set(f.gep(p.get(), s, "i8"))
        else:
            moved = [f.gep(p, e0 * s, "i8") for p, s in zip(places[:2], self.steps[:2], strict=True)]
            self._at([*moved, *places[2:]], lambda dst, src: self._run(dst, src, e1 - e0))

    def _vectors(self, places: list[Value], e0: Value, e1: Value) -> Value:
        """Read as many elements as whole vectors hold, if indices and results lie side by side; where the others begin."""
        f, n = self.f, self.isa.lanes(self.size)
        if self.into or self.size not in (4, 8) or n < _GATHERED or any(skips for _, _, skips in self.kinds):
            return e0
        wide, mask = vector("i64", n), vector("i1", n)
        dense = f.compare("eq", self.steps[0], self.size)
        for (kind, _, _), step in zip(self.kinds, self.steps[2:], strict=True):
            dense = dense & f.compare("eq", step, int(kind[1:]))
        end = f.select(dense, e1 - (e1 - e0) % n, e0)
        lane_steps = f.lane_numbers(wide) * f.splat(self.steps[1], wide)
        with f.loop(e0, end, n) as e:
            displaced, outside = lane_steps, f.value(0, mask)
            for (kind, negative, _), p, step, (size, stride, _) in zip(self.kinds, places[2:], self.steps[2:], self.limits, strict=True):
                i = f.convert("sext", f.load(vector(INDICES[kind], n), f.gep(p, e * step, "i8"), int(kind[1:])), wide)
                if negative:
                    i = i + f.select(i < 0, f.splat(size, wide), 0)
                beyond = f.compare("ge", i, f.splat(size, wide), unsigned=True)
                outside = outside | beyond
                displaced = displaced + f.select(beyond, 0, i) * f.splat(stride, wide)
            self.bad.set(self.bad.get() | f.compare("ne", f.convert("bitcast", outside, f"i{n}"), 0))
            start = f.gep(places[1], e * self.steps[1], "i8")
            addresses = f.op(vector("ptr", n), f"getelementptr i8, ptr {start.ref}, {displaced!r}")
            x = f.gather(vector(self.type, n), addresses, f.first_lanes(n, n))
            f.store(x, f.gep(places[0], e * self.size, "i8"), self.size)
        return end

    def _at(self, places: list[Value], do: Callable[[Value, Value], None]) -> None:
        """Read the indices and go where they point, or to the first place, and remember it, if one is out of range."""
        f = self.f
        displaced, wanted = f.value(0, "i64"), None
        for (kind, negative, skips), p, (size, stride, skip) in zip(self.kinds, places[2:], self.limits, strict=True):
            i = f.convert("sext", f.load(INDICES[kind], p), "i64")
            if skips:
                wanted = f.compare("ne", i, skip)
            if negative:
                i = i + f.select(i < 0, size, 0)
            outside = f.compare("ge", i, size, unsigned=True)
            self.bad.set(self.bad.get() | outside)
            displaced = displaced + f.select(outside, 0, i) * stride
        side = 0 if self.into else 1
        moved = [f.gep(p, displaced, "i8") if n == side else p for n, p in enumerate(places[:2])]
        if wanted is None:
            do(*moved)
        else:
            with f.when(wanted):
                do(*moved)

    def _run(self, dst: Value, src: Value, count: Value) -> None:
        f, size = self.f, self.size
        d, s = self.steps[0], self.steps[1]
        dense = f.compare("eq", d, size) & f.compare("eq", s, size)

        def each(lo: Value | int) -> None:
            with f.loop(lo, count) as e:
                self._element(f.gep(dst, e * d, "i8"), f.gep(src, e * s, "i8"))

        if self.action == "copy":
            f.branch(dense, lambda: move_bytes(f, self.isa, dst, src, count * size), lambda: each(0))
            return
        lanes = self.isa.lanes(size)
        whole = f.select(dense, count - count % lanes, 0)
        with f.loop(0, whole, lanes) as e:
            self._element(f.gep(dst, e * size, "i8"), f.gep(src, e * size, "i8"), lanes)
        each(whole)

    def _element(self, dst: Value, src: Value, lanes: int = 1) -> None:
        f, align = self.f, min(self.size, 8)
        type_ = vector(self.type, lanes) if lanes > 1 else self.type
        x = f.load(type_, src, align)
        if self.action != "copy":
            x = combined(f, self.action, f.load(type_, dst, align), x, self.unsigned)
        f.store(x, dst, align)


def combined(f: Function, action: str, a: Value, b: Value, unsigned: bool = False) -> Value:
    """Two values as one; an extremum of floats is NaN if either is."""
    if action == "sum":
        return a + b
    if action == "prod":
        return a * b
    relation = "gt" if action == "amax" else "lt"
    first = f.compare(relation, a, b, unsigned)
    if a.floating:
        first = first | f.compare("ne", a, a)
    return f.select(first, a, b)
