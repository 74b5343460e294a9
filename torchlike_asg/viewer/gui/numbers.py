"""Live numbers of a node: a table of its value, gradient and update, and its histogram over time as a ridge of colours."""

from __future__ import annotations

import numpy as np
from pyqtgraph.Qt import QtCore, QtGui, QtWidgets

from .canvas import Colors
from .canvas.palette import mix
from .say import Say, short
from .store import Look, Store

COLUMNS = ("mean", "std", "min", "max", "nonfinite", "norm")
NONFINITE = COLUMNS.index("nonfinite")


class LiveNumbers(QtWidgets.QWidget):
    """Statistics of one node."""

    def __init__(self, store: Store, say: Say, colors: Colors) -> None:
        super().__init__()
        self.store, self.say, self.colors = store, say, colors
        self.node, self.gradient = -1, -1
        self.setSizePolicy(QtWidgets.QSizePolicy.Policy.Preferred, QtWidgets.QSizePolicy.Policy.Minimum)
        column = QtWidgets.QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        self.grid = QtWidgets.QGridLayout()
        self.grid.setHorizontalSpacing(10)
        self.grid.setVerticalSpacing(2)
        column.addLayout(self.grid)
        self.heads: list[QtWidgets.QLabel] = []
        self.cells: dict[tuple[str, int], QtWidgets.QLabel] = {}
        for column_, of in enumerate(("", "value", "gradient")):
            self.grid.setColumnStretch(column_, 1)
            for k in range(len(COLUMNS) + 1):
                label = QtWidgets.QLabel()
                label.setProperty("value" if column_ and k else "dim", True)
                label.setSizePolicy(QtWidgets.QSizePolicy.Policy.Preferred, QtWidgets.QSizePolicy.Policy.Fixed)
                self.grid.addWidget(label, k, column_)
                if column_ and k:
                    label.setTextInteractionFlags(QtCore.Qt.TextInteractionFlag.TextSelectableByMouse)
                    self.cells[of, k - 1] = label
                else:
                    self.heads.append(label)
        self.histogram = Ridge(colors)
        column.addWidget(self.histogram)
        self.caption = QtWidgets.QLabel(wordWrap=True)
        self.caption.setProperty("dim", True)
        column.addWidget(self.caption)
        self.retranslate()

    def show_node(self, node: int, gradient: int) -> None:
        """Show what is known of a node now; `gradient` is the node of its gradient, or -1."""
        self.node, self.gradient = node, gradient
        value = self.store.look(node)
        own = self.store.look(node, "gradient")
        of_gradient = own or (self.store.look(gradient) if gradient >= 0 else None)
        for of, look in (("value", value), ("gradient", of_gradient)):
            for k in range(len(COLUMNS)):
                self.cells[of, k].setText(_told(look, k))
        looks = list(self.store.looks.get(("value", node), ()))
        self.histogram.show_looks([k for k in looks if k.counts is not None and k.counts.sum() > 1])  # one number has no spread
        update = self.store.look(node, "update")
        if value is None:
            told = [self.say("live.waiting" if self.store.ended is None else "live.none")]
        else:
            told = [self.say("live.step", step=self.say.number(value.step))]
            if update is not None:
                told.append(self.say("live.update", ratio=short(float(update.row[5]))))
            if self.histogram.looks:
                told.append(self.say("live.histogram" if len(self.histogram.looks) > 1 else "live.first"))
        self.caption.setText(" ".join(told))

    def set_colors(self, colors: Colors) -> None:
        self.colors = colors
        self.histogram.colors = colors
        self.histogram.update()

    def retranslate(self) -> None:
        names = ["", *(self.say(f"stat.{c}") for c in COLUMNS), self.say("stat.value"), self.say("stat.gradient")]
        for label, name in zip(self.heads, names, strict=True):
            label.setText(name)
        if self.node >= 0:
            self.show_node(self.node, self.gradient)


