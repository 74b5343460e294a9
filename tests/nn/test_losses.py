"""Losses: PyTorch's beside torch's, ours against their formulas."""

from __future__ import annotations

import numpy as np
import pytest

import torchlike_asg as ours
from torchlike_asg import nn

rng = np.random.default_rng(3)


def f(*shape):
    return rng.standard_normal(shape).astype(np.float32)


def log_p(*shape):
    x = f(*shape)
    return x - np.log(np.exp(x).sum(1, keepdims=True))


X, Y = f(4, 3), f(4, 3)
P, BITS = rng.random((4, 3)).astype(np.float32), rng.integers(0, 2, (4, 3)).astype(np.float32)
LABELS = rng.integers(0, 3, 4)
SIGNS = np.where(rng.random(4) < 0.5, -1, 1).astype(np.float32)
CASES = [
    ("L1Loss", {}, [X, Y]),
    ("MSELoss", {}, [X, Y]),
    ("SmoothL1Loss", {"beta": 0.5}, [X, Y]),
    ("HuberLoss", {"delta": 0.5}, [X, Y]),
    ("NLLLoss", {}, [log_p(4, 3), LABELS]),
    ("NLLLoss", {"weight": P[0], "ignore_index": 1}, [log_p(4, 3), LABELS]),
    ("NLLLoss", {}, [log_p(2, 3, 5), rng.integers(0, 3, (2, 5))]),
    ("CrossEntropyLoss", {}, [X, LABELS]),
    ("CrossEntropyLoss", {"weight": P[0], "ignore_index": 2, "label_smoothing": 0.1}, [X, LABELS]),
    ("CrossEntropyLoss", {"label_smoothing": 0.2}, [f(2, 3, 4, 2), rng.integers(0, 3, (2, 4, 2))]),
    ("CrossEntropyLoss", {}, [X, P / P.sum(1, keepdims=True)]),
    ("CrossEntropyLoss", {}, [X[0], LABELS[0:1].reshape(())]),
    ("PoissonNLLLoss", {}, [X, np.abs(Y)]),
    ("PoissonNLLLoss", {"log_input": False, "full": True}, [P, 3 * np.abs(Y)]),
    ("GaussianNLLLoss", {}, [X, Y, P + np.float32(0.1)]),
    ("GaussianNLLLoss", {"full": True}, [X, Y, P[:, :1] + np.float32(0.1)]),
    ("KLDivLoss", {}, [log_p(4, 3), P]),
    ("KLDivLoss", {"reduction": "batchmean", "log_target": True}, [log_p(4, 3), log_p(4, 3)]),
    ("BCELoss", {}, [P, BITS]),
    ("BCELoss", {"weight": P[0]}, [P, BITS]),
    ("BCEWithLogitsLoss", {}, [3 * X, BITS]),
    ("BCEWithLogitsLoss", {"weight": P[1], "pos_weight": P[2] + 1}, [X, BITS]),
    ("HingeEmbeddingLoss", {"margin": 0.7}, [X, np.sign(Y)]),
    ("CosineEmbeddingLoss", {"margin": 0.2}, [X, Y, SIGNS]),
    ("MarginRankingLoss", {"margin": 0.2}, [X[:, 0].copy(), Y[:, 0].copy(), SIGNS]),
    ("SoftMarginLoss", {}, [X, np.sign(Y)]),
    ("MultiLabelMarginLoss", {}, [X, np.array([[0, -1, 1], [2, 1, -1], [1, 0, 2], [-1, 0, 1]])]),
    ("MultiLabelSoftMarginLoss", {"weight": P[0]}, [X, BITS]),
    ("MultiMarginLoss", {"margin": 0.8}, [X, LABELS]),
    ("MultiMarginLoss", {"p": 2, "weight": P[0]}, [X, LABELS]),
    ("TripletMarginLoss", {}, [X, Y, f(4, 3)]),
    ("TripletMarginLoss", {"margin": 0.5, "p": 1.0, "swap": True}, [X, Y, f(4, 3)]),
    ("TripletMarginWithDistanceLoss", {"swap": True}, [X, Y, f(4, 3)]),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0]}{case[1] or ''}")
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_like_torch(parity, case, reduction):
    name, options, inputs = case
    theirs, mine = parity.make(name, **{"reduction": reduction, **options})
    assert repr(theirs) == repr(mine)
    parity.same_state(theirs, mine)

    class OnInput:
        """Gradients of the first input only: some targets have none in torch."""

        def __init__(self, loss, package):
            self.loss, self.package = loss, package

        def __call__(self, *tensors):
            return self.loss(*tensors[:1], *(t.detach() for t in tensors[1:]))

    parity.forward(OnInput(theirs, parity.torch), OnInput(mine, ours), *inputs)


