"""The gradient of 3 x 3 filters by Winograd's algorithm: tiles of image and gradient are transformed and multiplied place by place.

Products are summed over tiles before they are transformed back, in a fixed number of parts: results do not depend on threads.
"""

from __future__ import annotations

import math
from dataclasses import replace

from ..calls import Call, Kernel, Lowering, Source, View
from ..emit import Function, Module
from ..gemm import Tiles, call_panel, kit
from ..values import Value, vector
from .geometry import Three, adjacent, dense
from .transforms import IN, OUT, PLACES, gradient_line, input_line, square, store_addresses, transform_tile, weight_line
from .winograd import APART, BLOCK

#: most parts of the tiles; blocks of tiles in a part, so that adding up the parts costs little
_PARTS, _BLOCKS = 4, 4
WORDS = "kit c o block tiles parts across plane height width top left x_n x_h x_w g_n g_h g_w g_height g_width".split()


def winograd_weight(lowering: Lowering, x: View, g: View, out: View, before: Three, t: Tiles, label: str) -> None:
    """Add the gradient of filters `out` (O, C, 1, 3, 3) by that of their results, for an image that begins `before` pixels before x."""
    x, g = (v if adjacent(v) else dense(lowering, v) for v in (x, g))
    n, _, height, width, o = g.shape
    c = x.shape[4]
    across, down = -(-width // OUT), -(-height // OUT)
    tiles = n * down * across
    block = max(1, min(BLOCK // (PLACES * (c + o)), tiles) // t.rows) * t.rows
    size = PLACES * c * o
    parts = max(1, min(_PARTS, tiles // (_BLOCKS * block)), min(2, tiles // block))
    sums = View(lowering.temporary(parts * size * t.itemsize), (parts, PLACES, c, o), (size, c * o, o, 1), 0, out.dtype)
    macs = tiles * PLACES * c * o
    lowering.add(
        Call(
            Source(("winograd_sums", *t.key), lambda module, name: _Writer(module, name, t).write()),
            (x.place, g.place, sums.place),
            (
                *(kit(t), c, o, block, tiles, parts, across, across * down, *x.shape[2:4], *before[1:]),
                *(x.strides[0], *x.strides[2:4], g.strides[0], *g.strides[2:4], height, width),
            ),
            (x.slot, g.slot),
            (sums.slot,),
            units=parts,
            cost=50 + macs * 0.02 + tiles * (c + o) * 6,
            scratch=t.itemsize * (PLACES * block * (c + o) + 2 * PLACES * APART + max(c, o)),
            label=label,
            flops=2 * macs,
            bytes=(math.prod(x.shape) + math.prod(g.shape)) * t.itemsize,
        )
    )
    out = replace(out, shape=(out.shape[0], c, 3, 3), strides=(*out.strides[:2], *out.strides[3:]))
    lowering.add(
        Call(
            Source(("winograd_weight", *t.key), lambda module, name: _write_weight(module, name, t)),
            (sums.place, out.place),
            (c, o, parts, *out.strides),
            (sums.slot,),
            (out.slot,),
            units=c,
            cost=20 + c * o * (parts + 5),
            label="winograd weight",
            bytes=parts * size * t.itemsize,
        )
    )


class _Writer:
    """Sums of products of transformed tiles. Units are the parts."""

    def __init__(self, module: Module, name: str, t: Tiles) -> None:
        self.t = t
        self.kernel = Kernel(module, name, 3)
        self.f: Function = self.kernel.f
        f = self.f
        self.x, self.g, self.sums = (self.kernel.operand(i) for i in range(3))
        w = {word: self.kernel.word(i, "ptr" if word == "kit" else "i64") for i, word in enumerate(WORDS)}
        self.w = w
        self.zeros = f.op("ptr", f"getelementptr i8, ptr {module.constants('zeros', t.element, [0.0] * t.columns)}, i64 0")
        self.v_place, self.u_place = w["block"] * w["c"] + APART, w["block"] * w["o"] + APART
        self.v = self.kernel.rest[2]
        self.u = f.gep(self.v, self.v_place * PLACES, t.element)
        self.nothing = f.gep(self.u, self.u_place * PLACES, t.element)
        self.pixels = f.alloca("ptr", PLACES)

    def write(self) -> None:
        f, t, w = self.f, self.t, self.w
        lo, hi, _ = self.kernel.rest
        with f.loop(0, f.maximum(w["c"], w["o"]), t.lanes) as i:
            f.store(f.value(0.0, t.vector), f.gep(self.nothing, i, t.element))
        with f.loop(lo, hi) as part:
            begin, end = (w["tiles"] * p // w["parts"] for p in (part, part + 1))
            sums = f.gep(self.sums, part * w["c"] * w["o"] * PLACES, t.element)
            with f.loop(begin, end, w["block"]) as first:
                m = f.minimum(w["block"], end - first)
                with f.loop(0, m) as i:
                    self._transform(first + i, i)
                with f.loop(0, PLACES) as place:
                    self._multiply(place, m, sums, f.compare("eq", first, begin))

    def _transform(self, tile: Value, i: Value) -> None:
        f, t, w = self.f, self.t, self.w
        n = tile // w["plane"]
        rest = tile - n * w["plane"]
        down = rest // w["across"]
        row, column = down * OUT, (rest - down * w["across"]) * OUT
        base = f.gep(self.x, n * w["x_n"], t.element)
        at = row - w["top"], column - w["left"]
        store_addresses(f, t.element, base, (w["x_h"], w["x_w"]), at, (w["height"], w["width"]), IN, self.nothing, self.pixels)
        transform_tile(f, t.vector, input_line, self.pixels, IN, w["c"], f.gep(self.v, i * w["c"], t.element), self.v_place, t.lanes)
        base = f.gep(self.g, n * w["g_n"], t.element)
        sizes = w["g_height"], w["g_width"]
        store_addresses(f, t.element, base, (w["g_h"], w["g_w"]), (row, column), sizes, OUT, self.nothing, self.pixels)
        transform_tile(f, t.vector, gradient_line, self.pixels, OUT, w["o"], f.gep(self.u, i * w["o"], t.element), self.u_place, t.lanes)

    def _multiply(self, place: Value, m: Value, sums: Value, start: Value) -> None:
        """Channels of the image times channels of the gradient, summed over the tiles of the block."""
        f, t, w = self.f, self.t, self.w
        v, u = f.gep(self.v, place * self.v_place, t.element), f.gep(self.u, place * self.u_place, t.element)
        c = f.gep(sums, place * w["c"] * w["o"], t.element)
        one, zero = f.value(1, "i64"), f.value(0, "i64")
        whole = w["o"] - w["o"] % t.columns
        for lo, hi, width in ((zero, whole, t.columns), (whole, w["o"], t.lanes)):
            with f.loop(lo, hi, width) as j:
                to = f.gep(c, j, t.element)
                init, init_row = f.select(start, self.zeros, to), f.select(start, zero, w["o"])
                tail = (init, init_row, to, w["o"], w["c"], f.value(width, "i64"))
                call_panel(f, w["kit"], v, one, w["c"], f.gep(u, j, t.element), w["o"], m, *tail)


def _write_weight(module: Module, name: str, t: Tiles) -> None:
    """The parts' sums added and transformed back. Units are input channels."""
    kernel = Kernel(module, name, 2)
    f, (lo, hi, _), e = kernel.f, kernel.rest, t.element
    sums, out = kernel.operand(0), kernel.operand(1)
    c, o, parts, w_o, w_c, w_h, w_w = (kernel.word(i) for i in range(7))
    wide = vector("i64", t.lanes)
    steps = f.lane_numbers(wide) * f.splat(w_o, wide)
    every = f.first_lanes(t.lanes, t.lanes)
    place = c * o
    with f.loop(lo, hi) as i, f.loop(0, o, t.lanes) as j:
        start = f.gep(sums, i * o + j, e)
        totals = []
        for k in range(PLACES):
            p = f.gep(start, place * k, e)
            total = f.variable(f.load(t.vector, p))
            with f.loop(1, parts) as part:
                total.set(total.get() + f.load(t.vector, f.gep(p, place * part * PLACES, e)))
            totals.append(total.get())
        target = f.gep(out, i * w_c + j * w_o, e)
        for h, row in enumerate(square(weight_line, [totals[k : k + IN] for k in range(0, PLACES, IN)])):
            for v, value in enumerate(row):
                q = f.gep(target, w_h * h + w_w * v, e)
                f.scatter(value, f.op(vector("ptr", t.lanes), f"getelementptr {e}, ptr {q.ref}, {steps!r}"), every)
