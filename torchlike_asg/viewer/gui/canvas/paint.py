"""Drawing a scene with any QPainter: the widget's, an image's, an SVG's or a PDF's.

One pass over what shows: groups, edges as batches of straight pieces (a stroker of curves at more than a pixel's width is twenty times
slower), arrow heads, boxes. Detail goes with the zoom: text, then arrow heads, then only rectangles by colour.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from pyqtgraph.Qt import QtCore, QtGui, internals

from ..layout import Box, Tree
from ..layout.nested import TITLE
from .geometry import Camera, Geometry
from .palette import Colors, Style, mix

#: zooms below which text, arrow heads, and boxes' own shapes are left out
TEXT_ZOOM, ARROW_ZOOM, SHAPE_ZOOM, EDGE_ZOOM = 0.32, 0.28, 0.16, 0.02
TEXTS = 4000


class Model(Protocol):
    """What the canvas shows: a tree of groups, and how its nodes and groups are called and look."""

    tree: Tree

    def node_text(self, node: int) -> tuple[str, str]:
        """(title, subtitle) of a node's box."""

    def group_text(self, group: int, members: Collection[int]) -> tuple[str, str]:
        """(title, subtitle) of a group's box; `members`, if any, are the equal groups that it stands for."""

    def style(self, box: Box) -> Style: ...


@dataclass
class Marks:
    """What is marked on the drawing.

    ``selected`` box or -1, ``hover`` likewise;  ``matches`` boxes a search found;  ``bad`` boxes and ``bad_edges`` edges in error
    ``heat``     box -> value from 0 to 1, and ``heat_text`` the number beside it
    ``fusions``  box -> number of the fused kernel it is part of: equal ones are outlined in one colour
    ``faded``    boxes that are to step back (what a filter excludes)
    """

    selected: int = -1
    hover: int = -1
    matches: Collection[int] = ()
    bad: Collection[int] = ()
    bad_edges: Collection[int] = ()
    heat: Mapping[int, float] = field(default_factory=dict)
    heat_text: Mapping[int, str] = field(default_factory=dict)
    fusions: Mapping[int, int] = field(default_factory=dict)
    faded: Collection[int] = ()


