"""Losses between a prediction and a target of the same shape, of torch.nn.functional. `reduction` is "mean", "sum" or "none"."""

from __future__ import annotations

import math
import warnings
from typing import Any

from ...asg.trace import current
from ...dtypes import FLOAT, INTEGER, bool_
from ...ops import loss as ops
from ...ops.formula import refuse
from ...ops.promotion import title
from ...rng.checks import C_NAME
from ..core import Tensor, binary, bound, node_of, wrap
from ..misfits import combination
from ..refusals import check_interval
from ..register import checked, function
from ..remembered import recall, remember
from ..steps import keeping, note
from .activation import logsigmoid
from .arguments import check_tensor
from .math import xlogy
from .pointwise import exp
from .reduction import numbered, reduced, reduction_of


def _warn_sizes(input: Tensor, target: Tensor) -> None:
    if tuple(target.shape) != tuple(input.shape):
        warnings.warn(
            f"Using a target size ({target.shape}) that is different to the input size ({input.shape}). This will likely lead to incorrect "
            "results due to broadcasting. "
            "Please ensure they have the same size.",
            stacklevel=4,
        )


def _weighted(loss: Any, weight: Tensor | None, input: Tensor, reduction: str, by_weight: bool = True) -> Tensor:
    """The loss times weights of the input's shape; their mean divides by the sum of the weights (or, not `by_weight`, by their number)."""
    if weight is None:
        return reduced(loss, reduction)
    if tuple(weight.shape) != tuple(input.shape):
        raise ValueError("Weights and input must have the same size.")
    loss = loss * weight
    return loss.sum() / weight.sum() if reduction == "mean" and by_weight else reduced(loss, reduction)  # type: ignore[attr-defined, no-any-return]


# ---------------------------------------------------------------- of a difference
@checked
def mse_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    weight: Tensor | None = None,
) -> Tensor:
    """``(input - target)^2``."""
    if weight is None and size_average is None and reduce is None:
        tr = current()
        nodes = bound(input, target)
        found = recall(("mse_loss", *nodes, reduction, tr.grad))
        if found is not None:
            return wrap(found[0])
        if nodes[0].shape == nodes[1].shape:
            slots = tr.slots
            out = reduced(binary(ops.squared_error, input, target), reduction_of(reduction))
            remember(("mse_loss", *nodes, reduction, tr.grad), (node_of(out),), tr, slots)
            return out
    _warn_sizes(input, target)
    return _weighted(binary(ops.squared_error, input, target), weight, input, reduction_of(reduction, size_average, reduce))


@checked
def l1_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    weight: Tensor | None = None,
) -> Tensor:
    """``|input - target|``."""
    _warn_sizes(input, target)
    if input.dtype is bool_ or target.dtype is bool_ or not (input.dtype.is_floating_point or target.dtype.is_floating_point):
        return _weighted((input - target).abs(), weight, input, reduction_of(reduction, size_average, reduce))  # type: ignore[operator]
    return _weighted(binary(ops.absolute_error, input, target), weight, input, reduction_of(reduction, size_average, reduce))


@checked
def smooth_l1_loss(
    input: Tensor, target: Tensor, size_average: bool | None = None, reduce: bool | None = None, reduction: str = "mean", beta: float = 1.0
) -> Tensor:
    """``d^2 / (2 beta)`` for ``d = |input - target| < beta``, else ``d - beta / 2``; Girshick (2015)."""
    _warn_sizes(input, target)
    if beta < 0:
        raise RuntimeError("smooth_l1_loss does not support negative values for beta.")
    reduction = reduction_of(reduction, size_average, reduce)
    if beta == 0:
        return reduced(binary(ops.absolute_error, input, target), reduction)
    return reduced(_with_attrs(ops.smooth_l1, input, target, float(beta)), reduction)


@checked
def huber_loss(input: Tensor, target: Tensor, reduction: str = "mean", delta: float = 1.0, weight: Tensor | None = None) -> Tensor:
    """``d^2 / 2`` for ``d = |input - target| <= delta``, else ``delta (d - delta / 2)``; Huber (1964)."""
    _warn_sizes(input, target)
    if delta <= 0:
        raise RuntimeError("huber_loss does not support non-positive values for delta.")
    loss: Any = _with_attrs(ops.huber, input, target, float(delta))
    if loss.dtype is not input.dtype:  # PyTorch keeps the input's type here
        if not input.dtype.is_floating_point:
            raise RuntimeError(f"result type {title(loss.dtype)} can't be cast to the desired output type {title(input.dtype)}")
        loss = loss.to(input.dtype)
    return _weighted(loss, weight, input, reduction_of(reduction), by_weight=False)


