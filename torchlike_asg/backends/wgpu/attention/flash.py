"""Attention without its scores in memory: blocks of keys with running maxima and sums (Milakov & Gimelshein, 2018; Dao et al., 2022); the
gradients compute the scores once more.

All kernels *sweep*: a workgroup keeps a block of rows in shared memory and goes over blocks of columns. Rows are queries and columns keys,
but for the gradients of keys and values, where it is the other way round. Each invocation has 4 rows and 4 columns of the scores, strided
by the grid of invocations; of the results the same rows, and columns in fours. Operands lie in shared memory as rows of vec4, one longer
than needed.

Powers are of 2: scores are scaled by log2(e). What a query must not see gets the score LOWEST and the probability 0.
"""

from __future__ import annotations

import math

from ....dtypes import float32
from ..calls import Lowering
from ..copies import temporary
from ..points import Stream, points
from .block import BlockText, Form, entry, form_of, tile_size
from .problem import Problem

#: pairs of a query and a key from which on the scores are not kept
MANY = 512 * 512


def forward(lowering: Lowering, p: Problem) -> bool:
    """The result; whether there are so many scores that this pays, and the adapter has the memory."""
    return p.queries * p.keys >= MANY and _forward(lowering, p)


def backward(lowering: Lowering, p: Problem) -> bool:
    """The gradients of queries, keys and values; that of a mask is as large as the scores, and so not computed here."""
    if p.queries * p.keys < MANY or "dm" in p.views:
        return False
    caps = lowering.caps
    swept = form_of(caps, p, lambda f: 2 * tile_size(f, f.rows) + tile_size(f, f.columns) * 2 + 2 * f.columns * f.down)
    if swept is None:
        return False
    rows = (*p.sizes, p.queries, 1)
    q = p.add(
        o=temporary(lowering, (*p.sizes, p.queries, p.width_v), float32),
        lse=temporary(lowering, rows, float32),
        delta=temporary(lowering, rows, float32),
    )
    if not _forward(lowering, q):
        return False
    _deltas(lowering, q)
    if "dq" in p.views:
        _sweep(lowering, q, swept, "attention_queries", ("q", "g"), ("k", "v"), ("dq",))
    if "dk" in p.views or "dv" in p.views:
        results = tuple(name for name in ("dk", "dv") if name in p.views)
        _sweep(lowering, q, swept, "attention_keys", ("k", "v"), ("q", "g"), results)
    return True


# ---------------------------------------------------------------- forward
def _pairs(p: Problem) -> float:
    return p.count * p.queries * p.keys * (0.5 if p.causal else 1.0)


