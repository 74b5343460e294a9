"""Steps over examples of ever other sizes are divided at the calls of their modules, whose plans are met again."""

import numpy as np
import pytest

import torchlike_asg as torch
from torchlike_asg import nn
from torchlike_asg.asg.trace import current
from torchlike_asg.facade import division


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    """Small steps are large already."""
    torch.sync()
    current().division = None
    monkeypatch.setattr(division, "LARGE", 60)
    yield
    current().division = None


class Reader(nn.Module):
    """Reads the rows of a matrix one after the other."""

    def __init__(self):
        super().__init__()
        self.cell, self.out = nn.Linear(7, 4), nn.Linear(4, 3)

    def forward(self, rows):
        h = torch.zeros(1, 4)
        for row in rows:
            h = torch.tanh(self.cell(torch.cat([row[None], h], 1)))
        return self.out(h)


def train(sizes, watch=lambda step: None, punish=False, hook=False):
    """The parameters after these steps, of which each has examples of these numbers of rows; and its losses."""
    torch.manual_seed(1)
    model, losses = Reader(), []
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for step, counts in enumerate(sizes):
        optimizer.zero_grad()
        loss = 0
        for n in counts:
            x = torch.randn(n, 3)
            y = nn.functional.cross_entropy(model(x), torch.tensor([n % 3]))
            if hook:
                y.register_hook(lambda g: g * 0.5)
            loss += y
        if punish:
            loss = loss + torch.autograd.grad(loss, model.cell.weight, create_graph=True)[0].square().sum()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
        watch(step)
    return [p.detach().numpy() for p in model.parameters()], losses


def shuffled(steps, calls=8):
    rng = np.random.default_rng(0)
    return [[int(n) for n in rng.integers(1, 3, calls)] for _ in range(steps)]


def whole(monkeypatch, sizes, **how):
    """The same, divided nowhere."""
    with monkeypatch.context() as m:
        m.setattr(division, "LARGE", 10**9)
        current().division = None
        found = train(sizes, **how)
    torch.sync()
    current().division = None
    return found


def plans(sizes):
    counts = []
    found = train(sizes, lambda step: counts.append(torch.asg.stats()["plans"]))
    return np.diff(counts), found


def test_steps_of_ever_other_sizes_build_no_new_plan_once_every_size_was_there(monkeypatch):
    sizes = shuffled(9)
    parameters, losses = whole(monkeypatch, sizes)
    new, found = plans(sizes)
    assert current().division.on
    assert not new[-2:].any(), "an example of a size that was there is planned anew"
    np.testing.assert_allclose(found[1], losses, rtol=1e-5)
    for a, b in zip(found[0], parameters, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def test_steps_that_are_repeated_are_whole_again():
    one = [1, 2, 1, 2, 1, 2, 1, 1]
    new, _ = plans([*shuffled(3), *[one] * 11])
    assert not current().division.on
    assert not new[-2:].any()


def test_equal_steps_are_never_divided():
    new, _ = plans([[1] * 8] * 5)
    assert current().division is None or not current().division.on
    assert not new[-2:].any()


@pytest.mark.parametrize("how", ["punish", "hook"])
def test_steps_that_do_not_bear_it_are_not_divided(monkeypatch, how):
    sizes = shuffled(4)
    parameters, losses = whole(monkeypatch, sizes, **{how: True})
    found = train(sizes, **{how: True})
    np.testing.assert_allclose(found[1], losses, rtol=1e-4)
    for a, b in zip(found[0], parameters, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)
    if how == "punish":
        assert not current().division.on


def test_gradients_that_accumulate_over_examples_are_those_of_the_whole(monkeypatch):
    def run(divided):
        torch.manual_seed(2)
        model, found = Reader(), []
        current().division = division.Division()
        current().division.on = divided
        for n in (1, 2, 1):
            x = torch.randn(n, 3, requires_grad=True)
            out = model(x)
            model(torch.randn(2, 3))  # begins the next part, and what it gives is forgotten
            (out * out).sum().backward()
            found.append(x.grad.numpy())
        return [*found, *[p.grad.numpy() for p in model.parameters()]]

    for a, b in zip(run(True), run(False), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)
