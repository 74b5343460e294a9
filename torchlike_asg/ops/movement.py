"""Views and copies: operations that move elements without computing. A view aliases its operand's storage."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from .. import dtypes
from ..asg.declare import REGISTRY, Array, Grads, Meta, Op, Sample, ViewRule
from ..asg.geometry import flat, gather, view_strides
from ..asg.node import Node, const, element
from . import view_rules
from .summation import total


def _unview(n: Node, g: Node) -> Grads:
    return (unview(g, n.op.name, n.attrs, n.srcs[0].geometry),)


def view_op(name: str, geometry: Any, ref: Any, params: tuple[str, ...], samples: Any, vjp: Any = _unview) -> Op:
    """Declare a view: a rule on geometries and its NumPy counterpart."""
    return Op(name, "shape", ViewRule(geometry), ref, vjp=vjp, view=True, params=params, samples=samples)


def _a(*shape: int) -> Array:
    return np.arange(1.0, math.prod(shape) + 1).reshape(shape)


# ---------------------------------------------------------------- views
def _ref_unfold(x: Array, d: int, n: int, k: int) -> Array:
    if x.ndim == 0:
        return np.broadcast_to(x, (n,))
    return sliding_window_view(x, n, d)[(slice(None),) * d + (slice(None, None, k),)]


def _at(d: int, i: Any) -> tuple[Any, ...]:
    return (slice(None),) * d + (i,)


view = view_op(
    "view",
    view_rules.view,
    lambda x, *s: np.reshape(x, s),
    ("size",),
    lambda: [Sample((_a(2, 6),), (3, 4)), Sample((_a(6),), (2, 1, 3)), Sample((_a(0, 3),), (3, 0))],
    lambda n, g: (reshape(g, tuple(n.srcs[0].shape)),),
)
permute = view_op(
    "permute",
    view_rules.permute,
    lambda x, *p: np.transpose(x, p),
    ("dims",),
    lambda: [Sample((_a(2, 3, 4),), (2, 0, 1)), Sample((_a(2, 3),), (1, 0))],
    lambda n, g: (permute(g, *sorted(range(len(n.attrs)), key=n.attrs.__getitem__)),),
)
select = view_op(
    "select",
    view_rules.select,
    lambda x, d, i: x[(*_at(d, i), ...)],
    ("dim", "index"),
    lambda: [Sample((_a(2, 3),), (1, 2)), Sample((_a(3),), (0, 0))],
)
slice_ = view_op(
    "slice",
    view_rules.slice_,
    lambda x, d, lo, hi, step: x[_at(d, slice(lo, hi, step))],
    ("dim", "start", "end", "step"),
    lambda: [Sample((_a(2, 7),), (1, 1, 6, 2)), Sample((_a(4, 2),), (0, 1, 3, 1)), Sample((_a(4),), (0, 2, 2, 1))],
)
expand = view_op(
    "expand",
    view_rules.expand,
    lambda x, *s: np.broadcast_to(x, s),
    ("size",),
    lambda: [Sample((_a(3, 1),), (2, 3, 4)), Sample((_a(1),), (5,))],
    lambda n, g: (sum_to(g, tuple(n.srcs[0].shape)),),
)
diagonal = view_op(
    "diagonal",
    view_rules.diagonal,
    lambda x, k, a, b: (
        np.diagonal(x, k, a, b)
        if view_rules.diagonal((x.shape, (0,) * x.ndim, 0), k, a, b)[0][-1]
        else np.zeros(view_rules.diagonal((x.shape, (0,) * x.ndim, 0), k, a, b)[0], x.dtype)
    ),
    ("offset", "dim1", "dim2"),
    lambda: [Sample((_a(3, 4),), (1, 0, 1)), Sample((_a(2, 3, 3),), (0, 1, 2)), Sample((_a(3, 4),), (-1, 0, 1))],
)
unsqueeze = view_op(
    "unsqueeze",
    view_rules.unsqueeze,
    np.expand_dims,
    ("dim",),
    lambda: [Sample((_a(2, 3),), (1,)), Sample((_a(3),), (1,))],
    lambda n, g: (reshape(g, tuple(n.srcs[0].shape)),),
)
squeeze = view_op(
    "squeeze",
    view_rules.squeeze,
    np.squeeze,
    ("dim",),
    lambda: [Sample((_a(2, 1, 3),), (1,))],
    lambda n, g: (reshape(g, tuple(n.srcs[0].shape)),),
)
unfold = view_op(
    "unfold", view_rules.unfold, _ref_unfold, ("dim", "size", "step"), lambda: [Sample((_a(2, 7),), (1, 3, 2)), Sample((_a(5),), (0, 2, 1))]
)


def _ref_restride(x: Array, shape: Any, strides: Any, offset: int, base: Any) -> Array:
    return gather(flat(x, base), (shape, strides, offset))


#: How a tensor is derived again after its storage was written; also ``Tensor.as_strided``. attrs: geometry, then the storage's strides.
restride = view_op(
    "restride",
    lambda g, s, st, o, base: (s, st, o),
    _ref_restride,
    ("size", "stride", "offset", "base"),
    lambda: [Sample((_a(2, 6),), ((3, 2), (2, 1), 1, (6, 1))), Sample((_a(6),), ((2, 3), (1, 1), 0, (1,)))],
)


# ---------------------------------------------------------------- gradients of views, writes through views
def _ref_unview(g: Array, op: str, attrs: Any, geometry: Any) -> Array:
    shape = geometry[0]
    k = math.prod(shape)
    out = np.zeros(k, g.dtype)
    if op in ("select", "slice"):  # disjoint elements: a plain store
        REGISTRY[op].ref(out.reshape(shape), *attrs)[...] = g  # type: ignore[misc]
        return out.reshape(shape)
    index = REGISTRY[op].ref(np.arange(k).reshape(shape), *attrs)  # type: ignore[misc]
    np.add.at(out, index.ravel(), np.ravel(g))
    return out.reshape(shape)


#: The transpose of a view: every element of `g` is added where the view read it, zeros elsewhere.
unview = Op(
    "unview",
    "gradient",
    lambda g, op, attrs, geometry: (geometry[0], g.dtype),
    _ref_unview,
    vjp=lambda n, g: (REGISTRY[n.attrs[0]](g, *n.attrs[1]),),
    params=("op", "attrs", "geometry"),
    samples=lambda: [
        Sample((_a(2, 3),), ("slice", (1, 1, 6, 2), ((2, 7), (7, 1), 0))),
        Sample((_a(3),), ("diagonal", (0, 0, 1), ((3, 4), (4, 1), 0))),
        Sample((_a(3, 2),), ("unfold", (0, 2, 1), ((4,), (1,), 0))),
    ],
)


def _rule_restride_scatter(h: Node, v: Node, *_: Any) -> Any:
    if v.dtype is not h.dtype:  # bits of one type would be read as another's
        raise TypeError(f"a storage of {h.dtype.name} is written with {v.dtype.name}")
    return h.shape, h.dtype, h.strides, h.offset


def _ref_restride_scatter(h: Array, v: Array, geometry: Any, base: Any, refuses: bool) -> Array:
    buf = flat(h, base).copy()
    gather(buf, geometry)[...] = v
    return _unflat(buf, h.shape, base)


def _unflat(buf: Array, shape: Any, strides: Any) -> Array:
    return gather(buf, (shape, strides, 0))


def _vjp_restride_scatter(n: Node, g: Node) -> Grads:
    geometry, base, _ = n.attrs
    return (
        lambda: restride_scatter(g, const(0, g.dtype), geometry, base, False),
        lambda: restride(g, *geometry, base),
    )


#: A write through a view: storage `h` with region `geometry` replaced by `v`. Its gradient is refused a second time, as PyTorch's is.
restride_scatter = Op(
    "restride_scatter",
    "shape",
    _rule_restride_scatter,
    _ref_restride_scatter,
    vjp=_vjp_restride_scatter,
    saves=lambda n: () if n.attrs[2] else None,
    params=("geometry", "base", "refuses"),
    samples=lambda: [
        Sample((_a(2, 6), _a(3)), (((3,), (2,), 1), (6, 1), False)),
        Sample((_a(2, 3), _a(3, 2)), (((3, 2), (1, 3), 0), (3, 1), True)),
    ],
)


# ---------------------------------------------------------------- copies
def _rule_reshape(s: Node, shape: Any) -> Meta:
    if math.prod(shape) != s.numel:
        raise RuntimeError(f"shape '{list(shape)}' is invalid for input of size {s.numel}")
    return shape, s.dtype


reshape = Op(
    "reshape",
    "shape",
    _rule_reshape,
    lambda x, shape: np.reshape(x, shape),
    vjp=lambda n, g: (reshape(g, tuple(n.srcs[0].shape)),),
    params=("size",),
    samples=lambda: [Sample((_a(2, 6),), ((3, 4),)), Sample((_a(1),), ((),))],
)


def reshaped(n: Node, shape: tuple[int, ...]) -> Node:
    """`n` with another shape: a view where one shows it so, else a copy. (Writes to what a view shows are noticed, see `Op.saves`.)"""
    return reshape(n, shape) if view_strides(n.geometry, shape) is None else view(n, *shape)


clone = Op(
    "clone",
    "shape",
    lambda s: (s.shape, s.dtype),
    lambda x: x,
    vjp=lambda n, g: (g,),
    layout="preserve",
    samples=lambda: [Sample((_a(2, 3),)), Sample((_a(),))],
)
#: A copy with given strides: a gradient is laid out as its leaf is. `by` says what asked for it: "clone", or "to" for a conversion.
relayout = Op(
    "relayout",
    "shape",
    lambda s, strides, by="clone": (s.shape, s.dtype, strides),
    lambda x, strides, by="clone": x,
    vjp=lambda n, g: (g,),
    params=("stride", "by"),
    samples=lambda: [Sample((_a(2, 3),), ((1, 2),)), Sample((_a(2, 3),), ((1, 2), "to"))],
)
contiguous = Op(
    "contiguous", "shape", lambda s: (s.shape, s.dtype), lambda x: x, vjp=lambda n, g: (g,), samples=lambda: [Sample((_a(2, 3),))]
)
cast = Op(
    "cast", "cast", lambda s, d: (s.shape, d), None, vjp=lambda n, g: (cast(g, n.srcs[0].dtype),), layout="preserve", params=("dtype",)
)


def _ref_cast(x: Array, d: Any) -> Array:
    if x.dtype.kind == "c" and d.compute.kind != "c":
        x = x.real
    if x.dtype.kind == "f" and d.compute.kind in "iu":  # out of range is undefined in C; go through int64 so that it at least wraps
        with np.errstate(invalid="ignore"):
            return np.trunc(x).astype(np.int64).astype(d.compute)
    with np.errstate(over="ignore", invalid="ignore"):
        return x.astype(d.compute)


cast.ref = _ref_cast
cast.samples = lambda: [
    Sample((_a(2, 3),), (dtypes.float32,), False),
    Sample((_a(2, 3) / 2,), (dtypes.int64,), False),
    Sample((np.array([1, 0]),), (dtypes.bool_,), False),
]


def _rule_sum_to(s: Node, shape: Any, order: str = "") -> Meta:
    return shape, s.dtype


def _ref_sum_to(x: Array, shape: Any, order: str = "") -> Array:
    lead = x.ndim - len(shape)
    axes = tuple(range(lead)) + tuple(lead + i for i, d in enumerate(shape) if d == 1 and x.shape[lead + i] != 1)
    return total(x, axes, True).reshape(shape) if axes else x.reshape(shape)


#: The transpose of broadcasting: sum over the dimensions that were expanded. Kernels may be given an order to add up in.
sum_to = Op(
    "sum_to",
    "gradient",
    _rule_sum_to,
    _ref_sum_to,
    vjp=lambda n, g: (expand(g, *n.srcs[0].shape),),
    params=("size",),
    samples=lambda: [Sample((_a(2, 3, 4),), ((3, 1),)), Sample((_a(2, 3),), ((),))],
)
#: Zeros shaped as the operand: the gradient of a value that was overwritten (PyTorch gives zeros there, not None).
zeros_of = Op(
    "zeros_of",
    "gradient",
    lambda s: (s.shape, s.dtype),
    np.zeros_like,
    layout="preserve",
    differentiable=False,
    samples=lambda: [Sample((_a(2, 3),), (), False)],
)


# ---------------------------------------------------------------- values written in place
def _like(s: Node, *_: Any) -> Meta:
    return s.shape, s.dtype


def _prepare_value(x: Node, v: Any, *attrs: Any) -> tuple[Any, ...]:
    """The written value is converted to the type of its target."""
    from ..asg.declare import SCALAR, node

    v = node(v)
    if v.op is SCALAR:
        return x, element(v.attrs[0], x.dtype), *attrs
    return x, v if v.dtype is x.dtype else cast(v, x.dtype), *attrs


def _ref_fill(x: Array, v: Array) -> Array:
    return np.broadcast_to(v, x.shape)


fill = Op(
    "fill",
    "shape",
    _like,
    _ref_fill,
    vjp=lambda n, g: (zeros_of(g), g),
    prepare=_prepare_value,
    layout="preserve",
    samples=lambda: [Sample((_a(2, 3), np.asarray(1.5)))],
)
copy = Op(
    "copy",
    "shape",
    _like,
    _ref_fill,
    vjp=lambda n, g: (zeros_of(g), g),
    prepare=_prepare_value,
    layout="preserve",
    samples=lambda: [Sample((_a(2, 3), _a(3)))],
)


# ---------------------------------------------------------------- creation
def _rule_full(v: Node, shape: Any) -> Meta:
    return shape, v.dtype


full = Op(
    "full",
    "creation",
    _rule_full,
    lambda v, shape: np.broadcast_to(v, shape),
    vjp=lambda n, g: (sum_to(g, ()),),
    params=("size",),
    samples=lambda: [Sample((np.asarray(2.5),), ((2, 3),)), Sample((np.asarray(1.0),), ((0,),))],
)
arange = Op(
    "arange",
    "creation",
    lambda start, step, n, d: ((n,), d),
    lambda start, step, n, d: _ref_arange(start, step, n, d),
    differentiable=False,
    params=("n", "dtype"),
)


def _ref_arange(start: Array, step: Array, n: int, d: Any) -> Array:
    return (start + step * np.arange(n, dtype=start.dtype)).astype(d.compute)


arange.samples = lambda: [Sample((np.asarray(1), np.asarray(2)), (4, dtypes.int64), False)]
