"""Writes the loops of a `Nest`: units of work, rows, passes, vectors.

A row kernel has its vectors along the row: every pass has a loop over vectors, whose remainder is done under a mask (AVX-512) or one
element at a time, and row values are scalars. A column kernel has its vectors along independent points: the loop over vectors is outside
of the passes, and row values are vectors. Reductions add up in an order that depends on sizes and the instruction set alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from .... import dtypes
from ....compiler.kernel import Apply, Const, Convert, Index, Load, Reduce
from ....dtypes import dtype
from ..calls import EPILOGUE, SIGNATURE, Kernel
from ..emit import SIZES, Module, Value, Variable, lanes, vector
from ..handler import Handler, convert, from_memory, memory_type, register_type, rounded, to_memory
from ..isa import Isa
from .nest import Nest, Pass

Place = dict[int, Value]


@dataclass
class At:
    """Where values are computed: how many lanes, how many such vectors side by side, which lanes count (None: all of them).

    ``lane``      the first lane's index in the vectors' dimension; None for the scalars of a row
    ``position``  indices of the inner dimensions other than the vectors'
    ``offset``    the vectors' distance from the start of the block, for scratch memory of columns
    """

    lanes: int
    copies: int
    mask: Value | None
    lane: Value | None
    position: Place
    start: Value | None = None


class Accumulator:
    """A reduction in progress: one variable per vector side by side, and one for single elements after the last vector."""

    def __init__(self, r: Renderer, i: Reduce, lanes_: int, copies: int, tail: bool) -> None:
        self.r, self.i = r, i
        self.logical = i.kind in ("any", "all")
        type_ = "i1" if self.logical else register_type(i.dtype)
        start = identity(i)
        self.vectors = [r.f.variable(start, vector(type_, lanes_)) for _ in range(copies)]
        self.tail = r.f.variable(start, type_) if tail else None

    def combine(self, a: Value, b: Value) -> Value:
        if self.logical:
            return a | b if self.i.kind == "any" else a & b
        h = self.r.handler(self.i.dtype, lanes(a.type))
        return {"sum": h.add, "prod": h.mul, "max": h.maximum, "min": h.minimum}[self.i.kind](a, b)

    def add(self, values: Sequence[Value], at: At) -> None:
        """Take in one value per vector."""
        for n, v in enumerate(values):
            variable: Variable = self.tail if self.tail is not None and at.lanes == 1 else self.vectors[n]
            if self.logical:
                v = convert(self.r.f, v, self.i.dtype, dtypes.bool_)
            old = variable.get()
            new = self.combine(old, v)
            variable.set(new if at.mask is None else self.r.f.select(at.mask, new, old))

    def result(self, fold: bool) -> list[Value]:
        """The reduced values: of all lanes, or (columns) each lane's own."""
        out = [v.get() for v in self.vectors]
        if fold:
            while len(out) > 1:
                out = [self.combine(out[n], out[n + 1]) for n in range(0, len(out), 2)]
            total = self.r.f.fold(self.combine, out[0])
            out = [total if self.tail is None else self.combine(total, self.tail.get())]
        if self.logical:
            return [convert(self.r.f, v, dtypes.bool_, self.i.dtype) for v in out]
        return [rounded(self.r.f, v, self.i.dtype) for v in out]


def identity(i: Reduce) -> Any:
    """What a reduction starts from."""
    if i.kind in ("sum", "any"):
        return 0
    if i.kind in ("prod", "all"):
        return 1
    lowest = i.kind == "max"
    if i.dtype.category == dtypes.FLOAT:
        return -math.inf if lowest else math.inf
    if not i.dtype.is_signed:  # bool and uint8; all bits set is the largest
        return 0 if lowest else -1 if i.dtype is not dtypes.bool_ else 1
    bits = 8 * i.dtype.itemsize
    return -(1 << (bits - 1)) if lowest else (1 << (bits - 1)) - 1


