"""Indexing by integer tensors and masks: reading picks elements, writing replaces them, and each is the other's gradient.

Basic indexing (numbers and slices) is views, see movement.py. Here are the operations whose positions are data.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import dtypes
from ..asg.declare import SCALAR, Array, Grads, Meta, Op, Sample
from ..asg.geometry import Shape, _order, broadcast, ordered_strides
from ..asg.node import Node, const
from ..asg.saving import keep_shape
from .formula import title
from .movement import _prepare_value, full
from .pointwise import masked_fill, where

_X = np.arange(24.0).reshape(2, 3, 4)
_I = np.array([1, 0, 1])


# ---------------------------------------------------------------- shapes and layout
def joined(shapes: Any) -> Shape:
    """The common shape of the index tensors of one subscript."""
    try:
        return broadcast(*shapes)
    except RuntimeError:
        listed = ", ".join(str(list(s)) for s in shapes)
        raise IndexError(f"shape mismatch: indexing tensors could not be broadcast together with shapes {listed}") from None


def place_of(dims: Shape) -> int:
    """Where the dimensions of the index tensors appear in the result: at the first indexed one if those are neighbours, else in front."""
    return dims[0] if dims == tuple(range(dims[0], dims[0] + len(dims))) else 0


def layout(shape: Shape, strides: Shape, indices: Any, dims: Shape) -> tuple[Shape, Shape]:
    """Shape and strides of ``x[indices]``; `indices` are (shape, strides) pairs, one for each of `dims`.

    The result is laid out as an elementwise result is; its operands are the tensor, constant along the index dimensions, and the indices.
    """
    picked = joined([s for s, _ in indices])
    at = place_of(dims)
    rest = [i for i in range(len(shape)) if i not in dims]
    out = tuple([shape[i] for i in rest[:at]]) + picked + tuple([shape[i] for i in rest[at:]])
    operands = [tuple([strides[i] for i in rest[:at]]) + (0,) * len(picked) + tuple([strides[i] for i in rest[at:]])]
    for s, st in indices:
        wide = (0,) * (len(picked) - len(s)) + tuple(
            [0 if d == 1 and e != 1 else k for d, e, k in zip(s, picked[len(picked) - len(s) :], st, strict=True)]
        )
        operands.append((0,) * at + wide + (0,) * (len(rest) - at))
    return out, ordered_strides(out, _order(out, operands))


def fits(shape: Shape, wanted: Shape) -> bool:
    """Whether `shape` broadcasts to `wanted`."""
    lead = len(wanted) - len(shape)
    return lead >= 0 and all(n in (1, m) for n, m in zip(shape, wanted[lead:], strict=True))


def _split(args: tuple[Any, ...], lead: int) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """(index operands, attributes) of an operation whose first `lead` operands are data."""
    end = lead
    while args[end].__class__ is Node or isinstance(args[end], np.ndarray):
        end += 1
    return args[lead:end], args[end:]


def _rule_index(x: Node, *args: Any) -> Meta:
    indices, (dims,) = _split(args, 0)
    shape, strides = layout(tuple(x.shape), x.strides, [(tuple(i.shape), i.strides) for i in indices], dims)
    return shape, x.dtype, strides


# ---------------------------------------------------------------- bounds
def check(index: Array, size: int, dim: int, error: type[Exception] = IndexError, negative: bool = True) -> None:
    """Raise as PyTorch does if an index lies outside ``[-size, size)``, or ``[0, size)``."""
    if index.size:
        low, high = index.min(), index.max()
        if high >= size or low < (-size if negative else 0):
            raise error(f"index {high if high >= size else low} is out of bounds for dimension {dim} with size {size}")


def key_of(shape: Shape, indices: Any, dims: Shape) -> tuple[Any, ...]:
    """The NumPy subscript for index arrays on `dims`, after a check of their values; messages count the indexed dimensions only."""
    key: list[Any] = [slice(None)] * len(shape)
    empty = any(n == 0 for d, n in enumerate(shape) if d not in dims)
    for k, (i, d) in enumerate(zip(indices, dims, strict=True)):
        if empty and shape[d]:  # nothing is read: PyTorch does not look at the indices either
            i = np.zeros_like(i)
        if i.size and not shape[d]:
            raise IndexError("index is out of bounds for dimension with size 0")
        check(i, shape[d], k)
        key[d] = i
    return tuple(key)


# ---------------------------------------------------------------- reading, and its transpose
def _ref_index(x: Array, *args: Any) -> Array:
    indices, (dims,) = _split(args, 0)
    return x[key_of(x.shape, indices, dims)]


def add_rows(out: Array, rows: Array, values: Array) -> None:
    """``out[rows[i]] += values[i]`` for all i, rows repeating; `out` and `values` have two dimensions."""
    if values.shape[1] == 1:
        np.add.at(out[:, 0], rows, values[:, 0])
    elif rows.size:
        order = np.argsort(rows, kind="stable")
        ordered = rows[order]
        starts = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))
        out[ordered[starts]] += np.add.reduceat(values[order], starts, axis=0, dtype=out.dtype)


def _ref_unindex(g: Array, *args: Any) -> Array:
    indices, (dims, shape) = _split(args, 0)
    at, sizes = place_of(dims), [shape[d] for d in dims]
    key = key_of(shape, indices, dims)
    indices = np.broadcast_arrays(*[key[d] for d in dims])
    rows = np.zeros(indices[0].shape, np.int64)
    for i, n in zip(indices, sizes, strict=True):
        rows = rows * n + np.where(i < 0, i + n, i)
    rest = [n for d, n in enumerate(shape) if d not in dims]
    values = np.moveaxis(g, range(at, at + rows.ndim), range(rows.ndim)).reshape(rows.size, math.prod(rest))
    out = np.zeros((math.prod(sizes), math.prod(rest)), g.dtype)
    add_rows(out, rows.reshape(-1), values)
    return np.moveaxis(out.reshape(*sizes, *rest), range(len(dims)), dims)


index = Op(
    "index",
    "index",
    _rule_index,
    _ref_index,
    vjp=lambda n, g: (unindex(g, *n.srcs[1:], n.attrs[0], tuple(n.srcs[0].shape)),),
    saves=lambda n: n.srcs[1:],
    params=("dims",),
    samples=lambda: [
        Sample((_X, _I), ((1,),)),
        Sample((_X, np.array([[0], [1]]), _I), ((0, 2),)),
        Sample((_X, _I - 2, _I), ((1, 2),)),
        Sample((_X[0, 0], np.zeros((0, 2), np.int64)), ((0,),)),
        Sample((_X, np.asarray(1)), ((1,),)),
    ],
)
#: The transpose of `index`: every element of `g` is added where the index read it.
unindex = Op(
    "unindex",
    "gradient",
    lambda g, *args: (_split(args, 0)[1][1], g.dtype),
    _ref_unindex,
    vjp=lambda n, g: (index(g, *n.srcs[1:], n.attrs[0]),),
    params=("dims", "size"),
    samples=lambda: [
        Sample((_X[:, :, :3], _I), ((1,), (2, 3, 3))),
        Sample((np.arange(27.0).reshape(3, 3, 3), np.array([[0], [1], [0]]), _I), ((0, 2), (2, 3, 4))),
    ],
)


# ---------------------------------------------------------------- writing
def _rule_index_put(x: Node, v: Node, *args: Any) -> Meta:
    _check_value(x, v, args)
    return x.shape, x.dtype


def _check_value(x: Node, v: Node, args: tuple[Any, ...]) -> None:
    indices, (dims, _) = _split(args, 0)
    if not indices:
        raise RuntimeError("index_put(): at least one index must be provided")
    wanted = layout(tuple(x.shape), x.strides, [(tuple(i.shape), (0,) * len(i.shape)) for i in indices], dims)[0]
    if not fits(tuple(v.shape), wanted):
        raise RuntimeError(
            f"shape mismatch: value tensor of shape {list(v.shape)} cannot be broadcast to indexing result of shape {list(wanted)}"
        )


def _ref_index_put(x: Array, v: Array, *args: Any) -> Array:
    indices, (dims, accumulate) = _split(args, 0)
    if accumulate:
        wanted = layout(x.shape, (0,) * x.ndim, [(i.shape, (0,) * i.ndim) for i in indices], dims)[0]
        added = _ref_unindex(np.broadcast_to(v, wanted), *indices, dims, x.shape)
        return x | added if x.dtype.kind == "b" else x + added
    out = x.copy()
    out[key_of(x.shape, indices, dims)] = v
    return out


def same_type(x: Node, v: Any, *rest: Any) -> tuple[Any, ...]:
    """A written Python number takes the type of its target; a tensor must have it."""
    if v.__class__ is not Node or v.op is SCALAR:
        return _prepare_value(x, v, *rest)  # type: ignore[no-any-return]
    if v.dtype is not x.dtype:
        raise RuntimeError(
            f"Index put requires the source and destination dtypes match, got {title(x.dtype)} for the destination "
            f"and {title(v.dtype)} for the source."
        )
    return x, v, *rest


def _prepare_index_put(x: Node, v: Any, *rest: Any) -> tuple[Any, ...]:
    if v.__class__ is Node and v.op is not SCALAR and v.dtype is not x.dtype:
        _check_value(x, v, rest)  # PyTorch looks at the shapes first
    return same_type(x, v, *rest)


def _vjp_index_put(n: Node, g: Node) -> Grads:
    dims, accumulate = n.attrs
    kept = g if accumulate else lambda: index_put(g, const(0, g.dtype), *n.srcs[2:], dims, False)
    return kept, lambda: index(g, *n.srcs[2:], dims)


index_put = Op(
    "index_put",
    "index",
    _rule_index_put,
    _ref_index_put,
    vjp=_vjp_index_put,
    saves=lambda n: n.srcs[2:],
    layout="preserve",
    prepare=_prepare_index_put,
    params=("dims", "accumulate"),
    samples=lambda: [
        Sample((_X, _X[0, 0, :2, None], np.array([2, 0])), ((1,), False)),
        Sample((_X, _X[0, 0], _I), ((0,), True)),
        Sample((_X, np.ones((3, 3)), _I, np.array([3, 3, 0])), ((0, 2), True)),
        Sample((_X, np.asarray(7.0), np.array([], np.int64)), ((1,), False)),
    ],
)


# ---------------------------------------------------------------- whole slices along one dimension
def _rule_index_select(x: Node, i: Node, d: int) -> Meta:
    return x.shape[:d] + tuple(i.shape) + x.shape[d + 1 :], x.dtype


def in_range(index: Array, size: int) -> None:
    """The check of index_select and embedding, which count from the front only."""
    if index.size and (index.max() >= size or index.min() < 0):
        raise IndexError("index out of range in self")


def _ref_index_select(x: Array, i: Array, d: int) -> Array:
    in_range(i, x.shape[d])
    return np.take(x, i, axis=d)


index_select = Op(
    "index_select",
    "index",
    _rule_index_select,
    _ref_index_select,
    saves=lambda n: n.srcs[1:],
    params=("dim",),
    vjp=lambda n, g: (unindex(g, n.srcs[1], n.attrs, tuple(n.srcs[0].shape)),),
    samples=lambda: [Sample((_X, _I), (1,)), Sample((_X, np.zeros(0, np.int64)), (0,)), Sample((_X[0, 0], np.array([3, 3])), (0,))],
)


def _rows(out: Array, d: int) -> Array:
    return np.moveaxis(out, d, 0)


def check_added(i: Array, shape: Shape, d: int) -> None:
    """The check of index_add, which counts from the front only, and says of vectors something else."""
    if len(shape) < 2:
        in_range(i, shape[d] if shape else 1)
    else:
        check(i, shape[d], d, RuntimeError, negative=False)


def _ref_index_add(x: Array, i: Array, v: Array, d: int) -> Array:
    check_added(i, x.shape, d)
    out = np.array(_rows(x, d), order="C")
    width = math.prod(out.shape[1:])
    added = np.ascontiguousarray(_rows(v, d))
    add_rows(out.reshape(len(out), width), i, added.reshape(len(added), width))
    return np.moveaxis(out, 0, d)


index_add = Op(
    "index_add",
    "index",
    lambda x, i, v, d: (x.shape, x.dtype),
    _ref_index_add,
    saves=lambda n: (n.srcs[2], n.srcs[1]) if n.srcs[2].rg else None,
    params=("dim",),
    vjp=lambda n, g: (g, None, lambda: index_select(g, n.srcs[1], *n.attrs)),
    samples=lambda: [
        Sample((_X, _I, _X[:, ::-1] * 2.0), (1,)),
        Sample((_X, np.array([1]), _X[:1]), (0,)),
        Sample((_X, np.zeros(0, np.int64), _X[:, :, :0]), (2,)),
    ],
)


def check_copied(i: Array, size: int, d: int) -> None:
    """The check of index_copy, which counts from the front only."""
    if i.size and (i.max() >= size or i.min() < 0):
        raise IndexError(
            f"index_copy_(): index {i.max() if i.max() >= size else i.min()} is out of bounds for dimension {d} with size {size}"
        )


def _ref_index_copy(x: Array, i: Array, v: Array, d: int) -> Array:
    check_copied(i, x.shape[d], d)
    out = x.copy()
    out[(slice(None),) * d + (i,)] = v
    return out


index_copy = Op(
    "index_copy",
    "index",
    lambda x, i, v, d: (x.shape, x.dtype),
    _ref_index_copy,
    saves=lambda n: (n.srcs[2], n.srcs[1]) if n.srcs[2].rg else n.srcs[1:2],
    params=("dim",),
    vjp=lambda n, g: (lambda: index_fill(g, n.srcs[1], const(0, g.dtype), *n.attrs), None, lambda: index_select(g, n.srcs[1], *n.attrs)),
    samples=lambda: [Sample((_X, np.array([2, 0]), -_X[:, :2]), (1,)), Sample((_X, np.array([1]), _X[:1]), (0,))],
)


def _ref_index_fill(x: Array, i: Array, v: Array, d: int) -> Array:
    check(i, x.shape[d], d)
    out = x.copy()
    out[(slice(None),) * d + (i,)] = v
    return out


index_fill = Op(
    "index_fill",
    "index",
    lambda x, i, v, d: (x.shape, x.dtype),
    _ref_index_fill,
    saves=lambda n: n.srcs[1:2],
    params=("dim",),
    vjp=lambda n, g: (lambda: index_fill(g, n.srcs[1], const(0, g.dtype), *n.attrs), None, lambda: _filled(g, n)),
    samples=lambda: [Sample((_X, np.array([2, 0]), np.asarray(5.0)), (1,)), Sample((_X, np.array([-1]), np.asarray(5.0)), (2,))],
)


def _filled(g: Node, n: Node) -> Node:
    """What of `g` falls on the filled slices, each counted once however often its index is repeated."""
    untouched = full(const(False, dtypes.bool_), tuple(g.shape))
    return where(index_fill(untouched, n.srcs[1], const(True, dtypes.bool_), *n.attrs), g, const(0, g.dtype))


# ---------------------------------------------------------------- masks
def _ref_masked_scatter(x: Array, m: Array, v: Array) -> Array:
    if v.size < np.count_nonzero(m):
        raise RuntimeError("Number of elements of source < number of ones in mask")
    out = x.copy()
    out[m] = v.reshape(-1)[: np.count_nonzero(m)]
    return out


def _ref_masked_unscatter(g: Array, m: Array, shape: Shape) -> Array:
    out = np.zeros(math.prod(shape), g.dtype)
    picked = g[m]
    out[: picked.size] = picked
    return out.reshape(shape)


masked_scatter = Op(
    "masked_scatter",
    "index",
    lambda x, m, v: (x.shape, x.dtype),
    _ref_masked_scatter,
    saves=lambda n: n.srcs[1:2],
    vjp=lambda n, g: (
        lambda: masked_fill(g, n.srcs[1], const(0, g.dtype)),
        None,
        lambda: masked_unscatter(g, n.srcs[1], tuple(n.srcs[2].shape)),
    ),
    samples=lambda: [Sample((_X[0], _X[0] % 3 > 0, _X[1] * 2.0)), Sample((_X[0], _X[0] < 0, np.zeros(0)))],
)
#: The gradient of `masked_scatter` for its source: the masked elements of `g` in order, then zeros.
masked_unscatter = Op(
    "masked_unscatter",
    "gradient",
    lambda g, m, shape: (shape, g.dtype),
    _ref_masked_unscatter,
    params=("size",),
    saves=keep_shape,
    vjp=lambda n, g: (masked_scatter(_zeros(n.srcs[0]), n.srcs[1], g), None),
    samples=lambda: [Sample((_X[0], _X[0] % 3 > 0), ((2, 6),))],
)


def _zeros(like: Node) -> Node:
    return full(const(0, like.dtype), tuple(like.shape))


# ---------------------------------------------------------------- membership
isin = Op(
    "isin",
    "comparison",
    lambda x, among, invert: (x.shape, dtypes.bool_),
    lambda x, among, invert: np.isin(x, among, invert=invert),
    differentiable=False,
    params=("invert",),
    samples=lambda: [Sample((_X[0], np.array([3.0, 7.0, 50.0])), (False,), False), Sample((_I, np.asarray(0)), (True,), False)],
)
