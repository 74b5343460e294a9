"""The window as a whole, fed with messages, drawn offscreen."""

import re

import numpy as np
import pytest
from pyqtgraph.Qt import QtCore, QtTest, QtWidgets

import torchlike_asg as torch
from torchlike_asg.i18n import catalog
from torchlike_asg.viewer import attach
from torchlike_asg.viewer.gui.actions import ACTIONS, SHEET
from torchlike_asg.viewer.gui.canvas import STYLES
from torchlike_asg.viewer.gui.say import Say
from torchlike_asg.viewer.gui.search import find, parse
from torchlike_asg.viewer.gui.series import smoothed
from torchlike_asg.viewer.gui.store import Store
from torchlike_asg.viewer.gui.window import PACE, SLOWEST, Window
from torchlike_asg.viewer.protocol import Alarm, Bye, Code, Failure, Graph, Subscribe, Timing

from ..models import Tiny, fake_gpt, train
from .windows import discard, node, opened, press, stats

Key = QtCore.Qt.Key


def texts(widget):
    return " ".join(w.text() for w in widget.findChildren(QtWidgets.QLabel) if not w.isHidden())


# ---------------------------------------------------------------- the inspector
def test_a_selected_node_is_explained(window):
    window.go("node", node(window, "softmax", "GPT.h.1"))
    inspector = window.inspector
    assert inspector.title.text() == catalog.text("op.softmax.title")
    assert catalog.text("op.softmax.what") in inspector.what.text()
    assert catalog.text("op.softmax.why") in inspector.why.text()
    assert "∑" in inspector.formula.text
    assert "href" in inspector.details.text()


def test_an_operation_without_a_text_says_so(window, monkeypatch):
    monkeypatch.setattr(window.say, "op", lambda name, part: None)
    window.go("node", node(window, "softmax", "GPT.h.1"))
    assert "softmax" in window.inspector.what.text()
    assert "no description" in window.inspector.what.text()
    assert not window.inspector.formula.isVisible()


def test_links_lead_to_operands(window):
    softmax = node(window, "softmax", "GPT.h.1")
    window.go("node", softmax)
    (operand,) = window.model.graph.inputs(softmax)
    assert f'href="node:{operand}"' in window.inspector.details.text()
    window.inspector._follow(f"node:{operand}")
    assert window.canvas.selection == ("node", operand)


def test_live_numbers_arrive(window):
    softmax = node(window, "softmax", "GPT.h.1")
    window.go("node", softmax)
    assert window.inspector.numbers.cells["value", 0].text() == "–"
    for step in range(3):
        window.store.apply(stats([softmax], step, scale=step + 1.0))
    window.store.apply(stats([softmax], 2, "gradient", 0.1))
    window.store.apply(Timing(1, 2, np.asarray([window.model.graph.kernel[softmax]], np.int32), np.asarray([250.0], np.float32)))
    window.follow()
    cells = window.inspector.numbers.cells
    assert cells["value", 0].text() == "1.5"
    assert cells["gradient", 1].text() == "0.1"
    assert "250" in window.inspector.cost.text()
    assert len(window.inspector.numbers.histogram.looks) == 3
    assert not window.inspector.numbers.histogram.grab().isNull()


def test_a_group_sums_its_kernels_once(window):
    group = window.model.tree.by_path["GPT.h.0.mlp"]
    nodes = window.model.nodes_in(group)
    kernels = {int(k) for k in window.model.graph.kernel[nodes] if k >= 0}
    window.store.apply(Timing(1, 2, np.asarray(sorted(kernels), np.int32), np.full(len(kernels), 10.0, np.float32)))
    assert window.store.times(nodes) == 10.0 * len(kernels) < 10.0 * len(nodes)
    window.go("group", group)
    assert "MLP" in window.inspector.subtitle.text()


# ---------------------------------------------------------------- what the trainer is told
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


def test_the_code_of_a_kernel_is_fetched_once(window, sent):
    softmax = node(window, "softmax", "GPT.h.1")
    window.go("node", softmax)
    window.inspector.code.emit(softmax)
    kernel = int(window.model.graph.kernel[softmax])
    assert sent[-1].kernel == kernel
    window.store.apply(Code(1, kernel, "LLVM IR", "define void @softmax()"))
    window.follow()
    assert "define void @softmax" in window.code.view.text.toPlainText()
    count = len(sent)
    window.inspector.code.emit(softmax)
    assert len(sent) == count
    window.code.view.close()


