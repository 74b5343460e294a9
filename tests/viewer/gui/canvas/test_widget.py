"""The canvas under mouse and keys, drawn offscreen."""

import numpy as np
import pyqtgraph as pg
import pytest
from pyqtgraph.Qt import QtCore, QtGui, QtTest, QtWidgets

from torchlike_asg.viewer.gui.canvas import DARK, LIGHT, Camera, Canvas
from torchlike_asg.viewer.gui.canvas.geometry import fit
from torchlike_asg.viewer.gui.layout import Tree

from ..graphs import Network

Key = QtCore.Qt.Key


@pytest.fixture
def canvas(application):
    widget = Canvas(Network(12, backward=True), DARK, animated=False)
    widget.resize(900, 700)
    widget.show()
    application.processEvents()
    yield widget
    widget.close()
    widget.deleteLater()


def pixels(widget):
    image = widget.grab().toImage().convertToFormat(QtGui.QImage.Format.Format_RGB32)
    return pg.functions.ndarray_from_qimage(image)[:, :, :3].copy()


def click(widget, box, double=False):
    b = widget.scene.boxes[box]
    x, y = widget.camera.to_screen(b.x + b.w / 2, b.y + min(b.h / 2, 12))
    at = QtCore.QPoint(int(x), int(y))
    QtTest.QTest.mouseClick(widget, QtCore.Qt.MouseButton.LeftButton, pos=at)
    if double:
        QtTest.QTest.mouseDClick(widget, QtCore.Qt.MouseButton.LeftButton, pos=at)


def press(widget, key, scan=0, text=""):
    event = QtGui.QKeyEvent(QtCore.QEvent.Type.KeyPress, key, QtCore.Qt.KeyboardModifier.NoModifier, scan, 0, 0, text)
    QtWidgets.QApplication.sendEvent(widget, event)


def find(widget, kind, name):
    for i, b in enumerate(widget.scene.boxes):
        label = widget.model.labels[b.item] if b.kind == "node" else widget.model.tree.groups[b.item].name
        if b.kind == kind and label == name:
            return i
    raise AssertionError(f"no {kind} {name}")


def test_the_first_view_is_not_blank_and_repeats(canvas):
    first = pixels(canvas)
    assert len(np.unique(first.reshape(-1, 3), axis=0)) > 50
    assert np.array_equal(first, pixels(canvas))


def test_the_backward_half_is_hidden_until_asked_for(canvas):
    mirror = canvas.model.tree.by_path["∂"]
    assert all(b.item != mirror or b.kind == "node" for b in canvas.scene.boxes)
    canvas.set_hidden(())
    assert find(canvas, "module", "∂") >= 0
    canvas.set_hidden(("∂",))
    canvas.select("node", len(canvas.model.labels) - 1)  # selecting a hidden node shows it
    assert canvas.selection == ("node", len(canvas.model.labels) - 1)


def test_a_click_selects_and_one_beside_deselects(canvas):
    heard = []
    canvas.selected.connect(lambda kind, item: heard.append((kind, item)))
    canvas.fit()
    target = find(canvas, "node", "matmul")
    click(canvas, target)
    assert heard == [("node", 2)]
    canvas.clear_selection()
    assert heard[-1] == ("", -1)


def test_a_double_click_opens_and_closes_and_the_box_stays_put(canvas):
    box = find(canvas, "fold", "1")
    b = canvas.scene.boxes[box]
    canvas.look(canvas.camera.centred(b.x + b.w / 2, b.y + b.h / 2, canvas.width(), canvas.height(), 1.0))
    before = canvas._centre(box)
    click(canvas, box, double=True)
    group = b.item
    assert group in canvas.open_groups
    assert np.allclose(canvas._centre(canvas._index["group", group]), before, atol=1.5)
    canvas.toggle(group)
    assert canvas.scene.boxes[canvas._index["group", group]].kind == "fold"


def test_wheel_zooms_to_the_pointer_and_drag_pans(canvas):
    at = QtCore.QPointF(300, 200)
    before = canvas.camera.to_scene(300, 200)
    event = QtGui.QWheelEvent(
        at,
        canvas.mapToGlobal(at),
        QtCore.QPoint(),
        QtCore.QPoint(0, 240),
        QtCore.Qt.MouseButton.NoButton,
        QtCore.Qt.KeyboardModifier.NoModifier,
        QtCore.Qt.ScrollPhase.NoScrollPhase,
        False,
    )
    zoom = canvas.camera.zoom
    QtWidgets.QApplication.sendEvent(canvas, event)
    assert canvas.camera.zoom > zoom
    assert np.allclose(canvas.camera.to_scene(300, 200), before, atol=1e-6)
    start = canvas.camera
    QtTest.QTest.mousePress(canvas, QtCore.Qt.MouseButton.LeftButton, pos=QtCore.QPoint(400, 300))
    QtTest.QTest.mouseMove(canvas, QtCore.QPoint(440, 330))
    QtTest.QTest.mouseRelease(canvas, QtCore.Qt.MouseButton.LeftButton, pos=QtCore.QPoint(440, 330))
    assert (canvas.camera.x - start.x, canvas.camera.y - start.y) == pytest.approx((40, 30))


