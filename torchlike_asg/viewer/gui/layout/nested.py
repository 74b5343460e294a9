"""A nested drawing: every open group is laid out on its own, innermost first, and stands in its parent as one box.

An edge between two nodes is lifted to the boxes that show, split where it enters or leaves an open group (at a port on the group's border),
and merged with all others between the same boxes. Layouts are remembered by content, so that twelve equal open blocks cost one.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from .coordinates import Floats
from .layered import Layered, Spacing, layout
from .layering import Ints
from .tree import Tree

Kind = Literal["node", "module", "fold", "open"]
#: room inside an open group: at its sides and bottom, and above its content for the title
MARGIN = 20.0
TITLE = 32.0
ENTRY, EXIT = -1, -2
HIDDEN = -1
PORT_HEIGHT = 1.0
#: edges that a port can gather; of more, those that come from farther than this cross the border where they are
GATHERED, FAR = 4, 48.0


@dataclass
class Box:
    """A rectangle. ``kind``: a node of the graph, a closed group, several equal closed groups in one box, or an open group drawn around
    its content. ``item``: the node's or the (first) group's number. ``parent``: the box of the group around it, -1 outside all.
    ``members``: the groups a folded box stands for."""

    kind: Kind
    item: int
    x: float
    y: float
    w: float
    h: float
    depth: int
    parent: int
    members: list[int] = field(default_factory=list)


@dataclass
class Edge:
    """A drawn edge between two boxes, or from or to the port of the group around (then `source` or `target` is that group's box and
    ``enters`` or ``leaves`` is true). ``stations`` [k, 2] from source to target; a curve vertical at each joins them.
    ``carries``: which of the graph's edges. ``back``: against the order of execution, drawn upwards."""

    source: int
    target: int
    stations: Floats
    carries: Ints
    back: bool
    enters: bool = False
    leaves: bool = False


@dataclass
class Scene:
    """Everything to draw. ``box_of`` [n]: the box that shows each node, -1 for a hidden one. ``crossings``: of edges, over all groups."""

    boxes: list[Box]
    edges: list[Edge]
    width: float
    height: float
    box_of: Ints
    crossings: int


Measure = Callable[[Kind, int, list[int]], tuple[float, float]]


def default_size(kind: Kind, item: int, members: list[int]) -> tuple[float, float]:
    """Sizes without fonts: of a node's box, and of a group's."""
    return (132.0, 38.0) if kind == "node" else (176.0, 46.0)


@dataclass
class _Inside:
    """An open group's layout: the items in it, where they stand, and its own size; `head` is the room above the drawing. Ports have the
    numbers ENTRY and EXIT, after the items."""

    items: list[int]
    place: dict[int, int]
    drawn: Layered
    left: Floats
    right: Floats
    high: Floats
    edges: dict[tuple[int, int], int]
    width: float
    height: float
    anchor: float
    head: float
    #: edges that pass the border by themselves
    apart: set[int]


