"""The hierarchy of a graph's nodes: groups named by dotted scope paths, which are open, and runs of equal ones folded into one box."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from .layering import Flags, Ints

#: boxes that are shown at first, about
BUDGET = 40
#: this many equal siblings in a row become one box
SHORTEST_RUN = 3
_NUMBER = re.compile(r"\d+")


@dataclass
class Group:
    """A module, or another scope.

    ``number``     its place in `Tree.groups`;  ``parent`` that of the group around it, -1 for the outermost
    ``path``       the dotted path from the outermost group, whose own is empty;  ``name`` its last part
    ``kind``       the module's class, for people and for opening all of one class; empty if unknown
    ``children``   the groups within;  ``nodes`` the graph's nodes directly within;  ``size`` all nodes within
    ``signature``  equal for groups of equal content
    ``first``      the first node executed in it: of those that depend on an input, if it has any, else of those that are computed
    """

    number: int
    parent: int
    path: str
    name: str
    kind: str
    depth: int
    children: list[int] = field(default_factory=list)
    nodes: list[int] = field(default_factory=list)
    size: int = 0
    signature: int = 0
    first: int = 0


class Tree:
    """Groups over the nodes 0..n-1 of a graph, numbered in an order in which a parent comes before its children.

    ``scopes``  the dotted path of the group each node lies in;  ``labels`` what is to be equal in two nodes for their groups to be equal
    (operation, shape, type);  ``kinds`` path -> class name;  ``weights`` [n] nodes that depend on no input: they do not count for a
    group's place in the order of execution unless it has no others.
    """

    def __init__(
        self,
        scopes: Sequence[str],
        labels: Sequence[str],
        src: Ints,
        dst: Ints,
        kinds: Mapping[str, str] | None = None,
        weights: Flags | None = None,
    ) -> None:
        self.kinds = kinds or {}
        self.src, self.dst = np.asarray(src, np.int64), np.asarray(dst, np.int64)
        self.groups = [Group(0, -1, "", "", self.kinds.get("", ""), 0)]
        self.by_path = {"": 0}
        self.group_of = np.asarray([self._group(s) for s in scopes], np.int64)
        for node, g in enumerate(self.group_of.tolist()):
            self.groups[g].nodes.append(node)
        self._weights = np.zeros(len(labels), bool) if weights is None else np.asarray(weights, bool)
        self._apart: dict[int, set[int]] = {}
        self._sum_up(labels, self._weights)

    def _group(self, path: str) -> int:
        found = self.by_path.get(path)
        if found is not None:
            return found
        parts = path.split(".")
        parent = 0
        for k in range(1, len(parts) + 1):
            prefix = ".".join(parts[:k])
            number = self.by_path.get(prefix)
            if number is None:
                number = self.by_path[prefix] = len(self.groups)
                self.groups.append(Group(number, parent, prefix, parts[k - 1], self.kinds.get(prefix, ""), self.groups[parent].depth + 1))
                self.groups[parent].children.append(number)
            parent = number
        return parent

    def _sum_up(self, labels: Sequence[str], weights: Flags) -> None:
        """Sizes, signatures and first nodes, from the innermost groups outwards. Signatures are interned: equal content, equal number."""
        place = np.zeros(len(labels), np.int64)  # each node's place in its group
        for group in self.groups:
            place[group.nodes] = np.arange(len(group.nodes))
        inside = self.group_of[self.src] == self.group_of[self.dst]
        operands: list[list[int]] = [[] for _ in labels]
        for s, d in zip(place[self.src[inside]].tolist(), self.dst[inside].tolist(), strict=True):
            operands[d].append(s)
        weight: list[bool] = weights.tolist()
        known: dict[tuple[object, ...], int] = {}
        never = len(labels)
        # the lowest over nodes that are no weights; that are computed of others; over all
        lowest, lowest_made, lowest_any = ([never] * len(self.groups) for _ in range(3))
        made: list[bool] = (np.bincount(self.dst, minlength=len(labels)) > 0).tolist()
        for group in reversed(self.groups):
            g = group.number
            children = [self.groups[c] for c in group.children]
            group.size = len(group.nodes) + sum(c.size for c in children)
            lowest[g] = min([*(v for v in group.nodes if not weight[v]), *(lowest[c] for c in group.children), never])
            lowest_any[g] = min([*group.nodes, *(lowest_any[c] for c in group.children), never])
            lowest_made[g] = min([*(v for v in group.nodes if made[v]), *(lowest_made[c] for c in group.children), never])
            group.first = next((found for found in (lowest[g], lowest_made[g]) if found < never), lowest_any[g])
            content = (
                group.kind,
                tuple((labels[v], *operands[v]) for v in group.nodes),
                tuple(("#" if c.name.isdigit() else c.name, c.signature) for c in children),
            )
            group.signature = known.setdefault(content, len(known))
        for group in self.groups:
            group.children.sort(key=lambda c: (self.groups[c].first, c))

    def around(self, group: int) -> list[int]:
        """The group and the groups around it, the outermost last."""
        found = []
        while group >= 0:
            found.append(group)
            group = self.groups[group].parent
        return found

    def runs(self, group: int, opened: Collection[int]) -> list[list[int]]:
        """The group's children, equal closed neighbours together where they are enough for one folded box. Their names may differ in
        numbers only: ``0, 1, 2`` and ``layer1, layer2, layer3`` are a series, ``q, k, v`` are not. What one of them gives to another by
        way of something else parts them: that would stand both below and above their box.
        """
        found: list[list[int]] = []
        children = self.groups[group].children
        i = 0
        while i < len(children):
            j = i + 1
            if children[i] not in opened:
                same = self._kin(children[i])
                while j < len(children) and self._kin(children[j]) == same and children[j] not in opened:
                    if children[j] in self._parted(group):
                        break
                    j += 1
                if j - i < SHORTEST_RUN:
                    j = i + 1
            found.append(children[i:j])
            i = j
        return found

    def _parted(self, group: int) -> set[int]:
        """Children of a group that read what came of an earlier, equal one by way of nodes in neither."""
        if group not in self._apart:
            self._apart[group] = self._find_parted(group)
        return self._apart[group]

    def _find_parted(self, group: int) -> set[int]:
        child_of = np.full(len(self.groups), -1, np.int64)  # for each group the child of `group` that it is part of
        for g in self.groups[group + 1 :]:
            child_of[g.number] = g.number if g.parent == group else child_of[g.parent]
        child = child_of[self.group_of]
        live = ~self._weights[self.src]
        src, dst = self.src[live], self.dst[live]
        out = (child[src] >= 0) & (child[dst] < 0)
        back = (child[src] < 0) & (child[dst] >= 0)
        if not out.any() or not back.any() or dst[out].min() > src[back].max():
            return set()
        found: set[int] = set()
        reached: list[set[int]] = [set() for _ in child]  # for nodes in no child, those whose values have come there
        order = np.argsort(dst, kind="stable")
        for s, d in zip(src[order].tolist(), dst[order].tolist(), strict=True):
            here = int(child[d])
            if here < 0:
                reached[d] |= {int(child[s])} if child[s] >= 0 else reached[s]
            elif child[s] < 0 and any(self._kin(c) == self._kin(here) for c in reached[s] if c != here):
                found.add(here)
        return found

    def _kin(self, group: int) -> tuple[str, int]:
        g = self.groups[group]
        return _NUMBER.sub("#", g.name), g.signature

    def auto_open(self, budget: int = BUDGET, closed: Collection[str] = ()) -> set[int]:
        """Groups to open at first: from the outermost inwards, the first of each run of equal ones, while at most `budget` boxes show.

        Paths in `closed` are left closed (the backward half of a training step).
        """
        opened = {0}
        shown = len(self.groups[0].nodes) + len(self.runs(0, opened))
        waiting = [r[0] for r in self.runs(0, opened)]
        while waiting:
            waiting.sort(key=lambda g: (self.groups[g].depth, self.groups[g].size, g))
            g = waiting.pop(0)
            group = self.groups[g]
            if group.path in closed:
                continue
            siblings = len(self.runs(group.parent, opened))
            inside = self.runs(g, opened)
            more = len(self.runs(group.parent, opened | {g})) - siblings + len(group.nodes) + len(inside) - 1
            if shown + more > budget:
                continue
            opened.add(g)
            shown += more
            waiting += [r[0] for r in inside]
        return opened

    def of_kind(self, kind: str) -> set[int]:
        """All groups of a class, with those around them, so that they show."""
        return {g for group in self.groups if group.kind == kind for g in self.around(group.number)}

    def down_to(self, depth: int) -> set[int]:
        """All groups above a level of nesting."""
        return {group.number for group in self.groups if group.depth < depth}
