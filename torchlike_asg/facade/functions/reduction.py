"""The `reduction` argument of losses: none, mean or sum, or one of the two legacy flags it replaced."""

from __future__ import annotations

import warnings
from typing import Any

from ...ops import reduce as ops
from ..core import Tensor, unary


def reduction_of(reduction: str, size_average: bool | None = None, reduce: bool | None = None) -> str:
    """The reduction by name; the legacy flags, if given, decide (with a warning)."""
    if size_average is not None or reduce is not None:
        averaged, each = size_average is None or bool(size_average), reduce is not None and not reduce
        reduction = "none" if each else "mean" if averaged else "sum"
        warnings.warn(f"size_average and reduce args will be deprecated, please use reduction='{reduction}' instead.", stacklevel=4)
    if reduction == "elementwise_mean":
        warnings.warn("reduction='elementwise_mean' is deprecated. Please use reduction='mean' instead.", stacklevel=4)
        return "mean"
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"{reduction} is not a valid value for reduction")
    return reduction


def reduced(loss: Any, reduction: str) -> Tensor:
    """A loss per element, reduced."""
    if reduction == "none":
        return loss  # type: ignore[no-any-return]
    return unary(ops.mean if reduction == "mean" else ops.sum_, loss, tuple(range(len(loss.shape))), False)


_BY_NUMBER = ("none", "mean", "sum")


def numbered(reduction: Any) -> str:
    """The torch namespace numbers reductions: 0 none, 1 mean, 2 sum."""
    if reduction not in (0, 1, 2):
        raise ValueError(f"{reduction} is not a valid value for reduction")
    return _BY_NUMBER[reduction]
