"""Random loop kernels, and running a kernel beside its interpretation."""

from __future__ import annotations

import math

import numpy as np

from tests.backends.cpu.harness import run
from tests.backends.cpu.interpret import interpret
from torchlike_asg import dtypes
from torchlike_asg.backends.cpu import isa, loops
from torchlike_asg.backends.cpu.calls import Lowering, View
from torchlike_asg.compiler.kernel import Apply, Const, Convert, Index, Load, LoopKernel, Operand, Random, Reduce, verify

FLOATS = (dtypes.float32, dtypes.float32, dtypes.float32, dtypes.float64, dtypes.float16, dtypes.bfloat16)
INTEGERS = (dtypes.int64, dtypes.int32, dtypes.int16, dtypes.int8, dtypes.uint8)
SIZES = (1, 1, 2, 3, 5, 7, 16, 17, 33, 70)
BINARY = {
    "add": lambda e, a, b: e.add(a, b),
    "sub": lambda e, a, b: e.sub(a, b),
    "mul": lambda e, a, b: e.mul(a, b),
    "maximum": lambda e, a, b: e.maximum(a, b),
    "minimum": lambda e, a, b: e.minimum(a, b),
}
SMOOTH = {"tanh": lambda e, x: e.tanh(x), "gauss": lambda e, x: e.exp(e.neg(e.mul(x, x))), "half": lambda e, x: e.mul(x, e.const(0.3))}


def less(e, a, b):
    return e.lt(a, b)


def where(e, c, a, b):
    return e.where(c, a, b)


class Draw:
    """A random kernel with memory for its operands."""

    def __init__(self, seed: int) -> None:
        self.rng = rng = np.random.default_rng(seed)
        rank = int(rng.integers(0, 5))
        sizes = [int(rng.choice(SIZES)) for _ in range(rank)]
        while np.prod(sizes, dtype=np.int64) > 20000:
            sizes[int(np.argmax(sizes))] = 3
        if rank and rng.random() < 0.03:
            sizes[int(rng.integers(rank))] = 0
        self.sizes, self.outer = tuple(sizes), int(rng.integers(0, rank + 1))
        self.operands: list[Operand] = []
        self.memories: list[np.ndarray] = []
        self.body: list = []
        self.exact: list[bool] = []
        self.main = FLOATS[rng.integers(len(FLOATS))] if rng.random() < 0.7 else INTEGERS[rng.integers(len(INTEGERS))]
        for _ in range(int(rng.integers(1, 4))):
            self.load(self.main if rng.random() < 0.7 else self.any_type())
        if rng.random() < 0.4:
            self.add(Index(tuple(int(rng.integers(-2, 3)) for _ in sizes), int(rng.integers(-3, 4))), True)
        if rng.random() < 0.2:
            self.draw()
        if rng.random() < 0.4:
            self.add(Const(float(rng.integers(-8, 9)) / 8 if self.main.is_floating_point else int(rng.integers(0, 5)), self.main), True)
        for _ in range(int(rng.integers(1, 9))):
            self.step()
        self.stores: list[tuple[int, int]] = []
        chosen = rng.permutation(len(self.body))[: int(rng.integers(1, 4))].tolist()
        for n in {len(self.body) - 1, *chosen}:
            self.store(int(n))
        self.kernel = LoopKernel(self.sizes, self.outer, tuple(self.operands), tuple(self.body), tuple(self.stores))
        verify(self.kernel)

    def any_type(self) -> dtypes.dtype:
        choice = (*FLOATS, *INTEGERS, dtypes.bool_)
        return choice[self.rng.integers(len(choice))]

    def add(self, i, exact: bool) -> int:
        self.body.append(i)
        self.exact.append(exact)
        return len(self.body) - 1

    def place(self, moving: list[int]) -> tuple[tuple[int, ...], int, int]:
        """Strides over the dimensions that move, permuted and padded, an offset, and the elements that memory needs."""
        rng = self.rng
        strides, step = [0] * len(self.sizes), 1
        if rng.random() < 0.2:
            step = int(rng.integers(2, 4))
        order = list(moving)
        if rng.random() < 0.4:
            order = [int(d) for d in rng.permutation(order)]
        for d in reversed(order):
            strides[d] = step
            step *= max(self.sizes[d], 1) + int(rng.random() < 0.15)
        offset = int(rng.integers(0, 4))
        return tuple(strides), offset, offset + max(step, 1) + 4

    def data(self, d: dtypes.dtype, count: int) -> np.ndarray:
        """Multiples of 1/8, so that sums of them are exact."""
        rng = self.rng
        if d is dtypes.bool_:
            return rng.random(count) < 0.5
        if d.is_floating_point:
            return (rng.integers(-16, 17, count) / 8).astype(d.compute)
        return rng.integers(-9 if d.is_signed else 0, 10, count).astype(d.compute)

    def load(self, d: dtypes.dtype) -> int:
        moving = [i for i in range(len(self.sizes)) if self.rng.random() < 0.8]
        strides, offset, count = self.place(moving)
        self.operands.append(Operand(d, strides, offset))
        self.memories.append(self.data(d, count))
        return self.add(Load(len(self.operands) - 1, d), True)

    def draw(self) -> int:
        """Numbers of a random stream."""
        for _ in range(2):
            self.operands.append(Operand(dtypes.int64, (0,) * len(self.sizes)))
            self.memories.append(self.rng.integers(-(2**63), 2**63, 1))
        strides = tuple(int(self.rng.integers(-2, 20)) if self.rng.random() < 0.5 else 1 for _ in self.sizes)
        key = len(self.operands) - 2
        return self.add(Random(key, key + 1, strides, int(self.rng.integers(0, 9))), False)

    def pick(self, d: dtypes.dtype | None = None, exact: bool = False) -> int:
        """An earlier value, converted to `d` if it must be."""
        fit = [n for n in range(len(self.body)) if self.exact[n] or not exact]
        n = int(self.rng.choice(fit))
        if d is None or self.body[n].dtype is d:
            return n
        if not self.exact[n] and not (d.is_floating_point and self.body[n].dtype.is_floating_point):
            return self.pick(d, True)
        return self.add(Convert(n, d), self.exact[n] and d.compute.itemsize >= 4)

    def step(self) -> None:
        rng, d = self.rng, self.main
        r = rng.random()
        if r < 0.35:
            op = str(rng.choice(list(BINARY)))
            a, b = self.pick(d), self.pick(d)
            self.add(Apply(op, (a, b), (), d, d, BINARY[op]), op in ("maximum", "minimum") and self.exact[a] and self.exact[b])
        elif r < 0.5 and d.is_floating_point:
            op = str(rng.choice(list(SMOOTH)))
            self.add(Apply(op, (self.pick(d),), (), d, d, SMOOTH[op]), False)
        elif r < 0.65:
            e = self.any_type()
            c = self.add(Apply("lt", (self.pick(e, True), self.pick(e, True)), (), dtypes.bool_, e, less), True)
            self.add(Apply("where", (c, self.pick(d), self.pick(d)), (), d, d, where), False)
        elif r < 0.75:
            self.pick(self.any_type(), True)
        else:
            kind = str(rng.choice(["sum", "sum", "max", "min", "prod", "any", "all"]))
            n = self.pick(dtypes.bool_ if kind in ("any", "all") else d if rng.random() < 0.7 else self.any_type())
            if self.body[n].dtype is dtypes.bool_ and kind in ("sum", "prod"):
                kind = "any"
            if kind == "prod" and self.body[n].dtype.is_floating_point:
                kind = "sum"
            order = ""
            if kind == "sum" and self.body[n].dtype in (dtypes.float32, dtypes.float64):
                kind = str(rng.choice(["sum", "sum", "mean", "variance"])) if math.prod(self.sizes[self.outer :]) else kind
                order = str(rng.choice(["", "vectors", "halves", "rows"])) if kind == "sum" else ""
            self.add(Reduce(kind, n, self.body[n].dtype, order), self.exact[n] and kind in ("max", "min", "any", "all"))

    def store(self, n: int) -> None:
        k = LoopKernel(self.sizes, self.outer, tuple(self.operands), tuple(self.body), ())
        row = k.rows()[n]
        inner = len(self.sizes) > self.outer and any(s != 1 for s in self.sizes[self.outer :])
        strides, offset, count = self.place(list(range(self.outer if row and inner else len(self.sizes))))
        self.operands.append(Operand(self.body[n].dtype, strides, offset))
        self.memories.append(np.zeros(count, self.body[n].dtype.compute))
        self.stores.append((len(self.operands) - 1, n))


