"""Where training is listened to: at every backward pass and every optimizer step, and now and then around the plans of a step.

Steps are counted whether anybody listens or not (`events.steps`); one that is heard costs some microseconds, in which its loss is noted.
In quick loops that is one of several (`Tap.every`), and the others cost nothing. Which plans a step is made of is looked at only when the
session asks (`Tap.ask`), there some ten times a second. Nothing here computes, waits or copies, unless a probe is due (`probe.py`), and no
probe changes what training computes: plans, their arguments and their results are the same with and without taps.
"""

from __future__ import annotations

import itertools
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
from ..backends.wgpu.memory import DeviceArray, stored
from ..facade.storage import Family
from . import hunt, remote

#: points kept for the publisher; beyond that every second one of the older is dropped
MOST_POINTS = 100_000
#: seconds that a step takes from which on the plans of every step are looked at
SLOW = 0.004
#: steps after `add` that are looked at in any case, and plans after which those of a loop without steps are offered as a graph
FIRST, LOOSE = 8, 64
#: steps after which a loss on another device that the script has not read is fetched, and seconds between two of these
UNREAD, FETCH = 20, 0.1
_Array = np.ndarray
_clock = time.perf_counter

_taps: list[Tap] = []
_original: Any = None


def _nobody() -> None:
    """A reference to nothing yet."""


