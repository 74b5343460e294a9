"""A linked plan: memory assigned, code compiled, results handed out."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ...asg import reference
from ...asg.geometry import contiguous, gather, overlaps_itself
from ...asg.node import Node
from ..assemble import Fallback, array_of
from ..base import Misfit
from . import blocks, timing
from .assemble import CpuAssembly
from .binder import FITS, Argument, Binder
from .calls import Call, View
from .describe import describe
from .program import PointerTable, Program
from .workspace import workspace

Array = np.ndarray[Any, Any]


class CpuExecutable:
    """The program of a graph, bound to its memory.

    Results are arrays of their own, which the executable uses again for the next run if nobody holds them any more. The new value of a
    storage is written over the old one, or over a copy of it where somebody else may look at the old one. Everything else lies in the
    workspace that all plans share, so one runs at a time (the compiler sees to that).
    """

    donates = True

    def __init__(self, a: CpuAssembly, slow: Callable[[], Any]) -> None:
        """`slow()`: the same graph on the reference backend, for data that a kernel refuses."""
        self.assembly, self.made = a, a.made
        self._slow, self._results, self._refused = slow, a.results, None
        self.uncovered, self.size = a.uncovered, len(a.steps)
        self._memory: dict[int, Array] = {}
        self._placed = 0  # where the temporaries of the programs lie: in the workspace, once there was a run
        self._inputs: list[Any] = []
        self._objects: dict[Node, Any] = {}
        self._arguments = [
            Argument(i, tuple(n.shape), tuple([s * n.dtype.compute.itemsize for s in strides]), n.dtype.compute)
            for i, (n, strides) in enumerate(zip(a.b.arguments, a.b.argument_strides, strict=True))
        ]
        self._overwritten = sorted(a.overwritten)
        self._constants(a)
        self._segments(a)
        # a storage and the list of arguments: all that refers to an array that nobody else looks at
        self._binder = Binder(self._arguments, self.table, dict.fromkeys(self._overwritten, 2))
        self._link_results(a.outputs)

    # ---------------------------------------------------------------- memory
    def _constants(self, a: CpuAssembly) -> None:
        for slot, n in a.constants.items():
            value = np.asarray(reference.evaluate([n], _no_leaf)[0], order="C")
            self._memory[slot] = value if value.size else np.zeros(1, value.dtype)

    # ---------------------------------------------------------------- code
    def _segments(self, a: CpuAssembly) -> None:
        """Native programs, with the reference's operations between them; memory for what lies inside the plan."""
        parts: list[list[Call] | Fallback] = []
        for step in a.steps:
            if isinstance(step, Fallback):
                parts.append(step)
            elif parts and isinstance(parts[-1], list):
                parts[-1].append(step)
            else:
                parts.append([step])
        where: dict[int, set[int]] = {}
        for i, part in enumerate(parts):
            for slot in _touched(part):
                where.setdefault(slot, set()).add(i)
        self.table = PointerTable(1 + max([*where, *a.constants, *a.outputs, len(self._arguments)], default=0))
        own: list[dict[int, int]] = [{} for _ in parts]
        for slot, nbytes in a.sizes.items():
            users = where.get(slot, ())
            if len(users) == 1 and not isinstance(parts[i := next(iter(users))], Fallback):
                own[i][slot] = max(nbytes, 1)
            elif users:  # passes from one part to another
                self._memory[slot] = blocks.aligned(max(nbytes, 1))
        self._parts: list[Program | Fallback] = []
        self.page_bytes = 0
        for part, temporaries in zip(parts, own, strict=True):
            if isinstance(part, Fallback):
                self._parts.append(part)
                continue
            program = Program(part, self.table, temporaries)
            self.page_bytes = max(self.page_bytes, program.page_bytes)
            self._parts.append(program)
        for slot, memory in self._memory.items():
            self.table.words[slot] = memory.ctypes.data

    def _place(self) -> None:
        """Put the temporaries of all parts into the workspace; they are dead when their part ends."""
        workspace.enter(self)
        self._placed = workspace.address
        for program in self.programs:
            program.place(self._placed)

    def _link_results(self, outputs: dict[int, int]) -> None:
        """How each root's value is made: the whole of an output, an overwritten argument, or something else."""
        self._plain: list[tuple[int, int]] = []  # (place, number in the pool)
        self._in_place: list[tuple[int, int]] = []  # (place, argument)
        self._made: list[tuple[int, Any, bool]] = []  # (place, view or node, whether it must be copied)
        self._pool_slots = list(outputs)
        shapes: dict[int, View] = {}
        seen: set[View] = set()
        for place, r in enumerate(self._results):
            if not isinstance(r, View):
                self._made.append((place, r, False))
                continue
            if r.slot in self._overwritten and r not in seen:
                self._in_place.append((place, r.slot))
            elif r.slot in outputs and r.contiguous and r.offset == 0 and _bytes(r) == outputs[r.slot] and r.slot not in shapes:
                shapes[r.slot] = r
                self._plain.append((place, self._pool_slots.index(r.slot)))
            else:  # no two results are one array, and none is an argument's
                self._made.append((place, r, r.slot not in outputs or r in seen))
            seen.add(r)
        made = [
            Argument(slot, shapes[slot].shape, row_bytes(shapes[slot].shape, d.itemsize), d)
            if slot in shapes and (d := shapes[slot].dtype.compute)
            else Argument(slot, (nbytes,), (1,), np.dtype(np.uint8))
            for slot, nbytes in outputs.items()
        ]
        self._forms = [(a.shape, a.dtype) for a in made]
        self._pool: list[Array] = [np.empty(*f) for f in self._forms]
        self._outputs = Binder(made, self.table, dict.fromkeys(range(len(made)), 1))

    # ---------------------------------------------------------------- running
    def run(self, inputs: list[Any], donated: Sequence[tuple[int, int]] = ()) -> None:
        """Compute. `donated`: (place of a result, number of the argument whose memory it may take)."""
        if self._placed != workspace.address:
            self._place()
        at = self._binder.bind(inputs)
        if at != FITS:
            self._fit(inputs, at)
        if self._overwritten and (not donated or self._binder.refused):
            self._copy_shared(inputs, {i for _, i in donated})
        if self._pool and (self._outputs.bind(self._pool) != FITS or self._outputs.refused):
            self._renew()
        self._inputs, self._refused = inputs, None
        for part in self._parts:
            if part.__class__ is Fallback:
                self._fall_back(part)
            elif not part.run():  # type: ignore[union-attr]
                self._refused = self._rerun(inputs)
                return

    def _fit(self, inputs: list[Any], at: int) -> None:
        """Replace the arguments that lie otherwise than expected; `Misfit` if one cannot be."""
        while at != FITS:
            a = self._arguments[at]
            inputs[at] = _laid_out(np.asarray(inputs[at]), a.shape, a.strides, a.dtype)
            last, at = at, self._binder.bind(inputs)
            assert at == FITS or at > last, f"argument {last} does not fit as {a}"

    def _copy_shared(self, inputs: list[Any], given: set[int]) -> None:
        """Copy the arguments that will be overwritten and that others may look at. (Copies keep the order of dimensions.)"""
        for i in self._overwritten:
            if i not in given or not _ours(inputs[i]):
                inputs[i] = inputs[i].copy(order="K")
        at = self._binder.bind(inputs)
        if at != FITS:
            self._fit(inputs, at)

    def _renew(self) -> None:
        """Make new arrays for results that somebody still holds."""
        pool = self._pool
        for k in range(len(pool)):
            array = pool[k]
            if sys.getrefcount(array) > 3:
                pool[k] = np.empty(*self._forms[k])
            del array
        self._outputs.bind(pool)

    def _array(self, v: View) -> Array:
        memory = self._memory.get(v.slot)
        if memory is None:
            if v.slot < len(self._inputs):
                return _restrided(self._inputs[v.slot], v)
            memory = self._pool[self._pool_slots.index(v.slot)]
        return array_of(memory.reshape(-1), v)

    def _fall_back(self, part: Fallback) -> None:
        objects = self._objects
        views = iter(part.operands)
        operands = [self._array(next(views)) if s is None else objects[s] for s in part.objects]
        watcher, start = timing.watcher, time.perf_counter_ns()
        value = reference.apply(part.node, operands)
        if part.result is None:
            objects[part.node] = value
        else:
            self._array(part.result)[...] = value
        if watcher is not None:
            watcher.other(f"numpy {part.node.op.name}", start, time.perf_counter_ns())

    def _rerun(self, inputs: Sequence[Any]) -> list[Any]:
        """What the reference makes of data that a kernel refused: mostly the right error."""
        slow = self._slow()
        slow.run(list(inputs))
        return slow.outputs()  # type: ignore[no-any-return]

    def outputs(self) -> list[Any]:
        """The results of the last run."""
        if self._refused is not None:
            return self._refused
        pool, inputs = self._pool, self._inputs
        out: list[Any] = [None] * len(self._results)
        for place, k in self._plain:
            out[place] = pool[k]
        for place, i in self._in_place:
            out[place] = inputs[i]
        for place, r, copied in self._made:
            if isinstance(r, View):
                array = self._array(r)
                out[place] = array.copy() if copied else array
            elif r in self._objects:
                out[place] = self._objects[r]
            else:
                out[place] = np.array(reference.evaluate([r], _no_leaf)[0])
        self._inputs = []
        self._objects.clear()
        return out

    def forget(self) -> None:
        """Drop what only `describe` asks for: many of the objects that a plan leaves behind, each of which Python's collector of garbage
        would look at again and again."""
        del self.assembly

    @property
    def programs(self) -> list[Program]:
        """The native parts."""
        return [part for part in self._parts if isinstance(part, Program)]

    def describe(self, llvm: bool = False) -> str:
        """See `describe.describe`. Not after `forget`."""
        return describe(self.assembly, self.page_bytes, llvm)


