"""Elements in another order, repeated, on a diagonal or cut to a triangle."""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np

from ... import dtypes
from ...asg.geometry import contiguous
from ...asg.limits import check_size
from ...asg.node import Node, const
from ...formats import contiguous_format
from ...ops import arrange as ops
from ...ops import movement
from ...ops.formula import refuse
from ...ops.moving import tril_at, triu_at
from ...ops.window import roll_at
from .. import moving
from ..core import Tensor, node_of, unary, wrap
from ..families import view
from ..held import value_of
from ..hosted import data, indices
from ..misfits import combination
from ..places import at_data
from ..register import function, method, named
from ..steps import step
from .creation import finish
from .factory_arguments import device_of, sizes, whole_size
from .indexing import index_select
from .views import dims_of, permute, reshape, transpose, wrap_dim


def only(given: tuple[Any, ...], named: dict[str, Any], name: str) -> tuple[Any, ...]:
    """Arguments that may come one by one, as one sequence, or as a keyword."""
    if name in named and not given:
        return (named.pop(name),)
    if named:
        raise TypeError(f"unexpected keyword argument '{next(iter(named))}'")
    return given


# ---------------------------------------------------------------- order
@function()
def flip(input: Tensor, *dims: Any, **named: Any) -> Tensor:
    """A copy with the order along some dimensions reversed."""
    found = dims_of(sizes(only(dims, named, "dims"), "dims", "flip"), len(input.shape))
    return unary(ops.flip, input, *(sorted(found) if input.shape else ()))


@function()
def fliplr(input: Tensor) -> Tensor:
    """A copy with dimension 1 reversed."""
    if len(input.shape) < 2:
        raise RuntimeError("Input must be >= 2-d.")
    return flip(input, 1)  # type: ignore[no-any-return]


@function()
def flipud(input: Tensor) -> Tensor:
    """A copy with dimension 0 reversed."""
    if not input.shape:
        raise RuntimeError("Input must be >= 1-d.")
    return flip(input, 0)  # type: ignore[no-any-return]


@function()
@step("RollBackward0")
def roll(input: Tensor, shifts: Any, dims: Any = None) -> Tensor:
    """A copy with the elements moved along dimensions, coming in again at the other end; without `dims`, as one flat vector."""
    by = (shifts,) if not isinstance(shifts, (tuple, list)) else tuple(shifts)
    along = () if dims is None else (dims,) if not isinstance(dims, (tuple, list)) else tuple(dims)
    if not by:
        raise RuntimeError("`shifts` required")
    if not along and len(by) == 1:
        flat = _rolled(node_of(reshape(input, -1)), (whole_size(operator.index(by[0])),), (0,))
        return wrap(movement.reshape(flat, tuple(input.shape)))
    if len(by) != len(along):
        raise RuntimeError(f"shifts and dimensions must align. shifts: {len(by)}, dims:{len(along)}")
    if not input.shape:
        raise IndexError(f"Dimension specified as {along[0]} but tensor has no dimensions")
    dims = tuple([wrap_dim(d, len(input.shape)) for d in along])
    return wrap(_rolled(node_of(input), tuple([whole_size(operator.index(s)) for s in by]), dims))


def _rolled(n: Node, shifts: tuple[int, ...], dims: tuple[int, ...]) -> Node:
    """`roll`; shifts that change from one iteration to the next are data."""
    if (n, shifts, dims) in ops.roll.table or not (n.numel and n.ndim) or not moving.moves(ops.roll, n, (shifts, dims), dims):
        return ops.roll(n, shifts, dims)
    first, back = [[at_data(sign * s % n.shape[d], n) for s, d in zip(shifts, dims, strict=True)] for sign in (-1, 1)]
    return roll_at(n, *first, *back, dims)


@function()
@step("Rot90Backward0")
def rot90(input: Tensor, k: int = 1, dims: Any = (0, 1)) -> Tensor:
    """A copy turned by `k` quarter turns in the plane of two dimensions, from the first towards the second."""
    rank = len(input.shape)
    whole_size(k)
    if len(dims) != 2:
        raise RuntimeError(f"expected total rotation dims == 2, but got dims = {len(dims)}")
    if rank < 2:
        raise RuntimeError(f"expected total dims >= 2, but got total dims = {rank}")
    a, b = (wrap_dim(d, rank) for d in dims)
    if a == b:
        raise RuntimeError(f"expected rotation dims to be different, but got dim0 = {dims[0]} and dim1 = {dims[1]}")
    k %= 4
    if k == 0:
        return input.clone(memory_format=contiguous_format)  # type: ignore[attr-defined, no-any-return]
    if k == 2:
        return flip(input, a, b)  # type: ignore[no-any-return]
    return transpose(flip(input, b), a, b) if k == 1 else transpose(flip(input, a), a, b)  # type: ignore[no-any-return]


