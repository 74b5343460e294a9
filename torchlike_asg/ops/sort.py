"""Order along a dimension. The operations give *positions* (int64); values follow by `gather`, and so do their gradients.

NaN counts as larger than every number. Equal elements keep their order.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import dtypes
from ..asg.declare import Array, Meta, Op, Sample
from ..asg.node import Node
from .introsort import SMALL, ascending
from .reduce import _vjp_shared_nan, reduced_shape
from .scatter import gather

_X = np.array([[3.0, 1.0, 2.0, 1.0, 3.0], [0.5, -1.0, np.nan, 2.0, 0.5]])
_LONG = np.cos(np.arange(600.0)).reshape(2, 300)


def _samples(*rest: Any) -> Any:
    return lambda: [
        Sample((x,), (d, *rest), False)
        for x, d in ((_X, 0), (_X, 1), (np.zeros((0, 3)), 0), (np.asarray(2.0), 0), (np.array([3, 1, 2]), 0), (np.array([True, False]), 0))
    ]


def stable_order(x: Array, dim: int, descending: bool) -> Array:
    """Stable argsort in either direction."""
    if not x.ndim:
        return np.zeros((), np.int64)
    if not descending:
        return np.argsort(x, dim, kind="stable")
    last = x.shape[dim] - 1
    return np.flip(last - np.argsort(np.flip(x, dim), dim, kind="stable"), dim)


argsort = Op(
    "argsort",
    "sort",
    lambda x, *_: (x.shape, dtypes.int64),
    stable_order,
    params=("dim", "descending"),
    differentiable=False,
    samples=lambda: [*_samples(False)(), *_samples(True)()],
)


def by_line(
    x: Array, dim: int, descending: bool, places: slice, told: Callable[[Array], bool], pick: Callable[[list[int], Array], Any]
) -> Array:
    """The `places` of the stable order, and of those lines that `told` of, from whether their elements in order differ, each from the one
    before, what `pick` finds. It is given keys in the place of the elements, equal ones for equal elements and for NaN, and the elements.
    """
    order, lines = np.moveaxis(stable_order(x, dim, descending), dim, -1), np.moveaxis(x, dim, -1)
    values = np.take_along_axis(lines, order, -1)
    before, after = values[..., :-1], values[..., 1:]
    steps = (before != after) & ~((before != before) & (after != after))
    found = order[..., places].copy()
    for line in np.ndindex(found.shape[:-1]):
        if told(steps[line]):
            keys = np.zeros(order.shape[-1], np.int64)
            keys[order[line][1:]] = np.cumsum(steps[line])
            found[line] = pick(keys.tolist(), lines[line])
    return np.moveaxis(found, -1, dim)


def _unstable_order(x: Array, dim: int, descending: bool) -> Array:
    """Argsort with equal elements in the order of PyTorch's unstable sort."""
    if not x.ndim or x.shape[dim] <= SMALL:
        return stable_order(x, dim, descending)
    return by_line(x, dim, descending, slice(None), lambda steps: not steps.all(), lambda keys, _: ascending(keys))


_TIED = np.cos(np.arange(120.0) ** 2).reshape(2, 60).round(1)

unstable_order = Op(
    "unstable_order",
    "sort",
    lambda x, *_: (x.shape, dtypes.int64),
    _unstable_order,
    params=("dim", "descending"),
    differentiable=False,
    samples=lambda: [
        *_samples(False)(),
        *_samples(True)(),
        Sample((_TIED,), (1, False), False),
        Sample((_TIED.T.copy(),), (0, True), False),
    ],
)


#: `gather` at positions that the same tensor's order gave. Its gradient reads the positions only: the tensor itself may be overwritten.
pick = Op(
    "pick",
    "sort",
    gather.rule,
    gather.ref,
    vjp=gather.vjp,
    expand=lambda n: gather(*n.srcs, *n.attrs),
    saves=lambda n: n.srcs[1:],
    params=("dim",),
    samples=gather.samples,
)


def _resized(x: Node, dim: int, k: int) -> tuple[int, ...]:
    return tuple([k if i == dim else n for i, n in enumerate(x.shape)])


