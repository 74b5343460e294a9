"""PyTorch's normalisations as its own layers call them: with the statistics that their gradients read, as further results."""

from __future__ import annotations

import math
from typing import Any

from ... import dtypes
from ...asg.declare import STOP
from ...ops import norm as ops
from ...ops.movement import copy, reshape, select
from ...ops.pointwise import rsqrt
from ...ops.promotion import to
from ..core import Tensor, node_of, wrap
from ..register import function
from ..steps import note
from .norm import batch_norm, group_norm, layer_norm

__all__: list[str] = []

#: the result, the means, and the reciprocals of the deviations
Results = tuple[Tensor, Tensor, Tensor]


def _statistics(input: Tensor, shape: tuple[int, ...], dims: tuple[int, ...], eps: float, kept: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Means and reciprocal deviations of the input, seen in `shape`, over `dims`; in the shape `kept`."""
    x = node_of(input)
    x = STOP(x) if x.rg else x
    d = x.dtype
    mean, var = ops.moments(reshape(to(x, dtypes.float64 if d is dtypes.float64 else dtypes.float32), shape), dims)
    first, second = (wrap(to(reshape(n, kept), d)) for n in (mean, rsqrt(var + eps)))  # type: ignore[operator]
    return first, second


@function(method=False)
def native_layer_norm(input: Tensor, normalized_shape: Any, weight: Tensor | None, bias: Tensor | None, eps: float) -> Results:
    """`layer_norm`, with the mean and the reciprocal deviation of each part."""
    y = layer_norm(input, normalized_shape, weight, bias, eps)
    shape, count = tuple(input.shape), len(normalized_shape)
    kept = (*shape[: len(shape) - count], *[1] * count)
    return y, *_statistics(input, shape, tuple(range(len(shape) - count, len(shape))), eps, kept)


@function(method=False)
def native_batch_norm(
    input: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    training: bool,
    momentum: float,
    eps: float,
) -> Results:
    """`batch_norm`, with the mean and the reciprocal deviation of each channel (nothing unless `training`)."""
    shape = tuple(input.shape)
    statistics: Any = (input.new_empty(0), input.new_empty(0))  # type: ignore[attr-defined]
    if training:
        statistics = _statistics(input, shape, (0, *range(2, len(shape))), eps, shape[1:2])
    return batch_norm(input, running_mean, running_var, weight, bias, training, momentum, eps), *statistics


@function(method=False)
def native_group_norm(
    input: Tensor, weight: Tensor | None, bias: Tensor | None, N: int, C: int, HxW: int, group: int, eps: float
) -> Results:
    """`group_norm` of N examples of C channels of HxW elements, with the mean and the reciprocal deviation of each group."""
    if math.prod(input.shape) != N * C * HxW:
        raise RuntimeError("Expected input.numel() == N * C * HxW to be true, but got false.")
    y: Any = group_norm(input, group, weight, bias, eps)
    parts = (N, group, C * HxW // group)
    found = (y, *_statistics(input, parts, (2,), eps, (N, group)))
    x = node_of(input)
    if x.rg and all(parts):  # PyTorch's are results of the step, through which no gradient comes
        some = select(reshape(x, parts), 2, 0)
        found = (y, *[wrap(copy(some, node_of(t))) for t in found[1:]])
        note(found, "NativeGroupNormBackward0")
    return found
