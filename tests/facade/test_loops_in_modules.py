"""Modules whose forward is a loop over another module, as that of samplers and decoders is: iterations are computed one like the other."""

import pytest

torch = pytest.importorskip("torch")

import torchlike_asg as ours  # noqa: E402
from torchlike_asg.asg.trace import current  # noqa: E402
from torchlike_asg.facade import boundary  # noqa: E402


def sampler(p, blocks=12):
    """A module that calls its network in a loop, and the numbers it begins with."""

    class Sampler(p.nn.Module):
        def __init__(self):
            super().__init__()
            self.net = p.nn.Sequential(*[p.nn.Sequential(p.nn.Linear(4, 4), p.nn.Tanh(), p.nn.Dropout(0.2)) for _ in range(blocks)])

        def forward(self, x, steps):
            for i in range(steps):
                x = 0.9 * x + self.net(x) + 0.01 * i * p.randn_like(x)
            return x

    p.manual_seed(3)
    return Sampler(), p.randn(2, 4)


@pytest.mark.parametrize("mode", ["no_grad", "inference_mode"])
def test_a_loop_without_gradients_builds_the_plans_of_its_first_iterations(mode):
    m, x = sampler(ours)
    with getattr(ours, mode)():
        for steps in (30, 60):  # a second loop may differ from the first: in numbers that are data by then
            float(m(x, steps).sum())
        before = ours.asg.stats()
        out = m(x, 120)
        pending = len(current().claims)
        float(out.sum())
        after = ours.asg.stats()
    assert after["compiles"] - before["compiles"] <= 2, "what is compiled grows with the number of iterations"
    assert pending < 2 * boundary.MAX_INSIDE


@pytest.mark.parametrize("train", [True, False])
def test_what_such_a_loop_computes(train):
    def results(p):
        m, x = sampler(p)
        m.train(train)
        with p.no_grad():
            a, b = m(x, 24), m(x, 16)
        loss = (m(a, 3) * b).sum()
        loss.backward()
        with p.no_grad():
            c = m(x, 20)
        return [t.detach().numpy() for t in (a, b, c, loss)] + [m.net[0][0].weight.grad.numpy()]

    for mine, theirs in zip(results(ours), results(torch), strict=True):
        assert mine == pytest.approx(theirs, rel=2e-4, abs=2e-5)


def test_a_model_that_calls_a_layer_twice_is_not_cut():
    class Shared(ours.nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = ours.nn.Linear(3, 3)

        def forward(self, x):
            return self.layer(self.layer(x).relu())

    m = Shared()
    with ours.no_grad():
        float(m(ours.ones(1, 3)).sum())
        before = ours.asg.stats()["flushes"]
        float(m(ours.ones(1, 3)).sum())
        assert ours.asg.stats()["flushes"] == before + 1
    assert m(ours.ones(1, 3)).requires_grad  # and nothing is looked at afterwards
    (m(ours.ones(1, 3)).sum()).backward()
    assert m.layer.weight.grad is not None
