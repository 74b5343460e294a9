"""A pair of axes with curves, one widget. (pyqtgraph's plots take 20 ms to draw anew, and a run in progress is drawn anew all the time.)

The ground with its grid and numbers is a picture that stays while the axes do; their ends move in jumps for that. Wheel: zoom about the
pointer, over an axis only along it. Drag: move. Double click: everything.
"""

from __future__ import annotations

import math
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pyqtgraph.Qt import QtCore, QtGui, QtWidgets, internals

from .canvas import Colors
from .canvas.lettering import Lettering
from .canvas.palette import mix
from .say import short
from .series import Series
from .ticks import Ticks, decades, linear

#: how far an axis reaches beyond the newest point when it is moved on, and beyond the values, as shares of the span
AHEAD, ROOM = 0.05, 0.06
#: heights of markers' texts, in turn where they stand close together
LEVELS = (0.02, 0.16, 0.3, 0.44)
#: points of a thin line that is drawn smoothly
FEW = 300
#: no zoom goes further in, as a share of the largest number on the axis
CLOSEST = 1e-9
Range = tuple[float, float]


@dataclass
class Line:
    """How a series is drawn. ``dash`` of other runs;  ``dots`` for few points;  ``holds`` its values until they are told anew, the last
    ``until`` there."""

    series: Series
    color: QtGui.QColor
    width: float = 1.6
    dash: list[int] = field(default_factory=list)
    dots: bool = False
    holds: bool = False
    until: float = 0.0

    def points(self, low: float, high: float, most: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        x, y = self.series.between(low, high, most)
        return held(x, y, self.until) if self.holds and len(x) else (x, y)


def held(x: NDArray[np.float64], y: NDArray[np.float64], end: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """A quantity that stays as it is until it is told anew, up to `end`: as steps."""
    return np.append(np.repeat(x, 2)[1:], max(end, x[-1])), np.repeat(y, 2)


class Plot(QtWidgets.QWidget):
    """``lines`` by key, ``markers`` as (place, text); `refresh` after either has changed. A `small` one has a title and only the smallest
    and the largest number.

    Signals: ``pointed(x)`` the pointer is at that place, ``left()`` no longer;  ``moved()`` the user changed the x axis,
    ``whole()`` wants to see everything.
    """

    pointed = QtCore.Signal(float, QtCore.QPoint)
    left = QtCore.Signal()
    moved = QtCore.Signal()
    whole = QtCore.Signal()

    def __init__(self, colors: Colors, small: bool = False) -> None:
        super().__init__()
        self.colors, self.small = colors, small
        self.lines: dict[Hashable, Line] = {}
        self.markers: list[tuple[float, str]] = []
        self.title = self.below = ""
        self.unit = 1.0  # of the x axis: between steps there are no others
        self.log = False
        self.cross: float | None = None
        #: what the axes show (of a logarithmic one the logarithms), and whether they follow the curves
        self.x: Range = (0.0, 1.0)
        self.y: Range = (0.0, 1.0)
        self.follows_x = self.follows_y = True
        self.points = 10.0
        self._lettering = Lettering(self.font().family())
        self._segments = internals.PrimitiveArray(QtCore.QLineF, 4)
        self._ground: tuple[Any, QtGui.QPixmap] | None = None
        self._grabbed: tuple[QtCore.QPointF, Range, Range] | None = None
        self.setMouseTracking(True)
        self.setAttribute(QtCore.Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.setMinimumSize(120, 60)
        self._measure()

    # ---------------------------------------------------------------- axes
    def refresh(self) -> None:
        """The curves have changed."""
        self._follow()
        self.update()

    def fit(self) -> None:
        """Show everything, and go on doing so."""
        self.follows_x = self.follows_y = True
        self.x = self.y = (math.nan, math.nan)
        self.refresh()

    def _follow(self) -> None:
        if self.follows_x:
            ends = [(*line.series.ends, line.until) for line in self.lines.values() if len(line.series)]
            if ends:
                low = min(e[0] for e in ends)
                self.x = _reaching(self.x, low, max(max(e[1:]) for e in ends), AHEAD / 2, AHEAD, 0.0)
        if self.follows_y:
            values = [(line.series.low, line.series.high) for line in self.lines.values() if not math.isnan(line.series.low)]
            if self.log:
                values = [(math.log10(low), math.log10(high)) for low, high in values if low > 0]
            if values:
                room = 0.2 if self.small else ROOM
                self.y = _reaching(self.y, min(v[0] for v in values), max(v[1] for v in values), room, room, 0.4 * room)

    def area(self) -> QtCore.QRectF:
        """Where the curves are."""
        return self._area

    def line_height(self) -> float:
        return self._line_height

    def pixels(self) -> float:
        """The size of texts."""
        return self.points * self.logicalDpiY() / 72.0

    def _measure(self) -> None:
        line = self._line_height = float(QtGui.QFontMetricsF(self._lettering.font(self.pixels())).height())
        wide = 7.6 * self.points if self.small else 5.0 * self.points
        top = line + 6 if self.small else 6.0
        bottom = 6.0 if self.small else 2 * line + 8
        self._area = QtCore.QRectF(wide, top, max(self.width() - wide - 8, 1.0), max(self.height() - top - bottom, 1.0))

    def resizeEvent(self, event: QtGui.QResizeEvent) -> None:
        self._measure()

    def place(self, x: float, y: float) -> QtCore.QPointF:
        """Where a point is in the widget; of a logarithmic axis `y` is the logarithm."""
        a, (x0, x1), (y0, y1) = self.area(), self.x, self.y
        return QtCore.QPointF(a.x() + (x - x0) / (x1 - x0) * a.width(), a.bottom() - (y - y0) / (y1 - y0) * a.height())

    def value_at(self, at: QtCore.QPointF) -> tuple[float, float]:
        """What the axes say of a point of the widget."""
        a, (x0, x1), (y0, y1) = self.area(), self.x, self.y
        return x0 + (at.x() - a.x()) / a.width() * (x1 - x0), y0 + (a.bottom() - at.y()) / a.height() * (y1 - y0)

    def ticks(self) -> tuple[Ticks, Ticks]:
        """The numbers on both axes."""
        a, line = self.area(), self.line_height()
        if self.small:
            values = [v for s in self.lines.values() for v in (s.series.low, s.series.high) if not math.isnan(v)]
            ends = {short(v): v for v in (min(values), max(values))} if values else {}
            return linear(*self.x, int(a.width() // 70), self.unit), [(v, text) for text, v in ends.items()]
        side, room = decades if self.log else linear, max(int(a.height() // (1.7 * line)), 1)
        tried = [side(*self.y, room + k) for k in range(3)]  # one number alone says little
        return linear(*self.x, max(int(a.width() // (7 * self.points)), 1), self.unit), next((t for t in tried if len(t) > 1), tried[-1])

    # ---------------------------------------------------------------- drawing
    def paintEvent(self, event: QtGui.QPaintEvent) -> None:
        p = QtGui.QPainter(self)
        p.drawPixmap(0, 0, self._kept_ground())
        if self.title:
            self._text(p, self.title, self.colors.dim, self.title_place(), "middle")
        area = self.area()
        p.setClipRect(area.adjusted(-1, -2, 3, 2))
        for x, _ in self.markers:
            at = self.place(x, 0.0).x()
            p.setPen(QtGui.QPen(QtGui.QColor(self.colors.incident), 1, QtCore.Qt.PenStyle.DashLine))
            p.drawLine(QtCore.QPointF(at, area.top()), QtCore.QPointF(at, area.bottom()))
        for line in self.lines.values():
            self._line(p, line, area)
        p.setRenderHint(QtGui.QPainter.RenderHint.Antialiasing, False)
        for (_, text), r in zip(self.markers, self.marker_places(), strict=True):
            if r.left() < area.right():
                self._text(p, text, self.colors.incident, r)
        if self.cross is not None:
            at = self.place(self.cross, 0.0).x()
            p.setPen(QtGui.QPen(QtGui.QColor(self.colors.dim), 1))
            p.drawLine(QtCore.QPointF(at, area.top()), QtCore.QPointF(at, area.bottom()))
        p.end()

    def title_place(self) -> QtCore.QRectF:
        """Over the curves; that of a long title reaches over the numbers beside them, so that its own number is not cut off."""
        a, wide = self.area(), self._lettering.width(self.title, 0.9 * self.pixels()) + 2
        left = a.x() if wide <= a.width() else max(2.0, a.right() - wide)
        return QtCore.QRectF(left, 2, a.right() - left, self.line_height())

    def _text(self, p: QtGui.QPainter, text: str, color: str, r: QtCore.QRectF, align: str = "left") -> None:
        if align == "middle":
            wide = min(self._lettering.width(text, 0.9 * self.pixels()) + 2, r.width())
            r = QtCore.QRectF(r.center().x() - wide / 2, r.y(), wide, r.height())
        self._lettering.line(p, text, 0.9 * self.pixels(), False, color, r, right=align == "right")

    def _kept_ground(self) -> QtGui.QPixmap:
        """Ground, grid and numbers."""
        xs, ys = self.ticks()
        key = (self.x, self.y, self.size(), self.devicePixelRatioF(), self.colors, self.below, self.log, self.points, tuple(xs), tuple(ys))
        if self._ground is None or self._ground[0] != key:
            self._ground = key, self._draw_ground(xs, ys)
        return self._ground[1]

    def _draw_ground(self, xs: Ticks, ys: Ticks) -> QtGui.QPixmap:
        ratio, a, c, line = self.devicePixelRatioF(), self.area(), self.colors, self.line_height()
        picture = QtGui.QPixmap(max(1, int(self.width() * ratio)), max(1, int(self.height() * ratio)))
        picture.setDevicePixelRatio(ratio)
        picture.fill(QtGui.QColor(c.panel))
        p = QtGui.QPainter(picture)
        grid, axis = QtGui.QPen(QtGui.QColor(mix(c.panel, c.text, 0.09)), 1), QtGui.QPen(QtGui.QColor(c.line), 1)
        used = -1.0
        for x, text in xs:
            at = round(self.place(x, 0.0).x()) + 0.5
            p.setPen(grid)
            p.drawLine(QtCore.QPointF(at, a.top()), QtCore.QPointF(at, a.bottom()))
            wide = self._lettering.width(text, 0.9 * self.pixels()) + 4
            if not self.small and at - wide / 2 > used and at + wide / 2 < self.width():
                self._text(p, text, c.dim, QtCore.QRectF(at - wide / 2, a.bottom() + 3, wide, line), "middle")
                used = at + wide / 2 + 4
        used = math.inf
        for y, text in sorted(ys):
            at = round(self.place(0.0, y).y()) + 0.5
            p.setPen(grid)
            p.drawLine(QtCore.QPointF(a.left(), at), QtCore.QPointF(a.right(), at))
            if at + line / 2 <= used:
                self._text(p, text, c.dim, QtCore.QRectF(2, at - line / 2, a.left() - 8, line), "right")
                used = at - line / 2
        p.setPen(axis)
        p.drawLine(a.topLeft(), a.bottomLeft())
        p.drawLine(a.bottomLeft(), a.bottomRight())
        if self.below:
            self._text(p, self.below, c.dim, QtCore.QRectF(a.x(), self.height() - line - 2, a.width(), line), "middle")
        p.end()
        return picture

    def _line(self, p: QtGui.QPainter, line: Line, area: QtCore.QRectF) -> None:
        (x0, x1), (y0, y1) = self.x, self.y
        x, y = line.points(x0, x1, max(int(area.width()), 64))
        if self.log:
            y = np.log10(np.where(y > 0, y, np.nan))
        px = area.x() + (x - x0) * (area.width() / (x1 - x0))
        py = np.clip(area.bottom() - (y - y0) * (area.height() / (y1 - y0)), -1e4, 1e4)
        # many thin strokes look the same without, and take a sixth of the time
        p.setRenderHint(QtGui.QPainter.RenderHint.Antialiasing, line.width > 1 or len(x) < FEW)
        if line.dots:
            p.setPen(QtCore.Qt.PenStyle.NoPen)
            p.setBrush(line.color)
            for at, high in zip(px.tolist(), py.tolist(), strict=True):
                if not math.isnan(high):
                    p.drawEllipse(QtCore.QPointF(at, high), 2.5, 2.5)
        points = np.column_stack([px, py])
        pieces = np.hstack([points[:-1], points[1:]])
        pieces = pieces[np.isfinite(pieces).all(1)]
        if not len(pieces):
            return
        pen = QtGui.QPen(line.color, line.width)
        if line.dash:
            pen.setDashPattern(line.dash)
            p.setPen(pen)
            path = QtGui.QPainterPath()
            end = None
            for ax, ay, bx, by in pieces.tolist():
                if end != (ax, ay):
                    path.moveTo(ax, ay)
                path.lineTo(bx, by)
                end = (bx, by)
            p.setBrush(QtCore.Qt.BrushStyle.NoBrush)
            p.drawPath(path)
            return
        p.setPen(pen)
        self._segments.resize(len(pieces))
        self._segments.ndarray()[:] = pieces
        p.drawLines(*self._segments.drawargs())

    def marker_places(self) -> list[QtCore.QRectF]:
        """Where the texts of markers stand."""
        area, line = self.area(), self.line_height()
        ends, found = [-math.inf] * len(LEVELS), []  # how far the texts at each height reach
        for x, text in self.markers:
            at, wide = self.place(x, 0.0).x() + 4, self._lettering.width(text, 0.9 * self.pixels()) + 2
            level = next((k for k, end in enumerate(ends) if end <= at), ends.index(min(ends)))
            ends[level] = at + wide + 6
            found.append(QtCore.QRectF(at, area.top() + LEVELS[level] * area.height(), wide, line))
        return found

    # ---------------------------------------------------------------- appearance
    def set_colors(self, colors: Colors) -> None:
        self.colors = colors
        self.update()

    def set_text_size(self, points: float) -> None:
        self.points = points
        self._measure()
        self.update()

    # ---------------------------------------------------------------- mouse
    def wheelEvent(self, event: QtGui.QWheelEvent) -> None:
        at, a = event.position(), self.area()
        factor = 1.0015 ** -event.angleDelta().y()
        x, y = self.value_at(at)
        if at.y() <= a.bottom() and (at.x() < a.left() or not self.small):
            self.follows_y, self.y = False, _zoomed(self.y, y, factor)
        if at.x() >= a.left():
            self.follows_x, self.x = False, _zoomed(self.x, x, factor)
            self.moved.emit()
        self.update()

    def mousePressEvent(self, event: QtGui.QMouseEvent) -> None:
        if event.button() == QtCore.Qt.MouseButton.LeftButton:
            self._grabbed = event.position(), self.x, self.y

    def mouseMoveEvent(self, event: QtGui.QMouseEvent) -> None:
        if self._grabbed is None:
            if self.area().contains(event.position()):
                self.pointed.emit(self.value_at(event.position())[0], event.position().toPoint())
            else:
                self.left.emit()
            return
        begun, (x0, x1), (y0, y1) = self._grabbed
        a, by = self.area(), event.position() - begun
        if by.manhattanLength() < 3 and self.follows_x:
            return
        dx, dy = by.x() / a.width() * (x1 - x0), by.y() / a.height() * (y1 - y0)
        self.follows_x, self.x = False, (x0 - dx, x1 - dx)
        if not self.small:
            self.follows_y, self.y = False, (y0 + dy, y1 + dy)
        self.moved.emit()
        self.update()

    def mouseReleaseEvent(self, event: QtGui.QMouseEvent) -> None:
        self._grabbed = None

    def mouseDoubleClickEvent(self, event: QtGui.QMouseEvent) -> None:
        self.whole.emit()

    def leaveEvent(self, event: QtCore.QEvent) -> None:
        self.left.emit()


def _reaching(now: Range, low: float, high: float, before: float, after: float, least: float) -> Range:
    """An axis from `low` to `high` with room (shares of the span) before and after: the one there is, if it has at least `least` of room
    still and is not much too long."""
    span = high - low
    if not span > 0:
        span = abs(high) * 0.2 or 1.0
        if low == high:
            low, high = low - span / 2, high + span / 2
    fits = now[0] <= low - least * span and now[1] >= high + least * span
    if fits and now[1] - now[0] <= 1.25 * (1 + before + after) * span:
        return now
    return low - before * span, high + after * span


def _zoomed(now: Range, about: float, factor: float) -> Range:
    low, high = about + (now[0] - about) * factor, about + (now[1] - about) * factor
    return (low, high) if high - low > CLOSEST * max(abs(low), abs(high)) else now