def test_arrow_keys_walk_edges_and_backspace_goes_out(canvas):
    canvas.select("node", 2)
    press(canvas, Key.Key_Up)
    assert canvas.selection in (("node", 1), ("group", canvas.model.tree.by_path["net.h.0.fc"]))
    canvas.select("node", 2)
    press(canvas, Key.Key_Backspace)
    assert canvas.selection == ("group", canvas.model.tree.by_path["net.h.0.fc"])
    press(canvas, Key.Key_Space)
    assert canvas.model.tree.by_path["net.h.0.fc"] not in canvas.open_groups
    press(canvas, Key.Key_Escape)
    assert canvas.selection == ("", -1)


def test_letters_are_keys_on_a_russian_layout_too(canvas):
    canvas.look(Camera(0.3, 5, 5))
    press(canvas, 0x0410, text="а")  # Qt's key of the letter on the key of F; the event has no scan code
    fitted = canvas.camera
    canvas.fit()
    assert canvas.camera == fitted
    canvas.look(Camera(0.3, 5, 5))
    press(canvas, 0x0410, scan=41, text="а")
    assert canvas.camera == fitted


def test_heat_matches_errors_fusions_and_themes_show(canvas):
    plain = pixels(canvas)
    box = find(canvas, "node", "matmul")
    canvas.set_heat({box: 0.9}, {box: "12 µs"})
    heated = pixels(canvas)
    canvas.set_heat({}, {})
    canvas.set_matches([2])
    matched = pixels(canvas)
    canvas.set_matches([])
    canvas.set_errors([3], {2: "8×16"})
    failed = pixels(canvas)
    canvas.set_errors([], {})
    canvas.set_fusions({2: 0, 3: 0})
    fused = pixels(canvas)
    canvas.set_fusions({})
    assert np.array_equal(plain, pixels(canvas))
    shots = [plain, heated, matched, failed, fused]
    assert all(not np.array_equal(a, b) for k, a in enumerate(shots) for b in shots[:k])
    canvas.set_colors(LIGHT)
    assert pixels(canvas).mean() > 180 > 90 > plain.mean()


def test_classes_open_and_close_together(canvas):
    canvas.open_kind("Block")
    blocks = {g.number for g in canvas.model.tree.groups if g.kind == "Block" and not g.path.startswith("∂")}
    assert blocks <= canvas.open_groups
    canvas.close_kind("Block")
    assert not blocks & canvas.open_groups
    canvas.open_level()
    assert canvas.open_groups & blocks


def test_a_new_version_of_the_graph_keeps_view_and_open_groups(canvas):
    canvas.select("group", canvas.model.tree.by_path["net.h.0.act"])
    camera, paths = canvas.camera, {canvas.model.tree.groups[g].path for g in canvas.open_groups}
    canvas.set_model(Network(13), DARK, keep=True)
    assert canvas.camera == camera
    assert {canvas.model.tree.groups[g].path for g in canvas.open_groups} == paths
    assert canvas.model.tree.groups[canvas.selection[1]].path == "net.h.0.act"


def test_what_is_new_in_a_graph_opens_as_at_first(canvas):
    """A first step that only makes data must not leave the model closed for ever."""
    lone = Network(12)
    lone.scopes = ["data"] * len(lone.scopes)
    lone.tree = Tree(lone.scopes, lone.labels, lone.src, lone.dst)
    canvas.set_model(lone, DARK)
    canvas.set_model(Network(12), DARK, keep=True)
    paths = {canvas.model.tree.groups[g].path for g in canvas.open_groups}
    assert {"net", "net.h", "net.h.0"} <= paths
    assert canvas.camera == fit(canvas.width(), canvas.height(), canvas.scene.width, canvas.scene.height)
    canvas.toggle(canvas.model.tree.by_path["net.h.0"])  # closed by hand
    canvas.set_model(Network(13), DARK, keep=True)
    assert canvas.model.tree.by_path["net.h.0"] not in canvas.open_groups


def test_the_minimap_goes_where_it_is_clicked(canvas):
    canvas.look(Camera(1.0, 0, 0))
    before = canvas.camera.to_scene(0, canvas.height() / 2)[1]
    minimap = canvas.minimap
    QtTest.QTest.mouseClick(minimap, QtCore.Qt.MouseButton.LeftButton, pos=QtCore.QPoint(minimap.width() // 2, minimap.height() - 8))
    assert canvas.camera.to_scene(0, canvas.height() / 2)[1] > before


def test_an_animation_ends_at_the_layout(application):
    widget = Canvas(Network(4), DARK, animated=True)
    widget.resize(600, 500)
    widget.show()
    widget.toggle(widget.model.tree.by_path["net.h.0"])
    assert widget._glide is not None
    pixels(widget)
    until = QtCore.QElapsedTimer()
    until.start()
    while widget._glide is not None and until.elapsed() < 5000:
        application.processEvents(QtCore.QEventLoop.ProcessEventsFlag.AllEvents, 50)
    assert widget._glide is None
    assert widget._drawn() is widget.geometry_
    widget.close()
    widget.deleteLater()


def test_a_graph_of_twenty_thousand_nodes(application):
    widget = Canvas(Network(5000), DARK, animated=False)
    widget.resize(900, 700)
    assert len(widget.scene.boxes) < 50
    widget.set_open(range(len(widget.model.tree.groups)))
    assert len(widget.scene.boxes) > 20_000
    for zoom in (0.0005, 0.05, 0.5):
        widget.camera = widget.camera.centred(widget.scene.width / 2, widget.scene.height / 2, 900, 700, zoom)
        assert len(np.unique(pixels(widget).reshape(-1, 3), axis=0)) > 3
    widget.deleteLater()
