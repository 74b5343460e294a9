"""Sorting: positions in order along a dimension, all of them, some, or the one at the middle.

An element becomes an unsigned *key* that orders as the elements do, -0 with 0 and every NaN last (inverted for descending order). In short
lines each element counts those that come before it. Longer ones are records (key, position) in memory, their number filled up to a power of
two, and sorted by merging bitonic sequences (Batcher, 1968): pieces of `PIECE` records in the memory of a workgroup, longer distances by a
dispatch for each. Positions break ties, so equal elements keep their order.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

from ...dtypes import dtype, float64, int32, int64
from ..subscripts import Index
from .calls import Binding, Dispatch, LibraryNode, Lowering, Source, View, declarations, element, flat_index, library, word
from .copies import copy, fill, temporary
from .finish import complete
from .halves import divisible, halves, longest
from .indexed import indexed
from .lines import flat, without
from .points import Scope, Stream, points

#: longest lines whose elements count
_SHORT = 256
#: records that a workgroup sorts in its memory (8 bytes each), and its invocations
PIECE, GROUP = 1024, 128
_RECORD = "vec2<u32>"


# ---------------------------------------------------------------- operations
@library("argsort")
def _argsort(lowering: Lowering, node: LibraryNode) -> bool:
    dim, descending = node.attrs
    x = node.operands[0]
    return _some(lowering, x, node.result, dim, descending, 0, x.shape[dim] if x.shape else 1)


@library("topk_index")
def _topk(lowering: Lowering, node: LibraryNode) -> bool:
    k, dim, largest = node.attrs
    return k > 0 and _some(lowering, node.operands[0], node.result, dim, largest, 0, k)


@library("kth_index")
def _kth(lowering: Lowering, node: LibraryNode) -> bool:
    dim, k = node.attrs
    return _some(lowering, node.operands[0], node.result, dim, False, k, 1)


@library("median_index")
def _median(lowering: Lowering, node: LibraryNode) -> bool:
    dim, skip_nan = node.attrs
    return _middle(lowering, node.operands[0], node.result, dim, skip_nan)


@library("median", "nanmedian")
def _median_of_all(lowering: Lowering, node: LibraryNode) -> bool:
    """The median's position in the elements as one line, and what lies there."""
    x = node.operands[0]
    if 0 in x.shape:
        return False
    x = flat(lowering, x)
    at = temporary(lowering, (1,), int64)
    if not _middle(lowering, x, at, 0, node.op == "nanmedian"):
        return False
    out = node.result
    return indexed(lowering, node.op, (1,), out, (0,), x, (0,), [Index(at, (0,), x.shape[0], 1, False)], write=False)


@library("mode_index")
def _mode(lowering: Lowering, node: LibraryNode) -> bool:
    """The last position of the longest run in the order, of the first of several."""
    x, (dim,), out = node.operands[0], node.attrs, node.result
    if not _possible(x, out):
        return False
    if not x.shape:
        fill(lowering, out, 0)
        return True
    return _by_lines(lowering, x, out, dim, _modes)


def _modes(lowering: Lowering, x: View, out: View, dim: int) -> None:
    _over_records(lowering, "mode", _records(lowering, x, dim, False), x, out, dim, lambda s: f"""
var longest = 0u;
var found = 0u;
var run = 0u;
for (var k = 0u; k < {s["length"]}; k++) {{
let here = m0[a0 + k].x;
let again = k > 0u && here == m0[a0 + k - 1u].x{_number(x, "here", " && ")};
run = select(1u, run + 1u, again);
if (run > longest) {{ longest = run; found = k; }}
}}
m1[a1] = i32(m0[a0 + found].y);""")  # fmt: skip


def _number(x: View, key: str, before: str = "") -> str:
    """The condition that a key is not that of a NaN."""
    return f"{before}{key} != 0xffffffffu" if x.dtype.is_floating_point else ""


def _possible(x: View, out: View) -> bool:
    return x.dtype is not float64 and not x.dtype.is_complex and 0 not in x.shape and 0 not in out.shape


def _some(lowering: Lowering, x: View, out: View, dim: int, descending: bool, first: int, count: int) -> bool:
    """Positions `first` to ``first + count`` of the order."""
    if not _possible(x, out):
        return False
    if not x.shape:
        fill(lowering, out, 0)
        return True
    if x.shape[dim] <= _SHORT:
        return _by_lines(lowering, x, out, dim, lambda low, x, out, dim: _count(low, x, out, dim, descending, first, count), recorded=False)

    def taken(lowering: Lowering, x: View, out: View, dim: int) -> None:
        records = _records(lowering, x, dim, descending)
        shape, steps = without(records, len(records.shape) - 1)
        steps = tuple([2 * s for s in steps])
        found = View(records.slot, (*shape[:dim], count, *shape[dim:]), (*steps[:dim], 2, *steps[dim:]), 2 * first + 1, int32)
        copy(lowering, found, replace(out, dtype=int32))

    return _by_lines(lowering, x, out, dim, taken)


