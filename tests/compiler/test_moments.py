"""Mean and variance in one pass: the same numbers, also far from zero, and no second pass."""

import numpy as np
import pytest

import torchlike_asg as ours
from torchlike_asg import dtypes
from torchlike_asg.asg import reference
from torchlike_asg.asg.declare import REGISTRY as R
from torchlike_asg.asg.declare import VAR
from torchlike_asg.asg.node import Node
from torchlike_asg.asg.rewrite import topo
from torchlike_asg.backends.wgpu.calls import WGPU_LIBRARY
from torchlike_asg.compiler.passes.decompose import decompose
from torchlike_asg.compiler.passes.moments import one_pass

assert ours
DIMS = (0, 2, 3)


def graph(x):
    """Statistics as a layer records them, and its result."""
    mean = R["mean"](x, DIMS, True)
    centred = R["sub"](x, mean)
    roots = [mean, R["mean"](R["mul"](centred, centred), DIMS, True), R["batch_norm"](x, DIMS, 1e-5)]
    return decompose(roots, (), lambda n: n.op.name in WGPU_LIBRARY.generators)


def leaf(*shape):
    return Node(VAR, (), (), shape, dtypes.float32)


def value(roots, x, data):
    with np.errstate(all="ignore"):
        return reference.evaluate(roots, lambda n: {x: data}[n])


def is_leaf(n):
    return n.op is VAR


@pytest.mark.parametrize("mean, scale", [(0, 1), (3, 0.5), (-1e4, 1), (1e-3, 1e-5)])
def test_the_numbers_are_those_of_two_passes(mean, scale):
    x = leaf(6, 3, 5, 7)
    data = (np.random.default_rng(0).standard_normal(x.shape) * scale + mean).astype(np.float32)
    before = graph(x)
    after = one_pass(before, (), is_leaf)
    exact = data.astype(np.float64)
    var = exact.var(DIMS, keepdims=True)
    wanted = exact.mean(DIMS, keepdims=True), var, (exact - exact.mean(DIMS, keepdims=True)) / np.sqrt(var + 1e-5)
    rounded = 2e-5 + abs(mean) / scale * 1e-7  # the mean itself has 24 bits
    for got, want in zip(value(after, x, data), wanted, strict=True):
        np.testing.assert_allclose(got, want, 2e-5, rounded * np.abs(want).max())
    np.testing.assert_allclose(value(after, x, data)[1], var, 1e-5)


def test_nothing_is_summed_after_a_sum():
    x = leaf(6, 3, 5, 7)

    def passes(roots):
        """Sums over the data that need another one first."""
        sums = [n for n in topo(roots) if n.op.name == "sum"]
        return [n for n in sums if any(m in sums for m in topo([n])[:-1])]

    assert len(passes(graph(x))) == 1 and not passes(one_pass(graph(x), (), is_leaf))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_no_number_stays_none(bad):
    x = leaf(2, 2, 3, 3)
    data = np.ones(x.shape, np.float32)
    data[1, 0, 1, 1] = bad
    for got in value(one_pass(graph(x), (), is_leaf), x, data)[1:]:
        assert np.isnan(got[:, 0]).all() and not np.isnan(got[:, 1]).any()


def test_an_outlier_that_happens_to_be_the_shift():
    x = leaf(4, 1, 16, 16)
    data = np.random.default_rng(1).standard_normal(x.shape).astype(np.float32)
    data[2, 0, 8, 8] = 30
    var = value(one_pass(graph(x), (), is_leaf), x, data)[1]
    np.testing.assert_allclose(var, data.astype(np.float64).var(DIMS, keepdims=True), 1e-4)


def test_a_constant_channel_has_no_variance():
    x = leaf(3, 2, 4, 4)
    assert (value(one_pass(graph(x), (), is_leaf), x, np.full(x.shape, 0.1, np.float32))[1] == 0).all()


def test_what_is_left_alone():
    x = leaf(4, 6, 5)
    rows = decompose([R["layer_norm"](x, (2,), 1e-5)], (), lambda n: False)
    assert one_pass(rows, (), is_leaf) == rows, "a line is in one workgroup"
    other = decompose([R["batch_norm"](R["exp"](x), (0, 2), 1e-5)], (), lambda n: False)
    assert one_pass(other, (), is_leaf) == other, "one element of what is computed on the way would have to be stored first"