# ---------------------------------------------------------------- repetition
def _repeated(input: Tensor, times: tuple[int, ...]) -> Tensor:
    size = [n * k for n, k in zip((1,) * (len(times) - len(input.shape)) + tuple(input.shape), times, strict=True)]
    if any(n < 0 for n in size):
        raise RuntimeError(f"Trying to create tensor with negative dimension {min(size)}: {size}")
    return unary(ops.repeat, input, *times)


@method("repeat")
def repeat(self: Tensor, *repeats: Any, **named: Any) -> Tensor:
    """A copy tiled so many times along each dimension; further leading numbers add dimensions."""
    times = sizes(only(repeats, named, "repeats"), "repeats", "repeat")
    if len(times) < len(self.shape):
        raise RuntimeError("Number of dimensions of repeat dims can not be smaller than number of dimensions of tensor")
    return _repeated(self, times)


@function()
def tile(input: Tensor, *dims: Any, **named: Any) -> Tensor:
    """`repeat`, with missing leading numbers taken as one."""
    times = sizes(only(dims, named, "dims"), "dims", "tile")
    return _repeated(input, (1,) * (len(input.shape) - len(times)) + times)


@function(method=False)
@step("ViewBackward0")
def repeat_interleave(input: Tensor, repeats: Any = None, dim: int | None = None, *, output_size: int | None = None) -> Tensor:
    """A copy with each slice along `dim` repeated so many times in a row (one number, or one a slice); without `dim`, of the flat vector.

    With a tensor of counts alone: each position repeated by its count.
    """
    if repeats is None:
        counts = _counts(input)
        return indices(np.repeat(np.arange(counts.size), counts), input.device)
    if dim is None:
        input, dim = reshape(input, -1), 0
    elif not input.shape:
        return repeat_interleave(reshape(input, 1), repeats, dim, output_size=output_size)  # type: ignore[no-any-return]
    d = wrap_dim(dim, len(input.shape))
    if not isinstance(repeats, (Tensor, int)):
        raise combination("repeat_interleave", (repeats,), {}, ", but expected (Tensor repeats) or (int repeats)")
    if isinstance(repeats, Tensor):
        counts = _counts(repeats)
        n = input.shape[d]
        if counts.size not in (1, n):
            raise RuntimeError(
                f"repeats must have the same size as input along dim, but got repeats.size(0) = {counts.size} and input.size({d}) = {n}"
            )
        picked = np.repeat(np.arange(n), counts)
        if output_size is not None and output_size != picked.size:
            raise RuntimeError("allocated size does not match required size")
        return index_select(input, d, indices(picked, input.device))  # type: ignore[no-any-return]
    if repeats < 0:
        raise RuntimeError("Repeats must be non-negative")
    return unary(ops.interleave, input, repeats, d)


Tensor.repeat_interleave = repeat_interleave  # type: ignore[attr-defined]


def _counts(repeats: Tensor) -> Any:
    if len(repeats.shape) > 1:
        raise RuntimeError(
            "repeats must be 0-dim or 1-dim tensor" if repeats.shape else "repeat_interleave only accept 1D vector as repeat"
        )
    if repeats.dtype not in (dtypes.int64, dtypes.int32):
        raise refuse("repeat_interleave_cpu", repeats.dtype)
    counts = np.atleast_1d(value_of(repeats))
    if (counts < 0).any():
        raise RuntimeError("repeats can not be negative")
    return counts


# ---------------------------------------------------------------- triangles and diagonals
#: diagonals from here on are outside of every matrix
_FAR = 1 << 48


def _triangle(name: str, op: Any, at: Any, which: str) -> Any:
    def f(input: Tensor, diagonal: int = 0, *, out: Tensor | None = None) -> Tensor:
        if len(input.shape) < 2:
            raise RuntimeError(f"{name}: input tensor must have at least 2 dimensions")
        d = whole_size(operator.index(diagonal))
        d = max(d, -_FAR) if d < 0 else min(d, _FAR)
        n = moving.moved(op, input, (d,), ())
        return unary(op, input, d) if n is None else wrap(at(n, at_data(d, n)))

    return function(inplace=True)(named(f, name, f"The {which} triangle of matrices, zero elsewhere; `diagonal` moves its edge up."))


tril = _triangle("tril", ops.tril, tril_at, "lower")
triu = _triangle("triu", ops.triu, triu_at, "upper")


