"""Lowering the units of a build: buffers become slots, groups and operations become calls."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ..asg.declare import CONST
from ..asg.geometry import Geometry, contiguous, is_dense
from ..asg.node import Node
from ..compiler.groups import Group
from ..compiler.kernel import LoopKernel
from ..compiler.lower import GroupKernel
from ..compiler.views import unviewed, viewed
from .build import Build, Unit
from .epilogues import follows_result, is_matrix
from .library import LibraryNode, View


@dataclass
class Fallback:
    """An operation that the reference computes between calls: NumPy reads the operands' views and writes the result's."""

    node: Node
    operands: tuple[View, ...]
    result: View | None
    #: for operations with several results, which stay Python objects: the nodes whose objects are operands
    objects: tuple[Node | None, ...] = ()


@dataclass
class Origin:
    """What a step computes: nodes, and the loop kernel it was made from if there is one (also one that runs as an epilogue)."""

    nodes: tuple[Node, ...]
    kernel: LoopKernel | None = None


class Made(NamedTuple):
    """What a program is made of, for those who look at it: its steps, what each computes, and the values that it leaves in memory."""

    steps: list[Any]
    origins: list[Origin]
    written: set[Node]


class Assembly(ABC):
    """The program of a build. What a step is, and how loop kernels, copies and epilogues become steps, is the backend's.

    ``steps``       the backend's calls and `Fallback`, in order;  ``origins`` what each of them computes
    ``sizes``       slot -> bytes, for the plan's own memory;  ``arguments``, ``outputs`` and ``constants`` say what the other slots are
    ``outputs``     slot -> bytes of buffers that leave the plan
    ``constants``   slot -> node whose value is computed once, when the plan is linked
    ``overwritten`` slots of arguments that the program writes a storage's new value over
    ``results``     for each root: a `View`, or the literal or constant node it is
    ``uncovered``   operations without a kernel
    """

    #: the backend's kinds of views and of library nodes
    view_type: type[View] = View
    node_type: type[LibraryNode] = LibraryNode

    def __init__(self, b: Build, lowering: Any) -> None:
        """`lowering`: the backend's, to which generators add calls; its first slots are the arguments'."""
        self.b, self.lowering = b, lowering
        self.sizes: dict[int, int] = {}
        self.outputs: dict[int, int] = {}
        self.constants: dict[int, Node] = {}
        self.overwritten: set[int] = set()
        self.uncovered: list[Node] = []
        self.objects: set[Node] = set()
        self._itemsizes: dict[Any, int] = {}
        self._slot: dict[Node, int] = {}
        self._place: dict[Node, Geometry] = {}
        self.steps: list[Any] = []
        self.origins: list[Origin] = []
        for i, n in enumerate(b.arguments):
            self._slot[n] = i
        self._leaving = {b.base[r] for r in b.roots if r in b.base}
        #: what more than one group computes: it reads its operands in each of them
        self._again = {n for g in b.fuser.groups for n in g.clones}
        self._join()
        for unit in b.units:
            self._lower(unit)
        self.results = [self._result(r) for r in b.roots]
        self.sizes |= self.lowering.temporaries
        for slot in list(self.outputs):
            self.sizes.pop(slot, None)

    @property
    def made(self) -> Made:
        """What a viewer shows of it."""
        return Made(self.steps, self.origins, {n for unit in self.b.units for n in unit.writes})

    # ---------------------------------------------------------------- what backends do
    @abstractmethod
    def loop(self, k: LoopKernel, views: Sequence[Any], label: str) -> None:
        """Lower a loop kernel."""

    @abstractmethod
    def move(self, pairs: Sequence[tuple[Any, Any]], label: str) -> None:
        """Lower copies of (source, target), which have elements and do not overlap."""

    @abstractmethod
    def epilogue(self, k: LoopKernel, views: Sequence[Any], at: int, columns: int) -> dict[str, Any] | None:
        """A kernel that follows an operation, whose result is its operand `at`, as what a library node is given; None if it cannot be."""

    def generate(self, lower: Callable[[Any, Any], bool], node: Any) -> bool:
        """Lower an operation by its generator; whether that was possible."""
        return lower(self.lowering, node)

    @abstractmethod
    def taken(self, nodes: Sequence[Node]) -> None:
        """Called when the lowering's calls compute these nodes, before they are taken over."""

    def itemsize(self, n: Node) -> int:
        """Bytes of an element in the backend's memory."""
        found = self._itemsizes.get(n.dtype)
        if found is None:
            found = self._itemsizes[n.dtype] = self.view_type(0, (), (), 0, n.dtype).itemsize
        return found

    # ---------------------------------------------------------------- slots and places
    def _new_slot(self, nbytes: int) -> int:
        slot: int = self.lowering.slot()
        self.sizes[slot] = nbytes
        return slot

    def _buffer(self, n: Node) -> int:
        """The slot of a value that is stored (`n` is the value itself, not a view of it)."""
        slot = self._slot.get(n)
        if slot is None:
            nbytes = n.numel * self.itemsize(n)
            if n in self.b._constant or self.b.kind.get(n) in ("literal", "leaf"):
                slot = int(self.lowering.slot())
                self.constants[slot] = n
            else:
                slot = self._new_slot(nbytes)
                if n in self._leaving:
                    self.outputs[slot] = max(nbytes, 1)
            self._slot[n] = slot
        return slot

    def view(self, s: Node) -> View:
        """Where a value lies that a call reads or writes."""
        base = self.b.base[s]
        if self.b.kind[base] == "literal":  # a number shown everywhere: kernels of their own want it in memory
            slot = self._slot.get(s)
            if slot is None:
                slot = self._slot[s] = self.lowering.slot()
                self.constants[slot] = s
            return self.view_type(slot, tuple(s.shape), contiguous(s.shape), 0, s.dtype)
        shape, strides, offset = self._geometry(s)
        return self.view_type(self._buffer(base), shape, strides, offset, s.dtype)

    def _geometry(self, s: Node) -> Geometry:
        base = self.b.base[s]
        if base not in self._place:
            return self.b.geometry[s]
        chain = []
        while s is not base:
            chain.append(s)
            s = s.srcs[0]
        g: Geometry | None = self._place[base]
        for v in reversed(chain):
            assert g is not None
            g = viewed(g, v)
        assert g is not None
        return g

    def _join(self) -> None:
        """Have the operands of a concatenation stored where they belong in it, if nobody else decides where they lie."""
        for n in self.b.order:
            if n.op.name != "cat" or self.b.kind[n] != "own":
                continue
            _, strides, offset = self.b.geometry[n]
            d, at = n.attrs[0], 0
            for s in n.srcs:
                if s.ndim != n.ndim:
                    continue
                region: Geometry | None = (tuple(s.shape), strides, offset + at * strides[d])
                at += s.shape[d]
                chain = []
                v = s
                while self.b.kind[v] == "view":
                    chain.append(v)
                    v = v.srcs[0]
                for w in chain:
                    region = unviewed(region, w) if region is not None else None
                if (
                    region is None
                    or not self._movable(v)
                    or n.srcs.count(s) > 1
                    or (v.op.name == "reshape" and unviewed(region, v) is None)
                ):
                    continue
                if all(self._shows(u, region) for u in self.b.users[v]):
                    self._place[v] = region
                    self._slot[v] = self._buffer(n)

    def _movable(self, v: Node) -> bool:
        b = self.b
        return (
            b.kind.get(v) in ("own", "point", "reduce")
            and v.op.name != "cat"
            and not v.op.multi
            and v not in self._leaving
            and v not in self._place
            and v not in self._slot
            and v not in b._constant
            and (b.kind[v] != "own" or v.op.name in self.b.library.generators or v.op.name == "reshape")
        )

    def _shows(self, u: Node, g: Geometry) -> bool:
        """Whether reader `u` of a value can read it at another place `g`: all do, but for views that are not possible there."""
        if self.b.kind.get(u) != "view":
            return True
        if u.op.name not in ("permute", "reshape", "view", "squeeze", "unsqueeze"):
            return False
        shown = viewed(g, u)
        return shown is not None and all(self._shows(w, shown) for w in self.b.users[u])

    # ---------------------------------------------------------------- units
    def _lower(self, unit: Unit) -> None:
        n, g = unit.node, unit.group
        if n is None:
            assert g is not None
            self._group(g)
        elif n.op.name == "cat":
            self._cat(n)
        elif self.b.kind[n] == "own" and n.op.name == "reshape":
            self._copy(n)
        else:
            self._own(n, g, unit.siblings)

    def _take_calls(self, nodes: Sequence[Node], kernel: LoopKernel | None = None) -> None:
        """The calls just lowered compute these nodes."""
        self.taken(nodes)
        origin = Origin(tuple(nodes), kernel)
        self.steps += self.lowering.calls
        self.origins += [origin] * len(self.lowering.calls)
        self.lowering.calls.clear()

    def _place_of(self, s: Node) -> tuple[Node, Geometry]:
        base = self.b.base[s]
        return base, self._geometry(s)

    def _kernel(self, g: Group, follows: Node | None = None) -> tuple[GroupKernel, list[View]]:
        """The kernel of a group, which is perhaps the epilogue of an operation."""
        k = GroupKernel(g, self.b.fuser, self._place_of, self._geometry)
        self._overwrite(k, {self.b.base[s] for s in follows.srcs} if follows is not None else set())
        views = []
        for i, o in enumerate(k.kernel.operands):
            n, offset = k.loads[i] if i in k.loads else k.stores[i]
            views.append(self.view_type(self._buffer(n), k.kernel.sizes, o.strides, offset, o.dtype))
        return k, views

    def _overwrite(self, k: GroupKernel, elsewhere: set[Node]) -> None:
        """Have a storage's new value written over the old one, if the kernel reads each old element just before it writes that one, and
        what runs at the same time reads it not (the values `elsewhere`).
        """
        if k.kernel.outer != len(k.kernel.sizes):
            return
        for operand, (n, offset) in k.stores.items():
            old = self.b.donors.get(n)
            if old is None or old in elsewhere or n in self._slot or n in self._place:
                continue
            strides = k.kernel.operands[operand].strides
            others = [i for i, (m, _) in k.loads.items() if m is old]
            if all(k.kernel.operands[i].strides == strides and k.loads[i][1] == offset for i in others):
                self._slot[n] = self._slot[old]
                self.overwritten.add(self._slot[n])

    def _group(self, g: Group) -> None:
        if not g.outputs:
            return
        k, views = self._kernel(g)
        self.loop(k.kernel, views, _label(g.nodes))
        self._take_calls(g.nodes, k.kernel)

    def _cat(self, n: Node) -> None:
        """Operands that were not stored in place are copied there."""
        out = self.view(n)
        d, at = n.attrs[0], 0
        pairs = []
        for s in n.srcs:
            if s.ndim != n.ndim:
                continue
            if self.b.base[s] not in self._place or self._slot[self.b.base[s]] != out.slot:
                pairs.append(
                    (self.view(s), self.view_type(out.slot, tuple(s.shape), out.strides, out.offset + at * out.strides[d], n.dtype))
                )
            at += s.shape[d]
        self._move(pairs, "cat")
        self._take_calls((n,))

    def _copy(self, n: Node) -> None:
        """A reshape that no view can show: the operand in row-major order."""
        source, slot = self.view(n.srcs[0]), self._buffer(n)
        target = unviewed(self._geometry(n), n)
        assert target is not None, "a copy is row-major, or lies where a view of it can be taken"
        self._move([(source, self.view_type(slot, *target, n.dtype))], "reshape")
        self._take_calls((n,))

    def _move(self, pairs: Sequence[tuple[View, View]], label: str) -> None:
        pairs = [p for p in pairs if 0 not in p[1].shape]
        if pairs:
            self.move(pairs, label)

    def _generator(self, n: Node) -> Callable[[Any, Any], bool] | None:
        """What lowers an operation that is computed by itself."""
        return self.b.library.generators.get(n.op.name)

    def _own(self, n: Node, g: Group | None, siblings: Sequence[Node]) -> None:
        lower = self._generator(n)
        if lower is not None and not n.op.multi and not any(s in self.objects for s in n.srcs):
            views = tuple([self.view(s) for s in n.srcs])
            for late in (None,) if g is None else (g, None):  # first with the epilogue
                made = self._library_node(n, views, siblings, late)
                if made is not None and self.generate(lower, made[0]):
                    self._take_calls((n, *siblings, *(late.nodes if late is not None else ())), made[1])
                    if late is None and g is not None:
                        self._group(g)
                    return
                self.lowering.calls.clear()
        self.uncovered.append(n)
        for m in (n, *siblings):
            self._fall_back(m)
        if g is not None:
            self._group(g)

    def _library_node(
        self, n: Node, views: tuple[View, ...], siblings: Sequence[Node], g: Group | None
    ) -> tuple[LibraryNode, LoopKernel | None] | None:
        extra: dict[str, Any] = {}
        if siblings:
            position = self.b.library.selectors[n.op.name]
            extra["siblings"] = tuple([(m.attrs[position], self.view(m)) for m in siblings])
        if g is None:
            return self.node_type(n.op.name, n.attrs, views, self.view(n), **extra), None
        raw = self._shared_result(n, g)
        k, operands = self._kernel(g, n)
        at = next(i for i, (m, _) in k.loads.items() if m is n)
        columns = self.b.library.columns.get(n.op.name, -1) % n.ndim
        fits = is_matrix(self.view(n), columns) and follows_result(k.kernel, operands, at, self.view(n))
        made = self.epilogue(k.kernel, operands, at, n.shape[columns]) if fits else None
        if made is None:
            self._slot.pop(n, None) if raw else None
            return None
        return self.node_type(n.op.name, n.attrs, views, self.view(n), **made, **extra), k.kernel

    def _shared_result(self, n: Node, g: Group) -> bool:
        """Have an operation write its result where its epilogue will write its own, if nobody else reads it."""
        if n in self._slot or n in self._leaving or n in self._place:
            return False
        here = set(g.nodes) - self._again
        if any(not self.b.fuser._inside(u, here) for u in self.b.users[n]):
            return False
        for m in g.outputs:
            if m.dtype.compute != n.dtype.compute or m.numel != n.numel or self._geometry(m)[2] != 0:
                continue
            mine, theirs = self.b.geometry[n][1], self._geometry(m)[1]
            rows = mine == contiguous(n.shape) and theirs == contiguous(m.shape)
            if rows or (mine == theirs and n.shape == m.shape and is_dense(n.shape, mine)):
                self._slot[n] = self._buffer(m)
                return True
        return False

    def _fall_back(self, n: Node) -> None:
        objects = tuple([s if s in self.objects else None for s in n.srcs])
        operands = tuple([self.view(s) for s in n.srcs if s not in self.objects])
        self.origins.append(Origin((n,)))
        if n.op.multi:
            self.objects.add(n)
            self.steps.append(Fallback(n, operands, None, objects))
        else:
            self.steps.append(Fallback(n, operands, self.view(n), objects))

    def _result(self, r: Node) -> View | Node:
        base = self.b.base[r]
        if r in self.objects:
            return r
        if self.b.kind[base] == "literal" or base in self.b._constant or base.op is CONST:
            return r
        return self.view(r)


def _label(nodes: Sequence[Node]) -> str:
    """A short name for what a group computes: its operations, without repetitions."""
    names = list(dict.fromkeys(n.op.name for n in nodes))
    return "+".join(names[:6]) + ("+..." if len(names) > 6 else "")


def array_of(memory: np.ndarray[Any, Any], v: View) -> np.ndarray[Any, Any]:
    """A view over the bytes of its slot, as an array."""
    d = v.dtype.compute
    if 0 in v.shape:
        return np.empty(v.shape, d)
    # (`as_strided` takes several times as long)
    return np.ndarray(v.shape, d, memory, v.offset * d.itemsize, [s * d.itemsize for s in v.strides])
