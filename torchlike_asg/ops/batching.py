"""Batching rules: how an operation on one example becomes the operation on a batch of them, which lies in an extra leading dimension.

See asg/batching.py. Operations without a rule here are batched through their expansion.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..asg.batching import Operand, aligned, one_by_one, spread
from ..asg.declare import REGISTRY
from ..asg.geometry import gather
from ..asg.node import Node, const
from ..dtypes import int64
from . import (  # noqa: F401  (they declare what gets a rule here)
    activation,
    cholesky,
    complex,
    distance,
    eigen,
    fft,
    householder,
    join,
    ldl,
    lu,
    matrix_exp,
    moments,
    padding,
    reduce,
    reinterpret,
    scan,
    scatter,
    selection,
    softmax,
    solve,
    sort,
    special,
    spectral,
    window,
)
from .arrange import flip, roll
from .batching_shared import leading, moves, shifted, whole
from .indexing import index_select, unindex
from .linalg import matmul, swap_last
from .movement import arange, expand, permute, reshape, reshaped
from .pointwise import add, mul, where


def _first_like(n: Node, operands: Sequence[Operand], size: int) -> Node:
    """Every operand broadcasts to the shape of the first, which has that of the result."""
    first, *rest = operands
    target = first[0] if first[1] else spread(first[0], size)
    return n.op(target, *aligned(rest, n.ndim), *n.attrs)


# ---------------------------------------------------------------- views and copies
def _only(operands: Sequence[Operand]) -> Node:
    return operands[0][0]


def _reshaped(n: Node, operands: Sequence[Operand], size: int) -> Node:
    return reshaped(_only(operands), (size, *n.shape))


def _lone(n: Node, operands: Sequence[Operand], size: int) -> Node:
    """A dimension of one element more or fewer."""
    x = _only(operands)
    return n.op(x, n.attrs[0] + 1) if n.srcs[0].ndim or n.op.name == "unsqueeze" else reshape(x, (size, *n.shape))


def _permute(n: Node, operands: Sequence[Operand], size: int) -> Node:
    return permute(_only(operands), 0, *shifted(n.attrs))


def _expand(n: Node, operands: Sequence[Operand], size: int) -> Node:
    return expand(aligned(operands, n.ndim)[0], size, *n.shape)


def _diagonal(n: Node, operands: Sequence[Operand], size: int) -> Node:
    offset, a, b = n.attrs
    return n.op(_only(operands), offset, a + 1, b + 1)


def _dim_first(n: Node, operands: Sequence[Operand], size: int) -> Node:
    x = _only(operands)
    if not n.srcs[0].ndim and n.op.name == "unfold":
        x = reshape(x, (size, 1))
        return reshape(n.op(x, 1, *n.attrs[1:]), (size, *n.shape))
    return n.op(x, n.attrs[0] + 1, *n.attrs[1:])


def _places(n: Node, geometry: Any, base: Any, shape: Any) -> Node:
    """Where, among the elements of a tensor in order, those of a geometry over its storage lie. `base` are the tensor's strides."""
    size = 1 + sum((d - 1) * s for d, s in zip(shape, base, strict=True))
    at = np.zeros(max(size, 1), np.int64)
    gather(at, (shape, base, 0))[...] = np.arange(math.prod(shape)).reshape(shape)
    return _constant(gather(at, geometry).reshape(-1))


def _constant(values: Any) -> Node:
    """Integers as a node: an arithmetic sequence where they are one, else a concatenation of such runs."""
    values = np.asarray(values, np.int64)
    if values.size < 2:
        return reshape(arange(const(int(values[0]) if values.size else 0, int64), const(1, int64), values.size, int64), (values.size,))
    runs, start = [], 0
    while start < values.size:
        step = int(values[start + 1] - values[start]) if start + 1 < values.size else 1
        end = start + 1
        while end < values.size and values[end] - values[end - 1] == step:
            end += 1
        runs.append(arange(const(int(values[start]), int64), const(step, int64), end - start, int64))
        start = end
    return runs[0] if len(runs) == 1 else REGISTRY["cat"](*runs, 0)


def _restride(n: Node, operands: Sequence[Operand], size: int) -> Node:
    shape, strides, offset, base = n.attrs
    x = reshape(_only(operands), (size, n.srcs[0].numel))
    return reshape(index_select(x, _places(n, (shape, strides, offset), base, tuple(n.srcs[0].shape)), 1), (size, *n.shape))


