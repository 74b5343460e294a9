"""Pooling: windows of an image reduced to their maximum, its place, their average; and the gradients.

Every operation here is one pass over pixels: each sums (or compares) the pixels of a box of another image. Where the boxes begin and end is
one table for each dimension, so that padding, dilation, rounding up and adaptive windows differ in their tables alone. Channels are
vectors where they lie side by side.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ... import dtypes
from ...ops.pooling import bounds
from .calls import LAYOUTS, Block, Call, Kernel, LibraryNode, Lowering, Source, View, library
from .conv.geometry import image, three
from .elements import MACHINE, code
from .emit import Module, Variable
from .values import Value, vector

#: for each output of a dimension: first input, how many, and its factor of what a sum is divided by
Table = list[tuple[int, int, int]]
#: how a box is reduced; in `spread` each pixel is divided by its own divisor, in the others' tables the result is
MAX, LAST_PLACE, FIRST_PLACE, AVERAGE, SPREAD = "max", "last_place", "first_place", "average", "spread"
WORDS = (
    "channels depth height width x_n x_d x_h x_w x_c y_n y_d y_h y_w y_c tap_d tap_h tap_w place_d place_h place_w step constant "
    "table_d table_h table_w by_d by_h by_w"
).split()
_POINTERS = frozenset(w for w in WORDS if w.startswith(("table", "by")))


def channels_last_result(attrs: tuple[Any, ...], shapes: tuple[tuple[int, ...], ...]) -> tuple[int, ...]:
    """The order of a result's dimensions in memory, outermost first: channels last."""
    return (0, *range(2, len(shapes[0])), 1)


