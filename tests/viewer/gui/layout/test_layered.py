"""A layered drawing has no overlaps, its edges point down, and equal graphs are drawn equally."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from torchlike_asg.viewer.gui.layout import coordinates, layered, layering, ordering
from torchlike_asg.viewer.gui.layout.layered import layout


@st.composite
def graphs(draw):
    """A random directed graph, cycles included, with box sizes and an order of execution."""
    n = draw(st.integers(1, 24))
    pairs = draw(st.lists(st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)).filter(lambda p: p[0] != p[1]), max_size=60, unique=True))
    src, dst = (np.asarray([p[k] for p in pairs], np.int64) for k in (0, 1))
    sizes = draw(st.lists(st.tuples(st.integers(1, 90), st.integers(1, 90), st.integers(1, 120)), min_size=n, max_size=n))
    left, right, height = np.asarray(sizes, float).T
    order = np.asarray(draw(st.permutations(range(n))), np.int64)
    return src, dst, left, right, height, order


def overlaps(d, left, right, height):
    n = len(left)
    x0, x1, y0, y1 = d.x - left, d.x + right, d.top, d.top + height
    return [
        (i, j)
        for i in range(n)
        for j in range(i)
        if x0[i] < x1[j] - 1e-6 and x0[j] < x1[i] - 1e-6 and y0[i] < y1[j] - 1e-6 and y0[j] < y1[i] - 1e-6
    ]


@settings(max_examples=150, deadline=None)
@given(graphs())
@pytest.mark.parametrize("place", ["aligned", "relaxed"])
def test_boxes_do_not_overlap_and_edges_point_down(place, graph):
    src, dst, left, right, height, order = graph
    limit, layered.ALIGN_LIMIT = layered.ALIGN_LIMIT, 10**9 if place == "aligned" else -1
    try:
        d = layout(*graph)
    finally:
        layered.ALIGN_LIMIT = limit
    assert not overlaps(d, left, right, height)
    rank = np.argsort(np.argsort(order))
    assert np.array_equal(d.flipped, rank[src] > rank[dst])
    for a, b, turned, way in zip(src, dst, d.flipped, d.routes, strict=True):
        if turned:
            a, b, way = b, a, way[::-1]
        assert np.all(np.diff(way[:, 1]) >= 0)
        assert np.allclose(way[0], (d.x[a], d.top[a] + height[a]))
        assert np.allclose(way[-1], (d.x[b], d.top[b]))
    assert d.low <= (d.x - left).min()
    assert d.high >= (d.x + right).max()


@settings(max_examples=60, deadline=None)
@given(graphs())
def test_edges_keep_clear_of_boxes_in_the_layers_they_pass(graph):
    src, dst, left, right, height, _ = graph
    d = layout(*graph)
    for a, b, way in zip(src, dst, d.routes, strict=True):
        for (x, y), (x2, y2) in itertools.pairwise(way):
            if x == x2:
                inside = (d.x - left < x - 1e-6) & (x + 1e-6 < d.x + right)
                inside &= (d.top < max(y, y2) - 1e-6) & (min(y, y2) + 1e-6 < d.top + height)
                inside[[a, b]] = False
                assert not inside.any()


def test_the_same_graph_is_drawn_the_same():
    rng = np.random.default_rng(0)
    pairs = np.unique(rng.integers(0, 60, (140, 2)), axis=0)
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    arguments = pairs[:, 0], pairs[:, 1], np.full(60, 40.0), np.full(60, 40.0), np.full(60, 30.0), np.arange(60)
    first, second = layout(*arguments), layout(*arguments)
    assert np.array_equal(first.x, second.x)
    assert all(np.array_equal(a, b) for a, b in zip(first.routes, second.routes, strict=True))


def test_a_chain_with_weights_and_skips_is_one_straight_line():
    """Data (0, 1, 2, ...) go straight down; each step's weight stands beside it, and a skip edge passes beside."""
    n = 8
    data = list(range(n))
    weights = [n + k for k in range(n - 1)]
    pairs = [(k, k + 1) for k in range(n - 1)] + [(n + k, k + 1) for k in range(n - 1)] + [(0, 3), (3, 6)]
    src, dst = np.asarray(pairs).T
    order = np.argsort(np.argsort([2 * k for k in data] + [2 * k + 1 for k in range(n - 1)]))
    size = np.full(2 * n - 1, 50.0)
    d = layout(src, dst, size, size, np.full(2 * n - 1, 30.0), order)
    assert np.ptp(d.x[data]) < 1e-6
    assert d.crossings == 0
    assert len(set(np.round(d.top[weights], 3))) == n - 1  # each on its own layer, not all on the first


def test_constants_move_down_to_their_consumers():
    src, dst = np.asarray([(0, 1), (1, 2), (2, 3), (4, 3), (5, 4)]).T  # 5 -> 4 -> 3 is a cone of constants
    live = np.asarray([True, True, True, True, False, False])
    assert layering.assign(6, src, dst, np.asarray([0, 1, 2, 5, 4, 3]), live).tolist() == [0, 1, 2, 3, 2, 1]


def test_an_edge_too_long_for_bends_is_drawn_straight_across():
    n = ordering.LONGEST_CHAIN + 3
    src = np.append(np.arange(n - 1), 0)
    dst = np.append(np.arange(1, n), n - 1)
    d = layout(src, dst, np.full(n, 9.0), np.full(n, 9.0), np.full(n, 9.0), np.arange(n))
    assert len(d.routes[-1]) == 2
    assert np.ptp(d.x) < 1e-6


@given(st.lists(st.integers(0, 50), max_size=200))
def test_inversions_are_counted_right(values):
    v = np.asarray(values, float)
    assert ordering._inversions(v) == sum(int(v[i] > v[j]) for j in range(len(v)) for i in range(j))


def test_a_large_graph_is_relaxed_without_overlap():
    rng = np.random.default_rng(1)
    n = 3000
    dst = np.repeat(np.arange(1, n), 2)
    src = np.maximum(0, dst - 1 - rng.integers(0, 40, len(dst)))
    pairs = np.unique(np.stack([src, dst]), axis=1)
    size, high = np.full(n, 30.0), np.full(n, 20.0)
    d = layout(pairs[0], pairs[1], size, size, high, np.arange(n))
    for y in np.unique(d.top):
        row = np.sort(d.x[d.top == y])
        assert np.all(np.diff(row) >= 60.0 - 1e-6)


def test_an_empty_graph_and_one_node():
    nothing = np.zeros(0)
    none = np.zeros(0, np.int64)
    assert layout(none, none, nothing, nothing, nothing, none).height == 0.0
    one = layout(none, none, np.asarray([5.0]), np.asarray([7.0]), np.asarray([3.0]), np.asarray([0]))
    assert (one.high - one.low, one.height) == (12.0, 3.0)


def test_coordinates_honour_uneven_extents():
    cut = ordering.segment(2, np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(2, np.int64))
    for place in (coordinates.aligned, coordinates.relaxed):
        x = place([[0, 1]], cut, np.asarray([1.0, 30.0]), np.asarray([50.0, 2.0]), 10.0, 5.0, np.ones(2, bool))
        assert x[1] - x[0] == pytest.approx(90.0)
