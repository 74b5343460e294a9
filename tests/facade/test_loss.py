"""The other losses of torch.nn.functional against PyTorch: values, gradients, second gradients, reductions, errors."""

import math

import numpy as np
import pytest

import torchlike_asg as ours

from .compare import same
from .parity import agree, agree_twice, normal, positive, refuses

REDUCTIONS = ("mean", "sum", "none")
X, Y = normal(4, 3), normal(4, 3, seed=1)
P, Q = positive(4, 3), positive(4, 3, seed=1)
SIGNS = np.sign(normal(4, 3, seed=2))

CASES = {
    "mse_loss": ("mse_loss", (X, Y), {}),
    "mse_loss weighted": ("mse_loss", (X, Y), {"weight": P}),
    "l1_loss": ("l1_loss", (X, Y), {}),
    "l1_loss weighted": ("l1_loss", (X, Y), {"weight": P}),
    "smooth_l1_loss": ("smooth_l1_loss", (X, Y), {"beta": 0.7}),
    "smooth_l1_loss beta 0": ("smooth_l1_loss", (X, Y), {"beta": 0.0}),
    "huber_loss": ("huber_loss", (X, Y), {"delta": 0.7}),
    "huber_loss weighted": ("huber_loss", (X, Y), {"weight": P}),
    "binary_cross_entropy": ("binary_cross_entropy", (P, Q), {}),
    "binary_cross_entropy weighted": ("binary_cross_entropy", (P, Q), {"weight": positive(3)}),
    "binary_cross_entropy_with_logits": ("binary_cross_entropy_with_logits", (X * 5, Q), {}),
    "binary_cross_entropy_with_logits weighted": ("binary_cross_entropy_with_logits", (X, Q), {"weight": P, "pos_weight": positive(3)}),
    "kl_div": ("kl_div", (X, P), {}),
    "kl_div log": ("kl_div", (X, Y), {"log_target": True}),
    "poisson_nll_loss": ("poisson_nll_loss", (X, P * 3), {"full": True}),
    "poisson_nll_loss not log": ("poisson_nll_loss", (P, Q * 3), {"log_input": False}),
    "gaussian_nll_loss": ("gaussian_nll_loss", (X, Y, P), {}),
    "gaussian_nll_loss full": ("gaussian_nll_loss", (X, Y, positive(4)), {"full": True}),
    "gaussian_nll_loss number": ("gaussian_nll_loss", (X, Y, 0.3), {}),
    "hinge_embedding_loss": ("hinge_embedding_loss", (X, SIGNS.astype(np.int64)), {"margin": 0.8}),
    "margin_ranking_loss": ("margin_ranking_loss", (X, Y, SIGNS), {"margin": 0.3}),
    "soft_margin_loss": ("soft_margin_loss", (X, SIGNS), {}),
    "multi_margin_loss": ("multi_margin_loss", (X, np.array([0, 2, 1, 1])), {}),
    "multi_margin_loss squared": ("multi_margin_loss", (X, np.array([0, 2, 1, 1])), {"p": 2, "margin": 0.5, "weight": positive(3)}),
    "multilabel_margin_loss": ("multilabel_margin_loss", (X, np.array([[0, 2, -1], [-1, 0, 1], [0, 1, 2], [1, -1, 2]])), {}),
    "multilabel_soft_margin_loss": ("multilabel_soft_margin_loss", (X, np.abs(SIGNS)), {"weight": positive(3)}),
    "triplet_margin_loss": ("triplet_margin_loss", (X, Y, normal(4, 3, seed=5)), {}),
    "triplet_margin_loss swapped": ("triplet_margin_loss", (X, Y, normal(4, 3, seed=5)), {"swap": True, "p": 1.0, "margin": 0.4}),
    "triplet_margin_with_distance_loss": ("triplet_margin_with_distance_loss", (X, Y, normal(4, 3, seed=5)), {"swap": True}),
    "cosine_embedding_loss": ("cosine_embedding_loss", (X, Y, np.array([1, -1, 1, -1])), {"margin": 0.1}),
}
FIXED = {"soft_margin_loss": (1,), "multilabel_soft_margin_loss": (1,)}  # PyTorch does not differentiate by these targets
#: PyTorch has no second gradient (or, of an absolute value, a tensor that cannot be read)
FIRST_ONLY = {
    "triplet_margin_loss swapped",
    "multilabel_margin_loss",
    "multi_margin_loss",
    "l1_loss",
    "smooth_l1_loss beta 0",
    "l1_loss weighted",
    "multi_margin_loss squared",
}


@pytest.mark.filterwarnings("ignore:reduction. 'mean' divides")
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("case", CASES)
def test_against_pytorch(case, reduction):
    name, args, kwargs = CASES[case]
    constant = (*FIXED.get(name, ()), "weight", "pos_weight")
    agree(name, *args, reduction=reduction, constant=constant, **kwargs)
    if case not in FIRST_ONLY:
        agree_twice(name, *args, reduction=reduction, constant=constant, **kwargs)


@pytest.mark.parametrize("name", ["mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss"])
def test_broadcasting_warns(name):
    with pytest.warns(UserWarning, match="Using a target size"):
        agree(name, X, normal(3))


