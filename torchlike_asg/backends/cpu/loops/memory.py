"""Reading and writing operands and scratch memory from within a nest."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ..calls import EPILOGUE, SIGNATURE, Kernel
from ..emit import Module
from ..handler import from_memory, memory_type, register_type, to_memory
from ..isa import Isa
from ..values import Value, vector
from .nest import Nest

#: indices of dimensions
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


class Memory:
    """The kernel's entry function, and the memory it sees.

    ``place``  the addresses of the operands at the current place of the outer dimensions
    """

    def __init__(self, nest: Nest, isa: Isa, module: Module, name: str) -> None:
        self.nest, self.isa, self.k = nest, isa, nest.k
        self.kernel = Kernel(module, name, len(self.k.operands), EPILOGUE if nest.matrix else SIGNATURE)
        self.f = self.kernel.f
        #: whether remainders of vectors are done under a mask
        self.masked = isa.name == "avx512"
        self.base = [self.kernel.operand(n) for n in range(len(self.k.operands))]
        self.place = list(self.base)

    def word(self, *name: Any) -> Value:
        """A word of the call."""
        return self.kernel.word(self.nest.words[name])

    def scratch(self, n: int) -> Value:
        """The start of the scratch memory of a value."""
        return self.f.gep(self.kernel.rest[2], self.word("scratch", n), "i8")

    def moved(self, operand: int, p: Value, index: Place) -> Value:
        """An address moved along dimensions."""
        if self.nest.fixed(operand):
            return p
        type_ = memory_type(self.k.operands[operand].dtype)
        for d, i in index.items():
            p = self.f.gep(p, i * self.word("stride", operand, d), type_)
        return p

    def address(self, operand: int, at: At, copy: int) -> tuple[Value, str]:
        """The address of an operand's first lane, and how the lanes go on (0, 1, n)."""
        p, step = self.place[operand], self.nest.step(self.k.operands[operand].strides)
        type_ = memory_type(self.k.operands[operand].dtype)
        if self.nest.full(operand):
            p = self.moved(operand, p, at.position)
        if at.lane is None or step == "0":
            return p, "0"
        i = at.lane + copy * at.lanes
        return self.f.gep(p, i if step == "1" else i * self.word("stride", operand, self.nest.lane), type_), step

    def load(self, operand: int, at: At, copy: int) -> Value:
        f, d = self.f, self.k.operands[operand].dtype
        p, step = self.address(operand, at, copy)
        element_type = memory_type(d)
        type_ = vector(element_type, at.lanes)
        if step == "0" or at.lanes == 1:
            return f.splat(from_memory(f, f.load(element_type, p), d), vector(register_type(d), at.lanes))
        if step == "1":
            v = f.load(type_, p) if at.mask is None else f.masked_load(type_, p, at.mask)
        elif at.mask is None:
            # one load after the other is faster than the gathering instructions of most processors
            v = f.value(0, type_)
            for n, q in enumerate(self._each(operand, p, at)):
                v = f.insert(v, f.load(element_type, q), n)
        else:
            v = f.gather(type_, self._lanes(operand, p, at), at.mask)
        return from_memory(f, v, d)

    def store(self, operand: int, values: Sequence[Value], at: At) -> None:
        f, d = self.f, self.k.operands[operand].dtype
        for copy, value in enumerate(values):
            v = to_memory(f, value, d)
            p, step = self.address(operand, at, copy)
            if step == "0" or at.lanes == 1:
                f.store(v if at.lanes == 1 else f.extract(v, 0), p)
            elif step == "1":
                if at.mask is None:
                    f.store(v, p)
                else:
                    f.masked_store(v, p, at.mask)
            elif at.mask is None:
                for n, q in enumerate(self._each(operand, p, at)):
                    f.store(f.extract(v, n), q)
            else:
                f.scatter(v, self._lanes(operand, p, at), at.mask)

    def _each(self, operand: int, p: Value, at: At) -> Iterator[Value]:
        """The addresses of the lanes of an operand that moves by more than one element, one by one."""
        step, type_ = self.word("stride", operand, self.nest.lane), memory_type(self.k.operands[operand].dtype)
        for n in range(at.lanes):
            yield self.f.gep(p, step * n, type_) if n else p

    def _lanes(self, operand: int, p: Value, at: At) -> Value:
        """The same as a vector of addresses."""
        f, type_ = self.f, vector("i64", at.lanes)
        steps = f.lane_numbers(type_) * f.splat(self.word("stride", operand, self.nest.lane), type_)
        element_type = memory_type(self.k.operands[operand].dtype)
        return f.op(vector("ptr", at.lanes), f"getelementptr {element_type}, ptr {p.ref}, {type_} {steps.ref}")

    def kept_place(self, n: int, at: At, copy: int) -> tuple[Value, str]:
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
        return f.gep(self.scratch(n), place, element_type), vector(element_type, at.lanes)

    def save(self, n: int, values: Sequence[Value], at: At) -> None:
        d = self.k.body[n].dtype
        for copy, value in enumerate(values):
            p, _ = self.kept_place(n, at, copy)
            v = to_memory(self.f, value, d)
            if at.mask is None or self.nest.column:
                self.f.store(v, p)
            else:
                self.f.masked_store(v, p, at.mask)

    def recall(self, n: int, at: At) -> list[Value]:
        d, out = self.k.body[n].dtype, []
        for copy in range(at.copies):
            p, type_ = self.kept_place(n, at, copy)
            v = self.f.load(type_, p) if at.mask is None or self.nest.column else self.f.masked_load(type_, p, at.mask)
            out.append(from_memory(self.f, v, d))
        return out