def _restride_scatter(n: Node, operands: Sequence[Operand], size: int) -> Node:
    geometry, base, _ = n.attrs
    h, v = operands
    whole_ = reshape(h[0] if h[1] else spread(h[0], size), (size, n.numel))
    count = math.prod(geometry[0])
    value = expand(aligned([v], len(geometry[0]))[0], size, *geometry[0])
    at = _places(n, geometry, base, tuple(n.shape))
    return reshape(REGISTRY["index_copy"](whole_, at, reshape(value, (size, count)), 1), (size, *n.shape))


def _unview(n: Node, operands: Sequence[Operand], size: int) -> Node:
    """The transpose of a view of a batch."""
    name, attrs, geometry = n.attrs
    shape = (size, *geometry[0])
    if name == "diagonal":
        moved = (attrs[0], attrs[1] + 1, attrs[2] + 1)
    elif name in ("select", "slice", "unfold") and geometry[0]:
        moved = (attrs[0] + 1, *attrs[1:])
    elif name == "restride":
        count = math.prod(geometry[0])
        at = _places(n, attrs[:3], attrs[3], tuple(geometry[0]))
        g = reshape(_only(operands), (size, math.prod(attrs[0])))
        return reshape(unindex(g, at, (1,), (size, count)), shape)
    else:
        return one_by_one(n, operands, size)
    return n.op(_only(operands), name, moved, (shape, _dense(shape), 0))


def _dense(shape: Sequence[int]) -> tuple[int, ...]:
    return tuple([math.prod(shape[i + 1 :]) for i in range(len(shape))])


def _sum_to(n: Node, operands: Sequence[Operand], size: int) -> Node:
    x = _only(operands)
    lead = n.srcs[0].ndim - n.ndim
    wide = (size, *(1,) * lead, *n.shape)
    return reshape(n.op(x, wide), (size, *n.shape))


def _full(n: Node, operands: Sequence[Operand], size: int) -> Node:
    return expand(reshape(_only(operands), (size, *(1,) * n.ndim)), size, *n.shape)


def _like(n: Node, operands: Sequence[Operand], size: int) -> Node:
    return n.op(_only(operands), *n.attrs)


def _contiguous(n: Node, operands: Sequence[Operand], size: int) -> Node:
    return REGISTRY["contiguous"](_only(operands))


def _flip(n: Node, operands: Sequence[Operand], size: int) -> Node:
    return flip(_only(operands), *shifted(n.attrs))


def _roll(n: Node, operands: Sequence[Operand], size: int) -> Node:
    shifts, dims = n.attrs
    return roll(_only(operands), shifts, shifted(dims))


def _window(n: Node, operands: Sequence[Operand], size: int) -> Node:
    *parts, at = operands
    return one_by_one(n, operands, size) if at[1] else n.op(*whole(parts, size), at[0], n.attrs[0] + 1, *n.attrs[1:])


def _pad(n: Node, operands: Sequence[Operand], size: int) -> Node:
    return n.op(_only(operands), ((0, 0), *n.attrs[0]), *n.attrs[1:])


# ---------------------------------------------------------------- products
def _matmul(n: Node, operands: Sequence[Operand], size: int) -> Node:
    (a, a_mapped), (b, b_mapped) = operands
    p, q = (s.ndim for s in n.srcs)
    if not b_mapped and p > 1:  # rows of a batch are rows
        return matmul(a, b) if q < 3 else matmul(*aligned(operands, max(p, q)))
    if p == 1:
        a = reshape(a, (*a.shape[:-1], 1, a.shape[-1]))
    if q == 1:
        b = reshape(b, (*b.shape, 1))
    rank = max(p, q, 2)
    y = matmul(*aligned([(a, a_mapped), (b, b_mapped)], rank))
    return reshape(y, (size, *n.shape))


def _linear(n: Node, operands: Sequence[Operand], size: int) -> Node:
    x, w, *bias = operands
    if x[1] and not w[1] and not any(b[1] for b in bias) and n.srcs[1].ndim == 2:
        return n.op(x[0], w[0], *[b[0] for b in bias])
    weight = (swap_last(w[0]) if n.srcs[1].ndim == 2 else w[0], w[1])
    example = matmul(n.srcs[0], swap_last(n.srcs[1]) if n.srcs[1].ndim == 2 else n.srcs[1])
    y = _matmul(example, [x, weight], size) if x[1] or w[1] else spread(example, size)
    return y if not bias else add(*aligned([(y, True), bias[0]], n.ndim))


def _mean(n: Node, operands: Sequence[Operand], size: int) -> Node:
    return n.op(_only(operands), shifted(n.attrs[0]), *n.attrs[1:])


