"""Formulas, typeset: one QPainterPath a formula, so that it is sharp at any scale and takes the theme's colour."""

from __future__ import annotations

import functools
from dataclasses import dataclass

from pyqtgraph.Qt import QtCore, QtGui, QtWidgets

from ..formula import plain
from ..formula.parse import Accent, Cases, Fence, Fraction, Part, Root, Row, Script, Space, Symbol, parse

FAMILY = "DejaVu Serif"
#: scripts against their base, and the smallest size, in pixels
SMALLER, SMALLEST = 0.7, 8.0
#: room around a sign, in ems
ROOM = {"binary": 0.22, "relation": 0.28, "comma": 0.12}


@dataclass
class Piece:
    """A typeset part: how far it reaches right of, above and below the origin on its baseline, and its outline."""

    width: float
    above: float
    below: float
    path: QtGui.QPainterPath

    def at(self, x: float, y: float) -> QtGui.QPainterPath:
        return self.path.translated(x, y)


@functools.lru_cache(maxsize=64)
def _font(size: float, italic: bool) -> tuple[QtGui.QFont, QtGui.QFontMetricsF]:
    font = QtGui.QFont(FAMILY)
    font.setPixelSize(max(1, round(size)))
    font.setItalic(italic)
    return font, QtGui.QFontMetricsF(font)


def _glyphs(text: str, size: float, italic: bool = False) -> Piece:
    font, metrics = _font(size, italic)
    path = QtGui.QPainterPath()
    path.addText(0, 0, font, text)
    ink = path.boundingRect()
    width = max(metrics.horizontalAdvance(text), ink.right() + 0.04 * size)
    return Piece(width, max(-ink.top(), metrics.xHeight()), max(ink.bottom(), 0.0), path)


def _side_by_side(pieces: list[tuple[float, Piece]]) -> Piece:
    """Pieces on one baseline, each with the room before it."""
    x = above = below = 0.0
    path = QtGui.QPainterPath()
    for room, piece in pieces:
        x += room
        path.addPath(piece.at(x, 0))
        x += piece.width
        above, below = max(above, piece.above), max(below, piece.below)
    return Piece(max(x, 0.0), above, below, path)


def _script_size(size: float) -> float:
    return max(SMALLEST, size * SMALLER)


def _axis(size: float) -> float:
    """How far above the baseline fraction bars and the middle of large signs are."""
    return 0.28 * size


def typeset(part: Part, size: float) -> Piece:
    """A part at a font size in pixels."""
    match part:
        case Symbol(text, kind):
            if kind == "big":
                return _big(text, size)
            return _glyphs(text, size, italic=kind == "letter")
        case Space(width):
            return Piece(width * size, 0.0, 0.0, QtGui.QPainterPath())
        case Row(items):
            return _row(items, size)
        case Fraction(above, below):
            return _fraction(typeset(above, size * 0.88), typeset(below, size * 0.88), size)
        case Root(inner):
            return _root(typeset(inner, size), size)
        case Accent(mark, inner):
            return _accent(mark, typeset(inner, size), size)
        case Fence(left, inner, right):
            body = typeset(inner, size)
            return _side_by_side([(0.0, _bracket(left, body, size)), (0.03 * size, body), (0.03 * size, _bracket(right, body, size))])
        case Cases(lines):
            return _cases([(typeset(value, size), typeset(condition, size)) for value, condition in lines], size)
        case Script(base, sub, sup):
            return _scripts(base, sub, sup, size)


def _row(items: tuple[Part, ...], size: float) -> Piece:
    pieces: list[tuple[float, Piece]] = []
    room_after = 0.0
    before: Part | None = None
    for item in items:
        piece = typeset(item, size)
        base = item.base if isinstance(item, Script) else item
        kind = base.kind if isinstance(base, Symbol) else ""
        value_before = before is not None and not (isinstance(before, Symbol) and before.kind in ("binary", "relation", "open", "comma"))
        around = ROOM.get(kind, 0.0) * size
        if kind == "binary" and not value_before:
            around = 0.0  # a sign
        room = room_after if kind == "comma" else max(room_after, around)
        if kind in ("name", "limits", "big") and value_before:
            room = max(room, 0.16 * size)
        pieces.append((room, piece))
        room_after = around
        if kind in ("name", "limits", "big"):
            room_after = 0.16 * size
        if isinstance(item, Symbol) and item.kind == "open" and len(pieces) > 1 and _is_function(before):
            pieces[-1] = (0.02 * size, piece)
        before = None if isinstance(item, Space) else item
    return _side_by_side(pieces)


