"""Pooling through its native lowerings: the registry's samples, ties and NaN, and many geometries, laid out in several ways."""

import itertools

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from torchlike_asg import dtypes
from torchlike_asg.asg.declare import REGISTRY
from torchlike_asg.backends.cpu import planes, pooling  # noqa: F401 (registers the generators)
from torchlike_asg.backends.cpu.calls import LIBRARY, LibraryNode, Lowering
from torchlike_asg.ops.pooling import pooled_sizes

from .harness import run
from .nodes import check, check_all, laid_out, node_of, shown

OPS = (
    *("max_pool", "max_pool_index", "adaptive_max_pool", "adaptive_max_pool_index", "plane_gather", "plane_scatter"),
    *("avg_pool", "avg_pool_grad", "adaptive_avg_pool", "adaptive_avg_pool_grad"),
)
LAYOUTS = ("contiguous", "gaps", "reversed", "channels_last")
RESULTS = ("contiguous", "reversed", "channels_last")


@pytest.mark.parametrize("name", OPS)
@pytest.mark.parametrize("single", [False, True])
def test_samples(name, single):
    lowered = 0
    for sample in REGISTRY[name].samples():
        n, operands = node_of(REGISTRY[name], sample, single)
        for layout, result in itertools.product(LAYOUTS, RESULTS):
            for threads in (1, 3):
                lowered += check(n, operands, layout, result, threads)
    assert lowered


def _image(rng, shape):
    """Few different numbers, so that windows have ties."""
    return rng.integers(-4, 5, shape).astype(np.float64)


@st.composite
def _windows(draw):
    rank = draw(st.integers(1, 3))
    kernel = tuple(draw(st.integers(1, 4)) for _ in range(rank))
    stride, dilation = (tuple(draw(st.integers(1, 3)) for _ in range(rank)) for _ in range(2))
    padding = tuple(draw(st.integers(0, k // 2)) for k in kernel)
    sizes = tuple(draw(st.integers(1, 9)) for _ in kernel)
    ceil_mode = draw(st.booleans())
    assume(all(n > 0 for n in pooled_sizes(sizes, kernel, stride, padding, dilation, ceil_mode)))
    return (draw(st.integers(1, 2)), draw(st.integers(1, 19)), *sizes), (kernel, stride, padding, dilation, ceil_mode)


@given(_windows(), st.sampled_from(LAYOUTS), st.sampled_from(RESULTS), st.booleans(), st.sampled_from([None, 3]))
@settings(max_examples=40, deadline=None)
def test_windows(geometry, layout, result, include_pad, divisor):
    shape, (kernel, stride, padding, dilation, ceil_mode) = geometry
    rng = np.random.default_rng(0)
    x = _image(rng, shape)
    how = {"layouts": [(layout, result)], "threads": (1, 3)}
    for name in ("max_pool", "max_pool_index"):
        check_all(name, (x,), kernel, stride, padding, dilation, ceil_mode, **how)
    attrs = (kernel, stride, padding, ceil_mode, include_pad, divisor)
    out = pooled_sizes(shape[2:], kernel, stride, padding, (1,) * len(kernel), ceil_mode)
    if min(out) > 0 and np.isfinite(REGISTRY["avg_pool"].ref(x, *attrs)).all():
        check_all("avg_pool", (x,), *attrs, **how)
        check_all("avg_pool_grad", (_image(rng, (*shape[:2], *out)),), shape[2:], *attrs, **how)


_DIMS = st.lists(st.tuples(st.integers(1, 9), st.integers(1, 12)), min_size=1, max_size=3)


@given(_DIMS, st.sampled_from(LAYOUTS), st.sampled_from(RESULTS))
@settings(max_examples=30, deadline=None)
def test_adaptive(dims, layout, result):
    rng = np.random.default_rng(0)
    sizes, outs = tuple(n for n, _ in dims), tuple(o for _, o in dims)
    how = {"layouts": [(layout, result)], "threads": (1, 3)}
    x = _image(rng, (2, 17, *sizes))
    for name in ("adaptive_max_pool", "adaptive_max_pool_index", "adaptive_avg_pool"):
        check_all(name, (x,), outs, **how)
    check_all("adaptive_avg_pool_grad", (_image(rng, (2, 17, *outs)),), sizes, **how)


@pytest.mark.parametrize("layout", ["contiguous", "channels_last"])
def test_nan_infinities_and_zeros(layout):
    """NaN wins, with the reference's choice among several; equal numbers leave the first."""
    rng = np.random.default_rng(3)
    x = rng.choice([np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0], (2, 18, 8, 9))
    for name in ("max_pool", "max_pool_index"):
        for padding in ((0, 0), (1, 1)):
            check_all(name, (x,), (2, 3), (2, 1), padding, (1, 2), False, layouts=[(layout, "channels_last")])
    for name in ("adaptive_max_pool", "adaptive_max_pool_index"):
        check_all(name, (x,), (3, 4), layouts=[(layout, "channels_last")])
    for name in ("max_pool", "max_pool_index"):
        check_all(name, (np.full((1, 2, 4, 4), -np.inf),), (2, 2), (2, 2), (0, 0), (1, 1), False)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_planes(layout):
    """Places that occur several times are summed, in any layout."""
    rng = np.random.default_rng(4)
    x, g, index = rng.standard_normal((3, 37, 5, 6)), rng.standard_normal((3, 37, 4, 7)), rng.integers(0, 30, (3, 37, 4, 7))
    for result in RESULTS:
        check_all("plane_gather", (x, index), layouts=[(layout, result)])
        check_all("plane_scatter", (g, index), (5, 6), layouts=[(layout, result)])


@pytest.mark.parametrize("place", [-1, 30])
@pytest.mark.parametrize("name", ["plane_gather", "plane_scatter"])
@pytest.mark.parametrize("channels_last", [False, True])
def test_places_outside_are_reported(name, place, channels_last):
    index = np.zeros((1, 32, 2, 2), np.int64)
    index[0, 20, 1, 0] = place
    shape, size = ((1, 32, 5, 6), (1, 32, 2, 2)) if name == "plane_gather" else ((1, 32, 2, 2), (1, 32, 5, 6))
    layout = "channels_last" if channels_last else "contiguous"
    x, memory = laid_out(0, shape, dtypes.float32, layout, 1.0)
    i, places = laid_out(1, index.shape, dtypes.int64, layout, index)
    result, out = laid_out(2, size, dtypes.float32, layout)
    low = Lowering(3)
    assert LIBRARY[name](low, LibraryNode(name, () if name == "plane_gather" else ((5, 6),), (x, i), result))
    assert run(low, {0: memory, 1: places, 2: out})


def test_planes_in_different_layouts():
    rng = np.random.default_rng(5)
    g, index = rng.standard_normal((3, 37, 4, 7)), rng.integers(0, 30, (3, 37, 4, 7))
    for layouts in itertools.product(LAYOUTS, repeat=3):
        (x, memory), (i, places) = (
            laid_out(k, a.shape, d, how, a)
            for k, (a, d, how) in enumerate(((g, dtypes.float64, layouts[0]), (index, dtypes.int64, layouts[1])))
        )
        result, out = laid_out(2, (3, 37, 5, 6), dtypes.float64, layouts[2])
        low = Lowering(3)
        assert LIBRARY["plane_scatter"](low, LibraryNode("plane_scatter", ((5, 6),), (x, i), result))
        assert not run(low, {0: memory, 1: places, 2: out}, 2)
        np.testing.assert_allclose(shown(result, out), REGISTRY["plane_scatter"].ref(g, index, (5, 6)), rtol=1e-13, atol=1e-13)
