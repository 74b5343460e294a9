"""L-BFGS against torch: same points, same numbers of evaluations, states that continue in the other package."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import torchlike_asg as ours
from torchlike_asg.optim.line_search import Point, strong_wolfe


def _rosenbrock(x: Any) -> Any:
    return (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()


def _quartic(x: Any) -> Any:
    return ((x - 3) ** 4).sum() + (x**2).sum() + (x[0] * x[1] * x[2]).sin()


class Run:
    def __init__(self, package: Any, loss: Any, start: Any, **options: Any) -> None:
        self.package, self.loss, self.calls = package, loss, 0
        dtype = package.float64
        self.x = package.nn.Parameter(package.tensor(start, dtype=dtype))
        self.unused = package.nn.Parameter(package.zeros(2, dtype=dtype))
        self.optimizer = package.optim.LBFGS([self.x, self.unused], **options)

    def closure(self) -> Any:
        assert self.package.is_grad_enabled()
        self.calls += 1
        self.optimizer.zero_grad()
        loss = self.loss(self.x)
        loss.backward()
        return loss

    def step(self, count: int = 1) -> list[float]:
        return [self.optimizer.step(self.closure).item() for _ in range(count)]


START = [-1.2, 1.0, 0.5, 2.0]


@pytest.mark.parametrize("loss", [_rosenbrock, _quartic])
@pytest.mark.parametrize(
    "options",
    [
        {"lr": 0.1, "max_iter": 5},
        {"lr": 0.02, "max_iter": 4, "history_size": 2},
        {"line_search_fn": "strong_wolfe"},
        {"line_search_fn": "strong_wolfe", "max_iter": 3, "history_size": 3},
        {"line_search_fn": "strong_wolfe", "lr": 20.0, "max_iter": 4},
        {"line_search_fn": "strong_wolfe", "max_eval": 7, "max_iter": 10},
        {"line_search_fn": "strong_wolfe", "tolerance_change": 1e-3},
        {"line_search_fn": "strong_wolfe", "tolerance_grad": 0.5},
    ],
)
def test_same_minimisation(torch: Any, loss: Any, options: dict[str, Any]) -> None:
    theirs, mine = Run(torch, loss, START, **options), Run(ours, loss, START, **options)
    for _ in range(4):
        assert mine.step() == pytest.approx(theirs.step(), rel=1e-7, abs=1e-12)
        assert mine.calls == theirs.calls
        np.testing.assert_allclose(mine.x.tolist(), theirs.x.tolist(), rtol=1e-6, atol=1e-9)
    states = [run.optimizer.state_dict()["state"][0] for run in (theirs, mine)]
    assert set(states[0]) - set(states[1]) <= {"al"}  # torch's scratch list
    for name in ("func_evals", "n_iter"):
        assert states[0][name] == states[1][name]


@pytest.mark.parametrize("options", [{"lr": 0.05, "max_iter": 4}, {"line_search_fn": "strong_wolfe", "max_iter": 4, "history_size": 3}])
def test_continues_from_the_other_packages_state(torch: Any, convert: Any, options: dict[str, Any]) -> None:
    reference = Run(torch, _rosenbrock, START, **options)
    reference.step(6)
    for first, second in ((torch, ours), (ours, torch)):
        begun = Run(first, _rosenbrock, START, **options)
        begun.step(3)
        continued = Run(second, _rosenbrock, begun.x.tolist(), **options)
        continued.optimizer.load_state_dict(convert(begun.optimizer.state_dict(), second))
        continued.step(3)
        np.testing.assert_allclose(continued.x.tolist(), reference.x.tolist(), rtol=1e-6)


def test_float32_model_trains(torch: Any) -> None:
    ours.manual_seed(0)
    model = ours.nn.Sequential(ours.nn.Linear(2, 8), ours.nn.Tanh(), ours.nn.Linear(8, 1))
    inputs = ours.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    targets = ours.tensor([[0.0], [1.0], [1.0], [0.0]])
    optimizer = ours.optim.LBFGS(model.parameters(), line_search_fn="strong_wolfe")

    def closure() -> Any:
        optimizer.zero_grad()
        loss = ours.nn.functional.mse_loss(model(inputs), targets)
        loss.backward()
        return loss

    for _ in range(5):
        optimizer.step(closure)
    before = ours.asg.stats()
    optimizer.step(closure)
    after = ours.asg.stats()
    assert closure().item() < 1e-4
    assert (after["nodes"], after["plans"]) == (before["nodes"], before["plans"])


def test_errors(twins: Any) -> None:
    def closure(package: Any, optimizer: Any, p: Any) -> Any:
        def evaluate() -> Any:
            optimizer.zero_grad()
            loss = (p**2).sum()
            loss.backward()
            return loss

        return evaluate

    def unknown(package: Any) -> None:
        p = package.nn.Parameter(package.ones(2))
        optimizer = package.optim.LBFGS([p], line_search_fn="armijo")
        optimizer.step(closure(package, optimizer, p))

    def groups(package: Any) -> None:
        package.optim.LBFGS([{"params": [package.nn.Parameter(package.ones(2))]}, {"params": [package.nn.Parameter(package.ones(2))]}])

    twins.errors(unknown)
    twins.errors(groups)
    with pytest.raises(TypeError):
        ours.optim.LBFGS([ours.nn.Parameter(ours.ones(2))]).step()


def test_at_the_minimum_nothing_moves() -> None:
    run = Run(ours, lambda x: (x**2).sum(), [0.0, 0.0])
    run.step(2)
    assert run.calls == 2 and run.x.tolist() == [0.0, 0.0]
    assert set(run.optimizer.state[run.x]) == {"func_evals", "n_iter"}


@pytest.mark.parametrize("step", [1e-3, 0.3, 1.0, 40.0])
@pytest.mark.parametrize(
    ("function", "slope"),
    [
        (lambda t: (t - 2.0) ** 2, lambda t: 2 * (t - 2.0)),
        (lambda t: -t / (t**2 + 2), lambda t: (t**2 - 2) / (t**2 + 2) ** 2),
        (lambda t: (t + 0.004) ** 5 - 2 * (t + 0.004) ** 4, lambda t: 5 * (t + 0.004) ** 4 - 8 * (t + 0.004) ** 3),
        (lambda t: np.exp(t) - 9 * t + np.sin(5 * t), lambda t: np.exp(t) - 9 + 5 * np.cos(5 * t)),
    ],
)
def test_line_search_finds_a_point_with_the_strong_wolfe_conditions(function: Any, slope: Any, step: float) -> None:
    """The functions of More and Thuente (1994), and one with several minima."""

    def line(t: Any) -> Point:
        return Point(t, float(function(t)), np.array([slope(t)]), float(slope(t)))

    start = line(0.0)
    point, count = strong_wolfe(line, start, step, 1.0, 1e-12, 60)
    assert 0 < point.step and count <= 61
    assert point.loss <= start.loss + 1e-4 * point.step * start.slope
    assert abs(point.slope) <= 0.9 * abs(start.slope)


@given(st.integers(0, 10**6), st.floats(1e-3, 30.0), st.integers(1, 25))
@settings(max_examples=150, deadline=None)
def test_line_search_goes_torchs_way(torch: Any, seed: int, step: float, limit: int) -> None:
    """The same point after the same evaluations, on random smooth functions with many minima.

    Where PyTorch itself goes another way when every loss is off by an ulp (nearly equal ends of a bracket cancel), there is no way to
    compare with.
    """
    lbfgs = importlib.import_module("torch.optim.lbfgs")
    rng = np.random.default_rng(seed)
    heights, widths, phases = rng.standard_normal(4) * 2, rng.uniform(0.3, 6.0, 4), rng.uniform(0, 6.28, 4)
    bowl = rng.uniform(0.0, 0.3)

    def function(t: float) -> float:
        return float((heights * np.sin(widths * t + phases)).sum() + bowl * t * t)

    def slope(t: float) -> float:
        return float((heights * widths * np.cos(widths * t + phases)).sum() + 2 * bowl * t)

    if slope(0.0) >= -1e-3:
        return

    def line(t: Any) -> Point:
        return Point(t, function(float(t)), np.array([slope(float(t))]), slope(float(t)))

    direction = torch.ones(1, dtype=torch.float64)
    start = torch.tensor([slope(0.0)], dtype=torch.float64)

    def theirs(off: float) -> Any:
        def objective(x: Any, t: Any, d: Any) -> Any:
            return function(float(t)) * (1 + off), torch.tensor([slope(float(t))], dtype=torch.float64)

        return lbfgs._strong_wolfe(objective, None, step, direction, function(0.0), start, start.dot(direction), max_ls=limit)

    loss, gradient, t, evaluations = theirs(0.0)
    for off in (-4e-16, -2e-16, 2e-16, 4e-16):
        _, _, other, others = theirs(off)
        if others != evaluations or float(other) != pytest.approx(float(t), rel=1e-7, abs=1e-10):
            return
    point, count = strong_wolfe(line, line(0.0), step, 1.0, 1e-9, limit)
    assert count == evaluations
    assert float(point.step) == pytest.approx(float(t), rel=1e-6, abs=1e-9)
    assert point.loss == pytest.approx(float(loss), rel=1e-6, abs=1e-9)
    assert point.slope == pytest.approx(float(gradient), rel=1e-4, abs=1e-6)


def test_line_search_gives_up_with_the_lowest_point() -> None:
    losses = {}

    def line(t: Any) -> Point:
        losses[float(t)] = loss = -float(t)  # falls for ever: no point is flat enough
        return Point(t, loss, np.array([-1.0]), -1.0)

    point, count = strong_wolfe(line, line(0.0), 1.0, 1.0, 1e-9, 4)
    assert count == len(losses) - 1 == 5
    assert point.loss == min(losses.values())
