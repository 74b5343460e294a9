"""From a `LoopKernel` to calls: where each operand lies, units of work, reductions in parts, costs."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from ....compiler import parts
from ....compiler.kernel import NUMBERED, Apply, Const, Load, LoopKernel, Operand, Reduce, read_by
from ....compiler.normal import length, orient, over_matrix, points, simplify, without_rows
from ..calls import Block, Call, Lowering, Source, View
from ..copies import copy
from ..emit import Module
from ..isa import Isa, host
from .nest import Nest, main_size
from .orders import LEVELS
from .render import Renderer
from .weigh import fallible, supported

#: elements of a unit of a kernel without reductions
BLOCK = 4096
#: columns of a unit of a wide column kernel
WIDE = 512
#: an operand of that many elements that lies across the vectors is copied first
ACROSS = 4096
#: elements of a row, and rows of a column, that are added up in one go; more are added in parts, so that errors do not grow with the length
LONGEST_ROW, LONGEST_COLUMN = 1 << 17, 2048
#: the sizes of those parts; under that many units a reduction of more than so many nanoseconds is done in parts for the sake of threads
ROW_PART, COLUMN_PART, FEW_UNITS, COSTLY = 1 << 13, 256, 8, 40_000
#: bytes of expensive values that are kept between two passes of a unit; of longer rows they are computed again
KEPT = 1 << 19
#: kernels whose calls are remembered: a model's layers are alike, and so are its plans of the first and later steps
KNOWN = 1024


@dataclass(unsafe_hash=True)
class Job:
    """A kernel and the (slot, byte offset) of each operand; the operands' own offsets are in there already."""

    k: LoopKernel
    places: tuple[tuple[int, int], ...]
    label: str = ""


def renderable(k: LoopKernel) -> bool:
    """Whether `lower` takes the kernel: real numbers, formulas of known words."""
    return all(not i.dtype.is_complex and (not isinstance(i, Apply) or supported(i)) for i in k.body)


def lower(lowering: Lowering, k: LoopKernel, views: Sequence[View], label: str = "") -> None:
    """Add the calls that compute the kernel.

    ``views[n]`` says where operand n lies: its element of index i is ``views[n].offset + operand.offset + sum(operand.strides * i)``
    elements after the start of slot ``views[n].slot`` (the view's own shape and strides are not looked at).

    An operand that is stored may lie in memory that is loaded through the same slot, if both move over it in the same way (every
    element is read before it is written). Operands in different slots must not overlap.
    """
    slots, places = _numbered(tuple(map(_place, views, k.operands)))
    calls, temporaries = _lowered(k, places, label, lowering.isa, lowering.threads)
    at = [*slots, *[lowering.temporary(nbytes) for nbytes in temporaries]]
    for c in calls:
        operands = tuple([(at[s], offset) for s, offset in c.operands])
        lowering.add(c.moved(operands, tuple([at[s] for s in c.reads]), tuple([at[s] for s in c.writes])))


def _numbered(places: Sequence[tuple[int, int]]) -> tuple[list[int], tuple[tuple[int, int], ...]]:
    """The slots of places, and the places with slots by their numbers in that list: layers that are alike have equal ones."""
    number: dict[int, int] = {}
    made = tuple([(number.setdefault(slot, len(number)), offset) for slot, offset in places])
    return list(number), made


@functools.lru_cache(maxsize=KNOWN)
def _lowered(
    k: LoopKernel, places: tuple[tuple[int, int], ...], label: str, isa: Isa, threads: int
) -> tuple[tuple[Call, ...], tuple[int, ...]]:
    """The calls of a kernel over numbered slots, and the bytes of the temporaries, whose slots come after those of the places."""
    first = 1 + max([slot for slot, _ in places], default=-1)
    lowering = Lowering(first, threads)
    lowering.isa = isa
    _lower(lowering, Job(k, places, label))
    return tuple(lowering.calls), tuple([lowering.temporaries[first + n] for n in range(len(lowering.temporaries))])


def _place(view: View, operand: Operand) -> tuple[int, int]:
    slot, offset = view.place
    return slot, offset + operand.offset * operand.dtype.compute.itemsize


