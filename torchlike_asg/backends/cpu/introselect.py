"""Selecting the elements that PyTorch selects among equal ones, in its order: introselect or a heap for `topk`, quickselect for `kthvalue`
(see ops/introselect.py, which says the same in Python).

What is faster comes first: the best few are kept, or a long line is sorted by radix. Only if some that are asked for, or the next one, are
equal is the line gone through again.
"""

from __future__ import annotations

from ...ops.introselect import SPARSE
from .calls import LibraryNode, Lowering, library
from .emit import Function, Module, Variable
from .introsort import STACK, Introsort
from .isa import Isa
from .order import order
from .values import Value


@library("topk_unstable")
def _topk(lowering: Lowering, node: LibraryNode) -> bool:
    k, dim, largest, ordered = node.attrs
    x = node.operands[0]
    n = x.shape[dim] if x.shape else 1
    emit = "first" if ordered or k * SPARSE <= n else "first unordered"
    return k > 0 and order(lowering, x, node.result, dim, largest, emit, 0, k, Introselect, STACK + 16 * n + 64)


@library("kth_unstable")
def _kth(lowering: Lowering, node: LibraryNode) -> bool:
    dim, k = node.attrs
    return order(lowering, node.operands[0], node.result, dim, False, "kth", k, 1, Introselect)


