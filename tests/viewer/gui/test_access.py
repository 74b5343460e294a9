"""Everybody can use the window: in their language, by keys, by ear, with weak eyes, without motion, on sharp screens."""

import html
import itertools
import os
import re
import subprocess
import sys

import numpy as np
import pytest
from pyqtgraph.Qt import QtCore, QtGui, QtTest, QtWidgets

from torchlike_asg.i18n import catalog
from torchlike_asg.viewer.gui import actions, panels, theme
from torchlike_asg.viewer.gui.canvas import DARK, LIGHT, STYLES
from torchlike_asg.viewer.gui.canvas.palette import FAILED, contrast, mix, readable
from torchlike_asg.viewer.gui.charts import HUES, curve_hue
from torchlike_asg.viewer.protocol import Alarm, Code, Event, Failure, Timing

from .windows import node, press, stats

Key = QtCore.Qt.Key
ACTIVE = (QtWidgets.QAbstractButton, QtWidgets.QLineEdit, QtWidgets.QComboBox, QtWidgets.QSlider)
THEMES = pytest.mark.parametrize("colors", [DARK, LIGHT], ids=["dark", "light"])


# ---------------------------------------------------------------- languages
def everything(window):
    """The window with something in all of its parts."""
    window.store.apply(Event(80, 8.0, "mark"))
    window.store.apply(stats([node(window, "softmax", "GPT.h.1")]))
    kernels = np.arange(4, dtype=np.int32)
    window.store.apply(Timing(1, 1, kernels, np.linspace(1, 500, 4).astype(np.float32)))
    softmax = node(window, "softmax", "GPT.h.1")
    window.store.apply(Alarm(1, 31, softmax, "nan", 12, 100))
    edges = np.flatnonzero(window.store.graph.dst == softmax).tolist()
    window.store.apply(
        Failure(1, softmax, edges, "linear", "2 × 3", "GPT", [[2, 3], [4, 5]], "/x/train.py", 12, "y = fc(x)", "linear",
                {"expected": 5, "got": 3, "outputs": 4})
    )  # fmt: skip
    window.store.apply(Code(1, int(window.model.graph.kernel[softmax]), "LLVM IR", "ret void"))
    window.actions_.outline()
    window.set_heat("time")
    window.bar.kernels.setChecked(True)
    window.bar.search.setText("softmax")
    window.next_hit()
    window.follow()
    window.inspector.code.emit(softmax)


def shown_texts(window):
    """Every text of every widget, menu, tooltip, dock and line, of the canvas, and those for screen readers."""
    found = []
    for w in (window, *window.findChildren(QtWidgets.QWidget)):
        found += [w.toolTip(), w.windowTitle(), w.accessibleName(), w.accessibleDescription()]
        for name in ("text", "placeholderText", "title"):
            value = getattr(w, name, None)
            if callable(value) and not isinstance(w, (QtWidgets.QLineEdit, QtWidgets.QPlainTextEdit)):
                found.append(value())
        if isinstance(w, QtWidgets.QLineEdit):
            found.append(w.placeholderText())
        if isinstance(w, QtWidgets.QComboBox):
            found += [w.itemText(k) for k in range(w.count())]
    for menu in window.findChildren(QtWidgets.QMenu):
        found += [a.text() for a in menu.actions()]
    for plot in (window.charts.main, *window.charts.sides.values()):
        found += [plot.title, plot.below]
    for box in window.canvas.scene.boxes:
        found += window.model.node_text(box.item) if box.kind == "node" else window.model.group_text(box.item, box.members)
    for kind, item in (("node", node(window, "softmax", "GPT.h.1")), ("group", 1)):
        window._hovered(kind, item)
        found.append(window.canvas.toolTip())
    rows = QtWidgets.QTreeWidgetItemIterator(window.outline)
    while rows.value() is not None:
        found += [rows.value().text(0), rows.value().toolTip(0)]
        rows += 1
    plain = (html.unescape(re.sub(r"<style>.*?</style>|<[^>]*>", "\n", str(t or ""), flags=re.DOTALL)) for t in found)
    return {line.strip() for text in plain for line in re.split(r"\n|   | · ", text) if line.strip()}


def english():
    """Patterns of the English texts that Russian has others for."""
    russian = catalog.entries("ru")
    for key, text in catalog.entries("en").items():
        if key.startswith(("ui.viewer.", "role.", "op.")) and not key.endswith(".formula") and text != russian[key]:
            words = [re.escape(t).replace(r"\ ", " ") for t in re.split(r"\{[^}]*\}", text.partition("\t")[0])]
            if any(re.search("[a-z]{2}", w) for w in words):
                yield re.compile("⚠? ?➜? ?" + "(.+)".join(words), re.IGNORECASE)


