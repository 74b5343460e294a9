"""Where pixels come from: sizes, borders and matrices of image transforms. Plain numbers, no images."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

__all__ = ["affine_output_size", "four_sides", "inverse_affine", "perspective_coefficients", "resized"]


def resized(height: int, width: int, size: int | Sequence[int] | None, max_size: int | None = None) -> tuple[int, int]:
    """(height, width) after `Resize`: both edges given, or the shorter one (and the longer in proportion, at most `max_size`).

    With `size` None the longer edge becomes `max_size`.
    """
    if size is None:
        assert max_size is not None
        scale = max_size / max(height, width)
        return int(height * scale), int(width * scale)
    sizes = (size,) if isinstance(size, int) else tuple(size)
    if len(sizes) == 2:
        return int(sizes[0]), int(sizes[1])
    short, long = (width, height) if width <= height else (height, width)
    new_short, new_long = int(sizes[0]), int(sizes[0] * long / short)
    if max_size is not None:
        if max_size <= sizes[0]:
            raise ValueError(
                f"max_size = {max_size} must be strictly greater than the requested size for the smaller edge size = {list(sizes)}"
            )
        if new_long > max_size:
            new_short, new_long = int(max_size * new_short / new_long), max_size
    return (new_long, new_short) if width <= height else (new_short, new_long)


def four_sides(padding: int | Sequence[int]) -> tuple[int, int, int, int]:
    """(left, top, right, bottom) of a padding of one number, (left and right, top and bottom), or all four.

    Raises:
        TypeError: no number or sequence of them.
        ValueError: another length.
    """
    if not isinstance(padding, int | tuple | list):
        raise TypeError("Got inappropriate padding arg")
    sides = (padding,) if isinstance(padding, int) else tuple(padding)
    if len(sides) not in (1, 2, 4):
        raise ValueError(f"Padding must be an int or a 1, 2, or 4 element tuple, not a {len(sides)} element tuple")
    left, top, right, bottom = sides * (4 // len(sides))
    return left, top, right, bottom


def inverse_affine(
    center: Sequence[float], angle: float, translate: Sequence[float], scale: float, shear: Sequence[float], inverted: bool = True
) -> list[float]:
    """The six numbers (a, b, c, d, e, f) that take an output pixel (x, y) to the input pixel (a x + b y + c, d x + e y + f).

    The transform is: move `center` to the origin, shear (degrees along x and y), rotate by `angle` degrees clockwise, scale, move back,
    translate. With ``inverted=False`` the forward matrix.
    """
    rotation, shear_x, shear_y = math.radians(angle), math.radians(shear[0]), math.radians(shear[1])
    (cx, cy), (tx, ty) = center, translate
    # rotation @ shear, entry by entry
    a = math.cos(rotation - shear_y) / math.cos(shear_y)
    b = -math.cos(rotation - shear_y) * math.tan(shear_x) / math.cos(shear_y) - math.sin(rotation)
    c = math.sin(rotation - shear_y) / math.cos(shear_y)
    d = -math.sin(rotation - shear_y) * math.tan(shear_x) / math.cos(shear_y) + math.cos(rotation)
    if inverted:  # the determinant of rotation @ shear is 1
        m = [d / scale, -b / scale, 0.0, -c / scale, a / scale, 0.0]
        before, after = (-cx - tx, -cy - ty), (cx, cy)
    else:
        m = [a * scale, b * scale, 0.0, c * scale, d * scale, 0.0]
        before, after = (-cx, -cy), (cx + tx, cy + ty)
    m[2] += m[0] * before[0] + m[1] * before[1]
    m[5] += m[3] * before[0] + m[4] * before[1]
    m[2] += after[0]
    m[5] += after[1]
    return m


def affine_output_size(matrix: Sequence[float], width: int, height: int) -> tuple[int, int]:
    """(width, height) of the smallest image that holds all of an image transformed by `matrix`, which is in float32 as in torchvision."""
    corners = np.array([[sx * width, sy * height, 1.0] for sx, sy in ((-0.5, -0.5), (-0.5, 0.5), (0.5, 0.5), (0.5, -0.5))], np.float32)
    moved = corners @ np.array(matrix, np.float32).reshape(2, 3).T + np.array([width * 0.5, height * 0.5], np.float32)
    tolerance = np.float32(1e-4)  # a corner that rounding put just past a pixel's edge takes no new pixel
    high = np.ceil(np.trunc(moved.max(0) / tolerance) * tolerance)
    low = np.floor(np.trunc(moved.min(0) / tolerance) * tolerance)
    across, down = high - low
    return int(across), int(down)


def perspective_coefficients(start: Sequence[Sequence[float]], end: Sequence[Sequence[float]]) -> list[float]:
    """The eight numbers of the projective map that takes the corners `end` of the output to the corners `start` of the input."""
    if len(start) != 4 or len(end) != 4:
        raise ValueError(f"Please provide exactly four corners, got {len(start)} startpoints and {len(end)} endpoints.")
    rows: list[list[Any]] = []
    for (x, y), (u, v) in zip(end, start, strict=True):
        rows.append([x, y, 1, 0, 0, 0, -u * x, -u * y])
        rows.append([0, 0, 0, x, y, 1, -v * x, -v * y])
    wanted = np.array(start, np.float64).reshape(8)
    found = np.linalg.lstsq(np.array(rows, np.float64), wanted, rcond=None)[0]
    return [float(c) for c in found.astype(np.float32)]
