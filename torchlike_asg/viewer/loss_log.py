"""What is noted of losses while training goes on: the values of those that steps followed, and the first that is not finite."""

from __future__ import annotations

import time
import weakref
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import events
from ..asg.node import Node
from ..asg.trace import current
from ..backends.wgpu.memory import DeviceArray, stored
from .kept import copied
from .losses import asked, computed, scale_of

#: points kept for the publisher; beyond that every second one of the older is dropped
MOST_POINTS = 100_000
#: steps after which a loss on another device that the script has not read is fetched, and seconds between two of these
UNREAD, FETCH = 20, 0.1
_Array = np.ndarray
_clock = time.perf_counter


def _nobody() -> None:
    """A reference to nothing yet."""


@dataclass(frozen=True)
class Suspect:
    """A loss that is not finite: the step that it belongs to, its node if that is known, and what its trace was given."""

    step: int
    root: Node | None
    data: dict[Node, Any]


class LossLog:
    """``first``    `events.steps` when it began
    ``points``   (step, loss, number of the optimizer) for the session to take;  ``dropped`` how many had to give way
    ``coming``   (step, number of the optimizer, scale, reading) of losses that are fetched from another device
    ``suspect``  the first loss that was not finite, until the session has looked at it
    ``number``   of the optimizer whose step was heard last;  ``least`` steps of which each may have a graph of its own
    ``held``     the tensors that `backward` was called on since the last step, each with its node and what the trace was given until then:
                 held until the step, so that their values are computed also if the script drops them
    """

    def __init__(self, least: int) -> None:
        self.first, self.least = events.steps, least
        self.points: list[tuple[int, float, int]] = []
        self.coming: deque[tuple[int, int, float, Any]] = deque()
        self.dropped = self.number = 0
        self.suspect: Suspect | None = None
        self.held: list[tuple[Any, Node | None, dict[Node, Any]]] = []
        self._told: tuple[int, Node | None, Callable[[], Any]] = (0, None, _nobody)  # the last bad loss: its step, node and tensor
        self._awaiting: Callable[[], Any] = _nobody  # a loss on another device
        self._heard_at, self._fetched = 0, _clock()  # the step whose loss was read last; when one was fetched
        self._reads: Callable[[], None] | None = None

    @property
    def steps(self) -> int:
        """How many steps were done since it began."""
        return events.steps - self.first

    # ---------------------------------------------------------------- in every step that is heard
    def differentiated(self, tensor: Any) -> None:
        """``backward()`` is called."""
        if self.held:
            self._earlier()
            if self.held and computed(self.held[-1][0]) is not None:  # a part of what the step adds up: the last counts
                self.held.pop()
        self.held.append((tensor, tensor._n, current().bound.copy()))

    def take(self, steps: int, held: list[Any]) -> None:
        """Note the loss that a step followed: the last of those that it adds up, or the first that is not finite."""
        for last in held:
            value = computed(last[0])
            if value.__class__ is not _Array:
                self._await(last[0], value)
            elif value.size == 1:
                loss = value.item() / scale_of(last[0])
                if loss - loss:  # not finite
                    self._bad(steps, loss, *last)
                    return
                if last is held[-1]:
                    self.points.append((steps, loss, self.number))

    # ---------------------------------------------------------------- sometimes
    def _earlier(self) -> None:
        """Losses that no step has followed so far: of several that it will add up, or the script passes over one that is not finite."""
        waiting = []
        for held in self.held:
            value = computed(held[0])
            if value.__class__ is _Array and value.size == 1:
                loss = value.item()
                if loss - loss:
                    self._bad(self.steps + 1, loss, *held)
                    continue
            if value is None or held is self.held[-1]:
                waiting.append(held)
        self.held = waiting

    def _bad(self, steps: int, loss: float, tensor: Any, root: Node | None, data: dict[Node, Any]) -> None:
        """Note a loss that is not finite, and keep what the first such was computed from."""
        told = self._told
        if told[2]() is tensor or (root is not None and told[:2] == (steps, root)):
            return
        self._told = steps, root, weakref.ref(tensor)
        self.points.append((steps, loss, self.number))
        if self.suspect is None or steps <= self.least or not self.suspect.data:  # the first steps have graphs of their own
            self.suspect = Suspect(steps, root, copied(data))

    def read(self, tensor: Any, value: Any) -> None:
        """The script read a truth value, or a number that is not finite: perhaps it will pass over what it asked for."""
        if self.held:
            self._earlier()
        tr, family = current(), tensor._f
        found = asked(family.h if tensor._n is None and family is not None else tensor._n, tr)
        if found is not None:
            root, number = found
            self._bad(self.steps + 1, number, tensor, root, tr.bound.copy())
        elif value.__class__ is float and tensor._n is None and tensor.requires_grad and tensor is not self._awaiting():
            self._bad(self.steps, value, tensor, None, {})  # of a step that was not heard

    def thin(self, points: list[Any]) -> None:
        """If nobody takes points, drop some of the older."""
        most = len(points)
        if most > MOST_POINTS:
            del points[1 : MOST_POINTS // 2 : 2]
            self.dropped += most - len(points)

    # ---------------------------------------------------------------- losses on another device
    def _await(self, tensor: Any, value: Any) -> None:
        """It is known when the script reads it. If the script does not, some are read without waiting."""
        if value.__class__ is not DeviceArray:
            return
        self._awaiting = tensor._scaled[0] if "_scaled" in tensor.__dict__ else weakref.ref(tensor)
        if self._reads is None:
            self._reads = events.subscribe("item_read", self._read)
        now = _clock()
        if self.steps - self._heard_at > UNREAD and now - self._fetched > FETCH and value.size == 1 and stored(value.element) == np.float32:
            from .remote import reading as begin  # not before: `visualize` is to return at once

            self._fetched = now
            reading = begin(value)
            if reading is not None:
                self.coming.append((self.steps, self.number, scale_of(tensor), reading))

    def _read(self, event: Any) -> None:
        """The script read a number: if it is such a loss, it is known without anybody waiting for it."""
        if self._awaiting() is event.tensor:
            self._awaiting, self._heard_at = _nobody, self.steps
            self.points.append((self.steps, float(event.value), self.number))

    def close(self) -> None:
        """Nothing is listened to any more."""
        self.held, self._awaiting = [], _nobody
        if self._reads is not None:
            self._reads()
            self._reads = None
