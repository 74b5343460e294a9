"""Running sums, products, extrema and linear recurrences along a dimension.

Many or short lines are scanned by one invocation each; else a workgroup scans a line, a piece at a time: each invocation a run of it, the
runs' totals in log2 steps (Hillis & Steele, 1986), then all of the run again with the total before it. What is combined is a pair, so that
recurrences (factor, value) and extrema (value, place) are scanned as sums are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from ...dtypes import bool_, dtype, float64
from ..views import broadcast
from .calls import LibraryNode, Lowering, View, library
from .copies import copy, fill
from .finish import finish_function
from .halves import divisible, halves, longest
from .lines import without
from .points import Scope, Stream, points

#: invocations of a workgroup that scans a line, and elements that each takes of a piece
LANES, RUN = 128, 8
#: lines from which on each is scanned by one invocation; lengths up to which it is
_MANY, _SHORT = 2048, 64


@library("cumsum", "cumprod")
def _accumulate(lowering: Lowering, node: LibraryNode) -> bool:
    x, (dim, reverse) = node.operands[0], node.attrs
    if not x.shape:
        copy(lowering, x, node.result)
        return True
    return scan(lowering, "sum" if node.op == "cumsum" else "prod", [x], node.result, dim, reverse)


@library("recurrence")
def _recurrence(lowering: Lowering, node: LibraryNode) -> bool:
    (a, b), (dim, reverse) = node.operands, node.attrs
    if not b.shape:
        copy(lowering, b, node.result)
        return True
    return scan(lowering, "recurrence", [b, broadcast(a, b.shape)], node.result, dim, reverse)


@library("cummax_index", "cummin_index")
def _extremum(lowering: Lowering, node: LibraryNode) -> bool:
    x, (dim,) = node.operands[0], node.attrs
    if not x.shape:
        fill(lowering, node.result, 0)
        return True
    return scan(lowering, "max" if node.op == "cummax_index" else "min", [x], node.result, dim, False)


@dataclass(frozen=True)
class _Kind:
    """The pair that is scanned: types of its parts, what leaves others as they are, what one element is, and ``l`` with ``r`` after it."""

    value: str
    other: str
    neutral: str
    single: str
    #: statements that return the pair
    combined: str
    stored: str


def _kind(kind: str, x: dtype, out: dtype) -> _Kind:
    t = "f32" if x.is_floating_point else "i32"
    if kind in ("sum", "prod"):
        sign, none = ("+", "0") if kind == "sum" else ("*", "1")
        return _Kind(t, "u32", f"Pair({t}({none}), 0u)", "Pair(m0[at0], 0u)", f"return Pair(l.v {sign} r.v, 0u);", "finish(p.v)")
    if kind == "recurrence":
        factor = "return Pair(l.v * r.w + r.v, l.w * r.w);"
        return _Kind(t, t, f"Pair({t}(0), {t}(1))", "Pair(m0[at0], m1[at1])", factor, "finish(p.v)")
    sign = ">=" if kind == "max" else "<="
    wins = f"r.v {sign} l.v || l.w < 0" + (" || k_isnan(r.v)" if t == "f32" else "")
    return _Kind(t, "i32", f"Pair({t}(0), -1)", "Pair(m0[at0], i32(k))", f"if (r.w >= 0 && ({wins})) {{ return r; }} return l;", "p.w")


def scan(lowering: Lowering, kind: str, operands: list[View], out: View, dim: int, reverse: bool) -> bool:
    x = operands[0]
    if x.dtype in (bool_, float64) or x.dtype.is_complex or 0 in x.shape:
        return False
    others = [d for d in range(len(x.shape)) if d != dim]
    views = [divisible(lowering, v, others) for v in (*operands, out)]
    for v, held in zip(operands, views[:-1], strict=True):
        if held is not v:
            copy(lowering, v, held)
    _scan(lowering, kind, views, dim, reverse)
    if views[-1] is not out:
        copy(lowering, views[-1], out)
    return True


def _scan(lowering: Lowering, kind: str, views: list[View], dim: int, reverse: bool) -> None:
    """Of operands, into the last view."""
    x, out = views[0], views[-1]
    cut = longest(lowering, views, [d for d in range(len(x.shape)) if d != dim])
    if cut is not None:
        for part in halves(views, cut):
            _scan(lowering, kind, part, dim, reverse)
        return
    length = x.shape[dim]
    shape, _ = without(x, dim)
    streams = [Stream(v, without(v, dim)[1]) for v in views]
    words = {"length": length, **{f"along{k}": v.strides[dim] for k, v in enumerate(views)}}
    wide = math.prod(shape) < _MANY and length > _SHORT
    k, last = _kind(kind, x.dtype, out.dtype), len(views) - 1

    def functions(s: Scope) -> str:
        finish = finish_function(out.dtype) if "finish" in k.stored else ""
        return (
            f"struct Pair {{ v: {k.value}, w: {k.other} }}\n"
            f"fn neutral() -> Pair {{ return {k.neutral}; }}\n"
            f"fn both(l: Pair, r: Pair) -> Pair {{ {k.combined} }}\n{finish}"
        )

    def place(s: Scope, n: int) -> str:
        at = f"({s['length']} - 1u - k)" if reverse else "k"
        return f"let at{n} = a{n} + {at} * {s[f'along{n}']};"

    def read(s: Scope) -> str:
        return "\n".join(place(s, n) for n in range(last)) + f"\nlet one = {k.single};"

    def write(s: Scope) -> str:
        return f"{place(s, last)}\nm{last}[at{last}] = {k.stored};"

    def line(s: Scope) -> str:
        return f"""var p = neutral();
for (var k = 0u; k < {s["length"]}; k++) {{
{read(s)}
p = both(p, one);
{write(s)}
}}"""

    def group(s: Scope) -> str:
        return f"""let length = select(0u, {s["length"]}, live);
var before = neutral();
for (var first = 0u; first < length; first += {LANES * RUN}u) {{
let begin = first + lane * {RUN}u;
var total = neutral();
for (var e = 0u; e < {RUN}u; e++) {{
let k = begin + e;
if (k < length) {{
{read(s)}
total = both(total, one);
}}
}}
totals[lane] = total;
for (var by = 1u; by < {LANES}u; by = by * 2u) {{
workgroupBarrier();
var left = neutral();
if (lane >= by) {{ left = totals[lane - by]; }}
workgroupBarrier();
totals[lane] = both(left, totals[lane]);
}}
workgroupBarrier();
var p = before;
if (lane > 0u) {{ p = both(before, totals[lane - 1u]); }}
for (var e = 0u; e < {RUN}u; e++) {{
let k = begin + e;
if (k < length) {{
{read(s)}
p = both(p, one);
{write(s)}
}}
}}
before = both(before, totals[{LANES - 1}u]);
workgroupBarrier();
}}"""

    shared = f"var<workgroup> totals: array<Pair, {LANES}>;\n"
    how = {"lanes": LANES, "group": LANES, "shared": shared} if wide else {}
    key = ("scan", kind, k.value, out.dtype.name, reverse, wide)
    points(
        lowering, key, f"scan {kind}", shape, streams, group if wide else line, (last,), words, functions,
        flops=math.prod(x.shape), **how,
    )  # fmt: skip
