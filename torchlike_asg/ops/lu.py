"""LU factors with partial pivoting, in LAPACK's compact form: U on and above the diagonal, L below it without its unit diagonal.

``A = P L U`` for matrices (m, n) of any shape; with k = min(m, n), L is (m, k) and U (k, n). Row i was exchanged with row pivots[i] - 1.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import dtypes
from ..asg import gradients
from ..asg.declare import Array, Grads, Meta, Op, Sample
from ..asg.node import Node, const
from ..asg.saving import keep_result
from .arrange import tril, triu
from .join import cat
from .linalg import matmul
from .logic import eq
from .movement import arange, cast, reshape, slice_
from .pointwise import add, sub
from .solve import BATCH, M, adjoint, by_columns, check_floating, identity, solve_triangular


def _sides(x: Node) -> tuple[tuple[int, ...], int, int]:
    if len(x.shape) < 2:
        raise RuntimeError(f"torch.lu_factor: Expected tensor with 2 or more dimensions. Got size: {list(x.shape)} instead")
    check_floating("torch.lu_factor", x)
    return tuple(x.shape[:-2]), x.shape[-2], x.shape[-1]


def _eliminated(a: Array) -> tuple[Array, Array]:
    """Compact factors and pivots of one matrix; a column without a pivot is left as it is."""
    a = a.copy()
    pivots = np.arange(1, min(a.shape) + 1, dtype=np.int32)
    for k in range(len(pivots)):
        column = a[k:, k]
        row = k + int(np.argmax(np.abs(column.real) + np.abs(column.imag)))
        pivots[k] = row + 1
        if a[row, k] == 0:
            continue
        if row != k:
            a[[k, row]] = a[[row, k]]
        a[k + 1 :, k] /= a[k, k]
        a[k + 1 :, k + 1 :] -= np.outer(a[k + 1 :, k], a[k, k + 1 :])
    return a, pivots


def _ref(part: int) -> Any:
    def ref(x: Array) -> Array:
        m, n = x.shape[-2:]
        shape = x.shape if part == 0 else (*x.shape[:-2], min(m, n))
        out = np.empty((math.prod(x.shape[:-2]), *shape[len(x.shape) - 2 :]), x.dtype if part == 0 else np.int32)
        for i, a in enumerate(x.reshape(-1, m, n) if x.size else ()):
            out[i] = _eliminated(a)[part]
        return out.reshape(shape)

    return ref


def _rule_compact(x: Node) -> Meta:
    _sides(x)
    return tuple(x.shape), x.dtype


def _rule_pivots(x: Node) -> Meta:
    lead, m, n = _sides(x)
    return (*lead, min(m, n)), dtypes.int32


def permutation_matrix(pivots: Node, m: int, d: dtypes.dtype) -> Node:
    """P of (..., m, m): multiplied from the left it undoes the exchanges that `pivots` (..., k) list."""
    order = lu_permutation(pivots, m)
    rows = reshape(arange(const(0, dtypes.int64), const(1, dtypes.int64), m, dtypes.int64), (m, 1))
    return cast(eq(reshape(order, (*order.shape[:-1], 1, m)), rows), d)


def _times_inverse(x: Node, upper: Node) -> Node:
    """``x U^-H``; only the upper triangle is read."""
    return adjoint(solve_triangular(upper, adjoint(x), True, False))


def _vjp(n: Node, g: Node) -> Grads:
    """Of the square part, P L^-H (tril(L^H gL, -1) + triu(gU U^H)) U^-H; further rows and columns follow from it by substitution."""
    x = n.srcs[0]
    _, rows, columns = _sides(x)
    rank, k = len(x.shape), min(rows, columns)

    def part(y: Node, top: bool, left: bool) -> Node:
        y = slice_(y, rank - 2, 0, k, 1) if top else slice_(y, rank - 2, k, rows, 1)
        return slice_(y, rank - 1, 0, k, 1) if left else slice_(y, rank - 1, k, columns, 1)

    square, gs = part(n, True, True), part(g, True, True)
    unit = add(tril(square, -1), identity(k, x.dtype))
    lower, upper = matmul(adjoint(unit), tril(gs, -1)), matmul(triu(gs, 0), adjoint(triu(square, 0)))
    if columns > k:
        lower = sub(lower, matmul(part(g, True, False), adjoint(part(n, True, False))))
    if rows > k:
        upper = sub(upper, matmul(adjoint(part(n, False, True)), part(g, False, True)))
    found = _times_inverse(add(tril(lower, -1), triu(upper, 0)), square)
    if columns > k:
        found = cat(found, part(g, True, False), rank - 1)
    found = solve_triangular(adjoint(unit), found, True, True)
    if rows > k:
        found = cat(found, _times_inverse(part(g, False, True), square), rank - 2)
    return (matmul(permutation_matrix(lu_pivots(x), rows, x.dtype), found),)


def _samples(grad: bool) -> list[Sample]:
    return [
        Sample((M[[2, 0, 1]],), (), grad),
        Sample((M[:, :2],), (), grad),
        Sample((M[:2],), (), grad),
        Sample((BATCH,), (), grad),
        Sample((np.array([[0.0, 1.0], [0.0, 2.0]]),), (), False),
        Sample((np.zeros((0, 2, 3)),), (), False),
    ]


lu_compact = Op("lu_compact", "linalg", by_columns(_rule_compact), _ref(0), vjp=_vjp, saves=keep_result, samples=lambda: _samples(True))
lu_pivots = Op("lu_pivots", "linalg", _rule_pivots, _ref(1), differentiable=False, samples=lambda: _samples(False))


def _ref_permutation(pivots: Array, m: int) -> Array:
    flat = pivots.reshape(-1, pivots.shape[-1]) if pivots.size else np.zeros((math.prod(pivots.shape[:-1]), 0), np.int32)
    out = np.tile(np.arange(m), (len(flat), 1))
    for order, exchanges in zip(out, flat, strict=True):
        for i, p in enumerate(exchanges):
            order[[i, p - 1]] = order[[p - 1, i]]
    return out.reshape(*pivots.shape[:-1], m)


#: which row of the matrix stands at each place after the exchanges
lu_permutation = Op(
    "lu_permutation",
    "linalg",
    lambda pivots, m: ((*pivots.shape[:-1], m), dtypes.int64),
    _ref_permutation,
    params=("rows",),
    differentiable=False,
    samples=lambda: [
        Sample((np.array([3, 3, 3], np.int32),), (3,), False),
        Sample((np.array([[2, 4], [1, 2]], np.int32),), (4,), False),
        Sample((np.zeros((0, 2), np.int32),), (3,), False),
    ],
)
gradients.COMPLEX.add("lu_compact")
