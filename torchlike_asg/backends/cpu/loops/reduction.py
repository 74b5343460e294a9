"""Reductions in progress: what they start from, how values are taken in, how lanes are combined."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from .... import dtypes
from ....compiler.kernel import Reduce
from ....dtypes import dtype
from ..emit import Function, Value, Variable, lanes, vector
from ..handler import Handler, convert, register_type, rounded
from .memory import At


class Reduction:
    """One `Reduce` on registers: `any` and `all` on booleans, the others on the type of the result (halves: float)."""

    def __init__(self, f: Function, i: Reduce, handler: Callable[[dtype, int], Handler]) -> None:
        self.f, self.i, self._handler = f, i, handler
        self.logical = i.kind in ("any", "all")
        self.dtype = dtypes.bool_ if self.logical else i.dtype

    def identity(self) -> Any:
        """What the reduction starts from."""
        i = self.i
        if i.kind in ("sum", "any"):
            return 0
        if i.kind in ("prod", "all"):
            return 1
        lowest = i.kind == "max"
        if i.dtype.category == dtypes.FLOAT:
            return -math.inf if lowest else math.inf
        if not i.dtype.is_signed:  # bool and uint8: the largest has all bits set
            return 0 if lowest else -1 if i.dtype is not dtypes.bool_ else 1
        bits = 8 * i.dtype.itemsize
        return -(1 << (bits - 1)) if lowest else (1 << (bits - 1)) - 1

    def enter(self, v: Value) -> Value:
        """A value as it is combined."""
        return convert(self.f, v, self.i.dtype, dtypes.bool_) if self.logical else v

    def combine(self, a: Value, b: Value) -> Value:
        if self.logical:
            return a | b if self.i.kind == "any" else a & b
        h = self._handler(self.i.dtype, lanes(a.type))
        return {"sum": h.add, "prod": h.mul, "max": h.maximum, "min": h.minimum}[self.i.kind](a, b)

    def leave(self, v: Value) -> Value:
        """The combined values as one of the result's type."""
        return convert(self.f, v, dtypes.bool_, self.i.dtype) if self.logical else rounded(self.f, v, self.i.dtype)


class Accumulator:
    """A reduction in variables: one per vector side by side, and one for single elements after the last vector."""

    def __init__(self, reduction: Reduction, width: int, copies: int, tail: bool) -> None:
        self.reduction = reduction
        f, type_, start = reduction.f, register_type(reduction.dtype), reduction.identity()
        self.vectors = [f.variable(start, vector(type_, width)) for _ in range(copies)]
        self.tail = f.variable(start, type_) if tail else None

    def add(self, values: Sequence[Value], at: At) -> None:
        """Take in one value per vector."""
        r = self.reduction
        for n, v in enumerate(values):
            variable: Variable = self.tail if self.tail is not None and at.lanes == 1 else self.vectors[n]
            old = variable.get()
            new = r.combine(old, r.enter(v))
            variable.set(new if at.mask is None else r.f.select(at.mask, new, old))

    def result(self, fold: bool) -> list[Value]:
        """The reduced values: of all lanes, or (columns) each lane's own."""
        r, out = self.reduction, [v.get() for v in self.vectors]
        if fold:
            while len(out) > 1:
                out = [r.combine(out[n], out[n + 1]) for n in range(0, len(out), 2)]
            total = r.f.fold(r.combine, out[0])
            out = [total if self.tail is None else r.combine(total, self.tail.get())]
        return [r.leave(v) for v in out]
