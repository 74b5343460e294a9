"""The inner functions that the attention kernels are made of: a register tile of a matrix product, transposition, copies, powers of two.

A *panel* is a group of queries, one per lane of two vectors. Scores are held transposed, a row of panel width per key, so that keys and
values are read in place as the broadcast factor of every product, and maxima and sums over keys need no horizontal operation.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from ....compiler.parts import HALVES
from ....dtypes import dtype
from .. import isa as isas
from ..calls import Source
from ..emit import Function, Module
from ..rounding import rounded
from ..values import Value, element, lanes, vector
from ..vpieces import BITS

#: coefficients of 2**r on [-1/2, 1/2]: minimax with a relative error of 2e-9, and Taylor with one below 2**-54
_POWERS = {
    "float": (
        1.0,
        0.6931471824645996,
        0.24022646248340607,
        0.05550328642129898,
        0.009618489071726799,
        0.0013399930903688073,
        0.0001534581242594868,
    ),
    "double": tuple([math.log(2.0) ** k / math.factorial(k) for k in range(14)]),
}


@dataclass(frozen=True)
class Form:
    """What the code depends on besides run-time sizes.

    ``element``  LLVM type that is computed in;  ``rounding`` the narrow type results are rounded to, or None
    ``lanes``    of a vector;  ``rows`` of the register tile, which is two vectors wide
    """

    element: str
    rounding: dtype | None
    lanes: int
    rows: int

    @property
    def width(self) -> int:
        """Queries in a panel."""
        return 2 * self.lanes

    @property
    def vector(self) -> str:
        return vector(self.element, self.lanes)

    @property
    def itemsize(self) -> int:
        return 4 if self.element == "float" else 8


def form(d: dtype, isa: isas.Isa) -> Form | None:
    """The form for an element type; None for types without attention kernels."""
    if d.name not in ("float32", "float64", "float16", "bfloat16"):
        return None
    rounding = d if d in HALVES else None
    lanes = isa.lanes(d.compute.itemsize)
    return Form("double" if d.name == "float64" else "float", rounding, lanes, 8 if isa.tile[0] >= 8 else 4)


def exp2(f: Function, x: Value) -> Value:
    """2**x for x <= 0, elementwise: zero below the range of normal numbers, NaN for NaN."""
    e = element(x.type)
    integer, shift, bias = BITS[e]
    ints = x.type.replace(e, integer)
    x = f.select(x < -float(bias), -float(bias), x)  # NaN stays
    whole = f.intrinsic("rint", x.type, x)
    r = x - whole
    *others, highest = _POWERS[e]
    p = f.value(highest, x.type)
    for c in reversed(others):
        p = f.fma(p, r, c)
    n = f.convert("fptosi", whole, ints)
    n = f.op(ints, f"freeze {ints} {n.ref}")  # of NaN it is poison
    return p * f.convert("bitcast", f.binary("shl", n + bias, shift), x.type)


def fold_each(f: Function, vectors: list[Value]) -> Value:
    """The sums of as many vectors as they have lanes, one in each lane: lanes of pairs are interleaved and added, halving the number."""
    n = len(vectors)
    h = 1
    while h < n:
        low = [i if not i // h % 2 else n + i - h for i in range(n)]
        high = [i + h if not i // h % 2 else n + i for i in range(n)]
        vectors = [f.shuffle(a, b, low) + f.shuffle(a, b, high) for a, b in zip(vectors[::2], vectors[1::2], strict=True)]
        h *= 2
    return vectors[0]


def tile(form: Form, rows: int, vectors: int) -> Source:
    """``c = (c if add else 0) + a @ b`` for `rows` rows and `vectors` vectors of columns, `count` times one below the other.

    ``tile(a, a_row, a_k, b, b_k, c, c_row, k, add, count)``: steps between rows and along the contracted dimension of k, in elements.
    """
    key = ("attention_tile", form.element, form.lanes, rows, vectors)
    return Source(key, lambda module, name: _write_tile(module, name, form, rows, vectors))


def transpose(form: Form, rounding: bool = False, source: str = "") -> Source:
    """``dst[c][r] = src[r][c] * factor[c * factor_step]``; with `source` i8, ``src`` is a boolean mask: 0 where it is set, else -inf.

    ``transpose(src, row, column, rows, columns, dst, to_row, to_column, factor, factor_step)``; steps in elements: `row` and `column`
    of `src`, `to_row` between the rows c of `dst` and `to_column` between its elements r. `factor` has whole vectors.
    """
    to = form.rounding if rounding else None
    key = ("attention_transpose", form.element, to, form.lanes, source)
    return Source(key, lambda module, name: _write_transpose(module, name, form, to, source))


def copy(form: Form, rounding: bool = False) -> Source:
    """``dst[r][c] = src[r][c] * factor``: ``copy(src, row, column, rows, columns, dst, to_row, to_column, factor)``, steps in elements."""
    to = form.rounding if rounding else None
    key = ("attention_copy", form.element, to, form.lanes)
    return Source(key, lambda module, name: _write_copy(module, name, form, to))


def _write_tile(module: Module, name: str, form: Form, rows: int, vectors: int) -> None:
    params = [("ptr", "a"), ("i64", "a_row"), ("i64", "a_k"), ("ptr", "b"), ("i64", "b_k"), ("ptr", "c"), ("i64", "c_row"), ("i64", "k")]
    f = module.function(name, [*params, ("i1", "add"), ("i64", "count")])
    a, a_row, a_k, b, b_k, c, c_row, k, add, count = f.params
    e, v, across = form.element, form.vector, range(vectors)
    with f.loop(0, count) as number:
        first, to = f.gep(a, number * rows * a_row, e), f.gep(c, number * rows * c_row, e)
        a_rows = [f.gep(first, a_row * r, e) for r in range(rows)]
        places = [[f.gep(f.gep(to, c_row * r, e), n * form.lanes, e) for n in across] for r in range(rows)]
        sums = [[f.variable(0.0, v) for _ in across] for _ in range(rows)]
        with f.when(add):
            for r in range(rows):
                for n in across:
                    sums[r][n].set(f.load(v, places[r][n]))
        with f.loop(0, k) as i:
            at = f.gep(b, i * b_k, e)
            columns = [f.load(v, f.gep(at, n * form.lanes, e)) for n in across]
            step = i * a_k
            for r in range(rows):
                factor = f.splat(f.load(e, f.gep(a_rows[r], step, e)), v)
                for n in across:
                    sums[r][n].set(f.fma(factor, columns[n], sums[r][n].get()))
        for r in range(rows):
            for n in across:
                f.store(sums[r][n].get(), places[r][n])


def _transposed(f: Function, rows: list[Value]) -> list[Value]:
    """A square block of vectors, transposed: in each round, sub-blocks of h by h trade places with their neighbours."""
    n, h = len(rows), 1
    rows = list(rows)
    while h < n:
        low = [i if not i // h % 2 else n + i - h for i in range(n)]
        high = [i + h if not i // h % 2 else n + i for i in range(n)]
        for i in range(n):
            if not i // h % 2:
                a, b = rows[i], rows[i + h]
                rows[i], rows[i + h] = f.shuffle(a, b, low), f.shuffle(a, b, high)
        h *= 2
    return rows


_MOVE = [
    ("ptr", "src"),
    ("i64", "row"),
    ("i64", "column"),
    ("i64", "rows"),
    ("i64", "columns"),
    ("ptr", "dst"),
    ("i64", "to_row"),
    ("i64", "to_column"),
]


def _write_transpose(module: Module, name: str, form: Form, to: dtype | None, source: str) -> None:
    f = module.function(name, [*_MOVE, ("ptr", "factor"), ("i64", "factor_step")])
    src, row, column, rows, columns, dst, to_row, to_column, factor, factor_step = f.params
    e, v, w = form.element, form.vector, form.lanes
    stored = source or e

    def out(x: Value) -> Value:
        return x if to is None else rounded(f, x, to)

    def read(x: Value) -> Value:
        if source == "i8":
            return f.select(f.compare("ne", x, 0), f.value(0.0, vector(e, lanes(x.type))), -math.inf)
        return x if stored == e else f.convert("fpext", x, vector(e, lanes(x.type)))

    def blocks() -> None:
        """The last block moves back where it would reach beyond the end."""
        with f.loop(0, rows, w) as r_, f.loop(0, columns, w) as c_:
            r0, c0 = f.minimum(r_, rows - w), f.minimum(c_, columns - w)
            p, q = f.gep(src, r0 * row + c0, stored), f.gep(dst, c0 * to_row + r0, e)
            scale = f.load(v, f.gep(factor, c0 * factor_step, e))
            lines = [read(f.load(vector(stored, w), f.gep(p, row * r, stored))) * scale for r in range(w)]
            for c, x in enumerate(_transposed(f, lines)):
                f.store(out(x), f.gep(q, to_row * c, e))

    def scalars() -> None:
        with f.loop(0, columns) as c:
            scale = f.load(e, f.gep(factor, c * factor_step, e))
            with f.loop(0, rows) as r:
                x = read(f.load(stored, f.gep(src, r * row + c * column, stored))) * scale
                f.store(out(x), f.gep(dst, c * to_row + r * to_column, e))

    dense = f.compare("eq", column, 1) & f.compare("eq", to_column, 1)
    f.branch(dense & (f.minimum(rows, columns) >= w), blocks, scalars)


def _write_copy(module: Module, name: str, form: Form, to: dtype | None) -> None:
    f = module.function(name, [*_MOVE, (form.element, "factor")])
    src, row, column, rows, columns, dst, to_row, to_column, factor = f.params
    e, v, w = form.element, form.vector, form.lanes

    def out(x: Value) -> Value:
        return x if to is None else rounded(f, x, to)

    def vectors() -> None:
        scale, whole = f.splat(factor, v), columns - columns % w
        mask = f.first_lanes(columns - whole, w)
        with f.loop(0, rows) as r:
            p, q = f.gep(src, r * row, e), f.gep(dst, r * to_row, e)
            with f.loop(0, whole, w) as c:
                f.store(out(f.load(v, f.gep(p, c, e)) * scale), f.gep(q, c, e))
            with f.when(whole < columns):
                f.masked_store(out(f.masked_load(v, f.gep(p, whole, e), mask, 0.0) * scale), f.gep(q, whole, e), mask)

    def scalars() -> None:
        with f.loop(0, rows) as r, f.loop(0, columns) as c:
            x = f.load(e, f.gep(src, r * row + c * column, e)) * factor
            f.store(out(x), f.gep(dst, r * to_row + c * to_column, e))

    f.branch(f.compare("eq", column, 1) & f.compare("eq", to_column, 1), vectors, scalars)


def zero(f: Function, at: Value, count: Value, form: Form) -> None:
    """Set `count` elements, a multiple of the lanes, to zero."""
    with f.loop(0, count, form.lanes) as i:
        f.store(f.value(0.0, form.vector), f.gep(at, i, form.element))
