"""What is no number, has no elements or no dimensions: values and gradients as PyTorch's."""

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import torchlike_asg as ours  # noqa: E402

NAN = math.nan
A, B = [NAN, 1.0, NAN, 2.0, 1.0], [1.0, NAN, NAN, 2.0, 3.0]

#: name -> function of a library and of two vectors with NaNs among them
OF_TWO = {
    "maximum": lambda T, a, b: T.maximum(a, b),
    "minimum": lambda T, a, b: T.minimum(a, b),
    "fmax": lambda T, a, b: T.fmax(a, b),
    "fmin": lambda T, a, b: T.fmin(a, b),
    "l1 loss": lambda T, a, b: T.nn.functional.l1_loss(a, b, reduction="none"),
    "l1 loss of what is known": lambda T, a, b: T.nn.functional.l1_loss(a, b, reduction="none")[3:],
    "huber loss": lambda T, a, b: T.nn.functional.huber_loss(a, b, reduction="none"),
}

#: name -> function of a library and of a tensor, and the shape of that
OF_SHAPES = {
    "flip without dimensions": (lambda T, x: x.flip(0), ()),
    "flip counted from the end": (lambda T, x: x.flip(-1), ()),
    "std of nothing, several": (lambda T, x: x.std(0), (2, 0, 3)),
    "std of a batch of nothing": (lambda T, x: x.std(-1), (0, 2, 3, 3)),
}


def value_and_gradients(lib, function, *arrays):
    leaves = [lib.tensor(a, requires_grad=True) for a in arrays]
    y = function(lib, *leaves)
    y.sum().backward()
    return [t.detach().numpy() for t in (y, *[x.grad for x in leaves])]


def same(function, *arrays):
    for theirs, mine in zip(*(value_and_gradients(lib, function, *arrays) for lib in (torch, ours)), strict=True):
        assert theirs.shape == mine.shape
        np.testing.assert_array_equal(theirs, mine)


@pytest.mark.parametrize("name", OF_TWO)
def test_gradients_where_operands_are_not_numbers(name):
    same(OF_TWO[name], A, B)


@pytest.mark.filterwarnings("ignore:std..:UserWarning")
@pytest.mark.parametrize("name", OF_SHAPES)
def test_without_elements_or_dimensions(name):
    function, shape = OF_SHAPES[name]
    same(function, np.full(shape, 1.5, np.float32))
