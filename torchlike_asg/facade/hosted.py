"""Values that are at hand without computing anything: data, as against results of recorded operations.

Picking rows of a data set by known numbers is host work: the whole set never enters the graph, and changing rows make no new nodes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

import numpy as np

from ..asg.declare import INPUT, STOP, Op, get
from ..asg.geometry import contiguous, flat
from ..asg.node import Node
from ..asg.scope import placed
from ..asg.trace import current
from ..devices import cpu
from ..dtypes import dtype, int64, store
from .core import Tensor, concrete, node_of
from .lens import seen_values

_CAT = get("cat")


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


def outside(t: Any, size: int, first: int = 0) -> np.ndarray[Any, Any] | None:
    """The integers that a tensor holds, if they are `known` and some are not in ``[first, size)``: what a call refuses at once. Those that
    are computed are looked at where they are used.
    """
    values = known(t)
    if values is None or not values.size or values.dtype.kind not in "iu":
        return None
    return values if values.max() >= size or values.min() < first else None


def refuse(error: Exception, result: Tensor, new: bool) -> NoReturn:
    """Raise what is wrong with the data of a recorded result, saying where that was recorded, as an error of its computation does. The
    result is not computed, even if who catches the error keeps it. If it was `new`, it is forgotten: the next such call is met for the
    first time, too.
    """
    n = result._n
    if n is not None:
        claims = current().claims
        if (claim := claims.get(n)) is not None and claim() is result:
            del claims[n]
        n = n.srcs[0] if n.op is STOP else n
        placed(error, n)
        if new:
            n.op.table.pop((*n.srcs, *n.attrs), None)
    raise error


def data(values: np.ndarray[Any, Any], d: dtype, device: Any, strides: Any = None) -> Tensor:
    """A new tensor holding `values`, laid out by dense `strides`."""
    strides = contiguous(values.shape) if strides is None else strides
    return concrete(store(flat(values, strides), d), values.shape, d, device, strides)  # type: ignore[no-any-return]


#: elements of a result up to which joining data is host work
_SMALL = 1 << 16


def joined(op: Op, tensors: Sequence[Any], d: int) -> Tensor | None:
    """Data joined by `op` along `d`; None unless all of it is small row-major data of one type on the CPU. A batch of pieces of a text, or
    a text that grows by a word, would otherwise make another graph for every set of places and every length.
    """
    first = tensors[0]
    values = []
    for t in tensors:
        found = known(t)
        if found is None or t.dtype is not first.dtype or t.__class__ is not Tensor or found.ndim != len(first.shape):
            return None
        values.append(found)
    if first.device.type != "cpu" or sum([v.size for v in values]) > _SMALL or not all([v.flags.c_contiguous for v in values]):
        return None
    shapes = {(*v.shape[:d], *v.shape[d + 1 :]) if op is _CAT else v.shape for v in values}
    return data(op.ref(*values, d), first.dtype, first.device) if len(shapes) == 1 else None  # type: ignore[misc]


#: what is done to indices
_ARITHMETIC = frozenset(("add", "sub", "mul"))
_INT64 = range(-(1 << 63), 1 << 63)


def index(op: Op, a: Any, b: int, swapped: bool) -> Tensor | None:
    """``a + b`` and the like of a number that is int64 data and a Python integer, at once; None if it is anything else. Recorded, each
    index of a batch of slices ``text[i : i + n]`` would take an Input of its own, and their number would decide where a trace ends.
    """
    if a.dtype is not int64 or a.__class__ is not Tensor or op.name not in _ARITHMETIC or b not in _INT64:
        return None
    found = known(a)
    if found is None or a.device.type != "cpu":
        return None
    numbers = (np.asarray(b, np.int64), found) if swapped else (found, np.asarray(b, np.int64))
    with np.errstate(all="ignore"):  # it wraps around, as PyTorch's does
        return data(np.asarray(op.ref(*numbers), np.int64), int64, a.device)  # type: ignore[misc]


def operand(t: Any) -> Node:
    """The node of a tensor, or of an integer or boolean array (an Input, so that other values make no other graph)."""
    if t.__class__ is not np.ndarray:
        return node_of(t)
    from ..dtypes import from_numpy

    return current().input(np.asarray(t, order="C"), t.shape, contiguous(t.shape), from_numpy(t.dtype), cpu)


def indices(values: Any, device: Any = cpu) -> Tensor:
    """A new int64 tensor of indices computed on the host, for tensors of that device."""
    return data(np.asarray(values, np.int64, order="C"), int64, device)
