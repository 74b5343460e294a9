"""Cheap values are computed again in the groups that read them, rather than stored by one kernel and loaded by others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..asg.declare import CONST
from ..asg.node import Node
from .groups import Group

if TYPE_CHECKING:
    from .fuse import Fuser

#: elementwise operations that are computed again, if that takes no more than loading the result would; and random numbers, which take
#: longer, but which nobody wants to keep: a mask of dropout is made in the forward and in the backward kernel
CHEAP = frozenset(
    ("add", "sub", "mul", "neg", "cast", "where", "maximum", "minimum", "abs", "relu", "eq", "ne", "lt", "le", "gt", "ge", "philox_uniform")
)
Point = tuple[tuple[int, ...], ...]


class Cloner:
    """Moves values out of the outputs of their groups, by making them members of every group that reads them (`Group.clones`)."""

    def __init__(self, fuser: Fuser) -> None:
        self.fuser = fuser
        #: what clones read -> the groups they are in with the atoms there, or None for readers that need the value stored
        self._extra: dict[Node, list[tuple[Group, Point] | None]] = {}

    def run(self) -> None:
        for n in reversed(self.fuser.order):
            g = self.fuser.group.get(n)
            if g is None or n not in g.outputs or n in self.fuser.roots:
                continue
            takers = self._takers(n, g)
            points: dict[Group, Point] = {}
            if takers is None or any(points.setdefault(h, at) != at for h, at in takers):
                continue
            needed = self._closure(n, g)
            if needed is None or not all(self._agrees(h, at, needed) for h, at in takers):
                continue
            for h, at in takers:
                self._note_readers(h, at, needed)
                for m in needed:
                    h.axes.setdefault(m, at)  # what is reduced has its atoms there already
                    h.clones.add(m)
                h.nodes = sorted({*h.nodes, *needed}, key=self.fuser.number.__getitem__)
            g.outputs.remove(n)
            for m in needed:
                for s in m.srcs:
                    r = self.fuser.root(s)[0]
                    if self.fuser.group.get(r) is g and r not in needed and r not in g.outputs:
                        g.outputs.append(r)

    def _agrees(self, h: Group, at: Point, needed: list[Node]) -> bool:
        """Whether what the clones read of group `h` itself is there at the same point of the index space, and those of them that it has.
        (A group may read one value by rows and another by columns: what both are made of has two places there.)
        """
        if any(h.axes.get(m, at) != at for m in needed):
            return False
        for m in needed:
            for s in m.srcs:
                r, chain = self.fuser.root(s)
                if r not in h.axes or r in needed:
                    if r in needed and chain:
                        return False
                    continue
                axes = self.fuser.through(h, h.axes[r], chain)
                if axes is None or any(a not in ((), None) and a != b for a, b in zip(axes[::-1], at[::-1], strict=False)):
                    return False
        return True

    def _note_readers(self, h: Group, at: Point, needed: list[Node]) -> None:
        for m in needed:
            for s in m.srcs:
                r, chain = self.fuser.root(s)
                if r not in needed:
                    self._extra.setdefault(r, []).append(None if chain or tuple(r.shape) != tuple(m.shape) else (h, at))

    def _takers(self, n: Node, g: Group) -> list[tuple[Group, Point]] | None:
        """The groups that read a value, if each reads it as it is, with the atoms it has there."""
        found = []
        for u in self.fuser.users[n]:
            h = self.fuser.group.get(u)
            if h is g:
                continue
            if h is None or not g.full(n):
                return None
            if self.fuser.kind[u] == "reduce":
                if u.srcs[0] is not n or n not in h.axes:
                    return None
                found.append((h, h.axes[n]))
            elif tuple(u.shape) == tuple(n.shape):
                found.append((h, h.axes[u]))
            else:
                return None
        for reader in self._extra.get(n, ()):
            if reader is None:
                return None
            found.append(reader)
        return found

    def _closure(self, n: Node, g: Group) -> list[Node] | None:
        """The members to compute `n` from stored values, if that takes only cheap operations and one value of its size."""
        needed: dict[Node, None] = {}
        loads: set[Node] = set()
        stack = [n]
        while stack:
            m = stack.pop()
            if m in needed:
                continue
            if m.op.name not in CHEAP or tuple(m.shape) != tuple(n.shape) or len(needed) > 6:
                return None
            needed[m] = None
            for s in m.srcs:
                r, chain = self.fuser.root(s)
                if self.fuser.kind.get(r) == "literal" or r.op is CONST:
                    continue
                if self.fuser.group.get(r) is g and g.full(r) and r not in g.outputs:
                    if chain:
                        return None
                    stack.append(r)
                elif s.numel == n.numel:
                    loads.add(s)
        return sorted(needed, key=self.fuser.number.__getitem__) if len(loads) <= 1 else None
