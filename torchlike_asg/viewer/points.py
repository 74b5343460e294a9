"""From what a tap noted to points of curves: loss and learning rate, of each optimizer its own if there are several."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from .protocol import Scalars
from .taps import Tap

#: seconds after which a learning rate that stays the same is told again
STEADY = 2.0


class Points:
    """``bad`` after `take`: the first of the new steps whose loss was not finite, or 0;  ``well`` whether the newest loss is finite."""

    def __init__(self, tap: Tap) -> None:
        self._tap = tap
        self.bad, self.well = 0, True
        self._several = False
        self._with_losses: dict[int, None] = {}  # the optimizers that a loss was minimised by: two may share one
        self._rates: dict[int, tuple[float, float]] = {}  # of each optimizer the last that was told, and when
        self._looked = (0, 0.0)  # step and second of the last look

    def take(self) -> list[Scalars]:
        """The new points."""
        tap = self._tap
        log = tap.log
        while log.coming and log.coming[0][3].ready():
            step, number, scale, reading = log.coming.popleft()
            log.points.append((step, float(reading.content().view(np.float32)[0]) / scale, number))
        losses, marks = _taken(log.points), _taken(tap.marks)
        now, self.bad = (tap.steps, time.perf_counter() - tap.begun), 0
        made: list[Scalars] = []
        if marks:
            self._several |= any(m[3] for m in marks)
            made += self._learning_rates(marks)
        if losses:
            self.well = losses[-1][1] - losses[-1][1] == 0.0
            self.bad = next((step for step, loss, _ in losses if loss - loss != 0.0), 0)
            seconds = _between([step for step, _, _ in losses], [self._looked, *[m[:2] for m in marks], now])
            points = [(step, when, loss, number) for (step, loss, number), when in zip(losses, seconds, strict=True)]
            self._with_losses.update(dict.fromkeys(number for *_, number in points))
            for k, number in enumerate(self._with_losses):
                own = [p[:3] for p in points if p[3] == number]
                if own:
                    made.append(_curve(_name("loss", k, len(self._with_losses) > 1), own))
        self._looked = now
        return made

    def _learning_rates(self, marks: list[Any]) -> list[Scalars]:
        """The learning rates that say something new: where one changes, and now and then where it does not."""
        told: dict[int, list[tuple[int, float, float]]] = {}
        for step, seconds, rate, number in marks:
            last, then = self._rates.get(number, (None, 0.0))
            if rate is not None and (rate != last or seconds - then > STEADY):
                self._rates[number] = rate, seconds
                told.setdefault(number, []).append((step, seconds, rate))
        return [_curve(_name("lr", k, self._several), points) for k, points in sorted(told.items())]


def _name(name: str, number: int, several: bool) -> str:
    return f"{name} {number + 1}" if several else name


def _taken(points: list[Any]) -> list[Any]:
    """What lies there now, taken away; the training thread may go on adding to it."""
    taken = points[:]
    del points[: len(taken)]
    return taken


def _between(steps: list[int], known: list[tuple[int, float]]) -> list[float]:
    """When steps were, evenly between those of which it is known. (They are too few for NumPy to be quicker.)"""
    found, k = [], 0
    for step in steps:
        while k < len(known) - 2 and known[k + 1][0] < step:
            k += 1
        (before, began), (after, ended) = known[k], known[k + 1]
        share = (step - before) / (after - before) if after > before else 1.0
        found.append(began + min(max(share, 0.0), 1.0) * (ended - began))
    return found


def _curve(name: str, points: Sequence[Sequence[Any]]) -> Scalars:
    """Of (step, second, value)s."""
    steps, seconds, values, *_ = zip(*points, strict=True)
    return Scalars(name, np.array(steps, np.int64), np.array(seconds), np.array(values))
