"""Initialisers: they fill a tensor in place and return it, drawing from the same random stream, in the same order, as PyTorch's."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

import torchlike_asg as torch

__all__ = [
    "calculate_gain",
    "constant",
    "constant_",
    "dirac",
    "dirac_",
    "eye",
    "eye_",
    "kaiming_normal",
    "kaiming_normal_",
    "kaiming_uniform",
    "kaiming_uniform_",
    "normal",
    "normal_",
    "ones_",
    "orthogonal",
    "orthogonal_",
    "sparse",
    "sparse_",
    "trunc_normal_",
    "uniform",
    "uniform_",
    "xavier_normal",
    "xavier_normal_",
    "xavier_uniform",
    "xavier_uniform_",
    "zeros_",
]

_LINEAR = {"linear", "conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d", "sigmoid"}


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """The factor by which a nonlinearity shrinks the standard deviation; `param` is the negative slope of leaky_relu (default 0.01)."""
    if not isinstance(nonlinearity, str):
        raise ValueError(f"Unsupported nonlinearity {nonlinearity}")
    if nonlinearity in _LINEAR:
        return 1
    if nonlinearity == "tanh":
        return 5.0 / 3
    if nonlinearity == "relu":
        return math.sqrt(2.0)
    if nonlinearity == "leaky_relu":
        slope = 0.01 if param is None else param
        if isinstance(slope, bool) or not isinstance(slope, (int, float)):
            raise ValueError(f"negative_slope {param} not a valid number")
        return math.sqrt(2.0 / (1 + slope**2))
    if nonlinearity == "selu":
        return 3.0 / 4
    raise ValueError(f"Unsupported nonlinearity {nonlinearity}")


def _calculate_fan_in_and_fan_out(tensor: Any) -> tuple[int, int]:
    if tensor.dim() < 2:
        raise ValueError("Fan in and fan out can not be computed for tensor with fewer than 2 dimensions")
    receptive_field = math.prod(tensor.shape[2:])
    return tensor.shape[1] * receptive_field, tensor.shape[0] * receptive_field


def _calculate_correct_fan(tensor: Any, mode: str) -> int:
    mode = mode.lower()
    modes = ["fan_in", "fan_out"]
    if mode not in modes:
        raise ValueError(f"Mode {mode} not supported, please use one of {modes}")
    return _calculate_fan_in_and_fan_out(tensor)[modes.index(mode)]


def _note(tensor: Any, name: str, **arguments: Any) -> Any:
    """Remember how a parameter was filled, for people who ask what it is (the viewer)."""
    if isinstance(tensor, torch.nn.Parameter):
        tensor._initialiser = f"{name}({', '.join(f'{k}={v:.4g}' if isinstance(v, float) else f'{k}={v}' for k, v in arguments.items())})"
    return tensor


def uniform_(tensor: Any, a: float = 0.0, b: float = 1.0, generator: Any = None) -> Any:
    """Fills with values drawn uniformly from [a, b)."""
    with torch.no_grad():
        return _note(tensor.uniform_(a, b, generator=generator), "uniform_", a=a, b=b)


def normal_(tensor: Any, mean: float = 0.0, std: float = 1.0, generator: Any = None) -> Any:
    """Fills with values of the normal distribution."""
    with torch.no_grad():
        return _note(tensor.normal_(mean, std, generator=generator), "normal_", mean=mean, std=std)


def trunc_normal_(tensor: Any, mean: float = 0.0, std: float = 1.0, a: float = -2.0, b: float = 2.0, generator: Any = None) -> Any:
    """Fills with values of the normal distribution restricted to [a, b].

    Rejection sampling: from the normal distribution itself while [a, b] holds more than 30 % of it, else from the uniform distribution
    on [a, b]. Every round draws values for the whole tensor, as PyTorch does, so that the random streams stay together.
    """
    if mean < a - 2 * std or mean > b + 2 * std:
        warnings.warn(
            "mean is more than 2 std from [a, b] in nn.init.trunc_normal_. The distribution of values may be incorrect.",
            stacklevel=2,
        )
    with torch.no_grad():
        if tensor.is_meta:
            tensor.normal_()
            values = tensor
        elif _normal_cdf((b - mean) / std) - _normal_cdf((a - mean) / std) > 0.3:
            low, high = tensor.new_tensor(a).item(), tensor.new_tensor(b).item()  # rounded as the drawn values are
            values = tensor.normal_(mean, std, generator=generator)
            while (outside := (values < low) | (values > high)).any():
                values = torch.where(outside, torch.empty_like(values).normal_(mean, std, generator=generator), values)
        else:
            nearest = max(a, min(mean, b))
            log_peak = -0.5 * ((nearest - mean) / std) ** 2
            values, pending = tensor, torch.ones_like(tensor, dtype=torch.bool)
            while pending.any():
                drawn = torch.empty_like(tensor).uniform_(a, b, generator=generator)
                values = torch.where(pending, drawn, values)
                log_density = drawn.sub(mean).div(std).pow(2).mul(-0.5).sub(log_peak)
                pending = pending & (torch.empty_like(tensor).uniform_(generator=generator).log() > log_density)
        return _note(tensor if values is tensor else tensor.copy_(values), "trunc_normal_", mean=mean, std=std, a=a, b=b)


def _normal_cdf(x: float) -> float:
    return (1.0 + math.erf(x / math.sqrt(2.0))) / 2.0


def constant_(tensor: Any, val: float) -> Any:
    """Fills with `val`."""
    with torch.no_grad():
        return _note(tensor.fill_(val), "constant_", val=val)


def ones_(tensor: Any) -> Any:
    """Fills with 1."""
    return _note(constant_(tensor, 1.0), "ones_")


def zeros_(tensor: Any) -> Any:
    """Fills with 0."""
    with torch.no_grad():
        return _note(tensor.zero_(), "zeros_")


def eye_(tensor: Any) -> Any:
    """Fills a matrix with the identity."""
    if tensor.dim() != 2:
        raise ValueError("Only tensors with 2 dimensions are supported")
    with torch.no_grad():
        return _note(tensor.copy_(torch.eye(*tensor.shape, dtype=tensor.dtype, device=tensor.device)), "eye_")


def dirac_(tensor: Any, groups: int = 1) -> Any:
    """Fills a convolution weight of 3 to 5 dimensions so that the convolution passes as many channels through as it can, in each group."""
    if tensor.dim() not in (3, 4, 5):
        raise ValueError("Only tensors with 3, 4, or 5 dimensions are supported")
    if tensor.shape[0] % groups != 0:
        raise ValueError("dim 0 must be divisible by groups")
    per_group = tensor.shape[0] // groups
    weight = np.zeros(tensor.shape, np.float32)
    centre = tuple(size // 2 for size in tensor.shape[2:])
    for group in range(groups):
        for channel in range(min(per_group, tensor.shape[1])):
            weight[(group * per_group + channel, channel, *centre)] = 1
    with torch.no_grad():
        return _note(tensor.copy_(torch.from_numpy(weight)), "dirac_", groups=groups)


def xavier_uniform_(tensor: Any, gain: float = 1.0, generator: Any = None) -> Any:
    """U(-a, a) with a = gain * sqrt(6 / (fan_in + fan_out)) (Glorot & Bengio, 2010)."""
    fan_in, fan_out = _calculate_fan_in_and_fan_out(tensor)
    bound = math.sqrt(3.0) * (gain * math.sqrt(2.0 / float(fan_in + fan_out)))
    return _note(uniform_(tensor, -bound, bound, generator), "xavier_uniform_", gain=gain)


def xavier_normal_(tensor: Any, gain: float = 1.0, generator: Any = None) -> Any:
    """N(0, std^2) with std = gain * sqrt(2 / (fan_in + fan_out)) (Glorot & Bengio, 2010)."""
    fan_in, fan_out = _calculate_fan_in_and_fan_out(tensor)
    return _note(normal_(tensor, 0.0, gain * math.sqrt(2.0 / float(fan_in + fan_out)), generator), "xavier_normal_", gain=gain)


def kaiming_uniform_(tensor: Any, a: float = 0, mode: str = "fan_in", nonlinearity: str = "leaky_relu", generator: Any = None) -> Any:
    """U(-bound, bound) with bound = gain * sqrt(3 / fan) (He et al., 2015); `a` is the negative slope of leaky_relu."""
    std = _kaiming_std(tensor, a, mode, nonlinearity)
    if std is None:
        return tensor
    bound = math.sqrt(3.0) * std
    return _note(uniform_(tensor, -bound, bound, generator), "kaiming_uniform_", a=a, mode=mode, nonlinearity=nonlinearity)


def kaiming_normal_(tensor: Any, a: float = 0, mode: str = "fan_in", nonlinearity: str = "leaky_relu", generator: Any = None) -> Any:
    """N(0, std^2) with std = gain / sqrt(fan) (He et al., 2015); `a` is the negative slope of leaky_relu."""
    std = _kaiming_std(tensor, a, mode, nonlinearity)
    if std is None:
        return tensor
    return _note(normal_(tensor, 0.0, std, generator), "kaiming_normal_", a=a, mode=mode, nonlinearity=nonlinearity)


def _kaiming_std(tensor: Any, a: float, mode: str, nonlinearity: str) -> float | None:
    if 0 in tensor.shape:
        warnings.warn("Initializing zero-element tensors is a no-op", stacklevel=3)
        return None
    fan = _calculate_correct_fan(tensor, mode)
    return calculate_gain(nonlinearity, a) / math.sqrt(fan)


def orthogonal_(tensor: Any, gain: float = 1, generator: Any = None) -> Any:
    """Fills with a (semi-)orthogonal matrix times `gain`; dimensions after the first count as columns (Saxe et al., 2013)."""
    if tensor.dim() < 2:
        raise ValueError("Only tensors with 2 or more dimensions are supported")
    if tensor.numel() == 0:
        return tensor
    rows = tensor.shape[0]
    with torch.no_grad():
        if tensor.is_meta:
            return _note(tensor.normal_(), "orthogonal_", gain=gain)
        drawn = tensor.new_empty((rows, tensor.numel() // rows)).normal_(0, 1, generator=generator).cpu().numpy()
        wide = drawn.shape[0] < drawn.shape[1]
        q, r = np.linalg.qr(drawn.T if wide else drawn)
        q = q * np.sign(np.diag(r))  # makes the decomposition unique, hence the result uniformly distributed
        q = np.ascontiguousarray(q.T if wide else q)
        return _note(tensor.copy_(torch.from_numpy(q).reshape(tensor.shape)).mul_(gain), "orthogonal_", gain=gain)


def sparse_(tensor: Any, sparsity: float, std: float = 0.01, generator: Any = None) -> Any:
    """Fills a matrix from N(0, std^2) and sets the fraction `sparsity` of each column to 0 (Martens, 2010)."""
    if tensor.dim() != 2:
        raise ValueError("Only tensors with 2 dimensions are supported")
    rows, columns = tensor.shape
    zeros = math.ceil(sparsity * rows)
    with torch.no_grad():
        tensor.normal_(0, std, generator=generator)
        for column in range(columns):  # which rows: from the default generator in any case, as in PyTorch
            tensor[torch.randperm(rows)[:zeros], column] = 0
    return _note(tensor, "sparse_", sparsity=sparsity, std=std)


def _deprecated(function: Callable[..., Any]) -> Callable[..., Any]:
    new_name = function.__name__
    old_name = new_name[:-1]

    def deprecated(*args: Any, **kwargs: Any) -> Any:
        text = f"`nn.init.{old_name}` is now deprecated in favor of `nn.init.{new_name}`."
        warnings.warn(text, FutureWarning, stacklevel=2)
        return function(*args, **kwargs)

    deprecated.__name__ = old_name
    deprecated.__doc__ = f"Deprecated name of :func:`{new_name}`."
    return deprecated


uniform = _deprecated(uniform_)
normal = _deprecated(normal_)
constant = _deprecated(constant_)
eye = _deprecated(eye_)
dirac = _deprecated(dirac_)
xavier_uniform = _deprecated(xavier_uniform_)
xavier_normal = _deprecated(xavier_normal_)
kaiming_uniform = _deprecated(kaiming_uniform_)
kaiming_normal = _deprecated(kaiming_normal_)
orthogonal = _deprecated(orthogonal_)
sparse = _deprecated(sparse_)

_no_grad_fill_, _no_grad_normal_, _no_grad_trunc_normal_, _no_grad_uniform_, _no_grad_zero_ = (
    constant_,  # PyTorch's names, which initialisations of others call
    normal_,
    trunc_normal_,
    uniform_,
    zeros_,
)
_make_deprecate = _deprecated
