"""Pooling functions of torch.nn.functional."""

from __future__ import annotations

import math
from typing import Any

from ... import dtypes
from ...ops import pooling as ops
from ...ops.formula import refuse
from ..core import Tensor, nary, node_of, unary
from ..history_names import title
from ..refusals import check_places
from ..register import checked, function, named
from ..steps import keeping, note, step
from .arguments import check_tensor, wholes
from .pointwise import abs as _abs
from .pointwise import sign as _sign

_WORDS = ("", "one", "two", "three")


def _sizes(value: Any, dims: int, name: str, what: str) -> tuple[int, ...]:
    """One number for each spatial dimension."""
    given = wholes(value)
    if len(given) not in (1, dims):
        raise RuntimeError(f"{name}: {what} must either be a single int, or a tuple of {_WORDS[dims]} ints")
    return given if len(given) == dims else given * dims


def _window(name: str, dims: int, kernel_size: Any, stride: Any, padding: Any, dilation: Any = 1) -> tuple[tuple[int, ...], ...]:
    kernel = _sizes(kernel_size, dims, name, "kernel_size")
    given = stride is not None and not (isinstance(stride, (list, tuple)) and not stride)
    strides = _sizes(stride, dims, name, "stride") if given else kernel
    return kernel, strides, _sizes(padding, dims, name, "padding"), _sizes(dilation, dims, name, "dilation")


def _batched(name: str, dims: int, input: Tensor) -> tuple[Tensor, bool]:
    """(N, C, *S) and whether the batch dimension was there."""
    check_tensor(name, "input", 1, input)
    rank = len(input.shape)
    if rank not in (dims + 1, dims + 2):
        if dims == 1:
            raise RuntimeError(
                f"{name}: Expected 2D or 3D (batch mode) tensor with optional 0 dim batch size for input, but got:{list(input.shape)}"
            )
        raise RuntimeError(f"non-empty {dims + 1}D or {dims + 2}D (batch mode) tensor expected for input")
    if 0 in input.shape[rank - dims - 1 :]:
        raise RuntimeError(
            f"Expected {dims + 1}D or {dims + 2}D (batch mode) tensor with optional 0 dim batch size for input, but got:{list(input.shape)}"
        )
    return (input, True) if rank == dims + 2 else (input.unsqueeze(0), False)  # type: ignore[attr-defined]


def _check_window(input: Tensor, kernel: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool) -> None:
    if any(k <= 0 for k in kernel) or any(s <= 0 for s in stride):
        raise RuntimeError(
            "kernel size should be greater than zero" if min(kernel) <= 0 and min(stride) > 0 else "stride should not be zero"
        )
    if any(d <= 0 for d in dilation):
        names = "DHW"[-len(dilation) :]
        raise RuntimeError(
            f"dilation should be greater than zero, but got {' '.join(f'dilation{n}: {d}' for n, d in zip(names, dilation, strict=True))}"
        )
    for k, p, d in zip(kernel, padding, dilation, strict=True):
        if p < 0:
            raise RuntimeError(f"pad must be non-negative, but got pad: {p}")
        if p > ((k - 1) * d + 1) // 2:
            raise RuntimeError(f"pad should be at most half of effective kernel size, but got pad={p}, kernel_size={k} and dilation={d}")
    out = ops.pooled_sizes(input.shape[2:], kernel, stride, padding, dilation, ceil_mode)
    if min(out) < 1:
        channels = input.shape[1]
        shown = [f"({'x'.join(map(str, (channels, *s)))})" for s in (input.shape[2:], out)]
        raise RuntimeError(f"Given input size: {shown[0]}. Calculated output size: {shown[1]}. Output size is too small")


def _back(t: Tensor, batched: bool) -> Tensor:
    if batched:
        return t
    out = t.squeeze(0)  # type: ignore[attr-defined]
    note(out, title(node_of(t)))
    return out  # type: ignore[no-any-return]


# ---------------------------------------------------------------- maximum
def _max(
    name: str, dims: int, input: Tensor, kernel_size: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool, indices: bool
) -> Any:
    x, batched = _batched(name, dims, input)
    window = _window(name, dims, kernel_size, stride, padding, dilation)
    _check_window(x, *window, ceil_mode)
    if dims == 1 and not indices and not x.dtype.is_floating_point:
        raise refuse("max_pool1d_impl", x.dtype)
    values = _back(unary(ops.max_pool, x, *window, bool(ceil_mode)), batched)
    if dims == 1:
        note(values, "SqueezeBackward1")
    return keeping((values, _back(unary(ops.max_pool_index, x, *window, bool(ceil_mode)), batched)), (), (1,)) if indices else values


