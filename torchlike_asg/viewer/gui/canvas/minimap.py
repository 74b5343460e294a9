"""The minimap: the whole graph in a corner, without wires, and the part that is in view. A click or drag goes there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from pyqtgraph.Qt import QtCore, QtGui, QtWidgets

from .geometry import Geometry

if TYPE_CHECKING:
    from .widget import Canvas

WIDE, HIGH, MARGIN = 130, 200, 12
NARROWEST = 56


class Minimap(QtWidgets.QWidget):
    """Lies over the canvas's lower right corner. A graph much taller than wide is shown piecewise: the part around the view."""

    def __init__(self, canvas: Canvas) -> None:
        super().__init__(canvas)
        self._canvas = canvas
        self._picture: QtGui.QPixmap | None = None
        self._key: tuple[object, ...] = ()
        self.setCursor(QtCore.Qt.CursorShape.PointingHandCursor)
        canvas.looked.connect(self.update)

    def set_geometry(self, geometry: Geometry) -> None:
        self._geometry = geometry
        self._key = ()
        self.place()

    def place(self) -> None:
        """Fit into the corner, in the graph's proportions."""
        scene = self._geometry.scene
        scale = min(WIDE / max(scene.width, 1), HIGH / max(scene.height, 1))
        wide = int(min(WIDE, max(NARROWEST, scene.width * scale)))
        high = int(min(HIGH, max(NARROWEST, scene.height * scale)))
        canvas = self._canvas
        self.setGeometry(canvas.width() - wide - MARGIN - 8, canvas.height() - high - MARGIN - 8, wide + 8, high + 8)
        self.update()

    def window_(self) -> tuple[float, float, float, float]:
        """The part of the scene the map shows (x, y, width, height): all of it, unless that would be less than readable."""
        scene = self._geometry.scene
        inner_w, inner_h = self.width() - 8, self.height() - 8
        scale = min(inner_w / max(scene.width, 1), inner_h / max(scene.height, 1))
        if scene.width * scale >= NARROWEST * 0.5:
            w, h = inner_w / scale, inner_h / scale
            return (scene.width - w) / 2, (scene.height - h) / 2, w, h
        scale = NARROWEST * 0.9 / max(scene.width, 1)
        w, h = inner_w / scale, inner_h / scale
        canvas = self._canvas
        _, middle = canvas.camera.to_scene(0, canvas.height() / 2)
        y = min(max(middle - h / 2, -20.0), max(scene.height - h + 20, -20.0))
        return (scene.width - w) / 2, y, w, h

    def paintEvent(self, event: QtGui.QPaintEvent) -> None:
        if not self._geometry.scene.boxes:
            return
        p = QtGui.QPainter(self)
        window = self.window_()
        key = (window, self.size().width(), self.size().height(), id(self._canvas.painter), self.devicePixelRatioF())
        if self._picture is None or key != self._key:
            self._picture, self._key = self._draw(window), key
        p.drawPixmap(0, 0, self._picture)
        x, y, w, _ = window
        scale = (self.width() - 8) / w
        canvas = self._canvas
        (x0, y0), (x1, y1) = canvas.camera.to_scene(0, 0), canvas.camera.to_scene(canvas.width(), canvas.height())
        view = QtCore.QRectF(4 + (x0 - x) * scale, 4 + (y0 - y) * scale, (x1 - x0) * scale, (y1 - y0) * scale)
        p.setPen(QtGui.QPen(QtGui.QColor(canvas.colors.selection), 1.5))
        p.setBrush(QtCore.Qt.BrushStyle.NoBrush)
        p.drawRect(view.intersected(QtCore.QRectF(1, 1, self.width() - 2, self.height() - 2)))
        p.end()

    def _draw(self, window: tuple[float, float, float, float]) -> QtGui.QPixmap:
        canvas, g = self._canvas, self._geometry
        ratio = self.devicePixelRatioF()
        picture = QtGui.QPixmap(max(1, int(self.width() * ratio)), max(1, int(self.height() * ratio)))
        picture.setDevicePixelRatio(ratio)
        background = QtGui.QColor(canvas.colors.panel)
        background.setAlpha(235)
        picture.fill(background)
        p = QtGui.QPainter(picture)
        x, y, w, _ = window
        scale = (self.width() - 8) / w
        screen = g.rects * scale
        screen[:, 0] += 4 - x * scale
        screen[:, 1] += 4 - y * scale
        seen = np.flatnonzero((screen[:, 1] < self.height()) & (screen[:, 1] + screen[:, 3] > 0))
        p.setPen(QtCore.Qt.PenStyle.NoPen)
        for i in sorted(seen.tolist(), key=lambda i: g.scene.boxes[i].depth):
            box = g.scene.boxes[i]
            rect = QtCore.QRectF(screen[i, 0], screen[i, 1], max(screen[i, 2], 1.0), max(screen[i, 3], 1.0))
            p.fillRect(rect, QtGui.QColor(canvas.colors.group(box.depth + 1) if box.kind == "open" else canvas.model.style(box).hue))
        p.setPen(QtGui.QPen(QtGui.QColor(canvas.colors.line), 1))
        p.drawRect(QtCore.QRectF(0.5, 0.5, self.width() - 1, self.height() - 1))
        p.end()
        return picture

    def mousePressEvent(self, event: QtGui.QMouseEvent) -> None:
        self._go(event.position())

    def mouseMoveEvent(self, event: QtGui.QMouseEvent) -> None:
        if event.buttons() & QtCore.Qt.MouseButton.LeftButton:
            self._go(event.position())

    def _go(self, at: QtCore.QPointF) -> None:
        x, y, w, _ = self.window_()
        scale = (self.width() - 8) / w
        self._canvas.look_at(x + (at.x() - 4) / scale, y + (at.y() - 4) / scale)
