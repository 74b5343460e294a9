"""Winograd's transformations at the points 0, 1/√2, -1/√2, √2, -√2 and infinity, and the addresses of a tile's pixels.

With d the 6 x 6 pixels of a tile, w a filter and y the 4 x 4 results, y = A' ((G w G') * (B' d B)) A, where A' stands for A transposed and
* for the product of elements; of this bilinear form the gradient by w is G' ((A y A') * (B' d B)) G. The points decide how much rounding is
amplified: convolutions and gradients of 32 channels are off by half on average, and by a quarter at most, of what they are at 1, -1, 2, -2.
(Barabasz et al. 2020, "Error analysis and improving the accuracy of Winograd convolution for deep neural networks", compare many points.)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from ..emit import Function
from ..values import Value, element

#: pixels of a tile before and after, places of a transformed tile
IN, OUT = 6, 4
PLACES = IN * IN
_LOW, _HIGH = math.sqrt(0.5), math.sqrt(2.0)
Line = Callable[[Sequence[Value]], list[Value]]


def filter_line(g: Sequence[Value]) -> list[Value]:
    """G of three elements."""
    f = g[0].f
    low, high = f.fma(g[2], -1 / 3, g[0] * (-2 / 3)), f.fma(g[2], 1 / 3, g[0] * (1 / 6))
    inner, outer = g[1] * (-2 / 3 * _LOW), g[1] * (1 / 6 * _HIGH)
    return [g[0], low + inner, low - inner, high + outer, high - outer, g[2]]


def input_line(d: Sequence[Value]) -> list[Value]:
    """B' of six elements."""
    f = d[0].f
    low = f.fma(d[2], -2.0, d[4]), f.fma(d[1], -2.0, d[3])
    high = f.fma(d[2], -0.5, d[4]), f.fma(d[1], -0.5, d[3])
    first, last = (f.fma(d[i + 2], -2.5, d[i] + d[i + 4]) for i in range(2))
    return [first, *_both(low, _LOW), *_both(high, _HIGH), last]


def output_line(m: Sequence[Value]) -> list[Value]:
    """A' of six elements."""
    f = m[0].f
    s, d, p, q = m[1] + m[2], (m[1] - m[2]) * _LOW, m[3] + m[4], (m[3] - m[4]) * _HIGH
    return [m[0] + s + p, d + q, f.fma(p, 2.0, s * 0.5), f.fma(q, 2.0, f.fma(d, 0.5, m[5]))]


def gradient_line(y: Sequence[Value]) -> list[Value]:
    """A of four elements."""
    f = y[0].f
    low = f.fma(y[2], 0.5, y[0]), f.fma(y[3], 0.5, y[1])
    high = f.fma(y[2], 2.0, y[0]), f.fma(y[3], 2.0, y[1])
    return [y[0], *_both(low, _LOW), *_both(high, _HIGH), y[3]]


def weight_line(s: Sequence[Value]) -> list[Value]:
    """G' of six elements."""
    f = s[0].f
    low, high = s[1] + s[2], s[3] + s[4]
    middle = f.fma(s[1] - s[2], -2 / 3 * _LOW, (s[3] - s[4]) * (1 / 6 * _HIGH))
    return [f.fma(high, 1 / 6, f.fma(low, -2 / 3, s[0])), middle, f.fma(high, 1 / 3, f.fma(low, -1 / 3, s[5]))]


def _both(parts: tuple[Value, Value], point: float) -> list[Value]:
    """Even and odd part of a polynomial, at a point and at its negative."""
    f = parts[0].f
    return [f.fma(parts[1], point, parts[0]), f.fma(parts[1], -point, parts[0])]


def square(line: Line, values: Sequence[Sequence[Value]]) -> list[list[Value]]:
    """A transformation of columns, then of rows: ``values[row][column]``."""
    columns = [line([row[j] for row in values]) for j in range(len(values[0]))]
    return [line([column[i] for column in columns]) for i in range(len(columns[0]))]


def store_addresses(
    f: Function,
    e: str,
    base: Value,
    steps: tuple[Value, Value],
    at: tuple[Value, Value],
    sizes: tuple[Value, Value],
    n: int,
    els: Value,
    to: Value,
) -> None:
    """Store the addresses of n x n pixels of an image at `base`, from row and column `at` on; `els` for those outside of the image."""
    inside, offset = [], []
    for step, start, size in zip(steps, at, sizes, strict=True):
        inside.append([f.compare("lt", start + i, size, unsigned=True) for i in range(n)])
        offset.append([(start + i) * step for i in range(n)])
    for i in range(n):
        for j in range(n):
            p = f.gep(base, offset[0][i] + offset[1][j], e)
            f.store(f.select(inside[0][i] & inside[1][j], p, els), f.gep(to, i * n + j, "i64"))


def transform_tile(
    f: Function, type_: str, line: Line, addresses: Value, n: int, channels: Value, to: Value, place: Value, step: int
) -> None:
    """Transform the n x n pixels at `addresses`, all channels, and store place after place from `to` on, `place` elements apart."""
    e = element(type_)
    with f.loop(0, channels, step) as c:
        pixels = [f.load(type_, f.gep(f.load("ptr", f.gep(addresses, p, "i64")), c, e)) for p in range(n * n)]
        target = f.gep(to, c, e)
        for row in square(line, [pixels[i : i + n] for i in range(0, n * n, n)]):
            for value in row:
                f.store(value, target)
                target = f.gep(target, place, e)
