"""Checks of hyper-parameters that several optimizers share, with PyTorch's messages."""

from __future__ import annotations

from typing import Any

from ..facade.core import Tensor

__all__ = ["check_betas", "check_implementation", "check_lr", "check_not_negative", "check_one_element", "check_positive"]


def check_lr(lr: Any) -> None:
    """A learning rate is a number, or a tensor of one element; not negative and not NaN."""
    check_one_element(lr)
    check_not_negative(lr, "learning rate")


def check_one_element(lr: Any) -> None:
    if isinstance(lr, Tensor) and lr.numel() != 1:  # type: ignore[attr-defined]
        raise ValueError("Tensor lr must be 1-element")


def check_not_negative(value: Any, name: str) -> None:
    if not value >= 0.0:
        raise ValueError(f"Invalid {name}: {value}")


def check_positive(value: Any, name: str) -> None:
    if not value > 0.0:
        raise ValueError(f"Invalid {name}: {value}")


def check_betas(betas: Any) -> None:
    for i in range(2):
        beta = betas[i]
        if not 0.0 <= beta < 1.0:
            raise ValueError(f"Invalid beta parameter at index {i}: {beta}")


def check_implementation(differentiable: bool, foreach: bool | None = None, fused: bool | None = None) -> None:
    """The flags that choose among PyTorch's implementations change nothing here, but must not contradict each other."""
    if fused and differentiable:
        raise RuntimeError("`fused` does not support `differentiable`")
    if fused and foreach:
        raise RuntimeError("`fused` and `foreach` cannot be `True` together.")
