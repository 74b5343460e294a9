"""Rows picked from a table by integer indices, and the sum of gradients back into the rows."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import dtypes
from ..asg.declare import Array, Grads, Meta, Op, Sample
from ..asg.node import Node
from .formula import title

_TABLE = np.array([[0.3, -1.2], [0.8, 1.5], [-0.6, 0.9], [0.4, -0.2]])
_I = np.array([[0, 2, 2], [3, 0, 1]])


def check_indices(indices: Node) -> None:
    """Indices are int64 or int32."""
    if indices.dtype not in (dtypes.int64, dtypes.int32):
        raise RuntimeError(
            "Expected tensor for argument #1 'indices' to have one of the following scalar types: Long, Int; but got "
            f"torch.{title(indices.dtype)}Tensor instead "
            "(while checking arguments for embedding)"
        )


def _rule(table: Node, indices: Node, *_: Any) -> Meta:
    check_indices(indices)
    if table.ndim != 2:
        raise RuntimeError("'weight' must be 2-D")
    return (*indices.shape, table.shape[1]), table.dtype


def _ref(table: Array, indices: Array, *_: Any) -> Array:
    if indices.size and (indices.min() < 0 or indices.max() >= len(table)):
        raise IndexError("index out of range in self")
    return table[indices]


def _rule_grad(g: Node, indices: Node, rows: int, *_: Any) -> Meta:
    return (rows, g.shape[-1]), g.dtype


def add_rows(out: Array, rows: Array, values: Array) -> None:
    """``out[rows] += values`` where rows may repeat: sorted runs summed at once, much faster than `np.add.at`."""
    if not rows.size:
        return
    order = np.argsort(rows, kind="stable")
    picked = rows[order]
    starts = np.flatnonzero(np.r_[True, picked[1:] != picked[:-1]])
    out[picked[starts]] += np.add.reduceat(values[order], starts, 0)


def _ref_grad(g: Array, indices: Array, rows: int, padding: int, by_frequency: bool) -> Array:
    flat, values = indices.reshape(-1), g.reshape(-1, g.shape[-1])
    if padding >= 0:
        kept = flat != padding
        flat, values = flat[kept], values[kept]
    if by_frequency:
        values = values / np.bincount(flat, minlength=rows)[flat][:, None].astype(g.dtype)
    out = np.zeros((rows, g.shape[-1]), g.dtype)
    add_rows(out, flat, values)
    return out


def _vjp(n: Node, g: Node) -> Grads:
    return (embedding_grad(g, n.srcs[1], n.srcs[0].shape[0], *n.attrs),)


def _ref_transposed(gg: Array, indices: Array, padding: int, by_frequency: bool) -> Array:
    out = gg[indices]
    if by_frequency:
        counts = np.bincount(indices.reshape(-1), minlength=len(gg))
        out = out / counts[indices][..., None].astype(gg.dtype)
    if padding >= 0:
        out = np.where((indices == padding)[..., None], 0, out).astype(gg.dtype)
    return out


#: The transpose of `embedding_grad`: rows picked, those of the padding index zero.
embedding_grad_grad = Op(
    "embedding_grad_grad",
    "gradient",
    lambda gg, i, *_: ((*i.shape, gg.shape[1]), gg.dtype),
    _ref_transposed,
    vjp=lambda n, g: (embedding_grad(g, n.srcs[1], n.srcs[0].shape[0], *n.attrs),),
    saves=lambda n: n.srcs[1:],
    params=("padding_idx", "scale_grad_by_freq"),
    samples=lambda: [Sample((_TABLE, _I), (-1, False)), Sample((_TABLE, _I), (2, True))],
)
embedding_grad = Op(
    "embedding_grad",
    "gradient",
    _rule_grad,
    _ref_grad,
    vjp=lambda n, g: (embedding_grad_grad(g, n.srcs[1], *n.attrs[1:]),),
    saves=lambda n: n.srcs[1:],
    params=("num_embeddings", "padding_idx", "scale_grad_by_freq"),
    samples=lambda: [
        Sample((np.linspace(-1, 1, 12).reshape(2, 3, 2), _I), (4, -1, False)),
        Sample((np.linspace(-1, 1, 12).reshape(2, 3, 2), _I), (4, 2, True)),
        Sample((np.zeros((0, 2)), np.zeros(0, np.int64)), (4, -1, False)),
    ],
)
#: attrs: the padding index (-1 for none), whose row gets no gradient, and whether gradients are divided by how often a row occurs
embedding = Op(
    "embedding",
    "embedding",
    _rule,
    _ref,
    vjp=_vjp,
    saves=lambda n: n.srcs[1:],
    params=("padding_idx", "scale_grad_by_freq"),
    samples=lambda: [
        Sample((_TABLE, _I), (-1, False)),
        Sample((_TABLE, np.asarray(2)), (-1, False)),
        Sample((_TABLE, np.zeros((0, 2), np.int64)), (-1, False)),
        Sample((_TABLE.astype(np.float32), _I.astype(np.int32)), (-1, False), False),
    ],
)
