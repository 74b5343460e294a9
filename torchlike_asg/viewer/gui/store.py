"""Everything the window knows: graphs, curves, statistics, timings, alarms. No Qt. Views look at `changed` to see what is new."""

from __future__ import annotations

import re
from collections import deque
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..protocol import Alarm, Bye, Code, Event, Failure, Graph, Hello, Message, Scalars, Stats, Timing
from ..snapshot import GraphSnapshot

#: points that a curve keeps; beyond that every second one of the older half goes
MOST_POINTS = 400_000
#: looks at a node that are remembered
MOST_LOOKS = 240


#: curves that we make; with several losses or optimizers they are numbered from 1
OURS = ("loss", "lr", "grad norm")


#: how the trainer tells that it left something out
_LEFT_OUT = re.compile(r"(?:lost|dropped):(\d+)")


class Curve:
    """Points in order of arrival, in arrays that grow by doubling. ``shortened``: how often older points gave way."""

    def __init__(self, name: str) -> None:
        self.name, self._n, self.shortened = name, 0, 0
        self._data = np.empty((3, 1024))

    def add(self, steps: Any, times: Any, values: Any) -> None:
        m = len(steps)
        while self._n + m > self._data.shape[1]:
            self._data = np.concatenate([self._data, np.empty_like(self._data)], axis=1)
        self._data[:, self._n : self._n + m] = steps, times, values
        self._n += m
        if self._n > MOST_POINTS:
            half = self._n // 2
            kept = np.concatenate([self._data[:, :half:2], self._data[:, half : self._n]], axis=1)
            self._n = kept.shape[1]
            self.shortened += 1
            self._data[:, : self._n] = kept

    def __len__(self) -> int:
        return self._n

    @property
    def steps(self) -> NDArray[np.float64]:
        return self._data[0, : self._n]

    @property
    def times(self) -> NDArray[np.float64]:
        return self._data[1, : self._n]

    @property
    def values(self) -> NDArray[np.float64]:
        return self._data[2, : self._n]


class Look:
    """Statistics of one node at one step: ``row`` see `protocol.STATS`, ``counts`` a histogram over ``low`` to ``high`` or None."""

    __slots__ = ("counts", "high", "low", "row", "step")

    def __init__(self, step: int, row: NDArray[Any], counts: NDArray[Any] | None, low: float, high: float) -> None:
        self.step, self.row, self.counts, self.low, self.high = step, row, counts, low, high


class Store:
    """Fed with messages; see the attributes.

    ``graph``    the newest graph, of epoch ``epoch``;  ``graphs`` all by epoch
    ``looks``    (of, node) -> looks at it, newest last;  ``took`` kernel -> microseconds, smoothed
    ``left_out`` how many points and messages there was no time for
    ``changed``  names of what changed since a view cleared it
    """

    def __init__(self) -> None:
        self.hello = Hello()
        self.graphs: dict[int, GraphSnapshot] = {}
        self.epoch = 0
        self.curves: dict[str, Curve] = {}
        self.runs: dict[str, dict[str, Curve]] = {}
        self.looks: dict[tuple[str, int], deque[Look]] = {}
        self.took: dict[int, float] = {}
        self.codes: dict[tuple[int, int], Code] = {}
        self.events: list[Event] = []
        self.left_out = 0
        self.alarms: list[Alarm] = []
        self.failure: Failure | None = None
        self.ended: str | None = None
        self.changed: set[str] = set()

    @property
    def graph(self) -> GraphSnapshot:
        return self.graphs.get(self.epoch, _EMPTY)

    @property
    def step(self) -> int:
        """The last step that was heard of."""
        return int(max((c.steps[-1] for c in self.curves.values() if len(c)), default=0))

    def apply(self, message: Message) -> None:
        """Take a message in."""
        self.changed.add(message.kind)
        if isinstance(message, Scalars):
            base, _, number = message.name.rpartition(" ")
            if number == "1" and base in OURS and base in self.curves:  # it was the only one until now
                self.curves = {message.name if name == base else name: curve for name, curve in self.curves.items()}
            curve = self.curves.get(message.name)
            if curve is None:
                curve = self.curves[message.name] = Curve(message.name)
            curve.add(message.steps, message.times, message.values)
        elif isinstance(message, Graph):
            self.graphs[message.epoch] = GraphSnapshot.from_columns(message.columns)
            self.epoch = message.epoch
            self.looks.clear()
            self.took.clear()
        elif isinstance(message, Stats):
            if message.epoch == self.epoch:
                self._stats(message)
        elif isinstance(message, Timing):
            if message.epoch == self.epoch:
                for k, us in zip(message.kernels.tolist(), message.microseconds.tolist(), strict=True):
                    old = self.took.get(k)
                    self.took[k] = us if old is None else old + 0.3 * (us - old)
        elif isinstance(message, Event):
            told = _LEFT_OUT.fullmatch(message.text)
            if told is not None and message.time == 0.0:
                self.left_out += int(told.group(1))
            else:
                self.events.append(message)
        elif isinstance(message, Alarm):
            self.alarms.append(message)
        elif isinstance(message, Failure):
            self.failure = message
        elif isinstance(message, Code):
            self.codes[message.epoch, message.kernel] = message
        elif isinstance(message, Hello):
            self.hello = message
        elif isinstance(message, Bye):
            self.ended = message.reason

    def _stats(self, m: Stats) -> None:
        for k, node in enumerate(m.nodes.tolist()):
            row = m.values[k]
            counts = m.counts[k] if len(m.counts) and m.counts[k].any() else None
            low, high = (float(m.ranges[k][0]), float(m.ranges[k][1])) if counts is not None else (0.0, 0.0)
            kept = self.looks.get((m.of, node))
            if kept is None:
                kept = self.looks[m.of, node] = deque(maxlen=MOST_LOOKS)
            if counts is None and np.isnan(row[0]) and kept and not np.isnan(kept[-1].row[0]):
                kept[-1].row = np.where(np.isnan(row), kept[-1].row, row)  # only the norm is new
            else:
                kept.append(Look(m.step, row, counts, low, high))

    # ---------------------------------------------------------------- derived
    def look(self, node: int, of: str = "value") -> Look | None:
        """The newest look at a node."""
        found = self.looks.get((of, node))
        return found[-1] if found else None

    def times(self, nodes: Any) -> float:
        """Microseconds of the kernels that compute these nodes: each kernel once, however many of its nodes are among them."""
        kernels = np.unique(self.graph.kernel[np.asarray(nodes, np.int64)]) if len(nodes) else np.zeros(0, np.int64)
        return float(sum(self.took.get(k, 0.0) for k in kernels.tolist()))

    def memory(self, nodes: Any) -> int:
        """Bytes of the values of these nodes that lie in memory."""
        at = np.asarray(nodes, np.int64)
        g = self.graph
        return int(g.nbytes[at][g.stored[at]].sum()) if len(at) else 0


_EMPTY = GraphSnapshot()
