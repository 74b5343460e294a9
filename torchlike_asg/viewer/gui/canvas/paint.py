"""Drawing a scene with any QPainter: the widget's, an image's, an SVG's or a PDF's.

One pass over what shows: groups, outlines of fused kernels, edges, boxes, and the titles of groups over all that. Detail goes with the
zoom: text, then arrow heads, then only rectangles by colour.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from pyqtgraph.Qt import QtCore, QtGui, internals

from ..layout import Box, Tree
from ..layout.nested import TITLE
from .fusions import FusionSets
from .geometry import Camera, Geometry
from .lettering import Lettering
from .palette import Colors, Style, mix, readable
from .wires import Wires

#: zooms below which text and boxes' own shapes are left out
TEXT_ZOOM, SHAPE_ZOOM = 0.32, 0.16


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

    ``selected`` box or -1, ``hover`` likewise;  ``matches`` boxes a search found;  ``bad`` boxes and ``bad_edges`` edges in error, with
    ``bad_text`` beside them
    ``heat``     box -> value from 0 to 1, and ``heat_text`` the number beside it
    ``fusions``  box -> number of the fused kernel it is part of, and ``fused_edges`` those within a kernel: outlined as one set
    """

    selected: int = -1
    hover: int = -1
    matches: Collection[int] = ()
    bad: Collection[int] = ()
    bad_edges: Collection[int] = ()
    bad_text: Mapping[int, str] = field(default_factory=dict)
    heat: Mapping[int, float] = field(default_factory=dict)
    heat_text: Mapping[int, str] = field(default_factory=dict)
    fusions: Mapping[int, int] = field(default_factory=dict)
    fused_edges: Mapping[int, int] = field(default_factory=dict)


