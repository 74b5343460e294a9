"""float16 and bfloat16: operations with a native lowering have one for these types, too, and round as their references do."""

import itertools
import warnings

import numpy as np
import pytest

from torchlike_asg import dtypes
from torchlike_asg.asg import reference
from torchlike_asg.asg.declare import INPUT, REGISTRY
from torchlike_asg.asg.node import Node
from torchlike_asg.asg.rewrite import topo
from torchlike_asg.backends import base
from torchlike_asg.backends.cpu import device
from torchlike_asg.backends.cpu.calls import LIBRARY
from torchlike_asg.compiler.pipeline import optimise

from .graphs import Graph, calls, op, random
from .test_conv_epilogue import PLAIN

assert device  # importing it registers all generators
SAMPLES = 4  # of each operation
#: of equal numbers torch may choose any, and so do we
TIES = frozenset(("topk_index",))
#: units in the last place of results, which are rounded once
EPS = {dtypes.float16: 2.0**-10, dtypes.bfloat16: 2.0**-7}
_numbers = itertools.count(70_000)


def _node(op, sample, half):
    """A sample's node with operands of that type or, if it is None, of float32; and the values of its leaves."""
    values = {}
    for a in map(np.asarray, sample.operands):
        d = dtypes.from_numpy(a.dtype) if a.dtype.kind != "f" else half or dtypes.float32
        values[Node(INPUT, (), (-1, next(_numbers), ""), a.shape, d)] = np.array(reference.rounded(a, d), order="C")
    return op(*values, *sample.attrs), values


def _plan(n, values):
    roots = optimise([n], {})
    order = topo(roots, {})
    arguments = [a for a in order if a.op is INPUT]
    strides = [tuple(s // values[a].itemsize for s in values[a].strides) for a in arguments]
    return base.get("cpu").program(roots, {}, order, arguments, strides, []), [values[a] for a in arguments]


def _floats(op):
    return [s for s in op.samples() if any(np.asarray(a).dtype.kind == "f" for a in s.operands)]


@pytest.mark.parametrize("name", sorted(name for name in LIBRARY if _floats(REGISTRY[name]) and not REGISTRY[name].multi))
@pytest.mark.parametrize("half", [dtypes.float16, dtypes.bfloat16], ids=lambda d: d.name)
def test_samples(name, half):
    for sample in _floats(REGISTRY[name])[:SAMPLES]:
        n, values = _node(REGISTRY[name], sample, half)
        executable, arrays = _plan(n, values)
        single, _ = _plan(*_node(REGISTRY[name], sample, None))
        assert {m.op.name for m in executable.uncovered} <= {m.op.name for m in single.uncovered}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # samples overflow, on purpose
            executable.run(list(arrays))
            (expected,) = reference.evaluate([n], values.__getitem__)
        (got,) = executable.outputs()
        if n.dtype in EPS:
            finite = np.abs(expected[np.isfinite(expected)], dtype=np.float64)
            np.testing.assert_allclose(got, expected, EPS[n.dtype], EPS[n.dtype] / 16 * finite.max(initial=1.0))
        elif name not in TIES:
            np.testing.assert_allclose(got, expected, 1e-5, 1e-5)


@pytest.mark.parametrize(("channels", "size"), [(16, 24), (5, 9)])
def test_a_convolution_is_rounded_before_what_follows(channels, size):
    """In one call all the same."""
    g = Graph()
    x, w, v, b = (
        g.input(random(*shape, seed=i).astype(np.float16))
        for i, shape in enumerate([(2, channels, size, size), (channels, channels, 3, 3), (channels, channels, 3, 3), (channels,)])
    )
    first = op("conv", x, w, b, *PLAIN)
    second = op("relu", op("add", op("conv", first, v, *PLAIN), first))
    executable = g.same([op("conv", second, w, *PLAIN)], 1e-2, 1.0)
    assert not executable.uncovered
    assert not any("relu" in label for label in calls(executable))