def _ours(a: Array) -> bool:
    """Whether only its storage and the list of arguments refer to an array: those two, `a`, and the argument of the question."""
    return a.flags.writeable and sys.getrefcount(a) <= 4 and (a.base is None or sys.getrefcount(a.base) <= 2)


def _bytes(r: View) -> int:
    return max(math.prod(r.shape) * r.itemsize, 1)


def row_bytes(shape: tuple[int, ...], itemsize: int) -> tuple[int, ...]:
    """Strides of a row-major array."""
    return tuple([s * itemsize for s in contiguous(shape)])


def _no_leaf(n: Node) -> Any:
    raise AssertionError(f"{n} is not constant")


def _laid_out(a: Array, shape: tuple[int, ...], strides: tuple[int, ...], d: Any) -> Array:
    """The same values with the expected type and strides; raises `Misfit` where elements would share memory."""
    if 0 in shape:
        return np.empty(shape, d)
    steps = tuple([s // d.itemsize for s in strides])
    if overlaps_itself(shape, steps):
        raise Misfit(f"other values than before lie in memory each in a place of its own: {shape} with strides {steps}")
    room = np.empty(
        1 + sum([(n - 1) * s for n, s in zip(shape, steps, strict=True)]), d
    )  # of this very dtype object: others are not recognised
    laid = gather(room, (shape, steps, 0))
    np.copyto(laid, np.broadcast_to(a, shape), casting="unsafe")
    return laid


def _restrided(a: Array, v: View) -> Array:
    """A view over the memory that begins where array `a` does."""
    if 0 in v.shape:
        return np.empty(v.shape, v.dtype.compute)
    skip = v.offset * v.itemsize
    last = skip + sum([(n - 1) * s for n, s in zip(v.shape, v.strides, strict=True)]) * v.itemsize + v.itemsize
    if last <= a.nbytes and a.flags.c_contiguous:  # nearly always; the other way takes several times as long
        return np.ndarray(v.shape, a.dtype, a, skip, [s * v.itemsize for s in v.strides])
    flat = np.lib.stride_tricks.as_strided(a, (last // v.itemsize,), (v.itemsize,))
    return np.lib.stride_tricks.as_strided(flat[v.offset :], v.shape, [s * v.itemsize for s in v.strides])


def _touched(part: Sequence[Call] | Fallback) -> set[int]:
    """The slots that a part of the plan uses."""
    if isinstance(part, Fallback):
        found = {v.slot for v in part.operands}
        return found if part.result is None else found | {part.result.slot}
    return {slot for call in part for slot in (*call.reads, *call.writes)}
