"""Interpolation and sampling of images: interpolate, upsample, grid_sample, affine_grid."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from ... import dtypes
from ...asg.reference import rounded
from ...ops import resize as ops
from ...ops import sampling
from ...ops.promotion import title
from ..core import Tensor, nary, unary
from ..register import checked, function
from .adaptive_pooling import adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d
from .spaced import spaced

_MODES = {"linear": 3, "bilinear": 4, "bicubic": 4, "lanczos": 4, "trilinear": 5}


@checked
def interpolate(
    input: Tensor,
    size: object = None,
    scale_factor: Any = None,
    mode: Any = "nearest",
    align_corners: Any = None,
    recompute_scale_factor: Any = None,
    antialias: Any = False,
) -> Tensor:
    """(N, C, *S) resized to `size` or by `scale_factor`.

    `mode`: "nearest", "nearest-exact", "area" (any rank), "linear" (N, C, L), "bilinear", "bicubic", "lanczos" (N, C, H, W) or
    "trilinear" (N, C, D, H, W).
    `align_corners` maps corner elements onto each other. `recompute_scale_factor` uses the ratio of sizes instead of the given factor.
    `antialias` widens the filter when shrinking (bilinear and bicubic; always for lanczos).
    """
    if mode in ("nearest", "area", "nearest-exact"):
        if align_corners is not None:
            raise ValueError("align_corners option can only be set with the interpolating modes: linear | bilinear | bicubic | trilinear")
    elif align_corners is None:
        align_corners = False
    dims = len(input.shape) - 2
    sizes, scales = _targets(input, size, scale_factor, dims)
    if recompute_scale_factor is not None and recompute_scale_factor:
        if size is not None:
            raise ValueError("recompute_scale_factor is not meaningful with an explicit size.")
        sizes, scales = _scaled(input, scales), (None,) * dims
    if antialias and not (mode in ("bilinear", "bicubic", "lanczos") and dims == 2):
        raise ValueError("Anti-alias option is restricted to bilinear, bicubic, and lanczos modes and requires a 4-D tensor as input")
    if mode == "lanczos" and dims == 2:
        if align_corners:
            raise ValueError("Lanczos mode does not support align_corners=True")
        if not antialias:
            raise ValueError("Lanczos mode requires antialias=True")
    outs = sizes if sizes is not None else _scaled(input, scales)
    if dims in (1, 2, 3) and mode == "area":
        return (adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d)[dims - 1](input, outs)  # type: ignore[no-any-return]
    if mode not in ("nearest", "nearest-exact") or dims not in (1, 2, 3):
        _check_mode(mode, dims)
    if min(outs) <= 0 or 0 in input.shape[2:]:
        raise RuntimeError(
            f"Input and output sizes should be greater than 0, but got input ({', '.join(map(str, input.shape[2:]))}) and output "
            f"({', '.join(map(str, outs))})"
        )
    if input.shape[1] == 0:
        raise RuntimeError(f"Non-empty {dims + 2}D data tensor expected but got a tensor with sizes {list(input.shape)}")
    return unary(
        ops.interpolate,
        input,
        outs,
        mode if mode in ("nearest", "nearest-exact", "bicubic", "lanczos") else "linear",
        bool(align_corners),
        scales,
        bool(antialias),
    )


def _targets(input: Tensor, size: Any, scale_factor: Any, dims: int) -> tuple[Any, tuple[Any, ...]]:
    """(sizes or None, scale of each dimension or None)."""
    if size is not None and scale_factor is not None:
        raise ValueError("only one of size or scale_factor should be defined")
    if size is None and scale_factor is None:
        raise ValueError("either size or scale_factor should be defined")
    given = size if size is not None else scale_factor
    if isinstance(given, (list, tuple)):
        if len(given) != dims:
            subject, what = ("output", "output size of") if size is not None else ("scale_factor", "scale_factor of shape")
            form = "output size in (o1, o2, ...,oK)" if size is not None else "scale_factor in (s1, s2, ...,sK)"
            raise ValueError(
                f"Input and {subject} must have the same number of spatial dimensions, but got input with spatial dimensions of "
                f"{list(input.shape[2:])} and {what} {given}. Please provide input tensor in (N, C, d1, d2, ...,dK) format and {form} "
                "format."
            )
        values = tuple(given)
    else:
        values = (given,) * dims
    if size is not None:
        return tuple([_length(v) for v in values]), (None,) * dims
    return None, tuple([_factor(v) for v in values])


def _length(value: Any) -> int:
    n = None if isinstance(value, (bool, float)) or (isinstance(value, Tensor) and value.dtype.is_floating_point) else value
    if not hasattr(n, "__index__") or abs(int(n)) >> 63:
        raise TypeError(f"interpolate(): argument 'size' (position 2) must be int or tuple of ints, not {type(value).__name__}")
    return int(n)


def _factor(value: Any) -> float:
    if isinstance(value, (str, bytes)):
        raise TypeError(f"interpolate(): argument 'scale_factor' (position 3) must be float or tuple of floats, not {type(value).__name__}")
    return float(value)


def _scaled(input: Tensor, scales: Any) -> tuple[int, ...]:
    return tuple([int(np.floor(float(n) * s)) for n, s in zip(input.shape[2:], scales, strict=True)])


def _check_mode(mode: str, dims: int) -> None:
    if mode in _MODES:
        if _MODES[mode] == dims + 2:
            return
        if dims in (1, 2, 3):
            raise NotImplementedError(f"Got {dims + 2}D input, but {mode} mode needs {_MODES[mode]}D input")
    raise NotImplementedError(
        "Input Error: Only 3D, 4D and 5D input Tensors supported"
        f" (got {dims + 2}D) for the modes: nearest | linear | bilinear | bicubic | trilinear | lanczos | area | nearest-exact (got {mode})"
    )


def upsample(input: Tensor, size: Any = None, scale_factor: Any = None, mode: str = "nearest", align_corners: bool | None = None) -> Tensor:
    """Deprecated: `interpolate`."""
    warnings.warn("`nn.functional.upsample` is deprecated. Use `nn.functional.interpolate` instead.", stacklevel=2)
    return interpolate(input, size, scale_factor, mode, align_corners)


def upsample_nearest(input: Tensor, size: Any = None, scale_factor: Any = None) -> Tensor:
    """Deprecated: ``interpolate(mode="nearest")``."""
    warnings.warn("`nn.functional.upsample_nearest` is deprecated. Use `nn.functional.interpolate` instead.", stacklevel=2)
    return interpolate(input, size, scale_factor, mode="nearest")


def upsample_bilinear(input: Tensor, size: Any = None, scale_factor: Any = None) -> Tensor:
    """Deprecated: ``interpolate(mode="bilinear", align_corners=True)``."""
    warnings.warn("`nn.functional.upsample_bilinear` is deprecated. Use `nn.functional.interpolate` instead.", stacklevel=2)
    return interpolate(input, size, scale_factor, mode="bilinear", align_corners=True)


# ---------------------------------------------------------------- places given by a grid
GRID_SAMPLE_INTERPOLATION_MODES = {"bilinear": 0, "nearest": 1, "bicubic": 2}
GRID_SAMPLE_PADDING_MODES = {"zeros": 0, "border": 1, "reflection": 2}


@checked
def grid_sample(
    input: Tensor, grid: Tensor, mode: str = "bilinear", padding_mode: str = "zeros", align_corners: bool | None = None
) -> Tensor:
    """(N, C, *S) read at the places of `grid` (N, *P, dimensions), x first, in [-1, 1]: (N, C, *P).

    `mode`: "bilinear", "nearest" or (two dimensions) "bicubic"; `padding_mode` for places outside: "zeros", "border" or "reflection".
    """
    if mode not in GRID_SAMPLE_INTERPOLATION_MODES:
        raise ValueError(f"nn.functional.grid_sample(): expected mode to be 'bilinear', 'nearest' or 'bicubic', but got: '{mode}'")
    if padding_mode not in GRID_SAMPLE_PADDING_MODES:
        raise ValueError(
            f"nn.functional.grid_sample(): expected padding_mode to be 'zeros', 'border', or 'reflection', but got: '{padding_mode}'"
        )
    if align_corners is None:
        warnings.warn(
            "Default grid_sample and affine_grid behavior has changed to align_corners=False since 1.3.0. Please specify "
            "align_corners=True if the old "
            "behavior is desired. See the documentation of grid_sample for details.",
            stacklevel=2,
        )
        align_corners = False
    dims = len(input.shape) - 2
    sizes = f"but got input with sizes {list(input.shape)} and grid with sizes {list(grid.shape)}"
    if input.shape[0] != grid.shape[0]:
        raise RuntimeError(f"grid_sampler(): expected grid and input to have same batch size, {sizes}")
    if grid.shape[-1] != dims:
        raise RuntimeError(
            f"grid_sampler(): expected grid to have size {dims} in last dimension, but got grid with sizes {list(grid.shape)}"
        )
    for d in range(2, dims + 2):
        if not input.shape[d]:
            raise RuntimeError(
                f"grid_sampler(): expected input to have non-empty spatial dimensions, but input has sizes {list(input.shape)} with "
                f"dimension {d} being empty"
            )
    if dims not in (2, 3) or len(grid.shape) != dims + 2:
        raise RuntimeError(f"grid_sampler(): expected {4 if dims == 2 else 5}D input and grid with same number of dimensions, {sizes}")
    if mode == "bicubic" and dims == 3:
        raise RuntimeError("grid_sampler(): bicubic interpolation only supports 4D input")
    if input.dtype is not grid.dtype:
        raise RuntimeError(f"expected scalar type {title(input.dtype)} but found {title(grid.dtype)}")
    if mode == "nearest":
        return nary(sampling.grid_sample_nearest, (input, grid), padding_mode, align_corners)
    return nary(sampling.grid_sample, (input, grid), mode, padding_mode, align_corners)


@checked
def affine_grid(theta: Tensor, size: Any, align_corners: bool | None = None) -> Tensor:
    """The grid for `grid_sample` that applies the affine maps `theta`, (N, 2, 3) or (N, 3, 4), to an output of `size` (N, C, *S)."""
    from .creation import from_array

    if align_corners is None:
        warnings.warn(
            "Default grid_sample and affine_grid behavior has changed to align_corners=False since 1.3.0. Please specify "
            "align_corners=True if the old "
            "behavior is desired. See the documentation of grid_sample for details.",
            stacklevel=3,
        )
        align_corners = False
    if not theta.dtype.is_floating_point:
        raise ValueError(f"Expected theta to have floating point type, but got {theta.dtype}")
    dims = len(size) - 2
    if dims not in (2, 3):
        raise NotImplementedError(
            f"affine_grid only supports 4D and 5D sizes, for 2D and 3D affine transforms, respectively. Got size {tuple(size)}."
        )
    if len(theta.shape) != 3 or tuple(theta.shape[-2:]) != (dims, dims + 1):
        raise ValueError(
            f"Expected a batch of {dims}D affine matrices of shape Nx{dims}x{dims + 1} for size {tuple(size)}. Got {theta.shape}."
        )
    if min(size) <= 0:
        raise ValueError(f"Expected non-zero, positive output size. Got {tuple(size)}")
    if align_corners and min(size[2:]) == 1:
        warnings.warn(
            "Since version 1.3.0, affine_grid behavior has changed for unit-size grids when align_corners=True. This is not an intended "
            "use case of affine_grid. See the documentation of affine_grid for details.",
            stacklevel=3,
        )
    axes = np.meshgrid(*(_across(n, align_corners, theta.dtype) for n in size[2:]), indexing="ij")[::-1]
    base = np.stack([*axes, np.ones(tuple(size[2:]), theta.dtype.compute)], -1).reshape(1, -1, dims + 1)
    places: Any = from_array(base, theta.dtype, theta.device)
    return (places @ theta.transpose(1, 2)).reshape(size[0], *size[2:], dims)  # type: ignore[no-any-return]


def _across(n: int, align_corners: bool, d: dtypes.dtype) -> Any:
    """An axis of the grid of the identity, rounded as PyTorch rounds it: there `grid_sample` reads elements themselves, and the side to
    which a place is rounded decides which of two derivatives it gets."""
    if n == 1:
        return np.zeros(1, d.compute)
    line = spaced(-1, 1, n, d)
    return line if align_corners else rounded(rounded(line * line.dtype.type(n - 1), d) / line.dtype.type(n), d)


@function(method=False, name="affine_grid_generator")
def _affine_grid_generator(theta: Tensor, size: Any, align_corners: bool) -> Tensor:
    """`torch.nn.functional.affine_grid`."""
    return affine_grid(theta, size, align_corners)


def _grid_sampler(input: Tensor, grid: Tensor, interpolation_mode: int, padding_mode: int, align_corners: bool) -> Tensor:
    """`torch.nn.functional.grid_sample` with numbered modes."""
    modes, paddings = list(GRID_SAMPLE_INTERPOLATION_MODES), list(GRID_SAMPLE_PADDING_MODES)
    return grid_sample(input, grid, modes[interpolation_mode], paddings[padding_mode], align_corners)


for _name in ("grid_sampler", "grid_sampler_2d", "grid_sampler_3d"):
    function(method=False, name=_name)(_grid_sampler)