def test_no_english_is_left_in_a_russian_window(window):
    everything(window)
    sheet = actions.key_sheet(window)
    panels.context_menu(window, QtCore.QPoint(200, 200))
    before = shown_texts(window)
    patterns = list(english())
    assert sum(any(p.fullmatch(t) for p in patterns) for t in before) > 80  # the net has no holes: it catches the English window
    sheet.close()
    sheet.deleteLater()
    QtWidgets.QApplication.activePopupWidget().close()
    window.say.set_language("ru")
    QtWidgets.QApplication.sendPostedEvents(None, QtCore.QEvent.Type.DeferredDelete)
    actions.key_sheet(window)
    panels.context_menu(window, QtCore.QPoint(200, 200))
    graph = window.store.graph
    named = {*graph.modules.values(), *graph.column("name")}  # names in code stay
    left = {t for t in shown_texts(window) - named if any(p.fullmatch(t) for p in patterns)}
    assert not left


def test_the_font_has_every_letter_of_every_text(application):
    family = theme.font_family()
    letters = {c for lang in catalog.languages() for key, t in catalog.entries(lang).items() if not key.endswith(".formula") for c in t}
    letters = "".join(sorted(c for c in letters if c.isprintable()))
    assert "Щ" in letters and "ё" in letters
    raw = QtGui.QRawFont.fromFont(QtGui.QFont(family))
    assert theme.covers(family)
    assert not [c for c in letters if c.isalpha() and ord(c) < 0x2000 and not raw.supportsCharacter(ord(c))]
    assert not theme.covers(family, "A\U000e0fff")


# ---------------------------------------------------------------- keys and screen readers
RUSSIAN = {letter: (ord(cyrillic.upper()), cyrillic) for letter, cyrillic in zip("FHTLMEC", "аредьус", strict=True)}


@pytest.mark.parametrize("letter", list(RUSSIAN))
def test_letters_do_the_same_on_a_russian_layout(window, letter):
    def state():
        c = window.canvas
        return (c.camera, window.heat.kind, window.colors.dark, window.say.lang, c.minimap.isVisible(), frozenset(c.open_groups))

    def after(key, text):
        window.canvas.close_all()
        window.canvas.look(type(window.canvas.camera)(0.33, 7, 7))
        if letter == "C":
            window.canvas.open_level()
        begun = state()
        press(window.canvas, key, text)
        return begun, state()

    (a, latin), (b, cyrillic) = after(getattr(Key, f"Key_{letter}"), letter.lower()), after(*RUSSIAN[letter])
    assert latin != a
    changed = [k for k in range(len(a)) if latin[k] != a[k]]
    assert [k for k in range(len(b)) if cyrillic[k] != b[k]] == changed


def test_the_keyboard_reaches_everything(window, application):
    window.activateWindow()
    focusable = [
        w
        for w in window.findChildren(QtWidgets.QWidget)
        if w.isVisible() and not w.objectName().startswith("qt_") and isinstance(w, ACTIVE)
    ]
    assert len(focusable) > 8
    for w in (*focusable, window.canvas, window.outline):
        assert w.focusPolicy() & QtCore.Qt.FocusPolicy.TabFocus, w


def test_the_outline_can_be_walked_and_heard(window):
    outline = window.outline
    window.actions_.outline()
    outline.setCurrentItem(outline.topLevelItem(0))
    told = []
    for key in (Key.Key_Right, Key.Key_Down, Key.Key_Down, Key.Key_Right, Key.Key_Down):
        QtTest.QTest.keyClick(outline, key)
        told.append(outline.currentItem().data(0, QtCore.Qt.ItemDataRole.AccessibleTextRole))
        assert window.canvas.selection == tuple(outline.currentItem().data(0, QtCore.Qt.ItemDataRole.UserRole))
    assert told[1] == "Input, 4×64"
    assert told[2] == "wte, Embedding · 2 operations"
    assert told[4].startswith(("Embedding", "weight"))
    assert outline.accessibleName() == "Outline of the graph"


def test_screen_readers_see_the_outline_and_the_selection(window):
    window.go("node", node(window, "softmax", "GPT.h.1"))
    assert window.canvas.accessibleDescription().startswith("Softmax. 4×64×64. ")
    window.canvas.clear_selection()
    assert window.canvas.accessibleDescription() == catalog.text("ui.viewer.canvas.description")
    accessible = getattr(QtGui, "QAccessible", None)
    if accessible is None:
        return  # PyQt6 does not wrap Qt's side of it; what Qt asks is tested above
    window.actions_.outline()
    tree = accessible.queryAccessibleInterface(window.outline)
    assert tree.role() == accessible.Role.Tree
    names = [tree.child(k).text(accessible.Text.Name) for k in range(tree.childCount())]
    assert any(n.startswith("GPT, ") and n.endswith(" operations") for n in names)
    canvas = accessible.queryAccessibleInterface(window.canvas)
    assert canvas.text(accessible.Text.Name) == catalog.text("ui.viewer.canvas.name")


