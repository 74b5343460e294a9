"""The window as a whole, fed with messages, drawn offscreen."""

import numpy as np
import pytest
from pyqtgraph.Qt import QtCore, QtWidgets

from torchlike_asg.viewer.gui.actions import ACTIONS, SHEET
from torchlike_asg.viewer.gui.say import Say
from torchlike_asg.viewer.gui.series import smoothed
from torchlike_asg.viewer.gui.store import Store
from torchlike_asg.viewer.gui.window import PACE, SLOWEST, Window
from torchlike_asg.viewer.protocol import Bye, Graph, Subscribe

from ..models import fake_gpt
from .windows import discard, node, press

Key = QtCore.Qt.Key


def texts(widget):
    return " ".join(w.text() for w in widget.findChildren(QtWidgets.QLabel) if not w.isHidden())


def test_only_what_is_on_screen_is_asked_for(window, sent, application):
    softmax = node(window, "softmax", "GPT.h.1")
    window.go("node", softmax)
    window._subscribe()
    last = [m for m in sent if isinstance(m, Subscribe)][-1]
    assert last.selected.tolist() == [softmax]
    assert set(last.nodes.tolist()) == set(window.canvas.visible_nodes())
    assert len(last.nodes) < len(window.model.graph) / 2
    count = len(sent)
    window._subscribe()
    assert len(sent) == count


def test_themes(window):
    dark = window.grab().toImage()
    press(window, Key.Key_T, "t")
    assert not window.colors.dark
    light = window.grab().toImage()
    assert light.pixelColor(30, 300).lightness() > 150 > dark.pixelColor(30, 300).lightness()
    press(window, 0x0415, "е", scan=28)  # the same key on a Russian layout
    assert window.colors.dark


def test_keys(window):
    press(window, Key.Key_H, "h")
    assert window.heat.kind == "time"
    press(window, Key.Key_F2)
    assert window.docks["outline"].isVisible()
    press(window, Key.Key_F, mods=QtCore.Qt.KeyboardModifier.ControlModifier)
    assert window.bar.search.hasFocus() or not window.isActiveWindow()
    press(window, Key.Key_L, "l")
    assert window.say.lang == "ru"
    press(window, Key.Key_F1)
    sheet = window.findChild(QtWidgets.QDialog)
    assert "тепловая карта" in texts(sheet)
    sheet.close()
    assert {a for _, a in SHEET} >= {a for a in ACTIONS.values() if a not in ("next", "previous", "larger", "smaller")}


def test_the_outline_is_a_second_way(window):
    softmax = node(window, "softmax", "GPT.h.3")
    window.docks["outline"].show()
    window.go("node", softmax)
    row = window.outline.currentItem()
    assert row.data(0, QtCore.Qt.ItemDataRole.UserRole)[1] == softmax
    window.outline.setCurrentItem(row.parent())
    assert window.canvas.selection[0] == "group"


def test_smoothing_has_no_pull_towards_its_start():
    x = np.full(2000, 3.0)
    assert np.allclose(smoothed(x, 0.99), 3.0)
    y = np.random.default_rng(0).normal(size=1500)
    expected, total = [], 0.0
    for k, v in enumerate(y):
        total = 0.9 * total + 0.1 * v
        expected.append(total / (1 - 0.9 ** (k + 1)))
    assert np.allclose(smoothed(y, 0.9), expected)
    y[5] = np.nan
    assert np.isfinite(smoothed(y, 0.9)).all()


def test_a_new_graph_keeps_the_selection(window):
    softmax = node(window, "softmax", "GPT.h.1")
    window.go("node", softmax)
    window.store.apply(Graph(2, fake_gpt(5).columns()))
    window.follow()
    kind, item = window.canvas.selection
    assert kind == "node"
    assert window.model.ops[item] == "softmax"
    assert window.model.scopes[item] == "GPT.h.1.attn"


def test_the_window_keeps_to_its_share_of_a_core(window):
    now, used = window._checked
    for _ in range(6):
        now, used = now + 1.1, used + 0.33
        window.adapt(now, used)
    assert window.pace.interval() == SLOWEST
    for _ in range(20):
        now += 1.1
        window.adapt(now, used)
    assert window.pace.interval() == PACE


def test_the_end_of_training_leaves_the_window(window):
    window.store.apply(Bye("done"))
    window.follow()
    assert window.isVisible()
    assert "ended" in window.bar.status.text()


def test_a_graph_of_twenty_thousand_operations_opens_at_once(application):
    store = Store()
    store.apply(Graph(1, fake_gpt(920).columns()))
    made = Window(store, Say("en"), "dark")
    made.show()
    made.follow()
    assert len(made.model.graph) > 20_000
    assert len(made.canvas.scene.boxes) < 60
    assert not made.grab().isNull()
    discard(made)


def test_a_panel_that_opens_does_not_hide_what_it_is_about(window, application):
    window.canvas.fit()
    last = max(window.canvas.visible_nodes(), key=lambda n: window.canvas.scene.boxes[window.canvas._index["node", n]].y)
    window.canvas.choose(window.canvas._index["node", last])
    window.resize(window.width(), window.height() - 200)
    application.processEvents()
    assert last in window.canvas.visible_nodes()


def test_a_deep_path_gives_way_in_the_middle(window, application):
    window.go("node", node(window, "softmax", "GPT.h.1"))
    crumbs = window.bar.crumbs
    shown = [w.text() for w in crumbs.findChildren(QtWidgets.QWidget) if w.isVisible() and hasattr(w, "text")]
    assert {"model", "GPT", "h", "1", "attn", "Softmax"} <= set(shown)
    for width in (240, 200, 90):
        crumbs.setMaximumWidth(width)
        application.processEvents()
        shown = [w for w in crumbs.findChildren(QtWidgets.QWidget) if w.isVisible() and hasattr(w, "text")]
        assert {"Softmax", "▸ …"} <= {w.text() for w in shown}
        assert sum(w.sizeHint().width() for w in shown) <= width or len(shown) <= 3
        assert ("model" in [w.text() for w in shown]) == (width > 100)
    assert crumbs._gap.toolTip() == "model ▸ GPT ▸ h ▸ 1 ▸ attn"


@pytest.mark.parametrize("lang", ["en", "ru"])
def test_large_texts_are_not_cut_off(window, application, lang):
    window.say.set_language(lang)
    window.go("node", node(window, "softmax", "GPT.h.1"))
    before, formula = window.inspector.title.fontInfo().pointSizeF(), window.inspector.formula.sizeHint().height()
    for _ in range(4):
        window.zoom_text(1)
    for _ in range(4):
        application.processEvents()
    inspector = window.inspector
    assert inspector.widget().width() <= inspector.viewport().width()
    assert inspector.title.fontInfo().pointSizeF() > before
    assert inspector.formula.sizeHint().height() > 1.3 * formula
    for dock in window.docks.values():
        assert dock.label.fontInfo().pointSizeF() == pytest.approx(inspector.what.fontInfo().pointSizeF())
        assert not dock.closer.icon().isNull()
    assert window.bar.status.width() >= window.bar.status.sizeHint().width()
    assert window.charts.main.pixels() == pytest.approx(window.charts.font().pointSizeF() * window.logicalDpiY() / 72)
    window.zoom_text(-4)


def test_the_window_fits_a_small_screen(window, application):
    window.go("node", node(window, "softmax", "GPT.h.1"))
    window.resize(1024, 600)
    application.processEvents()
    assert window.width() <= 1024
    assert window.height() <= 600