def _middle(lowering: Lowering, x: View, out: View, dim: int, skip_nan: bool) -> bool:
    """The lower median: of the first NaN if there is one, or among the numbers only."""
    if not _possible(x, out):
        return False
    if not x.shape:
        fill(lowering, out, 0)
        return True
    return _by_lines(lowering, x, out, dim, lambda low, x, out, dim: _middles(low, x, out, dim, skip_nan))


def _middles(lowering: Lowering, x: View, out: View, dim: int, skip_nan: bool) -> None:
    place = "(max(low, 1u) - 1u) / 2u" if skip_nan else "select(({length} - 1u) / 2u, low, low < {length})"
    _over_records(lowering, f"median{skip_nan}", _records(lowering, x, dim, False), x, out, dim, lambda s: f"""
var low = 0u;
var high = {s["length"]};
while (low < high) {{
let middle = (low + high) / 2u;
if ({_number(x, "m0[a0 + middle].x") or "true"}) {{ low = middle + 1u; }} else {{ high = middle; }}
}}
m1[a1] = i32(m0[a0 + {place.format(length=s["length"])}].y);""")  # fmt: skip


def _by_lines(
    lowering: Lowering, x: View, out: View, dim: int, add: Callable[[Lowering, View, View, int], None], *, recorded: bool = True
) -> bool:
    """Have `add` find the positions of all lines, part by part where these or their records are too large to be bound; whether that can
    be. A result without the lines' dimension is given one."""
    if len(out.shape) < len(x.shape):
        out = replace(out, shape=(*out.shape[:dim], 1, *out.shape[dim:]), strides=(*out.strides[:dim], 0, *out.strides[dim:]))
    others = [d for d in range(len(x.shape)) if d != dim]
    held = divisible(lowering, x, others)
    cut = longest(lowering, (held, out), others)
    if cut is None and recorded and 8 * _length(x.shape[dim]) * math.prod([x.shape[d] for d in others]) > lowering.caps.max_binding:
        cut = max(others, key=x.shape.__getitem__, default=dim)
        if cut == dim or x.shape[cut] == 1:
            return False
    if held is not x:
        copy(lowering, x, held)
    if cut is None:
        add(lowering, held, out, dim)
        return True
    return all(_by_lines(lowering, *part, dim, add, recorded=recorded) for part in halves((held, out), cut))


def _length(n: int) -> int:
    """Records of a line."""
    return max(PIECE, 1 << (n - 1).bit_length())


def _over_records(lowering: Lowering, kind: str, records: View, x: View, out: View, dim: int, body: Callable[[Scope], str]) -> None:
    """One invocation for each sorted line."""
    shape, steps = without(records, len(records.shape) - 1)
    target = without(out, dim)[1]
    key = (f"order_{kind}", x.dtype.is_floating_point)
    points(lowering, key, kind, shape, [_stream(records, steps), Stream(out, target)], body, (1,), {"length": x.shape[dim]})


def _stream(records: View, steps: tuple[int, ...]) -> Stream:
    """Records as pairs: their view counts single words."""
    count = 2 * math.prod(records.shape)
    return Stream(replace(records, shape=(count,), strides=(1,)), steps, _RECORD)


# ---------------------------------------------------------------- keys
def _key(x: dtype, descending: bool) -> str:
    """``key_of(x)``: larger for what comes later."""
    t = element(x)
    if x.is_floating_point:
        text = (
            "if (k_isnan(x)) { return 0xffffffffu; }\nvar bits = bitcast<u32>(x);\nif (bits == 0x80000000u) { bits = 0u; }\n"
            "return select(bits | 0x80000000u, ~bits, bits >= 0x80000000u);"
        )
    elif t == "u32":
        text = "return x;"
    else:
        text = "return bitcast<u32>(x) ^ 0x80000000u;"
    turned = "~" if descending else ""
    return f"fn plain_key(x: {t}) -> u32 {{\n{text}\n}}\nfn key_of(x: {t}) -> u32 {{ return {turned}plain_key(x); }}\n"


def _count(lowering: Lowering, x: View, out: View, dim: int, descending: bool, first: int, count: int) -> None:
    """For each element how many come before it: its place."""
    steps = without(x, dim)[1]
    shape = (*without(x, dim)[0], x.shape[dim])
    words = {
        "length": x.shape[dim], "step": x.strides[dim], "first": first, "count": count, "out": out.strides[dim],
    }  # fmt: skip
    last = len(shape) - 1

    def body(s: Scope) -> str:
        return f"""let own = key_of(m0[a0 + i{last} * {s["step"]}]);
var before = 0u;
for (var k = 0u; k < {s["length"]}; k++) {{
let other = key_of(m0[a0 + k * {s["step"]}]);
before += select(0u, 1u, other < own || (other == own && k < i{last}));
}}
let place = before - {s["first"]};
if (place < {s["count"]}) {{ m1[a1 + place * {s["out"]}] = i32(i{last}); }}"""

    target = without(out, dim)[1]
    streams = [Stream(x, (*steps, 0)), Stream(out, (*target, 0))]
    points(
        lowering, ("order_count", x.dtype.is_floating_point, descending), "sort", shape, streams, body, (1,), words,
        lambda _: _key(x.dtype, descending), indexed=True, flops=math.prod(x.shape) * x.shape[dim],
    )  # fmt: skip


