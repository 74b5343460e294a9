"""Looking into a step: values of nodes that are on screen, and the time of kernels.

A value inside a fused kernel does not exist anywhere. It is computed beside the step, by a plan of its own over the same arguments, before
the step's own plan runs; so what training computes stays the same, bit for bit. What that costs is limited by a `Governor`.
"""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from ..asg import trace
from ..asg.declare import LEAVES, VAR
from ..asg.node import Node
from ..asg.rewrite import topo
from ..asg.trace import Trace
from ..backends.cpu import timing
from ..backends.wgpu import profiling, stamps
from ..backends.wgpu.device import open_device
from ..backends.wgpu.memory import DeviceArray
from ..compiler import building
from ..compiler import plan as plans
from . import remote
from .kept import Kept, copied
from .losses import content
from .statistics import squares, thinned

#: plans of probes that are kept
MOST_PLANS = 16


class Governor:
    """An account of seconds: a share of the processor time that passes flows in, probes are paid from it. (Theirs is the whole process's,
    too: what a look computes takes several threads.)"""

    def __init__(self, share: float = 0.003, credit: float = 0.05, now: float | None = None) -> None:
        self.share, self.credit, self.most = share, credit, credit
        self._last = time.process_time() if now is None else now

    def allows(self, expected: float, now: float | None = None) -> bool:
        """Whether there is enough for a probe of that cost."""
        now = time.process_time() if now is None else now
        self.credit = min(self.most, self.credit + self.share * (now - self._last))
        self._last = now
        return self.credit >= min(expected, self.most)

    def spend(self, seconds: float) -> None:
        self.credit -= seconds


class Pace:
    """How long the session's thread pauses, so that it takes no more than a share of the process's processor time."""

    def __init__(self, share: float = 0.003, shortest: float = 0.1, longest: float = 1.0) -> None:
        self.share, self.shortest, self.longest = share, shortest, longest
        self._times: tuple[float, float, float] | None = None

    def pause(self, times: tuple[float, float, float] | None = None) -> float:
        """Seconds, at the end of a turn. `times`: this thread's processor time, the process's, and the clock."""
        times = (time.thread_time(), time.process_time(), time.perf_counter()) if times is None else times
        last, self._times = self._times, times
        if last is None:
            return self.shortest
        own, process, wall = (now - before for now, before in zip(times, last, strict=True))
        rate = process / max(wall, 1e-9)  # processor seconds of the process in a second
        return min(max(own / (self.share * max(rate, 1e-3)), self.shortest), self.longest)


