"""Long reductions in parts: kernels for the parts, for adding them up, and for what is left to do with the sums."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from .. import dtypes
from .kernel import NUMBERED, Apply, Convert, Instr, Load, LoopKernel, Operand, Random, Reduce, Shape, operands_of, read_by

#: types whose numbers are computed in float32 and rounded
HALVES = (dtypes.float16, dtypes.bfloat16)


def stages(k: LoopKernel) -> list[int]:
    """For each value how many reductions, one after the other, it depends on."""
    stage: list[int] = []
    for i in k.body:
        stage.append(max((stage[a] for a in operands_of(i)), default=0) + isinstance(i, Reduce))
    return stage


def used_values(k: LoopKernel) -> list[int]:
    """Values that a store depends on, in order."""
    used, pending = set[int](), [v for _, v in k.stores]
    while pending:
        n = pending.pop()
        if n not in used:
            used.add(n)
            pending += operands_of(k.body[n])
    return sorted(used)


def prune(k: LoopKernel) -> tuple[LoopKernel, list[int]]:
    """The kernel without values and operands that nothing depends on, and the numbers of the operands that stay."""
    values = used_values(k)
    operands = sorted({o for o, _ in k.stores} | {o for n in values for o in read_by(k.body[n])})
    to = {n: m for m, n in enumerate(values)}
    place = {n: m for m, n in enumerate(operands)}
    body = []
    for n in values:
        i = _renumbered(k.body[n], to)
        if isinstance(i, Load):
            i = Load(place[i.operand], i.dtype)
        elif isinstance(i, Random):
            i = replace(i, key=place[i.key], block=place[i.block])
        body.append(i)
    stores = tuple((place[o], to[v]) for o, v in k.stores)
    return LoopKernel(k.sizes, k.outer, tuple(k.operands[n] for n in operands), tuple(body), stores), operands


def _renumbered(i: Instr, to: dict[int, int]) -> Instr:
    # written out: `replace` takes several times as long, and every kernel comes here a few times
    if isinstance(i, Apply):
        return Apply(i.op, tuple([to[a] for a in i.args]), i.attrs, i.dtype, i.compute, i.formula)
    if isinstance(i, Convert):
        return Convert(to[i.arg], i.dtype)
    return Reduce(i.kind, to[i.arg], i.dtype, i.order) if isinstance(i, Reduce) else i


def rewritten(
    k: LoopKernel, strides: Callable[[Shape], Shape], swap: dict[int, Callable[[list[Instr], Instr], None]]
) -> tuple[list[Instr], dict[int, int]]:
    """The body over other dimensions. ``swap[n](body, instruction)`` appends what takes the place of value n."""
    body: list[Instr] = []
    to: dict[int, int] = {}
    for n, i in enumerate(k.body):
        i = _renumbered(i, to)
        if n in swap:
            swap[n](body, i)
        else:
            body.append(replace(i, strides=strides(i.strides)) if isinstance(i, NUMBERED) else i)
        to[n] = len(body) - 1
    return body, to


def first_reductions(k: LoopKernel) -> list[int]:
    """Reductions that depend on no other one."""
    stage = stages(k)
    return [n for n, i in enumerate(k.body) if isinstance(i, Reduce) and stage[n] == 1]


def accumulator(d: dtypes.dtype) -> dtypes.dtype:
    """The type of partial results: float16 and bfloat16 are added up in float32."""
    return dtypes.float32 if d in HALVES else d


def contiguous(sizes: Sequence[int]) -> Shape:
    """Row-major strides."""
    out: list[int] = []
    step = 1
    for n in reversed(sizes):
        out.insert(0, step)
        step *= n
    return tuple(out)


def partial_results(k: LoopKernel, reduces: Sequence[int], count: int, stores: Sequence[tuple[int, int]]) -> LoopKernel:
    """The reductions of `count` parts, enumerated by a new first dimension, each stored in a new operand [part, outer...]; and `stores`."""

    def begin(body: list[Instr], i: Instr) -> None:
        assert isinstance(i, Reduce)
        body.append(Convert(i.arg, accumulator(i.dtype)))
        body.append(Reduce(i.kind, len(body) - 1, accumulator(i.dtype)))

    body, to = rewritten(k, lambda s: (0, *s), {n: begin for n in reduces})
    inner = (0,) * (len(k.sizes) - k.outer)
    place = contiguous((count, *k.sizes[: k.outer]))
    operands = [Operand(o.dtype, (0, *o.strides)) for o in k.operands]
    made = [(len(operands) + m, to[n]) for m, n in enumerate(reduces)]
    operands += [Operand(accumulator(k.body[n].dtype), (*place, *inner)) for n in reduces]
    return LoopKernel((count, *k.sizes), k.outer + 1, tuple(operands), tuple(body), (*[(o, to[v]) for o, v in stores], *made))


def totals(k: LoopKernel, reduces: Sequence[int], count: int, results: bool, stores: Sequence[tuple[int, int]] = ()) -> LoopKernel:
    """The parts' results combined: over the kernel's outer dimensions, reducing over parts.

    With `results`, the totals are stored in further new operands [outer...]; else `stores` are done, of row values.
    """
    outer = k.sizes[: k.outer]
    place = contiguous((count, *outer))
    first = len(k.operands)

    def combine(operand: int) -> Callable[[list[Instr], Instr], None]:
        def write(body: list[Instr], i: Instr) -> None:
            assert isinstance(i, Reduce)
            d = accumulator(i.dtype)
            body.append(Load(operand, d))
            body.append(Reduce(i.kind, len(body) - 1, d))
            body.append(Convert(len(body) - 1, i.dtype))

        return write

    def shorter(s: Shape) -> Shape:
        return (*s[: k.outer], 0)

    body, to = rewritten(k, shorter, {n: combine(first + m) for m, n in enumerate(reduces)})
    operands = [Operand(o.dtype, shorter(o.strides)) for o in k.operands]
    operands += [Operand(accumulator(k.body[n].dtype), (*place[1:], place[0])) for n in reduces]
    done = [(o, to[v]) for o, v in stores]
    if results:
        done = [(len(operands) + m, to[n]) for m, n in enumerate(reduces)]
        operands += [Operand(k.body[n].dtype, (*contiguous(outer), 0)) for n in reduces]
    return LoopKernel((*outer, count), k.outer, tuple(operands), tuple(body), tuple(done))


def rest(k: LoopKernel, reduces: Sequence[int], stores: Sequence[tuple[int, int]]) -> LoopKernel:
    """The kernel with totals read from new operands [outer...], and only `stores`."""

    def read(operand: int) -> Callable[[list[Instr], Instr], None]:
        return lambda body, i: body.append(Load(operand, i.dtype))

    first = len(k.operands)
    body, to = rewritten(k, lambda s: s, {n: read(first + m) for m, n in enumerate(reduces)})
    inner = (0,) * (len(k.sizes) - k.outer)
    operands = [*k.operands, *[Operand(k.body[n].dtype, (*contiguous(k.sizes[: k.outer]), *inner)) for n in reduces]]
    return LoopKernel(k.sizes, k.outer, tuple(operands), tuple(body), tuple((o, to[v]) for o, v in stores))
