"""Convolutions through their native lowerings: the registry's samples, and many geometries, laid out in several ways."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from torchlike_asg.asg.declare import REGISTRY
from torchlike_asg.backends.cpu import conv  # noqa: F401 (registers the generators)
from torchlike_asg.ops.conv import output_sizes

from .nodes import LAYOUTS, check, check_all, node_of

OPS = ("conv", "conv_transpose", "conv_grad_weight")


@pytest.mark.parametrize("name", OPS)
@pytest.mark.parametrize("single", [False, True])
def test_samples(name, single):
    for sample in REGISTRY[name].samples():
        n, operands = node_of(REGISTRY[name], sample, single)
        for layout, result in itertools.product(LAYOUTS, ("contiguous", "gaps")):
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


@given(_geometries(), st.sampled_from(LAYOUTS), st.sampled_from(["contiguous", "gaps", "reversed"]))
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
        check_all(name, operands, *numbers, layouts=[("contiguous", "contiguous"), ("reversed", "gaps")], threads=(1, 3))


def test_integers_are_left_to_the_reference():
    n, operands = node_of(
        REGISTRY["conv"],
        type(REGISTRY["conv"].samples()[0])((np.ones((1, 1, 3), int), np.ones((1, 1, 2), int)), ((1,), (0,), (1,), 1)),
        False,
    )
    assert not check(n, operands, "contiguous", "contiguous", 1)
