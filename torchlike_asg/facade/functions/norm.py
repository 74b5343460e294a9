"""Normalisation functions of torch.nn.functional and of the torch namespace."""

from __future__ import annotations

import functools
import math
from typing import Any

from ... import dtypes
from ...asg.declare import STOP
from ...asg.node import Node
from ...asg.trace import current
from ...ops import norm as ops
from ...ops import pointwise
from ...ops.formula import mean_over, refuse
from ...ops.movement import reshape, reshaped
from ...ops.promotion import to
from ..core import Tensor, node_of, operand, wrap
from ..register import checked, function
from ..remembered import recall, remember
from ..steps import step
from ..write import assign


def _affine(
    x: Node, weight: Tensor | None, bias: Tensor | None, shape: tuple[int, ...], shaped: Any = reshape
) -> tuple[list[Node], Node | None]:
    """Weight and bias as nodes of `shape`; a bias without weight is returned apart, to be added afterwards."""
    w, b = (_parameter(x, value, shape, shaped) for value in (weight, bias))
    if w is None:
        return [], b
    return [w] if b is None else [w, b], None


def _parameter(x: Node, value: Tensor | None, shape: tuple[int, ...], shaped: Any) -> Node | None:
    if value is None:
        return None
    n = node_of(value)
    if (
        n.dtype is not x.dtype
        and not (n.dtype is dtypes.float32 and x.dtype in (dtypes.float16, dtypes.bfloat16))
        and x.dtype.is_floating_point
    ):
        same = "all inputs must share same datatype." if n.dtype is dtypes.float32 else "expect parameter to have scalar type of Float"
        raise RuntimeError(f"mixed dtype (CPU): {same}")
    return n if tuple(n.shape) == shape else shaped(n, shape)


def _finish(y: Node, bias: Node | None) -> Tensor:
    return wrap(y if bias is None else y + bias)  # type: ignore[operator]


