"""Layers that are found again as a whole: the second call must do everything the first one did."""

import gc
import warnings

import pytest

pytest.importorskip("torch")
import torchlike_asg as ours
from torchlike_asg.asg import arena
from torchlike_asg.facade import remembered

from .compare import gradients, same


def test_equal_calls_give_storages_of_their_own():
    def run(T):
        x, y = T.linspace(-1, 1, 6).reshape(2, 3), T.ones(2, 3)
        out = []
        for _ in range(3):
            a, b = T.nn.functional.mse_loss(x, y), T.nn.functional.mse_loss(x, y)
            a.add_(1)
            out += [a.item(), b.item(), a.data_ptr() == b.data_ptr()]
        return out

    same(run)


def test_a_warning_comes_every_time():
    x, y = ours.ones(2, 1), ours.ones(2)
    for _ in range(3):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            ours.nn.functional.mse_loss(x, y)
        assert ["different to the input size" in str(w.message) for w in caught] == [True]


def test_an_error_comes_every_time():
    def run(T):
        conv = T.nn.Conv2d(2, 3, 3)
        errors = []
        for channels in (2, 1, 2, 1):
            try:
                conv(T.ones(1, channels, 4, 4))
            except RuntimeError as error:
                errors.append(str(error).split("\n")[0])
        return errors

    same(run)


@pytest.mark.parametrize("name", ("mse", "conv", "attention", "norm", "embedding", "cross_entropy"))
def test_modes_weights_and_data_that_change_between_calls(name):
    def run(T):
        F = T.nn.functional
        T.manual_seed(0)
        w = T.randn(2, 2, 3, requires_grad=True)
        f = {
            "mse": lambda x: F.mse_loss(x * w, w),
            "conv": lambda x: F.conv1d(x, w.reshape(2, 2, 3), None, (1,), (1,), (1,)),
            "attention": lambda x: F.scaled_dot_product_attention(x, w, x * w, is_causal=True),
            "norm": lambda x: F.batch_norm(x, None, None, w[0, :, 0], w[1, :, 0], True),
            "embedding": lambda x: F.embedding(x.flatten().abs().long() % 2, w.reshape(2, 6)),
            "cross_entropy": lambda x: F.cross_entropy(x.reshape(4, 3), (w.reshape(4, 3) > 0).long().argmax(1)),
        }[name]
        out = []
        for i in range(8):
            x = T.randn(2, 2, 3).requires_grad_(i % 3 == 0)
            if i % 4 == 1:
                with T.no_grad():
                    out.append(f(x))
            y = f(x)
            w.grad = None
            out += [y.requires_grad, y, *gradients(T, y, *[t for t in (x, w) if t.requires_grad])]
            if i == 4:
                with T.no_grad():
                    w.mul_(0.5)
            if i == 6:
                w.data = T.ones(2, 2, 3)
        return out

    same(run, rtol=1e-4, atol=1e-5)


def test_options_that_look_alike():
    def run(T):
        F = T.nn.functional
        T.manual_seed(0)
        x, w, b = T.randn(1, 2, 5, 5), T.randn(4, 2, 3, 3), T.randn(4)
        out = []
        for _ in range(2):
            out += [
                F.conv2d(x, w),
                F.conv2d(x, w, b),
                F.conv2d(x, w, None, (1, 1), (1, 1)),
                F.conv2d(x, w, None, [1, 1], [1, 1]),
                F.conv2d(x, w, None, (1, 1), "same"),
                F.conv2d(x, w, None, (2, 2), (1, 1), (1, 1)),
                F.conv2d(x, w, None, (1, 1), (0, 0), (2, 2)),
                F.conv2d(x[0], w, None, (1, 1), (0, 0), (1, 1)),
                F.conv2d(x[:, :1], w[:, :1], None, (1, 1), (0, 0), (1, 1)),
                T.arange(3),
                T.arange(0, 3),
                T.arange(3.0),
                T.arange(3, dtype=T.float64),
                T.arange(0, 3, 2),
                x.view(1, 50),
                x.view(5, 10),
                x.transpose(0, -1),
                x.transpose(-4, 3),
            ]
        return out

    same(run)


def test_a_size_that_only_equals_an_integer_is_refused_also_where_the_view_is_known():
    x = ours.ones(2, 3) * 2
    x.view(3, 2)
    with pytest.raises(TypeError):
        x.view(3.0, 2)


def test_a_factor_that_changes_is_not_remembered():
    """A momentum that differs from step to step is run-time data: what is recorded with it belongs to one trace."""

    def run(T):
        T.manual_seed(0)
        mean, var = T.zeros(3), T.ones(3)
        for i in range(6):
            T.nn.functional.batch_norm(T.randn(4, 3), mean, var, training=True, momentum=1.0 / (i % 4 + 1))
            (mean + var).tolist()
        return mean, var

    same(run)


def test_what_a_dropped_model_left_is_forgotten():
    gc.collect()
    arena.collect()  # what earlier tests dropped must not go in between
    before = len(remembered._seen)
    for _ in range(3):
        model = ours.nn.Sequential(ours.nn.Conv1d(2, 3, 3), ours.nn.BatchNorm1d(3))
        model(ours.ones(2, 2, 6)).sum().item()
    grown = len(remembered._seen)
    assert grown > before
    del model
    gc.collect()
    arena.collect()
    assert len(remembered._seen) < grown
