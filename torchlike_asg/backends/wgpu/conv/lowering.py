"""Lowering of `conv`, `conv_transpose` and `conv_grad_weight`: all three as products of matrices that are never written down."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from typing import Any

from ....dtypes import float64
from ...views import broadcast
from ..calls import LAYOUTS, Epilogue, LibraryNode, Lowering, View, library
from ..copies import add, copy, fill, temporary
from ..gemm.kernel import Loader
from ..gemm.matrix import matrix_loader
from ..gemm.multiply import Sizes, multiply
from ..gemm.output import merged, output
from ..gemm.tiles import Plan
from ..gemm.tuning import planned
from ..halves import halves, longest
from .depthwise import depthwise, depthwise_gradient, is_depthwise
from .geometry import Three, Walk, backwards, filters, image, part, spatial, three
from .loaders import patches, taps, windows

#: multiply-adds from which on filters are packed first
_PACKED = 1 << 28


def _order(attrs: tuple[Any, ...], shapes: tuple[tuple[int, ...], ...]) -> tuple[int, ...]:
    """Channels last: four neighbouring elements are then at one pixel."""
    rank = len(shapes[0])
    return (0, *range(2, rank), 1)


LAYOUTS.update(dict.fromkeys(("conv", "conv_transpose"), _order))


def _numbers(attrs: tuple[Any, ...]) -> tuple[Three, Three, Three, int]:
    """(stride, padding, dilation, groups)"""
    stride, padding, dilation, groups = attrs[-4:]
    return three(stride, 1), three(padding, 0), three(dilation, 1), groups


def _supported(node: LibraryNode) -> bool:
    d = node.result.dtype
    return d.is_floating_point and d is not float64 and len(node.result.shape) <= 5


@library("conv", epilogue=True, columns=1)
def _conv(lowering: Lowering, node: LibraryNode) -> bool:
    if not _supported(node):
        return False
    stride, padding, dilation, groups = _numbers(node.attrs)
    x, w, y = image(node.operands[0]), filters(node.operands[1], groups), image(node.result)
    bias = node.operands[2] if len(node.operands) > 2 else None
    first = tuple([-p for p in padding])
    return convolve(lowering, node.op, x, w, y, Walk(stride, first, dilation), bias, node.epilogue)  # type: ignore[arg-type]


@library("conv_transpose", epilogue=True, columns=1)
def _conv_transpose(lowering: Lowering, node: LibraryNode) -> bool:
    """Pixels of the result whose positions have equal remainders by the stride meet the same taps, at neighbouring places of the image:
    they are a convolution."""
    if not _supported(node):
        return False
    stride, padding, dilation, groups = _numbers(node.attrs)
    g, w, x = image(node.operands[0]), backwards(filters(node.operands[1], groups)), image(node.result)
    bias = node.operands[2] if len(node.operands) > 2 else None
    if node.epilogue is not None and stride != (1, 1, 1):
        return False
    for phase in itertools.product(*[range(min(s, n)) for s, n in zip(stride, x.shape[1:4], strict=True)]):
        target, filtered, first, apart = x, w, [], []
        for d, (r, s, p, dil) in enumerate(zip(phase, stride, padding, dilation, strict=True)):
            kernel = w.shape[d + 2]
            meets = [j for j in range(kernel) if (r + p - j * dil) % s == 0]
            between = s // math.gcd(s, dil)
            begin = meets[0] if meets else 0
            target = part(target, d + 1, r, -(-(x.shape[d + 1] - r) // s), s)
            filtered = part(filtered, d + 2, begin, len(meets), between)
            first.append((r + p - begin * dil) // s)
            apart.append(-between * dil // s)
        way = Walk((1, 1, 1), tuple(first), tuple(apart))  # type: ignore[arg-type]
        if not convolve(lowering, node.op, g, filtered, target, way, bias, node.epilogue):
            return False
    return True


def convolve(
    lowering: Lowering, label: str, x: View, w: View, y: View, walk: Walk, bias: View | None, epilogue: Epilogue | None = None
) -> bool:
    """Images (N, D, H, W, C) through filters (groups, O / groups, D, H, W, C / groups), plus a bias (O,). False, and nothing is done, if it
    cannot be with the epilogue.
    """
    cut = longest(lowering, (x, y), (0,))
    if epilogue is not None and (0 in (*x.shape, *w.shape, *y.shape) or cut is not None or w.shape[0] > 1):
        return False  # parts and groups are not all of the result's rows and columns
    if 0 in y.shape:
        return True
    if 0 in x.shape or 0 in w.shape:
        _constant(lowering, y, bias)
        return True
    if cut is not None:
        for images, results in halves((x, y), cut):
            convolve(lowering, label, images, w, results, walk, bias)
        return True
    if is_depthwise(w):
        depthwise(lowering, label, x, w, y, walk, bias)
        return True
    groups, outputs, channels = w.shape[0], w.shape[1], w.shape[5]
    m, k = math.prod(y.shape[:4]), channels * math.prod(w.shape[2:5])
    kind = f"conv {w.shape[2:]} {walk.step} {x.strides[4] == 1} {y.strides[4] == 1}"
    best = planned(lowering, kind, groups, m, outputs, k, lambda low, found: _products(low, label, x, w, y, walk, bias, found))
    _products(lowering, label, x, w, y, walk, bias, best, epilogue)
    return True


def _products(
    lowering: Lowering, label: str, x: View, w: View, y: View, walk: Walk, bias: View | None, found: Plan, epilogue: Epilogue | None = None
) -> None:
    """Pixels of the result by (tap, channel) times filters."""
    groups, outputs, channels = w.shape[0], w.shape[1], w.shape[5]
    dims = spatial(x, w, y)
    kernel, pixels = tuple([w.shape[d + 2] for d in dims]), tuple([y.shape[d + 1] for d in dims])
    m, k = y.shape[0] * math.prod(pixels), channels * math.prod(kernel)
    checked = k % found.tile.depth != 0
    rows = [(y.shape[d], y.strides[d]) for d in range(4)]
    held = _packed(lowering, w) if math.prod(kernel) > 1 and m * outputs * k >= _PACKED else w
    bias_step = bias.strides[0] if bias is not None else 0
    steps = channels * x.strides[4], held.strides[0], outputs * y.strides[4], outputs * bias_step
    batch = ((groups, *steps),) if groups > 1 else ()
    a = _as_matrix(x, w, y, walk, m, channels, batch, checked=checked)
    if a is None:
        a = patches(x, channels, kernel, pixels, dims, walk, found.tile.depth, checked=checked)
    if held is w and math.prod(kernel) > 1:
        right: Loader = taps(w, dims, checked=checked)
    else:
        row, step = (w.strides[1], w.strides[5]) if held is w else (1, outputs)
        right = matrix_loader(held, outputs, k, row, step, tuple([d[2] for d in batch]), checked=checked)
    out = output(y, rows, ((outputs, y.strides[4]),), [d[3] for d in batch], bias, (0, bias_step), epilogue)
    multiply(lowering, label, Sizes(m, outputs, k, batch), found, a, right, out)


def _packed(lowering: Lowering, w: View) -> View:
    """Filters as (groups, taps, channels, outputs), the outputs side by side: as PyTorch has them, neighbours along either dimension of the
    product lie far apart. That is a dispatch of its own.
    """
    order = (0, 2, 3, 4, 5, 1)
    source = replace(w, shape=tuple([w.shape[d] for d in order]), strides=tuple([w.strides[d] for d in order]))
    made = temporary(lowering, source.shape, w.dtype)
    copy(lowering, source, made, "filters")
    return made


def _as_matrix(x: View, w: View, y: View, walk: Walk, m: int, channels: int, batch: Any, *, checked: bool) -> Loader | None:
    """The image itself as the left matrix, for filters of one tap that meet every pixel, if its pixels lie at equal distances."""
    if math.prod(w.shape[2:5]) != 1 or walk.step != (1, 1, 1) or walk.first != (0, 0, 0) or x.shape[1:4] != y.shape[1:4]:
        return None
    rows = merged([(x.shape[d], x.strides[d]) for d in range(4)])
    if len(rows) != 1:
        return None
    return matrix_loader(x, m, channels, rows[0][1], x.strides[4], tuple([d[1] for d in batch]), checked=checked)


def _constant(lowering: Lowering, y: View, bias: View | None) -> None:
    """A sum of nothing."""
    if bias is None:
        fill(lowering, y, 0)
    else:
        copy(lowering, broadcast(bias, y.shape), y)


@library("conv_grad_weight")
def _conv_grad_weight(lowering: Lowering, node: LibraryNode) -> bool:
    if not _supported(node):
        return False
    stride, padding, dilation, groups = _numbers(node.attrs)
    g, x, out = image(node.operands[0]), image(node.operands[1]), filters(node.result, groups)
    if 0 in out.shape:
        return True
    if 0 in g.shape or 0 in x.shape:
        fill(lowering, node.result, 0)
        return True
    _gradient(lowering, node.op, g, x, out, Walk(stride, tuple([-p for p in padding]), dilation))  # type: ignore[arg-type]
    return True


def _gradient(lowering: Lowering, label: str, g: View, x: View, out: View, walk: Walk) -> None:
    """The gradient of filters (groups, O / groups, D, H, W, C / groups) by results and images (N, D, H, W, channels)."""
    if longest(lowering, (g, x), (0,)) is not None:
        first, second = halves((g, x), 0)
        other = temporary(lowering, out.shape, out.dtype)
        _gradient(lowering, label, *first, out, walk)
        _gradient(lowering, label, *second, other, walk)
        add(lowering, other, out)
        return
    if is_depthwise(out):
        depthwise_gradient(lowering, label, g, x, out, walk)
        return
    groups, outputs, channels = out.shape[0], out.shape[1], out.shape[5]
    n, k = channels * math.prod(out.shape[2:5]), math.prod(g.shape[:4])
    kind = f"conv_grad_weight {out.shape[2:]} {walk.step} {g.strides[4] == 1} {x.strides[4] == 1}"
    best = planned(lowering, kind, groups, outputs, n, k, lambda low, found: _gradients(low, label, g, x, out, walk, found))
    _gradients(lowering, label, g, x, out, walk, best)


def _gradients(lowering: Lowering, label: str, g: View, x: View, out: View, walk: Walk, found: Plan) -> None:
    """The result's gradient, by pixels, times patches."""
    groups, outputs, channels = out.shape[0], out.shape[1], out.shape[5]
    dims = spatial(x, out, g)
    kernel, pixels = tuple([out.shape[d + 2] for d in dims]), tuple([g.shape[d + 1] for d in dims])
    n, k = channels * math.prod(kernel), g.shape[0] * math.prod(pixels)
    checked = k % found.tile.depth != 0
    steps = outputs * g.strides[4], channels * x.strides[4], out.strides[0], 0
    batch = ((groups, *steps),) if groups > 1 else ()
    rows = merged([(g.shape[d], g.strides[d]) for d in range(4)])
    if len(rows) == 1:
        a: Loader = matrix_loader(g, outputs, k, g.strides[4], rows[0][1], tuple([d[1] for d in batch]), checked=checked)
    else:  # the gradient's own pixels, each met by one tap
        one = Walk((1, 1, 1), (0, 0, 0), (1, 1, 1))
        a = windows(g, outputs, (1,) * len(dims), pixels, dims, one, checked=checked)
    w = windows(x, channels, kernel, pixels, dims, walk, checked=checked)
    columns = [*[(out.shape[d + 2], out.strides[d + 2]) for d in range(3)], (channels, out.strides[5])]
    to = output(out, ((outputs, out.strides[1]),), columns, [d[3] for d in batch])
    multiply(lowering, label, Sizes(outputs, n, k, batch), found, a, w, to)