def _with_attrs(op: Any, a: Tensor, b: Tensor, *attrs: Any) -> Tensor:
    from ..core import nary

    return nary(op, (a, b), *attrs)


# ---------------------------------------------------------------- of probabilities
def _refuse_gradient(name: str, **weights: Tensor | None) -> None:
    for argument, value in weights.items():
        if value is not None and value.requires_grad:
            raise RuntimeError(
                f"The function '{name}' is not differentiable with respect to argument '{argument}'. This input cannot have requires_grad "
                "True."
            )


@checked
def binary_cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """``-(target log(input) + (1 - target) log(1 - input))`` for probabilities `input`; the logarithms are limited to -100 from below."""
    reduction = reduction_of(reduction, size_average, reduce)
    if tuple(target.shape) != tuple(input.shape):
        raise ValueError(
            f"Using a target size ({target.shape}) that is different to the input size ({input.shape}) is deprecated. Please ensure they "
            "have the same size."
        )
    if target.dtype is not input.dtype:
        raise RuntimeError(f"Found dtype {title(target.dtype)} but expected {title(input.dtype)}")
    _refuse_gradient("binary_cross_entropy", weight=weight)
    loss: Any = binary(ops.binary_cross_entropy, input, target)
    check_interval(loss, input=input, target=target)
    found: Tensor = reduced(loss if weight is None else loss * weight, reduction)
    if weight is not None:
        note(found, "BinaryCrossEntropyBackward0")
    return found


@checked
def binary_cross_entropy_with_logits(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    pos_weight: Tensor | None = None,
) -> Tensor:
    """``binary_cross_entropy(sigmoid(input), target)`` without its rounding; `pos_weight` multiplies the loss of positive targets."""
    reduction = reduction_of(reduction, size_average, reduce)
    if tuple(target.shape) != tuple(input.shape):
        raise ValueError(f"Target size ({target.shape}) must be the same as input size ({input.shape})")
    if not target.dtype.is_floating_point and input.dtype.is_floating_point:
        raise RuntimeError(f"result type {title(input.dtype)} can't be cast to the desired output type {title(target.dtype)}")
    if not input.dtype.is_floating_point and not input.dtype.is_complex:
        raise refuse("log_sigmoid_cpu", input.dtype)
    _refuse_gradient("binary_cross_entropy_with_logits", weight=weight, pos_weight=pos_weight)
    loss: Any
    if pos_weight is None:
        loss = binary(ops.binary_cross_entropy_logits, input, target)
    else:
        factor = (pos_weight - 1) * target + 1  # type: ignore[operator]
        loss = (1 - target) * input - factor * logsigmoid(input)  # type: ignore[operator]
    if weight is not None:
        loss = loss * weight
    if loss.dtype is not target.dtype:  # PyTorch writes the loss into a tensor like the target
        loss = loss.to(target.dtype)
    found: Tensor = reduced(loss, reduction)
    if weight is not None or pos_weight is not None:
        found = keeping(found, (input, target, weight, pos_weight))
        note(found, "BinaryCrossEntropyWithLogitsBackward0")
    return found


@checked
def kl_div(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    log_target: bool = False,
) -> Tensor:
    """``target (log(target) - input)`` for log-probabilities `input`; with `log_target`, `target` holds log-probabilities, too.

    "batchmean" divides the sum by the batch size, which is the divergence proper; "mean" divides by the number of elements.
    """
    check_tensor("kl_div", "target", 2, target)
    if size_average is not None or reduce is not None:
        reduction = reduction_of(reduction, size_average, reduce)
    elif reduction == "mean":
        warnings.warn(
            "reduction: 'mean' divides the total loss by both the batch size and the support size.'batchmean' divides only by the batch "
            "size, and aligns with the KL div math "
            "definition.'mean' will be changed to behave the same as 'batchmean' in the next major release.",
            stacklevel=3,
        )
    if target.dtype.category < FLOAT or input.dtype.category < FLOAT:
        raise RuntimeError("kl_div: Integral inputs not supported.")
    loss: Any
    if input.dtype is target.dtype and input.dtype.itemsize >= 4:
        loss = binary(ops.kl_divergence_log if log_target else ops.kl_divergence, input, target)
    else:  # PyTorch rounds each step to the type that its operands have
        loss = exp(target) * (target - input) if log_target else xlogy(target, target) - target * input  # type: ignore[operator]
    note(loss, "MulBackward0" if log_target else "SubBackward0")
    if reduction == "batchmean":
        total = loss.sum()
        return total / input.shape[0] if input.shape else total  # type: ignore[no-any-return]
    return reduced(loss, reduction_of(reduction))


