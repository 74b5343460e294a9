"""Layout arithmetic: broadcasting, strides and views, with PyTorch's conventions. Strides and offsets count elements.

Everything here runs when a node is created, never when one is found again.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from functools import cmp_to_key
from typing import Any

import numpy as np

Shape = tuple[int, ...]
Geometry = tuple[Shape, Shape, int]  # sizes, strides, storage offset


@functools.lru_cache(maxsize=4096)
def _row_major(shape: Shape) -> Shape:
    out, step = [], 1
    for d in reversed(shape):
        out.append(step)
        step *= max(int(d), 1)
    return tuple(reversed(out))


def contiguous(shape: Sequence[int]) -> Shape:
    """Row-major strides of `shape`."""
    return _row_major(tuple(shape))


def is_contiguous(shape: Shape, strides: Shape) -> bool:
    if 0 in shape:
        return True
    step = 1
    for d, s in zip(reversed(shape), reversed(strides), strict=True):
        if d != 1:
            if s != step:
                return False
            step *= d
    return True


#: dimensions of an image, from fastest to slowest in memory, where its channels come last; by rank
_CHANNELS_LAST = {4: (1, 3, 2, 0), 5: (1, 4, 3, 2, 0)}


def as_image(shape: Shape, strides: Shape) -> tuple[Shape, Shape]:
    """The geometry of a line (N, C, L) as that of an image (N, C, 1, L), which PyTorch computes it as; others are as they are."""
    if len(shape) != 3:
        return shape, strides
    return (*shape[:2], 1, shape[2]), (*strides[:2], shape[2] * strides[2], strides[2])


def channels_last(shape: Sequence[int]) -> Shape:
    """Strides of an image (or volume, or line) of `shape`, rank 3 to 5, in which the channels lie together."""
    if len(shape) == 3:
        return shape[1] * shape[2], 1, shape[1]
    return ordered_strides(tuple(shape), _CHANNELS_LAST[len(shape)])


def is_channels_last(shape: Shape, strides: Shape, rank: int) -> bool:
    """Whether the elements of an image of that rank lie channels last without gaps."""
    if len(shape) != rank:
        return False
    step = 1
    for i in _CHANNELS_LAST[rank]:
        if shape[i] != 1:
            if strides[i] != step:
                return False
            step *= shape[i]
    return True


def suggests_channels_last(shape: Shape, strides: Shape) -> bool:
    """Whether the order of the strides is that of channels last; where it could be either, it is not (PyTorch's rule for results)."""
    order = _CHANNELS_LAST.get(len(shape))
    if order is None or strides[1] == 0:
        return False
    least = 0
    for i in order:
        if shape[i] == 0 or strides[i] < least or (i == 0 and least == strides[1]):
            return False
        least = strides[i] * max(shape[i], 1)
    return True


def is_dense(shape: Shape, strides: Shape) -> bool:
    """Whether the elements fill a block of memory, each once, in some order of the dimensions."""
    step = 1
    for s, d in sorted((s, d) for s, d in zip(strides, shape, strict=True) if d != 1):
        if s != step:
            return False
        step *= d
    return True


def overlaps_itself(shape: Shape, strides: Shape) -> bool:
    """Whether two elements may share memory, as in what was expanded or unfolded; also said of some interleaved views."""
    reach = 0
    for s, d in sorted((s, d) for s, d in zip(strides, shape, strict=True) if d != 1):
        if s <= reach:
            return 0 not in shape
        reach += s * (d - 1)
    return False


def broadcast(*shapes: Shape) -> Shape:
    """The common shape, by the usual rule; raises RuntimeError worded as PyTorch's."""
    first = shapes[0]
    if all(s == first for s in shapes):
        return tuple(first)
    rank = max(map(len, shapes))
    out = [1] * rank
    for s in shapes:
        for at, d in zip(range(rank - 1, -1, -1), reversed(s), strict=False):  # from the last, of which an error speaks first
            if d != 1 and out[at] != d:
                if out[at] != 1:
                    raise RuntimeError(
                        f"The size of tensor a ({out[at]}) must match the size of tensor b ({d}) at non-singleton dimension {at}"
                    )
                out[at] = d
    return tuple(out)


def pointwise_strides(shape: Shape, operands: Sequence[tuple[Shape, Shape]]) -> Shape:
    """Strides of an elementwise result: the operands' dimension order is kept where they agree on one."""
    same = all(s == shape for s, _ in operands)
    if same:
        strides = operands[0][1]
        if all(is_contiguous(s, t) for s, t in operands):
            return contiguous(shape)
        if all(t == strides for _, t in operands) and is_dense(shape, strides):
            return strides
    if 0 not in shape and all(t == contiguous(s) for s, t in operands):
        return contiguous(shape)
    rank = len(shape)
    full = []
    for s, t in operands:
        lead = rank - len(s)
        full.append((0,) * lead + tuple(0 if d == 1 and shape[lead + i] != 1 else k for i, (d, k) in enumerate(zip(s, t, strict=True))))
    return ordered_strides(shape, _order(shape, full))


def _order(shape: Shape, full: Sequence[Shape]) -> list[int]:
    """Dimensions from fastest to slowest. An insertion sort, since the comparison is partial: ambiguous pairs stay put."""
    perm = list(range(len(shape) - 1, -1, -1))

    def compare(i: int, j: int) -> int:
        for t in full:
            if t[i] == 0 or t[j] == 0:
                continue
            if t[i] != t[j]:
                return -1 if t[i] < t[j] else 1
            if shape[i] > shape[j]:
                return 1
        return 0

    for i in range(1, len(perm)):
        at = i
        for j in range(i - 1, -1, -1):
            c = compare(perm[j], perm[at])
            if c > 0:
                perm[j], perm[at] = perm[at], perm[j]
                at = j
            elif c < 0:
                break
    return perm


def ordered_strides(shape: Shape, fastest_first: Sequence[int]) -> Shape:
    """Strides of a dense tensor whose dimensions lie in memory in that order."""
    out, step = [0] * len(shape), 1
    for i in fastest_first:
        out[i] = step
        step *= max(shape[i], 1)
    return tuple(out)


def preserved_strides(shape: Shape, strides: Shape) -> Shape:
    """Strides of a copy that preserves the format (``clone``, ``to``): dense ones are kept, others packed in the same order."""
    return strides if is_dense(shape, strides) else pointwise_strides(shape, [(shape, strides)])


def view_strides(geometry: Geometry, shape: Shape) -> Shape | None:
    """Strides that show the same memory as `shape`, or None where only a copy can."""
    old, st, _ = geometry
    if 0 in old:
        return contiguous(shape)
    if not old:
        return (1,) * len(shape)
    out, v = [0] * len(shape), len(shape) - 1
    base, chunk, seen = st[-1], 1, 1
    for i in range(len(old) - 1, -1, -1):
        chunk *= old[i]
        if i == 0 or (old[i - 1] != 1 and st[i - 1] != chunk * base):
            while v >= 0 and (seen < chunk or shape[v] == 1):
                out[v] = seen * base
                seen *= shape[v]
                v -= 1
            if seen != chunk:
                return None
            if i > 0:
                base, chunk, seen = st[i - 1], 1, 1
    return tuple(out) if v == -1 else None


def infer_size(shape: Sequence[int], numel: int) -> Shape:
    """`shape` with its one -1 filled in; raises RuntimeError when the element counts differ."""
    shape = tuple(shape)
    known = math.prod(shape)
    if known == numel and (not shape or min(shape) >= 0):  # nothing to fill in
        return shape
    holes = shape.count(-1)
    if holes > 1:
        raise RuntimeError("only one dimension can be inferred")
    if min(shape, default=0) < -holes:
        raise RuntimeError(f"invalid shape dimension {min(shape)}")
    if holes:
        known = -known
        if known == 0:
            if numel != 0:
                raise RuntimeError(f"shape '{list(shape)}' is invalid for input of size {numel}")
            raise RuntimeError(
                f"cannot reshape tensor of 0 elements into shape {list(shape)} because the unspecified dimension size -1 can be any value and is ambiguous"  # noqa: E501
            )
        if numel % known == 0:
            return tuple([numel // known if d == -1 else d for d in shape])
    raise RuntimeError(f"shape '{list(shape)}' is invalid for input of size {numel}")


def partial_overlap(a: Geometry, b: Geometry) -> bool:
    """Whether two dense regions of one storage share some, but not simply all, of their elements."""
    if 0 in a[0] or 0 in b[0] or not (is_dense(*a[:2]) and is_dense(*b[:2])):
        return False
    (a0, a1), (b0, b1) = ((g[2], g[2] + math.prod(g[0])) for g in (a, b))
    if (a0, a1) == (b0, b1):
        return a[1] != b[1]
    return a0 < b1 and b0 < a1


def span(geometry: Geometry) -> int:
    """One past the last storage element that a geometry touches."""
    shape, strides, offset = geometry
    return 0 if 0 in shape else offset + 1 + sum((d - 1) * s for d, s in zip(shape, strides, strict=True))


# ---------------------------------------------------------------- NumPy arrays <-> storage
def gather(buffer: np.ndarray[Any, Any], geometry: Geometry) -> np.ndarray[Any, Any]:
    """The region of a flat contiguous buffer that a geometry shows, as a NumPy view of that shape."""
    shape, strides, offset = geometry
    if 0 in shape:
        return np.empty(shape, buffer.dtype)
    size = buffer.itemsize
    return np.ndarray(shape, buffer.dtype, buffer, offset * size, [s * size for s in strides])


def storage_order(shape: Shape, strides: Shape) -> list[int]:
    """Dimensions from slowest to fastest in memory; those of size 1 do not matter and come last among equals."""

    def compare(i: int, j: int) -> int:
        return (strides[j] > strides[i]) - (strides[j] < strides[i]) or (shape[i] == 1) - (shape[j] == 1)

    return sorted(range(len(shape)), key=cmp_to_key(compare))


def flat(values: np.ndarray[Any, Any], strides: Shape) -> np.ndarray[Any, Any]:
    """A logical array -> one-dimensional storage order for dense `strides` (copies only if it must)."""
    if is_contiguous(values.shape, strides):
        return np.ascontiguousarray(values).reshape(-1)
    return np.ascontiguousarray(values.transpose(storage_order(values.shape, strides))).reshape(-1)
