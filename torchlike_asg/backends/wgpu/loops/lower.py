"""From a `LoopKernel` to dispatches: normal form, vectors, reductions in parts, operands larger than a binding."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from ....compiler import parts
from ....compiler.kernel import NUMBERED, Const, Load, LoopKernel, Operand, Random, Reduce
from ....compiler.normal import length, orient, points, simplify, without_rows
from ..calls import Binding, Dispatch, Lowering, Source, View, element
from ..checks import of_formula
from .form import BUSY, GROUP, LONG_COLUMN, LONG_ROW, LONG_ROW_AGAIN, PARTS, VECTOR, Form
from .render import Renderer


@dataclass(frozen=True)
class Job:
    """A kernel and where each operand's element of index 0 lies: (slot, element offset); the operands' own offsets are in there."""

    k: LoopKernel
    places: tuple[tuple[int, int], ...]
    label: str = ""

    def view(self, n: int) -> View:
        o = self.k.operands[n]
        return View(self.places[n][0], self.k.sizes, o.strides, self.places[n][1], o.dtype)


def lower(lowering: Lowering, k: LoopKernel, views: Sequence[View], label: str = "") -> None:
    """Add the dispatches that compute the kernel.

    ``views[n]`` says where operand n lies: its element of index i is ``views[n].offset + operand.offset + sum(operand.strides * i)``
    elements after the start of slot ``views[n].slot`` (the view's own shape and strides are not looked at).

    An operand that is stored may lie in memory that is loaded through the same slot, if both move over it in the same way (every
    element is read before it is written). Operands in different slots must not overlap.
    """
    _lower(lowering, Job(k, tuple([(v.slot, v.offset + o.offset) for v, o in zip(views, k.operands, strict=True)]), label))


def _lower(lowering: Lowering, job: Job) -> None:
    k, kept = parts.prune(without_rows(job.k))
    k = simplify(k)
    if 0 in k.sizes[: k.outer]:
        return
    job = Job(replace(k, operands=tuple([replace(o, offset=0) for o in k.operands])), tuple([job.places[n] for n in kept]), job.label)
    k, column = orient(job.k)
    if not any(isinstance(i, Reduce) for i in k.body):
        k = replace(k, outer=len(k.sizes))
    job = replace(job, k=k)
    longest = _longest(lowering, job)
    if longest is not None and longest >= k.outer:
        if 8 * points(k) <= lowering.caps.max_binding or max(k.sizes[: k.outer]) == 1:
            _in_halves(lowering, job, longest)
            return
        longest = max(range(k.outer), key=k.sizes.__getitem__)  # else the halves' results could not be bound either
    halves = _fewer_stores(lowering, job) if longest is None else _halves(job, longest)
    if halves is not None:
        for half in halves:
            _lower(lowering, half)
        return
    form = Form(
        k,
        column,
        vector=_vector(job),
        special=not lowering.caps.software,
        most=lowering.caps.max_invocations,
        inplace=_inplace(job),
        subgroup=lowering.caps.subgroup,
    )
    count = _parts(form) if form.reduces else 1
    if count > 1:
        _in_parts(lowering, job, column, count)
    else:
        _dispatch(lowering, job, form)


def _inplace(job: Job) -> bool:
    stored = {job.places[o][0] for o, _ in job.k.stores}
    return any(isinstance(i, Load) and job.places[i.operand][0] in stored for i in job.k.body)


def _vector(job: Job) -> int:
    """Whether four neighbours can be computed by one invocation: 4 or 1."""
    k = job.k
    if not k.sizes or k.outer != len(k.sizes) or math.prod(k.sizes) < VECTOR:
        return 1
    return 4 if in_fours(job) else 1


def in_fours(job: Job) -> bool:
    """Whether four neighbours lie together, or are one, in the memory of every operand."""
    k = job.k
    if k.sizes[-1] % 4:
        return False
    for n, o in enumerate(k.operands):
        if o.strides[-1] == 1 and (any(s % 4 for s in o.strides[:-1]) or job.places[n][1] % 4):
            return False
        if o.strides[-1] not in (0, 1):
            return False
    return True


def _longest(lowering: Lowering, job: Job) -> int | None:
    """The dimension that takes an operand furthest, if one is larger than a binding may be."""
    k, limit = job.k, lowering.caps.max_binding
    for n, o in enumerate(k.operands):
        if (job.view(n).bind()[0].size or 0) > limit:
            return max(range(len(k.sizes)), key=lambda d: abs(o.strides[d]) * (k.sizes[d] - 1))
    return None


def _halves(job: Job, d: int) -> tuple[Job, Job]:
    """The kernel as two over halves of an outer dimension."""
    k, first = job.k, job.k.sizes[d] // 2
    return _part(job, k, d, 0, first), _part(job, k, d, first, k.sizes[d] - first)


def _part(job: Job, k: LoopKernel, d: int, begin: int, size: int) -> Job:
    """A kernel over a part of a dimension."""
    moved = tuple([(slot, at + begin * o.strides[d]) for (slot, at), o in zip(job.places, k.operands, strict=True)])
    body = tuple([replace(i, offset=i.offset + begin * i.strides[d]) if isinstance(i, NUMBERED) else i for i in k.body])
    return Job(replace(k, sizes=(*k.sizes[:d], size, *k.sizes[d + 1 :]), body=body), moved, job.label)


def _fewer_stores(lowering: Lowering, job: Job) -> tuple[Job, Job] | None:
    """The kernel as two that store half of the values each, if it has more operands than can be bound."""
    k = job.k
    needed = {(job.places[n][0], element(o.dtype)) for n, o in enumerate(k.operands)}
    if len(k.operands) <= lowering.caps.max_operands or len(needed) <= lowering.caps.max_operands or len(k.stores) < 2 or _inplace(job):
        return None
    half = len(k.stores) // 2
    return replace(job, k=replace(k, stores=k.stores[:half])), replace(job, k=replace(k, stores=k.stores[half:]))


# ---------------------------------------------------------------- parts
def _parts(form: Form) -> int:
    """In how many parts the reductions should be done, so that there is enough to do side by side."""
    n, invocations = length(form.k), points(form.k) * form.lanes
    if form.column:
        if n < LONG_COLUMN or invocations >= BUSY // 4:
            return 1
        return max(1, min(n // (8 * form.lanes), BUSY // invocations, PARTS))
    if n < (LONG_ROW if len(form.passes) == 1 else LONG_ROW_AGAIN) or invocations >= BUSY // 4:
        return 1
    return max(1, min(n // 1024, BUSY // invocations))


@dataclass(frozen=True)
class _Plan:
    """What a kernel does in its first stage, in parts: its reductions, and the stores that can be done at once; then the other stores."""

    reduces: list[int]
    now: list[tuple[int, int]]
    later: list[tuple[int, int]]
    #: whether the totals are all that the other stores need
    ends: bool

    @classmethod
    def of(cls, job: Job) -> _Plan:
        k = job.k
        stage, row = parts.stages(k), k.rows()
        full = [s for s in k.stores if any(k.operands[s[0]].strides[k.outer :])]
        # a kernel that goes on reading must find what it reads unchanged
        only = max(stage) == 1 and all(stage[v] == 0 for _, v in full)
        now = [s for s in full if stage[s[1]] == 0] if only or not _inplace(job) else []
        later = [s for s in k.stores if s not in now]
        ends = all(row[v] and s not in full for s in later for v in s[1:]) and max(stage) == 1
        return cls(parts.first_reductions(k), now, later, ends)


def _temporary(lowering: Lowering, k: LoopKernel, copies: int) -> tuple[int, int]:
    return lowering.temporary(copies * points(k) * 4), 0


def _in_parts(lowering: Lowering, job: Job, column: bool, count: int) -> None:
    """The first stage's reductions in parts, then what is left of the kernel, with their totals."""
    k, plan = job.k, _Plan.of(job)
    size = -(-length(k) // count)
    count = -(-length(k) // size)
    sums = [_temporary(lowering, k, count) for _ in plan.reduces]
    here = _partial(job, plan, count, sums)
    form = Form(
        here.k,
        column,
        parts=True,
        special=not lowering.caps.software,
        most=lowering.caps.max_invocations,
        inplace=_inplace(here),
        subgroup=lowering.caps.subgroup,
    )
    _dispatch(lowering, here, form, size)
    _combine(lowering, job, plan, count, sums)


def _in_halves(lowering: Lowering, job: Job, d: int) -> None:
    """The same over two halves of an inner dimension, each by a kernel of its own, where that takes an operand too far to be bound."""
    k, plan = job.k, _Plan.of(job)
    sums = [_temporary(lowering, k, 2) for _ in plan.reduces]
    here = _partial(job, plan, 2, sums)
    first = k.sizes[d] // 2
    for number, (begin, size) in enumerate(((0, first), (first, k.sizes[d] - first))):
        part = _part(here, here.k, 0, number, 1)
        _lower(lowering, _part(part, part.k, d + 1, begin, size))
    _combine(lowering, job, plan, 2, sums)


def _partial(job: Job, plan: _Plan, count: int, sums: Sequence[tuple[int, int]]) -> Job:
    """The first stage, with parts as a new first dimension."""
    first, kept = parts.prune(parts.partial_results(job.k, plan.reduces, count, plan.now))
    made = [*job.places, *sums]
    return Job(first, tuple([made[n] for n in kept]), job.label)


def _combine(lowering: Lowering, job: Job, plan: _Plan, count: int, sums: Sequence[tuple[int, int]]) -> None:
    """What follows the first stage."""
    k, places, reduces = job.k, job.places, plan.reduces
    if plan.ends:
        _lower(lowering, Job(parts.totals(k, reduces, count, results=False, stores=plan.later), (*places, *sums), job.label))
        return
    results = [_temporary(lowering, k, 1) for _ in reduces]
    _lower(lowering, Job(parts.totals(k, reduces, count, results=True), (*places, *sums, *results), job.label))
    _lower(lowering, Job(parts.rest(k, reduces, plan.later), (*places, *results), job.label))


# ---------------------------------------------------------------- dispatches
def _dispatch(lowering: Lowering, job: Job, form: Form, part: int = 0) -> None:
    k = job.k
    pairs = [job.view(n).bind() for n in range(len(k.operands))]
    for i in k.body:  # of these, both words
        for n in (i.key, i.block) if isinstance(i, Random) else ():
            assert job.places[n][0] in lowering.wide, "a key of random numbers is an argument"
            pairs[n] = (Binding(job.places[n][0]), 0)
    bindings = [b for b, _ in pairs]
    if len(pairs) > lowering.caps.max_operands and form.vector == 1:
        bindings, pairs = _shared(form, bindings, [at for _, at in pairs])
    renderer = Renderer(form, checks=len(bindings) < lowering.caps.max_operands)
    text = renderer.text()  # numbers the words
    source = Source(("loops", *form.key(), renderer.checked), lambda: text, trusted=True)
    total = math.prod(k.sizes)
    values: dict[tuple[Any, ...], int | float] = {
        ("count",): total // form.vector,
        ("rows",): points(k),
        ("length",): length(k),
        ("part",): part,
    }
    if renderer.checked is not None:
        bindings = [*bindings, lowering.checked()]
        values["check",] = of_formula(*renderer.checked, lowering.where)
    words = [values[name] if name in values else word_of(form, job, [at for _, at in pairs], name) for name in form.words]
    groups = -(-total // (GROUP * form.vector)) if not form.reduces else -(-points(k) // form.rows)
    stored = {job.places[o][0] for o, _ in k.stores}
    nbytes = sum(o.dtype.itemsize * math.prod([n for n, s in zip(k.sizes, o.strides, strict=True) if s]) for o in k.operands)
    alone = len(bindings) < len(k.operands) or any(isinstance(i, Random) for i in k.body) or renderer.checked is not None
    lowering.add(
        Dispatch(
            source,
            tuple(bindings),
            tuple(words),
            groups,
            tuple(sorted(stored)),
            job.label,
            bytes=nbytes,
            work=total,
            form=None if alone else form,
        )
    )


def _shared(form: Form, ranges: list[Binding], offsets: list[int]) -> tuple[list[Binding], list[tuple[Binding, int]]]:
    """One binding for all operands of one type in one slot; gives the bindings, and each operand's range and element offset in its
    binding."""
    members: dict[tuple[int, str, bool], list[int]] = {}
    for n, b in enumerate(ranges):
        members.setdefault((b.slot, element(form.k.operands[n].dtype), b.half), []).append(n)
    bindings: list[Binding] = []
    pairs: list[Any] = [None] * len(ranges)
    for (slot, _, half), operands in members.items():  # in the order of the operands that come first
        begin = min(ranges[n].offset for n in operands)
        end = max(ranges[n].offset + (ranges[n].size or 0) for n in operands)
        for n in operands:
            form.binding[n] = len(bindings)
            pairs[n] = (ranges[n], offsets[n] + (ranges[n].offset - begin) // (2 if half else 4))
        bindings.append(Binding(slot, begin, end - begin, half))
    return bindings, pairs


def word_of(form: Form, job: Job, offsets: list[int], name: tuple[Any, ...]) -> int | float:
    """The value of one of a form's words."""
    k, kind = job.k, name[0]
    if kind == "size":
        return k.sizes[name[1]] // name[2]
    if kind == "offset":
        n = name[1]
        return offsets[n] // form.vector if form.vector > 1 and k.operands[n].strides[-1] == 1 else offsets[n]
    if kind == "stride":
        return _step(k.operands[name[1]], name[2], name[3], form.vector)
    i = k.body[name[1]]
    if kind == "const":
        assert isinstance(i, Const)
        return float(i.value)
    assert isinstance(i, NUMBERED)
    if kind == "index":
        return i.offset
    d, scale = name[2:]
    return i.strides[d] * (form.vector if d == len(k.sizes) - 1 and scale else 1)


def _step(o: Operand, d: int, scale: int, vector: int) -> int:
    return o.strides[d] * (vector if scale > 1 and d == len(o.strides) - 1 else 1) // scale
