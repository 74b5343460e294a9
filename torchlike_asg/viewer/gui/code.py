"""The code of a kernel, LLVM IR or WGSL: with colours, line numbers, a search and a button that copies it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pyqtgraph.Qt import QtCore, QtGui, QtWidgets

from ..protocol import Ask
from .canvas import Colors
from .canvas.palette import readable
from .say import Say

if TYPE_CHECKING:
    from .window import Window

#: what a piece of code is, and how it is found; the first that matches at a place counts
_LLVM = (
    ("comment", r";[^\n]*"),
    ("text", r'c?"[^"\n]*"'),
    ("name", r"[@%][-\w.$]+"),
    ("type", r"\b(?:void|half|bfloat|float|double|ptr|label|metadata|i\d+)\b"),
    ("number", r"(?<![\w.])-?(?:0x[0-9A-Fa-f]+|\d+(?:\.\d+(?:e[+-]?\d+)?)?)\b"),
    (
        "word",
        r"\b(?:define|declare|target|datalayout|triple|source_filename|attributes|ret|br|switch|unreachable|phi|select|call|tail|musttail|"
        r"load|store|alloca|getelementptr|inbounds|f?add|f?sub|f?mul|[us]div|fdiv|[us]rem|frem|fneg|shl|[al]shr|and|or|xor|[if]cmp|"
        r"eq|ne|[usol]?[gl][te]|u?eq|u?ne|ord|uno|trunc|[sz]ext|fptrunc|fpext|fpto[us]i|[us]itofp|bitcast|ptrtoint|inttoptr|addrspacecast|"
        r"extractvalue|insertvalue|extractelement|insertelement|shufflevector|freeze|fence|atomicrmw|cmpxchg|align|to|x|"
        r"zeroinitializer|undef|poison|null|true|false|fast|nnan|ninf|nsz|arcp|contract|afn|reassoc|nuw|nsw|exact|private|internal|"
        r"constant|global|unnamed_addr|noalias|nocapture|readonly|writeonly|nounwind|alwaysinline)\b",
    ),
)
_WGSL = (
    ("comment", r"//[^\n]*"),
    ("name", r"@\w+"),
    (
        "type",
        r"\b(?:bool|[iuf](?:16|32)|(?:vec|mat)\d(?:x\d)?[iufh]?|array|ptr|atomic|storage|uniform|workgroup|function|private|read|read_write|write)\b",
    ),
    ("number", r"\b(?:0x[0-9A-Fa-f]+[iu]?|\d+(?:\.\d*)?(?:e[+-]?\d+)?[iufh]?)\b"),
    (
        "word",
        r"\b(?:fn|let|var|const|override|struct|return|if|else|for|while|loop|break|continue|continuing|switch|case|default|discard|"
        r"enable|requires|diagnostic|alias|true|false)\b",
    ),
)
_HUES = {
    True: {"comment": "#9AA3B5", "text": "#E6A8D7", "name": "#8CC8F0", "type": "#7CE0C3", "number": "#F0C674", "word": "#FF9E80"},
    False: {"comment": "#5B6472", "text": "#8A2F74", "name": "#0B5C94", "type": "#00695C", "number": "#7A5200", "word": "#A83800"},
}


class Highlighter(QtGui.QSyntaxHighlighter):
    """Colours for the words of a language, "LLVM IR" or "WGSL"."""

    def __init__(self, document: QtGui.QTextDocument, language: str, dark: bool) -> None:
        super().__init__(document)
        self.set_language(language, dark)

    def set_language(self, language: str, dark: bool) -> None:
        self.language = language
        rules = _WGSL if language == "WGSL" else _LLVM
        self._rule = re.compile("|".join(f"(?P<{name}>{pattern})" for name, pattern in rules))
        self._formats = {}
        for name, hue in _HUES[dark].items():
            self._formats[name] = QtGui.QTextCharFormat()
            self._formats[name].setForeground(QtGui.QColor(hue))
            self._formats[name].setFontItalic(name == "comment")
        self.rehighlight()

    def highlightBlock(self, text: str | None) -> None:
        for found in self._rule.finditer(text or ""):
            start, end = (len(found.string[:k].encode("utf-16-le")) // 2 for k in found.span())  # Qt counts UTF-16 units
            self.setFormat(start, end - start, self._formats[found.lastgroup or "word"])


class Margin(QtWidgets.QWidget):
    """Line numbers beside an editor."""

    def __init__(self, editor: Editor) -> None:
        super().__init__(editor)
        self._editor = editor

    def paintEvent(self, event: QtGui.QPaintEvent) -> None:
        p = QtGui.QPainter(self)
        editor = self._editor
        p.fillRect(event.rect(), QtGui.QColor(editor.colors.panel))
        p.setPen(QtGui.QColor(editor.colors.dim))
        p.setFont(editor.font())
        block = editor.firstVisibleBlock()
        while block.isValid():
            r = editor.blockBoundingGeometry(block).translated(editor.contentOffset())
            if r.top() > event.rect().bottom():
                break
            line = QtCore.QRectF(0, r.top(), self.width() - 8, r.height())
            p.drawText(line, QtCore.Qt.AlignmentFlag.AlignRight, str(block.blockNumber() + 1))
            block = block.next()
        p.end()


class Editor(QtWidgets.QPlainTextEdit):
    """Text that can be read and copied, with line numbers."""

    def __init__(self, colors: Colors) -> None:
        super().__init__(readOnly=True)
        self.colors = colors
        font = QtGui.QFontDatabase.systemFont(QtGui.QFontDatabase.SystemFont.FixedFont)
        font.setPointSizeF(max(self.font().pointSizeF() - 0.5, 7.0))
        self.setFont(font)
        self.setLineWrapMode(QtWidgets.QPlainTextEdit.LineWrapMode.NoWrap)
        self.setTextInteractionFlags(
            QtCore.Qt.TextInteractionFlag.TextSelectableByMouse | QtCore.Qt.TextInteractionFlag.TextSelectableByKeyboard
        )
        self.margin = Margin(self)
        self.blockCountChanged.connect(lambda _: self._make_room())
        self.updateRequest.connect(lambda _area, _dy: self.margin.update())
        self._make_room()

    def _make_room(self) -> None:
        wide = self.fontMetrics().horizontalAdvance("9" * len(str(max(self.blockCount(), 100)))) + 20
        self.setViewportMargins(wide, 0, 0, 0)
        inner = self.contentsRect()
        self.margin.setGeometry(inner.left(), inner.top(), wide, inner.height())

    def resizeEvent(self, event: QtGui.QResizeEvent) -> None:
        super().resizeEvent(event)
        self._make_room()


class CodeView(QtWidgets.QDialog):
    """A kernel's code in a window of its own."""

    def __init__(self, say: Say, colors: Colors, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self.say = say
        self.text = Editor(colors)
        self._highlighter = Highlighter(self.text.document(), "LLVM IR", colors.dark)
        self.find = QtWidgets.QLineEdit(clearButtonEnabled=True)
        self.find.returnPressed.connect(self.find_next)
        self.find.textChanged.connect(lambda _: self._search())
        self.found = QtWidgets.QLabel()
        self.found.setProperty("dim", True)
        self.copy = QtWidgets.QPushButton(autoDefault=False)
        self.copy.clicked.connect(lambda: QtWidgets.QApplication.clipboard().setText(self.text.toPlainText()))
        row = QtWidgets.QHBoxLayout()
        row.addWidget(self.find, 1)
        row.addWidget(self.found)
        row.addWidget(self.copy)
        column = QtWidgets.QVBoxLayout(self)
        column.addLayout(row)
        column.addWidget(self.text, 1)
        self._matches: list[QtGui.QTextCursor] = []
        self._at = -1
        self.set_colors(colors)
        self.retranslate()
        self.resize(920, 660)

    def show_code(self, title: str, text: str, language: str) -> None:
        """Show a text; ``language`` "LLVM IR", "WGSL", or "" for a message."""
        self.setWindowTitle(title)
        if text != self.text.toPlainText():
            self.text.setPlainText(text)
            self._highlighter.set_language(language, self._colors.dark)
            self._search()
        self.copy.setEnabled(bool(language))

    def _search(self) -> None:
        """Mark all matches, and go to the first."""
        self._matches, self._at = [], -1
        wanted, document = self.find.text(), self.text.document()
        cursor = document.find(wanted) if wanted else QtGui.QTextCursor()
        while not cursor.isNull() and len(self._matches) < 2000:
            self._matches.append(QtGui.QTextCursor(cursor))
            cursor = document.find(wanted, cursor)
        self.find_next() if self._matches else self._show_matches()

    def find_next(self, by: int = 1) -> None:
        """Go to the next match, or with -1 to the one before."""
        if self._matches:
            self._at = (self._at + by) % len(self._matches)
            here = QtGui.QTextCursor(self._matches[self._at])
            here.setPosition(here.selectionStart())
            self.text.setTextCursor(here)
            self.text.ensureCursorVisible()
        self._show_matches()

    def _show_matches(self) -> None:
        marks = []
        for k, cursor in enumerate(self._matches):
            mark = QtWidgets.QTextEdit.ExtraSelection()
            mark.cursor = cursor
            ground = self._colors.incident if k == self._at else self._colors.match
            mark.format.setBackground(QtGui.QColor(ground))
            mark.format.setForeground(QtGui.QColor(readable(ground)))
            marks.append(mark)
        self.text.setExtraSelections(marks)
        count = len(self._matches)
        told = self.say("search.at", at=self._at + 1, count=count) if count else self.say.plural("search.found", 0)
        self.found.setText(told if self.find.text() else "")

    def keyPressEvent(self, event: QtGui.QKeyEvent) -> None:
        shift = bool(event.modifiers() & QtCore.Qt.KeyboardModifier.ShiftModifier)
        if event.matches(QtGui.QKeySequence.StandardKey.Find):
            self.find.setFocus()
            self.find.selectAll()
        elif event.key() == QtCore.Qt.Key.Key_F3:
            self.find_next(-1 if shift else 1)
        else:
            super().keyPressEvent(event)

    def set_colors(self, colors: Colors) -> None:
        self._colors = self.text.colors = colors
        self._highlighter.set_language(self._highlighter.language, colors.dark)
        self._show_matches()

    def retranslate(self) -> None:
        self.find.setPlaceholderText(self.say("code.find"))
        self.find.setAccessibleName(self.say("code.find"))
        self.copy.setText(self.say("code.copy"))
        self.text.setAccessibleName(self.say("code.name"))
        self._show_matches()


class KernelCode:
    """Asks the trainer for a kernel's code, and shows it in one view when it comes."""

    def __init__(self, window: Window) -> None:
        self._window = window
        self.wanted = -1
        self.view: CodeView | None = None

    def ask(self, node: int) -> None:
        """Show the code of the kernel that computes a node."""
        window, store = self._window, self._window.store
        self.wanted = int(window.model.graph.kernel[node])
        if (store.epoch, self.wanted) not in store.codes:
            window.send(Ask(store.epoch, self.wanted))
        if self.view is None:
            self.view = CodeView(window.say, window.colors, window)
        self._show(self.view)
        self.view.show()

    def refresh(self) -> None:
        """Code has come, or texts have changed."""
        if self.view is not None and self.view.isVisible():
            self._show(self.view)

    def _show(self, view: CodeView) -> None:
        say, store, kernel = self._window.say, self._window.store, self.wanted
        code = store.codes.get((store.epoch, kernel))
        names = self._window.model.graph.kernel_name
        language = code.language if code is not None else ""
        title = say("code.title", kernel=kernel, name=names[kernel] if kernel < len(names) else "", language=language)
        waiting = say("code.waiting" if store.ended is None else "code.gone")
        view.show_code(title, code.text if code is not None else waiting, language)

    def set_colors(self, colors: Colors) -> None:
        if self.view is not None:
            self.view.set_colors(colors)

    def retranslate(self) -> None:
        if self.view is not None:
            self.view.retranslate()
            self.refresh()