class Nested:
    """Draws a tree with some of its groups open. One object serves many calls, and remembers layouts between them.

    ``measure(kind, item, members)`` gives the size of a box that is not open.
    """

    def __init__(self, tree: Tree, measure: Measure = default_size, spacing: Spacing | None = None, remembered: int = 2048) -> None:
        self.tree, self.measure, self.spacing = tree, measure, spacing or Spacing()
        self._memory: OrderedDict[bytes, Layered] = OrderedDict()
        self._remembered = remembered
        self._base = len(tree.groups)

    # Items: a group by its number, a node by its number plus the count of groups.
    def scene(self, opened: Collection[int], fold: bool = True, hidden: Collection[int] = ()) -> Scene:
        """Lay out with the given groups open (the outermost always is; one within a closed group does not show). What lies in `hidden`
        groups is left out with its edges."""
        opened = set(opened) | {0}
        self._fold(opened, fold, hidden)
        shown = self._shown(opened, hidden)
        self._lift(shown)
        self._inside: dict[int, _Inside] = {}
        self._crossings = 0
        for g in reversed(self._visible_groups):
            self._inside[g] = self._lay_out(g)
        boxes: list[Box] = []
        edges: list[Edge] = []
        self._box_of_item: dict[int, int] = {}
        self._emit(boxes, edges)
        boxes_of_items = np.full(self._base + len(self.tree.group_of) + 1, -1, np.int64)  # the last entry is that of HIDDEN
        boxes_of_items[list(self._box_of_item)] = list(self._box_of_item.values())
        box_of = boxes_of_items[shown]
        outer = self._inside[0]
        return Scene(boxes, edges, outer.width, outer.height, box_of, self._crossings)

    def _fold(self, opened: set[int], fold: bool, hidden: Collection[int]) -> None:
        """`_members`: the groups each shown group's box stands for; `_stands_in`: the shown one for each folded group."""
        self._members: dict[int, list[int]] = {}
        self._stands_in: dict[int, int] = {}
        self._visible_groups = [0]
        for g in self._visible_groups:  # grows while it is read: a breadth-first walk of the open groups
            runs = self.tree.runs(g, opened) if fold else [[c] for c in self.tree.groups[g].children]
            runs = [r for r in runs if r[0] not in hidden]
            self._members[g] = [r[0] for r in runs]
            for run in runs:
                if run[0] in opened:
                    self._visible_groups.append(run[0])
                elif len(run) > 1:
                    self._members[run[0]] = run
                    self._stands_in.update(dict.fromkeys(run[1:], run[0]))

    def _shown(self, opened: set[int], hidden: Collection[int]) -> Ints:
        """For each node the item that shows it; `HIDDEN` for none."""
        groups = self.tree.groups
        standing = [0] * len(groups)  # 0: open, so its nodes show themselves; the outermost group is never closed
        for g in groups[1:]:
            above = standing[g.parent]
            own = HIDDEN if g.number in hidden else 0 if g.number in opened else self._stands_in.get(g.number, g.number)
            standing[g.number] = above or own
        by_group = np.asarray(standing, np.int64)[self.tree.group_of]
        return np.where(by_group != 0, by_group, self._base + np.arange(len(self.tree.group_of)))

    def _lift(self, shown: Ints) -> None:
        """`_levels`: for each open group the edges among its items and ports; each a number into `_carried`, lists of graph edges."""
        total = self._base + len(shown)
        a, b = shown[self.tree.src], shown[self.tree.dst]
        across = np.flatnonzero((a != b) & (a != HIDDEN) & (b != HIDDEN))
        pairs, which = np.unique(a[across] * total + b[across], return_inverse=True)
        sequence = np.argsort(which, kind="stable")
        bounds = np.searchsorted(which[sequence], np.arange(len(pairs) + 1))
        lists = across[sequence]
        self._levels: dict[int, dict[tuple[int, int], list[int]]] = {g: {} for g in self._visible_groups}
        self._pairs = [lists[bounds[k] : bounds[k + 1]] for k in range(len(pairs))]
        chains: dict[int, list[int]] = {}
        for k, pair in enumerate(pairs.tolist()):
            p, q = divmod(pair, total)
            up, down = self._chain(p, chains), self._chain(q, chains)
            i = 0
            while up[i] == down[i]:
                i += 1
            self._levels[up[i - 1]].setdefault((up[i], down[i]), []).append(k)
            for j in range(i, len(up) - 1):
                self._levels[up[j]].setdefault((up[j + 1], EXIT), []).append(k)
            for j in range(i, len(down) - 1):
                self._levels[down[j]].setdefault((ENTRY, down[j + 1]), []).append(k)

    def _chain(self, item: int, chains: dict[int, list[int]]) -> list[int]:
        """The item and the open groups around it, the outermost first."""
        found = chains.get(item)
        if found is None:
            parent = int(self.tree.group_of[item - self._base]) if item >= self._base else self.tree.groups[item].parent
            found = chains[item] = [*self.tree.around(parent)[::-1], item]
        return found

    def _lay_out(self, g: int) -> _Inside:
        group = self.tree.groups[g]
        level = self._levels[g]
        items = [self._base + v for v in group.nodes] + self._members[g]
        ports = [port for port in (ENTRY, EXIT) if any(port in pair for pair in level)]
        place = {item: k for k, item in enumerate(items + ports)}
        n = len(place)
        left, right, high = np.full(n, 1.0), np.full(n, 1.0), np.full(n, PORT_HEIGHT)
        order = np.empty(n, np.int64)
        for item, k in place.items():
            if item < 0:
                order[k] = -1 if item == ENTRY else np.iinfo(np.int64).max
                continue
            order[k] = item - self._base if item >= self._base else self.tree.groups[item].first
            inner = self._inside.get(item)
            if inner is not None:
                left[k], right[k], high[k] = inner.anchor, inner.width - inner.anchor, inner.height
            else:
                w, h = self._size(item)
                left[k] = right[k] = w / 2
                high[k] = h
        pairs = list(level)
        src = np.asarray([place[p] for p, _ in pairs], np.int64)
        dst = np.asarray([place[q] for _, q in pairs], np.int64)
        drawn = self._remember(src, dst, left, right, high, order, place.get(ENTRY), place.get(EXIT))
        self._crossings += drawn.crossings
        side = MARGIN if g else 0.0
        anchor = drawn.x[place[ENTRY]] if ENTRY in place else drawn.x[place[EXIT]] if EXIT in place else (drawn.low + drawn.high) / 2
        wide = drawn.high - drawn.low + 2 * side
        # a port's own layer at the top or bottom is room already
        count = len(items)
        head = max(0.0, TITLE + (8.0 if ENTRY in place else 0.0) - float(drawn.top[:count].min())) if g else 0.0
        foot = max(0.0, MARGIN - drawn.height + float((drawn.top + high)[:count].max())) if g else 0.0
        return _Inside(
            items,
            place,
            drawn,
            left,
            right,
            high,
            {pair: k for k, pair in enumerate(pairs)},
            max(wide, 2 * side + 120.0),
            drawn.height + head + foot,
            float(anchor - drawn.low + side),
            head,
            self._apart(drawn, pairs),
        )

    @staticmethod
    def _apart(drawn: Layered, pairs: list[tuple[int, int]]) -> set[int]:
        """Where many edges lead to one port (of a layer with memory nearly all values are kept for the backward pass), the far ones would
        run together into a bar along the border: they cross it straight."""
        found: set[int] = set()
        for port, end, before in ((ENTRY, 0, 1), (EXIT, -1, -2)):
            mine = [k for k, pair in enumerate(pairs) if port in pair and not drawn.flipped[k] and pair != (ENTRY, EXIT)]
            if len(mine) > GATHERED:
                found.update(k for k in mine if abs(drawn.routes[k][before, 0] - drawn.routes[k][end, 0]) > FAR)
        return found

    def _size(self, item: int) -> tuple[float, float]:
        if item >= self._base:
            return self.measure("node", item - self._base, [])
        members = self._members.get(item, [])
        return self.measure("fold" if members else "module", item, members)

    def _remember(
        self, src: Ints, dst: Ints, left: Floats, right: Floats, high: Floats, order: Ints, entry: int | None, exit_: int | None
    ) -> Layered:
        rank = np.empty(len(order), np.int64)
        rank[np.argsort(order, kind="stable")] = np.arange(len(order))
        key = b"|".join(v.tobytes() for v in (src, dst, left, right, high, rank)) + repr((entry, exit_)).encode()
        found = self._memory.get(key)
        if found is None:
            live = None
            if entry is not None:
                live = np.zeros(len(order), bool)
                live[self._reached(src, dst, rank, entry)] = True
            found = self._memory[key] = layout(src, dst, left, right, high, rank, live, self.spacing, entry, exit_)
            if len(self._memory) > self._remembered:
                self._memory.popitem(last=False)
        else:
            self._memory.move_to_end(key)
        return found

    @staticmethod
    def _reached(src: Ints, dst: Ints, rank: Ints, entry: int) -> list[int]:
        after: dict[int, list[int]] = {}
        for s, d in zip(src.tolist(), dst.tolist(), strict=True):
            if rank[s] < rank[d]:
                after.setdefault(s, []).append(d)
        found, waiting = {entry}, [entry]
        while waiting:
            for v in after.get(waiting.pop(), ()):
                if v not in found:
                    found.add(v)
                    waiting.append(v)
        return sorted(found)

    def _emit(self, boxes: list[Box], edges: list[Edge]) -> None:
        """Boxes and edges with absolute positions, parents before their content."""
        waiting: list[tuple[int, float, float, int, int]] = [(0, 0.0, 0.0, 0, -1)]  # group, x, y of its corner, depth, box of the group
        while waiting:
            g, ox, oy, depth, around = waiting.pop()
            inside = self._inside[g]
            drawn, place = inside.drawn, inside.place
            bx = ox + (MARGIN if g else 0.0) - drawn.low
            by = oy + inside.head
            for item in inside.items:
                k = place[item]
                members = self._members.get(item, []) if item not in self._inside else []
                kind: Kind = "node" if item >= self._base else "open" if item in self._inside else "fold" if members else "module"
                x, y = bx + drawn.x[k] - inside.left[k], by + drawn.top[k]
                number = self._box_of_item[item] = len(boxes)
                shown = item - self._base if item >= self._base else item
                boxes.append(
                    Box(
                        kind,
                        shown,
                        float(x),
                        float(y),
                        float(inside.left[k] + inside.right[k]),
                        float(inside.high[k]),
                        depth,
                        around,
                        members,
                    )
                )
                if kind == "open":
                    waiting.append((item, float(x), float(y), depth + 1, number))
            for (p, q), k in inside.edges.items():
                stations = drawn.routes[k] + (bx, by)
                back = bool(drawn.flipped[k])
                if p == ENTRY:
                    stations[0 if not back else -1, 1] = oy
                if q == EXIT:
                    stations[-1, 1] = oy + inside.height
                if p >= 0 and p in self._inside:
                    stations = self._from_port(stations, p, bx, by, inside)
                if k in inside.apart:
                    end, before = (0, 1) if p == ENTRY else (-1, -2)
                    stations[end, 0] = stations[before, 0]
                carries = np.sort(np.concatenate([self._pairs[c] for c in self._levels[g][p, q]]))
                edges.append(
                    Edge(
                        around if p == ENTRY else self._box_of_item[p],
                        around if q == EXIT else self._box_of_item[q],
                        stations,
                        carries,
                        back,
                        p == ENTRY,
                        q == EXIT,
                    )
                )

    def _from_port(self, stations: Floats, group: int, bx: float, by: float, inside: _Inside) -> Floats:
        """Let an edge out of an open group begin at the group's exit, which need not be below its entry."""
        inner = self._inside[group]
        exit_ = inner.place.get(EXIT)
        if exit_ is None:
            return stations
        k = inside.place[group]
        left = bx + inside.drawn.x[k] - inside.left[k]
        x = left + MARGIN - inner.drawn.low + inner.drawn.x[exit_]
        bottom = by + inside.drawn.top[k] + inner.height
        moved = stations.copy()
        at = int(np.argmin(np.abs(moved[:, 1] - bottom)))  # the station at the group's lower side (a back edge may end there)
        moved[at, 0] = x
        return moved
