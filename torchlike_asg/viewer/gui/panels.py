"""Smaller parts of the window: the bar at the top, the alarm, the failed operation, the key sheet, the code of kernels, the menu."""

from __future__ import annotations

import html
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from pyqtgraph.Qt import QtCore, QtGui, QtWidgets

from ...i18n import catalog
from ..damage import told
from .crumbs import Crumbs
from .heat import KINDS as HEATS
from .say import shape_text
from .strip import tell

if TYPE_CHECKING:
    from .window import Window


class Choice(QtWidgets.QComboBox):
    """A combo box with an arrow in the text's colour: a style sheet takes the style's own away, and could only bring a picture."""

    def paintEvent(self, event: QtGui.QPaintEvent) -> None:
        super().paintEvent(event)
        p = QtGui.QPainter(self)
        p.setRenderHint(QtGui.QPainter.RenderHint.Antialiasing)
        p.setPen(QtGui.QPen(self.palette().color(QtGui.QPalette.ColorRole.PlaceholderText), 1.6))
        x, y = self.width() - 15.0, self.height() / 2 - 2.0
        p.drawPolyline(QtGui.QPolygonF([QtCore.QPointF(x - 4, y), QtCore.QPointF(x, y + 4), QtCore.QPointF(x + 4, y)]))
        p.end()


class TopBar(QtWidgets.QWidget):
    """Search, the path to the selection, what is shown, the state of training."""

    def __init__(self, window: Window) -> None:
        super().__init__()
        self.window_ = window
        self.setObjectName("bar")
        self.setAttribute(QtCore.Qt.WidgetAttribute.WA_StyledBackground)
        rows = QtWidgets.QVBoxLayout(self)
        rows.setContentsMargins(8, 6, 12, 6)
        rows.setSpacing(4)
        row = QtWidgets.QHBoxLayout()
        row.setSpacing(6)
        rows.addLayout(row)
        self.search = QtWidgets.QLineEdit(clearButtonEnabled=True)
        self.search.setMinimumWidth(120)
        self.search.setMaximumWidth(320)
        self.search.textChanged.connect(window.search)
        self.search.returnPressed.connect(window.next_hit)
        self.found = QtWidgets.QLabel()
        self._matches: tuple[int | None, int] = (None, -1)
        self.found.setProperty("dim", True)
        self.backward, self.update_, self.kernels = (QtWidgets.QToolButton(checkable=True) for _ in range(3))
        self.backward.toggled.connect(lambda _: window.set_phases())
        self.update_.toggled.connect(lambda _: window.set_phases())
        self.kernels.toggled.connect(lambda _: window.paint_kernels())
        self.heat = Choice()
        self.heat.setSizeAdjustPolicy(QtWidgets.QComboBox.SizeAdjustPolicy.AdjustToContents)
        self.heat.activated.connect(lambda k: window.set_heat(HEATS[k]))
        self.more = QtWidgets.QToolButton()
        self.more.setPopupMode(QtWidgets.QToolButton.ToolButtonPopupMode.InstantPopup)
        self.more.setText("☰")
        self.status = QtWidgets.QLabel()
        self.dot, self._dotted = QtWidgets.QLabel("●"), ""
        for w in (self.search, self.found, self.backward, self.update_, self.kernels, self.heat):
            row.addWidget(w, 3 if w is self.search else 0)
        row.addStretch(1)
        row.addWidget(self.more)
        second = QtWidgets.QHBoxLayout()
        self.crumbs = Crumbs(window)
        second.addWidget(self.crumbs, 1)
        second.addWidget(self.dot)
        second.addWidget(self.status)
        rows.addLayout(second)
        for w in (self.backward, self.update_, self.kernels, self.heat, self.more):
            w.setFocusPolicy(QtCore.Qt.FocusPolicy.TabFocus)

    def set_found(self, count: int | None, at: int = -1) -> None:
        """How many matches a search has, None without one, and which of them is shown."""
        self._matches = (count, at)
        self._show_found()

    def _show_found(self) -> None:
        say, (count, at) = self.window_.say, self._matches
        if count is None:
            self.found.setText("")
        elif at >= 0:
            self.found.setText(say("search.at", at=at + 1, count=count))
        else:
            self.found.setText(say.plural("search.found", count))

    def set_status(self, text: str, color: str) -> None:
        tell(self.status, text)
        if color != self._dotted:
            self._dotted = color
            self.dot.setStyleSheet(f"color: {color};")

    def show_heat(self, kind: str) -> None:
        self.heat.setCurrentIndex(HEATS.index(kind))

    def phases_changed(self) -> None:
        """A graph came: only what it has can be shown."""
        groups = self.window_.model.tree.by_path
        self.backward.setVisible("∂" in groups)
        self.update_.setVisible("optimizer" in groups)
        self.kernels.setVisible(bool(len(self.window_.model.graph.kernel_name)))

    def retranslate(self) -> None:
        say = self.window_.say
        self.search.setPlaceholderText(say("search.hint"))
        self.search.setToolTip(say("search.help"))
        self.search.setAccessibleName(say("search.hint"))
        self.backward.setText(say("phase.backward"))
        self.update_.setText(say("phase.update"))
        self.kernels.setText(say("canvas.kernels"))
        self.kernels.setToolTip(say("canvas.kernels_help"))
        at = max(self.heat.currentIndex(), 0)
        self.heat.clear()
        self.heat.addItems([say("heat.none" if not k else f"heat.{k}") for k in HEATS])
        self.heat.setCurrentIndex(at)
        self.heat.setAccessibleName(say("heat.title"))
        self.more.setAccessibleName(say("menu.title"))
        before = self.more.menu()
        self.more.setMenu(main_menu(self.window_))
        if before is not None:
            before.deleteLater()
        self._show_found()


