"""Counting values: histograms and distinct elements. The sizes of the results depend on the data, so values are read here."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ... import dtypes
from ...asg.geometry import contiguous
from ...errors import Unsupported
from ...ops.promotion import title
from ..core import Tensor
from ..held import value_of
from ..hosted import data
from ..misfits import combination
from ..register import FUNCTIONS, function
from . import returns
from .creation import from_array
from .streams import of_values_of_examples
from .views import wrap_dim

Array = np.ndarray[Any, Any]


@function()
def bincount(input: Tensor, weights: Tensor | None = None, minlength: int = 0) -> Tensor:
    """How often each of 0, 1, 2, ... occurs in a vector of non-negative integers, or the sums of `weights` (double, if not float)."""
    if minlength < 0:
        raise RuntimeError("minlength should be >= 0")
    if input.dtype.category != dtypes.INTEGER:
        raise NotImplementedError(f"\"bincount_cpu\" not implemented for '{title(input.dtype)}'")
    values = value_of(input)
    if values.ndim != 1 or (values.size and values.min() < 0):
        raise RuntimeError("bincount only supports 1-d non-negative integral inputs.")
    if weights is None:
        return from_array(np.bincount(values, minlength=minlength), dtypes.int64, input.device)
    if len(weights.shape) != 1 or weights.shape[0] != len(values):
        raise RuntimeError("weights should be 1-d and have the same length as input")
    d = dtypes.float32 if weights.dtype is dtypes.float32 else dtypes.float64
    return from_array(np.bincount(values, value_of(weights), minlength), d, input.device)


@function()
def histc(input: Tensor, bins: int = 100, min: float = 0, max: float = 0, *, out: Tensor | None = None) -> Tensor:
    """The number of elements in each of `bins` equal intervals from `min` to `max` (both 0: the range of the data); others do not count."""
    if not input.dtype.is_floating_point:
        raise NotImplementedError(f"\"histogram_cpu\" not implemented for '{title(input.dtype)}'")
    if bins <= 0:
        raise RuntimeError(f"torch.histogram(): bins must be > 0, but got {bins} for dimension 0")
    if max < min:
        raise RuntimeError("torch.histc: max must be larger than min")
    values = value_of(input).reshape(-1)
    if min == max and values.size:
        min, max = float(values.min()), float(values.max())
    limits = _span("torch.histc", float(min), float(max), 1.0)
    return from_array(np.histogram(values[~np.isnan(values)], int(bins), limits)[0], input.dtype, input.device)


def _span(name: str, low: float, high: float, margin: float) -> tuple[float, float]:
    """A valid range of bins: a single value is widened."""
    if not (math.isfinite(low) and math.isfinite(high)):
        raise RuntimeError(f"{name}: range of [{low:g}, {high:g}] is not finite")
    return (low - margin, high + margin) if low == high else (low, high)


@function()
def histogram(
    input: Tensor,
    bins: Any = 100,
    *,
    range: tuple[float, float] | None = None,
    weight: Tensor | None = None,
    density: bool = False,
    out: Any = None,
) -> Any:
    """Counts (or sums of `weight`, or a density) over equal bins or given edges: named tuple (hist, bin_edges)."""
    if input.dtype not in (dtypes.float32, dtypes.float64):
        raise NotImplementedError(f"\"histogramdd\" not implemented for '{title(input.dtype)}'")
    if not isinstance(bins, (Tensor, int)) or isinstance(bins, bool):
        raise combination("histogram", (bins,), {}, ", but expected (Tensor bins) or (int bins)")
    values = value_of(input).reshape(-1)
    weights = None if weight is None else value_of(weight).reshape(-1)
    if isinstance(bins, Tensor):
        if bins.dtype is not input.dtype:
            raise RuntimeError(
                "torch.histogramdd: input tensor and bins tensors should have the same dtype, but got input with dtype "
                f"{input.dtype.name} and bins for dimension 0 with dtype {bins.dtype.name}"
            )
        if len(bins.shape) != 1:
            raise RuntimeError(
                f"torch.histogramdd: bins tensor should have one dimension, but got {len(bins.shape)} dimensions in the bins tensor for "
                "dimension 0"
            )
        edges: Any = value_of(bins)
        limits = None
    else:
        low, high = range or ((float(values.min()), float(values.max())) if values.size else (0.0, 1.0))
        edges, limits = int(bins), _span("torch.histogram", low, high, 0.5)
    counts, borders = np.histogram(values, edges, limits, density=density, weights=weights)
    return returns.histogram(from_array(counts, input.dtype, input.device), from_array(borders, input.dtype, input.device))


@function(method=False)
def histogramdd(
    input: Tensor, bins: Any, *, range: Sequence[float] | None = None, weight: Tensor | None = None, density: bool = False
) -> Any:
    """Counts (or sums of `weight`, or a density) over the cells of a grid: named tuple (hist, bin_edges).

    `input` holds points, (..., D). `bins`: how many equal ones for all dimensions or for each, or a vector of edges for each. `range`:
    the 2 D leftmost and rightmost edges; by default those of the data.
    """
    if input.dtype not in (dtypes.float32, dtypes.float64):
        raise NotImplementedError(f"\"histogramdd\" not implemented for '{title(input.dtype)}'")
    if len(input.shape) < 2:
        raise RuntimeError("torch.histogramdd: input tensor should have at least 2 dimensions")
    count = input.shape[-1]
    points = value_of(input).reshape(-1, count)
    each = [bins] * count if isinstance(bins, int) else list(bins)
    if len(each) != count:
        raise RuntimeError(
            f"torch.histogramdd: the size of bins should be equal to the innermost dimension of the input. Got {len(each)} and {count}"
        )
    edges = [value_of(b) if isinstance(b, Tensor) else int(b) for b in each]
    if range is not None and len(range) != 2 * count:
        raise RuntimeError(
            f"torch.histogramdd: for a {count}-dimensional histogram range should have {2 * count} elements, but got {len(range)}"
        )
    limits = []
    for d, column in enumerate(points.T):
        low, high = (float(column.min()), float(column.max())) if column.size else (0.0, 1.0)
        if range is not None:
            low, high = range[2 * d], range[2 * d + 1]
        limits.append(_span("torch.histogramdd", low, high, 0.5))
    weights = None if weight is None else value_of(weight).reshape(-1)
    counts, borders = np.histogramdd(points, edges, limits, density=density, weights=weights)
    found = tuple([from_array(np.asarray(b), input.dtype, input.device) for b in borders])
    return returns.histogramdd(from_array(counts, input.dtype, input.device), found)


# ---------------------------------------------------------------- distinct elements
def _results(found: Array, inverse: Array, counts: Array, input: Tensor, return_inverse: bool, return_counts: bool, d: int = 0) -> Any:
    rows = contiguous((found.shape[d], *found.shape[:d], *found.shape[d + 1 :]))  # slices along `d` lie one after the other
    out = [data(found, input.dtype, input.device, (*rows[1 : d + 1], rows[0], *rows[d + 1 :]))]
    if return_inverse:
        out.append(from_array(inverse, dtypes.int64, input.device))
    if return_counts:
        out.append(from_array(counts, dtypes.int64, input.device))
    return out[0] if len(out) == 1 else tuple(out)


def _check_dim(values: Array, d: int) -> None:
    if values.shape[d] and 0 in values.shape:
        raise RuntimeError("There are 0 sized dimensions, and they aren't selected, so unique cannot be applied")


@function()
def unique(input: Tensor, sorted: bool = True, return_inverse: bool = False, return_counts: bool = False, dim: int | None = None) -> Any:
    """The distinct elements in ascending order, or the distinct slices along `dim`; optionally where each one went, and counts."""
    values = value_of(input)
    if dim is None:
        found, inverse, counts = np.unique(values.reshape(-1), return_inverse=True, return_counts=True, equal_nan=False)
        return _results(found, inverse.reshape(values.shape), counts, input, return_inverse, return_counts)
    d = wrap_dim(dim, values.ndim)
    _check_dim(values, d)
    if not values.shape[d]:
        return _results(values, np.zeros(0, np.int64), np.zeros(0, np.int64), input, return_inverse, return_counts)
    found, inverse, counts = np.unique(values, return_inverse=True, return_counts=True, axis=d, equal_nan=False)
    return _results(found, inverse.reshape(-1), counts, input, return_inverse, return_counts, d)


@function()
def unique_consecutive(input: Tensor, return_inverse: bool = False, return_counts: bool = False, dim: int | None = None) -> Any:
    """The first of each run of equal elements (or equal slices along `dim`), in order of appearance."""
    values = value_of(input)
    d = 0 if dim is None else wrap_dim(dim, values.ndim)
    if dim is not None:
        _check_dim(values, d)
    rows = values.reshape(-1) if dim is None else np.moveaxis(values, d, 0)
    fresh = np.ones(len(rows), bool)
    if len(rows):
        fresh[1:] = (rows[1:] != rows[:-1]).any(tuple(np.arange(1, rows.ndim)))
    starts = np.flatnonzero(fresh)
    counts = np.diff(np.append(starts, len(rows)))
    inverse = np.cumsum(fresh) - 1
    found = rows[starts] if dim is None else np.moveaxis(rows[starts], 0, d)
    return _results(found, inverse.reshape(values.shape) if dim is None else inverse, counts, input, return_inverse, return_counts, d)


# ---------------------------------------------------------------- inside vmap
def _each(plain: Any, whole: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    return FUNCTIONS["stack"]([plain(row, *args, **kwargs) for row in whole.unbind(0)])  # type: ignore[attr-defined, no-any-return]


def _counts(plain: Any, whole: Tensor, weights: Tensor | None = None, minlength: int = 0) -> Tensor:
    """Rows of one length: PyTorch wants the same of every example."""
    if weights is not None:
        raise Unsupported("bincount with weights inside of vmap is not implemented: use torch.zeros(n).scatter_add(0, input, weights)")
    return _each(plain, whole, None, minlength)


of_values_of_examples("bincount", _counts, random=False)
of_values_of_examples("histc", _each, random=False)
