"""The first bad value is named, also where a step is one plan and the parameters are NaN by the time that anybody knows."""

import numpy as np
import pytest

import torchlike_asg as torch
from torchlike_asg import nn
from torchlike_asg.viewer import attach
from torchlike_asg.viewer.protocol import decode


class Scaled(nn.Module):
    """``f(|linear(x)| * scale)``."""

    def __init__(self, f):
        super().__init__()
        self.fc, self.f = nn.Linear(6, 3), f

    def forward(self, x, scale):
        return self.f(self.fc(x), scale)


def alarms(model, scales, lr=0.01, loss=lambda y: y.mean(), settle=True, device="cpu", read=False):
    """Train without reading the loss; the alarms, each with the node's operation (or a leaf's name)."""
    torch.manual_seed(0)
    model.to(device)
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    handle = attach(model, window=False)
    session = handle._session
    x = torch.randn(4, 6).to(device)
    for scale in scales:
        optimizer.zero_grad()
        out = loss(model(x, torch.tensor(scale, device=device)))
        out.backward()
        optimizer.step()
        if read:
            out.item()
        if settle:
            session._governor.credit, session._looked, session._kept_at = 9.0, 0.0, 0.0
            handle._settle()
    handle._settle()
    graphs = {}
    found = []
    for m in map(decode, session.publisher.history._graphs):
        graphs[m.epoch] = m.columns
    for m in map(decode, session.publisher.history._rest):
        if m.kind == "alarm":
            g = graphs[m.epoch]
            name = "" if m.node < 0 else g["texts"][g["name"][m.node]] or g["texts"][g["op"][m.node]]
            found.append((m.step, name, m.what, m.nonfinite))
    trouble = session.trouble
    handle.detach()
    assert not trouble
    return found


GOOD, BAD = [1.0] * 6, [0.0] * 3
CASES = {
    "log of a negative": (lambda y, s: torch.log(y.abs() * s), [1.0] * 6 + [-1.0] * 3, ("log", "nan")),
    "log of 0": (lambda y, s: torch.log(y.abs() * s), GOOD + BAD, ("log", "inf")),
    "0 / 0": (lambda y, s: (y * s) / (y.abs() * s), GOOD + BAD, ("div", "nan")),
    "x / 0": (lambda y, s: (y + 1.0) / s, GOOD + BAD, ("div", "inf")),
    "overflow": (lambda y, s: torch.exp(y * s).softmax(-1).square(), [1.0] * 6 + [1e30] * 3, ("exp", "inf")),
    "a masked row": (lambda y, s: (y + torch.where(s > 0, 0.0, -np.inf)).softmax(-1).square(), GOOD + BAD, ("softmax", "nan")),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_operations(case):
    f, scales, (op, what) = CASES[case]
    first, *rest = alarms(Scaled(f), scales)
    assert first[:3] == (7, "", "loss")
    assert [r[:3] for r in rest] == [(7, op, what)]


def test_masks_are_meant_to_be_infinite():
    def f(y, s):
        masked = (y + torch.where(torch.arange(3) > 1, -np.inf, 0.0)).softmax(-1)
        return torch.sqrt(masked.sum(-1) - 1.0 - s)

    (_, *rest) = alarms(Scaled(f), [-1.0] * 6 + [1.0] * 3, lr=0.0)
    assert [r[1] for r in rest] == ["sqrt"]


def test_an_infinite_gradient():
    """sqrt(0) is fine, its gradient is not: the loss is NaN one step later, and the parameters were finite before."""
    (first, second) = alarms(Scaled(lambda y, s: torch.sqrt((y * s).square().sum())), GOOD + [0.0] + [1.0] * 3)
    assert first[1:3] == ("", "loss")
    assert first[0] == 8
    assert second[1] != "weight"


def test_an_exploding_learning_rate():
    """Each step makes the parameters larger, until a product overflows."""
    model = nn.Sequential(nn.Linear(6, 8), nn.Linear(8, 3))
    model.forward = lambda x, s: model[1](model[0](x)) * s
    found = alarms(model, [1.0] * 30, lr=3.0, loss=lambda y: y.square().sum())
    assert found[0][1:3] == ("", "loss")
    assert found[1][1] in ("linear", "pow", "square", "sum", "mul")
    assert found[1][2] == "inf"


def test_without_an_earlier_state_what_is_still_to_be_seen():
    found = alarms(Scaled(lambda y, s: torch.log(y.abs() * s)), [-1.0] * 6, settle=False)
    assert found[0][1:3] == ("", "loss")
    assert found[1][1] in ("log", "weight", "bias")


def test_bad_data_are_named():
    found = alarms(Scaled(lambda y, s: y * s), [1.0] * 6 + [np.nan] * 3)
    assert found[1][1:3] == ("input", "nan")


def test_on_another_device():
    from tests.backends.wgpu.harness import device

    device()
    f, scales, (op, what) = CASES["log of a negative"]
    first, *rest = alarms(Scaled(f), scales, device="wgpu", read=True)
    assert first[1:3] == ("", "loss")
    assert [r[1:3] for r in rest] == [(op, what)]
