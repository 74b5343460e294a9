"""An attention as the kernels see it: operands by name over common batch dimensions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from ... import attention
from ..calls import View

Views = Mapping[str, View]


@dataclass(frozen=True)
class Problem(attention.Problem[View]):
    """All ``views`` have equally many batch dimensions before their last two: those of ``sizes``."""

    @property
    def mask(self) -> str:
        """ "" without a mask, else the type of its elements in memory."""
        mask = self.views.get("m")
        return "" if mask is None else "u32" if mask.dtype.name == "bool" else "f32"

    def steps(self, name: str) -> tuple[int, ...]:
        """Steps of an operand along the batch's dimensions, its rows and its columns."""
        return self.views[name].strides

    def add(self, **views: View) -> Problem:
        """With dense temporaries of shape ``(*sizes, rows, columns)``."""
        return replace(self, views=self.views | views)


def problem(views: Views, causal: bool, scale: float) -> Problem:
    """Every operand repeated over the common batch, whose dimensions are as few as possible."""
    queries, keys = views["q"].shape[-2], views["k"].shape[-2]
    sizes, steps = attention.batches(views)
    made = {}
    for name, v in views.items():
        rows, columns = v.shape[-2:]
        row, column = v.strides[-2:]
        if name == "m":  # a mask broadcasts along either
            row, column = (row if rows != 1 else 0), (column if columns != 1 else 0)
            rows, columns = queries, keys
        made[name] = replace(v, shape=(*sizes, rows, columns), strides=(*steps[name], row, column))
    return Problem(made, sizes, causal, scale)
