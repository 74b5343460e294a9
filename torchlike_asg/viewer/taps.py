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
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import events
from ..asg import scope
from ..asg.node import Node
from ..asg.trace import Trace, current
from ..backends.wgpu.memory import DeviceArray, stored
from ..compiler import plan as plans
from .kept import copied
from .links import Made, Part, details
from .losses import asked, computed, scale_of

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
_original = plans.execute_plan


def _nobody() -> None:
    """A reference to nothing yet."""


@dataclass(frozen=True)
class Suspect:
    """A loss that is not finite: the step that it belongs to, its node if that is known, and what its trace was given."""

    step: int
    root: Node | None
    data: dict[Node, Any]


class Tap:
    """What one viewer hears.

    ``losses``  (step, loss, number of the optimizer) for the session to take
    ``marks``   (step, seconds, learning rate or None, number of the optimizer) of the steps that were looked at more closely
    ``coming``  (step, number of the optimizer, scale, reading) of losses that are fetched from another device
    ``fresh``   steps that were not seen before, as (their plans with what was found out about each, trace by trace; ``key``)
    ``key``     of the plans of the step that was looked at last: steps of equal plans have equal keys
    ``looks``   how many steps were looked at for their plans: in quick loops not all are
    ``suspect`` the first loss that was not finite, until the session has looked at it
    ``every``   of so many quick steps one is heard;  ``due`` how many steps (of `events.steps`) are done before the next of these
    """

    def __init__(self) -> None:
        self.losses: list[tuple[int, float, int]] = []
        self.marks: list[tuple[int, float, float | None, int]] = []
        self.coming: deque[tuple[int, int, float, Any]] = deque()
        self.fresh: deque[tuple[list[list[tuple[Any, Part]]], tuple[int, ...]]] = deque()
        self.key: tuple[int, ...] = ()
        self.looks = 0
        self.begun = _clock()
        self.dropped = 0
        self._first = events.steps
        self.every, self.due = 1, 0
        self.suspect: Suspect | None = None
        self.failures: deque[tuple[BaseException, tuple[Any, ...]]] = deque(maxlen=4)
        #: set by the session when the next step is to be looked into
        self.probe: Any = None
        #: whether a plan is running
        self.running = False
        #: whether there is more to do at the end of the step than to note the loss
        self.busy = True
        #: whether runs of plans are listened to, and whether they are to be from the next step on
        self.near, self._asked = True, False
        self._least = FIRST  # steps for which they are in any case
        #: the tensors that `backward` was called on since the last step, each with its node and what the trace was given until then: held
        #: until the step, so that their values are computed also if the script drops them
        self._held: list[tuple[Any, Node | None, dict[Node, Any]]] = []
        self._told: tuple[int, Node | None, Callable[[], Any]] = (0, None, _nobody)  # the last bad loss: its step, node and tensor
        self._awaiting: Callable[[], Any] = _nobody  # a loss on another device
        self._heard_at, self._fetched = 0, self.begun  # the step whose loss was read last; when one was fetched
        self._reads: Callable[[], None] | None = None
        self._ran: list[Any] = []
        self._when: list[tuple[int, int]] = []  # in which iteration of which trace each ran
        self._parts: set[tuple[int, int]] = set()  # those in which there was a backward pass or an update
        self._made: Made | None = Made()  # while steps are new: whose values arrays are
        self._unlinked = False  # whether something ran of which that was not known
        self._last: list[Any] = []
        self._seen: set[tuple[int, ...]] = set()
        self._numbers = itertools.count()
        self._known: weakref.WeakKeyDictionary[Any, tuple[int, Part]] = weakref.WeakKeyDictionary()  # plan -> its number, details
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
        if self._held:
            self._earlier()
            if self._held and computed(self._held[-1][0]) is not None:  # a part of what the step adds up: the last counts
                self._held.pop()
        self._held.append((tensor, tensor._n, current().bound.copy()))

    def step(self, optimizer: Any) -> None:
        """An optimizer step is done."""
        steps, held = self.steps, self._held
        self._held = []
        if self.busy or optimizer is not self._last_optimizer() or not steps & 0xFFF:
            self._whole_step(steps, held, optimizer)
        elif held:
            self._losses(steps, held)
        if self.every > 1 and not self.busy:
            self.due = events.steps + self.every - 1
            _wait()

    def _losses(self, steps: int, held: list[Any]) -> None:
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
                    self.losses.append((steps, loss, self._last_number))

    # ---------------------------------------------------------------- sometimes
    def _earlier(self) -> None:
        """Losses that no step has followed so far: of several that it will add up, or the script passes over one that is not finite."""
        waiting = []
        for held in self._held:
            value = computed(held[0])
            if value.__class__ is _Array and value.size == 1:
                loss = value.item()
                if loss - loss:
                    self._bad(self.steps + 1, loss, *held)
                    continue
            if value is None or held is self._held[-1]:
                waiting.append(held)
        self._held = waiting

    def _bad(self, steps: int, loss: float, tensor: Any, root: Node | None, data: dict[Node, Any]) -> None:
        """Note a loss that is not finite, and keep what the first such was computed from."""
        told = self._told
        if told[2]() is tensor or (root is not None and told[:2] == (steps, root)):
            return
        self._told = steps, root, weakref.ref(tensor)
        self.losses.append((steps, loss, self._last_number))
        if self.suspect is None or steps <= self._least or not self.suspect.data:  # the first steps have graphs of their own
            self.suspect = Suspect(steps, root, copied(data))

    def read(self, tensor: Any, value: Any) -> None:
        """The script read a truth value, or a number that is not finite: perhaps it will pass over what it asked for."""
        if self._held:
            self._earlier()
        tr, family = current(), tensor._f
        found = asked(family.h if tensor._n is None and family is not None else tensor._n, tr)
        if found is not None:
            root, number = found
            self._bad(self.steps + 1, number, tensor, root, tr.bound.copy())
        elif value.__class__ is float and tensor._n is None and tensor.requires_grad and tensor is not self._awaiting():
            self._bad(self.steps, value, tensor, None, {})  # of a step that was not heard

    def _whole_step(self, steps: int, held: list[Any], optimizer: Any) -> None:
        """A step of which everything is noted."""
        if optimizer is not self._last_optimizer():
            self._last_optimizer = weakref.ref(optimizer)
            self._last_number = self._optimizers.setdefault(optimizer, len(self._optimizers))
        if held:
            self._losses(steps, held)
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
            self._drop_others()
            self.looks += 1
            self.fresh_plans()
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

    def after(self, tr: Trace, plan: Any) -> None:
        """A plan ran; its values are known in the trace."""
        when = (tr.index, tr.generation)
        if plan not in self._known:
            later = bool(self._when) and self._when[0] != when
            self._unlinked |= later and self._made is None
            links = self._made.links(tr, plan) if later and self._made is not None else ()
            self._known[plan] = next(self._numbers), details(tr, plan, links)
        if self._made is not None:
            self._made.add(tr, plan)
        self._ran.append(plan)
        self._when.append(when)
        if tr.swept or tr.updates:
            self._parts.add(when)
        if len(self._ran) > LOOSE:  # nobody steps: a loop that only evaluates
            self.fresh_plans()
            self.near = self.probe is not None
            _rewire()

    def _drop_others(self) -> None:
        """Evaluations since the last step are no part of it."""
        ran, when = self._ran, self._when
        if not when or when[0] == when[-1]:
            return
        parts = self._parts | {when[-1]}
        needed: set[Any] = set()
        for plan, w in zip(reversed(ran), reversed(when), strict=True):
            if plan in needed:
                parts.add(w)
            if w in parts:
                needed.update([p for _, p, _ in self._known[plan][1].links])
        self._ran = [p for p, w in zip(ran, when, strict=True) if w in parts]
        self._when = [w for w in when if w in parts]

    def fresh_plans(self) -> None:
        """Offer what ran since the last step as a graph, if it is a new one."""
        ran, when, unlinked = self._ran, self._when, self._unlinked
        self._ran, self._when, self._parts, self._unlinked = [], [], set(), False
        if unlinked:  # what is new about it is seen in the next step like it
            for plan in ran:
                self._known.pop(plan, None)
            self._made, self._last, self._asked = Made(), [], True
            return
        if ran == self._last or not ran:
            self._made = None if self.steps >= self._least else Made()
            return
        self._last, self._made = ran, Made()
        traces: dict[tuple[int, int], dict[Any, Part]] = {}
        for plan, w in zip(ran, when, strict=True):
            traces.setdefault(w, {})[plan] = self._known[plan][1]
        unique = list(dict.fromkeys(tuple(t.items()) for t in traces.values()))  # equal parts of a batch once
        key = self.key = tuple([self._known[p][0] for t in unique for p, _ in t])
        if key not in self._seen and len(self._seen) < 4096:
            self._seen.add(key)
            self.fresh.append(([list(t) for t in unique], key))

    def _await(self, tensor: Any, value: Any) -> None:
        """The loss lies on another device: it is known when the script reads it. If the script does not, some are read without waiting."""
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
                self.coming.append((self.steps, self._last_number, scale_of(tensor), reading))

    def _read(self, event: Any) -> None:
        """The script read a number. Of a loss that lies on another device this is when it is known, without anybody waiting for it."""
        if self._awaiting() is event.tensor:
            self._awaiting, self._heard_at = _nobody, self.steps
            self.losses.append((self.steps, float(event.value), self._last_number))

    def close(self) -> None:
        """Nothing is listened to any more."""
        self._held, self._awaiting = [], _nobody
        if self._reads is not None:
            self._reads()
            self._reads = None