def _forward(lowering: Lowering, p: Problem) -> bool:
    """The result, and where ``lse`` is an operand the logarithm (of base 2) of each row's sum, for gradients."""
    f = form_of(lowering.caps, p, lambda f: tile_size(f, f.rows) + tile_size(f, f.columns) + f.columns * f.down + f.across * f.down)
    if f is None:
        return False
    keep = "lse" in p.views
    names = ["q", "k", "v", *(["m"] if p.mask else []), "o", *(["lse"] if keep else [])]
    b = BlockText(p, f, names)
    w = b.w
    across, down = f.across, f.down
    last = f"min({w['keys']}, row_first + {f.rows}u)" if p.causal else w["keys"]
    each = [(i, j) for i in range(4) for j in range(4)]
    tops = "\n".join(f"var top{i} = max(max(s{i}0, s{i}1), max(s{i}2, s{i}3));" for i in range(4))
    powers = "\n".join(f"let p{i}{j} = select(exp2(s{i}{j} - high.{'xyzw'[i]}), 0f, s{i}{j} <= LOWEST);" for i, j in each)
    totals = ", ".join(f"p{i}0 + p{i}1 + p{i}2 + p{i}3" for i in range(4))
    fade = "\n".join(f"o{i}_{j} = o{i}_{j} * fade.{'xyzw'[i]};" for i in range(4) for j in range(f.reach(f.width_v)))
    keep_text = "\n".join(
        f"if (x == 0u && row_first + y + {i * down}u < {w['queries']}) {{ {b.memory('lse')}[lse_at + (row_first + y + {i * down}u) * "
        f"{w['lse_row']}] = select(high.{c} + log2(total.{c}), 1e30f, total.{c} == 0f); }}"
        for i, c in enumerate("xyzw")
    ) if keep else ""  # fmt: skip
    text = f"""{b.head()}{b.finishes("o")}
var<workgroup> q_tile: array<vec4<f32>, {f.rows * f.pitch(f.width)}>;
var<workgroup> tile: array<vec4<f32>, {tile_size(f, f.columns)}>;
var<workgroup> p_tile: array<vec4<f32>, {f.columns * down}>;
var<workgroup> seen: array<vec4<f32>, {across * down}>;
{entry(f.threads)}
{b.begin(f.rows)}
{b.bring("q", "q_tile", f.rows, f.width, "row_first", w["queries"])}
{b.sums("o", f.width_v)}
var high = vec4<f32>(LOWEST);
var total = vec4<f32>();
let last = {last};
for (var column_first = 0u; column_first < last; column_first += {f.columns}u) {{
{b.bring("k", "tile", f.columns, f.width, "column_first", w["keys"])}
workgroupBarrier();
{b.products("s", "q_tile", "tile", f.width)}
{b.scores(True)}
{tops}
seen[x * {down}u + y] = vec4<f32>(top0, top1, top2, top3);
workgroupBarrier();
let before = high;
for (var i = 0u; i < {across}u; i++) {{ high = max(high, seen[i * {down}u + y]); }}
let fade = exp2(before - high);
{powers}
total = total * fade + vec4<f32>({totals});
{fade}
{b.spread("p_tile", "p")}
{b.bring("v", "tile", f.columns, f.width_v, "column_first", w["keys"])}
workgroupBarrier();
{b.accumulate("o", "p_tile", "tile", f.width_v)}
workgroupBarrier();
}}
seen[x * {down}u + y] = total;
workgroupBarrier();
total = vec4<f32>();
for (var i = 0u; i < {across}u; i++) {{ total += seen[i * {down}u + y]; }}
let factor = select(1f / total, vec4<f32>(), total == vec4<f32>());
{b.store("o", "o", f.width_v, w["queries"], ["factor.x", "factor.y", "factor.z", "factor.w"])}
{keep_text}
}}
"""
    writes = ["o", *(["lse"] if keep else [])]
    b.dispatch(lowering, "attention", -(-p.queries // f.rows), text, writes, 2 * _pairs(p) * (p.width + p.width_v))
    return True


# ---------------------------------------------------------------- gradients
def _deltas(lowering: Lowering, p: Problem) -> None:
    """``delta``: the product of each row of the result with its gradient."""
    o, g, out = p.views["o"], p.views["g"], p.views["delta"]
    words = {"width": p.width_v, "o_column": o.strides[-1], "g_column": g.strides[-1]}
    points(
        lowering, ("attention_deltas",), "attention deltas", (*p.sizes, p.queries),
        [Stream(o, o.strides[:-1]), Stream(g, g.strides[:-1]), Stream(out, out.strides[:-1])],
        lambda s: f"""var sum = 0f;
for (var c = 0u; c < {s["width"]}; c++) {{ sum = fma(m0[a0 + c * {s["o_column"]}], m1[a1 + c * {s["g_column"]}], sum); }}
m2[a2] = sum;""",
        (2,), words,
    )  # fmt: skip


def _sweep(
    lowering: Lowering, p: Problem, f: Form, kind: str, rows: tuple[str, str], columns: tuple[str, str], results: tuple[str, ...]
) -> None:
    """The gradients that add up over the columns: with S the slopes of the scores and P the probabilities (rows by columns), those of the
    first operand of the rows are S times the first operand of the columns, those of the second are P times their second.
    """
    by_query = rows[0] == "q"
    names = [*rows, *columns, "lse", "delta", *(["m"] if p.mask else []), *results]
    b = BlockText(p, f, names)
    w = b.w
    row_count, column_count = (w["queries"], w["keys"]) if by_query else (w["keys"], w["queries"])
    begin, end = "0u", column_count
    if p.causal and by_query:
        end = f"min({column_count}, row_first + {f.rows}u)"
    elif p.causal:
        begin = f"row_first / {f.columns}u * {f.columns}u"
    lines = []
    for i in range(4):
        for j in range(4):
            c = "xyzw"[i]
            lse, delta = (f"lse.{c}", f"delta.{c}") if by_query else (f"lse{j}", f"delta{j}")
            lines.append(f"let p{i}{j} = select(exp2(s{i}{j} - {lse}), 0f, s{i}{j} <= LOWEST);")
            lines.append(f"let e{i}{j} = p{i}{j} * (d{i}{j} - {delta});")

    def statistic(name: str, query: str) -> str:
        return f"{b.memory(name)}[{name}_at + min({query}, {w['queries']} - 1u) * {w[f'{name}_row']}]"

    once = each = ""
    if by_query:
        of_rows = {n: ", ".join(statistic(n, f"row_first + y + {i * f.down}u") for i in range(4)) for n in ("lse", "delta")}
        once = f"let lse = vec4<f32>({of_rows['lse']});\nlet delta = vec4<f32>({of_rows['delta']});"
    else:
        each = "\n".join(
            f"let {n}{j} = {statistic(n, f'column_first + x + {j * f.across}u')};" for n in ("lse", "delta") for j in range(4)
        )  # fmt: skip
    first, second = rows
    slopes, powers = f"d{first}" in results, f"d{second}" in results
    scale = [f"({w.typed('scale', 'f32')} * {math.log(2.0)}f)"] * 4
    parts = {
        "sums": [b.sums("a", f.width) if slopes else "", b.sums("b", f.width_v) if powers else ""],
        "spread": [b.spread("e_tile", "e") if slopes else "", b.spread("p_tile", "p") if powers else ""],
        "accumulate": [
            b.accumulate("a", "e_tile", "first_columns", f.width) if slopes else "",
            b.accumulate("b", "p_tile", "second_columns", f.width_v) if powers else "",
        ],
        "store": [
            b.store(f"d{first}", "a", f.width, row_count, scale) if slopes else "",
            b.store(f"d{second}", "b", f.width_v, row_count, ["1f"] * 4) if powers else "",
        ],
    }
    joined = {name: "\n".join(p for p in pieces if p) for name, pieces in parts.items()}
    new_line = "\n"
    text = f"""{b.head()}{b.finishes(*results)}
var<workgroup> first_rows: array<vec4<f32>, {f.rows * f.pitch(f.width)}>;
var<workgroup> second_rows: array<vec4<f32>, {f.rows * f.pitch(f.width_v)}>;
var<workgroup> first_columns: array<vec4<f32>, {f.columns * f.pitch(f.width)}>;
var<workgroup> second_columns: array<vec4<f32>, {f.columns * f.pitch(f.width_v)}>;
var<workgroup> p_tile: array<vec4<f32>, {f.columns * f.down}>;
var<workgroup> e_tile: array<vec4<f32>, {f.columns * f.down}>;
{entry(f.threads)}
{b.begin(f.rows)}
{b.bring(first, "first_rows", f.rows, f.width, "row_first", row_count)}
{b.bring(second, "second_rows", f.rows, f.width_v, "row_first", row_count)}
{joined["sums"]}
{once}
let end = {end};
for (var column_first = {begin}; column_first < end; column_first += {f.columns}u) {{
{b.bring(columns[0], "first_columns", f.columns, f.width, "column_first", column_count)}
{b.bring(columns[1], "second_columns", f.columns, f.width_v, "column_first", column_count)}
workgroupBarrier();
{b.products("s", "first_rows", "first_columns", f.width)}
{b.products("d", "second_rows", "second_columns", f.width_v)}
{b.scores(by_query)}
{each}
{new_line.join(lines)}
{joined["spread"]}
workgroupBarrier();
{joined["accumulate"]}
workgroupBarrier();
}}
{joined["store"]}
}}
"""
    count = p.queries if by_query else p.keys
    flops = 2 * _pairs(p) * (p.width + p.width_v + (p.width if slopes else 0) + (p.width_v if powers else 0))
    b.dispatch(lowering, kind, -(-count // f.rows), text, results, flops)