LINEAR = [
    ({}, (4,), (5,), 3),
    ({"bias": True, "ignore_index": 1, "reduction": "sum"}, (4,), (5,), 3),
    ({"bias": True, "out_features": (2, 3), "label_smoothing": 0.1, "reduction": "none"}, (4,), (5, 2, 3), 3),
    ({"weight": P[0]}, (4,), (5, 3), 0),
]


@pytest.mark.parametrize("case", LINEAR, ids=lambda case: str(case[0]))
def test_a_linear_layer_and_its_loss(parity, case):
    options, features, target, classes = case
    labels = rng.integers(0, classes, target) if classes else np.full(target, 1 / 3, np.float32)
    theirs, mine = parity.make("LinearCrossEntropyLoss", *features, 3, **options)
    assert repr(theirs) == repr(mine)
    parity.same_state(theirs, mine)
    parity.forward(theirs, mine, f(5, *features), labels)


def test_ctc_loss(parity):
    theirs, mine = parity.make("CTCLoss", zero_infinity=True)
    targets, lengths = np.array([[1, 2, 2], [3, 1, 0]]), np.array([5, 4])
    x = f(5, 2, 4)
    x -= np.log(np.exp(x).sum(2, keepdims=True))
    parity.forward(theirs, mine, x, targets, lengths, np.array([3, 2]))


def test_legacy_flags():
    for flags, expected in (({"size_average": False}, "sum"), ({"reduce": False}, "none"), ({"size_average": True}, "mean")):
        with pytest.warns(UserWarning, match=f"reduction='{expected}'"):
            assert nn.MSELoss(**flags).reduction == expected


def test_weights_are_buffers_that_move_with_the_module():
    loss = nn.CrossEntropyLoss(weight=ours.ones(3)).double()
    assert loss.weight.dtype == ours.float64
    assert list(loss.state_dict()) == ["weight"]


def reduced(values, reduction):
    return {"none": values, "mean": values.mean(), "sum": values.sum()}[reduction]


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_hinge_losses(reduction):
    y = np.sign(Y)
    hinge = np.maximum(0, 0.8 - y * X)
    for loss, values in ((nn.HingeLoss(0.8, reduction), hinge), (nn.SquaredHingeLoss(0.8, reduction), hinge**2)):
        np.testing.assert_allclose(loss(ours.from_numpy(X), ours.from_numpy(y)).numpy(), reduced(values, reduction), 1e-5)


@pytest.mark.parametrize("alpha", [0.25, None])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_binary_focal_loss(alpha, reduction):
    p = 1 / (1 + np.exp(-X))
    p_t = np.where(BITS == 1, p, 1 - p)
    values = -((1 - p_t) ** 2) * np.log(p_t) * (1 if alpha is None else np.where(BITS == 1, alpha, 1 - alpha))
    for target in (BITS, BITS.astype(np.int64)):
        found = nn.FocalLoss(alpha, reduction=reduction)(ours.from_numpy(X), ours.from_numpy(target))
        np.testing.assert_allclose(found.numpy(), reduced(values, reduction), 1e-5)


@pytest.mark.parametrize("alpha", [None, 0.3, np.array([0.2, 0.5, 1.5], np.float32)], ids=str)
def test_focal_loss_of_classes(alpha):
    x, target = f(2, 3, 4), rng.integers(0, 3, (2, 4))
    p = np.exp(x) / np.exp(x).sum(1, keepdims=True)
    p_t = np.take_along_axis(p, target[:, None], 1)[:, 0]
    weight = 1 if alpha is None else alpha[target] if isinstance(alpha, np.ndarray) else alpha
    given = ours.from_numpy(alpha) if isinstance(alpha, np.ndarray) else alpha
    found = nn.FocalLoss(given, gamma=1.5, reduction="none")(ours.from_numpy(x), ours.from_numpy(target))
    np.testing.assert_allclose(found.numpy(), -weight * (1 - p_t) ** 1.5 * np.log(p_t), 1e-4, 1e-6)


