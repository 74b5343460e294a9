"""Sums, means or maxima of bags of embeddings."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from ... import dtypes
from ...ops.promotion import title
from ..core import Tensor
from ..held import value_of
from ..hosted import outside
from ..register import checked, function
from ..steps import step
from .creation import from_array
from .embedding import embedding
from .pointwise import clamp_min, where


@checked
@step("EmbeddingBagBackward0", keeps=((0, (1, 8)), (1, (8,)), (2, (1, 8)), (8, (1, 8))))
def embedding_bag(
    input: Tensor,
    weight: Tensor,
    offsets: Tensor | None = None,
    max_norm: float | None = None,
    norm_type: float = 2,
    scale_grad_by_freq: bool = False,
    mode: str = "mean",
    sparse: bool = False,
    per_sample_weights: Tensor | None = None,
    include_last_offset: Any = False,
    padding_idx: int | None = None,
) -> Tensor:
    """The sum, mean or maximum of the rows of `weight` (V, D) in each bag of indices: (bags, D).

    `input` is (bags, size), or one-dimensional with `offsets`, where each bag starts. Indices equal to `padding_idx` do not count; an
    empty bag gives zeros.
    `per_sample_weights`, of the input's shape, multiply the rows ("sum" only). With `sparse` the gradient of `weight`
    is a sparse tensor: a row for every index.
    """
    if weight.dtype is dtypes.int64 and input.dtype.is_floating_point:
        warnings.warn(
            "Argument order of nn.functional.embedding_bag was changed. Usage `embedding_bag(weight, input, ...)` is deprecated, and "
            "should now be "
            "`embedding_bag(input, weight, ...)`.",
            stacklevel=4,
        )
        input, weight = weight, input
    _check(input, weight, offsets, scale_grad_by_freq, mode, per_sample_weights)
    if sparse and mode == "max":
        raise ValueError("max mode does not support sparse weights")
    if padding_idx is not None:
        rows = weight.shape[0]
        if not -rows <= padding_idx < rows:
            raise RuntimeError(f"padding_idx must be within the number of embeddings, -{rows} through {rows - 1}, but got {padding_idx}")
        padding_idx %= rows
    wrong = outside(input, weight.shape[0]) if weight.shape else None
    if wrong is not None:
        at = int(((wrong < 0) | (wrong >= weight.shape[0])).argmax())
        if mode == "max" or padding_idx is not None:  # two kernels in PyTorch, each with its words
            raise RuntimeError(f"embedding_bag: Expected idx >= 0 && idx < num_embeddings but found idx to be {wrong.flat[at]}")
        raise RuntimeError(f"Index {at} of input takes value {wrong.flat[at]} which is not in the valid range [0, {weight.shape[0]})")
    found: Any = embedding(input, weight, padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse)
    if per_sample_weights is not None:
        found = found * per_sample_weights.unsqueeze(-1)
    counts = None if padding_idx is None else input != padding_idx
    if len(input.shape) == 1:
        at, inside = _positions(input.shape[0], offsets, include_last_offset, mode == "max" or padding_idx is not None)
        if not at.size:
            return found.sum(0, keepdim=True).expand(len(at), -1) * 0  # type: ignore[no-any-return]
        places = from_array(at.reshape(-1), dtypes.int64, weight.device)
        found = found.index_select(0, places).reshape(*at.shape, -1)
        mask: Any = from_array(inside, dtypes.bool_, weight.device)
        counts = mask if counts is None else mask & counts.index_select(0, places).reshape(at.shape)
    return _combined(found, counts, mode)


def _combined(found: Any, counts: Any, mode: str) -> Tensor:
    """Bags (B, size, D), of which only the rows where `counts` (B, size) are meant."""
    if counts is None:
        if not found.shape[1]:
            return found.sum(1)  # type: ignore[no-any-return]
        return found.max(1).values if mode == "max" else found.sum(1) if mode == "sum" else found.mean(1)  # type: ignore[no-any-return]
    rows = counts.unsqueeze(-1)
    if mode == "max":
        return where(counts.any(1, keepdim=True), where(rows, found, -np.inf).max(1).values, 0)  # type: ignore[no-any-return]
    total = where(rows, found, 0).sum(1)
    if mode == "sum":
        return total  # type: ignore[no-any-return]
    return total / clamp_min(counts.sum(1, keepdim=True), 1).to(found.dtype)  # type: ignore[no-any-return]


def _positions(count: int, offsets: Any, include_last: bool, to_the_end: bool) -> Any:
    """Where in the input the members of each bag are: (bags, longest bag), and which of these places are real.

    `to_the_end`: the last bag holds what is left of the input, whatever the last of the offsets says. PyTorch reads it only in the
    kernels for sums and means without padding.
    """
    starts = value_of(offsets).astype(np.int64)
    if len(starts) and starts[0] != 0:
        raise RuntimeError(
            f"offsets[0] has to be 0, i.e., the first sequence in the mini-batch has to start from position 0. However, got {starts[0]}"
        )
    if len(starts) and starts[-1] > count:
        raise RuntimeError(f"offsets[-1] can not be greater than input's length {count} but got offsets[-1] of {starts[-1]}")
    ends = np.append(starts[1:], count)
    if include_last:
        starts, ends = starts[:-1], ends[:-1]
        if to_the_end:
            ends[-1:] = count
        elif (ends < starts).any():
            raise RuntimeError("the last of the offsets should be the number of indices, but it is less than where the last bag starts")
    steps = np.arange(int((ends - starts).max(initial=0)))
    inside = steps < (ends - starts)[:, None]
    return np.where(inside, starts[:, None] + steps, 0), inside


def _check(input: Any, weight: Any, offsets: Any, scaled: bool, mode: str, per_sample_weights: Any) -> None:
    if per_sample_weights is not None and tuple(per_sample_weights.shape) != tuple(input.shape):
        raise ValueError(
            f"embedding_bag: If per_sample_weights ({per_sample_weights.shape}) is not None, then it must have the same shape as the input "
            f"({input.shape})"
        )
    if not weight.dtype.is_floating_point:
        raise RuntimeError(
            "Expected tensor for argument #1 'weight' to have one of the following scalar types: Half, BFloat16, Float, Double; but got "
            f"torch.{title(weight.dtype)}Tensor instead (while checking arguments for embedding_bag)"
        )
    if per_sample_weights is not None and per_sample_weights.dtype is not weight.dtype:
        raise RuntimeError(
            "Expected tensor for argument #1 'weight' to have the same type as tensor for argument #1 'per_sample_weights'; but type "
            f"torch.{title(weight.dtype)}Tensor does not equal torch.{title(per_sample_weights.dtype)}Tensor (while checking arguments for "
            "embedding_bag)"
        )
    rank = len(input.shape)
    if rank not in (1, 2):
        raise ValueError(f"input has to be 1D or 2D Tensor, but got Tensor of dimension {rank}")
    if rank == 2 and offsets is not None:
        raise ValueError(
            "if input is 2D, then offsets has to be None, as input is treated is a mini-batch of fixed length sequences. However, found "
            f"offsets of type {type(offsets)}"
        )
    if rank == 1 and (offsets is None or len(offsets.shape) != 1):
        raise ValueError("offsets has to be a 1D Tensor but got None" if offsets is None else "offsets has to be a 1D Tensor")
    if mode not in ("sum", "mean", "max"):
        raise ValueError("mode has to be one of sum, mean or max")
    if mode == "max" and scaled:
        raise ValueError("max mode does not support scaling the gradient by the frequency")
    if per_sample_weights is not None and mode != "sum":
        raise NotImplementedError(
            f"embedding_bag: per_sample_weights was not None. per_sample_weights is only supported for mode='sum' (got mode='{mode}')."
        )
    for t in (input, offsets):
        if t is not None and t.dtype not in (dtypes.int64, dtypes.int32):
            raise RuntimeError(
                "Expected tensor for argument #1 'indices' to have one of the following scalar types: Long, Int; but got "
                f"torch.{title(t.dtype)}Tensor instead (while "
                "checking arguments for embedding_bag)"
            )


@function(method=False, name="embedding_bag")
def _embedding_bag(
    weight: Tensor,
    indices: Tensor,
    offsets: Tensor,
    scale_grad_by_freq: bool = False,
    mode: int = 0,
    sparse: bool = False,
    per_sample_weights: Any = None,
    include_last_offset: Any = False,
    padding_idx: int | None = None,
) -> Tensor:
    """`torch.nn.functional.embedding_bag` with its operands in another order and a numbered mode (0 sum, 1 mean, 2 max);
    the result alone.
    """
    return embedding_bag(
        indices,
        weight,
        offsets,
        None,
        2,
        scale_grad_by_freq,
        ("sum", "mean", "max")[mode],
        sparse,
        per_sample_weights,
        include_last_offset,
        padding_idx,
    )
