"""Padding: with a constant (negative widths crop), or with the tensor's own elements (reflected, repeated, wrapped around)."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from .. import dtypes
from ..asg.declare import Array, Grads, Meta, Op, Sample
from ..asg.geometry import contiguous
from ..asg.node import Node, const
from .movement import full
from .pointwise import where
from .promotion import to

Widths = tuple[tuple[int, int], ...]  # elements added (or, if negative, removed) before and after, for every dimension
_X = np.arange(1.0, 13.0).reshape(1, 3, 4)


def _padded(shape: Any, widths: Widths) -> tuple[int, ...]:
    return tuple([n + a + b for n, (a, b) in zip(shape, widths, strict=True)])


def _crop(x: Array, widths: Widths) -> Array:
    return x[tuple(slice(max(-a, 0), n - max(-b, 0)) for n, (a, b) in zip(x.shape, widths, strict=True))]


# ---------------------------------------------------------------- with a constant
def _ref_constant(x: Array, widths: Widths, value: Any) -> Array:
    grown = [(max(a, 0), max(b, 0)) for a, b in widths]
    return np.pad(_crop(x, widths), grown, constant_values=x.dtype.type(value))


def _opposite(widths: Widths) -> Widths:
    return tuple([(-a, -b) for a, b in widths])


pad_constant = Op(
    "pad_constant",
    "shape",
    lambda x, widths, value: (_padded(x.shape, widths), x.dtype),
    _ref_constant,
    vjp=lambda n, g: (pad_constant(g, _opposite(n.attrs[0]), 0.0),),
    params=("widths", "value"),
    samples=lambda: [
        Sample((_X,), (((0, 0), (1, 0), (2, 1)), 0.5)),
        Sample((_X,), (((0, 0), (-1, 0), (2, -1)), 0.0)),
        Sample((_X[:0],), (((0, 0), (1, 0), (2, 1)), 1.0)),
        Sample((np.arange(3),), (((1, 1),), 2.0), False),
    ],
)


def _varied_constant(srcs: tuple[Node, ...], attrs: tuple[Any, ...]) -> Node:
    (x,), (widths, value) = srcs, attrs
    inside = pad_constant(full(const(True, dtypes.bool_), tuple(x.shape)), widths, False)
    return where(inside, pad_constant(x, widths, 0.0), to(value, x.dtype))


pad_constant.varying, pad_constant.varied = (1,), _varied_constant


# ---------------------------------------------------------------- with the tensor's own elements
@cache
def sources(mode: str, size: int, before: int, after: int) -> Any:
    """Which element of a dimension each padded position shows."""
    at = np.arange(-before, size + after)
    if mode == "replicate":
        return np.clip(at, 0, size - 1)
    if mode == "circular":  # negative widths crop first, what is left wraps around
        first = max(-before, 0)
        left = size - first - max(-after, 0)
        return (at - first) % max(left, 1) + first
    period = max(2 * (size - 1), 1)
    at = np.abs(at) % period
    return np.where(at >= size, period - at, at)


def _ref_mirror(x: Array, widths: Widths, mode: str) -> Array:
    for d, (a, b) in enumerate(widths):
        if a or b:
            x = np.take(x, sources(mode, x.shape[d], a, b), d)
    return x


def _rule_mirror_grad(g: Node, widths: Widths, mode: str) -> Meta:
    return _padded(g.shape, _opposite(widths)), g.dtype


def _ref_mirror_grad(g: Array, widths: Widths, mode: str) -> Array:
    for d, (a, b) in enumerate(widths):
        if a or b:
            moved = np.moveaxis(g, d, 0)
            size = g.shape[d] - a - b
            out = np.zeros((size, *moved.shape[1:]), g.dtype)
            kept = slice(max(-a, 0), size - max(-b, 0))
            out[kept] = moved[max(a, 0) : len(moved) - max(b, 0)]
            index = sources(mode, size, a, b)
            for i in (*range(max(a, 0)), *range(len(moved) - max(b, 0), len(moved))):  # the elements shown once more
                out[index[i]] += moved[i]
            g = np.moveaxis(out, 0, d)
    return np.ascontiguousarray(g)


def _vjp_mirror(n: Node, g: Node) -> Grads:
    return (pad_mirror_grad(g, *n.attrs),)


_CASES: tuple[tuple[Widths, str], ...] = (
    (((0, 0), (1, 2), (3, 1)), "reflect"),
    (((0, 0), (0, 2), (5, 1)), "replicate"),
    (((0, 0), (1, 2), (4, 3)), "circular"),
    (((0, 0), (0, 0), (-1, 2)), "reflect"),
    (((0, 0), (0, 0), (2, -1)), "circular"),
)


def _grad_samples() -> list[Sample]:
    return [Sample((np.linspace(-1, 1, int(np.prod(_padded(_X.shape, w)))).reshape(_padded(_X.shape, w)),), (w, m)) for w, m in _CASES]


pad_mirror_grad = Op(
    "pad_mirror_grad",
    "gradient",
    _rule_mirror_grad,
    _ref_mirror_grad,
    vjp=lambda n, g: (pad_mirror(g, *n.attrs),),
    params=("widths", "mode"),
    samples=_grad_samples,
)


def _rule_mirror(x: Node, widths: Widths, mode: str) -> Meta:
    shape = _padded(x.shape, widths)
    return (shape, x.dtype, contiguous(shape)) if mode == "circular" else (shape, x.dtype)


pad_mirror = Op(
    "pad_mirror",
    "shape",
    _rule_mirror,
    _ref_mirror,
    vjp=_vjp_mirror,
    saves=lambda n: None if n.attrs[1] == "circular" else n.srcs,  # PyTorch assembles circular padding from copies
    params=("widths", "mode"),
    samples=lambda: [Sample((_X,), (w, m)) for w, m in _CASES],
)
