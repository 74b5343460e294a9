"""Schedules in use: saved and resumed, called in the wrong order, given wrong arguments, subclassed."""

from __future__ import annotations

import copy
import warnings
from typing import Any

import pytest

import torchlike_asg as ours

from .schedules import SCHEDULES, optimizer_of, rates_of, schedule_of


@pytest.mark.parametrize("name", SCHEDULES)
def test_states_continue_in_the_other_package(torch: Any, name: str) -> None:
    """Schedules and optimizers saved after 9 steps by one package, continued by the other."""
    straight = rates_of(torch, SCHEDULES[name], 20)[-8:]
    for first, second in ((torch, ours), (ours, torch), (ours, ours)):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            optimizer = optimizer_of(first)
            scheduler = schedule_of(first, optimizer, SCHEDULES[name])
            for _ in range(9):
                optimizer.step()
                scheduler.step()
            continued = optimizer_of(second)
            other = schedule_of(second, continued, SCHEDULES[name])
            assert set(other.state_dict()) - {"_scale_fn_ref"} == set(scheduler.state_dict()) - {"_scale_fn_ref"}
            other.load_state_dict(copy.deepcopy(scheduler.state_dict()))
            continued.load_state_dict(copy.deepcopy(optimizer.state_dict()))
            for _ in range(11):
                continued.step()
                other.step()
        found = [*[g["lr"] for g in continued.param_groups], *[g["momentum"] for g in continued.param_groups]]
        assert found == pytest.approx(straight[-4:], rel=1e-12)


@pytest.mark.parametrize(
    "name", ["lambda", "multiplicative", "step", "linear", "exponential", "polynomial", "cosine", "restarts", "one cycle"]
)
def test_resuming_with_last_epoch(torch: Any, name: str) -> None:
    def run(package: Any) -> list[float]:
        optimizer = optimizer_of(package)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            first = schedule_of(package, optimizer, SCHEDULES[name])
            for _ in range(5):
                optimizer.step()
                first.step()
            kind = type(first)
            arguments: dict[str, Any] = {
                "lambda": ([lambda t: 0.95**t] * 2,),
                "multiplicative": ([lambda t: 0.9] * 2,),
                "step": (3,),
                "linear": (),
                "exponential": (0.87,),
                "polynomial": (),
                "cosine": (7,),
                "restarts": (4,),
                "one cycle": (0.3, 40),
            }
            second = kind(optimizer, *arguments[name], last_epoch=5)
            found = [g["lr"] for g in optimizer.param_groups]
            for _ in range(4):
                optimizer.step()
                second.step()
                found += second.get_last_lr()
        return found

    assert run(ours) == pytest.approx(run(torch), rel=1e-12)


def test_resuming_needs_the_initial_rates(twins: Any) -> None:
    twins.errors(lambda package: package.optim.lr_scheduler.StepLR(optimizer_of(package), 3, last_epoch=4))


class Halving:
    def __init__(self) -> None:
        self.seen = 0

    def __call__(self, epoch: int) -> float:
        self.seen += 1
        return 0.5**epoch


def test_functions_are_not_saved_but_the_attributes_of_callable_objects_are(torch: Any) -> None:
    def run(package: Any) -> list[Any]:
        schedules = package.optim.lr_scheduler
        optimizer = optimizer_of(package)
        saved = [schedules.LambdaLR(optimizer, [Halving(), lambda t: 1.0]).state_dict()["lr_lambdas"]]
        other = Halving()
        scheduler = schedules.LambdaLR(optimizer_of(package), [other, lambda t: 2.0])
        state = schedules.LambdaLR(optimizer, [Halving(), lambda t: 1.0]).state_dict()
        state["lr_lambdas"][0]["seen"] = 40
        scheduler.load_state_dict(state)
        saved += [other.seen, "lr_lambdas" in state]
        cyclic = schedules.CyclicLR(optimizer_of(package), 0.1, 0.2, scale_fn=Halving())
        saved.append(cyclic.state_dict()["_scale_fn_custom"])
        return saved

    assert run(ours) == run(torch)


