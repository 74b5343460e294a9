"""Which factors of a product are kept for its gradient where they lie.

PyTorch multiplies vectors, matrices and single batches of matrices. Factors of other shapes become one of these first: as a view, or, where
none shows them so, as a copy, which no later write to the factor changes. Only the former can be overwritten (see `Op.saves`).
"""

from __future__ import annotations

import math
from typing import Any

from ..asg.geometry import view_strides
from ..asg.node import Node


def rows_in_place(n: Node, columns: bool = False) -> bool:
    """Whether the rows (or the columns) of a batch of matrices are one matrix's."""
    shape, strides, offset = tuple(n.shape), n.strides, n.offset
    if columns:
        shape, strides = (*shape[:-2], shape[-1], shape[-2]), (*strides[:-2], strides[-1], strides[-2])
    return view_strides((shape, strides, offset), (math.prod(shape[:-1]), shape[-1])) is not None


def batch_in_place(n: Node, lead: tuple[int, ...]) -> bool:
    """Whether matrices, expanded to leading dimensions `lead`, are one batch."""
    missing = len(lead) - len(n.shape) + 2
    steps = [0 if d == 1 and wanted != 1 else s for d, s, wanted in zip(n.shape, n.strides, lead[missing:], strict=False)]
    shape = (*lead, *n.shape[-2:])
    geometry = shape, ((0,) * missing + tuple(steps) + n.strides[-2:]), n.offset
    return view_strides(geometry, (math.prod(lead), *shape[-2:])) is not None


def of_product(n: Node) -> tuple[Node, ...]:
    """`saves` rule of ``a @ b``."""
    a, b = n.srcs
    return tuple([x for i, (x, y) in enumerate(((a, b), (b, a))) if y.rg and _factor_in_place(a, b, i, tuple(n.shape[:-2]))])


def _factor_in_place(a: Node, b: Node, which: int, lead: tuple[int, ...]) -> bool:
    p, q = len(a.shape), len(b.shape)
    if p <= 2 and q <= 2:
        return True
    if p > 2 and (q <= 2 or (p == q == 3 and b.shape[0] == 1)):
        return which == 1 or rows_in_place(a)
    if p <= 2 or (p == q == 3 and a.shape[0] == 1):
        return which == 0 or rows_in_place(b, True)
    return batch_in_place(b if which else a, lead)


def of_layer(n: Node) -> tuple[Node, ...]:
    """`saves` rule of ``x @ w^T + b``."""
    x, w = n.srcs[:2]
    kept = [x] if w.rg and (len(x.shape) <= 2 or rows_in_place(x)) else []
    return (*kept, w) if x.rg else tuple(kept)


def of_attention(n: Node) -> tuple[Node, ...]:
    """`saves` rule of attention: all, where PyTorch has one operation for it, or of its operations the factors."""
    q, k, v, *mask = n.srcs
    one = len(q.shape) == 4 and q.shape[:2] == k.shape[:2] == v.shape[:2] and q.shape[-1] == k.shape[-1] == v.shape[-1]
    if one and q.numel and k.numel and not any(m.rg for m in mask):
        return (*n.srcs, n)
    return of_weighted(n)


def of_weighted(n: Node) -> tuple[Node, ...]:
    """`saves` rule of attention in several operations: weights and scaled factors are their own."""
    v = n.srcs[2]
    return (v,) if any(s.rg for i, s in enumerate(n.srcs) if i != 2) and batch_in_place(v, tuple(n.shape[:-2])) else ()


class Lies:
    """The array operations of a contraction on what lies in memory: the operand whose memory it is, or None for what was computed."""

    def __init__(self, shape: Any, strides: Any, operand: Node | None, rg: bool) -> None:
        self.shape, self.strides, self.operand, self.rg = shape, strides, operand, rg


class OnMemory:
    """Operations on `Lies`. Factors that the gradients of products read are put in `kept`."""

    def __init__(self) -> None:
        self.kept: list[Node] = []

    def permute(self, x: Lies, order: tuple[int, ...]) -> Lies:
        return Lies(tuple([x.shape[i] for i in order]), tuple([x.strides[i] for i in order]), x.operand, x.rg)

    def reshape(self, x: Lies, shape: tuple[int, ...]) -> Lies:
        strides = None if x.operand is None else view_strides((x.shape, x.strides, 0), shape)
        return Lies(shape, strides or (0,) * len(shape), x.operand if strides is not None else None, x.rg)

    def diagonal(self, x: Lies, a: int, b: int) -> Lies:
        rest = [i for i in range(len(x.shape)) if i not in (a, b)]
        shape = (*[x.shape[i] for i in rest], x.shape[a])
        return Lies(shape, (*[x.strides[i] for i in rest], x.strides[a] + x.strides[b]), x.operand, x.rg)

    def sum(self, x: Lies, dims: tuple[int, ...]) -> Lies:
        return self._computed([d for i, d in enumerate(x.shape) if i not in dims], x.rg)

    def mul(self, x: Lies, y: Lies) -> Lies:
        self._keep(x, y)
        return self._computed([max(a, b) if a and b else 0 for a, b in zip(x.shape, y.shape, strict=True)], x.rg or y.rg)

    def matmul(self, x: Lies, y: Lies) -> Lies:
        self._keep(x, y)
        return self._computed([*x.shape[:-1], y.shape[-1]], x.rg or y.rg)

    def _keep(self, x: Lies, y: Lies) -> None:
        self.kept += [s.operand for s, other in ((x, y), (y, x)) if s.operand is not None and other.rg]

    @staticmethod
    def _computed(shape: list[int], rg: bool) -> Lies:
        return Lies(tuple(shape), (0,) * len(shape), None, rg)
