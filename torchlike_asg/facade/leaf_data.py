"""The data that leaves of the graph stand for in a trace."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..asg import trace
from ..asg.declare import CONST, IDENTITIES, INPUT, LEAVES, VAR
from ..asg.geometry import contiguous
from ..asg.node import Node
from ..asg.trace import Trace
from . import texts


class Lost(RuntimeError):
    """What an Input of another thread's trace stood for is forgotten."""


Array = np.ndarray[Any, Any]


def leaf_value(n: Node, tr: Trace) -> Array | None:
    """The data a leaf stands for in this trace; None for other nodes."""
    if n.op is INPUT:
        found = tr.bound.get(n)
        if found is None:
            other = trace.by_index(n.attrs[0])
            found = other.bound.get(n) if other is not None else None
            if found is None:
                raise Lost(texts.OTHER_THREAD)
        return found
    if n.op is VAR:
        f = n.owner() if n.owner is not None else None
        if f is not None:
            return f.cell.shaped()  # type: ignore[no-any-return]
        if n not in tr.orphans:
            raise RuntimeError(texts.OTHER_THREAD)
        return tr.orphans[n].whole()  # type: ignore[no-any-return]
    if n.op is CONST:
        return np.asarray(n.attrs[0], n.dtype.compute)
    return None


def leaf_arrays(owners: Any) -> list[Array]:
    """What the storages of permanent leaves hold, where that takes no more than looking."""
    return [o().cell.array for o in owners]


def value_at(n: Node, tr: Trace) -> Any:
    """The value of a node that is known or a leaf."""
    found = tr.known.get(n)
    return leaf_value(n, tr) if found is None else found


def shown(nodes: tuple[Node, ...], tr: Trace) -> list[Array] | None:
    """Values of nodes that are nothing but leaves or known values under another history (``parameter.detach()``), copied: for these no plan
    is worth building. None unless all of them are.
    """
    found = []
    for n in nodes:
        m = n
        while m.op in IDENTITIES and m not in tr.known:
            m = m.srcs[IDENTITIES[m.op]]
        value = value_at(m, tr) if m in tr.known or m.op in LEAVES else None
        if value.__class__ is not np.ndarray or value.dtype != n.dtype.compute or tuple(value.shape) != tuple(n.shape):
            return None
        if not value.flags.c_contiguous or n.strides != contiguous(n.shape):
            return None
        found.append(value)
    return [value.copy() for value in found]


def _install() -> None:
    from ..backends import reference
    from ..compiler import execution, plan

    assert reference and execution
    plan.leaf_value, plan.leaf_arrays = leaf_value, leaf_arrays


_install()
