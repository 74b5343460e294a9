"""Copying and filling strided memory, as loop kernels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ... import dtypes
from ...asg.declare import get
from ...compiler.kernel import Apply, Const, Convert, Load, LoopKernel, Operand
from ..views import broadcast
from . import loops
from .calls import Lowering, View


def copy(lowering: Lowering, src: View, dst: View, label: str = "copy") -> None:
    """Add the copy of `src`, broadcast to the shape of `dst`, into `dst`, element for element (types that lie alike). They must not
    overlap."""
    src, dst = _real(broadcast(src, dst.shape)), _real(dst)
    d = dst.dtype
    operands = Operand(d, src.strides), Operand(d, dst.strides)
    loops.lower(lowering, LoopKernel(dst.shape, len(dst.shape), operands, (Load(0, d),), ((1, 0),)), [src, dst], label)


def convert(lowering: Lowering, src: View, dst: View, label: str = "convert") -> None:
    """Add the copy of `src` into `dst`, of the same shape, as elements of another type."""
    operands = Operand(src.dtype, src.strides), Operand(dst.dtype, dst.strides)
    body = Load(0, src.dtype), Convert(0, dst.dtype)
    loops.lower(lowering, LoopKernel(dst.shape, len(dst.shape), operands, body, ((1, 1),)), [src, dst], label)


def add(lowering: Lowering, src: View, dst: View, label: str = "accumulate") -> None:
    """Add the sum of `dst` and `src`, broadcast to its shape, in place of `dst` (real numbers)."""
    d, src, formula = dst.dtype, broadcast(src, dst.shape), get("add").scalar
    assert formula is not None
    body = (Load(0, d), Load(1, d), Apply("add", (0, 1), (), d, d, formula))
    kernel = LoopKernel(dst.shape, len(dst.shape), (Operand(d, src.strides), Operand(d, dst.strides)), body, ((1, 2),))
    loops.lower(lowering, kernel, [src, dst], label)


def fill(lowering: Lowering, dst: View, value: Any, label: str = "fill") -> None:
    """Add writing one number to all of `dst`."""
    dst = _real(dst)
    k = LoopKernel(dst.shape, len(dst.shape), (Operand(dst.dtype, dst.strides),), (Const(value, dst.dtype),), ((0, 0),))
    loops.lower(lowering, k, [dst], label)


def _real(v: View) -> View:
    """Complex numbers as pairs of floats."""
    if not v.dtype.is_complex:
        return v
    strides = (*[2 * s for s in v.strides], 1)
    return replace(v, shape=(*v.shape, 2), strides=strides, offset=2 * v.offset, dtype=dtypes.float32)


def row_major(shape: Sequence[int]) -> tuple[int, ...]:
    """Strides of dense memory."""
    out, step = [], 1
    for n in reversed(shape):
        out.append(step)
        step *= max(n, 1)
    return tuple(reversed(out))


def temporary(lowering: Lowering, shape: Sequence[int], dtype: dtypes.dtype) -> View:
    """Dense memory of its own."""
    size = 8 if dtype.is_complex else 4
    count = 1
    for n in shape:
        count *= n
    return View(lowering.temporary(size * max(count, 1)), tuple(shape), row_major(shape), 0, dtype)
