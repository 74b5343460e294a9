"""Derivatives of functions that return a tuple, for autograd.functional."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..asg import gradients
from ..facade.core import Tensor, node_of
from .derivatives import Recorded
from .jacobians import jacobian_by
from .levels import differentiating, result


class RecordedGradients:
    """A function of several tensors that returns a tuple, recorded: its results and the gradients along given vectors."""

    def __init__(self, func: Callable[..., tuple[Tensor, ...]], given: Sequence[Tensor]) -> None:
        with differentiating() as depth:
            self._r = Recorded(func, tuple(given), {}, range(len(given)), depth, False, "f(*inputs)", captures=True)
            self._values = [result(n, depth) for n in self._r.outputs]

    def value(self) -> tuple[Tensor, ...]:
        """What the function returned."""
        return tuple(self._values)

    def along(self, vectors: Sequence[Tensor]) -> list[Tensor]:
        """The gradients of the inputs for these gradients of the outputs."""
        return [result(n, self._r.depth) for n in self._r.pulled([node_of(v) for v in vectors])]

    def counts(self) -> tuple[int, int]:
        """How many results and how many inputs there are."""
        return len(self._r.outputs), len(self._r.inputs)

    def independent(self) -> set[tuple[int, int]]:
        """The pairs (output, input) of which the first does not depend on the second."""
        found = set()
        for i, out in enumerate(self._r.outputs):
            reached = set(gradients.history((out,)))
            found |= {(i, j) for j, x in enumerate(self._r.inputs) if x not in reached}
        return found


def jvp_of(func: Callable[..., Any], given: Sequence[Tensor], vectors: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
    """(results, derivatives along `vectors`) of a function that returns a tuple."""
    with differentiating() as depth:
        r = Recorded(func, tuple(given), {}, range(len(given)), depth, False, "f(*inputs)", captures=True)
        along = [result(n, depth) for n in r.pushed([node_of(t) for t in vectors])]
        value = [result(n, depth) for n in r.outputs]
    return value, along


def jacobian_of(func: Callable[..., Any], given: Sequence[Tensor], forward: bool) -> list[list[Tensor]]:
    """The Jacobians of a function that returns a tuple: a list over inputs for each output."""
    made = jacobian_by(func, tuple(range(len(given))), False, None, "jacobian", forward, captures=True)(*given)
    return [list(row) for row in made]
