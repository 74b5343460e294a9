"""Looking values up: places in sorted edges, membership, and elements that a mask puts in their order."""

from __future__ import annotations

import math

from ...dtypes import bool_, int32
from .calls import LibraryNode, Lowering, View, library
from .checks import Check, number
from .copies import convert, copy, fill, temporary
from .lines import flat
from .points import Scope, Stream, points
from .scan import scan
from .source import failed


@library("searchsorted")
def _searchsorted(lowering: Lowering, node: LibraryNode) -> bool:
    (edges, x), (right, _), out = node.operands, node.attrs, node.result
    if edges.dtype is not x.dtype or x.dtype is bool_ or x.dtype.is_complex:
        return False
    n = edges.shape[-1]
    if not n:
        fill(lowering, out, 0)
        return True
    lines = (0,) * len(x.shape) if len(edges.shape) == 1 else (*edges.strides[:-1], 0)
    below = "value <= x" if right else "value < x"
    nan = "k_isnan(x) || k_isnan(value) || " if x.dtype.is_floating_point else ""

    def body(s: Scope) -> str:
        return f"""let x = m1[a1];
var low = 0u;
var high = {s["edges"]};
while (low < high) {{
let middle = (low + high) / 2u;
let value = m2[a2 + middle * {s["step"]}];
if ({nan}{below}) {{ low = middle + 1u; }} else {{ high = middle; }}
}}
m0[a0] = i32(low);"""

    streams = [Stream(out, out.strides), Stream(x, x.strides), Stream(edges, lines)]
    words = {"edges": n, "step": edges.strides[-1]}
    points(lowering, ("searchsorted", right, x.dtype.is_floating_point), "searchsorted", x.shape, streams, body, (0,), words)
    return True


@library("isin")
def _isin(lowering: Lowering, node: LibraryNode) -> bool:
    (x, among), (invert,), out = node.operands, node.attrs, node.result
    if among.dtype is not x.dtype or x.dtype.is_complex or 0 in among.shape:
        return False
    listed = flat(lowering, among)

    def body(s: Scope) -> str:
        return f"""let x = m1[a1];
var found = 0u;
for (var k = 0u; k < {s["count"]}; k++) {{ if (m2[a2 + k] == x) {{ found = 1u; break; }} }}
m0[a0] = {"1u - found" if invert else "found"};"""

    streams = [Stream(out, out.strides), Stream(x, x.strides), Stream(listed, (0,) * len(x.shape))]
    points(lowering, ("isin", invert), "isin", x.shape, streams, body, (0,), {"count": listed.shape[0]})
    return True


# ---------------------------------------------------------------- elements under a mask, in their order
def _numbers(lowering: Lowering, mask: View) -> View:
    """For each element of a mask, how many are True up to it, in row-major order: (the mask's elements) as one dimension."""
    ones, counts = (temporary(lowering, mask.shape, int32) for _ in range(2))
    convert(lowering, mask, ones)
    scan(lowering, "sum", [flat(lowering, ones)], flat(lowering, counts), 0, False)
    return counts


@library("masked_scatter")
def _masked_scatter(lowering: Lowering, node: LibraryNode) -> bool:
    (x, mask, source), out = node.operands, node.result
    if x.dtype.is_complex or x.dtype is not source.dtype or x.shape != mask.shape:
        return False
    if 0 in source.shape or 0 in x.shape:
        copy(lowering, x, out)
        return True
    counts, listed = _numbers(lowering, mask), flat(lowering, source)

    def body(s: Scope) -> str:
        enough = f"m1[a1] == 0u || u32(m2[a2]) <= {s['length']}"
        return f"""let at = min(u32(max(m2[a2], 1)) - 1u, {s["length"]} - 1u);
{failed("m5", enough, s["check"], "m2[a2]")}
m0[a0] = select(m3[a3], m4[a4 + at], m1[a1] != 0u);"""

    nowhere = (0,) * len(x.shape)
    streams = [*[Stream(v, v.strides) for v in (out, mask, counts, x)], Stream(listed, nowhere)]
    streams.append(Stream(View(lowering.checked().slot, (2,), (1,), 0, int32), nowhere, "u32"))
    check = number(Check(RuntimeError, "Number of elements of source < number of ones in mask", lowering.where))
    words = {"length": listed.shape[0], "check": check}
    points(lowering, ("masked_scatter",), "masked_scatter", x.shape, streams, body, (0,), words)
    return True


@library("masked_unscatter")
def _masked_unscatter(lowering: Lowering, node: LibraryNode) -> bool:
    (g, mask), out = node.operands, node.result
    if 0 in g.shape or 0 in out.shape:
        fill(lowering, out, 0)
        return True
    if g.dtype.is_complex or g.shape != mask.shape:
        return False
    made = out if out.contiguous else temporary(lowering, out.shape, out.dtype)
    fill(lowering, made, 0)
    counts, shape = _numbers(lowering, mask), g.shape
    whole = View(made.slot, (math.prod(out.shape),), (1,), made.offset, out.dtype)

    def body(s: Scope) -> str:
        return f"""let at = u32(max(m2[a2], 1)) - 1u;
if (m1[a1] != 0u && at < {s["length"]}) {{ m0[a0 + at] = m3[a3]; }}"""

    streams = [Stream(whole, (0,) * len(shape)), Stream(mask, mask.strides), Stream(counts, counts.strides), Stream(g, g.strides)]
    points(lowering, ("masked_unscatter",), "masked_unscatter", shape, streams, body, (0,), {"length": whole.shape[0]})
    if made is not out:
        copy(lowering, made, out)
    return True
