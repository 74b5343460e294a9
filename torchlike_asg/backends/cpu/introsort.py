"""Sorting that leaves equal elements in the order in which PyTorch's unstable sort leaves them: introsort (Musser, 1997).

Only where elements are equal does that differ from what radix sort gives, which is faster: a long line is sorted so first, and anew if
there are equals. The pivot is the median of the second, the middle and the last record; parts of up to 16 are left to an insertion at the
end. A line so lopsided that introsort would turn to a heap keeps its equals in order.
"""

from __future__ import annotations

from collections.abc import Callable

from .calls import LibraryNode, Lowering, library
from .emit import Module, Variable
from .isa import Isa
from .order import Order, order
from .values import Value

_SMALL = 16
#: lines up to here are not sorted twice
_SHORT = 512
#: bytes of the stack of parts: three words for each of twice as many as a line's length has bits
STACK = 2048


@library("unstable_order")
def _unstable(lowering: Lowering, node: LibraryNode) -> bool:
    dim, descending = node.attrs
    x = node.operands[0]
    return order(lowering, x, node.result, dim, descending, "some", 0, x.shape[dim] if x.shape else 1, Introsort, STACK)


@library("mode_unstable")
def _mode(lowering: Lowering, node: LibraryNode) -> bool:
    return order(lowering, node.operands[0], node.result, *node.attrs, False, "mode", 0, 1, Compared, STACK)


