"""Interpolation and its gradient, pass by pass (see `backends.resampling`); the tables are words of the dispatch."""

from __future__ import annotations

from ...dtypes import float64
from ..resampling import Table, passes
from .calls import LibraryNode, Lowering, View, library
from .copies import copy, temporary
from .finish import finish_function
from .halves import halves, longest
from .points import Scope, Stream, points

#: words that a table may take: the weakest adapters offer 16 KiB for all words
_MANY = 4000


@library("interpolate", "interpolate_grad")
def _interpolate(lowering: Lowering, node: LibraryNode) -> bool:
    x, out = node.operands[0], node.result
    if not x.dtype.is_floating_point or x.dtype is float64 or 0 in x.shape or 0 in out.shape:
        return False
    there, steps = tuple(node.attrs[0]), passes(node)
    if any(len(table) + 1 + 2 * sum(map(len, table)) > _MANY for _, table in steps):
        return False
    if not steps:
        copy(lowering, x, out)
        return True
    for i, (d, table) in enumerate(steps):
        shape = (*x.shape[: d + 2], there[d], *x.shape[d + 3 :])
        y = out if i == len(steps) - 1 else temporary(lowering, shape, x.dtype)
        _along(lowering, node.op, x, y, d + 2, table)
        x = y
    return True


def _along(lowering: Lowering, label: str, x: View, out: View, dim: int, table: Table) -> None:
    """The pass along one dimension: an invocation for each output."""
    cut = longest(lowering, (x, out), [d for d in range(len(x.shape)) if d != dim])
    if cut is not None:
        for part, to in halves((x, out), cut):
            _along(lowering, label, part, to, dim, table)
        return
    starts, entries = [0], list[int | float]()
    for row in table:
        starts.append(starts[-1] + len(row))
        for p, weight in row:
            entries += [p, float(weight)]
    # a power of two, so that tables of about the same length share a shader
    size = 1 << (len(starts) + len(entries) - 1).bit_length()
    listed = [*starts, *entries, *[0] * (size - len(starts) - len(entries))]
    words: dict[str, int | float] = {"step": x.strides[dim], "entries": len(starts)}
    words |= {f"table{k}": v for k, v in enumerate(listed)}
    steps = list(x.strides)
    steps[dim] = 0

    def body(s: Scope) -> str:
        start, end = s.words.indexed("table0", f"i{dim}"), s.words.indexed("table0", f"i{dim} + 1u")
        entry = s.words.indexed("table0", f"{s['entries']} + 2u * k")
        weight = s.words.indexed("table0", f"{s['entries']} + 2u * k + 1u")
        return f"""var sum = 0f;
for (var k = {start}; k < {end}; k++) {{ sum = fma(bitcast<f32>({weight}), m0[a0 + {entry} * {s["step"]}], sum); }}
m1[a1] = finish(sum);"""

    key = ("resample", x.dtype.name, size, dim)
    streams = [Stream(x, tuple(steps)), Stream(out, out.strides)]
    points(
        lowering, key, label, out.shape, streams, body, (1,), words, lambda _: finish_function(out.dtype), indexed=True,
        flops=2 * starts[-1],
    )  # fmt: skip
