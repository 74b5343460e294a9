"""Pooling: windows of an image reduced to their maximum, its place, their average; and the gradients. One invocation for each element of a
result; a gradient of averages sums, for each pixel, the windows that have it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ...dtypes import bool_, float64
from ..subscripts import Index
from .calls import LAYOUTS, LibraryNode, Lowering, View, library
from .conv.geometry import image, three
from .copies import copy, fill, temporary
from .finish import finish_function
from .halves import divisible, halves, longest
from .indexed import indexed
from .points import Scope, Stream, points

#: how a window is reduced
MAX, LAST_PLACE, FIRST_PLACE, AVERAGE, SPREAD = "max", "last_place", "first_place", "average", "spread"


def _channels_last(attrs: tuple[Any, ...], shapes: tuple[tuple[int, ...], ...]) -> tuple[int, ...]:
    rank = len(shapes[0])
    return (0, *range(2, rank), 1)


LAYOUTS.update(dict.fromkeys(("max_pool", "avg_pool", "adaptive_max_pool", "adaptive_avg_pool", "max_pool_index"), _channels_last))


# ---------------------------------------------------------------- lowering
@library("max_pool", "max_pool_index")
def _max(lowering: Lowering, node: LibraryNode) -> bool:
    kernel, stride, padding, dilation, _ = node.attrs
    windows = _windows(kernel, stride, padding, dilation)
    return _numbers(node) and _pool(lowering, node, MAX if node.op == "max_pool" else LAST_PLACE, windows)


@library("adaptive_max_pool", "adaptive_max_pool_index")
def _adaptive_max(lowering: Lowering, node: LibraryNode) -> bool:
    return _numbers(node) and _pool(lowering, node, MAX if node.op == "adaptive_max_pool" else FIRST_PLACE, {})


@library("avg_pool", "avg_pool_grad")
def _average(lowering: Lowering, node: LibraryNode) -> bool:
    kernel, stride, padding, _, include_pad, divisor = node.attrs[-6:]
    if not _numbers(node) or not node.result.dtype.is_floating_point:
        return False
    windows = _windows(kernel, stride, padding, (1,) * len(kernel)) | {"divisor": float(divisor or 0)}
    return _pool(lowering, node, AVERAGE if node.op == "avg_pool" else SPREAD, windows, include_pad)


@library("adaptive_avg_pool", "adaptive_avg_pool_grad")
def _adaptive_average(lowering: Lowering, node: LibraryNode) -> bool:
    if not _numbers(node) or not node.result.dtype.is_floating_point:
        return False
    return _pool(lowering, node, AVERAGE if node.op == "adaptive_avg_pool" else SPREAD, {})


def _numbers(node: LibraryNode) -> bool:
    x = node.operands[0]
    return x.dtype not in (bool_, float64) and not x.dtype.is_complex and 3 <= len(x.shape) <= 5 and 0 not in x.shape


def _windows(kernel: Any, stride: Any, padding: Any, dilation: Any) -> dict[str, int | float]:
    words: dict[str, int | float] = {}
    for name, values, missing in (("kernel", kernel, 1), ("stride", stride, 1), ("padding", padding, 0), ("dilation", dilation, 1)):
        words |= {f"{name}{d}": n for d, n in enumerate(three(values, missing))}
    return words


def _pool(lowering: Lowering, node: LibraryNode, kind: str, windows: dict[str, int | float], include_pad: bool = False) -> bool:
    if 0 in node.result.shape:
        return True
    views = image(node.operands[0]), image(node.result)
    x, y = (divisible(lowering, v, (0, 4)) for v in views)
    if x is not views[0]:
        copy(lowering, views[0], x)
    _pool_images(lowering, node.op, x, y, kind, windows, include_pad)
    if y is not views[1]:
        copy(lowering, y, views[1])
    return True


def _pool_images(lowering: Lowering, label: str, x: View, y: View, kind: str, windows: dict[str, int | float], include_pad: bool) -> None:
    cut = longest(lowering, (x, y), (0, 4))
    if cut is not None:
        for part, to in halves((x, y), cut):
            _pool_images(lowering, label, part, to, kind, windows, include_pad)
        return
    large, small = (y, x) if kind == SPREAD else (x, y)
    words = {**windows, **{f"in{d}": large.shape[d + 1] for d in range(3)}, **{f"out{d}": small.shape[d + 1] for d in range(3)}}
    words |= {f"x{d}": x.strides[d + 1] for d in range(3)}
    # the dimension that lies closest in memory is the fastest
    order = (0, 1, 2, 3, 4) if y.strides[4] == 1 or y.shape[4] == 1 else (0, 4, 1, 2, 3)
    steps = [tuple([v[d] for d in order]) for v in ((x.strides[0], 0, 0, 0, x.strides[4]), y.strides)]
    made = _Body(kind, bool(windows), include_pad, x, tuple([order.index(d + 1) for d in range(3)]))
    points(
        lowering, ("pool", kind, bool(windows), include_pad, x.dtype.name, order), label, [y.shape[d] for d in order],
        [Stream(x, steps[0]), Stream(y, steps[1])], made.text, (1,), words, made.functions, indexed=True,
        flops=math.prod(x.shape),
    )  # fmt: skip


class _Body:
    def __init__(self, kind: str, windowed: bool, include_pad: bool, x: View, axes: tuple[int, ...]) -> None:
        self.kind, self.windowed, self.include_pad, self.axes = kind, windowed, include_pad, axes
        self.float, self.dtype = x.dtype.is_floating_point, x.dtype

    def functions(self, s: Scope) -> str:
        return finish_function(self.dtype)

    def text(self, s: Scope) -> str:
        if self.kind == SPREAD:
            return self._spread(s)
        t, lowest = ("f32", "-k_inf()") if self.float else ("i32", "(-2147483647 - 1)")
        if self.kind == AVERAGE:
            start, meet, end = "var best = 0f;", "best += value;", f"m1[a1] = finish(best / ({self._divisor(s)}));"
        elif self.kind == MAX:
            start, meet = f"var best: {t} = {lowest};", f"best = {'k_max' if self.float else 'max'}(best, value);"
            end = "m1[a1] = best;"
        else:
            nan = ("" if self.kind == LAST_PLACE else "!k_isnan(best) && ") + "k_isnan(value)"
            wins = "value > best || place < 0" + (f" || ({nan})" if self.float else "")
            at = f"i32((p0 * {s['in1']} + p1) * {s['in2']} + p2)"
            start = f"var best: {t} = {lowest};\nvar place = -1;"
            meet, end = f"if ({wins}) {{ best = value; place = {at}; }}", "m1[a1] = place;"
        loops = "\n".join(self._loop(s, d) for d in range(3))
        value = f"let value = m0[a0 + p0 * {s['x0']} + p1 * {s['x1']} + p2 * {s['x2']}];"
        return f"{start}\n{self._bounds(s)}\n{loops}\n{value}\n{meet}\n}} }} }}\n{end}"

    def _bounds(self, s: Scope) -> str:
        """``lo`` and ``hi`` of each dimension: of a window as it lies (i32), of an adaptive one (u32)."""
        lines = []
        for d, axis in enumerate(self.axes):
            o = f"i{axis}"
            if self.windowed:
                lines.append(f"let lo{d} = i32({o} * {s[f'stride{d}']}) - {s.signed(f'padding{d}')};")
            else:
                lines.append(f"let lo{d} = {_first(s, d, o)};\nlet hi{d} = {_last(s, d, o)};")
        return "\n".join(lines)

    def _loop(self, s: Scope, d: int) -> str:
        if not self.windowed:
            return f"for (var p{d} = lo{d}; p{d} < hi{d}; p{d}++) {{"
        return (
            f"for (var j{d} = 0u; j{d} < {s[f'kernel{d}']}; j{d}++) {{\nlet p{d} = u32(lo{d}) + j{d} * {s[f'dilation{d}']};\n"
            f"if (p{d} >= {s[f'in{d}']}) {{ continue; }}"
        )

    def _counted(self, s: Scope, d: int, start: str) -> str:
        """How many elements of a window that begins at `start` (i32) count."""
        end = f"{start} + {s.signed(f'kernel{d}')}"
        if self.include_pad:
            return f"(min({end}, {s.signed(f'in{d}')} + {s.signed(f'padding{d}')}) - {start})"
        return f"(min({end}, {s.signed(f'in{d}')}) - max({start}, 0))"

    def _divisor(self, s: Scope) -> str:
        if not self.windowed:
            return "f32((hi0 - lo0) * (hi1 - lo1) * (hi2 - lo2))"
        counted = " * ".join(self._counted(s, d, f"lo{d}") for d in range(3))
        given = s.words.typed("divisor", "f32")
        return f"select(f32({counted}), {given}, {given} != 0f)"

    def _spread(self, s: Scope) -> str:
        lines = ["var sum = 0f;"]
        for d, axis in enumerate(self.axes):
            i = f"i32(i{axis})"
            if self.windowed:
                pad, stride = s.signed(f"padding{d}"), s.signed(f"stride{d}")
                lines += [
                    f"let first{d} = u32(max(0, {i} + {pad} - {s.signed(f'kernel{d}')} + {stride}) / {stride});",
                    f"let last{d} = min({s[f'out{d}']}, u32(({i} + {pad}) / {stride}) + 1u);",
                ]
            else:
                here, out, size = f"i{axis}", s[f"out{d}"], s[f"in{d}"]
                lines += [f"let first{d} = {here} * {out} / {size};", f"let last{d} = (({here} + 1u) * {out} + {size} - 1u) / {size};"]
        counted = []
        for d in range(3):
            lines.append(f"for (var o{d} = first{d}; o{d} < last{d}; o{d}++) {{")
            if self.windowed:
                lines.append(f"let start{d} = i32(o{d} * {s[f'stride{d}']}) - {s.signed(f'padding{d}')};")
                counted.append(self._counted(s, d, f"start{d}"))
            else:
                counted.append(f"({_last(s, d, f'o{d}')} - {_first(s, d, f'o{d}')})")
        by = f"f32({' * '.join(counted)})"
        if self.windowed:
            given = s.words.typed("divisor", "f32")
            by = f"select({by}, {given}, {given} != 0f)"
        lines.append(f"sum += m0[a0 + o0 * {s['x0']} + o1 * {s['x1']} + o2 * {s['x2']}] / {by};")
        return "\n".join([*lines, "} } }", "m1[a1] = finish(sum);"])


def _first(s: Scope, d: int, o: str) -> str:
    """Where adaptive window `o` of dimension `d` begins."""
    return f"({o} * {s[f'in{d}']} / {s[f'out{d}']})"


def _last(s: Scope, d: int, o: str) -> str:
    """Where it ends."""
    return f"((({o} + 1u) * {s[f'in{d}']} + {s[f'out{d}']} - 1u) / {s[f'out{d}']})"


# ---------------------------------------------------------------- planes read and written by position
def _planes(v: View) -> View | None:
    """(N, C, *S) as (N, C, elements of a plane), if they lie at even distances."""
    step, count = 1, 1
    for n, s in zip(reversed(v.shape[2:]), reversed(v.strides[2:]), strict=True):
        if n == 1:
            continue
        if count == 1:
            step = s
        elif s != step * count:
            return None
        count *= n
    return replace(v, shape=(*v.shape[:2], math.prod(v.shape[2:])), strides=(*v.strides[:2], step))


def _by_place(lowering: Lowering, node: LibraryNode, add: Callable[[View, View, View], bool], *, write: bool) -> bool:
    """Through `add(planes, values, index)`, where the planes lie at even distances; else through a copy of them."""
    first, index = node.operands
    plane, values = (node.result, first) if write else (first, node.result)
    if write and plane.dtype.is_complex:
        return False
    if 0 in index.shape or 0 in plane.shape:
        if write:
            fill(lowering, plane, 0)
        return True
    even = _planes(plane)
    held = plane if even is not None else temporary(lowering, plane.shape, plane.dtype)
    if held is not plane and not write:
        copy(lowering, plane, held)
    if write:
        fill(lowering, held, 0)
    found = _planes(held)
    assert found is not None, "dense planes lie at even distances"
    done = add(found, values, index)
    if held is not plane and write:
        copy(lowering, held, plane)
    return done


@library("plane_gather")
def _gather(lowering: Lowering, node: LibraryNode) -> bool:
    def add(planes: View, values: View, index: View) -> bool:
        steps, found = _placed(planes, index)
        return indexed(lowering, node.op, index.shape, values, values.strides, planes, steps, [found], write=False)

    return _by_place(lowering, node, add, write=False)


@library("plane_scatter", "max_unpool")
def _scatter(lowering: Lowering, node: LibraryNode) -> bool:
    action = "sum" if node.op == "plane_scatter" else "copy"

    def add(planes: View, values: View, index: View) -> bool:
        steps, found = _placed(planes, index)
        return indexed(lowering, node.op, index.shape, planes, steps, values, values.strides, [found], write=True, action=action)

    return _by_place(lowering, node, add, write=True)


def _placed(planes: View, index: View) -> tuple[tuple[int, ...], Index]:
    """The planes' steps in the index's space, and the index."""
    steps = (*planes.strides[:2], *[0] * (len(index.shape) - 2))
    return steps, Index(index, index.strides, planes.shape[2], planes.strides[2], False)
