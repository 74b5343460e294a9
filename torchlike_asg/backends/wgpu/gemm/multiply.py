"""Dispatches of the tiled product, in one part or several."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from ....dtypes import dtype
from ..calls import Binding, Dispatch, Lowering, Source, View, declarations, flat_index
from ..finish import complete
from ..words import Words
from .kernel import WORDS, Loader, batch_words, places, tiled
from .output import Output, output
from .tiles import Plan

#: one dimension of a batch: its size, and the steps of a, w, c and the initial value
Batch = tuple[int, int, int, int, int]
#: invocations of a workgroup of the kernel that sums parts
SUMMERS = 64
_SUM_WORDS = ("m", "n", "count", "pitch", "parts", "part")


@dataclass(frozen=True)
class Sizes:
    """The lengths of a batch of products."""

    m: int
    n: int
    k: int
    batch: tuple[Batch, ...] = ()

    @property
    def count(self) -> int:
        total = 1
        for d in self.batch:
            total *= d[0]
        return total


def multiply(lowering: Lowering, label: str, sizes: Sizes, plan: Plan, a: Loader, w: Loader, out: Output) -> None:
    """Add the dispatches of ``c = a @ w``, the loaders and the output saying what those are."""
    s = sizes
    flops = 2 * s.count * s.m * s.n * s.k
    if plan.parts == 1:
        _product(lowering, label, s, plan, a, w, out, 0, flops)
        return
    pitch = -(-s.n // 4) * 4
    size = s.m * pitch  # of one matrix of one part
    sums = _working_type(out.dtype)
    temporary = View(
        lowering.temporary(4 * plan.parts * s.count * size), (plan.parts, s.count, s.m, s.n), (s.count * size, size, pitch, 1), 0, sums
    )
    steps, step = [], size
    for d in reversed(s.batch):
        steps.append((*d[:3], step, 0))
        step *= d[0]
    inner = Sizes(s.m, pitch, s.k, tuple(reversed(steps)))
    padded = View(temporary.slot, (*temporary.shape[:3], pitch), temporary.strides, 0, sums)
    into = output(padded, ((s.m, pitch),), ((pitch, 1),), [d[3] for d in steps])
    _product(lowering, label, Sizes(s.m, s.n, s.k, inner.batch), plan, a, w, into, s.count * size, flops)
    _sum(lowering, label, s, plan.parts, temporary, pitch, out)


def _working_type(d: dtype) -> dtype:
    from ....dtypes import float32, int32

    return float32 if d.is_floating_point else int32


def _product(lowering: Lowering, label: str, s: Sizes, plan: Plan, a: Loader, w: Loader, out: Output, part_c: int, flops: int) -> None:
    t = plan.tile
    down, across = -(-s.m // t.rows), -(-s.n // t.columns)
    groups = down * across * plan.parts * s.count
    rank = len(s.batch)
    element = "f32" if out.dtype.is_floating_point else "i32"
    key = ("gemm", t.key, element, a.key, w.key, out.key, rank)
    words = Words((*WORDS, *(f"a_{x}" for x in a.words), *(f"w_{x}" for x in w.words), *batch_words(rank), *out.words))
    values = {
        "groups": groups, "m": s.m, "n": s.n, "k": s.k, "step": plan.step, "down": down, "across": across, "parts": plan.parts,
        "part_c": part_c, **{f"a_{x}": v for x, v in a.words.items()}, **{f"w_{x}": v for x, v in w.words.items()},
        **dict(zip(batch_words(rank), [x for d in s.batch for x in d], strict=True)), **out.values,
    }  # fmt: skip
    lowering.add(
        Dispatch(
            Source(key, lambda: complete(tiled(t, element, a, w, out, rank)), trusted=True),
            (a.binding, w.binding, *out.bindings),
            words.values(cast("dict[str, int | float]", values)),
            groups,
            out.writes,
            f"{label} {s.count}x{s.m}x{s.n}x{s.k}",
            flops,
            4 * s.count * (s.m * s.n + s.m * s.k + s.k * s.n),
        )
    )


def _sum(lowering: Lowering, label: str, s: Sizes, parts: int, temporary: View, pitch: int, out: Output) -> None:
    """The parts' sum, then what becomes of it."""
    rank = len(s.batch)
    names = Words((*_SUM_WORDS, *batch_words(rank), *out.words))
    element = "f32" if out.dtype.is_floating_point else "i32"
    values = {
        "m": s.m, "n": s.n, "count": s.count, "pitch": pitch // 4, "parts": parts, "part": s.count * s.m * pitch // 4,
        **dict(zip(batch_words(rank), [x for d in s.batch for x in d], strict=True)), **out.values,
    }  # fmt: skip
    work = s.count * s.m * pitch // 4
    lowering.add(
        Dispatch(
            Source(("gemm_sum", element, out.key, rank), lambda: complete(_sum_text(names, element, out, rank)), trusted=True),
            (Binding(temporary.slot), *out.bindings),
            names.values(cast("dict[str, int | float]", values)),
            -(-work // SUMMERS),
            out.writes,
            f"{label} sum of {parts} parts",
            bytes=4 * (parts + 1) * s.count * s.m * s.n,
        )
    )


def _sum_text(words: Words, element: str, out: Output, rank: int) -> str:
    return f"""{declarations([f"vec4<{element}>", *out.types], len(words))}
{out.functions(words, 1)}
@compute @workgroup_size({SUMMERS}) fn main(
    @builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {{
let id = {flat_index()} * {SUMMERS}u + lane;
let across = {words["pitch"]};
let batch = id / (across * {words["m"]});
if (batch >= {words["count"]}) {{ return; }}
let row = (id / across) % {words["m"]};
let parts = {words["parts"]};
let by = {words["part"]};
var sums = vec4<{element}>();
var others = vec4<{element}>();
var p = 0u;
for (; p + 3u < parts; p += 4u) {{
let four = array<vec4<{element}>, 4>(
m0[id + p * by], m0[id + (p + 1u) * by], m0[id + (p + 2u) * by], m0[id + (p + 3u) * by]);
sums += four[0] + four[2];
others += four[1] + four[3];
}}
for (; p < parts; p++) {{ sums += m0[id + p * by]; }}
sums += others;
var c_at = {words["c_at"]};
var i_at = {words["i_at"]};
{places(words, rank, "ci")}
store(batch, c_at, i_at, row, (id % across) * 4u, sums);
}}
"""
