"""The structure of a generated loop nest: everything about a kernel that changes code, and nothing that is a number at run time.

The kernel's values are computed in *passes* over a row. A value that needs no reduction belongs to stage 0; a `Reduce` of a value of
stage s gives a row value of stage s + 1. Pass s does the reductions over values of stage s and the stores that can be done by then.
Values are computed again in every pass that needs them, but expensive ones, which are kept in the thread's scratch memory.
"""

from __future__ import annotations

import math
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Any

from .... import dtypes
from ....compiler.kernel import NUMBERED, Apply, Const, Convert, Index, Instr, Load, LoopKernel, Random, Reduce, operands_of
from ....compiler.parts import stages, used_values
from .weigh import EXPENSIVE, weights

#: literals that stay in the code: formulas are simpler with them (a maximum with 0), and they rarely differ between equal kernels
_LITERALS = frozenset((0.0, 1.0, -1.0, 2.0, -2.0, 0.5))


def main_size(k: LoopKernel) -> int:
    """Bytes of the elements whose vectors fill the registers: four where there are any, else those of the largest (flags and indices alone:
    4 where there is an index, else 1)."""
    sizes = {i.dtype.compute.itemsize for i in k.body if i.dtype is not dtypes.bool_ and not isinstance(i, Index)}
    if not sizes:
        return 4 if any(isinstance(i, Index) for i in k.body) else 1
    return 4 if 4 in sizes else max(sizes)


def leveled(i: Instr, k: LoopKernel, lanes: int) -> bool:
    """Whether a reduction of a kernel in vectors of that many lanes is a sum in levels (see orders.py): one register of 64 bytes has to
    take a vector. (Doubles beside floats have as many lanes in two of 32.)"""
    plain = isinstance(i, Reduce) and i.kind == "sum" and not i.order
    return plain and i.dtype in (dtypes.float32, dtypes.float64) and lanes * i.dtype.itemsize == 64 == lanes * main_size(k)


@dataclass
class Pass:
    """One walk along the row: values to compute there (all of them full), which are read from scratch instead, which are saved there."""

    reduces: list[int] = field(default_factory=list)
    stores: list[int] = field(default_factory=list)
    values: list[int] = field(default_factory=list)
    kept: list[int] = field(default_factory=list)
    saves: list[int] = field(default_factory=list)


