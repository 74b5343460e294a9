"""Blocks and channels rearranged: unfold, fold, pixel_shuffle, pixel_unshuffle, channel_shuffle."""

from __future__ import annotations

import math
from typing import Any

from ... import formats
from ...asg.geometry import suggests_channels_last
from ...ops import fold as ops
from ...ops.conv import output_sizes
from ..core import Tensor, unary
from ..register import checked, function
from ..steps import step
from .arguments import wholes


def _pair(value: Any, what: str) -> tuple[int, int]:
    given = wholes(value)
    if len(given) == 1:
        given = given * 2
    if len(given) != 2:
        raise RuntimeError(f"It is expected {what} equals to 2, but got size {len(given)}")
    return given[0], given[1]


def _window(kernel_size: Any, dilation: Any, padding: Any, stride: Any) -> Any:
    k, d, p, s = _pair(kernel_size, "kernel_size"), _pair(dilation, "dilation"), _pair(padding, "padding"), _pair(stride, "stride")
    for name, (h, w), least in (("kernel_size", k, 1), ("dilation", d, 1), ("stride", s, 1)):
        if min(h, w) < least:
            raise RuntimeError(
                f"{name.split('_')[0]}{'size' * (name[0] == 'k')} should be greater than zero, but got {name}_height: {h} {name}_width: {w}"
            )
    if min(p) < 0:
        raise RuntimeError(f"padding should be non-negative, but got pad_height: {p[0]} pad_width: {p[1]}")
    return k, d, p, s


@checked
def unfold(input: Tensor, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1) -> Tensor:
    """Sliding blocks of (N, C, H, W) as columns: (N, C * kernel elements, positions)."""
    k, d, p, s = _window(kernel_size, dilation, padding, stride)
    rank = len(input.shape)
    if rank not in (3, 4) or 0 in input.shape[rank - 3 :]:
        raise RuntimeError(
            "Expected 3D or 4D (batch mode) tensor with possibly 0 batch size and other non-zero dimensions for input, but got: "
            f"{list(input.shape)}"
        )
    x = input if rank == 4 else input.unsqueeze(0)  # type: ignore[attr-defined]
    out = output_sizes(x.shape[2:], k, s, p, d)
    if min(out) < 1:
        raise RuntimeError(
            f"Given input with spatial size ({x.shape[2]}, {x.shape[3]}), kernel_size={k}, dilation={d}, padding={p}, stride={s}, "
            "calculated shape of the array of sliding "
            f"blocks as {out}, but its components must be at least one."
        )
    y = unary(ops.im2col, x, k, d, p, s)
    return y if rank == 4 else y.squeeze(0)  # type: ignore[attr-defined, no-any-return]


@checked
def fold(input: Tensor, output_size: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1) -> Tensor:
    """Columns (N, C * kernel elements, positions) added up into images (N, C, *output_size): the transpose of `unfold`."""
    size = _pair(output_size, "output_size")
    k, d, p, s = _window(kernel_size, dilation, padding, stride)
    rank = len(input.shape)
    if rank not in (2, 3) or 0 in input.shape[rank - 2 :]:
        raise RuntimeError(
            "Expected 2D or 3D (batch mode) tensor for input with possibly 0 batch size and non-zero dimensions for input, but got: "
            f"{list(input.shape)}"
        )
    x = input if rank == 3 else input.unsqueeze(0)  # type: ignore[attr-defined]
    taps = math.prod(k)
    if x.shape[1] % taps:
        raise RuntimeError(
            f"Expected size of input's dimension 1 to be divisible by the product of kernel_size, but got input.size(1)={x.shape[1]} and "
            f"kernel_size=({k[0]}, {k[1]})."
        )
    out = output_sizes(size, k, s, p, d)
    if x.shape[2] != math.prod(out):
        raise RuntimeError(
            f"Given output_size=({size[0]}, {size[1]}), kernel_size=({k[0]}, {k[1]}), dilation=({d[0]}, {d[1]}), padding=({p[0]}, {p[1]}), "
            f"stride=({s[0]}, {s[1]}), expected "
            f"size of input's dimension 2 to match the calculated number of sliding blocks {out[0]} * {out[1]} = {math.prod(out)}, but got "
            f"input.size(2)={x.shape[2]}."
        )
    y = unary(ops.col2im, x, size, k, d, p, s)
    return y if rank == 3 else y.squeeze(0)  # type: ignore[attr-defined, no-any-return]