class Banner(QtWidgets.QWidget):
    """The alarm: something is not finite, and where it began."""

    def __init__(self, window: Window) -> None:
        super().__init__()
        self.window_ = window
        self.setObjectName("alarm")
        self.setAttribute(QtCore.Qt.WidgetAttribute.WA_StyledBackground)
        row = QtWidgets.QHBoxLayout(self)
        row.setContentsMargins(12, 6, 12, 6)
        self.label = QtWidgets.QLabel(wordWrap=True)
        self.label.setObjectName("banner")
        self.jump, self.dismiss = QtWidgets.QPushButton(), QtWidgets.QPushButton()
        self.jump.clicked.connect(self._jump)
        self.dismiss.clicked.connect(self.hide)
        row.addWidget(self.label, 1)
        row.addWidget(self.jump)
        row.addWidget(self.dismiss)
        self.hide()

    def show_alarm(self) -> None:
        """The newest alarm; one that names a node is shown on the canvas."""
        alarms = self.window_.store.alarms
        if not alarms:
            return
        self.show()
        self.retranslate()
        if alarms[-1].node >= 0:
            self._jump()

    def _jump(self) -> None:
        alarm = self.window_.store.alarms[-1]
        if alarm.node >= 0 and alarm.epoch == self.window_.store.epoch:
            self.window_.go("node", alarm.node)
            self.window_._repaint_marks()

    def retranslate(self) -> None:
        say, alarms = self.window_.say, self.window_.store.alarms
        self.jump.setText(say("alarm.jump"))
        self.dismiss.setText(say("alarm.dismiss"))
        if not alarms:
            return
        a, model = alarms[-1], self.window_.model
        self.jump.setVisible(a.node >= 0)
        if a.node < 0 or a.epoch != self.window_.store.epoch:
            self.label.setText("⚠ " + say("alarm.loss", step=a.step))
        else:
            name = ".".join(t for t in (model.scopes[a.node], model.title(a.node)) if t)
            self.label.setText("⚠ " + say("alarm.node", node=name, bad=say.number(a.nonfinite), size=say.number(a.size), step=a.step))


