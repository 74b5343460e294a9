"""The generators of operations with shaders of their own; importing this module registers them all."""

from __future__ import annotations

import functools
from collections.abc import Callable

from . import (
    attention,
    conv,
    extrema,
    gemm,
    indexing,
    movement,
    order,
    philox,
    pooling,
    recurrent,
    resize,
    scan,
)
from .calls import LIBRARY, LibraryNode, Lowering

__all__ = [
    "attention",
    "conv",
    "extrema",
    "gemm",
    "indexing",
    "movement",
    "order",
    "philox",
    "pooling",
    "recurrent",
    "resize",
    "scan",
]


def _within_limits(generate: Callable[[Lowering, LibraryNode], bool]) -> Callable[[Lowering, LibraryNode], bool]:
    """A generator that declines what the adapter could not bind: operands larger than a binding may be that it could not divide."""

    @functools.wraps(generate)
    def lower(lowering: Lowering, node: LibraryNode) -> bool:
        before, limit = len(lowering.calls), lowering.caps.max_binding
        done = generate(lowering, node)
        added = [b for call in lowering.calls[before:] for b in call.operands]
        if done and all((b.size if b.size is not None else lowering.temporaries.get(b.slot, 0)) <= limit for b in added):
            return True
        del lowering.calls[before:]
        return False

    return lower


for _name, _generate in LIBRARY.items():
    LIBRARY[_name] = _within_limits(_generate)
