"""MetricLogger: per-epoch history of named values, each with the direction in which it improves."""

from __future__ import annotations

import csv
import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from .base import Metric, to_array
from .running import NanPolicy, RunningMean, check_policy

__all__ = ["Direction", "MetricLogger", "MetricSummary"]

Direction = Literal["min", "max"]

# Whole words of a name, split at "_", "/", " ", "-" and "@"; the last one that is known decides ("val_loss", "train/accuracy").
_SMALLER = frozenset("loss error err mse rmse mae mape perplexity ppl nll bce entropy wer cer fid".split())
_LARGER = frozenset(
    "acc accuracy auc auroc aucroc precision recall f1 f1score r2 rsquared ndcg mrr map bleu iou dice top1 top5 score".split()
)


def guess_direction(name: str) -> Direction | None:
    """The direction a metric of that name usually has; None if the name tells nothing."""
    for word in reversed("".join(c if c.isalnum() else " " for c in name.lower()).split()):
        if word in _SMALLER:
            return "min"
        if word in _LARGER:
            return "max"
    return None


@dataclass(frozen=True)
class MetricSummary:
    """One metric's history in brief; `best_value` and `best_epoch` are None when its direction is unknown or all values are NaN."""

    last: float
    best_value: float | None
    best_epoch: int | None
    mean: float
    epochs: int


