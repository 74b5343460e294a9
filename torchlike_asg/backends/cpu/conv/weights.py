"""The gradient of a convolution's weight: each tap and input channel gives a row of products with the gradient's channels.

They are summed over pixels, in a fixed number of parts that are added in the end, so that results do not depend on threads.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

from ..calls import Block, Call, Kernel, Lowering, Source, View
from ..copies import copy
from ..emit import Module
from ..gemm import Tiles
from .direct import MAC_NS
from .geometry import Three, up
from .rows import run_source

#: pixels whose products are summed before the next: what they read stays in the cache
_PIXELS = 256
#: most tiles of rows of a unit, most rows of an image at a time, units that are enough
_TILES, _SEGMENTS, _UNITS = 16, 64, 12
#: bytes of a gradient that leaves the cache, and taps from which on a filter's are a block of their own to be transposed
_CACHED, _THIN = 4 << 20, 16
WORDS = (
    "run taps channels groups columns c_part c_group c_row rows row_block row_blocks parts image_rows height depth at_a_time "
    "a_n a_d a_h a_w a_group b_k b_group width"
).split()


def weight_gradient(
    lowering: Lowering, x: View, g: View, out: View, kernel: Three, stride: Three, dilation: Three, t: Tiles, groups: int, label: str
) -> None:
    """Add ``out[o, c, tap] = sum over pixels of g * x`` for a framed image `x`, a dense `g`, and any `out` (O, C / groups, D, H, W)."""
    n, depth, height, width, o = g.shape
    c, columns = x.shape[4] // groups, o // groups
    taps = math.prod(kernel)
    rows, image_rows = taps * c, n * depth * height
    row_blocks = -(-rows // (t.rows * _TILES))
    row_block = up(up(rows, row_blocks) // row_blocks, t.rows)
    row_blocks = -(-rows // row_block)
    macs = rows * o * image_rows * width
    parts = max(1, min(_UNITS // (row_blocks * groups), image_rows, macs >> 20))
    padded = -(-columns // t.lanes) * t.lanes
    partial = View(
        lowering.temporary(parts * groups * rows * padded * t.itemsize),
        (parts, groups, *kernel, c, columns),
        (groups * rows * padded, rows * padded, *_row_strides((*kernel, c), padded), 1),
        0,
        g.dtype,
    )
    d, h, w = x.strides[1:4]
    offsets = [a * d * dilation[0] + b * h * dilation[1] + v * w * dilation[2] for a, b, v in itertools.product(*map(range, kernel))]
    values = {
        "run": run_source(t),
        "taps": Block((), tuple(offsets)),
        "channels": c,
        "groups": groups,
        "columns": columns,
        "c_part": partial.strides[0],
        "c_group": partial.strides[1],
        "c_row": padded,
        "rows": rows,
        "row_block": row_block,
        "row_blocks": row_blocks,
        "parts": parts,
        "image_rows": image_rows,
        "height": height,
        "depth": depth,
        "at_a_time": max(1, min(_SEGMENTS, _PIXELS // max(width, 1))),
        **dict(zip(("a_n", "a_d", "a_h", "a_w"), (x.strides[0], d * stride[0], h * stride[1], w * stride[2]), strict=True)),
        "a_group": c,
        "b_k": o,
        "b_group": columns,
        "width": width,
    }
    lowering.add(
        Call(
            Source(("conv_weight", *t.key), lambda module, name: _write(module, name, t)),
            (x.place, g.place, partial.place),
            tuple(values[w] for w in WORDS),
            (x.slot, g.slot),
            (partial.slot,),
            units=parts * groups * row_blocks,
            cost=50 + macs * MAC_NS * t.itemsize / 4,
            scratch=(row_block + _SEGMENTS) * 16,
            label=label,
            flops=2 * macs,
            bytes=(math.prod(x.shape) + math.prod(g.shape)) * t.itemsize,
        )
    )
    if parts > 1:
        add_up(lowering, partial, groups * rows * padded, parts, t)
    split = replace(
        out,
        shape=(groups, *kernel, c, columns),
        strides=(out.strides[0] * columns, *out.strides[2:], out.strides[1], out.strides[0]),
    )
    sums = replace(partial, shape=partial.shape[1:], strides=partial.strides[1:])
    if 1 < taps < _THIN and out.strides[1] > 1 and rows * o * t.itemsize > _CACHED:
        # each filter is written tap by tap: if these lie a filter apart, every element is in another line of memory. So filters come first
        turned = View(
            lowering.temporary(groups * columns * rows * t.itemsize),
            split.shape,
            (columns * rows, *_row_strides((*kernel, c), 1), rows),
            0,
            g.dtype,
        )
        copy(lowering, sums, turned)
        sums = turned
    copy(lowering, sums, split)


def _row_strides(shape: tuple[int, ...], step: int) -> tuple[int, ...]:
    out = list[int]()
    for n in reversed(shape):
        out.append(step)
        step *= n
    return tuple(reversed(out))


def _write(module: Module, name: str, t: Tiles) -> None:
    kernel = Kernel(module, name, 3)
    f, (lo, hi, rows), e = kernel.f, kernel.rest, t.element
    x, g, partial = (kernel.operand(i) for i in range(3))
    w = {word: kernel.word(i, "ptr" if word in ("run", "taps") else "i64") for i, word in enumerate(WORDS)}
    zeros = f.op("ptr", f"getelementptr i8, ptr {module.constants('zeros', e, [0.0] * t.columns)}, i64 0")
    segments = f.gep(rows, w["row_block"] * 2, "i64")
    with f.loop(lo, hi) as unit:
        outer = unit // w["row_blocks"]
        first = (unit - outer * w["row_blocks"]) * w["row_block"]
        part = outer // w["groups"]
        group = outer - part * w["groups"]
        m = f.minimum(w["row_block"], w["rows"] - first)
        with f.loop(0, m) as i:
            row = first + i
            tap = row // w["channels"]
            offset = f.load("i64", f.gep(w["taps"], tap, "i64")) + row - tap * w["channels"]
            f.store(offset, f.gep(rows, i * 2, "i64"))
            f.store(row * w["c_row"], f.gep(rows, i * 2 + 1, "i64"))
        a = f.gep(x, group * w["a_group"], e)
        b = f.gep(g, group * w["b_group"], e)
        c = f.gep(partial, part * w["c_part"] + group * w["c_group"], e)
        begin, end = (w["image_rows"] * p // w["parts"] for p in (part, part + 1))
        whole = w["columns"] - w["columns"] % t.columns
        with f.loop(begin, end, w["at_a_time"]) as r:
            count = f.minimum(w["at_a_time"], end - r)
            with f.loop(0, count) as s:
                line = r + s
                plane = line // w["height"]
                n = plane // w["depth"]
                at = n * w["a_n"] + (plane - n * w["depth"]) * w["a_d"] + (line - plane * w["height"]) * w["a_h"]
                f.store(at, f.gep(segments, s * 2, "i64"))
                f.store(line * w["width"], f.gep(segments, s * 2 + 1, "i64"))
            start = f.compare("eq", r, begin)
            going = f.convert("zext", f.compare("ne", r, begin), "i64")

            def panel(j, n, m=m, count=count, a=a, b=b, c=c, start=start, going=going):  # type: ignore[no-untyped-def]
                to = f.gep(c, j, e)
                tail = (f.gep(b, j, e), w["b_k"], f.select(start, zeros, to), going, to, f.value(n, "i64"))
                f.call_pointer("void", w["run"], a, rows, m, segments, count, w["width"], w["a_w"], *tail)

            with f.loop(0, whole, t.columns) as j:
                panel(j, t.columns)
            with f.loop(whole, w["columns"], t.lanes) as j:
                panel(j, f.minimum(t.lanes, w["columns"] - j))


def add_up(lowering: Lowering, partial: View, size: int, parts: int, t: Tiles) -> None:
    """Add all parts to the first one, in order."""
    lowering.add(
        Call(
            Source(("conv_parts", *t.key), lambda module, name: _write_sum(module, name, t)),
            (partial.place,),
            (size, parts),
            (partial.slot,),
            (partial.slot,),
            units=size // t.lanes,
            cost=20 + size * parts * t.itemsize * 0.05,
            label="sum of parts",
            bytes=size * parts * t.itemsize,
        )
    )


def _write_sum(module: Module, name: str, t: Tiles) -> None:
    kernel = Kernel(module, name, 1)
    f, (lo, hi, _), e = kernel.f, kernel.rest, t.element
    size, parts, p = kernel.word(0), kernel.word(1), kernel.operand(0)
    with f.loop(lo, hi) as unit:
        to = f.gep(p, unit * t.lanes, e)
        total = f.variable(f.load(t.vector, to))
        with f.loop(1, parts) as i:
            total.set(total.get() + f.load(t.vector, f.gep(to, i * size, e)))
        f.store(total.get(), to)
