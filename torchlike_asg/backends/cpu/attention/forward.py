"""``scaled_dot_product_attention``: blocks of keys with running maxima and sums (Milakov & Gimelshein, 2018; Dao et al., 2022).

Blocks that causality or the mask hides from a whole panel of queries are not computed.
"""

from __future__ import annotations

import contextlib
import math

from ..calls import Call, LibraryNode, Lowering, Source, library
from ..emit import Module
from ..values import Value
from . import few
from .common import BLOCK, LOG2E, Layout, Problem, Writer, functions, problem
from .dropping import Dropout, apply, draw, parted
from .parts import Form, exp2, form, zero


@library("scaled_dot_product_attention", "sdpa_dropout")
def lower(lowering: Lowering, node: LibraryNode) -> bool:
    """A unit is one panel of queries of one attention, or one attention of few queries."""
    shape = form(node.result.dtype, lowering.isa)
    if shape is None or any(v.dtype is not node.result.dtype for v in node.operands[:3]):
        return False
    inputs, dropout = parted(node, "qkvm")
    views = inputs | {"o": node.result}
    p = problem(node, views)
    if p.mask == "double" and shape.element == "float":
        return False
    names, few_queries = tuple(views), dropout is None and few.suits(p)
    scratch = few.layout(p, shape) if few_queries else _layout(p, shape, dropout)
    words = p.words() | scratch.words() | functions(shape, p.mask) | (dropout.words() if dropout is not None else {})
    order, rank, mask, dropped = tuple(words), len(p.sizes), p.mask, dropout is not None

    def write(module: Module, name: str) -> None:
        (few.write if few_queries else _write)(Writer(module, name, shape, names, order, rank, mask, dropped))

    units = p.count * (1 if few_queries else -(-p.queries // shape.width))
    if not units or not p.width_v:
        return True
    kind = "attention_few" if few_queries else "attention"
    flops = 2 * p.pairs * (p.width + p.width_v)
    lowering.add(
        Call(
            Source((kind, shape.element, shape.rounding, shape.lanes, shape.rows, mask, rank, dropped), write),
            tuple(v.place for v in [*views.values(), *(dropout.views if dropout is not None else ())]),
            tuple(words.values()),
            tuple(v.slot for v in node.operands),
            (node.result.slot,),
            units,
            flops / (60 if shape.element == "float" else 30) + p.pairs * (1.5 if dropped else 0.25),
            scratch.size,
            node.op,
            int(flops),
            sum(math.prod(v.shape) * v.itemsize for v in views.values()),
        )
    )
    return True


def _layout(p: Problem, shape: Form, dropout: Dropout | None) -> Layout:
    return Layout(
        factor=(shape.lanes, shape.itemsize),
        mask_factor=(shape.lanes, shape.itemsize),
        inverse=(shape.width, shape.itemsize),
        queries=(p.width * shape.width, shape.itemsize),
        result=(p.width_v * shape.width, shape.itemsize),
        scores=((BLOCK + 2 * shape.rows) * shape.width, shape.itemsize),
        mask=(BLOCK * shape.width if p.mask else 0, shape.itemsize),
        **(dropout.pieces(shape) if dropout is not None else {}),
    )


def _write(x: Writer) -> None:
    f, w, shape = x.f, x.w, x.form
    v = shape.vector
    x.fill(x.piece("factor"), x.power)
    x.fill(x.piece("mask_factor"), LOG2E if x.mask != "i8" else 1.0)
    if x.dropout:
        x.fill(x.piece("ones"), 1.0)
    queries, result, inverse = x.piece("queries"), x.piece("result"), x.piece("inverse")
    scores = x.at(x.piece("scores"), shape.rows * shape.width)
    width = shape.width
    panels = (w["queries"] + (shape.width - 1)) // shape.width
    with f.loop(x.lo, x.hi) as unit:
        at = x.unit(unit // panels)
        i0 = unit % panels * shape.width
        nq = f.minimum(w["queries"] - i0, shape.width)
        with f.when(nq < shape.width):
            zero(f, queries, w["width"] * shape.width, shape)
        source = x.at(at["q"], i0 * w["q_row"])
        x.call("turn", source, w["q_row"], w["q_column"], nq, w["width"], queries, width, 1, x.piece("factor"), 0)
        zero(f, result, w["width_v"] * shape.width, shape)
        top = [f.variable(-math.inf, v) for _ in range(2)]
        total = [f.variable(0.0, v) for _ in range(2)]
        limit = x.limit(i0)
        with f.loop(0, limit, BLOCK) as j0:
            nk = f.minimum(limit - j0, BLOCK)
            with f.when(x.load_mask(at["m"], i0, nq, j0, nk)) if x.mask else contextlib.nullcontext():
                x.products(at["k"], w["k_row"], w["k_column"], queries, w["width"], scores, j0, nk, i0)
                x.hide(scores, i0, j0, nk)
                _softmax(x, scores, nk, top, total, result)
                if x.dropout:
                    draw(x, i0, nq, j0, nk)
                    apply(x, scores, nk)
                both = x.both(j0, nk, i0)
                for lo, count, half in ((f.value(0, "i64"), both, False), (both, nk - both, True)):
                    values, weights = x.at(at["v"], (j0 + lo) * w["v_row"]), x.at(scores, lo * width)
                    x.rows(values, w["v_column"], w["v_row"], weights, width, result, width, w["width_v"], count, half)
        for n in range(2):
            t = total[n].get()
            f.store(f.select(f.compare("eq", t, 0.0), 0.0, 1.0 / t), x.at(inverse, n * shape.lanes))
        out = x.at(at["o"], i0 * w["o_row"])
        x.call("turn_out", result, width, 1, w["width_v"], nq, out, w["o_row"], w["o_column"], inverse, 1)


def _softmax(x: Writer, scores: Value, nk: Value, top: list, total: list, result: Value) -> None:  # type: ignore[type-arg]
    """Scores of a block become powers of two relative to the maximum so far; sums and result so far are brought to the same scale."""
    f, shape = x.f, x.form
    v, lanes = shape.vector, shape.lanes
    highest = [f.variable(t.get()) for t in top]
    with f.loop(0, nk) as j:
        for n in range(2):
            s = f.load(v, x.at(scores, j * shape.width + n * lanes))
            h = highest[n].get()
            highest[n].set(f.select(s > h, s, h))
    shift, change = [], []
    for n in range(2):
        old, new = top[n].get(), highest[n].get()
        shift.append(f.select(f.compare("eq", new, -math.inf), 0.0, new))
        change.append(exp2(f, f.select(f.compare("eq", old, new), 0.0, old - shift[n])))
        top[n].set(new)
        total[n].set(total[n].get() * change[n])
    moved = f.compare("ne", change[0], 1.0) | f.compare("ne", change[1], 1.0)
    with f.when(f.call("i1", f"llvm.vector.reduce.or.v{lanes}i1", moved)), f.loop(0, x.w["width_v"]) as d:
        for n in range(2):
            place = x.at(result, d * shape.width + n * lanes)
            f.store(f.load(v, place) * change[n], place)
    with f.loop(0, nk) as j:
        for n in range(2):
            place = x.at(scores, j * shape.width + n * lanes)
            p = exp2(f, f.load(v, place) - shift[n])
            f.store(p, place)
            total[n].set(total[n].get() + p)
