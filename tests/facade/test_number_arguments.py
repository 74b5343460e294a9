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
    "addcmul": lambda T, x, p: T.addcmul(x, x, x, value=p),
    "addcdiv": lambda T, x, p: x.addcdiv(x, x, value=p),
    "scalar_tensor": lambda T, x, p: T.scalar_tensor(p),
    "normal_": lambda T, x, p: (T.manual_seed(0), x.detach().normal_(p, 1.0))[1],
    "uniform_": lambda T, x, p: (T.manual_seed(0), x.detach().uniform_(0, p))[1],
    "exponential_": lambda T, x, p: (T.manual_seed(0), x.detach().exponential_(p))[1],
}


@pytest.mark.parametrize("what", CALLS)
def test_a_number_that_wants_a_gradient_is_refused(what):
    for T in (torch, ours):
        x = T.tensor([-1.0, 2.0], requires_grad=True)
        with pytest.raises(TypeError, match=r"must be (N|n)umber, not Tensor|must be float, not Tensor"):
            CALLS[what](T, x, T.tensor(0.5, requires_grad=True))
    theirs, mine = [CALLS[what](T, T.tensor([-1.0, 2.0], requires_grad=True), T.tensor(0.5)).tolist() for T in (torch, ours)]
    assert mine == pytest.approx(theirs, rel=1e-6)


@pytest.mark.parametrize("bounds", [lambda p: (p,), lambda p: (0, p), lambda p: (0, 2, p)])
def test_a_bound_that_wants_a_gradient_is_refused(bounds):
    for T in (torch, ours):
        with pytest.raises(TypeError):
            T.arange(*bounds(T.tensor(0.5, requires_grad=True)))
    assert ours.arange(*bounds(ours.tensor(0.5))).tolist() == torch.arange(*bounds(torch.tensor(0.5))).tolist()


@pytest.mark.parametrize("value", ["a", 1, None])
def test_requires_grad_is_a_bool(value):
    for T in (torch, ours):
        x = T.ones(2)
        with pytest.raises(RuntimeError, match="requires_grad must be a bool"):
            x.requires_grad = value


SECOND_ONLY = "maximum minimum fmax fmin fmod eq ne lt le gt ge copysign logical_and logical_or logical_xor rsub".split()


@pytest.mark.parametrize("name", [*SECOND_ONLY, "pow", "remainder", "floor_divide", "xlogy", "add", "mul", "div"])
@pytest.mark.parametrize("number", [2.0, 2, True])
def test_a_number_as_the_first_operand(name, number):
    def run(T):
        try:
            return getattr(T, name)(number, T.tensor([1.5, 3.0])).tolist()
        except TypeError:
            return "refused"

    assert run(ours) == run(torch)
    assert (run(ours) == "refused") is (name in SECOND_ONLY)
