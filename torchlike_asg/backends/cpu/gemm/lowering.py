"""Lowering of `matmul` and `linear`: which kernel, which blocks, how many units."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ....compiler.parts import HALVES
from ....ops.linalg import NARROW
from ...products import Product, product
from ..calls import Block, Call, LibraryNode, Lowering, Source, View, library
from .block import kit
from .direct import WORDS as DIRECT_WORDS
from .direct import direct_source
from .dot import WORDS as DOT_WORDS
from .dot import dot_source
from .finish import finish_block
from .multiply import INIT_COPIED, INIT_DIRECT, INIT_NONE, WORDS, multiply_source
from .narrow import COLUMNS, IN_TURN, ROWS, narrow_source
from .narrow import WORDS as NARROW_WORDS
from .narrow import scratch as narrow_scratch
from .planning import blocked_cost, blocks, dot_blocks, dot_cost, dot_group, dot_rows, packing, parts, row_cost
from .rowwise import VECTORS, rowwise_source
from .rowwise import WORDS as ROW_WORDS
from .sums import WORDS as SUM_WORDS
from .sums import sum_source
from .tiles import Tiles, tiles

#: multiply-adds of a matrix below which no blocks are made, and nanoseconds that one costs then
_TINY, _TINY_NS = 192, 0.4
#: elements of b that a unit of a row times a matrix reads
_ROW_UNIT = 64 << 10
#: nanoseconds to add an element of a part
_SUM_NS = 0.1
#: how much less the product by dot products must cost to be taken: only the blocked product adds up in the order of PyTorch's (MKL's)
_PREFERRED = 0.8
#: the most rows and the longest k of narrow products in MKL's order, rows of a unit, nanoseconds of an element of a
_NARROW_M, _NARROW_K, _NARROW_ROWS, _NARROW_NS = 256, 512, 64, 1.0
#: multiply-adds of a matrix below which PyTorch multiplies batches by itself
_NATIVE = 400
_ELEMENTS = {"float32": "float", "float64": "double", "uint8": "i8", "int8": "i8", "int16": "i16", "int32": "i32", "int64": "i64"}


@dataclass(unsafe_hash=True)
class _Job:
    """A product to be lowered, and what comes after each piece of its result."""

    lowering: Lowering
    element: str
    label: str
    finish: Block | int = 0
    narrow: bool = False
    reads: tuple[int, ...] = ()
    writes: tuple[int, ...] = ()

    @property
    def tiles(self) -> Tiles:
        return tiles(self.lowering.isa, self.element)

    def add(self, p: Product, source: Source, words: tuple[object, ...], units: int, cost: float, scratch: int = 0) -> None:
        """A call with the operands a, b, c and init of a product."""
        inputs = [p.a, p.b, *([p.init] if p.init else [])]
        self.lowering.add(
            Call(
                source,
                (p.a.place, p.b.place, p.c.place, (p.init or p.c).place),
                words,
                reads=tuple(dict.fromkeys((*(v.slot for v in inputs), *self.reads))),
                writes=tuple(dict.fromkeys((p.c.slot, *self.writes))),
                units=units,
                cost=cost,
                scratch=scratch,
                label=f"{self.label} {p.count}x{p.m}x{p.n}x{p.k}",
                flops=p.flops,
                bytes=p.count * (p.m * p.n + p.m * p.k + p.k * p.n) * p.c.itemsize,
            )
        )


@library("matmul", "linear", epilogue=True)
def lower(lowering: Lowering, node: LibraryNode) -> bool:
    """Products of real numbers; complex ones are left to the reference."""
    element = _ELEMENTS.get(node.result.dtype.compute.name)
    if element is None:
        return False
    p = product(node)
    narrow = node.result.dtype in HALVES
    job = _Job(lowering, element, node.op, finish_block(node), narrow, node.epilogue_reads, node.epilogue_writes)
    if node.attrs and _is_narrow(p, lowering):
        _narrow(job, p, node.attrs[0])
        return True
    if p.c_column != 1 and p.c_row == 1 and node.epilogue is None:
        p = p.swapped()
    if p.count * p.m * p.n:
        _lower(job, p)
    return True


def _is_narrow(p: Product, lowering: Lowering) -> bool:
    """Whether a product that says how its second operand lies for PyTorch is lowered in MKL's order: with many rows that takes longer."""
    small = p.n < NARROW and 0 < p.m <= _NARROW_M and 0 < p.k <= _NARROW_K and p.count * p.n > 0
    return small and p.init is None and lowering.isa.name == "avx512"


