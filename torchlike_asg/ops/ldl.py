"""Symmetric indefinite factors ``A = L D L^T`` (L^H for Hermitian matrices) by Bunch and Kaufman's pivoting, in LAPACK's compact form.

Only the lower triangle is read. D has blocks of one and of two rows; pivots[i] > 0 says that row i was exchanged with row pivots[i] - 1,
and two equal negative entries that the block's second row was exchanged with row -pivots[i] - 1. Bunch & Kaufman (1977).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import dtypes
from ..asg import gradients
from ..asg.declare import Array, Grads, Meta, Op, Sample
from ..asg.node import Node
from ..errors import MissingGradientError
from .elementwise import bar
from .solve import BATCH, RIGHT, M, by_columns, check_square

_ALPHA = (1 + math.sqrt(17)) / 8


def _size(x: Any) -> Any:
    return np.abs(x.real) + np.abs(x.imag)


def _pivot(a: Array, k: int) -> tuple[int, int]:
    """The row to exchange with, and the number of rows of the block, 1 or 2."""
    n = len(a)
    own = _size(a[k, k])
    if k == n - 1:
        return k, 1
    i = k + 1 + int(np.argmax(_size(a[k + 1 :, k])))
    column = _size(a[i, k])
    if own >= _ALPHA * column or column == 0:
        return k, 1
    row = max(_size(a[i, k:i]).max(), _size(a[i + 1 :, i]).max(initial=0.0))
    if own >= _ALPHA * column * (column / row):
        return k, 1
    return (i, 1) if _size(a[i, i]) >= _ALPHA * row else (i, 2)


def _exchange(a: Array, k: int, p: int, two: bool, turn: Any) -> None:
    """Exchange rows and columns `k` (the block's last) and `p` in the triangle from `k` on."""
    a[p + 1 :, [k, p]] = a[p + 1 :, [p, k]]
    between = a[k + 1 : p, k].copy()
    a[k + 1 : p, k] = turn(a[p, k + 1 : p])
    a[p, k + 1 : p] = turn(between)
    a[p, k] = turn(a[p, k])
    a[k, k], a[p, p] = a[p, p], a[k, k]
    if two:
        a[k, k - 1], a[p, k - 1] = a[p, k - 1], a[k, k - 1]


def _factored(a: Array, hermitian: bool) -> tuple[Array, Array, int]:
    """Compact factors, pivots, and 0 or the number of the first block that is singular."""
    a, n = np.tril(a), len(a)
    turn = np.conj if hermitian else lambda x: x
    pivots, info, k = np.zeros(n, np.int32), 0, 0
    while k < n:
        if hermitian:
            a[k, k] = a[k, k].real
        if _size(a[k:, k]).max() == 0:
            info, pivots[k] = info or k + 1, k + 1
            k += 1
            continue
        p, width = _pivot(a, k)
        last = k + width - 1
        if p != last:
            _exchange(a, last, p, width == 2, turn)
        if width == 1:
            pivots[k] = p + 1
            x = a[k + 1 :, k] / a[k, k]
            a[k + 1 :, k + 1 :] -= np.tril(np.outer(x, turn(a[k + 1 :, k])))
            a[k + 1 :, k] = x
        else:
            pivots[k] = pivots[k + 1] = -(p + 1)
            block = np.array([[a[k, k], turn(a[k + 1, k])], [a[k + 1, k], a[k + 1, k + 1]]])
            below = a[k + 2 :, k : k + 2].copy()
            x = below @ np.linalg.inv(block)
            a[k + 2 :, k + 2 :] -= np.tril(x @ turn(below).T)
            a[k + 2 :, k : k + 2] = x
        k += width
    return a, pivots, info


def _solved(ld: Array, pivots: Array, b: Array, hermitian: bool) -> Array:
    """The factors undone one block after the other: L D y = b, then L^T x = y."""
    n, b = len(ld), b.copy()
    turn = np.conj if hermitian else lambda x: x
    blocks, k = [], 0
    while k < n:
        width = 1 if pivots[k] > 0 else 2
        blocks.append((k, width))
        last, p = k + width - 1, abs(int(pivots[k])) - 1
        b[[last, p]] = b[[p, last]]
        b[k + width :] -= ld[k + width :, k : k + width] @ b[k : k + width]
        if width == 1:
            b[k] /= ld[k, k]
        else:
            b[k : k + 2] = np.linalg.solve(np.array([[ld[k, k], turn(ld[k + 1, k])], [ld[k + 1, k], ld[k + 1, k + 1]]]), b[k : k + 2])
        k += width
    for k, width in reversed(blocks):
        b[k : k + width] -= turn(ld[k + width :, k : k + width]).T @ b[k + width :]
        last, p = k + width - 1, abs(int(pivots[k])) - 1
        b[[last, p]] = b[[p, last]]
    return b


def _rule(part: int) -> Any:
    def rule(x: Node, hermitian: bool) -> Meta:
        check_square("torch.linalg.ldl_factor_ex", x)
        lead, n = tuple(x.shape[:-2]), x.shape[-1]
        return ((*lead, n, n), x.dtype) if part == 0 else ((*lead, n) if part == 1 else lead, dtypes.int32)

    return rule


def _ref(part: int) -> Any:
    def ref(x: Array, hermitian: bool) -> Array:
        lead, n = x.shape[:-2], x.shape[-1]
        found = [_factored(a, hermitian)[part] for a in x.reshape(math.prod(lead), n, n)]
        shape = (*lead, n, n) if part == 0 else (*lead, n) if part == 1 else lead
        return np.array(found, x.dtype if part == 0 else np.int32).reshape(shape)

    return ref


def _vjp(n: Node, g: Node) -> Grads:
    raise MissingGradientError("the derivative for 'linalg_ldl_factor_ex' is not implemented.")


_SYMMETRIC = BATCH + np.swapaxes(BATCH, -1, -2) - 3 * np.eye(3)


def _factor(part: int) -> Op:
    return Op(
        ("ldl_compact", "ldl_pivots", "ldl_info")[part],
        "linalg",
        _rule(part) if part else by_columns(_rule(part)),
        _ref(part),
        vjp=_vjp if part == 0 else None,
        differentiable=part == 0,
        params=("hermitian",),
        samples=lambda: [
            Sample((_SYMMETRIC,), (False,), False),
            Sample((np.array([[0.0, 0, 0], [2.0, 0, 0], [1.0, 3.0, 0]]),), (True,), False),
            Sample((np.zeros((2, 2)),), (False,), False),
            Sample((np.zeros((0, 2, 2)),), (False,), False),
        ],
    )


ldl_compact, ldl_pivots, ldl_info = _factor(0), _factor(1), _factor(2)


def _rule_solve(ld: Node, pivots: Node, b: Node, hermitian: bool) -> Meta:
    check_square("torch.linalg.ldl_solve", ld)
    if pivots.dtype.category != dtypes.INTEGER:
        raise RuntimeError(f"torch.linalg.ldl_solve: Expected pivots to be integers. Got {pivots.dtype}")
    if len(b.shape) < 2 or b.shape[-2] != ld.shape[-1]:
        raise RuntimeError(
            f"torch.linalg.ldl_solve: Incompatible shapes of A and B for the equation AX = B ({ld.shape[-2]}x{ld.shape[-1]} and "
            f"{'x'.join(map(str, b.shape[-2:]))})"
        )
    if b.dtype is not ld.dtype:
        raise RuntimeError(f"torch.linalg.ldl_solve: Expected LD and B to have the same dtype, but got {ld.dtype} and {b.dtype}")
    return (*np.broadcast_shapes(tuple(ld.shape[:-2]), tuple(b.shape[:-2])), *b.shape[-2:]), b.dtype


def _ref_solve(ld: Array, pivots: Array, b: Array, hermitian: bool) -> Array:
    lead = np.broadcast_shapes(ld.shape[:-2], b.shape[:-2])
    n, count, total = ld.shape[-1], b.shape[-1], math.prod(lead)
    a = np.broadcast_to(ld, (*lead, n, n)).reshape(total, n, n)
    p = np.broadcast_to(pivots, (*lead, n)).reshape(total, n)
    right = np.broadcast_to(b, (*lead, n, count)).reshape(total, n, count)
    return np.array([_solved(*one, hermitian) for one in zip(a, p, right, strict=True)], b.dtype).reshape(*lead, n, count)


def _vjp_solve(n: Node, g: Node) -> Grads:
    """A is symmetric (Hermitian), so that the adjoint system is the conjugate (the same) one."""
    ld, pivots, _ = n.srcs
    (hermitian,) = n.attrs

    def by_factors() -> Node:
        raise MissingGradientError("the derivative for 'linalg_ldl_solve: LD' is not implemented.")

    return by_factors, None, lambda: ldl_solve(ld, pivots, g, True) if hermitian else bar(ldl_solve(ld, pivots, bar(g), False))


_LD, _PIVOTS, _ = _factored(_SYMMETRIC[0], False)
ldl_solve = Op(
    "ldl_solve",
    "linalg",
    by_columns(_rule_solve),
    _ref_solve,
    vjp=_vjp_solve,
    saves=lambda n: n.srcs[:2],
    params=("hermitian",),
    samples=lambda: [
        Sample((_LD, _PIVOTS, RIGHT), (False,), (2,)),
        Sample((_LD, _PIVOTS, np.stack([RIGHT, -RIGHT])), (True,), (2,)),
        Sample((M[:0, :0], np.zeros(0, np.int32), np.zeros((0, 2))), (False,), False),
    ],
)
gradients.COMPLEX.update(("ldl_compact", "ldl_solve"))
