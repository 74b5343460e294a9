"""`segment_reduce`: reductions of consecutive pieces of different lengths."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ...ops.formula import refuse
from ..core import Tensor
from ..held import value_of
from ..hosted import indices as of_integers
from ..register import function
from ..steps import step
from .creation import full
from .pointwise import div, lt, where
from .scatter import scatter_reduce
from .views import expand, narrow, reshape, wrap_dim

#: what an empty piece gives
_EMPTY = {"sum": 0.0, "mean": math.nan, "max": -math.inf, "min": math.inf, "prod": 1.0}
_NAMES = {"amax": "max", "amin": "min"}


def _pieces(data: Tensor, lengths: Tensor | None, offsets: Tensor | None, axis: int, unsafe: bool) -> tuple[np.ndarray, np.ndarray]:  # type: ignore[type-arg]
    """(for each place along the axis the number of its piece, behind the last for those in none; how long the pieces are)."""
    given = lengths if offsets is None else offsets
    assert given is not None
    if given.dtype.is_floating_point or given.dtype.is_complex:
        raise refuse("_segment_reduce_lengths_cpu_kernel1", given.dtype)
    if len(data.shape) < len(given.shape):
        raise RuntimeError(f"Expected data.dim() >= lengths_value.dim(), but got {len(data.shape)} and {len(given.shape)} dimensions.")
    if axis != len(given.shape) - 1:
        raise RuntimeError(f"segment_reduce(): Expected axis to be the last dimension of lengths but got {axis}.")
    size = data.shape[axis]
    values = np.array(value_of(given), np.int64)
    if offsets is not None:
        starts, ends = values[..., :-1], values[..., 1:]
        counts = ends - starts
    else:
        counts = values
        if not unsafe and (counts < 0).any():
            raise RuntimeError("lengths contains negative value!")
        ends = np.cumsum(counts, -1)
        starts = ends - counts
        if not unsafe and (values.shape[:-1] != tuple(data.shape[:axis]) or (counts.sum(-1) != size).any()):
            raise RuntimeError(
                "segment_reduce(): Expected all rows of lengths along axis to sum to data.size(lengths.dim()-1) when !unsafe."
            )
    at = np.full((*values.shape[:-1], size), counts.shape[-1], np.int64)
    for row in np.ndindex(*values.shape[:-1]):
        for j, (a, b) in enumerate(zip(starts[row], ends[row], strict=True)):
            at[row][a:b] = j
    return at, counts


@function(method=False)
@step("SegmentReduceBackward0")
def segment_reduce(
    data: Tensor,
    reduce: str,
    *,
    lengths: Tensor | None = None,
    indices: Tensor | None = None,
    offsets: Tensor | None = None,
    axis: int = 0,
    unsafe: bool = False,
    initial: Any = None,
) -> Tensor:
    """Pieces along `axis`, of these `lengths` or between these `offsets`, each reduced to one element: ``"sum"``, ``"mean"``, ``"max"``,
    ``"min"`` or ``"prod"``, starting from `initial`.
    """
    kind = _NAMES.get(reduce, reduce)
    if kind not in _EMPTY:
        raise RuntimeError(f"reduce argument must be either sum, prod, mean, amax or amin, got {reduce}")
    if indices is not None:
        raise RuntimeError("segment_reduce(): indices based reduction is not supported yet.")
    if lengths is None and offsets is None:
        raise RuntimeError("segment_reduce(): Either lengths or offsets must be defined.")
    if not data.dtype.is_floating_point:
        raise refuse("_segment_reduce_cpu", data.dtype)
    d = wrap_dim(axis, len(data.shape))
    at, counts = _pieces(data, lengths, offsets, d, unsafe)
    n, after = counts.shape[-1], (1,) * (len(data.shape) - d - 1)
    where_to = expand(reshape(of_integers(at, data.device), *at.shape, *after), *data.shape)
    shape = (*data.shape[:d], n + 1, *data.shape[d + 1 :])

    def reduced(start: float, how: str, include: bool) -> Any:
        begun = full(shape, start, dtype=data.dtype, device=data.device)
        return narrow(scatter_reduce(begun, d, where_to, data, how, include_self=include), d, 0, n)

    if kind in ("max", "min"):
        found = reduced(_EMPTY[kind], f"a{kind}", False)
        if initial is None:
            return found  # type: ignore[no-any-return]
        start = full((), initial, dtype=data.dtype, device=data.device)
        return where(lt(found, start) if kind == "max" else lt(start, found), start, found)  # type: ignore[no-any-return]
    if kind == "prod":
        return reduced(1.0 if initial is None else initial, "prod", True)  # type: ignore[no-any-return]
    total = reduced(0.0 if initial is None else initial, "sum", True)
    if kind == "sum":
        return total  # type: ignore[no-any-return]
    empty = 0 if initial is None else 1  # the mean of nothing is NaN, or what it starts from
    many = np.where(counts == 0, empty, counts)
    return div(total, reshape(of_integers(many, data.device), *counts.shape, *after))  # type: ignore[no-any-return]
