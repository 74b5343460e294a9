"""Grouping: which nodes are computed together in one loop nest.

A group is an index space, made of *atoms* (loop axes), and nodes with the atoms of each of their dimensions. A node is *full* if it has all
atoms, and a *row* if it has those that the group does not reduce over. Reshapes between members split atoms, permutations reorder them, so
neither costs anything inside a group. Groups grow forwards: an elementwise node joins its producers' groups, a reduction the group of its
operand, whenever the atoms agree and no path leads out of the group and back in.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Container, Sequence
from typing import Any

from ..asg.node import Node
from ..asg.rewrite import users as readers
from .clones import Cloner
from .groups import Dependence, Group, match
from .kinds import order_of
from .views import reduced_dims

#: rows longer than this are not read a second time for what follows their reduction: they would have left the cache
MAX_ROW = 1 << 16
#: the same for reductions whose elements do not lie one after another
MAX_COLUMN = 1 << 10
MAX_NODES = 200
MAX_OPERANDS = 28

Axes = tuple[tuple[int, ...] | None, ...]


class Fuser(Dependence):
    """Groups the elementwise and reducing nodes of a topological order.

    ``kind(node)`` says what a node is: "leaf" (data), "literal", "view", "point", "reduce", or anything else for nodes computed by
    themselves; those with an equal ``together(node)`` that is not None are computed at once. Nodes in `apart` are grouped only among
    themselves.
    """

    def __init__(
        self,
        order: Sequence[Node],
        roots: Sequence[Node],
        kind: Callable[[Node], str],
        together: Callable[[Node], Any] | None = None,
        apart: Container[Node] = (),
    ) -> None:
        self.kind = {n: kind(n) for n in order}
        self.order, self.roots, self._apart = order, set(roots), apart
        self.users = readers(order)
        self.number = {n: i for i, n in enumerate(order)}
        self.group: dict[Node, Group] = {}
        self._roots: dict[Node, tuple[Node, list[Node]]] = {}
        self._fresh = itertools.count()
        self.unit = {}
        parts: dict[Any, Group] = {}
        for n in order:
            k = self.kind[n]
            if k == "point":
                self._point(n)
            elif k == "reduce":
                self._reduce(n)
            elif k not in ("view", "leaf", "literal"):
                key = together(n) if together is not None else None
                g = parts.setdefault(key, Group()) if key is not None else Group()
                self._enter(g, n)
        self.groups = list(dict.fromkeys(self.group[n] for n in order if n in self.group))
        self._outputs()
        Cloner(self).run()

    # ---------------------------------------------------------------- axes through views
    def root(self, s: Node) -> tuple[Node, list[Node]]:
        """The node whose value `s` shows, and the views from there up to `s`."""
        found = self._roots.get(s)
        if found is None:
            chain, value = [], s
            while self.kind.get(value) == "view":
                chain.append(value)
                value = value.srcs[0]
            found = self._roots[s] = value, chain[::-1]
        return found

    def through(self, g: Group, axes: Axes, chain: Sequence[Node]) -> Axes | None:
        """The atoms of each dimension after a chain of views (None in one that was expanded); None at all where a view is too much."""
        for v in chain:
            name = v.op.name
            if name == "permute":
                axes = tuple([axes[i] for i in v.attrs])
            elif name == "unsqueeze":
                axes = (*axes[: v.attrs[0]], (), *axes[v.attrs[0] :])
            elif name == "squeeze":
                axes = (*axes[: v.attrs[0]], *axes[v.attrs[0] + 1 :])
            elif name in ("reshape", "view"):
                found = self._regroup(g, axes, tuple(v.shape), tuple(v.srcs[0].shape))
                if found is None:
                    return None
                axes = found
            elif name == "expand":
                shape, lead = tuple(v.shape), len(v.shape) - len(axes)
                old = tuple(v.srcs[0].shape)
                axes = (*[None if n != 1 else () for n in shape[:lead]],
                        *[a if o == n else None for a, o, n in zip(axes, old, shape[lead:], strict=True)])  # fmt: skip
            else:
                return None
        return axes

    def _regroup(self, g: Group, axes: Axes, shape: tuple[int, ...], old: tuple[int, ...]) -> Axes | None:
        """Distribute atoms, in their order, over the dimensions of another shape."""
        if None in axes:
            kept = [a for a, n in zip(axes, old, strict=True) if n != 1]
            if [n for n in old if n != 1] != [n for n in shape if n != 1]:
                return None
            it = iter(kept)
            return tuple([() if n == 1 else next(it) for n in shape])
        atoms = [a for dim in axes for a in dim]  # type: ignore[union-attr]
        out: list[tuple[int, ...]] = []
        at = 0
        for n in shape:
            mine: list[int] = []
            while n > 1:
                if at >= len(atoms):
                    return None
                size = g.sizes[atoms[at]]
                if size > n:
                    if size % n:
                        return None
                    atoms[at : at + 1] = g.split(atoms[at], n, self._fresh)
                    out = [tuple(a for a in dim) for dim in out]
                    size = n
                elif not size or n % size:
                    return None
                mine.append(atoms[at])
                at += 1
                n //= size
            out.append(tuple(mine))
        return tuple(out) if at == len(atoms) else None

    # ---------------------------------------------------------------- membership
    def _candidates(self, n: Node) -> list[Group]:
        found = dict.fromkeys(self.group[r] for s in n.srcs for r in [self.root(s)[0]] if r in self.group)
        late = n in self._apart
        return sorted((g for g in found if (g.nodes[0] in self._apart) == late), key=lambda g: (not g.inner, -len(g.nodes)))

    def _axes_in(self, g: Group, n: Node) -> tuple[tuple[int, ...], ...] | None:
        """The atoms of elementwise node `n` as a member of a group that computes some of its operands; None if it does not fit."""
        for _ in range(8):
            before = len(g.sizes)
            found = self._try_axes(g, n)
            if len(g.sizes) == before:
                return found
        return None  # each attempt split atoms, which gives others new names

    def _try_axes(self, g: Group, n: Node) -> tuple[tuple[int, ...], ...] | None:
        shape = tuple(n.shape)
        found: list[tuple[int, ...] | None] = [() if d == 1 else None for d in shape]
        for s in n.srcs:
            r, chain = self.root(s)
            if self.group.get(r) is not g:
                continue
            axes = self.through(g, g.axes[r], chain)
            if axes is None:
                return None
            lead = len(shape) - len(axes)
            for i, a in enumerate(axes, lead):
                if a is None or (s.shape[i - lead] == 1 and shape[i] != 1):
                    continue
                if found[i] is None:
                    found[i] = a
                elif found[i] != a:
                    return None
        unknown = [i for i, a in enumerate(found) if a is None]
        if unknown:
            spread = self._spread(g, [shape[i] for i in unknown])
            if spread is None:
                return None
            for i, a in zip(unknown, spread, strict=True):
                found[i] = a
        used = [a for dim in found for a in dim]  # type: ignore[union-attr]
        if len(set(used)) != len(used) or set(used) not in (set(g.sizes), set(g.sizes) - set(g.inner)):
            return None
        return tuple(found)  # type: ignore[arg-type]

    def _spread(self, g: Group, sizes: list[int]) -> list[tuple[int, ...]] | None:
        """The reduced atoms over dimensions along which a row value is broadcast again."""
        if not g.inner or g.count(g.inner) != math.prod(sizes) or not self._again(g):
            return None
        found = self._regroup(g, (g.inner,), tuple(sizes), (math.prod(sizes),))
        return None if found is None else [a for a in found if a is not None]

    def _again(self, g: Group) -> bool:
        """Whether the rows of a group are short enough to be gone through once more."""
        return g.count(g.inner) <= (MAX_ROW if self._contiguous(g) else MAX_COLUMN)

    def _contiguous(self, g: Group) -> bool:
        """Whether the reduced atoms are the last ones of the full members."""
        for n in g.nodes:
            if g.full(n):
                atoms = [a for dim in g.axes[n] for a in dim]
                return tuple(atoms[len(atoms) - len(g.inner) :]) == g.inner
        return True

    def _add(self, g: Group, n: Node, axes: tuple[tuple[int, ...], ...]) -> None:
        g.nodes.append(n)
        g.axes[n] = axes
        self.group[n] = g
        g.reads |= self._read_by(n, g)
        self._enter(g, n)

    def _new(self, n: Node, shape: tuple[int, ...]) -> tuple[Group, tuple[tuple[int, ...], ...]]:
        g = Group()
        axes: list[tuple[int, ...]] = []
        for d in shape:
            if d == 1:
                axes.append(())
            else:
                a = next(self._fresh)
                g.sizes[a] = d
                axes.append((a,))
        return g, tuple(axes)

    def _point(self, n: Node) -> None:
        home: Group | None = None
        for g in () if self._for_rows(n) else self._candidates(n):
            axes = self._axes_in(g, n) if len(g.nodes) < MAX_NODES else None
            if axes is None:
                continue
            if home is None:
                if len(g.reads | self._read_by(n, g)) <= MAX_OPERANDS and not self._returns(n, g):
                    self._add(g, n, axes)
                    home = g
            else:
                self._merge(home, g, n, axes)
        if home is None:
            g, axes = self._new(n, tuple(n.shape))
            self._add(g, n, axes)

    def _for_rows(self, n: Node) -> bool:
        """Whether a product is only there to be added up row after row: the kernel that does so fuses it with the addition."""
        return n.op.name == "mul" and n not in self.roots and bool(self.users[n]) and all(order_of(u) == "rows" for u in self.users[n])

    def _read_by(self, n: Node, g: Group) -> set[Node]:
        """What a member reads that the group does not compute."""
        return {s for s in n.srcs if self.group.get(self.root(s)[0]) is not g and self.kind.get(s) != "literal"}

    def _reduce(self, n: Node) -> None:
        x = n.srcs[0]
        dims = reduced_dims(n)
        keepdim = n.ndim == x.ndim
        r, chain = self.root(x)
        g = self.group.get(r)
        if g is not None and len(g.nodes) < MAX_NODES and (g.nodes[0] in self._apart) == (n in self._apart):
            axes = self.through(g, g.axes[r], chain)
            if axes is not None and None not in axes and self._reducible(g, axes, dims, r):  # type: ignore[arg-type]
                self._add(g, n, self._kept(axes, dims, keepdim))  # type: ignore[arg-type]
                return
        g, full = self._new(n, tuple(x.shape))
        g.inner = tuple([a for d in dims for a in full[d]])
        self._add(g, n, self._kept(full, dims, keepdim))
        g.axes[x] = full  # how the operand is read

    @staticmethod
    def _kept(axes: tuple[tuple[int, ...], ...], dims: tuple[int, ...], keepdim: bool) -> tuple[tuple[int, ...], ...]:
        return tuple([() if d in dims else a for d, a in enumerate(axes) if keepdim or d not in dims])

    def _reducible(self, g: Group, axes: tuple[tuple[int, ...], ...], dims: tuple[int, ...], r: Node) -> bool:
        """Whether a reduction of member `r`, or of a view of it, can be a member."""
        atoms = [a for dim in axes for a in dim]
        if set(atoms) != set(g.sizes):
            return False
        inner = tuple([a for d in dims for a in axes[d]])
        if g.inner:
            return inner == g.inner and (self._again(g) or not self._reduced(g, r))
        columns = tuple(atoms[len(atoms) - len(inner) :]) != inner
        if columns and any(self._read_elsewhere(m, g) for m in g.nodes):
            return False  # a value that is stored anyway: its rows are better written in order, and the columns read from there
        g.inner = inner
        return True

    def _reduced(self, g: Group, r: Node) -> bool:
        """Whether a member needs a reduction of its group: else it is there when the rows are gone through for the first time."""
        seen, stack = {r}, [r]
        while stack:
            n = stack.pop()
            if self.kind[n] == "reduce":
                return True
            for s in n.srcs:
                m = self.root(s)[0]
                if m not in seen and self.group.get(m) is g:
                    seen.add(m)
                    stack.append(m)
        return False

    def _read_elsewhere(self, m: Node, g: Group) -> bool:
        return m in self.roots or any(self.group.get(u) is not g and self.kind[u] != "reduce" for u in self.users[m])

    def _merge(self, home: Group, g: Group, n: Node, axes: tuple[tuple[int, ...], ...]) -> bool:
        """Move the members of `g` to `home`, where `n` is already; `axes` are those of `n` in `g`."""
        if g is home or len(home.nodes) + len(g.nodes) > MAX_NODES:
            return False
        if len(home.reads | g.reads) > MAX_OPERANDS:
            return False
        names = match(home, g, n, axes, self._fresh)
        if names is None or not self._meet(home, g, n, names):
            return False
        axes_here = {m: tuple([tuple([names[x] for x in dim]) for dim in a]) for m, a in g.axes.items()}
        if any(home.axes.get(m, a) != a for m, a in axes_here.items()):
            return False  # sums over the rows and over the columns of one value: it is read in two ways
        if not self.absorb(home, g):
            return False
        home.axes |= axes_here
        for m in g.nodes:
            self.group[m] = home
        home.nodes = sorted(home.nodes + g.nodes, key=self.number.__getitem__)
        home.reads = {s for s in home.reads | g.reads if self.group.get(self.root(s)[0]) is not home}
        if g.inner and not home.inner:
            home.inner = tuple([names[a] for a in g.inner])
        return True

    def _meet(self, home: Group, g: Group, n: Node, names: dict[int, int]) -> bool:
        """Whether the members that read values of the other group read them at their own point of the common index space. (A part of a
        value read everywhere, say, must be stored by one kernel before another reads it.)
        """
        inner = home.inner or tuple([names[a] for a in g.inner])

        def renamed(m: Node) -> tuple[tuple[int, ...], ...]:
            return home.axes[m] if m in home.axes else tuple([tuple([names[a] for a in dim]) for dim in g.axes[m]])

        before = len(home.sizes)
        for m in (*home.nodes, *g.nodes):
            for s in m.srcs if m is not n else ():
                r, chain = self.root(s)
                other = self.group.get(r)
                if other is self.group[m] or other not in (home, g):
                    continue
                axes = self.through(home, renamed(r), chain)
                if axes is None or len(home.sizes) != before:
                    return False
                mine = renamed(m)
                if self.kind[m] == "reduce":
                    dims = reduced_dims(m)
                    if None in axes or tuple([a for d in dims for a in axes[d]]) != inner:  # type: ignore[union-attr]
                        return False
                    if self._kept(axes, dims, m.ndim == s.ndim) != mine:  # type: ignore[arg-type]
                        return False
                    continue
                lead = len(mine) - len(axes)
                if any(a is not None and s.shape[i] != 1 and a != mine[lead + i] for i, a in enumerate(axes)):
                    return False
        return True

    # ---------------------------------------------------------------- what is stored
    def _outputs(self) -> None:
        for g in self.groups:
            members = set(g.nodes)
            g.outputs = [n for n in g.nodes if n in self.roots or any(not self._inside(u, members) for u in self.users[n])]

    def _inside(self, u: Node, members: set[Node]) -> bool:
        """Whether a reader is a member, or a view that only members read."""
        if u in members:
            return True
        if self.kind[u] != "view":
            return False
        return u not in self.roots and all(self._inside(v, members) for v in self.users[u])