class Probe:
    """What is to be looked at in the next step: pairs (index in the snapshot, node) and whether kernels are to be timed.

    ``values``, ``gradients``  (index, array) as far as they were found;  ``updates`` (index, norm of the change over the norm)
    ``runs``    (calls of a program, numbers of calls, ticks before and after)
    ``reports`` numbers of what lies on another device;  ``stamps`` (timestamps there, the reading of them) or None
    ``kept``    what the step read, or None
    ``cost``    processor seconds of the training thread;  ``compiled`` whether a plan had to be made;  ``done`` after the round of steps
    """

    def __init__(
        self,
        wanted: Sequence[tuple[int, Node]],
        parameters: Sequence[tuple[int, Node]] = (),
        changing: Collection[int] = (),
        timed: bool = False,
        long: Collection[int] = (),
        keep: bool = False,
        later: bool = False,
    ) -> None:
        """`changing`: those of the parameters whose change is to be measured (which takes a copy of each); `long`: those of the nodes of
        which more than summaries is wanted; `keep`: whether a copy of what the step reads is wanted; `later`: begin with the next step,
        as one is under way. (The session wakes mostly in the middle of a plan, and what is left of such a step says little.)"""
        self.wanted, self.parameters, self.changing, self.timed = wanted, parameters, changing, timed
        self.values: list[tuple[int, Any]] = []
        self.gradients: list[tuple[int, Any]] = []
        self.updates: list[tuple[int, float]] = []
        self.runs: list[tuple[Any, Any, Any]] = []
        self.cost, self.compiled, self.done = 0.0, False, False
        self._begun = not later
        self._found: set[int] = set()
        self._changed: set[int] = set()  # parameters whose optimizer has stepped
        self._old: dict[int, Any] = {}
        self._watching = False
        self.kept: Kept | None = Kept() if keep else None
        self.reports: list[remote.Report] = []
        self.stamps: tuple[stamps.Stamps, Any] | None = None
        self._stamps: stamps.Stamps | None = None
        #: those of the nodes of which histograms are wanted
        self.long = frozenset(long)

    @property
    def complete(self) -> bool:
        """Whether all that was wanted was found."""
        return all(i in self._found for i, _ in self.wanted)

    # ---------------------------------------------------------------- what taps call
    def before(self, tr: Trace, key: Any) -> None:
        """The plan with that key is about to run."""
        if not self._begun:
            return
        begun = time.process_time()
        plan, outputs = plans.PLANS.get(key), key[1]
        if plan is not None:
            if self.kept is not None:
                self._keep(tr, plan, self.kept)
            self._look(tr, plan)
            if self.timed and timing.watcher is None:
                timing.watcher, self._watching = self, True
        if self.timed and outputs[0].device.type == "wgpu":
            self._stamp(outputs[0].device.index)
        self.cost += time.process_time() - begun

    @staticmethod
    def _keep(tr: Trace, plan: Any, kept: Kept) -> None:
        """Copy what a plan reads, before it overwrites it."""
        new = {n: plans.leaf_value(n, tr) for n in plan.leaves if n.op is VAR and n not in kept.state}
        kept.state.update(copied(new))
        kept.bound.update(copied({n: a for n, a in tr.bound.items() if n not in kept.bound}))

    def _stamp(self, index: int | None) -> None:
        """Have the dispatches of a device timed."""
        if self._stamps is None:
            try:
                self._stamps = stamps.Stamps(open_device(index))
            except RuntimeError:  # it has no timestamps
                self.timed = False
                return
        if profiling.recorder is None:
            profiling.recorder = self._stamps

    def after(self, tr: Trace) -> None:
        """It ran."""
        if self._watching:
            timing.watcher, self._watching = None, False
        if self._stamps is not None and profiling.recorder is self._stamps:
            profiling.recorder = None

    def stepped(self, storages: set[int] | None = None, ended: bool = True) -> None:
        """An optimizer step is complete: parameters have their new values, gradients are at hand. `storages`: those that it changed, if
        not all; `ended`: whether it was the last of a round."""
        if not self._begun:
            self._begun = ended
            return
        begun = time.process_time()
        there: dict[str, list[tuple[int, str, Any]]] = {"gradient": [], "update": []}
        for i, n in self.parameters:
            family = n.owner() if n.owner is not None else None
            if family is None or i in self._changed or (storages is not None and id(family) not in storages):
                continue
            self._changed.add(i)
            gradient = _gradient(family)
            if gradient.__class__ is DeviceArray:
                there["gradient"].append((i, "histogram" if i in self.long else "norm", [gradient]))
            elif gradient is not None:  # a copy, if the rest of the round may add to it
                self.gradients.append((i, gradient if ended else gradient.copy()))
            old = self._old.pop(i, None)
            if old.__class__ is DeviceArray:
                new = content(family)
                if new.__class__ is DeviceArray:
                    there["update"].append((i, "update", [new, old]))
                continue
            new = family.cell.shaped() if old is not None else None
            if isinstance(new, np.ndarray):
                size = math.sqrt(squares(old))
                change = math.sqrt(squares(thinned(new).astype(old.dtype) - old))
                self.updates.append((i, change / size if size else 0.0))
        for of, rows in there.items():
            if rows:
                self._report(of, [r[:2] for r in rows], remote.of_arrays([r[1:] for r in rows]))
        if ended and self._stamps is not None and (reading := self._stamps.reading()) is not None:
            self.stamps = self._stamps, reading
        self.done = ended
        self.cost += time.process_time() - begun

    def _report(self, of: str, rows: list[tuple[int, str]], numbers: Any) -> None:
        reading = remote.reading(numbers)
        if reading is not None:
            self.reports.append(remote.Report(of, rows, reading))

    # what `timing.watcher` is for
    def calls(self, program: Any, threads: Any, calls: Any, ticks: Any) -> None:
        self.runs.append((program.calls, calls, ticks))

    def other(self, name: str, start: int, end: int) -> None:
        """NumPy's share is not a kernel's."""

    # ---------------------------------------------------------------- values
    def _look(self, tr: Trace, plan: Any) -> None:
        compute: list[tuple[int, Node]] = []
        there: list[tuple[int, Node]] = []
        for i, n in self.wanted:
            if i in self._found or n.op.multi or 0 in n.shape:
                continue
            leaf = n.op in LEAVES
            if not (n in plan.leaves if leaf else n in tr.known or n in plan.order):
                continue
            if n.device.type != "cpu":
                there.append((i, n))
            elif leaf:
                self._add(i, np.array(thinned(plans.leaf_value(n, tr))))  # a copy: the step overwrites it
            elif n in tr.known:
                self._add(i, tr.known[n])
            else:
                compute.append((i, n))
        for i, n in self.parameters:
            if i in self.changing and n.op is VAR and n in plan.leaves:
                value = plans.leaf_value(n, tr)
                self._old[i] = value.copy() if value.__class__ is DeviceArray else np.array(thinned(value))
        if compute:
            values, made = evaluate(tr, tuple(n for _, n in compute))
            self.compiled |= made
            for (i, _), value in zip(compute, values, strict=True):
                self._add(i, value)
        if there:
            self._look_there(tr, there)

    def _look_there(self, tr: Trace, nodes: list[tuple[int, Node]]) -> None:
        """Have another device compute the numbers of what lies there."""
        forms = [(i, "histogram" if i in self.long else "summary") for i, _ in nodes]
        values, made = evaluate(tr, (remote.of_nodes([(n, form) for (_, n), (_, form) in zip(nodes, forms, strict=True)]),))
        self.compiled |= made
        self._found.update(i for i, _ in nodes)
        self._report("value", forms, values[0])

    def _add(self, i: int, value: Any) -> None:
        if isinstance(value, np.ndarray):
            self._found.add(i)
            self.values.append((i, value))


