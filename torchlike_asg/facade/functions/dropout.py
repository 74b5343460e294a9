"""Dropout and its variants: random masks times the input."""

from __future__ import annotations

import math
import warnings
from typing import Any

from ... import dtypes
from ...asg.geometry import preserved_strides
from ...ops import movement
from ...ops.promotion import title
from ..core import Tensor, unary
from ..parsing import constant
from ..register import checked, function
from ..steps import step
from .arguments import check_tensor
from .creation import ones_like, zeros_like


def _check(p: float) -> None:
    if p < 0.0 or p > 1.0:  # not: if not 0 <= p <= 1, which refuses NaN
        raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")


def _mask(shape: tuple[int, ...], strides: Any, dtype: Any, p: float, device: Any = None) -> Tensor:
    """Zero with probability `p`, else 1 / (1 - p); drawn as PyTorch draws it, in the order of memory."""
    from . import random

    if not dtype.is_floating_point:
        raise RuntimeError(f"result type Float can't be cast to the desired output type {title(dtype)}")
    if strides is not None and 0 in strides:  # an expanded tensor's elements share memory, those of its mask do not
        strides = preserved_strides(shape, strides)
        return unary(movement.relayout, random.dropout_mask(shape, strides, dtype, p, device=device), strides, "clone")
    return random.dropout_mask(shape, strides, dtype, p, device=device)  # type: ignore[no-any-return]


def _multiplied(input: Tensor, mask: Any, inplace: bool) -> Tensor:
    return input.mul_(mask) if inplace else input * mask  # type: ignore[attr-defined, operator, no-any-return]


def dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """While `training`, zero each element with probability `p` and scale the others by 1 / (1 - p). Hinton et al. (2012)."""
    _check(p)
    check_tensor("dropout", "input", 1, input)
    if isinstance(p, Tensor) and not constant(p):
        raise TypeError("dropout(): argument 'p' (position 2) must be float, not Tensor")
    if not training or p == 0 or not input.shape.numel():
        return input
    if p == 1:
        return _multiplied(input, 0.0, inplace)
    return _multiplied(input, _mask(tuple(input.shape), input.geometry[1], input.dtype, p, input.device), inplace)


@function(method=False)
@step("NativeDropoutBackward0")
def native_dropout(input: Tensor, p: float, train: bool | None) -> tuple[Tensor, Tensor]:
    """`dropout`, and a bool tensor that says which elements were kept; `train` None is as True."""
    if train is False or p == 0:
        return input.clone(), ones_like(input, dtype=dtypes.bool_)  # type: ignore[attr-defined]
    if not 0 <= p <= 1:
        raise RuntimeError(f"bernoulli_ expects p to be in [0, 1], but got p={1 - p:g}")
    if p == 1:
        return input * 0.0, zeros_like(input, dtype=dtypes.bool_)  # type: ignore[operator]
    scale = _mask(tuple(input.shape), input.geometry[1], input.dtype, p, input.device)
    return input * scale, scale != 0  # type: ignore[operator, return-value]


def _feature_dropout(input: Tensor, p: float, training: bool, inplace: bool) -> Tensor:
    """Zero whole channels: dimensions 0 and 1 are drawn, the rest share."""
    _check(p)
    shape = tuple(input.shape)
    if not training or p == 0 or not input.shape.numel():
        return input
    if len(shape) < 2:
        raise RuntimeError("Feature dropout requires at least 2 dimensions in the input")
    if p == 1:
        return _multiplied(input, 0.0, inplace)
    return _multiplied(input, _mask(shape[:2] + (1,) * (len(shape) - 2), None, input.dtype, p, input.device), inplace)


def _channel_dropout(rank: int, input: Tensor, p: float, training: bool, inplace: bool) -> Tensor:
    """Feature dropout of batches (N, C, ...) of `rank` dimensions each after C, or of what is taken as one sample."""
    _check(p)
    if len(input.shape) != rank + 2:
        out = _feature_dropout(input.unsqueeze(0), p, training, False).squeeze(0)  # type: ignore[attr-defined]
        return input.copy_(out) if inplace and training and p else out  # type: ignore[attr-defined, no-any-return]
    return _feature_dropout(input, p, training, inplace)


@checked
def dropout1d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """While `training`, zero whole channels of (N, C, L) or (C, L) with probability `p`, scaling the others by 1 / (1 - p)."""
    if len(input.shape) not in (2, 3):
        _check(p)
        raise RuntimeError(
            f"dropout1d: Expected 2D or 3D input, but received a {len(input.shape)}D input. Note that dropout1d exists to provide "
            "channel-wise dropout on inputs with 1 "
            "spatial dimension, a channel dimension, and an optional batch dimension (i.e. 2D or 3D inputs)."
        )
    return _channel_dropout(1, input, p, training, inplace)


