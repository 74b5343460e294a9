"""Running sums, products, extrema and linear recurrences along a dimension.

Lines that lie side by side are scanned in vectors across them. A line of consecutive elements is summed (or multiplied) a vector at a time:
within the vector in log2(lanes) shifted steps, then with the total so far; extrema likewise. Everything else goes element by element.
"""

from __future__ import annotations

from ..views import at, broadcast
from .calls import Call, Kernel, LibraryNode, Lowering, Source, View, library
from .copies import copy, fill
from .elements import MACHINE, code
from .emit import Function, Module
from .isa import Isa
from .lines import lines
from .values import Value, lanes, vector
from .walk import Walk, walk_words


@library("cumsum", "cumprod")
def _accumulate(lowering: Lowering, node: LibraryNode) -> bool:
    x, (dim, reverse) = node.operands[0], node.attrs
    if not x.shape:
        return copy(lowering, x, node.result)
    return _scan(lowering, "sum" if node.op == "cumsum" else "prod", [x], node.result, dim, reverse)


@library("recurrence")
def _recurrence(lowering: Lowering, node: LibraryNode) -> bool:
    (a, b), (dim, reverse) = node.operands, node.attrs
    if not b.shape:
        return copy(lowering, b, node.result)
    return _scan(lowering, "recurrence", [b, broadcast(a, b.shape)], node.result, dim, reverse)


@library("cummax_index", "cummin_index")
def _extremum(lowering: Lowering, node: LibraryNode) -> bool:
    x, (dim,) = node.operands[0], node.attrs
    if not x.shape:
        return fill(lowering, node.result, 0)
    return _scan(lowering, "max" if node.op == "cummax_index" else "min", [x], node.result, dim, False)


