"""Parameter groups, missing gradients, parameters added later, shared weights, closures, two optimizers in one loop."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

import torchlike_asg as ours

EVERY = ["SGD", "Adam", "AdamW", "RMSprop", "Adagrad", "Adadelta", "Adamax", "NAdam", "RAdam", "ASGD", "Rprop", "Adafactor"]


def _two_groups(parameters: list[Any]) -> list[dict[str, Any]]:
    return [{"params": parameters[:1], "lr": 0.05}, {"params": parameters[1:3], "weight_decay": 0.1}, {"params": parameters[3]}]


@pytest.mark.parametrize("name", [n for n in EVERY if n != "Rprop"])
def test_groups_have_their_own_hyper_parameters(twins: Any, name: str) -> None:
    theirs, mine = twins((name, {"lr": 0.01}), groups=_two_groups)
    theirs.step(11)
    mine.step(11)
    twins.same(theirs, mine, 1e-5)
    twins.same_state(theirs, mine, 1e-5)


@pytest.mark.parametrize("name", EVERY)
def test_parameters_without_gradient_are_skipped(twins: Any, name: str) -> None:
    """Different parameters have a gradient in each step, so their counts of steps part."""
    theirs, mine = twins(
        (name, {"lr": 0.02, **({"momentum": 0.9, "dampening": 0.2} if name == "SGD" else {})}),
        used=lambda step: [[0, 1], [0, 2], [1], [0, 1, 2]][step % 4],
    )
    theirs.step(12)
    mine.step(12)
    twins.same(theirs, mine, 1e-5)
    twins.same_state(theirs, mine, 1e-5)
    assert mine.values()[3] == theirs.values()[3]


@pytest.mark.parametrize("name", EVERY)
def test_a_group_may_come_later(twins: Any, name: str) -> None:
    theirs, mine = twins((name, {"lr": 0.02}), groups=lambda parameters: parameters[:2])
    for problem in (theirs, mine):
        problem.step(3)
        problem.optimizer.add_param_group({"params": problem.parameters[2:], "lr": 0.1})
        problem.step(8)
    twins.same(theirs, mine, 1e-5)
    twins.same_state(theirs, mine, 1e-5)


def test_a_parameter_may_be_appended_to_a_group(twins: Any) -> None:
    theirs, mine = twins(("AdamW", {"lr": 0.02}), groups=lambda parameters: parameters[:2])
    for problem in (theirs, mine):
        problem.step(3)
        problem.optimizer.param_groups[0]["params"].append(problem.parameters[2])
        problem.step(8)
    twins.same(theirs, mine, 1e-5)
    twins.same_state(theirs, mine, 1e-5)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("SGD", {"momentum": 0.8}),
        ("SGD", {"weight_decay": 0.2}),
        ("SGD", {"maximize": True}),
        ("Adam", {"betas": (0.5, 0.6)}),
        ("Adam", {"eps": 0.1}),
        ("AdamW", {"weight_decay": 0.0}),
        ("AdamW", {"weight_decay": 0.5}),
        ("RMSprop", {"alpha": 0.3}),
        ("NAdam", {"momentum_decay": 0.3}),
    ],
)
def test_hyper_parameters_may_change_between_steps(twins: Any, name: str, change: dict[str, Any]) -> None:
    theirs, mine = twins((name, {"lr": 0.02}))
    for problem in (theirs, mine):
        problem.step(4)
        problem.optimizer.param_groups[0].update(change)
        problem.step(4)
    twins.same(theirs, mine, 1e-5)
    twins.same_state(theirs, mine, 1e-5)


@pytest.mark.parametrize("lr", [0.1, (0.1,)])
@pytest.mark.parametrize("name", EVERY)
def test_learning_rate_as_a_tensor(twins: Any, name: str, lr: Any) -> None:
    theirs, mine = twins(lambda package, params: getattr(package.optim, name)(params, lr=package.tensor(lr)), dtype="float64")
    for problem in (theirs, mine):
        for i in range(6):
            problem.step()
            problem.optimizer.param_groups[0]["lr"].fill_(0.1 / (i + 2))
    twins.same(theirs, mine, 1e-6)


def test_learning_rate_must_have_one_element(twins: Any) -> None:
    for name in EVERY:
        twins.errors(lambda package, name=name: getattr(package.optim, name)([package.nn.Parameter(package.ones(2))], lr=package.ones(2)))


def test_shared_weights(twins: Any) -> None:
    """One parameter in two places of a module is one parameter; listed twice by hand it takes two steps."""

    def tied(package: Any) -> list[list[float]]:
        first, second = package.nn.Linear(3, 3), package.nn.Linear(3, 3)
        with package.no_grad():
            for t in (*first.parameters(), *second.parameters()):
                t.copy_(package.arange(t.numel()).reshape(t.shape) / 10 - 0.3)
        second.weight = first.weight
        model = package.nn.Sequential(first, second)
        assert len(list(model.parameters())) == 3
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            twice = package.optim.RMSprop([*first.parameters(), *second.parameters()], lr=0.01, momentum=0.9)
            stateless = package.optim.SGD([*first.parameters(), *second.parameters()], lr=0.001)
        once = package.optim.Adam(model.parameters(), lr=0.01)
        for optimizer in (once, twice, stateless):
            for i in range(4):
                optimizer.zero_grad()
                ((model(package.ones(2, 3) * (i + 1)) - 1) ** 2).sum().backward()
                optimizer.step()
        return [p.detach().reshape(-1).tolist() for p in model.parameters()]

    for a, b in zip(tied(twins.torch), tied(ours), strict=True):
        np.testing.assert_allclose(b, a, 1e-5, 1e-5)


def test_duplicates_are_warned_about() -> None:
    p = ours.nn.Parameter(ours.ones(2))
    with pytest.warns(UserWarning, match="duplicate parameters"):
        ours.optim.SGD([p, p], lr=0.1)


def test_two_optimizers_take_turns(twins: Any) -> None:
    """As in adversarial training: what one network computed before the other's step is used after it."""

    def play(package: Any) -> list[Any]:
        def network(shift: float) -> Any:
            layers = package.nn.Sequential(package.nn.Linear(3, 4), package.nn.Tanh(), package.nn.Linear(4, 3))
            with package.no_grad():
                for p in layers.parameters():
                    p.copy_(package.sin(package.arange(p.numel()).reshape(p.shape) + shift))
            return layers

        g, d = network(0.0), network(1.0)
        of_g, of_d = package.optim.Adam(g.parameters(), lr=0.02, betas=(0.5, 0.9)), package.optim.RMSprop(d.parameters(), lr=0.01)
        losses = []
        for i in range(6):
            noise = package.cos(package.arange(6).reshape(2, 3) * (i + 1.0))
            made = g(noise)
            of_d.zero_grad()
            loss_d = (d(made.detach()) ** 2).mean() + ((d(noise) - 1) ** 2).mean()
            loss_d.backward()
            of_d.step()
            of_g.zero_grad()
            loss_g = ((d(made) - 1) ** 2).mean()
            loss_g.backward()
            of_g.step()
            losses.append((loss_d.item(), loss_g.item()))
        return [losses, *[p.detach().tolist() for p in (*g.parameters(), *d.parameters())]]

    for a, b in zip(play(twins.torch), play(ours), strict=True):
        np.testing.assert_allclose(b, a, 1e-5, 1e-5)


