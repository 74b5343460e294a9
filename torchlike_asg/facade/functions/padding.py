"""torch.nn.functional.pad."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from ... import dtypes
from ...asg.node import check_held
from ...ops import padding as ops
from ...ops.formula import refuse
from ...ops.moving import mirror_at, pad_at
from .. import moving
from ..autocast import governed
from ..core import Tensor, node_of, unary, wrap
from ..hosted import indices
from ..places import at_data
from ..register import checked, function


@checked
def pad(input: Tensor, pad: Any, mode: str = "constant", value: float | None = None) -> Tensor:
    """`input` with elements added around it: `pad` lists (before, after) of the last dimension first.

    `mode`: "constant" (with `value`; negative widths crop), "reflect", "replicate" or "circular" (the last one to three dimensions).
    """
    if isinstance(pad, (tuple, list)) and bool in map(type, pad):
        at = [type(p) for p in pad].index(bool)
        raise TypeError(f"pad(): argument 'pad' (position 2) must be tuple of ints, but found element of type bool at pos {at}")
    return _padded(input, pad, mode, value)


def _padded(input: Tensor, pad: Any, mode: str, value: Any) -> Tensor:
    pairs = tuple([operator.index(p) for p in (pad if isinstance(pad, (tuple, list)) else (pad,))])
    rank = len(input.shape)
    if len(pairs) % 2:
        raise RuntimeError("Padding length must be divisible by 2")
    if len(pairs) > 2 * rank:
        raise RuntimeError(
            f"Padding length should be less than or equal to two times the input dimension but got padding length {len(pairs)} and input "
            f"of dimension {rank}"
        )
    widths = ((0, 0),) * (rank - len(pairs) // 2) + tuple([(pairs[i], pairs[i + 1]) for i in range(len(pairs) - 2, -1, -2)])
    for n, (a, b) in zip(input.shape, widths, strict=True):
        if mode == "constant" and n + min(a, 0) + min(b, 0) < 0:
            raise RuntimeError("narrow(): length must be non-negative.")
        if n + a + b < 0:
            raise RuntimeError(
                f"The input size {n}, plus negative padding {a} and {b} resulted in a negative output size, which is invalid. Check "
                "dimension of your input."
            )
    if mode == "constant":
        if input.dtype is dtypes.bool_:
            value = bool(value)
        elif value is not None:
            check_held(value, input.dtype)
        return _surrounded(input, widths, 0.0 if value is None else value)
    if mode not in ("reflect", "replicate", "circular"):
        raise NotImplementedError(f"Unrecognised padding mode {mode}")
    if value is not None and value != 0.0:
        raise RuntimeError(f'Padding mode "{mode}" doesn\'t take in value argument')
    count = len(pairs) // 2
    if count not in (1, 2, 3) or rank not in (count + 1, count + 2):
        raise NotImplementedError(f"Padding size {len(pairs)} is not supported for {rank}D input tensor.")
    if mode != "circular":
        if input.dtype is dtypes.bool_:
            raise refuse(f"{'replication' if mode == 'replicate' else 'reflection'}_pad{count}d", input.dtype)
        if 0 in input.shape[1 if rank == count + 2 else 0 :]:
            raise RuntimeError(
                f"Expected {count + 1}D or {count + 2}D (batch mode) tensor with possibly 0 batch size and other non-zero dimensions for "
                f"input, but got: {list(input.shape)}"
            )
    _check(mode, tuple(input.shape), widths, count)
    return _wrapped(input, widths, mode) if mode == "circular" else _mirrored(input, widths, mode)


def _extent(shape: Any, widths: ops.Widths) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The dimensions that are padded, and their sizes in the result."""
    dims = tuple([d for d, (a, b) in enumerate(widths) if a or b])
    return dims, tuple([shape[d] + sum(widths[d]) for d in dims])


def _surrounded(input: Tensor, widths: ops.Widths, value: Any) -> Tensor:
    """Padding with a constant. Widths that change from one iteration to the next, where the sizes do not, are data."""
    dims, sizes = extent = _extent(input.shape, widths)
    n = moving.moved(ops.pad_constant, input, (widths, value), (*extent, value)) if dims and all(sizes) else None
    if n is None:
        return unary(ops.pad_constant, input, widths, value)
    starts, margins = [], []
    for d, size in zip(dims, sizes, strict=True):
        (before, after), whole = widths[d], n.shape[d]
        grows, shrinks = before >= 0 and after >= 0 and size > whole, before <= 0 and after <= 0 and size < whole
        margin = None if grows else 0 if shrinks else size
        margins.append(margin)
        starts.append(before if margin is None else margin - before)
    kinds = bool if n.dtype is dtypes.bool_ else complex if n.dtype.is_complex else float if n.dtype.is_floating_point else int
    return wrap(pad_at(n, *[at_data(s, n) for s in starts], dims, sizes, tuple(margins), kinds(value)))


def _wrapped(input: Tensor, widths: ops.Widths, mode: str) -> Tensor:
    """Padding with the tensor's own elements."""
    dims, _ = extent = _extent(input.shape, widths)
    n = moving.moved(ops.pad_mirror, input, (widths, mode), (*extent, mode)) if dims else None
    if n is None:
        return unary(ops.pad_mirror, input, widths, mode)
    shown = [node_of(indices(ops.sources(mode, n.shape[d], *widths[d]), n.device)) for d in dims]
    return wrap(mirror_at(n, *shown, dims, mode))


_mirrored = governed(_wrapped, "reflection_pad")


def _check(mode: str, shape: tuple[int, ...], widths: ops.Widths, count: int) -> None:
    for d in range(len(shape) - count, len(shape)):
        a, b = widths[d]
        if mode == "reflect" and (a >= shape[d] or b >= shape[d]):
            raise RuntimeError(
                f"Argument #{4 + 2 * (len(shape) - 1 - d)}: Padding size should be less than the corresponding input dimension, but got: "
                f"padding ({a}, {b}) at dimension {d} "
                f"of input {list(shape)}"
            )
        if mode == "circular" and (a > shape[d] or b > shape[d]):
            raise RuntimeError("Padding value causes wrapping around more than once.")
        if shape[d] + a + b == 0 or not shape[d]:
            raise RuntimeError(
                f"Expected a non-empty input and output for padding mode {mode}, but got input of size {list(shape)} and widths ({a}, {b}) "
                f"at dimension {d}"
            )


@function(method=False)
def constant_pad_nd(input: Tensor, pad: Any, value: Any = 0) -> Tensor:
    """`torch.nn.functional.pad` with a constant, which may be a complex number."""
    if isinstance(value, Tensor) and not value.shape:
        value = value.item()
    if not isinstance(value, (int, float, complex, np.number)):
        raise TypeError(f"constant_pad_nd(): argument 'value' (position 3) must be Number, not {type(value).__name__}")
    if isinstance(value, complex) and not input.dtype.is_complex and input.dtype is not dtypes.bool_ and not value.imag:
        value = value.real
    return _padded(input, pad, "constant", value)
