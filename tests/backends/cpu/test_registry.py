"""Every operation on all its samples: those with a native lowering in several layouts, all through a whole plan."""

import itertools

import numpy as np
import pytest

from torchlike_asg.asg import reference
from torchlike_asg.asg.declare import REGISTRY, declared
from torchlike_asg.asg.rewrite import topo
from torchlike_asg.backends import base
from torchlike_asg.backends.cpu import device
from torchlike_asg.backends.cpu.calls import LIBRARY
from torchlike_asg.compiler.pipeline import optimise

from .nodes import LAYOUTS, check, compare, graph_of, node_of

assert device  # importing it registers all generators


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


@pytest.mark.parametrize("name", sorted(LIBRARY))
@pytest.mark.parametrize("level", ["avx2", "sse2"])
def test_samples_with_other_vectors(name, level):
    for sample in REGISTRY[name].samples():
        n, operands = node_of(REGISTRY[name], sample, True)
        if n.op.name in LIBRARY:
            check(n, operands, "contiguous", "contiguous", 2, level)


def planned(n, leaves):
    """A node's value through the passes of the compiler and a plan of its own."""
    leaves = {leaf: np.array(a, order="C") for leaf, a in leaves.items()}
    roots = tuple(optimise([n], ()))
    order = topo(roots, ())
    arguments = tuple(leaves)
    strides = [tuple(s // a.itemsize for s in a.strides) for a in leaves.values()]
    executable = base.get("cpu").program(roots, (), order, arguments, strides, ())
    executable.run(list(leaves.values()))
    return executable.outputs()[0]


@pytest.mark.parametrize("op", [op for op in declared() if not op.multi], ids=lambda op: op.name)
@pytest.mark.parametrize("single", [True, False], ids=["float32", "own"])
def test_through_a_whole_plan(op, single):
    for sample in op.samples():
        n, leaves = graph_of(op, sample, single)
        (expected,) = reference.evaluate([n], lambda leaf, leaves=leaves: leaves[leaf])
        compare(planned(n, leaves), expected)