@pytest.mark.parametrize("set_to_none", [True, False])
def test_zero_grad(twins: Any, set_to_none: bool) -> None:
    theirs, mine = twins(("Adam", {"lr": 0.02}), used=lambda step: [0] if step % 2 else [0, 1])
    for problem in (theirs, mine):
        for _ in range(6):
            problem.optimizer.zero_grad(set_to_none)
            assert all(p.grad is None or (not set_to_none and not p.grad.any()) for p in problem.parameters)
            problem.loss().backward()
            problem.optimizer.step()
            problem.done += 1
    twins.same(theirs, mine, 1e-5)
    twins.same_state(theirs, mine, 1e-5)


def test_zeroing_keeps_the_gradient_and_its_history_out() -> None:
    p = ours.nn.Parameter(ours.ones(3))
    optimizer = ours.optim.SGD([p], lr=0.1)
    (p**3).sum().backward(create_graph=True)
    kept = p.grad
    assert kept.requires_grad
    optimizer.zero_grad(set_to_none=False)
    assert not p.grad.requires_grad and p.grad.tolist() == [0, 0, 0]


def test_closure_is_evaluated_with_gradients_on(twins: Any) -> None:
    theirs, mine = twins(("RMSprop", {}))
    for problem in (theirs, mine):
        package, optimizer = problem.package, problem.optimizer

        def closure(problem: Any = problem, package: Any = package, optimizer: Any = optimizer) -> Any:
            assert package.is_grad_enabled()
            optimizer.zero_grad()
            loss = problem.loss()
            loss.backward()
            return loss

        with package.no_grad():
            problem.losses = [float(optimizer.step(closure)) for _ in range(4)]
            assert not package.is_grad_enabled()
    assert mine.losses == pytest.approx(theirs.losses, rel=1e-5)
    assert mine.losses[3] < mine.losses[0]
    assert mine.optimizer.step() is None