@pytest.mark.parametrize("name", ["mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss"])
def test_promotion(name):
    same(lambda lib: getattr(lib.nn.functional, name)(lib.tensor(X), lib.tensor(Y.astype(np.float64))))
    same(lambda lib: getattr(lib.nn.functional, name)(lib.tensor(X), lib.tensor([[1, 2, 3]] * 4)))
    same(lambda lib: getattr(lib.nn.functional, name)(lib.tensor(X).half(), lib.tensor(Y).half()), rtol=2e-3, atol=2e-3)


def test_kinks():
    """Zero differences, differences at the thresholds, certain predictions."""
    d = np.float32([-1.0, -0.5, 0.0, 0.5, 1.0])
    for name, kwargs in (("l1_loss", {}), ("smooth_l1_loss", {"beta": 0.5}), ("huber_loss", {"delta": 0.5}), ("mse_loss", {})):
        agree(name, d, np.zeros(5, np.float32), reduction="none", **kwargs)
    agree("binary_cross_entropy", np.float32([0, 1, 0, 1]), np.float32([0, 1, 1, 0]), reduction="none", constant=(1,))
    agree("binary_cross_entropy_with_logits", np.float32([0, 100, -100, 100]), np.float32([0, 1, 1, 0]), reduction="none")
    agree("kl_div", d, np.float32([0, 0.1, 0.2, 0.3, 0.4]), reduction="sum", constant=(1,))


def test_kl_batchmean():
    agree("kl_div", X, P, reduction="batchmean")
    with pytest.warns(UserWarning, match="batchmean"):
        agree("kl_div", X, P)


def test_single_samples():
    agree("multi_margin_loss", X[0], np.array(1))
    agree("multilabel_margin_loss", X[0], np.array([0, -1, 2]))
    agree("cosine_embedding_loss", X[0], Y[0], np.array(1))
    agree("multi_margin_loss", X[0], np.array([1]), reduction="none")


def test_distance_function():
    def run(lib):
        loss = lib.nn.functional.triplet_margin_with_distance_loss
        return loss(lib.tensor(X), lib.tensor(Y), lib.tensor(Y + 0.3), distance_function=lambda a, b: (a - b).abs().sum(-1), margin=2.0)

    same(run)


def test_numbered_reductions_at_top_level():
    for number in (0, 1, 2):
        same(lambda lib, r=number: lib.hinge_embedding_loss(lib.tensor(X), lib.tensor(SIGNS), 0.5, r))
        same(lambda lib, r=number: lib.margin_ranking_loss(lib.tensor(X), lib.tensor(Y), lib.tensor(SIGNS), 0.5, r))
        same(lambda lib, r=number: lib.kl_div(lib.tensor(X), lib.tensor(P), r, log_target=False))
        same(lambda lib, r=number: lib.poisson_nll_loss(lib.tensor(X), lib.tensor(P), True, False, 1e-8, r))
        same(lambda lib, r=number: lib.binary_cross_entropy_with_logits(lib.tensor(X), lib.tensor(P), None, lib.tensor(positive(3)), r))
        same(lambda lib, r=number: lib.triplet_margin_loss(lib.tensor(X), lib.tensor(Y), lib.tensor(X + 1), 1.0, 2.0, 1e-6, False, r))
        same(lambda lib, r=number: lib.cosine_embedding_loss(lib.tensor(X), lib.tensor(Y), lib.tensor([1, -1, 1, 1]), 0.2, r))


class TestCTC:
    def sample(self, order=1):
        x = normal(7, 3, 5)
        x -= np.log(np.exp(x).sum(-1, keepdims=True))
        return x, np.array([7, 6, 5]), np.array([3, 2, 0])

    @pytest.mark.parametrize("reduction", REDUCTIONS)
    def test_padded_and_concatenated(self, reduction):
        x, times, lengths = self.sample()
        agree("ctc_loss", x, np.array([[1, 2, 2], [3, 3, 0], [4, 0, 0]]), times, lengths, reduction=reduction)
        agree("ctc_loss", x, np.array([1, 2, 2, 3, 3]), (7, 6, 5), (3, 2, 0), reduction=reduction)

    @pytest.mark.parametrize("reduction", REDUCTIONS)
    def test_one_sample(self, reduction):
        x, _, _ = self.sample()
        agree("ctc_loss", x[:, 0], np.array([1, 2, 2]), np.array([7]), np.array([3]), reduction=reduction)

    def test_blank(self):
        x, times, lengths = self.sample()
        agree("ctc_loss", x, np.array([[1, 2, 2], [3, 3, 0], [4, 0, 0]]), times, lengths, blank=4)

    def test_impossible_targets(self):
        x, _, lengths = self.sample()
        agree("ctc_loss", x, np.array([[1, 1, 1], [3, 3, 0], [4, 0, 0]]), np.array([3, 6, 5]), lengths, zero_infinity=True)
        agree("ctc_loss", x, np.array([[1, 1, 1], [3, 3, 0], [4, 0, 0]]), np.array([3, 6, 5]), lengths, reduction="none", order=0)

    @pytest.mark.parametrize(
        ("times", "lengths"), [((7, 6, 5), (4, 2, 0)), ((7, 8, 5), (3, 2, 0)), ((7, 6, 5), (3, 2, -1)), ((7, -1, 5), (3, 2, 0))]
    )
    @pytest.mark.parametrize("tensors", [False, True])
    def test_lengths_that_there_are_not_are_refused_at_the_call(self, times, lengths, tensors):
        said = []
        for lib in (pytest.importorskip("torch"), ours):
            x, y = lib.zeros(7, 3, 5).log_softmax(-1), lib.ones(3, 3, dtype=lib.int64)
            given = [lib.tensor(times), lib.tensor(lengths)] if tensors else [times, lengths]
            with pytest.raises(RuntimeError) as caught:
                lib.nn.functional.ctc_loss(x, y, *given)
            said.append(str(caught.value))
        assert said[0] == said[1]

    def test_through_log_softmax(self):
        def run(lib):
            x = lib.tensor(normal(7, 3, 5), requires_grad=True)
            lib.nn.functional.ctc_loss(x.log_softmax(-1), lib.tensor([[1, 2, 2], [3, 3, 1], [4, 1, 2]]), (7, 6, 7), (3, 2, 3)).backward()
            return x.grad

        same(run)


