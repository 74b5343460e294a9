"""Data whose place in memory moves from iteration to iteration, such as the end of a text that grows, ``text[:, -256:]``.

The strides of an Input are part of the graph. A region that lies between other data has other strides with every length of that data, which
would make another graph in every turn; so from the second turn on the Input stands for a copy of the region, laid out by itself.
"""

from __future__ import annotations

from typing import Any

from .. import dtypes
from ..asg.geometry import Geometry, is_dense, pointwise_strides
from ..asg.node import Node
from ..asg.trace import Trace
from .nodes import bind
from .storage import Family


def elsewhere(geometry: Geometry, tr: Trace) -> bool:
    """Whether a region that is not laid out as a tensor of its own would be is the next Input of a trace where the last one lay in memory
    in another way. (A copy of a region without gaps keeps even the strides of dimensions of size 1: those are left alone but in indices.)
    """
    shape, strides, _ = geometry
    last = tr.inputs.get(tr.slots)
    if last is None or last.strides == strides or last.shape != shape or (last.dtype is not dtypes.int64 and is_dense(shape, strides)):
        return False
    return pointwise_strides(shape, [(shape, strides)]) != strides


def packed(t: Any, f: Family, tr: Trace) -> Node:
    """The Input of a copy of the region that `t` shows. The tensor goes on showing its own place: it finds this Input again as long as
    nobody writes to the storage.
    """
    now = (tr.index, tr.generation, f.counter.version, f.counter.silent)
    last = t.__dict__.get("_snapshot")
    if last is not None and last[0] == now:
        return last[1]  # type: ignore[no-any-return]
    n = bind(f, t._geo, tr, dense=True)
    t.__dict__["_snapshot"] = (now, n)
    return n