# ---------------------------------------------------------------- warnings and errors
def _messages(function: Any) -> list[str]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        function()
    return [str(w.message).split(" See more")[0] for w in caught if issubclass(w.category, UserWarning)]


def test_order_of_calls(torch: Any) -> None:
    def early(package: Any) -> list[str]:
        optimizer = optimizer_of(package)

        def run() -> None:
            scheduler = package.optim.lr_scheduler.StepLR(optimizer, 3)
            scheduler.step()
            optimizer.step()
            scheduler.step()

        return _messages(run)

    def before_the_schedule(package: Any) -> list[str]:
        optimizer = optimizer_of(package)
        optimizer.step()
        scheduler = package.optim.lr_scheduler.StepLR(optimizer, 3)
        return _messages(scheduler.step)

    def overridden(package: Any) -> list[str]:
        optimizer = optimizer_of(package)
        scheduler = package.optim.lr_scheduler.StepLR(optimizer, 3)
        optimizer.step = lambda: None
        return _messages(scheduler.step)

    def right(package: Any) -> list[str]:
        optimizer = optimizer_of(package)
        scheduler = package.optim.lr_scheduler.StepLR(optimizer, 3)

        def run() -> None:
            for _ in range(3):
                optimizer.step()
                scheduler.step()

        return _messages(run)

    for case in (early, before_the_schedule, overridden):
        assert case(ours) == case(torch) and len(case(ours)) == 1
    assert right(ours) == []


def test_deprecated_and_relative_calls(torch: Any) -> None:
    def asked(package: Any) -> list[str]:
        return _messages(package.optim.lr_scheduler.StepLR(optimizer_of(package), 3).get_lr)

    assert asked(ours) == asked(torch) and len(asked(ours)) == 1
    optimizer = optimizer_of(ours)
    scheduler = ours.optim.lr_scheduler.StepLR(optimizer, 3)
    optimizer.step()
    with pytest.warns(UserWarning, match="epoch parameter in `scheduler.step"):
        scheduler.step(4)
    with pytest.warns(UserWarning, match="epoch parameter in `scheduler.step"):
        ours.optim.lr_scheduler.ReduceLROnPlateau(optimizer).step(1.0, epoch=3)


@pytest.mark.parametrize(
    "make",
    [
        lambda s, o: s.StepLR(5, 3),
        lambda s, o: s.ReduceLROnPlateau(5),
        lambda s, o: s.CyclicLR(5, 0.1, 0.2),
        lambda s, o: s.OneCycleLR(5, 0.1, 10),
        lambda s, o: s.LambdaLR(o, [lambda t: 1.0]),
        lambda s, o: s.MultiplicativeLR(o, 0.5),
        lambda s, o: s.ConstantLR(o, 1.5),
        lambda s, o: s.LinearLR(o, start_factor=0.0),
        lambda s, o: s.LinearLR(o, end_factor=1.1),
        lambda s, o: s.CosineAnnealingWarmRestarts(o, 0),
        lambda s, o: s.CosineAnnealingWarmRestarts(o, 3, 0),
        lambda s, o: s.CosineAnnealingWarmRestarts(o, 3, eta_min="0"),
        lambda s, o: s.CosineAnnealingWarmRestarts(o, 3).step(-1),
        lambda s, o: s.ReduceLROnPlateau(o, factor=1.0),
        lambda s, o: s.ReduceLROnPlateau(o, mode="best"),
        lambda s, o: s.ReduceLROnPlateau(o, threshold_mode="none"),
        lambda s, o: s.ReduceLROnPlateau(o, min_lr=[0.1]),
        lambda s, o: s.CyclicLR(o, [0.1], 0.2),
        lambda s, o: s.CyclicLR(o, 0.1, 0.2, mode="square"),
        lambda s, o: s.OneCycleLR(o, 0.1),
        lambda s, o: s.OneCycleLR(o, 0.1, total_steps=-3),
        lambda s, o: s.OneCycleLR(o, 0.1, epochs=2.5, steps_per_epoch=3),
        lambda s, o: s.OneCycleLR(o, 0.1, epochs=2, steps_per_epoch=0),
        lambda s, o: s.OneCycleLR(o, 0.1, 10, pct_start=1.5),
        lambda s, o: s.OneCycleLR(o, 0.1, 10, anneal_strategy="step"),
        lambda s, o: [c for c in [s.OneCycleLR(o, 0.1, 2)] for _ in range(4) if c.step()],
        lambda s, o: s.SequentialLR(o, [], []),
        lambda s, o: s.SequentialLR(o, [s.StepLR(o, 2)], [2]),
        lambda s, o: s.SequentialLR(o, [s.StepLR(o, 2), s.ReduceLROnPlateau(o)], [2]),
        lambda s, o: s.SequentialLR(o, [3], []),
        lambda s, o: s.ChainedScheduler([]),
        lambda s, o: s.ChainedScheduler([s.StepLR(o, 2), s.ReduceLROnPlateau(o)]),
    ],
)
def test_errors(twins: Any, make: Any) -> None:
    twins.errors(lambda package: make(package.optim.lr_scheduler, optimizer_of(package)))


