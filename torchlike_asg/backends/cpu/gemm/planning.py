"""Blocks of a product: how the result is divided into units, and which operands are copied."""

from __future__ import annotations

import functools
from dataclasses import dataclass

from ...products import Product
from .block import PACK_A, PACK_B
from .tiles import DOT_K, Tiles

#: a matrix with fewer multiply-adds is not divided
_SMALL = 64 << 10
#: a product of fewer tiles and more multiply-adds is cut along k, into so many parts at most, which are at least so long
_FEW_TILES, _LONG, _PARTS, _PART = 8, 4 << 20, 16, 2048
#: elements of b in a block of `dot`, multiply-adds of a unit
_DOT_BLOCK, _DOT_WORK = 64 << 10, 256 << 10
#: nanoseconds of a multiply-add of 64-byte vectors (of smaller ones two are done at a time), of reading a byte, of a call
_VECTOR_NS, _BYTE_NS, _CALL_NS = 0.3, 0.02, 30.0
#: costs in multiply-adds of a vector, measured: packing a vector of b (copied, transposed), packing an element of a, a tile's beginning
#: and end per vector of accumulators, a call of the blocked product, adding up a vector's lanes at the end of a dot product
_COPY, _TRANSPOSE, _COPY_A, _TILE, _BLOCK, _TOTAL = 2.0, 5.0, 0.3, 1.2, 200.0, 1.8


@dataclass(unsafe_hash=True)
class Blocks:
    """``block_rows``, ``block_columns`` of a unit, how many of each there are."""

    block_rows: int
    block_columns: int
    row_blocks: int
    column_blocks: int

    @property
    def count(self) -> int:
        return self.row_blocks * self.column_blocks


def blocks(p: Product, t: Tiles, threads: int) -> Blocks:
    """Blocks for which the busiest thread has the least to do, packing included, if each takes as many neighbouring units as the others."""
    rows = p.m if p.c_column == 1 else t.block_rows
    copied = 1 + (_COPY_A / t.vectors if packing(p, t) & PACK_A else 0)
    return _best_blocks(p.count, p.m, p.n, min(p.m, rows), _packing_cost(p, t), copied, t, threads if p.m * p.n * p.k > _SMALL else 1)


@functools.lru_cache(4096)
def _best_blocks(count: int, m: int, n: int, rows: int, pack: float, row: float, t: Tiles, threads: int) -> Blocks:
    """The largest blocks that are hardly worse than the best; costs are counted per k: `pack` of a vector of b, `row` of a row of a."""
    panels = -(-n // t.columns)
    fewest = -(-n // t.block_columns)
    best = Blocks(rows, -(-panels // fewest) * t.columns, -(-m // rows), -(-panels // -(-panels // fewest)))
    least = float("inf")
    more = () if threads == 1 else (fewest, fewest + 1, fewest + 2, fewest + 3, 2 * fewest, 4 * fewest, 8 * fewest, panels)
    for width in sorted({-(-panels // b) for b in more}, reverse=True):
        column_blocks = -(-panels // width)
        for height in (32, 16, 8, 4, 2, 1):
            block_rows = min(height * t.rows, rows)
            row_blocks = -(-m // block_rows)
            units = -(-count * row_blocks * column_blocks // threads)
            runs = min(units, (units - 1) // row_blocks + 2)
            cost = width * (units * block_rows * row + runs * pack) + runs
            if cost < 0.97 * least:
                best, least = Blocks(block_rows, width * t.columns, row_blocks, column_blocks), cost
    return best


def _packing_cost(p: Product, t: Tiles) -> float:
    """Of a vector of b, in multiply-adds."""
    return _TRANSPOSE if p.b_k == 1 and p.b_column != 1 else _COPY if packing(p, t) & PACK_B else 0.0


def parts(p: Product, t: Tiles) -> int:
    """Into how many parts k is cut: several if the result is too small to be divided and k long. Depends on nothing but the sizes."""
    small = -(-p.m // t.rows) * -(-p.n // t.columns) <= _FEW_TILES
    if p.count > 1 or not small or p.k < 2 * _PART or max(p.m * p.n, 16) * p.k < _LONG:
        return 1
    return min(p.k // _PART, _PARTS)


def dot_blocks(p: Product, t: Tiles) -> Blocks:
    """Blocks of rows and columns for `dot`, whose b stays in the cache while a's rows go by."""
    others = dot_rows(p, t)
    column_blocks = -(-p.n * min(p.k, DOT_K) // _DOT_BLOCK) or 1
    columns = _ceil(-(-p.n // column_blocks), others)
    row_blocks = -(-p.m * p.k * columns // _DOT_WORK) or 1
    return _blocks(p, _ceil(-(-p.m // row_blocks), dot_group(p, t)), columns)


def _blocks(p: Product, rows: int, columns: int) -> Blocks:
    return Blocks(rows, columns, -(-p.m // rows), -(-p.n // columns))


def dot_group(p: Product, t: Tiles) -> int:
    """Rows of a in a tile of `dot`."""
    return int(min(1 << (p.m - 1).bit_length(), 4, t.lanes // 2))


def dot_rows(p: Product, t: Tiles) -> int:
    """Rows of b in a tile of `dot`: fewer if many would fall on equal cache sets."""
    others = t.lanes // dot_group(p, t)
    return min(others, 4) if p.b_column * t.itemsize % 4096 == 0 else others


def dot_cost(p: Product, t: Tiles) -> float:
    """Nanoseconds of the product by dot products."""
    group = dot_group(p, t)
    count = -(-p.m // group) * -(-p.n // (t.lanes // group))
    return _time(p, t, count * t.lanes * (-(-p.k // t.lanes) + -(-p.k // DOT_K) * _TOTAL), 0)


def row_cost(p: Product, t: Tiles) -> float:
    """Nanoseconds of a row times a matrix."""
    return _time(p, t, -(-p.n // t.lanes) * p.k, 0)


def blocked_cost(p: Product, t: Tiles) -> float:
    """Nanoseconds of the blocked product. Tiles of one row wait for their own results, so they count twice."""
    panels, rest = divmod(p.n, t.columns)
    edges = -(-rest // t.lanes)
    pack = _packing_cost(p, t)
    single = p.m % t.rows % 2
    per_k = panels * (t.vectors * (p.m + single + pack)) + edges * (p.m + 2 * single + max(pack, _COPY))
    return _time(p, t, per_k * p.k + _TILE * p.m * (panels * t.vectors + edges) * -(-p.k // t.k_block), _BLOCK)


def _time(p: Product, t: Tiles, vectors: float, more: float) -> float:
    ns = _VECTOR_NS * max(0.5, t.lanes * t.itemsize / 64)
    read = (p.m + p.n) * p.k * t.itemsize * _BYTE_NS
    return _CALL_NS + p.count * max((vectors + more) * ns, read)


def _ceil(x: int, to: int) -> int:
    return -(-x // to) * to


def packing(p: Product, t: Tiles) -> int:
    """Which operands are copied although they could be read in place: A if its elements lie far apart or its rows fall on equal cache
    sets, B if its rows are far apart and there are enough of a's to pay for it."""
    flags = 0
    stride = (p.a_row if p.a_k == 1 else p.a_k) * t.itemsize
    if (p.a_k != 1 and p.a_row != 1 and p.n > t.columns) or (p.m >= 8 and p.n >= t.columns and stride % 4096 == 0):
        flags |= PACK_A
    if p.m >= 256 and p.k >= 256 and p.b_k * t.itemsize >= 512:
        flags |= PACK_B
    return flags
