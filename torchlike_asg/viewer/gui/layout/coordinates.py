"""Where nodes stand across: straight chains, no overlaps.

Two ways. `aligned` is the method of Brandes and Köpf (Fast and simple horizontal coordinate assignment, 2001): four assignments, each of
which aligns every node with a median neighbour above or below, from the left or from the right, and packs the aligned blocks; the result
is the mean of the two middle ones. Chains come out straight, but on large flat graphs it spreads. `relaxed` moves all nodes towards the
mean of their neighbours, in whole-array steps: for graphs of thousands of nodes.

A node reaches `left` and `right` of its anchor, where its edges meet it, so that a large box whose entry is not in its middle still
stands on a straight line.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from .ordering import Segments, neighbours

Floats = NDArray[np.float64]
#: the room that the anchors of two neighbours need between them, left and right one given
Apart = Callable[[int, int], float]


def aligned(
    layers: list[list[int]], cut: Segments, left: Floats, right: Floats, gap: float, bend_gap: float, live: NDArray[np.bool_]
) -> Floats:
    """The anchors' x by Brandes and Köpf. Data flow straight down."""
    up, down = neighbours(cut.total, cut.a, cut.b)
    bend = [v >= cut.n for v in range(cut.total)]
    conflicts = _conflicts(layers, up, bend)
    main: list[bool] = live[cut.owner].tolist()
    above, below = _mutual(up, down, main, bend)
    lefts: list[float] = left.tolist()
    rights: list[float] = right.tolist()

    def apart(u: int, v: int) -> float:
        return rights[u] + lefts[v] + (bend_gap if bend[u] or bend[v] else gap)

    found = []
    for upwards in (True, False):
        rows = layers if upwards else layers[::-1]
        near = above if upwards else below
        for mirrored in (False, True):
            x = _one_way([row[::-1] for row in rows] if mirrored else rows, near, conflicts, apart if not mirrored else _swapped(apart))
            found.append(-x if mirrored else x)
    widths = [float((x + right).max() - (x - left).min()) for x in found]
    narrowest = found[int(np.argmin(widths))]
    low, high = (narrowest - left).min(), (narrowest + right).max()
    shifted = [x + (low - (x - left).min() if k % 2 == 0 else high - (x + right).max()) for k, x in enumerate(found)]
    middle = np.sort(np.stack(shifted), axis=0)[1:3]
    return np.asarray(middle.mean(axis=0))


def _swapped(apart: Apart) -> Apart:
    return lambda u, v: apart(v, u)


def _conflicts(layers: list[list[int]], up: list[list[int]], bend: list[bool]) -> set[tuple[int, int]]:
    """Segments (above, below) that cross one between two bends: those between bends must stay straight, so the others give way."""
    place: dict[int, int] = {}
    found: set[tuple[int, int]] = set()
    for k, row in enumerate(layers):
        if k:
            low, done = 0, 0
            for i, v in enumerate(row):
                inner = next((u for u in up[v] if bend[u]), None) if bend[v] else None
                if inner is None and i != len(row) - 1:
                    continue
                high = place[inner] if inner is not None else len(layers[k - 1])
                for w in row[done : i + 1]:
                    for u in up[w]:
                        if not low <= place[u] <= high and not (bend[u] and bend[w]):
                            found.add((u, w))
                done, low = i + 1, high
        for i, v in enumerate(row):
            place[v] = i
    return found


def _mutual(up: list[list[int]], down: list[list[int]], main: list[bool], bend: list[bool]) -> tuple[list[list[int]], list[list[int]]]:
    """The neighbours (above, below) that each node may align with: those of the pairs that prefer each other.

    Of its neighbours a node prefers live to constant ones, and the next node to an edge that only passes by: so the data's own line stays
    straight, and weights and skip edges stand beside it.
    """

    def preferred(node: int, near: list[int]) -> list[int]:
        live = [w for w in near if main[w]] or near
        return live if bend[node] else [w for w in live if not bend[w]] or live

    above = [preferred(v, near) for v, near in enumerate(up)]
    below = [preferred(v, near) for v, near in enumerate(down)]
    pairs = {(u, v) for v, near in enumerate(above) for u in near} & {(u, v) for u, near in enumerate(below) for v in near}
    return (
        [[u for u in near if (u, v) in pairs] for v, near in enumerate(above)],
        [[v for v in near if (u, v) in pairs] for u, near in enumerate(below)],
    )


