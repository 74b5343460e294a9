"""The canvas: a graph one can pan, zoom, open and walk through. One widget, drawn by `Painter`; no item per node.

Mouse: drag pans, wheel zooms to the pointer (with Ctrl or without; Shift pans across), a click selects, a double click opens or closes.
Keys: see `KEYS`; they go by key code, so a Russian layout changes nothing.
"""

from __future__ import annotations

import math
import time
from collections.abc import Collection, Iterable

import numpy as np
from pyqtgraph.Qt import QtCore, QtGui, QtWidgets

from ..layout import Nested, Scene
from .geometry import Camera, Geometry, fit
from .keys import KEYS, key_of
from .minimap import Minimap
from .paint import Marks, Model, Painter
from .palette import Colors

ANIMATION = 0.15  # seconds
ZOOM_STEP = 1.18
#: scopes that are left out at first, and closed when they are shown: the backward half of a step, and its update
APART = ("∂", "optimizer")
#: boxes with more than this many drawn pieces around are not animated: every frame lays out their curves anew
ANIMATED_BOXES = 400


class Canvas(QtWidgets.QWidget):
    """Shows one model's graph.

    Signals: ``selected(kind, item)`` with kind ``"node"``, ``"group"`` or ``""`` for nothing; ``opened()`` after groups were opened or
    closed; ``looked()`` when what is in view changed; ``hovered(kind, item)``.
    """

    selected = QtCore.Signal(str, int)
    hovered = QtCore.Signal(str, int)
    opened = QtCore.Signal()
    looked = QtCore.Signal()

    def __init__(self, model: Model, colors: Colors, parent: QtWidgets.QWidget | None = None, animated: bool = True) -> None:
        super().__init__(parent)
        self.animated = animated
        self.hidden: frozenset[str] = frozenset(APART)
        self.camera = Camera()
        self.marks = Marks()
        self._fitted = True
        self._drag: QtCore.QPointF | None = None
        self._moved = False
        self._animation: tuple[float, Camera, Camera, dict[tuple[str, int], tuple[float, float]]] | None = None
        self._between = 0.0  # how far the animation is
        self._timer = QtCore.QTimer(self, interval=16)
        self._timer.timeout.connect(self._tick)
        self.setMouseTracking(True)
        self.setFocusPolicy(QtCore.Qt.FocusPolicy.StrongFocus)
        self.setMinimumSize(320, 240)
        self.setAttribute(QtCore.Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.minimap = Minimap(self)
        self.set_model(model, colors)

    # ----- content
    def set_model(self, model: Model, colors: Colors, keep: bool = False) -> None:
        """Show another graph; with `keep` a new version of this one: open groups, selection and view stay as far as they still exist."""
        paths: set[str] = set()
        if keep:
            paths = {self.model.tree.groups[g].path for g in self.open_groups}
            chosen = self.selection
            focus = self._path_of(*chosen)
        self.model, self.colors = model, colors
        self.painter = Painter(model, colors, self.font().family())
        self.nested = Nested(model.tree, self._measure)
        tree = model.tree
        self.open_groups = {tree.by_path[p] for p in paths if p in tree.by_path} if keep else tree.auto_open(closed=APART)
        self.marks = Marks()
        self._set_scene(self._lay_out())
        if keep and focus is not None and focus in tree.by_path:
            self.select("group", tree.by_path[focus], reveal=False)
        elif not keep:
            self._fitted = True
            self.fit()

    def _lay_out(self) -> Scene:
        tree = self.model.tree
        return self.nested.scene(self.open_groups, hidden={tree.by_path[h] for h in self.hidden if h in tree.by_path})

    def set_hidden(self, paths: Iterable[str]) -> None:
        """Leave whole scopes out: the backward half (``∂``), the update (``optimizer``)."""
        self.hidden = frozenset(paths)
        self._relayout(None)

    def _path_of(self, kind: str, item: int) -> str | None:
        return self.model.tree.groups[item].path if kind == "group" else None

    def set_colors(self, colors: Colors) -> None:
        """Change the theme."""
        self.colors = colors
        self.painter = Painter(self.model, colors, self.font().family())
        self.update()

    def retranslate(self) -> None:
        """Texts have changed: measure and draw anew."""
        self.painter = Painter(self.model, self.colors, self.font().family())
        self.nested = Nested(self.model.tree, self._measure)
        self._relayout(None)

    def _measure(self, kind: str, item: int, members: list[int]) -> tuple[float, float]:
        title, subtitle = self.model.node_text(item) if kind == "node" else self.model.group_text(item, members)
        bold, plain = QtGui.QFontMetricsF(self.painter.font(12.5, True)), QtGui.QFontMetricsF(self.painter.font(10.5))
        wide = max(bold.horizontalAdvance("⊗ " + title), plain.horizontalAdvance(subtitle)) + 30
        smallest, high = (84.0, 40.0) if kind == "node" else (150.0, 46.0)
        return min(max(smallest, 2 * math.ceil(wide / 2)), 260.0), high if subtitle else 28.0

    def _set_scene(self, scene: Scene) -> None:
        self.scene = scene
        self.geometry_ = Geometry(scene)
        self._index = {self._identity(i): i for i in range(len(scene.boxes))}
        self.minimap.set_geometry(self.geometry_)
        self.update()

    def _identity(self, box: int) -> tuple[str, int]:
        b = self.scene.boxes[box]
        return ("node" if b.kind == "node" else "group", b.item)

    # ----- opening and closing
    def set_open(self, groups: Iterable[int]) -> None:
        """Open exactly these groups."""
        self.open_groups = set(groups) | {0}
        self._relayout(self.marks.selected if self.marks.selected >= 0 else None)

    def toggle(self, group: int) -> None:
        """Open a closed group, close an open one. A folded box opens its first group; what was open within stays so."""
        box = self._index.get(("group", group))
        if group in self.open_groups:
            self.open_groups.discard(group)
        else:
            self.open_groups.add(group)
        self._relayout(box)

    def open_around(self, node: int) -> None:
        """Open all groups around a node, and show what hides it."""
        tree = self.model.tree
        around = set(tree.around(int(tree.group_of[node])))
        covered = {tree.groups[g].path for g in around} & self.hidden
        if not around <= self.open_groups or covered:
            self.open_groups |= around
            self.hidden -= covered
            self._relayout(None)

    def open_level(self) -> None:
        """Open every closed group that shows (one level more), as long as the graph stays drawable."""
        more = {b.item for b in self.scene.boxes if b.kind in ("module", "fold")}
        self.set_open(self.open_groups | more)

    def open_kind(self, kind: str) -> None:
        """Open all groups of a class."""
        self.set_open(self.open_groups | self.model.tree.of_kind(kind))

    def close_kind(self, kind: str) -> None:
        """Close all groups of a class."""
        self.set_open({g for g in self.open_groups if self.model.tree.groups[g].kind != kind})

    def close_all(self) -> None:
        """Back to the first view."""
        self.set_open(self.model.tree.auto_open(closed=APART))

    def _relayout(self, anchor: int | None) -> None:
        """Lay out anew; the box `anchor` (else what is in the middle) stays under the eye, boxes glide to their new places."""
        old = {self._identity(i): (b.x, b.y) for i, b in enumerate(self.scene.boxes)}
        identity = self._identity(anchor) if anchor is not None else None
        before = self._centre(anchor) if anchor is not None else None
        chosen = self.selection
        self._set_scene(self._lay_out())
        self.marks.selected = self._index.get(chosen, -1)
        target = self.camera
        if self._fitted:
            target = fit(self.width(), self.height(), self.scene.width, self.scene.height)
        elif identity is not None and before is not None and identity in self._index:
            b = self.scene.boxes[self._index[identity]]
            x, y = b.x + b.w / 2, b.y + (17.0 if b.kind == "open" else b.h / 2)
            target = Camera(self.camera.zoom, before[0] - x * self.camera.zoom, before[1] - y * self.camera.zoom)
        self._animate(target, old)
        self.opened.emit()
        self.looked.emit()
        if chosen[0] and self.marks.selected < 0:
            self.selected.emit("", -1)

    def _centre(self, box: int) -> tuple[float, float]:
        b = self.scene.boxes[box]
        return self.camera.to_screen(b.x + b.w / 2, b.y + (17.0 if b.kind == "open" else b.h / 2))

    # ----- selection
    @property
    def selection(self) -> tuple[str, int]:
        """What is selected: ("node" or "group", its number), or ("", -1)."""
        return self._identity(self.marks.selected) if self.marks.selected >= 0 else ("", -1)

    def select(self, kind: str, item: int, reveal: bool = True) -> None:
        """Select a node or group, opening what hides it; with `reveal` bring it into view."""
        if kind == "node":
            self.open_around(item)
        elif kind == "group" and item > 0 and ("group", item) not in self._index:
            self.open_groups |= set(self.model.tree.around(self.model.tree.groups[item].parent))
            self._relayout(None)
        box = self._index.get((kind, item), -1)
        if box < 0 and kind == "group":  # folded away: the box that stands for it
            box = next((i for i, b in enumerate(self.scene.boxes) if item in b.members), -1)
        self._choose(box, reveal)

    def clear_selection(self) -> None:
        self._choose(-1, False)

    def _choose(self, box: int, reveal: bool) -> None:
        changed = box != self.marks.selected
        self.marks.selected = box
        if box >= 0 and reveal:
            self._reveal(box)
        if changed:
            self.selected.emit(*self.selection)
        self.update()

    def _reveal(self, box: int) -> None:
        b = self.scene.boxes[box]
        (x0, y0), (x1, y1) = self.camera.to_screen(b.x, b.y), self.camera.to_screen(b.x + b.w, b.y + b.h)
        readable = self.camera.zoom >= 0.45
        if readable and x0 >= 0 and x1 <= self.width() and y0 >= 0 and (y1 <= self.height() or b.kind == "open"):
            return
        zoom = self.camera.zoom if readable else 0.9
        down = min(b.h, self.height() / zoom * 0.8) / 2 if b.kind == "open" else b.h / 2
        self._fitted = False
        self._animate(self.camera.centred(b.x + b.w / 2, b.y + down, self.width(), self.height(), zoom), {})
        self.looked.emit()

    def select_parent(self) -> None:
        """Select the group around the selection."""
        if self.marks.selected >= 0:
            self._choose(self.scene.boxes[self.marks.selected].parent, True)

    def walk(self, direction: str) -> None:
        """Follow an edge from the selection: up to an operand, down to a reader; left and right to a neighbour."""
        if self.marks.selected < 0:
            self._choose(next((i for i, b in enumerate(self.scene.boxes) if b.kind != "open"), -1), True)
            return
        found = self.geometry_.neighbour(self.marks.selected, direction)
        if found >= 0:
            self._choose(found, True)

    # ----- marks
    def set_heat(self, values: dict[int, float], texts: dict[int, str]) -> None:
        """Colour boxes by value (0 to 1, by box number of the current scene), with a number on each; empty for none."""
        self.marks.heat, self.marks.heat_text = values, texts
        self.update()

    def set_matches(self, nodes: Collection[int]) -> None:
        """Mark the boxes that show these nodes (found by a search)."""
        self.marks.matches = set(self.scene.box_of[list(nodes)].tolist()) - {-1} if nodes else ()
        self.update()

    def set_errors(self, nodes: Collection[int], edges: Collection[int]) -> None:
        """Mark nodes and graph edges in error."""
        self.marks.bad = set(self.scene.box_of[list(nodes)].tolist()) - {-1} if nodes else ()
        self.marks.bad_edges = self.geometry_.carrying(edges).tolist() if edges else ()
        self.update()

    def set_fusions(self, kernel_of: dict[int, int]) -> None:
        """Outline nodes by the fused kernel they are part of; only boxes of single nodes show it."""
        boxes = ((self._index.get(("node", node)), k) for node, k in kernel_of.items())
        self.marks.fusions = {box: k for box, k in boxes if box is not None}
        self.update()

    def visible_nodes(self) -> list[int]:
        """The nodes whose own boxes are in view."""
        return [b.item for b in map(self.scene.boxes.__getitem__, self._in_view()) if b.kind == "node"]

    def visible_groups(self) -> list[int]:
        """The closed groups in view."""
        return [b.item for b in map(self.scene.boxes.__getitem__, self._in_view()) if b.kind in ("module", "fold")]

    def _in_view(self) -> list[int]:
        found: list[int] = self.geometry_.boxes_in(self.camera, self.width(), self.height()).tolist()
        return found

    # ----- camera
    def fit(self) -> None:
        """Everything in view."""
        self._fitted = True
        self._animate(fit(self.width(), self.height(), self.scene.width, self.scene.height), {})
        self.looked.emit()

    def actual_size(self) -> None:
        self.zoom(1.0 / self.camera.zoom)

    def zoom_in(self) -> None:
        self.zoom(ZOOM_STEP**2)

    def zoom_out(self) -> None:
        self.zoom(ZOOM_STEP**-2)

    def zoom(self, factor: float) -> None:
        """Zoom about the middle."""
        self._look(self.camera.zoomed(factor, self.width() / 2, self.height() / 2))

    def look_at(self, x: float, y: float) -> None:
        """Bring a point of the scene to the middle."""
        self._look(self.camera.centred(x, y, self.width(), self.height()))

    def _look(self, camera: Camera) -> None:
        self._fitted = False
        self._animation = None
        self.camera = camera
        self.looked.emit()
        self.update()

    # ----- animation
    def _animate(self, target: Camera, old: dict[tuple[str, int], tuple[float, float]]) -> None:
        if not self.animated or not self.isVisible() or len(self.scene.boxes) > ANIMATED_BOXES:
            self.camera, self._animation = target, None
            self._timer.stop()
            self.update()
            return
        self._animation = (time.monotonic(), self.camera, target, old)
        self._between = 0.0
        self._timer.start()

    def _tick(self) -> None:
        if self._animation is None:
            self._timer.stop()
            return
        begun, start, target, _ = self._animation
        t = min(1.0, (time.monotonic() - begun) / ANIMATION)
        eased = t * t * (3 - 2 * t)
        self.camera = start.towards(target, eased)
        if t >= 1.0:
            self.camera, self._animation = target, None
            self._timer.stop()
        self._between = 1.0 if self._animation is None else eased
        self.update()

    def _drawn(self) -> Geometry:
        """The geometry to draw now: while boxes glide, between their old and new places."""
        if self._animation is None or not self._animation[3]:
            return self.geometry_
        old, t = self._animation[3], self._between
        shift = np.zeros((len(self.scene.boxes), 2))
        for i, b in enumerate(self.scene.boxes):
            was = old.get(self._identity(i))
            if was is not None:
                shift[i] = (was[0] - b.x) * (1 - t), (was[1] - b.y) * (1 - t)
        return self.geometry_.shifted(shift)

    # ----- events
    def paintEvent(self, event: QtGui.QPaintEvent) -> None:
        p = QtGui.QPainter(self)
        self.painter.draw(p, self._drawn(), self.camera, self.width(), self.height(), self.marks)
        p.end()

    def resizeEvent(self, event: QtGui.QResizeEvent) -> None:
        if self._fitted:
            self.camera = fit(self.width(), self.height(), self.scene.width, self.scene.height)
            self._animation = None
        self.minimap.place()
        self.looked.emit()

    def wheelEvent(self, event: QtGui.QWheelEvent) -> None:
        delta = event.angleDelta()
        if event.modifiers() & QtCore.Qt.KeyboardModifier.ShiftModifier:
            self._look(self.camera.moved(delta.y() or delta.x(), 0))
        elif not event.pixelDelta().isNull() and not event.modifiers() & QtCore.Qt.KeyboardModifier.ControlModifier:
            self._look(self.camera.moved(event.pixelDelta().x(), event.pixelDelta().y()))  # a touchpad's two fingers
        else:
            at = event.position()
            self._look(self.camera.zoomed(ZOOM_STEP ** (delta.y() / 120), at.x(), at.y()))
        event.accept()

    def mousePressEvent(self, event: QtGui.QMouseEvent) -> None:
        if event.button() in (QtCore.Qt.MouseButton.LeftButton, QtCore.Qt.MouseButton.MiddleButton):
            self._drag, self._moved = event.position(), False

    def mouseMoveEvent(self, event: QtGui.QMouseEvent) -> None:
        at = event.position()
        if self._drag is not None:
            away = at - self._drag
            if self._moved or abs(away.x()) + abs(away.y()) >= QtWidgets.QApplication.startDragDistance() / 2:
                self._moved, self._drag = True, at
                self.setCursor(QtCore.Qt.CursorShape.ClosedHandCursor)
                self._look(self.camera.moved(away.x(), away.y()))
            return
        box = self.geometry_.at(*self.camera.to_scene(at.x(), at.y()))
        if box != self.marks.hover:
            self.marks.hover = box
            self.hovered.emit(*(self._identity(box) if box >= 0 else ("", -1)))
            self.update()

    def mouseReleaseEvent(self, event: QtGui.QMouseEvent) -> None:
        if self._drag is not None and not self._moved and event.button() == QtCore.Qt.MouseButton.LeftButton:
            at = event.position()
            self._choose(self.geometry_.at(*self.camera.to_scene(at.x(), at.y())), False)
        self._drag = None
        self.unsetCursor()

    def mouseDoubleClickEvent(self, event: QtGui.QMouseEvent) -> None:
        at = event.position()
        box = self.geometry_.at(*self.camera.to_scene(at.x(), at.y()))
        if box >= 0 and self.scene.boxes[box].kind != "node":
            self._choose(box, False)
            self.toggle(self.scene.boxes[box].item)

    def keyPressEvent(self, event: QtGui.QKeyEvent) -> None:
        held = event.modifiers() & ~(QtCore.Qt.KeyboardModifier.KeypadModifier | QtCore.Qt.KeyboardModifier.ShiftModifier)
        action = KEYS.get(key_of(event)) if held == QtCore.Qt.KeyboardModifier.NoModifier else None
        if action is None:
            super().keyPressEvent(event)
        elif action.startswith("walk_"):
            self.walk(action.removeprefix("walk_"))
        elif action == "toggle_selected":
            kind, item = self.selection
            if kind == "group":
                self.toggle(item)
        else:
            getattr(self, action)()