def _is_function(part: Part | None) -> bool:
    base = part.base if isinstance(part, Script) else part
    return isinstance(base, Symbol) and base.kind in ("name", "limits")


def _big(text: str, size: float) -> Piece:
    piece = _glyphs(text, size * 1.45)
    middle = (piece.above - piece.below) / 2
    shift = middle - _axis(size)
    return Piece(piece.width, piece.above - shift, piece.below + shift, piece.at(0, shift))


def _fraction(above: Piece, below: Piece, size: float) -> Piece:
    width = max(above.width, below.width) + 0.24 * size
    axis, thick, gap = _axis(size), max(1.0, 0.055 * size), 0.16 * size
    path = QtGui.QPainterPath()
    path.addPath(above.at((width - above.width) / 2, -axis - gap - above.below))
    path.addPath(below.at((width - below.width) / 2, -axis + gap + below.above))
    path.addRect(QtCore.QRectF(0.04 * size, -axis - thick / 2, width - 0.08 * size, thick))
    return Piece(width, axis + gap + above.below + above.above, -axis + gap + below.above + below.below, path)


def _root(inner: Piece, size: float) -> Piece:
    top, bottom, thick = inner.above + 0.16 * size, inner.below + 0.04 * size, max(1.0, 0.055 * size)
    left = 0.55 * size
    lines = QtGui.QPainterPath()
    lines.moveTo(0.02 * size, -0.30 * (top + bottom) + bottom - 0.02 * size)
    lines.lineTo(0.14 * size, -0.38 * (top + bottom) + bottom)
    lines.lineTo(0.30 * size, bottom)
    lines.lineTo(left - 0.06 * size, -top)
    lines.lineTo(left + inner.width + 0.08 * size, -top)
    stroker = QtGui.QPainterPathStroker()
    stroker.setWidth(thick)
    stroker.setJoinStyle(QtCore.Qt.PenJoinStyle.MiterJoin)
    path = stroker.createStroke(lines).simplified()
    path.addPath(inner.at(left, 0))
    return Piece(left + inner.width + 0.12 * size, top + thick, bottom + thick / 2, path)


def _accent(mark: str, inner: Piece, size: float) -> Piece:
    thick = max(1.0, 0.055 * size)
    y = -inner.above - 0.13 * size
    path = QtGui.QPainterPath(inner.path)
    if mark == "hat":
        middle, half = inner.width / 2 + 0.06 * size, min(0.2 * size, inner.width / 2)
        roof = QtGui.QPainterPath()
        roof.moveTo(middle - half, y + 0.06 * size)
        roof.lineTo(middle, y - 0.07 * size)
        roof.lineTo(middle + half, y + 0.06 * size)
        stroker = QtGui.QPainterPathStroker()
        stroker.setWidth(thick)
        path.addPath(stroker.createStroke(roof))
    else:
        path.addRect(QtCore.QRectF(0.06 * size, y, max(inner.width - 0.06 * size, 0.3 * size), thick))
    return Piece(inner.width, inner.above + 0.24 * size, inner.below, path)


def _bracket(text: str, body: Piece, size: float) -> Piece:
    """A bracket stretched to the height of what it encloses."""
    if not text:
        return Piece(0.0, 0.0, 0.0, QtGui.QPainterPath())
    piece = _glyphs(text, size)
    axis = _axis(size)
    half = max(body.above - axis, body.below + axis) + 0.06 * size
    ink = piece.path.boundingRect()
    stretch = max(1.0, 2 * half / max(ink.height(), 1.0))
    middle = ink.center().y()
    path = QtGui.QTransform(1.0, 0.0, 0.0, stretch, 0.0, -axis - middle * stretch).map(piece.path)
    return Piece(piece.width, axis + half, half - axis, path)


def _cases(lines: list[tuple[Piece, Piece]], size: float) -> Piece:
    """Lines in two columns, centred on the axis, behind a brace."""
    second = max(value.width for value, _ in lines) + 1.1 * size
    path = QtGui.QPainterPath()
    y = width = 0.0
    for n, (value, condition) in enumerate(lines):
        above = max(value.above, condition.above, 0.6 * size)
        y += above + (0.35 * size if n else 0.0)
        path.addPath(value.at(0, y))
        path.addPath(condition.at(second, y))
        y += max(value.below, condition.below, 0.1 * size)
        width = max(width, second + condition.width)
    up = _axis(size) + y / 2
    body = Piece(width, up, y - up, path.translated(0, -up))
    return _side_by_side([(0.0, _bracket("{", body, size)), (0.14 * size, body)])


