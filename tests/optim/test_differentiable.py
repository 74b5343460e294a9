"""Steps that can be differentiated: the gradient of what enters a rule as a number is refused, not lost."""

import warnings

import pytest

import torchlike_asg as torch


def step(name, **options):
    start = torch.tensor([0.5, -0.3], requires_grad=True)
    p = start.clone()
    opt = getattr(torch.optim, name)([p], differentiable=True, **options)
    p.grad = start * 3
    return start, p, opt


@pytest.mark.parametrize(
    "name, which", [("Adam", "lr"), ("NAdam", "lr"), ("AdamW", "eps"), ("SGD", "weight_decay"), ("RMSprop", "momentum")]
)
def test_numbers_that_want_a_gradient_are_refused(name, which):
    _, _, opt = step(name, **{which: torch.tensor(0.1, requires_grad=True)})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(NotImplementedError, match=f"'{which}' as a number"):
            opt.step()


def test_a_product_that_wants_a_gradient_is_refused():
    _, p, opt = step("NAdam", lr=0.1)
    product = torch.tensor(0.9, requires_grad=True)
    opt.state[p] = {"step": torch.tensor(2.0), "mu_product": product, "exp_avg": torch.zeros(2), "exp_avg_sq": torch.ones(2)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(NotImplementedError, match="'mu_product' as a number"):
            opt.step()


@pytest.mark.parametrize("name", ["SGD", "RMSprop", "Adagrad", "Adadelta"])
def test_learning_rates_have_one(name):
    lr = torch.tensor(0.1, requires_grad=True)
    start, p, opt = step(name, lr=lr)
    opt.step()
    found = torch.autograd.grad((p**2).sum(), [start, lr])
    assert all(g.abs().sum() > 0 for g in found)