def lowered(k: LoopKernel, level: str = "", slots=None) -> Lowering:
    """The kernel's calls, operand n in slot n."""
    slots = slots or list(range(len(k.operands)))
    lowering = Lowering(max(slots, default=0) + 1)
    if level:
        lowering.isa = isa.describe(level)
    loops.lower(lowering, k, [View(s, (), (), 0, o.dtype) for s, o in zip(slots, k.operands, strict=True)])
    return lowering


def compute(k: LoopKernel, memories, threads: int = 1, level: str = "", slots=None) -> tuple[list[np.ndarray], Lowering, bool]:
    """The memories after the kernel, run as native code. `slots`: operands that share a slot share memory."""
    slots = slots or list(range(len(memories)))
    arrays = {s: m.copy() for s, m in zip(slots, memories, strict=True)}
    lowering = lowered(k, level, slots)
    failed = run(lowering, arrays, threads)
    return [arrays[s] for s in slots], lowering, failed


def expected(k: LoopKernel, memories) -> list[np.ndarray]:
    out = [m.copy() for m in memories]
    interpret(k, out)
    return out


def tolerance(k: LoopKernel) -> float:
    types = {i.dtype for i in k.body}
    return 0.05 if dtypes.bfloat16 in types else 0.008 if dtypes.float16 in types else 2e-5


def assert_close(got, want, tol: float, label: object = "") -> None:
    for n, (g, w) in enumerate(zip(got, want, strict=True)):
        if w.dtype.kind == "f":
            scale = np.nanmax(np.abs(np.where(np.isfinite(w), w, 0)), initial=1.0)
            np.testing.assert_allclose(g, w, rtol=tol, atol=tol * scale, err_msg=f"{label}: operand {n}")
        else:
            np.testing.assert_array_equal(g, w, err_msg=f"{label}: operand {n}")
