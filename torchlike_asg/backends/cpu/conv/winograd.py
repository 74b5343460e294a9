"""Convolution with 3 x 3 filters by Winograd's algorithm F(4 x 4, 3 x 3): 36 products of matrices in place of 144.

Lavin & Gray (2016), "Fast algorithms for convolutional neural networks". Tiles of 6 x 6 pixels and filters are transformed at six points,
multiplied for each of the 36 places (a matrix of tiles and channels each), and transformed back to 4 x 4 pixels. All of this happens for a
block of tiles at a time, so that it stays in the cache; only the filters are transformed beforehand. Rounding errors are some four times
those of a direct sum.
"""

from __future__ import annotations

import math

from .... import config
from ..calls import Call, Kernel, Lowering, Source, View
from ..emit import Function, Module
from ..gemm import Tiles, call_panel, emit_finish, given, kit
from ..values import Value, vector
from .finish import Finish
from .geometry import Three, adjacent, dense, temporary, up
from .transforms import IN, OUT, PLACES, filter_line, input_line, output_line, square, store_addresses, transform_tile

#: floats of a block of transformed tiles; bytes between the matrices of two places, lest they fall on the same cache sets
BLOCK, APART = 160 << 10, 16
#: multiply-adds below which the transformations do not pay
_LEAST = 1 << 20
#: multiply-adds of each filter that must be saved: what transforming it, or its gradient, takes. Few small images save none
_FILTER = 250
WORDS = "kit c o block tiles across plane height width top left x_n x_h x_w y_n y_h y_w y_height y_width with_bias finish".split()