class Nest:
    """A kernel in normal form with the decisions about its loops.

    ``column``    vectors lie along the last outer dimension (else along the last inner one)
    ``split``     the inner dimension of which the first outer dimension enumerates parts; -1: none
    ``blocked``   a unit of work is a block of the vectors' dimension (else all of it)
    ``keep``      expensive values may be kept in scratch memory between passes
    ``inplace``   stores go to memory that is loaded, too
    ``wide``      the totals of a column kernel lie in scratch memory (see columns.py)
    ``matrix``    an epilogue: units are rows, the vectors' range is given by the caller
    """

    def __init__(
        self,
        k: LoopKernel,
        column: bool,
        lanes: int,
        split: int = -1,
        blocked: bool = False,
        keep: bool = True,
        inplace: bool = False,
        wide: bool = False,
        matrix: bool = False,
    ) -> None:
        self.k, self.column, self.lanes = k, column, lanes
        self.split, self.blocked, self.keep, self.inplace = split, blocked, keep, inplace
        self.wide, self.matrix = wide, matrix
        self.rank = len(k.sizes)
        #: the vectors' dimension
        self.lane = (k.outer if column else self.rank) - 1
        self.outer_dims = [d for d in range(k.outer) if d != self.lane]
        self.inner_dims = [d for d in range(k.outer, self.rank) if d != self.lane]
        self.row = k.rows()
        self.weights = weights(k)
        self.stage = stages(k)
        self.used = used_values(k)
        self.passes = self._plan()
        self.kept = sorted({n for p in self.passes for n in p.kept})
        #: sums in levels (see orders.py): along rows, down columns
        self.leveled = {n for p in self.passes for n in p.reduces if len(self.inner_dims) == column and leveled(k.body[n], k, lanes)}
        #: values that have a row (wide nests: a block of totals) in scratch memory
        self.scratch = [n for p in self.passes for n in p.reduces] if wide else self.kept
        self.uniform = self._uniform()
        self.row_values = self._row_values()
        #: vectors side by side in a block of columns
        self.copies = self._column_copies() if column else 1
        self.words = self._words()

    # ---------------------------------------------------------------- operands
    def full(self, operand: int) -> bool:
        """Whether the operand's elements differ along a row."""
        return any(self.k.operands[operand].strides[self.k.outer :])

    def fixed(self, operand: int) -> bool:
        """Whether it is one element."""
        return not any(self.k.operands[operand].strides)

    def step(self, strides: tuple[int, ...]) -> str:
        """How a walk moves along the vectors' dimension: 0, 1, or n (a number at run time)."""
        s = strides[self.lane] if self.rank else 0
        return str(s) if s in (0, 1) else "n"

    def word_constant(self, n: int) -> bool:
        """Whether a literal is passed at run time, so that kernels that differ in it share code."""
        i = self.k.body[n]
        assert isinstance(i, Const)
        if i.dtype.category != dtypes.FLOAT or not math.isfinite(i.value) or i.value in _LITERALS:
            return False
        return not any(isinstance(j, Apply) and j.op == "pow" and n in j.args for j in self.k.body)

    # ---------------------------------------------------------------- passes
    def _plan(self) -> list[Pass]:
        k = self.k
        if k.outer == self.rank:
            return []
        reduces = [n for n in self.used if isinstance(k.body[n], Reduce)]
        full_stores = [s for s, (o, _) in enumerate(k.stores) if self.full(o)]
        stages = [self.stage[n] for n in reduces] + [self.stage[k.stores[s][1]] + 1 for s in full_stores]
        passes = [Pass() for _ in range(max(stages, default=0))]
        for n in reduces:
            passes[self.stage[n] - 1].reduces.append(n)
        for s in full_stores:
            # memory that is loaded again must keep its contents until the last pass
            passes[-1 if self.inplace else self.stage[k.stores[s][1]]].stores.append(s)
        first: dict[int, int] = {}
        for number, p in enumerate(passes):
            roots = [k.body[n].arg for n in p.reduces] + [k.stores[s][1] for s in p.stores]  # type: ignore[union-attr]
            values, kept = set[int](), set[int]()
            pending = [n for n in roots if not self.row[n]]
            while pending:
                n = pending.pop()
                if n in values or n in kept:
                    continue
                if self.keep and n in first and self.weights[n] >= EXPENSIVE:
                    kept.add(n)
                    continue
                values.add(n)
                pending += [a for a in operands_of(k.body[n]) if not self.row[a]]
            for n in kept:
                if n not in passes[first[n]].saves:
                    passes[first[n]].saves.append(n)
            for n in values:
                first.setdefault(n, number)
            p.values, p.kept = sorted(values), sorted(kept)
        for p in passes:
            p.saves.sort()
        return passes

    def _uniform(self) -> list[bool]:
        """For each value that is not a row value whether it is the same along the vectors' dimension."""
        uniform: list[bool] = []
        for n, i in enumerate(self.k.body):
            if isinstance(i, Load):
                uniform.append(self.step(self.k.operands[i.operand].strides) == "0" and not self.row[n])
            elif isinstance(i, NUMBERED):
                uniform.append(self.step(i.strides) == "0" and not self.row[n])
            elif isinstance(i, (Apply, Convert)):
                known = [uniform[a] or isinstance(self.k.body[a], Const) for a in operands_of(i)]
                uniform.append(all(known) and not self.row[n])
            else:
                uniform.append(False)
        return uniform

    def _row_values(self) -> list[list[int]]:
        """For each stage the row values that become known there (reductions are known when their pass ends)."""
        out: list[list[int]] = [[] for _ in range(max(len(self.passes), *self.stage, 0) + 1)]
        for n in self.used:
            if self.row[n] and not (isinstance(self.k.body[n], Reduce) and self.passes):
                out[self.stage[n]].append(n)
        return out

    def _column_copies(self) -> int:
        """How many vectors a block of columns has side by side."""
        weight = max((self._weight(p) for p in self.passes), default=0)
        if self.k.sizes[self.lane] <= 2 * self.lanes or self.wide:
            return 1
        if self.leveled:
            return 2 if weight <= 24 and not self.kept else 1
        return 4 if weight <= 8 and not self.kept else 2 if weight <= 24 else 1

    def _weight(self, p: Pass) -> int:
        return sum(self.weights[n] for n in p.values)

    def copies_along(self, p: Pass) -> int:
        """How many vectors the main loop of a pass along rows takes at a time: more hide the latency of sums, but are more code."""
        weight = self._weight(p)
        if not self.leveled.isdisjoint(p.reduces):
            return 2
        return 4 if weight <= 6 else 2 if weight <= 14 else 1

    # ---------------------------------------------------------------- run-time words
    def _words(self) -> dict[tuple[Hashable, ...], int]:
        """The names of the call's words, in order."""
        k = self.k
        names: list[tuple[Hashable, ...]] = [("size", d) for d in range(self.rank)]
        for n, o in enumerate(k.operands):
            dims = [d for d in range(self.rank) if d != self.lane or self.step(o.strides) == "n"]
            names += [("stride", n, d) for d in dims if not self.fixed(n)]
        for n, i in enumerate(k.body):
            if isinstance(i, NUMBERED):
                names += [("index", n), *[("index", n, d) for d in range(self.rank)]]
            elif isinstance(i, Const) and self.word_constant(n):
                names.append(("const", n))
        names += [("block",), ("blocks",)] if self.blocked else []
        names += [("part",)] if self.split >= 0 else []
        names += [("scratch", n) for n in self.scratch]
        return {name: n for n, name in enumerate(names)}

    # ---------------------------------------------------------------- identity
    def key(self) -> tuple[Hashable, ...]:
        """What determines the code."""
        k = self.k
        kinds = ["fixed" if self.fixed(n) else "full" if self.full(n) else "row" for n in range(len(k.operands))]
        operands = tuple((o.dtype.name, self.step(o.strides), kind) for o, kind in zip(k.operands, kinds, strict=True))
        body = tuple(self._describe(n) for n in range(len(k.body)))
        loops = (self.column, self.lanes, self.copies, self.split, self.blocked, self.wide, self.matrix)
        return (k.outer, self.rank, operands, body, k.stores, loops, (self.keep, self.inplace))

    def _describe(self, n: int) -> tuple[Hashable, ...]:
        i = self.k.body[n]
        if isinstance(i, Load):
            return ("load", i.operand)
        if isinstance(i, Const):
            return ("word", i.dtype.name) if self.word_constant(n) else ("const", i.dtype.name, repr(i.value))
        if isinstance(i, Random):
            return ("random", i.key, i.block, self.step(i.strides), self.row[n])
        if isinstance(i, Index):
            return ("index", self.step(i.strides), self.row[n])
        if isinstance(i, Apply):
            return (i.op, i.args, tuple(map(_stable, i.attrs)), i.dtype.name, i.compute.name)
        if isinstance(i, Convert):
            return ("convert", i.arg, i.dtype.name)
        return ("reduce", i.kind, i.arg, i.dtype.name, i.order)


def _stable(a: Any) -> Hashable:
    return a if a.__class__ in (int, float, str, bool, type(None)) else repr(a)