# ---------------------------------------------------------------- search
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("softmax", 4),
        ("type:softmax in:h.2", 1),
        ("shape:64x384", 8),
        ("name:weight module:GPT.h.0", 8),
        ("param shape:96x96", 16),
        ("dtype:float64", 0),
        ('"h.1.mlp" gelu', 1),
        ("тип:softmax", 4),
        ("имя:weight модуль:GPT.h.0", 8),
        ("параметр форма:96x96", 16),
        ("phase:forward softmax", 4),
        ("kind:param shape:96x96", 16),
        ("", 0),
    ],
)
def test_search(window, text, expected):
    assert len(find(text, window.model, window.store)) == expected


def test_search_in_the_words_of_the_language(window):
    window.say.set_language("ru")
    for text, count in (("проход:прямой softmax", 4), ("проход:обратный", 0), ("вид:параметр форма:96x96", 16), ("type:softmax", 4)):
        assert len(find(text, window.model, window.store)) == count, text


def test_search_for_bad_values(window):
    softmax = node(window, "softmax", "GPT.h.1")
    message = stats([softmax])
    message.values[:, 4] = 7
    window.store.apply(message)
    assert find("nan", window.model, window.store) == [softmax]
    assert parse("nan shape:3").flags == ["nan"]


def test_enter_goes_through_the_matches_and_opens_what_hides_them(window):
    window.bar.search.setText("type:softmax")
    seen = []
    for _ in range(5):
        window.next_hit()
        seen.append(window.canvas.selection[1])
    assert len(set(seen[:4])) == 4
    assert seen[4] == seen[0]
    assert "1 of 4" in window.bar.found.text()


# ---------------------------------------------------------------- heat, alarms, failures
@pytest.mark.parametrize("kind", ["time", "memory", "gradient", "activation", "update"])
def test_heat_maps(window, kind):
    n = len(window.model.graph)
    kernels = np.arange(len(window.model.graph.kernel_name), dtype=np.int32)
    window.store.apply(Timing(1, 1, kernels, np.linspace(1, 500, len(kernels)).astype(np.float32)))
    for of in ("value", "gradient", "update"):
        window.store.apply(stats(list(range(n)), 1, of))
    plain = window.canvas.grab().toImage()
    window.set_heat(kind)
    assert window.canvas.marks.heat
    assert all(0 <= v <= 1 for v in window.canvas.marks.heat.values())
    assert window.canvas.grab().toImage() != plain
    assert window.heat_legend.isVisible()
    window.set_heat("")
    assert not window.canvas.marks.heat


def test_an_alarm_jumps_to_the_first_bad_node(window):
    window.store.apply(Alarm(1, 30, -1, "loss"))
    window.follow()
    assert window.alarm.isVisible()
    assert "30" in window.alarm.label.text()
    softmax = node(window, "softmax", "GPT.h.2")
    window.store.apply(Alarm(1, 31, softmax, "nan", 12, 100))
    window.follow()
    assert window.canvas.selection == ("node", softmax)
    assert window.canvas._index["node", softmax] in window.canvas.marks.bad
    assert "12" in window.alarm.label.text()


def test_a_failure_shows_edge_shapes_line_and_fix(window):
    graph = window.store.graph
    last = len(graph) - 1
    edges = np.flatnonzero(graph.dst == last).tolist()
    window.store.apply(
        Failure(1, last, edges, "linear", "sizes do not fit", "GPT.head", [[2, 3], [4, 5]], "/x/train.py", 12, "y = fc(x)", "linear",
                {"expected": 5, "got": 3, "outputs": 4})
    )  # fmt: skip
    window.follow()
    shown = window.failure.text.text()
    assert all(part in shown for part in ("2×3", "4×5", "train.py:12", "y = fc(x)", "nn.Linear(3, 4)"))
    assert window.canvas.marks.bad
    assert window.canvas.marks.bad_edges


