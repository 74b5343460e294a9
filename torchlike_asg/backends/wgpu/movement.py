"""Operations that move elements without computing, as shaders (see `backends.movement`), and triangles of matrices."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from ... import dtypes
from ..movement import MOVING, Mover
from ..views import broadcast
from .calls import LibraryNode, Lowering, View, element, library
from .copies import add, copy, fill, temporary
from .halves import halves, longest, too_large
from .points import Stream, points

#: most copies of one form that are done by one dispatch
_TOGETHER = 15


class _Mover:
    """A `Mover` that adds dispatches to a lowering."""

    def __init__(self, lowering: Lowering) -> None:
        self._lowering = lowering

    def copy(self, src: View, dst: View) -> bool:
        copy(self._lowering, src, dst)
        return True

    def fill(self, dst: View, value: Any = 0) -> bool:
        fill(self._lowering, dst, value)
        return True

    def accumulate(self, src: View, dst: View) -> bool:
        d = dst.dtype
        if d.is_complex or d is dtypes.bool_:
            return False
        add(self._lowering, src, dst)
        return True

    def temporary(self, shape: Sequence[int], like: View, strides: tuple[int, ...] | None = None) -> View:
        made = temporary(self._lowering, shape, like.dtype)
        return made if strides is None else replace(made, strides=strides)

    def together(self, copies: Sequence[tuple[View, View]], fills: Sequence[tuple[View, Any]], label: str) -> bool:
        """Copies of one form that follow each other at even distances share a dispatch."""
        for dst, value in fills:
            fill(self._lowering, dst, value, label)
        most = min(_TOGETHER, self._lowering.caps.max_operands - 1)
        todo = [(broadcast(src, dst.shape), dst) for src, dst in copies]
        while todo:
            count = 1
            while count < min(len(todo), most) and _alike(todo, count):
                count += 1
            self._copies(todo[:count], label)
            todo = todo[count:]
        return True

    def _copies(self, pairs: Sequence[tuple[View, View]], label: str) -> None:
        first = pairs[0][1]
        apart = pairs[-1][1].offset - pairs[-2][1].offset if len(pairs) > 1 else 0
        whole = replace(first, shape=(len(pairs), *first.shape), strides=(apart, *first.strides))
        if len(pairs) == 1 or any(too_large(self._lowering, v) for v in (whole, *[src for src, _ in pairs])):
            for src, dst in pairs:
                copy(self._lowering, src, dst, label)
            return
        streams = [Stream(whole, whole.strides), *[Stream(src, (0, *src.strides)) for src, _ in pairs]]
        cases = " ".join(f"case {k}u: {{ m0[a0] = m{k + 1}[a{k + 1}]; }}" for k in range(len(pairs)))
        text = f"switch (i0) {{ {cases} default: {{}} }}"
        points(self._lowering, ("copies",), label, whole.shape, streams, lambda _: text, (0,), indexed=True)


def _alike(pairs: Sequence[tuple[View, View]], n: int) -> bool:
    """Whether copy number `n` has the form of the first, and its target lies as far behind the one before as that of the second."""
    (a, b), (c, d) = pairs[0], pairs[n]
    same = (b.shape, a.strides, b.strides) == (d.shape, c.strides, d.strides) and b.slot == d.slot
    apart = d.offset - pairs[n - 1][1].offset
    return same and apart == pairs[1][1].offset - b.offset


def _register(name: str, fn: Callable[[Mover, LibraryNode], bool]) -> None:
    @library(name)
    def lower(lowering: Lowering, node: LibraryNode) -> bool:
        return fn(_Mover(lowering), node)


for _name, _fn in MOVING.items():
    _register(_name, _fn)


@library("tril", "triu")
def _triangle(lowering: Lowering, node: LibraryNode) -> bool:
    x, out, (diagonal,) = node.operands[0], node.result, node.attrs
    rank = len(out.shape)
    if rank < 2:
        return False
    _triangle_of(lowering, node.op, x, out, diagonal)
    return True


def _triangle_of(lowering: Lowering, op: str, x: View, out: View, diagonal: int) -> None:
    rank = len(out.shape)
    cut = longest(lowering, (x, out), range(rank))
    if cut is not None:  # rows and columns of the second half are counted from its first
        moved = {rank - 2: 1, rank - 1: -1}.get(cut, 0) * (out.shape[cut] // 2)
        first, second = halves((x, out), cut)
        _triangle_of(lowering, op, *first, diagonal)
        _triangle_of(lowering, op, *second, diagonal + moved)
        return
    row, column = f"i32(i{rank - 2})", f"i32(i{rank - 1})"
    sign = "<=" if op == "tril" else ">="
    points(
        lowering, ("triangle", op), op, out.shape, [Stream(x, x.strides), Stream(out, out.strides)],
        lambda s: f"m1[a1] = select({element(out.dtype)}(), m0[a0], {column} {sign} {row} + {s.signed('diagonal')});", (1,),
        {"diagonal": diagonal}, indexed=True,
    )  # fmt: skip