class Tap:
    """What one viewer hears.

    ``losses``  (step, loss, number of the optimizer) for the session to take
    ``marks``   (step, seconds, learning rate or None, number of the optimizer) of the steps that were looked at more closely
    ``coming``  (step, number of the optimizer, reading) of losses that are fetched from another device
    ``fresh``   plans of steps that were not seen before, as (plans, what was found out about each, ``key``)
    ``key``     of the plans of the step that was looked at last: steps of equal plans have equal keys
    ``looks``   how many steps were looked at for their plans: in quick loops not all are
    ``suspect`` (step, its data) of the first step whose loss was not finite, until the session has looked at it
    ``passed``  whether the loss of the suspect was passed over: no step followed it
    ``every``   of so many quick steps one is heard;  ``due`` how many steps (of `events.steps`) are done before the next of these
    """

    def __init__(self) -> None:
        self.losses: list[tuple[int, float, int]] = []
        self.marks: list[tuple[int, float, float | None, int]] = []
        self.coming: deque[tuple[int, int, Any]] = deque()
        self.fresh: deque[tuple[list[Any], list[Any], tuple[int, ...]]] = deque()
        self.key: tuple[int, ...] = ()
        self.looks = 0
        self.passed = False
        self.begun = _clock()
        self.dropped = 0
        self._first = events.steps
        self.every, self.due = 1, 0
        self.suspect: tuple[int, Any] | None = None
        self.failures: deque[tuple[BaseException, tuple[Any, ...]]] = deque(maxlen=4)
        #: set by the session when the next step is to be looked into
        self.probe: Any = None
        #: whether there is more to do at the end of the step than to note the loss
        self.busy = True
        #: whether runs of plans are listened to, and whether they are to be from the next step on
        self.near, self._asked = True, False
        self._least = FIRST  # steps for which they are in any case
        #: the tensor that `backward` was called on last: held until the step, so that its value is computed also if the script drops it
        self._held: Any = None
        self._data: Any = None  # what the step was given until then
        self._awaited: Any = None
        self._heard_at, self._fetched = 0, self.begun  # the step whose loss was read last; when one was fetched
        self._reads: Callable[[], None] | None = None
        self._ran: list[Any] = []
        self._when: list[tuple[int, int]] = []  # in which iteration of which trace each ran
        self._last: list[Any] = []
        self._seen: set[tuple[int, ...]] = set()
        self._numbers = itertools.count()
        self._known: weakref.WeakKeyDictionary[Any, tuple[int, Any]] = weakref.WeakKeyDictionary()  # plan -> its number, details
        self._last_optimizer: Callable[[], Any] = _nobody
        self._last_number = 0
        self._last_time, self._last_step = self.begun, 0
        self._optimizers: weakref.WeakKeyDictionary[Any, int] = weakref.WeakKeyDictionary()

    @property
    def steps(self) -> int:
        """How many steps were done since it began to listen."""
        return events.steps - self._first

    def ask(self) -> None:
        """Listen to the plans of the next step (of a loop without steps: to those that run from now on)."""
        self._asked = self.busy = True
        self.due = 0
        _wait()

    def come_near(self) -> None:
        """Listen to plans from this moment on."""
        self.near = True
        _rewire()

    # ---------------------------------------------------------------- in every step that is heard
    def differentiated(self, tensor: Any) -> None:
        """``backward()`` is called."""
        if self._held is not None and self.suspect is None:
            self._without_step(self._held, self._data)
        self._held, self._data = tensor, current().bound.copy()

    def _without_step(self, tensor: Any, data: Any) -> None:
        """No step followed the last loss: it was one of several that a step adds up, or the script passes over one that is not finite."""
        family = tensor._f
        if family is None:
            return
        value = content(family) if family.value is None else family.value[1]
        if value.__class__ is _Array and value.size == 1:
            loss = value.item()
            if loss - loss:  # not finite
                self.losses.append((self.steps + 1, loss, self._last_number))
                self._suspect(self.steps + 1, data)
                self.passed = True

    def step(self, optimizer: Any) -> None:
        """An optimizer step is done."""
        steps = self.steps
        tensor, data = self._held, self._data
        self._held = self._data = None
        if self.busy or optimizer is not self._last_optimizer() or not steps & 0xFFF:
            self._whole_step(steps, tensor, data, optimizer)
        elif tensor is not None:
            self._loss(steps, tensor, data)
        if self.every > 1 and not self.busy:
            self.due = events.steps + self.every - 1
            _wait()

    def _loss(self, steps: int, tensor: Any, data: Any) -> None:
        """Note the loss that a step followed."""
        family = tensor._f
        if family is None:
            return
        value = content(family) if family.value is None else family.value[1]
        if value.__class__ is not _Array:
            self._await(tensor, value)
        elif value.size == 1:
            loss = value.item()
            self.losses.append((steps, loss, self._last_number))
            if loss - loss:  # not finite
                self._suspect(steps, data)

    # ---------------------------------------------------------------- sometimes
    def _suspect(self, steps: int, data: Any) -> None:
        """Keep what the first step was given whose loss is not finite."""
        if self.suspect is None or steps <= self._least:  # the first steps have graphs of their own
            self.suspect = steps, hunt.copied(data or {})

    def _whole_step(self, steps: int, tensor: Any, data: Any, optimizer: Any) -> None:
        """A step of which everything is noted."""
        if optimizer is not self._last_optimizer():
            self._last_optimizer = weakref.ref(optimizer)
            self._last_number = self._optimizers.setdefault(optimizer, len(self._optimizers))
        if tensor is not None:
            self._loss(steps, tensor, data)
        rate = optimizer.param_groups[0].get("lr")
        now = _clock()
        self.marks.append((steps, now - self.begun, rate if isinstance(rate, float) else None, self._last_number))
        for points in (self.losses, self.marks):
            if len(points) > MOST_POINTS:  # nobody takes them
                self._thin(points)
        if self.busy:
            self._after(now)
        self._last_time, self._last_step = now, steps

    def _thin(self, points: list[Any]) -> None:
        most = len(points)
        del points[1 : MOST_POINTS // 2 : 2]
        self.dropped += most - len(points)

    def _after(self, now: float) -> None:
        """The end of a step that was listened to, or that the next one is to follow."""
        if self.near:
            ran, when = self._ran, self._when
            if when and when[0] != when[-1]:  # evaluations since the last step are no part of it
                self._ran = ran = [p for p, w in zip(ran, when, strict=True) if w == when[-1]]
            self.looks += 1
            if ran != self._last:
                self.fresh_plans()
            else:
                self._ran, self._when = [], []
            probe = self.probe
            if probe is not None:
                probe.stepped()
                if probe.done:
                    self.probe = None
        near = (
            self._asked
            or self.probe is not None
            or self.steps < self._least
            or now - self._last_time > SLOW * (self.steps - self._last_step)
        )
        self._asked, self.busy = False, near
        if near != self.near:
            self.near = near
            _rewire()

    def after(self, tr: Trace, plans: list[Any]) -> None:
        """Plans ran; their values are known in the trace."""
        for plan in plans:
            self._ran.append(plan)
            self._when.append((tr.index, tr.generation))
            if plan not in self._known:
                self._known[plan] = next(self._numbers), details(tr, plan)
        if len(self._ran) > LOOSE:  # nobody steps: a loop that only evaluates
            self.fresh_plans()
            self.near = self.probe is not None
            _rewire()

    def fresh_plans(self) -> None:
        """Offer what ran since the last step as a graph, if it is a new one."""
        ran, self._ran, self._when = self._ran, [], []
        if ran == self._last or not ran:
            return
        self._last = ran
        unique = list(dict.fromkeys(ran))
        key = self.key = tuple([self._known[p][0] for p in unique])
        if key not in self._seen and len(self._seen) < 4096:
            self._seen.add(key)
            self.fresh.append((unique, [self._known[p][1] for p in unique], key))

    def _await(self, tensor: Any, value: Any) -> None:
        """The loss lies on another device: it is known when the script reads it. If the script does not, some are read without waiting."""
        if value.__class__ is not DeviceArray:
            return
        self._awaited = weakref.ref(tensor)
        if self._reads is None:
            self._reads = events.subscribe("item_read", self._read)
        now = _clock()
        if self.steps - self._heard_at > UNREAD and now - self._fetched > FETCH and value.size == 1 and stored(value.element) == np.float32:
            self._fetched = now
            reading = remote.reading(value)
            if reading is not None:
                self.coming.append((self.steps, self._last_number, reading))

    def _read(self, event: Any) -> None:
        """The script read a number. Of a loss that lies on another device this is when it is known, without anybody waiting for it."""
        if self._awaited is not None and self._awaited() is event.tensor:
            self._awaited, self._heard_at = None, self.steps
            self.losses.append((self.steps, float(event.value), self._last_number))

    def close(self) -> None:
        """Nothing is listened to any more."""
        self._held = self._data = self._awaited = None
        if self._reads is not None:
            self._reads()
            self._reads = None


def content(family: Family) -> Any:
    """The array of a storage, if it is at hand as it was computed."""
    try:
        return family.cell.array
    except AttributeError:
        return None


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
    """Stands in for `trace.execute` while somebody listens to plans."""
    for tap in _taps:
        if tap.near and tap.probe is not None:
            tap.probe.before(tr, outputs)
    before = len(tr.ran)
    _original(tr, outputs, donated)
    for tap in tuple(_taps):
        if tap.near:
            if tap.probe is not None:
                tap.probe.after(tr)
            tap.after(tr, [plan for _, plan in tr.ran[before:]])


def _differentiated(tensor: Any) -> None:
    for tap in _taps:
        tap.differentiated(tensor)


def _stepped(optimizer: Any) -> None:
    for tap in tuple(_taps):
        tap.step(optimizer)


def _failed(error: BaseException, modules: list[Any]) -> None:
    for tap in _taps:
        tap.failures.append((error, (tuple(modules), current())))


def _rewire() -> None:
    """Have plans run through `_execute` or not."""
    trace.execute = _execute if any(tap.near for tap in _taps) else _original


def _connect() -> None:
    """Have what happens in a step told to the taps."""
    one = _taps[0] if len(_taps) == 1 else None
    events.before_backward, events.after_step = (one.differentiated, one.step) if one is not None else (_differentiated, _stepped)
    _wait()


def _wait() -> None:
    """The next step that is told is the first that a tap is to hear."""
    events.due = _taps[0].due if len(_taps) == 1 else min([tap.due for tap in _taps], default=events.NEVER)


def add(tap: Tap) -> None:
    """Begin to listen."""
    global _original
    if not _taps:
        _original = trace.execute
        scope.on_failure = _failed
    _taps.append(tap)
    tap.near = tap.busy = True
    tap.due = 0
    tap._least = tap.steps + FIRST
    _rewire()
    _connect()


def remove(tap: Tap) -> None:
    """End it. Once nobody listens, everything is as it was."""
    if tap in _taps:
        _taps.remove(tap)
        tap.close()
        _rewire()
        _connect()
        if not _taps:
            scope.on_failure = None
