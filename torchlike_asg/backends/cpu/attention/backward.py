"""``sdpa_grad``: the gradients of query, key, value and mask, computed together from recomputed probabilities.

With P the probabilities, D = G V^T and S = P (D - sum over keys of P D): dQ = scale S K, dK = scale S^T Q, dV = P^T G, dmask = S.
One panel of queries at a time, all keys: the panel's scores and D take keys times panel width elements of scratch memory each.
"""

from __future__ import annotations

import contextlib
import math
from dataclasses import dataclass, replace
from typing import Any

from ....dtypes import float32, float64
from ..calls import Call, LibraryNode, Lowering, Source, View, library
from ..emit import Module
from ..values import Value
from .common import BLOCK, LOG2E, Layout, Problem, Writer, functions, merged, problem
from .dropping import Dropout, apply, draw, parted
from .parts import Form, exp2, form, zero

#: attentions fewer than this are divided, so that as many threads have work
UNITS = 16
#: panels that a part should have at least: each part has its own sums over queries, added up afterwards
PANELS = 8
_NAMES = {"query": "dq", "key": "dk", "value": "dv", "mask": "dm"}


@library("sdpa_dropout_grad", selector=3)
@library("sdpa_grad", selector=2)
def lower(lowering: Lowering, node: LibraryNode) -> bool:
    """A unit is one attention, or every n-th panel of one where there are few of them."""
    shape = form(node.result.dtype, lowering.isa)
    if shape is None or any(v.dtype is not node.result.dtype for v in node.operands[:4]):
        return False
    inputs, dropout = parted(node, "gqkvm")
    results = {_NAMES[which]: view for which, view in node.results.items()}
    p = problem(node, inputs | results)
    if p.mask == "double" and shape.element == "float":
        return False
    if not p.count:
        return True
    parts = 1 if p.count >= UNITS else max(1, min(-(-UNITS // p.count), -(-p.queries // shape.width) // PANELS))
    views = dict(p.views)
    if parts > 1:
        views |= {o: _partial(lowering, p, shape, o, parts) for o in ("dk", "dv") if o in results}
        p = replace(p, views=views, strides=p.strides | {o: _steps(p, views[o], parts) for o in ("dk", "dv") if o in results})
    _add(lowering, node, p, shape, parts, dropout)
    if parts > 1:
        for o in ("dk", "dv"):
            if o in results:
                _add_sum(lowering, results[o], views[o], shape, parts)
    return True


def _padded(n: int, multiple: int) -> int:
    return -(-n // multiple) * multiple


def _add(lowering: Lowering, node: LibraryNode, p: Problem, shape: Form, parts: int, dropout: Dropout | None) -> None:
    names = tuple(p.views)
    width, width_v = _padded(p.width, shape.width), _padded(p.width_v, shape.width)
    keys = _padded(p.keys, shape.rows) + 2 * shape.rows
    size = shape.itemsize
    scratch = Layout(
        factor=(shape.lanes, size),
        mask_factor=(shape.lanes, size),
        ones=(shape.lanes, size),
        scaled=(shape.width, size),
        across_q=(p.width * shape.width, size),
        across_g=(p.width_v * shape.width, size),
        along_q=(width * shape.width, size),
        along_g=(width_v * shape.width, size),
        result=(p.width * shape.width, size),
        mask=(BLOCK * shape.width if p.mask else 0, size),
        seen=(-(-p.keys // BLOCK) if p.mask else 0, 8),
        scores=(keys * shape.width, size),
        slopes=(keys * shape.width, size),
        sum_k=(keys * width if "dk" in names else 0, size),
        sum_v=(keys * width_v if "dv" in names else 0, size),
        **({k: v for k, v in dropout.pieces(shape).items() if k != "ones"} if dropout is not None else {}),
    )
    words = p.words() | scratch.words() | {"parts": parts, "padded": width, "padded_v": width_v}
    words |= dropout.words() if dropout is not None else {}
    words |= functions(shape, p.mask) | {f"{o}_part": p.views[o].strides[0] if parts > 1 else 0 for o in ("dk", "dv") if o in names}
    order, rank, mask, whole, dropped = tuple(words), len(p.sizes), p.mask, parts == 1, dropout is not None

    def write(module: Module, name: str) -> None:
        _write(Writer(module, name, shape, names, order, rank, mask, dropped), whole)

    flops = 2 * p.pairs * (3 * p.width + 2 * p.width_v)
    results = [p.views[o] for o in names if o[0] == "d"]
    lowering.add(
        Call(
            Source(
                ("attention_gradient", shape.element, shape.rounding, shape.lanes, shape.rows, mask, rank, names, whole, dropped), write
            ),
            tuple(v.place for v in [*p.views.values(), *(dropout.views if dropout is not None else ())]),
            tuple(words.values()),
            tuple(v.slot for v in node.operands),
            tuple(v.slot for v in results),
            p.count * parts,
            flops / (60 if shape.element == "float" else 30) + p.pairs * (2.7 if dropped else 0.3),
            scratch.size,
            node.op,
            int(flops),
            sum(math.prod(v.shape) * v.itemsize for v in p.views.values()),
        )
    )


# ---------------------------------------------------------------- parts of a sum over queries
def _partial(lowering: Lowering, p: Problem, shape: Form, name: str, parts: int) -> View:
    """Memory for the sums of every part: (parts, attentions, keys, width), in the computing type."""
    width = p.width if name == "dk" else p.width_v
    full = (parts, p.count, p.keys, width)
    slot = lowering.temporary(math.prod(full) * shape.itemsize)
    strides = (p.count * p.keys * width, p.keys * width, width, 1)
    return View(slot, full, strides, 0, float32 if shape.element == "float" else float64)


def _steps(p: Problem, view: View, parts: int) -> tuple[int, ...]:
    """Its strides along the batch dimensions."""
    steps, step = [], view.strides[1]
    for n in reversed(p.sizes):
        steps.append(step)
        step *= n
    return tuple(reversed(steps))


def _add_sum(lowering: Lowering, result: View, partial: View, shape: Form, parts: int) -> None:
    """The parts' sums added up, in order."""
    sizes, strides = merged({"o": result})
    keys, width = partial.shape[2:]
    words: dict[str, Any] = {"parts": parts, "t_part": partial.strides[0], "keys": keys, "width": width}
    step = keys * width
    for d in reversed(range(len(sizes))):
        words |= {f"size{d}": sizes[d], f"o{d}": strides["o"][d], f"t{d}": step}
        step *= sizes[d]
    words |= {"o_row": result.strides[-2], "o_column": result.strides[-1]}
    words |= functions(shape)
    order, rank = tuple(words), len(sizes)

    def write(module: Module, name: str) -> None:
        _write_sum(Writer(module, name, shape, ("t", "o"), order, rank, ""))

    count = math.prod(partial.shape[1:])
    lowering.add(
        Call(
            Source(("attention_parts", shape.element, shape.rounding, shape.lanes, shape.rows, rank), write),
            (partial.place, result.place),
            tuple(words.values()),
            (partial.slot,),
            (partial.slot, result.slot),
            math.prod(sizes) * -(-keys // BLOCK),
            (parts + 1) * count * shape.itemsize / 10,
            0,
            "sdpa_grad: sum of parts",
            parts * count,
            (parts + 1) * count * shape.itemsize,
        )
    )


def _write_sum(x: Writer) -> None:
    """A unit is one block of keys of one attention."""
    f, w, shape = x.f, x.w, x.form
    v = shape.vector
    blocks = (w["keys"] + (BLOCK - 1)) // BLOCK
    with f.loop(x.lo, x.hi) as unit:
        at = x.unit(unit // blocks)
        j0 = unit % blocks * BLOCK
        rows = f.minimum(w["keys"] - j0, BLOCK)
        first, count = x.at(at["t"], j0 * w["width"]), rows * w["width"]
        whole = count - count % shape.lanes
        mask = f.first_lanes(count - whole, shape.lanes)
        with f.loop(1, w["parts"]) as part:
            other = x.at(first, part * w["t_part"])
            with f.loop(0, whole, shape.lanes) as i:
                f.store(f.load(v, x.at(first, i)) + f.load(v, x.at(other, i)), x.at(first, i))
            with f.when(whole < count):
                last = x.at(first, whole)
                f.masked_store(f.masked_load(v, last, mask) + f.masked_load(v, x.at(other, whole), mask), last, mask)
        out = x.at(at["o"], j0 * w["o_row"])
        one = f.value(1.0, shape.element)
        x.call("move_out", first, w["width"], 1, rows, w["width"], out, w["o_row"], w["o_column"], one)


# ---------------------------------------------------------------- the kernel
def _write(x: Writer, whole: bool) -> None:
    f, w, shape = x.f, x.w, x.form
    x.fill(x.piece("factor"), x.power)
    x.fill(x.piece("mask_factor"), LOG2E if x.mask != "i8" else 1.0)
    x.fill(x.piece("ones"), 1.0)
    x.fill(x.piece("scaled"), x.scale)
    zero(f, x.piece("along_q"), w["padded"] * shape.width, shape)
    zero(f, x.piece("along_g"), w["padded_v"] * shape.width, shape)
    panels = (w["queries"] + (shape.width - 1)) // shape.width
    sums = {o: (x.piece(f"sum_{o[1]}"), w["padded_v" if o == "dv" else "padded"]) for o in ("dk", "dv") if o in x.bases}
    with f.loop(x.lo, x.hi) as unit:
        at, part = x.unit(unit // w["parts"]), unit % w["parts"]
        for start, padded in sums.values():
            zero(f, start, (w["keys"] + (shape.rows - 1)) // shape.rows * shape.rows * padded, shape)
        with f.loop(part, panels, w["parts"]) as panel:
            _panel(x, at, panel * shape.width, sums)
        for o, (start, padded) in sums.items():
            place = x.at(at[o], part * w[f"{o}_part"])
            columns = w["width_v" if o == "dv" else "width"]
            copy, one = "move_out" if whole else "move", f.value(1.0, shape.element)
            x.call(copy, start, padded, 1, w["keys"], columns, place, w[f"{o}_row"], w[f"{o}_column"], one)


def _panel(x: Writer, at: dict[str, Value], i0: Value, sums: dict[str, tuple[Value, Value]]) -> None:
    """What one panel of queries from `i0` on adds to the sums, and its own gradient."""
    f, w, shape = x.f, x.w, x.form
    v, lanes = shape.vector, shape.lanes
    width = shape.width
    nq, limit = f.minimum(w["queries"] - i0, shape.width), x.limit(i0)
    _load(x, at, i0, nq)
    result = x.piece("result")
    scores, slopes = [x.at(x.piece(n), shape.rows * shape.width) for n in ("scores", "slopes")]
    if x.mask:
        _masked(x, at, i0, nq, limit, scores, slopes)
    else:
        _scores(x, at, i0, f.value(0, "i64"), limit, scores, slopes)
        x.hide(scores, i0, f.value(0, "i64"), limit)
    with f.loop(x.both(f.value(0, "i64"), limit, i0), limit) as j:  # what was not computed
        f.store(f.value(0.0, v), x.at(slopes, j * shape.width))
    if x.dropout:
        with f.loop(0, limit, BLOCK) as j0:
            nk = f.minimum(limit - j0, BLOCK)
            draw(x, i0, nq, j0, nk)
            apply(x, x.at(slopes, j0 * width), nk)
    top, total, dot = [[f.variable(start, v) for _ in range(2)] for start in (-math.inf, 0.0, 0.0)]
    with f.loop(0, limit) as j:
        for n in range(2):
            s, highest = f.load(v, x.at(scores, j * shape.width + n * lanes)), top[n].get()
            top[n].set(f.select(s > highest, s, highest))
    shift = [f.select(f.compare("eq", t.get(), -math.inf), 0.0, t.get()) for t in top]
    with f.loop(0, limit) as j:
        for n in range(2):
            i = j * shape.width + n * lanes
            p = exp2(f, f.load(v, x.at(scores, i)) - shift[n])
            f.store(p, x.at(scores, i))
            total[n].set(total[n].get() + p)
            dot[n].set(f.fma(p, f.load(v, x.at(slopes, i)), dot[n].get()))
    inverse = [f.select(f.compare("eq", t.get(), 0.0), 0.0, 1.0 / t.get()) for t in total]
    panel = _Panel(at, i0, nq, scores, slopes, inverse, [d.get() * inverse[n] for n, d in enumerate(dot)], sums)
    filled = (limit + (shape.rows - 1)) // shape.rows * shape.rows
    for p in (scores, slopes):
        zero(f, x.at(p, limit * shape.width), (filled - limit) * shape.width, shape)
    zero(f, result, w["width"] * shape.width, shape)
    with f.loop(0, limit, BLOCK) as j0:
        nk, rows = f.minimum(limit - j0, BLOCK), f.minimum(filled - j0, BLOCK)
        with f.when(f.compare("ne", f.load("i64", _flag(x, j0)), 0)) if x.mask else contextlib.nullcontext():
            _block(x, panel, j0, nk, rows)
        if "dm" in at:
            out = x.at(at["dm"], i0 * w["dm_row"] + j0 * w["dm_column"])
            x.call("turn_out", x.at(slopes, j0 * width), width, 1, nk, nq, out, w["dm_row"], w["dm_column"], x.piece("ones"), 0)
    if "dq" in at:
        out = x.at(at["dq"], i0 * w["dq_row"])
        x.call("turn_out", result, width, 1, w["width"], nq, out, w["dq_row"], w["dq_column"], x.piece("scaled"), 0)
    if "dm" in at:
        with f.loop(0, nq) as i, f.loop(limit, w["keys"]) as j:
            f.store(f.value(0.0, shape.element), x.at(at["dm"], (i0 + i) * w["dm_row"] + j * w["dm_column"]))


@dataclass(frozen=True)
class _Panel:
    """A panel of `nq` queries from `i0` on: its operands' addresses, scores (then probabilities) and D (then S) by key, the factors that
    make probabilities of the scores' powers and the means of D; the sums over queries for keys and values."""

    at: dict[str, Value]
    i0: Value
    nq: Value
    scores: Value
    slopes: Value
    inverse: list[Value]
    mean: list[Value]
    sums: dict[str, tuple[Value, Value]]


def _block(x: Writer, panel: _Panel, j0: Value, nk: Value, rows: Value) -> None:
    """What a block of `nk` keys from `j0` on gives and gets; `rows` with the zeros that fill the last tile."""
    f, w, shape = x.f, x.w, x.form
    v, lanes, width, result, nq = shape.vector, shape.lanes, shape.width, x.piece("result"), panel.nq
    block, slope = x.at(panel.scores, j0 * width), x.at(panel.slopes, j0 * width)
    with f.loop(0, nk) as j:
        for n in range(2):
            i = j * shape.width + n * lanes
            p = f.load(v, x.at(block, i)) * panel.inverse[n]
            f.store(p, x.at(block, i))
            f.store(p * (f.load(v, x.at(slope, i)) - panel.mean[n]), x.at(slope, i))
    if x.dropout and "dv" in panel.sums:
        draw(x, panel.i0, nq, j0, nk)
        apply(x, block, nk)
    both = x.both(j0, rows, panel.i0)
    for o, a, b in (("dv", block, "along_g"), ("dk", slope, "along_q")):
        if o in panel.sums:
            start, padded = panel.sums[o]
            # keys that the first half of the queries does not see sum over the second half only
            later = f.maximum(nq - lanes, 0)
            for lo, hi, skip, count in ((f.value(0, "i64"), both, 0, nq), (both, rows, lanes, later)):
                with f.loop(0, padded, shape.width) as c:
                    factor, to = x.at(x.piece(b), skip * padded + c), x.at(start, (j0 + lo) * padded + c)
                    x.rows(x.at(a, lo * width + skip), width, 1, factor, padded, to, padded, hi - lo, count)
    if "dq" in panel.at:
        seen = f.minimum(both, nk)
        for lo, count, half in ((f.value(0, "i64"), seen, False), (seen, nk - seen, True)):
            keys = x.at(panel.at["k"], (j0 + lo) * w["k_row"])
            x.rows(keys, w["k_column"], w["k_row"], x.at(slope, lo * width), width, result, width, w["width"], count, half)


def _scores(x: Writer, at: dict[str, Value], i0: Value, first: Value, count: Value, scores: Value, slopes: Value) -> None:
    """Scores and D of `count` keys from `first` on with the panel from `i0` on."""
    w = x.w
    x.products(at["k"], w["k_row"], w["k_column"], x.piece("across_q"), w["width"], scores, first, count, i0)
    x.products(at["v"], w["v_row"], w["v_column"], x.piece("across_g"), w["width_v"], slopes, first, count, i0)


def _flag(x: Writer, j0: Value) -> Value:
    """Where it stands whether a block of keys is seen by any query of the panel."""
    return x.f.gep(x.piece("seen"), j0 // BLOCK, "i64")


def _masked(x: Writer, at: dict[str, Value], i0: Value, nq: Value, limit: Value, scores: Value, slopes: Value) -> None:
    """Scores and D under a mask, block by block, from the last one on: a last tile that moves back writes over the block before it."""
    f, width, v = x.f, x.form.width, x.form.vector
    with f.loop(0, (limit + (BLOCK - 1)) // BLOCK) as done:
        j0 = ((limit + (BLOCK - 1)) // BLOCK - 1 - done) * BLOCK
        nk, block, slope = f.minimum(limit - j0, BLOCK), x.at(scores, j0 * width), x.at(slopes, j0 * width)
        seen = x.load_mask(at["m"], i0, nq, j0, nk)
        f.store(f.convert("zext", seen, "i64"), _flag(x, j0))

        def compute(j0: Value = j0, nk: Value = nk, block: Value = block, slope: Value = slope) -> None:
            _scores(x, at, i0, j0, nk, block, slope)
            x.hide(block, i0, j0, nk)

        def skip(nk: Value = nk, block: Value = block, slope: Value = slope) -> None:
            with f.loop(0, nk * width, x.form.lanes) as i:
                f.store(f.value(-math.inf, v), x.at(block, i))
                f.store(f.value(0.0, v), x.at(slope, i))

        f.branch(seen, compute, skip)


def _load(x: Writer, at: dict[str, Value], i0: Value, nq: Value) -> None:
    """The panel's queries and gradients, with queries across the lanes and along the rows."""
    f, w, shape = x.f, x.w, x.form
    width = shape.width
    for o, columns, padded, factor, scale, wanted in (
        ("q", w["width"], w["padded"], "factor", x.scale, "dk"),
        ("g", w["width_v"], w["padded_v"], "ones", f.value(1.0, shape.element), "dv"),
    ):
        across, row, column = x.piece(f"across_{o}"), w[f"{o}_row"], w[f"{o}_column"]
        source = x.at(at[o], i0 * row)
        with f.when(nq < shape.width):
            zero(f, across, columns * shape.width, shape)
        x.call("turn", source, row, column, nq, columns, across, width, 1, x.piece(factor), 0)
        if wanted in at:
            x.call("move", source, row, column, nq, columns, x.piece(f"along_{o}"), padded, 1, scale)
