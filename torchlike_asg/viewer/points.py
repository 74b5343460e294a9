"""From what a tap noted to points of curves: loss and learning rate, of each optimizer its own if there are several."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

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
        self._rates: dict[int, tuple[float, float]] = {}  # of each optimizer the last that was told, and when
        self._looked = (0, 0.0)  # step and second of the last look

    def take(self) -> list[Scalars]:
        """The new points."""
        tap = self._tap
        while tap.coming and tap.coming[0][3].ready():
            step, number, scale, reading = tap.coming.popleft()
            tap.losses.append((step, float(reading.content().view(np.float32)[0]) / scale, number))
        losses, marks = _taken(tap.losses), _taken(tap.marks)
        now, self.bad = (tap.steps, time.perf_counter() - tap.begun), 0
        made: list[Scalars] = []
        if marks:
            self._several |= any(m[3] for m in marks)
            made += self._learning_rates(marks)
        if losses:
            points = np.asarray(losses, np.float64)
            self._check(points)
            known = [self._looked, *[m[:2] for m in marks], now]  # only these have times: the others lie evenly between them
            seconds = np.interp(points[:, 0], [k[0] for k in known], [k[1] for k in known])
            if self._several:
                for k in sorted(set(points[:, 2].tolist())):
                    mine = points[:, 2] == k
                    made.append(_curve(self._name("loss", int(k)), points[mine, 0], seconds[mine], points[mine, 1]))
            else:
                made.append(_curve("loss", points[:, 0], seconds, points[:, 1]))
        self._looked = now
        return made

    def _name(self, name: str, number: int) -> str:
        return f"{name} {number + 1}" if self._several else name

    def _check(self, points: NDArray[Any]) -> None:
        self.well = bool(np.isfinite(points[-1, 1]))
        wrong = ~np.isfinite(points[:, 1])
        if wrong.any():
            self.bad = int(points[wrong.argmax(), 0])

    def _learning_rates(self, marks: list[Any]) -> list[Scalars]:
        """The learning rates that say something new: where one changes, and now and then where it does not."""
        told: dict[int, list[tuple[int, float, float]]] = {}
        for step, seconds, rate, number in marks:
            last, then = self._rates.get(number, (None, 0.0))
            if rate is not None and (rate != last or seconds - then > STEADY):
                self._rates[number] = rate, seconds
                told.setdefault(number, []).append((step, seconds, rate))
        return [_curve(self._name("lr", k), *np.asarray(points, np.float64).T) for k, points in sorted(told.items())]


def _taken(points: list[Any]) -> list[Any]:
    """What lies there now, taken away; the training thread may go on adding to it."""
    taken = points[:]
    del points[: len(taken)]
    return taken


def _curve(name: str, steps: NDArray[Any], seconds: NDArray[Any], values: NDArray[Any]) -> Scalars:
    return Scalars(name, steps.astype(np.int64), seconds, values)
