"""Sorting: positions in order along a dimension, all of them, some, or the one at the middle.

An element becomes an unsigned *key* that orders as the elements do, -0 with 0 and every NaN last. Keys of up to four bytes share a
64-bit word with the position, those of eight bytes take a pair of words; either way a *record*. Short lines are sorted by insertion,
long ones by radix sort, byte by byte from the lowest (Knuth, TAOCP 3, 5.2.5), leaving out bytes that all keys share. Both keep equal
keys in order.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from ... import dtypes
from ..subscripts import Index
from ..views import row_major
from .calls import Call, Kernel, LibraryNode, Lowering, Source, View, library
from .copies import copy, fill
from .elements import MACHINE, code
from .emit import Function, Module
from .indexed import indexed
from .isa import Isa
from .lines import lines
from .values import Value
from .walk import Walk, walk_words

#: up to so many elements are sorted by insertion
FEW = 40
#: longer lines are left to the reference: their records would not fit a thread's scratch
_MOST = 1 << 24
_BUCKETS = 256


# ---------------------------------------------------------------- operations
@library("argsort")
def _argsort(lowering: Lowering, node: LibraryNode) -> bool:
    dim, descending = node.attrs
    x = node.operands[0]
    return order(lowering, x, node.result, dim, descending, "some", 0, x.shape[dim] if x.shape else 1)


@library("topk_index")
def _topk(lowering: Lowering, node: LibraryNode) -> bool:
    k, dim, largest = node.attrs
    return k > 0 and order(lowering, node.operands[0], node.result, dim, largest, "some", 0, k)


@library("kth_index")
def _kth(lowering: Lowering, node: LibraryNode) -> bool:
    dim, k = node.attrs
    return order(lowering, node.operands[0], node.result, dim, False, "some", k, 1)


@library("median_index")
def _median(lowering: Lowering, node: LibraryNode) -> bool:
    dim, skip_nan = node.attrs
    return order(lowering, node.operands[0], node.result, dim, False, "nanmedian" if skip_nan else "median", 0, 1)


@library("mode_index")
def _mode(lowering: Lowering, node: LibraryNode) -> bool:
    return order(lowering, node.operands[0], node.result, *node.attrs, False, "mode", 0, 1)


@library("median", "nanmedian")
def _median_of_all(lowering: Lowering, node: LibraryNode) -> bool:
    """The median's position in the elements as one line, and what lies there."""
    x, count = node.operands[0], math.prod(node.operands[0].shape)
    if not count:
        return False
    if not x.contiguous:
        dense = row_major(lowering.temporary(count * x.itemsize), x.shape, x)
        if not copy(lowering, x, dense):
            return False
        x = dense
    x = replace(x, shape=(count,), strides=(1,))
    at = View(lowering.temporary(8), (1,), (1,), 0, dtypes.int64)
    if not order(lowering, x, at, 0, False, node.op, 0, 1):
        return False
    return indexed(lowering, (1,), node.result, (0,), x, (0,), [Index(at, (0,), count, 1, False)], write=False)


def order(lowering: Lowering, x: View, out: View, dim: int, descending: bool, emit: str, first: int, count: int,
          made: type[Order] | None = None, further: int = 0) -> bool:  # fmt: skip
    """Positions `first` to ``first + count`` of the order, or the one that `emit` tells.

    `made`: what writes the code, if not `Order`, and `further`: the bytes of scratch memory it takes beyond its records.
    """
    made = Order if made is None else made
    element = code(x.dtype)
    if element not in MACHINE or 0 in x.shape or 0 in out.shape:
        return False
    if not x.shape:
        return fill(lowering, out, 0)
    n = x.shape[dim]
    found = lines(dim, x, replace(out, shape=x.shape))
    if found is None or n > _MOST:
        return False
    width = 8 if x.itemsize < 8 else 16
    few = emit in ("some", "first") and first == 0 and 0 < count <= 32 and n >= 8 * count and width == 8
    words = (n, *found.steps, found.columns, *found.column_steps, first, count, *walk_words(found.outer))
    isa, rows = lowering.isa, found.columns * found.points
    each = n * 1.0 + count * 40 if few else 500 + n * (2.0 * x.itemsize) if n > FEW else n * n * 0.3
    lowering.add(
        Call(
            Source(
                ("order", element, descending, emit, few, made.__name__, isa.name),
                lambda m, k: made(m, k, isa, element, descending, emit).write(few),
            ),
            (x.place, out.place),
            words,
            (x.slot,),
            (out.slot,),
            units=rows,
            cost=20 + rows * each,
            scratch=(count + 2) * 8 + further if few else 2 * width * n + x.itemsize * _BUCKETS * 4 + 64 + further,
            label="topk" if few else "sort",
            bytes=rows * n * x.itemsize,
        )
    )
    return True


