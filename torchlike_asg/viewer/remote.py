"""Statistics of values that lie on another device: computed there, by a plan beside the step, and read when they happen to be done.

Nothing here waits for a device. The numbers of all nodes that are looked at are one short vector, copied to memory that the host can map;
the session asks from time to time whether it is there.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import devices, size
from ..asg import trace
from ..asg.node import Node
from ..asg.trace import Trace
from ..backends.wgpu.memory import DeviceArray, restored, stored
from ..facade.core import Tensor, wrap
from ..facade.held import held_value
from .protocol import BINS
from .statistics import HISTOGRAM

#: how many numbers each form has: a norm; how many elements are not finite; the norm of a change over the norm; what `statistics.summary`
#: gives; and that with the counts of a histogram
FORMS = {"norm": 1, "bad": 1, "update": 1, "summary": 6, "histogram": 6 + BINS}
#: vectors that are remembered with their graphs
MOST = 16
_known: OrderedDict[Any, Node] = OrderedDict()


class Report:
    """Numbers on their way. ``rows``: (index in the snapshot, form), in order; ``of`` as in `protocol.Stats`."""

    def __init__(self, of: str, rows: Sequence[tuple[int, str]], reading: Any) -> None:
        self.of, self.rows, self._reading = of, rows, reading

    @property
    def ready(self) -> bool:
        """Whether they are there."""
        return bool(self._reading.ready())

    def numbers(self) -> list[NDArray[np.float32]]:
        """Those of each row; once."""
        found = self._reading.content().view(np.float32)
        ends = np.cumsum([FORMS[form] for _, form in self.rows])
        return np.split(found[: ends[-1]], ends[:-1])

    def statistics(self) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        """(values [n, 6], counts [n, BINS], ranges [n, 2]) as `protocol.Stats` has them; what a form does not say is NaN."""
        n = len(self.rows)
        values, counts, ranges = np.full((n, 6), np.nan, np.float32), np.zeros((n, BINS), np.uint32), np.zeros((n, 2), np.float32)
        for k, numbers in enumerate(self.numbers()):
            if len(numbers) == 1:
                values[k, 5] = numbers[0]
                continue
            values[k] = numbers[:6]
            low, high = numbers[2:4]
            if len(numbers) > 6 and np.isfinite(low) and np.isfinite(high):
                found = numbers[6:]
                if low == high:  # as of arrays on the host: in the middle
                    found, low, high = np.roll(found, BINS // 2), low - 0.5, high + 0.5
                counts[k], ranges[k] = found, (low, high)
        return values, counts, ranges


def of_nodes(nodes: Sequence[tuple[Node, str]]) -> Node:
    """The node of the numbers of nodes, in these forms."""
    key = tuple(nodes)
    found = _known.get(key)
    if found is None:
        with _apart():
            made = _joined([_numbers(form, wrap(n)) for n, form in nodes])._n
        assert made is not None
        found = _known[key] = made
        while len(_known) > MOST:
            _known.popitem(last=False)
    return found


def of_arrays(arrays: Sequence[tuple[str, Sequence[DeviceArray]]]) -> Any:
    """The array of the numbers of arrays: (form, what it is of), which for ``"update"`` is the new value and the old."""
    with _apart() as own:
        return held_value(_joined([_numbers(form, *[_tensor(own, a) for a in some]) for form, some in arrays]))


def reading(a: Any) -> Any:
    """Begin to read an array: something with ``ready()`` and ``content()`` (bytes), or None where that cannot be done without waiting."""
    if a.__class__ is not DeviceArray:
        return None
    with a.device.lock:
        return a.device.reader.later(a.block.buffer, a.nbytes)


_own = Trace()  # always the same: then it meets the same nodes, and plans are found again
_own.grad = False
_taken = threading.Lock()


def fetched(a: Any, until: float) -> Any:
    """The value of an array as one of the host; None if it is not there at `until` (of `time.monotonic`). Only the calling thread waits."""
    if a.__class__ is not DeviceArray:
        return a
    coming = reading(a)
    while coming is not None and not coming.ready():
        if time.monotonic() > until:
            return None
        time.sleep(0.001)
    if coming is None:
        return None
    return restored(coming.content()[: a.nbytes].view(stored(a.element)), a.shape, a.layout, a.element)


@contextmanager
def _apart() -> Iterator[Trace]:
    """Record in a trace of its own, without gradients: what is pending in the thread's is not met."""
    with _taken, trace.using(_own):
        try:
            yield _own
        finally:
            _own.reset()


def _tensor(own: Trace, a: DeviceArray) -> Tensor:
    place = devices.device("wgpu", a.device.adapter.index)
    return wrap(own.input(a, size.Size(a.shape), a.layout, a.element, place))  # type: ignore[arg-type]


def _joined(numbers: list[Any]) -> Tensor:
    import torchlike_asg as torch

    return torch.cat(numbers) if len(numbers) > 1 else numbers[0]  # type: ignore[no-any-return]


def _numbers(form: str, x: Any, old: Any = None) -> Any:
    """A vector of the numbers of a tensor."""
    import torchlike_asg as torch

    size = x.numel()
    x = x.detach().reshape(-1)
    x = x.abs() if x.is_complex() else x.to(torch.float32)
    if form == "norm":
        return x.square().sum().sqrt().reshape(1)
    if form == "update":
        old = old.reshape(-1).to(torch.float32)
        return ((x - old).square().sum() / old.square().sum()).sqrt().reshape(1)
    finite = torch.isfinite(x)
    count = finite.to(torch.float32).sum()
    if form == "bad":
        return (size - count).reshape(1)
    zero = torch.zeros((), device=x.device)
    y = torch.where(finite, x, zero)
    mean = y.sum() / count
    spread = torch.where(finite, x - mean, zero).square().sum() / count
    low = torch.where(finite, x, zero + float("inf")).amin()
    high = torch.where(finite, x, zero - float("inf")).amax()
    numbers = torch.stack([mean, spread.sqrt(), low, high, size - count, y.square().sum().sqrt()])
    if form == "summary":
        return numbers
    step = -(-size // HISTOGRAM)
    some, good = x[::step], finite[::step]
    width = torch.where(high > low, high - low, zero + 1.0)
    place = ((some - low) * (BINS / width)).floor().clamp(0, BINS - 1)
    bins = torch.arange(BINS, device=x.device, dtype=torch.float32)
    counts = torch.where((place[:, None] == bins) & good[:, None], zero + 1.0, zero).sum(0)
    return torch.cat([numbers, counts])
