"""Pooling against PyTorch: windows, padding, ceil mode, indices, ties and NaN, adaptive, fractional and norm pooling, unpooling, errors."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import torchlike_asg as ours  # noqa: E402

from .compare import same, same_error  # noqa: E402
from .parity import agree, agree_twice, normal, refuses  # noqa: E402

X = normal(2, 3, 7, 8)
WINDOWS = [
    {},
    {"stride": 1},
    {"padding": 1},
    {"stride": (2, 3), "padding": (1, 1), "ceil_mode": True},
    {"stride": 3, "ceil_mode": True},
]


class TestMaxPool:
    @pytest.mark.parametrize("window", [*WINDOWS, {"dilation": 2, "padding": 1}, {"dilation": (1, 3), "stride": 2}])
    @pytest.mark.parametrize("indices", [False, True])
    def test_2d(self, window, indices):
        agree("max_pool2d", X, (3, 2), return_indices=indices, **window)
        agree_twice("max_pool2d", X, (3, 2), return_indices=indices, **window)

    def test_other_ranks(self):
        agree("max_pool1d", normal(3, 7), 2)
        agree("max_pool1d", normal(2, 3, 7), 3, 2, 1, ceil_mode=True, return_indices=True)
        agree("max_pool2d", normal(3, 7, 8), 2)
        agree("max_pool3d", normal(2, 3, 4, 5, 6), 2, return_indices=True)
        agree("max_pool3d", normal(3, 4, 5, 6), (1, 2, 3), padding=(0, 1, 1))

    def test_ties_and_nans(self):
        x = np.round(normal(2, 3, 8, 8))
        agree("max_pool2d", x, 3, 2, return_indices=True)
        x[0, 0, 2, 2] = x[1, 1, 0, 0] = x[1, 1, 0, 1] = np.nan
        agree("max_pool2d", x, 3, 2, 1, return_indices=True, order=0)
        agree("max_pool2d", np.full((1, 1, 4, 4), -np.inf, np.float32), 3, 1, 1, return_indices=True, order=0)

    def test_integers(self):
        same(lambda lib: lib.nn.functional.max_pool2d(lib.arange(32).reshape(1, 2, 4, 4), 2, return_indices=True))

    def test_empty_batch(self):
        agree("max_pool2d", np.zeros((0, 3, 4, 4), np.float32), 2)

    def test_with_indices_names(self):
        for name in ("max_pool2d_with_indices", "adaptive_max_pool2d_with_indices"):
            agree(name, X, 2)
        same(lambda lib: lib.max_pool2d(lib.tensor(X), 2))
        same(lambda lib: lib.max_pool1d(lib.tensor(X[0]), 2, 1))
        same(lambda lib: lib.max_pool1d_with_indices(lib.tensor(X[0]), 2))

    def test_errors(self):
        refuses("max_pool2d", normal(2, 3), 2)
        refuses("max_pool2d", X, 2, padding=2)
        refuses("max_pool2d", X, 9)
        refuses("max_pool2d", X, 2, stride=0)
        refuses("max_pool2d", X, (2, 2, 2))
        refuses("max_pool2d", X, 2, dilation=0)
        refuses("max_pool2d", X, 2, padding=-1)
        refuses("max_pool2d", np.zeros((2, 3, 0, 4), np.float32), 2)
        refuses("max_pool2d", X > 0, 2)
        refuses("max_pool1d", np.ones((2, 3, 4), np.int64), 2)
        refuses("max_pool3d", normal(2), 2)


class TestMaxUnpool:
    @pytest.mark.parametrize("size", [None, (7, 9), (2, 3, 7, 9)])
    def test_2d(self, size):
        def run(lib):
            def f(x):
                y, i = lib.nn.functional.max_pool2d(x, 2, return_indices=True)
                return lib.nn.functional.max_unpool2d(y, i, 2, output_size=size)

            return f

        agree(run, normal(2, 3, 6, 8))

    def test_other_ranks(self):
        def run(dims):
            def outer(lib):
                def f(x):
                    y, i = getattr(lib.nn.functional, f"max_pool{dims}d")(x, 2, return_indices=True)
                    return getattr(lib.nn.functional, f"max_unpool{dims}d")(y, i, 2)

                return f

            return outer

        agree(run(1), normal(2, 3, 6))
        agree(run(3), normal(2, 3, 4, 4, 6))
        agree(run(2), normal(3, 6, 8))

    def test_errors(self):
        x, i = normal(1, 1, 2, 2), np.array([[[[0, 1], [2, 3]]]])
        refuses("max_unpool2d", x, i.astype(np.int32), 2)
        refuses("max_unpool2d", x, i, 2, output_size=(9, 9))
        refuses("max_unpool2d", x, np.zeros((1, 1, 2, 3), np.int64), 2)
        refuses("max_unpool2d", x, i + 30, 2)


class TestAveragePool:
    @pytest.mark.parametrize("window", WINDOWS)
    @pytest.mark.parametrize("include", [True, False])
    def test_2d(self, window, include):
        agree("avg_pool2d", X, (3, 2), count_include_pad=include, **window)
        agree_twice("avg_pool2d", X, (3, 2), count_include_pad=include, **window)

    def test_other_ranks(self):
        agree("avg_pool1d", normal(2, 3, 7), 3, 2, 1, True)
        agree("avg_pool1d", normal(3, 7), 3, count_include_pad=False, padding=1)
        agree("avg_pool3d", normal(2, 3, 5, 6, 7), 2, padding=1)
        agree("avg_pool3d", normal(3, 5, 6, 7), (1, 2, 3), ceil_mode=True)

    def test_divisor(self):
        agree("avg_pool2d", X, 2, divisor_override=3)
        agree("avg_pool2d", X, 3, padding=1, divisor_override=5, count_include_pad=False)

    def test_padding_is_counted_the_same_forward_and_backward(self):
        """Backward is the transpose of forward: <pool(x), g> = <x, pool_backward(g)>, with either way of counting."""
        for include in (True, False):
            x = ours.tensor(normal(1, 1, 5, 5, dtype=np.float64), requires_grad=True)
            y = ours.nn.functional.avg_pool2d(x, 3, 2, 1, count_include_pad=include)
            g = ours.tensor(normal(*y.shape, dtype=np.float64))
            y.backward(g)
            np.testing.assert_allclose(float((y.detach() * g).sum()), float((x.detach() * x.grad).sum()), rtol=1e-12)
            ones = ours.nn.functional.avg_pool2d(ours.ones(1, 1, 5, 5), 3, 2, 1, count_include_pad=include)
            assert (ones == 1).all() != include

    def test_integers(self):
        same(lambda lib: lib.nn.functional.avg_pool2d(lib.arange(-16, 16).reshape(1, 2, 4, 4), 2))

    def test_errors(self):
        refuses("avg_pool2d", X, 2, padding=2)
        refuses("avg_pool2d", X, 9)
        refuses("avg_pool2d", X, 2, divisor_override=0)
        refuses("avg_pool1d", normal(2), 2)


class TestAdaptive:
    @pytest.mark.parametrize("size", [1, 2, (3, 5), (None, 2), (9, 4), 0])
    def test_2d(self, size):
        order = 0 if size == 0 else 1
        agree("adaptive_avg_pool2d", X, size, order=order)
        agree("adaptive_max_pool2d", X, size, return_indices=True, order=order)
        agree("adaptive_max_pool2d", X, size, order=order)

    def test_other_ranks(self):
        agree("adaptive_avg_pool1d", normal(2, 3, 7), 4)
        agree("adaptive_avg_pool1d", normal(3, 7), 9)
        agree("adaptive_max_pool1d", normal(2, 3, 7), 4, True)
        agree("adaptive_avg_pool3d", normal(3, 4, 5, 6), (2, 3, 1))
        agree("adaptive_max_pool3d", normal(2, 3, 4, 5, 6), (2, 3, 1))
        same(lambda lib: lib.adaptive_max_pool1d(lib.tensor(normal(2, 3, 7)), 4))
        same(lambda lib: lib.adaptive_avg_pool1d(lib.tensor(normal(2, 3, 7)), 4))

    def test_second_gradients(self):
        agree_twice(lambda lib: lambda x: lib.nn.functional.adaptive_avg_pool2d(x * x, 3), X)
        agree_twice(lambda lib: lambda x: lib.nn.functional.adaptive_max_pool2d(x * x, 3), X)

    def test_errors(self):
        refuses("adaptive_avg_pool2d", normal(2, 3), 2)
        refuses("adaptive_avg_pool2d", X, (2,))
        refuses("adaptive_avg_pool2d", X, (-1, 2))
        refuses("adaptive_avg_pool2d", np.ones((2, 3, 4, 4), np.int64), 2)
        refuses("adaptive_avg_pool2d", np.zeros((2, 3, 0, 4), np.float32), 2)
        refuses("adaptive_max_pool2d", normal(2, 3), 2)
        refuses("adaptive_max_pool2d", np.zeros((2, 3, 0, 4), np.float32), 2)


@pytest.mark.parametrize("p", [1.0, 2.0, 3.0])
def test_lp_pool(p):
    agree("lp_pool1d", np.abs(normal(2, 3, 7)), p, 3)
    agree("lp_pool2d", np.abs(X), p, (3, 2), stride=2)
    agree("lp_pool2d", X, 2.0, 3, ceil_mode=True)
    agree("lp_pool3d", np.abs(normal(2, 3, 4, 5, 6)), p, 2)


class TestFractional:
    def test_2d(self):
        u = np.random.default_rng(1).random((2, 3, 2)).astype(np.float32)
        agree(
            "fractional_max_pool2d",
            normal(2, 3, 9, 11),
            2,
            output_size=(4, 5),
            _random_samples=u,
            return_indices=True,
            constant=("_random_samples",),
        )
        agree(
            "fractional_max_pool2d", normal(2, 3, 9, 11), (2, 3), output_ratio=(0.5, 0.4), _random_samples=u, constant=("_random_samples",)
        )

    def test_3d(self):
        u = np.random.default_rng(1).random((2, 3, 3)).astype(np.float32)
        agree(
            "fractional_max_pool3d",
            normal(2, 3, 7, 9, 11),
            2,
            output_ratio=(0.5, 0.6, 0.7),
            _random_samples=u,
            return_indices=True,
            constant=("_random_samples",),
        )

    def test_draws_follow_pytorch(self):
        def run(lib):
            lib.manual_seed(4)
            return lib.nn.functional.fractional_max_pool2d(lib.tensor(normal(2, 3, 9, 11)), 2, output_size=4)

        same(run)

    def test_errors(self):
        refuses("fractional_max_pool2d", normal(1, 1, 5, 5), 2)
        refuses("fractional_max_pool2d", normal(1, 1, 5, 5), 2, output_size=5)


def test_gradient_goes_to_the_winner_alone():
    x = ours.tensor([[[[1.0, 5.0], [5.0, 2.0]]]], requires_grad=True)
    ours.nn.functional.max_pool2d(x, 2).sum().backward()
    assert x.grad.flatten().tolist() == [0.0, 1.0, 0.0, 0.0]
    y = torch.tensor([[[[1.0, 5.0], [5.0, 2.0]]]], requires_grad=True)
    torch.nn.functional.max_pool2d(y, 2).sum().backward()
    assert y.grad.flatten().tolist() == x.grad.flatten().tolist()


@pytest.mark.parametrize("dims", [2, 3])
def test_random_samples_of_fractional_pooling_fit_the_input(dims):
    def pooled(T, samples, dtype="float32", kernel=2, size=3):
        x = (T.arange(2.0 * 7**dims) * 1.7).sin().reshape(1, 2, *(7,) * dims)
        run = getattr(T.nn.functional, f"fractional_max_pool{dims}d")
        return run(x, kernel, output_size=size, _random_samples=T.full(samples, 0.4, dtype=getattr(T, dtype)))

    same(lambda T: pooled(T, (2, 2, dims)))
    for samples in ((0, 2, dims), (1, 3, dims), (1, 2, dims + 1), (2, dims)):
        same_error(lambda T, samples=samples: pooled(T, samples))
    same_error(lambda T: pooled(T, (1, 2, dims), "float64"))
    same_error(lambda T: pooled(T, (1, 2, dims), kernel=(1,)))
    same_error(lambda T: pooled(T, (1, 2, dims), size=()))
