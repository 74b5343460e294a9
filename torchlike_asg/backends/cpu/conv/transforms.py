"""Winograd's transformations at the points 0, 1, -1, 2, -2 and infinity, and the addresses of a tile's pixels.

With d the 6 x 6 pixels of a tile, w a filter and y the 4 x 4 results, y = A' ((G w G') * (B' d B)) A, where A' stands for A transposed and
* for the product of elements; of this bilinear form the gradient by w is G' ((A y A') * (B' d B)) G.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..emit import Function
from ..values import Value, element

#: pixels of a tile before and after, places of a transformed tile
IN, OUT = 6, 4
PLACES = IN * IN
Line = Callable[[Sequence[Value]], list[Value]]


def filter_line(g: Sequence[Value]) -> list[Value]:
    """G of three elements."""
    f = g[0].f
    middle = g[1] * (1 / 6)
    outer = (g[0] + g[2]) * (-1 / 6)
    low = f.fma(g[0], 1 / 24, g[2] * (1 / 6))
    half = g[1] * (1 / 12)
    return [g[0] * 0.25, outer - middle, outer + middle, low + half, low - half, g[2]]


def input_line(d: Sequence[Value]) -> list[Value]:
    """B' of six elements."""
    f = d[0].f
    a, b = f.fma(d[2], -4.0, d[4]), f.fma(d[1], -4.0, d[3])
    c, e = d[4] - d[2], d[3] - d[1]
    first = f.fma(d[0], 4.0, f.fma(d[2], -5.0, d[4]))
    last = f.fma(d[1], 4.0, f.fma(d[3], -5.0, d[5]))
    return [first, a + b, a - b, f.fma(e, 2.0, c), f.fma(e, -2.0, c), last]


def output_line(m: Sequence[Value]) -> list[Value]:
    """A' of six elements."""
    f = m[0].f
    s, d, p, q = m[1] + m[2], m[1] - m[2], m[3] + m[4], m[3] - m[4]
    return [m[0] + s + p, f.fma(q, 2.0, d), f.fma(p, 4.0, s), f.fma(q, 8.0, d) + m[5]]


def gradient_line(y: Sequence[Value]) -> list[Value]:
    """A of four elements."""
    f = y[0].f
    even, odd = y[0] + y[2], y[1] + y[3]
    twice, rest = f.fma(y[2], 4.0, y[0]), f.fma(y[3], 8.0, y[1] + y[1])
    return [y[0], even + odd, even - odd, twice + rest, twice - rest, y[3]]


def weight_line(s: Sequence[Value]) -> list[Value]:
    """G' of six elements."""
    f = s[0].f
    one, two = s[1] + s[2], s[3] + s[4]
    sixth = one * (-1 / 6)
    middle = f.fma(s[3] - s[4], 1 / 12, (s[2] - s[1]) * (1 / 6))
    return [f.fma(two, 1 / 24, f.fma(s[0], 0.25, sixth)), middle, f.fma(two, 1 / 6, sixth) + s[5]]


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