def _warn_rank(name: str, rank: int, spatial: int, extra: str) -> None:
    if rank not in (spatial + 1, spatial + 2):
        warnings.warn(
            f"{name}: Received a {rank}-D input to {name}, which is deprecated and will result in an error in a future release. To retain "
            "the behavior and silence this "
            f"warning, please use dropout instead. Note that {name} exists to provide channel-wise dropout on inputs with {spatial} "
            "spatial dimensions, a channel dimension, "
            f"and an optional batch dimension (i.e. {spatial + 1}D or {spatial + 2}D inputs){extra}.",
            stacklevel=4,
        )


@checked
def dropout2d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """While `training`, zero whole channels of (N, C, H, W) with probability `p`; a three-dimensional input is taken as (N, C, L).

    Tompson et al. (2015).
    """
    _check(p)
    if len(input.shape) == 3:
        warnings.warn(
            "dropout2d: Received a 3D input to dropout2d and assuming that channel-wise 1D dropout behavior is desired - input is "
            "interpreted as shape (N, C, L), where C is "
            "the channel dim. This behavior will change in a future release to interpret the input as one without a batch dimension, i.e. "
            "shape (C, H, W). To maintain the "
            "1D channel-wise dropout behavior, please switch to using dropout1d instead.",
            stacklevel=3,
        )
    else:
        _warn_rank("dropout2d", len(input.shape), 2, "")
    return _feature_dropout(input, p, training, inplace)


@checked
def dropout3d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """While `training`, zero whole channels of (N, C, D, H, W) or (C, D, H, W) with probability `p`."""
    _check(p)
    _warn_rank("dropout3d", len(input.shape), 3, "")
    return _channel_dropout(3, input, p, training, inplace)


_ALPHA = 1.7580993408473766  # minus the limit of SELU at minus infinity


def _alpha(input: Tensor, p: float, training: bool, inplace: bool, shape: tuple[int, ...], strides: Any) -> Tensor:
    """Dropped elements become SELU's lower limit; an affine map then restores mean 0 and variance 1. Klambauer et al. (2017)."""
    if not training or p == 0 or not input.shape.numel():
        return input
    if p == 1:
        return _multiplied(input, 0.0, inplace)
    a = 1.0 / math.sqrt((_ALPHA * _ALPHA * p + 1) * (1 - p))
    kept: Any = _mask(shape, strides, input.dtype, p, input.device) != 0
    kept = kept.to(input.dtype)
    shift = (kept - 1) * (_ALPHA * a) + _ALPHA * a * p
    if inplace:
        return input.mul_(kept * a).add_(shift)  # type: ignore[attr-defined, no-any-return]
    return input * (kept * a) + shift  # type: ignore[operator, no-any-return]


@checked
def alpha_dropout(input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False) -> Tensor:
    """Dropout that keeps mean 0 and variance 1 of SELU's outputs."""
    _check(p)
    return _alpha(input, p, training, inplace, tuple(input.shape), input.geometry[1])


@checked
def feature_alpha_dropout(input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False) -> Tensor:
    """`alpha_dropout` of whole channels (dimension 1)."""
    _check(p)
    shape = tuple(input.shape)
    if training and p and len(shape) < 2:
        raise RuntimeError("Feature dropout requires at least 2 dimensions in the input")
    return _alpha(input, p, training, inplace, shape[:2] + (1,) * (len(shape) - 2), None)


def _top_level(name: str, fn: Any) -> None:
    """torch.NAME(input, p, train): the order of arguments of the torch namespace, and its in-place form."""

    def offered(input: Tensor, p: float, train: bool) -> Tensor:
        if not 0.0 <= p <= 1.0:
            raise RuntimeError(f"dropout probability has to be between 0 and 1, but got {p:g}")
        return fn(input, p, train)  # type: ignore[no-any-return]

    offered.__doc__ = fn.__doc__
    function(method=False, name=name)(offered)

    def written(input: Tensor, p: float, train: bool) -> Tensor:
        return fn(input, p, train, True)  # type: ignore[no-any-return]

    written.__doc__ = f"In-place version of `{name}`."
    function(method=False, name=name + "_")(written)


def feature_dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """While `training`, zero whole channels (dimension 1) with probability `p`, scaling the others by 1 / (1 - p)."""
    return _feature_dropout(input, p, training, inplace)


for _name, _fn in (
    ("dropout", dropout),
    ("alpha_dropout", alpha_dropout),
    ("feature_dropout", feature_dropout),
    ("feature_alpha_dropout", feature_alpha_dropout),
):
    _top_level(_name, _fn)
