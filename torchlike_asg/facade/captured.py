"""Functions that are being recorded to be differentiated: which tensors they may write to, and what a write to an argument does outside.

What such a function captures has one value for all that its transform does with it, so it must not be written (batch statistics, which
PyTorch's own operations keep, are written by `write.assign`). An argument stands for the tensor given: written where that is allowed,
it changes that tensor, too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from ..asg import trace
from ..asg.node import Node
from ..asg.trace import Trace, current
from . import storage, texts
from .core import Tensor
from .storage import Cell, Family


def _version(t: Tensor) -> int:
    return 0 if t._f is None else t._f.counter.version


class Transform:
    """One function being recorded.

    ``arguments``  its arguments and the tensors that they stand for;  ``others`` what else it is given, and the versions of that
    ``outside``    the value of a node for what is around the transform
    ``forward``    whether tangents are pushed through it: gradients do not end at its arguments
    ``earlier``    the nodes that had been claimed when it began, ``born`` the count of storages then; None: what it captures may be written
    """

    __slots__ = ("arguments", "born", "earlier", "forward", "others", "outside")

    def __init__(self, forward: bool, outside: Callable[[Node], Node], captures: bool) -> None:
        self.forward, self.outside = forward, outside
        self.arguments: list[tuple[Tensor, Tensor]] = []
        self.others: list[tuple[Tensor, int]] = []
        self.earlier = None if captures else set(current().claims)
        self.born = storage.next_generation()

    def given(self, cell: Cell) -> tuple[Tensor, Tensor] | None:
        """The argument that `cell` is the storage of, and the tensor that it stands for."""
        for pair in self.arguments:
            f = pair[0]._f
            if f is not None and f.cell is cell:
                return pair
        return None

    def also_given(self, tensors: Iterable[Any]) -> None:
        """Tensors among what the function is given and not differentiated by: it may write to them."""
        self.others = [(t, _version(t)) for t in tensors if isinstance(t, Tensor)]

    def written(self) -> list[Tensor]:
        """Those of them that it has written to."""
        return [t for t, version in self.others if _version(t) != version]

    def captured(self, cell: Cell) -> bool:
        """Whether a storage was there before the function ran."""
        earlier = self.earlier
        return earlier is not None and (cell.born < self.born or any([f.h in earlier for f in cell.live()]))


def begin(transform: Transform) -> None:
    """The function runs."""
    current().transforms.append(transform)
    trace.transforming += 1


def end(transform: Transform) -> None:
    """The function has run."""
    current().transforms.remove(transform)
    trace.transforming -= 1


@contextmanager
def recording(transform: Transform) -> Iterator[None]:
    """While the function runs."""
    begin(transform)
    try:
        yield
    finally:
        end(transform)


def refuse_captured(t: Tensor, f: Family, tr: Trace) -> None:
    """RuntimeError if the functions that are being recorded must not write to `t`, of the family `f`."""
    for transform in reversed(tr.transforms):
        if transform.given(f.cell) is not None:
            if tr.grad and not transform.forward and t.requires_grad:
                raise RuntimeError(texts.LEAF if t._kind is None else texts.LEAF_VIEW)
            return
        if any([o._f is not None and o._f.cell is f.cell for o, _ in transform.others]):
            continue
        if transform.captured(f.cell):
            raise RuntimeError(texts.CAPTURED)
        if transform.earlier is not None:
            return
