"""What the forward and the backward kernel share: batch geometry, argument words, scores of a block of keys."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ... import attention
from ..calls import Kernel, LibraryNode, Source, View
from ..emit import Function, Module
from ..values import Value, vector
from .parts import Form, copy, tile, transpose

#: keys handled at a time: their scores with one panel of queries stay in the first-level cache
BLOCK = 64
#: batch dimensions in the code if there are no more after merging: most programs have batch and heads, grouped queries one more
RANK = 3
LOG2E = math.log2(math.e)
#: inner functions: tiles of a product, and of its second vector alone; transposition and copies inside and to results; the mask's
FUNCTIONS = ("many", "one", "many_half", "one_half", "turn", "turn_out", "move", "move_out", "turn_mask")
Strides = dict[str, tuple[int, ...]]


def merged(views: Mapping[str, View]) -> tuple[tuple[int, ...], Strides]:
    """`attention.batches` with at least RANK dimensions."""
    sizes, strides = attention.batches(views)
    pad = max(0, RANK - len(sizes))
    return (1,) * pad + sizes, {name: (0,) * pad + s for name, s in strides.items()}


@dataclass(frozen=True)
class Problem(attention.Problem[View]):
    """A node's operands by name and everything about them that the kernels need to know: ``strides`` along the batch dimensions."""

    strides: Strides

    @property
    def mask(self) -> str:
        """ "" without a mask, else the LLVM type of its elements in memory."""
        mask = self.views.get("m")
        return "" if mask is None else "i8" if mask.dtype.name == "bool" else "double" if mask.dtype.name == "float64" else "float"

    @property
    def pairs(self) -> float:
        """Pairs of a query and a key that it sees, roughly."""
        return self.count * self.queries * self.keys * (0.5 if self.causal and self.queries > 1 else 1.0)

    def words(self) -> dict[str, Any]:
        """Sizes, strides and the scale as argument words."""
        words: dict[str, Any] = {
            "queries": self.queries,
            "keys": self.keys,
            "width": self.width,
            "width_v": self.width_v,
            "causal": int(self.causal),
            "scale": self.scale,
        }
        for d, n in enumerate(self.sizes):
            words[f"size{d}"] = n
            words |= {f"{name}{d}": steps[d] for name, steps in self.strides.items()}
        for name, view in self.views.items():
            row, column = view.strides[-2:]
            words |= {f"{name}_row": row, f"{name}_column": column}
            if view.shape[-2:] != (self.queries, self.keys) and name == "m":  # a mask broadcasts along either
                words |= {"m_row": row if view.shape[-2] != 1 else 0, "m_column": column if view.shape[-1] != 1 else 0}
        return words


def problem(node: LibraryNode, views: dict[str, View]) -> Problem:
    """The problem of a node whose last attributes but a selector are (causal, scale)."""
    sizes, strides = merged(views)
    return Problem(views, sizes, bool(node.attrs[0]), float(node.attrs[1]), strides)


def functions(form: Form, mask: str = "") -> dict[str, Source]:
    """The inner functions by the names in `FUNCTIONS`, as argument words."""
    read = "" if mask == form.element else mask
    found = (
        *[tile(form, rows, vectors) for vectors in (2, 1) for rows in (form.rows, 1)],
        transpose(form),
        transpose(form, True),
        copy(form),
        copy(form, True),
        transpose(form, source=read),
    )
    return dict(zip(FUNCTIONS, found, strict=True))


