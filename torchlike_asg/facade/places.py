"""Writes at a place that is data, and what a tensor at such a place shows afterwards: what `moving.moving_view` is for reading."""

from __future__ import annotations

from typing import Any
from weakref import WeakSet

import numpy as np

from ..asg.geometry import Geometry
from ..asg.node import Node
from ..asg.trace import current
from ..dtypes import int64
from ..ops.window import restride_at, restride_put, window

#: storages of data that a loop goes over, row by row, in several traces: see direct.py
ROWS: WeakSet[Any] = WeakSet()
#: marks a tensor whose place is data, once its storage was written through it
MARK = "_at_data"


def is_moving(t: Any, n: Node) -> bool:
    """Whether `t`, whose node is `n`, shows a place that is data. It is noted for when its storage was written."""
    if MARK in t.__dict__:
        return True
    while n.op.view and n.op is not window and n.op is not restride_at:
        n = n.srcs[0]
    if not n.op.view:
        return False
    t.__dict__[MARK] = True
    return True


def put(h: Node, v: Node, geometry: Geometry, base: tuple[int, ...], refuses: bool) -> Node:
    """A storage, of which `h` is the node and `base` the strides, with `v` at `geometry`, whose offset is data: a `restride_scatter`."""
    shape, strides, offset = geometry
    return restride_put(h, v, at_data(offset, h), shape, strides, base, refuses)


def part(h: Node, geometry: Geometry, base: tuple[int, ...]) -> Node:
    """What `geometry`, whose offset is data, shows of the storage; the node has no offset."""
    shape, strides, offset = geometry
    return restride_at(h, at_data(offset, h), shape, strides, base)


def at_data(number: int, n: Node) -> Node:
    """A number that moves, as data of this trace beside `n`."""
    return current().input(np.asarray(number), (), (), int64, n.device)
