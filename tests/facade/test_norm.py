"""Normalisations against PyTorch: values, gradients of input, weight and bias, running statistics, second gradients, errors."""

import numpy as np
import pytest

import torchlike_asg as ours

from .compare import same, same_error
from .parity import agree, agree_twice, normal, positive, refuses

W, B = positive(6), normal(6, seed=1)
CHANNELS = positive(4), normal(4, seed=2)
IMAGE = normal(3, 4, 5, 2)


class TestLayerNorm:
    @pytest.mark.parametrize("shape", [(6,), (5, 6), (2, 5, 6)])
    def test_values_and_gradients(self, shape):
        agree("layer_norm", normal(*shape), (6,), W, B)
        agree("layer_norm", normal(*shape), (6,), W)
        agree("layer_norm", normal(*shape), (6,))
        agree_twice("layer_norm", normal(*shape), (6,), W, B)

    def test_several_dimensions(self):
        agree_twice("layer_norm", normal(2, 3, 4), (3, 4), normal(3, 4), normal(3, 4, seed=1))
        agree("layer_norm", normal(2, 3, 4), (2, 3, 4))

    def test_bias_alone(self):
        agree("layer_norm", normal(5, 6), (6,), None, B)

    def test_epsilon_and_constant_rows(self):
        agree("layer_norm", np.ones((2, 6), np.float32), (6,), W, B, eps=0.1)

    def test_empty_batch(self):
        agree("layer_norm", np.zeros((0, 6), np.float32), (6,), W, B)

    @pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
    def test_half_precision_with_single_weights(self, dtype):
        same(
            lambda lib: lib.nn.functional.layer_norm(lib.tensor(normal(5, 6)).to(getattr(lib, dtype)), (6,), lib.tensor(W), lib.tensor(B)),
            rtol=2e-2,
            atol=2e-2,
        )

    def test_at_top_level(self):
        same(lambda lib: lib.layer_norm(lib.tensor(normal(5, 6)), [6], lib.tensor(W), lib.tensor(B), 1e-4))

    def test_errors(self):
        x = normal(2, 3)
        refuses("layer_norm", x, (4,))
        refuses("layer_norm", x, ())
        refuses("layer_norm", x, (3,), np.ones(4, np.float32))
        refuses("layer_norm", x, (3,), np.ones(3, np.float32), np.ones(2, np.float32))
        refuses("layer_norm", np.array([[1, 2]]), (2,))
        refuses("layer_norm", x, (3,), np.ones(3))
        refuses("layer_norm", x.astype(np.float64), (3,), np.ones(3, np.float32))


class TestRMSNorm:
    @pytest.mark.parametrize("eps", [None, 1e-3])
    def test_values_and_gradients(self, eps):
        agree("rms_norm", normal(5, 6), (6,), W, eps=eps)
        agree("rms_norm", normal(5, 6), (6,), eps=eps)
        agree_twice("rms_norm", normal(2, 3, 4), (3, 4), normal(3, 4), eps=eps)

    def test_half_precision(self):
        same(lambda lib: lib.nn.functional.rms_norm(lib.tensor(normal(5, 6)).half(), (6,), lib.tensor(W).half()), rtol=3e-3, atol=3e-3)

    def test_errors(self):
        refuses("rms_norm", normal(2, 3), (4,))
        refuses("rms_norm", normal(2, 3), (3,), np.ones(2, np.float32))
        refuses("rms_norm", np.array([[1, 2]]), (2,))


