"""Averaged models, their batch norms and the schedule that goes with them, against torch."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

import torchlike_asg as ours


def _model(package: Any) -> Any:
    model = package.nn.Sequential(package.nn.Linear(3, 4), package.nn.BatchNorm1d(4), package.nn.ReLU(), package.nn.Linear(4, 2))
    with package.no_grad():
        for p in model.parameters():
            p.copy_(package.cos(package.arange(p.numel(), dtype=package.float32).reshape(p.shape) * 0.7))
    return model


def _batch(package: Any, i: int) -> Any:
    return package.tensor(np.random.default_rng(i).standard_normal((6, 3)).astype(np.float32).tolist())


def _train(package: Any, make: Any, steps: int = 7) -> tuple[Any, Any]:
    model = _model(package)
    average = make(package.optim.swa_utils, model)
    optimizer = package.optim.SGD(model.parameters(), lr=0.05, momentum=0.5)
    for i in range(steps):
        optimizer.zero_grad()
        (model(_batch(package, i)) ** 2).mean().backward()
        optimizer.step()
        average.update_parameters(model)
    return model, average


def _same(theirs: Any, mine: Any) -> None:
    a, b = theirs.state_dict(), mine.state_dict()
    assert list(a) == list(b)
    for name in a:
        assert str(a[name].dtype) == str(b[name].dtype)
        np.testing.assert_allclose(b[name].tolist(), a[name].tolist(), 1e-5, 1e-6, err_msg=name)


AVERAGES: dict[str, Any] = {
    "mean": lambda s, m: s.AveragedModel(m),
    "moving": lambda s, m: s.AveragedModel(m, multi_avg_fn=s.get_ema_multi_avg_fn(0.8)),
    "moving one by one": lambda s, m: s.AveragedModel(m, avg_fn=s.get_ema_avg_fn(0.8)),
    "mean of many": lambda s, m: s.AveragedModel(m, multi_avg_fn=s.get_swa_multi_avg_fn()),
    "mean one by one": lambda s, m: s.AveragedModel(m, avg_fn=s.get_swa_avg_fn()),
    "own": lambda s, m: s.AveragedModel(m, avg_fn=lambda average, value, count: 0.5 * average + 0.5 * value * (count + 1)),
    "with buffers": lambda s, m: s.AveragedModel(m, avg_fn=s.get_ema_avg_fn(0.75), use_buffers=True),
    "on a device": lambda s, m: s.AveragedModel(m, device="cpu"),
}


@pytest.mark.parametrize("name", AVERAGES)
def test_same_averages(torch: Any, name: str) -> None:
    (_, theirs), (_, mine) = (_train(package, AVERAGES[name]) for package in (torch, ours))
    assert mine.n_averaged.item() == 7
    _same(theirs, mine)
    theirs.eval()
    mine.eval()
    np.testing.assert_allclose(mine(_batch(ours, 99)).tolist(), theirs(_batch(torch, 99)).tolist(), 1e-5, 1e-5)


def test_the_average_is_the_mean_of_what_was_seen() -> None:
    model = ours.nn.Linear(2, 1, bias=False)
    average = ours.optim.swa_utils.AveragedModel(model)
    for value in (1.0, 2.0, 6.0):
        with ours.no_grad():
            model.weight.fill_(value)
        average.update_parameters(model)
    assert average.module.weight.tolist() == [[3.0, 3.0]]
    assert model.weight.tolist() == [[6.0, 6.0]]


def test_averaging_records_nothing_new() -> None:
    model = ours.nn.Linear(3, 2)
    average = ours.optim.swa_utils.AveragedModel(model, multi_avg_fn=ours.optim.swa_utils.get_ema_multi_avg_fn(0.9))
    optimizer = ours.optim.Adam(model.parameters())

    def turn() -> None:
        optimizer.zero_grad()
        (model(ours.ones(4, 3)) ** 2).sum().backward()
        optimizer.step()
        average.update_parameters(model)

    for _ in range(4):
        turn()
    before = ours.asg.stats()
    for _ in range(5):
        turn()
    after = ours.asg.stats()
    assert (after["nodes"], after["plans"]) == (before["nodes"], before["plans"])


def test_saved_averages_continue(torch: Any, convert: Any) -> None:
    _, theirs = _train(torch, AVERAGES["mean"], 3)
    mine = ours.optim.swa_utils.AveragedModel(_model(ours))
    mine.load_state_dict(convert(dict(theirs.state_dict()), ours))
    for package, average in ((torch, theirs), (ours, mine)):
        average.update_parameters(_model(package))
    _same(theirs, mine)


def test_errors(twins: Any) -> None:
    for decay in (-0.1, 1.5):
        twins.errors(lambda p, decay=decay: p.optim.swa_utils.get_ema_avg_fn(decay))
        twins.errors(lambda p, decay=decay: p.optim.swa_utils.get_ema_multi_avg_fn(decay))
    both = {"avg_fn": lambda *_: None, "multi_avg_fn": lambda *_: None}
    twins.errors(lambda p: p.optim.swa_utils.AveragedModel(p.nn.Linear(1, 1), **both))
    twins.errors(lambda p: p.optim.swa_utils.SWALR(p.optim.SGD([p.nn.Parameter(p.ones(1))]), [0.1, 0.2]))
    twins.errors(lambda p: p.optim.swa_utils.SWALR(p.optim.SGD([p.nn.Parameter(p.ones(1))]), 0.1, anneal_strategy="step"))
    twins.errors(lambda p: p.optim.swa_utils.SWALR(p.optim.SGD([p.nn.Parameter(p.ones(1))]), 0.1, anneal_epochs=-1))


@pytest.mark.parametrize("pairs", [False, True])
def test_batch_norms_are_computed_anew(torch: Any, pairs: bool) -> None:
    def run(package: Any) -> Any:
        model, _ = _train(package, AVERAGES["mean"], 2)
        model[1].momentum = 0.3
        model.eval()
        batches = [_batch(package, i) for i in range(4)]
        package.optim.swa_utils.update_bn([(b, 0) for b in batches] if pairs else batches, model, device="cpu" if pairs else None)
        assert model[1].momentum == 0.3 and not model.training
        return model

    _same(run(torch), run(ours))


def test_models_without_batch_norms_are_left_alone() -> None:
    def loader() -> Any:
        raise AssertionError("the loader is not read")
        yield

    ours.optim.swa_utils.update_bn(loader(), ours.nn.Linear(2, 2))


@pytest.mark.parametrize("options", [{}, {"anneal_epochs": 4, "anneal_strategy": "linear"}, {"anneal_epochs": 0}, {"anneal_epochs": 1}])
@pytest.mark.parametrize("rate", [0.05, [0.2, 0.001]])
def test_schedule(torch: Any, rate: Any, options: dict[str, Any]) -> None:
    def run(package: Any) -> list[float]:
        p, q = (package.nn.Parameter(package.ones(1)) for _ in range(2))
        optimizer = package.optim.SGD([{"params": p}, {"params": q, "lr": 0.5}], lr=0.1)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            scheduler = package.optim.swa_utils.SWALR(optimizer, rate, **options)
            found = list(scheduler.get_last_lr())
            for i in range(14):
                if i == 6:
                    saved = scheduler.state_dict()
                    assert "anneal_func" not in saved
                    scheduler = package.optim.swa_utils.SWALR(optimizer, rate, **options)
                    scheduler.load_state_dict(saved)
                optimizer.step()
                scheduler.step()
                found += scheduler.get_last_lr()
        return found

    assert run(ours) == pytest.approx(run(torch), rel=1e-12)