class Introsort(Order):
    def __init__(self, module: Module, name: str, isa: Isa, element: str, descending: bool, emit: str) -> None:
        super().__init__(module, name, isa, element, descending, emit)
        #: where the stack of parts is
        self.stack = self.f.gep(self.scratch, self.n * (2 * self.record) + self.counts_bytes, "i8")

    def _sorted(self, x: Value, out: Value) -> None:
        f, a = self.f, self.scratch
        b = f.gep(a, self.n * self.record, "i8")
        at, anew = f.variable(b), f.variable(self.n <= _SHORT)
        with f.when(self.n > _SHORT):
            self._records(x, a)
            at.set(self._radix(a, b))
            with f.loop(1, self.looked_at()) as i:
                anew.set(anew.get() | f.compare("eq", self.bits(self.load(at.get(), i)), self.bits(self.load(at.get(), i - 1))))
            anew.set(anew.get() | self.misled(at.get()))
        with f.when(anew.get()):
            other = f.select(f.compare("eq", at.get(), a), b, a)
            self._records(x, other)
            at.set(f.select(self._anew(x, other), other, at.get()))
        self._emit(at.get(), out)

    def looked_at(self) -> Value:
        """How many of the first places must hold different keys for radix sort's order to be right."""
        return self.n

    def misled(self, a: Value) -> Value:
        """Whether the records, which are in the order of their keys, would be left in another order though no two are equal."""
        return self.f.value(False, "i1")

    def _records(self, x: Value, to: Value) -> None:
        f = self.f
        with f.loop(0, self.n) as i:
            self.store(self.make(f.load(self.type, f.gep(x, i * self.step, "i8"), self.size), i), to, i)

    def before(self, a: Value, b: Value) -> Value:
        """Whether the key of record `a` is less than that of `b`."""
        return self.f.compare("lt", self.bits(a), self.bits(b), unsigned=True)

    def follows(self, a: Value, b: Value) -> Value:
        return self.before(b, a)

    def passes(self, a: Value, i: Value, pivot: Value) -> Value:
        """Whether the record at `i` belongs on the left side of the pivot. There is one that does not."""
        return self.before(self.load(a, i), pivot)

    def _swap(self, a: Value, i: Value, j: Value) -> None:
        one, other = self.load(a, i), self.load(a, j)
        self.store(one, a, j)
        self.store(other, a, i)

    def _anew(self, x: Value, a: Value) -> Value:
        """Sort the records of a line; whether that came to an end without a heap. A short line ends with the insertion alone."""
        f, fine = self.f, self.f.variable(True, "i1")

        def lopsided(first: Variable, last: Variable) -> None:
            fine.set(False)
            last.set(first.get())

        self._parted(a, self.n, lopsided, fine.get)
        short = self.n <= _SHORT
        with f.when(short & (fine.get() ^ True)):
            self._records(x, a)
        with f.when(short | fine.get()):
            self._insertion(a)
        return short | fine.get()

    def _parted(self, a: Value, n: Value, lopsided: Callable[[Variable, Variable], None], going: Callable[[], Value]) -> None:
        """Divide the first `n` records into small parts in order. `lopsided`: what is done with a part where a heap would be turned to."""
        f = self.f
        depth, top = self._depth(n), f.variable(0, "i64")

        def slot(word: int) -> Value:
            return f.gep(self.stack, top.get() * 3 + word, "i64")

        def push(*words: Value) -> None:
            for i, word in enumerate(words):
                f.store(word, slot(i))
            top.set(top.get() + 1)

        push(f.value(0, "i64"), n, depth.get())
        first, last = f.variable(0, "i64"), f.variable(n)
        with f.loop_while(lambda: going() & (top.get() > 0)):
            top.set(top.get() - 1)
            for i, variable in enumerate((first, last, depth)):
                variable.set(f.load("i64", slot(i)))
            with f.loop_while(lambda: last.get() - first.get() > _SMALL):

                def part() -> None:
                    depth.set(depth.get() - 1)
                    cut = self._cut(a, first.get(), last.get())
                    push(cut, last.get(), depth.get())
                    last.set(cut)

                f.branch(depth.get() > 0, part, lambda: lopsided(first, last))

    def _depth(self, n: Value) -> Variable:
        """How often a part of `n` records may be divided: twice the logarithm."""
        f = self.f
        depth, rest = f.variable(0, "i64"), f.variable(n)
        with f.loop_while(lambda: rest.get() > 1):
            rest.set(rest.get() // 2)
            depth.set(depth.get() + 2)
        return depth

    def _cut(self, a: Value, first: Value, last: Value) -> Value:
        """Records that belong on the other side of the pivot are exchanged, equal ones too; where the right side begins."""
        f = self.f
        places = (first + 1, first + (last - first) // 2, last - 1)
        x, y, z = (self.load(a, i) for i in places)
        low = f.select(self.before(y, z), places[1], f.select(self.before(x, z), places[2], places[0]))
        high = f.select(self.before(x, z), places[0], f.select(self.before(y, z), places[2], places[1]))
        self._swap(a, first, f.select(self.before(x, y), low, high))
        pivot = self.load(a, first)
        left, right, going = f.variable(first + 1), f.variable(last), f.variable(True, "i1")
        with f.loop_while(lambda: going.get()):
            with f.loop_while(lambda: self.passes(a, left.get(), pivot)):
                left.set(left.get() + 1)
            right.set(right.get() - 1)
            with f.loop_while(lambda: self.before(pivot, self.load(a, right.get()))):
                right.set(right.get() - 1)

            def exchange() -> None:
                self._swap(a, left.get(), right.get())
                left.set(left.get() + 1)

            f.branch(left.get() < right.get(), exchange, lambda: going.set(False))
        return left.get()


class Compared(Introsort):
    """Introsort by comparing numbers, to which a NaN is neither less nor greater: it stops what passes by, and equals nothing."""

    def before(self, a: Value, b: Value) -> Value:
        less = super().before(a, b)
        return less & (self._nan(b) ^ True) if self.kind == "f" else less  # whose key is the largest

    def misled(self, a: Value) -> Value:
        return self._nan(self.load(a, self.n - 1)) if self.kind == "f" else super().misled(a)

    def passes(self, a: Value, i: Value, pivot: Value) -> Value:
        passing = super().passes(a, i, pivot)
        return passing & (i < self.n) if self.kind == "f" else passing  # with NaN there may be none to stop at

    def _insertion(self, a: Value, low: Value | int = 0, high: Value | None = None) -> None:
        """Each record moves down past larger ones; at once to the front if it belongs before the first, which only a NaN tells apart."""
        if self.kind != "f":
            super()._insertion(a, low, high)
            return
        f = self.f
        with f.loop(low + 1, self.n if high is None else high) as i:
            record, hole, going = self.load(a, i), f.variable(i), f.variable(True, "i1")
            first = (i < f.value(low, "i64") + _SMALL) & self.before(record, self.load(a, f.value(low, "i64")))
            with f.loop_while(lambda: going.get() & (hole.get() > low)):
                beside = self.load(a, hole.get() - 1)

                def move() -> None:
                    self.store(beside, a, hole.get())
                    hole.set(hole.get() - 1)

                f.branch(first | self.before(record, beside), move, lambda: going.set(False))
            self.store(record, a, hole.get())