class Layout:
    """Consecutive pieces of scratch memory, each 64-byte aligned: byte offsets by name."""

    def __init__(self, **elements: tuple[int, int]) -> None:
        """Pieces as (elements, bytes of one)."""
        self.at: dict[str, int] = {}
        self.size = 0
        for name, (count, itemsize) in elements.items():
            self.at[name] = self.size
            self.size += -(-count * itemsize // 64) * 64

    def words(self) -> dict[str, int]:
        return {f"at_{name}": at for name, at in self.at.items()}


class Writer:
    """The state of writing one kernel: its words by name, its inner functions, the addresses of a unit's operands."""

    def __init__(
        self,
        module: Module,
        name: str,
        form: Form,
        operands: Sequence[str],
        words: Sequence[str],
        rank: int,
        mask: str,
        dropout: bool = False,
    ) -> None:
        """With `dropout`, key and first block of a stream of random numbers are two more operands."""
        self.kernel = Kernel(module, name, len(operands) + 2 * dropout)
        self.f: Function = self.kernel.f
        self.form, self.module, self.rank, self.mask = form, module, rank, mask
        self.lo, self.hi, self.scratch = self.kernel.rest
        self.bases = {o: self.kernel.operand(i) for i, o in enumerate(operands)}
        self.dropout = dropout
        if dropout:
            self.stream = [self.f.load("i64", self.kernel.operand(len(operands) + n)) for n in range(2)]
        types = dict.fromkeys(("scale", "dropped", "kept"), "double") | dict.fromkeys(FUNCTIONS, "ptr")
        self.w = {n: self.kernel.word(i, types.get(n, "i64")) for i, n in enumerate(words)}
        if "scale" in self.w:
            scale = self.w["scale"]
            #: the scale, and that of exponents of two
            self.scale, self.power = [self.scalar(s, form.element) for s in (scale, scale * LOG2E)]

    def scalar(self, x: Value, element: str) -> Value:
        """A double as another floating-point type."""
        return x if element == "double" else self.f.convert("fptrunc", x, element)

    # ---------------------------------------------------------------- addresses
    def piece(self, name: str) -> Value:
        """The address of a piece of scratch memory."""
        return self.f.gep(self.scratch, self.w[f"at_{name}"], "i8")

    def at(self, base: Value, index: Any) -> Value:
        return self.f.gep(base, index, self.form.element)

    def unit(self, number: Value) -> dict[str, Value]:
        """The operands' addresses for one of the `Problem.count` attentions, which becomes the current one, `self.number`."""
        self.number = number
        f, places = self.f, dict(self.bases)
        for d in reversed(range(self.rank)):
            size = self.w[f"size{d}"]
            index = number % size
            number = number // size
            for o in places:
                places[o] = f.gep(places[o], index * self.w[f"{o}{d}"], self.type_of(o))
        return places

    def type_of(self, operand: str) -> str:
        return self.mask if operand == "m" else self.form.element

    def call(self, function: str, *args: Any) -> None:
        """Call an inner function; plain integers are i64."""
        f = self.f
        f.call_pointer("void", self.w[function], *[a if a.__class__ is Value else f.value(a, "i64") for a in args])

    # ---------------------------------------------------------------- pieces of the computation
    def fill(self, at: Value, value: Any) -> None:
        """One vector with a scalar in every lane."""
        self.f.store(self.f.splat(value, self.form.vector) if value.__class__ is Value else self.f.value(value, self.form.vector), at)

    def rows(
        self, a: Value, a_row: Any, a_k: Any, b: Value, b_k: Any, c: Value, c_row: Any, rows: Value, k: Value, half: bool = False
    ) -> None:
        """``c += a @ b`` for any number of rows and one panel width of columns, or with `half` only for its second vector."""
        size, suffix, yes = self.form.rows, "_half" if half else "", self.f.value(True, "i1")
        if half:
            b, c = self.at(b, self.form.lanes), self.at(c, self.form.lanes)
        whole = rows - rows % size
        self.call("many" + suffix, a, a_row, a_k, b, b_k, c, c_row, k, yes, whole // size)
        self.call("one" + suffix, self.at(a, whole * a_row), a_row, a_k, b, b_k, self.at(c, whole * c_row), c_row, k, yes, rows - whole)

    def products(self, a: Value, a_row: Value, a_k: Value, b: Value, k: Value, dst: Value, first: Value, count: Value, i0: Value) -> None:
        """``dst[j - first] = a[j] @ b`` for `count` keys j from `first` on, in rows of panel width; the queries begin at `i0`.

        The last tile moves back where it would reach beyond the last key, so `dst` needs a tile's rows of room before and after.
        """
        f, size, width = self.f, self.form.rows, self.form.width
        keys, no, both = self.w["keys"], f.value(False, "i1"), self.both(first, count, i0)

        def tiles() -> None:
            for name, lo, hi, column in (("many", f.value(0, "i64"), both, 0), ("many_half", both, count, self.form.lanes)):

                def some(j: Value, number: Value | int, name: str = name, column: int = column) -> None:
                    to = self.at(dst, (j - first) * width + column)
                    self.call(name, self.at(a, j * a_row), a_row, a_k, self.at(b, column), width, to, width, k, no, number)

                whole = (hi - lo) // size
                some(first + lo, whole)
                with f.when(lo + whole * size < hi):
                    some(f.minimum(first + lo + whole * size, keys - size), 1)

        def single() -> None:
            self.call("one", self.at(a, first * a_row), a_row, a_k, b, width, dst, width, k, no, count)

        f.branch(keys < size, single, tiles)

    def both(self, first: Value, count: Value, i0: Value) -> Value:
        """How many of `count` keys from `first` on both halves of a panel see, whole tiles; the others are hidden from the first half."""
        f, size = self.f, self.form.rows
        seen = (f.maximum(i0 + self.form.lanes - first, 0) + (size - 1)) // size * size
        return f.select(f.compare("ne", self.w["causal"], 0), f.minimum(seen, count), count)

    def load_mask(self, mask: Value, i0: Value, nq: Value, j0: Value, nk: Value) -> Value:
        """Bring the mask of a block of keys and a panel of queries into place; whether any of the pairs is not hidden."""
        f, form, w, panel = self.f, self.form, self.w, self.piece("mask")
        at = f.gep(mask, i0 * w["m_row"] + j0 * w["m_column"], self.mask)
        self.call("turn_mask", at, w["m_row"], w["m_column"], nq, nk, panel, form.width, 1, self.piece("mask_factor"), 0)
        seen = f.variable(0.0, form.vector)
        with f.loop(0, nk * form.width, form.lanes) as x:
            seen.set(f.select(f.compare("ne", f.load(form.vector, self.at(panel, x)), -math.inf), 1.0, seen.get()))
        found = f.compare("ne", seen.get(), 0.0)
        return f.call("i1", f"llvm.vector.reduce.or.v{form.lanes}i1", found)  # type: ignore[no-any-return]

    def hide(self, scores: Value, i0: Value, j0: Value, nk: Value) -> None:
        """Apply the mask in place and causality to the scores of `nk` keys from `j0` on with the panel of queries from `i0` on."""
        f, form, w = self.f, self.form, self.w
        v = form.vector
        if self.mask:
            panel = self.piece("mask")
            with f.loop(0, nk * form.width, form.lanes) as x:
                place = self.at(scores, x)
                s, m = f.load(v, place), f.load(v, self.at(panel, x))
                f.store(f.select(f.compare("eq", m, 0.0), s, -math.inf) if self.mask == "i8" else s + m, place)
        lane = f.lane_numbers(vector("i32", form.lanes))
        causal = f.compare("ne", w["causal"], 0)
        with f.loop(f.maximum(j0, i0 + 1), f.select(causal, j0 + nk, 0)) as j:
            ahead = f.splat(f.convert("trunc", j - i0, "i32"), lane.type)
            for n in range(2):
                place = self.at(scores, (j - j0) * form.width + n * form.lanes)
                f.store(f.select(lane + n * form.lanes < ahead, -math.inf, f.load(v, place)), place)

    def limit(self, i0: Value) -> Value:
        """How many keys a panel of queries from `i0` on sees."""
        f, w = self.f, self.w
        return f.select(f.compare("ne", w["causal"], 0), f.minimum(w["keys"], i0 + self.form.width), w["keys"])