def _execute(tr: Trace, key: Any, donated: Any) -> None:
    """Stands in for `plan.execute_plan` while somebody listens to plans."""
    for tap in _taps:
        if tap.near:
            tap.running = True
            if tap.probe is not None:
                tap.probe.before(tr, key)
    _original(tr, key, donated)
    for tap in tuple(_taps):
        tap.running = False
        if tap.near:
            if tap.probe is not None:
                tap.probe.after(tr)
            tap.after(tr, tr.plan)


def _differentiated(tensor: Any) -> None:
    for tap in _taps:
        tap.differentiated(tensor)


def _stepped(optimizer: Any) -> None:
    for tap in tuple(_taps):
        tap.step(optimizer)


def _read(tensor: Any, value: Any) -> None:
    for tap in tuple(_taps):
        tap.read(tensor, value)


def _failed(error: BaseException, modules: list[Any]) -> None:
    for tap in _taps:
        tap.failures.append((error, (tuple(modules), current())))


def _rewire() -> None:
    """Have plans run through `_execute` or not."""
    plans.execute_plan = _execute if any(tap.near for tap in _taps) else _original


def _connect() -> None:
    """Have what happens in a step told to the taps."""
    one = _taps[0] if len(_taps) == 1 else None
    events.before_backward, events.after_step = (one.differentiated, one.step) if one is not None else (_differentiated, _stepped)
    events.doubtful_read = _read if _taps else None
    _wait()


def _wait() -> None:
    """The next step that is told is the first that a tap is to hear."""
    events.due = _taps[0].due if len(_taps) == 1 else min([tap.due for tap in _taps], default=events.NEVER)


def add(tap: Tap) -> None:
    """Begin to listen."""
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
