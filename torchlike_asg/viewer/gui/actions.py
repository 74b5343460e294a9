"""What keys and menus do in the window, and the sheet that lists them (F1)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pyqtgraph.Qt import QtCore, QtGui, QtWidgets

from . import export
from .canvas.keys import key_of
from .heat import KINDS as HEATS

if TYPE_CHECKING:
    from .window import Window

Key = QtCore.Qt.Key
#: (key, with Ctrl, with Shift) -> what the window does; keys of the canvas are its own
ACTIONS = {
    (Key.Key_F, True, False): "search",
    (Key.Key_Slash, False, False): "search",
    (Key.Key_F3, False, False): "next",
    (Key.Key_F3, False, True): "previous",
    (Key.Key_H, False, False): "heat",
    (Key.Key_T, False, False): "theme",
    (Key.Key_L, False, False): "language",
    (Key.Key_M, False, False): "minimap",
    (Key.Key_F2, False, False): "outline",
    (Key.Key_F1, False, False): "help",
    (Key.Key_F6, False, False): "motion",
    (Key.Key_E, True, False): "export",
    (Key.Key_Plus, True, False): "larger",
    (Key.Key_Equal, True, False): "larger",
    (Key.Key_Minus, True, False): "smaller",
}
#: the lines of the key sheet: keys as they are written on keyboards (with @: the key of a text), and the texts' keys
SHEET = (
    ("@drag", "pan"),
    ("@wheel", "zoom_here"),
    ("@click", "select"),
    ("@double", "open"),
    ("@right", "menu"),
    ("Ctrl+F  /", "search"),
    ("Enter  F3  Shift+F3", "next"),
    ("↑ ↓ ← →", "walk"),
    ("Space  Enter", "open"),
    ("Backspace", "parent"),
    ("Esc", "clear"),
    ("E  C", "levels"),
    ("F  0  1", "fit"),
    ("+  −", "zoom"),
    ("H", "heat"),
    ("M", "minimap"),
    ("F2", "outline"),
    ("T", "theme"),
    ("L", "language"),
    ("Ctrl+E", "export"),
    ("Ctrl++  Ctrl+−", "text"),
    ("F6", "motion"),
    ("F1", "help"),
)
#: lines in a column of the sheet
COLUMN = 12


class Actions:
    """One method for each name in `ACTIONS`."""

    def __init__(self, window: Window) -> None:
        self._window = window

    def press(self, event: QtGui.QKeyEvent) -> bool:
        """Do what a key is for; whether it is for anything."""
        control = bool(event.modifiers() & QtCore.Qt.KeyboardModifier.ControlModifier)
        shift = bool(event.modifiers() & QtCore.Qt.KeyboardModifier.ShiftModifier)
        key = key_of(event)
        name = ACTIONS.get((key, control, shift)) or ACTIONS.get((key, control, False))
        if name is not None:
            getattr(self, name)()
        return name is not None

    def search(self) -> None:
        self._window.bar.search.setFocus()
        self._window.bar.search.selectAll()

    def next(self) -> None:
        self._window.next_hit()

    def previous(self) -> None:
        self._window.next_hit(-1)

    def heat(self) -> None:
        self._window.set_heat(HEATS[(HEATS.index(self._window.heat.kind) + 1) % len(HEATS)])

    def theme(self) -> None:
        self._window.set_theme("light" if self._window.colors.dark else "dark")

    def language(self) -> None:
        self._window.say.next_language()

    def minimap(self) -> None:
        minimap = self._window.canvas.minimap
        minimap.setVisible(not minimap.isVisible())

    def outline(self) -> None:
        w = self._window
        dock = w.docks["outline"]
        dock.setVisible(not dock.isVisible())
        if dock.isVisible():
            w.outline.show_item(*w.canvas.selection)
            w.outline.setFocus()

    def help(self) -> None:
        key_sheet(self._window).open()

    def larger(self) -> None:
        self._window.zoom_text(1.0)

    def smaller(self) -> None:
        self._window.zoom_text(-1.0)

    def motion(self) -> None:
        self._window.canvas.animated = not self._window.canvas.animated

    def export(self) -> None:
        """Ask where to, and write."""
        w = self._window
        names = ";;".join(f"{w.say('export.' + f.replace('.', '_'))} (*.{f})" for f in export.FORMATS)
        chosen, kind = QtWidgets.QFileDialog.getSaveFileName(w, w.say("export.title"), w.store.hello.title or "graph", names)
        if chosen:
            ending = kind.partition("(*")[2].rstrip(")")
            w.export(Path(chosen if "." in Path(chosen).name else chosen + ending))


def key_sheet(window: Window) -> QtWidgets.QDialog:
    """All keys and what they do."""
    say = window.say
    dialog = QtWidgets.QDialog(window)
    dialog.setAttribute(QtCore.Qt.WidgetAttribute.WA_DeleteOnClose)
    dialog.setWindowTitle(say("keys.title"))
    grid = QtWidgets.QGridLayout(dialog)
    grid.setHorizontalSpacing(16)
    grid.setVerticalSpacing(7)
    grid.setContentsMargins(24, 20, 24, 20)
    for k, (keys, key) in enumerate(SHEET):
        column, row = divmod(k, COLUMN)
        caps = QtWidgets.QHBoxLayout()
        caps.setSpacing(5)
        for name in [say(f"keys.{keys[1:]}")] if keys.startswith("@") else keys.split():
            cap = QtWidgets.QLabel(name)
            cap.setProperty("cap", True)
            caps.addWidget(cap)
        caps.addStretch(1)
        grid.addLayout(caps, row, 3 * column)
        grid.addWidget(QtWidgets.QLabel(say(f"keys.{key}")), row, 3 * column + 1)
    grid.setColumnMinimumWidth(2, 24)
    return dialog
