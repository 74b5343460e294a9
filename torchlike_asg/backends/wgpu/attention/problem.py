"""An attention as the kernels see it: operands by name over common batch dimensions."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from ....asg.geometry import broadcast
from ..calls import View

#: q query, k key, v value, m mask, o result, g its gradient, dq dk dv dm the gradients of the others
Views = Mapping[str, View]


@dataclass(frozen=True)
class Problem:
    """``views`` by name, all with equally many batch dimensions before their last two; those of `sizes`."""

    views: dict[str, View]
    sizes: tuple[int, ...]
    causal: bool
    scale: float

    @property
    def count(self) -> int:
        """How many attentions: batch times heads."""
        return math.prod(self.sizes)

    @property
    def queries(self) -> int:
        return self.views["q"].shape[-2]

    @property
    def keys(self) -> int:
        return self.views["k"].shape[-2]

    @property
    def width(self) -> int:
        """Of queries and keys."""
        return self.views["q"].shape[-1]

    @property
    def width_v(self) -> int:
        return self.views["v"].shape[-1]

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
    shape = broadcast(*[v.shape[:-2] for v in views.values()])
    queries, keys = views["q"].shape[-2], views["k"].shape[-2]
    steps: dict[str, list[int]] = {}
    for name, v in views.items():
        own = [0 if n == 1 else s for n, s in zip(v.shape[:-2], v.strides, strict=False)]
        steps[name] = [0] * (len(shape) - len(own)) + own
    sizes: list[int] = []
    kept: dict[str, list[int]] = {name: [] for name in views}
    for d, n in enumerate(shape):
        if n == 1:
            continue
        if sizes and all(kept[name][-1] == steps[name][d] * n for name in views):
            sizes[-1] *= n
            for name in views:
                kept[name][-1] = steps[name][d]
        else:
            sizes.append(n)
            for name in views:
                kept[name].append(steps[name][d])
    made = {}
    for name, v in views.items():
        rows, columns = v.shape[-2:]
        row, column = v.strides[-2:]
        if name == "m":  # a mask broadcasts along either
            row, column = (row if rows != 1 else 0), (column if columns != 1 else 0)
            rows, columns = queries, keys
        made[name] = replace(v, shape=(*sizes, rows, columns), strides=(*kept[name], row, column))
    return Problem(made, tuple(sizes), causal, scale)