_plans: OrderedDict[Any, Any] = OrderedDict()


def evaluate(tr: Trace, nodes: tuple[Node, ...]) -> tuple[list[Any], bool]:
    """Values of nodes of a trace, computed beside it: nothing of it changes. The second result: whether a plan had to be compiled."""
    order = topo(nodes, tr.known)
    key = (nodes, frozenset(s for n in order for s in n.srcs if s in tr.known))
    with trace.lock:
        plan = _plans.get(key)
        made = plan is None
        if plan is None:
            plan = _plans[key] = building.compiled(nodes, order, tr)
            while len(_plans) > MOST_PLANS:
                _plans.popitem(last=False)
        _plans.move_to_end(key)
        plan.executable.run(plan.bind(tr))
        values = plan.executable.outputs()
    return [values[i] for i in plan.places], made


def _gradient(family: Any) -> Any:
    """The array of a leaf's gradient, if it was computed; on the host or another device."""
    held = family.held
    if held.__class__ is tuple:
        return _array(held[1])
    storage = getattr(held, "_f", None)
    if storage is None:
        return None
    if storage.h is None and storage.value is not None:
        return _array(storage.value[1])
    try:
        cell = object.__getattribute__(storage, "cell")  # not one made by asking for it
    except AttributeError:
        return None
    if cell.device.type != "cpu":
        return _array(getattr(cell, "array", None))
    return None if cell.empty or cell.exposed else cell.shaped()


def _array(value: Any) -> Any:
    return value if isinstance(value, (np.ndarray, DeviceArray)) else None
