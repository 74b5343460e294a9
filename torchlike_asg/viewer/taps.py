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

from .. import events
from ..asg import scope
from ..asg.trace import Trace, current
from ..compiler import execution
from .links import Made, Part, details
from .loss_log import LossLog
from .rounds import Rounds, storages

#: seconds that a step takes from which on the plans of every step are looked at
SLOW = 0.004
#: steps after `add` that are looked at in any case, and plans after which those of a loop without steps are offered as a graph
FIRST, LOOSE = 8, 64
#: how often what passes between the traces of a round is found out anew, as other plans ran
RELINKS = 16
_clock = time.perf_counter

_taps: list[Tap] = []
_original = execution.execute_plan


def _nobody() -> None:
    """A reference to nothing yet."""


class Tap:
    """What one viewer hears.

    ``log``     of losses;  ``rounds`` which optimizers train the model, and when a round of them is over
    ``marks``   (step, seconds, learning rate or None, number of the optimizer) of the steps that were looked at more closely
    ``fresh``   rounds that were not seen before, as (their plans with what was found out about each, trace by trace; ``key``)
    ``key``     of the plans of the round that was looked at last: those of equal plans have equal keys
    ``looks``   how many rounds were looked at for their plans: in quick loops not all are
    ``every``   of so many quick steps one is heard;  ``due`` how many steps (of `events.steps`) are done before the next of these
    """

    def __init__(self, model: Any = None) -> None:
        self.log, self.rounds = LossLog(FIRST), Rounds(model)
        self.marks: list[tuple[int, float, float | None, int]] = []
        self.fresh: deque[tuple[list[list[tuple[Any, Part]]], tuple[int, ...]]] = deque()
        self.key: tuple[int, ...] = ()
        self.looks = 0
        self.begun = _clock()
        self.every, self.due = 1, 0
        self.failures: deque[tuple[BaseException, tuple[Any, ...]]] = deque(maxlen=4)
        #: set by the session when the next round is to be looked into
        self.probe: Any = None
        #: whether a plan is running, and whether a round is under way of which a step is done
        self.running = self.midway = False
        #: whether there is more to do at the end of the step than to note the loss
        self.busy = True
        #: whether runs of plans are listened to, and whether they are to be from the next round on
        self.near, self._asked = True, False
        self._ran: list[Any] = []
        self._when: list[tuple[int, int]] = []  # in which iteration of which trace each ran
        self._parts: set[tuple[int, int]] = set()  # those in which there was a backward pass or an update
        self._made: Made | None = Made()  # while steps are new: whose values arrays are
        self._unlinked = False  # whether something ran of which that was not known
        self._relinks = 0
        self._last: list[Any] = []
        self._seen: set[tuple[int, ...]] = set()
        self._numbers = itertools.count()
        #: plan -> its number, details, whether it reads the model, whether it ran after other traces
        self._known: weakref.WeakKeyDictionary[Any, tuple[int, Part, bool, bool]] = weakref.WeakKeyDictionary()
        self._last_optimizer: Callable[[], Any] = _nobody
        self._last_time, self._last_step = self.begun, 0

    @property
    def steps(self) -> int:
        """How many steps were done since it began to listen."""
        return self.log.steps

    def ask(self) -> None:
        """Listen to the plans of the next round (of a loop without steps: to those that run from now on)."""
        self._asked = self.busy = True
        self.due = 0
        _wait()

    def come_near(self) -> None:
        """Listen to plans from this moment on."""
        self.near = True
        _rewire()

    # ---------------------------------------------------------------- steps
    def step(self, optimizer: Any) -> None:
        """An optimizer step is done."""
        log = self.log
        steps, held = log.steps, log.held
        log.held = []
        if self.busy or optimizer is not self._last_optimizer() or not steps & 0xFFF:
            self._whole_step(steps, held, optimizer)
        elif held:
            log.take(steps, held)
        if self.every > 1 and not self.busy:
            self.due = events.steps + self.every - 1
            _wait()

    def _whole_step(self, steps: int, held: list[Any], optimizer: Any) -> None:
        """A step of which everything is noted."""
        log = self.log
        if optimizer is not self._last_optimizer():
            number = self.rounds.number(optimizer, steps)
            if number < 0:
                return
            self._last_optimizer = weakref.ref(optimizer)
            log.number = number
        if held:
            log.take(steps, held)
        rate = optimizer.param_groups[0].get("lr")
        now = _clock()
        self.marks.append((steps, now - self.begun, rate if isinstance(rate, float) else None, log.number))
        log.thin(log.points)
        log.thin(self.marks)
        ended = self.rounds.ends(log.number)
        self.midway = not ended
        probe = self.probe
        if probe is not None and self.near:
            self.probe, self.near = None, False  # what it computes is no part of the round
            probe.stepped(storages(optimizer) if self.rounds.several else None, ended)
            self.near = True
            if not probe.done:
                self.probe = probe
        if self.busy and ended:
            self._after(now)
        self._last_time, self._last_step = now, steps

    def _after(self, now: float) -> None:
        """The end of a round that was listened to, or that the next one is to follow."""
        if self.near:
            self._drop_others()
            self.looks += 1
            self.fresh_plans()
        near = (
            self._asked
            or self.probe is not None
            or self.steps < self.log.least
            or now - self._last_time > SLOW * (self.steps - self._last_step)
        )
        self._asked, self.busy = False, near
        if near != self.near:
            self.near = near
            _rewire()

    # ---------------------------------------------------------------- plans
    def after(self, tr: Trace, plan: Any) -> None:
        """A plan ran; its values are known in the trace."""
        when = (tr.index, tr.generation)
        later = bool(self._when) and self._when[0] != when
        known = self._known.get(plan)
        if known is None or (later and not known[3]):
            self._unlinked |= later and self._made is None
            links = self._made.links(tr, plan) if later and self._made is not None else ()
            self._known[plan] = next(self._numbers), details(tr, plan, links), self.rounds.reads(plan), later
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
        """Evaluations since the last round, and what trains other models, are no part of it."""
        ran, when = self._ran, self._when
        if not when or when[0] == when[-1]:
            return
        parts = self._parts
        if self.rounds.known:
            parts = parts & {w for p, w in zip(ran, when, strict=True) if self._known[p][2]}
        parts = parts | {when[-1]}
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
        if not unlinked and self._relinks < RELINKS and ran != self._last:  # links to a plan in whose stead another one ran
            unlinked = any(p not in ran for plan in ran for _, p, _ in self._known[plan][1].links)
            self._relinks += unlinked
        if unlinked:  # what is new about it is seen in the next step like it
            for plan in ran:
                self._known.pop(plan, None)
            self._made, self._last, self._asked = Made(), [], True
            return
        if ran == self._last or not ran:
            self._made = None if self.steps >= self.log.least else Made()
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


def _execute(tr: Trace, key: Any, donated: Any) -> None:
    """Stands in for `execution.execute_plan` while somebody listens to plans."""
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
        tap.log.differentiated(tensor)


def _stepped(optimizer: Any) -> None:
    for tap in tuple(_taps):
        tap.step(optimizer)


def _read(tensor: Any, value: Any) -> None:
    for tap in tuple(_taps):
        tap.log.read(tensor, value)


def _failed(error: BaseException, modules: list[Any]) -> None:
    for tap in _taps:
        tap.failures.append((error, (tuple(modules), current())))


def _rewire() -> None:
    """Have plans run through `_execute` or not."""
    execution.execute_plan = _execute if any(tap.near for tap in _taps) else _original


def _connect() -> None:
    """Have what happens in a step told to the taps."""
    one = _taps[0] if len(_taps) == 1 else None
    events.before_backward, events.after_step = (one.log.differentiated, one.step) if one is not None else (_differentiated, _stepped)
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
    _rewire()
    _connect()


def remove(tap: Tap) -> None:
    """End it. Once nobody listens, everything is as it was."""
    if tap in _taps:
        _taps.remove(tap)
        tap.log.close()
        _rewire()
        _connect()
        if not _taps:
            scope.on_failure = None
