"""Every operation with shaders of its own on all its samples, in several layouts, against its reference."""

import itertools

import pytest

from torchlike_asg.asg.declare import REGISTRY
from torchlike_asg.backends.wgpu import generators
from torchlike_asg.backends.wgpu.calls import LIBRARY

from .nodes import LAYOUTS, check, node_of

assert generators  # importing it registers them all


@pytest.mark.parametrize("name", sorted(LIBRARY))
def test_samples(name):
    lowered = 0
    layouts = itertools.cycle(zip(LAYOUTS, (*LAYOUTS[1:], LAYOUTS[0]), strict=True))
    for sample, (layout, result) in zip(REGISTRY[name].samples(), layouts, strict=False):
        n, operands = node_of(REGISTRY[name], sample)
        if n.op.name in LIBRARY:
            lowered += check(n, operands, "contiguous", "contiguous")
            lowered += check(n, operands, layout, result)
    assert lowered, "no sample was lowered"