# ---------------------------------------------------------------- code
class Order:
    def __init__(self, module: Module, name: str, isa: Isa, element: str, descending: bool, emit: str) -> None:
        k = self.k = Kernel(module, name, 2)
        self.f: Function = k.f
        self.isa, self.descending, self.emit = isa, descending, emit
        self.kind, self.size, self.type = element[0], int(element[1:]), MACHINE[element]
        self.wide = self.size == 8
        self.record = 16 if self.wide else 8
        self.counts_bytes = self.size * _BUCKETS * 4
        self.n, self.step, self.out_step, self.columns, self.column, self.out_column, self.first, self.count = (k.word(i) for i in range(8))
        self.walk = Walk(self.f, k.word_address(8), 2)
        self.scratch = k.rest[2]

    def write(self, few: bool) -> None:
        f = self.f
        lo, hi, _ = self.k.rest
        x, out = self.k.operand(0), self.k.operand(1)
        self.walk.start(lo // self.columns)
        column = f.variable(lo % self.columns)
        with f.loop(lo, hi):
            c = column.get()
            come = f.gep(f.gep(x, self.walk.offset(0), "i8"), c * self.column, "i8")
            to = f.gep(f.gep(out, self.walk.offset(1), "i8"), c * self.out_column, "i8")
            if few:
                self._best(come, to)
            else:
                self._sorted(come, to)
            done = f.compare("eq", c + 1, self.columns)
            column.set(f.select(done, 0, c + 1))
            with f.when(done):
                self.walk.advance()

    # ------------------------------------------------------------ keys and records
    def key(self, x: Value, lanes: int = 1) -> Value:
        """Unsigned numbers in the order of the elements, of the same width."""
        f, bits = self.f, 8 * self.size
        one = f"i{bits}"
        t = one if lanes == 1 else f"<{lanes} x {one}>"
        sign = 1 << (bits - 1)
        if x.floating:
            clean = x + 0.0  # -0 becomes 0
            raw = f.convert("bitcast", clean, t)
            negative = f.binary("ashr", raw, bits - 1)
            raw = raw ^ (negative | -sign)
            raw = f.select(f.compare("ne", x, x), -1, raw)
        else:
            raw = x if self.kind in "bu" else x ^ -sign
        return raw ^ -1 if self.descending else raw

    def make(self, x: Value, position: Value) -> Value:
        """The record of an element."""
        f = self.f
        key = f.convert("zext", self.key(x), "i64")
        if not self.wide:
            return f.binary("shl", key, 32) | position
        pair = f.op("<2 x i64>", f"insertelement <2 x i64> poison, i64 {key.ref}, i64 0")
        return f.insert(pair, position, 1)

    def address(self, base: Value, i: Value) -> Value:
        return self.f.gep(base, i * self.record, "i8")

    def load(self, base: Value, i: Value) -> Value:
        return self.f.load("<2 x i64>" if self.wide else "i64", self.address(base, i), 8)

    def store(self, record: Value, base: Value, i: Value) -> None:
        self.f.store(record, self.address(base, i), 8)

    def position(self, record: Value) -> Value:
        return self.f.extract(record, 1) if self.wide else record & 0xFFFFFFFF

    def bits(self, record: Value) -> Value:
        """The key of a record."""
        return self.f.extract(record, 0) if self.wide else self.f.binary("lshr", record, 32)

    def follows(self, a: Value, b: Value) -> Value:
        """Whether record `a`, which stood before `b`, belongs behind it."""
        if self.wide:
            return self.f.compare("gt", self.bits(a), self.bits(b), unsigned=True)
        return self.f.compare("gt", a, b, unsigned=True)

    # ------------------------------------------------------------ whole lines
    def _sorted(self, x: Value, out: Value) -> None:
        f = self.f
        a = self.scratch
        b = f.gep(a, self.n * self.record, "i8")
        with f.loop(0, self.n) as i:
            self.store(self.make(f.load(self.type, f.gep(x, i * self.step, "i8"), self.size), i), a, i)
        at = f.variable(a)
        f.branch(self.n <= FEW, lambda: self._insertion(a), lambda: at.set(self._radix(a, b)))
        self._emit(at.get(), out)

    def _insertion(self, a: Value, low: Value | int = 0, high: Value | None = None) -> None:
        f = self.f
        with f.loop(low + 1, self.n if high is None else high) as i:
            record = self.load(a, i)
            hole = f.variable(i)
            going = f.variable(True, "i1")
            with f.loop_while(lambda: going.get() & (hole.get() > low)):
                before = self.load(a, hole.get() - 1)

                def move() -> None:
                    self.store(before, a, hole.get())
                    hole.set(hole.get() - 1)

                f.branch(self.follows(before, record), move, lambda: going.set(False))
            self.store(record, a, hole.get())

    def _radix(self, a: Value, b: Value) -> Value:
        """Where the sorted records are: pass after pass they move between the two buffers."""
        f, passes = self.f, self.size
        counts = f.gep(b, self.n * self.record, "i8")
        f.call("void", "llvm.memset.p0.i64", counts, f.value(0, "i8"), f.value(passes * _BUCKETS * 4, "i64"), f.value(0, "i1"))
        shift0 = 0 if self.wide else 32

        def bucket(record: Value, digit: Value | int) -> Value:
            """The address of the counter of a record's byte number `digit`."""
            d = digit if isinstance(digit, Value) else f.value(digit, "i64")
            word = self.bits(record) if self.wide else record
            byte = f.binary("lshr", word, d * 8 + shift0) & 0xFF
            return f.gep(counts, byte + d * _BUCKETS, "i32")

        with f.loop(0, self.n) as i:
            record = self.load(a, i)
            for digit in range(passes):
                p = bucket(record, digit)
                f.store(f.load("i32", p) + 1, p)
        come, to = f.variable(a), f.variable(b)
        with f.loop(0, passes) as digit:
            shared = f.load("i32", bucket(self.load(come.get(), f.value(0, "i64")), digit))
            with f.when(f.compare("ne", f.convert("zext", shared, "i64"), self.n)):
                total = f.variable(0, "i32")
                with f.loop(0, _BUCKETS) as i:
                    p = f.gep(counts, i + digit * _BUCKETS, "i32")
                    n = f.load("i32", p)
                    f.store(total.get(), p)
                    total.set(total.get() + n)
                src, dst = come.get(), to.get()
                with f.loop(0, self.n) as i:
                    record = self.load(src, i)
                    p = bucket(record, digit)
                    at = f.load("i32", p)
                    f.store(at + 1, p)
                    self.store(record, dst, f.convert("zext", at, "i64"))
                come.set(dst)
                to.set(src)
        return come.get()

    # ------------------------------------------------------------ results
    def _emit(self, a: Value, out: Value) -> None:
        f = self.f
        if self.emit in ("mode", "median", "nanmedian"):
            at = self._longest(a) if self.emit == "mode" else self._middle(a)
            f.store(self.position(self.load(a, at)), out)
            return
        with f.loop(0, self.count) as i:
            f.store(self.position(self.load(a, self.first + i)), f.gep(out, i * self.out_step, "i8"))

    def _nan(self, record: Value) -> Any:
        """Whether the element was a NaN."""
        ones = -1 if self.wide else 0xFFFFFFFF >> (32 - 8 * self.size)
        return self.f.compare("eq", self.bits(record), ones)

    def _middle(self, a: Value) -> Value:
        """The place of the lower median, of the first NaN, or of the median of the numbers."""
        f, last = self.f, self.n - 1
        if self.kind != "f":
            return last // 2
        numbers = f.variable(self.n)
        with f.loop_while(lambda: f.select(numbers.get() > 0, self._nan(self.load(a, f.maximum(numbers.get() - 1, 0))), False)):
            numbers.set(numbers.get() - 1)
        m = numbers.get()
        if self.emit == "nanmedian":
            return f.maximum(m - 1, 0) // 2
        return f.select(m < self.n, m, last // 2)

    def _longest(self, a: Value) -> Value:
        """The last place of the longest run of equals, of the first such run. A NaN equals nothing."""
        f = self.f
        best, longest, length = f.variable(0, "i64"), f.variable(0, "i64"), f.variable(0, "i64")
        with f.loop(1, self.n) as i:
            here, before = self.load(a, i), self.load(a, i - 1)
            same = f.compare("eq", self.bits(here), self.bits(before))
            if self.kind == "f":
                same = same & (self._nan(here) ^ True)
            length.set(f.select(same, length.get() + 1, 0))
            more = length.get() > longest.get()
            best.set(f.select(more, i, best.get()))
            longest.set(f.select(more, length.get(), longest.get()))
        return best.get()

    # ------------------------------------------------------------ the first few
    def _best(self, x: Value, out: Value) -> None:
        self._keep(x, self.count)
        self._emit(self.scratch, out)

    def _keep(self, x: Value, count: Value) -> None:
        """Keep the best `count` records in order; a vector of elements is looked at closer only if one of them beats the last kept."""
        f, kept = self.f, self.scratch
        last = count - 1
        none = f.value(-1, "i64")
        with f.loop(0, count) as i:
            f.store(none, f.gep(kept, i, "i64"))
        lanes = self.isa.lanes(self.size)
        worst = f.variable(none)

        def take(i: Value) -> None:
            record = self.make(f.load(self.type, f.gep(x, i * self.step, "i8"), self.size), i)
            with f.when(f.compare("lt", record, worst.get(), unsigned=True)):
                hole = f.variable(last)
                going = f.variable(True, "i1")
                with f.loop_while(lambda: going.get() & (hole.get() > 0)):
                    before = f.load("i64", f.gep(kept, hole.get() - 1, "i64"))

                    def move() -> None:
                        f.store(before, f.gep(kept, hole.get(), "i64"))
                        hole.set(hole.get() - 1)

                    f.branch(f.compare("gt", before, record, unsigned=True), move, lambda: going.set(False))
                f.store(record, f.gep(kept, hole.get(), "i64"))
                worst.set(f.load("i64", f.gep(kept, last, "i64")))

        one = f"i{8 * self.size}"
        whole = f.select(f.compare("eq", self.step, self.size), self.n - self.n % lanes, 0)
        with f.loop(0, whole, lanes) as i:
            v = f.load(f"<{lanes} x {self.type}>", f.gep(x, i, self.type), self.size)
            limit = f.convert("trunc", f.binary("lshr", worst.get(), 32), one)
            # not above the last kept key: an equal one comes later and loses, but costs only a closer look
            beats = f.compare("le", self.key(v, lanes), f.splat(limit, f"<{lanes} x {one}>"), unsigned=True)
            mask = f.convert("bitcast", beats, f"i{lanes}")
            with f.when(f.compare("ne", mask, 0)), f.loop(i, i + lanes) as j:
                take(j)
        with f.loop(whole, self.n) as i:
            take(i)
