from __future__ import annotations

import math
from typing import Any

import pytest

import torchlike_asg as ours
from torchlike_asg.metrics import EarlyStopping


class Model:
    """The part of a module that matters here."""

    def __init__(self) -> None:
        self.weight = ours.zeros(3)

    def state_dict(self) -> dict[str, Any]:
        return {"weight": self.weight, "steps": [0]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.weight.copy_(state["weight"])


def decisions(stopper: EarlyStopping, values: list[float]) -> list[bool]:
    return [stopper.check(value) for value in values]


@pytest.mark.parametrize(
    ("options", "values", "stops"),
    [
        ({"patience": 2}, [3, 2, 2, 2, 1], [0, 0, 0, 1, 1]),
        ({"patience": 1}, [1, 1], [0, 1]),
        ({"patience": 2}, [3, 3, 2, 2, 2], [0, 0, 0, 0, 1]),  # an improvement starts the count anew
        ({"mode": "max", "patience": 2}, [0.1, 0.3, 0.2, 0.25], [0, 0, 0, 1]),
        ({"patience": 2, "min_delta": 0.5}, [3.0, 2.6, 2.5, 2.4], [0, 0, 1, 1]),  # 2.5 is not more than 0.5 better
        ({"patience": 2}, [math.nan, 2, math.nan, math.nan], [0, 0, 0, 1]),
        ({"patience": 3, "nan": "stop"}, [1, math.nan, 0.5], [0, 1, 1]),
        ({"mode": "max", "patience": 2}, [-math.inf, -5, -6, -7], [0, 0, 0, 1]),
    ],
)
def test_when_it_stops(options: dict[str, Any], values: list[float], stops: list[int]) -> None:
    assert decisions(EarlyStopping(**options), values) == [bool(stop) for stop in stops]


def test_nan_may_raise() -> None:
    with pytest.raises(ValueError, match="NaN"):
        EarlyStopping(nan="raise").check(math.nan)


def test_best_is_known_and_a_first_nan_is_not_best() -> None:
    stopper = EarlyStopping.maximize(patience=5)
    for epoch, value in ((10, math.nan), (11, 0.5), (12, ours.tensor(0.7)), (13, 0.6)):
        stopper.check(value, epoch)
    assert stopper.best_value == pytest.approx(0.7) and stopper.best_epoch == 12 and stopper.counter == 1
    stopper.reset()
    assert stopper.best_value is None and stopper.counter == 0
    assert EarlyStopping.minimize(3).mode == "min"


def test_restores_the_best_weights_when_it_stops() -> None:
    model, stopper = Model(), EarlyStopping(patience=2, restore_best=True)
    for epoch, loss in enumerate([3.0, 1.0, 2.0, 2.0]):
        model.weight += 1  # after epoch 1 the weights are 2
        stopped = stopper.check(loss, epoch, model)
    assert stopped and model.weight.tolist() == [2, 2, 2] and stopper.best_epoch == 1
    model.weight += 5  # the copy is not the model's
    stopper.restore(model)
    assert model.weight.tolist() == [2, 2, 2]


def test_restore_by_hand_and_its_errors() -> None:
    model, stopper = Model(), EarlyStopping(restore_best=True)
    with pytest.raises(RuntimeError, match="no best weights"):
        stopper.restore(model)
    with pytest.raises(ValueError, match="needs the model"):
        stopper.check(1.0)
    stopper.check(1.0, model=model)
    model.weight += 1
    stopper.restore(model)
    assert model.weight.tolist() == [0, 0, 0]


def test_state_round_trip() -> None:
    model, first = Model(), EarlyStopping(patience=2, restore_best=True)
    for loss in (3.0, 1.0, 2.0):
        model.weight += 1
        first.check(loss, model=model)
    second = EarlyStopping(patience=2, restore_best=True)
    second.load_state_dict(first.state_dict())
    assert second.check(2.0, model=model) and model.weight.tolist() == [2, 2, 2]
    assert second.best_epoch == 1


@pytest.mark.parametrize("options", [{"mode": "best"}, {"patience": 0}, {"min_delta": -1.0}, {"min_delta": math.nan}, {"nan": "skip"}])
def test_option_errors(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        EarlyStopping(**options)


def test_one_number_only() -> None:
    with pytest.raises(ValueError, match="one number"):
        EarlyStopping().check([1.0, 2.0])
