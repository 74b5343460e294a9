"""Direct convolution: for each block of pixels and each panel of output channels the products of `rows`, windows read in place."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ..calls import Block, Call, Kernel, Lowering, Source, View
from ..copies import copy
from ..emit import Module
from ..gemm import Tiles, emit_finish, given
from .finish import Finish
from .geometry import Three, up
from .rows import run_source

#: multiply-adds that one unit has, about
_UNIT = 4 << 20
#: most pixels of a unit: their offsets lie in scratch memory
_PIXELS = 448
#: nanoseconds of a multiply-add of float32 in vectors
MAC_NS = 0.02

WORDS = (
    "run segments count length groups columns with_bias depth height_x_width width block blocks b_group "
    "a_n a_d a_h a_w a_group c_n c_d c_h c_w c_group k finish row"
).split()


@dataclass(frozen=True)
class Taps:
    """What every output pixel sums: for each segment its offset in the image and its first row of the packed weight; ``length`` of one.
    ``steps`` are the distances in the image between neighbouring output pixels."""

    segments: tuple[tuple[int, int], ...]
    length: int
    steps: Three


def windows(x: View, kernel: Three, stride: Three, dilation: Three, channels: int) -> Taps:
    """The taps of a convolution over a framed image. The channels of neighbouring pixels are one run if they lie side by side."""
    d, h, w = x.strides[1:4]
    steps = (d * stride[0], h * stride[1], w * stride[2])
    if dilation[2] == 1 and w == channels and x.shape[4] == channels:
        places = itertools.product(range(kernel[0]), range(kernel[1]))
        rows = [a * d * dilation[0] + b * h * dilation[1] for a, b in places]
        return Taps(tuple((p, i * kernel[2] * channels) for i, p in enumerate(rows)), kernel[2] * channels, steps)
    taps = itertools.product(*[range(n) for n in kernel])
    offsets = [a * d * dilation[0] + b * h * dilation[1] + c * w * dilation[2] for a, b, c in taps]
    return Taps(tuple((p, i * channels) for i, p in enumerate(offsets)), channels, steps)


def packed_weight(lowering: Lowering, w: View, t: Tiles) -> View:
    """A weight (groups, outputs, inputs, D, H, W) as panels: (groups, panels, rows of taps and inputs, a tile's columns), the last columns
    in panels of one vector. Returned as (groups, elements of a group)."""
    groups, each, c, *kernel = w.shape
    k = c * math.prod(kernel)
    padded = -(-each // t.lanes) * t.lanes
    out = View(lowering.temporary(groups * padded * k * t.itemsize), (groups, padded * k), (padded * k, 1), 0, w.dtype)
    whole, vectors = each // t.columns * t.columns, each // t.lanes * t.lanes
    for first, end, width in ((0, whole, t.columns), (whole, vectors, t.lanes), (vectors, each, t.lanes)):
        if first == end:
            continue
        columns = min(width, end - first)
        sg, so, sc, *taps = w.strides
        shape = (groups, (end - first) // columns, *kernel, c, columns)
        source = View(w.slot, shape, (sg, so * columns, *taps, sc, so), w.offset + first * so, w.dtype)
        steps, step = list[int](), width
        for n in reversed((*kernel, c)):
            steps.append(step)
            step *= n
        copy(lowering, source, View(out.slot, shape, (padded * k, k * width, *reversed(steps), 1), first * k, w.dtype))
    return out


def direct(
    lowering: Lowering,
    x: View,
    b: View,
    y: View,
    bias: View | None,
    taps: Taps,
    t: Tiles,
    groups: int,
    k: int,
    finish: Finish,
    label: str,
    row: int = 0,
) -> None:
    """Add the convolution of a framed image `x` with a packed weight `b` of `k` rows into `y`, channels side by side in both. `y` may be
    a part of the result, whose first pixel is number `row` of the whole.
    """
    n, depth, height, width, o = y.shape
    pixels, columns = height * width, o // groups
    work = len(taps.segments) * taps.length * o
    size = max(t.rows, min(_PIXELS // t.rows, _UNIT // max(1, work * t.rows)) * t.rows)
    blocks = -(-pixels // size)
    size = up(up(pixels, blocks) // blocks, t.rows)
    values = {
        "run": run_source(t),
        "segments": Block((), tuple(w for s in taps.segments for w in s) or (0,)),
        "count": len(taps.segments),
        "length": taps.length,
        "groups": groups,
        "columns": columns,
        "with_bias": int(bias is not None),
        "depth": depth,
        "height_x_width": pixels,
        "width": width,
        "block": size,
        "blocks": -(-pixels // size),
        "b_group": b.strides[0],
        **dict(zip(("a_n", "a_d", "a_h", "a_w", "a_group"), (x.strides[0], *taps.steps, x.shape[4] // groups), strict=True)),
        **dict(zip(("c_n", "c_d", "c_h", "c_w", "c_group"), (*y.strides[:4], columns), strict=True)),
        "k": k,
        "finish": finish.word,
        "row": row,
    }
    macs = n * depth * pixels * work
    lowering.add(
        Call(
            Source(("conv_direct", *t.key), lambda module, name: _write(module, name, t)),
            (x.place, b.place, y.place, (bias or b).place),
            tuple(values[w] for w in WORDS),
            finish.reads(x, b, bias),
            finish.writes(y),
            units=n * depth * values["blocks"],  # type: ignore[operator]
            cost=50 + macs * MAC_NS * t.itemsize / 4 + n * depth * pixels * o * 0.1,
            scratch=size * 16,
            label=label,
            flops=2 * macs,
            bytes=(math.prod(x.shape) + math.prod(y.shape)) * t.itemsize,
        )
    )


def _write(module: Module, name: str, t: Tiles) -> None:
    kernel = Kernel(module, name, 4)
    f, (lo, hi, rows), e = kernel.f, kernel.rest, t.element
    x, b, y, bias = (kernel.operand(i) for i in range(4))
    w = {word: kernel.word(i, "ptr" if word in ("run", "segments", "finish") else "i64") for i, word in enumerate(WORDS)}
    zeros = f.op("ptr", f"getelementptr i8, ptr {module.constants('zeros', e, [0.0] * t.columns)}, i64 0")
    with_bias = f.compare("ne", w["with_bias"], 0)
    zero, one = f.value(0, "i64"), f.value(1, "i64")
    with f.loop(lo, hi) as unit:
        plane = unit // w["blocks"]
        n = plane // w["depth"]
        z = plane - n * w["depth"]
        first = (unit - plane * w["blocks"]) * w["block"]
        m = f.minimum(w["block"], w["height_x_width"] - first)
        row = f.variable(first // w["width"])
        column = f.variable(first % w["width"])
        with f.loop(0, m) as i:
            h, v = row.get(), column.get()
            f.store(h * w["a_h"] + v * w["a_w"], f.gep(rows, i * 2, "i64"))
            f.store(h * w["c_h"] + v * w["c_w"], f.gep(rows, i * 2 + 1, "i64"))
            end = f.compare("eq", v + 1, w["width"])
            column.set(f.select(end, 0, v + 1))
            row.set(h + f.convert("zext", end, "i64"))
        with f.loop(0, w["groups"]) as g:
            a = f.gep(x, n * w["a_n"] + z * w["a_d"] + g * w["a_group"], e)
            c = f.gep(y, n * w["c_n"] + z * w["c_d"] + g * w["c_group"], e)
            panels = f.gep(b, g * w["b_group"], e)
            whole = w["columns"] - w["columns"] % t.columns

            def panel(j, width, count, a=a, c=c, g=g, panels=panels):  # type: ignore[no-untyped-def]
                init = f.select(with_bias, f.gep(bias, g * w["columns"] + j, e), zeros)
                start = f.gep(panels, j * w["k"], e)
                tail = (start, f.value(width, "i64"), init, zero, f.gep(c, j, e), f.value(count, "i64"))
                f.call_pointer("void", w["run"], a, rows, m, w["segments"], w["count"], w["length"], one, *tail)

            with f.loop(0, whole, t.columns) as j:
                panel(j, t.columns, t.columns)
            with f.loop(whole, w["columns"], t.lanes) as j:
                panel(j, t.lanes, f.minimum(t.lanes, w["columns"] - j))
        with f.when(given(w["finish"])):
            # pixels that follow each other in memory at once, others one by one
            together = f.compare("eq", w["c_h"], w["c_w"] * w["width"])
            count, outputs = f.select(together, m, 1), w["columns"] * w["groups"]
            with f.loop(0, m, count) as i:
                at = n * w["c_n"] + z * w["c_d"] + f.load("i64", f.gep(rows, i * 2 + 1, "i64"))
                emit_finish(f, w["finish"], f.gep(y, at, e), w["c_w"], w["row"] + at // outputs, count, zero, outputs)


def channel_bias(lowering: Lowering, v: Sequence[View]) -> View | None:
    """The bias among the operands, its elements side by side."""
    if len(v) < 3:
        return None
    bias = v[2]
    if bias.strides[0] == 1 or bias.shape[0] == 1:
        return bias
    out = replace(bias, slot=lowering.temporary(bias.shape[0] * bias.itemsize), strides=(1,), offset=0)
    copy(lowering, bias, out)
    return out
