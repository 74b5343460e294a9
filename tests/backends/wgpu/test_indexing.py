"""Gathers and scatters as shaders: many values at one place, every way of combining them, negative and skipped indices, large spaces."""

from dataclasses import replace

import numpy as np
import pytest

from torchlike_asg.asg.declare import REGISTRY, Sample
from torchlike_asg.backends.wgpu import indexing
from torchlike_asg.backends.wgpu.calls import LIBRARY, LibraryNode, View
from torchlike_asg.dtypes import float32, int64

from .harness import device, lowering, run
from .nodes import check, check_all, node_of

assert indexing  # importing it registers the generators


def random(seed):
    return np.random.default_rng(seed)


def values(seed, *shape, d=np.float32):
    return random(seed).standard_normal(shape).astype(d) if np.dtype(d).kind == "f" else random(seed).integers(-9, 9, shape).astype(d)


@pytest.mark.parametrize("features", [frozenset(), None], ids=["plain", "all"])
@pytest.mark.parametrize(
    "reduce,d", [("sum", np.float32), ("sum", np.int32), ("amax", np.float32), ("amin", np.int64), ("prod", np.float32)]
)
def test_many_values_at_one_place(reduce, d, features):
    index = random(0).integers(0, 5, (500, 3))
    v = values(1, 500, 3, d=d) if reduce != "prod" else 1 + values(1, 500, 3) / 50
    caps = device().caps if features is None else replace(device().caps, features=features)
    for own in (True, False):
        n, operands = node_of(REGISTRY["scatter_reduce"], Sample((values(2, 6, 3, d=d), index, v), (0, reduce, own)))
        assert check(n, operands, caps=caps, rtol=1e-4)


def test_rows_of_a_table():
    index = random(0).integers(0, 40, (7, 9))
    check_all("embedding", (values(1, 40, 12), index), -1, False)
    check_all("embedding_grad", (values(1, 7, 9, 12), index), 40, 3, False, layouts=("contiguous",))


def test_integers_and_booleans_are_moved():
    index = random(0).integers(-6, 6, (4,))
    check_all("index", (values(1, 6, 5, d=np.int64), index), (0,), layouts=("contiguous",))
    check_all("index", (values(1, 6, 5) > 0, index), (0,), layouts=("gaps",))


def test_of_few_values_at_one_place_the_last_stays():
    index = np.array([3, 1, 3, 3, 1, 0])
    check_all("index_put", (values(1, 5, 4), values(2, 6, 4), index), (0,), False)


def test_several_indices_apart():
    i, j = random(0).integers(-4, 4, (2, 3)), random(1).integers(0, 5, (3,))
    check_all("index", (values(1, 4, 6, 5), i, j), (0, 2))
    check_all("index_put", (values(1, 4, 6, 5), values(2, 2, 3, 6), i, j), (0, 2), True)


def test_more_workgroups_than_a_dimension_has():
    n = 65_600 * 64 // 100
    index = random(0).integers(0, 50, n)
    check_all("embedding", (values(1, 50, 100), index), -1, False, layouts=("contiguous",), results=("contiguous",))


def test_indices_out_of_range_write_nothing():
    low = lowering(4)
    x, i, v, out = np.zeros(4, np.float32), np.array([1, 9, -7], np.int32), np.ones(3, np.float32), np.full(4, 5, np.float32)
    views = [View(s, (n,), (1,), 0, d) for s, (n, d) in enumerate(((4, float32), (3, int64), (3, float32), (4, float32)))]
    assert LIBRARY["index_add"](low, LibraryNode("index_add", (0,), tuple(views[:3]), views[3]))
    run(low, {0: x, 1: i, 2: v, 3: out})
    np.testing.assert_array_equal(out, [0, 1, 0, 0])