class Introselect(Introsort):
    def __init__(self, module: Module, name: str, isa: Isa, element: str, descending: bool, emit: str) -> None:
        super().__init__(module, name, isa, element, descending, emit)
        self._sift_name = name + ".sift"
        if emit != "kth":
            self._write_sift(module)

    # ------------------------------------------------------------ which way
    def _best(self, x: Value, out: Value) -> None:
        f = self.f
        self._keep(x, self.count + 1)  # there are more: see `order`
        tied = f.variable(False, "i1")
        with f.loop(1, self.count + 1) as i:
            tied.set(tied.get() | f.compare("eq", self.bits(self.load(self.scratch, i)), self.bits(self.load(self.scratch, i - 1))))

        def anew() -> None:
            a = f.gep(self.scratch, (self.count + 2) * 8, "i8")
            self.stack = f.gep(a, self.n * self.record, "i8")
            self._anew_into(x, a)
            self._emit(a, out)

        f.branch(tied.get(), anew, lambda: self._emit(self.scratch, out))

    def _sorted(self, x: Value, out: Value) -> None:
        if self.emit == "first":
            super()._sorted(x, out)
            return
        a = self.scratch
        if self.emit == "kth":
            self._records(x, a)
            self._quick(a)
        else:
            self._anew_into(x, a)
        self._emit(a, out)

    def looked_at(self) -> Value:
        return self.f.minimum(self.count + 1, self.n)

    def _anew(self, x: Value, a: Value) -> Value:
        self._select_first(a)
        return self.f.value(True, "i1")

    def _anew_into(self, x: Value, a: Value) -> None:
        self._records(x, a)
        self._select_first(a)

    # ------------------------------------------------------------ the first of all
    def _select_first(self, a: Value) -> None:
        f = self.f
        zero = f.value(0, "i64")

        def sparse() -> None:
            self._heap_select(a, zero, self.count, self.n)
            self._sort_heap(a, zero, self.count)

        def dense() -> None:
            self._nth(a, self.count - 1)
            if self.emit == "first":
                self._parted(a, self.count - 1, lambda first, last: self._heap_sort(a, first, last), lambda: f.value(True, "i1"))
                self._insertion(a, 0, self.count - 1)

        f.branch(self.count * SPARSE <= self.n, sparse, dense)

    def _heap_sort(self, a: Value, first: Variable, last: Variable) -> None:
        self._heap_select(a, first.get(), last.get(), last.get())
        self._sort_heap(a, first.get(), last.get())
        last.set(first.get())

    def _nth(self, a: Value, nth: Value) -> None:
        """Have the record that belongs at `nth` there, with none greater before it and none less behind it."""
        f = self.f
        low, high, depth, done = f.variable(0, "i64"), f.variable(self.n), self._depth(self.n), f.variable(False, "i1")
        with f.loop_while(lambda: high.get() - low.get() > 3):

            def part() -> None:
                depth.set(depth.get() - 1)
                cut = self._cut(a, low.get(), high.get())
                before = cut <= nth
                below = f.select(before, cut, low.get())
                high.set(f.select(before, high.get(), cut))
                low.set(below)

            def lopsided() -> None:
                self._heap_select(a, low.get(), nth + 1, high.get())
                self._swap(a, low.get(), nth)
                done.set(True)
                high.set(low.get())

            f.branch(depth.get() > 0, part, lopsided)
        with f.when(done.get() ^ True):
            self._insertion(a, low.get(), high.get())

    # ------------------------------------------------------------ heaps
    def _heap_select(self, a: Value, low: Value, middle: Value, high: Value) -> None:
        f = self.f
        n = middle - low
        with f.loop(0, n // 2) as i:
            hole = n // 2 - 1 - i
            self._sift(a, low, hole, n, self.load(a, low + hole))
        with f.loop(middle, high) as i:
            item, top = self.load(a, i), self.load(a, low)
            with f.when(self.before(item, top)):
                self.store(top, a, i)
                self._sift(a, low, f.value(0, "i64"), n, item)

    def _sort_heap(self, a: Value, low: Value, high: Value) -> None:
        f = self.f
        with f.loop(1, high - low) as i:
            last = high - i
            item = self.load(a, last)
            self.store(self.load(a, low), a, last)
            self._sift(a, low, f.value(0, "i64"), last - low, item)

    def _sift(self, a: Value, low: Value, hole: Value, n: Value, item: Value) -> None:
        self.f.call("void", self._sift_name, a, low, hole, n, item)

    def _write_sift(self, module: Module) -> None:
        """The function that moves a hole down to a leaf, to the greater child each time, and the item from there up to its place."""
        record = "<2 x i64>" if self.wide else "i64"
        params = [("ptr", "a"), ("i64", "low"), ("i64", "hole"), ("i64", "n"), (record, "item")]
        whole, f = self.f, module.function(self._sift_name, params, internal=True)
        self.f = f
        a, low, top, n, item = f.params
        heap = self.address(a, low)
        hole = f.variable(top)

        def move(child: Value) -> None:
            self.store(self.load(heap, child), heap, hole.get())
            hole.set(child)

        with f.loop_while(lambda: hole.get() < (n - 1) // 2):
            child = hole.get() * 2 + 2
            less = self.before(self.load(heap, child), self.load(heap, child - 1))
            move(f.select(less, child - 1, child))
        with f.when(f.compare("eq", n & 1, 0) & f.compare("eq", hole.get(), (n - 2) // 2)):
            move(hole.get() * 2 + 1)

        def above() -> Value:
            return f.maximum(hole.get() - 1, 0) // 2

        with f.loop_while(lambda: (hole.get() > top) & self.before(self.load(heap, above()), item)):
            parent = above()
            self.store(self.load(heap, parent), heap, hole.get())
            hole.set(parent)
        self.store(item, heap, hole.get())
        self.f = whole

    # ------------------------------------------------------------ one of all
    def _in_order(self, a: Value, i: Value, j: Value) -> None:
        with self.f.when(self.before(self.load(a, j), self.load(a, i))):
            self._swap(a, i, j)

    def _quick(self, a: Value) -> None:
        """Have record number `first` in its place."""
        f: Function = self.f
        k = self.first
        low, high = f.variable(0, "i64"), f.variable(self.n - 1)
        with f.loop_while(lambda: high.get() > low.get() + 1):
            lo, hi = low.get(), high.get()
            second = lo + 1
            self._swap(a, (lo + hi) // 2, second)
            self._in_order(a, second, hi)
            self._in_order(a, lo, hi)
            self._in_order(a, second, lo)
            pivot = self.load(a, lo)
            i, j, going = f.variable(second), f.variable(hi), f.variable(True, "i1")
            with f.loop_while(going.get):
                i.set(i.get() + 1)
                with f.loop_while(lambda: self.before(self.load(a, i.get()), pivot)):
                    i.set(i.get() + 1)
                j.set(j.get() - 1)
                with f.loop_while(lambda: self.before(pivot, self.load(a, j.get()))):
                    j.set(j.get() - 1)
                f.branch(j.get() < i.get(), lambda: going.set(False), lambda: self._swap(a, i.get(), j.get()))
            self._swap(a, lo, j.get())
            low.set(f.select(j.get() <= k, i.get(), lo))
            high.set(f.select(j.get() >= k, j.get() - 1, hi))
        with f.when(f.compare("eq", high.get(), low.get() + 1)):
            self._in_order(a, low.get(), high.get())
