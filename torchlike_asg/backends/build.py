"""From a graph to the calls that compute it: grouping, layout, epilogues, order, and who lowers what."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..asg.declare import CONST, INPUT, VAR
from ..asg.geometry import Geometry, contiguous, is_dense
from ..asg.node import Node
from ..asg.rewrite import settle
from ..asg.rewrite import users as readers
from ..compiler.fuse import Fuser
from ..compiler.groups import Group
from ..compiler.kinds import kind_of
from ..compiler.passes import likelihood  # noqa: F401  (registers its expansions)
from ..compiler.passes.decompose import Expansion, decompose
from ..compiler.passes.exchange import EXCHANGED
from ..compiler.passes.fold import constant_nodes, folded
from ..compiler.passes.join import join_pieces
from ..compiler.passes.simplify import simpler
from ..compiler.views import is_view, ordered_strides, permuted_order, viewed
from .library import Library

#: creations that kernels make on the fly
_INLINE = frozenset(("full", "arange"))


#: normalisations whose generators are for statistics of whole channels; over rows they are fused
_NORMS = frozenset(("batch_norm", "norm_grad_input", "norm_grad_weight"))


def native(n: Node, library: Library) -> bool:
    """Whether an operation has a kernel of its own and is not to be taken apart."""
    if n.op.name not in library.generators:
        return False
    return n.op.name not in _NORMS or (0 in n.attrs[-2] and len(n.attrs[-2]) > 1)


def lower(roots: Sequence[Node], stop: Container[Node], library: Library, preferred: Mapping[str, Expansion] | None = None) -> list[Node]:
    """The graph as kernels are made from it, where `library` says what has a kernel of its own; `preferred`: see `decompose`."""
    apart = decompose(join_pieces(roots, stop), stop, lambda n: native(n, library), EXCHANGED | dict(preferred or {}))
    simple = simpler(stop, opaque=True)  # not in the same walk: how an operand lies decides what some composites become
    return settle(apart, lambda n: simple(n) or folded(n), stop)


#: categories and names of operations whose kernels may refuse an index or another value, and those that refuse integers
_REFUSING = frozenset(
    ("index", "embedding", "embedding_grad", "embedding_grad_grad", "unindex", "pick", "class_index", "binary_cross_entropy")
)
_REFUSING_INTEGERS = frozenset(("div", "fmod", "remainder", "floor_divide", "trunc_divide", "pow", "reciprocal"))


def may_refuse(n: Node) -> bool:
    """Whether the kernel of an operation may find that its data are not acceptable."""
    name = n.op.name
    return n.op.category in _REFUSING or name in _REFUSING or (name in _REFUSING_INTEGERS and not n.srcs[0].dtype.is_floating_point)


@dataclass(eq=False)
class Unit:
    """What is lowered at once: a group, or an operation by itself with the group that is its epilogue and the parts computed with it."""

    node: Node | None = None
    group: Group | None = None
    siblings: list[Node] = field(default_factory=list)

    @property
    def writes(self) -> list[Node]:
        out = [] if self.node is None else [self.node, *self.siblings]
        return out + (self.group.outputs if self.group is not None else [])


class Build:
    """What is to be lowered: units in order, the kind of every node, and the geometry of every value."""

    def __init__(
        self,
        roots: Sequence[Node],
        order: Sequence[Node],
        arguments: Sequence[Node],
        strides: Sequence[tuple[int, ...]],
        donated: Sequence[tuple[Node, Node]],
        library: Library,
        *,
        fusible: Callable[[Node], bool] = lambda n: True,
        refusing: Callable[[Node], bool] = lambda n: False,
        complex_views: bool = False,
    ) -> None:
        """`fusible`: whether an elementwise operation can be a part of a loop kernel; `refusing`: whether a kernel may refuse its data;
        `complex_views`: see `kind_of`."""
        self._complex_views = complex_views
        self.roots, self.order, self.arguments = list(roots), list(order), list(arguments)
        self.library, self._fusible, self._refusing = library, fusible, refusing
        self.users = readers(order, arguments)
        self._strides = dict(zip(arguments, strides, strict=True))
        self.argument_strides = list(strides)
        #: new value of a storage -> the argument that is its old one, over which it may be written
        self.donors = {
            new: old for new, old in donated if new.dtype is old.dtype and tuple(new.shape) == tuple(old.shape) and new not in arguments
        }
        self._leaving = set(self.roots)
        constants = constant_nodes(order)
        self._constant = {n for n in constants if n.op is not CONST and n.op.name not in _INLINE and not self._shows_inline(n)}
        self._kinds()
        shown = {self.base[r] for r in self.roots}
        self.donors = {new: old for new, old in self.donors.items() if old not in shown}
        self.fuser = Fuser(self.order, self.roots, lambda n: self.kind[n], self._sibling_key, self._updates())
        self._assign()

    # ---------------------------------------------------------------- what nodes are, and where they lie
    def _shows_inline(self, n: Node) -> bool:
        while is_view(n) and n.op.name not in _INLINE:
            n = n.srcs[0]
        return n.op is CONST or n.op.name in _INLINE

    def _kinds(self) -> None:
        """Kinds of nodes, and geometry of everything as if all values that are not views were stored."""
        self.kind: dict[Node, str] = {}
        self.geometry: dict[Node, Geometry] = {}
        self.base: dict[Node, Node] = {}
        stop = set(self.arguments) | self._constant
        for n in [*self.arguments, *self.order]:
            if n in self.kind:
                continue
            k = kind_of(n, stop, self._alone, self._complex_views)
            if n.op.name == "arange" and all(s.op is CONST for s in n.srcs):
                k = "leaf"
            if k == "view":
                source = n.srcs[0]
                found = viewed(self.geometry[source], n)
                if found is not None:
                    self.kind[n], self.geometry[n], self.base[n] = k, found, self.base[source]
                    continue
                k = "own"
            self.kind[n], self.base[n] = k, n
            self.geometry[n] = (tuple(n.shape), self._layout(n), 0)

    def _alone(self, n: Node) -> bool:
        """Whether an operation is computed by itself."""
        if n.op.name in self.library.generators:
            return n.op.name not in _INLINE
        return n.op.scalar is not None and not self._fusible(n)

    def _layout(self, n: Node) -> tuple[int, ...]:
        """The strides of a stored value."""
        shape = tuple(n.shape)
        if n in self._strides:
            return self._strides[n]
        if n in self.donors:
            return self._strides[self.donors[n]]
        if n in self._leaving and n.op.name != "reshape":
            return tuple(n.strides) if is_dense(shape, n.strides) else contiguous(shape)
        if n in self._constant or n.op in (VAR, INPUT) or n.op.name == "reshape":
            return contiguous(shape)
        preferred = self.library.layouts.get(n.op.name)
        order = preferred(n.attrs, tuple([tuple(s.shape) for s in n.srcs])) if preferred is not None else None
        if order is None and n.op.scalar is not None:
            order = next((o for s in n.srcs if tuple(s.shape) == shape and (o := self._order(s)) is not None), None)
        if order is None:
            order = permuted_order(self.users.get(n, ()), shape)
        return contiguous(shape) if order is None else ordered_strides(shape, order)

    def _order(self, s: Node) -> tuple[int, ...] | None:
        """The order of dimensions of a stored operand that is not row-major but dense."""
        shape, strides, _ = self.geometry[s]
        if s.op in (VAR, INPUT) or s in self._strides or not is_dense(shape, strides) or strides == contiguous(shape):
            return None
        return tuple(sorted(range(len(shape)), key=lambda d: (-strides[d], d)))

    def _updates(self) -> set[Node]:
        """What is computed for new values of storages alone: an optimizer's arithmetic. Apart from the rest it has one form for all
        parameters, which is compiled once and may overwrite the old values.
        """
        found: set[Node] = set()
        for n in reversed(self.order):
            if n in self.donors or (n not in self._leaving and self.users[n] and all(u in found for u in self.users[n])):
                found.add(n)
        return found

    # ---------------------------------------------------------------- units
    def _assign(self) -> None:
        """Distribute the work: epilogues, parts computed together; then an order."""
        fuser = self.fuser
        owner: dict[Node, Unit] = {}
        by_key: dict[Any, Unit] = {}
        for n in self.order:
            if fuser.kind[n] != "own":
                continue
            key = self._sibling_key(n)
            unit = by_key.get(key) if key is not None else None
            if unit is not None:
                unit.siblings.append(n)
            else:
                unit = Unit(n)
                if key is not None:
                    by_key[key] = unit
            owner[n] = unit
        self._of_group: dict[Group, Unit] = {}
        taken: set[Node] = set()
        for g in fuser.groups:
            library = self._library_for(g, taken)
            if library is not None:
                taken.add(library)
                unit = owner[library]
                unit.group = g
            else:
                unit = Unit(group=g)
            self._of_group[g] = unit
            for n in g.nodes:
                if n not in g.clones:
                    owner[n] = unit
        self._owner = owner
        self.units = self._ordered()
        for g in set(fuser.unit.values()):  # groups that know each other would be garbage in circles
            g.needs.clear()
            g.readers.clear()

    def _sibling_key(self, n: Node) -> Any:
        position = self.library.selectors.get(n.op.name)
        if position is None:
            return None
        return (n.op, n.srcs, n.attrs[:position], n.attrs[position + 1 :])

    def _library_for(self, g: Group, taken: set[Node]) -> Node | None:
        """The operation whose result the group of elementwise nodes can be applied to while it is in the cache."""
        if g.inner or not g.outputs:
            return None
        fuser = self.fuser
        best: Node | None = None
        for n in g.nodes:
            for s in n.srcs:
                r, chain = fuser.root(s)
                if (
                    r in taken
                    or fuser.kind.get(r) != "own"
                    or r.op.name not in self.library.epilogues
                    or r.op.name in self.library.selectors
                ):
                    continue
                if r.numel != g.count(g.sizes) or any(v.op.name not in ("reshape", "view") for v in chain) or r.ndim < 2:
                    continue
                if best is None or fuser.number[best] < fuser.number[r]:
                    best = r
        if best is not None and not fuser.absorb(fuser.unit[best], g):
            return None
        return best

    def _ordered(self) -> list[Unit]:
        """Units so that each comes after those it reads; among those ready, the one that frees most memory for what it takes."""
        units = list(dict.fromkeys(self._owner.values()))
        needs: dict[Unit, set[Unit]] = {u: set() for u in units}
        reads: dict[Unit, set[Node]] = {}
        for u in units:
            found: set[Node] = set()
            mine = set(u.group.nodes) if u.group is not None else set()
            for n in ([u.node, *u.siblings] if u.node is not None else []) + (u.group.nodes if u.group is not None else []):
                for s in n.srcs:
                    b = self.base.get(s)
                    if b is not None and b in self._owner and self._owner[b] is not u and b not in mine:
                        found.add(b)
            reads[u] = found
            needs[u] = {self._owner[b] for b in found}
        self._finish_reading(needs)
        waiting: dict[Unit, int] = {u: len(needs[u]) for u in units}
        followers: dict[Unit, list[Unit]] = {u: [] for u in units}
        for u, n in needs.items():
            for v in n:
                followers[v].append(u)
        left = {}
        for u in units:
            for b in reads[u]:
                left[b] = left.get(b, 0) + 1
        kept = {self.base[r] for r in self.roots if r in self.base}
        size = {b: b.numel * b.dtype.compute.itemsize for b in self._owner}
        number = self.fuser.number
        rank = {u: min(number[n] for n in u.writes) if u.writes else 0 for u in units}
        reading: dict[Node, list[Unit]] = {}
        for u in units:
            for b in reads[u]:
                reading.setdefault(b, []).append(u)
        ready: list[tuple[int, int, int]] = []  # a heap: memory that it takes, rank, place among those that became ready
        entered: dict[Unit, int] = {}
        arrived: list[Unit] = []
        done: set[Unit] = set()
        out: list[Unit] = []

        def offer(u: Unit) -> None:
            gain = sum([size[w] for w in u.writes if w not in kept]) - sum([size[b] for b in reads[u] if left[b] == 1 and b not in kept])
            if u not in entered:
                entered[u] = len(arrived)
                arrived.append(u)
            heapq.heappush(ready, (gain, rank[u], entered[u]))

        for u in units:
            if not waiting[u]:
                offer(u)
        while ready:
            u = arrived[heapq.heappop(ready)[2]]
            if u in done:  # it was offered again, for less
                continue
            done.add(u)
            out.append(u)
            for b in reads[u]:
                left[b] -= 1
                if left[b] == 1:  # the last reader frees it now
                    last = next(v for v in reading[b] if v not in done)
                    if last in entered:
                        offer(last)
            for v in followers[u]:
                waiting[v] -= 1
                if not waiting[v]:
                    offer(v)
        assert len(out) == len(units), "the units of a plan depend on each other in a circle"
        return out

    def _finish_reading(self, needs: dict[Unit, set[Unit]]) -> None:
        """Before a storage's new value is written over the old one, all others must have read that, and all that may refuse their data must
        have accepted them: then a refusal finds everything as it was. Where they wait for the new value themselves, it cannot go there.
        """
        below: dict[Unit, set[Unit]] = {}  # units that depend on a unit, for the few that other than updates depend on

        def dependent(u: Unit) -> set[Unit]:
            found = below.get(u)
            if found is None:
                found, stack = set(), [u]
                while stack:
                    v = stack.pop()
                    for w in followers.get(v, ()):
                        if w not in found:
                            found.add(w)
                            stack.append(w)
                below[u] = found
            return found

        followers: dict[Unit, list[Unit]] = {}
        for u, wanted in needs.items():
            for v in wanted:
                followers.setdefault(v, []).append(u)
        reading: dict[Node, set[Unit]] = {}
        refusing = set()
        for u in needs:
            for n in ([u.node, *u.siblings] if u.node is not None else []) + (u.group.nodes if u.group is not None else []):
                if self._refusing(n):
                    refusing.add(u)
                for s in n.srcs:
                    b = self.base.get(s)
                    if b is not None and self.kind[b] == "leaf":
                        reading.setdefault(b, set()).add(u)
        for new, old in list(self.donors.items()):
            u = self._owner.get(new)
            if u is None:
                del self.donors[new]
                continue
            others = (reading.get(old, set()) | refusing) - {u}
            if others & dependent(u):
                del self.donors[new]
                continue
            for v in others:
                needs[u].add(v)
                followers.setdefault(v, []).append(u)
            below.clear()
