"""Which memory a plan may give up: the old content of storages that a closing flush overwrites, if nothing else reads it."""

import sys

import numpy as np
import pytest

import torchlike_asg as ours
from torchlike_asg import config
from torchlike_asg.backends.reference import executable
from torchlike_asg.compiler import plan


@pytest.fixture
def offers(monkeypatch):
    """Runs of an executable that can take donations: for each, the offered pairs and how many of them nobody else referred to."""
    seen = []
    plain = executable.ReferenceExecutable.run

    def run(self, inputs, donated=()):
        free = [argument for _, argument in donated if inputs[argument].base is None and sys.getrefcount(inputs[argument]) == 3]
        plain(self, inputs)
        if donated:
            values = self._values
            for place, argument in donated:
                slot = self.schedule.outputs[place]
                if argument in free and values[slot].shape == inputs[argument].shape and values[slot] is not inputs[argument]:
                    np.copyto(inputs[argument], values[slot])
                    values[slot] = inputs[argument]
            seen.append((len(donated), len(free)))

    monkeypatch.setattr(ours.config, "backend", "reference")
    monkeypatch.setattr(executable.ReferenceExecutable, "run", run)
    monkeypatch.setattr(executable.ReferenceExecutable, "donates", True, raising=False)
    plan.clear()
    yield seen
    plan.clear()


def training(**options):
    ours.manual_seed(0)
    model = ours.nn.Sequential(ours.nn.Linear(3, 4), ours.nn.Tanh(), ours.nn.Linear(4, 1))
    optimizer = ours.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, **options)
    x = ours.randn(5, 3)

    def step():
        optimizer.zero_grad()
        loss = (model(x) ** 2).mean()
        loss.backward()
        optimizer.step()
        return loss

    return model, step


def content(model):
    return [p.detach().clone().numpy().copy() for p in model.parameters()]


def test_an_optimizer_step_gives_up_parameters_and_states(offers):
    _, step = training()
    for _ in range(4):
        step()
    assert offers[-1] == (8, 8), "four parameters and four momenta, referenced by their storage and the run alone"


def test_running_statistics_are_given_up_with_the_parameters(offers):
    model = ours.nn.Sequential(ours.nn.Linear(3, 4), ours.nn.BatchNorm1d(4), ours.nn.Linear(4, 1))
    optimizer = ours.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for _ in range(5):
        optimizer.zero_grad()
        model(ours.randn(5, 3)).square().mean().backward()
        optimizer.step()
    assert offers[-1] == (14, 14)


def test_steps_in_donated_memory_compute_the_same(offers):
    model, step = training()
    losses = [step().item() for _ in range(6)]
    assert offers[-1] == (8, 8)
    got = content(model)
    executable.ReferenceExecutable.donates = False
    plan.clear()
    other, step = training()
    assert losses == [step().item() for _ in range(6)]
    for a, b in zip(got, content(other), strict=True):
        assert (a == b).all()


def test_values_that_somebody_holds_are_not_given_up(offers):
    model, step = training()
    for _ in range(3):
        step()
    weight = model[0].weight
    for hold in (
        lambda: weight.detach(),  # shares the memory, and changes with it
        lambda: weight.detach().clone(),
        lambda: weight * 1,
        lambda: weight.t(),
        lambda: ours.tensor(weight.tolist()),
        lambda: weight.detach().numpy().copy(),
    ):
        before = np.array(weight.tolist(), np.float32)
        held = hold()
        step()
        after = np.array(weight.tolist(), np.float32)
        assert (before != after).any()
        shares = isinstance(held, ours.Tensor) and held.untyped_storage() == weight.untyped_storage()
        got = np.array(held.tolist(), np.float32)
        assert (got.T if got.shape != before.shape else got).tolist() == (after if shares else before).tolist()


def test_nothing_is_offered_while_a_history_outlives_the_step(offers):
    model, step = training()
    for _ in range(3):
        step()
    bias = model[2].bias
    kept, old = (bias * 3).exp(), bias.item()
    count = len(offers)
    step()
    assert len(offers) == count
    assert bias.item() != old
    bias.grad = None
    kept.sum().backward()
    assert bias.grad.item() == pytest.approx(3 * np.exp(3 * old), rel=1e-5)


def test_a_history_that_the_step_spoils_is_refused(offers):
    model, step = training()
    for _ in range(3):
        step()
    kept = model[2](ours.ones(1, 4, requires_grad=True))
    step()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        kept.sum().backward()


def test_running_statistics_of_evaluated_outputs_are_kept(offers):
    total = ours.zeros(3, requires_grad=True)
    data = ours.arange(3.0)
    with ours.no_grad():
        for i in range(3):
            total += data
            shown = total * 2
            assert shown.tolist() == [0.0, 2.0 * (i + 1), 4.0 * (i + 1)]
            assert total.tolist() == [0.0, 1.0 * (i + 1), 2.0 * (i + 1)]


def test_a_plan_of_the_same_outputs_that_writes_nothing_is_given_nothing(offers):
    """A result that equals a storage's next content, but is only looked at."""
    p = training()[0][0].bias
    for write in (False, True, False, True, False):
        before = p.tolist()
        with ours.no_grad():
            new = p * 0.5
            if write:
                p.copy_(p * 0.5)
        want = [v * 0.5 for v in before]
        assert new.tolist() == want
        assert p.tolist() == (want if write else before)


@pytest.mark.skipif(config.backend != "cpu", reason="the reference backend makes new arrays")
@pytest.mark.parametrize("name", ("SGD", "Adam", "RMSprop"))
def test_compiled_steps_leave_parameters_where_they_are(name):
    model = ours.nn.Sequential(ours.nn.Linear(3, 4), ours.nn.BatchNorm1d(4), ours.nn.Tanh(), ours.nn.Linear(4, 1))
    optimizer = getattr(ours.optim, name)(model.parameters(), lr=0.1)
    places = []
    for _ in range(6):
        optimizer.zero_grad()
        loss = model(ours.randn(5, 3)).square().mean()
        loss.backward()
        optimizer.step()
        loss.item()
        storages = [t._f.cell for t in (*model.parameters(), model[1].running_mean, model[1].running_var)]
        places.append([cell.array.__array_interface__["data"][0] for cell in storages if hasattr(cell, "array")])
    assert len(places[-1]) == 8
    assert places[-3] == places[-2] == places[-1]
