"""Gradients of tables that were read with ``sparse=True``: the rows' gradients and their places, instead of a whole table.

The table enters the lookup through an identity, whose gradient is an identity over the sum of `embedding_grad`s. In the graph a sparse
gradient is therefore the dense one; at a leaf its parts are taken instead.
"""

from __future__ import annotations

import importlib
from typing import Any

from ..asg.declare import SPARSE_GRADIENT, SPARSE_TABLE, STOP, get
from ..asg.gradients import beside, dense
from ..asg.node import Node
from ..asg.trace import current
from ..ops.embedding import embedding_grad
from .core import Tensor, nary, wrap


def table(weight: Tensor) -> Tensor:
    """`weight` as a table whose gradient is sparse."""
    return nary(SPARSE_TABLE, (weight,)) if weight.requires_grad and current().grad else weight


def is_sparse(g: Node) -> bool:
    """Whether a leaf's gradient is that of lookups alone."""
    while g.op is STOP:
        g = g.srcs[0]
    return g.op in _SUMS and _lookups(g) is not None


_SUMS = (SPARSE_GRADIENT, get("add"))


def _lookups(g: Node) -> list[Node] | None:
    """The `embedding_grad`s whose sum `g` is, in the order of the lookups' backward steps; None if it is anything else."""
    found: list[Node] = []
    stack = [(g, False)]
    while stack:
        n, sparse = stack.pop()
        if n.op is embedding_grad and sparse:
            found.append(n)
        elif n.op in _SUMS:
            stack += [(s, sparse or n.op is SPARSE_GRADIENT) for s in reversed(n.srcs)]
        else:
            return None
    return found


def gradient(g: Node) -> Any:
    """The gradient of a leaf or of an input, as users see it: a tensor, sparse where it is that of lookups alone."""
    plain = g
    while plain.op is STOP:
        plain = plain.srcs[0]
    lookups = _lookups(plain)
    if lookups is None:
        return wrap(dense(g))
    parts = []
    history = current().grad
    make = importlib.import_module("torchlike_asg.sparse.coo").from_lookup
    for n in lookups:
        values, places = beside(n.srcs[0], n), n.srcs[1]
        rows, padding, by_frequency = n.attrs
        if by_frequency:
            raise RuntimeError("embedding_backward: scale_grad_by_freq not supported with sparse gradients")
        parts.append(make(wrap(values if values.rg and history else STOP(values)), wrap(STOP(places)), rows, padding))
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total