def _narrow(job: _Job, p: Product, way: str) -> None:
    """A product of few columns, whose order is MKL's; PyTorch has its own, that of k, for batches of tiny matrices."""
    rows = min(p.m, _NARROW_ROWS)
    row_blocks = -(-p.m // rows)
    order = IN_TURN if p.count > 1 and p.m * p.n * p.k < _NATIVE else COLUMNS if way == "columns" else ROWS
    words = _words(NARROW_WORDS, p, finish=job.finish, block_rows=rows, row_blocks=row_blocks, way=order)
    cost = 20 + p.count * (p.m * p.k * _NARROW_NS + row_blocks * p.k * p.n)
    job.add(p, narrow_source(), words, p.count * row_blocks, cost, narrow_scratch(p.k))


def _lower(job: _Job, p: Product) -> None:
    if job.element not in ("float", "double") or (p.m * p.n * p.k <= _TINY and not (job.narrow and p.c_column != 1)):
        _direct(job, p)
        return
    count = 1 if p.transposed and job.finish else parts(p, job.tiles)
    if count > 1:
        _in_parts(job, p, count)
        return
    for q in (p.swapped(), p) if p.n <= 2 < p.m else (p,):
        if (
            q.a_k == 1
            and q.b_k == 1
            and (1 in (q.c_column, q.c_row) or not job.narrow)
            and dot_cost(q, job.tiles) < _PREFERRED * blocked_cost(p, job.tiles)
        ):
            _dots(job, q)
            return
        if q.m == 1 and q.b_column == 1 and q.c_column == 1 and (q.init is None or q.init_column == 1):
            _rowwise(job, q)
            return
    _blocked(job, p)


def _in_parts(job: _Job, p: Product, count: int) -> None:
    """A long k in parts that other threads can take: their products in a temporary, then the sum."""
    length = p.k // count
    rest = p.k - count * length
    slot = job.lowering.temporary((count + (rest > 0)) * p.m * p.n * p.c.itemsize)
    single = _Job(job.lowering, job.element, job.label)

    def part(first: int, number: int, k: int) -> None:
        a, b = (replace(v, offset=v.offset + first * length * step) for v, step in ((p.a, p.a_k), (p.b, p.b_k)))
        c = View(slot, (p.m, p.n), (p.n, 1), first * p.m * p.n, p.c.dtype)
        batch = ((number, length * p.a_k, length * p.b_k, p.m * p.n, 0),) if number > 1 else ()
        _lower(single, Product(a, b, c, None, p.m, p.n, k, p.a_row, p.a_k, p.b_k, p.b_column, p.n, 1, 0, 0, batch))

    part(0, count, length)
    if rest:
        part(count, 1, rest)
        count += 1
    words = _words(SUM_WORDS, p, finish=job.finish, parts=count, with_init=int(p.init is not None))
    total = View(slot, (count, p.m, p.n), (p.m * p.n, p.n, 1), 0, p.c.dtype)
    job.add(replace(p, a=total, b=total, k=0), sum_source(job.tiles), words, p.m, count * p.m * p.n * _SUM_NS)


def _batch(p: Product) -> tuple[int, ...]:
    """The dimensions' count and words, as `multiply.batch_steps` reads them."""
    return (len(p.batch), *(x for dimension in p.batch for x in dimension))


def _words(names: list[str], p: Product, **more: object) -> tuple[object, ...]:
    values = tuple(more[n] if n in more else getattr(p, n) for n in names if n != "dimensions")
    return (*values, *_batch(p)) if names[-1] == "dimensions" else values


def _blocked(job: _Job, p: Product) -> None:
    t = job.tiles
    plan = blocks(p, t, job.lowering.threads)
    mode = INIT_NONE if p.init is None else INIT_DIRECT if p.init_column == 1 else INIT_COPIED
    words = _words(
        WORDS,
        p,
        kit=kit(t),
        finish=job.finish,
        block_rows=plan.block_rows,
        block_columns=plan.block_columns,
        row_blocks=plan.row_blocks,
        column_blocks=plan.column_blocks,
        packing=packing(p, t),
        init_mode=mode,
    )
    scratch = t.scratch + (0 if p.c_column == 1 else plan.block_rows * plan.block_columns * t.itemsize)
    job.add(p, multiply_source(t), words, p.count * plan.count, blocked_cost(p, t), scratch)


def _direct(job: _Job, p: Product) -> None:
    rows = max(1, min(p.m, 4096 // max(1, p.n * p.k)))
    row_blocks = -(-p.m // rows)
    words = _words(
        DIRECT_WORDS,
        p,
        finish=job.finish,
        block_rows=rows,
        row_blocks=row_blocks,
        with_init=int(p.init is not None),
    )
    cost = 20 + p.count * p.m * p.n * (2 + p.k) * _TINY_NS
    job.add(p, direct_source(job.element), words, p.count * row_blocks, cost)


def _dots(job: _Job, p: Product) -> None:
    t = job.tiles
    plan = dot_blocks(p, t)
    words = _words(
        DOT_WORDS,
        p,
        finish=job.finish,
        block_rows=plan.block_rows,
        block_columns=plan.block_columns,
        row_blocks=plan.row_blocks,
        column_blocks=plan.column_blocks,
        with_init=int(p.init is not None),
        transposed=int(p.transposed),
    )
    job.add(p, dot_source(t, dot_group(p, t), dot_rows(p, t)), words, p.count * plan.count, dot_cost(p, t))


def _rowwise(job: _Job, p: Product) -> None:
    t = job.tiles
    wide = VECTORS * t.lanes
    columns = max(1, _ROW_UNIT // max(1, p.k) // wide) * wide
    column_blocks = -(-p.n // columns)
    words = _words(
        ROW_WORDS,
        p,
        finish=job.finish,
        block_columns=columns,
        column_blocks=column_blocks,
        with_init=int(p.init is not None),
        transposed=int(p.transposed),
    )
    job.add(p, rowwise_source(t), words, p.count * column_blocks, row_cost(p, t))