def test_focal_loss_without_focus_is_cross_entropy():
    x, target = ours.from_numpy(X), ours.from_numpy(LABELS)
    a, b = nn.FocalLoss(None, gamma=0.0)(x, target), nn.CrossEntropyLoss()(x, target)
    np.testing.assert_allclose(a.numpy(), b.numpy(), 1e-6)


def test_focal_loss_is_finite_where_the_model_is_sure():
    x = ours.tensor([80.0, -80.0, 80.0, -80.0], requires_grad=True)
    loss = nn.FocalLoss()(x, ours.tensor([1.0, 0.0, 0.0, 1.0]))
    loss.backward()
    assert np.isfinite(loss.item())
    assert np.isfinite(x.grad.numpy()).all()


@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_dice_loss(reduction):
    x, bits = f(2, 3, 4, 2), rng.integers(0, 2, (2, 3, 4, 2)).astype(np.float32)
    p = 1 / (1 + np.exp(-x))
    dice = 1 - (2 * (p * bits).sum((2, 3)) + 1) / (p.sum((2, 3)) + bits.sum((2, 3)) + 1)
    found = nn.DiceLoss(reduction=reduction)(ours.from_numpy(x), ours.from_numpy(bits))
    np.testing.assert_allclose(found.numpy(), reduced(dice, reduction), 1e-5)
    target = rng.integers(0, 3, (2, 4, 2))
    p, truth = np.exp(x) / np.exp(x).sum(1, keepdims=True), np.moveaxis(np.eye(3)[target], -1, 1)
    dice = 1 - 2 * (p * truth).sum((2, 3)) / (p.sum((2, 3)) + truth.sum((2, 3)))
    found = nn.DiceLoss(smooth=0.0, reduction=reduction)(ours.from_numpy(x), ours.from_numpy(target))
    np.testing.assert_allclose(found.numpy(), reduced(dice, reduction), 1e-5)


@pytest.mark.parametrize(
    ("make", "target"),
    [
        (lambda: nn.HingeLoss(), np.sign(Y)),
        (lambda: nn.SquaredHingeLoss(), np.sign(Y)),
        (lambda: nn.FocalLoss(), BITS),
        (lambda: nn.FocalLoss(None, gamma=1.0), LABELS),
        (lambda: nn.DiceLoss(), BITS),
        (lambda: nn.DiceLoss(), LABELS),
    ],
)
def test_gradients_by_finite_differences(make, target):
    loss, t = make().double(), ours.from_numpy(target if target.dtype == np.int64 else target.astype(np.float64))
    x = ours.from_numpy(X.astype(np.float64)).requires_grad_()
    loss(x, t).backward()
    numeric = np.empty_like(X, np.float64)
    for index in np.ndindex(X.shape):
        ends = []
        for step in (1e-6, -1e-6):
            moved = X.astype(np.float64)
            moved[index] += step
            ends.append(loss(ours.from_numpy(moved), t).item())
        numeric[index] = (ends[0] - ends[1]) / 2e-6
    np.testing.assert_allclose(x.grad.numpy(), numeric, 1e-6, 1e-8)


def test_losses_are_per_sample():
    """One sample's loss does not depend on the others in its batch."""
    x, signs, bits = ours.from_numpy(X), ours.from_numpy(np.sign(Y)), ours.from_numpy(BITS)
    for kind, target in ((nn.HingeLoss, signs), (nn.FocalLoss, bits), (nn.DiceLoss, bits)):
        loss = kind(reduction="none")
        whole = loss(x, target).numpy()
        for i in range(4):
            np.testing.assert_allclose(loss(x[i : i + 1], target[i : i + 1]).numpy()[0], whole[i], 1e-6)


def test_wrong_shapes_and_reductions():
    for loss in (nn.FocalLoss(), nn.DiceLoss()):
        with pytest.raises(ValueError, match="shape"):
            loss(ours.zeros(2, 3), ours.zeros(5))
    with pytest.raises(ValueError, match="nonsense"):
        nn.FocalLoss(reduction="nonsense")
