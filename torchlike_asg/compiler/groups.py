"""Groups of nodes that are computed together, and which of them depend on which."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator

from ..asg.node import Node


class Group:
    """Nodes computed in one loop nest.

    ``sizes`` of the atoms;  ``axes`` node -> for each dimension the atoms it runs over;  ``inner`` the atoms reduced over, in order
    ``reads``   at least what its members read of others
    ``outputs`` members that others read;  ``clones`` members that belong to another group and are computed here again
    ``parts``   all nodes computed here but the clones;  ``mask`` the bits of the group and of those it absorbed;  ``above`` those of
                all it depends on, through whole groups;  ``needs`` and ``readers`` the groups whose values are read here, and those
                that read values of this one
    """

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.axes: dict[Node, tuple[tuple[int, ...], ...]] = {}
        self.sizes: dict[int, int] = {}
        self.inner: tuple[int, ...] = ()
        self.reads: set[Node] = set()
        self.outputs: list[Node] = []
        self.clones: set[Node] = set()
        self.parts: list[Node] = []
        self.mask = self.above = 0
        self.needs: set[Group] = set()
        self.readers: set[Group] = set()

    def split(self, atom: int, outer: int, fresh: Iterable[int]) -> tuple[int, int]:
        """Replace an atom by two, the first of size `outer`."""
        a, b = next(iter(fresh)), next(iter(fresh))
        self.sizes[a], self.sizes[b] = outer, self.sizes.pop(atom) // outer

        def replaced(atoms: tuple[int, ...]) -> tuple[int, ...]:
            return tuple(itertools.chain.from_iterable((a, b) if x == atom else (x,) for x in atoms))

        self.axes = {n: tuple(map(replaced, axes)) for n, axes in self.axes.items()}
        self.inner = replaced(self.inner)
        return a, b

    def count(self, atoms: Iterable[int]) -> int:
        return math.prod([self.sizes[a] for a in atoms])

    def full(self, n: Node) -> bool:
        return sum(map(len, self.axes[n])) == len(self.sizes)


def match(home: Group, g: Group, n: Node, axes: tuple[tuple[int, ...], ...], fresh: Iterator[int]) -> dict[int, int] | None:
    """The atoms of `g` by their names in `home`, given that both have `n`; None if the index spaces differ."""
    for _ in range(16):
        axes = axes if n not in g.axes else g.axes[n]
        g.axes[n] = axes
        names: dict[int, int] = {}
        again = False
        for mine, theirs in zip(home.axes[n], g.axes[n], strict=True):
            here, there = list(mine), list(theirs)
            while here and there:
                p, q = home.sizes[here[0]], g.sizes[there[0]]
                if p == q:
                    names[there.pop(0)] = here.pop(0)
                    continue
                if p > q and p % q == 0:
                    home.split(here[0], q, fresh)
                elif q > p and q % p == 0:
                    g.split(there[0], p, fresh)
                else:
                    del g.axes[n]
                    return None
                again = True
                break
            if again:
                break
            if here or there:
                del g.axes[n]
                return None
        if not again:
            break
    else:
        del g.axes[n]
        return None
    del g.axes[n]
    rest = [a for a in g.inner if a not in names]
    if rest:  # `n` is a row in `g`
        if rest != list(g.inner) or not home.inner:
            if home.inner or set(names.values()) != set(home.sizes) or rest != list(g.inner):
                return None
            for a in rest:  # and all of `home` is rows of the larger space
                names[a] = next(fresh)
                home.sizes[names[a]] = g.sizes[a]
        else:
            if [g.sizes[a] for a in rest] != [home.sizes[a] for a in home.inner] or any(v in home.inner for v in names.values()):
                return None
            names.update(zip(rest, home.inner, strict=True))
    if set(names) != set(g.sizes):
        return None
    image = set(names.values())
    if g.inner and home.inner and tuple([names[a] for a in g.inner]) != home.inner:
        return None
    if g.inner and not home.inner and image != set(home.sizes):
        return None
    if not g.inner and image not in (set(home.sizes), set(home.sizes) - set(home.inner)):
        return None
    return names


class Dependence:
    """Units of computation (groups, and single nodes as groups of their own) with everything each depends on, kept up to date while they
    grow and merge. A subclass gives `root`.
    """

    #: units that were begun: the number of the next one's bit
    begun = 0
    #: the group of each node; a node that is computed by itself has one of its own
    unit: dict[Node, Group]

    def root(self, s: Node) -> tuple[Node, list[Node]]:
        """The node whose value `s` shows, and the views from there up to `s`."""
        raise NotImplementedError

    def _needs(self, n: Node) -> dict[Group, None]:
        """The units whose values a node reads."""
        found = [self.unit.get(self.root(s)[0]) for s in n.srcs]
        return dict.fromkeys(u for u in found if u is not None)

    def _enter(self, g: Group, n: Node) -> None:
        """Make a node a part of a unit, and have all that depends on the unit depend on what the node needs."""
        if not g.parts:
            g.mask = 1 << self.begun
            self.begun += 1
        g.parts.append(n)
        self.unit[n] = g
        needed = 0
        for u in self._needs(n):
            if u is not g:
                needed |= u.above | u.mask
                g.needs.add(u)
                u.readers.add(g)
        if needed & ~g.above:
            g.above |= needed
            self._raise(g)

    def _raise(self, g: Group) -> None:
        """Have the units that depend on one depend on all that it depends on."""
        stack = [g]
        while stack:
            u = stack.pop()
            found = u.above | u.mask
            for v in u.readers:
                if found & ~v.above:
                    v.above |= found
                    stack.append(v)

    def _returns(self, n: Node, g: Group) -> bool:
        """Whether `n` depends on `g` through some other unit: then it cannot be a part of it."""
        return any(u is not g and u.above & g.mask for u in self._needs(n))

    def _between(self, a: Group, b: Group) -> bool:
        """Whether a path between two units leads through another one."""
        return any(u is not a and u.above & a.mask for u in b.needs) or any(u is not b and u.above & b.mask for u in a.needs)

    def absorb(self, a: Group, b: Group) -> bool:
        """Make two units one, unless a path between them leads through another."""
        if self._between(a, b):
            return False
        for u in b.needs:
            u.readers.discard(b)
            u.readers.add(a)
        for u in b.readers:
            u.needs.discard(b)
            u.needs.add(a)
        a.needs = (a.needs | b.needs) - {a, b}
        a.readers = (a.readers | b.readers) - {a, b}
        a.parts += b.parts
        for n in b.parts:
            self.unit[n] = a
        a.mask |= b.mask
        a.above = (a.above | b.above) & ~a.mask
        self._raise(a)
        return True
