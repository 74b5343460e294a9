"""Reading and writing at positions given by index tensors, along a dimension or in the flattened tensor."""

from __future__ import annotations

from typing import Any

import numpy as np

from ... import dtypes
from ...asg.geometry import preserved_strides
from ...ops import indexing as ops
from ...ops import movement
from ...ops.formula import title
from ...ops.promotion import promoting
from ..core import Tensor, nary, node_of, wrap
from ..core import operand as operand_of
from ..held import value_of
from ..hosted import data, indices, known, operand
from ..register import function
from ..steps import keeping, step
from .subscript import put
from .views import expand, wrap_dim

INTEGERS = (dtypes.int64, dtypes.int32)


def vector(index: Tensor) -> Tensor:
    return index.reshape(1) if not index.shape else index  # type: ignore[attr-defined, no-any-return]


def needs_tensor(name: str, argument: str, position: int, value: Any) -> None:
    if not isinstance(value, Tensor):
        raise TypeError(f"{name}(): argument '{argument}' (position {position}) must be Tensor, not {type(value).__name__}")


# ---------------------------------------------------------------- whole slices
@function()
@step("IndexSelectBackward0")
def index_select(input: Tensor, dim: int, index: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The slices of dimension `dim` at the positions of a 1-d (or 0-d) integer tensor, as a copy."""
    d = wrap_dim(dim, len(input.shape))
    if len(index.shape) > 1:
        raise IndexError("index_select(): Index is supposed to be a vector")
    if index.dtype not in INTEGERS:
        raise RuntimeError("index_select(): Expected dtype int32 or int64 for index")
    if not input.shape:
        return index_select(input.reshape(1), 0, index).reshape(())  # type: ignore[attr-defined, no-any-return]
    rows, whole = known(vector(index)), known(input)
    if rows is not None:
        ops.in_range(rows, input.shape[d])
        if whole is not None:
            return data(np.take(whole, rows, d), input.dtype, input.device)
    return nary(ops.index_select, (input, vector(index)), d)


def check_rows(name: str, input: Tensor, d: int, index: Tensor, source: Tensor) -> None:
    if len(index.shape) > 1:
        raise IndexError(
            f"{name}(): Index is supposed to be a vector, but got dim: {len(index.shape)} with type: {title(index.dtype)} "
            f"and size: {list(index.shape)}"
        )
    if index.dtype not in INTEGERS:
        raise RuntimeError(f"{name}(): Expected dtype int32/int64 for index but got: {title(index.dtype)}")
    if source.dtype is not input.dtype:
        raise RuntimeError(f"{name}(): self ({title(input.dtype)}) and source ({title(source.dtype)}) must have the same scalar type")
    rows = source.shape[d] if source.shape else 1
    if index.shape.numel() != rows:
        raise RuntimeError(
            f"{name}(): Number of indices ({index.shape.numel()}) should be equal to source.size(dim): ({rows}), for dim: {d}"
        )
    if len(source.shape) != len(input.shape) or any(
        i != d and n != m for i, (n, m) in enumerate(zip(input.shape, source.shape, strict=True))
    ):
        raise RuntimeError(
            "source tensor shape must match self tensor shape, excluding the specified dimension. Got self.shape "
            f"= {list(input.shape)} source.shape = {list(source.shape)}"
        )


def _along(input: Tensor, d: int, index: Tensor, source: Tensor, op: Any) -> Tensor:
    """``op(input, index, source, d)``, with 0-d operands as vectors of one element."""
    if not input.shape or not source.shape:
        return nary(op, (input.reshape(-1), vector(index), source.reshape(-1)), 0).reshape(input.shape)  # type: ignore[attr-defined, no-any-return]
    return nary(op, (input, vector(index), source), d)


@function(inplace=True)
@step("IndexAddBackward0", keeps=((2, (3,)), (3, (3,))))
def index_add(input: Tensor, dim: int, index: Tensor, source: Tensor, *, alpha: Any = 1, out: Tensor | None = None) -> Tensor:
    """`input` with `alpha` times the slices of `source` added at the positions of a 1-d index; repeated positions accumulate."""
    d = wrap_dim(dim, len(input.shape))
    needs_tensor("index_add", "source", 3, source)
    check_rows("index_add_", input, d, index, source)
    rows = known(index)
    if rows is not None:
        ops.check_added(rows, tuple(input.shape), d)
    return _along(input, d, index, source if alpha == 1 else source * alpha, ops.index_add)  # type: ignore[operator]


@function(inplace=True)
def index_copy(input: Tensor, dim: int, index: Tensor, source: Tensor, *, out: Tensor | None = None) -> Tensor:
    """`input` with its slices at the positions of a 1-d index replaced by those of `source`."""
    d = wrap_dim(dim, len(input.shape))
    if len(index.shape) > 1:
        raise IndexError(f"index_copy_(): Index should have dimension 1 or 0 (got {len(index.shape)})")
    if index.dtype is not dtypes.int64:
        raise RuntimeError(f"index_copy_(): Expected a long tensor for index, but got {title(index.dtype)}")
    if source.dtype is not input.dtype:
        raise RuntimeError(
            f"index_copy_(): self and source expected to have the same dtype, but got (self) {title(input.dtype)} "
            f"and (source) {title(source.dtype)}"
        )
    if input.shape and source.shape and len(source.shape) != len(input.shape):
        raise IndexError(
            "index_copy_(): When source and destination are not scalars, their dimensionality must match. "
            f"Source dimensionality ({len(source.shape)}), destination dimensionality ({len(input.shape)})"
        )
    if not source.shape and index.shape.numel() != 1:
        raise IndexError(f"index_copy_(): When source is scalar, index should have one element (got {index.shape.numel()})")
    rows = source.shape[d] if source.shape else 1
    if source.shape and index.shape.numel() != rows:
        raise IndexError(f"index_copy_(): Number of indices ({index.shape.numel()}) should be equal to source.size(dim) ({rows})")
    if input.shape and source.shape and any(i != d and n != m for i, (n, m) in enumerate(zip(input.shape, source.shape, strict=True))):
        a, b = ([n for i, n in enumerate(t.shape) if i != d] for t in (input, source))
        raise RuntimeError(
            f"index_copy_(): Source/destination tensor must have same slice shapes. Destination slice shape: {a} "
            f"at dimension {d} and source slice shape: {b} at dimension {d}."
        )
    places = known(index)
    if places is not None:
        ops.check_copied(places, input.shape[d] if input.shape else 1, d)
    return _along(input, d, index, source, ops.index_copy)


@function(inplace=True)
@step(lambda input, dim, index, value, **_: "IndexFillBackward1" if isinstance(value, Tensor) else "IndexFillBackward0")
def index_fill(input: Tensor, dim: int, index: Tensor, value: Any) -> Tensor:
    """`input` with its slices at the positions of a 1-d index filled with a number or 0-d tensor."""
    d = wrap_dim(dim, len(input.shape))
    if index.dtype is not dtypes.int64:
        raise IndexError("index_fill_(): Expected dtype int64 for index.")
    if len(index.shape) > 1:
        raise RuntimeError("Index has to be a vector/scalar")
    if isinstance(value, Tensor) and value.shape:
        raise RuntimeError(f"index_fill_ only supports a 0-dimensional value tensor, but got tensor with {len(value.shape)} dimension(s).")
    flat = input if input.shape else input.reshape(1)  # type: ignore[attr-defined]
    n = node_of(flat)
    values = known(index)
    if values is not None:
        ops.check(values, flat.shape[d], d)
    v = movement._prepare_value(n, node_of(value) if isinstance(value, Tensor) else operand_of(ops.index_fill, value, n))[1]
    out = wrap(ops.index_fill(n, node_of(vector(index)), v, d))
    return out if input.shape else out.reshape(())  # type: ignore[attr-defined, no-any-return]


# ---------------------------------------------------------------- flattened
def _check_flat(name: str, input: Tensor, index: Tensor) -> None:
    if index.dtype is not dtypes.int64:
        raise RuntimeError(f"{name}(): Expected a long tensor for index, but got {title(index.dtype)}")
    values, n = known(index), input.shape.numel()
    if values is not None and values.size:
        low, high = values.min(), values.max()
        if high >= n or low < -n:
            raise IndexError(f"out of range: tried to access index {high if high >= n else low} on a tensor of {n} elements.")


@function()
@step("TakeBackward0", keeps=((0, (0,)), (1, (0,))))
def take(input: Tensor, index: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The elements of the flattened `input` at the positions in `index`, in the shape of `index`."""
    _check_flat("take", input, index)
    return wrap(ops.index(node_of(input.reshape(-1)), node_of(index), (0,)))  # type: ignore[attr-defined]


@function(inplace=True, name="put")
@step("PutBackward0", keeps=((1, (0, 2)), (2, (2,))))
def put_function(input: Tensor, index: Tensor, source: Tensor, accumulate: bool = False) -> Tensor:
    """`input` with the elements of `source` written (or added) at positions of the flattened tensor."""
    _check_flat("put_", input, index)
    if source.dtype is not input.dtype:
        raise RuntimeError(
            f"put_(): self and source expected to have the same dtype, but got self.dtype = {title(input.dtype)} "
            f"and source.dtype = {title(source.dtype)}"
        )
    if source.shape.numel() != index.shape.numel():
        raise IndexError(
            "put_(): Expected source and index to have the same number of elements, but got source.numel() = "
            f"{source.shape.numel()}, index.numel() = {index.shape.numel()}"
        )
    flat = ops.index_put(node_of(input.reshape(-1)), node_of(source.reshape(-1)), node_of(index.reshape(-1)), (0,), bool(accumulate))  # type: ignore[attr-defined]
    found, strides = movement.reshape(flat, tuple(input.shape)), preserved_strides(tuple(input.shape), input.geometry[1])
    return wrap(found if found.strides == strides else movement.relayout(found, strides))


# ---------------------------------------------------------------- several index tensors
def _index_list(indices: Any) -> tuple[tuple[int, ...], list[Any]]:
    if not isinstance(indices, (tuple, list)):
        raise TypeError(f"index_put_(): argument 'indices' (position 1) must be tuple of Tensors, not {type(indices).__name__}")
    dims: list[int] = []
    out: list[Any] = []
    for position, i in enumerate(indices):
        if not isinstance(i, Tensor):
            raise TypeError(f"expected Tensor as element {position} in argument 0, but got {type(i).__name__}")
        d = len(dims)
        if i.dtype is dtypes.bool_ or i.dtype is dtypes.uint8:
            picked = np.nonzero(value_of(i))
            dims += range(d, d + len(picked))
            out += picked
        else:
            dims.append(d)
            out.append(i)
    return tuple(dims), out


def _check_index_put(input: Tensor, dims: tuple[int, ...], index: list[Any]) -> None:
    if len(dims) > len(input.shape):
        raise IndexError(f"too many indices for tensor of dimension {len(input.shape)} (got {len(dims)})")
    for k, (d, i) in enumerate(zip(dims, index, strict=True)):
        values = known(i)
        if values is not None:
            ops.check(values, input.shape[d], k)


@function()
def index_put(input: Tensor, indices: Any, values: Tensor, accumulate: bool = False) -> Tensor:
    """`input` with `values` written (or, with `accumulate`, added) at the positions of a tuple of index tensors or masks."""
    needs_tensor("index_put", "values", 2, values)
    dims, index = _index_list(indices)
    _check_index_put(input, dims, index)
    result = wrap(ops.index_put(node_of(input), node_of(values), *[operand(i) for i in index], dims, bool(accumulate)))
    return keeping(result, indices)  # type: ignore[no-any-return]


@function(method="index_put_", name="index_put_")
def index_put_(self: Tensor, indices: Any, values: Tensor, accumulate: bool = False) -> Tensor:
    """In-place version of `index_put`."""
    needs_tensor("index_put_", "values", 2, values)
    dims, index = _index_list(indices)
    _check_index_put(self, dims, index)
    return put(self, dims, index, values, bool(accumulate))


# ---------------------------------------------------------------- masks
@function()
@step("MaskedSelectBackward0", keeps=((0, (0,)), (1, (0,))))
def masked_select(input: Tensor, mask: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The elements of `input` where `mask` is True, as a vector; both are broadcast. Looks at the mask."""
    if mask.dtype is not dtypes.bool_:
        raise RuntimeError("masked_select: expected BoolTensor for mask")
    wide = ops.broadcast(tuple(input.shape), tuple(mask.shape)) or (1,)
    a = expand(input, wide)
    positions = np.nonzero(np.broadcast_to(value_of(mask), wide))
    return wrap(ops.index(node_of(a), *[operand(i) for i in positions], tuple(range(len(wide)))))


@function(inplace=True)
def masked_scatter(input: Tensor, mask: Tensor, source: Tensor) -> Tensor:
    """`input` with the elements where `mask` is True replaced, in order, by those of `source`."""
    if source.dtype is not input.dtype:
        raise RuntimeError(
            f"masked_scatter: expected self and source to have same dtypes but got{title(input.dtype)} and {title(source.dtype)}"
        )
    if mask.dtype is not dtypes.bool_:
        raise RuntimeError(f"masked_scatter_ only supports boolean masks, but got mask with dtype {title(mask.dtype)}")
    wide = ops.broadcast(tuple(input.shape), tuple(mask.shape))
    chosen = known(mask)
    if chosen is not None and np.count_nonzero(np.broadcast_to(chosen, wide)) > source.shape.numel():
        raise RuntimeError("Number of elements of source < number of ones in mask")
    return nary(ops.masked_scatter, (expand(input, wide), expand(mask, wide), source))


@function()
def nonzero(input: Tensor, *, as_tuple: bool = False, out: Tensor | None = None) -> Any:
    """The positions of the nonzero elements: one row each, or with `as_tuple` one vector for each dimension. Looks at the values."""
    values = value_of(input)
    if as_tuple:
        return tuple([indices(i, input.device) for i in np.nonzero(np.atleast_1d(values))])
    found = np.argwhere(values)
    return data(found, dtypes.int64, input.device, (1, found.shape[0]))


@function()
def nonzero_static(input: Tensor, *, size: int, fill_value: int = -1, out: Tensor | None = None) -> Tensor:
    """The positions of the first `size` nonzero elements, one row each, and rows of `fill_value` after them. Looks at the values."""
    if size < 0:
        raise RuntimeError("nonzero_static: 'size' must be an non-negative integer")
    found = np.argwhere(value_of(input))[:size]
    filled = np.full((size, found.shape[1]), fill_value, np.int64)
    filled[: len(found)] = found
    return data(filled, dtypes.int64, input.device)


@function()
def argwhere(input: Tensor) -> Tensor:
    """The positions of the nonzero elements, one row each."""
    return nonzero(input)  # type: ignore[no-any-return]


# ---------------------------------------------------------------- membership
@function(method=False)
def isin(elements: Any, test_elements: Any, *, assume_unique: bool = False, invert: bool = False, out: Tensor | None = None) -> Tensor:
    """Whether each of `elements` is among `test_elements` (with `invert`: is not). Numbers are accepted for either, not for both."""
    if not isinstance(elements, Tensor) and not isinstance(test_elements, Tensor):
        raise TypeError("isin() received an invalid combination of arguments: elements or test_elements must be a Tensor")
    for t in (elements, test_elements):
        if isinstance(t, Tensor) and (t.dtype is dtypes.bool_ or t.dtype.is_complex):
            raise RuntimeError(f"Unsupported input type encountered for isin(): {title(t.dtype)}")
    a, b = promoting(2)(*[node_of(t) if isinstance(t, Tensor) else t for t in (elements, test_elements)])
    return wrap(ops.isin(a, b, bool(invert)))
