"""Names of PyTorch's early versions, and small methods that belong to no family."""

import warnings

import pytest

torch = pytest.importorskip("torch")

import torchlike_asg as ours  # noqa: E402

from .compare import same, same_error  # noqa: E402


def grid(T, *shape):
    return T.arange(float(T.Size(shape).numel())).view(*shape)


def test_resize_without_underscore():
    def run(T):
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            x = grid(T, 2, 6).t().requires_grad_()
            y = x.resize(3, 4)
            z = y.resize_as(T.ones(12))
        (z * T.arange(12.0)).sum().backward()
        return y, z, x.grad, [str(w.message) for w in seen]

    same(run)
    with pytest.warns(UserWarning):
        same(lambda T: T.ones(4).resize(3))  # both raise RuntimeError, each in its words


def test_division_of_python_2():
    def run(T):
        x, y = grid(T, 3) + 1, T.tensor([2.0, 4.0, 8.0])
        return x.__div__(y), x.__rdiv__(3), x.__idiv__(2) is x, x

    same(run)


def test_reversed_is_a_tensor():
    def run(T):
        x = grid(T, 3, 2).requires_grad_()
        y = reversed(x)
        (y[0] * 2).sum().backward()
        return y, x.grad, reversed(T.tensor(2.0))

    same(run)


def test_adjoint():
    same(lambda T: [grid(T, 2, 3).adjoint(), T.adjoint(grid(T, 2, 2, 3))])
    same_error(lambda T: T.ones(3).adjoint())


@pytest.mark.parametrize("wrap", [False, True])
@pytest.mark.parametrize("shape", [(3, 3), (2, 5), (7, 2), (8, 3), (1, 1), (3, 3, 3), (0, 2)])
def test_fill_diagonal(shape, wrap):
    def run(T):
        x = T.ones(shape, requires_grad=True)
        y = x * 2
        y.fill_diagonal_(-3.0, wrap)
        (y * y).sum().backward()
        return y, y._version, x.grad

    same(run)


def test_fill_diagonal_reaches_the_base():
    def run(T):
        x = grid(T, 4, 6)
        x[::2, 1::2].t().fill_diagonal_(9)
        y = T.zeros(2, 9).t()
        y.fill_diagonal_(1)
        return x, y

    same(run)
    same_error(lambda T: T.ones(3).fill_diagonal_(1))
    same_error(lambda T: T.ones(2, 2, 3).fill_diagonal_(1))


def test_fill_as_a_function():
    def run(T):
        x, v = grid(T, 2, 3).t().requires_grad_(), T.tensor(2.5, requires_grad=True)
        y = T.fill(x, v)
        (y * 3).sum().backward()
        return x, y, y.stride(), x.grad, v.grad, T.fill(T.arange(3), 2.7), T.fill(T.ones(2), True)

    same(run)
    same_error(lambda T: T.fill(T.ones(2), T.ones(2)))


def test_memory_is_neither_shared_nor_pinned():
    same(lambda T: [T.ones(1).is_shared(), T.ones(1).is_pinned()])


@pytest.mark.parametrize("name", ["index", "values", "pin_memory"])
def test_a_method_left_out_says_what_to_use(name):
    assert not hasattr(ours.ones(2), name)
    with pytest.raises(NotImplementedError, match=f"Tensor.{name} is not implemented: ..."):
        getattr(ours.ones(2), name)


def test_fill_diagonal_wraps_in_any_layout():
    tall = ours.zeros(2, 9).t()
    tall.fill_diagonal_(1, wrap=True)
    assert tall.tolist() == torch.zeros(9, 2).fill_diagonal_(1, wrap=True).tolist()
