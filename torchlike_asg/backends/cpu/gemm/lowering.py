"""Lowering of `matmul` and `linear`: which kernel, which blocks, how many units."""

from __future__ import annotations

from ....dtypes import bfloat16, float16
from ..calls import Call, LibraryNode, Lowering, library
from .block import kit
from .direct import WORDS as DIRECT_WORDS
from .direct import direct_source
from .dot import WORDS as DOT_WORDS
from .dot import dot_source
from .finish import finish_block
from .geometry import Product, product
from .multiply import INIT_COPIED, INIT_DIRECT, INIT_NONE, WORDS, multiply_source
from .planning import blocked_cost, blocks, dot_blocks, dot_cost, dot_group, packing, row_cost
from .rowwise import VECTORS, rowwise_source
from .rowwise import WORDS as ROW_WORDS
from .tiles import Tiles, tiles

#: multiply-adds of a matrix below which no blocks are made, and nanoseconds that one costs then
_TINY, _TINY_NS = 192, 0.4
#: elements of b that a unit of a row times a matrix reads
_ROW_UNIT = 64 << 10
_ELEMENTS = {"float32": "float", "float64": "double", "uint8": "i8", "int8": "i8", "int16": "i16", "int32": "i32", "int64": "i64"}


@library("matmul", "linear", epilogue=True)
def lower(lowering: Lowering, node: LibraryNode) -> bool:
    """Products of real numbers; complex ones are left to the reference."""
    element = _ELEMENTS.get(node.result.dtype.compute.name)
    if element is None:
        return False
    p = product(node)
    if p.c_column != 1 and p.c_row == 1 and node.epilogue is None:
        p = p.swapped()
    if not p.count * p.m * p.n:
        return True
    narrow = node.result.dtype in (float16, bfloat16)
    if element not in ("float", "double") or (p.m * p.n * p.k <= _TINY and not (narrow and p.c_column != 1)):
        _direct(lowering, node, p, element)
        return True
    t = tiles(lowering.isa, element)
    if p.n <= 2 < p.m:
        p = p.swapped()
    if p.a_k == 1 and p.b_k == 1 and (1 in (p.c_column, p.c_row) or not narrow) and dot_cost(p, t) < blocked_cost(p, t):
        _dots(lowering, node, p, t)
    elif p.m == 1 and p.b_column == 1 and p.c_column == 1 and (p.init is None or p.init_column == 1):
        _rowwise(lowering, node, p, t)
    else:
        _blocked(lowering, node, p, t)
    return True


def _call(node: LibraryNode, p: Product, **kw: object) -> Call:
    """The parts of a call that all products share."""
    inputs = [p.a, p.b, *([p.init] if p.init else [])]
    operands = (p.a.place, p.b.place, p.c.place, (p.init or p.c).place)
    reads = tuple(dict.fromkeys((*(v.slot for v in inputs), *node.epilogue_reads)))
    writes = tuple(dict.fromkeys((p.c.slot, *node.epilogue_writes)))
    size = p.count * (p.m * p.n + p.m * p.k + p.k * p.n) * p.c.itemsize
    label = f"{node.op} {p.count}x{p.m}x{p.n}x{p.k}"
    return Call(operands=operands, reads=reads, writes=writes, label=label, flops=p.flops, bytes=size, **kw)  # type: ignore[arg-type]


def _batch(p: Product) -> tuple[int, ...]:
    """The dimensions' count and words, as `multiply.batch_steps` reads them."""
    return (len(p.batch), *(x for dimension in p.batch for x in dimension))


def _words(names: list[str], p: Product, **more: object) -> tuple[object, ...]:
    return (*(more[n] if n in more else getattr(p, n) for n in names[:-1]), *_batch(p))


def _blocked(lowering: Lowering, node: LibraryNode, p: Product, t: Tiles) -> None:
    plan = blocks(p, t, lowering.threads)
    mode = INIT_NONE if p.init is None else INIT_DIRECT if p.init_column == 1 else INIT_COPIED
    words = _words(
        WORDS,
        p,
        kit=kit(t),
        finish=finish_block(node),
        block_rows=plan.block_rows,
        block_columns=plan.block_columns,
        row_blocks=plan.row_blocks,
        column_blocks=plan.column_blocks,
        packing=packing(p, t),
        init_mode=mode,
    )
    scratch = t.scratch + (0 if p.c_column == 1 else plan.block_rows * plan.block_columns * t.itemsize)
    source, cost = multiply_source(t), blocked_cost(p, t)
    lowering.add(_call(node, p, source=source, words=words, units=p.count * plan.count, cost=cost, scratch=scratch))


def _direct(lowering: Lowering, node: LibraryNode, p: Product, element: str) -> None:
    rows = max(1, min(p.m, 4096 // max(1, p.n * p.k)))
    row_blocks = -(-p.m // rows)
    words = _words(
        DIRECT_WORDS,
        p,
        finish=finish_block(node),
        block_rows=rows,
        row_blocks=row_blocks,
        with_init=int(p.init is not None),
    )
    cost = 20 + p.count * p.m * p.n * (2 + p.k) * _TINY_NS
    lowering.add(_call(node, p, source=direct_source(element), words=words, units=p.count * row_blocks, cost=cost))


def _dots(lowering: Lowering, node: LibraryNode, p: Product, t: Tiles) -> None:
    group = dot_group(p, t)
    plan = dot_blocks(p, group, t)
    words = _words(
        DOT_WORDS,
        p,
        finish=finish_block(node),
        block_rows=plan.block_rows,
        block_columns=plan.block_columns,
        row_blocks=plan.row_blocks,
        column_blocks=plan.column_blocks,
        with_init=int(p.init is not None),
        transposed=int(p.transposed),
    )
    lowering.add(_call(node, p, source=dot_source(t, group), words=words, units=p.count * plan.count, cost=dot_cost(p, t)))


def _rowwise(lowering: Lowering, node: LibraryNode, p: Product, t: Tiles) -> None:
    wide = VECTORS * t.lanes
    columns = max(1, _ROW_UNIT // max(1, p.k) // wide) * wide
    column_blocks = -(-p.n // columns)
    words = _words(
        ROW_WORDS,
        p,
        finish=finish_block(node),
        block_columns=columns,
        column_blocks=column_blocks,
        with_init=int(p.init is not None),
        transposed=int(p.transposed),
    )
    cost = row_cost(p, t)
    lowering.add(_call(node, p, source=rowwise_source(t), words=words, units=p.count * column_blocks, cost=cost))
