"""Cameras, curves, culling and walking."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from torchlike_asg.viewer.gui.canvas.geometry import READABLE, Camera, Geometry, curves, fit, overview
from torchlike_asg.viewer.gui.layout import Nested

from ..graphs import Network

numbers = st.floats(-1e4, 1e4)


@given(numbers, numbers, st.floats(0.01, 4), numbers, numbers, st.floats(0.2, 5))
def test_zooming_keeps_the_point_under_the_pointer(x, y, zoom, sx, sy, factor):
    before = Camera(zoom, x, y)
    after = before.zoomed(factor, sx, sy)
    assert np.allclose(after.to_scene(sx, sy), before.to_scene(sx, sy), rtol=1e-6, atol=1e-4)
    assert np.allclose(after.to_screen(*after.to_scene(3.0, 4.0)), (3.0, 4.0), atol=1e-4)


def test_a_curve_is_smooth_and_vertical_at_its_stations():
    stations = [(0.0, 0.0), (100.0, 60.0), (100.0, 90.0), (20.0, 150.0)]
    pieces, owner = curves([np.asarray([(5.0, 0.0), (5.0, 9.0)]), np.asarray(stations)])
    assert owner.tolist() == [0] + [1] * (len(pieces) - 1)
    assert pieces[0].tolist() == [5.0, 0.0, 5.0, 9.0]
    assert np.array_equal(pieces[2:, :2], pieces[1:-1, 2:])  # one begins where the one before ends
    assert set(stations) <= {tuple(p) for p in pieces[:, :2]} | {tuple(p) for p in pieces[:, 2:]}
    points = np.concatenate([pieces[1:2, :2], pieces[1:, 2:]])
    steps = np.diff(points, axis=0)
    assert (steps[:, 1] > 0).all()
    angle = np.arctan2(steps[:, 0], steps[:, 1])
    assert np.abs(np.diff(angle)).max() < 0.45  # radians between neighbouring pieces: no kink to see
    for end in (0, -1):
        assert abs(angle[end]) < 0.35


def test_fit_shows_all_of_a_wide_graph_and_the_top_of_a_tall_one():
    wide = fit(800, 600, 1000, 300)
    assert wide.to_screen(0, 0)[0] >= 0
    assert wide.to_screen(1000, 300)[0] <= 800
    tall = fit(800, 600, 500, 90_000)
    assert tall.zoom > 0.4
    assert 0 <= tall.to_screen(0, 0)[1] < 50


@pytest.fixture
def scene():
    network = Network(2)
    nested = Nested(network.tree)
    return Geometry(nested.scene(range(len(network.tree.groups))))


def box(geometry, node):
    return next(i for i, b in enumerate(geometry.scene.boxes) if b.kind == "node" and b.item == node)


def test_culling_finds_what_a_full_search_finds(scene):
    for camera in (Camera(1.0, -50, -400), Camera(0.3, 10, 10), Camera(3.0, -600, -900)):
        found = set(scene.boxes_in(camera, 300, 200).tolist())
        (x0, y0), (x1, y1) = camera.to_scene(0, 0), camera.to_scene(300, 200)
        assert found == {i for i, (x, y, w, h) in enumerate(scene.rects) if x < x1 and x + w > x0 and y < y1 and y + h > y0}


def test_the_innermost_box_is_hit(scene):
    target = box(scene, 2)
    x, y, w, h = scene.rects[target]
    assert scene.at(x + w / 2, y + h / 2) == target
    outer = scene.scene.boxes[target].parent
    assert scene.at(scene.rects[outer, 0] + 3, scene.rects[outer, 1] + 3) == outer
    assert scene.at(-1e6, 0) == -1


def test_arrow_keys_follow_edges(scene):
    product, activation, weight = box(scene, 2), box(scene, 3), box(scene, 1)
    assert scene.scene.boxes[scene.neighbour(weight, "down")].item == 2
    inside = scene.neighbour(product, "up")
    assert inside in (weight, scene.scene.boxes[product].parent)
    side = scene.neighbour(product, "right")
    assert side == -1 or scene.rects[side, 0] > scene.rects[product, 0]
    assert scene.neighbour(activation, "left") in range(-1, len(scene.scene.boxes))


def test_shifted_boxes_take_the_ends_of_their_edges_along(scene):
    by = np.zeros((len(scene.rects), 2))
    moved = box(scene, 1)
    by[moved] = (30.0, -12.0)
    after = scene.shifted(by)
    assert np.allclose(after.rects[moved, :2], scene.rects[moved, :2] + (30.0, -12.0))
    (edge,) = scene.incident(moved).tolist()
    first = np.flatnonzero(scene.owner == edge)[0]
    last = np.flatnonzero(scene.owner == edge)[-1]
    assert np.allclose(after.segments[first, :2], scene.segments[first, :2] + (30.0, -12.0))
    assert np.allclose(after.segments[last, 2:], scene.segments[last, 2:])
    assert np.allclose(scene.shifted(np.zeros_like(by)).segments, scene.segments)


def test_edges_that_carry_given_graph_edges(scene):
    found = scene.carrying([0])
    assert len(found) >= 1
    assert all(0 in scene.scene.edges[k].carries for k in found)


def test_a_first_view_can_be_read():
    assert fit(900, 450, 1300, 2000).zoom >= READABLE
    assert fit(900, 450, 1100, 500).zoom == overview(900, 450, 1100, 500).zoom, "all of it, if that can be read comfortably"
    assert fit(900, 450, 1300, 2000).to_screen(1300, 0)[0] <= 900, "as wide as the view, rather than cut off"
    assert fit(900, 450, 9000, 2000).zoom == READABLE
