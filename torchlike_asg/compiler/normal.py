"""Normal forms of loop nests: dimensions of size one are gone, neighbours that are one walk are merged, the vector's dimension is last."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

from .. import dtypes
from .kernel import NUMBERED, Apply, Convert, Instr, LoopKernel, Operand, Reduce, Shape
from .parts import contiguous, rewritten


def remap(k: LoopKernel, sizes: Shape, outer: int, change: Callable[[Shape], Shape]) -> LoopKernel:
    """The kernel over other dimensions: `change` gives the strides there."""
    body: list[Instr] = [replace(i, strides=change(i.strides)) if isinstance(i, NUMBERED) else i for i in k.body]
    operands = tuple([Operand(o.dtype, change(o.strides), o.offset) for o in k.operands])
    return LoopKernel(sizes, outer, operands, tuple(body), k.stores)


def reorder(k: LoopKernel, order: Sequence[int]) -> LoopKernel:
    """Dimensions in another order (some may be left out); the number of outer ones follows."""
    outer = sum(d < k.outer for d in order)
    return remap(k, tuple(k.sizes[d] for d in order), outer, lambda s: tuple(s[d] for d in order))


def walks(k: LoopKernel) -> list[Shape]:
    """Everything with strides: the stored operands first, then the others, then the index values."""
    stored = [o for o, _ in k.stores]
    others = [n for n in range(len(k.operands)) if n not in stored]
    return [k.operands[n].strides for n in [*stored, *others]] + [i.strides for i in k.body if isinstance(i, NUMBERED)]


def simplify(k: LoopKernel) -> LoopKernel:
    """Drop dimensions of size one, put long strides outside, merge. Without a reduction every dimension is an outer one."""
    if not any(isinstance(i, Reduce) for i in k.body):
        k = replace(k, outer=len(k.sizes))
    inner = range(k.outer, len(k.sizes))
    if any(k.sizes[d] == 0 for d in inner):
        # rows are empty: one dimension says so, over which a walk moves if it did before
        def collapse(s: Shape) -> Shape:
            return (*s[: k.outer], int(any(s[k.outer :])))

        k = remap(k, (*k.sizes[: k.outer], 0), k.outer, collapse)
    k = reorder(k, [d for d, n in enumerate(k.sizes) if n != 1])
    paths = walks(k)
    order = [
        *sorted(range(k.outer), key=lambda d: [-abs(s[d]) for s in paths]),
        *sorted(range(k.outer, len(k.sizes)), key=lambda d: [-abs(s[d]) for s in paths]),
    ]
    k = merge(reorder(k, order))
    return alone(k) if k.outer == len(k.sizes) else k


def without_rows(k: LoopKernel) -> LoopKernel:
    """The kernel over the outer dimensions alone, if it reduces nothing and has only row values to store (all that there is if rows are
    empty)."""
    empty = 0 in k.sizes[k.outer :]
    rows = tuple([s for s in k.stores if not any(k.operands[s[0]].strides[k.outer :])])
    if any(isinstance(i, Reduce) for i in k.body) or not rows or not (empty or len(rows) == len(k.stores)):
        return k
    return reorder(replace(k, stores=rows), range(k.outer))


def alone(k: LoopKernel) -> LoopKernel:
    """The kernel whose rows have one element, without reductions."""

    def itself(body: list[Instr], i: Instr) -> None:
        assert isinstance(i, Reduce)
        if i.kind == "variance":  # 0, but for infinities and NaN
            body.append(Apply("sub", (i.arg, i.arg), (), i.dtype, i.dtype, lambda e, a, b: e.sub(a, b)))
            return
        if i.kind in ("any", "all"):
            body.append(Convert(i.arg, dtypes.bool_))
        body.append(Convert(len(body) - 1 if i.kind in ("any", "all") else i.arg, i.dtype))

    body, to = rewritten(k, lambda s: s, {n: itself for n, i in enumerate(k.body) if isinstance(i, Reduce)})
    return replace(k, body=tuple(body), stores=tuple((o, to[v]) for o, v in k.stores))


def merge(k: LoopKernel) -> LoopKernel:
    """Neighbours of one kind over which every walk goes on evenly become one dimension."""
    d = 0
    while d + 1 < len(k.sizes):
        same = d + 1 < k.outer or d >= k.outer
        if same and all(s[d] == s[d + 1] * k.sizes[d + 1] for s in walks(k)):
            sizes = (*k.sizes[:d], k.sizes[d] * k.sizes[d + 1], *k.sizes[d + 2 :])
            k = remap(k, sizes, k.outer - (d + 1 < k.outer), lambda s, d=d: (*s[:d], *s[d + 1 :]))  # type: ignore[misc]
        else:
            d += 1
    return k


def orient(k: LoopKernel) -> tuple[LoopKernel, bool]:
    """Choose the vectors' dimension and put it last of its kind.

    Gives the kernel and whether the vectors lie along an outer dimension of a kernel that reduces (*columns*). A kernel that does not
    reduce gets its vectors' dimension as the one inner dimension: its rows are what is constant along the vectors.
    """
    rank = len(k.sizes)
    if rank == 0:
        return k, False
    if k.outer == rank:
        best = _best(k, range(rank), range(len(k.operands)))
        k = reorder(k, [*[d for d in range(rank) if d != best], best])
        return replace(k, outer=rank - 1), False
    full = [n for n, o in enumerate(k.operands) if any(o.strides[k.outer :])]
    row = _best(k, range(k.outer, rank), full)
    if k.outer:
        column = _best(k, range(k.outer), full)
        if _score(k, column, full) > _score(k, row, full):
            return reorder(k, [*[d for d in range(k.outer) if d != column], column, *range(k.outer, rank)]), True
    return reorder(k, [*range(k.outer), *[d for d in range(k.outer, rank) if d != row], row]), False


def _score(k: LoopKernel, d: int, operands: Sequence[int]) -> float:
    """How well vectors along a dimension suit the operands: neighbours in memory are best, one element for all is second."""
    stored = {o for o, _ in k.stores}
    score = 0.0
    for n in operands:
        step = k.operands[n].strides[d]
        score += (2 if step == 1 else 1 if step == 0 else 0) * (1.5 if n in stored else 1)
    return score


def _best(k: LoopKernel, dims: Sequence[int], operands: Sequence[int]) -> int:
    """The dimension for vectors; of equal ones the last."""
    return max(dims, key=lambda d: (_score(k, d, operands), d))


def over_matrix(k: LoopKernel, whole: Operand, columns: int | None) -> LoopKernel | None:
    """A kernel without reductions over (rows, columns) of an operand's memory, whatever the order of its own dimensions; rows may be
    several dimensions. `columns` is the number of columns, by default the size of the last dimension there. None if that memory has gaps
    or is no such matrix.
    """
    order = sorted((d for d, n in enumerate(k.sizes) if n != 1), key=lambda d: -whole.strides[d])
    sizes = [k.sizes[d] for d in order]
    if [whole.strides[d] for d in order] != list(contiguous(sizes)):
        return None
    if columns is None:
        if len(sizes) < len(k.sizes) and len(sizes) <= 1:
            return None  # one row, or one column?
        columns = sizes[-1] if sizes else 1
    if columns == 1:
        k = remap(k, (*k.sizes, 1), len(k.sizes), lambda s: (*s, 0))
        order.append(len(k.sizes) - 1)
    elif not sizes or sizes[-1] != columns:
        return None
    return merge(replace(reorder(k, order), outer=len(order) - 1))


def points(k: LoopKernel) -> int:
    return math.prod(k.sizes[: k.outer])


def length(k: LoopKernel) -> int:
    """Points that a row has."""
    return math.prod(k.sizes[k.outer :])