def test_everything_that_acts_has_a_name(window):
    everything(window)
    for w in window.findChildren(QtWidgets.QWidget):
        if w.isVisible() and isinstance(w, ACTIVE) and not isinstance(w.parent(), (QtWidgets.QLineEdit, QtWidgets.QDockWidget)):
            assert w.accessibleName() or getattr(w, "text", str)(), w


# ---------------------------------------------------------------- contrast
@THEMES
def test_texts_of_the_style_sheet_can_be_read(colors):
    c = colors
    raised = mix(c.panel, c.text, 0.06)
    alarm = re.search(r"QWidget#alarm \{ background: (#\w+)", theme.style_sheet(c)).group(1)
    pairs = [(c.text, raised), (c.dim, raised), (c.dim, c.panel), (c.dim, c.background), (c.text, mix(c.panel, c.match, 0.25))]
    pairs += [
        (c.text, mix(c.panel, c.incident, 0.35)),
        ("#FFFFFF", alarm),
        (readable(c.incident), c.incident),
        (c.match, c.panel),
        (c.bad, c.panel),
    ]
    pairs += [(c.match, c.background), (c.bad, c.background), (c.text, mix(c.background, c.text, 0.06))]
    for front, back in pairs:
        assert contrast(front, back) >= 4.5, (front, back)


@THEMES
def test_edges_curves_and_marks_stand_out(colors):
    grounds = (colors.background, *colors.groups)
    for color, ground in itertools.product((colors.edge, colors.incident, colors.selection, colors.bad, colors.match), grounds):
        assert contrast(color, ground) >= 3.0, (color, ground)
    for k in range(len(HUES)):
        assert contrast(curve_hue(k, colors), colors.panel) >= 3.0
    for style in (*STYLES.values(), FAILED):
        assert contrast(colors.text, colors.face(style.hue)) >= 4.5


@pytest.mark.parametrize("name", ["dark", "light"])
def test_edges_are_drawn_in_their_colour(window, name):
    """What reaches the screen, not only the palette: the data's straight edge."""
    window.set_theme(name)
    window.canvas.set_open(window.canvas.open_groups)
    scene = window.canvas.scene
    straight = next(e for e in scene.edges if len(e.stations) == 2 and e.stations[0][0] == e.stations[1][0] and not e.back)
    (x, y), (_, y2) = straight.stations.tolist()
    window.canvas.look(window.canvas.camera.centred(x, (y + y2) / 2, window.canvas.width(), window.canvas.height(), 1.0))
    image = window.canvas.grab().toImage()
    row = [image.pixelColor(int(window.canvas.width() / 2) + k, int(window.canvas.height() / 2)).name() for k in range(-3, 4)]
    assert max(contrast(pixel, row[0]) for pixel in row) >= 3.0


# ---------------------------------------------------------------- motion and sharp screens
def test_motion_follows_the_desktop_and_a_key(window, application):
    class Still(QtWidgets.QProxyStyle):
        def styleHint(self, hint, *rest):
            return 0 if hint == QtWidgets.QStyle.StyleHint.SH_Widget_Animation_Duration else super().styleHint(hint, *rest)

    assert theme.animations()
    sheet = application.styleSheet()
    application.setStyleSheet("")
    application.setStyle(Still("Fusion"))
    try:
        assert not theme.animations()
    finally:
        application.setStyle("Fusion")
        application.setStyleSheet(sheet)
    window.canvas.animated = False
    press(window, Key.Key_F6)
    assert window.canvas.animated
    press(window, Key.Key_F6)
    window.canvas.toggle(window.model.tree.by_path["GPT.h.0"])
    assert window.canvas._glide is None


def test_twice_the_pixels_on_a_sharp_screen():
    """The same drawing with more detail, not a blown-up one: measured in a process of its own, as Qt scales only from its start."""
    code = """
from pyqtgraph.Qt import QtGui, QtWidgets
import numpy as np, pyqtgraph as pg
from torchlike_asg.viewer.gui.app import application
from tests.viewer.gui.windows import opened
window = opened(application())
window.resize(1200, 800)
for part in (window, window.canvas, window.charts):
    picture = part.grab()
    assert picture.devicePixelRatio() == 2.0
    assert picture.size() == part.size() * 2
big = window.canvas.grab().toImage().convertToFormat(QtGui.QImage.Format.Format_RGB32)
pixels = pg.functions.ndarray_from_qimage(big).astype(int)
blown = pixels[::2, ::2].repeat(2, 0).repeat(2, 1)
print(float((pixels != blown[: pixels.shape[0], : pixels.shape[1]]).any(2).mean()))
"""
    env = os.environ | {"QT_SCALE_FACTOR": "2", "QT_QPA_PLATFORM": "offscreen"}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) > 0.005