# ---------------------------------------------------------------- of counts and Gaussians
@checked
def poisson_nll_loss(
    input: Tensor,
    target: Tensor,
    log_input: bool = True,
    full: bool = False,
    size_average: bool | None = None,
    eps: float = 1e-8,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """``exp(input) - target * input`` (or ``input - target * log(input + eps)``); `full` adds Stirling's approximation of log(target!)."""
    reduction = reduction_of(reduction, size_average, reduce)
    loss = input.exp() - target * input if log_input else input - target * (input + eps).log()
    if full:
        stirling = target * target.log() - target + 0.5 * (2 * math.pi * target).log()
        loss = loss + stirling.masked_fill(target <= 1, 0)
    return reduced(loss, reduction)


def gaussian_nll_loss(input: Any, target: Any, var: Any, full: bool = False, eps: float = 1e-6, reduction: str = "mean") -> Tensor:
    """``(log(v) + (input - target)^2 / v) / 2`` with ``v = max(var, eps)``; `full` adds log(2 pi) / 2.

    `var` is a number, a tensor of the input's shape, of size one in one dimension, or without the last one. The limit `eps` is invisible
    to the gradient.
    """
    from .creation import full_like

    if isinstance(var, float):
        if var < 0:
            raise ValueError("var has negative entry/entries")
        var = full_like(input, float(var))
    elif isinstance(var, Tensor):
        if bool((var < 0).any()):  # type: ignore[operator]
            raise ValueError("var has negative entry/entries")
        if var.dtype.category == INTEGER and isinstance(eps, float):
            raise RuntimeError(f"result type Float can't be cast to the desired output type {C_NAME[var.dtype]}")
    else:
        raise combination("any", (var < 0,), {}, ", but expected (Tensor input)")
    shape, given = tuple(input.shape), tuple(var.shape)
    if given != shape:
        if shape[:-1] == given:
            var = var.unsqueeze(-1)
        elif len(shape) != len(given) or sum(b for a, b in zip(shape, given, strict=True) if a != b) != 1:
            raise ValueError("var is of incorrect size")
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"{reduction} is not valid")
    var = var + (var.detach().clamp(min=eps) - var.detach())
    loss = 0.5 * (var.log() + (input - target) ** 2 / var)
    return reduced(loss + 0.5 * math.log(2 * math.pi) if full else loss, reduction)


# ---------------------------------------------------------------- the torch namespace: reductions by number
@function(method=False, name="binary_cross_entropy_with_logits")
def _bce_with_logits(
    input: Tensor, target: Tensor, weight: Tensor | None = None, pos_weight: Tensor | None = None, reduction: int = 1
) -> Tensor:
    """`torch.nn.functional.binary_cross_entropy_with_logits` with a numbered reduction."""
    return binary_cross_entropy_with_logits(input, target, weight, reduction=numbered(reduction), pos_weight=pos_weight)


@function(method=False, name="kl_div")
def _kl_div(input: Tensor, target: Tensor, reduction: int = 1, *, log_target: bool = False) -> Tensor:
    """`torch.nn.functional.kl_div` with a numbered reduction."""
    return reduced(binary(ops.kl_divergence_log if log_target else ops.kl_divergence, input, target), numbered(reduction))


@function(method=False, name="poisson_nll_loss")
def _poisson_nll_loss(input: Tensor, target: Tensor, log_input: bool, full: bool, eps: float, reduction: int) -> Tensor:
    """`torch.nn.functional.poisson_nll_loss` with a numbered reduction."""
    return poisson_nll_loss(input, target, log_input, full, eps=eps, reduction=numbered(reduction))
