"""Data prepared in a new way in each step are computed apart, and what stays the same is compiled once (compiler/preparation.py)."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import torchlike_asg as ours  # noqa: E402
from torchlike_asg import events  # noqa: E402
from torchlike_asg.asg.declare import VAR  # noqa: E402
from torchlike_asg.compiler import plan, preparation  # noqa: E402

LENGTHS = [(3, 5, 9), (4, 9, 9), (8, 7, 3), (2, 6, 5), (3, 3, 8), (9, 4, 7)]


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Few nodes are worth a look, and nothing was seen."""
    ours.sync()
    monkeypatch.setattr(preparation, "_LARGE", 12)
    preparation.clear()
    yield
    preparation.clear()


def training(p, by_hand=False):
    """A step on padded sentences, whose loss leaves out as many places as there are pads."""
    p.manual_seed(0)
    m = p.nn.Sequential(p.nn.Embedding(12, 6), p.nn.Linear(6, 6), p.nn.Tanh(), p.nn.LayerNorm(6), p.nn.Linear(6, 12), p.nn.LogSoftmax(-1))
    optimizer = p.optim.SGD(m.parameters(), 0.1)

    def step(lengths, first=1):
        rows = [p.nn.functional.pad(p.arange(1, n + 1), (0, 10 - n)) for n in lengths]
        x = p.stack(rows)
        y = m(x).reshape(-1, 12)
        wanted = y.data.clone()
        wanted.fill_(0.02)
        wanted.scatter_(1, x.reshape(-1)[:, None] + (first - 1), 0.8)
        wanted.index_fill_(0, p.nonzero(x.reshape(-1) == 0).squeeze(), 0.0)
        loss = p.nn.functional.kl_div(y, wanted, reduction="sum")
        optimizer.zero_grad()
        loss.backward()
        if by_hand:
            with p.no_grad():
                for q in m.parameters():
                    q -= 0.1 * q.grad
            return loss.detach()
        optimizer.step()
        return loss.detach()

    return m, step


class Built:
    """The executables of the plans that were built of parameters and of what was known already, and how many plans ran."""

    def __init__(self):
        self.found, self.runs = [], 0

    def __enter__(self):
        self.stop = [events.subscribe("plan_built", self.built), events.subscribe("plan_executed", self.ran)]
        return self

    def __exit__(self, *_):
        for stop in self.stop:
            stop()

    def built(self, event):
        if event.plan.cuts and any(n.op is VAR for n in event.plan.arguments):
            self.found.append(event.plan.executable)

    def ran(self, _):
        self.runs += 1


def test_steps_on_batches_of_new_shapes_share_what_they_have_in_common():
    m, step = training(ours)
    losses = [float(step(n)) for n in LENGTHS[:4]]  # the first ones may differ in more: by what code before has met
    with Built() as built:
        losses += [float(step(n)) for n in LENGTHS[4:]]
    assert len(built.found) >= 2 and len(set(built.found)) == 1, "what the steps share was compiled anew"
    other, theirs = training(torch)
    np.testing.assert_allclose(losses, [float(theirs(n)) for n in LENGTHS], rtol=1e-5)
    for p, q in zip(m.parameters(), other.parameters(), strict=True):
        np.testing.assert_allclose(p.detach().numpy(), q.detach().numpy(), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("by_hand", [False, True])
def test_what_does_not_change_any_more_is_one_plan_again(by_hand):
    _, step = training(ours, by_hand)
    for n in LENGTHS[:3]:
        float(step(n))
    runs = []
    for _ in range(2 * preparation._STEADY):
        with Built() as built:
            float(step(LENGTHS[3]))
        runs.append(built.runs)
    assert runs[-1] < runs[0]
    before = ours.asg.stats()["plans"]
    float(step(LENGTHS[3]))
    assert ours.asg.stats()["plans"] == before


def test_data_that_is_refused_leaves_everything_as_it_was():
    def run(p):
        m, step = training(p)
        for n in LENGTHS[:4]:
            float(step(n))
        before = [q.detach().clone() for q in m.parameters()]
        with pytest.raises((IndexError, RuntimeError)):
            float(step((3, 5, 9), 9))
        float(step(LENGTHS[4]))
        return [*before, *m.parameters()]

    for a, b in zip(run(ours), run(torch), strict=True):
        np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=1e-4, atol=1e-6)


def test_buffers_that_take_prepared_data():
    def run(p):
        p.manual_seed(1)
        m, table, seen = p.nn.Linear(4, 4), p.zeros(6, 4), []
        for n in (2, 3, 5, 4, 6, 1):
            row = p.cat([p.arange(float(n)), p.zeros(24 - n)]).reshape(6, 4)
            table.mul_(0.5).add_(row.cumsum(0))
            y = m(m(m(table).tanh()).sin() * row.exp().clamp(max=3)).sum()
            y.backward()
            with p.no_grad():
                for q in m.parameters():
                    q -= 0.01 * q.grad
                    q.grad = None
            seen.append(float(y.detach()))
        return [*seen, *table.flatten().tolist(), *m.weight.flatten().tolist()]

    np.testing.assert_allclose(run(ours), run(torch), rtol=1e-4, atol=1e-5)


def test_models_that_are_gone_leave_nothing():
    _, step = training(ours)
    for n in LENGTHS[:4]:
        float(step(n))
    assert preparation.SPLIT
    del step, _
    ours.asg.collect()
    assert not preparation.SPLIT and not any(key[1][0].owner for key in plan.PLANS if key[1][0].op.name == "var")


@pytest.mark.parametrize("rows", [1, 2])
def test_a_text_that_grows_by_what_its_last_words_give_does_not_change_the_program(rows):
    def run(p, each=lambda: None):
        p.manual_seed(0)
        m = p.nn.Sequential(
            p.nn.Embedding(9, 6), p.nn.Linear(6, 6), p.nn.Tanh(), p.nn.LayerNorm(6), p.nn.Linear(6, 6), p.nn.GELU(), p.nn.Linear(6, 9)
        )
        text = p.arange(rows * 4).reshape(rows, 4) % 9
        with p.no_grad():
            for _ in range(12):
                word = m(text[:, -4:]).sum(1).argmax(-1, keepdim=True)
                text = p.cat([text, word], 1)
                word.tolist()
                each()
        return text.tolist()

    built, counts = [], []
    stop = events.subscribe("plan_built", lambda e: built.append(e) if any(n.op is VAR for n in e.plan.arguments) else None)
    try:
        got = run(ours, lambda: counts.append(len(built)))
    finally:
        stop()
    assert got == run(torch)
    assert counts[-1] == counts[5] <= 4