def _rule_topk(x: Node, k: int, dim: int, largest: bool) -> Meta:
    if k < 0 or k > (x.shape[dim] if x.shape else 1):
        raise RuntimeError("selected index k out of range")
    if x.dtype is dtypes.bool_:
        raise RuntimeError("topk does not support bool dtypes on CPU")
    return _resized(x, dim, k), dtypes.int64


def _ref_topk(x: Array, k: int, dim: int, largest: bool) -> Array:
    if not x.ndim:
        return np.zeros((), np.int64)
    n = x.shape[dim]
    if n < 256 or 8 * k > n or not k:
        return np.take(stable_order(x, dim, largest), range(k), dim)
    part = np.argpartition(x, n - k if largest else k - 1, dim)
    some = np.sort(np.take(part, range(n - k, n) if largest else range(k), dim), dim)
    return np.take_along_axis(some, stable_order(np.take_along_axis(x, some, dim), dim, largest), dim)


topk_index = Op(
    "topk_index",
    "sort",
    _rule_topk,
    _ref_topk,
    params=("k", "dim", "largest"),
    differentiable=False,
    samples=lambda: [
        Sample((_X,), (2, 1, True), False),
        Sample((_X,), (2, 0, False), False),
        Sample((_X,), (0, 1, True), False),
        Sample((_LONG,), (5, 1, True), False),
        Sample((_LONG,), (7, 1, False), False),
        Sample((np.asarray(2.0),), (1, 0, True), False),
        Sample((np.array([3, 1, 2]),), (2, 0, True), False),
    ],
)


# ---------------------------------------------------------------- one position per slice
def _rule_single(x: Node, dim: int, *_: Any) -> Meta:
    return _resized(x, dim, 1), dtypes.int64


def _ref_kth(x: Array, dim: int, k: int) -> Array:
    return np.take(stable_order(x, dim, False), [k], dim) if x.ndim else np.zeros((), np.int64)


def _nonempty(*rest: Any) -> Any:
    return lambda: [
        Sample((x,), (d, *rest), False)
        for x, d in ((_X, 0), (_X, 1), (np.zeros((2, 0)), 0), (np.asarray(2.0), 0), (np.array([3, 1, 2]), 0))
    ]


#: The position of the element that would be at place `k` (from 0) after sorting; the dimension stays with size one.
kth_index = Op("kth_index", "sort", _rule_single, _ref_kth, params=("dim", "k"), differentiable=False, samples=_nonempty(0))


