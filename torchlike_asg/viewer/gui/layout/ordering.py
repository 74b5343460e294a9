"""The order of nodes within their layers, with few crossing edges.

Edges over several layers pass through bends, one per layer in between; all edges of one source share a chain of bends, so that a value
with many readers has one trunk. Layers are ordered by sweeps that sort each by the mean place of its neighbours in the layer before
(the barycentre heuristic of Sugiyama, Tagawa and Toda, 1981), then neighbours are exchanged wherever that removes crossings.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .layering import Ints

#: an edge over more layers than this gets no bends: it is drawn straight across
LONGEST_CHAIN = 64
#: above this many nodes and bends neighbours are not exchanged: sweeps alone are affordable
EXCHANGE_LIMIT = 1500
SWEEPS = 16


@dataclass
class Segments:
    """A layered graph whose edges join neighbouring layers. Nodes 0..n-1 are the given ones, the rest are bends.

    ``layer``   of each node and bend;  ``owner``  the node whose edges a bend carries (of a node, itself)
    ``a, b``    ends of the segments, `a` one layer above `b`
    ``path``    for each given edge the nodes on its way, both ends included; empty for an edge that is drawn straight across
    """

    n: int
    layer: Ints
    owner: Ints
    a: Ints
    b: Ints
    path: list[list[int]]

    @property
    def total(self) -> int:
        return len(self.layer)


def segment(n: int, src: Ints, dst: Ints, layer: Ints) -> Segments:
    """Cut the edges at every layer that they cross."""
    span = layer[dst] - layer[src]
    kept = span <= LONGEST_CHAIN
    bends = np.zeros(n, np.int64)
    np.maximum.at(bends, src[kept], span[kept] - 1)
    first = np.zeros(n + 1, np.int64)
    first[1:] = np.cumsum(bends)
    owner = np.repeat(np.arange(n), bends)
    step = np.arange(len(owner)) - first[owner]
    chain = n + np.arange(len(owner))
    above = np.where(step == 0, owner, chain - 1)
    last = np.where(span > 1, n + first[src] + span - 2, src)
    starts: list[int] = (n + first).tolist()
    path = [
        [s, *range(starts[s], starts[s] + k - 1), d] if k <= LONGEST_CHAIN else []
        for s, d, k in zip(src.tolist(), dst.tolist(), span.tolist(), strict=True)
    ]
    return Segments(
        n,
        np.concatenate([layer, layer[owner] + 1 + step]),
        np.concatenate([np.arange(n), owner]),
        np.concatenate([above, last[kept]]),
        np.concatenate([chain, dst[kept]]),
        path,
    )


def neighbours(total: int, a: Ints, b: Ints) -> tuple[list[list[int]], list[list[int]]]:
    """(nodes above, nodes below) of each node."""
    up: list[list[int]] = [[] for _ in range(total)]
    down: list[list[int]] = [[] for _ in range(total)]
    for u, v in zip(a.tolist(), b.tolist(), strict=True):
        up[v].append(u)
        down[u].append(v)
    return up, down


def _crossings(place: NDArray[np.float64], cut: Segments, by_layer: list[tuple[Ints, Ints]]) -> int:
    total = 0
    for a, b in by_layer:
        if len(a) < 2:
            continue
        ends = place[b][np.lexsort((place[b], place[a]))]
        if len(ends) <= 600:
            total += int(np.count_nonzero(np.triu(ends[:, None] > ends[None, :], 1)))
        else:
            total += _inversions(ends)
    return total


def _inversions(values: NDArray[np.float64]) -> int:
    """Pairs of which the earlier is larger, counted by merging sorted runs of doubling length."""
    ranks = np.unique(values, return_inverse=True)[1].astype(np.int64)
    size = 1 << max(len(ranks) - 1, 1).bit_length()
    padded: Ints = np.full(size, len(ranks), np.int64)
    padded[: len(ranks)] = ranks
    count, half = 0, 1
    while half < size:
        runs = np.sort(padded.reshape(-1, 2, half), axis=2)
        for left, right in runs if half > 16 else ():
            count += int((half - np.searchsorted(left, right, "right")).sum())
        if half <= 16:
            count += int((runs[:, 0, :, None] > runs[:, 1, None, :]).sum())
        padded = np.sort(padded.reshape(-1, 2 * half), axis=1).reshape(-1)
        half *= 2
    return count


def order_layers(cut: Segments, initial: Ints) -> tuple[list[list[int]], int]:
    """(the layers as lists of nodes from left to right, crossings left). `initial` gives each node's place at the outset."""
    depth = int(cut.layer.max()) + 1 if cut.total else 0
    start = initial[cut.owner]
    sequence = np.lexsort((np.arange(cut.total), start, cut.layer))
    bounds = np.searchsorted(cut.layer[sequence], np.arange(depth + 1))
    layers: list[list[int]] = [sequence[bounds[k] : bounds[k + 1]].tolist() for k in range(depth)]
    place = np.zeros(cut.total)
    for row in layers:
        place[row] = np.arange(len(row))
    gap = cut.layer[cut.a]
    by_gap = np.argsort(gap, kind="stable")
    gaps = np.searchsorted(gap[by_gap], np.arange(depth + 1))
    groups = [by_gap[gaps[k] : gaps[k + 1]] for k in range(depth)]
    by_layer = [(cut.a[g], cut.b[g]) for g in groups]
    best = _crossings(place, cut, by_layer)
    if best == 0:
        return layers, 0
    up, down = neighbours(cut.total, cut.a, cut.b)
    kept = [row[:] for row in layers]
    where: list[float] = place.tolist()
    idle = 0
    for sweep in range(SWEEPS):
        downwards = sweep % 2 == 0
        near = up if downwards else down
        for k in range(1, depth) if downwards else range(depth - 2, -1, -1):
            row = layers[k]
            if len(row) < 2:
                continue
            key = {v: sum(where[u] for u in near[v]) / len(near[v]) if near[v] else where[v] for v in row}
            row.sort(key=key.__getitem__)
            for i, v in enumerate(row):
                where[v] = float(i)
        if cut.total <= EXCHANGE_LIMIT:
            _exchange(layers, where, up, down)
        now = _crossings(np.asarray(where), cut, by_layer)
        if now < best:
            best, kept, idle = now, [row[:] for row in layers], 0
        else:
            idle += 1
        if best == 0 or idle >= 4:
            break
    return kept, best


def _exchange(layers: list[list[int]], where: list[float], up: list[list[int]], down: list[list[int]]) -> None:
    """Exchange neighbours within a layer where their edges then cross less; stops when nothing improves."""
    for _ in range(4):
        better = False
        for row in layers:
            for i in range(len(row) - 1):
                u, v = row[i], row[i + 1]
                now = then = 0
                for near in (up, down):
                    for p in near[u]:
                        for q in near[v]:
                            if where[p] > where[q]:
                                now += 1
                            elif where[p] < where[q]:
                                then += 1
                if then < now:
                    row[i], row[i + 1] = v, u
                    where[u], where[v] = where[v], where[u]
                    better = True
        if not better:
            return
