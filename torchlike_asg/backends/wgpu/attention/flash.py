"""Attention without its scores in memory: blocks of keys with running maxima and sums (Milakov & Gimelshein, 2018; Dao et al., 2022); the
gradients compute the scores once more.

All kernels *sweep*: a workgroup has a block of rows and goes over blocks of columns. Rows are queries and columns keys, but for the
gradients of keys and values, where it is the other way round. Each invocation has 4 rows and 4 columns of the scores; of the result the
same rows, and columns in fours. Operands come into shared memory in pieces of their width, so that little of it is taken and many
workgroups run side by side (larger blocks, with 8 rows and columns for each invocation, were slower).

Powers are of 2: scores are scaled by log2(e). What a query must not see gets the score LOWEST and the probability 0.
"""

from __future__ import annotations

import math

from ....asg.declare import get
from ....compiler.kernel import Apply, Convert, Load, LoopKernel, Operand, Reduce
from ....dtypes import float32
from .. import loops
from ..calls import Capabilities, Lowering, View
from ..copies import temporary
from .block import EACH, BlockText, Form, entry, form_of
from .problem import Problem

#: pairs of a query and a key from which on scores are not kept in memory, whatever the shape; and queries and keys up to which they need
#: not be: a sweep over many, for a few rows, leaves most of a GPU idle
MANY, SHORT = 512 * 512, 512


def suits(caps: Capabilities, p: Problem) -> bool:
    """Whether this pays, and the adapter has the memory. The gradient of a mask is as large as the scores, and so not computed here."""
    pays = p.queries * p.keys >= MANY or max(p.queries, p.keys) <= SHORT
    return pays and "dm" not in p.views and form_of(caps, p) is not None


def statistics(lowering: Lowering, result: View) -> View:
    """Memory for ``lse``, the logarithm (of base 2) of the sum of each row of scores, which `forward` leaves for `backward`."""
    return temporary(lowering, (*result.shape[:-1], 1), float32)


def backward(lowering: Lowering, p: Problem) -> None:
    """The gradients of queries, keys and values. ``o`` and ``lse`` are those of `forward`."""
    p = p.add(delta=temporary(lowering, (*p.sizes, p.queries, 1), float32))
    _deltas(lowering, p)
    f = form_of(lowering.caps, p)
    assert f is not None
    if "dq" in p.views:
        _sweep(lowering, p, f, "attention_queries", ("q", "g"), ("k", "v"), ("dq",))
    if "dk" in p.views or "dv" in p.views:
        results = tuple([name for name in ("dk", "dv") if name in p.views])
        _sweep(lowering, p, f, "attention_keys", ("k", "v"), ("q", "g"), results)


# ---------------------------------------------------------------- forward
def _pairs(p: Problem) -> float:
    return p.count * p.queries * p.keys * (0.5 if p.causal else 1.0)


