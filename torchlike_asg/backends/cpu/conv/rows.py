"""Products of scattered rows: the micro-kernels of direct convolution and of its weight's gradient.

``c[row] = init[row] + sum over segments s and k < length of a[row + s + k * a_k] * b[(s + k) * b_k + column]``. Rows of A are addressed one
by one and k runs in segments, so that windows of an image are multiplied where they lie: nothing is unfolded. (The idea of a table of
addresses is that of Dukhan (2019), "The indirect convolution algorithm".)
"""

from __future__ import annotations

from ..calls import Source
from ..emit import Function, Module
from ..gemm import Tiles
from ..values import Value

#: `rows`: for each row its offsets in a and in c and init; `segments`: for each its offset in a and its first row of b. All in elements.
#: `n` is a tile's columns, or less than or equal to the lanes of a vector; b is read in whole vectors, and c written only where it is asked
RUN = [
    ("ptr noalias", "a"),
    ("ptr noalias", "rows"),
    ("i64", "m"),
    ("ptr noalias", "segments"),
    ("i64", "count"),
    ("i64", "length"),
    ("i64", "a_k"),
    ("ptr noalias", "b"),
    ("i64", "b_k"),
    ("ptr", "init"),
    ("i64", "init_row"),
    ("ptr", "c"),
    ("i64", "n"),
]


def run_source(t: Tiles) -> Source:
    """The function of signature `RUN`. ``init_row`` is 1 if init has rows like c, 0 if all rows begin with the same numbers (a bias)."""
    return Source(("conv_rows", *t.key), lambda module, name: _write(module, name, t))


def heights(t: Tiles) -> tuple[int, ...]:
    """Rows of the tiles that there are code for."""
    return tuple(h for h in (t.rows, 4, 1) if h <= t.rows)


def _write(module: Module, name: str, t: Tiles) -> None:
    for height in heights(t):
        _tile(module, f"wide_{height}", t, height, t.vectors, masked=False)
        _tile(module, f"narrow_{height}", t, height, 1, masked=True)
    f = module.function(name, RUN)

    def tiles(kind: str) -> None:
        a, rows, m, *rest = f.params
        left = f.variable(m)
        for height in heights(t):
            with f.loop_while(lambda height=height: left.get() >= height):  # type: ignore[misc]
                first = f.gep(rows, (m - left.get()) * 2, "i64")
                f.call("void", f"{kind}_{height}", a, first, *rest)
                left.set(left.get() - height)

    f.branch(f.compare("eq", f.params[-1], t.columns), lambda: tiles("wide"), lambda: tiles("narrow"))


def _tile(module: Module, name: str, t: Tiles, height: int, vectors: int, masked: bool) -> None:
    f: Function = module.function(name, [p for p in RUN if p[1] != "m"], internal=True)
    a, rows, segments, count, length, a_k, b, b_k, init, init_row, c, n = f.params
    e = t.element
    starts = [f.gep(a, f.load("i64", f.gep(rows, 2 * i, "i64")), e) for i in range(height)]
    sums = [[f.variable(0, t.vector) for _ in range(vectors)] for _ in range(height)]
    row, at = f.variable(b), f.variable(0, "i64")
    with f.loop(0, count) as s:
        at.set(f.load("i64", f.gep(segments, s * 2, "i64")))
        row.set(f.gep(b, f.load("i64", f.gep(segments, s * 2 + 1, "i64")) * b_k, e))
        with f.loop(0, length):
            here = row.get()
            k = at.get()
            values = [f.load(t.vector, f.gep(here, v * t.lanes, e)) for v in range(vectors)]
            for i in range(height):
                x = f.splat(f.load(e, f.gep(starts[i], k, e)), t.vector)
                for v in range(vectors):
                    sums[i][v].set(f.fma(x, values[v], sums[i][v].get()))
            at.set(k + a_k)
            row.set(f.gep(here, b_k, e))
    mask: Value | None = f.first_lanes(n, t.lanes) if masked else None
    for i in range(height):
        offset = f.load("i64", f.gep(rows, 2 * i + 1, "i64"))
        from_, to = f.gep(init, offset * init_row, e), f.gep(c, offset, e)
        for v in range(vectors):
            p, q = f.gep(from_, v * t.lanes, e), f.gep(to, v * t.lanes, e)
            total = sums[i][v].get()
            if mask:
                f.masked_store(total + f.masked_load(t.vector, p, mask), q, mask)
            else:
                f.store(total + f.load(t.vector, p), q)