def _define_max(dims: int) -> Any:
    name = f"max_pool{dims}d"

    def f(
        input: Tensor,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        dilation: Any = 1,
        ceil_mode: bool = False,
        return_indices: Any = False,
    ) -> Any:
        return _max(name, dims, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)

    def with_indices(
        input: Tensor,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        dilation: Any = 1,
        ceil_mode: bool = False,
        return_indices: Any = False,
    ) -> Any:
        return _max(name, dims, input, kernel_size, stride, padding, dilation, ceil_mode, True)

    f.__name__ = f.__qualname__ = name
    f.__doc__ = (
        f"The largest element of each window of (N, C, *S) or (C, *S), {dims} spatial dimension(s); with `return_indices` also where in "
        "its plane it is."
    )
    named(with_indices, f"{name}_with_indices", f"`{name}` with ``return_indices=True``.")

    def offered(input: Tensor, kernel_size: Any, stride: Any = (), padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False) -> Any:
        return _max(name, dims, input, kernel_size, stride, padding, dilation, ceil_mode, False)

    offered.__doc__ = f.__doc__
    function(method=False, name=name)(offered)
    return checked(f), checked(with_indices)


max_pool1d, max_pool1d_with_indices = _define_max(1)
max_pool2d, max_pool2d_with_indices = _define_max(2)
max_pool3d, max_pool3d_with_indices = _define_max(3)


@function(method=False, name="max_pool1d_with_indices")
def _with_indices(
    input: Tensor, kernel_size: Any, stride: Any = (), padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False
) -> tuple[Tensor, Tensor]:
    """`max_pool1d` and where in the input each maximum lies (int64)."""
    return max_pool1d(input, kernel_size, stride, padding, dilation, ceil_mode, True)  # type: ignore[no-any-return]


def _unpool(dims: int, input: Tensor, indices: Tensor, kernel_size: Any, stride: Any, padding: Any, output_size: Any) -> Tensor:
    name = f"max_unpool{dims}d"
    kernel, strides, pads, _ = _window(name, dims, kernel_size, stride, padding)
    if len(input.shape) not in (dims + 1, dims + 2):
        raise RuntimeError(
            f"Input to {name} should be a {dims + 1}d or {dims + 2}d Tensor, but got a tensor with {len(input.shape)} dimensions."
        )
    if indices.dtype is not dtypes.int64:
        from ...ops.formula import title

        raise RuntimeError(f"elements in indices should be type int64 but got: {title(indices.dtype)}")
    if tuple(indices.shape) != tuple(input.shape):
        raise RuntimeError(
            f"Expected shape of indices to be same as that of the input tensor ({list(input.shape)}) but got indices tensor with shape: "
            f"{list(indices.shape)}"
        )
    if not input.dtype.is_floating_point:
        raise refuse(f"max_unpool{max(dims, 2)}d", input.dtype)
    default = [(n - 1) * s - 2 * p + k for n, s, p, k in zip(input.shape[-dims:], strides, pads, kernel, strict=True)]
    sizes = _unpooled_sizes(default, strides, output_size, dims)
    batched = len(input.shape) == dims + 2
    x, at = (input, indices) if batched else (input.unsqueeze(0), indices.unsqueeze(0))  # type: ignore[attr-defined]
    found = _back(nary(ops.max_unpool, (x, at), sizes), batched)
    check_places(found, indices, math.prod(sizes), lambda bad: ops.bad_place(bad[-1], sizes))
    return found


def _unpooled_sizes(default: list[int], strides: Any, output_size: Any, dims: int) -> tuple[int, ...]:
    if output_size is None:
        return tuple(default)
    wanted = tuple(output_size)
    if len(wanted) == dims + 2:
        wanted = wanted[2:]
    if len(wanted) != dims:
        raise ValueError(
            f"output_size should be a sequence containing {dims} or {dims + 2} elements, but it has a length of '{len(wanted)}'"
        )
    for d, (got, base, s) in enumerate(zip(wanted, default, strides, strict=True)):
        if not base - s < got < base + s:
            raise ValueError(f'invalid output_size "{wanted}" (dim {d} must be between {base - s} and {base + s})')
    return wanted