# ---------------------------------------------------------------- languages, themes, keys
def test_the_language_changes_everywhere(window):
    window.go("node", node(window, "softmax", "GPT.h.1"))
    window.say.set_language("ru")
    assert catalog.text("op.softmax.what", "ru") in window.inspector.what.text()
    assert window.docks["charts"].windowTitle() == "Кривые"
    assert "операци" in window.model.group_text(1, ())[1]
    assert "потери" in window.bar.status.text()
    window.say.next_language()
    assert window.docks["charts"].windowTitle() == "Curves"


@pytest.mark.parametrize(
    ("n", "word"), [(1, "операция"), (2, "операции"), (5, "операций"), (11, "операций"), (21, "операция"), (112, "операций")]
)
def test_russian_plurals(n, word):
    assert Say("ru").plural("operations", n) == f"{n} {word}"


def test_a_third_language_is_one_file(application, monkeypatch, tmp_path):
    root = catalog._ROOT
    for code in ("en", "ru"):
        (tmp_path / code).symlink_to(root / code)
    (tmp_path / "eo").mkdir()
    (tmp_path / "eo" / "ui.toml").write_text(
        '[language]\nname = "Esperanto"\nalias = "esperanto"\nplural = "one"\n[ui.viewer.dock]\ncharts = "Kurboj"\n', encoding="utf-8"
    )
    monkeypatch.setattr(catalog, "_ROOT", tmp_path)
    catalog.languages.cache_clear()
    catalog.entries.cache_clear()
    try:
        say = Say("eo")
        assert say("dock.charts") == "Kurboj"
        assert say("dock.inspector") == "Inspector"  # what is not translated yet
        assert "eo" in catalog.languages()
        window = opened(application)
        names = {a.text(): a for m in window.bar.more.menu().findChildren(QtWidgets.QMenu) for a in m.actions()}
        names["Esperanto"].trigger()  # the menu finds it, and the window speaks it at once
        assert window.say.lang == "eo"
        assert window.docks["charts"].windowTitle() == "Kurboj"
        assert window.docks["inspector"].windowTitle() == "Inspector"
        discard(window)
    finally:
        monkeypatch.undo()
        catalog.languages.cache_clear()
        catalog.entries.cache_clear()


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


# ---------------------------------------------------------------- curves
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


# ---------------------------------------------------------------- graphs that change, export, files
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


