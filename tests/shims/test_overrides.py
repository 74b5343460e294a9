"""Objects that are no tensors, but say what functions make of them: ``__torch_function__``."""

import pytest

torch = pytest.importorskip("torch")

import torchlike_asg as ours  # noqa: E402


class Own:
    """A matrix of one number on the diagonal."""

    def __init__(self, value):
        self.value = value

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        return func.__name__, [t.__name__ for t in types], [type(a).__name__ for a in args], kwargs or {}


class Refusing:
    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        return NotImplemented


CALLS = {
    "mean": lambda T, x: T.mean(x),
    "sum": lambda T, x: T.sum(x, dim=0),
    "add": lambda T, x: T.add(T.ones(1), x),
    "method": lambda T, x: T.ones(1).add(x),
    "stack": lambda T, x: T.stack([x]),
    "matmul": lambda T, x: T.matmul(T.ones(2, 2), x),
    "softmax": lambda T, x: T.nn.functional.softmax(x, dim=-1),
    "linear": lambda T, x: T.nn.functional.linear(T.ones(1, 2), x),
    "layer": lambda T, x: T.nn.Linear(2, 2)(x),
    "mse": lambda T, x: T.nn.functional.mse_loss(x, T.ones(1)),
}


@pytest.mark.parametrize("name", CALLS)
def test_an_object_is_asked(name):
    def told(T):
        func, types, args, kwargs = CALLS[name](T, Own(1))
        return func, types[:1], args[:2], kwargs.get("dim")

    assert told(ours) == told(torch)


def test_the_function_given_is_the_public_one():
    seen = []

    class Table:
        @classmethod
        def __torch_function__(cls, func, types, args=(), kwargs=None):
            seen.append(func)

    for f in (ours.mean, ours.stack, ours.nn.functional.softmax):
        f(Table())
        assert seen[-1] is f


def test_an_object_that_knows_no_answer_is_an_error():
    with pytest.raises(TypeError, match="__torch_function__"):
        ours.mean(Refusing())
    with pytest.raises(TypeError, match="must be Tensor, not object"):
        ours.mean(object())