def _one_way(rows: list[list[int]], near: list[list[int]], conflicts: set[tuple[int, int]], apart: Apart) -> Floats:
    """One of the four assignments: align each row with the one before, then pack the blocks to the left."""
    total = len(near)
    place = [0] * total
    for row in rows:
        for i, v in enumerate(row):
            place[v] = i
    root = list(range(total))
    joined = [False] * total
    for row in rows:
        reached = -1
        for v in row:
            choice = sorted(near[v], key=place.__getitem__)
            for m in range((len(choice) - 1) // 2, len(choice) // 2 + 1) if choice else ():
                w = choice[m]
                if not joined[w] and reached < place[w] and (w, v) not in conflicts and (v, w) not in conflicts:
                    joined[w] = True  # a node continues one block only
                    root[v] = root[w]
                    reached = place[w]
                    break
    right_of: list[dict[int, float]] = [{} for _ in range(total)]
    waiting = [0] * total
    for row in rows:
        for u, v in itertools.pairwise(row):
            a, b = root[u], root[v]
            known = right_of[a].get(b)
            if known is None:
                waiting[b] += 1
            right_of[a][b] = max(known or 0.0, apart(u, v))
    has_left = [w > 0 for w in waiting]
    ready = [r for r in range(total) if root[r] == r and not waiting[r]]
    x = [0.0] * total
    packed = []
    while ready:
        a = ready.pop()
        packed.append(a)
        for b, room in right_of[a].items():
            x[b] = max(x[b], x[a] + room)
            waiting[b] -= 1
            if not waiting[b]:
                ready.append(b)
    for a in reversed(packed):  # close gaps: a block between others moves up to its right neighbours
        if right_of[a] and has_left[a]:
            x[a] = max(x[a], min(x[b] - room for b, room in right_of[a].items()))
    return np.asarray([x[root[v]] for v in range(total)])


def relaxed(
    layers: list[list[int]], cut: Segments, left: Floats, right: Floats, gap: float, bend_gap: float, live: NDArray[np.bool_]
) -> Floats:
    """The anchors' x by relaxation: in 60 rounds all move towards the weighted mean of their neighbours, then the gaps are restored."""
    sequence = np.concatenate([np.asarray(row, np.int64) for row in layers])
    layer = cut.layer[sequence]
    first = np.searchsorted(layer, np.arange(len(layers)))
    bend = sequence >= cut.n
    room = np.zeros(len(sequence))
    room[1:] = right[sequence[:-1]] + left[sequence[1:]] + np.where(bend[1:] | bend[:-1], bend_gap, gap)
    room[first] = 0.0
    offset = np.cumsum(room)
    offset -= offset[first][layer]
    x = np.empty(cut.total)
    last = np.append(first[1:] - 1, len(sequence) - 1)
    x[sequence] = offset - (offset[last] / 2)[layer]
    bends = (cut.a >= cut.n).astype(np.int64) + (cut.b >= cut.n)
    weight = np.choose(bends, [1.0, 2.0, 8.0])
    weight = np.where(live[cut.owner][cut.a], weight, weight * 0.1)
    above, below = np.bincount(cut.b, weight, cut.total), np.bincount(cut.a, weight, cut.total)
    far = layer * 1e7  # keeps the layers apart in one running maximum over all of them
    for k in range(60):
        wanted = np.zeros(cut.total)
        total = np.zeros(cut.total)
        if k % 3 != 1:
            wanted += np.bincount(cut.b, weight * x[cut.a], cut.total)
            total += above
        if k % 3 != 0:
            wanted += np.bincount(cut.a, weight * x[cut.b], cut.total)
            total += below
        target = np.where(total > 0, wanted / np.maximum(total, 1e-9), x)
        target = (x + (0.8 if k < 54 else 0.5) * (target - x))[sequence] - offset
        rising = np.maximum.accumulate(target + far) - far
        falling = np.minimum.accumulate((target + far)[::-1])[::-1] - far
        x[sequence] = (rising + falling) / 2 + offset
    return x
