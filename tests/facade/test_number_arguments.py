"""A tensor of one element stands for a number where PyTorch takes one, but not if it wants a gradient, which would be lost."""

import pytest

torch = pytest.importorskip("torch")
import torchlike_asg as ours  # noqa: E402

CALLS = {
    "leaky_relu": lambda T, x, p: T.nn.functional.leaky_relu(x, p),
    "leaky_relu by name": lambda T, x, p: T.nn.functional.leaky_relu(x, negative_slope=p),
    "elu": lambda T, x, p: T.nn.functional.elu(x, p),
    "celu": lambda T, x, p: T.nn.functional.celu(x, p),
    "hardtanh": lambda T, x, p: T.nn.functional.hardtanh(x, p, 2.0),
    "softplus": lambda T, x, p: T.nn.functional.softplus(x, p),
    "smooth_l1_loss": lambda T, x, p: T.nn.functional.smooth_l1_loss(x, x.detach() + 1, beta=p),
    "cross_entropy": lambda T, x, p: T.nn.functional.cross_entropy(x[None], T.tensor([1]), label_smoothing=p),
    "layer_norm": lambda T, x, p: T.nn.functional.layer_norm(x, (2,), eps=p),
    "full": lambda T, x, p: T.full((2,), p),
    "norm": lambda T, x, p: T.linalg.vector_norm(x, p),
}


@pytest.mark.parametrize("what", CALLS)
def test_a_number_that_wants_a_gradient_is_refused(what):
    for T in (torch, ours):
        x = T.tensor([-1.0, 2.0], requires_grad=True)
        with pytest.raises(TypeError, match=r"must be (N|n)umber, not Tensor|must be float, not Tensor"):
            CALLS[what](T, x, T.tensor(0.5, requires_grad=True))
    theirs, mine = [CALLS[what](T, T.tensor([-1.0, 2.0], requires_grad=True), T.tensor(0.5)).tolist() for T in (torch, ours)]
    assert mine == pytest.approx(theirs, rel=1e-6)
