"""The kernels: all steps of a block of the batch's rows, each step a matrix product with the packed weights and a pass over its result."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ..calls import Kernel
from ..emit import Function, Module
from ..gemm import Tiles, call_pack, call_panel
from ..isa import Isa
from ..values import Value
from ..vmath import VectorMath
from .cells import BACKWARD, FORWARD, GATES, Lanes

#: rows of the batch that make one unit of work
ROWS = 2
#: row blocks are at most this many tiles high: their sums stay in the second-level cache beside the weights
TILES = 4
_INITIAL = {"before_h": ("h", "hidden"), "before_c": ("c", "cell")}


@dataclass(frozen=True)
class Form:
    """What the code depends on: the cell, the element type, the tile, the operands there are, what the gradient is with respect to."""

    cell: str
    tiles: Tiles
    operands: tuple[str, ...]
    wrt: str = ""

    @property
    def key(self) -> tuple[object, ...]:
        return self.cell, *self.tiles.key, self.operands, self.wrt

    @property
    def gates(self) -> int:
        return GATES[self.cell]

    @property
    def block(self) -> int:
        """Rows of a block."""
        return TILES * self.tiles.rows

    def scratch(self, width: int) -> int:
        """Elements of scratch memory: sums of the gates, or both carried gradients; and a panel of zeros."""
        return self.block * width * max(self.gates, 2) + self.tiles.columns


def write_pack(module: Module, name: str, t: Tiles) -> None:
    """Operands B (rows, columns) and its panels: one after another, whole rows of a tile's columns. A unit is a panel."""
    k = Kernel(module, name, 2)
    f = k.f
    lo, hi, _ = k.rest
    kit, rows, columns, row, column = k.word(0, "ptr"), *[k.word(i) for i in range(1, 5)]
    source, to, wide = k.operand(0), k.operand(1), f.value(t.columns, "i64")
    with f.loop(lo, hi) as panel:
        j = panel * t.columns
        count = f.minimum(columns - j, t.columns)
        call_pack(f, kit, f.gep(to, j * rows, t.element), wide, f.gep(source, j * column, t.element), row, column, rows, count)


