"""Attention as products of matrices and a kernel over the rows of scores between them: few queries of many keys, gradients of masks."""

from __future__ import annotations

import math
from dataclasses import replace

from ....dtypes import float32
from ...products import Product
from ..calls import Lowering, View
from ..copies import temporary
from ..finish import finish_function
from ..gemm import add_product
from ..points import Scope, Stream, points
from .problem import Problem

#: invocations for a row of scores, and in a workgroup
LANES, GROUP = 32, 128
_SHARED = f"var<workgroup> seen: array<f32, {GROUP}>;\n"


def forward(lowering: Lowering, p: Problem) -> None:
    """o = softmax(scale q k^T + mask) v"""
    s = _scores(lowering, p)
    _product(lowering, p, s, p.views["v"], p.views["o"])


def backward(lowering: Lowering, p: Problem) -> None:
    """With P the probabilities, D = g v^T and S = P (D - sum over keys of P D): dq = scale S k, dk = scale S^T q, dv = P^T g, dm = S."""
    views = p.views
    s = _scores(lowering, p)
    if "dv" in views:
        _product(lowering, p, _turned(s), views["g"], views["dv"])
    if not {"dq", "dk", "dm"} & set(views):
        return
    d = temporary(lowering, s.shape, float32)
    _product(lowering, p, views["g"], _turned(views["v"]), d)
    _slopes(lowering, p, s, d)
    if "dq" in views:
        _product(lowering, p, d, views["k"], views["dq"])
    if "dk" in views:
        _product(lowering, p, _turned(d), views["q"], views["dk"])


def _turned(v: View) -> View:
    return replace(v, shape=(*v.shape[:-2], v.shape[-1], v.shape[-2]), strides=(*v.strides[:-2], v.strides[-1], v.strides[-2]))


def _product(lowering: Lowering, p: Problem, a: View, b: View, c: View) -> None:
    """c = a b, for each attention."""
    (m, k), n = a.shape[-2:], b.shape[-1]
    batch = tuple((size, x, y, z, 0) for size, x, y, z in zip(p.sizes, a.strides, b.strides, c.strides, strict=False))
    if m * n * p.count:
        steps = *a.strides[-2:], *b.strides[-2:], *c.strides[-2:]
        add_product(lowering, "attention", Product(a, b, c, None, m, n, k, *steps, 0, 0, batch))


def _scores(lowering: Lowering, p: Problem) -> View:
    """The probabilities, dense."""
    s = temporary(lowering, (*p.sizes, p.queries, p.keys), float32)
    _product(lowering, p, p.views["q"], _turned(p.views["k"]), s)
    rows = (*p.sizes, p.queries)
    streams = [Stream(s, s.strides[:-1])]
    if p.mask:
        streams.append(Stream(p.views["m"], p.steps("m")[:-1]))
    words = {"keys": p.keys, "queries": p.queries, "scale": float(p.scale), "column": p.steps("m")[-1] if p.mask else 0}

    def score(x: Scope) -> str:
        """The function ``score(at, m_at, row, column)``; the lowest number for pairs that must not be seen."""
        lines = [f"var s = m0[at + column] * {x.words.typed('scale', 'f32')};"]
        if p.mask == "f32":
            lines.append(f"s = s + m1[m_at + column * {x['column']}];")
            lines.append("s = select(s, LOWEST, s < LOWEST);")
        if p.mask == "u32":
            lines.append(f"s = select(LOWEST, s, m1[m_at + column * {x['column']}] != 0u);")
        if p.causal:
            lines.append("s = select(s, LOWEST, column > row);")
        return (
            "const LOWEST = -1e30f;\nfn score(at: u32, m_at: u32, row: u32, column: u32) -> f32 {\n" + "\n".join(lines) + "\nreturn s;\n}\n"
        )

    def body(x: Scope) -> str:
        mask_at = "a1" if p.mask else "0u"
        return f"""
let row = select(0u, id, live) % {x["queries"]};
let keys = select(0u, {x["keys"]}, live);
let own = lane % {LANES}u;
var top = LOWEST;
for (var c = own; c < keys; c += {LANES}u) {{ let s = score(a0, {mask_at}, row, c); top = select(max(top, s), s, k_isnan(s)); }}
{_over_lanes("top", "max")}
var sum = 0f;
for (var c = own; c < keys; c += {LANES}u) {{
let s = score(a0, {mask_at}, row, c);
sum += select(exp(s - top), 0f, s <= LOWEST);
}}
{_over_lanes("sum", "sum")}
let factor = select(1f / sum, 0f, sum == 0f);
for (var c = own; c < keys; c += {LANES}u) {{
let s = score(a0, {mask_at}, row, c);
m0[a0 + c] = select(exp(s - top), 0f, s <= LOWEST) * factor;
}}
"""

    points(
        lowering, ("attention_rows", p.mask, p.causal), "attention softmax", rows, streams, body, (0,), words, score,
        lanes=LANES, group=GROUP, shared=_SHARED,
    )  # fmt: skip
    return s


def _over_lanes(name: str, how: str) -> str:
    """A value of each lane combined over all of a row."""
    both = "max(seen[lane], seen[lane + half])" if how == "max" else "seen[lane] + seen[lane + half]"
    return f"""workgroupBarrier();
seen[lane] = {name};
workgroupBarrier();
for (var half = {LANES // 2}u; half > 0u; half = half / 2u) {{
if (own < half) {{ seen[lane] = {both}; }}
workgroupBarrier();
}}
{name} = seen[lane - own];"""


def _slopes(lowering: Lowering, p: Problem, s: View, d: View) -> None:
    """``d = scale p (d - sum of p d)`` for each row, without the scale for the mask."""
    streams = [Stream(s, s.strides[:-1]), Stream(d, d.strides[:-1])]
    to_mask = p.views.get("dm")
    if to_mask is not None:
        streams.append(Stream(to_mask, to_mask.strides[:-1]))
    words = {"keys": p.keys, "scale": float(p.scale), "column": to_mask.strides[-1] if to_mask is not None else 0}

    def body(x: Scope) -> str:
        store = f"m2[a2 + c * {x['column']}] = finish(slope);" if to_mask is not None else ""
        return f"""
let keys = select(0u, {x["keys"]}, live);
let own = lane % {LANES}u;
var sum = 0f;
for (var c = own; c < keys; c += {LANES}u) {{ sum = fma(m0[a0 + c], m1[a1 + c], sum); }}
{_over_lanes("sum", "sum")}
for (var c = own; c < keys; c += {LANES}u) {{
let slope = m0[a0 + c] * (m1[a1 + c] - sum);
{store}
m1[a1 + c] = slope * {x.words.typed("scale", "f32")};
}}
"""

    result = (to_mask or d).dtype
    key = ("attention_slopes", to_mask is not None and result.name)
    points(
        lowering, key, "attention slopes", (*p.sizes, p.queries), streams, body, (1, 2) if to_mask is not None else (1,), words,
        lambda x: finish_function(result), lanes=LANES, group=GROUP, shared=_SHARED, flops=4 * math.prod(d.shape),
    )  # fmt: skip
