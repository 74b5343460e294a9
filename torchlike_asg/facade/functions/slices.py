"""One slice of a dimension, or a range of them, as ``x[i]`` and ``x[a:b:c]`` take them, and diagonals: views, and what they refuse."""

from __future__ import annotations

from typing import Any

from ...ops import movement
from .. import moving
from ..core import Tensor
from ..families import view
from ..moving import moving_slice, moving_view, pending

__all__ = ["check_entry", "diagonal_at", "select_at", "selected", "slice_of", "sliced"]


def check_entry(k: Any) -> None:
    """What PyTorch finds wrong with an entry before it looks at the tensor."""
    if k.__class__ is int and not -(2**63) <= k < 2**63:
        raise ValueError("Overflow when unpacking long long")
    if k.__class__ is slice:
        k.indices(0)


def select_at(t: Tensor, d: int, i: int) -> Tensor:
    n = t.shape[d]
    if not -n <= i < n:
        if not -(2**63) <= i < 2**63:
            raise ValueError("Overflow when unpacking long long")
        raise IndexError(f"index {i} is out of bounds for dimension {d} with size {n}")
    return selected(t, d, i + n if i < 0 else i)


def selected(t: Tensor, d: int, i: int) -> Tensor:
    """The slice at `i` of dimension `d`, both checked and not negative."""
    node = pending(t)
    if node is not None and (node, d, i) not in movement.select.table and moving.moves(movement.select, node, (d, i), (d,)):
        return moving_slice(t, d, i)
    return view(movement.select, t, (d, i))


def slice_of(t: Tensor, d: int, s: slice) -> Tensor:
    if s.start is None and s.stop is None and s.step is None:
        return t
    n = t.shape[d]
    lo, hi, step = s.indices(n)
    if step < 0:
        raise ValueError("step must be greater than zero")
    if lo == 0 and hi == n and step == 1:
        return t
    if step > n and step >= 1 << 31:
        step = _far_step(t, d, step)
    return sliced(t, d, lo, hi, step)


def sliced(t: Tensor, d: int, lo: int, hi: int, step: int = 1) -> Tensor:
    """Every `step`-th slice of dimension `d` from `lo` to `hi`, which were checked and are not negative."""
    attrs, node = (d, lo, max(lo, hi), step), pending(t)
    if node is not None and (node, *attrs) not in movement.slice_.table:
        length = max(0, -(-(hi - lo) // step))
        if moving.moves(movement.slice_, node, attrs, (d, length, step)):
            return moving_view(t, d, lo, length, step)
    return view(movement.slice_, t, attrs)


def diagonal_at(t: Tensor, k: int, a: int, b: int) -> Tensor:
    """The diagonal `k` of the dimensions `a` and `b`, which were checked and are not negative."""
    attrs, node = (k, a, b), pending(t)
    if node is not None and (node, *attrs) not in movement.diagonal.table:
        down, right = max(-k, 0), max(k, 0)
        length = min(t.shape[a] - down, t.shape[b] - right)
        if length > 0 and moving.moves(movement.diagonal, node, attrs, (a, b, length)):
            return view(movement.diagonal, moving_view(moving_view(t, a, down, length, 1), b, right, length, 1), (0, a, b))
    return view(movement.diagonal, t, attrs)


def _far_step(t: Tensor, d: int, step: int) -> int:
    """A step for one that no second element can be at; RuntimeError if the stride overflows."""
    strides = list(t.geometry[1])
    strides[d] = (strides[d] * min(step, 2**63 - 1) + 2**63) % 2**64 - 2**63
    if strides[d] < 0:
        raise RuntimeError(f"as_strided: Negative strides are not supported at the moment, got strides: {strides}")
    if step >= 2**63 - 1:
        raise RuntimeError(f"Storage size calculation overflowed with strides={strides}")
    return max(1, t.shape[d])
