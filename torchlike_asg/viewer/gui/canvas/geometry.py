"""What is where: a scene as arrays, for culling, hit tests and walking along edges. No Qt.

Scene coordinates are logical pixels at zoom 1; a `Camera` maps them to the widget's.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..layout import Scene

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
#: straight pieces that draw one curve between two stations
PIECES = 14
SMALLEST, LARGEST = 0.0005, 4.0
#: a first view shows everything at this zoom or more, and never less than the other, whose texts are just large enough to read
COMFORTABLE, READABLE = 0.75, 0.62


@dataclass(frozen=True)
class Camera:
    """Screen = scene * zoom + (x, y)."""

    zoom: float = 1.0
    x: float = 0.0
    y: float = 0.0

    def to_scene(self, sx: float, sy: float) -> tuple[float, float]:
        return (sx - self.x) / self.zoom, (sy - self.y) / self.zoom

    def to_screen(self, x: float, y: float) -> tuple[float, float]:
        return x * self.zoom + self.x, y * self.zoom + self.y

    def moved(self, dx: float, dy: float) -> Camera:
        return replace(self, x=self.x + dx, y=self.y + dy)

    def zoomed(self, factor: float, sx: float, sy: float) -> Camera:
        """Zoomed with the scene point under (sx, sy) kept where it is; within the limits."""
        zoom = min(LARGEST, max(SMALLEST, self.zoom * factor))
        x, y = self.to_scene(sx, sy)
        return Camera(zoom, sx - x * zoom, sy - y * zoom)

    def centred(self, x: float, y: float, width: float, height: float, zoom: float | None = None) -> Camera:
        """With the scene point (x, y) in the middle of a widget of that size."""
        zoom = self.zoom if zoom is None else min(LARGEST, max(SMALLEST, zoom))
        return Camera(zoom, width / 2 - x * zoom, height / 2 - y * zoom)

    def towards(self, other: Camera, t: float) -> Camera:
        """A step of an animation: `t` from 0 (this one) to 1 (the other)."""
        zoom = self.zoom ** (1 - t) * other.zoom**t
        return Camera(zoom, self.x + (other.x - self.x) * t, self.y + (other.y - self.y) * t)


def overview(width: float, height: float, scene_width: float, scene_height: float, margin: float = 24.0) -> Camera:
    """The whole scene in view, at most at zoom 1.2."""
    zoom = max(SMALLEST, min((width - 2 * margin) / max(scene_width, 1.0), (height - 2 * margin) / max(scene_height, 1.0), 1.2))
    return Camera(zoom, (width - scene_width * zoom) / 2, (height - scene_height * zoom) / 2)


def fit(width: float, height: float, scene_width: float, scene_height: float, margin: float = 24.0) -> Camera:
    """The whole scene in view, at most at zoom 1.2; where texts would be too small to read, its top at a size one can read, as a page."""
    if scene_width <= 0 or scene_height <= 0:
        return Camera(1.0, width / 2, height / 2)
    whole = overview(width, height, scene_width, scene_height, margin)
    if whole.zoom >= COMFORTABLE:
        return whole
    zoom = max(min(max(width - 2 * margin, 1.0) / scene_width, 0.85), READABLE)
    return Camera(zoom, (width - scene_width * zoom) / 2, margin)


#: how far along a curve's pieces end (denser at its ends, where it bends), and how far across: a Bezier with both handles half way down
_ALONG = (1 - np.cos(np.linspace(0.0, np.pi, PIECES + 1))) / 2
_ACROSS = _ALONG * _ALONG * (3 - 2 * _ALONG)
_EARLY, _MIDDLE, _LATE = (1 - _ALONG) ** 3, 3 * _ALONG * (1 - _ALONG), _ALONG**3


def curves(stations: Sequence[Floats]) -> tuple[Floats, Ints]:
    """(straight pieces [k, 4], the edge of each) of edges given by their stations: between two stations a cubic curve that is vertical at
    both, so that curves join without a kink; one piece if it would be straight."""
    if not len(stations):
        return np.zeros((0, 4)), np.zeros(0, np.int64)
    lengths = np.asarray([len(s) for s in stations])
    points = np.concatenate(stations)
    last = np.zeros(len(points), bool)
    last[np.cumsum(lengths) - 1] = True
    a, b = points[~last], points[np.roll(~last, 1)]
    straight = (np.abs(a[:, 0] - b[:, 0]) < 0.5) | (a[:, 1] == b[:, 1])
    count = np.where(straight, 1, PIECES)
    which = np.repeat(np.arange(len(a)), count)
    step = np.arange(len(which)) - np.repeat(np.cumsum(count) - count, count)
    found = np.empty((len(which), 4))
    for end in (0, 1):
        k = np.where(straight[which], end * PIECES, step + end)
        (x1, y1), (x2, y2) = a[which].T, b[which].T
        found[:, 2 * end] = x1 + (x2 - x1) * _ACROSS[k]
        found[:, 2 * end + 1] = _EARLY[k] * y1 + _MIDDLE[k] * (y1 + y2) / 2 + _LATE[k] * y2
    return found, np.repeat(np.arange(len(lengths)), lengths - 1)[which]


def _shares(pieces: int) -> Floats:
    """For each piece of an edge how far along its ends are, from 0 to 1."""
    along = np.linspace(0.0, 1.0, pieces + 1)
    return np.stack([along[:-1], along[1:]], axis=1)


class Geometry:
    """A scene's boxes and edges as arrays.

    ``rects``     [boxes, 4] x, y, width, height
    ``segments``  [pieces, 4] of all edges, ends of straight pieces;  ``owner`` [pieces] the edge each belongs to
    ``tips``      [edges, 4] the last piece of each edge, for its arrow head
    """

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.rects = np.asarray([(b.x, b.y, b.w, b.h) for b in scene.boxes], float).reshape(-1, 4)
        self.closed = np.asarray([b.kind != "open" for b in scene.boxes], bool)
        #: drawn first to last: groups before what lies in them
        self.back_to_front: list[int] = np.argsort([b.depth for b in scene.boxes], kind="stable").tolist()
        self.segments, self.owner = curves([e.stations for e in scene.edges])
        self.tips = self.segments[np.searchsorted(self.owner, np.arange(len(scene.edges)), "right") - 1].reshape(-1, 4)
        #: edges with an arrow head: one for each value, where it is used
        self.arrows = np.asarray([not e.leaves and scene.boxes[e.target].kind != "open" for e in scene.edges], bool)
        self.back = np.asarray([e.back for e in scene.edges], bool)
        carried = [e.carries for e in scene.edges]
        self._carried: Ints = np.concatenate(carried) if carried else np.zeros(0, np.int64)
        self._carrier: Ints = np.repeat(np.arange(len(carried)), [len(c) for c in carried])
        self._near: tuple[int, Ints] = (-1, np.zeros(0, np.int64))
        self.ends = np.asarray([(e.source, e.target) for e in scene.edges], np.int64).reshape(-1, 2)

    def shifted(self, by: Floats) -> Geometry:
        """With the boxes moved by [boxes, 2] and the edges with their ends: for a frame of an animation."""
        moved = Geometry.__new__(Geometry)
        moved.__dict__.update(self.__dict__)
        moved.rects = self.rects.copy()
        moved.rects[:, :2] += by
        nowhere = np.zeros((1, 2))
        ends = np.concatenate([by, nowhere])[self.ends]  # of the outside (-1): no shift
        share = (
            np.concatenate([_shares(int(n)) for n in np.bincount(self.owner, minlength=len(self.ends))])
            if len(self.owner)
            else np.zeros((0, 2))
        )
        source, target = ends[self.owner, 0], ends[self.owner, 1]
        moved.segments = self.segments.copy()
        for k in (0, 1):
            t = share[:, k : k + 1]
            moved.segments[:, 2 * k : 2 * k + 2] += source * (1 - t) + target * t
        moved.tips = self.tips + np.tile(ends[:, 1], 2) if len(self.tips) else self.tips
        moved.scene = self.scene
        return moved

    def boxes_in(self, camera: Camera, width: float, height: float) -> Ints:
        """Boxes that show in a widget of that size."""
        (x0, y0), (x1, y1) = camera.to_scene(0, 0), camera.to_scene(width, height)
        r = self.rects
        return np.flatnonzero((r[:, 0] < x1) & (r[:, 0] + r[:, 2] > x0) & (r[:, 1] < y1) & (r[:, 1] + r[:, 3] > y0))

    def pieces_in(self, camera: Camera, width: float, height: float) -> Ints:
        """Pieces of edges that may show."""
        (x0, y0), (x1, y1) = camera.to_scene(0, 0), camera.to_scene(width, height)
        s = self.segments
        across = (np.minimum(s[:, 0], s[:, 2]) <= x1) & (np.maximum(s[:, 0], s[:, 2]) >= x0)
        return np.flatnonzero(across & (np.minimum(s[:, 1], s[:, 3]) <= y1) & (np.maximum(s[:, 1], s[:, 3]) >= y0))

    def at(self, x: float, y: float) -> int:
        """The innermost box there, -1 for none."""
        r = self.rects
        inside = np.flatnonzero((r[:, 0] <= x) & (x <= r[:, 0] + r[:, 2]) & (r[:, 1] <= y) & (y <= r[:, 1] + r[:, 3]))
        return int(max(inside.tolist(), key=lambda i: self.scene.boxes[i].depth, default=-1))

    def incident(self, box: int) -> Ints:
        """Edges that begin or end at a box (of an open group: those through its border), all the way: through the borders of the groups
        around it to their other ends."""
        if self._near[0] != box:
            at = np.flatnonzero((self.ends == box).any(axis=1))
            self._near = (box, self.carrying(np.concatenate([self.scene.edges[k].carries for k in at]) if len(at) else ()))
        return self._near[1]

    def carrying(self, graph_edges: Iterable[int]) -> Ints:
        """Drawn edges that carry any of the given edges of the graph."""
        wanted = np.asarray(list(graph_edges), np.int64)
        return np.unique(self._carrier[np.isin(self._carried, wanted)])

    def neighbour(self, box: int, direction: str) -> int:
        """The box an arrow key leads to: ``up`` an operand, ``down`` a reader, ``left`` and ``right`` the nearest beside; -1 for none."""
        r = self.rects
        x, y = r[box, 0] + r[box, 2] / 2, r[box, 1] + r[box, 3] / 2
        if direction in ("up", "down"):
            here, there = (1, 0) if direction == "up" else (0, 1)
            found = [int(e[there]) for e in self.ends if e[here] == box and e[there] >= 0 and e[there] != box]
            if not found:
                return -1
            return min(found, key=lambda b: (abs(r[b, 0] + r[b, 2] / 2 - x), abs(r[b, 1] - r[box, 1]), b))
        centre = r[:, 0] + r[:, 2] / 2
        side = centre < x - 1 if direction == "left" else centre > x + 1
        parents = np.asarray([b.parent for b in self.scene.boxes])
        candidates = np.flatnonzero(side & (parents == parents[box]))
        if not len(candidates):
            return -1
        away = np.abs(r[candidates, 1] + r[candidates, 3] / 2 - y) * 2 + np.abs(centre[candidates] - x)
        return int(candidates[np.argmin(away)])
