"""Edges on a drawing: batches of straight pieces (a stroker of curves at more than a pixel's width is twenty times slower), arrow heads,
dashes for edges against the order of execution, and labels on edges in error."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
from numpy.typing import NDArray
from pyqtgraph.Qt import QtCore, QtGui, internals

from .geometry import Camera, Geometry
from .lettering import Lettering
from .palette import Colors

#: zooms below which arrow heads and edges are left out
ARROW_ZOOM, EDGE_ZOOM = 0.28, 0.02
Flags = NDArray[np.bool_]


class Wires:
    """Draws the edges of a scene in one theme."""

    def __init__(self, colors: Colors, lettering: Lettering) -> None:
        self.colors, self._lettering = colors, lettering
        self._lines = internals.PrimitiveArray(QtCore.QLineF, 4)

    def draw(
        self,
        p: QtGui.QPainter,
        g: Geometry,
        camera: Camera,
        width: float,
        height: float,
        selected: int,
        bad: Collection[int],
    ) -> None:
        """All edges in view: those that lead to or from the box `selected` and those in `bad` stand out."""
        if camera.zoom < EDGE_ZOOM or not len(g.segments):
            return
        c, z = self.colors, camera.zoom
        pieces = g.pieces_in(camera, width, height)
        owner = g.owner[pieces]
        incident, wrong = np.zeros(len(g.ends), bool), np.zeros(len(g.ends), bool)
        if selected >= 0:
            incident[g.incident(selected)] = True
        wrong[list(bad)] = True
        incident &= ~wrong
        usual = ~(incident | wrong)
        screen = g.segments[pieces] * z + (camera.x, camera.y, camera.x, camera.y)
        kinds = ((usual, c.edge, 1.0), (incident, c.incident, 2.2), (wrong, c.bad, 3.0))
        for which, color, wide in kinds:
            self._pieces(p, screen[(which & ~g.back)[owner]], color, wide)
            dashed = (which & g.back)[owner]
            self._dashed(p, screen[dashed], owner[dashed], color, wide)
        if z >= ARROW_ZOOM:
            for which, color, wide in kinds:
                self._arrows(p, g, camera, width, height, which, color, wide)

    def _pieces(self, p: QtGui.QPainter, screen: NDArray[np.float64], color: str, wide: float) -> None:
        if not len(screen):
            return
        pen = QtGui.QPen(QtGui.QColor(color), wide)
        pen.setCapStyle(QtCore.Qt.PenCapStyle.RoundCap if wide > 1 else QtCore.Qt.PenCapStyle.FlatCap)
        p.setPen(pen)
        self._lines.resize(len(screen))
        self._lines.ndarray()[:] = screen
        p.drawLines(*self._lines.drawargs())

    @staticmethod
    def _dashed(p: QtGui.QPainter, screen: NDArray[np.float64], owner: NDArray[np.int64], color: str, wide: float) -> None:
        """Each edge as one line, for its dashes to go on from piece to piece."""
        if not len(screen):
            return
        pen = QtGui.QPen(QtGui.QColor(color), wide)
        pen.setDashPattern([6.0 / wide, 4.0 / wide])
        p.setPen(pen)
        breaks = np.flatnonzero((np.diff(owner) != 0) | np.any(screen[1:, :2] != screen[:-1, 2:], axis=1)) + 1
        for run in np.split(screen, breaks):
            points = [QtCore.QPointF(*run[0, :2].tolist()), *(QtCore.QPointF(x, y) for x, y in run[:, 2:].tolist())]
            p.drawPolyline(QtGui.QPolygonF(points))

    def _arrows(
        self, p: QtGui.QPainter, g: Geometry, camera: Camera, width: float, height: float, which: Flags, color: str, wide: float
    ) -> None:
        z = camera.zoom
        tips = g.tips[:, 2:] * z + (camera.x, camera.y)
        near = (tips[:, 0] > -9) & (tips[:, 0] < width + 9) & (tips[:, 1] > -9) & (tips[:, 1] < height + 9)
        p.setPen(QtCore.Qt.PenStyle.NoPen)
        p.setBrush(QtGui.QColor(color))
        half, long = 3.4 * z + wide, 6.5 * z + 1.5 * wide
        for k in np.flatnonzero(which & near & g.arrows).tolist():
            x, y = tips[k]
            down = -1.0 if g.back[k] else 1.0
            points = [(x, y), (x - half, y - down * long), (x + half, y - down * long)]
            p.drawPolygon(QtGui.QPolygonF([QtCore.QPointF(*q) for q in points]))

    def labels(self, p: QtGui.QPainter, g: Geometry, camera: Camera, texts: Mapping[int, str]) -> None:
        """Texts on edges, on plates half way along."""
        for edge, text in texts.items():
            if g.arrows[edge] and camera.zoom >= ARROW_ZOOM:
                self._label(p, g, camera, edge, text)

    def _label(self, p: QtGui.QPainter, g: Geometry, camera: Camera, edge: int, text: str) -> None:
        size = max(9.0, 11.5 * camera.zoom)
        plate = self.plate(g, camera, edge, self._lettering.width(text, size, True) + 14, 2 * size)
        p.setPen(QtGui.QPen(QtGui.QColor(self.colors.bad), 1.4))
        p.setBrush(QtGui.QColor(self.colors.panel))
        p.drawRoundedRect(plate, 5, 5)
        self._lettering.line(p, text, size, True, self.colors.bad, plate.adjusted(7, 0, 0, 0))

    @staticmethod
    def plate(g: Geometry, camera: Camera, edge: int, wide: float, high: float) -> QtCore.QRectF:
        """Where a text of that size belongs: half way along an edge, beside it if it would cover a box there."""
        pieces = g.segments[g.owner == edge]
        at = np.concatenate([pieces[:1, :2], pieces[:, 2:]])
        along = np.concatenate([[0.0], np.cumsum(np.hypot(*(at[1:] - at[:-1]).T))])
        x, y = (np.interp(along[-1] / 2, along, at[:, k]) for k in (0, 1))
        sx, sy = camera.to_screen(float(x), float(y))
        plate = QtCore.QRectF(sx - wide / 2, sy - high / 2, wide, high)
        rects = g.rects[g.closed] * camera.zoom + (camera.x, camera.y, 0.0, 0.0)
        covered = [r.center().x() for r in (QtCore.QRectF(*r) for r in rects.tolist()) if r.adjusted(-4, -4, 4, 4).intersects(plate)]
        if covered:
            plate.moveLeft(sx - wide - 5 if sum(covered) / len(covered) >= sx else sx + 5)
        return plate
