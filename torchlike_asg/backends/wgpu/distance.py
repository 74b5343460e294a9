"""Distances between the rows of two matrices."""

from __future__ import annotations

import math

from ...dtypes import float64
from ..views import broadcast
from .calls import LibraryNode, Lowering, library
from .copies import fill
from .finish import finish_function
from .points import Scope, Stream, points

#: what a difference adds to the distance, and the distance of the sum, by the norm
_NORMS = {
    0.0: ("total += select(select(0f, 1f, gap != 0f), gap, k_isnan(gap))", "total"),
    1.0: ("total += gap", "total"),
    2.0: ("total = fma(gap, gap, total)", "k_sqrt(total)"),
    math.inf: ("total = select(k_max(total, gap), total, k_isnan(gap))", "total"),
}
_ANY = "total += k_pow(gap, {p})", "k_pow(total, 1f / {p})"


@library("cdist", "cdist_euclidean")
def _cdist(lowering: Lowering, node: LibraryNode) -> bool:
    (a, b), out = node.operands, node.result
    if a.dtype is float64 or 0 in out.shape:
        return False
    p = float(node.attrs[0]) if node.attrs else 2.0
    if not a.shape[-1]:
        fill(lowering, out, 0)
        return True
    lead = out.shape[:-2]
    rows = broadcast(a, (*lead, *a.shape[-2:])).strides
    columns = broadcast(b, (*lead, *b.shape[-2:])).strides

    def body(s: Scope) -> str:
        add, end = (text.format(p=s.words.typed("p", "f32")) for text in _NORMS.get(p, _ANY))
        return f"""var total = 0f;
for (var k = 0u; k < {s["length"]}; k++) {{
let gap = abs(m1[a1 + k * {s["step_a"]}] - m2[a2 + k * {s["step_b"]}]);
{add};
}}
m0[a0] = finish({end});"""

    streams = [Stream(out, out.strides), Stream(a, (*rows[:-1], 0)), Stream(b, (*columns[:-2], 0, columns[-2]))]
    words: dict[str, int | float] = {"length": a.shape[-1], "step_a": a.strides[-1], "step_b": b.strides[-1]}
    words["p"] = 0.0 if p in _NORMS else p
    key = ("cdist", p if p in _NORMS else "any", out.dtype.name)
    flops = 3 * math.prod(out.shape) * a.shape[-1]
    points(lowering, key, node.op, out.shape, streams, body, (0,), words, lambda _: finish_function(out.dtype), flops=flops)
    return True
