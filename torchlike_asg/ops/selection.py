"""The positions that PyTorch's selections give on the CPU, where which of equal elements are picked, and in which order, is neither the
first nor the last of them (introselect.py). Where all differ they are those of the operations of sort.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import dtypes
from ..asg.declare import Array, Meta, Op, Sample
from ..asg.node import Node
from .introselect import SPARSE, first, kth
from .introsort import SMALL, ascending
from .sort import kth_index, mode_index, stable_order, topk_index

_TIED = np.cos(np.arange(140.0) ** 2).reshape(2, 70).round(1)


def _lines(
    x: Array, dim: int, descending: bool, told: Callable[[Array], bool], pick: Callable[[list[int], Array], Any], found: Array
) -> Array:
    """`found` with those lines done anew of which `told` says so, from whether their elements in order differ, each from the one before.
    `pick` is given keys in the place of the elements, equal ones for equal elements and for NaN, and the elements.
    """
    order = np.moveaxis(stable_order(x, dim, descending), dim, -1)
    lines = np.moveaxis(x, dim, -1)
    values = np.take_along_axis(lines, order, -1)
    before, after = values[..., :-1], values[..., 1:]
    steps = (before != after) & ~((before != before) & (after != after))
    found = np.moveaxis(found, dim, -1).copy()
    for line in np.ndindex(found.shape[:-1]):
        if told(steps[line]):
            keys = np.zeros(order.shape[-1], np.int64)
            keys[order[line][1:]] = np.cumsum(steps[line])
            found[line] = pick(keys.tolist(), lines[line])
    return np.moveaxis(found, -1, dim)


def _ref_topk(x: Array, k: int, dim: int, largest: bool, ordered: bool) -> Array:
    found = topk_index.ref(x, k, dim, largest)  # type: ignore[misc]
    if not x.ndim or not k or 0 in x.shape:
        return found  # type: ignore[no-any-return]
    always = not ordered and k * SPARSE > x.shape[dim]
    return _lines(x, dim, largest, lambda steps: always or not steps[:k].all(), lambda keys, _: first(keys, k, ordered), found)


topk_unstable = Op(
    "topk_unstable",
    "sort",
    lambda x, k, dim, largest, ordered: topk_index.rule(x, k, dim, largest),  # type: ignore[misc]
    _ref_topk,
    params=("k", "dim", "largest", "sorted"),
    differentiable=False,
    samples=lambda: [
        *[Sample(s.operands, (*s.attrs, True), False) for s in topk_index.samples()],  # type: ignore[misc]
        *[Sample((_TIED,), (k, 1, largest, ordered), False) for k in (1, 30, 70) for largest in (True, False) for ordered in (True, False)],
        Sample((_TIED.T.copy(),), (9, 0, True, True), False),
    ],
)


def _ref_kth(x: Array, dim: int, k: int) -> Array:
    found = kth_index.ref(x, dim, k)  # type: ignore[misc]
    if not x.ndim or 0 in x.shape:
        return found  # type: ignore[no-any-return]
    return _lines(x, dim, False, lambda steps: not steps[max(k - 1, 0) : k + 1].all(), lambda keys, _: kth(keys, k), found)


def _single(x: Node, dim: int, *_: Any) -> Meta:
    return tuple([1 if i == dim else n for i, n in enumerate(x.shape)]), dtypes.int64


kth_unstable = Op(
    "kth_unstable",
    "sort",
    _single,
    _ref_kth,
    params=("dim", "k"),
    differentiable=False,
    samples=lambda: [*kth_index.samples(), *[Sample((_TIED,), (1, k), False) for k in (0, 20, 69)]],  # type: ignore[misc]
)


def _ref_mode(x: Array, dim: int) -> Array:
    found = mode_index.ref(x, dim)  # type: ignore[misc]
    if not x.ndim or 0 in x.shape or x.shape[dim] <= SMALL:
        return found  # type: ignore[no-any-return]
    return _lines(x, dim, False, lambda steps: True, _last_of_longest, found)


def _last_of_longest(keys: list[int], line: Array) -> int:
    order = ascending(keys)
    values = line[order]
    ends = np.flatnonzero(np.append(values[1:] != values[:-1], True))
    return order[ends[np.diff(ends, prepend=-1).argmax()]]


mode_unstable = Op(
    "mode_unstable",
    "sort",
    _single,
    _ref_mode,
    params=("dim",),
    differentiable=False,
    samples=lambda: [*mode_index.samples(), Sample((_TIED,), (1,), False)],  # type: ignore[misc]
)
