"""Running sums, products and extrema: values, gradients of every order, zeros, NaN, types."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from .compare import gradients, same, same_error, second_gradients  # noqa: E402

X = np.random.default_rng(0).standard_normal((3, 4, 2)).astype(np.float32)
ZEROS = np.array([[0.5, 0.0, 2.0, 0.7], [1.4, 0.3, 0.0, 0.0], [-0.9, 0.8, 1.6, -0.4]])
NAN = np.array([1.0, np.nan, 3.0, 3.0, np.nan, 5.0], np.float32)


@pytest.mark.parametrize("name", ["cumsum", "cumprod", "logcumsumexp"])
@pytest.mark.parametrize("dim", [0, 1, -1])
def test_values_and_gradients(name, dim):
    def run(T):
        x = T.tensor(X.astype(np.float64), requires_grad=True)
        y = getattr(x * 1, name)(dim)
        return y, gradients(T, y, x)

    same(run, 1e-6, 1e-8)


@pytest.mark.parametrize("name", ["cummax", "cummin"])
@pytest.mark.parametrize(
    "data", [X, np.round(X), NAN, np.round(X).astype(np.int64), X > 0], ids=["random", "ties", "nan", "integers", "booleans"]
)
def test_extrema(name, data):
    def run(T):
        x = T.tensor(data, requires_grad=data.dtype == np.float32)
        found = getattr(T, name)(x, 0)
        return found, gradients(T, found.values, x) if x.requires_grad else None

    same(run)


@pytest.mark.parametrize("data", [ZEROS, X[:, :, 0].astype(np.float64)], ids=["zeros", "random"])
@pytest.mark.parametrize("dim", [0, 1])
def test_gradient_of_a_running_product(data, dim):
    def first(T):
        x = T.tensor(data, requires_grad=True)
        y = x.cumprod(dim)
        return gradients(T, y, x)

    def second(T):
        x = T.tensor(data, requires_grad=True)
        return second_gradients(T, x.cumprod(dim), x)

    same(first, 1e-8)
    same(second, 1e-8)


@pytest.mark.parametrize("name", ["cumsum", "logcumsumexp"])
def test_second_order(name):
    def run(T):
        x = T.tensor(X[0].astype(np.float64), requires_grad=True)
        return second_gradients(T, getattr(x, name)(0), x)

    same(run, 1e-6)


def test_long_running_product_has_an_exact_gradient():
    """Long and thin data take the logarithmic path of the recurrence."""
    data = 1 + np.random.default_rng(2).standard_normal(300) / 50

    def run(T):
        x = T.tensor(data, requires_grad=True)
        y = x.cumprod(0)
        return y, gradients(T, y, x)

    same(run, 1e-8)


def test_logcumsumexp_with_infinities():
    same(lambda T: T.logcumsumexp(T.tensor([-np.inf, -np.inf, 1.0, 2.0, np.inf, 3.0]), 0))

    def run(T):
        x = T.tensor([900.0, -900.0, 901.0], requires_grad=True)
        y = x.logcumsumexp(0)
        return y, gradients(T, y, x)

    same(run, 1e-4)


@pytest.mark.parametrize("dtype", ["int64", "int32", "uint8", "bool", "float64", "float16"])
@pytest.mark.parametrize("name", ["cumsum", "cumprod"])
def test_types(name, dtype):
    same(lambda T: getattr(T, name)(T.tensor([[1, 0, 3], [2, 5, 7]]).to(getattr(T, dtype)), 1))
    same(lambda T: getattr(T, name)(T.tensor([1, 2, 3]).to(getattr(T, dtype)), 0, dtype=T.float64))


def test_in_place():
    same(lambda T: T.tensor(X).cumsum_(1))
    same(lambda T: T.tensor(X).cumprod_(0))
    same(lambda T: T.tensor([1, 2, 3], dtype=T.int32).cumsum_(0))

    def run(T):
        x = T.tensor(X, requires_grad=True)
        y = x * 2
        y.cumsum_(0)
        return y, gradients(T, y, x)

    same(run)


def test_scalars_and_errors():
    for name in ("cumsum", "cumprod", "logcumsumexp", "cummax"):
        same(lambda T, name=name: getattr(T.tensor(2.0), name)(0))
        same(lambda T, name=name: getattr(T.ones(0, 3), name)(0))
        same_error(lambda T, name=name: getattr(T.ones(2), name)(2))
    same_error(lambda T: T.logcumsumexp(T.tensor([1, 2]), 0))
    same(lambda T: T.cumsum(T.ones(2)))
    same(lambda T: T.cumsum(T.tensor(X), axis=1))
    same(lambda T: T.cumsum(T.ones(3), 0, out=T.empty(0)))


def test_outputs_of_another_type_are_refused():
    same_error(lambda T: T.logcumsumexp(T.ones(3), 0, out=T.ones(3).double()))
    same_error(lambda T: T.logcumsumexp(T.ones(3).double(), 0, out=T.ones(3)))
    for name in ("cummax", "cummin"):
        same_error(lambda T, name=name: getattr(T, name)(T.ones(3), 0, out=(T.ones(3).short(), T.ones(3).long())))
        same_error(lambda T, name=name: getattr(T, name)(T.ones(3), 0, out=(T.ones(3), T.ones(3).int())))


INF = float("inf")


@pytest.mark.parametrize(
    "values",
    [
        [[1e3 + 0j, 1e-18 + 1e4j, 1e2 + 1e-8j], [1j, 2 - 1j, -3 + 0.5j]],
        [complex(-INF, 4), complex(-INF, 1), 1.2 + 2.1j, complex(INF, 0), complex(INF, 1)],
        [1j, complex(0, float("nan")), 1],
        2 + 3j,
    ],
)
def test_log_of_running_sums_of_complex_exponentials(values):
    same(lambda T: T.logcumsumexp(T.tensor(values, dtype=T.complex128), -1))


def test_gradient_of_the_log_of_running_sums_of_complex_exponentials():
    def run(T):
        x = T.tensor([[1 + 2j, -0.3j, 0.7 - 1j], [0.2, 1 - 1j, 3j]], dtype=T.complex128, requires_grad=True)
        (T.logcumsumexp(x, 1) * (1 + 2j)).abs().sum().backward()
        return x.grad.resolve_conj()

    same(run)
