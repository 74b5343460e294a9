"""Joining tensors: one after another, stacked, or along a diagonal."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..asg.declare import Array, Grads, Meta, Op, Sample
from ..asg.geometry import channels_last, suggests_channels_last
from ..asg.node import Node, const
from .movement import full, select, slice_
from .promotion import result_type, to

_X = np.arange(6.0).reshape(2, 3)


def _promoted(*args: Any) -> tuple[Any, ...]:
    operands = [a for a in args if a.__class__ is Node]
    if len({n.dtype for n in operands}) == 1:
        return args
    d = result_type(operands)
    return (*[to(n, d) for n in operands], *args[len(operands) :])


# ---------------------------------------------------------------- cat
def _skipped(n: Any, rank: int) -> bool:
    """An empty vector joins anything (a habit of old scripts, which start from ``torch.Tensor()``)."""
    return tuple(n.shape) == (0,) and rank != 1


def _rule_cat(*args: Any) -> Meta:
    operands, d = args[:-1], args[-1]
    rank = next((n.ndim for n in operands if tuple(n.shape) != (0,)), 1)
    first: Node | None = None
    total = 0
    for i, n in enumerate(operands):
        if _skipped(n, rank):
            continue
        first = n if first is None else first
        if n.ndim != rank:
            raise RuntimeError(f"Tensors must have same number of dimensions: got {rank} and {n.ndim}")
        for k in range(rank):
            if k != d and n.shape[k] != first.shape[k]:
                raise RuntimeError(
                    f"Sizes of tensors must match except in dimension {d}. Expected size {first.shape[k]} but got size "
                    f"{n.shape[k]} for tensor number {i} in the list."
                )
        total += n.shape[d]
    assert first is not None
    return first.shape[:d] + (total,) + first.shape[d + 1 :], first.dtype


def _ref_cat(*args: Any) -> Array:
    d, rank = args[-1], max(a.ndim for a in args[:-1])
    return np.concatenate([a for a in args[:-1] if not _skipped(a, rank)], d)


def _vjp_cat(n: Node, g: Node) -> Grads:
    d, lo, grads = n.attrs[0], 0, []
    for s in n.srcs:
        if _skipped(s, n.ndim):
            grads.append(full(const(0, g.dtype), (0,)))
        else:
            grads.append(slice_(g, d, lo, lo + s.shape[d], 1))
            lo += s.shape[d]
    return tuple(grads)


cat = Op(
    "cat",
    "shape",
    _rule_cat,
    _ref_cat,
    vjp=_vjp_cat,
    prepare=_promoted,
    params=("dim",),
    samples=lambda: [
        Sample((_X, _X[:, :1], _X + 1), (1,)),
        Sample((_X, np.zeros((0, 3))), (0,)),
        Sample((_X[0],), (0,)),
        Sample((_X, np.zeros(0), _X), (0,)),
    ],
)


# ---------------------------------------------------------------- stack
def _rule_stack(*args: Any) -> Meta:
    first, d = args[0], args[-1]
    for i, n in enumerate(args[:-1]):
        if n.shape != first.shape:
            raise RuntimeError(
                f"stack expects each tensor to be equal size, but got {list(first.shape)} at entry 0 and {list(n.shape)} at entry {i}"
            )
    shape = first.shape[:d] + (len(args) - 1,) + first.shape[d:]
    if d < first.ndim and all(suggests_channels_last(tuple(n.shape), n.strides) for n in args[:-1]):
        # made by `cat` along that dimension, which keeps channels last, and a view of the result
        joined = channels_last(tuple([n * (len(args) - 1) if i == d else n for i, n in enumerate(first.shape)]))
        return shape, first.dtype, (*joined[:d], joined[d] * first.shape[d], *joined[d:])
    return shape, first.dtype


stack = Op(
    "stack",
    "shape",
    _rule_stack,
    lambda *a: np.stack(a[:-1], a[-1]),
    vjp=lambda n, g: tuple([select(g, n.attrs[0], i) for i in range(len(n.srcs))]),
    prepare=_promoted,
    params=("dim",),
    samples=lambda: [
        Sample((_X, _X + 1, _X * 2.0), (1,)),
        Sample((np.asarray(1.0), np.asarray(2.0)), (0,)),
        Sample((np.zeros((0, 2)),), (2,)),
    ],
)


# ---------------------------------------------------------------- along a diagonal
def _ref_block_diag(*blocks: Array) -> Array:
    out = np.zeros([sum(b.shape[i] for b in blocks) for i in (0, 1)], blocks[0].dtype)
    i = j = 0
    for b in blocks:
        out[i : i + b.shape[0], j : j + b.shape[1]] = b
        i, j = i + b.shape[0], j + b.shape[1]
    return out


def _vjp_block_diag(n: Node, g: Node) -> Grads:
    grads = []
    i = j = 0
    for s in n.srcs:
        rows, columns = s.shape
        grads.append(slice_(slice_(g, 0, i, i + rows, 1), 1, j, j + columns, 1))
        i, j = i + rows, j + columns
    return tuple(grads)


block_diag = Op(
    "block_diag",
    "shape",
    lambda *blocks: ((sum(b.shape[0] for b in blocks), sum(b.shape[1] for b in blocks)), blocks[0].dtype),
    _ref_block_diag,
    vjp=_vjp_block_diag,
    prepare=_promoted,
    samples=lambda: [Sample((_X, _X.T, np.ones((1, 1)))), Sample((_X, np.zeros((0, 2))))],
)
