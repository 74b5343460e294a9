"""A line search for the strong Wolfe conditions, by cubic interpolation (Nocedal and Wright, Numerical Optimization, section 3.5)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

__all__ = ["Point", "strong_wolfe"]

_DECREASE, _CURVATURE = 1e-4, 0.9  # c1 and c2 of the conditions


class Point(NamedTuple):
    """A point on the line: the step, and there the loss, its gradient and its derivative along the line."""

    step: Any
    loss: float
    gradient: np.ndarray[Any, Any]
    slope: Any


def strong_wolfe(
    line: Callable[[Any], Point], start: Point, step: float, longest: float, tolerance: float, limit: int
) -> tuple[Point, int]:
    """A point that satisfies the conditions, or the lowest one found within `limit` iterations, and the number of evaluations.

    `line` evaluates a step; `start` is the point at step 0, where the slope is negative. The search also ends when the bracket times
    `longest`, the largest element of the direction, is below `tolerance`.
    """
    with np.errstate(all="ignore"):
        before, point, count = start, line(np.float64(step)), 1
        for iteration in range(limit):
            if _too_high(point, start) or (iteration > 1 and point.loss >= before.loss):
                return _zoom(line, start, [before, point], longest, tolerance, limit - iteration, count)
            if _flat(point, start):
                return point, count
            if point.slope >= 0:
                return _zoom(line, start, [before, point], longest, tolerance, limit - iteration, count)
            least, most = point.step + 0.01 * (point.step - before.step), point.step * 10
            before, point = point, line(_cubic_minimum(before, point, least, most))
            count += 1
        return min(start, point, key=lambda p: p.loss), count


def _zoom(
    line: Callable[[Any], Point], start: Point, ends: list[Point], longest: float, tolerance: float, limit: int, count: int
) -> tuple[Point, int]:
    """Shrink the bracket between two points, which holds an acceptable one."""
    stuck = False
    low, high = _by_loss(ends)
    for _ in range(limit):
        if abs(ends[1].step - ends[0].step) * longest < tolerance:
            break
        left, right = sorted((ends[0].step, ends[1].step))
        step = _cubic_minimum(*ends, left, right)
        # a trial outside the bracket, or a second one near its edge, is moved a tenth of the bracket inwards
        margin = 0.1 * (right - left)
        near = min(right - step, step - left) < margin
        if near and (stuck or step >= right or step <= left):
            step = right - margin if abs(step - right) < abs(step - left) else left + margin
            near = False
        stuck = near
        point = line(step)
        count += 1
        if _too_high(point, start) or point.loss >= ends[low].loss:
            ends[high] = point
        else:
            if _flat(point, start):
                return point, count
            if point.slope * (ends[high].step - ends[low].step) >= 0:
                ends[high] = ends[low]
            ends[low] = point
        low, high = _by_loss(ends)
    return ends[low], count


def _by_loss(ends: list[Point]) -> tuple[int, int]:
    return (0, 1) if ends[0].loss <= ends[1].loss else (1, 0)


def _too_high(point: Point, start: Point) -> bool:
    return bool(point.loss > start.loss + _DECREASE * point.step * start.slope)


def _flat(point: Point, start: Point) -> bool:
    return bool(abs(point.slope) <= -_CURVATURE * start.slope)


def _cubic_minimum(a: Point, b: Point, least: Any, most: Any) -> Any:
    """The minimum between `least` and `most` of the cubic with the losses and slopes of two points; the middle if it has none."""
    if a.step > b.step:
        a, b = b, a
    d1 = a.slope + b.slope - 3 * (a.loss - b.loss) / (a.step - b.step)
    square = d1 * d1 - a.slope * b.slope
    if not square >= 0:
        return (least + most) / 2.0
    d2 = np.sqrt(square)
    return min(max(b.step - (b.step - a.step) * ((b.slope + d2 - d1) / (b.slope - a.slope + 2 * d2)), least), most)
