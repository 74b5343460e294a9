"""The language of the window: texts by key, plurals, numbers, amounts. One object, which tells its listeners when the language changes."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from pyqtgraph.Qt import QtCore

from ...i18n import catalog


class Say:
    """``say("chart.loss")`` is the text ``ui.viewer.chart.loss`` in the current language."""

    def __init__(self, lang: str = "en") -> None:
        self.lang = lang
        self._listeners: list[Callable[[], None]] = []

    def __call__(self, key: str, **fields: Any) -> str:
        return catalog.text(f"ui.viewer.{key}", self.lang, **fields)

    def plural(self, key: str, n: int, **fields: Any) -> str:
        return catalog.plural(f"ui.viewer.{key}", n, self.lang, **fields)

    def op(self, name: str, part: str) -> str | None:
        """A text about an operation: its "title", "what", "why" or "formula"; None if there is none."""
        return catalog.find(f"op.{name}.{part}", self.lang)

    def on_change(self, fn: Callable[[], None]) -> None:
        """Call `fn` whenever the language changes."""
        self._listeners.append(fn)

    def set_language(self, lang: str) -> None:
        self.lang = lang
        for fn in self._listeners:
            fn()

    def next_language(self) -> None:
        codes = catalog.languages()
        self.set_language(codes[(codes.index(self.lang) + 1) % len(codes)])

    # ---------------------------------------------------------------- numbers
    def number(self, n: int) -> str:
        """A whole number as the language writes it."""
        return QtCore.QLocale(self.lang).toString(int(n))

    def amount(self, nbytes: float) -> str:
        """Bytes: ``1.5 MiB``."""
        for unit in ("b", "kib", "mib"):
            if abs(nbytes) < 999.5:  # three digits
                return self(f"unit.{unit}", n=f"{nbytes:.3g}")
            nbytes /= 1024
        return self("unit.gib", n=f"{nbytes:.3g}")

    def duration(self, us: float) -> str:
        """Microseconds: ``12 µs``, ``3.4 ms``."""
        for unit in ("us", "ms"):
            if us < 999.5:
                return self(f"unit.{unit}", n=f"{us:.3g}")
            us /= 1000
        return self("unit.s", n=f"{us:.3g}" if us < 999.5 else f"{us:.0f}")


def translate_qt(lang: str) -> None:
    """Qt's own texts (of file dialogs, text fields' menus, docks) in a language, as far as Qt brings it."""
    app = QtCore.QCoreApplication.instance()
    if app is None or app.property("speaks") == lang:
        return
    app.setProperty("speaks", lang)
    for old in app.findChildren(QtCore.QTranslator):
        app.removeTranslator(old)
        old.deleteLater()
    translator = QtCore.QTranslator(app)
    if translator.load(f"qtbase_{lang}", QtCore.QLibraryInfo.path(QtCore.QLibraryInfo.LibraryPath.TranslationsPath)):
        app.installTranslator(translator)


def short(x: float) -> str:
    """A measured number in a few characters."""
    if not math.isfinite(x):
        return "NaN" if math.isnan(x) else "∞" if x > 0 else "-∞"
    return f"{x:.4g}" if x == 0 or 1e-3 <= abs(x) < 1e5 else f"{x:.2e}"


def shape_text(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape))
