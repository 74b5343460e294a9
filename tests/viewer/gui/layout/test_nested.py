"""Nested drawings: boxes lie in their parents, folded runs stand for equal groups, edges are lifted and end at what they name."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from torchlike_asg.viewer.gui.layout import Nested, Tree
from torchlike_asg.viewer.gui.layout.nested import FAR, TITLE

from ..graphs import Network


def network(blocks: int, backward: bool = False):
    return Network(blocks, backward).tree


def check(tree, scene):
    boxes = scene.boxes
    for i, b in enumerate(boxes):
        assert b.parent < i
        if b.parent >= 0:
            p = boxes[b.parent]
            assert p.kind == "open"
            assert p.x - 1e-6 <= b.x and b.x + b.w <= p.x + p.w + 1e-6
            assert p.y + TITLE - 1e-6 <= b.y and b.y + b.h <= p.y + p.h + 1e-6
        assert -1e-6 <= b.x and b.x + b.w <= scene.width + 1e-6 and b.y + b.h <= scene.height + 1e-6
        for j in range(i):
            c = boxes[j]
            if c.parent == b.parent:
                apart = b.x + b.w <= c.x + 1e-6 or c.x + c.w <= b.x + 1e-6 or b.y + b.h <= c.y + 1e-6 or c.y + c.h <= b.y + 1e-6
                assert apart
    for e in scene.edges:
        assert (np.diff(e.stations[:, 1]) >= -1e-6).all() or (e.back and (np.diff(e.stations[:, 1]) <= 1e-6).all())
        for end, box, port in ((e.stations[0], e.source, e.enters), (e.stations[-1], e.target, e.leaves)):
            if box >= 0:
                b = boxes[box]
                assert b.x - 1e-6 <= end[0] <= b.x + b.w + 1e-6
                assert min(abs(end[1] - b.y), abs(end[1] - b.y - b.h)) < 1e-6
            else:
                assert port
        for (x, y), (x2, y2) in itertools.pairwise(e.stations):  # what goes straight down keeps clear of all boxes beside it
            if abs(x - x2) < 1e-6:
                for k, b in enumerate(boxes):
                    if b.parent == (boxes[e.source].parent if not e.enters else e.source) and k not in (e.source, e.target):
                        assert not (b.x < x - 1e-6 and x + 1e-6 < b.x + b.w and b.y < max(y, y2) - 1e-6 and min(y, y2) + 1e-6 < b.y + b.h)
    shown = {k for k, b in enumerate(boxes) if b.kind != "open"}
    assert set(scene.box_of.tolist()) <= shown
    # every graph edge between different boxes is carried, and by a drawn chain from box to box
    carried = np.unique(np.concatenate([e.carries for e in scene.edges])) if scene.edges else np.zeros(0, int)
    across = np.flatnonzero(scene.box_of[tree.src] != scene.box_of[tree.dst])
    assert np.array_equal(carried, across)


@st.composite
def trees(draw):
    n = draw(st.integers(1, 20))
    scopes = draw(st.lists(st.lists(st.sampled_from("ab0"), max_size=3).map(".".join), min_size=n, max_size=n))
    pairs = draw(st.lists(st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)).filter(lambda p: p[0] != p[1]), max_size=40, unique=True))
    src, dst = (np.asarray([p[k] for p in pairs], np.int64) for k in (0, 1))
    return Tree(scopes, draw(st.lists(st.sampled_from(["add", "mul"]), min_size=n, max_size=n)), src, dst)


@settings(max_examples=150, deadline=None)
@given(trees(), st.data())
def test_any_graph_with_any_groups_open(tree, data):
    """Lifted graphs may be cyclic; nothing may break for that."""
    opened = data.draw(st.sets(st.integers(0, len(tree.groups) - 1)))
    scene = Nested(tree).scene(opened)
    check(tree, scene)


def test_equal_blocks_fold_and_one_of_them_opens():
    tree = network(12)
    nested = Nested(tree)
    closed = nested.scene({0, tree.by_path["net"], tree.by_path["net.h"]})
    fold = next(b for b in closed.boxes if b.kind == "fold")
    assert len(fold.members) == 12
    check(tree, closed)
    opened = nested.scene(tree.auto_open(40))
    assert [b.kind for b in opened.boxes].count("fold") == 1
    assert len(next(b for b in opened.boxes if b.kind == "fold").members) == 11
    assert any(b.kind == "open" and tree.groups[b.item].path == "net.h.0" for b in opened.boxes)
    check(tree, opened)


def test_a_block_that_differs_is_not_folded():
    tree = network(6)
    labels = ["input", *["w", "matmul", "gelu", "add"] * 6, "loss"]
    labels[10] = "conv"  # in the third block
    other = Tree([tree.groups[g].path for g in tree.group_of], labels, tree.src, tree.dst)
    h = other.by_path["net.h"]
    assert [len(r) for r in other.runs(h, {0})] == [1, 1, 1, 3]


def test_everything_open_and_levels_and_classes():
    tree = network(3, backward=True)
    nested = Nested(tree)
    everything = nested.scene(range(len(tree.groups)))
    assert all(b.kind in ("open", "node") for b in everything.boxes)
    check(tree, everything)
    by_class = nested.scene(tree.of_kind("Block"))
    assert sum(b.kind == "open" and tree.groups[b.item].kind == "Block" for b in by_class.boxes) == 3
    assert nested.scene(tree.down_to(1)).boxes[0].kind in ("open", "module", "node")


def test_the_backward_half_stays_closed_and_its_edges_do_not_turn():
    tree = network(4, backward=True)
    opened = tree.auto_open(40, closed={"∂"})
    assert tree.by_path["∂"] not in opened
    scene = Nested(tree).scene(opened)
    check(tree, scene)
    assert not any(e.back for e in scene.edges)


def test_hidden_scopes_are_left_out_with_their_edges():
    tree = network(4, backward=True)
    opened = tree.auto_open(40, closed={"∂"})
    whole, forward = Nested(tree).scene(opened), Nested(tree).scene(opened, hidden={tree.by_path["∂"]})
    mirrored = tree.group_of >= tree.by_path["∂"]
    assert (forward.box_of[mirrored] == -1).all()
    assert (forward.box_of[~mirrored] >= 0).all()
    assert len(forward.boxes) == len(whole.boxes) - 1
    carried = np.unique(np.concatenate([e.carries for e in forward.edges]))
    assert not mirrored[tree.dst[carried]].any()
    boxes = forward.box_of[~mirrored]
    assert boxes.max() < len(forward.boxes)


def test_data_pass_straight_through_open_groups():
    tree = network(2)
    scene = Nested(tree).scene(range(len(tree.groups)))
    centre = {}
    for b in scene.boxes:
        if b.kind == "node":
            centre[b.item] = b.x + b.w / 2
    for k in range(2):
        assert centre[4 * k + 2] == pytest.approx(centre[4 * k + 3], abs=0.5)  # matmul and gelu, in groups of their own


def test_equal_groups_are_laid_out_once():
    tree = network(50)
    nested = Nested(tree)
    nested.scene(range(len(tree.groups)))
    assert len(nested._memory) < 12


def test_twenty_thousand_nodes_show_as_a_few_boxes():
    tree = network(5000)
    assert len(tree.group_of) > 20_000
    scene = Nested(tree).scene(tree.auto_open(40))
    assert len(scene.boxes) <= 45
    assert set(scene.box_of.tolist()) <= set(range(len(scene.boxes)))


def test_many_edges_leave_a_group_where_they_are():
    """As of a layer with memory, whose values the backward pass reads: at one port they would make a bar along the border."""
    n = 9
    src = np.asarray([*range(n - 1), *range(n)], np.int64)
    dst = np.asarray([*range(1, n), *[n] * n], np.int64)
    tree = Tree(["m"] * n + ["∂"], ["add"] * (n + 1), src, dst)
    scene = Nested(tree).scene({0, tree.by_path["m"]})
    check(tree, scene)
    leaving = [e.stations for e in scene.edges if e.leaves]
    assert len(leaving) == n
    assert max(abs(s[-1, 0] - s[-2, 0]) for s in leaving) <= FAR
    assert len({round(s[-1, 0]) for s in leaving}) > n // 2


def test_a_table_that_is_read_at_constant_places_stands_below_them():
    """Positions of tokens: nothing in the group depends on an input, and its weight is older than the positions."""
    scopes = ["N.position", "N", "N.position", "N", "N"]
    src, dst = np.asarray([0, 1, 2, 3]), np.asarray([2, 2, 4, 4])
    tree = Tree(scopes, ["w", "arange", "embedding", "input", "add"], src, dst, {}, np.asarray([True, True, True, False, False]))
    assert tree.groups[tree.by_path["N.position"]].first == 2
    scene = Nested(tree, lambda kind, item, members: (100.0, 40.0)).scene({0, tree.by_path["N"]})
    assert not any(e.back for e in scene.edges)
