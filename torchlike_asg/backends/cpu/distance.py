"""Distances between all pairs of two sets of points, directly: the difference of every coordinate is taken before anything is summed."""

from __future__ import annotations

import math
from dataclasses import replace

from ..views import broadcast, merge, moved, row_major
from .calls import Call, Kernel, LibraryNode, Lowering, Source, library
from .copies import copy
from .elements import MACHINE, code
from .emit import Function, Module, Variable
from .isa import Isa
from .values import Value, vector
from .vpieces import Pieces
from .walk import MAX_RANK, Walk, walk_words

#: points of the first set that share each read of the second
_ROWS = 4
_NORMS = {0.0: "count", 1.0: "sum", 2.0: "square", math.inf: "max"}


@library("cdist", "cdist_euclidean")
def _cdist(lowering: Lowering, node: LibraryNode) -> bool:
    (a, b), out = node.operands, node.result
    norm = _NORMS.get(float(node.attrs[0])) if node.attrs else "product"
    if norm is None or a.dtype is not out.dtype or a.dtype.storage != a.dtype.compute or 0 in (*out.shape, *a.shape, *b.shape):
        return False
    if out.strides[-1] != 1:
        return False
    # the second set coordinate by coordinate, so that neighbours in a vector are points
    turned = moved(b, (*range(len(b.shape) - 2), len(b.shape) - 1, len(b.shape) - 2))
    other = row_major(lowering.temporary(math.prod(b.shape) * b.itemsize), turned.shape, b)
    if not copy(lowering, turned, other):
        return False
    batch = out.shape[:-2]
    size = a.itemsize
    wide = [broadcast(v, (*batch, *v.shape[-2:])) for v in (a, replace(other, shape=turned.shape))]
    dims = merge(batch, *[[s * size for s in v.strides[:-2]] for v in (*wide, out)])
    if len(dims) > MAX_RANK:
        return False
    points, features = a.shape[-2:]
    element, isa = code(a.dtype), lowering.isa
    steps = (a.strides[-2] * size, a.strides[-1] * size, other.strides[-2] * size, out.strides[-2] * size)
    pairs = math.prod(out.shape)
    lowering.add(
        Call(
            Source(("cdist", element, norm, isa.name), lambda m, n: _Pairs(m, n, isa, element, norm).write()),
            (a.place, other.place, out.place),
            (points, b.shape[-2], features, *steps, *walk_words(dims)),
            (a.slot, other.slot),
            (out.slot,),
            units=-(-points // _ROWS) * math.prod(batch),
            cost=20 + pairs * features * 0.02 * size,
            label="cdist",
            flops=2 * pairs * features,
            bytes=size * (math.prod(a.shape) + pairs),
        )
    )
    return True


class _Pairs:
    def __init__(self, module: Module, name: str, isa: Isa, element: str, norm: str) -> None:
        k = self.k = Kernel(module, name, 3)
        self.f: Function = k.f
        self.isa, self.norm, self.type, self.size = isa, norm, MACHINE[element], int(element[1:])
        self.points, self.others, self.features, *self.steps = (k.word(i) for i in range(7))
        self.walk = Walk(self.f, k.word_address(7), 3)

    def write(self) -> None:
        f = self.f
        lo, hi, _ = self.k.rest
        operands = [self.k.operand(i) for i in range(3)]
        groups = (self.points + (_ROWS - 1)) // _ROWS
        self.walk.start(lo // groups)
        group = f.variable(lo % groups)
        with f.loop(lo, hi):
            a, b, out = (f.gep(p, self.walk.offset(i), "i8") for i, p in enumerate(operands))
            first = group.get() * _ROWS
            left = self.points - first

            def several(count: int) -> None:
                self._rows(f.gep(a, first * self.steps[0], "i8"), b, f.gep(out, first * self.steps[3], "i8"), count)

            def single() -> None:
                with f.loop(first, self.points) as i:
                    self._rows(f.gep(a, i * self.steps[0], "i8"), b, f.gep(out, i * self.steps[3], "i8"), 1)

            f.branch(left >= _ROWS, lambda: several(_ROWS), single)
            done = f.compare("eq", group.get() + 1, groups)
            group.set(f.select(done, 0, group.get() + 1))
            with f.when(done):
                self.walk.advance()

    def _rows(self, a: Value, b: Value, out: Value, rows: int) -> None:
        f, n = self.f, self.isa.lanes(self.size)
        whole = self.others - self.others % n
        for lo, hi, lanes in ((f.value(0, "i64"), whole, n), (whole, self.others, 1)):
            t = vector(self.type, lanes)
            with f.loop(lo, hi, lanes) as j:
                sums = [f.variable(0.0, t) for _ in range(rows)]
                with f.loop(0, self.features) as m:
                    y = f.load(t, f.gep(f.gep(b, m * self.steps[2], "i8"), j, self.type), self.size)
                    for r, s in enumerate(sums):
                        x = f.load(self.type, f.gep(f.gep(a, self.steps[0] * r, "i8"), m * self.steps[1], "i8"), self.size)
                        s.set(self._add(s.get(), f.splat(x, t) - y))
                if self.norm == "product":
                    self._beyond(a, f.gep(b, j, self.type), sums, t)
                for r, s in enumerate(sums):
                    total = f.intrinsic("sqrt", t, s.get()) if self.norm in ("square", "product") else s.get()
                    f.store(total, f.gep(f.gep(out, self.steps[3] * r, "i8"), j, self.type), self.size)

    def _beyond(self, a: Value, b: Value, sums: list[Variable], t: str) -> None:
        """Distances that are not finite again, as the product has them: infinity times zero in it is a NaN."""
        f = self.f
        for r, s in enumerate(sums):
            odd = f.compare("ne", s.get() - s.get(), 0.0)
            with f.when(Pieces(f, self.isa).any(odd)):
                squares, products = f.variable(0.0, t), f.variable(0.0, t)
                with f.loop(0, self.features) as m:
                    y = f.load(t, f.gep(b, m * self.steps[2], "i8"), self.size)
                    x = f.load(self.type, f.gep(f.gep(a, self.steps[0] * r, "i8"), m * self.steps[1], "i8"), self.size)
                    x = f.splat(x, t)
                    squares.set(f.fma(x, x, f.fma(y, y, squares.get())))
                    products.set(f.fma(x, y, products.get()))
                found = squares.get() - products.get() * 2.0
                s.set(f.select(odd, f.select(found < 0.0, 0.0, found), s.get()))

    def _add(self, total: Value, gap: Value) -> Value:
        f = self.f
        if self.norm in ("square", "product"):
            return f.fma(gap, gap, total)
        if self.norm == "count":
            one = f.select(f.compare("ne", gap, 0.0), 1.0, f.value(0.0, gap.type))
            return total + f.select(f.compare("ne", gap, gap), gap, one)
        size = f.intrinsic("fabs", gap.type, gap)
        if self.norm == "sum":
            return total + size
        return f.select(f.compare("gt", size, total), size, total)  # a NaN is not larger
