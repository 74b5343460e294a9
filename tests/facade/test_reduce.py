"""Reductions: values, types, gradients, ties, NaN, empty tensors and errors as PyTorch's."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

import torchlike_asg as ours  # noqa: E402

from .compare import gradients, same, same_error, second_gradients  # noqa: E402

X = np.random.default_rng(0).standard_normal((2, 3, 4)).astype(np.float32)
TIES = np.array([[2.0, 5.0, 5.0, 1.0], [3.0, 3.0, 3.0, 3.0], [0.0, -1.0, 0.0, -1.0]], np.float32)
NAN = np.array([[1.0, np.nan, 3.0], [np.nan, np.nan, np.nan], [2.0, 0.5, 1.0]], np.float32)

DIMS = ["sum", "mean", "amax", "amin", "var", "std", "nansum", "nanmean", "logsumexp"]
FULL = ["sum", "mean", "prod", "max", "min", "amax", "amin", "var", "std", "nansum", "nanmean", "norm"]


@pytest.mark.parametrize("name", FULL)
@pytest.mark.parametrize("data", [X, TIES, X[0, 0, 0]], ids=["random", "ties", "0-d"])
@pytest.mark.filterwarnings("ignore:.*degrees of freedom")
def test_over_everything(name, data):
    def run(T):
        x = T.tensor(data, requires_grad=True)
        y = getattr(T, name)(x * 1)
        return y, gradients(T, y, x)

    same(run, 1e-4)


@pytest.mark.parametrize("name", DIMS)
@pytest.mark.parametrize("dim", [0, -1, (0, 2), [1], (), None])
@pytest.mark.parametrize("keepdim", [False, True])
def test_over_dimensions(name, dim, keepdim):
    if name == "logsumexp" and dim in ((), None):
        pytest.skip("PyTorch wants a dimension here")
    if name in ("var", "std") and dim == ():
        pytest.skip("PyTorch's gradient is infinite here: it takes the number of reduced elements for one")

    def run(T):
        x = T.tensor(X, requires_grad=True)
        y = getattr(x * 1, name)(dim, keepdim=keepdim)
        return y, gradients(T, y, x)

    same(run, 1e-4)


@pytest.mark.parametrize("name", ["prod", "max", "min"])
@pytest.mark.parametrize("dim", [0, 1, -1])
@pytest.mark.parametrize("data", [X[0], TIES], ids=["random", "ties"])
def test_along_one_dimension(name, dim, data):
    def run(T):
        x = T.tensor(data, requires_grad=True)
        y = getattr(x * 1, name)(dim, keepdim=True)
        return y, gradients(T, y, x)

    same(run, 1e-4)


@pytest.mark.parametrize("name", ["mean", "prod", "logsumexp", "var", "std", "amax", "norm"])
def test_second_order(name):
    def run(T):
        x = T.tensor(X[0].astype(np.float64), requires_grad=True)
        y = T.norm(x, 3, 1) if name == "norm" else getattr(x, name)(1)
        return second_gradients(T, y, x)

    same(run, 1e-6)


@pytest.mark.parametrize("zeros", [0, 1, 2])
def test_gradient_of_a_product_with_zeros(zeros):
    data = np.array([[1.5, -2.0, 0.5, 3.0]] * 2)
    data[0, :zeros] = 0

    def first(T):
        x, y = (T.tensor(data, requires_grad=True) for _ in range(2))
        return gradients(T, [x.prod(1), y.prod()], x, y)

    def second(T):
        x = T.tensor(data, requires_grad=True)
        return second_gradients(T, x.prod(1), x)

    same(first)
    same(second)


INTEGERS = ["int64", "int32", "uint8", "bool"]


@pytest.mark.parametrize("dtype", INTEGERS)
@pytest.mark.parametrize("name", ["sum", "prod", "nansum", "amax", "amin", "max", "min", "any", "all", "count_nonzero"])
def test_integers_and_booleans(name, dtype):
    same(lambda T: getattr(T, name)(T.tensor([[1, 0, 3], [2, 5, 7]]).to(getattr(T, dtype))))
    same(lambda T: getattr(T, name)(T.tensor([[1, 0, 3], [2, 5, 7]]).to(getattr(T, dtype)), 1))


@pytest.mark.parametrize("dtype", INTEGERS)
@pytest.mark.parametrize("name", ["mean", "nanmean", "var", "std", "var_mean"])
def test_moments_refuse_integers(name, dtype):
    same_error(lambda T: getattr(T, name)(T.ones(3, dtype=getattr(T, dtype))))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
@pytest.mark.parametrize("name", ["sum", "mean", "amax", "prod", "std", "logsumexp"])
def test_other_floating_types(name, dtype):
    same(lambda T: getattr(T.tensor(X).to(getattr(T, dtype)), name)(-1), 1e-2, 1e-2)


@pytest.mark.parametrize("name", ["sum", "prod", "mean", "nansum"])
def test_dtype_argument(name):
    same(lambda T: getattr(T, name)(T.tensor([1, 2, 4]), dtype=T.float64))
    same(lambda T: getattr(T, name)(T.tensor([1.5, 2.5]), 0, dtype=T.float64))
    if name != "mean":
        same(lambda T: getattr(T, name)(T.tensor([1.5, 2.5]), dtype=T.int32))


@pytest.mark.parametrize("name", ["max", "min", "amax", "amin", "argmax", "argmin", "sum", "nansum", "nanmean", "logsumexp"])
def test_nan(name):
    same(lambda T: getattr(T, name)(T.tensor(NAN), 1))
    if name not in ("logsumexp",):
        same(lambda T: getattr(T, name)(T.tensor(NAN)))


@pytest.mark.parametrize("name", ["max", "amax"])
def test_gradient_of_a_nan_maximum(name):
    def run(T):
        x = T.tensor(NAN[0], requires_grad=True)
        getattr(T, name)(x).backward()
        return x.grad

    same(run)


@pytest.mark.parametrize("name", ["argmax", "argmin"])
def test_positions(name):
    for data in (X, TIES, TIES.astype(np.int64)):
        same(lambda T, data=data: getattr(T, name)(T.tensor(data)))
        same(lambda T, data=data: getattr(T.tensor(data), name)(1, keepdim=True))
        same(lambda T, data=data: getattr(T.tensor(data), name)(keepdim=True))
    same(lambda T: getattr(T, name)(T.tensor(3.0), 0))
    same_error(lambda T: getattr(T, name)(T.tensor([True])))
    same_error(lambda T: getattr(T, name)(T.ones(2, 3), (0, 1)))


@pytest.mark.parametrize(
    "name", ["sum", "prod", "amax", "amin", "max", "min", "argmax", "mean", "logsumexp", "all", "any", "aminmax", "var"]
)
@pytest.mark.parametrize("shape", [(0,), (0, 3), (2, 0)])
@pytest.mark.parametrize("dim", [None, 0, 1])
@pytest.mark.filterwarnings("ignore:.*degrees of freedom")
def test_empty(name, shape, dim):
    def run(T):
        x = T.ones(shape)
        if name == "aminmax":
            return T.aminmax(x, dim=dim)
        return getattr(T, name)(x) if dim is None else getattr(T, name)(x, dim)

    if name == "logsumexp" and dim is None:
        pytest.skip("PyTorch wants a dimension here")
    same(run)


@pytest.mark.parametrize("name", ["amax", "amin", "max", "min", "argmax"])
def test_empty_dimensions_are_named(name):
    same_error(lambda T: getattr(T, name)(T.ones(0)))
    same_error(lambda T: getattr(T, name)(T.ones(0, 3), 0))


def test_wrong_arguments():
    same_error(lambda T: T.ones(2, 3).sum(5))
    same_error(lambda T: T.ones(2, 3).sum([0, 0]))
    same_error(lambda T: T.sum([1, 2]))
    same(lambda T: T.ones(2, 3).sum(1.5))
    same(lambda T: T.ones(2, 3).sum(0, 1))
    same(lambda T: T.ones(2, 3).max(keepdim=True))


def test_numpy_names():
    same(lambda T: T.tensor(X).sum(axis=1, keepdims=True))
    same(lambda T: T.tensor(X).max(axis=1, keepdims=True))
    same(lambda T: T.sum(x=T.tensor(X)))
    same(lambda T: T.tensor(X).std(axis=0))


def test_maximum_forms():
    same(lambda T: T.max(T.tensor(X), T.tensor(X[:1])))
    same(lambda T: T.min(T.tensor(X), other=T.tensor(-X)))
    same(lambda T: T.max(T.tensor([[True, False]]), 1))
    same(lambda T: T.tensor(2.0).max(0))
    y = ours.tensor(X).max(0)
    assert y._fields == ("values", "indices") and repr(y).startswith("torch.return_types.max(\nvalues=")


@pytest.mark.parametrize(
    "arguments",
    [
        dict(),
        dict(unbiased=False),
        dict(dim=1),
        dict(dim=(0, 2), unbiased=False),
        dict(correction=2),
        dict(dim=0, correction=0.5, keepdim=True),
        dict(dim=None),
    ],
    ids=str,
)
@pytest.mark.parametrize("name", ["var", "std", "var_mean", "std_mean"])
def test_moments(name, arguments):
    def run(T):
        x = T.tensor(X, requires_grad=True)
        y = getattr(T, name)(x, **arguments)
        return y, gradients(T, y, x)

    same(run, 1e-4)


def test_positional_arguments_of_moments():
    same(lambda T: T.tensor(X).var(1, False, True))
    same(lambda T: T.tensor(X).std(False))
    same(lambda T: T.tensor(X).var(0, 1))
    same(lambda T: T.tensor(X).var(0, unbiased=False, correction=2))


def test_too_few_elements_for_a_variance():
    def run(T):
        x = T.tensor([2.0], requires_grad=True)
        with pytest.warns(UserWarning, match="degrees of freedom is <= 0"):
            y = x.var()
        return y, gradients(T, y, x)

    same(run)
    same(lambda T: gradients(T, *(lambda x: (x.std(unbiased=False), x))(T.ones(3, requires_grad=True))))


def test_truth_without_dimensions():
    same(lambda T: T.all(T.tensor([[0.0, 2.0]]), ()))
    same(lambda T: T.any(T.tensor([[0, 2]], dtype=T.uint8), 1))


def test_infinite_log_sums():
    def run(T):
        x = T.tensor([[-np.inf, -np.inf], [np.inf, 1.0], [1000.0, 1000.0]], requires_grad=True)
        y = x.logsumexp(1)
        return y, gradients(T, y, x)

    same(run)
    same(lambda T: T.logsumexp(T.tensor([1, 2, 3]), 0))


def test_out():
    same(lambda T: T.sum(T.tensor(X), 1, out=T.empty(0)))
    same(lambda T: T.max(T.tensor(X), 1, out=(T.empty(0), T.empty(0, dtype=T.int64))))


@pytest.mark.parametrize("size", [(1, 3), (3,), (2, 1), (2, 3), (3, 1), (1, 1, 3)])
def test_sum_to_size(size):
    same(lambda T: T.arange(6.0).reshape(2, 3).sum_to_size(*size))


@settings(max_examples=60, deadline=None)
@given(
    shape=st.lists(st.integers(1, 4), min_size=1, max_size=4),
    name=st.sampled_from(["sum", "mean", "amax", "prod", "logsumexp", "norm"]),
    keepdim=st.booleans(),
    order=st.randoms(use_true_random=False),
)
def test_any_layout(shape, name, keepdim, order):
    """Values and gradients of reductions of permuted tensors."""
    p = list(range(len(shape)))
    order.shuffle(p)
    dim = order.randrange(len(shape))
    data = np.random.default_rng(order.randrange(1000)).standard_normal(shape)

    def run(T):
        x = T.tensor(data, requires_grad=True)
        y = T.norm(x.permute(p), 2, dim, keepdim) if name == "norm" else getattr(x.permute(p), name)(dim, keepdim=keepdim)
        return y, gradients(T, y, x)

    same(run, 1e-8)


@pytest.mark.parametrize("backend", ["cpu", "reference"])
@pytest.mark.parametrize("name", ["float32", "float64", "complex64"])
@pytest.mark.parametrize("count", [3, 7, 10, 1000])
def test_equal_elements_have_no_deviation_and_no_gradient(name, count, backend, monkeypatch):
    """Their mean, rounded, need not be equal to them; a gradient divides by the deviation."""
    monkeypatch.setattr(ours.config, "backend", backend)
    for dim in (0, 1):
        one = ours.tensor([0.1, 1 / 3, 0.7, 1e-3], dtype=getattr(ours, name)) * (1.3 - 0.7j if name == "complex64" else 1.3)
        x = (one.unsqueeze(dim) + ours.zeros((count, 4) if dim == 0 else (4, count))).requires_grad_()
        deviation = x.std(dim)
        deviation.sum().backward()
        assert not deviation.any()
        assert not x.grad.any()


def test_reductions_of_complex_numbers():
    x = [[1e3 + 1401j, 2 + 3j], [complex(-np.inf, 1), 1j], [complex(np.inf, 2), 0]]
    same(lambda T: T.logsumexp(T.tensor(x), 1))
    same(lambda T: T.logsumexp(T.tensor(3 + 1000j), 0))
    same(lambda T: T.nansum(T.tensor(x)))
