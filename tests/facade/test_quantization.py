"""Fake quantisation, compared with PyTorch."""

import pytest

from .compare import same, same_error

torch = pytest.importorskip("torch")


def _values(T, infinity=30.0):
    return T.tensor([[0.05, -3.0, 3.0, 0.449], [0.45, 0.55, float("nan"), infinity], [0.149, 0.15, 1.05, -infinity]])


def _seen(T, call, dtype="float32", infinity=30.0):
    x = _values(T, infinity).to(getattr(T, dtype)).requires_grad_()
    y = call(x)
    y.backward(T.arange(12.0).reshape(3, 4).to(y.dtype))
    return [y, x.grad, y.grad_fn.name()]


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
def test_of_tensors(dtype):
    inf = float("inf")
    same(lambda T: _seen(T, lambda x: T.fake_quantize_per_tensor_affine(x, 0.1, 1, -8, 7), dtype, inf), rtol=0, atol=0)
    same(lambda T: _seen(T, lambda x: T.fake_quantize_per_tensor_affine(x, T.tensor([0.1]), T.tensor(9), -8, 7), dtype), rtol=0, atol=0)


@pytest.mark.parametrize("points", [[0, 1, -2], [0.25, 1.5, -2.75]], ids=["integers", "between steps"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("axis", [0, 1])
def test_of_channels(axis, dtype, points):
    def run(T):
        scale = T.tensor([0.1, 0.25, 0.3, 0.07][: 3 + axis])
        zero = T.tensor([*points, 3][: 3 + axis], dtype=T.int32 if points[0] == 0 else T.float32)
        return _seen(T, lambda x: T.fake_quantize_per_channel_affine(x, scale, zero, axis, -8, 7), dtype)

    same(run, rtol=1e-6, atol=0)


def test_the_gradient_of_the_gradient():
    def run(T):
        x = T.tensor([1.0, 100.0, -0.3], requires_grad=True)
        w = T.tensor([2.0, 3.0, 4.0], requires_grad=True)
        (g,) = T.autograd.grad(T.fake_quantize_per_tensor_affine(x, 0.1, 0, -20, 20), x, w, create_graph=True)
        (g * g).sum().backward()
        return [g, w.grad, x.grad]

    same(run)


def test_training_with_it():
    """A moving scale makes no new programs, and the losses are PyTorch's."""

    def run(T):
        T.manual_seed(0)
        layer, x = T.nn.Linear(4, 3), T.randn(8, 4)
        optimizer = T.optim.SGD(layer.parameters(), 0.1)
        losses = []
        for step in range(6):
            w = T.fake_quantize_per_tensor_affine(layer.weight, 0.02 + 0.001 * step, 0, -128, 127)
            loss = (x @ w.t() + layer.bias - 1).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        return losses

    same(run)


@pytest.mark.parametrize(
    "call",
    [
        lambda T, x: T.fake_quantize_per_tensor_affine(x, 0.1, 20, -8, 7),
        lambda T, x: T.fake_quantize_per_tensor_affine(x.long(), 0.1, 0, -8, 7),
        lambda T, x: T.fake_quantize_per_tensor_affine(x, T.tensor([0.1, 0.2]), T.tensor(0), -8, 7),
        lambda T, x: T.fake_quantize_per_tensor_affine(x, T.tensor(0.1, requires_grad=True), T.tensor(0), -8, 7),
        lambda T, x: T.fake_quantize_per_channel_affine(x, T.ones(3), T.zeros(3), 1, -8, 7),
        lambda T, x: T.fake_quantize_per_channel_affine(x, T.ones(3), T.zeros(3, dtype=T.long), 0, -8, 7),
        lambda T, x: T.fake_quantize_per_channel_affine(x, T.ones(3), T.full((3,), 9, dtype=T.int32), 0, -8, 7),
        lambda T, x: T.fake_quantize_per_channel_affine(x, T.ones(3), T.zeros(2, dtype=T.int32), 0, -8, 7),
        lambda T, x: T.fake_quantize_per_channel_affine(x, T.ones(1, 3), T.zeros(3, dtype=T.int32), 0, -8, 7),
        lambda T, x: T.fake_quantize_per_channel_affine(x, T.ones(4), T.zeros(4, dtype=T.int32), -1, -8, 7),
    ],
)
def test_refused(call):
    same_error(lambda T: call(T, _values(T)))


def test_a_number_and_a_tensor_are_refused():
    same(lambda T: T.fake_quantize_per_tensor_affine(T.ones(2), T.tensor([0.1]), 0, -8, 7))
    same(lambda T: T.fake_quantize_per_tensor_affine(T.ones(2), T.tensor(0.1), 0, -8, 7))
    same(lambda T: T.fake_quantize_per_tensor_affine(T.ones(2), T.tensor(0.1, requires_grad=True), 0, -8, 7))
    same(lambda T: T.fake_quantize_per_tensor_affine(T.ones(2), 0.1, True, -8, 7))
    same(lambda T: T.fake_quantize_per_tensor_affine(T.ones(2), 0.1, 0.5, -8, 7))
    same(lambda T: T.fake_quantize_per_tensor_affine(T.ones(2), 0.1, 0, 7, -8))
