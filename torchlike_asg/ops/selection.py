"""The positions that PyTorch's selections give on the CPU, where which of equal elements are picked, and in which order, is neither the
first nor the last of them (introselect.py). Where all differ they are those of the operations of sort.py.
"""

from __future__ import annotations

import numpy as np

from ..asg.declare import Array, Op, Sample
from .introselect import SPARSE, first, kth
from .introsort import SMALL, as_items, ascending, sort
from .sort import by_line, kth_index, mode_index, topk_index

_TIED = np.cos(np.arange(140.0) ** 2).reshape(2, 70).round(1)


def _ref_topk(x: Array, k: int, dim: int, largest: bool, ordered: bool) -> Array:
    if not x.ndim or not k or 0 in x.shape:
        return topk_index.ref(x, k, dim, largest)  # type: ignore[misc, no-any-return]
    always = not ordered and k * SPARSE > x.shape[dim]
    told = lambda steps: always or not steps[:k].all()  # noqa: E731
    return by_line(x, dim, largest, slice(k), told, lambda keys, _: first(keys, k, ordered))


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
    if not x.ndim or 0 in x.shape:
        return kth_index.ref(x, dim, k)  # type: ignore[misc, no-any-return]
    told = lambda steps: not steps[max(k - 1, 0) : k + 1].all()  # noqa: E731
    return by_line(x, dim, False, slice(k, k + 1), told, lambda keys, _: kth(keys, k))


kth_unstable = Op(
    "kth_unstable",
    "sort",
    kth_index.rule,
    _ref_kth,
    params=("dim", "k"),
    differentiable=False,
    samples=lambda: [*kth_index.samples(), *[Sample((_TIED,), (1, k), False) for k in (0, 20, 69)]],  # type: ignore[misc]
)


def _ref_mode(x: Array, dim: int) -> Array:
    missing = x.dtype.kind == "f" and bool(np.isnan(x).any())
    if not x.ndim or 0 in x.shape or (x.shape[dim] <= SMALL and not missing):
        return mode_index.ref(x, dim)  # type: ignore[misc, no-any-return]
    return by_line(x, dim, False, slice(1), lambda steps: True, _last_of_longest)


def _last_of_longest(keys: list[int], line: Array) -> int:
    order = ascending(keys)
    if line.dtype.kind == "f" and np.isnan(line).any():  # PyTorch compares the numbers themselves: a NaN stops what passes by
        items = as_items(line.tolist())
        order = [i for _, i in items] if sort(items, 0, len(items)) else order
    values = line[order]
    ends = np.flatnonzero(np.append(values[1:] != values[:-1], True))
    return order[ends[np.diff(ends, prepend=-1).argmax()]]


mode_unstable = Op(
    "mode_unstable",
    "sort",
    mode_index.rule,
    _ref_mode,
    params=("dim",),
    differentiable=False,
    samples=lambda: [*mode_index.samples(), Sample((_TIED,), (1,), False)],  # type: ignore[misc]
)
