"""Losses with margins, of torch.nn.functional: hinge, ranking, triplet, embedding and multi-class ones."""

from __future__ import annotations

from typing import Any

from ... import dtypes
from ...ops import loss as ops
from ...ops.formula import refuse
from ...ops.promotion import title
from ..core import Tensor, binary
from ..refusals import check_places
from ..register import checked, function
from ..steps import step
from ..write import check_broadcast
from .activation import logsigmoid
from .pointwise import clamp_min, minimum, where
from .reduction import numbered, reduced, reduction_of
from .similarity import pairwise_distance
from .spaced import arange


# ---------------------------------------------------------------- with targets 1 and -1
@checked
def hinge_embedding_loss(
    input: Tensor,
    target: Tensor,
    margin: float = 1.0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """`input` where the target is 1, ``max(0, margin - input)`` where it is -1."""
    reduction = reduction_of(reduction, size_average, reduce)
    if not input.dtype.is_floating_point and not input.dtype.is_complex:
        margin = int(margin)  # a number in a tensor like the input
    return reduced(where(target != 1, clamp_min(margin - input, 0), 0) + where(target != -1, input, 0), reduction)


@checked
def margin_ranking_loss(
    input1: Tensor,
    input2: Tensor,
    target: Tensor,
    margin: float = 0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """``max(0, -target * (input1 - input2) + margin)``: target 1 wants `input1` larger, -1 smaller."""
    reduction = reduction_of(reduction, size_average, reduce)
    if not len(input1.shape) == len(input2.shape) == len(target.shape):
        raise RuntimeError(
            f"margin_ranking_loss : All input tensors should have same dimension but got sizes: input1: {input1.shape}, input2: "
            f"{input2.shape}, target: {target.shape} "
        )
    return reduced(clamp_min(-target * (input1 - input2) + margin, 0), reduction)


@checked
def soft_margin_loss(
    input: Tensor, target: Tensor, size_average: bool | None = None, reduce: bool | None = None, reduction: str = "mean"
) -> Tensor:
    """``log(1 + exp(-target * input))``."""
    if input.dtype is dtypes.bool_:
        return -input  # type: ignore[operator, no-any-return]  (which is refused)
    if input.dtype.category < dtypes.FLOAT:
        raise RuntimeError(f"result type Float can't be cast to the desired output type {title(input.dtype)}")
    if input.shape != target.shape:
        check_broadcast(input, (target,))
    loss: Any = binary(ops.soft_margin, input, target)
    if loss.dtype is not input.dtype:  # PyTorch writes the loss into a tensor like the input
        loss = loss.to(input.dtype)
    return reduced(loss, reduction_of(reduction, size_average, reduce))


@checked
def cosine_embedding_loss(
    input1: Tensor,
    input2: Tensor,
    target: Tensor,
    margin: float = 0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """``1 - cos`` of (N, D) or (D) vectors where the target is 1, ``max(0, cos - margin)`` where it is -1."""
    reduction = reduction_of(reduction, size_average, reduce)
    rank = len(target.shape)
    if rank not in (0, 1):
        raise RuntimeError("0D or 1D target tensor expected, multi-target not supported")
    if len(input1.shape) != rank + 1 or len(input2.shape) != rank + 1:
        raise RuntimeError(
            f"{rank}D target tensor expects {rank + 1}D input tensors, but found inputs with sizes {list(input1.shape)} and "
            f"{list(input2.shape)}."
        )
    tiny = 1e-12
    squares = ((input1 * input1).sum(-1) + tiny) * ((input2 * input2).sum(-1) + tiny)
    cosine = (input1 * input2).sum(-1) / squares.sqrt()
    return reduced(where(target == 1, 1 - cosine, 0) + where(target == -1, clamp_min(cosine - margin, 0), 0), reduction)


# ---------------------------------------------------------------- triplets
def _check_triplet(anchor: Any, positive: Any, negative: Any) -> None:
    a, p, n = (len(t.shape) for t in (anchor, positive, negative))
    if not a == p == n:
        raise RuntimeError(
            f"The anchor, positive, and negative tensors are expected to have the same number of dimensions, but got: anchor {a}D, "
            f"positive {p}D, and negative {n}D inputs"
        )


def _check_margin(margin: float) -> None:
    if margin <= 0:
        raise ValueError(f"margin must be greater than 0, got {margin}")


@checked
def triplet_margin_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    margin: float = 1.0,
    p: float = 2,
    eps: float = 1e-6,
    swap: bool = False,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """``max(0, d(anchor, positive) - d(anchor, negative) + margin)`` with the `p`-distance; `swap` also considers d(positive, negative).

    Balntas et al. (2016).
    """
    reduction = reduction_of(reduction, size_average, reduce)
    _check_margin(margin)
    _check_triplet(anchor, positive, negative)
    return _triplet(anchor, positive, negative, lambda a, b: pairwise_distance(a, b, p, eps), margin, swap, reduction)


def triplet_margin_with_distance_loss(
    anchor: Any,
    positive: Any,
    negative: Any,
    *,
    distance_function: Any = None,
    margin: float = 1.0,
    swap: bool = False,
    reduction: str = "mean",
) -> Tensor:
    """`triplet_margin_loss` with any distance function."""
    reduction = reduction_of(reduction)
    _check_margin(margin)
    _check_triplet(anchor, positive, negative)
    distance = pairwise_distance if distance_function is None else distance_function
    return _triplet(anchor, positive, negative, distance, margin, swap, reduction)


def _triplet(anchor: Any, positive: Any, negative: Any, distance: Any, margin: float, swap: bool, reduction: str) -> Tensor:
    near, far = distance(anchor, positive), distance(anchor, negative)
    if swap:
        far = minimum(far, distance(positive, negative))
    return reduced(clamp_min(margin + near - far, 0), reduction)


# ---------------------------------------------------------------- several classes
@checked
@step("MultiMarginLossBackward0", keeps=((0, (0,)), (1, (0,)), (4, (0,))))
def multi_margin_loss(
    input: Tensor,
    target: Tensor,
    p: float = 1,
    margin: float = 1.0,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """``sum over j != y of max(0, margin - input[y] + input[j])^p / C`` for scores (N, C) or (C) and class indices y;
    times ``weight[y]``.
    """
    reduction = reduction_of(reduction, size_average, reduce)
    if p not in (1, 2):
        raise ValueError("only p == 1 and p == 2 supported")
    if input.dtype not in (dtypes.float32, dtypes.float64):
        raise refuse("multi_margin_loss_cpu_kernel", input.dtype)
    if target.dtype is not dtypes.int64:
        raise RuntimeError(f"expected scalar type Long but found {title(target.dtype)}")
    rank = len(input.shape)
    if rank > 2 or 0 in input.shape[-1:]:
        raise RuntimeError(f"Expected non-empty vector or matrix with optional 0-dim batch size, but got: {list(input.shape)}")
    x, y = input.reshape(-1, input.shape[-1] if rank else 1), target.reshape(-1)
    rows, classes = x.shape
    if len(target.shape) > 1 or y.shape[0] != rows:
        raise RuntimeError(
            "multi_margin_loss: target tensor should be 1-D with size equal to the number of input samples (batch size). Expected target "
            f"size [{rows}], but got "
            f"{list(target.shape)}. Input has shape {list(input.shape)}."
        )
    if weight is not None and tuple(weight.shape) != (classes,):
        raise RuntimeError(f"inconsistent weight size, expected {classes} but got {list(weight.shape)}")
    check_places(x, target, classes, lambda _: RuntimeError("target out of range"))
    gap = margin - x.gather(1, y[:, None]) + x
    # a NaN is not beyond the margin; what does not count is left out first, so that no gradient multiplies an infinity by 0
    counts = (gap > 0) & (y[:, None] != arange(classes, device=x.device))
    loss = where(counts, gap, 0)
    if p == 2:
        loss = loss * loss
    if weight is not None:
        loss = loss * weight[y][:, None]
    loss = loss.sum(1) / classes
    return reduced(loss if len(target.shape) else loss.reshape(()), reduction)


@checked
@step("MultilabelMarginLossBackward0", keeps=((0, (0,)), (1, (0,))))
def multilabel_margin_loss(
    input: Tensor, target: Tensor, size_average: bool | None = None, reduce: bool | None = None, reduction: str = "mean"
) -> Tensor:
    """``sum over labels y and other classes j of max(0, 1 - input[y] + input[j]) / C`` for (N, C) or (C);
    targets list their labels up to the first -1.
    """
    reduction = reduction_of(reduction, size_average, reduce)
    if tuple(target.shape) != tuple(input.shape):
        raise RuntimeError(f"inconsistent target size: {list(target.shape)} for input of size: {list(input.shape)}")
    if input.dtype not in (dtypes.float32, dtypes.float64):
        raise refuse("multilabel_margin_loss_forward_out_frame", input.dtype)
    if target.dtype is not dtypes.int64:
        raise RuntimeError(f"expected scalar type Long but found {title(target.dtype)}")
    classes = input.shape[-1] if input.shape else 1
    x, y = input.reshape(-1, classes), target.reshape(-1, classes)
    check_places(x, target, classes, lambda _: RuntimeError("argument #2 'target' is out of range"), -1)
    listed = (y >= 0).to(dtypes.int64).cumprod(1) != 0
    label = clamp_min(y, 0)
    is_label = (listed[:, :, None] & (label[:, :, None] == arange(classes, device=x.device))).any(1)
    gaps = clamp_min(1 - x.gather(1, label)[:, :, None] + x[:, None, :], 0)
    loss = where(listed[:, :, None] & ~is_label[:, None, :], gaps, 0).sum((1, 2)) / classes
    return reduced(loss if len(input.shape) > 1 else loss.reshape(()), reduction)


@checked
def multilabel_soft_margin_loss(
    input: Tensor,
    target: Any,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """``-(target logsigmoid(input) + (1 - target) logsigmoid(-input))``, averaged over the last dimension."""
    loss: Any = -(target * logsigmoid(input) + (1 - target) * logsigmoid(-input))
    if weight is not None:
        loss = loss * weight
    reduction = reduction_of(reduction, size_average, reduce)
    return reduced(loss.sum(len(input.shape) - 1) / (input.shape[-1] if input.shape else 1), reduction)


# ---------------------------------------------------------------- the torch namespace: reductions by number
@function(method=False, name="hinge_embedding_loss")
def _hinge_embedding_loss(input: Tensor, target: Tensor, margin: float = 1.0, reduction: int = 1) -> Tensor:
    """`torch.nn.functional.hinge_embedding_loss` with a numbered reduction."""
    return hinge_embedding_loss(input, target, margin, reduction=numbered(reduction))


@function(method=False, name="margin_ranking_loss")
def _margin_ranking_loss(input1: Tensor, input2: Tensor, target: Tensor, margin: float = 0.0, reduction: int = 1) -> Tensor:
    """`torch.nn.functional.margin_ranking_loss` with a numbered reduction."""
    return margin_ranking_loss(input1, input2, target, margin, reduction=numbered(reduction))


@function(method=False, name="cosine_embedding_loss")
def _cosine_embedding_loss(input1: Tensor, input2: Tensor, target: Tensor, margin: float = 0.0, reduction: int = 1) -> Tensor:
    """`torch.nn.functional.cosine_embedding_loss` with a numbered reduction."""
    return cosine_embedding_loss(input1, input2, target, margin, reduction=numbered(reduction))


@function(method=False, name="triplet_margin_loss")
def _triplet_margin_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    margin: float = 1.0,
    p: float = 2.0,
    eps: float = 1e-6,
    swap: bool = False,
    reduction: int = 1,
) -> Tensor:
    """`torch.nn.functional.triplet_margin_loss` with a numbered reduction."""
    return triplet_margin_loss(anchor, positive, negative, margin, p, eps, swap, reduction=numbered(reduction))