@checked
@step("SqueezeBackward1")
def max_unpool1d(input: Tensor, indices: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, output_size: Any = None) -> Tensor:
    """The elements of (N, C, L) put back where `max_pool1d` found them, zeros elsewhere."""
    return _unpool(1, input, indices, kernel_size, stride, padding, output_size)


@checked
def max_unpool2d(input: Tensor, indices: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, output_size: Any = None) -> Tensor:
    """The elements of (N, C, H, W) put back where `max_pool2d` found them, zeros elsewhere."""
    return _unpool(2, input, indices, kernel_size, stride, padding, output_size)


@checked
def max_unpool3d(input: Tensor, indices: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, output_size: Any = None) -> Tensor:
    """The elements of (N, C, D, H, W) put back where `max_pool3d` found them, zeros elsewhere."""
    return _unpool(3, input, indices, kernel_size, stride, padding, output_size)


# ---------------------------------------------------------------- average
def _avg(
    name: str,
    dims: int,
    input: Tensor,
    kernel_size: Any,
    stride: Any,
    padding: Any,
    ceil_mode: bool,
    include_pad: bool,
    divisor: int | None,
) -> Tensor:
    if dims == 1 and len(input.shape) not in (2, 3):
        raise RuntimeError(
            f"Expected 2 to 3 dimensions, but got {len(input.shape)}-dimensional tensor for argument #1 'self' (while checking arguments "
            "for avg_pool1d)"
        )
    x, batched = _batched(name, dims, input)
    kernel, strides, pads, dilation = _window(name, dims, kernel_size, stride, padding)
    if divisor == 0:
        raise RuntimeError("divisor must be not zero")
    _check_window(x, kernel, strides, pads, dilation, ceil_mode)
    return _back(unary(ops.avg_pool, x, kernel, strides, pads, bool(ceil_mode), bool(include_pad), divisor), batched)


@function(method=False)
@step("SqueezeBackward1")
def avg_pool1d(
    input: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False, count_include_pad: bool = True
) -> Tensor:
    """The mean of each window of (N, C, L) or (C, L)."""
    return _avg("avg_pool1d", 1, input, kernel_size, stride, padding, ceil_mode, count_include_pad, None)


@checked
def avg_pool2d(
    input: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """The mean of each window of (N, C, H, W) or (C, H, W); zeros of the padding count if `count_include_pad`."""
    return _avg("avg_pool2d", 2, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)


@checked
def avg_pool3d(
    input: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """The mean of each window of (N, C, D, H, W) or (C, D, H, W)."""
    return _avg("avg_pool3d", 3, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)


def _lp(dims: int, input: Any, norm_type: float, kernel_size: Any, stride: Any, ceil_mode: bool) -> Tensor:
    """(sum of |x|^p)^(1/p) of each window, as PyTorch computes it: from the mean of x^p."""
    kernel = _sizes(kernel_size, dims, f"lp_pool{dims}d", "kernel_size")
    if norm_type in (math.inf, -math.inf):
        largest = _max(f"max_pool{dims}d", dims, math.copysign(1, norm_type) * _abs(input), kernel, stride, 0, 1, ceil_mode, False)
        return largest if norm_type > 0 else -largest  # type: ignore[no-any-return]
    mean = _avg(f"avg_pool{dims}d", dims, input**norm_type, kernel, stride, 0, ceil_mode, True, None)
    count = 1
    for k in kernel:
        count *= k
    return (_sign(mean) * _abs(mean).relu() * count) ** (1.0 / norm_type)  # type: ignore[no-any-return]


@checked
def lp_pool1d(input: Tensor, norm_type: float, kernel_size: int, stride: Any = None, ceil_mode: bool = False) -> Tensor:
    """The `norm_type`-norm of each window of (N, C, L) or (C, L)."""
    return _lp(1, input, norm_type, kernel_size, stride, ceil_mode)


@checked
def lp_pool2d(input: Tensor, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False) -> Tensor:
    """The `norm_type`-norm of each window of (N, C, H, W) or (C, H, W)."""
    return _lp(2, input, norm_type, kernel_size, stride, ceil_mode)


@checked
def lp_pool3d(input: Tensor, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False) -> Tensor:
    """The `norm_type`-norm of each window of (N, C, D, H, W) or (C, D, H, W)."""
    return _lp(3, input, norm_type, kernel_size, stride, ceil_mode)
