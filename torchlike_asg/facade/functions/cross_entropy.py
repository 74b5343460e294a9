"""Cross-entropy and negative log likelihood."""

from __future__ import annotations

from typing import Any

from ...ops import cross_entropy as ops
from ..core import Tensor, bound, nary, wrap
from ..hosted import outside, refuse
from ..register import checked
from ..steps import unsaved
from .linalg import linear
from .reduction import reduction_of

_hard, _likelihood = ops.cross_entropy.table, ops.nll_loss.table


def _node(weight: Tensor | None) -> tuple[Any, ...]:
    """The node of the weights in the key of a recorded loss; one that no loss has if they are concrete."""
    return () if weight is None else (getattr(weight, "_n", None),)


@checked
def nll_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Minus the log-probability of each sample's class, times the class's `weight`.

    `input` (C), (N, C) or (N, C, ...); `target` int64 or uint8 class indices of the same shape without C. Classes equal to `ignore_index`
    do not count;
    "mean" divides by the sum of the weights that do.
    """
    reduction = reduction_of(reduction, size_average, reduce)
    n = None
    if isinstance(input, Tensor) and isinstance(target, Tensor):
        n = _likelihood.get((*bound(input, target), *_node(weight), ignore_index, reduction, 0.0))
        if n is not None and n.rg:
            return wrap(n)
    _check_ignored("nll_loss_nd", ignore_index)
    operands = (input, target) if weight is None else (input, target, weight)
    loss = nary(ops.nll_loss, operands, ignore_index, reduction, 0.0)
    _check_classes(input, target, ignore_index, loss, n is None)
    return loss


@checked
def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """``nll_loss(log_softmax(input))``, or ``-sum(target * log_softmax(input))`` for class probabilities.

    `input` (C), (N, C) or (N, C, ...): unnormalised scores. `target`: class indices (the same shape without C, int64 or uint8) or
    probabilities (the shape of
    `input`, floating). `label_smoothing` mixes in the uniform distribution; Szegedy et al. (2015).
    """
    n = None
    if size_average is None and reduce is None and isinstance(input, Tensor) and isinstance(target, Tensor):
        n = _hard.get((*bound(input, target), *_node(weight), ignore_index, reduction, label_smoothing))
        if n is not None and n.rg:  # a training step as before, which a look at the targets would slow down
            return wrap(n)
    _check_ignored("cross_entropy_loss", ignore_index)
    reduction = reduction_of(reduction, size_average, reduce)
    if tuple(input.shape) == tuple(target.shape):
        return _soft(input, target, weight, ignore_index, reduction, label_smoothing)
    if not 0.0 <= label_smoothing <= 1.0:
        raise RuntimeError(f"label_smoothing must be between 0.0 and 1.0. Got: {label_smoothing:g}")
    operands = (input, target) if weight is None else (input, target, weight)
    loss = nary(ops.cross_entropy, operands, ignore_index, reduction, float(label_smoothing))
    _check_classes(input, target, ignore_index, loss, n is None)
    return loss


def _check_ignored(name: str, index: Any) -> None:
    if index.__class__ is bool:
        raise TypeError(f"{name}(): argument 'ignore_index' (position 5) must be int, not bool")


def _check_classes(scores: Any, target: Tensor, ignore_index: int, loss: Tensor, new: bool) -> None:
    """Refuse what is no class at the call, if the targets are data; those that are computed are refused where the loss is."""
    shape = scores.shape
    classes = shape[ops.class_dim(len(shape))] if shape else 1
    found = outside(target, classes)
    if found is not None:
        bad = found[(found != ignore_index) & ((found < 0) | (found >= classes))]
        if bad.size:
            refuse(IndexError(f"Target {bad[0]} is out of bounds."), loss, new)


def _soft(input: Tensor, target: Tensor, weight: Tensor | None, ignore_index: int, reduction: str, smoothing: float) -> Tensor:
    from ...ops.formula import refuse, title

    if not target.dtype.is_floating_point:
        raise RuntimeError(f"Expected floating point type for target with class probabilities, got {title(target.dtype)}")
    if not input.dtype.is_floating_point:
        raise refuse("log_softmax_lastdim_kernel_impl", input.dtype)
    if ignore_index >= 0:
        raise RuntimeError("ignore_index is not supported for floating point target")
    if not 0.0 <= smoothing <= 1.0:
        raise RuntimeError(f"label_smoothing must be between 0.0 and 1.0. Got: {smoothing:g}")
    classes = input.shape[ops.class_dim(len(input.shape))]
    if weight is not None and tuple(weight.shape) != (classes,):
        raise RuntimeError(
            f"cross_entropy: weight tensor should be defined either for all {classes} classes or no classes but got weight tensor of "
            f"shape: {list(weight.shape)}"
        )
    operands: Any = (input, target) if weight is None else (input, target, weight)
    return nary(ops.cross_entropy_soft, operands, reduction, float(smoothing))


def linear_cross_entropy(
    input: Any,
    linear_weight: Any,
    target: Tensor,
    *,
    linear_bias: Any = None,
    weight: Tensor | None = None,
    reduction: str = "mean",
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
    options: Any = None,
) -> Tensor:
    """``cross_entropy(linear(input, linear_weight, linear_bias), target)``: input (N, F) or (F), weight (C, *, F) for scores (N, C, *).

    `options`, which choose how PyTorch saves memory, have no effect.
    """
    if len(input.shape) not in (1, 2):
        raise RuntimeError(f"expected input with dimensionality 1 or 2, got {len(input.shape)}")
    if len(linear_weight.shape) < 2:
        raise RuntimeError(f"expected linear_weight with dimensionality at least 2, got {len(linear_weight.shape)}")
    features = input.shape[-1]
    if features != linear_weight.shape[-1]:
        raise RuntimeError(
            f"expected equal input and linear_weight last dimensions (in_features), got {features} and {linear_weight.shape[-1]}, "
            "respectively"
        )
    classes = tuple(linear_weight.shape[:-1])
    if linear_bias is not None and tuple(linear_bias.shape) != classes:
        raise RuntimeError(f"expected linear_bias shape {classes}, got {tuple(linear_bias.shape)}")
    if len(classes) > 1 and len(input.shape) == 1:
        raise RuntimeError(
            f"K-dimensional loss defined by linear_weight shape {tuple(linear_weight.shape)} requires batched input, (N, {features}), got "
            "unbatched input with shape "
            f"{tuple(input.shape)}"
        )
    shape = (*input.shape[:-1], *classes)
    if tuple(target.shape) == shape and ignore_index is not None:
        raise RuntimeError("ignore_index cannot be specified when target contains probabilities")
    if options is not None:  # PyTorch computes the gradients in chunks at once
        input, linear_weight, target = unsaved(input), unsaved(linear_weight), unsaved(target)
        weight = None if weight is None else unsaved(weight)
    scores = linear(input, linear_weight.reshape(-1, features), None if linear_bias is None else linear_bias.reshape(-1)).reshape(shape)
    return cross_entropy(
        scores,
        target,
        weight,
        ignore_index=-100 if ignore_index is None else ignore_index,
        reduction=reduction,
        label_smoothing=label_smoothing,
    )