def _cdist(n: Node, operands: Sequence[Operand], size: int) -> Node:
    ranks = {s.ndim for s in n.srcs}
    return leading(n, operands, size) if len(ranks) == 1 else n.op(*aligned(operands, max(ranks)), *n.attrs)


def _masked_fill(n: Node, operands: Sequence[Operand], size: int) -> Node:
    x, mask, value = operands
    if not value[1]:
        return n.op(*aligned([x, mask], n.ndim), value[0])
    x_, mask_, value_ = aligned(operands, n.ndim)
    return where(mask_, value_, x_)


def _extreme(n: Node, operands: Sequence[Operand], size: int) -> Node:
    """argmax and argmin, whose dimension may be None: of the flattened tensor."""
    dim, keepdim = n.attrs
    x = _only(operands)
    if dim is None or not n.srcs[0].ndim:
        return reshape(n.op(reshape(x, (size, n.srcs[0].numel)), 1, False), (size, *n.shape))
    return n.op(x, dim + 1, keepdim)


def _median(n: Node, operands: Sequence[Operand], size: int) -> Node:
    """The median of all elements of each example."""
    flat = reshape(_only(operands), (size, n.srcs[0].numel))
    if not n.srcs[0].numel:
        return one_by_one(n, operands, size)
    at = REGISTRY["median_index"](flat, 1, n.op.name == "nanmedian")
    return reshape(REGISTRY["gather"](flat, at, 1), (size, *n.shape))


def _cat(n: Node, operands: Sequence[Operand], size: int) -> Node:
    parts = [x for x, s in zip(operands, n.srcs, strict=True) if s.ndim == n.ndim]  # (0,) may stand beside tensors of any rank
    return n.op(*whole(parts, size), n.attrs[0] + 1)


def _systems(n: Node, operands: Sequence[Operand], size: int) -> Node:
    return n.op(*aligned(operands, n.ndim), *n.attrs)


_RULES: dict[Any, tuple[str, ...]] = {
    _mean: ("sum", "mean", "amax", "amin", "max", "min", "prod", "all", "any", "logsumexp", "variance", "std"),
    moves(1): ("vector_norm", "topk_index", "topk_unstable"),
    moves(0, rank_of=0): ("fft", "rfft", "irfft"),
    moves(0): ("kth_index", "softmax", "log_softmax", "cumsum", "cumprod", "cummax_index", "cummin_index", "logcumsumexp", "recurrence",
                "shift", "gather", "pick", "argsort", "unstable_order", "median_index", "mode_index", "kth_unstable", "mode_unstable",
                "stack", "glu"),
    _like: ("cast",),
    leading: ("inverse", "det", "logabsdet", "det_sign", "cholesky", "matrix_exp", "eigvalsh", "eigh_vectors", "eigvals", "eig_vectors",
               "cholesky_info", "inverse_info", "lu_compact", "lu_pivots", "lu_permutation", "ldl_compact", "ldl_pivots", "ldl_info",
               "geqrf_vectors", "geqrf_tau", "svdvals",
               "svd_left", "svd_right", "qr_q", "qr_r", "pinv", "tril", "triu", "real", "imag", "conj", "view_as_real", "view_as_complex",
               "real_of", "imag_of", "pairs_of", "complex_of", "conj_of", "neg_of", "clone"),
    _reshaped: ("view", "reshape"),
    _lone: ("unsqueeze", "squeeze"),
    _contiguous: ("contiguous", "relayout"),
    _first_like: ("fill", "copy"),
    _dim_first: ("select", "slice", "unfold"),
    _window: ("window", "unwindow", "window_put"),
    _pad: ("pad_constant", "pad_mirror", "pad_mirror_grad"),
    _cdist: ("cdist", "cdist_euclidean"),
    _systems: ("solve", "solve_triangular", "cholesky_solve"),
}  # fmt: skip
_SINGLE: dict[str, Any] = {
    "permute": _permute, "expand": _expand, "diagonal": _diagonal, "restride": _restride, "restride_scatter": _restride_scatter,
    "unview": _unview, "sum_to": _sum_to, "full": _full, "flip": _flip, "roll": _roll, "matmul": _matmul, "linear": _linear,
    "masked_fill": _masked_fill, "argmax": _extreme, "argmin": _extreme, "cat": _cat, "median": _median, "nanmedian": _median,
    "zeros_of": lambda n, operands, size: mul(_only(operands), const(0, n.dtype)),
}  # fmt: skip


for _rule, _names in _RULES.items():
    for _name in _names:
        REGISTRY[_name].batch = _rule
for _name, _rule in _SINGLE.items():
    REGISTRY[_name].batch = _rule