def forward(lowering: Lowering, p: Problem) -> None:
    """The result ``o``, and ``lse``."""
    f = form_of(lowering.caps, p)
    assert f is not None
    b = BlockText(p, f, ["q", "k", "v", *(["m"] if p.mask else []), "o", "lse"])
    w = b.w
    last = f"min({w['keys']}, row_first + {f.rows}u)" if p.causal else w["keys"]
    most = "\n".join(f"let most{i} = max(s{i}.xy, s{i}.zw);" for i in range(4))
    tops = ", ".join(f"max(most{i}.x, most{i}.y)" for i in range(4))
    rows = list(enumerate("xyzw"))
    powers = "\n".join(f"let p{i} = select(exp2(s{i} - high.{e}), vec4<f32>(), s{i} <= vec4<f32>(LOWEST));" for i, e in rows)
    sums = ", ".join(f"dot(p{i}, vec4<f32>(1f))" for i in range(4))
    faded = "\n".join(f"a{i}_{j} = a{i}_{j} * fade.{e};" for i, e in rows for j in range(f.reach(f.width_v)))
    keep = "\n".join(
        f"if (x == 0u && {b.row(i)} < {w['queries']}) {{ {b.memory('lse')}[lse_at + ({b.row(i)}) * {w['lse_row']}] = "
        f"select(high.{e} + log2(total.{e}), 1e30f, total.{e} == 0f); }}"
        for i, e in rows
    )
    text = f"""{b.head("o")}
var<workgroup> seen: array<vec4<f32>, {f.seen}>;
{entry(f.threads)}
{b.begin(last_first=p.causal)}
{b.sums("a", f.width_v)}
var high = vec4<f32>(LOWEST);
var total = vec4<f32>();
let last = {last};
for (var column_first = 0u; column_first < last; column_first += {f.columns}u) {{
{b.products("s", ("q", w["queries"]), ("k", w["keys"]), f.width)}
{b.scale(True)}
{most}
seen[x * {f.down}u + y] = vec4<f32>({tops});
workgroupBarrier();
let before = high;
for (var i = 0u; i < {f.across}u; i++) {{ high = max(high, seen[i * {f.down}u + y]); }}
let fade = exp2(before - high);
{powers}
total = total * fade + vec4<f32>({sums});
{faded}
{b.accumulate("a", "p", "v", w["keys"], f.width_v)}
}}
workgroupBarrier();
seen[x * {f.down}u + y] = total;
workgroupBarrier();
total = vec4<f32>();
for (var i = 0u; i < {f.across}u; i++) {{ total += seen[i * {f.down}u + y]; }}
let factor = select(1f / total, vec4<f32>(), total == vec4<f32>());
{b.store("o", "a", f.width_v, w["queries"], [f"factor.{e}" for e in "xyzw"])}
{keep}
}}
"""
    b.dispatch(lowering, "attention", -(-p.queries // f.rows), text, ["o", "lse"], 2 * _pairs(p) * (p.width + p.width_v))


# ---------------------------------------------------------------- gradients
def _deltas(lowering: Lowering, p: Problem) -> None:
    """``delta``: the product of each row of the result with its gradient."""
    views = [p.views[n] for n in ("o", "g", "delta")]
    rank = len(p.sizes) + 2
    operands = [Operand(v.dtype, v.strides) for v in views[:2]] + [Operand(float32, (*views[2].strides[:-1], 0))]
    multiply = get("mul").scalar
    assert multiply is not None
    loads = [Load(n, v.dtype) for n, v in enumerate(views[:2])]
    wide = Convert(0, float32), Convert(1, float32), Apply("mul", (2, 3), (), float32, float32, multiply), Reduce("sum", 4, float32)
    k = LoopKernel((*p.sizes, p.queries, p.width_v), rank - 1, tuple(operands), (*loads, *wide), ((2, 5),))
    loops.lower(lowering, k, views, "attention deltas")


def _sweep(
    lowering: Lowering, p: Problem, f: Form, kind: str, rows: tuple[str, str], columns: tuple[str, str], results: tuple[str, ...]
) -> None:
    """The gradients that add up over the columns: with S the slopes of the scores and P the probabilities (rows by columns), that of the
    first operand of the rows is S times the first operand of the columns, that of the second is P times their second.
    """
    by_query, slopes, powers = rows[0] == "q", f"d{rows[0]}" in results, f"d{rows[1]}" in results
    b = BlockText(p, f, ["q", "k", *(["v", "g", "delta"] if slopes else ["g"]), "lse", *(["m"] if p.mask else []), *results])
    w = b.w
    row_count, column_count = (w["queries"], w["keys"]) if by_query else (w["keys"], w["queries"])
    begin, end = "0u", column_count
    if p.causal and by_query:
        end = f"min({column_count}, row_first + {f.rows}u)"
    elif p.causal:
        begin = f"row_first / {f.columns}u * {f.columns}u"
    statistics = ["lse", "delta"] if slopes else ["lse"]

    def statistic(name: str, query: str) -> str:
        return f"{b.memory(name)}[{name}_at + min({query}, {w['queries']} - 1u) * {w[f'{name}_row']}]"

    places = [b.row(i) if by_query else b.column(i) for i in range(4)]
    read = "\n".join(f"let {n}{i} = {statistic(n, place)};" for n in statistics for i, place in enumerate(places))
    lines, slope = [], []
    for i, j in EACH:
        s, d, of = f"s{i}.{'xyzw'[j]}", f"d{i}.{'xyzw'[j]}", i if by_query else j
        lines.append(f"{s} = select(exp2({s} - lse{of}), 0f, {s} <= LOWEST);")
        slope.append(f"{s} = {s} * ({d} - delta{of});")
    scale = [f"({w.typed('scale', 'f32')} * {math.log(2.0)}f)"] * 4
    new_line = "\n"
    by_powers = [b.accumulate("b", "s", columns[1], column_count, f.width_v)] if powers else []
    by_slopes = []
    if slopes:
        by_slopes = [b.products("d", (rows[1], row_count), (columns[1], column_count), f.width_v), *slope]
        by_slopes.append(b.accumulate("a", "s", columns[0], column_count, f.width))
    text = f"""{b.head(*results)}
{entry(f.threads)}
{b.begin(last_first=p.causal and by_query)}
{b.sums("a", f.width) if slopes else ""}
{b.sums("b", f.width_v) if powers else ""}
{read if by_query else ""}
let end = {end};
for (var column_first = {begin}; column_first < end; column_first += {f.columns}u) {{
{b.products("s", (rows[0], row_count), (columns[0], column_count), f.width)}
{b.scale(by_query)}
{"" if by_query else read}
{new_line.join([*lines, *by_powers, *by_slopes])}
}}
{b.store(f"d{rows[0]}", "a", f.width, row_count, scale) if slopes else ""}
{b.store(f"d{rows[1]}", "b", f.width_v, row_count, ["1f"] * 4) if powers else ""}
}}
"""
    count = p.queries if by_query else p.keys
    flops = 2 * _pairs(p) * (p.width + slopes * (p.width + p.width_v) + powers * p.width_v)
    b.dispatch(lowering, kind, -(-count // f.rows), text, results, flops)
