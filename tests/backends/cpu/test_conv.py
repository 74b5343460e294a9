"""Convolutions through their native lowerings: the registry's samples, and many geometries, laid out in several ways."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from torchlike_asg import config, dtypes
from torchlike_asg.asg.declare import REGISTRY, Sample
from torchlike_asg.backends.cpu import conv  # noqa: F401 (registers the generators)
from torchlike_asg.backends.cpu.calls import LIBRARY, LibraryNode, Lowering
from torchlike_asg.ops.conv import output_sizes

from .harness import run
from .nodes import check, check_all, laid_out, node_of, shown

LAYOUTS = ("contiguous", "gaps", "reversed", "channels_last")
OPS = ("conv", "conv_transpose", "conv_grad_weight")


@pytest.mark.parametrize("name", OPS)
@pytest.mark.parametrize("single", [False, True])
def test_samples(name, single):
    for sample in REGISTRY[name].samples():
        n, operands = node_of(REGISTRY[name], sample, single)
        for layout, result in itertools.product(LAYOUTS, ("contiguous", "gaps", "channels_last")):
            for threads in (1, 3):
                assert check(n, operands, layout, result, threads), (sample, layout)


def _arrays(rng, x, w, attrs, d=np.float64):
    """Operands of the three operations for an image and a weight of these shapes."""
    out = output_sizes(x[2:], w[2:], *attrs[:3])
    image, weight, g = (rng.standard_normal(s).astype(d) for s in (x, w, (x[0], w[0], *out)))
    return {
        "conv": ((image, weight), attrs),
        "conv_transpose": ((g, weight), (tuple(x[2:]), *attrs)),
        "conv_grad_weight": ((g, image), (tuple(w[2:]), *attrs)),
    }


@st.composite
def _geometries(draw):
    rank = draw(st.integers(1, 3))
    numbers = [st.integers(1, n) for n in (3, 3, 3)]
    kernel, stride, dilation = (tuple(draw(n) for _ in range(rank)) for n in numbers)
    padding = tuple(draw(st.integers(0, 3)) for _ in range(rank))
    least = [max(1, d * (k - 1) + 1 - 2 * p) for k, d, p in zip(kernel, dilation, padding, strict=True)]
    sizes = tuple(n + draw(st.integers(0, 6)) for n in least)
    groups, each, outs = draw(st.sampled_from([1, 1, 2, 5])), draw(st.integers(1, 5)), draw(st.integers(1, 20))
    return (draw(st.integers(1, 3)), groups * each, *sizes), (groups * outs, each, *kernel), (stride, padding, dilation, groups)


@given(_geometries(), st.sampled_from(LAYOUTS), st.sampled_from(LAYOUTS))
@settings(max_examples=40, deadline=None)
def test_any_geometry(geometry, layout, result):
    x, w, attrs = geometry
    for name, (operands, numbers) in _arrays(np.random.default_rng(0), x, w, attrs).items():
        check_all(name, operands, *numbers, layouts=[(layout, result)], threads=(1, 4))


@pytest.mark.parametrize(
    ("x", "w", "attrs"),
    [
        ((2, 16, 9, 11), (33, 16, 3, 3), ((1, 1), (1, 1), (1, 1), 1)),
        ((3, 3, 12, 12), (70, 3, 5, 5), ((2, 2), (2, 2), (1, 1), 1)),
        ((2, 40, 7, 6), (48, 40, 1, 1), ((2, 2), (0, 0), (1, 1), 1)),
        ((1, 64, 20, 20), (64, 1, 3, 3), ((1, 1), (1, 1), (1, 1), 64)),
        ((4, 1, 28, 28), (32, 1, 3, 3), ((1, 1), (0, 0), (1, 1), 1)),
    ],
)
def test_networks(x, w, attrs):
    for name, (operands, numbers) in _arrays(np.random.default_rng(0), x, w, attrs, np.float32).items():
        check_all(
            name,
            operands,
            *numbers,
            layouts=[("contiguous", "contiguous"), ("channels_last", "channels_last"), ("reversed", "gaps")],
            threads=(1, 3),
        )


def test_integers_are_left_to_the_reference():
    sample = Sample((np.ones((1, 1, 3), int), np.ones((1, 1, 2), int)), ((1,), (0,), (1,), 1))
    n, operands = node_of(REGISTRY["conv"], sample, False)
    assert not check(n, operands, "contiguous", "contiguous", 1)


_WINOGRAD = [((3, 32, 33, 30), 48, (1, 1)), ((4, 16, 41, 37), 16, (0, 2)), ((8, 64, 8, 8), 80, (1, 1)), ((1, 96, 29, 30), 32, (2, 3))]


@pytest.mark.parametrize(("x", "outputs", "padding"), _WINOGRAD)
def test_winograd(x, outputs, padding):
    """Within 1e-5 of the largest result, from single precision, in every layout and however it is divided."""
    attrs = ((1, 1), padding, (1, 1), 1)
    rng = np.random.default_rng(1)
    for name, (operands, numbers) in _arrays(rng, x, (outputs, x[1], 3, 3), attrs, np.float32).items():
        if name == "conv":
            operands = (*operands, rng.standard_normal(outputs).astype(np.float32))
        views, memory = zip(*[laid_out(i, a.shape, dtypes.float32, "contiguous", a) for i, a in enumerate(operands)], strict=True)
        exact = REGISTRY[name].ref(*[a.astype(np.float64) for a in operands], *numbers)
        results = []
        for layout, threads in (("contiguous", 1), ("channels_last", 3)):
            result, arrays = laid_out(9, exact.shape, dtypes.float32, layout)
            low = Lowering(10, threads)
            assert LIBRARY[name](low, LibraryNode(name, numbers, views, result))
            assert any(c.source.key[0].startswith("winograd") for c in low.calls)
            assert not run(low, {**dict(enumerate(memory)), 9: arrays}, threads)
            results.append(shown(result, arrays).copy())
        np.testing.assert_array_equal(results[0], results[1])
        assert np.abs(results[0] - exact).max() < 1e-5 * np.abs(exact).max()


def test_exact_convolutions(monkeypatch):
    monkeypatch.setattr(config, "exact_conv", True)
    attrs = ((1, 1), (1, 1), (1, 1), 1)
    for name, (operands, numbers) in _arrays(np.random.default_rng(0), (4, 32, 32, 32), (32, 32, 3, 3), attrs).items():
        views = [laid_out(i, a.shape, dtypes.float32, "contiguous")[0] for i, a in enumerate(operands)]
        result = laid_out(2, (32, 32, 3, 3) if name == "conv_grad_weight" else (4, 32, 32, 32), dtypes.float32, "contiguous")[0]
        low = Lowering(3)
        assert LIBRARY[name](low, LibraryNode(name, numbers, tuple(views), result))
        assert not any(c.source.key[0].startswith("winograd") for c in low.calls)


def test_results_do_not_depend_on_the_partition():
    """Bit for bit, for one thread and for many."""
    rng = np.random.default_rng(2)
    for name, (operands, numbers) in _arrays(rng, (3, 5, 20, 20), (37, 5, 3, 3), ((2, 1), (1, 1), (1, 1), 1), np.float32).items():
        found = []
        for threads in (1, 2, 7):
            views, memory = zip(*[laid_out(i, a.shape, dtypes.float32, "contiguous", a) for i, a in enumerate(operands)], strict=True)
            shape = REGISTRY[name].ref(*operands, *numbers).shape
            result, arrays = laid_out(9, shape, dtypes.float32, "contiguous")
            low = Lowering(10, threads)
            assert LIBRARY[name](low, LibraryNode(name, numbers, views, result))
            assert not run(low, {**dict(enumerate(memory)), 9: arrays}, threads)
            found.append(shown(result, arrays).copy())
        np.testing.assert_array_equal(found[0], found[1])
        np.testing.assert_array_equal(found[0], found[2])
