"""What a program is computed from: which values, how they lie in memory, and which of them it may overwrite."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..asg.declare import INPUT, VAR
from ..asg.geometry import contiguous
from ..asg.node import Node
from ..asg.rewrite import topo

__all__ = ["arguments_of", "pairs_of", "strides_of"]


def arguments_of(roots: Sequence[Node], known: dict[Node, Any]) -> tuple[list[Node], tuple[Node, ...], tuple[Node, ...]]:
    """(what is computed, in order; what it is computed from; those of it that are known already)"""
    order = topo(roots, known)
    cuts = tuple(dict.fromkeys([s for n in order for s in n.srcs if s in known] + [r for r in roots if r in known]))
    return order, (*cuts, *[n for n in order if n.op is INPUT], *[n for n in order if n.op is VAR]), cuts


def strides_of(n: Node, value: Any) -> tuple[int, ...]:
    """How an argument lies in memory, in elements; row-major where it comes in another type or in no simple layout and has to be copied."""
    shape = tuple(n.shape)
    plain = contiguous(shape)
    if hasattr(value, "layout"):  # on a device, in a dense layout
        return value.layout if tuple(value.shape) == shape else plain
    if value.__class__ is not np.ndarray or value.dtype != n.dtype.compute or tuple(value.shape) != shape or 0 in shape:
        return plain
    size = value.itemsize
    if any(s < 0 or s % size for s in value.strides):
        return plain
    return tuple([p if d == 1 else s // size for d, s, p in zip(shape, value.strides, plain, strict=True)])


def pairs_of(
    root: dict[Node, Node], places: dict[Node, int], arguments: tuple[Node, ...], donated: Sequence[tuple[Node, Node]]
) -> tuple[tuple[int, int], ...]:
    """`donated` by position, without what cannot be: two results in one place, or an argument that goes out as it is."""
    index = {n: i for i, n in enumerate(arguments)}
    pairs: dict[int, int] = {}
    for n, leaf in donated:
        r = root.get(n)
        if r is not None and leaf in index and leaf not in places and r not in index:
            pairs.setdefault(index[leaf], places[r])
    taken: dict[int, int] = {}
    for argument, place in pairs.items():
        taken.setdefault(place, argument)
    return tuple(taken.items())
