"""Epilogues of convolutions: called once for each element of the result, a matrix of pixels and channels, whatever the algorithm."""

import numpy as np
import pytest

from torchlike_asg import dtypes
from torchlike_asg.asg.declare import REGISTRY
from torchlike_asg.backends.cpu.calls import EPILOGUE, EPILOGUES, LIBRARY, Block, Kernel, LibraryNode, Lowering, Source
from torchlike_asg.ops.conv import output_sizes

from .graphs import Graph, calls, op, random
from .harness import run
from .nodes import laid_out, shown


def _write(module, name):
    """result[r, c] = 2 * result[r, c] + x[r, c], both of `words[0]` columns without gaps."""
    kernel = Kernel(module, name, 2, EPILOGUE)
    f, (row_lo, row_hi, column_lo, column_hi) = kernel.f, kernel.rest
    result, x, width = kernel.operand(0), kernel.operand(1), kernel.word(0)
    with f.loop(row_lo, row_hi) as i, f.loop(column_lo, column_hi) as j:
        p = f.gep(result, i * width + j, "float")
        f.store(f.fma(f.load("float", p), 2.0, f.load("float", f.gep(x, i * width + j, "float"))), p)


TWICE = Source(("test_conv_epilogue",), _write)
#: image, weight, (stride, padding, dilation, groups)
CASES = [
    ((2, 5, 30), (7, 5, 4), ((2,), (1,), (1,), 1)),
    ((2, 3, 9, 31), (20, 3, 3, 3), ((1, 1), (1, 1), (1, 1), 1)),
    ((1, 40, 30, 28), (33, 40, 1, 1), ((1, 1), (0, 0), (1, 1), 1)),
    ((2, 40, 12, 9), (48, 40, 1, 1), ((2, 2), (0, 0), (1, 1), 1)),
    ((2, 6, 13, 12), (20, 3, 3, 2), ((2, 3), (1, 0), (1, 2), 2)),
    ((2, 64, 14, 13), (64, 1, 3, 3), ((1, 1), (1, 1), (1, 1), 64)),
    ((1, 20, 14, 13), (20, 1, 5, 3), ((2, 1), (2, 1), (1, 1), 20)),
    ((2, 4, 5, 6, 7), (9, 4, 2, 3, 3), ((2, 1, 1), (1, 1, 1), (1, 1, 1), 1)),
    ((3, 16, 41, 37), (32, 16, 3, 3), ((1, 1), (1, 0), (1, 1), 1)),
    ((16, 32, 8, 6), (64, 32, 3, 3), ((1, 1), (1, 1), (1, 1), 1)),
]


def _operands(x, w, attrs, name):
    rng = np.random.default_rng(0)
    if name == "conv":
        bias = rng.standard_normal(w[0]).astype(np.float32)
        return (rng.standard_normal(x).astype(np.float32), rng.standard_normal(w).astype(np.float32), bias), attrs
    g = (x[0], w[0], *output_sizes(x[2:], w[2:], *attrs[:3]))
    return (rng.standard_normal(g).astype(np.float32), rng.standard_normal(w).astype(np.float32)), (x[2:], *attrs)


@pytest.mark.parametrize("pieces", [1, 3])
@pytest.mark.parametrize("name", ["conv", "conv_transpose"])
@pytest.mark.parametrize(("x", "w", "attrs"), CASES)
def test_epilogue(name, x, w, attrs, pieces):
    operands, numbers = _operands(x, w, attrs, name)
    exact = REGISTRY[name].ref(*[a.astype(np.float64) for a in operands], *numbers)
    views, memory = zip(*[laid_out(i, a.shape, dtypes.float32, "contiguous", a) for i, a in enumerate(operands)], strict=True)
    result, out = laid_out(8, exact.shape, dtypes.float32, "channels_last")
    more = np.random.default_rng(1).standard_normal(exact.shape).astype(np.float32)
    other, other_memory = laid_out(9, exact.shape, dtypes.float32, "channels_last", more)
    block = Block((result.place, other.place), (exact.shape[1],))
    low = Lowering(10, pieces)
    assert name in EPILOGUES
    assert LIBRARY[name](low, LibraryNode(name, numbers, views, result, (TWICE, block), (9,)))
    assert not run(low, {**dict(enumerate(memory)), 8: out, 9: other_memory}, pieces)
    np.testing.assert_allclose(shown(result, out), 2 * exact + more, rtol=1e-4, atol=1e-5 * np.abs(exact).max())


def test_a_sum_of_nothing_takes_none():
    views = [laid_out(i, s, dtypes.float32, "contiguous")[0] for i, s in enumerate([(1, 0, 5, 5), (4, 0, 3, 3)])]
    result, _ = laid_out(2, (1, 4, 3, 3), dtypes.float32, "channels_last")
    node = LibraryNode("conv", ((1, 1), (0, 0), (1, 1), 1), tuple(views), result, (TWICE, Block((result.place, result.place), (4,))))
    assert not LIBRARY["conv"](Lowering(3), node)


# ---------------------------------------------------------------- whole plans
PLAIN = ((1, 1), (1, 1), (1, 1), 1)


def _channels(g, n, seed):
    return op("reshape", g.input(random(n, seed=seed)), (1, n, 1, 1))


@pytest.mark.parametrize(("channels", "size"), [(16, 20), (5, 7)])
def test_bias_affine_activation_and_residual_are_one_call(channels, size):
    g = Graph()
    x, w = g.input(random(2, 3, size, size)), g.input(random(channels, 3, 3, 3, seed=1))
    first = op("relu", op("conv", x, w, g.input(random(channels, seed=2)), *PLAIN))
    second = op("conv", first, g.input(random(channels, channels, 3, 3, seed=3)), *PLAIN)
    affine = op("add", op("mul", op("sub", second, _channels(g, channels, 4)), _channels(g, channels, 5)), _channels(g, channels, 6))
    last = op("conv", op("relu", op("add", affine, first)), g.input(random(4, channels, 1, 1, seed=7)), (1, 1), (0, 0), (1, 1), 1)
    labels = calls(g.same([op("sum", last, (0, 1, 2, 3), False)], 1e-4, 1e-4))
    assert sum(name.startswith("conv ") for name in labels) == 3
    assert not any("relu" in name or "add" in name for name in labels)


def test_the_gradient_of_an_activation_follows_the_convolution_that_goes_back():
    g = Graph()
    w = g.input(random(16, 16, 3, 3, seed=1))
    x = op("relu", op("conv", g.input(random(2, 16, 12, 12)), w, *PLAIN))
    y = op("conv", x, w, *PLAIN)
    back = op("relu_grad", op("conv_transpose", y, w, (12, 12), *PLAIN), x)
    labels = calls(g.same([op("conv_transpose", back, w, (12, 12), *PLAIN)], 1e-4, 1e-2))
    assert not any("relu_grad" in name for name in labels)


def test_a_residual_that_lies_otherwise_is_added_afterwards():
    """Across the channels' order vectors would be gathered element by element."""
    g = Graph()
    x, w = g.input(random(2, 16, 32, 32)), g.input(random(32, 16, 3, 3, seed=1))
    y = op("add", op("conv", x, w, *PLAIN), g.input(random(2, 32, 32, 32, seed=2)))
    labels = calls(g.same([op("sum", y, (0, 1, 2, 3), False)], 1e-3, 1e-3))
    assert any("add" in name for name in labels)
