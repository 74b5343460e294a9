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


def outcome(lib, make):
    try:
        t = make(lib)
    except (RuntimeError, ValueError) as error:
        return type(error)
    return str(t.dtype), t.tolist()


#: what Python numbers become: element types, and numbers that a type does not have
NUMBERS = {
    "NumPy's and Python's": lambda T: T.tensor([np.float32(1), 2.0]),
    "a NumPy integer and a float": lambda T: T.tensor([np.int32(1), 1.5]),
    "NumPy's last": lambda T: T.tensor([2, np.float64(1)]),
    "in rows": lambda T: T.tensor([[np.float16(1)], [2]]),
    "tensors": lambda T: T.tensor([T.tensor(1.0, dtype=T.float64), 1]),
    "too large for int64": lambda T: T.tensor([2**63]),
    "too large and a float": lambda T: T.tensor([2**63, 1.0]),
    "too large for uint8": lambda T: T.tensor([300], dtype=T.uint8),
    "too small for uint8": lambda T: T.tensor(-300, dtype=T.uint8),
    "negative for uint8": lambda T: T.tensor([-1], dtype=T.uint8),
    "no number": lambda T: T.tensor([1.0, NAN], dtype=T.int32),
    "an array's wrap": lambda T: T.tensor(np.array([300]), dtype=T.uint8),
    "sums wrap": lambda T: T.tensor([5], dtype=T.int8) + 1000,
    "so do negative factors": lambda T: -1 * T.tensor([2], dtype=T.uint8),
    "and comparisons": lambda T: T.tensor([255], dtype=T.uint8) == -1,
    "bounds do not": lambda T: T.tensor([5], dtype=T.int8).clamp(0, 1000),
    "nor choices": lambda T: T.where(T.tensor([True]), T.tensor([5], dtype=T.uint8), 300),
    "nor powers": lambda T: T.tensor([5], dtype=T.uint8) ** 300,
    "filled": lambda T: T.full((2,), -1, dtype=T.uint8),
    "filled with too much": lambda T: T.full((2,), 300, dtype=T.uint8),
}


@pytest.mark.parametrize("name", NUMBERS)
def test_numbers_that_types_do_not_have(name):
    theirs, mine = (outcome(lib, NUMBERS[name]) for lib in (torch, ours))
    assert theirs == mine


#: what a number cannot be in a type: PyTorch refuses it where it stands for elements, and takes it as infinite in arithmetic
TOO_LARGE = {
    "fill_": lambda T: T.zeros(2).fill_(1e300),
    "a mask of attention in half": lambda T: T.zeros(2).half().masked_fill(T.tensor([True, False]), -1e9),
    "full": lambda T: T.full((2,), 1e39),
    "where": lambda T: T.where(T.tensor([True, False]), T.ones(2), 1e300),
    "clamp": lambda T: T.ones(2).clamp(max=1e300),
    "an element": lambda T: T.zeros(2).__setitem__(0, -1e300),
    "an element of bytes": lambda T: T.zeros(2, dtype=T.uint8).fill_(300),
    "an element of shorts": lambda T: T.full((2,), -70000, dtype=T.int16),
    "a complex element": lambda T: T.zeros(2, dtype=T.complex64).fill_(1e300),
}


@pytest.mark.parametrize("call", TOO_LARGE.values(), ids=TOO_LARGE)
def test_a_number_too_large_for_an_element_is_refused(call):
    said = []
    for lib in (torch, ours):
        with pytest.raises(RuntimeError, match=r"value cannot be converted to type .* without overflow") as caught:
            call(lib)
        said.append(str(caught.value))
    assert said[0] == said[1]


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_infinite_numbers_are_elements(value):
    assert str(ours.full((2,), value).half().fill_(value)) == str(torch.full((2,), value).half().fill_(value))
    assert (ours.ones(2) * 1e300).tolist() == (torch.ones(2) * 1e300).tolist() == [math.inf] * 2


@pytest.mark.parametrize("kind", ["bfloat16", "float16"])
def test_numbers_are_compared_as_elements(kind):
    """0.3 is not among the elements; its neighbour is, and equals it."""

    def run(lib):
        x = lib.tensor([0.3, 0.1, 0.2, -0.3], dtype=getattr(lib, kind), requires_grad=True)
        x.clamp(0.1, 0.3).sum().backward()
        y = x.detach()
        return [t.tolist() for t in (y > 0.3, y == 0.3, y <= 0.3, y != 0.1, x.grad, lib.where(y >= 0.3, y, 0.7))]

    assert run(ours) == run(torch)


def test_powers_that_are_roots():
    def run(lib):
        x = lib.tensor([-math.inf, -0.0, 0.0, 4.0, math.inf, NAN])
        return [x**p for p in (0.5, -0.5, 2.0, -1.0)]

    for got, want in zip(run(ours), run(torch), strict=True):
        np.testing.assert_array_equal(got.numpy(), want.numpy())
        assert np.signbit(got.numpy()[1]) == np.signbit(want.numpy()[1])


@pytest.mark.parametrize("name", ["cholesky", "svdvals", "eigh", "matrix_rank", "cond"])
def test_matrices_that_are_no_numbers(name):
    said = []
    for lib in (torch, ours):
        with pytest.raises(lib.linalg.LinAlgError) as caught:
            str(getattr(lib.linalg, name)(lib.full((3, 3), NAN)))
        said.append(str(caught.value).split(" (error code")[0].rstrip("."))
    assert said[0] == said[1]


def test_arrays_of_another_byte_order():
    for lib in (torch, ours):
        for make in (lib.tensor, lib.as_tensor, lib.from_numpy):
            with pytest.raises(ValueError, match="byte order different from the native byte order"):
                make(np.ones(3, ">f4"))


def test_batch_norm_without_channels():
    assert ours.nn.functional.batch_norm(ours.ones(2, 0), None, None, training=True).shape == (2, 0)
    assert torch.nn.functional.batch_norm(torch.ones(2, 0), None, None, training=True).shape == (2, 0)
