"""EarlyStopping: end training when a metric no longer improves, and go back to the best weights."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from typing import Any, Literal, Self

from .base import to_array

__all__ = ["EarlyStopping"]

NanResponse = Literal["count", "stop", "raise"]


class EarlyStopping:
    """Says when to stop: `patience` checks in a row without an improvement of more than `min_delta`.

    ``mode="min"``: a value is better if ``value < best - min_delta``; ``"max"``: if ``value > best + min_delta``. A NaN is never
    the best; it "count"s as a check without improvement, "stop"s training at once, or "raise"s ValueError, by `nan`. Once stopped
    it stays stopped until :meth:`reset`.

    With `restore_best`, each best check keeps a copy of the model's ``state_dict()``, and :meth:`restore` (called by hand, or by
    `check` when it stops) loads it back::

        stopper = EarlyStopping(mode="max", patience=5, restore_best=True)
        for epoch in range(100):
            train(model)
            if stopper.check(validate(model), epoch, model):
                break
        stopper.restore(model)
    """

    def __init__(
        self,
        mode: Literal["min", "max"] = "min",
        patience: int = 10,
        min_delta: float = 0.0,
        nan: NanResponse = "count",
        restore_best: bool = False,
    ) -> None:
        if mode not in ("min", "max"):
            raise ValueError(f"mode must be 'min' or 'max', got {mode!r}")
        if patience < 1:
            raise ValueError(f"patience must be at least 1, got {patience}")
        if not min_delta >= 0:
            raise ValueError(f"min_delta must not be negative, got {min_delta}")
        if nan not in ("count", "stop", "raise"):
            raise ValueError(f"nan must be 'count', 'stop' or 'raise', got {nan!r}")
        self.mode, self.patience, self.min_delta, self.nan, self.restore_best = mode, patience, min_delta, nan, restore_best
        self.reset()

    @classmethod
    def minimize(cls, patience: int = 10, **options: Any) -> Self:
        """For losses and errors."""
        return cls("min", patience, **options)

    @classmethod
    def maximize(cls, patience: int = 10, **options: Any) -> Self:
        """For accuracies and scores."""
        return cls("max", patience, **options)

    def reset(self) -> None:
        """Start over."""
        self.best_value: float | None = None
        self.best_epoch: int | None = None
        self.best_state: dict[str, Any] | None = None
        self.counter = 0
        self.checks = 0
        self.should_stop = False

    def check(self, value: Any, epoch: int | None = None, model: Any = None) -> bool:
        """Take in the newest value (number or one-element tensor); True when training should stop.

        `epoch` defaults to the number of checks so far. `model` is needed with `restore_best`; when the answer is True for the
        first time, the best weights have been loaded into it.

        Raises:
            ValueError: NaN under ``nan="raise"``, more than one number, or no model under `restore_best`.
        """
        if self.restore_best and model is None:
            raise ValueError("restore_best=True needs the model: call check(value, epoch, model)")
        number = to_array(value)
        if number.size != 1:
            raise ValueError(f"expected one number, got an array of shape {number.shape}")
        if self.should_stop:
            return True
        epoch = self.checks if epoch is None else epoch
        self.checks += 1
        if self._improves(float(number.reshape(()))):
            self.best_value, self.best_epoch, self.counter = float(number.reshape(())), epoch, 0
            if self.restore_best:
                self.best_state = _copied(model.state_dict())
        else:
            self.counter += 1
            self.should_stop = self.should_stop or self.counter >= self.patience
        if self.should_stop and self.best_state is not None:
            self.restore(model)
        return self.should_stop

    __call__ = check

    def _improves(self, value: float) -> bool:
        if math.isnan(value):
            if self.nan == "raise":
                raise ValueError("the watched value is NaN")
            self.should_stop = self.nan == "stop"
            return False
        if self.best_value is None:
            return True
        return value < self.best_value - self.min_delta if self.mode == "min" else value > self.best_value + self.min_delta

    def restore(self, model: Any) -> None:
        """Load the best check's weights. RuntimeError if there are none."""
        if self.best_state is None:
            raise RuntimeError("no best weights are kept: use restore_best=True, and check() at least once with a value that is not NaN")
        model.load_state_dict(self.best_state)

    def state_dict(self) -> dict[str, Any]:
        """The progress, best weights included, for a checkpoint. The options are not part of it."""
        names = ("best_value", "best_epoch", "best_state", "counter", "checks", "should_stop")
        return {name: getattr(self, name) for name in names}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from what :meth:`state_dict` gave."""
        for name in self.state_dict():
            setattr(self, name, state[name])

    def __repr__(self) -> str:
        return f"EarlyStopping(mode={self.mode!r}, patience={self.patience}, min_delta={self.min_delta})"


def _copied(state: Mapping[str, Any]) -> dict[str, Any]:
    """A state dict that later updates of the model do not reach."""
    return {name: value.detach().clone() if hasattr(value, "detach") else copy.deepcopy(value) for name, value in state.items()}
