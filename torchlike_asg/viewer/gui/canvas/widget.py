"""The canvas: a graph one can pan, zoom, open and walk through. One widget, drawn by `Painter`; no item per node.

Mouse: see `Pointer`. Keys: see `KEYS`; they go by key code, so a Russian layout changes nothing.
"""

from __future__ import annotations

import math
import time
from collections.abc import Collection, Iterable, Mapping

from pyqtgraph.Qt import QtCore, QtGui, QtWidgets

from ..layout import Nested, Scene
from . import fusions
from .geometry import Camera, Geometry, fit, overview
from .keys import KEYS, key_of
from .minimap import Minimap
from .motion import MOST_BOXES, Glide, Identity, identity
from .paint import Marks, Model, Painter
from .palette import Colors
from .pointer import ZOOM_STEP, Pointer

#: scopes that are left out at first, and closed when they are shown: the backward half of a step, and its update
APART = ("∂", "optimizer")


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
        self._pointer = Pointer(self)
        self._glide: Glide | None = None
        #: what to say where there is no graph yet
        self.nothing = ""
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
        if keep:
            old = self.model.tree
            opened = {old.groups[g].path for g in self.open_groups}
            kind, item = self.selection
            chosen = old.groups[item].path if kind == "group" else None
        self.model, self.colors = model, colors
        self.painter = Painter(model, colors, self.font().family())
        self.nested = Nested(model.tree, self._measure)
        tree = model.tree
        self.open_groups = tree.auto_open(closed=APART)
        if keep:  # what is new opens as at first
            fresh = {g for g in self.open_groups if tree.groups[g].path not in old.by_path}
            self.open_groups = fresh | {tree.by_path[p] for p in opened if p in tree.by_path}
        self.marks = Marks()
        self._set_scene(self._lay_out())
        if keep and chosen is not None and chosen in tree.by_path:
            self.select("group", tree.by_path[chosen], reveal=False)
        if not keep or self._fitted:
            self.fit()

    def _lay_out(self) -> Scene:
        tree = self.model.tree
        return self.nested.scene(self.open_groups, hidden={tree.by_path[h] for h in self.hidden if h in tree.by_path})

    def set_hidden(self, paths: Iterable[str]) -> None:
        """Leave whole scopes out: the backward half (``∂``), the update (``optimizer``)."""
        self.hidden = frozenset(paths)
        self._relayout(None)

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
        letters = self.painter.lettering
        wide = max(letters.needed("⊗ " + title, 12.5, True), letters.needed(subtitle, 10.5)) + 30
        smallest, high = (84.0, 40.0) if kind == "node" else (150.0, 46.0)
        return min(max(smallest, 2 * math.ceil(wide / 2)), 260.0), high if subtitle else 28.0

    def _set_scene(self, scene: Scene) -> None:
        self.scene = scene
        self.geometry_ = Geometry(scene)
        self._index = {identity(b): i for i, b in enumerate(scene.boxes)}
        self.minimap.set_geometry(self.geometry_)
        self.update()

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
        old = {identity(b): (b.x, b.y) for b in self.scene.boxes}
        anchored = identity(self.scene.boxes[anchor]) if anchor is not None else None
        before = self._centre(anchor) if anchor is not None else None
        chosen = self.selection
        self._set_scene(self._lay_out())
        self.marks.selected = self._index.get(chosen, -1)
        target = self.camera
        if self._fitted:
            target = fit(self.width(), self.height(), self.scene.width, self.scene.height)
        elif anchored is not None and before is not None and anchored in self._index:
            b = self.scene.boxes[self._index[anchored]]
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
    def selection(self) -> Identity:
        """What is selected: ("node" or "group", its number), or ("", -1)."""
        return identity(self.scene.boxes[self.marks.selected]) if self.marks.selected >= 0 else ("", -1)

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
        self.choose(box, reveal)

    def clear_selection(self) -> None:
        self.choose(-1, False)

    def choose(self, box: int, reveal: bool = False) -> None:
        """Select a box by its number, -1 for none."""
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
            self.choose(self.scene.boxes[self.marks.selected].parent, True)

    def walk(self, direction: str) -> None:
        """Follow an edge from the selection: up to an operand, down to a reader; left and right to a neighbour."""
        if self.marks.selected < 0:
            self.choose(next((i for i, b in enumerate(self.scene.boxes) if b.kind != "open"), -1), True)
            return
        found = self.geometry_.neighbour(self.marks.selected, direction)
        if found >= 0:
            self.choose(found, True)

    # ----- marks
    def set_heat(self, values: dict[int, float], texts: dict[int, str]) -> None:
        """Colour boxes by value (0 to 1, by box number of the current scene), with a number on each; empty for none."""
        self.marks.heat, self.marks.heat_text = values, texts
        self.update()

    def set_matches(self, nodes: Collection[int]) -> None:
        """Mark the boxes that show these nodes (found by a search)."""
        self.marks.matches = set(self.scene.box_of[list(nodes)].tolist()) - {-1} if nodes else ()
        self.update()

    def set_errors(self, nodes: Collection[int], edges: Mapping[int, str]) -> None:
        """Mark nodes and graph edges in error, with a text beside each edge."""
        self.marks.bad = set(self.scene.box_of[list(nodes)].tolist()) - {-1} if nodes else ()
        self.marks.bad_edges = self.geometry_.carrying(edges).tolist() if edges else ()
        self.marks.bad_text = {int(k): text for e, text in edges.items() for k in self.geometry_.carrying([e])}
        self.update()

    def set_fusions(self, kernel_of: Mapping[int, int]) -> None:
        """Outline what one fused kernel computes as one set; ``kernel_of`` gives the kernels of nodes."""
        tree = self.model.tree
        self.marks.fusions, self.marks.fused_edges = fusions.sets(self.scene, kernel_of, tree.src, tree.dst)
        self.update()

    def hover(self, box: int) -> None:
        """The pointer is over a box, -1 for none."""
        if box != self.marks.hover:
            self.marks.hover = box
            self.hovered.emit(*(identity(self.scene.boxes[box]) if box >= 0 else ("", -1)))
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
    def overview(self) -> None:
        """Everything in view, however small."""
        self._fitted = False
        self._animate(overview(self.width(), self.height(), self.scene.width, self.scene.height), {})
        self.looked.emit()

    def fit(self) -> None:
        """The view at first: everything, or the top at a size one can read."""
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
        self.look(self.camera.zoomed(factor, self.width() / 2, self.height() / 2))

    def look_at(self, x: float, y: float) -> None:
        """Bring a point of the scene to the middle."""
        self.look(self.camera.centred(x, y, self.width(), self.height()))

    def look(self, camera: Camera) -> None:
        """Look from there at once."""
        self._fitted = False
        self._glide = None
        self.camera = camera
        self.looked.emit()
        self.update()

    # ----- animation
    def _animate(self, target: Camera, old: dict[Identity, tuple[float, float]]) -> None:
        if not self.animated or not self.isVisible() or len(self.scene.boxes) > MOST_BOXES:
            self.camera, self._glide = target, None
            self._timer.stop()
            self.update()
            return
        self._glide = Glide(time.monotonic(), self.camera, target, old)
        self._timer.start()

    def _tick(self) -> None:
        if self._glide is not None:
            self.camera = self._glide.at(time.monotonic())
            self.update()
            if self._glide.over:
                self._glide = None
        if self._glide is None:
            self._timer.stop()

    def _drawn(self) -> Geometry:
        """The geometry to draw now: while boxes glide, between their old and new places."""
        if self._glide is None or not self._glide.old:
            return self.geometry_
        return self.geometry_.shifted(self._glide.shift(self.scene.boxes))

    # ----- events
    def paintEvent(self, event: QtGui.QPaintEvent) -> None:
        p = QtGui.QPainter(self)
        self.painter.draw(p, self._drawn(), self.camera, self.width(), self.height(), self.marks)
        if not self.scene.boxes and self.nothing:
            p.setFont(self.painter.lettering.font(15))
            p.setPen(QtGui.QColor(self.colors.dim))
            room = QtCore.QRectF(self.rect()).adjusted(40, 40, -40, -40)
            p.drawText(room, QtCore.Qt.AlignmentFlag.AlignCenter | QtCore.Qt.TextFlag.TextWordWrap, self.nothing)
        p.end()

    def resizeEvent(self, event: QtGui.QResizeEvent) -> None:
        box, before = self.marks.selected, event.oldSize()
        seen = box >= 0 and box in self.geometry_.boxes_in(self.camera, before.width(), before.height())
        if self._fitted:
            self.camera = fit(self.width(), self.height(), self.scene.width, self.scene.height)
            self._glide = None
        if seen:  # a panel that opens must not hide what it is about
            self._reveal(box)
        self.minimap.place()
        self.looked.emit()

    def wheelEvent(self, event: QtGui.QWheelEvent) -> None:
        self._pointer.wheel(event)

    def mousePressEvent(self, event: QtGui.QMouseEvent) -> None:
        self._pointer.press(event)

    def mouseMoveEvent(self, event: QtGui.QMouseEvent) -> None:
        self._pointer.move(event)

    def mouseReleaseEvent(self, event: QtGui.QMouseEvent) -> None:
        self._pointer.release(event)

    def mouseDoubleClickEvent(self, event: QtGui.QMouseEvent) -> None:
        self._pointer.double_click(event)

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
