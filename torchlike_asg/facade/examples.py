"""How one example of a batch lies in memory inside ``vmap``: as a part of the whole batch, wherever that has its batch dimension.

Nodes of one example are recorded as if it lay by itself. Where PyTorch shows otherwise, in strides, views of the storage and the order of
random numbers, the node is rebuilt for the batch, whose strides are the answer.
"""

from __future__ import annotations

from ..asg.batching import batched, depends
from ..asg.geometry import Geometry
from ..asg.node import Node
from ..asg.rewrite import topo
from ..asg.trace import current
from .core import Tensor, node_of

__all__ = ["layout", "moved", "separate", "whole_layout"]


def whole_layout(n: Node) -> tuple[list[int | None], tuple[int, ...], int]:
    """(stride of every batch around, the outermost first, None for one whose examples all have the same value; strides; offset)."""
    batches: list[bool] = []
    for m in reversed(current().mapped):
        (whole,) = batched([n], m.values, m.size)
        batches.insert(0, whole is not None)
        n = n if whole is None else whole
    count = sum(batches)
    ahead = iter(n.strides[:count])
    return [next(ahead) if there else None for there in batches], tuple(n.strides[count:]), n.offset


def _base(t: Tensor) -> Node:
    """The value of the whole storage of a tensor that has a node."""
    f = t._f
    return f.h if f is not None and f.h is not None else node_of(t)


def separate(t: Tensor) -> bool:
    """Whether the storage of every example lies as it is recorded, but for where it starts."""
    base = _base(t)
    _, strides, _ = whole_layout(base)
    return strides == tuple(base.strides)


def moved(n: Node) -> bool:
    """Whether a value follows from an argument of vmap whose batch is not its first dimension."""
    for m in reversed(current().mapped):
        if m.moved and not m.moved.isdisjoint(topo([n])):
            return True
        (whole,) = batched([n], m.values, m.size)
        n = n if whole is None else whole
    return False


def layout(t: Tensor) -> Geometry:
    """Sizes, strides and storage offset, as PyTorch has them: inside of vmap those of a part of the batch."""
    if not current().mapped or not depends((node_of(t),)):
        return t.geometry
    shape, strides, offset = t.geometry
    base = _base(t)
    _, steps, start = whole_layout(base)
    if steps == tuple(base.strides):
        return shape, strides, offset + start - base.offset
    _, strides, offset = whole_layout(node_of(t))
    return shape, strides, offset