# ---------------------------------------------------------------- layer and root mean square
def _normalized_shape(
    input: Tensor, normalized_shape: Any, weight: Tensor | None, bias: Tensor | None, any_lead: str = "*, "
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """(shape, dimensions) to normalise over, checked."""
    shape = (int(normalized_shape),) if isinstance(normalized_shape, int) else tuple([int(s) for s in normalized_shape])
    if not shape:
        raise RuntimeError(
            "Expected normalized_shape to be at least 1-dimensional, i.e., containing at least one element, but got normalized_shape = "
            f"{list(shape)}"
        )
    for name, value in (("weight", weight), ("bias", bias)):
        if value is not None and tuple(value.shape) != shape:
            raise RuntimeError(
                f"Expected {name} to be of same shape as normalized_shape, but got {name} of shape {list(value.shape)} and "
                f"normalized_shape = {list(shape)}"
            )
    given = tuple(input.shape)
    if len(given) < len(shape) or given[len(given) - len(shape) :] != shape:
        raise RuntimeError(
            f"Given normalized_shape={list(shape)}, expected input with shape [{any_lead}{', '.join(map(str, shape))}], but got input of "
            f"size{list(given)}"
        )
    return shape, tuple(range(len(given) - len(shape), len(given)))


@checked
def layer_norm(input: Tensor, normalized_shape: Any, weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5) -> Tensor:
    """``(x - mean) / sqrt(var + eps) * weight + bias`` over the last dimensions, of size `normalized_shape`. Ba et al. (2016)."""
    x = input._n
    if x is not None and weight is not None and bias is not None:  # seen before: no checks
        n = _layer_norms.get((x, weight._n, bias._n, _trailing(len(x.shape), len(weight.shape)), eps))
        if n is not None:
            return wrap(n)
    shape, dims = _normalized_shape(input, normalized_shape, weight, bias)
    x = node_of(input)
    affine, extra = _affine(x, weight, bias, shape, reshaped)
    return _finish(ops.layer_norm(x, *affine, dims, eps), extra)


_layer_norms = ops.layer_norm.table


@functools.cache
def _trailing(rank: int, count: int) -> tuple[int, ...]:
    return tuple(range(rank - count, rank))


@function(method=False, name="layer_norm")
def _layer_norm(
    input: Tensor,
    normalized_shape: Any,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
    cudnn_enable: bool = True,
) -> Tensor:
    """``(x - mean) / sqrt(var + eps) * weight + bias`` over the last dimensions, of size `normalized_shape`."""
    return layer_norm(input, normalized_shape, weight, bias, eps)


@function(method=False)
@step("MulBackward0")
def rms_norm(input: Tensor, normalized_shape: Any, weight: Tensor | None = None, eps: float | None = None) -> Tensor:
    """``x / sqrt(mean(x^2) + eps) * weight`` over the last dimensions; `eps` defaults to the type's machine epsilon.

    Zhang & Sennrich (2019).
    """
    given = (normalized_shape,) if isinstance(normalized_shape, int) else normalized_shape
    if len(input.shape) < len(given):
        raise ValueError(f"Input tensor must have at least {len(given)} dimensions, but got {len(input.shape)}")
    _, dims = _normalized_shape(input, given, weight, None, "*")
    x = node_of(input)
    if x.dtype.is_complex:  # as written, by the mean of the squares and not of the sizes
        e = dtypes.finfo(x.dtype).eps if eps is None else eps
        scaled: Any = input * (input * input).mean(dims, True).add(e).rsqrt()  # type: ignore[operator]
        return scaled if weight is None else scaled * weight  # type: ignore[no-any-return]
    if not x.dtype.is_floating_point:
        raise refuse("rms_norm", x.dtype)
    w = [] if weight is None else [to(node_of(weight), x.dtype)]
    return wrap(ops.rms_norm(x, *w, dims, dtypes.finfo(x.dtype).eps if eps is None else eps))


# ---------------------------------------------------------------- over the batch
def _check_channel_sizes(channels: int, **named: Tensor | None) -> None:
    for name, value in named.items():
        if value is not None and value.shape.numel() != channels:
            raise RuntimeError(f"{name} should contain {channels} elements not {value.shape.numel()}")


def _lasting(running: Tensor | None) -> None:
    """Give a running statistic that is plain data a node for good, so that the same one is met in every iteration."""
    if running is None or running._n is not None or running._kind is not None:
        return
    f = running._f
    assert f is not None
    if f.leaf is None and f.h is None and f.past is None and not f.wants and not f.cell.exposed and running._geo == f.cell.geometry:
        f.permanent(False)


def _updated(running: Tensor, observed: Node, momentum: float) -> Node:
    """``(1 - momentum) * running + momentum * observed``, outside of any history."""
    old = node_of(running)
    old, fresh = (STOP(n) if n.rg else n for n in (old, observed))
    fresh = reshape(fresh, tuple(running.shape))
    fresh = to(fresh, running.dtype)
    kept = pointwise.mul(old, operand(pointwise.mul, 1 - momentum, old))
    return to(pointwise.add(kept, pointwise.mul(fresh, operand(pointwise.mul, momentum, fresh))), running.dtype)


@checked
def batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Normalise each channel (dimension 1) of (N, C, ...) by the statistics of the batch (`training`) or by the running ones.
    Ioffe & Szegedy (2015).

    While training, running statistics (if given) move towards the batch's mean and unbiased variance in place, which PyTorch does not count
    as another version of them.
    """
    _lasting(running_mean)
    _lasting(running_var)
    tr = current()
    key = (
        "batch_norm",
        input._n or node_of(input),
        None if running_mean is None else running_mean._n or node_of(running_mean),
        None if running_var is None else running_var._n or node_of(running_var),
        None if weight is None else weight._n or node_of(weight),
        None if bias is None else bias._n or node_of(bias),
        training,
        momentum,
        eps,
        tr.grad,
    )
    found = recall(key)
    if found is not None:
        if len(found) > 1:
            assign(running_mean, found[1], counted=False)  # type: ignore[arg-type]
            assign(running_var, found[2], counted=False)  # type: ignore[arg-type]
        return wrap(found[0])
    slots = tr.slots
    shape = tuple(input.shape)
    if training and eps <= 0:
        raise ValueError(f"batch_norm eps must be positive during training, but got {eps}")
    if training and len(shape) > 1 and math.prod(shape) == shape[1] != 0:
        raise ValueError(f"Expected more than 1 value per channel when training, got input size {input.shape}")
    if len(shape) < 2:
        if not math.prod(shape):
            return input
        raise IndexError("Dimension out of range (expected to be in range of [-1, 0], but got 1)")
    channels = shape[1]
    _check_channel_sizes(channels, running_mean=running_mean, running_var=running_var, weight=weight, bias=bias)
    if not training and (running_mean is None or running_var is None):
        raise RuntimeError(f"{'running_mean' if running_mean is None else 'running_var'} must be defined in evaluation mode")
    x = node_of(input)
    broadcast = (channels,) + (1,) * (len(shape) - 2) if len(shape) > 2 else (channels,)
    affine, extra = _affine(x, weight, bias, broadcast, reshaped)
    if not training:
        assert running_mean is not None and running_var is not None
        mean, var = (reshape(n, broadcast) if tuple(n.shape) != broadcast else n for n in (node_of(running_mean), node_of(running_var)))
        y = _finish(ops.batch_norm_eval(x, mean, var, *affine, eps), extra)
        remember(key, (y._n,), tr, slots)  # type: ignore[arg-type]
        return y
    dims = (0, *range(2, len(shape)))
    y = _finish(ops.batch_norm(x, *affine, dims, eps), extra)
    news: list[Node] = []
    if running_mean is not None or running_var is not None:
        mean, var = ops.moments(x, dims)
        count = math.prod(shape) // max(channels, 1)
        unbiased = var * (count / (count - 1)) if count > 1 else var * math.nan  # type: ignore[operator]
        for running, observed in ((running_mean, mean), (running_var, unbiased)):
            if running is not None:
                news.append(_updated(running, observed, momentum))
                assign(running, news[-1], counted=False)
    if (running_mean is None) == (running_var is None):
        remember(key, (y._n, *news), tr, slots)  # type: ignore[arg-type]
    return y


@function(method=False, name="batch_norm")
def _batch_norm(
    input: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    training: bool,
    momentum: float,
    eps: float,
    cudnn_enabled: bool = True,
) -> Tensor:
    """`torch.nn.functional.batch_norm` with its operands in another order."""
    return batch_norm(input, running_mean, running_var, weight, bias, training, momentum, eps)


# ---------------------------------------------------------------- per sample: groups and instances
@checked
def group_norm(input: Tensor, num_groups: int, weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5) -> Tensor:
    """Normalise each of `num_groups` groups of channels of (N, C, ...) on its own; weight and bias per channel. Wu & He (2018)."""
    shape = tuple(input.shape)
    if len(shape) < 2:
        raise RuntimeError(f"Expected at least 2 dimensions for input tensor but received {len(shape)}")
    if shape[0] * shape[1] // num_groups * math.prod(shape[2:]) == 1:
        raise ValueError(f"Expected more than 1 value per channel when training, got input size {list(shape)}")
    return _group_norm(input, num_groups, weight, bias, eps)


@function(method=False, name="group_norm")
def _group_norm(
    input: Tensor, num_groups: int, weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5, cudnn_enabled: bool = True
) -> Tensor:
    """Normalise each of `num_groups` groups of channels of (N, C, ...) on its own; weight and bias per channel."""
    shape = tuple(input.shape)
    if num_groups <= 0:
        raise RuntimeError(f"num_groups must be positive, got {num_groups}")
    channels = shape[1]
    if channels % num_groups:
        raise RuntimeError(
            f"Expected number of channels in input to be divisible by num_groups, but got input of shape {list(shape)} and "
            f"num_groups={num_groups}"
        )
    for name, value in (("weight", weight), ("bias", bias)):
        if value is not None and tuple(value.shape) != (channels,):
            raise RuntimeError(
                f"Expected {name} to be a vector of size equal to the number of channels in input, but got {name} of shape "
                f"{list(value.shape)} and input of shape {list(shape)}"
            )
    x = node_of(input)
    affine, extra = _affine(x, weight, bias, (channels,))
    if extra is not None:
        extra = reshape(extra, (channels,) + (1,) * (len(shape) - 2))
    return _finish(ops.group_norm(x, *affine, num_groups, eps), extra)


@checked
@step("ViewBackward0")
def instance_norm(
    input: Tensor,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Normalise each channel of each sample of (N, C, ...) by its own statistics, or (not `use_input_stats`) by the running ones.
    Ulyanov et al. (2016).

    Running statistics (if given) move towards the mean over the batch of the samples' means and unbiased variances, in place.
    """
    shape = tuple(input.shape)
    if use_input_stats and math.prod(shape[2:]) == 1:
        raise ValueError(f"Expected more than 1 spatial element when training, got input size {input.shape}")
    if not use_input_stats and (running_mean is None or running_var is None):
        raise RuntimeError("Expected running_mean and running_var to be defined when use_input_stats is false")
    if (running_mean is None) != (running_var is None):
        raise ValueError("running_mean and running_var must either both be None or neither be None")
    n, channels = shape[:2]
    for name, value in (("running_mean", running_mean), ("running_var", running_var), ("weight", weight), ("bias", bias)):
        if value is not None and value.shape.numel() != channels:
            raise RuntimeError(f"{name} should contain {n * channels} elements not {n * value.shape.numel()}")
    _lasting(running_mean)
    _lasting(running_var)
    x = node_of(input)
    broadcast = (channels,) + (1,) * (len(shape) - 2)
    affine, extra = _affine(x, weight, bias, broadcast)
    if not use_input_stats:
        assert running_mean is not None and running_var is not None
        return _finish(
            ops.batch_norm_eval(x, reshape(node_of(running_mean), broadcast), reshape(node_of(running_var), broadcast), *affine, eps), extra
        )
    dims = tuple(range(2, len(shape)))
    y = _finish(ops.instance_norm(x, *affine, dims, eps), extra)
    if running_mean is not None and running_var is not None:
        mean, var = ops.moments(x, dims)
        count = math.prod(shape[2:])
        assign(running_mean, _updated(running_mean, mean_over(mean, (0,)), momentum))
        assign(running_var, _updated(running_var, mean_over(var, (0,)) * (count / (count - 1)), momentum))  # type: ignore[operator]
    return y


@function(method=False, name="instance_norm")
def _instance_norm(
    input: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    use_input_stats: bool,
    momentum: float,
    eps: float,
    cudnn_enabled: bool = True,
) -> Tensor:
    """`torch.nn.functional.instance_norm` with its operands in another order."""
    return instance_norm(input, running_mean, running_var, weight, bias, use_input_stats, momentum, eps)


# ---------------------------------------------------------------- over neighbouring channels
@checked
def local_response_norm(input: Any, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> Tensor:
    """``x / (k + alpha * mean of x^2 over `size` neighbouring channels)^beta`` for (N, C, ...). Krizhevsky et al. (2012)."""
    from .padding import pad
    from .pooling import avg_pool1d

    shape = tuple(input.shape)
    if len(shape) < 3:
        raise ValueError(f"Expected 3D or higher dimensionality                          input (got {len(shape)} dimensions)")
    if not math.prod(shape):
        return input  # type: ignore[no-any-return]
    squares = (input * input).reshape(shape[0], shape[1], -1).transpose(1, 2)  # channels last, to be averaged over
    mean: Any = avg_pool1d(pad(squares, (size // 2, (size - 1) // 2)), size, 1)
    return input / (mean.transpose(1, 2).reshape(shape) * alpha + k) ** beta  # type: ignore[no-any-return]
