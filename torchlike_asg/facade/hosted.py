"""Values that are at hand without computing anything: data, as against results of recorded operations.

Picking rows of a data set by known numbers is host work: the whole set never enters the graph, and changing rows make no new nodes.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..asg.declare import INPUT
from ..asg.geometry import contiguous, flat
from ..asg.node import Node
from ..asg.trace import current
from ..devices import cpu
from ..dtypes import dtype, int64, store
from .core import Tensor, concrete, node_of
from .lens import seen_values


def known(t: Any) -> np.ndarray[Any, Any] | None:
    """What a tensor without history holds, if it is data; None for results and for leaves that want a gradient. Not to be written."""
    if t.__class__ is np.ndarray:
        return t  # type: ignore[no-any-return]
    n = t._n
    if n is None:
        f = t._f
        if f.h is not None or f.past is not None or f.wants or f.cell.remote:
            return None
        return seen_values(f.cell, t._lens, t._geo)
    found = current().bound.get(n) if n.op is INPUT and not n.rg else None
    return found if found.__class__ is np.ndarray else None


def data(values: np.ndarray[Any, Any], d: dtype, device: Any, strides: Any = None) -> Tensor:
    """A new tensor holding `values`, laid out by dense `strides`."""
    strides = contiguous(values.shape) if strides is None else strides
    return concrete(store(flat(values, strides), d), values.shape, d, device, strides)  # type: ignore[no-any-return]


def operand(t: Any) -> Node:
    """The node of a tensor, or of an integer or boolean array (an Input, so that other values make no other graph)."""
    if t.__class__ is not np.ndarray:
        return node_of(t)
    from ..dtypes import from_numpy

    return current().input(np.ascontiguousarray(t), t.shape, contiguous(t.shape), from_numpy(t.dtype), cpu)


def indices(values: Any) -> Tensor:
    """A new int64 tensor of indices computed on the host."""
    return data(np.ascontiguousarray(values, np.int64), int64, cpu)