class TestBatchNorm:
    @pytest.mark.parametrize("x", [normal(5, 4), normal(3, 4, 5), IMAGE, normal(2, 4, 2, 3, 2)], ids=lambda x: str(x.ndim))
    @pytest.mark.parametrize("training", [True, False])
    def test_values_and_gradients(self, x, training):
        def run(lib):
            w, b, v = (lib.tensor(a, requires_grad=True) for a in (*CHANNELS, x))
            mean, var = lib.tensor(normal(4, seed=7)), lib.tensor(positive(4, seed=8))
            y = lib.nn.functional.batch_norm(v, mean, var, w, b, training, momentum=0.3, eps=1e-3)
            (y * y.detach().cos()).sum().backward()
            return y, mean, var, v.grad, w.grad, b.grad

        same(run, rtol=1e-4, atol=1e-5)

    def test_second_gradients(self):
        agree_twice(lambda lib: lambda x, w, b: lib.nn.functional.batch_norm(x, None, None, w, b, True), IMAGE, *CHANNELS)
        mean, var = normal(4, seed=7, dtype=np.float64), positive(4, seed=8, dtype=np.float64)
        agree_twice("batch_norm", IMAGE, mean, var, *CHANNELS, constant=(1, 2))

    def test_without_weights(self):
        agree(lambda lib: lambda x: lib.nn.functional.batch_norm(x, None, None, training=True), IMAGE)

    def test_statistics_have_no_history(self):
        mean, var = ours.zeros(4), ours.ones(4)
        x = ours.tensor(IMAGE, requires_grad=True)
        ours.nn.functional.batch_norm(x * 2, mean, var, training=True)
        assert not mean.requires_grad and not var.requires_grad
        np.testing.assert_allclose(mean.numpy(), 0.1 * 2 * IMAGE.mean((0, 2, 3)), rtol=1e-5, atol=1e-7)
        np.testing.assert_allclose(var.numpy(), 0.9 + 0.1 * (2 * IMAGE).var((0, 2, 3), ddof=1), rtol=1e-5)

    def test_a_training_loop(self):
        def run(lib):
            mean, var = lib.zeros(4), lib.ones(4)
            w = lib.ones(4, requires_grad=True)
            for step in range(3):
                y = lib.nn.functional.batch_norm(lib.tensor(IMAGE * (step + 1) + step), mean, var, w, None, True, 0.1)
                (y * y * y).sum().backward()
            return mean, var, w.grad

        same(run, rtol=1e-4, atol=1e-4)

    def test_half_precision(self):
        def run(lib):
            mean, var = lib.zeros(4), lib.ones(4)
            y = lib.nn.functional.batch_norm(lib.tensor(IMAGE).half(), mean, var, lib.tensor(CHANNELS[0]), None, True)
            return y, mean, var

        same(run, rtol=5e-3, atol=5e-3)

    def test_at_top_level(self):
        def run(lib):
            mean, var = lib.zeros(4), lib.ones(4)
            return lib.batch_norm(lib.tensor(IMAGE), None, None, mean, var, True, 0.1, 1e-5, True), mean, var

        same(run)

    def test_errors(self):
        refuses("batch_norm", normal(2, 3), None, None)
        refuses("batch_norm", normal(2, 3), np.zeros(3, np.float32), None)
        refuses("batch_norm", normal(1, 3), None, None, training=True)
        refuses("batch_norm", normal(2, 3), np.zeros(2, np.float32), np.ones(3, np.float32))
        refuses("batch_norm", normal(2, 3), None, None, np.ones(4, np.float32), training=True)
        refuses("batch_norm", np.array([[1, 2], [3, 4]]), None, None, training=True)
        refuses("batch_norm", normal(3), None, None, training=True)


class TestGroupNorm:
    @pytest.mark.parametrize("groups", [1, 2, 4])
    def test_values_and_gradients(self, groups):
        agree("group_norm", IMAGE, groups, *CHANNELS)
        agree("group_norm", normal(3, 4), 1, *CHANNELS)
        agree("group_norm", IMAGE, groups)
        agree_twice("group_norm", IMAGE, groups, *CHANNELS)

    def test_errors(self):
        refuses("group_norm", normal(2, 3, 4), 2)
        refuses("group_norm", normal(2), 1)
        refuses("group_norm", normal(1, 4), 4)
        refuses("group_norm", normal(2, 4, 3), 2, np.ones(3, np.float32))


class TestInstanceNorm:
    @pytest.mark.parametrize("use", [True, False])
    @pytest.mark.parametrize("x", [normal(3, 4, 5), IMAGE], ids=["1d", "2d"])
    def test_with_statistics(self, use, x):
        def run(lib):
            w, b, v = (lib.tensor(a, requires_grad=True) for a in (*CHANNELS, x))
            mean, var = lib.tensor(normal(4, seed=7)), lib.tensor(positive(4, seed=8))
            y = lib.nn.functional.instance_norm(v, mean, var, w, b, use, 0.3, 1e-3)
            (y * y.detach().cos()).sum().backward()
            return y, mean, var, v.grad, w.grad, b.grad

        same(run, rtol=1e-4, atol=1e-5)

    def test_alone(self):
        agree_twice("instance_norm", IMAGE)

    def test_errors(self):
        refuses("instance_norm", normal(2, 4))
        refuses("instance_norm", normal(2, 4, 1))
        refuses("instance_norm", normal(2, 4, 5), use_input_stats=False)
        refuses("instance_norm", normal(2, 4, 5), np.zeros(3, np.float32), np.ones(3, np.float32))
        refuses("instance_norm", normal(2, 4, 5), np.zeros(4, np.float32), None)


