"""Writes at a place that is data, and what a tensor at such a place shows afterwards: what `moving.moving_view` is for reading."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..asg.geometry import Geometry, contiguous
from ..asg.node import Node
from ..asg.trace import current
from ..dtypes import int64
from ..ops.movement import clone, reshape, restride, restride_scatter
from ..ops.window import window, window_put

#: marks a tensor whose place is data, once its storage was written through it
MARK = "_at_data"


def is_moving(t: Any, n: Node) -> bool:
    """Whether `t`, whose node is `n`, shows a place that is data. It is noted for when its storage was written."""
    if MARK in t.__dict__:
        return True
    while n.op.view and n.op is not window:
        n = n.srcs[0]
    if n.op is window:
        t.__dict__[MARK] = True
    return n.op is window


def put(h: Node, v: Node, geometry: Geometry, base: tuple[int, ...]) -> Node:
    """A storage, of which `h` is the node and `base` the strides, with `v` at `geometry`, whose offset is data: a `restride_scatter`."""
    shape, strides, _ = geometry
    flat, extent, at = _within(h, geometry, base)
    if strides != contiguous(shape):
        v = restride_scatter(window(flat, at, 0, extent, 1), v, (shape, strides, 0), (1,), False)
    elif (v.strides, v.offset) == (strides, 0):
        v = restride(v, (extent,), (1,), 0, strides)
    else:
        v = reshape(v, (extent,))
    return clone(restride(window_put(flat, v, at, 0, 1), h.shape, base, 0, (1,)))


def part(h: Node, geometry: Geometry, base: tuple[int, ...]) -> Node:
    """What `geometry`, whose offset is data, shows of the storage; the node has no offset."""
    flat, extent, at = _within(h, geometry, base)
    return restride(window(flat, at, 0, extent, 1), *geometry[:2], 0, (1,))


def _within(h: Node, geometry: Geometry, base: tuple[int, ...]) -> tuple[Node, int, Node]:
    """(the storage in a row, over how many of its elements the geometry reaches, where that begins)"""
    shape, strides, offset = geometry
    flat = restride(h, (_extent(h.shape, base),), (1,), 0, base)
    return flat, _extent(shape, strides), current().input(np.asarray(offset), (), (), int64, h.device)


def _extent(shape: Any, strides: Any) -> int:
    return 1 + sum([(n - 1) * s for n, s in zip(shape, strides, strict=True)])
