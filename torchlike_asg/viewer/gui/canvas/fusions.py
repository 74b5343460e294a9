"""Fused kernels on a drawing: the boxes of what one kernel computes, and the edges between them, outlined as one set."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

import numpy as np
from pyqtgraph.Qt import QtCore, QtGui, internals

from ..layout import Scene
from .geometry import Camera, Geometry
from .palette import Colors, contrast, mix

PAD, BAND, LINE = 7.0, 9.0, 1.6


def sets(scene: Scene, kernel_of: Mapping[int, int], src: np.ndarray, dst: np.ndarray) -> tuple[dict[int, int], dict[int, int]]:
    """(box -> kernel, edge -> kernel) of a scene: the boxes all of whose compiled nodes are in one kernel, for kernels of more than one
    node, and the edges within a kernel. ``kernel_of`` gives the kernels of nodes, ``src`` and ``dst`` are the graph's edges."""
    within: dict[int, set[int]] = defaultdict(set)
    for node, k in kernel_of.items():
        within[int(scene.box_of[node])].add(k)
    boxes = {box: next(iter(ks)) for box, ks in within.items() if box >= 0 and len(ks) == 1}
    spread: dict[int, int] = defaultdict(int)
    for k in boxes.values():
        spread[k] += 1
    boxes = {box: k for box, k in boxes.items() if spread[k] > 1 or scene.boxes[box].kind == "node"}
    kernel = np.full(len(scene.box_of), -1)
    shown = [n for n in kernel_of if int(scene.box_of[n]) in boxes]
    kernel[shown] = [kernel_of[n] for n in shown]
    same = (kernel[src] == kernel[dst]) & (kernel[src] >= 0)
    edges: dict[int, int] = {}
    for number, e in enumerate(scene.edges):
        inner = e.carries[same[e.carries]]
        if len(inner):
            edges[number] = int(kernel[src[inner[0]]])
    return boxes, edges


def hue(kernel: int, colors: Colors) -> str:
    """The colour of a kernel's outline: neighbours in number differ, and all stand out from the ground."""
    light = 235 if colors.dark else 150
    while True:
        found = QtGui.QColor.fromHsv(kernel * 67 % 360, 150 if colors.dark else 220, light).name()
        if contrast(found, colors.groups[-1]) >= 3.0 or not 40 < light < 255:
            return found
        light += 10 if colors.dark else -10


class FusionSets:
    """Draws them. An outline around a union of shapes is all shapes a little larger in its colour, and then all of them in the fill."""

    def __init__(self, colors: Colors) -> None:
        self.colors = colors
        self._lines = internals.PrimitiveArray(QtCore.QLineF, 4)

    def draw(
        self,
        p: QtGui.QPainter,
        g: Geometry,
        camera: Camera,
        width: float,
        height: float,
        boxes: Mapping[int, int],
        edges: Mapping[int, int],
    ) -> None:
        if not boxes:
            return
        z, c = camera.zoom, self.colors
        shown = set(g.boxes_in(camera, width, height).tolist())
        members: dict[int, list[QtCore.QRectF]] = defaultdict(list)
        for box, k in boxes.items():
            if box in shown:
                x, y, w, h = (g.rects[box] * z).tolist()
                members[k].append(QtCore.QRectF(x + camera.x, y + camera.y, w, h))
        of_edge = np.full(len(g.ends), -1)
        of_edge[list(edges)] = list(edges.values())
        pieces = g.pieces_in(camera, width, height)
        pieces = pieces[of_edge[g.owner[pieces]] >= 0]
        screen = g.segments[pieces] * z + (camera.x, camera.y, camera.x, camera.y)
        kernels = of_edge[g.owner[pieces]]
        for k in sorted({*members, *kernels.tolist()}):
            color = hue(k, c)
            lines = screen[kernels == k]
            for grown, paint in ((LINE, color), (0.0, mix(c.groups[-1], color, 0.22))):
                pen = QtGui.QPen(QtGui.QColor(paint), BAND * z + 2 * grown)
                pen.setCapStyle(QtCore.Qt.PenCapStyle.RoundCap)
                p.setPen(pen)
                self._lines.resize(len(lines))
                self._lines.ndarray()[:] = lines
                if len(lines):
                    p.drawLines(*self._lines.drawargs())
                p.setPen(QtCore.Qt.PenStyle.NoPen)
                p.setBrush(QtGui.QColor(paint))
                away = PAD * z + grown
                for r in members[k]:
                    p.drawRoundedRect(r.adjusted(-away, -away, away, away), 9 * z + away, 9 * z + away)
