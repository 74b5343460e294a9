"""Anomaly detection: a backward pass is refused at the first step that returns a NaN, at the call, as by PyTorch."""

import pytest

import torchlike_asg as ours

torch = pytest.importorskip("torch")

pytestmark = pytest.mark.filterwarnings("ignore:Anomaly Detection has been enabled", "ignore:.*Traceback of forward call")


def spoiled(L):
    class Spoiled(L.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.clone()

        @staticmethod
        def backward(ctx, g):
            return g * float("nan")

    return Spoiled.apply


LOSSES = {
    "root": lambda L, x: (x.sqrt() * 0).sum(),
    "masked": lambda L, x: L.where(x > 0, x.log(), x * 0).sum(),
    "quotient": lambda L, x: (x / (x * 2)).exp().sum(),
    "custom": lambda L, x: (spoiled(L)(x * 2) + x).sum(),
}


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("inside", [True, False])
def test_the_step_is_named_where_the_pass_begins(name, inside):
    found = []
    for L in (torch, ours):
        x = L.tensor([0.0, 1.0], requires_grad=True)
        loss = None if inside else LOSSES[name](L, x)
        with L.autograd.detect_anomaly(), pytest.raises(RuntimeError, match="returned nan values in its") as caught:
            (LOSSES[name](L, x) if loss is None else loss).backward()
        found.append(str(caught.value).partition(" returned")[0])
    assert found[0] == found[1]


def test_passes_without_a_nan_are_as_they_were():
    found = []
    for L in (torch, ours):
        x = L.tensor([0.5, 1.0], requires_grad=True)
        with L.autograd.detect_anomaly():
            x.register_hook(lambda g: g * 2)
            (x.sqrt() * x.exp()).sum().backward()
        with L.autograd.detect_anomaly(check_nan=False):
            L.autograd.grad((x - 0.5).sqrt().sum() * 0, x)
        found.append(x.grad.tolist())
    assert found[1] == pytest.approx(found[0])
