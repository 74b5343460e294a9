"""A product of any size on one thread: blocks that fit the caches, packing, and the micro-kernels."""

from __future__ import annotations

import functools

from ..calls import Block, Source
from ..emit import Function, Module, Variable
from ..values import Value
from .finish import emit_finish
from .micro import PANEL, panel_source
from .packing import PACK, pack_source
from .tiles import A_PAD, Tiles

#: the parameters of a blocked product; see `call_block`
BLOCK = [
    ("ptr", "kit"),
    ("ptr", "a"),
    ("i64", "a_row"),
    ("i64", "a_k"),
    ("ptr", "b"),
    ("i64", "b_k"),
    ("i64", "b_column"),
    ("ptr", "init"),
    ("i64", "init_row"),
    ("ptr", "c"),
    ("i64", "c_row"),
    ("i64", "m"),
    ("i64", "n"),
    ("i64", "k"),
    ("i64", "packing"),
    ("ptr", "scratch"),
    ("ptr", "finish"),
    ("i64", "row"),
    ("i64", "column"),
]
#: bits of ``packing``
PACK_A, PACK_B = 1, 2


@functools.cache
def kit(t: Tiles) -> Block:
    """The functions of the blocked product as one word of a call: what `call_block`, `call_panel` and `call_pack` take."""
    return Block((), (panel_source(t), pack_source(t), _block_source(t)))


def call_panel(f: Function, kit: Value, *args: Value) -> None:
    """Emit ``c[:m, :n] = init[:m, :n] + a[:m, :k] @ b[:k, :n]``, `n` at most the tile's columns: the arguments of `micro.PANEL`."""
    assert len(args) == len(PANEL)
    f.call_pointer("void", f.load("ptr", kit), *args)


def call_pack(f: Function, kit: Value, *args: Value) -> None:
    """Emit a packing: the arguments of `packing.PACK`."""
    assert len(args) == len(PACK)
    f.call_pointer("void", f.load("ptr", f.gep(kit, 1, "i64")), *args)


def call_block(f: Function, kit: Value, *args: Value) -> None:
    """Emit ``c = init + a @ b`` of any size, on this thread: the arguments of `BLOCK` after ``kit``.

    ``a`` (m, k) and ``b`` (k, n) have any strides; rows of ``init`` and ``c`` have adjacent columns. ``init`` is null for zeros, ``c`` to
    accumulate, or another matrix; ``init_row`` 0 repeats one row (a bias). ``packing`` says which operands are worth being copied
    (`PACK_A`, `PACK_B`; B is copied anyway if its columns are not adjacent). ``scratch`` has `Tiles.scratch` bytes. ``finish`` is null
    or the block of `finish.finish_block`, done for each piece of the result; ``row`` and ``column`` say where ``c`` begins in the result as
    epilogues count.
    """
    assert len(args) == len(BLOCK) - 1
    f.call_pointer("void", f.load("ptr", f.gep(kit, 2, "i64")), kit, *args)


def _block_source(t: Tiles) -> Source:
    return Source(("gemm_block", *t.key), lambda module, name: _Writer(module, name, t).write())


