"""``scaled_dot_product_attention`` of few queries with many keys, as in generation that keeps the keys and values of earlier tokens.

A panel would be mostly empty, so here vectors go along the features: a score is a dot product, and the result a sum of rows of values.
"""

from __future__ import annotations

import math

from ..values import Value, vector
from .common import BLOCK, LOG2E, Layout, Problem, Writer
from .parts import Form, exp2, fold_each, zero

#: at most so many queries
QUERIES = 8
#: vectors of a row of values that are summed side by side
VECTORS = 4


def suits(p: Problem) -> bool:
    """Whether there are few queries beside many keys, and rows of keys, values and mask have adjacent elements."""
    read = [p.views[o] for o in ("k", "v", "m") if o in p.views]
    return p.queries <= QUERIES and p.queries < p.keys and all(v.strides[-1] == 1 and v.shape[-1] > 1 for v in read)


def layout(p: Problem, shape: Form) -> Layout:
    """Scratch memory: for each query its scaled features, sums of values, maximum and sum of powers; the scores of a block of keys."""
    step = shape.lanes * VECTORS
    return Layout(
        queries=(QUERIES * (p.width + shape.lanes), shape.itemsize),
        result=(QUERIES * (p.width_v + step), shape.itemsize),
        top=(QUERIES, shape.itemsize),
        total=(QUERIES * shape.lanes, shape.itemsize),
        scores=(BLOCK + shape.lanes, shape.itemsize),
    )


def write(x: Writer) -> None:
    """A unit is one attention."""
    f, w, shape = x.f, x.w, x.form
    v, e, lanes, step = shape.vector, shape.element, shape.lanes, shape.lanes * VECTORS
    padded = (w["width"] + (lanes - 1)) // lanes * lanes
    padded_v = (w["width_v"] + (step - 1)) // step * step
    queries, result, top, total = (x.piece(n) for n in ("queries", "result", "top", "total"))
    with f.loop(x.lo, x.hi) as unit:
        at, nq = x.unit(unit), w["queries"]
        x.call("move", at["q"], w["q_row"], w["q_column"], nq, w["width"], queries, padded, 1, x.power)
        zero(f, result, nq * padded_v, shape)
        with f.loop(0, nq) as i:
            f.store(f.value(-math.inf, e), x.at(top, i))
            f.store(f.value(0.0, v), x.at(total, i * lanes))
        limit = f.select(f.compare("ne", w["causal"], 0), f.minimum(w["keys"], nq), w["keys"])
        with f.loop(0, limit, BLOCK) as j0, f.loop(0, nq) as i:
            nk = f.minimum(limit - j0, BLOCK)
            shift = _scores(x, at, i, j0, nk, x.at(queries, i * padded), x.at(top, i), x.at(total, i * lanes), x.at(result, i * padded_v))
            _powers(x, nk, shift, x.at(total, i * lanes))
            _values(x, x.at(at["v"], j0 * w["v_row"]), nk, x.at(result, i * padded_v))
        with f.loop(0, nq) as i:
            whole = f.fold(lambda a, b: a + b, f.load(v, x.at(total, i * lanes)))
            factor = f.select(f.compare("eq", whole, 0.0), 0.0, 1.0 / whole)
            out = x.at(at["o"], i * w["o_row"])
            x.call("move_out", x.at(result, i * padded_v), 0, 1, 1, w["width_v"], out, 0, w["o_column"], factor)