class Steps:
    """Writes a kernel; the operands' addresses and strides by name. The words: kit, steps, batch, width, (time, row) strides."""

    def __init__(self, module: Module, name: str, form: Form, isa: Isa) -> None:
        self.form, self.t = form, form.tiles
        self.kernel = Kernel(module, name, len(form.operands))
        self.f: Function = self.kernel.f
        self.math, self.wrt = VectorMath(self.f, isa), form.wrt
        self.lo, self.hi, self.scratch = self.kernel.rest
        self.bases = {o: self.kernel.operand(i) for i, o in enumerate(form.operands)}
        self.kit = self.kernel.word(0, "ptr")
        self.steps, self.batch, self.width = (self.kernel.word(i) for i in (1, 2, 3))
        self.strides = {o: (self.kernel.word(4 + 2 * i), self.kernel.word(5 + 2 * i)) for i, o in enumerate(form.operands)}
        self.columns = self.width * form.gates

    # ---------------------------------------------------------------- addresses
    def gep(self, p: Value, i: Value | int) -> Value:
        return self.f.gep(p, i, self.t.element)

    def at(self, operand: str, t: Value | int, row: Value) -> Value:
        """The row of an operand at a time step."""
        step, down = self.strides[operand]
        return self.gep(self.bases[operand], t * step + row * down)

    def before(self, name: str, t: Value, row: Value) -> tuple[Value, Value]:
        """The row of the state before step `t`, and the step to the next row."""
        f = self.f
        initial, states = _INITIAL[name]
        first = f.compare("eq", t, 0)
        place = f.select(first, self.at(initial, 0, row), self.at(states, t - 1, row))
        return place, f.select(first, self.strides[initial][1], self.strides[states][1])

    # ---------------------------------------------------------------- loops
    @contextlib.contextmanager
    def blocks(self) -> Iterator[tuple[Value, Value]]:
        """The blocks of this call's rows: the first row and their number."""
        f = self.f
        hi = f.minimum(self.hi * ROWS, self.batch)
        with f.loop(self.lo * ROWS, hi, self.form.block) as row:
            yield row, f.minimum(hi - row, self.form.block)

    def forward(self) -> None:
        f, gru = self.f, self.form.cell == "gru"
        with self.blocks() as (row, m), f.loop(0, self.steps) as t:
            h, h_row = self.before("before_h", t, row)
            start = self.bases["b"] if gru else self.at("x", t, row)
            start_row = f.value(0, "i64") if gru else self.strides["x"][1]
            self.product(h, h_row, self.width, start, start_row, self.scratch, self.columns, m)
            self.rows(t, row, m, FORWARD[self.form.cell])

    def backward(self) -> None:
        f, gru = self.f, self.form.cell == "gru"
        carried = 2 * self.form.block * self.width
        zeros = self.gep(self.scratch, carried)
        self.clear(zeros, f.value(self.t.columns, "i64"))
        with self.blocks() as (row, m):
            self.clear(self.scratch, carried)
            with f.loop(0, self.steps) as done:
                t = self.steps - 1 - done
                self.rows(t, row, m, BACKWARD[self.form.cell])
                state, down, dh = self.at("state", t, row), self.strides["state"][1], self.scratch
                if gru:  # adds to what went past the gates
                    self.product(state, down, self.columns, dh, self.width, dh, self.width, m)
                else:
                    with f.when(t > 0):
                        self.product(state, down, self.columns, zeros, None, dh, self.width, m)
            for name, source in (("first_h", "dh"), ("first_c", "dc")):
                if name in self.bases:
                    self.rows(f.value(0, "i64"), row, m, lambda e, name=name, source=source: e.put(name, e.get(source)))

    def clear(self, at: Value, count: Value) -> None:
        with self.f.loop(0, count) as i:
            self.f.store(self.f.value(0.0, self.t.element), self.gep(at, i))

    def product(self, a: Value, a_row: Value, k: Value, init: Value, init_row: Value | None, c: Value, width: Value, m: Value) -> None:
        """``c = init + a @ B`` for `m` rows with the packed B of `width` columns. Without `init_row`, `init` is one panel for all rows."""
        f, t = self.f, self.t
        with f.loop(0, width, t.columns) as j:
            packed, start, one = self.gep(self.bases["p"], j * k), init if init_row is None else self.gep(init, j), f.value(1, "i64")
            row = f.value(0, "i64") if init_row is None else init_row
            wide, n = f.value(t.columns, "i64"), f.minimum(width - j, t.columns)
            call_panel(f, self.kit, a, a_row, one, packed, wide, k, start, row, self.gep(c, j), width, m, n)

    def rows(self, t: Value, row: Value, m: Value, formula: Callable[[Lanes], None]) -> None:
        """A formula for all elements of `m` rows."""
        f, lanes = self.f, self.t.lanes
        with f.loop(0, m) as i:
            places = {o: self.at(o, t, row + i) for o in self.bases if o not in ("p", "b")}
            places |= {name: self.before(name, t, row + i)[0] for name, (o, _) in _INITIAL.items() if o in self.bases}
            places |= {"sum": self.gep(self.scratch, i * self.columns), "dh": self.gep(self.scratch, i * self.width)}
            places["dc"] = self.gep(places["dh"], self.form.block * self.width)
            with f.loop(0, self.width, lanes) as j:
                formula(_Vector(self, places, j, f.first_lanes(f.minimum(self.width - j, lanes), lanes)))


class _Vector:
    """One vector of one row, from element `j` on."""

    def __init__(self, steps: Steps, places: dict[str, Value], j: Value, mask: Value) -> None:
        self.steps, self.places, self.j, self.mask = steps, places, j, mask
        self.math, self.wrt = steps.math, steps.wrt

    def _place(self, name: str, part: int) -> Value:
        return self.steps.gep(self.places[name], self.steps.width * part + self.j)

    def get(self, name: str, part: int = 0) -> Value:
        return self.steps.f.masked_load(self.steps.t.vector, self._place(name, part), self.mask, 0.0)

    def put(self, name: str, x: Value, part: int = 0) -> None:
        if name in self.places:
            self.steps.f.masked_store(x, self._place(name, part), self.mask)