class _Writer:
    """Writes the blocked product; the loops are the methods, outside in."""

    def __init__(self, module: Module, name: str, t: Tiles) -> None:
        self.t = t
        self.f = f = module.function(name, BLOCK)
        (self.kit, self.a, self.a_row, self.a_k, self.b, self.b_k, self.b_column, init, init_row, self.c, self.c_row) = f.params[:11]
        (self.m, self.n, self.k, packing, self.scratch, self.finish, self.row, self.column) = f.params[11:]
        zeros = Value(f, module.constants("zeros", t.element, [0.0] * t.columns), "ptr")
        none = f.compare("eq", init, Value(f, "null", "ptr"))
        self.init, self.init_row = f.select(none, zeros, init), f.select(none, 0, init_row)
        self.init_column = f.convert("zext", f.compare("eq", none, False), "i64")
        self.pack_a = f.compare("ne", packing & PACK_A, 0)
        self.pack_b = f.compare("ne", (packing & PACK_B) | f.convert("zext", f.compare("ne", self.b_column, 1), "i64"), 0)
        self.packed_a = f.gep(self.scratch, t.k_block * (t.block_columns + t.columns), t.element)

    def at(self, p: Value, *offsets: Value) -> Value:
        """The address that many elements after `p`."""
        for o in offsets:
            p = self.f.gep(p, o, self.t.element)
        return p

    def write(self) -> None:
        """All columns, block by block of k: each is added up by itself, then added to what is there. The blocks are those of MKL on
        AVX-512, found by experiment, so that products equal PyTorch's bit for bit: all of k up to `Tiles.k_block`, halves up to twice that.
        """
        f, t = self.f, self.t
        halves = f.select(f.compare("lt", self.k, 2 * t.k_block), self.k // 2, t.k_block)
        length = f.select(f.compare("le", self.k, t.k_block), f.maximum(self.k, 1), halves)
        count = f.maximum((self.k + length - 1) // length, 1)
        with f.loop(0, self.n, t.block_columns) as j, f.loop(0, count) as block:
            at = block * length
            self._columns(
                j, f.minimum(t.block_columns, self.n - j), at, f.minimum(length, self.k - at), block, f.compare("eq", block + 1, count)
            )

    def _columns(self, j: Value, n: Value, at: Value, k: Value, block: Value, last: Value) -> None:
        """One block of columns and of k: pack B, go over the rows."""
        f, t = self.f, self.t
        first = f.compare("eq", block, 0)
        whole = n - n % t.columns
        b = self.at(self.b, at * self.b_k, j * self.b_column)
        with f.when(self.pack_b), f.loop(0, whole, t.columns) as p:
            self._pack(self.at(self.scratch, p * k), t.columns, self.at(b, p * self.b_column), self.b_k, self.b_column, k, t.columns)
        with f.loop(whole, n, t.lanes) as p:
            columns = f.minimum(t.lanes, n - p)
            self._pack(self.at(self.scratch, p * k), t.lanes, self.at(b, p * self.b_column), self.b_k, self.b_column, k, columns)
        init_row, init_column = f.select(first, self.init_row, self.c_row), f.select(first, self.init_column, 1)
        c = self.at(self.c, j)
        init = f.select(first, self.at(self.init, j * self.init_column), c)
        with f.loop(0, self.m, t.block_rows) as i:
            m = f.minimum(t.block_rows, self.m - i)
            a, a_row, a_k = self._block_of_a(self.at(self.a, i * self.a_row, at * self.a_k), m, k)
            start, result = self.at(init, i * init_row), self.at(c, i * self.c_row)

            def panel(p: Value, b: Value, b_k: Value | int, columns: Value | int, start: Value = start, result: Value = result) -> None:
                from_, to = self.at(start, p * init_column), self.at(result, p)
                tail = [f.value(x, "i64") for x in (self.c_row, m, columns)]
                call_panel(f, self.kit, a.get(), a_row.get(), a_k.get(), b, f.value(b_k, "i64"), k, from_, init_row, to, *tail)

            with f.loop(0, whole, t.columns) as p:
                packed, direct = self.at(self.scratch, p * k), self.at(b, p)
                panel(p, f.select(self.pack_b, packed, direct), f.select(self.pack_b, t.columns, self.b_k), t.columns)
            with f.loop(whole, n, t.lanes) as p:
                panel(p, self.at(self.scratch, p * k), t.lanes, f.minimum(t.lanes, n - p))
            with f.when(last):
                emit_finish(f, self.finish, result, self.c_row, self.row + i, m, self.column + j, n)

    def _pack(self, *args: Value | int) -> None:
        call_pack(self.f, self.kit, *[self.f.value(x, "i64") for x in args])

    def _block_of_a(self, a: Value, m: Value, k: Value) -> tuple[Variable, Variable, Variable]:
        """Address, row stride and k stride of a block of A, copied if that is asked for: along its adjacent dimension."""
        f = self.f
        out = f.variable(a), f.variable(self.a_row), f.variable(self.a_k)

        def use(row: Value | int, k_: Value | int) -> None:
            for v, x in zip(out, (self.packed_a, row, k_), strict=True):
                v.set(x)

        def rows() -> None:
            self._pack(self.packed_a, k + A_PAD, a, self.a_row, self.a_k, m, k)
            use(k + A_PAD, 1)

        def columns() -> None:
            self._pack(self.packed_a, m + A_PAD, a, self.a_k, self.a_row, k, m)
            use(1, m + A_PAD)

        with f.when(self.pack_a):
            f.branch(f.compare("eq", self.a_row, 1), columns, rows)
        return out
