"""Lines of text on a drawing: fonts by size, and laid-out texts that are kept between frames."""

from __future__ import annotations

from collections import OrderedDict

from pyqtgraph.Qt import QtCore, QtGui

TEXTS = 4000
#: 12.5 pixels at a zoom of 0.45 are 5.6, for which there is only a font of 6
SLACK = 1.07


class Lettering:
    """Draws single lines with fonts of one family."""

    def __init__(self, family: str) -> None:
        self.family = family
        self._texts: OrderedDict[tuple[str, int, bool, int], QtGui.QStaticText] = OrderedDict()
        self._fonts: dict[tuple[int, bool], QtGui.QFont] = {}

    def font(self, pixels: float, bold: bool = False) -> QtGui.QFont:
        key = (max(1, round(pixels)), bold)
        found = self._fonts.get(key)
        if found is None:
            found = self._fonts[key] = QtGui.QFont(self.family)
            found.setPixelSize(key[0])
            found.setBold(bold)
        return found

    def width(self, text: str, pixels: float, bold: bool = False) -> float:
        """How wide a text is in a font of that size."""
        return float(QtGui.QFontMetricsF(self.font(pixels, bold)).horizontalAdvance(text))

    def needed(self, text: str, pixels: float, bold: bool = False) -> float:
        """How wide a text of that size may become at any zoom: fonts have whole pixels only, so that it grows in steps."""
        return self.width(text, 20 * pixels, bold) / 20 * SLACK

    def line(self, p: QtGui.QPainter, text: str, pixels: float, bold: bool, color: str, r: QtCore.QRectF, right: bool = False) -> float:
        """Draw a line of text in the middle of a rectangle's height, elided to its width; its width is returned."""
        if not text or r.width() < 8:
            return 0.0
        font = self.font(pixels, bold)
        key = (text, font.pixelSize(), bold, int(r.width()))
        laid = self._texts.get(key)
        if laid is None:
            elided = QtGui.QFontMetricsF(font).elidedText(text, QtCore.Qt.TextElideMode.ElideRight, r.width())
            laid = self._texts[key] = QtGui.QStaticText(elided)
            laid.setTextFormat(QtCore.Qt.TextFormat.PlainText)
            laid.prepare(QtGui.QTransform(), font)
            if len(self._texts) > TEXTS:
                self._texts.popitem(last=False)
        size = laid.size()
        p.setFont(font)
        p.setPen(QtGui.QColor(color))
        x = r.right() - size.width() if right else r.x()
        p.drawStaticText(QtCore.QPointF(x, r.y() + (r.height() - size.height()) / 2), laid)
        return float(size.width())
