"""Which layer each node stands on: every edge points down, and what is constant stands beside what uses it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]


class Adjacency:
    """Neighbours by node, as lists of node numbers: ``targets[starts[u]:starts[u + 1]]`` are those that edges lead to from `u`."""

    def __init__(self, n: int, src: Ints, dst: Ints) -> None:
        by_source = np.argsort(src, kind="stable")
        self.starts: list[int] = np.searchsorted(src[by_source], np.arange(n + 1)).tolist()
        self.targets: list[int] = dst[by_source].tolist()

    def __getitem__(self, node: int) -> list[int]:
        return self.targets[self.starts[node] : self.starts[node + 1]]


def reachable(n: int, src: Ints, dst: Ints, sequence: list[int], starts: Ints) -> Flags:
    """Which nodes can be reached from `starts`. `sequence` is a topological order of the nodes."""
    after = Adjacency(n, src, dst)
    found = [False] * n
    for s in starts.tolist():
        found[s] = True
    for u in sequence:
        if found[u]:
            for v in after[u]:
                found[v] = True
    return np.asarray(found, bool)


def longest_runs(n: int, after: Adjacency, sequence: list[int]) -> list[int]:
    """For each node, how many edges the longest path from any source to it has."""
    layer = [0] * n
    for u in sequence:
        below = layer[u] + 1
        for v in after[u]:
            if layer[v] < below:
                layer[v] = below
    return layer


def assign(n: int, src: Ints, dst: Ints, order: Ints, live: Flags) -> Ints:
    """The layer of each node, from 0 at the top.

    Every edge goes from a node of lower `order` (a permutation of 0..n-1) to one of higher. Nodes that depend on no input (`live` is false:
    weights and what is computed of them alone) and nodes without operands move down to just above their first consumer: were all
    parameters on the first layer, it would be thousands of boxes wide.
    """
    after = Adjacency(n, src, dst)
    sequence: list[int] = np.argsort(order, kind="stable").tolist()
    layer = longest_runs(n, after, sequence)
    source = np.bincount(dst, minlength=n) == 0
    movable = (source | ~live).tolist()
    for u in reversed(sequence):
        if movable[u]:
            consumers = after[u]
            if consumers:
                layer[u] = min(layer[v] for v in consumers) - 1
    found = np.asarray(layer, np.int64)
    return found - found.min() if n else found
