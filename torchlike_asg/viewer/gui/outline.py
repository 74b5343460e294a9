"""The graph as a tree of lines: the way through it for keyboards and screen readers. Items are made when their group is opened."""

from __future__ import annotations

from pyqtgraph.Qt import QtCore, QtWidgets

from .graphs import GraphModel
from .say import Say

ROLE = QtCore.Qt.ItemDataRole.UserRole


class Outline(QtWidgets.QTreeWidget):
    """Emits ``chosen(kind, item)`` when a line is selected."""

    chosen = QtCore.Signal(str, int)

    def __init__(self, say: Say) -> None:
        super().__init__()
        self.say = say
        self.model_: GraphModel | None = None
        self._quiet = False
        self.setHeaderHidden(True)
        self.setUniformRowHeights(True)
        self.itemExpanded.connect(self._fill)
        self.currentItemChanged.connect(self._choose)

    def set_model(self, model: GraphModel) -> None:
        self.model_ = model
        self.setAccessibleName(self.say("outline.title"))
        self._quiet = True
        self.clear()
        self._children(self.invisibleRootItem(), 0)
        self._quiet = False

    def _children(self, parent: QtWidgets.QTreeWidgetItem, group: int) -> None:
        model = self.model_
        assert model is not None
        g = model.tree.groups[group]
        rows = [(model.tree.groups[c].first, "group", c) for c in g.children] + [(n, "node", n) for n in g.nodes]
        for _, kind, item in sorted(rows):
            title, subtitle = model.node_text(item) if kind == "node" else model.group_text(item, ())
            told = ", ".join(t for t in (title, subtitle) if t)
            beside = subtitle if kind == "node" else model.tree.groups[item].kind  # the count is told, and in the tooltip: lines are short
            row = QtWidgets.QTreeWidgetItem([f"{title}   {beside}".rstrip()])
            row.setData(0, ROLE, (kind, item))
            row.setData(0, QtCore.Qt.ItemDataRole.AccessibleTextRole, told)
            row.setToolTip(0, told)
            if kind == "group":
                row.setChildIndicatorPolicy(QtWidgets.QTreeWidgetItem.ChildIndicatorPolicy.ShowIndicator)
            parent.addChild(row)

    def _fill(self, row: QtWidgets.QTreeWidgetItem) -> None:
        if not row.childCount():
            self._children(row, row.data(0, ROLE)[1])

    def _choose(self, row: QtWidgets.QTreeWidgetItem | None, _: object) -> None:
        if row is not None and not self._quiet:
            self.chosen.emit(*row.data(0, ROLE))

    def show_item(self, kind: str, item: int) -> None:
        """Select the line of a node or group, opening the groups around it."""
        model = self.model_
        if model is None or not kind:
            return
        group = int(model.tree.group_of[item]) if kind == "node" else model.tree.groups[item].parent
        row = self.invisibleRootItem()
        for g in reversed(model.tree.around(group)):
            if g == 0:
                continue
            row = self._child(row, "group", g)
            if row is None:
                return
            self._fill(row)
            row.setExpanded(True)
        found = self._child(row, kind, item)
        if found is not None:
            self._quiet = True
            self.setCurrentItem(found)
            self._quiet = False

    @staticmethod
    def _child(parent: QtWidgets.QTreeWidgetItem, kind: str, item: int) -> QtWidgets.QTreeWidgetItem | None:
        rows = (parent.child(k) for k in range(parent.childCount()))
        return next((row for row in rows if tuple(row.data(0, ROLE)) == (kind, item)), None)
