"""Softmax and relatives: values, gradients row by row, types, implicit dimensions and errors against PyTorch."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

import torchlike_asg as ours  # noqa: E402

from .compare import same, same_error  # noqa: E402
from .parity import agree, agree_twice, normal, refuses  # noqa: E402

NAMES = ("softmax", "log_softmax", "softmin")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "shape,dim", [((4,), 0), ((3, 5), 1), ((3, 5), 0), ((2, 3, 4), 1), ((2, 3, 4), -1), ((0, 3), 1), ((3, 0), 1), ((), 0), ((2, 1), 1)]
)
def test_values_and_gradients(name, shape, dim):
    agree(name, normal(*shape), dim=dim)
    agree_twice(name, normal(*shape), dim=dim)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 6), st.integers(1, 9), st.integers(0, 1), st.integers(0, 99))
def test_gradients_are_per_row(rows, columns, dim, seed):
    """The gradient of one row does not depend on the others, and each sums to zero."""
    values = np.random.default_rng(seed).standard_normal((rows, columns))
    weights = np.random.default_rng(seed + 1).standard_normal((rows, columns))
    x = ours.tensor(values, requires_grad=True)
    (ours.softmax(x, dim) * ours.tensor(weights)).sum().backward()
    np.testing.assert_allclose(x.grad.numpy().sum(dim), 0, atol=1e-12)
    y = torch.tensor(values, requires_grad=True)
    (torch.softmax(y, dim) * torch.tensor(weights)).sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), y.grad.numpy(), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_everywhere(name):
    agree(lambda lib: getattr(lib, name), normal(3, 4), 1)
    agree(lambda lib: getattr(lib.Tensor, name), normal(3, 4), -1)
    same(lambda lib: getattr(lib, name)(lib.tensor(normal(3, 4)), dim=0, dtype=lib.float64))
    same(lambda lib: getattr(lib, name)(lib.tensor([[1, 2], [3, 4]]), 0, dtype=lib.float32))
    same(lambda lib: getattr(lib, name)(lib.tensor(normal(3, 4)), 0, out=lib.empty(3, 4)))
    same(lambda lib: getattr(lib, name)(lib.tensor(normal(3, 4)).t(), 0).stride())


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision(name, dtype):
    same(lambda lib: getattr(lib.nn.functional, name)(lib.tensor(normal(3, 40) * 3).to(getattr(lib, dtype)), -1), rtol=2e-2, atol=1e-2)


@pytest.mark.parametrize("name", NAMES)
def test_extremes(name):
    inf = np.float32(np.inf)
    agree(name, np.float32([[1e4, 0, -1e4], [-inf, 0, 1]]), dim=1, order=0)
    agree(name, np.float32([[-inf, -inf], [np.nan, 1], [inf, 1]]), dim=1, order=0)
    agree(name, np.float32([[1e4, 0, -1e4], [3, 0, 1]]), dim=1)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("rank", [0, 1, 2, 3, 4])
def test_implicit_dimension(name, rank):
    x = normal(*range(2, 2 + rank))
    with pytest.warns(UserWarning, match=f"Implicit dimension choice for {name} has been deprecated"):
        agree(name, x)


@pytest.mark.parametrize("name", NAMES)
def test_errors(name):
    refuses(name, normal(2, 3), dim=2)
    refuses(name, normal(2, 3), dim=-3)
    refuses(name, np.array([[1, 2]]), dim=1)
    same_error(lambda lib: getattr(lib.nn.functional, name)(lib.tensor([[1, 2]]), 0))


@pytest.mark.parametrize("hard", [False, True])
@pytest.mark.parametrize("dim", [0, -1])
def test_gumbel_softmax_follows_pytorch(hard, dim):
    def run(lib):
        lib.manual_seed(5)
        x = lib.tensor(normal(4, 5), requires_grad=True)
        y = lib.nn.functional.gumbel_softmax(x, tau=0.7, hard=hard, dim=dim)
        (y * lib.tensor(normal(4, 5, seed=1))).sum().backward()
        return y, x.grad

    same(run)


def test_softmax_may_not_be_overwritten_before_backward():
    x = ours.tensor(normal(3, 4), requires_grad=True)
    y = x.softmax(1)
    y.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


@pytest.mark.parametrize("name", ["_softmax_backward_data", "_log_softmax_backward_data"])
def test_the_gradient_of_softmax_by_itself(name):
    results = []
    for T in (torch, ours):
        g, y = T.arange(6.0).reshape(2, 3).requires_grad_(), T.tensor([[0.2, 0.3, 0.5], [0.1, 0.1, 0.8]], requires_grad=True)
        f = getattr(T, name)
        out = f(g, y, -1, T.float32)
        (out * out).sum().backward()
        results.append([out.detach().numpy(), g.grad.numpy(), y.grad.numpy(), type(out.grad_fn).__name__])
        for error, arguments in (
            (RuntimeError, (g, y[:1], 1, T.float32)),
            (RuntimeError, (g, y.double(), 1, T.float32)),
            (IndexError, (g, y, 2, T.float32)),
            (NotImplementedError, (g.long(), y.long(), 1, T.int64)),
            (TypeError, (g, y, 1, "a")),
        ):
            if arguments[1].shape != g.shape and T is torch and name.startswith("_log"):
                continue  # reads what lies behind
            with pytest.raises(error):
                f(*arguments)
    for a, b in zip(results[0][:3], results[1][:3], strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-5, atol=1e-6)
    assert results[0][3] == results[1][3]
