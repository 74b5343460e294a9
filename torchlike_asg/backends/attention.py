"""An attention as the kernels of every compiled backend see it: operands by name over common batch dimensions."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic

from ..asg.geometry import broadcast
from .library import Shape
from .views import V, merge


@dataclass(frozen=True)
class Problem(Generic[V]):
    """``views`` by name: q query, k key, v value, m mask, o result, g its gradient, dq dk dv dm the gradients of the others.

    ``sizes`` are those of the batch dimensions: all but the last two of every operand, broadcast.
    """

    views: dict[str, V]
    sizes: Shape
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


def batches(views: Mapping[str, V]) -> tuple[Shape, dict[str, Shape]]:
    """The batch dimensions as few as possible, and every operand's strides along them."""
    shape = broadcast(*[v.shape[:-2] for v in views.values()])
    steps = []
    for v in views.values():
        own = [0 if n == 1 else s for n, s in zip(v.shape[:-2], v.strides, strict=False)]
        steps.append([0] * (len(shape) - len(own)) + own)
    dims = merge(shape, *steps)
    return tuple([d[0] for d in dims]), {name: tuple([d[k] for d in dims]) for k, name in enumerate(views, 1)}
