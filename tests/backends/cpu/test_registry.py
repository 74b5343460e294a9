"""Every operation with a native lowering, on all its samples: types, operands and results laid out in several ways, split units."""

import importlib
import itertools
import pkgutil

import pytest

import torchlike_asg
from torchlike_asg.asg.declare import REGISTRY
from torchlike_asg.backends import cpu
from torchlike_asg.backends.cpu.calls import LIBRARY

from .nodes import LAYOUTS, check, node_of

assert torchlike_asg  # importing the package declares the operations
for _module in pkgutil.iter_modules(cpu.__path__):
    importlib.import_module(f"{cpu.__name__}.{_module.name}")


@pytest.mark.parametrize("name", sorted(LIBRARY))
@pytest.mark.parametrize("single", [True, False], ids=["float32", "own"])
def test_samples(name, single):
    lowered = 0
    for sample in REGISTRY[name].samples():
        n, operands = node_of(REGISTRY[name], sample, single)
        if n.op.name not in LIBRARY:
            continue
        for (layout, result), threads in zip(itertools.product(LAYOUTS, LAYOUTS), itertools.cycle((1, 3)), strict=False):
            lowered += check(n, operands, layout, result, threads)
    assert lowered or not single, "no sample was lowered"
