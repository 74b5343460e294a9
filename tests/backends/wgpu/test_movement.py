"""Moving elements as shaders: copies that share a dispatch, overlapping windows, complex numbers, triangles."""

import numpy as np

from torchlike_asg.asg.declare import REGISTRY, Sample
from torchlike_asg.backends.wgpu import movement

from .nodes import check_all, lowered, node_of

assert movement  # importing it registers the generators


def normal(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def test_copies_of_one_form_share_a_dispatch():
    arrays = tuple(normal(i, 3, 4) for i in range(20))
    n, values = node_of(REGISTRY["stack"], Sample(arrays, (1,)))
    low, _, _ = lowered(n, values)
    assert len(low.calls) == 2
    check_all("stack", arrays, 1)
    check_all("cat", (*arrays[:3], normal(9, 3, 7), *arrays[3:7]), 1)


def test_complex_numbers_are_moved():
    x = (normal(0, 4, 5) + 1j * normal(1, 4, 5)).astype(np.complex64)
    check_all("flip", (x,), 0, 1)
    check_all("triu", (x,), 1)
    check_all("pad_constant", (x,), ((1, 2), (0, 3)), 0.0)


def test_windows_that_overlap_are_added():
    check_all("col2im", (normal(0, 2, 3 * 9, 6 * 4),), (6, 4), (3, 3), (1, 1), (1, 1), (1, 1))
    check_all("pad_mirror_grad", (normal(0, 2, 9, 8),), ((0, 0), (2, 1), (3, 0)), "reflect")


def test_triangles():
    for diagonal in (-2, 0, 3):
        check_all("tril", (normal(0, 2, 5, 7),), diagonal)
        check_all("triu", (normal(0, 2, 5, 7) > 0,), diagonal)
