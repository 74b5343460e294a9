"""What a custom Function returns of its argument: the argument itself or a view, in the same memory, with the Function's own gradient."""

import pytest

import torchlike_asg as ours

torch = pytest.importorskip("torch")


def function(L, shape=None):
    """Twice the gradient of the argument, of which it returns a view (or itself)."""

    class Twice(L.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.shape = x.shape
            return x if shape is None else x.view(shape)

        @staticmethod
        def backward(ctx, g):
            return g.reshape(ctx.shape) * 2

    return Twice.apply


SHAPES = [None, (-1,), (2, 3)]


@pytest.mark.parametrize("shape", SHAPES)
def test_results_have_the_memory_of_the_argument(shape):
    found = []
    for L in (torch, ours):
        w = L.ones(6, requires_grad=True)
        x = w * 3
        y = function(L, shape)(x[1:4] if shape == (-1,) else x)
        first = y.sum().item(), y._is_view(), y.data_ptr() - x.data_ptr()
        (y * y).sum().backward()
        x.mul_(2)
        with L.no_grad():
            seen = (y + 1).tolist()
        found.append((first, seen, w.grad.tolist(), repr(y)))
    assert found[0] == found[1]


@pytest.mark.parametrize("shape", SHAPES)
def test_writes_are_refused_that_the_function_would_not_see(shape):
    for L in (torch, ours):
        x = L.ones(6, requires_grad=True) * 1
        y = function(L, shape)(x)
        with pytest.raises(RuntimeError, match="Output 0 of Twice is a view and is being modified inplace"):
            y.mul_(2)
        x.add_(1)
        with pytest.raises(RuntimeError, match="Output 0 of Twice is a view and its base or another view of its base has been modified"):
            y * 2


@pytest.mark.parametrize("shape", SHAPES)
def test_writes_without_history_reach_the_argument(shape):
    found = []
    for L in (torch, ours):
        x = L.ones(6, requires_grad=True) * 1
        y = function(L, shape)(x)
        with L.no_grad():
            y.view(-1)[2] = 7
        found.append(x.tolist())
        with pytest.raises(RuntimeError, match="Output 0 of Twice is a view"):
            y.exp()
    assert found[0] == found[1]


def test_a_leaf_that_is_returned_and_then_updated():
    found = []
    for L in (torch, ours):
        w = L.ones(3, requires_grad=True)
        grads = []
        for _ in range(4):
            y = function(L)(w)
            (y * w).sum().backward()
            grads.append(w.grad.tolist())
            with L.no_grad():
                w -= 0.1 * w.grad
            w.grad = None
            grads.append(y.detach().tolist())
        found.append(grads)
    for a, b in zip(*found, strict=True):
        assert b == pytest.approx(a)
