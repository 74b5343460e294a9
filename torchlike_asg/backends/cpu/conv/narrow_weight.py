"""The gradient of the weight of a convolution of many small groups: products of image and gradient, vectors along output channels.

They are summed over the lines of the gradient, in a fixed number of parts that are added in the end.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import replace

from ..calls import Block, Call, Kernel, Lowering, Source, View
from ..copies import copy
from ..emit import Function, Module
from ..gemm import Tiles
from ..values import Value
from .geometry import Three, adjacent, dense
from .narrow import VECTOR_NS, Lanes, Side, within
from .weights import add_up

#: sums that are kept in registers: at most, and at least (fewer would wait for each other)
_MOST, _LEAST = 24, 8
#: most parts, and multiply-adds of a part
_PARTS, _PART = 12, 1 << 19
WORDS = (
    "outputs inputs depth height width lines parts ranges part "
    "x_n x_d x_h x_w y_n y_d y_h y_w size_d size_h count_d count_h count_w first_d first_h first_w step_d step_h step_w "
    "stride_d stride_h stride_w"
).split()


def narrow_weight_gradient(
    lowering: Lowering, x: View, g: View, out: View, groups: int, stride: Three, before: Three, dilation: Three, t: Tiles, label: str
) -> None:
    """Add the gradient of a weight `out` (O, C / groups, D, H, W) by that of its results, for an image that begins `before` pixels before
    `x`. The weight is one that `narrow.narrow` accepts.
    """
    x, g = (v if adjacent(v) else dense(lowering, v) for v in (x, g))
    n, *size, outputs = g.shape
    c, kernel = out.shape[1], out.shape[2:]
    each = outputs // groups
    sides = [Side(s, k, -b, d) for s, k, b, d in zip(stride, kernel, before, dilation, strict=True)]
    taps, lines = math.prod(kernel), n * size[0] * size[1]
    macs = math.prod(g.shape) * c * taps
    parts = max(1, min(_PARTS, lines, macs // _PART))
    padded = -(-taps * c * outputs // t.lanes) * t.lanes
    shape = (*kernel, c, groups, each)
    partial = View(
        lowering.temporary(parts * padded * t.itemsize),
        (parts, *shape),
        (padded, *[math.prod(shape[d + 1 :]) for d in range(6)]),
        0,
        g.dtype,
    )
    at_once = kernel[2] if kernel[2] * c <= _MOST else 1
    ranges = [replace(sides[2], count=1, first=sides[2].first + k * sides[2].step).inside(size[2], x.shape[3]) for k in range(kernel[2])]
    values = {
        "outputs": outputs,
        "inputs": x.shape[4],
        **dict(zip(("depth", "height", "width"), size, strict=True)),
        "lines": lines,
        "parts": parts,
        "ranges": Block((), tuple(itertools.chain.from_iterable(ranges))),
        "part": padded,
        "x_n": x.strides[0],
        "y_n": g.strides[0],
    }
    for d, (name, side) in enumerate(zip("dhw", sides, strict=True)):
        values |= {f"x_{name}": x.strides[d + 1], f"y_{name}": g.strides[d + 1], f"size_{name}": x.shape[d + 1]}
        values |= {f"{word}_{name}": getattr(side, word) for word in ("count", "first", "step", "stride")}
    lowering.add(
        Call(
            Source(
                ("conv_narrow_weight", *t.key, each, c, at_once), lambda module, name: _Writer(module, name, t, each, c, at_once).write()
            ),
            (x.place, g.place, partial.place),
            tuple(values[word] for word in WORDS),
            (x.slot, g.slot),
            (partial.slot,),
            units=parts,
            cost=50 + (macs * 1.5 + math.prod(g.shape)) / t.lanes * VECTOR_NS,
            label=label,
            flops=2 * macs,
            bytes=(math.prod(x.shape) + math.prod(g.shape)) * t.itemsize,
        )
    )
    if parts > 1:
        add_up(lowering, partial, padded, parts, t)
    split = replace(out, shape=shape, strides=(*out.strides[2:], out.strides[1], out.strides[0] * each, out.strides[0]))
    copy(lowering, replace(partial, shape=shape, strides=partial.strides[1:]), split)


class _Writer:
    """The kernel. Units are parts of the lines (image, depth, height) of the gradient."""

    def __init__(self, module: Module, name: str, t: Tiles, each: int, c: int, at_once: int) -> None:
        self.t, self.c, self.at_once = t, c, at_once
        self.kernel = Kernel(module, name, 3)
        self.f: Function = self.kernel.f
        self.lanes = Lanes(self.f, t, each, c)
        self.x, self.g, self.partial = (self.kernel.operand(i) for i in range(3))
        self.w = {word: self.kernel.word(i, "ptr" if word == "ranges" else "i64") for i, word in enumerate(WORDS)}

    def write(self) -> None:
        f, t, w = self.f, self.t, self.w
        lo, hi, _ = self.kernel.rest
        with f.loop(lo, hi) as part:
            sums = f.gep(self.partial, part * w["part"], t.element)
            with f.loop(0, w["part"], t.lanes) as i:
                f.store(f.value(0.0, t.vector), f.gep(sums, i, t.element))
            begin, end = (w["lines"] * p // w["parts"] for p in (part, part + 1))
            with f.loop(begin, end) as line:
                plane = line // w["height"]
                h = line - plane * w["height"]
                n = plane // w["depth"]
                z = plane - n * w["depth"]
                image = f.gep(self.x, n * w["x_n"], t.element)
                g = f.gep(self.g, n * w["y_n"] + z * w["y_d"] + h * w["y_h"], t.element)
                at = z * w["stride_d"] + w["first_d"], h * w["stride_h"] + w["first_h"]
                self.lanes.blocks(
                    w["outputs"], lambda j, _, left, image=image, g=g, at=at, sums=sums: self._line(image, g, at, sums, j, left)
                )  # type: ignore[misc]

    def _line(self, image: Value, g: Value, at: tuple[Value, Value], sums: Value, j: Value, left: Value | None) -> None:
        """One line of the gradient, one block of channels: all taps."""
        f, w, e = self.f, self.w, self.t.element
        image, g, sums = f.gep(image, self.lanes.inputs(j), e), f.gep(g, j, e), f.gep(sums, j, e)
        row = w["outputs"] * self.c
        with f.loop(0, w["count_d"]) as a:
            depth = at[0] + a * w["step_d"]
            with within(f, depth, w["size_d"]), f.loop(0, w["count_h"]) as b:
                height = at[1] + b * w["step_h"]
                with within(f, height, w["size_h"]), f.loop(0, w["count_w"], self.at_once) as k:
                    pixels = f.gep(image, depth * w["x_d"] + height * w["x_h"] + (w["first_w"] + k * w["step_w"]) * w["x_w"], e)
                    to = f.gep(sums, ((a * w["count_h"] + b) * w["count_w"] + k) * row, e)
                    self._taps(pixels, g, to, k, left)

    def _taps(self, x: Value, g: Value, to: Value, k: Value, left: Value | None) -> None:
        """Neighbouring taps along the line, of which the first is `k` and reads pixels from `x` on."""
        f, t, w, e = self.f, self.t, self.w, self.t.element
        many, c = self.at_once, self.c
        ranges = [[f.load("i64", f.gep(w["ranges"], (k + i) * 2 + side, "i64")) for side in (0, 1)] for i in range(many)]
        lo, hi = ranges[0]
        for first, end in ranges[1:]:
            lo, hi = f.maximum(lo, first), f.minimum(hi, end)
        hi = f.maximum(lo, hi)
        step = w["stride_w"] * w["x_w"]
        copies = -(-_LEAST // (many * c))
        totals = [[[f.variable(0, t.vector) for _ in range(c)] for _ in range(many)] for _ in range(copies)]
        places = [f.gep(to, w["outputs"] * i, e) for i in range(many * c)]

        def multiply(v: Value, taps: Sequence[int], of: list[list], p: Callable[[int], Value]) -> None:  # type: ignore[type-arg]
            factor = self.lanes.load_outputs(f.gep(g, v * w["y_w"], e), left)
            for tap in taps:
                pixel = self.lanes.load(p(tap), left)
                for i in range(c):
                    of[tap][i].set(f.fma(self.lanes.spread(pixel, i), factor, of[tap][i].get()))

        def place(v: Value) -> Callable[[int], Value]:
            start = f.gep(x, v * step, e)
            return lambda tap: f.gep(start, w["step_w"] * w["x_w"] * tap, e)

        for tap, (first, end) in enumerate(ranges if many > 1 else []):
            for begin, stop in ((first, f.minimum(lo, end)), (f.maximum(hi, first), end)):
                with f.loop(begin, stop) as v:
                    multiply(v, [tap], totals[0], place(v))
        whole = hi - (hi - lo) % copies
        with f.loop(lo, whole, copies) as v:
            for i, of in enumerate(totals):
                multiply(v + i, range(many), of, place(v + i))
        if copies > 1:
            with f.loop(whole, hi) as v:
                multiply(v, range(many), totals[0], place(v))
        for n, p in enumerate(places):
            total = self.lanes.load_outputs(p, left)
            for of in totals:
                total = total + of[n // c][n % c].get()
            self.lanes.store(total, p, left)
