"""What is marked on the drawing: whole edges, fused kernels as sets, titles that nothing covers."""

import numpy as np
import pyqtgraph as pg
import pytest
from pyqtgraph.Qt import QtGui

from torchlike_asg.viewer.gui.canvas import DARK, LIGHT, Camera, Canvas, fusion_hue
from torchlike_asg.viewer.gui.canvas.fusions import sets
from torchlike_asg.viewer.gui.canvas.geometry import Geometry
from torchlike_asg.viewer.gui.canvas.palette import contrast, readable

from ..graphs import Network


@pytest.fixture
def canvas(application):
    widget = Canvas(Network(3), DARK, animated=False)
    widget.resize(900, 700)
    widget.show()
    widget.set_open(range(len(widget.model.tree.groups)))
    yield widget
    widget.close()
    widget.deleteLater()


def count(widget, color):
    """Pixels of that colour."""
    image = widget.grab().toImage().convertToFormat(QtGui.QImage.Format.Format_RGB32)
    rgb = np.asarray(QtGui.QColor(color).getRgb()[2::-1], int)
    return int((np.abs(pg.functions.ndarray_from_qimage(image)[:, :, :3].astype(int) - rgb).max(2) <= 2).sum())


def edges_of(canvas, box):
    """All drawn edges on the way of the graph's edges at a node."""
    node = canvas.scene.boxes[box].item
    at = [e for e, (s, d) in enumerate(canvas.model.edges) if node in (s, d)]
    return {k for k, e in enumerate(canvas.scene.edges) if np.isin(e.carries, at).any()}


def test_an_edge_is_marked_through_all_borders_to_its_other_end(canvas):
    for node in (2, 6, 4):
        box = canvas._index["node", node]
        found = set(canvas.geometry_.incident(box).tolist())
        assert found == edges_of(canvas, box)
    box = canvas._index["node", 2]  # within two groups: the edge to the activation crosses their borders
    direct = set(np.flatnonzero((canvas.geometry_.ends == box).any(axis=1)).tolist())
    assert direct < set(canvas.geometry_.incident(box).tolist())


def test_a_kernel_is_one_set_of_boxes_and_edges(canvas):
    kernel_of = {2: 0, 3: 0, 4: 0, 6: 1, 7: 1}
    boxes, edges = sets(canvas.scene, kernel_of, canvas.model.src, canvas.model.dst)
    assert {canvas.scene.boxes[b].item: k for b, k in boxes.items()} == kernel_of
    inside = [e for e, (s, d) in enumerate(canvas.model.edges) if kernel_of.get(s, -1) == kernel_of.get(d, -2)]
    assert set(edges) == {k for k, e in enumerate(canvas.scene.edges) if np.isin(e.carries, inside).any()}
    plain = count(canvas, fusion_hue(0, DARK))
    canvas.set_fusions(kernel_of)
    assert count(canvas, fusion_hue(0, DARK)) > plain + 100


def test_a_closed_module_is_in_a_set_only_if_all_of_it_is(canvas):
    group = canvas.model.tree.by_path["net.h.0.fc"]
    canvas.toggle(group)
    canvas.set_fusions({2: 0, 3: 0})  # the module's only computation, and what follows
    assert canvas._index["group", group] in canvas.marks.fusions
    canvas.set_fusions({2: 0})  # nothing else shows of it
    assert canvas._index["group", group] not in canvas.marks.fusions
    canvas.set_fusions({1: 1, 2: 0, 3: 0})
    assert canvas._index["group", group] not in canvas.marks.fusions


@pytest.mark.parametrize("theme", [DARK, LIGHT], ids=["dark", "light"])
def test_outlines_of_kernels_stand_out(theme):
    for kernel in range(60):
        assert contrast(fusion_hue(kernel, theme), theme.groups[-1]) >= 3.0


def test_numbers_on_a_heat_map_can_be_read_at_every_colour():
    ramp = pg.colormap.get("viridis")
    for k in range(101):
        ground = ramp.map(k / 100, "qcolor").name()
        assert contrast(readable(ground), ground) >= 4.5


def test_a_group_scrolled_past_keeps_its_title_in_view(canvas):
    group = canvas._index["group", canvas.model.tree.by_path["net.h.1"]]
    b = canvas.scene.boxes[group]
    canvas.look(Camera(1.0, 450 - b.x - b.w / 2, -b.y - 70))
    strip = canvas.grab().toImage()
    x = int(canvas.camera.to_screen(b.x, 0)[0])
    ground = QtGui.QColor(DARK.group(b.depth)).name()
    assert strip.pixelColor(x + 5, 2).name() == ground
    letters = [strip.pixelColor(x + k, 16).name() for k in range(12, 60)]
    assert any(c != ground for c in letters)


def test_an_edge_in_error_has_its_shape_beside_it(canvas):
    canvas.select("node", 3)
    canvas.clear_selection()
    canvas.set_errors([3], {canvas.model.edges.index((2, 3)): ""})
    bare = count(canvas, DARK.bad)
    canvas.set_errors([3], {canvas.model.edges.index((2, 3)): "8×32"})
    assert count(canvas, DARK.bad) > bare


def test_titles_fit_their_boxes_at_every_zoom(canvas):
    names = {"matmul": "Matrix product", "gelu": "Activation", "add": "Поэлементная сумма"}
    canvas.model.node_text = lambda node: (names.get(canvas.model.labels[node], "weight"), "8×16")
    canvas.retranslate()
    letters = canvas.painter.lettering
    for zoom in np.arange(0.45, 3.0, 0.05):
        for box in canvas.scene.boxes:
            if box.kind == "node":
                title = f"{canvas.model.style(box).glyph} {canvas.model.node_text(box.item)[0]}"
                assert letters.width(title, 12.5 * zoom, True) <= box.w * zoom - 21 * zoom, (title, zoom)


def test_a_title_that_is_scrolled_past_makes_room_for_the_next(canvas, monkeypatch):
    outer, inner = (canvas.scene.boxes[canvas._index["group", canvas.model.tree.by_path[p]]] for p in ("net.h", "net.h.1"))
    drawn = {}
    monkeypatch.setattr(canvas.painter.lettering, "line", lambda p, text, *a, **_: drawn.setdefault(text, a[-1]) and 0.0)
    for above in (4.0, 12.0, 20.0):  # how far the inner title is below the view's edge
        drawn.clear()
        canvas.look(Camera(1.0, 450 - inner.x - inner.w / 2, above - inner.y))
        canvas.grab()
        assert drawn["▾ h"].bottom() <= drawn["▾ 1"].top() + 1
        assert outer.y * canvas.camera.zoom + canvas.camera.y < 0


def test_a_shape_beside_an_edge_covers_no_box(canvas):
    canvas.select("node", 3)
    g, edge = canvas.geometry_, int(canvas.geometry_.carrying([canvas.model.edges.index((2, 3))])[0])
    free = canvas.painter._wires.plate(g, Camera(), edge, 20.0, 4.0)
    near = Geometry(canvas.scene)
    near.rects = g.rects.copy()
    near.rects[np.flatnonzero(g.closed)[0]] = (free.right() + 2, free.y(), 100.0, 40.0)  # a box beside the edge, to the right
    moved = canvas.painter._wires.plate(near, Camera(), edge, 20.0, 4.0)
    assert moved.right() < free.center().x()
    near.rects[np.flatnonzero(g.closed)[0], 0] = free.left() - 102
    assert canvas.painter._wires.plate(near, Camera(), edge, 20.0, 4.0).left() > free.center().x()
