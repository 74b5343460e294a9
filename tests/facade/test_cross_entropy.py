"""Cross-entropy and negative log likelihood: every kind of target, weights, reductions, smoothing, errors."""

import numpy as np
import pytest

import torchlike_asg as ours

from .compare import same
from .parity import agree, agree_twice, normal, positive, refuses

T = np.array([0, 2, 4, -100, 1])
IMAGE, LABELS = normal(2, 3, 4, 5), np.random.default_rng(0).integers(0, 3, (2, 4, 5))
REDUCTIONS = ("mean", "sum", "none")


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("weighted", [False, True])
class TestCrossEntropy:
    def arguments(self, classes, reduction, smoothing, weighted):
        return {
            "reduction": reduction,
            "label_smoothing": smoothing,
            "weight": positive(classes) if weighted else None,
            "constant": ("weight",),
        }

    def test_indices(self, reduction, smoothing, weighted):
        agree_twice("cross_entropy", normal(5, 5), T, **self.arguments(5, reduction, smoothing, weighted))
        agree("cross_entropy", normal(5, 5), T, **self.arguments(5, reduction, smoothing, weighted))

    def test_images(self, reduction, smoothing, weighted):
        agree("cross_entropy", IMAGE, LABELS, **self.arguments(3, reduction, smoothing, weighted))
        agree("cross_entropy", IMAGE, LABELS, ignore_index=1, **self.arguments(3, reduction, smoothing, weighted))

    def test_one_sample(self, reduction, smoothing, weighted):
        agree("cross_entropy", normal(4), np.array(2), **self.arguments(4, reduction, smoothing, weighted))

    def test_probabilities(self, reduction, smoothing, weighted):
        arguments = self.arguments(4, reduction, smoothing, weighted)
        agree_twice("cross_entropy", normal(5, 4), positive(5, 4), **arguments)
        agree("cross_entropy", normal(4), positive(4), **arguments)
        agree("cross_entropy", normal(2, 4, 3), positive(2, 4, 3), **arguments)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("weight", [None, positive(5)], ids=["plain", "weighted"])
def test_nll_loss(reduction, weight):
    agree_twice("nll_loss", normal(5, 5), T, reduction=reduction, weight=weight, constant=("weight",))
    agree("nll_loss", normal(2, 5, 3), np.array([[0, 4, 2], [1, 1, 3]]), reduction=reduction, weight=weight, constant=("weight",))
    agree("nll_loss", normal(5), np.array(3), reduction=reduction, weight=weight, constant=("weight",))
    agree("nll_loss", normal(5, 5), T.astype(np.uint8) % 5, reduction=reduction)


def test_everything_ignored_gives_nan():
    agree("cross_entropy", normal(2, 3), np.array([-100, -100]), order=0)
    agree("cross_entropy", normal(2, 3), np.array([-100, -100]), reduction="sum")


def test_empty_batch():
    for reduction in REDUCTIONS:
        agree("cross_entropy", np.zeros((0, 3), np.float32), np.zeros(0, np.int64), reduction=reduction, order=0)


def test_hidden_classes():
    """Minus infinity as a score: probability zero, gradient zero."""
    x = normal(3, 4)
    x[:, 1] = -np.inf
    agree("cross_entropy", x, np.array([0, 2, 3]))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision(dtype):
    same(lambda lib: lib.nn.functional.cross_entropy(lib.tensor(normal(5, 5)).to(getattr(lib, dtype)), lib.tensor(T)), rtol=1e-2, atol=1e-2)


def test_promotion_of_probabilities():
    same(lambda lib: lib.nn.functional.cross_entropy(lib.tensor(normal(2, 3)), lib.tensor(positive(2, 3, dtype=np.float64))))


def test_gradient_of_the_mean():
    """(softmax - onehot) / number of samples, nothing else."""
    x = ours.tensor(normal(4, 6), requires_grad=True)
    target = ours.tensor([1, 5, 0, 2])
    ours.nn.functional.cross_entropy(x, target).backward()
    want = (x.detach().softmax(1) - ours.nn.functional.one_hot(target, 6)) / 4
    np.testing.assert_allclose(x.grad.numpy(), want.numpy(), atol=1e-7)


def test_scores_may_be_overwritten_before_backward():
    def run(lib):
        x = lib.tensor(normal(3, 4), requires_grad=True)
        scores = x * 2
        loss = lib.nn.functional.cross_entropy(scores, lib.tensor([0, 1, 2]))
        scores.zero_()
        loss.backward()
        return x.grad

    same(run)


def test_legacy_flags():
    with pytest.warns(UserWarning, match="size_average and reduce args will be deprecated"):
        agree("cross_entropy", normal(3, 4), np.array([0, 1, 2]), size_average=False)
    with pytest.warns(UserWarning, match="size_average and reduce args will be deprecated"):
        agree("nll_loss", normal(3, 4), np.array([0, 1, 2]), reduce=False)


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_linear_cross_entropy(reduction):
    agree("linear_cross_entropy", normal(4, 3), normal(5, 3), np.array([0, 1, 2, 4]), linear_bias=normal(5), reduction=reduction)
    agree("linear_cross_entropy", normal(4, 3), normal(5, 2, 3), LABELS[:1, :, :2].reshape(4, 2) + 1, reduction=reduction)


def test_errors():
    x = normal(3, 4)
    for name in ("cross_entropy", "nll_loss"):
        refuses(name, x, np.array([0, 1]))
        refuses(name, x, np.array([0, 1, 4]))
        refuses(name, x, np.array([0, 1, -1]))
        refuses(name, x, np.array([0, 1, 2], np.int32))
        refuses(name, x, np.array([0, 1, 2]), reduction="average")
        refuses(name, x, np.array([0, 1, 2]), weight=np.ones(3, np.float32))
        refuses(name, normal(3, 4, 2), np.array([0, 1, 2]))
    refuses("nll_loss", x, positive(3, 4))
    refuses("cross_entropy", x, np.array([0, 1, 2]), label_smoothing=2.0)
    refuses("cross_entropy", x, positive(3, 4), ignore_index=1)
    refuses("cross_entropy", np.ones((3, 4), np.int64), np.array([0, 1, 2]))
    refuses("cross_entropy", x, np.ones((3, 4), np.int64))
    refuses(lambda lib: lambda x, t: lib.nn.functional.cross_entropy(x, t, weight=lib.ones(4).requires_grad_()), x, np.array([0, 1, 2]))