def test_errors():
    refuses("smooth_l1_loss", X, Y, beta=-1.0)
    refuses("huber_loss", X, Y, delta=0.0)
    refuses("mse_loss", X, Y, weight=np.ones(3, np.float32))
    refuses("mse_loss", np.array([1, 2]), np.array([1, 2]))
    refuses("binary_cross_entropy", X, P)
    refuses("binary_cross_entropy", P, positive(3))
    refuses("binary_cross_entropy", P, P.astype(np.float64))
    refuses("binary_cross_entropy_with_logits", X, positive(3))
    refuses("gaussian_nll_loss", X, Y, -P)
    refuses("gaussian_nll_loss", X, Y, positive(3))
    refuses("gaussian_nll_loss", X, Y, -0.5)
    refuses("gaussian_nll_loss", X, Y, P, reduction="average")
    refuses("margin_ranking_loss", X, X[0], SIGNS)
    refuses("multi_margin_loss", X, np.array([0, 1, 2]))
    refuses("multi_margin_loss", X, np.array([0, 1, 2, 0]), p=3)
    refuses("multilabel_margin_loss", X, np.array([0, 1]))
    refuses("triplet_margin_loss", X, Y, X[0])
    refuses("triplet_margin_loss", X, Y, X, margin=-1.0)
    refuses("cosine_embedding_loss", X, Y, np.ones((4, 3)))
    refuses("cosine_embedding_loss", X[0], Y, np.array(1))
    refuses("poisson_nll_loss", X, P, reduction="average")


TYPES = (("float32", "float64"), ("float64", "float32"), ("bfloat16", "float32"), ("float16", "bfloat16"))


@pytest.mark.parametrize("name", ["binary_cross_entropy_with_logits", "soft_margin_loss"])
@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_types_of_losses_of_two_types(name, reduction):
    torch = pytest.importorskip("torch")
    import torchlike_asg as ours

    for first, second in TYPES:
        results = []
        for T in (torch, ours):
            x = T.tensor([0.2, 0.7, 0.4]).to(getattr(T, first)).requires_grad_()
            loss = getattr(T.nn.functional, name)(x, T.tensor([1.0, 0.3, 0.6]).to(getattr(T, second)), reduction=reduction)
            loss.sum().backward()
            results.append((str(loss.dtype), str(x.grad.dtype), [*loss.double().flatten().tolist(), *x.grad.double().tolist()]))
        (a, b, values), (c, d, mine) = results
        assert (a, b) == (c, d), (first, second)
        assert mine == pytest.approx(values, rel=2e-2, abs=1e-2), (first, second)


@pytest.mark.parametrize(
    "name, error",
    [
        ("binary_cross_entropy_with_logits", NotImplementedError),
        ("multilabel_margin_loss", NotImplementedError),
        ("hinge_embedding_loss", RuntimeError),
    ],
)
def test_losses_of_integers_are_refused(name, error):
    torch = pytest.importorskip("torch")
    import torchlike_asg as ours

    for T in (torch, ours):
        target = T.tensor([1.0, 0.0]) if "logits" in name else T.tensor([1, 0])
        with pytest.raises(error):
            getattr(T.nn.functional, name)(T.tensor([3, 2]), target)


@pytest.mark.parametrize("p", [1, 2])
@pytest.mark.parametrize("margin", [math.nan, math.inf, -math.inf])
def test_margins_that_are_not_finite(margin, p):
    """A score counts where it is beyond the margin, which a NaN is not; what does not count has no gradient, not NaN."""

    def run(T):
        x = T.tensor([[0.1, 0.5, 0.3], [1, 2, math.nan]], requires_grad=True)
        loss = T.nn.functional.multi_margin_loss(x, T.tensor([1, 0]), p, margin, T.tensor([1.0, 2, 3]), reduction="none")
        return loss, T.autograd.grad(loss.sum(), x)

    same(run)