def _scores(
    x: Writer, at: dict[str, Value], i: Value, j0: Value, nk: Value, query: Value, top: Value, total: Value, result: Value
) -> Value:
    """The scores of query `i` with a block of keys, masked. Sum and result are brought to the scale of the new maximum, which it gives."""
    f, w, shape = x.f, x.w, x.form
    v, lanes, step = shape.vector, shape.lanes, shape.lanes * VECTORS
    old = f.load(shape.element, top)
    highest = f.variable(f.splat(old, v))
    with f.loop(0, nk, lanes) as j:
        s = _dots(x, at["k"], query, j0 + j)
        if x.mask:
            s = _masked(x, at["m"], i, j0 + j, f.minimum(nk - j, lanes), s)
        lane = f.lane_numbers(vector("i32", lanes))
        count = f.select(f.compare("ne", w["causal"], 0), f.minimum(i + 1 - j0, nk), nk) - j
        s = f.select(lane < f.splat(f.convert("trunc", count, "i32"), lane.type), s, -math.inf)
        f.store(s, x.at(x.piece("scores"), j))
        h = highest.get()
        highest.set(f.select(s > h, s, h))
    new = f.fold(lambda a, b: f.select(a > b, a, b), highest.get())
    shift = f.select(f.compare("eq", new, -math.inf), 0.0, new)
    f.store(new, top)
    change = exp2(f, f.splat(f.select(f.compare("eq", old, new), 0.0, old - shift), v))
    with f.when(f.compare("ne", old, new)):
        f.store(f.load(v, total) * change, total)
        with f.loop(0, (w["width_v"] + (step - 1)) // step * step, lanes) as d:
            f.store(f.load(v, x.at(result, d)) * change, x.at(result, d))
    return f.splat(shift, v)


def _dots(x: Writer, keys: Value, query: Value, first: Value) -> Value:
    """The products of a query with one vector's worth of keys from `first` on; the last key again beyond the end."""
    f, w, shape = x.f, x.w, x.form
    v, lanes = shape.vector, shape.lanes
    rows = [x.at(keys, f.minimum(first + r, w["keys"] - 1) * w["k_row"]) for r in range(lanes)]
    sums = [f.variable(0.0, v) for _ in range(lanes)]
    whole = w["width"] - w["width"] % lanes
    mask = f.first_lanes(w["width"] - whole, lanes)
    with f.loop(0, whole, lanes) as d:
        q = f.load(v, x.at(query, d))
        for r in range(lanes):
            sums[r].set(f.fma(q, f.load(v, x.at(rows[r], d)), sums[r].get()))
    with f.when(whole < w["width"]):
        q = f.masked_load(v, x.at(query, whole), mask)
        for r in range(lanes):
            sums[r].set(f.fma(q, f.masked_load(v, x.at(rows[r], whole), mask), sums[r].get()))
    return fold_each(f, [s.get() for s in sums])


def _masked(x: Writer, mask: Value, i: Value, j: Value, count: Value, s: Value) -> Value:
    """Scores of query `i` with `count` keys from `j` on under the mask."""
    f, w, shape = x.f, x.w, x.form
    place = f.gep(mask, i * w["m_row"] + j, x.mask)
    m = f.masked_load(vector(x.mask, shape.lanes), place, f.first_lanes(count, shape.lanes))
    if x.mask == "i8":
        return f.select(f.compare("ne", m, 0), s, -math.inf)
    return s + f.convert("fpext", m, shape.vector) * LOG2E


def _powers(x: Writer, nk: Value, shift: Value, total: Value) -> None:
    f, shape = x.f, x.form
    v, scores = shape.vector, x.piece("scores")
    with f.loop(0, nk, shape.lanes) as j:
        p = exp2(f, f.load(v, x.at(scores, j)) - shift)
        f.store(p, x.at(scores, j))
        f.store(f.load(v, total) + p, total)


def _values(x: Writer, values: Value, nk: Value, result: Value) -> None:
    """Add the rows of values, times the block's powers."""
    f, w, shape = x.f, x.w, x.form
    v, lanes, step, scores = shape.vector, shape.lanes, shape.lanes * VECTORS, x.piece("scores")
    with f.loop(0, w["width_v"], step) as d:

        def add(masks: list[Value] | None, d: Value = d) -> None:
            places = [x.at(result, d + n * lanes) for n in range(VECTORS)]
            sums = [f.variable(f.load(v, p)) for p in places]
            with f.loop(0, nk) as j:
                factor = f.splat(f.load(shape.element, x.at(scores, j)), v)
                row = x.at(values, j * w["v_row"] + d)
                for n, total in enumerate(sums):
                    p = x.at(row, n * lanes)
                    total.set(f.fma(factor, f.load(v, p) if masks is None else f.masked_load(v, p, masks[n]), total.get()))
            for p, total in zip(places, sums, strict=True):
                f.store(total.get(), p)

        def part(d: Value = d) -> None:
            add([f.first_lanes(f.minimum(f.maximum(w["width_v"] - d - n * lanes, 0), lanes), lanes) for n in range(VECTORS)])

        f.branch(d + step < w["width_v"] + 1, lambda add=add: add(None), part)  # type: ignore[misc]
