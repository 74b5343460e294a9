"""Micro-kernels: a tile of the result stays in registers while k runs.

For each k, a row of B is loaded as vectors and each element of A's column is broadcast and multiplied with them. A is addressed by a row
stride and a k stride, B by a k stride, all run-time numbers, so that one kernel serves operands that were packed and operands used where
they lie. The accumulators begin with what lies at ``init``: zeros, a bias (row stride 0) or the result itself, which makes the kernel
accumulate; so every element is one chain of fused multiply-adds in the order of k, however k is cut into blocks.
"""

from __future__ import annotations

from ..calls import Source
from ..emit import Function, Module, Value
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
        _micro(module, f"edge_{height}", t, height, 1, masked=True)
    f = module.function(name, PANEL)
    n = f.params[-1]

    def edges() -> None:
        with f.loop(0, n, t.lanes) as j:
            _rows(f, t, "edge", j, [n - j])

    f.branch(f.compare("eq", n, t.columns), lambda: _rows(f, t, "tile", 0, []), edges)


def _rows(f: Function, t: Tiles, kind: str, j: Value | int, more: list[Value]) -> None:
    """All rows of a panel by the tallest tiles that fit; `j` the first column."""
    a, a_row, a_k, b, b_k, k, init, init_row, c, c_row, m, _ = f.params
    b, init, c = (f.gep(p, j, t.element) for p in (b, init, c))
    left = f.variable(m, "i64")
    for height in t.heights:
        with f.loop_while(lambda height=height: left.get() >= height):  # type: ignore[misc]
            i = m - left.get()
            row = f.gep(a, a_row * i, t.element)
            start = f.gep(init, init_row * i, t.element)
            f.call("void", f"{kind}_{height}", row, a_row, a_k, b, b_k, k, start, init_row, f.gep(c, c_row * i, t.element), c_row, *more)
            left.set(left.get() - height)


def _micro(module: Module, name: str, t: Tiles, height: int, vectors: int, masked: bool) -> None:
    """One tile; ``masked`` adds a parameter, the number of columns."""
    params = [*PANEL[:10], ("i64", "n")] if masked else PANEL[:10]
    f = module.function(name, params, internal=True)
    a, a_row, a_k, b, b_k, k, init, init_row, c, c_row = f.params[:10]
    mask = f.first_lanes(f.params[10], t.lanes) if masked else None
    accumulators = []
    p = init
    for _ in range(height):
        starts = [f.gep(p, v * t.lanes, t.element) for v in range(vectors)]
        accumulators.append([f.variable(f.masked_load(t.vector, q, mask) if mask else f.load(t.vector, q)) for q in starts])
        p = f.gep(p, init_row, t.element)
    bases = [f.variable(f.gep(a, a_row * i, t.element)) for i in range(0, height, _GROUP)]
    steps = [a_row * i for i in range(_GROUP)]
    row = f.variable(b)
    with f.loop(0, k):
        at = row.get()
        b_values = [f.load(t.vector, f.gep(at, v * t.lanes, t.element)) for v in range(vectors)]
        for i in range(height):
            base = bases[i // _GROUP].get()
            q = base if i % _GROUP == 0 else f.gep(base, steps[i % _GROUP], t.element)
            value = f.splat(f.load(t.element, q), t.vector)
            for v in range(vectors):
                accumulators[i][v].set(f.fma(value, b_values[v], accumulators[i][v].get()))
        for base_slot in bases:
            base_slot.set(f.gep(base_slot.get(), a_k, t.element))
        row.set(f.gep(at, b_k, t.element))
    p = c
    for values in accumulators:
        for v, value in enumerate(values):
            q = f.gep(p, v * t.lanes, t.element)
            if mask:
                f.masked_store(value.get(), q, mask)
            else:
                f.store(value.get(), q)
        p = f.gep(p, c_row, t.element)
