"""Convolutions and their gradients as shaders, against the NumPy references."""

from dataclasses import replace

import numpy as np
import pytest

from torchlike_asg.asg.declare import REGISTRY, Sample
from torchlike_asg.backends.wgpu import conv
from torchlike_asg.backends.wgpu.conv import lowering as lowering_module
from torchlike_asg.ops.conv import output_sizes

from .harness import device
from .nodes import check, node_of

assert conv  # importing it registers the generators


def normal(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


#: (images, channels, outputs, groups, sizes, kernel, stride, padding, dilation)
CASES = [
    (2, 3, 8, 1, (9, 11), (3, 3), (1, 1), (1, 1), (1, 1)),
    (2, 8, 12, 1, (9, 11), (3, 3), (2, 2), (1, 1), (1, 1)),
    (3, 4, 5, 1, (10, 7), (1, 1), (1, 1), (0, 0), (1, 1)),
    (2, 4, 6, 1, (10, 9), (1, 1), (2, 2), (0, 0), (1, 1)),
    (1, 16, 16, 2, (8, 8), (3, 2), (1, 2), (2, 1), (2, 1)),
    (2, 6, 12, 6, (8, 9), (3, 3), (2, 1), (1, 1), (1, 2)),
    (2, 8, 8, 4, (8, 9), (3, 3), (1, 1), (1, 1), (1, 1)),
    (2, 4, 3, 1, (33,), (5,), (3,), (2,), (1,)),
    (1, 4, 4, 1, (5, 6, 7), (2, 3, 3), (1, 2, 1), (1, 0, 1), (1, 1, 1)),
    (2, 4, 4, 1, (7, 7), (3, 3), (3, 3), (0, 0), (2, 2)),
]


@pytest.mark.parametrize("layout,case", [*[("channels_last", c) for c in CASES], ("contiguous", CASES[3])], ids=str)
def test_forward_and_gradients(layout, case):
    n, c, o, groups, sizes, kernel, *walk = case
    out = output_sizes(sizes, kernel, *walk)
    x, w, g, b = normal(1, n, c, *sizes), normal(2, o, c // groups, *kernel), normal(3, n, o, *out), normal(4, o)
    attrs = (*walk, groups)
    for name, operands, more in (
        ("conv", (x, w, b), attrs),
        ("conv_transpose", (g, w), (sizes, *attrs)),
        ("conv_grad_weight", (g, x), (kernel, *attrs)),
    ):
        node, values = node_of(REGISTRY[name], Sample(operands, more))
        assert check(node, values, layout, layout if name != "conv_grad_weight" else "contiguous"), name


@pytest.mark.parametrize("case", [CASES[1], CASES[4]], ids=str)
def test_packed_filters(case, monkeypatch):
    monkeypatch.setattr(lowering_module, "_PACKED", 0)
    test_forward_and_gradients("channels_last", case)


def test_sums_over_many_pixels_are_taken_in_parts():
    x, g = normal(1, 2, 4, 40, 40), normal(2, 2, 8, 40, 40)
    node, values = node_of(REGISTRY["conv_grad_weight"], Sample((g, x), ((3, 3), (1, 1), (1, 1), (1, 1), 1)))
    caps = replace(device().caps, software=False)
    assert check(node, values, "channels_last", caps=caps, rtol=1e-4)


def test_images_over_the_binding_limit_are_done_by_halves():
    x, w = normal(1, 5, 4, 12, 12), normal(2, 4, 4, 3, 3)
    node, values = node_of(REGISTRY["conv"], Sample((x, w), ((1, 1), (1, 1), (1, 1), 1)))
    caps = replace(device().caps, limits={**device().caps.limits, "max-storage-buffer-binding-size": x.nbytes // 2})
    assert check(node, values, caps=caps)


@pytest.mark.parametrize("shapes", [((0, 3, 5, 5), (2, 3, 3, 3)), ((2, 0, 5, 5), (2, 0, 3, 3)), ((2, 3, 5, 5), (0, 3, 3, 3))])
def test_nothing_to_do(shapes):
    x, w = (normal(i, *s) for i, s in enumerate(shapes))
    node, values = node_of(REGISTRY["conv"], Sample((x, w, normal(3, len(w))), ((1, 1), (1, 1), (1, 1), 1)))
    assert check(node, values)
