"""What a look into a step found, as messages: statistics, gradients, changes, times of kernels."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..backends.cpu import timing
from .probe import Probe
from .protocol import Scalars, Stats, Timing
from .publisher import Publisher
from .remote import Report
from .statistics import histogram, squares, summary

#: seconds between sums over all gradients, at least
SUM = 0.5


class Findings:
    """Posts them. What lies on another device is posted when it has arrived."""

    def __init__(self, publisher: Publisher, share: float, begun: float) -> None:
        """`share` of the time that sums over gradients may take; `begun`: when the run did, by `time.perf_counter`."""
        self._publisher, self._share = publisher, share
        self._epoch, self._summed = 0, 0.0
        self._begun = begun
        self._number: dict[int, int] = {}  # id of a call -> kernel
        self._clock: timing.Clock | None = None
        self._coming: deque[tuple[int, int, Report]] = deque()
        self._stamps: deque[tuple[int, int, Any, Any]] = deque()

    def begin(self, epoch: int, kernels: Sequence[Any]) -> None:
        """From now on findings are of this graph."""
        self._epoch = epoch
        self._number = {id(call): k for k, call in enumerate(kernels)}

    def prepare(self) -> None:
        """Kernels are about to be timed: the longer the clock has run until then, the better its rate is known."""
        if self._clock is None:
            self._clock = timing.Clock()

    def take(self, probe: Probe, step: int) -> None:
        """Post what a probe found."""
        self._stats(step, "value", probe.values, probe.long)
        self._stats(step, "gradient", [(i, a) for i, a in probe.gradients if i in probe.long], probe.long)
        self._gradients(step, probe.gradients)
        if probe.updates:
            values = np.zeros((len(probe.updates), 6), np.float32)
            values[:, 5] = [r for _, r in probe.updates]
            self._publisher.post(Stats(self._epoch, step, "update", _numbers(probe.updates), values))
        if probe.runs:
            self._times(step, probe)
        self._coming += [(self._epoch, step, report) for report in probe.reports]
        if probe.stamps is not None:
            self._stamps.append((self._epoch, step, *probe.stamps))

    def arrived(self, step: int) -> None:
        """Post what has come from other devices meanwhile."""
        while self._coming and self._coming[0][2].ready:
            epoch, step, report = self._coming.popleft()
            if epoch == self._epoch:
                self._report(step, report)
        while self._stamps and self._stamps[0][3].ready():
            epoch, step, stamps, reading = self._stamps.popleft()
            if epoch == self._epoch:
                took: dict[int, float] = {}
                self._add(took, zip(stamps.calls, stamps.microseconds(reading.content()).tolist(), strict=True))
                self._post_times(step, took)

    def _report(self, step: int, report: Report) -> None:
        values, counts, ranges = report.statistics()
        nodes = np.asarray([i for i, _ in report.rows], np.int32)
        self._publisher.post(Stats(self._epoch, step, report.of, nodes, values, counts, ranges))
        if report.of == "gradient":
            self._norm(step, values[:, 5].astype(np.float64))

    def _stats(self, step: int, of: str, values: list[tuple[int, Any]], chosen: Any) -> None:
        if not values:
            return
        rows = np.asarray([summary(a) for _, a in values], np.float32)
        counts, ranges = np.zeros((len(values), 32), np.uint32), np.zeros((len(values), 2), np.float32)
        for k, (i, a) in enumerate(values):
            if i in chosen:
                counts[k], ranges[k] = histogram(a)
        self._publisher.post(Stats(self._epoch, step, of, _numbers(values), rows, counts, ranges))

    def _gradients(self, step: int, gradients: list[tuple[int, Any]]) -> None:
        """Of all parameters the norms, which make the whole gradient's."""
        now = time.perf_counter()
        size = sum(a.size for _, a in gradients)
        if not gradients or now - self._summed < max(SUM, size * 1e-9 / self._share):
            return
        self._summed = now
        norms = np.asarray([_norm(a) for _, a in gradients])
        self._norm(step, norms)
        values = np.full((len(norms), 6), np.nan, np.float32)
        values[:, 5] = norms
        self._publisher.post(Stats(self._epoch, step, "gradient", _numbers(gradients), values))

    def _norm(self, step: int, norms: Any) -> None:
        seconds = time.perf_counter() - self._begun
        total = np.sqrt(np.sum(norms**2))
        self._publisher.post(Scalars("grad norm", np.asarray([step], np.int64), np.asarray([seconds]), np.asarray([total], np.float64)))

    # ---------------------------------------------------------------- times
    def _times(self, step: int, probe: Probe) -> None:
        assert self._clock is not None
        self._clock.stop()
        took: dict[int, float] = {}
        for calls, numbers, ticks in probe.runs:
            spent = (ticks[:, 1] - ticks[:, 0]) * self._clock._rate / 1000
            self._add(took, zip([calls[n] for n in numbers.tolist()], spent.tolist(), strict=True))
        self._post_times(step, took)

    def _add(self, took: dict[int, float], times: Any) -> None:
        for call, microseconds in times:
            k = self._number.get(id(call))
            if k is not None:
                took[k] = took.get(k, 0.0) + microseconds

    def _post_times(self, step: int, took: dict[int, float]) -> None:
        if took:
            kernels, times = np.asarray(list(took), np.int32), np.asarray(list(took.values()), np.float32)
            self._publisher.post(Timing(self._epoch, step, kernels, times))


def _numbers(pairs: list[tuple[int, Any]]) -> Any:
    return np.asarray([i for i, _ in pairs], np.int32)


def _norm(a: Any) -> float:
    return math.sqrt(squares(a))


def code_of(call: Any) -> tuple[str, str]:
    """(language, text) of a kernel's code."""
    source = getattr(call, "source", None)
    if source is None:
        return "Python", f"NumPy computes {call.node.op.name}: there is no kernel for {call.node!r}."
    if isinstance(getattr(source, "text", None), str):
        return "WGSL", source.text
    from ..backends.cpu.describe import llvm_text

    try:
        return "LLVM IR", llvm_text(source)
    except Exception:  # another backend's source
        return "", repr(source)
