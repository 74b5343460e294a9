"""Normal draws: Box-Muller in blocks of sixteen, or in pairs with a cached second value, as PyTorch chooses."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import dtypes
from . import cephes, doubles
from .checks import require_floating, shown
from .engine import Engine
from .layout import Shape, arrange, element_count, is_contiguous, nothing, rounded
from .native import address, kernels
from .uniform import uniform32, uniform64

__all__ = ["log_normal", "normal", "normal_tensors"]

Array = np.ndarray[Any, Any]

BLOCK = 16


def normal(engine: Engine, shape: Shape, strides: Shape | None, dtype: dtypes.dtype, mean: float = 0.0, std: float = 1.0) -> Array:
    """`Tensor.normal_(mean, std)`: values for a tensor of `shape` and element `strides` (None: row major), of `dtype`'s NumPy type
    (bfloat16 as float32).

    Contiguous tensors of 16 values or more are made in blocks: a word a value in float32, two in float64, and one more block if 16
    does not divide the size; float16 and bfloat16 skip the words such a block replaces. All others take pairs of float64 draws,
    the second value waiting in the generator for the next such call. Complex types share `std` between their two parts.

    RuntimeError for a negative `std`, NotImplementedError for integer types.
    """
    mean, std = float(mean), float(std)
    if not std >= 0.0:
        raise RuntimeError(f"normal expects std >= 0.0, but found std {shown(std)}")
    if dtype.is_complex:
        inner = None if strides is None else (*(2 * stride for stride in strides), 1)
        parts = normal(engine, (*shape, 2), inner, dtype.to_real(), mean, std / math.sqrt(2))
        return np.ascontiguousarray(parts).view(dtype.storage)[..., 0]
    count = element_count(shape, strides)
    if count == 0:
        return nothing(shape, dtype)
    require_floating(dtype, "normal_kernel_cpu")
    if count < BLOCK or not is_contiguous(shape, strides):
        return arrange(rounded(_pairs(engine, count, mean, std), dtype), shape, strides)
    if dtype is dtypes.float64:
        return _blocks64(engine, count, mean, std).reshape(shape)
    return rounded(_blocks32(engine, count, mean, std, dtype is dtypes.float32), dtype).reshape(shape)


def _blocks32(engine: Engine, count: int, mean: float, std: float, draw_leftover: bool) -> Array:
    """float32 normals for count >= 16; `draw_leftover`: the words after the last whole block are drawn and lost."""
    drawn = count if draw_leftover else count // BLOCK * BLOCK
    native = kernels(count * 60.0)
    if native is not None:
        out = np.empty(count, np.float32)
        with engine.lock:
            native.normal32(engine.kernel_address(), address(out), count, drawn, mean, std)
        return out
    ragged = count % BLOCK != 0
    draws = uniform32(engine, drawn + (BLOCK if ragged else 0))
    whole = count // BLOCK * BLOCK
    out = np.empty(count, np.float32)
    out[:whole] = _from_blocks(draws[:whole], mean, std)
    if ragged:
        out[-BLOCK:] = _from_blocks(draws[-BLOCK:], mean, std)
    return out


def _from_blocks(draws: Array, mean: float, std: float) -> Array:
    halves = draws.reshape(-1, 2, BLOCK // 2)
    pair = cephes.box_muller(halves[:, 0].reshape(-1), halves[:, 1].reshape(-1), mean, std)
    return np.stack([half.reshape(-1, BLOCK // 2) for half in pair], axis=1).reshape(-1)


def _blocks64(engine: Engine, count: int, mean: float, std: float) -> Array:
    ragged = count % BLOCK != 0
    draws = uniform64(engine, count + (BLOCK if ragged else 0))
    whole = count // BLOCK * BLOCK
    last = doubles.polar_blocks(draws[count:].copy(), mean, std) if ragged else None
    doubles.polar_blocks(draws[:whole], mean, std)
    values = draws[:count]
    if last is not None:
        values[-BLOCK:] = last
    return values


def _pairs(engine: Engine, count: int, mean: float, std: float) -> Array:
    """float64 normals one pair after another; an odd one stays in the generator."""
    with engine.lock:
        cached, engine.cached_normal = engine.cached_normal, None
        fresh = count - (cached is not None)
        made = doubles.polar_pairs(uniform64(engine, fresh + fresh % 2)) if fresh else np.empty(0)
        if fresh % 2:
            engine.cached_normal = float(made[-1])
            made = made[:-1]
    values = np.concatenate([[cached], made]) if cached is not None else made
    return doubles.affine(values, std, mean)


def normal_tensors(engine: Engine, shape: Shape, dtype: dtypes.dtype, mean: Array | float, std: Array | float) -> Array:
    """`torch.normal` with a tensor for `mean`, `std` or both (at most one may be a number), broadcast to `shape`, of `dtype`.

    The mean, and a tensor of deviations, are applied in `dtype` with one rounding each, unlike a number's.
    """
    deviations = isinstance(std, np.ndarray)
    if deviations and std.size and not std.min() >= 0:
        raise RuntimeError("normal expects all elements of std >= 0.0")
    values = normal(engine, shape, None, dtype, 0.0, 1.0 if deviations else std)
    with np.errstate(over="ignore", invalid="ignore"):
        if deviations:
            values = rounded(values * np.asarray(std).astype(values.dtype), dtype)
        return rounded(values + rounded(np.asarray(mean), dtype), dtype)


def log_normal(engine: Engine, shape: Shape, strides: Shape | None, dtype: dtypes.dtype, mean: float = 1.0, std: float = 2.0) -> Array:
    """`Tensor.log_normal_(mean, std)`: exp of paired float64 normals, whatever the size.

    RuntimeError unless std > 0, NotImplementedError for types that are not real floating-point.
    """
    mean, std = float(mean), float(std)
    if not std > 0.0:
        raise RuntimeError(f"log_normal_ expects std > 0.0, but found std={shown(std)}")
    count = element_count(shape, strides)
    if count == 0:
        return nothing(shape, dtype)
    require_floating(dtype, "log_normal_cpu")
    return arrange(rounded(doubles.exp(_pairs(engine, count, mean, std)), dtype), shape, strides)
