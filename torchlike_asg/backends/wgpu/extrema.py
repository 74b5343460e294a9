"""argmax and argmin: the first of equal elements; a NaN wins over everything."""

from __future__ import annotations

import math
from dataclasses import replace

from ...dtypes import float64, int32
from .calls import LibraryNode, Lowering, View, element, library
from .copies import copy, fill, temporary
from .halves import divisible, halves, longest
from .lines import flat, without
from .points import Scope, Stream, points

#: elements of a line that one part of it has, where lines are few
_PART = 1 << 14
#: invocations for a line, and in a workgroup
LANES, GROUP = 64, 64
#: lines from which on one invocation takes each, where neighbouring lines lie side by side
_MANY = 4096


@library("argmax", "argmin")
def _extremum(lowering: Lowering, node: LibraryNode) -> bool:
    x, (dim, keepdim), out = node.operands[0], node.attrs, node.result
    if x.dtype is float64 or x.dtype.is_complex or 0 in x.shape:
        return False
    if not x.shape:
        fill(lowering, out, 0)
        return True
    if dim is None:
        x, dim, keepdim = flat(lowering, x), 0, False
        out = replace(out, shape=(), strides=())
    if not keepdim:
        out = replace(out, shape=(*out.shape[:dim], 1, *out.shape[dim:]), strides=(*out.strides[:dim], 0, *out.strides[dim:]))
    held = divisible(lowering, x, [d for d in range(len(x.shape)) if d != dim])
    if held is not x:
        copy(lowering, x, held)
    _lines(lowering, held, out, dim, node.op == "argmax")
    return True


def _lines(lowering: Lowering, x: View, out: View, dim: int, largest: bool) -> None:
    """Along a dimension, of which the result has one element."""
    cut = longest(lowering, (x, out), [d for d in range(len(x.shape)) if d != dim])
    if cut is not None:
        for part, to in halves((x, out), cut):
            _lines(lowering, part, to, dim, largest)
        return
    out = replace(out, shape=without(out, dim)[0], strides=without(out, dim)[1])
    length, step = x.shape[dim], x.strides[dim]
    shape, steps = without(x, dim)
    count = math.prod(shape)
    lanes = 1 if length <= 16 or (count >= _MANY and step != 1) else LANES
    parts = -(-length // _PART) if lanes > 1 and count < 256 else 1
    if parts == 1:
        _find(lowering, x, shape, steps, out, out.strides, None, length, step, lanes, largest)
        return
    places = temporary(lowering, (*shape, parts), int32)
    _find(lowering, x, shape, steps, places, places.strides[:-1], None, length, step, lanes, largest, parts)
    _find(lowering, x, shape, steps, out, out.strides, places, parts, step, lanes, largest)


def _find(
    lowering: Lowering, x: View, shape: tuple[int, ...], steps: tuple[int, ...], out: View, out_steps: tuple[int, ...], places: View | None,
    length: int, step: int, lanes: int, largest: bool, parts: int = 1,
) -> None:  # fmt: skip
    """The extrema of all lines or, in parts, of each part of them; or of the `places` found so."""
    held = "f32" if x.dtype.is_floating_point else "i32"
    kind = element(x.dtype) if x.dtype.is_floating_point else "i32"
    streams = [Stream(x, (*steps, 0), kind), Stream(out, (*out_steps, 1))]
    if places is not None:
        streams.append(Stream(places, places.strides[:-1] + (0,)))
    sign = ">" if largest else "<"
    better = f"(value {sign} best || (k_isnan(value) && !k_isnan(best)))" if held == "f32" else f"value {sign} best"
    same = "(value == best || (k_isnan(value) && k_isnan(best)))" if held == "f32" else "value == best"
    last = len(shape)

    def body(s: Scope) -> str:
        part = f"(i{last} * {s['part']})"
        begin, end = (part, f"min({s['length']}, {part} + {s['part']})") if parts > 1 else ("0u", s["length"])
        place = "u32(m2[a2 + c])" if places is not None else "c"
        first = "u32(m2[a2 + first])" if places is not None else "first"
        lines = [
            f"let first = {begin}{' + lane % ' + str(lanes) + 'u' if lanes > 1 else ''};",
            f"let end = {end};",
            "let start = select(end - 1u, first, first < end);",
            f"var place = {first.replace('first', 'start')};",
            f"var best = m0[a0 + place * {s['step']}];",
            f"for (var c = first; c < end; c += {lanes}u) {{",
            f"let at = {place};\nlet value = m0[a0 + at * {s['step']}];",
            f"if ({better} || ({same} && at < place)) {{ best = value; place = at; }}",
            "}",
        ]
        if lanes == 1:
            return "\n".join([*lines, "m1[a1] = i32(place);"])
        lines += [
            f"let own = lane % {lanes}u;\nbests[lane] = best;\nat_places[lane] = place;",
            f"for (var half = {lanes // 2}u; half > 0u; half = half / 2u) {{\nworkgroupBarrier();",
            "if (own < half) {\nlet value = bests[lane + half];\nlet at = at_places[lane + half];",
            f"if ({better} || ({same} && at < place)) {{ best = value; place = at; bests[lane] = best; at_places[lane] = place; }}\n}}\n}}",
            "if (own == 0u && live) { m1[a1] = i32(place); }",
        ]
        return "\n".join(lines)

    shared = f"var<workgroup> bests: array<{held}, {GROUP}>;\nvar<workgroup> at_places: array<u32, {GROUP}>;\n"
    words = {"length": length, "step": step, "part": -(-length // parts)}
    points(
        lowering, ("extremum", held, largest, parts > 1, places is not None), "argmax" if largest else "argmin", (*shape, parts), streams,
        body, (1,), words, indexed=True, lanes=lanes, group=GROUP, shared=shared if lanes > 1 else "",
        flops=math.prod(x.shape), work=math.prod(x.shape),
    )  # fmt: skip
