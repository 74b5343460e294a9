"""Where training is listened to: around every run of a plan, and after every optimizer step. Both only append to lists.

Nothing here computes, waits or copies, unless a probe is due (`probe.py`), and no probe changes what training computes: plans, their
arguments and their results are the same with and without taps.
"""

from __future__ import annotations

import time
import weakref
from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import events
from ..asg import scope, trace
from ..asg.declare import VAR
from ..asg.trace import Trace, current
from ..facade.storage import Family

#: points kept for the publisher; beyond that every second one of the older is dropped
MOST_POINTS = 100_000
_Array = np.ndarray

_taps: list[Tap] = []
_original: Any = None
_unsubscribe: list[Callable[[], None]] = []


def _nobody() -> None:
    """A reference to nothing yet."""


class Tap:
    """What one viewer hears.

    ``points``  (step, seconds, loss or None, learning rate or None, number of the optimizer) for the publisher to take
    ``fresh``   plans of steps that were not seen before, as (plans, what was found out about each)
    """

    def __init__(self) -> None:
        self.points: deque[tuple[int, float, Any, float | None, int]] = deque()
        self.fresh: deque[tuple[list[Any], dict[int, Any]]] = deque()
        self.begun = time.perf_counter()
        self.steps = self.dropped = 0
        self.failures: deque[tuple[BaseException, tuple[Any, ...]]] = deque(maxlen=4)
        #: set by the publisher when the next run of a plan is to be looked into
        self.probe: Any = None
        #: whether the last loss was finite; a hunt for the first bad value begins when it no longer is
        self.finite = True
        #: the tensor that `backward` was called on last: held until the step, so that its value is computed also if the script drops it
        self.held: Any = None
        self._loss: Any = None
        self._awaited: Any = None
        self._ran: list[Any] = []
        self._when: list[tuple[int, int]] = []  # in which iteration of which trace each ran
        self._last: list[Any] = []
        self._seen: set[tuple[int, ...]] = set()
        self._details: dict[int, Any] = {}
        self._last_optimizer: Callable[[], Any] = _nobody
        self._last_number = 0
        self._optimizers: weakref.WeakKeyDictionary[Any, int] = weakref.WeakKeyDictionary()

    # ---------------------------------------------------------------- around a run
    def after(self, tr: Trace) -> None:
        """A plan ran; its values are known in the trace."""
        plan = tr.plan
        if plan is None:
            return
        self._ran.append(plan)
        self._when.append((tr.index, tr.generation))
        if id(plan) not in self._details:
            self._details[id(plan)] = details(tr, plan)
        swept = tr.swept
        if swept:
            value = tr.known.get(swept[-1][0])
            if value.__class__ is _Array and value.size == 1:
                self._loss = value.item()
        if len(self._ran) > 64:  # nobody steps: a loop that only evaluates
            self.fresh_plans()

    def fresh_plans(self) -> None:
        """Offer what ran since the last step as a graph, if it is a new one."""
        ran, self._ran, self._when = self._ran, [], []
        if ran == self._last or not ran:
            return
        self._last = ran
        key = tuple(map(id, ran))
        if key not in self._seen and len(self._seen) < 4096:
            self._seen.add(key)
            unique = list({id(p): p for p in ran}.values())
            self.fresh.append((unique, {id(p): self._details.get(id(p)) for p in unique}))

    # ---------------------------------------------------------------- after a step
    def step(self, event: Any) -> None:
        """An optimizer step is done."""
        self.steps += 1
        loss, self._loss = self._loss, None
        self._awaited = weakref.ref(self.held) if self.held is not None and loss is None else None
        self.held = None
        optimizer = event.source
        if optimizer is not self._last_optimizer():
            self._last_optimizer = weakref.ref(optimizer)
            self._last_number = self._optimizers.setdefault(optimizer, len(self._optimizers))
        number = self._last_number
        rate = optimizer.param_groups[0].get("lr")
        points = self.points
        points.append((self.steps, time.perf_counter() - self.begun, loss, rate if isinstance(rate, float) else None, number))
        if len(points) > MOST_POINTS:  # the window is not listening
            kept = list(points)
            self.points = deque(kept[: MOST_POINTS // 2 : 2] + kept[MOST_POINTS // 2 :])
            self.dropped += len(kept) - len(self.points)
        if loss is not None:
            self.finite = loss - loss == 0.0
        ran, when = self._ran, self._when
        if when and when[0] != when[-1]:  # evaluations since the last step are no part of it
            self._ran = ran = [p for p, w in zip(ran, when, strict=True) if w == when[-1]]
        if ran != self._last:
            self.fresh_plans()
        else:
            self._ran, self._when = [], []

    def read(self, tensor: Any, value: Any) -> None:
        """The script read a number. Of a loss that lies on another device this is when it is known, without anybody waiting for it."""
        if self._awaited is not None and self._awaited() is tensor:
            self._awaited = None
            self.points.append((self.steps, time.perf_counter() - self.begun, float(value), None, 0))


def details(tr: Trace, plan: Any) -> tuple[tuple[Any, ...], tuple[tuple[Any, Any], ...], tuple[Any, ...]]:
    """(where backward passes began, (old, new) values of storages, gradients of leaves) of the trace that a plan ran in."""
    losses = tuple(r for roots in tr.swept for r in roots)
    updates = [(old, new) for _, olds, news, _ in tr.updates for old, new in zip(olds, news, strict=True)]
    for r in (*tr.families, *tr.claims.values()):  # storages that were written otherwise
        family = r()
        if family.__class__ is Family and family.leaf is not None and family.leaf.op is VAR and family.h not in (None, family.leaf):
            updates.append((family.leaf, family.h))
    return losses, tuple(dict.fromkeys(updates)), tuple(g for _, grads in tr.grads for g in grads)


def _execute(tr: Trace, outputs: Any, donated: Any = ()) -> None:
    """Stands in for `trace.execute` while somebody listens."""
    for tap in _taps:
        if tap.probe is not None:
            tap.probe.before(tr, outputs)
    _original(tr, outputs, donated)
    for tap in _taps:
        if tap.probe is not None:
            tap.probe.after(tr)
        tap.after(tr)


def _stepped(event: Any) -> None:
    for tap in _taps:
        tap.step(event)
        probe = tap.probe
        if probe is not None:
            probe.stepped()
            if probe.done:
                tap.probe = None


def _differentiated(event: Any) -> None:
    for tap in _taps:
        tap.held = event.tensor


def _read(event: Any) -> None:
    for tap in _taps:
        tap.read(event.tensor, event.value)


def _failed(error: BaseException, modules: list[Any]) -> None:
    for tap in _taps:
        tap.failures.append((error, (tuple(modules), current())))


def add(tap: Tap) -> None:
    """Begin to listen."""
    global _original
    _taps.append(tap)
    if len(_taps) == 1:
        _original, trace.execute = trace.execute, _execute
        _unsubscribe[:] = [events.subscribe("step_done", _stepped), events.subscribe("differentiated", _differentiated)]
        _unsubscribe.append(events.subscribe("item_read", _read))
        scope.on_failure = _failed


def remove(tap: Tap) -> None:
    """End it. Once nobody listens, everything is as it was."""
    if tap in _taps:
        _taps.remove(tap)
        if not _taps:
            trace.execute = _original
            scope.on_failure = None
            while _unsubscribe:
                _unsubscribe.pop()()
