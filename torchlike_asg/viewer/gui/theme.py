"""Light and dark: the canvas's colours as a style sheet for everything around it, and the font."""

from __future__ import annotations

import pyqtgraph as pg
from pyqtgraph.Qt import QtCore, QtGui, QtWidgets

from .canvas import DARK, LIGHT, Colors
from .canvas.palette import mix, readable

FAMILY = "DejaVu Sans"
#: what a font must be able to write: letters of both alphabets. Single signs may come from another font, which Qt then takes them from.
SAMPLE = "AZazАЯЁЙаяёй"


def colors_for(theme: str) -> Colors:
    """The colours of "dark", "light" or "auto", which asks the desktop."""
    if theme == "auto":
        hints = QtGui.QGuiApplication.styleHints()
        scheme = getattr(hints, "colorScheme", None)
        if scheme is not None:
            return LIGHT if getattr(scheme(), "name", "") == "Light" else DARK
        return DARK if QtWidgets.QApplication.palette().window().color().lightness() < 128 else LIGHT
    return LIGHT if theme == "light" else DARK


def font_family() -> str:
    """A family with Latin, Cyrillic and the signs we use: DejaVu Sans if it is there, else the first that has them."""
    families = set(QtGui.QFontDatabase.families())
    for family in (FAMILY, "Noto Sans", "Segoe UI", "Helvetica Neue", "Arial", QtWidgets.QApplication.font().family()):
        if family in families and covers(family):
            return family
    return QtWidgets.QApplication.font().family()


def covers(family: str, sample: str = SAMPLE) -> bool:
    """Whether a font has all letters of a text. (That Qt started does not mean that it has fonts.)"""
    raw = QtGui.QRawFont.fromFont(QtGui.QFont(family))
    return raw.isValid() and all(raw.supportsCharacter(ord(c)) for c in sample)


def animations() -> bool:
    """Whether the desktop wants things to move."""
    style = QtWidgets.QApplication.style()
    return style is None or style.styleHint(QtWidgets.QStyle.StyleHint.SH_Widget_Animation_Duration) > 0


def apply(app: QtWidgets.QApplication, c: Colors, points: float = 10.0) -> None:
    """Dress the application. (Qt looks at every widget for it, so only if something changes.)"""
    dressed = f"{c.dark} {points}"
    if app.property("dressed") == dressed:
        return
    app.setProperty("dressed", dressed)
    font = QtGui.QFont(font_family())
    font.setPointSizeF(points)
    app.setFont(font)
    palette = QtGui.QPalette()
    role = QtGui.QPalette.ColorRole
    for which, color in (
        (role.Window, c.background),
        (role.Base, c.panel),
        (role.AlternateBase, c.background),
        (role.Button, c.panel),
        (role.WindowText, c.text),
        (role.Text, c.text),
        (role.ButtonText, c.text),
        (role.ToolTipBase, c.panel),
        (role.ToolTipText, c.text),
        (role.PlaceholderText, c.dim),
        (role.Highlight, c.incident),
        (role.HighlightedText, readable(c.incident)),
        (role.Link, c.match),
    ):
        palette.setColor(which, QtGui.QColor(color))
    app.setPalette(palette)
    app.setStyleSheet(style_sheet(c, points))
    pg.setConfigOptions(background=c.panel, foreground=c.dim, antialias=False)


def cross(c: Colors) -> QtGui.QIcon:
    """An icon for closing."""
    picture = QtGui.QPixmap(48, 48)
    picture.fill(QtCore.Qt.GlobalColor.transparent)
    p = QtGui.QPainter(picture)
    p.setRenderHint(QtGui.QPainter.RenderHint.Antialiasing)
    p.setPen(QtGui.QPen(QtGui.QColor(c.dim), 5))
    p.drawLine(13, 13, 35, 35)
    p.drawLine(13, 35, 35, 13)
    p.end()
    return QtGui.QIcon(picture)


