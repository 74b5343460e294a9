"""Integer draws and permutations."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from .. import dtypes
from .checks import C_NAME, DIGITS, LARGEST, NAME
from .engine import Engine
from .layout import Shape, arrange, element_count, rounded
from .native import address, kernels

__all__ = ["randint", "random_", "randperm"]

Array = np.ndarray[Any, Any]

WIDE_RANGE = 2**28  # from here on the remainder is taken of a 64-bit draw
LOWEST, HIGHEST = -(2**63), 2**63 - 1
INSIDE_OUT = 214748364  # permutations from this size on are built from 64-bit draws


def random_(
    engine: Engine, shape: Shape, strides: Shape | None, dtype: dtypes.dtype, low: int | None = None, high: int | None = None
) -> Array:
    """`Tensor.random_`: integers for a tensor of `shape` and element `strides` (None: row major), of `dtype`'s NumPy type
    (bfloat16 as float32).

    ``random_()``: all non-negative integers of the type, or up to 2^digits in floating-point types; ``random_(high)`` is
    ``low=0``; ``low`` without ``high``: up to the largest such value, or all 64 bits if `low` is -2^63. One word a value, two for
    int64 and float64 without bounds and for ranges from 2^28 on.

    RuntimeError for an empty range or bounds the type cannot hold, UserWarning for bounds it holds inexactly.
    """
    count = element_count(shape, strides)
    if low is None and high is None:
        if dtype.is_complex and count:
            raise NotImplementedError(f"\"random_kernel_cpu\" not implemented for '{NAME[dtype]}'")
        flat = _unbounded(engine, count, dtype) if count else np.empty(0)
    else:
        start = 0 if low is None else _checked_integer(low)
        if high is not None:
            start, stop = _bounds(dtype, start, _checked_integer(high))
            flat = _remainders(engine, count, stop - start, start)
        elif start == LOWEST:
            flat = _all_bits(engine, count, dtype)
        else:
            start, last = _open_bounds(dtype, start)
            flat = _remainders(engine, count, last - start + 1, start)
    return arrange(rounded(flat, dtype), shape, strides)


def randint(engine: Engine, low: int, high: int, shape: Shape, dtype: dtypes.dtype = dtypes.int64) -> Array:
    """`torch.randint`: integers of [low, high), row major."""
    return random_(engine, shape, None, dtype, low, high)


def _checked_integer(value: int) -> int:
    if not LOWEST <= value <= HIGHEST:
        raise ValueError("Overflow when unpacking long long")
    return int(value)


def _unbounded(engine: Engine, count: int, dtype: dtypes.dtype) -> Array:
    wide = dtype in (dtypes.int64, dtypes.float64)
    if dtype.is_floating_point:
        return _remainders(engine, count, 2 ** DIGITS[dtype] + 1, 0, wide)
    with engine.lock:
        draws = engine.raw_draws(count) if wide else engine.raw_words(count)
    mask = 1 if dtype is dtypes.bool_ else int(np.iinfo(dtype.storage).max)
    return (draws & np.uint64(mask)).view(np.int64)


def _all_bits(engine: Engine, count: int, dtype: dtypes.dtype) -> Array:
    if dtype not in (dtypes.int64, dtypes.float64, dtypes.float32, dtypes.bfloat16):
        if dtype in (dtypes.float16, dtypes.bool_) or dtype.is_complex:
            raise NotImplementedError(f"\"random_full_64_bits_range_kernel_cpu\" not implemented for '{NAME[dtype]}'")
        raise RuntimeError("random_full_64_bits_range_kernel_cpu handles only int64, double, float and bfloat16")
    return engine.draws64(count).view(np.int64)


def _remainders(engine: Engine, count: int, span: int, start: int, wide: bool | None = None) -> Array:
    """`count` int64 values draw % span + start; the width of a draw follows from the span unless given."""
    if wide is None:
        wide = span >= WIDE_RANGE
    native = kernels(count * 15.0)
    with engine.lock:
        if native is not None and count:
            out = np.empty(count, np.int64)
            (native.modulo64 if wide else native.modulo32)(engine.kernel_address(), address(out), count, span, start)
            return out
        draws = engine.raw_draws(count) if wide else engine.raw_words(count)
    return (draws % np.uint64(span)).view(np.int64) + start


def _limits(dtype: dtypes.dtype) -> tuple[int, int]:
    """The least and greatest integer of a type."""
    if dtype.is_complex:
        raise RuntimeError("check_random_bounds handles only integral, floating-point and boolean types")
    if dtype is dtypes.bool_:
        return 0, 1
    if dtype.is_floating_point:
        largest = int(LARGEST[dtype])
        return -largest, largest
    return int(np.iinfo(dtype.storage).min), int(np.iinfo(dtype.storage).max)


def _check_bounds(dtype: dtypes.dtype, first: int, last: int) -> None:
    least, greatest = _limits(dtype)
    for name, bound in (("from", first), ("to - 1", last)):
        if not least <= bound <= greatest:
            raise RuntimeError(f"{name} is out of bounds for {C_NAME[dtype]}")
    if dtype.is_floating_point:
        digits = DIGITS[dtype]
        for name, bound in (("from", first), ("to - 1", last)):
            if abs(bound) > 2**digits:
                warnings.warn(
                    f"{name} is out of bounds [-(2^{digits}), 2^{digits}]. Due to precision limitations {C_NAME[dtype]} can support "
                    "discrete uniform distribution only within this range.",
                    UserWarning,
                    stacklevel=5,
                )


def _bounds(dtype: dtypes.dtype, start: int, stop: int) -> tuple[int, int]:
    """[start, stop) checked and, in floating-point types, moved inwards to integers that survive the conversion."""
    if start >= stop:
        raise RuntimeError(f"random_ expects 'from' to be less than 'to', but got from={start} >= to={stop}")
    if dtype.is_floating_point:
        start, stop = _inner_start(start, dtype), _inner_stop(stop, dtype)
        if start >= stop:
            raise RuntimeError(
                f"random_ expects 'from' casted to dtype to be less than 'to' casted to dtype, but got from={start} >= to={stop}"
            )
    _check_bounds(dtype, start, stop - 1)
    return start, stop


def _open_bounds(dtype: dtypes.dtype, start: int) -> tuple[int, int]:
    """[start, greatest] of the type."""
    if dtype.is_complex:
        raise RuntimeError("random_from_to_impl handles only integral, floating-point and boolean types")
    last = 2 ** DIGITS[dtype] if dtype.is_floating_point else _limits(dtype)[1]
    if dtype.is_floating_point:
        start = _inner_start(start, dtype)
        if start >= last:
            raise RuntimeError(
                "random_ expects 'from' casted to dtype to be less than or equal to 'to_inc' casted to dtype, "
                f"but got from={start} > to_inc={last}"
            )
    _check_bounds(dtype, start, last)
    return start, last


def _through(value: int, dtype: dtypes.dtype) -> int | None:
    """An integer converted to a floating-point type and back; None where that overflows int64."""
    converted = float(rounded(np.array([value]), dtype)[0])
    return int(converted) if abs(converted) < 2.0**63 else None


def _spacing(value: int, dtype: dtypes.dtype) -> int:
    """The distance of neighbouring values of the type at a magnitude it no longer holds exactly."""
    return 2 ** (abs(value).bit_length() - DIGITS[dtype])


def _inner_start(start: int, dtype: dtypes.dtype) -> int:
    landed = _through(start + 1, dtype)
    if landed is None:
        landed = LOWEST  # what the conversion to int64 gives on x86
    return landed + _spacing(start + 1, dtype) if landed < start else start


def _inner_stop(stop: int, dtype: dtypes.dtype) -> int:
    landed = _through(stop - 1, dtype)
    if landed is None:
        landed = LOWEST
    return landed - _spacing(stop - 1, dtype) if landed >= stop else stop


def randperm(engine: Engine, count: int, dtype: dtypes.dtype = dtypes.int64) -> Array:
    """`torch.randperm`: 0 .. count-1 in random order, `count` - 1 words (two each from 214,748,364 on).

    RuntimeError if count is negative or the type cannot hold it, NotImplementedError for bool and complex types.
    """
    if count < 0:
        raise RuntimeError(f"Trying to create tensor with negative dimension {count}: [{count}]")
    if dtype is dtypes.bool_ or dtype.is_complex:
        raise NotImplementedError(f"\"randperm\" not implemented for '{NAME[dtype]}'")
    if dtype.is_floating_point and dtype is not dtypes.bfloat16 and count > 2 ** DIGITS[dtype] + 1:
        limit = "2049" if dtype is dtypes.float16 else f"2^{DIGITS[dtype]}+1"
        raise RuntimeError(f"n cannot be greater than {limit} for {NAME[dtype]} type.")
    if dtype.category == dtypes.INTEGER and count > np.iinfo(dtype.storage).max:
        raise RuntimeError(f"value cannot be converted to type {dtype.storage.name}_t without overflow")
    if count < 2:
        return rounded(np.arange(count), dtype)
    return rounded(_inside_out(engine, count) if count >= INSIDE_OUT else _swaps(engine, count), dtype)


def _swaps(engine: Engine, count: int) -> Array:
    native = kernels(count * 500.0)
    with engine.lock:
        if native is not None:
            out = np.empty(count, np.int32)
            native.permutation(engine.kernel_address(), address(out), count)
            return out
        words = engine.raw_words(count - 1)
    places = (words % np.arange(count, 1, -1, dtype=np.uint64)).tolist()
    order = list(range(count))
    for i, distance in enumerate(places):
        order[i], order[i + distance] = order[i + distance], order[i]
    return np.array(order, np.int64)


def _inside_out(engine: Engine, count: int) -> Array:
    native = kernels(count * 500.0)
    order = np.empty(count, np.int64)
    with engine.lock:
        if native is not None:
            native.inside_out(engine.kernel_address(), address(order), count)
            return order
        places = (engine.raw_draws(count) % np.arange(1, count + 1, dtype=np.uint64)).tolist()
    for i, place in enumerate(places):
        order[i] = order[place]
        order[place] = i
    return order