class MetricLogger:
    """Collects values while an epoch runs; at its end their (weighted) means become the epoch's values.

    The best value of a metric is its smallest or its largest, by `directions` (``{"accuracy": "max"}``) or else by its name (words
    such as loss, error, accuracy, f1); asking for the best of a metric with neither raises ValueError. `nan_policy` says what a
    NaN does to an epoch's mean; an epoch whose value is NaN is never the best one. Epochs count from 0.
    """

    def __init__(self, directions: Mapping[str, Direction] | None = None, nan_policy: NanPolicy = "propagate") -> None:
        check_policy(nan_policy)
        self.nan_policy = nan_policy
        self._directions: dict[str, Direction] = {}
        for name, direction in (directions or {}).items():
            self.set_direction(name, direction)
        self.reset()

    def reset(self) -> None:
        """Forget all values; the directions stay."""
        self._current: dict[str, RunningMean] = {}
        self._history: dict[str, list[tuple[int, float]]] = {}
        self._epoch = 0

    # ------------------------------------------------------------ directions
    def set_direction(self, name: str, direction: Direction) -> None:
        """Declare whether smaller ("min") or larger ("max") values of a metric are better."""
        if direction not in ("min", "max"):
            raise ValueError(f"the direction of {name!r} must be 'min' or 'max', got {direction!r}")
        self._directions[name] = direction

    def direction(self, name: str) -> Direction:
        """The direction of a metric. ValueError if it was not declared and its name does not tell."""
        found = self._directions.get(name) or guess_direction(name)
        if found is None:
            raise ValueError(f"it is not known whether smaller or larger {name!r} is better: call set_direction({name!r}, 'min' or 'max')")
        return found

    # ------------------------------------------------------------ values
    def log(self, name: str, value: Any, weight: float = 1.0) -> None:
        """Add a value (number or one-element tensor) to the running epoch; `weight` is how many samples it stands for."""
        number = to_array(value)
        if number.size != 1:
            raise ValueError(f"{name!r} must be one number, got an array of shape {number.shape}")
        if name not in self._current:
            self._current[name] = RunningMean(self.nan_policy)
        self._current[name].update(float(number.reshape(())), weight)

    def log_dict(self, values: Mapping[str, Any], weight: float = 1.0) -> None:
        """:meth:`log` for several metrics."""
        for name, value in values.items():
            self.log(name, value, weight)

    def log_metric(self, metric: Metric, name: str | None = None) -> None:
        """Log a metric's current result under its class's name (or `name`), with the direction the metric has."""
        name = name or metric.name
        if metric.higher_is_better is not None:
            self.set_direction(name, "max" if metric.higher_is_better else "min")
        self.log(name, metric.compute())

    def end_epoch(self) -> dict[str, float]:
        """Close the epoch and return its values (NaN for a metric of which only omitted NaNs were logged)."""
        values = {name: mean.compute() if mean.weight else math.nan for name, mean in self._current.items()}
        for name, value in values.items():
            self._history.setdefault(name, []).append((self._epoch, value))
        self._current = {}
        self._epoch += 1
        return values

    @property
    def current_epoch(self) -> int:
        """The number of the epoch that is running, which is how many have ended."""
        return self._epoch

    @property
    def metric_names(self) -> list[str]:
        """In order of their first appearance."""
        return list(dict.fromkeys([*self._history, *self._current]))

    def get_current_mean(self, name: str) -> float:
        """The mean of what was logged in the running epoch. KeyError if that is nothing."""
        return self._current[name].compute()

    def get_history(self, name: str) -> list[float]:
        """The values of the epochs in which the metric was logged."""
        return [value for _, value in self._history.get(name, [])]

    def get_epochs(self, name: str) -> list[int]:
        """The epochs that :meth:`get_history` is about."""
        return [epoch for epoch, _ in self._history.get(name, [])]

    def get_last(self, name: str) -> float:
        """The value of the last epoch that has one. KeyError if none has."""
        return self._past(name)[-1][1]

    def get_best(self, name: str) -> tuple[float, int]:
        """Best value and its epoch (the first of equals). KeyError without history, ValueError if all is NaN or the direction unknown."""
        pairs = [(value, epoch) for epoch, value in self._past(name) if not math.isnan(value)]
        sign = 1 if self.direction(name) == "min" else -1
        if not pairs:
            raise ValueError(f"all values of {name!r} are NaN")
        return min(pairs, key=lambda pair: (sign * pair[0], pair[1]))

    def _past(self, name: str) -> list[tuple[int, float]]:
        if name not in self._history:
            raise KeyError(f"no epoch with a value of {name!r} has ended; there are {sorted(self._history)}")
        return self._history[name]

    def summary(self) -> dict[str, MetricSummary]:
        """A :class:`MetricSummary` per metric with history."""
        result = {}
        for name, pairs in self._history.items():
            values = [value for _, value in pairs]
            try:
                best: tuple[float | None, int | None] = self.get_best(name)
            except ValueError:
                best = None, None
            result[name] = MetricSummary(values[-1], *best, mean=math.fsum(values) / len(values), epochs=len(values))
        return result

    # ------------------------------------------------------------ text
    def format_current(self) -> str:
        """``loss: 0.1234 | accuracy: 0.9100`` of the running epoch."""
        return " | ".join(f"{name}: {mean.compute():.4f}" for name, mean in self._current.items() if mean.weight)

    def format_epoch(self, epoch: int | None = None) -> str:
        """One line about an ended epoch (default: the last); values that are their metric's best of all are marked ``*``."""
        epoch = self._epoch - 1 if epoch is None else epoch
        if not 0 <= epoch < self._epoch:
            raise ValueError(f"epoch {epoch} has not ended (ended: {self._epoch})")
        best = {name: each.best_epoch for name, each in self.summary().items()}
        values = ((name, dict(pairs)) for name, pairs in self._history.items())
        parts = [f"{name}: {by_epoch[epoch]:.4f}{' *' if best[name] == epoch else ''}" for name, by_epoch in values if epoch in by_epoch]
        return f"epoch {epoch} | " + " | ".join(parts)

    # ------------------------------------------------------------ export
    def to_csv(self, path: str | os.PathLike[str]) -> None:
        """One row per epoch, one column per metric; a cell is empty where a metric was not logged. Numbers keep all their digits."""
        columns = {name: dict(pairs) for name, pairs in self._history.items()}
        with open(path, "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["epoch", *columns])
            for epoch in range(self._epoch):
                writer.writerow([epoch, *(repr(column[epoch]) if epoch in column else "" for column in columns.values())])

    def to_json(self, path: str | os.PathLike[str]) -> None:
        """The :meth:`state_dict` as strict JSON: NaN and infinities, which JSON has not, become strings."""
        Path(path).write_text(json.dumps(_jsonable(self.state_dict()), indent=2, allow_nan=False), encoding="utf-8")

    @classmethod
    def from_json(cls, path: str | os.PathLike[str]) -> MetricLogger:
        """A logger with the history that :meth:`to_json` wrote."""
        logger = cls()
        logger.load_state_dict(json.loads(Path(path).read_text(encoding="utf-8")))
        return logger

    def state_dict(self) -> dict[str, Any]:
        """Plain containers and numbers: the ended epochs and the directions (an epoch in progress is not part of it)."""
        known = self._directions | {name: d for name in self._history if (d := self._directions.get(name) or guess_direction(name))}
        metrics = {name: {"epochs": self.get_epochs(name), "values": self.get_history(name)} for name in self._history}
        return {"epochs": self._epoch, "nan_policy": self.nan_policy, "directions": known, "metrics": metrics}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from what :meth:`state_dict` gave."""
        history = {
            name: [(int(e), float(v)) for e, v in zip(each["epochs"], each["values"], strict=True)]
            for name, each in state["metrics"].items()
        }
        check_policy(state["nan_policy"])
        for name, direction in state["directions"].items():
            self.set_direction(name, direction)
        self.nan_policy = state["nan_policy"]
        self._epoch, self._history, self._current = int(state["epochs"]), history, {}


def _jsonable(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _jsonable(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_jsonable(each) for each in value]
    return repr(value) if isinstance(value, float) and not math.isfinite(value) else value