class FailurePanel(QtWidgets.QWidget):
    """An operation that could not be recorded: what was wrong, where, and what to change."""

    def __init__(self, window: Window) -> None:
        super().__init__()
        self.window_ = window
        self.setObjectName("strip")
        self.setAttribute(QtCore.Qt.WidgetAttribute.WA_StyledBackground)
        column = QtWidgets.QVBoxLayout(self)
        column.setContentsMargins(14, 8, 14, 10)
        self.text = QtWidgets.QLabel(wordWrap=True)
        self.text.setTextInteractionFlags(QtCore.Qt.TextInteractionFlag.TextSelectableByMouse)
        column.addWidget(self.text)
        self.hide()

    def show_failure(self) -> None:
        failure = self.window_.store.failure
        if failure is None:
            return
        self.show()
        self.retranslate()
        if failure.node >= 0:
            self.window_.go("node", failure.node)
            self.window_._repaint_marks()

    def retranslate(self) -> None:
        failure = self.window_.store.failure
        if failure is None:
            return
        say, c = self.window_.say, self.window_.colors
        first = min(np.flatnonzero(self.window_.store.graph.dst == failure.node).tolist(), default=0)
        wrong = {e - first for e in failure.edges}
        shapes = " &nbsp; ".join(
            f'<b style="color:{c.bad if k in wrong else c.text}">{html.escape(shape_text(tuple(s)) or "()")}</b>'
            for k, s in enumerate(failure.shapes)
        )
        title = html.escape(say("failure.title", op=failure.op or "?"))
        lines = [f'<span style="color:{c.bad}; font-size:13pt; font-weight:700">✕ {title}</span>', html.escape(failure.message)]
        if shapes:
            lines.append(f'<span style="color:{c.dim}">{html.escape(say("failure.shapes"))}</span> {shapes}')
        if failure.line:
            where = html.escape(f"{say('failure.line')} {Path(failure.file).name}:{failure.line}")
            lines.append(f'<span style="color:{c.dim}">{where}</span> &nbsp; <code>{html.escape(failure.source)}</code>')
        if failure.key:
            fix = html.escape(say(f"fix.{failure.key}", **failure.fields))
            lines.append(f'<span style="color:{c.match}">➜ {fix}</span>')
        self.text.setText("<br>".join(lines))


def main_menu(window: Window) -> QtWidgets.QMenu:
    say = window.say
    menu = QtWidgets.QMenu(window)
    do = window.actions_
    for name in ("export", "outline", "minimap"):
        menu.addAction(say(f"menu.{name}"), getattr(do, name))
    menu.addAction(say("menu.overlay"), lambda: _overlay(window))
    menu.addSeparator()
    menu.addAction(say("menu.theme"), do.theme)
    languages = menu.addMenu(say("menu.language"))
    for code in catalog.languages():
        languages.addAction(catalog.text("language.name", code), lambda c=code: say.set_language(c))
    menu.addSeparator()
    for name, dock in window.docks.items():
        if name != "outline":
            action = dock.toggleViewAction()
            action.setText(say(f"dock.{name}"))
            menu.addAction(action)
    menu.addSeparator()
    motion = menu.addAction(say("menu.motion"), do.motion)
    motion.setCheckable(True)
    motion.setChecked(window.canvas.animated)
    menu.aboutToShow.connect(lambda: motion.setChecked(window.canvas.animated))
    menu.addAction(say("menu.help"), do.help)
    return menu


def _overlay(window: Window) -> None:
    path, _ = QtWidgets.QFileDialog.getOpenFileName(window, window.say("menu.overlay"), "", "*.asgtrace")
    if path:
        try:
            window.overlay(Path(path))
        except (OSError, ValueError) as error:
            trouble = window.say("file.damaged", path=path, reason=told(error, window.say.lang))
            QtWidgets.QMessageBox.warning(window, window.say("menu.overlay"), trouble)


def context_menu(window: Window, at: QtCore.QPoint) -> None:
    """What can be done with the box under the pointer."""
    canvas, say = window.canvas, window.say
    box = canvas.geometry_.at(*canvas.camera.to_scene(at.x(), at.y()))
    menu = QtWidgets.QMenu(window)
    menu.setAttribute(QtCore.Qt.WidgetAttribute.WA_DeleteOnClose)
    if box >= 0:
        b = canvas.scene.boxes[box]
        group = b.item if b.kind != "node" else int(window.model.tree.group_of[b.item])
        kind = window.model.tree.groups[group].kind
        if b.kind != "node":
            menu.addAction(say("menu.close" if b.kind == "open" else "menu.open"), lambda: canvas.toggle(b.item))
        if kind:
            menu.addAction(say("menu.open_kind", kind=kind), lambda: canvas.open_kind(kind))
            menu.addAction(say("menu.close_kind", kind=kind), lambda: canvas.close_kind(kind))
        if b.kind == "node":
            menu.addAction(
                say("inspector.copy_name"), lambda: QtWidgets.QApplication.clipboard().setText(window.model.graph.stable_ids()[b.item])
            )
        menu.addSeparator()
    menu.addAction(say("menu.open_level"), canvas.open_level)
    menu.addAction(say("menu.close_all"), canvas.close_all)
    menu.addAction(say("menu.fit"), canvas.overview)
    menu.popup(canvas.mapToGlobal(at))
