"""What the instructions of a kernel compute at a place, as vectors or scalars: loads, numbers of points, random numbers, formulas."""

from __future__ import annotations

from .... import dtypes
from ....compiler.kernel import Apply, Const, Convert, Index, Load, Random
from ....dtypes import dtype
from ..emit import Module
from ..handler import Handler, convert, from_memory, memory_type, register_type
from ..isa import Isa
from ..philox import numbers
from ..rounding import rounded
from ..values import Value, lanes, vector
from .memory import At, Memory, Place
from .nest import Nest
from .weigh import words

#: formulas of one operation of arithmetic
_SINGLE = frozenset((("add",), ("sub",), ("mul",), ("div",)))


class Instructions(Memory):
    """Writes single instructions of a kernel; the renderer's loops say where."""

    def __init__(self, nest: Nest, isa: Isa, module: Module, name: str) -> None:
        super().__init__(nest, isa, module, name)
        #: row values: those of the row (or block of columns) that is being written
        self.rows: dict[int, list[Value]] = {}
        #: values that are the same everywhere
        self.fixed: dict[int, Value] = {}
        #: numbers of points, at the block's first place, of the instructions that number them
        self.index: list[Value | None] = []
        #: key and first block of the numbers of a `Random`
        self.streams: dict[int, tuple[Value, Value]] = {}
        self.mask: Value | None = None

    def handler(self, d: dtype, lanes_: int) -> Handler:
        return Handler(self.f, self.isa, d, lanes_, None if self.nest.matrix else self._fail)

    def _fail(self, wrong: Value) -> None:
        h = self.handler(dtypes.bool_, lanes(wrong.type))
        if self.mask is not None and lanes(wrong.type) == lanes(self.mask.type):
            wrong = wrong & self.mask
        with self.f.when(h.math.any(wrong)):
            self.kernel.fail()

    def find_fixed(self) -> None:
        """Load what is the same everywhere: numbers given as words, elements that all points read, random streams."""
        f, nest = self.f, self.nest
        for n, i in enumerate(self.k.body):
            if isinstance(i, Const) and nest.word_constant(n):
                v = self.kernel.word(nest.words["const", n], "double")
                self.fixed[n] = v if register_type(i.dtype) == "double" else f.convert("fptrunc", v, "float")
            elif isinstance(i, Load) and nest.fixed(i.operand):
                v = f.load(memory_type(i.dtype), self.base[i.operand])
                self.fixed[n] = from_memory(f, v, i.dtype)
            elif isinstance(i, Random):
                self.streams[n] = f.load("i64", self.base[i.key]), f.load("i64", self.base[i.block])

    def number(self, n: int, v: Value, index: Place) -> Value:
        """The number of an instruction that numbers points, moved along dimensions."""
        for d, i in index.items():
            v = v + i * self.word("index", n, d)
        return v

    def fetch(self, n: int, at: At, values: dict[int, list[Value]]) -> list[Value]:
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

    def compute(self, n: int, at: At, values: dict[int, list[Value]]) -> list[Value]:
        f, i = self.f, self.k.body[n]
        if n in self.fixed or isinstance(i, Const):
            return self.fetch(n, at, values)
        if isinstance(i, Load):
            return [self.load(i.operand, at, c) for c in range(at.copies)]
        if isinstance(i, Index):
            return [self._ramp(n, i, at, c) for c in range(at.copies)]
        if isinstance(i, Random):
            return [self._random(n, i, at, c) for c in range(at.copies)]
        if isinstance(i, Convert):
            return [convert(f, v, self.k.body[i.arg].dtype, i.dtype) for v in self.fetch(i.arg, at, values)]
        assert isinstance(i, Apply)
        h = self.handler(i.compute, at.lanes)
        args = []
        for a in i.args:
            d = self.k.body[a].dtype
            found = self.fetch(a, at, values)
            args.append(found if d is dtypes.bool_ else [convert(f, v, d, i.compute) for v in found])
        out = []
        # PyTorch's compiler contracts within a formula, never across operations
        f.contract = words(i) not in _SINGLE
        for c in range(at.copies):
            v = i.formula(h, *[a[c] for a in args], *i.attrs)
            d = h.dtype_of(v)
            out.append(convert(f, v, d, i.dtype) if d is not i.dtype else rounded(f, v, d))
        f.contract = False
        return out

    def _ramp(self, n: int, i: Index, at: At, copy: int) -> Value:
        f = self.f
        start = self.index[n]
        assert start is not None
        start = self.number(n, start, at.position)
        type_ = vector("i64", at.lanes)
        if at.lane is None or self.nest.step(i.strides) == "0":
            return f.splat(start, type_)
        step = self.word("index", n, self.nest.lane)
        first = start + (at.lane + copy * at.lanes) * step
        return first if at.lanes == 1 else f.splat(first, type_) + f.lane_numbers(type_) * f.splat(step, type_)

    def _random(self, n: int, i: Random, at: At, copy: int) -> Value:
        f, step = self.f, self.nest.step(i.strides)
        start = self.index[n]
        assert start is not None
        start = self.number(n, start, at.position)
        if at.lane is None or step == "0":
            return f.splat(numbers(f, *self.streams[n], start, 1), vector("float", at.lanes))
        by = f.value(1, "i64") if step == "1" else self.word("index", n, self.nest.lane)
        return numbers(f, *self.streams[n], start + (at.lane + copy * at.lanes) * by, at.lanes, None if step == "1" else by)
