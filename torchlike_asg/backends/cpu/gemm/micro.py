"""Micro-kernels: a tile of the result stays in registers while k runs.

For each k, a row of B is loaded as vectors and each element of A's column is broadcast and multiplied with them. A is addressed by a row
stride and a k stride, B by a k stride, all run-time numbers, so that one kernel serves operands that were packed and operands used where
they lie. In the end what lies at ``init`` is added: zeros, a bias (row stride 0) or the result itself, which makes the kernel accumulate.
"""

from __future__ import annotations

from ..calls import Source
from ..emit import Function, Module
from ..values import Value
from .tiles import Tiles

#: the parameters of a panel: `m` rows times `n` columns, `n` at most a tile's columns
PANEL = [
    ("ptr noalias", "a"),
    ("i64", "a_row"),
    ("i64", "a_k"),
    ("ptr noalias", "b"),
    ("i64", "b_k"),
    ("i64", "k"),
    ("ptr", "init"),
    ("i64", "init_row"),
    ("ptr", "c"),
    ("i64", "c_row"),
    ("i64", "m"),
    ("i64", "n"),
]
#: rows whose addresses are formed from one pointer: base, base + stride, base + 2 * stride are single x86 addresses
_GROUP = 3


def panel_source(t: Tiles) -> Source:
    """The function of signature `PANEL`: ``c[:m, :n] = init[:m, :n] + a[:m, :k] @ b[:k, :n]`` for one panel of B.

    ``n`` is the tile's columns, or less: then B's rows are still read in whole vectors, and the columns beyond ``n`` are not written.
    Strides in elements; columns of b, init and c are adjacent. ``init`` may be ``c``.
    """
    return Source(("gemm_panel", *t.key), lambda module, name: _write(module, name, t))


def _write(module: Module, name: str, t: Tiles) -> None:
    for height in t.heights:
        _micro(module, f"tile_{height}", t, height, t.vectors, masked=False)
    for height in t.edge_heights:
        _micro(module, f"edge_{height}", t, height, 1, masked=True)
    f = module.function(name, PANEL)
    n = f.params[-1]

    def edges() -> None:
        with f.loop(0, n, t.lanes) as j:
            _rows(f, t, "edge", t.edge_heights, j, [n - j])

    f.branch(f.compare("eq", n, t.columns), lambda: _rows(f, t, "tile", t.heights, 0, []), edges)


def _rows(f: Function, t: Tiles, kind: str, heights: tuple[int, ...], j: Value | int, more: list[Value]) -> None:
    """All rows of a panel by the tallest tiles that fit; `j` the first column."""
    a, a_row, a_k, b, b_k, k, init, init_row, c, c_row, m, _ = f.params
    b, init, c = (f.gep(p, j, t.element) for p in (b, init, c))
    left = f.variable(m, "i64")
    for height in heights:
        with f.loop_while(lambda height=height: left.get() >= height):  # type: ignore[misc]
            i = m - left.get()
            row = f.gep(a, a_row * i, t.element)
            start = f.gep(init, init_row * i, t.element)
            f.call("void", f"{kind}_{height}", row, a_row, a_k, b, b_k, k, start, init_row, f.gep(c, c_row * i, t.element), c_row, *more)
            left.set(left.get() - height)


def _micro(module: Module, name: str, t: Tiles, height: int, vectors: int, masked: bool) -> None:
    """One tile; ``masked`` adds a parameter, the number of columns.

    The tallest tile, of which large products consist, asks early for the lines of c that it will write and, while it goes along k, for the
    rows of a that the next tile reads.
    """
    params = [*PANEL[:10], ("i64", "n")] if masked else PANEL[:10]
    f = module.function(name, params, internal=True)
    a, a_row, a_k, b, b_k, k, init, init_row, c, c_row = f.params[:10]
    mask = f.first_lanes(f.params[10], t.lanes) if masked else None
    sums = [[f.variable(0, t.vector) for _ in range(vectors)] for _ in range(height)]
    bases = [f.variable(f.gep(a, a_row * i, t.element)) for i in range(0, height, _GROUP)]
    steps = [a_row * i for i in range(_GROUP)]
    row = f.variable(b)

    def multiply(lo: Value | int, hi: Value) -> None:
        with f.loop(lo, hi):
            at = row.get()
            b_values = [f.load(t.vector, f.gep(at, v * t.lanes, t.element)) for v in range(vectors)]
            for i in range(height):
                q = f.gep(bases[i // _GROUP].get(), steps[i % _GROUP], t.element) if i % _GROUP else bases[i // _GROUP].get()
                value = f.splat(f.load(t.element, q), t.vector)
                for v in range(vectors):
                    sums[i][v].set(f.fma(value, b_values[v], sums[i][v].get()))
            for base in bases:
                base.set(f.gep(base.get(), a_k, t.element))
            row.set(f.gep(at, b_k, t.element))

    if height == t.rows and not masked:
        line = 64 // t.itemsize
        p = c
        for _ in range(height):
            for column in (*range(0, t.columns, line), t.columns - 1):
                _prefetch(f, f.gep(p, column, t.element), write=True)
            p = f.gep(p, c_row, t.element)
        with f.loop(0, k, line) as start:
            q = f.gep(bases[0].get(), a_row * height, t.element)
            for _ in range(height):
                _prefetch(f, q, write=False)
                q = f.gep(q, a_row, t.element)
            multiply(start, f.minimum(start + line, k))
    else:
        multiply(0, k)
    for row_sums in sums:
        for v, total in enumerate(row_sums):
            of, to = f.gep(init, v * t.lanes, t.element), f.gep(c, v * t.lanes, t.element)
            if mask:
                f.masked_store(total.get() + f.masked_load(t.vector, of, mask), to, mask)
            else:
                f.store(total.get() + f.load(t.vector, of), to)
        init, c = f.gep(init, init_row, t.element), f.gep(c, c_row, t.element)


def _prefetch(f: Function, p: Value, write: bool) -> None:
    f.call("void", "llvm.prefetch.p0", p, f.value(int(write), "i32"), f.value(3, "i32"), f.value(1, "i32"))