def suits(x: View, w: View, y: View, stride: Three, dilation: Three, t: Tiles) -> bool:
    """Whether the algorithm is applicable and the faster one."""
    groups, o, c, *kernel = w.shape
    return (
        not config.exact_conv
        and x.itemsize == 4
        and (groups, tuple(kernel), stride, dilation) == (1, (1, 3, 3), (1, 1, 1), (1, 1, 1))
        and y.shape[1] == 1
        and c % t.lanes == 0
        and o % t.lanes == 0
        and min(c, o) >= 16
        and math.prod(y.shape) * c * 9 >= _LEAST
        and y.shape[0] * (9 * math.prod(y.shape[2:4]) - PLACES * math.prod(-(-size // OUT) for size in y.shape[2:4])) >= _FILTER
    )


def winograd(lowering: Lowering, x: View, w: View, y: View, bias: View | None, before: Three, t: Tiles, finish: Finish, label: str) -> None:
    """Add the convolution of an image that begins `before` pixels before `x`; weight (1, O, C, 1, 3, 3); channels of `y` side by side."""
    x = x if adjacent(x) else dense(lowering, x)
    n, _, height, width, o = y.shape
    c = x.shape[4]
    filters = temporary(lowering, (PLACES, o * c), w)
    lowering.add(
        Call(
            Source(("winograd_filters", *t.key), lambda module, name: _write_filters(module, name, t)),
            (w.place, filters.place),
            (c, o, *w.strides[1:3], *w.strides[4:]),
            (w.slot,),
            (filters.slot,),
            units=c,
            cost=c * o * 5.0,
            label="winograd filters",
            bytes=c * o * (9 + PLACES) * t.itemsize,
        )
    )
    across, down = -(-width // OUT), -(-height // OUT)
    tiles = n * down * across
    block = max(1, min(BLOCK // (PLACES * (c + o)), tiles) // t.rows) * t.rows
    while lowering.threads > 1 and block > t.rows and tiles < 4 * lowering.threads * block:
        block = up(block // 2, t.rows)
    macs = tiles * PLACES * c * o
    lowering.add(
        Call(
            Source(("winograd", *t.key), lambda module, name: _Writer(module, name, t).write()),
            (x.place, filters.place, y.place, (bias or filters).place),
            (
                *(kit(t), c, o, block, tiles, across, across * down, *x.shape[2:4], *before[1:]),
                *(x.strides[0], *x.strides[2:4], y.strides[0], *y.strides[2:4], height, width, int(bias is not None), finish.word),
            ),
            finish.reads(x, filters, bias),
            finish.writes(y),
            units=-(-tiles // block),
            cost=50 + macs * 0.02 + tiles * (c + o) * 6,
            scratch=t.itemsize * (PLACES * (block * (c + o) + 2 * APART) + c + o),
            label=label,
            flops=2 * macs,
            bytes=(math.prod(x.shape) + math.prod(y.shape)) * t.itemsize,
        )
    )


# ---------------------------------------------------------------- code
def _write_filters(module: Module, name: str, t: Tiles) -> None:
    """Filters as (place, panel, c, columns of a panel). Units are input channels."""
    kernel = Kernel(module, name, 2)
    f, (lo, hi, _), e = kernel.f, kernel.rest, t.element
    w, out = kernel.operand(0), kernel.operand(1)
    c, o, w_o, w_c, w_h, w_w = (kernel.word(i) for i in range(6))
    wide = vector("i64", t.lanes)
    steps = f.lane_numbers(wide) * f.splat(w_o, wide)
    every = f.first_lanes(t.lanes, t.lanes)
    with f.loop(lo, hi) as i, f.loop(0, o, t.lanes) as j:
        start = f.gep(w, i * w_c + j * w_o, e)

        def taps(h: int, v: int, start: Value = start) -> Value:
            p = f.gep(start, w_h * h + w_w * v, e)
            addresses = f.op(vector("ptr", t.lanes), f"getelementptr {e}, ptr {p.ref}, {steps!r}")
            return f.gather(t.vector, addresses, every)

        u = square(filter_line, [[taps(h, v) for v in range(3)] for h in range(3)])
        first = j - j % t.columns
        whole = (first + t.columns) <= o
        first = f.select(whole, first, j)
        to = f.gep(out, first * c + i * f.select(whole, f.value(t.columns, "i64"), t.lanes) + (j - first), e)
        for place, value in enumerate(v for row in u for v in row):
            f.store(value, f.gep(to, c * o * place, e))


class _Writer:
    """The kernel: units are blocks of tiles, which are counted along rows, columns and images."""

    def __init__(self, module: Module, name: str, t: Tiles) -> None:
        self.t = t
        self.kernel = Kernel(module, name, 4)
        self.f: Function = self.kernel.f
        self.x, self.filters, self.y, self.bias = (self.kernel.operand(i) for i in range(4))
        w = {word: self.kernel.word(i, "ptr" if word in ("kit", "finish") else "i64") for i, word in enumerate(WORDS)}
        self.w = w
        f = self.f
        self.zeros = f.op("ptr", f"getelementptr i8, ptr {module.constants('zeros', t.element, [0.0] * t.columns)}, i64 0")
        self.v_place, self.m_place = w["block"] * w["c"] + APART, w["block"] * w["o"] + APART
        self.v = self.kernel.rest[2]
        self.m = f.gep(self.v, self.v_place * PLACES, t.element)
        self.nothing = f.gep(self.m, self.m_place * PLACES, t.element)  # zeros around the image
        self.nowhere = f.gep(self.nothing, w["c"], t.element)  # results outside of it
        self.sources, self.targets = f.alloca("ptr", PLACES), f.alloca("ptr", OUT * OUT)

    def write(self) -> None:
        f, t, w = self.f, self.t, self.w
        lo, hi, _ = self.kernel.rest
        with f.loop(0, w["c"], t.lanes) as i:
            f.store(f.value(0.0, t.vector), f.gep(self.nothing, i, t.element))
        with f.loop(lo, hi) as unit:
            first = unit * w["block"]
            m = f.minimum(w["block"], w["tiles"] - first)
            with f.loop(0, m) as i:
                self._forward(first + i, i)
            with f.loop(0, PLACES) as place:
                self._multiply(place, m)
            with f.loop(0, m) as i:
                self._back(first + i, i)
            with f.when(given(w["finish"])):
                self._finish(first, first + m)

    def _where(self, tile: Value) -> tuple[Value, Value, Value]:
        """Image, first row and column of a tile's results."""
        w = self.w
        n = tile // w["plane"]
        rest = tile - n * w["plane"]
        down = rest // w["across"]
        return n, down * OUT, (rest - down * w["across"]) * OUT

    def _forward(self, tile: Value, i: Value) -> None:
        f, t, w = self.f, self.t, self.w
        n, row, column = self._where(tile)
        base = f.gep(self.x, n * w["x_n"], t.element)
        at = row - w["top"], column - w["left"]
        store_addresses(f, t.element, base, (w["x_h"], w["x_w"]), at, (w["height"], w["width"]), IN, self.nothing, self.sources)
        to = f.gep(self.v, i * w["c"], t.element)
        transform_tile(f, t.vector, input_line, self.sources, IN, w["c"], to, self.v_place, t.lanes)

    def _multiply(self, place: Value, m: Value) -> None:
        f, t, w = self.f, self.t, self.w
        v, c = f.gep(self.v, place * self.v_place, t.element), f.gep(self.m, place * self.m_place, t.element)
        u = f.gep(self.filters, place * w["c"] * w["o"], t.element)
        one, zero = f.value(1, "i64"), f.value(0, "i64")
        whole = w["o"] - w["o"] % t.columns
        for lo, hi, width in ((zero, whole, t.columns), (whole, w["o"], t.lanes)):
            with f.loop(lo, hi, width) as j:
                n = f.value(width, "i64")
                b, to = f.gep(u, j * w["c"], t.element), f.gep(c, j, t.element)
                call_panel(f, w["kit"], v, w["c"], one, b, n, w["c"], self.zeros, zero, to, w["o"], m, n)

    def _back(self, tile: Value, i: Value) -> None:
        f, t, w = self.f, self.t, self.w
        n, row, column = self._where(tile)
        base = f.gep(self.y, n * w["y_n"], t.element)
        steps, sizes = (w["y_h"], w["y_w"]), (w["y_height"], w["y_width"])
        store_addresses(f, t.element, base, steps, (row, column), sizes, OUT, self.nowhere, self.targets)
        of = f.gep(self.m, i * w["o"], t.element)
        given = f.compare("ne", w["with_bias"], 0)
        with f.loop(0, w["o"], t.lanes) as o:
            start = f.load(t.vector, f.select(given, f.gep(self.bias, o, t.element), self.zeros))
            p = f.gep(of, o, t.element)
            values = []
            for _ in range(PLACES):
                values.append(f.load(t.vector, p))
                p = f.gep(p, self.m_place, t.element)
            y = square(output_line, [values[i : i + IN] for i in range(0, PLACES, IN)])
            for k, value in enumerate(v for row_values in y for v in row_values):
                f.store(value + start, f.gep(f.load("ptr", f.gep(self.targets, k, "i64")), o, t.element))

    def _finish(self, first: Value, end: Value) -> None:
        """What follows, for the results of tiles ``first`` to ``end``: line by line, or all lines of tiles side by side at once if they
        are whole lines of the image."""
        f, t, w = self.f, self.t, self.w
        close = f.compare("eq", w["y_h"], w["y_w"] * w["y_width"])
        tile = f.variable(first)
        with f.loop_while(lambda: tile.get() < end):
            n, row, column = self._where(tile.get())
            count = f.minimum(end - tile.get(), w["across"] - column // OUT)
            high, wide = f.minimum(OUT, w["y_height"] - row), f.minimum(count * OUT, w["y_width"] - column)
            together = close & f.compare("eq", wide, w["y_width"])
            pixels = f.select(together, high * wide, wide)
            with f.loop(0, f.select(together, 1, high)) as line:
                number = (n * w["y_height"] + row + line) * w["y_width"] + column
                to = f.gep(self.y, n * w["y_n"] + (row + line) * w["y_h"] + column * w["y_w"], t.element)
                emit_finish(f, w["finish"], to, w["y_w"], number, pixels, f.value(0, "i64"), w["o"])
            tile.set(tile.get() + count)
