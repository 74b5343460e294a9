"""Copying strided memory: elements of any size, any number of dimensions, any order of them on either side.

What a copy costs depends on how its fastest dimensions lie, and that picks the loop:

- *run*: consecutive elements stay consecutive: blocks of bytes;
- *splat*: one element repeated;
- *back*: consecutive elements in reverse;
- *turn*: the elements are consecutive along different dimensions on the two sides: small blocks transposed in registers;
- *step*: anything else, element by element.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import numpy as np

from ... import dtypes
from ...asg.reference import rounded
from ..views import broadcast, merge
from .calls import Call, Kernel, Lowering, Source, View
from .emit import Function, Module
from .isa import Isa
from .values import Value, vector
from .walk import MAX_RANK, Walk, by_step, walk_words

#: what one unit of work moves, roughly
_PIECE = 32 << 10
#: integers that stand for elements by their size in bytes
MOVED = {1: "i8", 2: "i16", 4: "i32", 8: "i64", 16: "<2 x i64>"}
#: from here on the C library's memcpy pays for the call
_LONG = 8192


# ---------------------------------------------------------------- what users of this module call
def copy(lowering: Lowering, src: View, dst: View) -> bool:
    """Add the copy of `src`, broadcast to the shape of `dst`, into `dst`; whether that was possible. They must not overlap."""
    call = copy_call(lowering.isa, src, dst)
    if call is None:
        return False
    if call.units:
        lowering.add(call)
    return True


def fill(lowering: Lowering, dst: View, value: Any) -> bool:
    """Add writing one number to all of `dst`; whether that was possible."""
    call = fill_call(lowering.isa, dst, value)
    if call is None:
        return False
    if call.units:
        lowering.add(call)
    return True


def copy_call(isa: Isa, src: View, dst: View) -> Call | None:
    """The launch that copies (no units if there is nothing to copy), or None if the views have too many dimensions."""
    size = dst.itemsize
    src = broadcast(src, dst.shape)
    if 0 in dst.shape:
        return Call(_source(isa, "run", 1), (), (), (), (), units=0)
    steps = [[s * size for s in v.strides] for v in (dst, src)]
    ordered = by_step([dim for dim in zip(dst.shape, *steps, strict=True) if dim[0] != 1], 0)
    dims = merge([d[0] for d in ordered], [d[1] for d in ordered], [d[2] for d in ordered]) or [(1, size, size)]
    if len(dims) > MAX_RANK:
        return None
    kind, dims = _kind(isa, dims, size)
    nbytes = 2 * size * int(np.prod([n for n, *_ in dims]))
    places = (src.place, dst.place)
    if kind == "turn":
        words, units = _turn_words(isa, dims, size)
    else:
        words, units = row_words(dims, size)
    source = _source(isa, kind, 1 if kind == "run" else size)
    cost = copying_cost(nbytes) + (nbytes // size * 0.3 if kind == "step" else 0)
    return Call(source, places, words, (src.slot,), (dst.slot,), units=units, cost=cost, label=f"copy {kind}", bytes=nbytes)


def fill_call(isa: Isa, dst: View, value: Any) -> Call | None:
    """The launch that writes a number everywhere, or None if the view has too many dimensions."""
    size = dst.itemsize
    pattern = rounded(value, dst.dtype).tobytes()
    if 0 in dst.shape:
        return Call(_source(isa, "fill", 1), (), (), (), (), units=0)
    if size > 1 and len(set(pattern)) == 1:  # bytes that are all equal, zeros most of all
        v = View(dst.slot, (*dst.shape, size), (*[s * size for s in dst.strides], 1), dst.offset * size, dtypes.uint8)
        return fill_call(isa, v, pattern[0])
    ordered = by_step([d for d in zip(dst.shape, [s * size for s in dst.strides], strict=True) if d[0] != 1], 0)
    dims = merge([d[0] for d in ordered], [d[1] for d in ordered]) or [(1, size)]
    if len(dims) > MAX_RANK:
        return None
    kind = "clear" if size == 1 and dims[-1][1] == size else "fill"
    words, units = row_words([(*d, 0) for d in dims], size)
    bits = struct.unpack("<qq", (pattern * 16)[:16])
    nbytes = size * int(np.prod(dst.shape))
    source = _source(isa, kind, size)
    return Call(source, (dst.place,), (*bits, *words), (), (dst.slot,), units=units, cost=copying_cost(nbytes), label="fill", bytes=nbytes)


def copying_cost(nbytes: int) -> float:
    """Estimated nanoseconds of reading and writing so many bytes in all: within the cache, or from memory."""
    return 20 + nbytes * (0.03 if nbytes < 4 << 20 else 0.08)


# ---------------------------------------------------------------- choice of the loop
def _block(isa: Isa, size: int) -> int:
    """Rows and columns of the blocks that are transposed in registers."""
    return min(16, isa.lanes(size))


def _kind(isa: Isa, dims: list[tuple[int, ...]], size: int) -> tuple[str, list[tuple[int, ...]]]:
    """The loop for (size, destination step, source step) dimensions, and their order, fastest last."""
    n, d, s = dims[-1]
    if d == size and s == size:
        return "run", dims
    if d == size and s == 0:
        return "splat", dims
    if d == size and s == -size:
        return "back", dims
    for k in range(len(dims) - 2, -1, -1) if d == size else ():
        if dims[k][2] == size:
            block = _block(isa, size)
            turned = [*dims[:k], *dims[k + 1 : -1], dims[k], dims[-1]]
            if dims[k][0] >= block and n >= block:
                return "turn", turned
            if dims[k][0] > n:  # too thin for blocks: the longer loop inside
                return "step", [*turned[:-2], dims[-1], dims[k]]
    return "step", dims


def row_words(dims: list[tuple[int, ...]], size: int) -> tuple[tuple[int, ...], int]:
    """Words and units of `write_rows` for dimensions (size, destination step, source step), in bytes.

    The fastest dimension is a row, the next is cut into pieces, the others are walked.
    """
    (n, d, s) = dims[-1]
    outer = dims[:-1]
    last = n
    if not outer and n * size > _PIECE:  # one long row: as many shorter ones
        length = _PIECE // size
        outer = [(-(-n // length), length * d, length * s)]
        n, last = length, n - (outer[0][0] - 1) * length
    rows, row_d, row_s = outer[-1] if outer else (1, 0, 0)
    per_piece = min(rows, max(1, _PIECE // (n * size)))
    pieces = -(-rows // per_piece)
    walked = outer[:-1]
    words = (n, last, d, s, rows, row_d, row_s, per_piece, pieces, *walk_words(walked))
    return words, pieces * int(np.prod([w[0] for w in walked], dtype=np.int64))


def _turn_words(isa: Isa, dims: list[tuple[int, ...]], size: int) -> tuple[tuple[int, ...], int]:
    """Words and units of a transposition: a unit is a stripe of blocks along the destination's fastest dimension."""
    (a, a_d, _), (b, _, b_s) = dims[-2:]
    block = _block(isa, size)
    stripe = block * max(1, _PIECE // (block * b * size))
    pieces = -(-a // stripe)
    walked = dims[:-2]
    return (a, a_d, b, b_s, stripe, pieces, *walk_words(walked)), pieces * int(np.prod([w[0] for w in walked], dtype=np.int64))


def _source(isa: Isa, kind: str, size: int) -> Source:
    return Source((f"copy_{kind}", size, isa.name), lambda module, name: _WRITERS[kind](module, name, isa, size))


# ---------------------------------------------------------------- rows
def write_rows(module: Module, name: str, operands: int, at: int, row: Callable[..., None]) -> None:
    """The loops around ``row(f, dst, src, count, dst step, src step)``; the words of `row_words` start at `at`."""
    k = Kernel(module, name, operands)
    f = k.f
    lo, hi, _ = k.rest
    n, last, d, s, rows, row_d, row_s, per_piece, pieces = (k.word(at + i) for i in range(9))
    dst = k.operand(operands - 1)
    src = k.operand(0) if operands == 2 else None
    walk = Walk(f, k.word_address(at + 9), 2)
    walk.start(lo // pieces)
    piece = f.variable(lo % pieces)
    with f.loop(lo, hi):
        first = piece.get() * per_piece
        end = f.minimum(first + per_piece, rows)
        to = f.gep(dst, walk.offset(0), "i8")
        come = f.gep(src, walk.offset(1), "i8") if src is not None else None
        with f.loop(first, end) as r:
            count = f.select(f.compare("eq", r + 1, rows), last, n)
            row(k, f.gep(to, r * row_d, "i8"), f.gep(come, r * row_s, "i8") if come is not None else None, count, d, s)
        after = piece.get() + 1
        done = f.compare("eq", after, pieces)
        piece.set(f.select(done, 0, after))
        with f.when(done):
            walk.advance()


def move_bytes(f: Function, isa: Isa, dst: Value, src: Value, nbytes: Value) -> None:
    """Copy a run of bytes that may be short: whole vectors and one that overlaps them at the end."""

    def vectors(width: int) -> None:
        type_ = vector("i8", width)
        at = nbytes - width
        with f.loop(0, at, width) as i:
            f.store(f.load(type_, f.gep(src, i, "i8")), f.gep(dst, i, "i8"))
        f.store(f.load(type_, f.gep(src, at, "i8")), f.gep(dst, at, "i8"))

    def short() -> None:
        with f.loop(0, nbytes) as i:
            f.store(f.load("i8", f.gep(src, i, "i8")), f.gep(dst, i, "i8"))

    def pair(type_: str, width: int) -> None:
        end = nbytes - width
        a, b = f.load(type_, src, 1), f.load(type_, f.gep(src, end, "i8"), 1)
        f.store(a, dst, 1)
        f.store(b, f.gep(dst, end, "i8"), 1)

    def below_wide() -> None:
        f.branch(nbytes >= 16, lambda: vectors(16), below_16)

    def below_16() -> None:
        f.branch(nbytes >= 8, lambda: pair("i64", 8), lambda: f.branch(nbytes >= 4, lambda: pair("i32", 4), short))

    def below_long() -> None:
        if isa.bytes > 16:
            f.branch(nbytes >= isa.bytes, lambda: vectors(isa.bytes), below_wide)
        else:
            below_wide()

    f.branch(nbytes >= _LONG, lambda: f.copy(dst, src, nbytes), below_long)


def _write_run(module: Module, name: str, isa: Isa, size: int) -> None:
    write_rows(module, name, 2, 0, lambda k, dst, src, count, d, s: move_bytes(k.f, isa, dst, src, count * d))


def _write_splat(module: Module, name: str, isa: Isa, size: int) -> None:
    write_rows(module, name, 2, 0, lambda k, dst, src, count, d, s: _repeat(k.f, isa, dst, k.f.load(MOVED[size], src, size), count, size))


def _repeat(f: Function, isa: Isa, dst: Value, x: Value, count: Value, size: int) -> None:
    """Write an element `count` times."""
    lanes = isa.lanes(size)
    if lanes > 1 and size < 16:
        wide = f.splat(x, vector(MOVED[size], lanes))

        def vectors() -> None:
            at = count - lanes
            with f.loop(0, at, lanes) as i:
                f.store(wide, f.gep(dst, i, MOVED[size]))
            f.store(wide, f.gep(dst, at, MOVED[size]))

        f.branch(count >= lanes, vectors, lambda: _each(f, dst, x, count, size, size))
    else:
        _each(f, dst, x, count, size, size)


def _each(f: Function, dst: Value, x: Value, count: Value, step: Any, size: int) -> None:
    with f.loop(0, count) as i:
        f.store(x, f.gep(dst, i * step, "i8"), min(size, 8))


def _write_step(module: Module, name: str, isa: Isa, size: int) -> None:
    align = min(size, 8)

    def row(k: Kernel, dst: Value, src: Value, count: Value, d: Value, s: Value) -> None:
        f = k.f
        type_, whole = MOVED[size], count - count % 4
        come, to = f.variable(src), f.variable(dst)
        for lo, hi, n in ((0, whole, 4), (whole, count, 1)):
            with f.loop(lo, hi, n):
                ends, sources = [to.get()], [come.get()]
                for _ in range(n):
                    ends.append(f.gep(ends[-1], d, "i8"))
                    sources.append(f.gep(sources[-1], s, "i8"))
                loaded = [f.load(type_, p, align) for p in sources[:n]]
                for p, x in zip(ends, loaded, strict=False):
                    f.store(x, p, align)
                to.set(ends[n])
                come.set(sources[n])

    write_rows(module, name, 2, 0, row)


def _write_back(module: Module, name: str, isa: Isa, size: int) -> None:
    def row(k: Kernel, dst: Value, src: Value, count: Value, d: Value, s: Value) -> None:
        f = k.f
        type_, align = MOVED[size], min(size, 8)
        n = isa.lanes(size) if size < 16 else 1
        whole = count - count % n
        with f.loop(0, whole, n) as i:
            x = f.load(vector(type_, n) if n > 1 else type_, f.gep(src, (i + (n - 1)) * -size, "i8"), align)
            f.store(f.shuffle(x, x, range(n - 1, -1, -1)) if n > 1 else x, f.gep(dst, i * size, "i8"), align)
        with f.loop(whole, count) as i:
            f.store(f.load(type_, f.gep(src, i * -size, "i8"), align), f.gep(dst, i * size, "i8"), align)

    write_rows(module, name, 2, 0, row)


def _write_fill(module: Module, name: str, isa: Isa, size: int) -> None:

    def row(k: Kernel, dst: Value, src: None, count: Value, d: Value, s: Value) -> None:
        f = k.f
        x = f.load(MOVED[size], k.word_address(0), min(size, 8))
        dense = f.compare("eq", d, size)
        f.branch(dense, lambda: _repeat(f, isa, dst, x, count, size), lambda: _each(f, dst, x, count, d, size))

    write_rows(module, name, 1, 2, row)


def _write_clear(module: Module, name: str, isa: Isa, size: int) -> None:
    def row(k: Kernel, dst: Value, src: None, count: Value, d: Value, s: Value) -> None:
        byte = k.f.load("i8", k.word_address(0))
        k.f.call("void", "llvm.memset.p0.i64", dst, byte, count, k.f.value(0, "i1"))

    write_rows(module, name, 1, 2, row)


# ---------------------------------------------------------------- blocks transposed in registers
def _write_turn(module: Module, name: str, isa: Isa, size: int) -> None:
    k = Kernel(module, name, 2)
    f = k.f
    lo, hi, _ = k.rest
    a, a_d, b, b_s, stripe, pieces = (k.word(i) for i in range(6))
    src, dst = k.operand(0), k.operand(1)
    block = _block(isa, size)
    align = min(size, 8)
    walk = Walk(f, k.word_address(6), 2)
    walk.start(lo // pieces)
    piece = f.variable(lo % pieces)

    def element(to: Value, come: Value, i: Value, j: Value) -> None:
        x = f.load(MOVED[size], f.gep(come, j * b_s + i * size, "i8"), align)
        f.store(x, f.gep(to, i * a_d + j * size, "i8"), align)

    with f.loop(lo, hi):
        to, come = f.gep(dst, walk.offset(0), "i8"), f.gep(src, walk.offset(1), "i8")
        first = piece.get() * stripe
        end = f.minimum(first + stripe, a)
        whole = end - (end - first) % block
        columns = b - b % block
        with f.loop(first, whole, block) as i:
            with f.loop(0, columns, block) as j:
                rows = [f.gep(come, (j + r) * b_s + i * size, "i8") for r in range(block)]
                turned = transposed(f, [_load_row(f, row, block, size) for row in rows], size)
                for r, x in enumerate(turned):
                    f.store(x, f.gep(to, (i + r) * a_d + j * size, "i8"), align)
            with f.loop(columns, b) as j, f.loop(i, i + block) as i2:
                element(to, come, i2, j)
        with f.loop(whole, end) as i, f.loop(0, b) as j:
            element(to, come, i, j)
        after = piece.get() + 1
        done = f.compare("eq", after, pieces)
        piece.set(f.select(done, 0, after))
        with f.when(done):
            walk.advance()


def _load_row(f: Function, p: Value, block: int, size: int) -> Value:
    type_ = vector(MOVED[size], block) if size < 16 else vector("i64", 2 * block)
    return f.load(type_, p, min(size, 8))


def transposed(f: Function, rows: list[Value], size: int) -> list[Value]:
    """The columns of a square block, given as one vector for each row: log2(n) rounds that interleave rows half the block apart."""
    n = len(rows)
    wide = 2 if size == 16 else 1  # elements of 16 bytes are pairs of lanes

    def interleaved(start: int) -> list[int]:
        picked = [lane for i in range(start, start + n // 2) for lane in (i, n + i)]
        return [wide * lane + w for lane in picked for w in range(wide)]

    count = n
    while count > 1:
        mixed: list[Value] = []
        for i in range(n // 2):
            a, b = rows[i], rows[i + n // 2]
            mixed += [f.shuffle(a, b, interleaved(0)), f.shuffle(a, b, interleaved(n // 2))]
        rows = mixed
        count //= 2
    return rows


_WRITERS: dict[str, Callable[[Module, str, Isa, int], None]] = {
    "run": _write_run,
    "splat": _write_splat,
    "back": _write_back,
    "step": _write_step,
    "fill": _write_fill,
    "clear": _write_clear,
    "turn": _write_turn,
}
