"""The path to the selection, as buttons; where there is no room for all of them, those in the middle give way."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyqtgraph.Qt import QtCore, QtGui, QtWidgets

from .graphs import GraphModel

if TYPE_CHECKING:
    from .window import Window


class Crumbs(QtWidgets.QWidget):
    """Every part selects its group; the first shows everything."""

    def __init__(self, window: Window) -> None:
        super().__init__()
        self.window_ = window
        self.row = QtWidgets.QHBoxLayout(self)
        self.row.setContentsMargins(0, 0, 0, 0)
        self.row.setSpacing(0)
        self._parts: list[list[QtWidgets.QWidget]] = []
        self._gap = QtWidgets.QLabel("▸ …", self)
        self._gap.setProperty("crumb", True)
        self.setSizePolicy(QtWidgets.QSizePolicy.Policy.Ignored, QtWidgets.QSizePolicy.Policy.Preferred)

    def set_path(self, model: GraphModel, kind: str, item: int) -> None:
        """Show the path to a node or group."""
        while self.row.count():
            taken = self.row.takeAt(0).widget()
            if taken is not None and taken is not self._gap:
                taken.hide()
                taken.deleteLater()
        tree = model.tree
        around: list[int] = []
        if kind == "node" and item < len(tree.group_of):
            around = tree.around(int(tree.group_of[item]))
        elif kind == "group" and item < len(tree.groups):
            around = tree.around(item)
        names = [(self.window_.say("canvas.root"), 0)] + [(model.group_name(g), g) for g in reversed(around) if g]
        self._parts = [[self._button(name, group)] for name, group in names]
        if kind == "node":
            last = QtWidgets.QLabel(model.title(item))
            last.setProperty("crumb", True)
            self._parts.append([last])
        for k, part in enumerate(self._parts):
            if k:
                part.insert(0, QtWidgets.QLabel("▸"))
            for w in part:
                self.row.addWidget(w)
        self.row.addStretch(1)
        self._gap.hide()
        self._give_way()

    def _button(self, name: str, group: int) -> QtWidgets.QToolButton:
        button = QtWidgets.QToolButton()
        button.setProperty("crumb", True)
        button.setText(name)
        button.setFocusPolicy(QtCore.Qt.FocusPolicy.TabFocus)
        button.clicked.connect(lambda: self.window_.go("group", group) if group else self.window_.canvas.fit())
        return button

    def _give_way(self) -> None:
        """Leave out parts from the second on, at last the first, until the rest fits."""
        wide = [sum(w.sizeHint().width() for w in part) for part in self._parts]
        inner = list(range(1, len(wide) - 1))
        order = inner + [0] * bool(inner)
        hidden: list[int] = []
        while len(hidden) < len(order) and sum(wide) - sum(wide[k] for k in hidden) + 36 * bool(hidden) > self.width():
            hidden.append(order[len(hidden)])
        for k, part in enumerate(self._parts):
            for w in part:
                w.setVisible(k not in hidden)
        self.row.removeWidget(self._gap)
        if hidden:
            self.row.insertWidget(1, self._gap)
        self._gap.setVisible(bool(hidden))
        self._gap.setToolTip(" ▸ ".join(self._parts[k][-1].text() for k in sorted(hidden)))  # type: ignore[attr-defined]

    def resizeEvent(self, event: QtGui.QResizeEvent) -> None:
        super().resizeEvent(event)
        self._give_way()
