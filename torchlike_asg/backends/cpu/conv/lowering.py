"""Lowering of `conv`, `conv_transpose` and `conv_grad_weight`: which algorithm, and what it needs of its operands."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from typing import Any

from .... import dtypes
from ....compiler.parts import HALVES
from ..calls import LAYOUTS, LibraryNode, Lowering, View, library
from ..copies import copy, fill
from ..gemm import Tiles, tiles
from .direct import Taps, channel_bias, direct, packed_weight, windows
from .finish import finish_of
from .geometry import Three, adjacent, dense, filters, framed, image, part, temporary, three
from .narrow import Side, narrow, narrow_conv
from .narrow_weight import narrow_weight_gradient
from .weights import weight_gradient
from .winograd import suits, winograd
from .winograd_weight import winograd_weight


def _order(attrs: tuple[Any, ...], shapes: tuple[tuple[int, ...], ...]) -> tuple[int, ...]:
    """Channels last."""
    rank = len(shapes[0])
    return (0, *range(2, rank), 1)


LAYOUTS.update(dict.fromkeys(("conv", "conv_transpose"), _order))


def _tiles(lowering: Lowering, v: View) -> Tiles | None:
    if not v.dtype.is_floating_point:
        return None
    return tiles(lowering.isa, "double" if v.dtype is dtypes.float64 else "float")


def _numbers(attrs: tuple[Any, ...]) -> tuple[Three, Three, Three, int]:
    """(stride, padding, dilation, groups)"""
    stride, padding, dilation, groups = attrs[-4:]
    return three(stride, 1), three(padding, 0), three(dilation, 1), groups


def _grouped(w: View, groups: int, swap: bool) -> View:
    """A weight (O, C / groups, D, H, W) as (groups, outputs, inputs, D, H, W) of a convolution; with `swap` of the convolution that goes
    back: inputs and outputs exchanged, taps in reverse."""
    o, c, *kernel = w.shape
    so, sc, *steps = w.strides
    each = o // groups
    if not swap:
        return replace(w, shape=(groups, each, c, *kernel), strides=(so * each, so, sc, *steps))
    offset = w.offset + sum(s * (k - 1) for s, k in zip(steps, kernel, strict=True))
    return replace(w, shape=(groups, c, each, *kernel), strides=(so * each, sc, so, *(-s for s in steps)), offset=offset)


@library("conv", epilogue=True, columns=1)
def _conv(lowering: Lowering, node: LibraryNode) -> bool:
    t = _tiles(lowering, node.result)
    if t is None or len(node.result.shape) > 5:
        return False
    x, w, y = image(node.operands[0]), filters(node.operands[1]), image(node.result)
    if node.epilogue is not None and (0 in x.shape or 0 in w.shape):
        return False
    stride, padding, dilation, groups = _numbers(node.attrs)
    _forward(lowering, node, x, _grouped(w, groups, False), y, stride, padding, dilation, t)
    return True


@library("conv_transpose", epilogue=True, columns=1)
def _conv_transpose(lowering: Lowering, node: LibraryNode) -> bool:
    t = _tiles(lowering, node.result)
    if t is None or len(node.result.shape) > 5:
        return False
    g, w, x = image(node.operands[0]), filters(node.operands[1]), image(node.result)
    if node.epilogue is not None and (0 in g.shape or 0 in w.shape):
        return False
    stride, padding, dilation, groups = _numbers(node.attrs)
    back = _grouped(w, groups, True)
    if stride == (1, 1, 1):
        before = tuple([d * (k - 1) - p for k, p, d in zip(w.shape[2:], padding, dilation, strict=True)])
        _forward(lowering, node, g, back, x, stride, before, dilation, t)  # type: ignore[arg-type]
    else:
        _phases(lowering, node, g, back, x, stride, padding, dilation, t)
    return True


def _forward(
    lowering: Lowering, node: LibraryNode, x: View, w: View, y: View, stride: Three, before: Three, dilation: Three, t: Tiles
) -> None:
    """A convolution of an image that begins `before` pixels before `x`, with a weight (groups, outputs, inputs, D, H, W)."""
    if 0 in y.shape:
        return
    bias = channel_bias(lowering, node.operands)
    if 0 in w.shape or 0 in x.shape:
        _constant(lowering, y, bias)
        return
    groups, c, kernel = w.shape[0], w.shape[2], w.shape[3:]
    to = y if adjacent(y) else temporary(lowering, y.shape, y)
    label = f"{node.op} {y.shape[0]}x{y.shape[-1]}x{'x'.join(map(str, y.shape[1:4]))} of {x.shape[-1]}, {'x'.join(map(str, kernel))}"
    if suits(x, w, y, stride, dilation, t):
        winograd(lowering, x, w, to, bias, before, t, finish_of(node), label)
    elif narrow(w, t):
        sides = [[Side(s, k, -b, d)] for s, k, b, d in zip(stride, kernel, before, dilation, strict=True)]
        narrow_conv(lowering, x, w, to, bias, sides, t, finish_of(node), label)
    else:
        size = tuple([(n - 1) * s + d * (k - 1) + 1 for n, s, k, d in zip(y.shape[1:4], stride, kernel, dilation, strict=True)])
        xf = framed(lowering, x, before, size)  # type: ignore[arg-type]
        taps = windows(xf, kernel, stride, dilation, c)  # type: ignore[arg-type]
        direct(lowering, xf, packed_weight(lowering, w, t), to, bias, taps, t, groups, c * math.prod(kernel), finish_of(node), label)
    if to is not y:
        copy(lowering, to, y)


def _phases(
    lowering: Lowering, node: LibraryNode, g: View, w: View, x: View, stride: Three, padding: Three, dilation: Three, t: Tiles
) -> None:
    """A transposed convolution with strides: pixels whose positions have equal remainders meet the same taps, at neighbouring places."""
    if 0 in x.shape:
        return
    bias = channel_bias(lowering, node.operands)
    if 0 in w.shape or 0 in g.shape:
        _constant(lowering, x, bias)
        return
    # for each dimension and remainder: (tap as the weight is packed, distance in g)
    meets = [
        [[(k - 1 - i, (r + p - i * d) // s) for i in range(k) if (r + p - i * d) % s == 0] for r in range(min(s, n))]
        for k, s, p, d, n in zip(w.shape[3:], stride, padding, dilation, x.shape[1:4], strict=True)
    ]
    to = x if adjacent(x) else temporary(lowering, x.shape, x)
    if narrow(w, t):
        sides = [[_side(taps) for taps in remainders] for remainders in meets]
        narrow_conv(lowering, g, w, to, bias, sides, t, finish_of(node), node.op)
    else:
        _direct_phases(lowering, node, g, w, to, bias, meets, stride, t)
    if to is not x:
        copy(lowering, to, x)


def _side(taps: list[tuple[int, int]]) -> Side:
    """Evenly spaced pairs (tap, distance in the image)."""
    if len(taps) < 2:
        return Side(1, len(taps), taps[0][1] if taps else 0, 0, taps[0][0] if taps else 0, 0)
    (tap, place), (second, next_place) = taps[:2]
    return Side(1, len(taps), place, next_place - place, tap, second - tap)


def _direct_phases(
    lowering: Lowering,
    node: LibraryNode,
    g: View,
    w: View,
    to: View,
    bias: View | None,
    meets: list[list[list[tuple[int, int]]]],
    stride: Three,
    t: Tiles,
) -> None:
    """The phases of a transposed convolution by products of rows; ``meets[d][r]`` are pairs (tap, distance in `g`)."""
    groups, _, c, *kernel = w.shape
    before, size = [], []
    for remainders, s, n in zip(meets, stride, to.shape[1:4], strict=True):
        first = min((q for m in remainders for _, q in m), default=0)
        last = max((q + (n - 1 - r) // s for r, m in enumerate(remainders) for _, q in m), default=0)
        before.append(-first)
        size.append(last - first + 1)
    gf = framed(lowering, g, tuple(before), tuple(size))  # type: ignore[arg-type]
    packed, finish = packed_weight(lowering, w, t), finish_of(node)
    for phase in itertools.product(*[range(len(m)) for m in meets]):
        segments = []
        for taps in itertools.product(*[meets[d][r] for d, r in enumerate(phase)]):
            place = sum((q + b) * s for (_, q), b, s in zip(taps, before, gf.strides[1:4], strict=True))
            number = (taps[0][0] * kernel[1] + taps[1][0]) * kernel[2] + taps[2][0]
            segments.append((place, number * c))
        target = to
        for d, r in enumerate(phase):
            target = part(target, d + 1, r, to.shape[d + 1], stride[d])
        first = (target.offset - to.offset) // to.shape[4]
        tap_list = Taps(tuple(segments), c, gf.strides[1:4])  # type: ignore[arg-type]
        direct(lowering, gf, packed, target, bias, tap_list, t, groups, c * math.prod(kernel), finish, node.op, first)


def _constant(lowering: Lowering, y: View, bias: View | None) -> None:
    """A sum of nothing."""
    if bias is None:
        fill(lowering, y, 0)
    else:
        copy(lowering, replace(bias, shape=(1, 1, 1, 1, *bias.shape), strides=(0, 0, 0, 0, *bias.strides)), y)


@library("conv_grad_weight")
def _conv_grad_weight(lowering: Lowering, node: LibraryNode) -> bool:
    t = _tiles(lowering, node.result)
    if t is None or len(node.operands[0].shape) > 5 or node.result.dtype in HALVES:
        return False  # sums of parts are not rounded one by one
    g, x, out = image(node.operands[0]), image(node.operands[1]), filters(node.result)
    stride, padding, dilation, groups = _numbers(node.attrs)
    if 0 in out.shape:
        return True
    if 0 in g.shape or 0 in x.shape:
        fill(lowering, out, 0)
        return True
    kernel = out.shape[2:]
    label = f"conv_grad_weight {'x'.join(map(str, out.shape))} over {'x'.join(map(str, g.shape[:4]))}"
    if suits(x, _grouped(out, groups, False), g, stride, dilation, t):
        winograd_weight(lowering, x, g, out, padding, t, label)
        return True
    if narrow(_grouped(out, groups, False), t):
        narrow_weight_gradient(lowering, x, g, out, groups, stride, padding, dilation, t, label)
        return True
    size = tuple([(n - 1) * s + d * (k - 1) + 1 for n, s, k, d in zip(g.shape[1:4], stride, kernel, dilation, strict=True)])
    xf = framed(lowering, x, padding, size)  # type: ignore[arg-type]
    weight_gradient(lowering, xf, dense(lowering, g), out, kernel, stride, dilation, t, groups, label)  # type: ignore[arg-type]
    return True
