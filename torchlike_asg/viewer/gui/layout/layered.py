"""A layered drawing of one directed graph: boxes on layers, every edge a chain of stations from its source's bottom to its target's top.

Pure NumPy and Python, no Qt: it runs, and is tested, anywhere. Lengths are logical pixels; y grows downwards.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from . import coordinates, layering, ordering
from .coordinates import Floats
from .layering import Flags, Ints

#: above this many nodes and bends coordinates come by relaxation
ALIGN_LIMIT = 6000
BEND = 4.0


@dataclass(frozen=True)
class Spacing:
    """Room between boxes: across, down, and beside a passing edge."""

    across: float = 26.0
    down: float = 36.0
    bend: float = 12.0


@dataclass
class Layered:
    """A drawing.

    ``x``         each node's anchor;  ``top`` the y of its upper side
    ``flipped``   for each edge, whether it was turned round to break a cycle: it is drawn upwards
    ``routes``    for each edge its stations [k, 2]; consecutive ones are to be joined by a curve that is vertical at both
    ``low, high`` horizontal extent of everything;  ``height``  of everything;  ``crossings`` that are left
    """

    x: Floats
    top: Floats
    flipped: Flags
    routes: list[Floats]
    low: float
    high: float
    height: float
    crossings: int


def layout(
    src: Ints,
    dst: Ints,
    left: Floats,
    right: Floats,
    height: Floats,
    order: Ints,
    live: Flags | None = None,
    spacing: Spacing | None = None,
    entry: int | None = None,
    exit_: int | None = None,
) -> Layered:
    """Draw the graph of nodes 0..n-1 with the edges `src` -> `dst` (each pair once, none from a node to itself).

    ``left, right``  [n] how far each node reaches from its anchor;  ``height`` [n];  ``order`` [n] distinct numbers, the order of
    execution: an edge against it is turned round. ``live`` [n]: what depends on an input; by default what the first source with the
    longest path below it reaches. ``entry`` and ``exit_``, if any, are ports, which stand on the first and the last layer.
    """
    spacing = spacing or Spacing()
    n = len(left)
    if not n:
        return Layered(np.zeros(0), np.zeros(0), np.zeros(0, bool), [], 0.0, 0.0, 0.0, 0)
    rank = np.empty(n, np.int64)
    rank[np.argsort(order, kind="stable")] = np.arange(n)
    flipped = rank[src] > rank[dst]
    a, b = np.where(flipped, dst, src), np.where(flipped, src, dst)
    pairs, which = np.unique(a * n + b, return_inverse=True)  # an edge and its opposite become one
    ua, ub = pairs // n, pairs % n
    if live is None:
        live = _live(n, ua, ub, rank)
    layer = layering.assign(n, ua, ub, rank, live)
    if entry is not None:
        layer[entry] = 0
    if exit_ is not None:
        layer[exit_] = layer.max()
    cut = ordering.segment(n, ua, ub, layer)
    layers, crossings = ordering.order_layers(cut, rank)
    pad = np.full(cut.total - n, BEND)
    lefts, rights = np.concatenate([left, pad]), np.concatenate([right, pad])
    place = coordinates.aligned if cut.total <= ALIGN_LIMIT else coordinates.relaxed
    x = place(layers, cut, lefts, rights, spacing.across, spacing.bend, live)
    tall = np.zeros(len(layers))
    np.maximum.at(tall, layer, height)
    upper = np.concatenate([[0.0], np.cumsum(tall + spacing.down)])[:-1]
    # weights stand at the bottom of their layer, beside the value they join next; data at the top
    top = upper[layer] + np.where(live, 0.0, tall[layer] - height)
    drawn = [_route(path, x, top, height, upper, tall, cut) for path in cut.path]
    routes = []
    for k, turned in zip(which.tolist(), flipped.tolist(), strict=True):
        way = drawn[k] if len(drawn[k]) else _straight(int(ua[k]), int(ub[k]), x, top, height)
        routes.append(way[::-1] if turned else way)
    return Layered(x[:n], top, flipped, routes, float((x - lefts).min()), float((x + rights).max()), float((top + height).max()), crossings)


def _live(n: int, src: Ints, dst: Ints, rank: Ints) -> Flags:
    sequence: list[int] = np.argsort(rank, kind="stable").tolist()
    depth = layering.longest_runs(n, layering.Adjacency(n, dst, src), sequence[::-1])
    sources = np.flatnonzero(np.bincount(dst, minlength=n) == 0)
    start = min(sources.tolist(), key=lambda s: (-depth[s], rank[s]))
    return layering.reachable(n, src, dst, sequence, np.asarray([start]))


def _straight(a: int, b: int, x: Floats, top: Floats, height: Floats) -> Floats:
    return np.array([[x[a], top[a] + height[a]], [x[b], top[b]]])


def _route(path: list[int], x: Floats, top: Floats, height: Floats, upper: Floats, tall: Floats, cut: ordering.Segments) -> Floats:
    if not path:
        return np.zeros((0, 2))
    first, last = path[0], path[-1]
    stations = [(x[first], top[first] + height[first])]
    bottom = upper[cut.layer[first]] + tall[cut.layer[first]]
    if stations[0][1] < bottom:  # straight down beside taller neighbours, before it may move aside
        stations.append((x[first], bottom))
    for v in path[1:-1]:
        k = cut.layer[v]
        stations += [(x[v], upper[k]), (x[v], upper[k] + tall[k])]
    head = upper[cut.layer[last]]
    if top[last] > head:
        stations.append((x[last], head))
    stations.append((x[last], top[last]))
    return np.asarray(stations)
