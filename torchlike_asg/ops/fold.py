"""Sliding blocks of images as columns, and columns summed back into images: transposes of each other.

Images (N, C, H, W), columns (N, C * taps, positions). Attributes: kernel, dilation, padding, stride.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..asg.declare import Array, Meta, Op, Sample
from ..asg.node import Node
from ..dtypes import INTEGER
from .conv import _columns, _padded, _window, output_sizes
from .formula import refuse

PARAMS = ("kernel_size", "dilation", "padding", "stride")


def _rule_unfold(x: Node, kernel: Any, dilation: Any, padding: Any, stride: Any) -> Meta:
    if x.dtype.category == INTEGER:
        raise refuse("im2col_out_cpu", x.dtype)
    out = output_sizes(x.shape[2:], kernel, stride, padding, dilation)
    return (x.shape[0], x.shape[1] * math.prod(kernel), math.prod(out)), x.dtype


def _ref_unfold(x: Array, kernel: Any, dilation: Any, padding: Any, stride: Any) -> Array:
    out = output_sizes(x.shape[2:], kernel, stride, padding, dilation)
    return _columns(_padded(x, padding), kernel, out, stride, dilation, 1)[:, 0]  # type: ignore[no-any-return]


def _rule_fold(x: Node, size: Any, kernel: Any, *_: Any) -> Meta:
    if x.dtype.category == INTEGER:
        raise refuse("col2im_out_cpu", x.dtype)
    return (x.shape[0], x.shape[1] // math.prod(kernel), *size), x.dtype


def _ref_fold(x: Array, size: Any, kernel: Any, dilation: Any, padding: Any, stride: Any) -> Array:
    out = output_sizes(size, kernel, stride, padding, dilation)
    columns = x.reshape(len(x), x.shape[1] // math.prod(kernel), *kernel, *out)
    image = np.zeros((*columns.shape[:2], *[n + 2 * p for n, p in zip(size, padding, strict=True)]), x.dtype)
    for tap in np.ndindex(*kernel):
        image[(..., *_window(tap, out, stride, dilation))] += columns[(slice(None), slice(None), *tap)]
    return np.ascontiguousarray(image[(..., *[slice(p, p + n) for n, p in zip(size, padding, strict=True)])])


_X = np.sin(1.7 * np.arange(180.0)).reshape(2, 3, 5, 6)
_CASES = (((2, 3), (1, 1), (0, 0), (1, 1)), ((2, 2), (2, 1), (1, 0), (2, 3)))

im2col = Op(
    "im2col",
    "shape",
    _rule_unfold,
    _ref_unfold,
    vjp=lambda n, g: (col2im(g, tuple(n.srcs[0].shape[2:]), *n.attrs),),
    params=PARAMS,
    samples=lambda: [Sample((_X,), c) for c in _CASES],
)
col2im = Op(
    "col2im",
    "shape",
    _rule_fold,
    _ref_fold,
    vjp=lambda n, g: (im2col(g, *n.attrs[1:]),),
    params=("size", *PARAMS),
    samples=lambda: [Sample((_ref_unfold(_X, *c),), ((5, 6), *c)) for c in _CASES],
)