def test_schedules_of_other_optimizers_are_refused(twins: Any) -> None:
    for kind in ("SequentialLR", "ChainedScheduler"):

        def mixed(package: Any, kind: str = kind) -> None:
            schedules, a, b = package.optim.lr_scheduler, optimizer_of(package), optimizer_of(package)
            both = [schedules.StepLR(a, 2), schedules.StepLR(b, 2)]
            schedules.SequentialLR(a, both, [2]) if kind == "SequentialLR" else schedules.ChainedScheduler(both)

        twins.errors(mixed)


def test_momentum_cannot_be_cycled_without_one(twins: Any) -> None:
    twins.errors(lambda package: package.optim.lr_scheduler.CyclicLR(optimizer_of(package, "Adagrad"), 0.1, 0.2))
    twins.errors(lambda package: package.optim.lr_scheduler.OneCycleLR(optimizer_of(package, "Adagrad"), 0.1, 10))


def test_groups_added_after_a_plateau_schedule(twins: Any) -> None:
    def run(package: Any, least: Any) -> list[float]:
        optimizer = optimizer_of(package)
        scheduler = package.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=0, min_lr=least)
        optimizer.add_param_group({"params": package.nn.Parameter(package.ones(1)), "lr": 3.0})
        for metric in (1.0, 2.0):
            scheduler.step(metric)
        return [g["lr"] for g in optimizer.param_groups]

    assert run(ours, 0.01) == run(twins.torch, 0.01)
    twins.errors(lambda package: run(package, [0.1, 0.1]))


def test_subclasses_of_the_base(torch: Any) -> None:
    """As scripts write them: under the old name, with `get_lr`."""

    def run(package: Any) -> list[float]:
        class Warm(package.optim.lr_scheduler._LRScheduler):
            def __init__(self, optimizer: Any, total: int, last_epoch: int = -1) -> None:
                self.total = total
                super().__init__(optimizer, last_epoch)

            def get_lr(self) -> list[float]:
                return [base * min(1.0, (self.last_epoch + 1) / self.total) for base in self.base_lrs]

        optimizer = optimizer_of(package)
        scheduler = Warm(optimizer, 5)
        assert isinstance(scheduler, package.optim.lr_scheduler.LRScheduler)
        found = []
        for _ in range(8):
            optimizer.step()
            scheduler.step()
            found += scheduler.get_last_lr()
        return found

    assert run(ours) == run(torch)
    with pytest.raises(NotImplementedError):
        ours.optim.lr_scheduler.LRScheduler(optimizer_of(ours))


def test_names(torch: Any) -> None:
    assert set(torch.optim.lr_scheduler.__all__) <= set(ours.optim.lr_scheduler.__all__)