class Painter:
    """Draws scenes of one model in one theme. Keeps laid-out texts between frames."""

    def __init__(self, model: Model, colors: Colors, family: str = "DejaVu Sans") -> None:
        self.model, self.colors, self.family = model, colors, family
        self._texts: OrderedDict[tuple[str, int, bool, int], QtGui.QStaticText] = OrderedDict()
        self._fonts: dict[tuple[int, bool], QtGui.QFont] = {}
        self._lines = internals.PrimitiveArray(QtCore.QLineF, 4)
        self._rects = internals.PrimitiveArray(QtCore.QRectF, 4)
        self._heat = pg.colormap.get("viridis")

    def draw(self, p: QtGui.QPainter, geometry: Geometry, camera: Camera, width: float, height: float, marks: Marks) -> None:
        """Fill the area of that size with the part of the scene that the camera sees."""
        p.fillRect(QtCore.QRectF(0, 0, width, height), QtGui.QColor(self.colors.background))
        p.setRenderHint(QtGui.QPainter.RenderHint.Antialiasing)
        visible = geometry.boxes_in(camera, width, height)
        shown = set(visible.tolist())
        boxes = geometry.scene.boxes
        sticky = geometry.at(*camera.to_scene(width / 2, 0))  # the innermost group scrolled past keeps its title in view
        if sticky >= 0 and boxes[sticky].kind != "open":
            sticky = boxes[sticky].parent
        for i in geometry.back_to_front:
            if i in shown and boxes[i].kind == "open":
                self._group(p, boxes[i], i, camera, marks, i == sticky)
        self._edges(p, geometry, camera, width, height, marks)
        if camera.zoom < SHAPE_ZOOM:
            self._specks(p, geometry, visible[geometry.closed[visible]], camera, marks)
            return
        for i in geometry.back_to_front:
            if i in shown and boxes[i].kind != "open":
                self._box(p, boxes[i], i, camera, marks)

    # ----- groups
    def _group(self, p: QtGui.QPainter, box: Box, i: int, camera: Camera, marks: Marks, sticky: bool) -> None:
        c, z = self.colors, camera.zoom
        r = _rect(box, camera)
        if r.height() < 2:
            return
        chosen = i == marks.selected
        pen = QtGui.QColor(c.selection if chosen else c.bad if i in marks.bad else c.line)
        p.setPen(QtGui.QPen(pen, 2.4 if chosen or i in marks.bad else 1.0))
        p.setBrush(QtGui.QColor(c.group(box.depth)))
        p.drawRoundedRect(r, 9 * z, 9 * z)
        if z < TEXT_ZOOM * 0.7:
            return
        title, subtitle = self.model.group_text(box.item, ())
        top = min(max(r.y(), 0.0), r.bottom() - TITLE * z) if sticky else r.y()
        line = QtCore.QRectF(r.x() + 11 * z, top + 6 * z, r.width() - 22 * z, 20 * z)
        used = self._text(p, "▾ " + title, 12.5, True, c.text, line, z)
        rest = line.width() - used - 14 * z
        if subtitle and rest > 60 * z:
            self._text(p, subtitle, 11, False, c.dim, QtCore.QRectF(line.right() - rest, line.y(), rest, line.height()), z, right=True)

    # ----- edges
    def _edges(self, p: QtGui.QPainter, g: Geometry, camera: Camera, width: float, height: float, marks: Marks) -> None:
        if camera.zoom < EDGE_ZOOM or not len(g.segments):
            return
        c, z = self.colors, camera.zoom
        pieces = g.pieces_in(camera, width, height)
        owner = g.owner[pieces]
        incident = np.zeros(len(g.ends), bool)
        if marks.selected >= 0:
            incident[g.incident(marks.selected)] = True
        bad = np.zeros(len(g.ends), bool)
        bad[list(marks.bad_edges)] = True
        usual = ~(incident | bad)
        screen = g.segments[pieces] * z + (camera.x, camera.y, camera.x, camera.y)
        for chosen, color, wide, dashed in (
            (usual & ~g.back, c.edge, 1.0, False),
            (usual & g.back, c.edge, 1.0, True),
            (incident & ~bad, c.incident, 2.2, False),
            (bad, c.bad, 3.0, False),
        ):
            self._pieces(p, screen[chosen[owner]], color, wide, dashed)
        if z >= ARROW_ZOOM:
            self._arrows(p, g, camera, width, height, [(usual, c.edge), (incident & ~bad, c.incident), (bad, c.bad)])

    def _pieces(self, p: QtGui.QPainter, screen: NDArray[np.float64], color: str, wide: float, dashed: bool) -> None:
        if not len(screen):
            return
        pen = QtGui.QPen(QtGui.QColor(color), wide)
        pen.setCapStyle(QtCore.Qt.PenCapStyle.RoundCap if wide > 1 else QtCore.Qt.PenCapStyle.FlatCap)
        if dashed:
            pen.setDashPattern([5.0, 4.0])
        p.setPen(pen)
        self._lines.resize(len(screen))
        self._lines.ndarray()[:] = screen
        p.drawLines(*self._lines.drawargs())

    def _arrows(
        self, p: QtGui.QPainter, g: Geometry, camera: Camera, width: float, height: float, kinds: list[tuple[NDArray[np.bool_], str]]
    ) -> None:
        z = camera.zoom
        tips = g.tips[:, 2:] * z + (camera.x, camera.y)
        near = (tips[:, 0] > -9) & (tips[:, 0] < width + 9) & (tips[:, 1] > -9) & (tips[:, 1] < height + 9)
        near &= g.arrows
        p.setPen(QtCore.Qt.PenStyle.NoPen)
        half, long = 3.4 * z + 1.0, 6.5 * z + 1.5
        for which, color in kinds:
            p.setBrush(QtGui.QColor(color))
            for k in np.flatnonzero(which & near).tolist():
                x, y = tips[k]
                down = -1.0 if g.back[k] else 1.0
                points = [(x, y), (x - half, y - down * long), (x + half, y - down * long)]
                p.drawPolygon(QtGui.QPolygonF([QtCore.QPointF(*q) for q in points]))

    # ----- boxes
    def _specks(self, p: QtGui.QPainter, g: Geometry, boxes: NDArray[np.int64], camera: Camera, marks: Marks) -> None:
        """From afar: rectangles by colour."""
        by_color: dict[str, list[int]] = {}
        for i in boxes.tolist():
            hue = self.model.style(g.scene.boxes[i]).hue
            if i in marks.heat:
                hue = self._heat.map(marks.heat[i], "qcolor").name()
            if i in marks.bad:
                hue = self.colors.bad
            if i == marks.selected or i in marks.matches:
                hue = self.colors.selection
            by_color.setdefault(hue, []).append(i)
        p.setPen(QtCore.Qt.PenStyle.NoPen)
        for hue, which in by_color.items():
            screen = g.rects[which] * camera.zoom
            screen[:, :2] += (camera.x, camera.y)
            screen[:, 2:] = np.maximum(screen[:, 2:], 1.0)
            p.setBrush(QtGui.QColor(hue))
            self._rects.resize(len(screen))
            self._rects.ndarray()[:] = screen
            p.drawRects(*self._rects.drawargs())

    def _box(self, p: QtGui.QPainter, box: Box, i: int, camera: Camera, marks: Marks) -> None:
        c, z = self.colors, camera.zoom
        style = self.model.style(box)
        r = _rect(box, camera)
        pill = box.kind == "node" and style.key in ("input", "weight")
        radius = r.height() / 2 if pill else 6 * z
        if box.kind == "fold":  # a stack of sheets
            p.setPen(QtGui.QPen(QtGui.QColor(c.line), 1))
            p.setBrush(QtGui.QColor(c.panel))
            for k in (2, 1):
                p.drawRoundedRect(r.translated(3.5 * k * z, 3.5 * k * z), radius, radius)
        face = style.hue
        heat = marks.heat.get(i)
        if heat is not None:
            face = self._heat.map(heat, "qcolor").name()
        fill = mix(c.panel, face, 0.75) if heat is not None else c.face(face)
        text, dim = c.text, c.dim
        if heat is not None:
            text = dim = "#FFFFFF" if QtGui.QColor(fill).lightnessF() < 0.55 else "#10141C"
        chosen, bad = i == marks.selected, i in marks.bad
        p.setOpacity(0.28 if i in marks.faded and not chosen else 1.0)
        border = c.selection if chosen else c.bad if bad else style.hue
        p.setPen(QtGui.QPen(QtGui.QColor(border), 3.0 if chosen else 2.6 if bad else 1.6 if i == marks.hover else 1.0))
        p.setBrush(QtGui.QColor(fill))
        p.drawRoundedRect(r, radius, radius)
        if not pill:
            p.setPen(QtCore.Qt.PenStyle.NoPen)
            p.setBrush(QtGui.QColor(style.hue))
            p.drawRoundedRect(QtCore.QRectF(r.x(), r.y(), 5 * z, r.height()), 2 * z, 2 * z)
        if i in marks.fusions:
            hue = QtGui.QColor.fromHsv(marks.fusions[i] * 67 % 360, 150, 235 if c.dark else 150)
            self._ring(p, r, radius, hue, 4 * z, QtCore.Qt.PenStyle.SolidLine)
        if i in marks.matches:
            self._ring(p, r, radius, QtGui.QColor(c.match), 4.0, QtCore.Qt.PenStyle.DashLine)
        if z >= TEXT_ZOOM:
            self._label(p, box, r, style, z, pill, text, dim, marks.heat_text.get(i, ""))
        p.setOpacity(1.0)

    def _label(
        self, p: QtGui.QPainter, box: Box, r: QtCore.QRectF, style: Style, z: float, pill: bool, text: str, dim: str, number: str
    ) -> None:
        if box.kind == "node":
            title, subtitle = self.model.node_text(box.item)
            title = f"{style.glyph} {title}"
        else:
            title, subtitle = self.model.group_text(box.item, box.members)
            title = f"▸ {title}"
        inner = r.adjusted(12 * z, 0, -9 * z, 0)
        if pill and not subtitle:
            self._text(p, title, 11.5, False, text, inner, z)
            return
        upper = QtCore.QRectF(inner.x(), r.y() + 4 * z, inner.width(), r.height() / 2 - 3 * z)
        lower = QtCore.QRectF(inner.x(), r.y() + r.height() / 2, inner.width(), r.height() / 2 - 4 * z)
        self._text(p, title, 12.5, True, text, upper, z)
        used = self._text(p, number, 11, True, text, lower, z, right=True) + 6 * z if number else 0.0
        self._text(p, subtitle, 10.5, False, dim, lower.adjusted(0, 0, -used, 0), z)

    @staticmethod
    def _ring(p: QtGui.QPainter, r: QtCore.QRectF, radius: float, color: QtGui.QColor, away: float, style: QtCore.Qt.PenStyle) -> None:
        p.setPen(QtGui.QPen(color, 1.8, style))
        p.setBrush(QtCore.Qt.BrushStyle.NoBrush)
        p.drawRoundedRect(r.adjusted(-away, -away, away, away), radius + away, radius + away)

    # ----- text
    def font(self, pixels: float, bold: bool = False) -> QtGui.QFont:
        key = (max(1, round(pixels)), bold)
        found = self._fonts.get(key)
        if found is None:
            found = self._fonts[key] = QtGui.QFont(self.family)
            found.setPixelSize(key[0])
            found.setBold(bold)
        return found

    def _text(
        self, p: QtGui.QPainter, text: str, size: float, bold: bool, color: str, r: QtCore.QRectF, zoom: float, right: bool = False
    ) -> float:
        """Draw a line of text in the middle of a rectangle's height, elided to its width; its width is returned."""
        if not text or r.width() < 8:
            return 0.0
        font = self.font(size * zoom, bold)
        key = (text, font.pixelSize(), bold, int(r.width()))
        laid = self._texts.get(key)
        if laid is None:
            elided = QtGui.QFontMetricsF(font).elidedText(text, QtCore.Qt.TextElideMode.ElideRight, r.width())
            laid = self._texts[key] = QtGui.QStaticText(elided)
            laid.setTextFormat(QtCore.Qt.TextFormat.PlainText)
            laid.prepare(QtGui.QTransform(), font)
            if len(self._texts) > TEXTS:
                self._texts.popitem(last=False)
        size_ = laid.size()
        p.setFont(font)
        p.setPen(QtGui.QColor(color))
        x = r.right() - size_.width() if right else r.x()
        p.drawStaticText(QtCore.QPointF(x, r.y() + (r.height() - size_.height()) / 2), laid)
        return float(size_.width())


def _rect(box: Box, camera: Camera) -> QtCore.QRectF:
    z = camera.zoom
    return QtCore.QRectF(box.x * z + camera.x, box.y * z + camera.y, box.w * z, box.h * z)
