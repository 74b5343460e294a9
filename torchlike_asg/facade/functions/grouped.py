"""Products of groups of rows, columns or summed elements, each with a matrix of its own: the layers of mixtures of experts."""

from __future__ import annotations

from typing import Any

from ... import dtypes
from ...ops.promotion import title
from ...rng.checks import C_NAME
from ..core import Tensor
from ..register import function
from .creation import zeros
from .join import cat, stack
from .linalg import bmm, mm
from .reading import array_of

__all__ = ["grouped_mm"]

_TYPES = (dtypes.float32, dtypes.bfloat16, dtypes.float16)


@function(method=False, namespace=False)
def grouped_mm(mat_a: Tensor, mat_b: Tensor, *, offs: Tensor | None = None, bias: Any = None, out_dtype: Any = None) -> Tensor:
    """Products of the groups that end at `offs` (int32, ascending), which must be known: they are read.

    (M, K) and (G, K, N): rows of the first in groups, (M, N). (G, M, K) and (K, N): columns of the second, (M, N). (M, K) and (K, N): the
    summed elements, (G, M, N). Two batches need no `offs`: their product. What lies behind the last group is zero.
    """
    _check(mat_a, mat_b, offs, bias, out_dtype)
    if offs is None:
        return bmm(mat_a, mat_b)  # type: ignore[no-any-return]
    ends = [int(end) for end in array_of(offs)]
    spans = list(zip([0, *ends[:-1]], ends, strict=True))
    rows, columns = len(mat_a.shape) == 2, len(mat_b.shape) == 2
    if rows and columns:
        return stack([mm(mat_a[:, i:j], mat_b[i:j]) for i, j in spans])  # type: ignore[no-any-return, index]
    if rows:
        parts = [mm(mat_a[i:j], mat_b[g]) for g, (i, j) in enumerate(spans)]  # type: ignore[index]
        return _filled(parts, 0, mat_a.shape[0] - ends[-1], mat_b.shape[2], mat_a)
    parts = [mm(mat_a[g], mat_b[:, i:j]) for g, (i, j) in enumerate(spans)]  # type: ignore[index]
    return _filled(parts, 1, mat_b.shape[1] - ends[-1], mat_a.shape[1], mat_a)


def _filled(parts: list[Tensor], dim: int, rest: int, other: int, like: Tensor) -> Tensor:
    if rest:
        parts.append(zeros((rest, other) if dim == 0 else (other, rest), dtype=like.dtype, device=like.device))
    return cat(parts, dim)  # type: ignore[no-any-return]


def _check(a: Tensor, b: Tensor, offs: Tensor | None, bias: Any, out_dtype: Any) -> None:
    """RuntimeError for operands that make no groups, in PyTorch's order and words."""
    for name, t in (("mat_a", a), ("mat_b", b)):
        if t.dtype not in _TYPES:
            raise RuntimeError(f"Expected {name} to be Float32, BFloat16 or Float16 matrix, got {title(t.dtype)}")
    for name, t in (("mat_a", a), ("mat_b", b)):
        if len(t.shape) not in (2, 3):
            raise RuntimeError(f"{name} has to be 2 or 3d")
    batches = len(a.shape) == len(b.shape) == 3
    if a.shape[-1] != b.shape[-2]:
        raise RuntimeError("contraction dimension of mat_a and mat_b must match")
    if (offs is None) is not batches:
        raise RuntimeError("Have to provide offsets if there is a 2d matrix, or no offset if both matrices are 3d")
    if offs is not None:
        if len(offs.shape) != 1:
            raise RuntimeError("offs has to be 1D")
        if offs.dtype is not dtypes.int32:
            raise RuntimeError("Offsets have to be int32")
    if bias is not None:
        raise RuntimeError("Bias not supported yet")
    if out_dtype is not None and out_dtype is not a.dtype:
        raise RuntimeError("Grouped gemm output dtype must match `mat_a` dtype")
    groups = {t.shape[0] for t in (a, b) if len(t.shape) == 3} | ({offs.shape[0]} if offs is not None else set())
    if len(groups) > 1:
        raise RuntimeError("matrix batch sizes have to match")
    if a.dtype is not b.dtype:
        names = [C_NAME.get(t.dtype, title(t.dtype)) for t in (a, b)]
        raise RuntimeError(f"expected m1 and m2 to have the same dtype, but got: {names[0]} != {names[1]}")