class Painter:
    """Draws scenes of one model in one theme. Keeps laid-out texts between frames."""

    def __init__(self, model: Model, colors: Colors, family: str = "DejaVu Sans") -> None:
        self.model, self.colors = model, colors
        self.lettering = Lettering(family)
        self._wires, self._fusions = Wires(colors, self.lettering), FusionSets(colors)
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
        groups = [i for i in geometry.back_to_front if i in shown and boxes[i].kind == "open"]
        for i in groups:
            self._group(p, boxes[i], i, camera, marks)
        if camera.zoom >= SHAPE_ZOOM:
            self._fusions.draw(p, geometry, camera, width, height, marks.fusions, marks.fused_edges)
        self._wires.draw(p, geometry, camera, width, height, marks.selected, marks.bad_edges)
        if camera.zoom < SHAPE_ZOOM:
            self._specks(p, geometry, visible[geometry.closed[visible]], camera, marks)
            return
        for i in geometry.back_to_front:
            if i in shown and boxes[i].kind != "open":
                self._box(p, boxes[i], i, camera, marks)
        if camera.zoom >= TEXT_ZOOM * 0.7:
            for i in groups:
                if i != sticky:
                    self._title(p, boxes[i], camera, None)
            if sticky in shown:  # titles of groups within push it out of view
                inner = [y for i in groups if boxes[i].parent == sticky and (y := _rect(boxes[i], camera).y()) > 0]
                self._title(p, boxes[sticky], camera, min(inner, default=height))
        self._wires.labels(p, geometry, camera, marks.bad_text)

    # ----- groups
    def _group(self, p: QtGui.QPainter, box: Box, i: int, camera: Camera, marks: Marks) -> None:
        c, z = self.colors, camera.zoom
        r = _rect(box, camera)
        if r.height() < 2:
            return
        chosen = i == marks.selected
        pen = QtGui.QColor(c.selection if chosen else c.bad if i in marks.bad else c.line)
        p.setPen(QtGui.QPen(pen, 2.4 if chosen or i in marks.bad else 1.0))
        p.setBrush(QtGui.QColor(c.group(box.depth)))
        p.drawRoundedRect(r, 9 * z, 9 * z)

    def _title(self, p: QtGui.QPainter, box: Box, camera: Camera, below: float | None) -> None:
        """A group's name and class on plates in its colour, for edges not to cross letters; of a group scrolled past on a strip at the
        view's upper edge, which ends where the next title is: `below`."""
        c, z, letters = self.colors, camera.zoom, self.lettering
        r = _rect(box, camera)
        past = below is not None and r.y() < 0
        top = r.y() if below is None or not past else min(0.0, min(r.bottom(), below) - TITLE * z)
        line = QtCore.QRectF(r.x() + 11 * z, top + 6 * z, r.width() - 22 * z, 20 * z)
        ground = QtGui.QColor(c.group(box.depth))
        p.setPen(QtCore.Qt.PenStyle.NoPen)
        p.setBrush(ground)
        if past:
            p.drawRect(QtCore.QRectF(r.x() + 1, top, r.width() - 2, TITLE * z))
            p.setPen(QtGui.QPen(QtGui.QColor(c.line), 1))
            p.drawLine(QtCore.QPointF(r.x() + 1, top + TITLE * z), QtCore.QPointF(r.right() - 1, top + TITLE * z))
            p.setPen(QtCore.Qt.PenStyle.NoPen)
        title, subtitle = self.model.group_text(box.item, ())
        title = f"▾ {title}"
        wide = min(letters.width(title, 12.5 * z, True), line.width())
        rest = line.width() - wide - 16 * z
        # what does not fit is told by the inspector: first the count goes, then the class
        shown = next((t for t in (subtitle, subtitle.partition(" · ")[0]) if t and letters.width(t, 11 * z) <= rest), "")
        beside = letters.width(shown, 11 * z) if shown else 0.0
        plate = line.adjusted(0, 2 * z, 0, -2 * z)
        p.drawRect(QtCore.QRectF(plate.x() - 2, plate.y(), wide + 4, plate.height()))
        if shown:
            p.drawRect(QtCore.QRectF(plate.right() - beside - 3, plate.y(), beside + 4, plate.height()))
        letters.line(p, title, 12.5 * z, True, c.text, line)
        letters.line(
            p, shown, 11 * z, False, c.dim, QtCore.QRectF(line.right() - beside - 2, line.y(), beside + 2, line.height()), right=True
        )

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
            text = dim = readable(fill)
        chosen, bad = i == marks.selected, i in marks.bad
        border = c.selection if chosen else c.bad if bad else style.hue
        p.setPen(QtGui.QPen(QtGui.QColor(border), 3.0 if chosen else 2.6 if bad else 1.6 if i == marks.hover else 1.0))
        p.setBrush(QtGui.QColor(fill))
        p.drawRoundedRect(r, radius, radius)
        if not pill:
            p.setPen(QtCore.Qt.PenStyle.NoPen)
            p.setBrush(QtGui.QColor(style.hue))
            p.drawRoundedRect(QtCore.QRectF(r.x(), r.y(), 5 * z, r.height()), 2 * z, 2 * z)
        if bad:
            self._ring(p, r, radius, QtGui.QColor(c.bad), 4.0, QtCore.Qt.PenStyle.SolidLine)
        if i in marks.matches:
            self._ring(p, r, radius, QtGui.QColor(c.match), 4.0, QtCore.Qt.PenStyle.DashLine)
        if z >= TEXT_ZOOM:
            self._label(p, box, r, style, z, pill, text, dim, marks.heat_text.get(i, ""))

    def _label(
        self, p: QtGui.QPainter, box: Box, r: QtCore.QRectF, style: Style, z: float, pill: bool, text: str, dim: str, number: str
    ) -> None:
        if box.kind == "node":
            title, subtitle = self.model.node_text(box.item)
            title = f"{style.glyph} {title}"
        else:
            title, subtitle = self.model.group_text(box.item, box.members)
            title = f"▸ {title}"
        letters = self.lettering
        inner = r.adjusted(12 * z, 0, -9 * z, 0)
        if not subtitle and not number:
            letters.line(p, title, (11.5 if pill else 12.5) * z, not pill, text, inner)
            return
        upper = QtCore.QRectF(inner.x(), r.y() + 4 * z, inner.width(), r.height() / 2 - 3 * z)
        lower = QtCore.QRectF(inner.x(), r.y() + r.height() / 2, inner.width(), r.height() / 2 - 4 * z)
        letters.line(p, title, 12.5 * z, True, text, upper)
        if number:
            used = letters.line(p, number, 11 * z, True, text, lower, right=True) + 8 * z
            if letters.width(subtitle, 10.5 * z) > lower.width() - used:
                subtitle = subtitle.partition(" · ")[0] if " · " in subtitle else ""
            lower = lower.adjusted(0, 0, -used, 0)
        letters.line(p, subtitle, 10.5 * z, False, dim, lower)

    @staticmethod
    def _ring(p: QtGui.QPainter, r: QtCore.QRectF, radius: float, color: QtGui.QColor, away: float, style: QtCore.Qt.PenStyle) -> None:
        p.setPen(QtGui.QPen(color, 1.8, style))
        p.setBrush(QtCore.Qt.BrushStyle.NoBrush)
        p.drawRoundedRect(r.adjusted(-away, -away, away, away), radius + away, radius + away)


def _rect(box: Box, camera: Camera) -> QtCore.QRectF:
    z = camera.zoom
    return QtCore.QRectF(box.x * z + camera.x, box.y * z + camera.y, box.w * z, box.h * z)