def _ref_median(x: Array, dim: int, skip_nan: bool) -> Array:
    if not x.ndim:
        return np.zeros((), np.int64)
    n = x.shape[dim]
    order = stable_order(x, dim, False)
    if x.dtype.kind != "f":
        return np.take(order, [(n - 1) // 2], dim)
    missing = np.isnan(x).sum(dim, keepdims=True)
    place = np.maximum((n - missing - 1) // 2, 0) if skip_nan else np.where(missing > 0, n - missing, (n - 1) // 2)
    return np.take_along_axis(order, place, dim)


#: The position of the lower median: of the first NaN if there is one, or among the numbers only (`skip_nan`).
median_index = Op(
    "median_index",
    "sort",
    _rule_single,
    _ref_median,
    params=("dim", "skip_nan"),
    differentiable=False,
    samples=lambda: [*_nonempty(False)(), *_nonempty(True)()],
)


def _ref_mode(x: Array, dim: int) -> Array:
    """The position of the last element of the longest run of equals; of the smallest value among runs of one length."""
    if not x.ndim:
        return np.zeros((), np.int64)
    order = np.moveaxis(stable_order(x, dim, False), dim, 0)
    values = np.take_along_axis(np.moveaxis(x, dim, 0), order, 0)
    position = np.arange(len(values)).reshape(-1, *[1] * (x.ndim - 1))
    starts = np.where(np.concatenate([np.ones_like(values[:1], bool), values[1:] != values[:-1]]), position, 0)
    length = position - np.maximum.accumulate(starts, 0)
    return np.moveaxis(np.take_along_axis(order, length.argmax(0, keepdims=True), 0), 0, dim)


mode_index = Op("mode_index", "sort", _rule_single, _ref_mode, params=("dim",), differentiable=False, samples=_nonempty())


# ---------------------------------------------------------------- the median of everything
def _median_of_all(name: str, skip_nan: bool) -> Op:
    def ref(x: Array, dims: tuple[int, ...], keepdim: bool) -> Array:
        flat = x.reshape(-1)
        if not flat.size:
            return np.asarray(np.nan if x.dtype.kind == "f" else np.iinfo(x.dtype).min).astype(x.dtype)
        return np.asarray(flat[_ref_median(flat, 0, skip_nan)[0]])

    return Op(
        name,
        "sort",
        lambda x, dims, keepdim: (reduced_shape(x.shape, dims, keepdim), x.dtype),
        ref,
        vjp=_vjp_shared_nan,
        saves=lambda n: (n.srcs[0], n),
        params=("dim", "keepdim"),
        samples=lambda: [
            Sample((np.array([3.0, 1.5, 2.0, 0.5]),), ((0,), False)),
            Sample((_X,), ((0, 1), False), False),
            Sample((np.asarray(2.0),), ((), False)),
            Sample((np.array([3, 1, 2]),), ((0,), False), False),
        ],
    )


#: Over all elements; equal elements share the gradient.
median_all = _median_of_all("median", False)
nanmedian_all = _median_of_all("nanmedian", True)


# ---------------------------------------------------------------- searching
def _rule_search(edges: Node, x: Node, right: bool, d: dtypes.dtype) -> Meta:
    if not edges.shape:
        raise RuntimeError("torch.searchsorted(): boundaries tensor should have positive dimension, but got 0 dimension")
    if (len(edges.shape) > 1 and tuple(edges.shape[:-1]) != tuple(x.shape[:-1])) or (len(edges.shape) > 1 and not x.shape):
        raise RuntimeError(
            "torch.searchsorted(): boundaries tensor should be 1 dimension or the first N-1 dimensions of boundaries "
            "tensor and input value tensor must match, "
            f"but we got boundaries tensor {list(edges.shape)} and input value tensor {list(x.shape)}"
        )
    return x.shape, d


def _ref_search(edges: Array, x: Array, right: bool, d: dtypes.dtype) -> Array:
    """Bisection of all values at once. A NaN is beyond every edge."""
    if edges.ndim == 1 and not (x.dtype.kind == "f" and np.isnan(x).any()):
        return np.asarray(np.searchsorted(edges, x, "right" if right else "left")).astype(d.compute)
    n = edges.shape[-1]
    low, high = np.zeros(x.shape, np.int64), np.full(x.shape, n, np.int64)
    for _ in range(n.bit_length() if x.size else 0):
        open_, middle = low < high, (low + high) // 2
        at = np.minimum(middle, n - 1)
        value = edges[at] if edges.ndim == 1 else np.take_along_axis(edges, at, -1)
        below = open_ & ~(value > x if right else value >= x)
        low, high = np.where(below, middle + 1, low), np.where(open_ & ~below, middle, high)
    return low.astype(d.compute)


#: For each value how many of the sorted `edges` (last dimension) are smaller (`right`: smaller or equal).
searchsorted = Op(
    "searchsorted",
    "sort",
    _rule_search,
    _ref_search,
    params=("right", "dtype"),
    differentiable=False,
    samples=lambda: [
        Sample((np.array([1.0, 3.0, 5.0]), _X), (False, dtypes.int64), False),
        Sample((np.array([1, 3, 5]), np.array([3, 0, 9])), (True, dtypes.int32), False),
        Sample((np.array([[1.0, 3.0], [0.5, 0.7]]), _X), (True, dtypes.int64), False),
        Sample((np.zeros(0), _X), (False, dtypes.int64), False),
        Sample((np.array([1.0, 2.0]), np.asarray(1.5)), (False, dtypes.int64), False),
    ],
)
