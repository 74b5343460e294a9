"""Convolutions of many small groups, depthwise ones first of all: vectors lie along output channels, several groups in one.

Each lane multiplies the input channels of its own group: for the i-th of them a vector of the image is spread over the lanes by a fixed
shuffle (none if groups have one channel). The image is read in place; the pixels around it are left out, not stored.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from ..calls import Call, Kernel, Lowering, Source, View
from ..copies import copy
from ..emit import Function, Module
from ..gemm import Tiles, emit_finish, given
from ..values import Value, vector
from .finish import Finish
from .geometry import adjacent, dense

#: inner pixels of a line that are computed together, vectors of a pixel at an edge: in the order in which these numbers are tried
TILES, EDGE = (8, 4), (4, 1)
#: nanoseconds of a multiply-add of vectors
VECTOR_NS = 0.35
_SIDES = ("d", "h", "w")
WORDS = (
    "outputs inputs depth height width lo hi with_bias finish row w_first "
    "x_n x_d x_h x_w y_n y_d y_h y_w size_d size_h size_w "
    "count_d count_h count_w first_d first_h first_w step_d step_h step_w w_d w_h w_w stride_d stride_h stride_w"
).split()


@dataclass(frozen=True)
class Side:
    """What a dimension's outputs read: output v meets, for each tap ``k < count``, pixel ``v * stride + first + k * step`` and row
    ``w_first + k * w_step`` of the weight."""

    stride: int
    count: int
    first: int
    step: int
    w_first: int = 0
    w_step: int = 1

    def inside(self, outputs: int, size: int) -> tuple[int, int]:
        """The range of outputs all of whose taps meet pixels of an image of that size."""
        reach = (self.count - 1) * self.step if self.count else 0
        least, most = self.first + min(reach, 0), self.first + max(reach, 0)
        lo = min(max(0, -(least // self.stride)), outputs)
        return lo, max(lo, min(outputs, (size - 1 - most) // self.stride + 1))


def narrow(w: View, t: Tiles) -> bool:
    """Whether a weight (groups, outputs, inputs, D, H, W) is one for these kernels."""
    groups, each, c = w.shape[:3]
    return groups > 1 and 2 * each <= t.lanes and t.lanes % each == 0 and c <= each


def narrow_conv(
    lowering: Lowering,
    x: View,
    w: View,
    y: View,
    bias: View | None,
    sides: Sequence[Sequence[Side]],
    t: Tiles,
    finish: Finish,
    label: str,
) -> None:
    """Add the convolution of an image with a weight (groups, outputs, inputs, D, H, W) into `y`, whose channels lie side by side.

    ``sides[d]`` has one `Side` if the outputs along dimension d are alike; n of them if every n-th output is, beginning with each of the
    first n.
    """
    x = x if adjacent(x) else dense(lowering, x)
    rows = taps_first(lowering, w)
    for d_number, d in enumerate(sides[0]):
        for h_number, h in enumerate(sides[1]):
            for w_number, v in enumerate(sides[2]):
                numbers, every = (d_number, h_number, w_number), [len(s) for s in sides]
                shape = [-(-(n - a) // b) for n, a, b in zip(y.shape[1:4], numbers, every, strict=True)]
                steps = [s * b for s, b in zip(y.strides[1:4], every, strict=True)]
                offset = y.offset + sum(a * s for a, s in zip(numbers, y.strides[1:4], strict=True))
                part = View(y.slot, (y.shape[0], *shape, y.shape[4]), (y.strides[0], *steps, 1), offset, y.dtype)
                _add(lowering, x, rows, w.shape, part, bias, (d, h, v), t, finish, (offset - y.offset) // y.shape[4], label)


def taps_first(lowering: Lowering, w: View) -> View:
    """A weight (groups, outputs, inputs, D, H, W) as dense (D, H, W, inputs, groups, outputs)."""
    groups, each, c, *kernel = w.shape
    shape = (*kernel, c, groups, each)
    strides = tuple(math.prod(shape[d + 1 :]) for d in range(6))
    out = View(lowering.temporary(math.prod(shape) * w.itemsize), shape, strides, 0, w.dtype)
    source = View(w.slot, shape, (*w.strides[3:], w.strides[2], *w.strides[:2]), w.offset, w.dtype)
    assert copy(lowering, source, out)
    return out


def _add(
    lowering: Lowering,
    x: View,
    rows: View,
    weight: Sequence[int],
    y: View,
    bias: View | None,
    sides: Sequence[Side],
    t: Tiles,
    finish: Finish,
    row: int,
    label: str,
) -> None:
    each, c = weight[1:3]
    n, *size, outputs = y.shape
    lo, hi = sides[2].inside(size[2], x.shape[3])
    values = {
        "outputs": outputs,
        "inputs": x.shape[4],
        **dict(zip(("depth", "height", "width"), size, strict=True)),
        "lo": lo,
        "hi": hi,
        "with_bias": int(bias is not None),
        "finish": finish.word,
        "row": row,
        "w_first": sum(s.w_first * r for s, r in zip(sides, rows.strides, strict=False)),
        "x_n": x.strides[0],
        "y_n": y.strides[0],
    }
    for d, (name, side) in enumerate(zip(_SIDES, sides, strict=True)):
        values |= {f"x_{name}": x.strides[d + 1], f"y_{name}": y.strides[d + 1], f"size_{name}": x.shape[d + 1]}
        values |= {f"{word}_{name}": getattr(side, word) for word in ("count", "first", "step", "stride")}
        values[f"w_{name}"] = side.w_step * rows.strides[d]
    macs = math.prod(y.shape) * c * math.prod(s.count for s in sides)
    lowering.add(
        Call(
            Source(("conv_narrow", *t.key, each, c), lambda module, name: _Writer(module, name, t, each, c).write()),
            (x.place, rows.place, y.place, (bias or rows).place),
            tuple(values[word] for word in WORDS),
            finish.reads(x, rows, bias),
            finish.writes(y),
            units=n * size[0] * size[1],
            cost=50 + (macs + math.prod(y.shape)) / t.lanes * VECTOR_NS,
            label=label,
            flops=2 * macs,
            bytes=(math.prod(x.shape) + math.prod(y.shape)) * t.itemsize,
        )
    )


class Lanes:
    """How a block of output channels meets the channels of the image: groups of `c` inputs and `each` outputs."""

    def __init__(self, f: Function, t: Tiles, each: int, c: int) -> None:
        self.f, self.t, self.each, self.c = f, t, each, c
        #: channels of the image that a block of output channels meets
        self.width = t.lanes // each * c

    def inputs(self, outputs: Value) -> Value:
        """The number of input channels of that many output channels."""
        return outputs // self.each * self.c if self.each != self.c else outputs

    def load(self, p: Value, left: Value | None) -> Value:
        """The channels of a pixel that a block meets; all of them, or those of the last `left` output channels."""
        type_ = vector(self.t.element, self.width)
        if left is None:
            return self.f.load(type_, p)
        return self.f.masked_load(type_, p, self.f.first_lanes(self.inputs(left), self.width))

    def spread(self, pixel: Value, i: int) -> Value:
        """The i-th input channel of each lane's group."""
        if self.each == 1:
            return pixel
        return self.f.shuffle(pixel, pixel, [lane // self.each * self.c + i for lane in range(self.t.lanes)])

    def load_outputs(self, p: Value, left: Value | None) -> Value:
        """Numbers of a block of output channels."""
        if left is None:
            return self.f.load(self.t.vector, p)
        return self.f.masked_load(self.t.vector, p, self.f.first_lanes(left, self.t.lanes))

    def store(self, v: Value, p: Value, left: Value | None) -> None:
        if left is None:
            self.f.store(v, p)
        else:
            self.f.masked_store(v, p, self.f.first_lanes(left, self.t.lanes))

    def blocks(self, outputs: Value, body: Callable[[Value, int, Value | None], None], sizes: Sequence[int] = (1,)) -> None:
        """``body(first output channel, vectors, channels left)`` for each block, of as many vectors as the sizes say, in their order; the
        last one has less than a vector.
        """
        at = self.f.variable(0, "i64")
        for n in sizes:
            size = n * self.t.lanes
            with self.f.loop_while(lambda size=size: at.get() + size <= outputs):  # type: ignore[misc]
                body(at.get(), n, None)
                at.set(at.get() + size)
        with self.f.when(at.get() < outputs):
            body(at.get(), 1, outputs - at.get())


@contextmanager
def within(f: Function, position: Value, size: Value) -> Iterator[None]:
    """Code for a position from 0 up to a size."""
    with f.when(f.compare("lt", position, size, unsigned=True)):
        yield


class _Writer:
    """The kernel. Units are lines of the result: (image, depth, height)."""

    def __init__(self, module: Module, name: str, t: Tiles, each: int, c: int) -> None:
        self.t, self.c = t, c
        self.kernel = Kernel(module, name, 4)
        self.f: Function = self.kernel.f
        self.lanes = Lanes(self.f, t, each, c)
        self.x, self.rows, self.y, self.bias = (self.kernel.operand(i) for i in range(4))
        self.w = {word: self.kernel.word(i, "ptr" if word == "finish" else "i64") for i, word in enumerate(WORDS)}

    def write(self) -> None:
        f, t, w = self.f, self.t, self.w
        lo, hi, _ = self.kernel.rest
        with f.loop(lo, hi) as unit:
            plane = unit // w["height"]
            h = unit - plane * w["height"]
            n = plane // w["depth"]
            z = plane - n * w["depth"]
            image = f.gep(self.x, n * w["x_n"], t.element)
            line = n * w["y_n"] + z * w["y_d"] + h * w["y_h"]
            at = z * w["stride_d"] + w["first_d"], h * w["stride_h"] + w["first_h"]
            to = f.gep(self.y, line, t.element)
            self._line(image, at, to)
            with f.when(given(w["finish"])):
                together = f.compare("eq", w["y_w"], w["outputs"])
                count = f.select(together, w["width"], 1)
                with f.loop(0, w["width"], count) as v:
                    place = line + v * w["y_w"]
                    row = w["row"] + place // w["outputs"]
                    emit_finish(f, w["finish"], f.gep(self.y, place, t.element), w["y_w"], row, count, f.value(0, "i64"), w["outputs"])

    def _line(self, image: Value, at: tuple[Value, Value], to: Value) -> None:
        """A line: most of its inner part in tiles, then the pixels at the edges and what is left of the inner part one by one."""
        f, w = self.f, self.w
        rest = f.variable(w["lo"])

        def inner(j: Value, _: int, left: Value | None) -> None:
            rest.set(w["lo"])
            for pixels in TILES:
                with f.loop_while(lambda pixels=pixels: rest.get() + pixels <= w["hi"]):  # type: ignore[misc]
                    self._tile(image, at, to, rest.get(), j, left, pixels, 1)
                    rest.set(rest.get() + pixels)

        self.lanes.blocks(w["outputs"], inner)
        for first, end in ((f.value(0, "i64"), w["lo"]), (rest.get(), w["width"])):
            with f.loop(first, end) as v:
                self.lanes.blocks(w["outputs"], lambda j, n, left, v=v: self._tile(image, at, to, v, j, left, 1, n), EDGE)  # type: ignore[misc]

    def _tile(
        self, image: Value, at: tuple[Value, Value], to: Value, v: Value, j: Value, left: Value | None, pixels: int, vectors: int
    ) -> None:
        """Outputs side by side along the line, or several vectors of one, which may be at an edge. Taps outside of the image are left
        out."""
        f, t, w, c = self.f, self.t, self.w, self.c
        e = t.element
        sums = [f.variable(0, t.vector) for _ in range(pixels * vectors)]
        with f.when(f.compare("ne", w["with_bias"], 0)):
            start = [self.lanes.load_outputs(f.gep(self.bias, j + i * t.lanes, e), left) for i in range(vectors)]
            for i, s in enumerate(sums):
                s.set(start[i % vectors])
        step = w["stride_w"] * w["x_w"]
        places = [step * i for i in range(pixels)]
        column = v * w["stride_w"] + w["first_w"]
        image = f.gep(image, self.lanes.inputs(j), e)
        weights = f.gep(self.rows, w["w_first"] + j, e)
        along = w["step_w"] * w["x_w"]

        def multiply(p: Value, q: Value) -> None:
            steps = [self.lanes.width * i for i in range(vectors)]
            found = [self.lanes.load(f.gep(f.gep(p, place, e), step, e), left) for place in places for step in steps]
            for i in range(c):
                row = f.gep(q, w["outputs"] * i, e)
                factors = [self.lanes.load_outputs(f.gep(row, t.lanes * n, e), left) for n in range(vectors)]
                for n, (s, pixel) in enumerate(zip(sums, found, strict=True)):
                    s.set(f.fma(self.lanes.spread(pixel, i), factors[n % vectors], s.get()))

        with f.loop(0, w["count_d"]) as a:
            depth = at[0] + a * w["step_d"]
            with within(f, depth, w["size_d"]), f.loop(0, w["count_h"]) as b:
                height = at[1] + b * w["step_h"]
                with within(f, height, w["size_h"]):
                    p = f.variable(f.gep(image, depth * w["x_d"] + height * w["x_h"] + column * w["x_w"], e))
                    q = f.variable(f.gep(weights, a * w["w_d"] + b * w["w_h"], e))
                    with f.loop(0, w["count_w"]) as k:
                        if pixels == 1:
                            with within(f, column + k * w["step_w"], w["size_w"]):
                                multiply(p.get(), q.get())
                        else:
                            multiply(p.get(), q.get())
                        p.set(f.gep(p.get(), along, e))
                        q.set(f.gep(q.get(), w["w_w"], e))
        to = f.gep(to, v * w["y_w"] + j, e)
        for n, s in enumerate(sums):
            place, vector_ = divmod(n, vectors)
            self.lanes.store(s.get(), f.gep(f.gep(to, w["y_w"] * place, e), t.lanes * vector_, e), left)