# ---------------------------------------------------------------- tables
def _boxes(n: int, out: int, kernel: int, stride: int, padding: int, dilation: int, include_pad: bool) -> Table:
    """The elements inside the image of each window, and how many are counted."""
    table = []
    for o in range(out):
        start = o * stride - padding
        skip = max(0, -(start // dilation)) if start < 0 else 0
        end = min(kernel, max(skip, -(-(n - start) // dilation)))
        padded = min(start + kernel, n + padding) - start
        table.append((start + skip * dilation, end - skip, padded if include_pad else end - skip))
    return table


def _parts(n: int, out: int) -> Table:
    return [(a, b - a, b - a) for a, b in bounds(n, out)]


def _transposed(table: Table, n: int) -> Table | None:
    """For each of `n` inputs the outputs whose boxes have it, if they are neighbours."""
    found: list[list[int]] = [[] for _ in range(n)]
    for o, (first, count, _) in enumerate(table):
        for i in range(first, first + count):
            found[i].append(o)
    if any(f and f[-1] - f[0] + 1 != len(f) for f in found):
        return None
    return [(f[0] if f else 0, len(f), 1) for f in found]


# ---------------------------------------------------------------- lowering
def floats(*views: View) -> bool:
    """Whether numbers are of a type that is computed as it lies in memory."""
    return all(v.dtype in (dtypes.float32, dtypes.float64) for v in views)


@library("max_pool", "max_pool_index")
def _max(lowering: Lowering, node: LibraryNode) -> bool:
    x, y = node.operands[0], node.result
    if x.dtype.compute.kind != "f" or not _ranks(x):
        return False
    kernel, stride, padding, dilation, _ = node.attrs
    numbers = zip(x.shape[2:], y.shape[2:], kernel, stride, padding, dilation, strict=True)
    tables = [_boxes(*dim, False) for dim in numbers]
    return _pool(lowering, node, MAX if node.op == "max_pool" else LAST_PLACE, tables, dilation)


@library("adaptive_max_pool", "adaptive_max_pool_index")
def _adaptive_max(lowering: Lowering, node: LibraryNode) -> bool:
    x, y = node.operands[0], node.result
    if x.dtype.compute.kind != "f" or not _ranks(x):
        return False
    tables = [_parts(n, out) for n, out in zip(x.shape[2:], y.shape[2:], strict=True)]
    return _pool(lowering, node, MAX if node.op == "adaptive_max_pool" else FIRST_PLACE, tables)


@library("avg_pool", "avg_pool_grad")
def _average(lowering: Lowering, node: LibraryNode) -> bool:
    x, y = node.operands[0], node.result
    kernel, stride, padding, _, include_pad, divisor = node.attrs[-6:]
    if not floats(x) or not _ranks(x):
        return False
    forward = node.op == "avg_pool"
    sizes, outs = (x.shape[2:], y.shape[2:]) if forward else (y.shape[2:], x.shape[2:])
    tables = [_boxes(n, o, k, s, p, 1, include_pad) for n, o, k, s, p in zip(sizes, outs, kernel, stride, padding, strict=True)]
    return _pool(lowering, node, AVERAGE if forward else SPREAD, tables, divisor=divisor)


@library("adaptive_avg_pool", "adaptive_avg_pool_grad")
def _adaptive_average(lowering: Lowering, node: LibraryNode) -> bool:
    x, y = node.operands[0], node.result
    if not floats(x) or not _ranks(x):
        return False
    forward = node.op == "adaptive_avg_pool"
    sizes, outs = (x.shape[2:], y.shape[2:]) if forward else (y.shape[2:], x.shape[2:])
    tables = [_parts(n, out) for n, out in zip(sizes, outs, strict=True)]
    return _pool(lowering, node, AVERAGE if forward else SPREAD, tables)


def _ranks(x: View) -> bool:
    return 3 <= len(x.shape) <= 5 and 0 not in x.shape


def _pool(
    lowering: Lowering, node: LibraryNode, kind: str, tables: list[Table], dilation: Sequence[int] = (), divisor: int | None = None
) -> bool:
    """Add the pass. Tables of the forward direction; a gradient's are transposed here."""
    if 0 in node.result.shape:
        return True
    x, y = image(node.operands[0]), image(node.result)
    divisors = [[d for _, _, d in table] for table in tables]
    if kind == SPREAD:
        turned = [_transposed(table, n) for table, n in zip(tables, node.result.shape[2:], strict=True)]
        if None in turned:
            return False
        tables = turned  # type: ignore[assignment]
    while len(tables) < 3:
        tables, divisors = [[(0, 1, 1)], *tables], [[1], *divisors]
    n, d, h, w, c = y.shape
    steps = three(dilation or (1,) * (len(node.result.shape) - 2), 1)
    _, height, width = x.shape[1:4]
    adjacent = x.strides[4] == 1 and y.strides[4] == 1
    lanes = lowering.isa.lanes(x.itemsize) if adjacent and c > 1 else 1
    values: tuple[Any, ...] = (
        *(c, d, h, w, *x.strides, *y.strides),
        *(s * t for s, t in zip(x.strides[1:4], steps, strict=True)),
        *(steps[0] * height * width, steps[1] * width, steps[2]),
        *(height * width, divisor or 0),
        *(Block((), tuple(v for first, count, _ in table for v in (first, count))) for table in tables),
        *(Block((), tuple(by)) for by in divisors),
    )
    element, isa = code(x.dtype), lowering.isa
    taps = math.prod([max(1, max(count for _, count, _ in table)) for table in tables])
    count = math.prod(y.shape)
    lowering.add(
        Call(
            Source(
                ("pool", kind, element, lanes, isa.name), lambda module, name: _Pool(module, name, kind, MACHINE[element], lanes).write()
            ),
            (x.place, y.place),
            (width, *values),
            (x.slot,),
            (y.slot,),
            units=n * d * h,
            cost=20 + count * (taps + 4) * (1.2 if lanes == 1 else 2.0 / lanes),
            label=node.op,
            flops=count * taps,
            bytes=(math.prod(x.shape) + count) * x.itemsize,
        )
    )
    return True


class _Pool:
    """The code. Units are rows of the result."""

    def __init__(self, module: Module, name: str, kind: str, e: str, lanes: int) -> None:
        self.kernel = Kernel(module, name, 2)
        self.f = self.kernel.f
        self.kind, self.e, self.lanes = kind, e, lanes
        self.x, self.y = self.kernel.operand(0), self.kernel.operand(1)
        self.x_width = self.kernel.word(0)
        self.w = {word: self.kernel.word(1 + i, "ptr" if word in _POINTERS else "i64") for i, word in enumerate(WORDS)}
        self.result = "i64" if kind in (LAST_PLACE, FIRST_PLACE) else e

    def write(self) -> None:
        f, w = self.f, self.w
        lo, hi, _ = self.kernel.rest
        with f.loop(lo, hi) as unit:
            plane = unit // w["height"]
            h = unit - plane * w["height"]
            n = plane // w["depth"]
            d = plane - n * w["depth"]
            x = f.gep(self.x, n * w["x_n"], self.e)
            y = f.gep(self.y, n * w["y_n"] + d * w["y_d"] + h * w["y_h"], self.result)
            rows, lines = self._box("table_d", d), self._box("table_h", h)
            by = f.load("i64", f.gep(w["by_d"], d, "i64")) * f.load("i64", f.gep(w["by_h"], h, "i64")) if self.kind == AVERAGE else None
            with f.loop(0, w["width"]) as v:
                box = (rows, lines, self._box("table_w", v))
                scale = None
                if by is not None:
                    total = by * f.load("i64", f.gep(w["by_w"], v, "i64"))
                    scale = f.convert("sitofp", self._divisor(total), self.e)
                target = f.gep(y, v * w["y_w"], self.result)
                whole = w["channels"] - w["channels"] % self.lanes if self.lanes > 1 else f.value(0, "i64")
                if self.lanes > 1:
                    with f.loop(0, whole, self.lanes) as c:
                        self._channels(x, f.gep(target, c, self.result), c, box, scale, self.lanes)
                with f.loop(whole, w["channels"]) as c:
                    self._channels(x, f.gep(target, c * w["y_c"], self.result), c * w["x_c"], box, scale, 1)

    def _divisor(self, counted: Value) -> Value:
        """The number a sum is divided by: what the call says, or what was counted."""
        return self.f.select(self.f.compare("ne", self.w["constant"], 0), self.w["constant"], counted)

    def _box(self, table: str, o: Value) -> tuple[Value, Value]:
        f = self.f
        p = f.gep(self.w[table], o * 2, "i64")
        return f.load("i64", p), f.load("i64", f.gep(p, 1, "i64"))

    def _channels(self, x: Value, y: Value, offset: Value, box: Sequence[tuple[Value, Value]], scale: Value | None, lanes: int) -> None:
        """One pixel of the result, `lanes` channels of it; `offset` that of the channel in x."""
        f, w = self.f, self.w
        (d, count_d), (h, count_h), (v, count_w) = box
        start = f.gep(x, d * w["x_d"] + h * w["x_h"] + v * w["x_w"] + offset, self.e)
        type_, places = vector(self.e, lanes), vector("i32", lanes)
        best = f.variable(float("-inf") if self.kind in (MAX, LAST_PLACE, FIRST_PLACE) else 0.0, type_)
        index = f.variable(-1, places)
        with f.loop(0, count_d) as i, f.loop(0, count_h) as j, f.loop(0, count_w) as k:
            value = f.load(type_, f.gep(start, i * w["tap_d"] + j * w["tap_h"] + k * w["tap_w"], self.e))
            if self.kind == SPREAD:
                by = [f.load("i64", f.gep(w[t], o, "i64")) for t, o in (("by_d", d + i), ("by_h", h + j), ("by_w", v + k))]
                by_value = f.convert("sitofp", self._divisor(by[0] * by[1] * by[2]), self.e)
                value = value / f.splat(by_value, type_)
            place = None
            if self.result == "i64":
                first = d * w["step"] + h * self.x_width + v
                place = first + i * w["place_d"] + j * w["place_h"] + k * w["place_w"]
            self._meet(best, index, value, place)
        if self.result == "i64":
            f.store(f.convert("sext", index.get(), vector("i64", lanes)), y)
        else:
            total = best.get()
            f.store(total if scale is None else total / f.splat(scale, type_), y)

    def _meet(self, best: Variable, index: Variable, value: Value, place: Value | None) -> None:
        """One pixel of the box. NaN is larger than everything."""
        f, old = self.f, best.get()
        if self.kind in (AVERAGE, SPREAD):
            best.set(old + value)
            return
        nan = f.compare("ne", value, value)
        if self.kind == FIRST_PLACE:
            nan = nan & f.compare("eq", old, old)
        wins = (value > old) | nan
        if place is not None:
            wins = wins | (index.get() < 0)
            index.set(f.select(wins, f.splat(f.convert("trunc", place, "i32"), index.type), index.get()))
        best.set(f.select(wins, value, old))


LAYOUTS.update(
    dict.fromkeys(
        (
            *("max_pool", "max_pool_index", "adaptive_max_pool", "adaptive_max_pool_index"),
            *("avg_pool", "avg_pool_grad", "adaptive_avg_pool", "adaptive_avg_pool_grad"),
        ),
        channels_last_result,
    )
)
