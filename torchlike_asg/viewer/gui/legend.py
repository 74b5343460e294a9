"""What the looks of boxes and lines mean: samples with their names, in lines that wrap."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pyqtgraph.Qt import QtCore, QtGui, QtWidgets

from .canvas import Colors, fusion_hue
from .say import Say

HIGH, GAP, MARGIN = 20, 16, 12


@dataclass(frozen=True)
class Sample:
    """One entry. ``key`` names its text; ``hue`` and ``glyph`` are those of a box; "back" is a line and "kernel" an outline."""

    key: str
    hue: str = ""
    glyph: str = ""


class Legend(QtWidgets.QWidget):
    """``samples()`` gives what is to be explained now."""

    def __init__(self, say: Say, colors: Colors, samples: Callable[[], list[Sample]]) -> None:
        super().__init__()
        self.say, self.colors, self._samples = say, colors, samples
        self._shown: list[tuple[Sample, str, int]] = []
        policy = QtWidgets.QSizePolicy(QtWidgets.QSizePolicy.Policy.Ignored, QtWidgets.QSizePolicy.Policy.Preferred)
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)
        self.setObjectName("legend")
        self.setAttribute(QtCore.Qt.WidgetAttribute.WA_StyledBackground)
        self.retranslate()

    def retranslate(self) -> None:
        """What is shown, its texts or their sizes have changed."""
        metrics = QtGui.QFontMetrics(self.font())
        self._line = max(HIGH, metrics.height() + 3)
        names = [(s, self.say(f"category.{s.key}")) for s in self._samples()]
        self._shown = [(s, name, HIGH + 6 + metrics.horizontalAdvance(name)) for s, name in names]
        self.setAccessibleName(", ".join(name for _, name in names))
        self.updateGeometry()
        self.update()

    def changeEvent(self, event: QtCore.QEvent) -> None:
        if event.type() == QtCore.QEvent.Type.FontChange:
            self.retranslate()
        super().changeEvent(event)

    def _places(self, width: int) -> list[tuple[int, int]]:
        """Where each sample begins, in lines of that width."""
        found, x, y = [], MARGIN, 0
        for _, _, wide in self._shown:
            if x > MARGIN and x + wide > width - MARGIN:
                x, y = MARGIN, y + self._line
            found.append((x, y))
            x += wide + GAP
        return found

    def hasHeightForWidth(self) -> bool:
        return True

    def heightForWidth(self, width: int) -> int:
        places = self._places(width)
        return places[-1][1] + self._line + 8 if places else 0

    def sizeHint(self) -> QtCore.QSize:
        return QtCore.QSize(400, self.heightForWidth(max(self.width(), 400)))

    def paintEvent(self, event: QtGui.QPaintEvent) -> None:
        super().paintEvent(event)
        p = QtGui.QPainter(self)
        p.setRenderHint(QtGui.QPainter.RenderHint.Antialiasing)
        small = QtGui.QFont(self.font())
        small.setPixelSize(11)
        align = QtCore.Qt.AlignmentFlag
        for (sample, name, wide), (x, y) in zip(self._shown, self._places(self.width()), strict=True):
            box = QtCore.QRectF(x, y + 6 + (self._line - HIGH) / 2, HIGH, HIGH - 5)
            self._sample(p, sample, box, small)
            p.setFont(self.font())
            p.setPen(QtGui.QColor(self.colors.dim))
            p.drawText(QtCore.QRectF(x + HIGH + 6, y + 4, wide, self._line), align.AlignLeft | align.AlignVCenter, name)
        p.end()

    def _sample(self, p: QtGui.QPainter, sample: Sample, box: QtCore.QRectF, font: QtGui.QFont) -> None:
        c = self.colors
        if sample.key == "back":
            pen = QtGui.QPen(QtGui.QColor(c.edge), 1.2)
            pen.setDashPattern([4.0, 3.0])
            p.setPen(pen)
            p.drawLine(QtCore.QPointF(box.left(), box.center().y()), QtCore.QPointF(box.right(), box.center().y()))
            return
        if sample.key == "kernel":
            p.setPen(QtGui.QPen(QtGui.QColor(fusion_hue(3, c)), 1.8))
            p.setBrush(QtCore.Qt.BrushStyle.NoBrush)
            p.drawRoundedRect(box.adjusted(1, 1, -1, -1), 6, 6)
            return
        p.setPen(QtGui.QPen(QtGui.QColor(sample.hue), 1.2))
        p.setBrush(QtGui.QColor(c.face(sample.hue)))
        p.drawRoundedRect(box.adjusted(0.5, 0.5, -0.5, -0.5), 4, 4)
        p.setFont(font)
        p.setPen(QtGui.QColor(c.text))
        p.drawText(box, QtCore.Qt.AlignmentFlag.AlignCenter, sample.glyph)
