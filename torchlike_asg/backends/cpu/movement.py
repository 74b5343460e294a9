"""Operations that move elements without computing, as native calls (see `backends.movement`)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from ..library import LibraryNode
from ..movement import MOVING, Mover
from ..views import row_major
from .accumulate import accumulate
from .calls import Call, Lowering, View, library
from .copies import copy, copy_call, fill, fill_call
from .together import together

#: launches with more parts than this are left to the reference
_MANY = 256


class _Mover:
    """A `Mover` that adds calls to a lowering."""

    def __init__(self, lowering: Lowering) -> None:
        self._lowering = lowering

    def copy(self, src: View, dst: View) -> bool:
        return copy(self._lowering, src, dst)

    def fill(self, dst: View, value: Any = 0) -> bool:
        return fill(self._lowering, dst, value)

    def accumulate(self, src: View, dst: View) -> bool:
        return accumulate(self._lowering, src, dst)

    def temporary(self, shape: Sequence[int], like: View, strides: tuple[int, ...] | None = None) -> View:
        made = row_major(self._lowering.temporary(max(math.prod(shape), 1) * like.itemsize), shape, like)
        return made if strides is None else replace(made, strides=strides)

    def together(self, copies: Sequence[tuple[View, View]], fills: Sequence[tuple[View, Any]], label: str) -> bool:
        """In one launch."""
        isa = self._lowering.isa
        found = [*[copy_call(isa, *pair) for pair in copies], *[fill_call(isa, *pair) for pair in fills]]
        calls: list[Call] = [c for c in found if c is not None and c.units]
        if None in found or len(calls) > _MANY:
            return False
        if calls:
            self._lowering.add(together(calls, label))
        return True


def _register(name: str, fn: Callable[[Mover, LibraryNode], bool]) -> None:
    @library(name)
    def lower(lowering: Lowering, node: LibraryNode) -> bool:
        return fn(_Mover(lowering), node)


for _name, _fn in MOVING.items():
    _register(_name, _fn)
