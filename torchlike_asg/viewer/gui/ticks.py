"""Where the numbers of an axis stand, and how they are written."""

from __future__ import annotations

import math

from .say import short

Ticks = list[tuple[float, str]]


def linear(low: float, high: float, most: int, least: float = 0.0) -> Ticks:
    """Multiples of 1, 2 or 5 times a power of ten between two numbers: no more than `most` steps, none smaller than `least`."""
    span = high - low
    if not (math.isfinite(span) and span > 0) or most < 1:
        return []
    step = max(span / most, least)
    power = 10.0 ** math.floor(math.log10(step))
    step = next(f * power for f in (1, 2, 5, 10, 20) if f * power >= step * (1 - 1e-9) and span / (f * power) <= most)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [(k * step, write(k * step, step)) for k in range(first, last + 1)]


def decades(low: float, high: float, most: int) -> Ticks:
    """Powers of ten between the logarithms of two numbers, in between 2 and 5 if there is room; if there are less than two, as `linear`."""
    if not (math.isfinite(high - low) and high > low) or most < 1:
        return []
    first, last = math.ceil(low - 1e-9), math.floor(high + 1e-9)
    every = max(1, -(-(last - first + 1) // most))
    found = [(float(k), _power(k)) for k in range(first, last + 1) if k % every == 0]
    if every == 1 and 3 * (high - low) <= most:
        between = [(k + math.log10(f), short(f * 10.0**k)) for k in range(first - 1, last + 1) for f in (2, 5)]
        found = sorted(found + [t for t in between if low <= t[0] <= high])
    if len(found) < 2 and high - low < 2:
        found = [(math.log10(v), text) for v, text in linear(10.0**low, 10.0**high, most) if v > 0]
    return found


def _power(k: int) -> str:
    return short(10.0**k) if -3 <= k < 5 else f"1e{k}"


def write(value: float, step: float) -> str:
    """A multiple of `step`, with the digits that tell it from its neighbours."""
    if abs(value) < step / 2:
        return "0"
    if 1e-4 <= step and abs(value) < 1e6:
        return f"{value:.{max(0, -math.floor(math.log10(step) + 1e-9))}f}"
    digits = max(0, math.floor(math.log10(abs(value)) + 1e-9) - math.floor(math.log10(step) + 1e-9))
    number, _, power = f"{value:.{digits}e}".partition("e")
    return f"{number}e{int(power)}"