def test_gradients_of_every_origin(twins: Any) -> None:
    """Assigned by hand, accumulated, shared with another tensor, a view, clipped in place."""

    def run(package: Any) -> list[Any]:
        a, b, c, d = (package.nn.Parameter(package.arange(6.0).reshape(2, 3) / 3 - 1) for _ in range(4))
        optimizer = package.optim.AdamW([a, b, c, d], lr=0.05)
        for i in range(5):
            optimizer.zero_grad()
            for k in range(3):
                (b * (b + k)).sum().backward()
            (d**3).sum().backward()
            table = package.arange(12.0).reshape(3, 4) * (i - 1)
            a.grad = table.t()[1:3]
            c.grad = b.grad
            package.nn.utils.clip_grad_norm_([b, d], 0.7)
            package.nn.utils.clip_grad_value_([d], 0.3)
            optimizer.step()
        return [p.detach().tolist() for p in (a, b, c, d)]

    np.testing.assert_allclose(run(ours), run(twins.torch), 1e-5, 1e-5)


def test_nan_and_infinite_gradients(twins: Any) -> None:
    """The first buffer of momentum is the gradient itself, whatever it holds."""

    def run(package: Any) -> list[Any]:
        p = package.nn.Parameter(package.ones(4))
        optimizer = package.optim.SGD([p], lr=0.1, momentum=0.9)
        found = []
        for values in ([1.0, float("inf"), float("nan"), -1.0], [1.0, 1.0, 1.0, 1.0]):
            p.grad = package.tensor(values)
            optimizer.step()
            found += [p.detach().tolist(), optimizer.state[p]["momentum_buffer"].tolist()]
        return found

    np.testing.assert_allclose(run(ours), run(twins.torch), rtol=1e-6)


@pytest.mark.parametrize(
    "name", ["SGD", "Adam", "AdamW", "RMSprop", "Adagrad", "Adadelta", "Adamax", "NAdam", "RAdam", "ASGD", "Adafactor"]
)
def test_a_weight_decay_of_true(name):
    """It is no factor of a sum of floats, and one of a product of floats."""
    torch = pytest.importorskip("torch")

    def run(T):
        p = T.nn.Parameter(T.tensor([1.0, 2.0]))
        p.grad = T.tensor([0.5, -1.0])
        optimizer = getattr(T.optim, name)([p], lr=0.1, weight_decay=True)
        try:
            optimizer.step()
        except RuntimeError as error:
            return str(error)
        return np.round(p.tolist(), 5).tolist()

    assert run(ours) == run(torch)
