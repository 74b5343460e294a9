"""Heat maps over the canvas: a quantity as the colour and number of every box, and the legend that says what a colour is worth."""

from __future__ import annotations

import numpy as np
import pyqtgraph as pg
from pyqtgraph.Qt import QtCore, QtGui, QtWidgets

from .canvas import Canvas, Colors
from .graphs import GraphModel
from .say import Say, short
from .store import Store

#: quantities, in the order in which a key goes through them
KINDS = ("", "time", "memory", "gradient", "activation", "update")


class HeatMap:
    """Values of the boxes that show."""

    def __init__(self, store: Store, say: Say) -> None:
        self.store, self.say = store, say
        self.kind = ""
        self.low = self.high = 0.0

    def write(self, x: float) -> str:
        """A value of the current quantity as text."""
        return self.say.duration(x) if self.kind == "time" else self.say.amount(x) if self.kind == "memory" else short(x)

    def value(self, nodes: list[int]) -> float | None:
        """The quantity of one node, or of a group: sums of times and memory, the norm of norms, else the largest."""
        store = self.store
        if self.kind == "time":
            return store.times(nodes) if store.took and bool((store.graph.kernel[np.asarray(nodes, int)] >= 0).any()) else None
        if self.kind == "memory":
            return float(store.memory(nodes))
        found = [v for i in nodes if (v := self._one(i)) is not None and np.isfinite(v)]
        if not found:
            return None
        return float(np.sqrt(np.sum(np.square(found)))) if self.kind == "gradient" else max(found)

    def _one(self, i: int) -> float | None:
        store = self.store
        if self.kind == "gradient":
            look = store.look(i, "gradient")
            gradient = int(store.graph.gradient[i])
            look = look or (store.look(gradient) if gradient >= 0 else None)
            return float(look.row[5]) if look is not None else None
        if self.kind == "activation":
            look = store.look(i)
            return float(look.row[1]) if look is not None else None
        look = store.look(i, "update")
        return float(look.row[5]) if look is not None else None

    def paint(self, canvas: Canvas, model: GraphModel) -> None:
        """Colour the canvas by the current quantity, on a logarithmic scale if values differ by more than a hundredfold."""
        if not self.kind:
            canvas.set_heat({}, {})
            return
        values: dict[int, float] = {}
        for number, box in enumerate(canvas.scene.boxes):
            if box.kind == "open":
                continue
            nodes = [box.item] if box.kind == "node" else [n for g in box.members or [box.item] for n in model.nodes_in(g)]
            v = self.value(nodes)
            if v is not None:
                values[number] = v
        positive = [v for v in values.values() if v > 0]
        if not positive:
            canvas.set_heat({}, {})
            self.low = self.high = 0.0
            return
        self.low, self.high = min(positive), max(positive)
        wide = self.high > 100 * self.low
        low = np.log(self.low) if wide else 0.0
        span = ((np.log(self.high) if wide else self.high) - low) or 1.0
        heat = {b: float(np.clip(((np.log(v) if wide else v) - low) / span, 0, 1)) if v > 0 else 0.0 for b, v in values.items()}
        canvas.set_heat(heat, {b: self.write(v) for b, v in values.items()})


class HeatLegend(QtWidgets.QWidget):
    """A bar of colours with the smallest and the largest value."""

    def __init__(self, heat: HeatMap, say: Say, colors: Colors, parent: Canvas) -> None:
        super().__init__(parent)
        self.heat, self.say, self.colors = heat, say, colors
        self.setFixedSize(230, 58)
        self.setAttribute(QtCore.Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        parent.looked.connect(self.place)
        self.place()
        self.hide()

    def place(self) -> None:
        """In the canvas's lower left corner, where graphs seldom are."""
        around = self.parentWidget()
        if around is not None:
            self.move(12, around.height() - self.height() - 12)

    def paintEvent(self, event: QtGui.QPaintEvent) -> None:
        p = QtGui.QPainter(self)
        p.setRenderHint(QtGui.QPainter.RenderHint.Antialiasing)
        p.setPen(QtGui.QPen(QtGui.QColor(self.colors.line), 1))
        p.setBrush(QtGui.QColor(self.colors.panel))
        p.drawRoundedRect(QtCore.QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5), 6, 6)
        gradient = QtGui.QLinearGradient(10, 0, self.width() - 10, 0)
        ramp = pg.colormap.get("viridis")
        for k in range(11):
            gradient.setColorAt(k / 10, ramp.map(k / 10, "qcolor"))
        p.setPen(QtCore.Qt.PenStyle.NoPen)
        p.setBrush(QtGui.QBrush(gradient))
        p.drawRoundedRect(QtCore.QRectF(10, 25, self.width() - 20, 10), 3, 3)
        font = p.font()
        font.setPixelSize(11)
        p.setFont(font)
        p.setPen(QtGui.QColor(self.colors.text))
        align = QtCore.Qt.AlignmentFlag
        known = self.heat.high > 0
        p.drawText(
            QtCore.QRectF(10, 6, self.width() - 20, 16), align.AlignLeft, self.say(f"heat.{self.heat.kind}") if self.heat.kind else ""
        )
        line = QtCore.QRectF(10, 38, self.width() - 20, 16)
        p.setPen(QtGui.QColor(self.colors.dim))
        p.drawText(line, align.AlignLeft, self.heat.write(self.heat.low) if known else self.say("heat.waiting"))
        p.drawText(line, align.AlignRight, self.heat.write(self.heat.high) if known else "")
        p.end()