def _lower(lowering: Lowering, job: Job) -> None:
    k, kept = parts.prune(without_rows(job.k))
    k = simplify(k)
    if 0 in k.sizes[: k.outer]:
        return
    job = Job(k, tuple(job.places[n] for n in kept), job.label)
    if _copied(lowering, job):
        return
    k, column = orient(k)
    job = _turned(lowering, replace(job, k=k), column)
    k = job.k
    lanes = vector_lanes(k, lowering.isa)
    reduces = any(isinstance(i, Reduce) for i in k.body)
    inplace, blocked = _inplace(job), bool(k.sizes) and (column or not reduces)
    wide = _wide(k, column, lanes)
    nest = Nest(k, column, lanes, blocked=blocked, inplace=inplace, wide=wide)
    if nest.kept and length(k) * (lanes * nest.copies if column else 1) * len(nest.kept) * largest_item(nest) > KEPT:
        nest = Nest(k, column, lanes, blocked=blocked, inplace=inplace, keep=False)
    call = _call(nest, job, lowering.isa)
    split = _parts(nest, call) if reduces else None
    if split is None:
        lowering.add(call)
    else:
        _in_parts(lowering, job, column, lanes, *split)


def _copied(lowering: Lowering, job: Job) -> bool:
    """Whether the kernel only copies one memory to another, and was lowered as such."""
    k, (store, *others) = job.k, job.k.stores
    if others or not isinstance(i := k.body[store[1]], Load) or job.places[0][0] == job.places[-1][0]:
        return False

    def view(n: int) -> View:
        o, (slot, offset) = k.operands[n], job.places[n]
        return View(slot, k.sizes, o.strides, offset // o.dtype.compute.itemsize, o.dtype)

    return copy(lowering, view(i.operand), view(store[0]))


def vector_lanes(k: LoopKernel, isa: Isa) -> int:
    """Lanes of every vector of the kernel: whole registers of its main type."""
    return isa.lanes(main_size(k))


def _inplace(job: Job) -> bool:
    stored = {job.places[o][0] for o, _ in job.k.stores}
    return any(job.places[o][0] in stored for i in job.k.body for o in read_by(i))


def epilogue(
    k: LoopKernel, views: Sequence[View], result: int, columns: int | None = None, isa: Isa | None = None
) -> tuple[Source, Block, tuple[int, ...], tuple[int, ...]] | None:
    """A kernel without reductions as the epilogue of a library node: (source, its argument block, slots it reads, slots it writes).

    Operand `result` is the result as the node computes it, in memory without gaps. The function has the signature `EPILOGUE` and takes
    the result as a matrix in the order of that memory, of `columns` columns (by default the kernel's last dimension there). Other operands
    may be broadcast or strided in any way; stores may go to the result's own memory. The result's slot is in neither list.

    None if the kernel is no such epilogue: it reduces, does not read all of the result, overwrites other elements of the result than it
    has read, could report an error, or has a large operand that lies across the rows of the result.
    """
    slots, places = _numbered(tuple(map(_place, views, k.operands)))
    made = _epilogue(k, places, result, columns, isa or host())
    if made is None:
        return None
    found, block, reads, writes = made
    block = Block(tuple([(slots[s], offset) for s, offset in block.operands]), block.words)
    return found, block, tuple(sorted([slots[s] for s in reads])), tuple(sorted([slots[s] for s in writes]))


@functools.lru_cache(maxsize=KNOWN)
def _epilogue(
    k: LoopKernel, places: tuple[tuple[int, int], ...], result: int, columns: int | None, isa: Isa
) -> tuple[Source, Block, set[int], set[int]] | None:
    """`epilogue` over numbered slots."""
    pruned, kept = parts.prune(k)
    if result not in kept or fallible(pruned) or any(isinstance(i, Reduce) for i in pruned.body):
        return None
    whole, own = k.operands[result], places[result][0]
    for o, _ in k.stores:
        if places[o][0] == own and (places[o] != places[result] or k.operands[o].strides != whole.strides):
            return None
    matrix = over_matrix(pruned, whole, columns)
    if matrix is None or any(_across(matrix, n) for n in range(len(matrix.operands))):
        return None
    nest = Nest(matrix, False, vector_lanes(matrix, isa), keep=False, matrix=True)
    used = [places[n] for n in kept]
    slots = [slot for slot, _ in used]
    reads = {slots[o] for i in matrix.body for o in read_by(i)} - {own}
    writes = {slots[o] for o, _ in matrix.stores} - {own}
    return source(nest, isa), Block(tuple(used), _words(nest, {})), reads, writes


def _across(k: LoopKernel, n: int) -> bool:
    """Whether an operand's elements along the last dimension lie apart, and are many."""
    strides = k.operands[n].strides
    return strides[-1] not in (0, 1) and math.prod([size for size, s in zip(k.sizes, strides, strict=True) if s]) >= ACROSS


def _wide(k: LoopKernel, column: bool, lanes: int) -> bool:
    """Whether the totals of columns are kept in memory: if one pass is enough, over enough rows, which are longer than a few vectors."""
    if not column or length(k) < 16 or k.sizes[k.outer - 1] <= 4 * lanes:
        return False
    stage, row = parts.stages(k), k.rows()
    if any(isinstance(i, Reduce) and i.kind in ("mean", "variance") for i in k.body):
        return False
    return max(stage) == 1 and all(row[n] or not stage[n] for n in range(len(k.body)))


def _turned(lowering: Lowering, job: Job, column: bool) -> Job:
    """The kernel with large operands that lie across its vectors read from copies that lie along them."""
    k, places = job.k, list(job.places)
    lane = (k.outer if column else len(k.sizes)) - 1
    order = [*[d for d in range(len(k.sizes)) if d != lane], lane] if k.sizes else []
    operands = list(k.operands)
    for n in sorted({i.operand for i in k.body if isinstance(i, Load)} - {o for o, _ in k.stores}):
        o = operands[n]
        across = 1 in o.strides and o.strides[lane] not in (0, 1)
        moving = [d for d in order if o.strides[d]]
        sizes = tuple(k.sizes[d] for d in moving)
        if not across or math.prod(sizes) < ACROSS:
            continue
        itemsize = o.dtype.compute.itemsize
        slot, place = lowering.temporary(math.prod(sizes) * itemsize), parts.contiguous(sizes)
        source = View(places[n][0], sizes, tuple(o.strides[d] for d in moving), places[n][1] // itemsize, o.dtype)
        if not copy(lowering, source, View(slot, sizes, place, 0, o.dtype)):
            continue
        at = dict(zip(moving, place, strict=True))
        operands[n], places[n] = Operand(o.dtype, tuple(at.get(d, 0) for d in range(len(k.sizes)))), (slot, 0)
    return Job(replace(k, operands=tuple(operands)), tuple(places), job.label)


# ---------------------------------------------------------------- parts
def _parts(nest: Nest, call: Call) -> tuple[int, int] | None:
    """(inner dimension to split, length of a part), if the reduction should be done in parts: a matter of sizes alone."""
    k = nest.k
    if any(isinstance(i, Reduce) and i.kind in ("mean", "variance") for i in k.body):
        return None
    whole, inner = length(k), range(k.outer, len(k.sizes))
    most, part = (LONGEST_COLUMN, COLUMN_PART) if nest.column else (LONGEST_ROW, ROW_PART)
    few = FEW_UNITS if len(nest.passes) == 1 else FEW_UNITS // 2  # values of several passes are computed again by several calls
    if whole <= most and (call.units >= few or call.cost < COSTLY or whole <= 2 * part):
        return None
    d = max(inner, key=lambda d: k.sizes[d])
    size = max(1, part // (whole // k.sizes[d]))
    return (d, size) if size < k.sizes[d] else None


def _in_parts(lowering: Lowering, job: Job, column: bool, lanes: int, d: int, size: int) -> None:
    """The first stage's reductions in parts of `size` along inner dimension `d`, then what is left of the kernel, with their totals."""
    k, places = job.k, job.places
    reduces, stage, row = parts.first_reductions(k), parts.stages(k), k.rows()
    full = [s for s in k.stores if any(k.operands[s[0]].strides[k.outer :])]
    # a kernel that goes on reading must find what it reads unchanged
    only = max(stage) == 1 and all(stage[v] == 0 for _, v in full)
    now = [s for s in full if stage[s[1]] == 0] if only or not _inplace(job) else []
    later = [s for s in k.stores if s not in now]
    count = -(-k.sizes[d] // size)

    def temporary(n: int, copies: int) -> tuple[int, int]:
        return lowering.temporary(copies * points(k) * parts.accumulator(k.body[n].dtype).compute.itemsize), 0

    sums = [temporary(n, count) for n in reduces]
    first, kept = parts.prune(parts.partial_results(k, reduces, count, now))
    made = [*places, *sums]
    here = Job(first, tuple(made[n] for n in kept), job.label)
    nest = Nest(first, column, lanes, split=d + 1, blocked=column, inplace=_inplace(here), wide=_wide(first, column, lanes))
    lowering.add(_call(nest, here, lowering.isa, size))
    if all(row[v] and s not in full for s in later for v in s[1:]) and max(stage) == 1:
        _lower(lowering, Job(parts.totals(k, reduces, count, results=False, stores=later), (*places, *sums), job.label))
        return
    results = [temporary(n, 1) for n in reduces]
    _lower(lowering, Job(parts.totals(k, reduces, count, results=True), (*places, *sums, *results), job.label))
    _lower(lowering, Job(parts.rest(k, reduces, later), (*places, *results), job.label))


# ---------------------------------------------------------------- calls
def _call(nest: Nest, job: Job, isa: Isa, part: int = 0) -> Call:
    """The launch of one nest."""
    k = nest.k
    units, block, blocks = math.prod(k.sizes[d] for d in nest.outer_dims), 0, 1
    if nest.blocked:
        block = _block(nest)
        blocks = -(-k.sizes[nest.lane] // block)
        units *= blocks
    scratch, at = _scratch(nest)
    values: dict[Any, Any] = {("block",): block, ("blocks",): blocks, ("part",): part} | at
    stored = {o for o, _ in k.stores}
    loaded = {o for i in k.body for o in read_by(i)}
    nbytes = sum(_extent(k, n) for n in stored | loaded)
    return Call(
        source(nest, isa),
        job.places,
        _words(nest, values),
        reads=tuple(sorted({job.places[n][0] for n in loaded})),
        writes=tuple(sorted({job.places[n][0] for n in stored})),
        units=units,
        cost=_cost(nest, units, nbytes),
        scratch=scratch,
        label=job.label,
        bytes=nbytes,
    )


def _block(nest: Nest) -> int:
    """Places of the vectors' dimension that a unit takes."""
    if nest.wide:
        n = nest.k.sizes[nest.lane]
        return -(-n // (-(-n // WIDE) * nest.lanes)) * nest.lanes
    if nest.column:
        return nest.lanes * nest.copies
    return BLOCK


def source(nest: Nest, isa: Isa) -> Source:
    """The code of a nest."""
    return Source(("epilogue" if nest.matrix else "loops", isa.name, *nest.key()), partial(_write, nest, isa), plain=True)


def _write(nest: Nest, isa: Isa, module: Module, name: str) -> None:
    Renderer(nest, isa, module, name).render()


def _words(nest: Nest, values: dict[Any, Any]) -> tuple[Any, ...]:
    k = nest.k
    out: list[Any] = []
    for name in nest.words:
        if name in values:
            out.append(values[name])
        elif name[0] == "size":
            out.append(k.sizes[name[1]])
        elif name[0] == "stride":
            out.append(k.operands[name[1]].strides[name[2]])
        else:
            i = k.body[name[1]]
            if isinstance(i, Const):
                out.append(float(i.value))
            else:
                assert isinstance(i, NUMBERED)
                out.append(i.strides[name[2]] if len(name) == 3 else i.offset)
    return tuple(out)


def _scratch(nest: Nest) -> tuple[int, dict[Any, int]]:
    """Bytes of scratch memory, and where each value's part of it begins."""
    if nest.wide:
        elements = _block(nest) * (LEVELS if nest.leveled else 1)
    else:
        elements = length(nest.k) * (nest.lanes * nest.copies if nest.column else 1)
    size = -(-elements * largest_item(nest) // 64) * 64
    return size * len(nest.scratch), {("scratch", n): m * size for m, n in enumerate(nest.scratch)}


def _extent(k: LoopKernel, operand: int) -> int:
    """Bytes of an operand that are touched."""
    o = k.operands[operand]
    return math.prod(n for n, s in zip(k.sizes, o.strides, strict=True) if s) * o.dtype.compute.itemsize


def _cost(nest: Nest, units: int, nbytes: int) -> float:
    """Nanoseconds on one core: memory at 50 bytes each, half as many beyond the caches, 0.1 per instruction of a vector, 3 per unit."""
    count = math.prod(nest.k.sizes) // (nest.k.sizes[0] if nest.split >= 0 else 1)
    instructions = sum(nest.weights[n] for p in nest.passes for n in p.values)
    rows = sum(nest.weights[n] for stage in nest.row_values for n in stage)
    return 50 + nbytes / (50 if nbytes < 4 << 20 else 25) + 0.1 * (count / nest.lanes * instructions + points(nest.k) * rows) + 3 * units


def largest_item(nest: Nest) -> int:
    """Bytes of the widest element in scratch memory."""
    return max((nest.k.body[n].dtype.compute.itemsize for n in nest.scratch), default=0)
