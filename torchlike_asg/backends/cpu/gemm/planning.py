"""Blocks of a product: how the result is divided into units, and which operands are copied."""

from __future__ import annotations

from dataclasses import dataclass

from .block import PACK_A, PACK_B
from .geometry import Product
from .tiles import Tiles

#: a matrix with fewer multiply-adds is one unit
_SMALL = 64 * 1024
#: nanoseconds per multiply-add of one lane's worth, at the speed that blocked products reach, and of a call
_NS_PER_VECTOR, _NS_PER_CALL = 0.32, 60.0


@dataclass(frozen=True)
class Blocks:
    """``block_rows``, ``block_columns`` of a unit, how many of each there are; ``cost`` of all in nanoseconds."""

    block_rows: int
    block_columns: int
    row_blocks: int
    column_blocks: int
    cost: float


def blocks(p: Product, t: Tiles, threads: int) -> Blocks:
    """Blocks large enough that packing stays cheap, small enough that there are several for each thread."""
    rows, columns = p.m, min(p.n, t.block_columns)
    if p.c_column != 1:
        rows = min(rows, t.block_rows)
    if threads > 1:
        while p.count * -(-p.m // rows) * -(-p.n // columns) < 4 * threads and rows * columns * p.k > _SMALL:
            if rows >= 2 * columns or columns < 2 * t.columns:
                if rows < 2 * t.rows:
                    break
                rows = _ceil(-(-rows // 2), t.rows)
            else:
                columns = _ceil(-(-columns // 2), t.columns)
    row_blocks, column_blocks = -(-p.m // rows), -(-p.n // columns)
    vectors = p.count * p.m * -(-p.n // t.lanes) * p.k
    return Blocks(rows, columns, row_blocks, column_blocks, vectors * _NS_PER_VECTOR + p.count * row_blocks * column_blocks * _NS_PER_CALL)


def _ceil(x: int, to: int) -> int:
    return -(-x // to) * to


def packing(p: Product, t: Tiles) -> int:
    """Which operands are copied although they could be read in place: where their rows fall on equal cache sets."""
    flags = 0
    stride = (p.a_row if p.a_k == 1 else p.a_k) * t.itemsize
    if (p.a_k != 1 and p.a_row != 1) or (p.m > 4 * t.rows and stride % 1024 == 0):
        flags |= PACK_A
    if p.b_column == 1 and p.m > 4 * t.rows and p.b_k * t.itemsize % 1024 == 0:
        flags |= PACK_B
    return flags