def _scan(lowering: Lowering, kind: str, operands: list[View], out: View, dim: int, reverse: bool) -> bool:
    x = operands[0]
    element = code(x.dtype)
    if element not in MACHINE or 0 in x.shape or (kind not in ("max", "min") and x.dtype.storage != x.dtype.compute):
        return False
    views = [*operands, out]
    if reverse:
        views = [at(v, dim, v.shape[dim] - 1, v.shape[dim], -1) for v in views]
    found = lines(dim, views[0], *views[1:])
    if found is None:
        return False
    size = x.itemsize
    step = -size if reverse else size
    row = kind in ("sum", "prod") and found.steps == (step, step) and lowering.isa.lanes(size) > 1
    if kind in ("max", "min"):  # positions within a line are counted in as many bits as its elements have
        row = size in (4, 8) and found.steps == (size, 8) and found.length < 1 << 31 and lowering.isa.lanes(size) > 1
    across = not row and found.column_steps[0] == size and found.column_steps[-1] == out.itemsize
    block = lowering.isa.lanes(size) if across else 1
    groups = -(-found.columns // block)
    words = (found.length, *found.steps, found.columns, *found.column_steps, groups, *walk_words(found.outer))
    isa, count = lowering.isa, found.length * found.columns * found.points
    form = ("back" if reverse else "row") if row else "across" if across else "single"
    lowering.add(
        Call(
            Source(("scan", kind, element, form, isa.name), lambda m, n: _Scan(m, n, isa, kind, element, len(operands)).write(form)),
            tuple([v.place for v in views]),
            words,
            tuple(dict.fromkeys(v.slot for v in operands)),
            (out.slot,),
            units=groups * found.points,
            cost=20 + count * (0.1 * size if row or across else 1.5),
            label=f"scan {kind}",
            flops=count,
            bytes=count * (size * len(operands) + out.itemsize),
        )
    )
    return True


class _Scan:
    """The code. Streams: the operand, for a recurrence the factors, the result."""

    def __init__(self, module: Module, name: str, isa: Isa, kind: str, element: str, operands: int) -> None:
        n = operands + 1
        k = self.k = Kernel(module, name, n)
        self.f: Function = k.f
        self.isa, self.kind = isa, kind
        self.type, self.size, self.unsigned = MACHINE[element], int(element[1:]), element[0] in "bu"
        self.places = [k.operand(i) for i in range(n)]
        self.length, self.columns = k.word(0), k.word(n + 1)
        self.steps, self.column_steps = ([k.word(i + j) for j in range(n)] for i in (1, n + 2))
        self.groups = k.word(2 * n + 2)
        self.walk = Walk(self.f, k.word_address(2 * n + 3), n)
        #: leaves what it is combined with as it is, the sign of zero too
        self.neutral = 1 if kind == "prod" else -0.0 if self.type in ("float", "double") else 0

    def write(self, form: str) -> None:
        f = self.f
        lo, hi, _ = self.k.rest
        self.walk.start(lo // self.groups)
        group = f.variable(lo % self.groups)
        block = self.isa.lanes(self.size) if form == "across" else 1
        with f.loop(lo, hi):
            start = group.get() * block
            places = [f.gep(p, self.walk.offset(i), "i8") for i, p in enumerate(self.places)]
            here = [f.gep(p, start * s, "i8") for p, s in zip(places, self.column_steps, strict=True)]
            if form == "row" and self.kind in ("max", "min"):
                self._extrema(here[0], here[1])
            elif form in ("row", "back"):
                self._row(here[0], here[1], form == "back")
            elif block > 1:
                self._across(places, here, start, block)
            else:
                self._line(here, 1)
            done = f.compare("eq", group.get() + 1, self.groups)
            group.set(f.select(done, 0, group.get() + 1))
            with f.when(done):
                self.walk.advance()

    def _across(self, places: list[Value], here: list[Value], start: Value, block: int) -> None:
        f = self.f

        def single() -> None:
            with f.loop(start, self.columns) as c:
                self._line([f.gep(p, c * s, "i8") for p, s in zip(places, self.column_steps, strict=True)], 1)

        f.branch(start + block <= self.columns, lambda: self._line(here, block), single)

    # ------------------------------------------------------------ along a line, or several side by side
    def _line(self, places: list[Value], n: int) -> None:
        f = self.f
        t = vector(self.type, n)
        moving = [f.variable(p) for p in places]

        def advance() -> None:
            for p, s in zip(moving, self.steps, strict=True):
                p.set(f.gep(p.get(), s, "i8"))

        x = self._read(moving[0].get(), 0, n)
        state = f.variable(x)
        where = f.variable(0, vector("i64", n)) if self.kind in ("max", "min") else None
        f.store(where.get() if where is not None else x, moving[-1].get(), 8 if where is not None else self.size)
        advance()
        with f.loop(1, self.length) as i:
            x, y = f.load(t, moving[0].get(), self.size), state.get()
            if where is not None:
                hit = self._reaches(x, y)
                state.set(f.select(hit, x, y))
                where.set(f.select(hit, f.splat(i, vector("i64", n)), where.get()))
                f.store(where.get(), moving[-1].get(), 8)
            else:
                if self.kind == "recurrence":
                    state.set(x + self._read(moving[1].get(), 1, n) * y)
                else:
                    state.set(self._combine(y, x))
                f.store(state.get(), moving[-1].get(), self.size)
            advance()

    def _read(self, p: Value, stream: int, n: int) -> Value:
        """Elements of neighbouring lines, or one element that all of them share."""
        f = self.f
        if stream == 0 or n == 1:
            return f.load(vector(self.type, n), p, self.size)
        together = f.variable(f.splat(f.load(self.type, p), vector(self.type, n)))
        with f.when(f.compare("ne", self.column_steps[stream], 0)):
            for lane in range(n):
                one = f.load(self.type, f.gep(p, self.column_steps[stream] * lane, "i8"))
                together.set(f.insert(together.get(), one, lane))
        return together.get()

    def _combine(self, a: Value, b: Value) -> Value:
        return a * b if self.kind == "prod" else a + b

    def _reaches(self, x: Value, best: Value) -> Value:
        """Whether an element is the new extremum: the latest of equals, the latest NaN."""
        f = self.f
        hit = f.compare("ge" if self.kind == "max" else "le", x, best, self.unsigned)
        return hit | f.compare("ne", x, x) if x.floating else hit

    # ------------------------------------------------------------ consecutive elements
    def _row(self, x: Value, out: Value, back: bool) -> None:
        f, n = self.f, self.isa.lanes(self.size)
        t, sign = vector(self.type, n), -1 if back else 1
        total = f.variable(self.neutral, self.type)
        whole = self.length - self.length % n
        turn = range(n - 1, -1, -1)

        with f.loop(0, whole, n) as i:
            first = (i + (n - 1)) * -1 if back else i
            v = f.load(t, f.gep(x, first, self.type), self.size)
            v = self._prefixes(f.shuffle(v, v, turn) if back else v)
            v = self._combine(f.splat(total.get(), t), v)
            total.set(f.extract(v, n - 1))
            f.store(f.shuffle(v, v, turn) if back else v, f.gep(out, first, self.type), self.size)
        with f.loop(whole, self.length) as i:
            total.set(self._combine(total.get(), f.load(self.type, f.gep(x, i * sign, self.type))))
            f.store(total.get(), f.gep(out, i * sign, self.type))

    def _extrema(self, x: Value, out: Value) -> None:
        """Positions of the extrema of consecutive elements: pairs of element and position are combined as sums are."""
        f, n = self.f, self.isa.lanes(self.size)
        count = f"i{8 * self.size}"
        t, counts, wide = vector(self.type, n), vector(count, n), vector("i64", n)
        best, where = f.variable(f.load(self.type, x)), f.variable(0, count)
        whole = self.length - self.length % n

        def position(i: Value) -> Value:
            return f.convert("trunc", i, count)

        def combine(earlier: tuple[Value, Value], later: tuple[Value, Value]) -> tuple[Value, Value]:
            hit = self._reaches(later[0], earlier[0])
            return f.select(hit, later[0], earlier[0]), f.select(hit, later[1], earlier[1])

        with f.loop(0, whole, n) as i:
            v = f.load(t, f.gep(x, i, self.type), self.size)
            at_ = f.splat(position(i), counts) + f.lane_numbers(counts)
            by = 1
            while by < n:  # a lane without one before it is combined with itself
                order = [lane - by if lane >= by else lane for lane in range(n)]
                v, at_ = combine((f.shuffle(v, v, order), f.shuffle(at_, at_, order)), (v, at_))
                by *= 2
            v, at_ = combine((f.splat(best.get(), t), f.splat(where.get(), counts)), (v, at_))
            best.set(f.extract(v, n - 1))
            where.set(f.extract(at_, n - 1))
            f.store(f.convert("zext", at_, wide), f.gep(out, i, "i64"), 8)
        with f.loop(whole, self.length) as i:
            v, at_ = combine((best.get(), where.get()), (f.load(self.type, f.gep(x, i, self.type)), position(i)))
            best.set(v)
            where.set(at_)
            f.store(f.convert("zext", at_, "i64"), f.gep(out, i, "i64"))

    def _prefixes(self, v: Value) -> Value:
        """Every lane combined with all before it."""
        f, n = self.f, lanes(v.type)
        nothing, by = f.value(self.neutral, v.type), 1
        while by < n:
            v = self._combine(v, f.shuffle(nothing, v, [n + i - by if i >= by else i for i in range(n)]))
            by *= 2
        return v
