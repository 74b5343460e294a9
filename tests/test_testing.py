"""torch.testing: every message of assert_close, and make_tensor's numbers."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import torchlike_asg as ours  # noqa: E402
from torchlike_asg.testing import assert_close, make_tensor  # noqa: E402

NAN, INF = float("nan"), float("inf")
COMPARISONS = {
    "one element": lambda T, close: close(T.tensor([1.0, 2, 3]), T.tensor([1.0, 2, 4])),
    "a matrix": lambda T, close: close(T.tensor([[1.0, 2, 3], [1, 2, 3]]), T.tensor([[1.0, 2, 4], [1, 2, 3]])),
    "given tolerances": lambda T, close: close(T.tensor([1.0, 2, 3]), T.tensor([1.0, 2, 4]), rtol=0.1, atol=0.2),
    "no tolerance": lambda T, close: close(T.tensor([0.0, 1]), T.tensor([0.0, 2]), rtol=0, atol=0),
    "one tolerance": lambda T, close: close(T.tensor([1.0]), T.tensor([1.0]), rtol=0.1),
    "integers": lambda T, close: close(T.tensor([1, 2, 3]), T.tensor([1, 2, 4])),
    "types": lambda T, close: close(T.tensor([1]), T.tensor([1.0])),
    "types not checked": lambda T, close: close(T.tensor([1.0]).double(), T.tensor([1.0]), check_dtype=False),
    "shapes": lambda T, close: close(T.tensor([1.0, 2, 3]), T.tensor([1.0, 2])),
    "strides": lambda T, close: close(T.ones(3, 1).expand(3, 2), T.ones(2, 3).t(), check_stride=True),
    "scalars": lambda T, close: close(T.tensor(1.0), T.tensor(2.0)),
    "floats": lambda T, close: close(1.0, 2.0),
    "floats with tolerances": lambda T, close: close(1.5, 2.5, rtol=0.1, atol=0.2),
    "close floats": lambda T, close: close(1.0, 1.0 + 1e-9),
    "ints": lambda T, close: close(1, 2),
    "an int and a float": lambda T, close: close(1, 1.0),
    "bools": lambda T, close: close(True, False),
    "None": lambda T, close: close(None, None),
    "None and a tensor": lambda T, close: close(None, T.tensor(1.0)),
    "NaN": lambda T, close: close(T.tensor([NAN]), T.tensor([NAN])),
    "equal NaN": lambda T, close: close([T.tensor([NAN, 1.0]), NAN], [T.tensor([NAN, 1.0]), NAN], equal_nan=True),
    "float NaN": lambda T, close: close(NAN, NAN),
    "infinity": lambda T, close: close(T.tensor([INF, 1]), T.tensor([INF, 2])),
    "infinities": lambda T, close: close(T.tensor([INF, 1]), T.tensor([-INF, 1])),
    "complex": lambda T, close: close(T.tensor(1 + 2j), T.tensor(1 + 3j)),
    "lists": lambda T, close: close([T.tensor(1.0), T.tensor(2.0)], [T.tensor(1.0), T.tensor(3.0)]),
    "nested lists": lambda T, close: close([1, [2, T.tensor(3.0)]], [1, [2, T.tensor(4.0)]]),
    "lists of other lengths": lambda T, close: close([T.tensor(1.0)], [T.tensor(1.0), T.tensor(3.0)]),
    "a tuple and a list": lambda T, close: close((T.tensor(1.0),), [T.tensor(1.0)]),
    "mappings": lambda T, close: close({"a": T.tensor(1.0)}, {"a": T.tensor(2.0)}),
    "other keys": lambda T, close: close({"a": T.tensor(1.0)}, {"b": T.tensor(2.0)}),
    "arrays": lambda T, close: close(np.ones(3), np.ones(3) + 1),
    "masks": lambda T, close: close(T.tensor([True, False]), T.tensor([True, True])),
    "a message": lambda T, close: close(T.tensor([1.0]), T.tensor([2.0]), msg="no"),
    "a function of the message": lambda T, close: close(T.tensor([1.0]), T.tensor([2.0]), msg=lambda m: "no: " + m),
    "a parameter": lambda T, close: close(T.nn.Parameter(T.tensor([1.0])), T.tensor([1.0])),
    "nothing": lambda T, close: close(T.zeros(0), T.zeros(0)),
    "small numbers": lambda T, close: close(T.tensor([0.0]), T.tensor([1e-6])),
    "bytes": lambda T, close: close(T.tensor(1, dtype=T.uint8), T.tensor(255, dtype=T.uint8)),
    "bfloat16": lambda T, close: close(T.tensor([1.0, 2.0], dtype=T.bfloat16), T.tensor([1.01, 2.5], dtype=T.bfloat16)),
}


def message(run):
    try:
        run()
    except (AssertionError, ValueError, TypeError) as error:
        return type(error).__name__, str(error)
    return "close"


@pytest.mark.parametrize("compare", COMPARISONS.values(), ids=COMPARISONS)
def test_assert_close(compare):
    assert message(lambda: compare(ours, assert_close)) == message(lambda: compare(torch, torch.testing.assert_close))


def test_what_cannot_be_compared():
    for pair in (("a", "a"), (1.0, ours.tensor(1.0)), (ours.tensor([1.0]), [1.0])):
        with pytest.raises(TypeError, match="No comparison pair was able to handle"):
            assert_close(*pair)
    with pytest.raises(TypeError):
        assert_close(ours.nn.Parameter(ours.ones(1)), ours.ones(1), allow_subclasses=False)


TENSORS = {
    "floats": lambda T, make: make((2, 3), dtype=T.float32, device="cpu"),
    "doubles": lambda T, make: make(4, 2, dtype=T.float64, device="cpu", low=-1, high=3),
    "ints": lambda T, make: make((5,), dtype=T.int64, device="cpu", low=0, high=5),
    "default ints": lambda T, make: make((5,), dtype=T.int16, device="cpu"),
    "bytes": lambda T, make: make((5,), dtype=T.uint8, device="cpu"),
    "bools": lambda T, make: make((2, 2), dtype=T.bool, device="cpu"),
    "halves": lambda T, make: make((), dtype=T.float16, device="cpu"),
    "complex": lambda T, make: make((2,), dtype=T.complex64, device="cpu"),
    "noncontiguous": lambda T, make: make((3, 2), dtype=T.float32, device="cpu", noncontiguous=True),
    "without zero": lambda T, make: make((20,), dtype=T.int64, device="cpu", low=-1, high=2, exclude_zero=True),
    "as wide as the type": lambda T, make: make(5, dtype=T.float32, device="cpu", low=T.finfo(T.float32).min, high=T.finfo(T.float32).max),
    "a leaf": lambda T, make: make(2, dtype=T.float32, device="cpu", requires_grad=True),
}


@pytest.mark.parametrize("make", TENSORS.values(), ids=TENSORS)
def test_make_tensor(make):
    ours.manual_seed(3)
    torch.manual_seed(3)
    got, want = make(ours, make_tensor), make(torch, torch.testing.make_tensor)
    assert repr(got) == repr(want) and got.stride() == want.stride()


INTERVALS = {
    "empty": lambda T, make: make(2, dtype=T.float32, device="cpu", low=3, high=1),
    "outside": lambda T, make: make(2, dtype=T.uint8, device="cpu", low=-5, high=-1),
    "a gradient of integers": lambda T, make: make(2, dtype=T.int64, device="cpu", requires_grad=True),
}


@pytest.mark.parametrize("make", INTERVALS.values(), ids=INTERVALS)
def test_make_tensor_errors(make):
    assert message(lambda: make(ours, make_tensor)) == message(lambda: make(torch, torch.testing.make_tensor))