def _triangle_indices(name: str, pick: Any) -> None:
    def f(
        row: int,
        col: int,
        offset: int = 0,
        *,
        dtype: Any = None,
        device: Any = None,
        layout: Any = None,
        pin_memory: bool = False,
        requires_grad: bool = False,
    ) -> Tensor:
        d = dtypes.int64 if dtype is None else dtype
        if row < 0 or col < 0:
            raise RuntimeError(f"{'row' if row < 0 else 'col'} must be non-negative, got {row if row < 0 else col}")
        if d not in (dtypes.int32, dtypes.int64):
            raise refuse(name, d)
        check_size((row, col), d, device_of(device))  # NumPy makes a mask first
        offset = max(-row, min(offset, col))
        return finish(data(np.stack(pick(row, offset, col)), d, device_of(device)), requires_grad)  # type: ignore[no-any-return]

    f.__name__, f.__doc__ = (
        name,
        f"Row and column positions of the {'lower' if name == 'tril_indices' else 'upper'} triangle of a matrix, as two rows.",
    )
    function(method=False, name=name)(f)


_triangle_indices("tril_indices", np.tril_indices)
_triangle_indices("triu_indices", np.triu_indices)


@function()
@step("DiagEmbedBackward0")
def diag_embed(input: Tensor, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """Matrices with the last dimension of `input` on a diagonal, zero elsewhere; the new dimensions are `dim1` and `dim2`."""
    rank = len(input.shape) + 1
    a, b = wrap_dim(dim1, rank), wrap_dim(dim2, rank)
    if a == b:
        raise RuntimeError(f"diagonal dimensions cannot be identical {dim1}, {dim2}")
    n = input.shape[-1] + abs(offset)
    rest = iter(input.shape[:-1])
    shape = tuple([n if i in (a, b) else next(rest) for i in range(rank)])
    base = contiguous(shape)
    zeros = movement.full(const(0, input.dtype), shape)
    geometry = movement.diagonal.rule.geometry((shape, base, 0), offset, a, b)  # type: ignore[union-attr]
    return wrap(movement.restride_scatter(zeros, node_of(input), geometry, base, False))


@function()
@step(lambda input, diagonal=0, **_: "DiagEmbedBackward0" if len(input.shape) == 1 else "DiagonalBackward0_copy")
def diag(input: Tensor, diagonal: int = 0, *, out: Tensor | None = None) -> Tensor:
    """The diagonal of a matrix, as a copy, or the matrix with a vector on its diagonal."""
    if len(input.shape) not in (1, 2):
        raise RuntimeError(f"diag(): Supports 1D or 2D tensors. Got {len(input.shape)}D")
    if len(input.shape) == 1:
        return diag_embed(input, diagonal)  # type: ignore[no-any-return]
    return view(movement.diagonal, input, (diagonal, 0, 1)).clone(memory_format=contiguous_format)  # type: ignore[attr-defined, no-any-return]


@function()
@step("DiagEmbedBackward0")
def diagflat(input: Tensor, offset: int = 0) -> Tensor:
    """The matrix with the flattened `input` on a diagonal."""
    return diag_embed(reshape(input, -1), offset)  # type: ignore[no-any-return]


# ---------------------------------------------------------------- positions and copies
@function(method=False)
def unravel_index(indices: Tensor, shape: Any) -> tuple[Tensor, ...]:
    """Flat positions in a tensor of `shape` as one tensor of coordinates for each dimension."""
    if not isinstance(indices, Tensor) or indices.dtype.category != dtypes.INTEGER:
        raise TypeError(f"expected 'indices' to be integer dtype, but got {getattr(indices, 'dtype', type(indices).__name__)}")
    if not isinstance(shape, (int, list, tuple)):
        raise TypeError(f"expected 'shape' to be int or sequence of ints, but got {type(shape)}")
    extent = (shape,) if isinstance(shape, int) else tuple(shape)
    for n in extent:
        if not isinstance(n, int):
            raise TypeError(f"expected 'shape' sequence to only contain ints, but got {type(n)}")
    if any(n < 0 for n in extent):
        raise ValueError(f"'shape' cannot have negative values, but got {extent}")
    if not extent:
        return ()
    if 0 in extent and indices.shape.numel():
        raise RuntimeError("ZeroDivisionError")
    steps = [math.prod(extent[i + 1 :]) for i in range(len(extent))]
    # the coordinates of a place lie side by side, as in PyTorch's
    width, size = (data(np.array(v, np.int64), dtypes.int64, indices.device) for v in (steps, extent))
    return (indices.unsqueeze(-1).div(width, rounding_mode="floor") % size).unbind(-1)  # type: ignore[attr-defined, no-any-return]


@function()
@step("NarrowCopyBackward0")
def narrow_copy(input: Tensor, dim: int, start: int, length: int, *, out: Tensor | None = None) -> Tensor:
    """`narrow`, as a copy."""
    return input.narrow(dim, start, length).clone(memory_format=contiguous_format)  # type: ignore[attr-defined, no-any-return]


__all__ = ["diag", "diag_embed", "flip", "permute", "repeat", "roll", "tile", "tril", "triu"]