# ---------------------------------------------------------------- channels <-> positions
def _as_given(input: Any, result: Any) -> Tensor:
    """Channels last if the input lies so."""
    last = suggests_channels_last(tuple(input.shape), input.stride())
    return result.contiguous(memory_format=formats.channels_last) if last and len(input.shape) == 4 else result  # type: ignore[no-any-return]


@function(method=False)
@step("PixelShuffleBackward0")
def pixel_shuffle(input: Tensor, upscale_factor: int) -> Tensor:
    """(*, C r^2, H, W) -> (*, C, H r, W r); Shi et al. (2016)."""
    r, shape = upscale_factor, tuple(input.shape)
    if len(shape) < 3:
        raise RuntimeError(f"pixel_shuffle expects input to have at least 3 dimensions, but got input with {len(shape)} dimension(s)")
    if r <= 0:
        raise RuntimeError(f"pixel_shuffle expects a positive upscale_factor, but got {r}")
    if shape[-3] % (r * r):
        raise RuntimeError(
            "pixel_shuffle expects its input's 'channel' dimension to be divisible by the square of upscale_factor, but "
            f"input.size(-3)={shape[-3]} is not divisible by {r * r}"
        )
    if r == 1:
        return _as_given(input, input.clone(memory_format=formats.contiguous_format))  # type: ignore[attr-defined]
    lead, (c, h, w) = shape[:-3], shape[-3:]
    n = len(lead)
    x = input.reshape(*lead, c // (r * r), r, r, h, w).permute(*range(n), n, n + 3, n + 1, n + 4, n + 2)
    return _as_given(input, x.reshape(*lead, c // (r * r), h * r, w * r))


@function(method=False)
@step("PixelUnshuffleBackward0")
def pixel_unshuffle(input: Tensor, downscale_factor: int) -> Tensor:
    """(*, C, H r, W r) -> (*, C r^2, H, W): the inverse of `pixel_shuffle`."""
    r, shape = downscale_factor, tuple(input.shape)
    if len(shape) < 3:
        raise RuntimeError(f"pixel_unshuffle expects input to have at least 3 dimensions, but got input with {len(shape)} dimension(s)")
    if r <= 0:
        raise RuntimeError(f"pixel_unshuffle expects a positive downscale_factor, but got {r}")
    if 0 in shape:  # as PyTorch leaves what is empty
        return input.clone()  # type: ignore[attr-defined, no-any-return]
    lead, (c, h, w) = shape[:-3], shape[-3:]
    for name, size in (("height", h), ("width", w)):
        if size % r:
            at = -2 if name == "height" else -1
            raise RuntimeError(
                f"pixel_unshuffle expects {name} to be divisible by downscale_factor, but input.size({at})={size} is not divisible by {r}"
            )
    if r == 1:
        return _as_given(input, input.clone(memory_format=formats.contiguous_format))  # type: ignore[attr-defined]
    n = len(lead)
    x = input.reshape(*lead, c, h // r, r, w // r, r).permute(*range(n), n, n + 2, n + 4, n + 1, n + 3)
    return _as_given(input, x.reshape(*lead, c * r * r, h // r, w // r))


@function(method=False, aliases=("native_channel_shuffle",))
@step("ChannelShuffleBackward0")
def channel_shuffle(input: Tensor, groups: int) -> Tensor:
    """The channels of (N, C, *) as (groups, C / groups), transposed; Zhang et al. (2018), "ShuffleNet"."""
    shape = tuple(input.shape)
    if len(shape) < 3:
        raise RuntimeError(f"channel_shuffle expects input with > 2 dims, but got input with sizes {list(shape)}")
    if groups <= 0:
        raise RuntimeError(f"Number of groups to divide channels in must be positive. Value of groups:{groups}")
    if shape[1] % groups:
        raise RuntimeError(f"Number of channels must be divisible by groups. Got {shape[1]} channels and {groups} groups.")
    if not math.prod(shape):
        return input.view(shape)  # type: ignore[attr-defined, no-any-return]
    return _as_given(input, input.reshape(shape[0], groups, shape[1] // groups, -1).transpose(1, 2).reshape(shape))


native_channel_shuffle = channel_shuffle