class Ridge(QtWidgets.QWidget):
    """Histograms over time: the newest as bars, and all as rows of an image, the oldest at the top."""

    def __init__(self, colors: Colors) -> None:
        super().__init__()
        self.colors = colors
        self.looks: list[Look] = []
        self.setFixedHeight(0)

    def show_looks(self, looks: list[Look]) -> None:
        self.looks = looks[-60:]
        self.setFixedHeight(136 if len(self.looks) > 1 else 76 if self.looks else 0)
        self.update()

    def paintEvent(self, event: QtGui.QPaintEvent) -> None:
        if not self.looks:
            return
        p = QtGui.QPainter(self)
        c, w = self.colors, self.width()
        newest = self.looks[-1]
        low = min(k.low for k in self.looks)
        high = max(k.high for k in self.looks)
        span = max(high - low, 1e-30)
        top = float(max(newest.counts.max(), 1))  # type: ignore[union-attr]
        bins = len(newest.counts)  # type: ignore[arg-type]
        base = 56.0
        p.setPen(QtCore.Qt.PenStyle.NoPen)
        p.setBrush(QtGui.QColor(c.incident))
        for k, n in enumerate(newest.counts.tolist()):  # type: ignore[union-attr]
            x0 = (newest.low + (newest.high - newest.low) * k / bins - low) / span * w
            x1 = (newest.low + (newest.high - newest.low) * (k + 1) / bins - low) / span * w
            h = (base - 4) * n / top
            p.drawRect(QtCore.QRectF(x0, base - h, max(x1 - x0 - 0.6, 0.6), h))
        p.setPen(QtGui.QPen(QtGui.QColor(c.line), 1))
        p.drawLine(QtCore.QPointF(0, base), QtCore.QPointF(w, base))
        if low < 0 < high:
            zero = -low / span * w
            p.drawLine(QtCore.QPointF(zero, 2), QtCore.QPointF(zero, base))
        if len(self.looks) > 1:
            self._image(p, low, span, w, base + 3, self.height() - base - 22)
        p.setPen(QtGui.QColor(c.dim))
        font = p.font()
        font.setPixelSize(10)
        p.setFont(font)
        area = QtCore.QRectF(0, self.height() - 17, w, 15)
        p.drawText(area, QtCore.Qt.AlignmentFlag.AlignLeft, short(low))
        p.drawText(area, QtCore.Qt.AlignmentFlag.AlignRight, short(high))
        p.end()

    def _image(self, p: QtGui.QPainter, low: float, span: float, w: int, y: float, h: float) -> None:
        """Each look a row: where its elements lie between the lowest and the highest of all, darker for more."""
        columns = 96
        grid = np.zeros((len(self.looks), columns))
        for row, look in enumerate(self.looks):
            counts = look.counts
            assert counts is not None
            edges = (np.linspace(look.low, look.high, len(counts) + 1) - low) / span * columns
            share = np.cumsum([0, *counts]) / max(counts.sum(), 1)
            grid[row] = np.diff(np.interp(np.arange(columns + 1), edges, share))
        grid = np.sqrt(grid / max(grid.max(), 1e-12))
        ramp = np.asarray([_rgb(mix(self.colors.panel, self.colors.incident, k / 31)) for k in range(32)], np.uint8)
        rgb = np.ascontiguousarray(ramp[(grid * 31).astype(int)])
        image = QtGui.QImage(rgb.tobytes(), columns, len(self.looks), 3 * columns, QtGui.QImage.Format.Format_RGB888)
        p.drawImage(QtCore.QRectF(0, y, w, h), image)


def _told(look: Look | None, column: int) -> str:
    """A statistic as text; one that was not computed is not a number although all elements are."""
    if look is None or (np.isnan(look.row[column]) and not look.row[NONFINITE] > 0):
        return "–"
    return f"{look.row[column]:.0f}" if column == NONFINITE else short(float(look.row[column]))


def _rgb(color: str) -> tuple[int, int, int]:
    return int(color[1:3], 16), int(color[3:5], 16), int(color[5:7], 16)