def style_sheet(c: Colors, points: float = 10.0) -> str:
    raised, edge = mix(c.panel, c.text, 0.06), mix(c.panel, c.text, 0.16)
    return f"""
    QMainWindow, QDialog {{ background: {c.background}; }}
    QMainWindow::separator {{ background: {edge}; width: 1px; height: 1px; }}
    QMainWindow::separator:hover {{ background: {c.incident}; }}
    QWidget#legend {{ background: {c.panel}; border-top: 1px solid {edge}; }}
    QWidget#curves {{ background: {c.panel}; }}
    QLabel#reading {{ background: {raised}; border: 1px solid {edge}; border-radius: 5px; padding: 5px 8px; }}
    QWidget#bar, QWidget#strip {{ background: {c.panel}; border-bottom: 1px solid {edge}; }}
    QLabel {{ color: {c.text}; background: transparent; }}
    QLabel[dim="true"] {{ color: {c.dim}; }}
    QLabel[head="true"] {{ color: {c.dim}; font-weight: 600; letter-spacing: 1px; }}
    QLabel[title="true"] {{ color: {c.text}; font-weight: 700; font-size: {1.5 * points}pt; }}
    QLabel[value="true"] {{ color: {c.text}; font-weight: 600; }}
    QLabel[cap="true"] {{ color: {c.text}; background: {raised}; border: 1px solid {mix(c.panel, c.text, 0.3)}; border-radius: 4px;
        padding: 1px 6px; font-weight: 600; }}
    QLabel#banner {{ color: #FFFFFF; font-weight: 600; }}
    QWidget#alarm {{ background: {"#8E2A22" if c.dark else "#B3261E"}; }}
    QWidget#alarm QPushButton {{ color: #FFFFFF; background: transparent; border: 1px solid #FFFFFF; }}
    QWidget#dock {{ background: {c.panel}; border-bottom: 1px solid {edge}; }}
    QScrollArea, QScrollArea > QWidget > QWidget {{ background: {c.panel}; border: none; }}
    QLineEdit, QComboBox, QPlainTextEdit {{ background: {raised}; color: {c.text}; border: 1px solid {edge}; border-radius: 5px;
        padding: 4px 8px; selection-background-color: {c.incident}; selection-color: {readable(c.incident)};
        placeholder-text-color: {c.dim}; }}
    QLineEdit:focus, QComboBox:focus, QPushButton:focus, QToolButton:focus {{ border: 1px solid {c.selection}; }}
    QComboBox QAbstractItemView {{ background: {c.panel}; color: {c.text}; border: 1px solid {edge}; }}
    QComboBox::drop-down {{ border: none; width: 22px; }}
    QToolButton::menu-indicator {{ image: none; width: 0; }}
    QPushButton, QToolButton {{ background: {raised}; color: {c.text}; border: 1px solid {edge}; border-radius: 5px; padding: 4px 9px; }}
    QPushButton:hover, QToolButton:hover {{ border-color: {c.dim}; }}
    QPushButton:checked, QToolButton:checked {{ background: {mix(c.panel, c.match, 0.25)}; border-color: {c.match}; }}
    QToolButton[crumb="true"], QToolButton[fold="true"] {{ background: transparent; border: none; padding: 2px 4px; }}
    QToolButton[fold="true"] {{ color: {c.dim}; font-weight: 600; }}
    QLabel[crumb="true"] {{ padding: 2px 4px; }}
    QToolButton[crumb="true"]:hover {{ color: {c.match}; }}
    QToolButton[curve="true"], QToolButton[curve="true"]:checked {{ background: transparent; border: 1px solid transparent;
        padding: 3px 7px; }}
    QToolButton[curve="true"]:hover, QToolButton[curve="true"]:focus {{ border-color: {edge}; }}
    QToolButton[curve="true"]:!checked {{ color: {c.dim}; }}
    QTreeView, QListView, QTableView {{ background: {c.panel}; color: {c.text}; border: none; outline: 0; }}
    QTreeView::item, QListView::item {{ padding: 3px 2px; }}
    QTreeView::item:selected, QListView::item:selected {{ background: {mix(c.panel, c.incident, 0.35)}; color: {c.text}; }}
    QHeaderView::section {{ background: {c.panel}; color: {c.dim}; border: none; padding: 4px; }}
    QMenu {{ background: {c.panel}; color: {c.text}; border: 1px solid {edge}; padding: 4px; }}
    QMenu::item {{ padding: 5px 22px; border-radius: 4px; }}
    QMenu::item:selected {{ background: {mix(c.panel, c.incident, 0.35)}; }}
    QMenu::separator {{ height: 1px; background: {edge}; margin: 4px 8px; }}
    QToolTip {{ background: {c.panel}; color: {c.text}; border: 1px solid {edge}; padding: 4px; }}
    QScrollBar:vertical {{ background: transparent; width: 10px; }}
    QScrollBar:horizontal {{ background: transparent; height: 10px; }}
    QScrollBar::handle {{ background: {edge}; border-radius: 4px; min-height: 28px; min-width: 28px; }}
    QScrollBar::handle:hover {{ background: {c.dim}; }}
    QScrollBar::add-line, QScrollBar::sub-line, QScrollBar::add-page, QScrollBar::sub-page {{ background: none; border: none;
        height: 0; width: 0; }}
    QSlider::groove:horizontal {{ height: 4px; background: {edge}; border-radius: 2px; }}
    QSlider::handle:horizontal {{ width: 12px; margin: -5px 0; border-radius: 6px; background: {c.dim}; }}
    QSlider::handle:horizontal:hover, QSlider::handle:horizontal:focus {{ background: {c.selection}; }}
    QCheckBox {{ color: {c.text}; spacing: 6px; }}
    """
