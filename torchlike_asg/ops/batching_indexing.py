"""Batching rules of operations that are told places by index tensors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..asg.batching import Operand, aligned, one_by_one, spread
from ..asg.declare import REGISTRY
from ..asg.node import Node
from . import scatter, sort  # noqa: F401  (they declare what gets a rule here)
from .batching_shared import leading, moves, rows_of, shifted, whole
from .indexing import index, index_put, place_of, unindex
from .movement import expand, permute


def _index(n: Node, operands: Sequence[Operand], size: int) -> Node:
    (dims,) = n.attrs
    x, *indices = operands
    if not any(mapped for _, mapped in indices):
        y = index(x[0], *[i for i, _ in indices], shifted(dims))
        at, rank = place_of(dims), max(i.ndim for i, _ in indices)
        if place_of(shifted(dims)) == at + 1:
            return y
        return permute(y, rank, *range(rank), *range(rank + 1, y.ndim))  # the indexed dimensions came in front of the batch
    rank = max(s.ndim for s in n.srcs[1:])
    data = x[0] if x[1] else spread(x[0], size)
    y = index(data, rows_of(size, rank), *aligned(indices, rank), (0, *shifted(dims)))
    at = place_of(dims)
    now = place_of((0, *shifted(dims)))  # 0: batch, then the index dimensions, then the rest
    if now or not at:
        return y
    return permute(y, 0, *range(1 + rank, 1 + rank + at), *range(1, 1 + rank), *range(1 + rank + at, y.ndim))


def _flat_rows(n: Node, g: Operand, indices: Sequence[Operand], dims: Any, shape: Any, size: int) -> tuple[Node, list[Node], Any, Any]:
    """Values (batch, indices..., rest...), index tensors and dimensions with the batch as one more indexed dimension."""
    rank = max(i.ndim - mapped for i, mapped in indices)
    at = place_of(dims)
    value = g[0] if g[1] else spread(g[0], size)
    value = permute(value, 0, *range(1 + at, 1 + at + rank), *range(1, 1 + at), *range(1 + at + rank, value.ndim))
    rows = [rows_of(size, rank), *aligned(indices, rank)]
    return value, rows, (0, *shifted(dims)), (size, *shape)


def _unindex(n: Node, operands: Sequence[Operand], size: int) -> Node:
    dims, shape = n.attrs
    g, *indices = operands
    value, rows, moved, wide = _flat_rows(n, g, indices, dims, shape, size)
    return unindex(value, *rows, moved, wide)


def _index_put(n: Node, operands: Sequence[Operand], size: int) -> Node:
    dims, accumulate = n.attrs
    x, v, *indices = operands
    picked = index(n.srcs[0], *n.srcs[2:], dims)
    value = expand(aligned([v], picked.ndim)[0], size, *picked.shape)
    value, rows, moved, _ = _flat_rows(n, (value, True), indices, dims, n.shape, size)
    return index_put(x[0] if x[1] else spread(x[0], size), value, *rows, moved, accumulate)


def _one_index(n: Node, operands: Sequence[Operand], size: int) -> Node:
    """index_select, index_add, index_copy, index_fill: one index tensor for a dimension."""
    x, i, *value = operands
    dim = n.attrs[0]
    if not n.srcs[0].ndim:
        return one_by_one(n, operands, size)
    if i[1] and value:
        same = index_put(n.srcs[0], n.srcs[2], n.srcs[1], (dim,), n.op.name == "index_add")
        return _index_put(same, [x, value[0], i], size)
    if i[1]:
        return _index(index(*n.srcs, (dim,)), operands, size)
    data = x[0] if x[1] else spread(x[0], size)
    if value and n.op.name == "index_fill":
        return one_by_one(n, operands, size) if value[0][1] else n.op(data, i[0], value[0][0], dim + 1)
    return n.op(data, i[0], *whole(value, size), dim + 1)


def _searchsorted(n: Node, operands: Sequence[Operand], size: int) -> Node:
    (edges, edges_mapped), (values, mapped) = operands
    if not edges_mapped and n.srcs[0].ndim == 1 and mapped:
        return n.op(edges, values, *n.attrs)
    if n.srcs[0].ndim == n.srcs[1].ndim and n.srcs[0].ndim > 0:
        return leading(n, operands, size)
    return one_by_one(n, operands, size)


def _isin(n: Node, operands: Sequence[Operand], size: int) -> Node:
    return one_by_one(n, operands, size) if operands[1][1] else n.op(operands[0][0], operands[1][0], *n.attrs)


def _scatter(n: Node, operands: Sequence[Operand], size: int) -> Node:
    x, i, v = operands
    if not n.srcs[2].ndim and n.srcs[1].ndim:  # one value for every position
        v = expand(aligned([v], n.srcs[1].ndim)[0], size, *n.srcs[1].shape), True
    return moves(0)(n, [x, i, v], size)  # type: ignore[no-any-return]


_RULES: dict[str, Any] = {
    "index": _index, "unindex": _unindex, "index_put": _index_put, "searchsorted": _searchsorted, "isin": _isin,
    **dict.fromkeys(("index_select", "index_add", "index_copy", "index_fill"), _one_index),
    **dict.fromkeys(("scatter", "scatter_add", "scatter_reduce"), _scatter),
}  # fmt: skip

for _name, _rule in _RULES.items():
    REGISTRY[_name].batch = _rule
