"""What is marked on the canvas: heat, alarms, failures, the selection, the halves of a step."""

import re

import numpy as np
import pytest
from pyqtgraph.Qt import QtCore, QtTest

import torchlike_asg as torch
from torchlike_asg.i18n import catalog
from torchlike_asg.viewer.gui.canvas import STYLES
from torchlike_asg.viewer.gui.say import Say
from torchlike_asg.viewer.gui.store import Store
from torchlike_asg.viewer.gui.window import Window
from torchlike_asg.viewer.protocol import Alarm, Failure, Graph, Timing

from ..models import Tiny
from ..watching import graph_after
from .windows import discard, node, stats


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
    snapshot = graph_after(model, 3)
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
