"""Packing: a block of an operand copied so that the micro-kernels read it in order."""

from __future__ import annotations

from collections.abc import Sequence

from ..calls import Source
from ..emit import Function, Module
from ..values import Value, lanes, vector
from .tiles import Tiles

#: ``to[k * width + j] = of[k * of_k + j * of_column]`` for k < rows, j < columns
PACK = [
    ("ptr noalias", "to"),
    ("i64", "width"),
    ("ptr noalias", "of"),
    ("i64", "of_k"),
    ("i64", "of_column"),
    ("i64", "rows"),
    ("i64", "columns"),
]


def pack_source(t: Tiles) -> Source:
    """The function of signature `PACK`. Strides in elements.

    If ``of_k`` is 1 and ``of_column`` is not, whole vectors may be written: `width` must then reach to the next multiple of the vector's
    lanes, and the elements between hold anything.
    """
    return Source(("gemm_pack", *t.key), lambda module, name: _write(module, name, t))


def _write(module: Module, name: str, t: Tiles) -> None:
    f = module.function(name, PACK)
    _, _, _, of_k, of_column, rows, _ = f.params

    def strided() -> None:
        f.branch(f.compare("eq", of_k, 1) & (rows >= 16 // t.itemsize), lambda: _transpose(f, t), lambda: _scalars(f, t))

    f.branch(f.compare("eq", of_column, 1), lambda: _copy(f, t), strided)


def _copy(f: Function, t: Tiles) -> None:
    """Adjacent columns: rows of whole vectors and a masked rest."""
    to, width, of, of_k, _, rows, columns = f.params
    whole = columns - columns % t.lanes
    mask = f.first_lanes(columns - whole, t.lanes)
    with f.loop(0, rows) as k:
        source, target = f.gep(of, k * of_k, t.element), f.gep(to, k * width, t.element)
        with f.loop(0, whole, t.lanes) as j:
            f.store(f.load(t.vector, f.gep(source, j, t.element)), f.gep(target, j, t.element))
        with f.when(whole < columns):
            f.masked_store(f.masked_load(t.vector, f.gep(source, whole, t.element), mask), f.gep(target, whole, t.element), mask)


def _scalars(f: Function, t: Tiles) -> None:
    to, width, of, of_k, of_column, rows, columns = f.params
    with f.loop(0, columns) as j:
        source, target = f.gep(of, j * of_column, t.element), f.gep(to, j, t.element)
        with f.loop(0, rows) as k:
            f.store(f.load(t.element, f.gep(source, k * of_k, t.element)), f.gep(target, k * width, t.element))


def _transpose(f: Function, t: Tiles) -> None:
    """Adjacent rows (k): a vector's worth of columns at a time, a few k at a time."""
    to, width, of, _, of_column, rows, columns = f.params
    few = 16 // t.itemsize
    with f.loop(0, columns, t.lanes) as j:
        starts = [f.gep(of, f.minimum(j + i, columns - 1) * of_column, t.element) for i in range(t.lanes)]
        target = f.gep(to, j, t.element)
        with f.loop(0, rows, few) as k:
            first = f.minimum(k, rows - few)  # the last step may do rows again
            p = f.gep(target, first * width, t.element)
            for i, v in enumerate(transposed(f, t, [f.gep(q, first, t.element) for q in starts])):
                f.store(v, f.gep(p, width * i, t.element))


def transposed(f: Function, t: Tiles, rows: Sequence[Value]) -> list[Value]:
    """The transpose of a matrix of `t.lanes` rows and 16 bytes of columns, given by its rows' addresses: a vector for each column.

    Vector i is put together from 16-byte pieces of rows i, i + few, i + 2 * few, ...; what remains is a square transpose within the pieces,
    which takes only shuffles within 16 bytes.
    """
    few = 16 // t.itemsize
    vectors = []
    for i in range(few):
        pieces = [f.load(vector(t.element, few), q) for q in rows[i::few]]
        while len(pieces) > 1:
            together = range(2 * lanes(pieces[0].type))
            pieces = [f.shuffle(a, b, together) for a, b in zip(pieces[::2], pieces[1::2], strict=True)]
        vectors.append(pieces[0])

    def square(part: list[Value]) -> list[Value]:
        if len(part) == 1:
            return part
        half = len(part) // 2
        pairs = zip(square(part[:half]), square(part[half:]), strict=True)
        return [f.shuffle(a, b, order) for a, b in pairs for order in _interleavings(t.lanes, few, half)]

    return square(vectors)


def _interleavings(n: int, piece: int, group: int) -> list[list[int]]:
    """Shuffles of two vectors of n lanes: groups from the first half of each piece of the one and the other in turn; from the second."""
    return [
        [
            vector_ * n + p + half * piece // 2 + g + i
            for p in range(0, n, piece)
            for g in range(0, piece // 2, group)
            for vector_ in (0, 1)
            for i in range(group)
        ]
        for half in (0, 1)
    ]
