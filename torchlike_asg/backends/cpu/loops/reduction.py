"""Reductions in progress: what they start from, how values are taken in, how lanes are combined."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from .... import dtypes
from ....compiler.kernel import Reduce
from ....dtypes import dtype
from ..emit import Function, Variable
from ..handler import Handler, convert, register_type
from ..rounding import rounded
from ..values import Value, lanes, vector
from .memory import At


class Reduction:
    """One `Reduce` on registers: `any` and `all` on booleans, the others on the type of the result (halves: float)."""

    def __init__(self, f: Function, i: Reduce, handler: Callable[[dtype, int], Handler]) -> None:
        self.f, self.i, self.handler = f, i, handler
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
        h = self.handler(self.i.dtype, lanes(a.type))
        return {"sum": h.add, "prod": h.mul, "max": h.maximum, "min": h.minimum}[self.i.kind](a, b)

    def leave(self, v: Value) -> Value:
        """The combined values as one of the result's type."""
        return convert(self.f, v, dtypes.bool_, self.i.dtype) if self.logical else rounded(self.f, v, self.i.dtype)


class Accumulator:
    """A reduction in variables: one per vector side by side, and one for single elements after the last vector.

    Largest and smallest floats are found without regard to NaNs, which is one instruction; whether there was one is kept beside.
    """

    def __init__(self, reduction: Reduction, width: int, copies: int, tail: bool) -> None:
        self.reduction = reduction
        f, type_, start = reduction.f, register_type(reduction.dtype), reduction.identity()
        self.extremum = reduction.i.kind in ("max", "min") and reduction.dtype.category == dtypes.FLOAT
        self.vectors = [f.variable(start, vector(type_, width)) for _ in range(copies)]
        self.nans = [f.variable(0, vector("i1", width)) for _ in range(copies)] if self.extremum else []
        self.tail = f.variable(start, type_) if tail else None
        self.tail_nan = f.variable(0, "i1") if tail and self.extremum else None

    def _combine(self, a: Value, b: Value) -> Value:
        if not self.extremum:
            return self.reduction.combine(a, b)
        f = self.reduction.f
        return f.select(f.compare("lt" if self.reduction.i.kind == "max" else "gt", a, b), b, a)

    def add(self, values: Sequence[Value], at: At, factors: Sequence[Sequence[Value]] = ()) -> None:
        """Take in one value per vector; `factors`: of which factors these are products, if the sum is to fuse them with the addition."""
        r = self.reduction
        single = self.tail is not None and at.lanes == 1
        for n, v in enumerate(values):
            variable: Variable = self.tail if single else self.vectors[n]  # type: ignore[assignment]
            old = variable.get()
            new = r.f.fma(factors[0][n], factors[1][n], old) if factors else self._combine(old, r.enter(v))
            variable.set(new if at.mask is None else r.f.select(at.mask, new, old))
            if self.extremum:
                found: Variable = self.tail_nan if single else self.nans[n]  # type: ignore[assignment]
                nan = _is_nan(v)
                found.set(found.get() | (nan if at.mask is None else nan & at.mask))

    def flush(self, level: int) -> None:
        """A group of rows or vectors is over (see orders.py)."""

    def middle(self) -> None:
        """The whole groups are over."""

    def result(self, fold: bool, length: Value | None = None) -> list[Value]:
        """The reduced values: of all lanes, or (columns) each lane's own. `length`: that of the row."""
        r, out, nans = self.reduction, [v.get() for v in self.vectors], [v.get() for v in self.nans]
        if fold:
            out = [_tree(self._combine, out)]
            total = r.f.fold(self._combine, out[0])
            out = [total if self.tail is None else self._combine(total, self.tail.get())]
            if nans:
                nan = r.handler(dtypes.bool_, 1).math.any(_tree(lambda a, b: a | b, nans))
                nans = [nan if self.tail_nan is None else nan | self.tail_nan.get()]
        if nans:
            out = [r.f.select(nan, math.nan, v) for nan, v in zip(nans, out, strict=True)]
        return [r.leave(v) for v in out]


def _tree(combine: Callable[[Value, Value], Value], values: list[Value]) -> Value:
    while len(values) > 1:
        values = [combine(values[n], values[n + 1]) for n in range(0, len(values), 2)]
    return values[0]


def _is_nan(v: Value) -> Value:
    return v.f.op(vector("i1", lanes(v.type)), f"fcmp uno {v.type} {v.ref}, {v.ref}")
