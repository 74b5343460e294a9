"""Every operation with shaders of its own on all its samples, in several layouts, against its reference."""

import itertools

import pytest

from torchlike_asg.asg.declare import REGISTRY
from torchlike_asg.backends.wgpu import generators
from torchlike_asg.backends.wgpu.calls import LIBRARY

from .nodes import LAYOUTS, check, node_of

assert generators  # importing it registers them all


#: random numbers are tested in test_philox.py: their seeds do not lie in memory as other integers do
NAMES = sorted(name for name in LIBRARY if REGISTRY[name].category != "random")


#: shaders of many lines, which software adapters compile slowly: one layout each; the rest is in the tests of these operations
SLOW = ("conv", "attention", "gradient")


@pytest.mark.parametrize("name", NAMES)
def test_samples(name):
    lowered = 0
    layouts = itertools.cycle(zip(LAYOUTS, (*LAYOUTS[1:], LAYOUTS[0]), strict=True))
    for sample, (layout, result) in zip(REGISTRY[name].samples(), layouts, strict=False):
        n, operands = node_of(REGISTRY[name], sample)
        if n.op.name in LIBRARY:
            lowered += check(n, operands, layout, result)
            if REGISTRY[name].category not in SLOW:
                lowered += check(n, operands, "contiguous", "contiguous")
    assert lowered, "no sample was lowered"