class Renderer:
    """Writes one kernel."""

    def __init__(self, nest: Nest, isa: Isa, module: Module, name: str) -> None:
        self.nest, self.isa, self.k = nest, isa, nest.k
        self.kernel = Kernel(module, name, len(self.k.operands), EPILOGUE if nest.matrix else SIGNATURE)
        self.f = self.kernel.f
        self.masked = isa.name == "avx512"
        self.base = [self.kernel.operand(n) for n in range(len(self.k.operands))]
        self.place = list(self.base)
        self.index: list[Value | None] = []
        self.rows: dict[int, list[Value]] = {}
        self.fixed: dict[int, Value] = {}
        self.part: tuple[Value, Value] | None = None
        self.mask: Value | None = None

    # ---------------------------------------------------------------- words
    def word(self, *name: Any) -> Value:
        return self.kernel.word(self.nest.words[name])

    def handler(self, d: dtype, lanes_: int) -> Handler:
        return Handler(self.f, self.isa, d, lanes_, None if self.nest.matrix else self._fail)

    def _fail(self, wrong: Value) -> None:
        h = self.handler(dtypes.bool_, lanes(wrong.type))
        if self.mask is not None and lanes(wrong.type) == lanes(self.mask.type):
            wrong = wrong & self.mask
        with self.f.when(h.math.any(wrong)):
            self.kernel.fail()

    # ---------------------------------------------------------------- outside of rows
    def render(self) -> None:
        f, nest = self.f, self.nest
        for n, i in enumerate(self.k.body):
            if isinstance(i, Const) and nest.word_constant(n):
                v = self.kernel.word(nest.words["const", n], "double")
                self.fixed[n] = v if register_type(i.dtype) == "double" else f.convert("fptrunc", v, "float")
            elif isinstance(i, Load) and nest.fixed(i.operand):
                v = f.load(memory_type(i.dtype), self.base[i.operand])
                self.fixed[n] = from_memory(f, v, i.dtype)
        low, high = self.kernel.rest[:2]
        with f.loop(low, high) as unit:
            bounds = self._unit(unit)
            if nest.column:
                self._vectors(*bounds, lambda at: self._program(at), nest.copies)
            else:
                self._program(At(1, 1, None, None, {}), bounds)

    def _unit(self, unit: Value) -> tuple[Value, Value]:
        """Find the unit's place in the outer dimensions; gives its range of the vectors' dimension."""
        f, nest, k = self.f, self.nest, self.k
        low, high = f.value(0, "i64"), self.word("size", nest.lane) if nest.lane >= 0 else f.value(1, "i64")
        if nest.matrix:
            low, high = self.kernel.rest[2:4]
        if nest.blocked:
            blocks, size = self.word("blocks"), self.word("block")
            low = unit % blocks * size
            high = f.minimum(high, low + size)
            unit = unit // blocks
        index: dict[int, Value] = {}
        for d in reversed(nest.outer_dims[1:]):
            size = self.word("size", d)
            index[d] = unit % size
            unit = unit // size
        if nest.outer_dims:
            index[nest.outer_dims[0]] = unit
        self.place = [self._moved(n, self.base[n], index) for n in range(len(k.operands))]
        self.index = []
        for n, i in enumerate(k.body):
            self.index.append(self._number(n, self.word("index", n), index) if isinstance(i, Index) else None)
        if nest.split >= 0:
            length = self.word("part")
            start = index[0] * length
            self.part = start, f.minimum(self.word("size", nest.split), start + length)
        return low, high

    def _moved(self, operand: int, p: Value, index: Place) -> Value:
        """An address moved along dimensions."""
        if self.nest.fixed(operand):
            return p
        type_ = memory_type(self.k.operands[operand].dtype)
        for d, i in index.items():
            p = self.f.gep(p, i * self.word("stride", operand, d), type_)
        return p

    def _number(self, n: int, v: Value, index: Place) -> Value:
        """The number of an `Index`, moved along dimensions."""
        for d, i in index.items():
            v = v + i * self.word("index", n, d)
        return v

    def _vectors(self, low: Value, high: Value, write: Callable[[At], None], copies: int, position: Place | None = None) -> None:
        """The loop over the vectors' dimension: groups of vectors, then the rest under a mask or one by one."""
        f, w = self.f, self.nest.lanes
        position = position or {}
        step = w * copies
        end = high - ((high - low) & (step - 1))
        with f.loop(low, end, step) as i:
            write(At(w, copies, None, i, position))
        if self.masked:
            with f.loop(end, high, w) as i:
                self.mask = f.first_lanes(f.minimum(high - i, w), w) if w > 1 else None
                write(At(w, 1, self.mask, i, position))
                self.mask = None
        elif step > 1:
            with f.loop(end, high) as i:
                write(At(1, 1, None, i, position))

    # ---------------------------------------------------------------- a row (or a block of columns)
    def _program(self, at: At, bounds: tuple[Value, Value] | None = None) -> None:
        """All passes. `at`: where row values live; `bounds`: the vectors' range within the row."""
        self.rows = {}
        for stage in range(len(self.nest.row_values)):
            for n in self.nest.row_values[stage]:
                self.rows[n] = self._compute(n, at, self.rows)
            if stage < len(self.nest.passes):
                self._pass(self.nest.passes[stage], at, bounds)
        for operand, n in self.k.stores:
            if not self.nest.full(operand):
                self._store(operand, self._fetch(n, at, self.rows), at)

    def _pass(self, p: Pass, row: At, bounds: tuple[Value, Value] | None) -> None:
        nest = self.nest
        copies = row.copies if nest.column else nest.copies
        width = row.lanes if nest.column else nest.lanes
        tail = not nest.column and not self.masked and width * copies > 1
        accumulators = {n: Accumulator(self, self.k.body[n], width, copies, tail) for n in p.reduces}  # type: ignore[arg-type]

        def point(at: At) -> None:
            values: dict[int, list[Value]] = {n: self._recall(n, at) for n in p.kept}
            for n in p.values:
                values[n] = self._compute(n, at, values)
            for n in p.saves:
                self._save(n, values[n], at)
            for n, a in accumulators.items():
                a.add(self._fetch(self.k.body[n].arg, at, values), at)  # type: ignore[union-attr]
            for s in p.stores:
                operand, n = self.k.stores[s]
                self._store(operand, self._fetch(n, at, values), at)

        def inner(dims: Sequence[int], position: Place) -> None:
            if dims:
                with self.f.loop(*self._range(dims[0])) as i:
                    inner(dims[1:], {**position, dims[0]: i})
            elif bounds is not None:
                limits = self._range(nest.lane) if nest.split == nest.lane else bounds
                self._vectors(*limits, point, copies, position)
            else:
                point(At(row.lanes, row.copies, row.mask, row.lane, position))

        inner(nest.inner_dims, {})
        for n, a in accumulators.items():
            self.rows[n] = a.result(fold=not nest.column)

    def _range(self, d: int) -> tuple[Value, Value]:
        if d == self.nest.split and self.part is not None:
            return self.part
        return self.f.value(0, "i64"), self.word("size", d)

    # ---------------------------------------------------------------- values
    def _fetch(self, n: int, at: At, values: dict[int, list[Value]]) -> list[Value]:
        """A value computed before, as vectors of the place."""
        i = self.k.body[n]
        type_ = vector(register_type(i.dtype), at.lanes)
        if n in values:
            found = values[n]
        elif n in self.fixed:
            found = [self.fixed[n]]
        elif isinstance(i, Const):
            found = [self.handler(i.dtype, at.lanes).const(i.value)]
        else:
            found = self.rows[n]
        if found[0].type != type_:
            found = [self.f.splat(found[0], type_)]
        return found if len(found) == at.copies else found * at.copies

    def _compute(self, n: int, at: At, values: dict[int, list[Value]]) -> list[Value]:
        f, i = self.f, self.k.body[n]
        if n in self.fixed or isinstance(i, Const):
            return self._fetch(n, at, values)
        if isinstance(i, Load):
            return [self._load(i.operand, at, c) for c in range(at.copies)]
        if isinstance(i, Index):
            return [self._ramp(n, i, at, c) for c in range(at.copies)]
        if isinstance(i, Convert):
            return [convert(f, v, self.k.body[i.arg].dtype, i.dtype) for v in self._fetch(i.arg, at, values)]
        assert isinstance(i, Apply)
        h = self.handler(i.compute, at.lanes)
        args = []
        for a in i.args:
            d = self.k.body[a].dtype
            found = self._fetch(a, at, values)
            args.append(found if d is dtypes.bool_ else [convert(f, v, d, i.compute) for v in found])
        out = []
        for c in range(at.copies):
            v = i.formula(h, *[a[c] for a in args], *i.attrs)
            d = h.dtype_of(v)
            out.append(convert(f, v, d, i.dtype) if d is not i.dtype else rounded(f, v, d))
        return out

    def _ramp(self, n: int, i: Index, at: At, copy: int) -> Value:
        f = self.f
        start = self.index[n]
        assert start is not None
        start = self._number(n, start, at.position)
        type_ = vector("i64", at.lanes)
        if at.lane is None or self.nest.step(i.strides) == "0":
            return f.splat(start, type_)
        step = self.word("index", n, self.nest.lane)
        first = start + (at.lane + copy * at.lanes) * step
        return first if at.lanes == 1 else f.splat(first, type_) + f.lane_numbers(type_) * f.splat(step, type_)

    # ---------------------------------------------------------------- memory
    def _address(self, operand: int, at: At, copy: int) -> tuple[Value, str]:
        """The address of an operand's first lane, and how the lanes go on (0, 1, n)."""
        p, step = self.place[operand], self.nest.step(self.k.operands[operand].strides)
        type_ = memory_type(self.k.operands[operand].dtype)
        if self.nest.full(operand):
            p = self._moved(operand, p, at.position)
        if at.lane is None or step == "0":
            return p, "0"
        i = at.lane + copy * at.lanes
        return self.f.gep(p, i if step == "1" else i * self.word("stride", operand, self.nest.lane), type_), step

    def _load(self, operand: int, at: At, copy: int) -> Value:
        f, d = self.f, self.k.operands[operand].dtype
        p, step = self._address(operand, at, copy)
        element_type = memory_type(d)
        type_ = vector(element_type, at.lanes)
        if step == "0" or at.lanes == 1:
            return f.splat(from_memory(f, f.load(element_type, p), d), vector(register_type(d), at.lanes))
        if step == "1":
            v = f.load(type_, p) if at.mask is None else f.masked_load(type_, p, at.mask)
        else:
            v = f.gather(type_, self._lanes(operand, p, at), self._whole(at))
        return from_memory(f, v, d)

    def _store(self, operand: int, values: Sequence[Value], at: At) -> None:
        f, d = self.f, self.k.operands[operand].dtype
        for copy, value in enumerate(values):
            v = to_memory(f, value, d)
            p, step = self._address(operand, at, copy)
            if step == "0" or at.lanes == 1:
                f.store(v if at.lanes == 1 else f.extract(v, 0), p)
            elif step == "n":
                f.scatter(v, self._lanes(operand, p, at), self._whole(at))
            elif at.mask is None:
                f.store(v, p)
            else:
                f.masked_store(v, p, at.mask)

    def _whole(self, at: At) -> Value:
        return at.mask if at.mask is not None else self.f.value(1, vector("i1", at.lanes))

    def _lanes(self, operand: int, p: Value, at: At) -> Value:
        """The addresses of the lanes of an operand that moves by more than one element."""
        f, type_ = self.f, vector("i64", at.lanes)
        steps = f.lane_numbers(type_) * f.splat(self.word("stride", operand, self.nest.lane), type_)
        element_type = memory_type(self.k.operands[operand].dtype)
        return f.op(vector("ptr", at.lanes), f"getelementptr {element_type}, ptr {p.ref}, {type_} {steps.ref}")

    def _scratch(self, n: int, at: At, copy: int) -> tuple[Value, str]:
        """Where a kept value lies: row after row of the inner dimensions, the vectors' dimension (of columns: the block) innermost."""
        f, nest = self.f, self.nest
        element_type = memory_type(self.k.body[n].dtype)
        place: Any = 0
        for d in nest.inner_dims:
            place = place * self.word("size", d) + at.position[d] if place.__class__ is not int else at.position[d]
        if nest.column:
            place = place * (nest.lanes * nest.copies) + copy * at.lanes
        else:
            assert at.lane is not None
            before = 0 if place.__class__ is int else place * self.word("size", nest.lane)
            place = at.lane + copy * at.lanes + before
        p = f.gep(self.kernel.rest[2], self.word("scratch", n), "i8")
        return f.gep(p, place, element_type), vector(element_type, at.lanes)

    def _save(self, n: int, values: Sequence[Value], at: At) -> None:
        d = self.k.body[n].dtype
        for copy, value in enumerate(values):
            p, _ = self._scratch(n, at, copy)
            v = to_memory(self.f, value, d)
            if at.mask is None or self.nest.column:
                self.f.store(v, p)
            else:
                self.f.masked_store(v, p, at.mask)

    def _recall(self, n: int, at: At) -> list[Value]:
        d, out = self.k.body[n].dtype, []
        for copy in range(at.copies):
            p, type_ = self._scratch(n, at, copy)
            v = self.f.load(type_, p) if at.mask is None or self.nest.column else self.f.masked_load(type_, p, at.mask)
            out.append(from_memory(self.f, v, d))
        return out


def largest_item(nest: Nest) -> int:
    """Bytes of the widest kept value's element, in memory."""
    return max((SIZES[memory_type(nest.k.body[n].dtype)] for n in nest.kept), default=0)