# ---------------------------------------------------------------- records
def _records(lowering: Lowering, x: View, dim: int, descending: bool) -> View:
    """Sorted records of every line: (..., records of a line), two words each."""
    n = x.shape[dim]
    size = _length(n)
    shape, steps = without(x, dim)
    count = math.prod(shape)
    slot = lowering.temporary(8 * size * count)
    strides, step = [], size
    for m in reversed(shape):
        strides.append(step)
        step *= m
    records = View(slot, (*shape, size), (*reversed(strides), 1), 0, int32)
    whole = _Pairs(slot, count * size)
    key = ("order_records", x.dtype.is_floating_point, descending)
    streams = [Stream(x, (*steps, 0)), _stream(records, records.strides)]

    def body(s: Scope) -> str:
        k = f"i{len(shape)}"
        return f"""m1[a1] = vec2<u32>(0xffffffffu, {k});
if ({k} < {s["length"]}) {{ m1[a1] = vec2<u32>(key_of(m0[a0 + {k} * {s["step"]}]), {k}); }}"""

    words = {"length": n, "step": x.strides[dim]}
    points(
        lowering, key, "sort records", (*shape, size), streams, body, (1,), words, lambda _: _key(x.dtype, descending), indexed=True
    )  # fmt: skip
    whole.sort(lowering, size)
    return records


_LOCAL = """var<workgroup> held: array<vec2<u32>, {piece}>;
fn later(a: vec2<u32>, b: vec2<u32>) -> bool {{ return a.x > b.x || (a.x == b.x && a.y > b.y); }}
@compute @workgroup_size({group}) fn main(
    @builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {{
let flat = {flat};
if (flat >= {pieces}) {{ return; }}
let base = flat * {piece}u;
for (var i = lane; i < {piece}u; i += {group}u) {{ held[i] = m0[base + i]; }}
for (var length = {first}; length <= {last}; length = length * 2u) {{
for (var by = min(length / 2u, {half}u); by > 0u; by = by / 2u) {{
workgroupBarrier();
for (var i = lane; i < {half}u; i += {group}u) {{
let a = i / by * by * 2u + i % by;
let up = ((base + a) & length) == 0u || length >= {size};
let x = held[a];
let y = held[a + by];
if (later(x, y) == up) {{ held[a] = y; held[a + by] = x; }}
}}
}}
}}
workgroupBarrier();
for (var i = lane; i < {piece}u; i += {group}u) {{ m0[base + i] = held[i]; }}
}}
"""
_GLOBAL = """fn later(a: vec2<u32>, b: vec2<u32>) -> bool {{ return a.x > b.x || (a.x == b.x && a.y > b.y); }}
@compute @workgroup_size({group}) fn main(
    @builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {{
let i = {flat} * {group}u + lane;
if (i >= {pairs}) {{ return; }}
let by = {by};
let a = i / by * by * 2u + i % by;
let up = (a & {length}) == 0u || {length} >= {size};
let x = m0[a];
let y = m0[a + by];
if (later(x, y) == up) {{ m0[a] = y; m0[a + by] = x; }}
}}
"""


class _Pairs:
    """Records in memory, lines of a power of two."""

    def __init__(self, slot: int, count: int) -> None:
        self.slot, self.count = slot, count

    def sort(self, lowering: Lowering, size: int) -> None:
        """Each line of `size` records."""
        self._local(lowering, 2, PIECE, size)
        length = 2 * PIECE
        while length <= size:
            by = length // 2
            while by >= PIECE:
                self._global(lowering, length, by, size)
                by //= 2
            self._local(lowering, length, length, size)
            length *= 2

    def _local(self, lowering: Lowering, first: int, last: int, size: int) -> None:
        """Merges of sequences of `first` to `last` records, at distances within a piece."""
        pieces = self.count // PIECE

        def write() -> str:
            names = {"pieces": word(0), "first": word(1), "last": word(2), "size": word(3)}
            text = _LOCAL.format(piece=PIECE, half=PIECE // 2, group=GROUP, flat=flat_index(), **names)
            return complete(declarations([_RECORD], 4) + text)

        source = Source(("order_local", PIECE, GROUP), write, trusted=True)
        lowering.add(Dispatch(source, (Binding(self.slot),), (pieces, first, last, size), pieces, (self.slot,), "sort"))

    def _global(self, lowering: Lowering, length: int, by: int, size: int) -> None:
        """One step of a merge."""
        pairs = self.count // 2

        def write() -> str:
            names = {"pairs": word(0), "by": word(1), "length": word(2), "size": word(3)}
            return complete(declarations([_RECORD], 4) + _GLOBAL.format(group=GROUP, flat=flat_index(), **names))

        source = Source(("order_global", GROUP), write, trusted=True)
        lowering.add(Dispatch(source, (Binding(self.slot),), (pairs, by, length, size), -(-pairs // GROUP), (self.slot,), "sort"))