# ---------------------------------------------------------------- the canvas in its window
def test_a_click_selects_with_a_yellow_border_amber_edges_and_the_inspector(window):
    softmax = node(window, "softmax", "GPT.h.0")
    window.canvas.open_around(softmax)
    canvas = window.canvas
    box = canvas.scene.boxes[canvas._index["node", softmax]]
    canvas.look(canvas.camera.centred(box.x + box.w / 2, box.y + box.h / 2, canvas.width(), canvas.height(), 1.0))
    middle = QtCore.QPoint(canvas.width() // 2, canvas.height() // 2)
    QtTest.QTest.mouseClick(canvas, QtCore.Qt.MouseButton.LeftButton, pos=middle)
    assert canvas.selection == ("node", softmax)
    assert window.inspector.title.text() == catalog.text("op.softmax.title")
    assert [window.bar.crumbs.row.itemAt(k).widget().text() for k in (0, 2, 4, 6, 8)] == ["model", "GPT", "h", "0", "attn"]
    image = canvas.grab().toImage()
    half = int(box.h / 2)
    assert image.pixelColor(middle.x(), middle.y() - half).name().upper() == window.colors.selection
    assert image.pixelColor(middle.x(), middle.y() + half + 12).name().upper() == window.colors.incident
    QtTest.QTest.mouseClick(window.bar.crumbs.row.itemAt(8).widget(), QtCore.Qt.MouseButton.LeftButton)
    assert canvas.selection == ("group", window.model.tree.by_path["GPT.h.0.attn"])


def test_the_failing_edge_is_red_and_only_that(window):
    graph = window.store.graph
    linear = next(i for i, op in enumerate(window.model.ops) if op == "linear" and window.model.scopes[i] == "GPT.h.0.attn.proj")
    data, weight = np.flatnonzero(graph.dst == linear).tolist()
    window.store.apply(
        Failure(1, linear, [data], "linear", "no", "GPT", [[4, 64, 96], [96, 96]], "/x/t.py", 1, "f()", "general", {})
    )  # fmt: skip
    window.follow()
    canvas = window.canvas
    red = set(canvas.marks.bad_edges)
    assert red == set(canvas.geometry_.carrying([data]).tolist())
    assert not red & set(canvas.geometry_.carrying([weight]).tolist())
    assert set(canvas.marks.bad_text.values()) == {"4×64×96"}
    tip = next(e for k, e in enumerate(canvas.scene.edges) if k in red and canvas.geometry_.arrows[k])
    x, y = canvas.camera.to_screen(*tip.stations[-1])
    assert canvas.grab().toImage().pixelColor(round(x), round(y) - 5).name().upper() == window.colors.bad
    first, second = (part for part in re.findall(r'<b style="color:(#\w+)', window.failure.text.text()))
    assert (first, second) == (window.colors.bad, window.colors.text)


def test_the_other_halves_of_the_step_have_mirror_scopes_in_grey(application):
    torch.manual_seed(0)
    model = Tiny()
    handle = attach(model, window=False)
    train(model, 3)
    handle._settle()
    snapshot = handle._session._snapshot
    handle.detach()
    store = Store()
    store.apply(Graph(1, snapshot.columns()))
    made = Window(store, Say("en"), "dark")
    made.canvas.animated = False
    made.show()
    made.follow()
    shown = {made.model.scopes[b.item].partition(".")[0] for b in made.canvas.scene.boxes if b.kind == "node"}
    assert "∂" not in shown and "optimizer" not in shown
    QtTest.QTest.mouseClick(made.bar.backward, QtCore.Qt.MouseButton.LeftButton)
    made.canvas.set_open(range(len(made.model.tree.groups)))
    boxes = [b for b in made.canvas.scene.boxes if b.kind == "node"]
    mirrored = [b for b in boxes if made.model.scopes[b.item].startswith("∂.")]
    assert {made.model.scopes[b.item] for b in mirrored} >= {"∂.Tiny.head", "∂.Tiny.norm", "∂.Tiny.act"}
    assert {made.model.style(b).hue for b in mirrored} == {STYLES["gradient"].hue}
    assert STYLES["gradient"].hue not in {made.model.style(b).hue for b in boxes if not made.model.scopes[b.item].startswith("∂")}
    discard(made)


def test_a_panel_that_opens_does_not_hide_what_it_is_about(window, application):
    window.canvas.fit()
    last = max(window.canvas.visible_nodes(), key=lambda n: window.canvas.scene.boxes[window.canvas._index["node", n]].y)
    window.canvas.choose(window.canvas._index["node", last])
    window.resize(window.width(), window.height() - 200)
    application.processEvents()
    assert last in window.canvas.visible_nodes()


def test_a_histogram_is_spoken_of_where_there_is_one(window):
    softmax = node(window, "softmax", "GPT.h.1")
    window.go("node", softmax)
    bare = stats([softmax])
    bare.counts, bare.ranges = np.zeros((1, 32), np.uint32), np.zeros((1, 2), np.float32)
    for message, told in ((bare, "Step 5."), (stats([softmax], 6), "Step 6. Histogram of the elements.")):
        window.store.apply(message)
        window.follow()
        assert window.inspector.numbers.caption.text() == told
    window.store.apply(stats([softmax], 7))
    window.follow()
    assert "below it earlier steps" in window.inspector.numbers.caption.text()


def test_symbols_of_a_formula_are_explained(window):
    window.go("node", node(window, "softmax", "GPT.h.1"))
    assert "all classes" in window.inspector.symbols.text()
    window.say.set_language("ru")
    assert "все классы" in window.inspector.symbols.text()


@pytest.mark.parametrize(("us", "told"), [(0.5, "0.5 µs"), (999.4, "999 µs"), (999.6, "1 ms"), (1e6, "1 s"), (2.5e9, "2500 s")])
def test_durations_have_three_digits(us, told):
    assert Say("en").duration(us) == told


@pytest.mark.parametrize(("count", "told"), [(0, "0 B"), (999, "999 B"), (1023, "0.999 KiB"), (1536, "1.5 KiB"), (2**40, "1.02e+03 GiB")])
def test_amounts_have_three_digits(count, told):
    assert Say("en").amount(count) == told


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