@pytest.mark.parametrize("x", [normal(2, 5, 4), normal(2, 5, 4, 3), normal(2, 5, 2, 3, 2)], ids=lambda x: str(x.ndim))
@pytest.mark.parametrize("size", [2, 3])
def test_local_response_norm(x, size):
    agree("local_response_norm", x, size, alpha=0.1, beta=0.6, k=1.3)


def test_local_response_norm_errors():
    refuses("local_response_norm", normal(2, 4), 2)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("name", ["batch_norm", "instance_norm", "group_norm"])
def test_gradients_of_wider_parameters_are_added_up_in_their_type(name, dtype):
    x, g, w, b = normal(4, 8, 3, 5), normal(4, 8, 3, 5)[::-1].copy(), positive(8), normal(8)

    def run(T):
        d, F = getattr(T, dtype), T.nn.functional
        given = T.tensor(x, dtype=T.float32).to(d).requires_grad_()
        weight, bias = (T.tensor(v, dtype=T.float32, requires_grad=True) for v in (w, b))
        if name == "group_norm":
            y = F.group_norm(given, 4, weight, bias)
        else:
            options = {"training": True} if name == "batch_norm" else {}
            y = getattr(F, name)(given, T.zeros(8), T.ones(8), weight, bias, **options)
        y.backward(T.tensor(g, dtype=T.float32).to(d))
        return [weight.grad, bias.grad]

    same(run)


@pytest.mark.parametrize("ratio", [(0.5,), (0.5, 0.5, 0.5)])
def test_ratios_of_fractional_pooling(ratio):
    refuses("fractional_max_pool2d", normal(1, 2, 8, 8), 2, output_ratio=ratio)


NATIVE = {
    "layers": lambda T, x, w, c: T.native_layer_norm(x, [4], w, w * 0.1, 1e-5),
    "layers of two dimensions": lambda T, x, w, c: T.native_layer_norm(x, (3, 4), None, None, 1e-2),
    "batches": lambda T, x, w, c: T.native_batch_norm(x, c, c * 0.1, None, None, True, 0.1, 1e-5),
    "batches, by running statistics": lambda T, x, w, c: T.native_batch_norm(x, c, None, T.zeros(3), T.ones(3), False, 0.1, 1e-5),
    "groups": lambda T, x, w, c: T.native_group_norm(x, c, c * 0.1, 2, 3, 4, 3, 1e-5),
    "one group": lambda T, x, w, c: T.native_group_norm(x, None, None, 2, 3, 4, 1, 1e-5),
}


@pytest.mark.parametrize("call", NATIVE.values(), ids=NATIVE)
def test_with_their_statistics(call):
    def run(T):
        x, w, c = (v.requires_grad_() for v in (T.arange(24.0).reshape(2, 3, 4).sin(), T.arange(1.0, 5), T.arange(1.0, 4)))
        y, mean, scale = call(T, x, w, c)
        name = type(y.grad_fn).__name__
        return name, y, mean, scale, mean.dtype, mean.stride(), T.autograd.grad((y * x.detach().cos()).sum(), (x, w, c), allow_unused=True)

    same(run, 1e-4, 1e-5)


def test_running_statistics_of_the_native_form():
    def run(T):
        mean, var, x = T.zeros(3), T.ones(3), T.arange(24.0).reshape(2, 3, 4).sin()
        return T.native_batch_norm(x, None, None, mean, var, True, 0.2, 1e-5), mean, var

    same(run)
    same_error(lambda T: T.native_group_norm(T.ones(2, 3, 4), None, None, 2, 3, 4, 2, 1e-5))
    same_error(lambda T: T.native_layer_norm(T.ones(2, 3), [4], None, None, 1e-5))