def _scripts(base: Part, sub: Part | None, sup: Part | None, size: float) -> Piece:
    core = typeset(base, size)
    small = _script_size(size)
    low = typeset(sub, small) if sub is not None else None
    prime = isinstance(sup, Symbol) and sup.text == "′"  # stands as high as it should without being raised
    high = typeset(sup, size if prime else small) if sup is not None else None
    if isinstance(base, Symbol) and base.kind in ("big", "limits") and base.text != "∫":
        return _limits(core, low, high, size)
    path = QtGui.QPainterPath(core.path)
    width, above, below = core.width, core.above, core.below
    slant = 0.05 * size
    if high is not None:
        y = 0.0 if prime else -max(core.above - 0.55 * high.above, 0.36 * size)
        path.addPath(high.at(core.width + slant, y))
        width = max(width, core.width + slant + high.width)
        above = max(above, high.above - y)
    if low is not None:
        y = max(core.below + 0.1 * size, 0.18 * size) if core.below > 0.3 * size else 0.2 * size
        if high is not None:
            y = max(y, low.above - 0.1 * size)
        path.addPath(low.at(core.width + 0.01 * size, y))
        width = max(width, core.width + low.width)
        below = max(below, y + low.below)
    return Piece(width + 0.04 * size, above, below, path)


def _limits(core: Piece, low: Piece | None, high: Piece | None, size: float) -> Piece:
    width = max(core.width, low.width if low else 0.0, high.width if high else 0.0)
    path = core.at((width - core.width) / 2, 0)
    above, below, gap = core.above, core.below, 0.1 * size
    if low is not None:
        path.addPath(low.at((width - low.width) / 2, core.below + gap + low.above))
        below = core.below + gap + low.above + low.below
    if high is not None:
        path.addPath(high.at((width - high.width) / 2, -core.above - gap - high.below))
        above = core.above + gap + high.below + high.above
    return Piece(width, above, below, path)


class FormulaView(QtWidgets.QWidget):
    """Shows one formula, smaller where it is wider than its place. Ctrl+C or the context menu copies it as text; screen readers say it."""

    MARGIN = 6.0

    def __init__(self, parent: QtWidgets.QWidget | None = None, size: float = 20.0) -> None:
        super().__init__(parent)
        self._size, self._piece, self._color = size, None, QtGui.QColor("black")
        self.text = self._source = ""
        self.setFocusPolicy(QtCore.Qt.FocusPolicy.ClickFocus)
        self.setSizePolicy(QtWidgets.QSizePolicy.Policy.Expanding, QtWidgets.QSizePolicy.Policy.Fixed)
        self.setContextMenuPolicy(QtCore.Qt.ContextMenuPolicy.ActionsContextMenu)
        self.copy_action = QtGui.QAction(self)
        self.copy_action.setShortcut(QtGui.QKeySequence.StandardKey.Copy)
        self.copy_action.setShortcutContext(QtCore.Qt.ShortcutContext.WidgetShortcut)
        self.copy_action.triggered.connect(self.copy)
        self.addAction(self.copy_action)

    def set_formula(self, source: str) -> None:
        """Show a formula given in TeX; an empty one shows nothing."""
        self._source = source
        self._piece = typeset(parse(source), self._size) if source else None
        self.text = plain(source) if source else ""
        self.setAccessibleName(self.text)
        self.setToolTip(self.text)
        self.updateGeometry()
        self.update()

    def set_size(self, size: float) -> None:
        """Pixels of its letters."""
        self._size = size
        self.set_formula(self._source)

    def set_color(self, color: str) -> None:
        self._color = QtGui.QColor(color)
        self.update()

    def copy(self) -> None:
        """Put the formula on the clipboard as a line of text."""
        QtWidgets.QApplication.clipboard().setText(self.text)

    def sizeHint(self) -> QtCore.QSize:
        if self._piece is None:
            return QtCore.QSize(0, 0)
        high = self._piece.above + self._piece.below + 2 * self.MARGIN
        return QtCore.QSize(int(self._piece.width + 2 * self.MARGIN), int(high) + 1)

    def minimumSizeHint(self) -> QtCore.QSize:
        return QtCore.QSize(40, self.sizeHint().height())

    def paintEvent(self, event: QtGui.QPaintEvent) -> None:
        if self._piece is None:
            return
        p = QtGui.QPainter(self)
        p.setRenderHint(QtGui.QPainter.RenderHint.Antialiasing)
        scale = min(1.0, (self.width() - 2 * self.MARGIN) / max(self._piece.width, 1.0))
        high = (self._piece.above + self._piece.below) * scale
        p.translate(self.MARGIN, (self.height() - high) / 2 + self._piece.above * scale)
        p.scale(scale, scale)
        p.fillPath(self._piece.path, self._color)
        p.end()
