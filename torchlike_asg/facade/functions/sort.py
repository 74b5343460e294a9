"""Sorting, ranking and searching, as functions and methods."""

from __future__ import annotations

import operator
from typing import Any

from ... import dtypes
from ...asg.declare import get
from ...asg.node import Node, const, weak
from ...ops import logic
from ...ops import pointwise as basic
from ...ops import sort as ops
from ...ops.formula import refuse
from ...ops.introsort import SMALL
from ...ops.movement import reshaped
from ...ops.promotion import title, to
from ...ops.selection import kth_unstable, mode_unstable, topk_unstable
from ..core import Tensor, node_of, unary, wrap
from ..held import value_of
from ..lifting import scalar
from ..refusals import check_places
from ..register import function, named
from ..steps import SECOND, keeping, note, step
from . import returns
from .arguments import check_flag, check_tensor, one_dim
from .reduce import picked


def _ordered(input: Tensor, dim: int, descending: bool, stable: bool | None) -> tuple[Node, Node]:
    """Sorted values and their positions."""
    x = node_of(input)
    d = one_dim("sort", dim, len(x.shape))
    index = _order(x, d, stable)(x, d, descending)
    return _along(x, index, dim), index


def _order(x: Any, d: int, stable: bool | None) -> Any:
    """The operation that orders elements along a dimension. A few, and those on a GPU, keep their order if they are equal."""
    if stable or not x.shape or x.shape[d] <= SMALL or x.device.type != "cpu":
        return ops.argsort
    return ops.unstable_order


def _along(x: Node, index: Node, dim: int) -> Node:
    return ops.pick(x, index, dim % len(x.shape)) if x.shape else get("clone")(x)


@function()
@step(lambda *_, **given: "SortBackward1" if "stable" in given else None)
def sort(input: Tensor, dim: int = -1, descending: bool = False, *, stable: bool | None = False, out: Any = None) -> Any:
    """Values in order along `dim`, and where they were: named tuple (values, indices). NaN counts as largest.

    Equal elements keep their order if it is to be `stable`; else they stand as in PyTorch.
    """
    if isinstance(dim, bool):
        raise TypeError(f"sort(): argument 'dim' (position 2) must be int, not {type(dim).__name__}")
    values, index = _ordered(input, dim, check_flag("sort", "descending", descending), stable)
    if values.strides != index.strides:  # as the input lies
        values = get("relayout")(values, index.strides)
    found = keeping(returns.sort(wrap(values), wrap(index)), (), (1,))
    note(found[0], "SortBackward0")
    return found


@function()
def argsort(input: Tensor, dim: int = -1, descending: bool = False, *, stable: bool = False) -> Tensor:
    """The positions that would sort `input` along `dim`."""
    d = one_dim("argsort", dim, len(input.shape))
    return unary(_order(input, d, stable), input, d, bool(descending))


@function()
def msort(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Values in order along the first dimension."""
    return sort(input, 0).values  # type: ignore[no-any-return]


@function()
@step("TopkBackward0", keeps=((SECOND, (0,)),))
def topk(input: Tensor, k: int, dim: int = -1, largest: bool = True, sorted: bool = True, *, out: Any = None) -> Any:
    """The `k` largest (or smallest) elements along `dim`, in order if they are to be `sorted`: named tuple (values, indices).

    On the CPU PyTorch's are picked among equal ones, and they stand as in PyTorch.
    """
    x = node_of(input)
    d = one_dim("topk", dim, len(x.shape))
    places = (operator.index(k), d, bool(largest))
    index = topk_unstable(x, *places, bool(sorted)) if x.device.type == "cpu" else ops.topk_index(x, *places)
    return returns.topk(wrap(_along(x, index, d)), wrap(index))


# ---------------------------------------------------------------- one per slice
def _single(result: Any, name: str, op: Any, input: Tensor, dim: int, keepdim: bool, *attrs: Any) -> Any:
    x = node_of(input)
    d = one_dim(name, dim, len(x.shape))
    if x.shape and not x.shape[d]:
        raise IndexError(f"{'median' if 'median' in name else name}(): Expected reduction dim {d} to have non-zero size.")
    index = op(x, d, *attrs)
    if not x.shape:
        return result(wrap(get("clone")(x)), wrap(index))
    return result(*picked(x, index, d, keepdim))


@function()
@step("KthvalueBackward0", keeps=((SECOND, (0,)),))
def kthvalue(input: Tensor, k: int, dim: int = -1, keepdim: bool = False, *, out: Any = None) -> Any:
    """The k-th smallest element (from 1) along `dim`: named tuple (values, indices)."""
    d = one_dim("kthvalue", dim, len(input.shape))
    if input.shape and not input.shape[d]:
        raise IndexError(f"kthvalue(): Expected reduction dim {d} to have non-zero size.")
    if not 0 < k <= (input.shape[d] if input.shape else 1):
        raise RuntimeError(f"kthvalue(): selected number k out of range for dimension {d}")
    op = kth_unstable if input.device.type == "cpu" else ops.kth_index
    return _single(returns.kthvalue, "kthvalue", op, input, dim, keepdim, int(k) - 1)


def _median(whole: Any, result: Any, name: str, skip_nan: bool, doc: str) -> Any:
    def f(input: Tensor, dim: int | None = None, keepdim: bool = False, *, out: Any = None) -> Any:
        if input.dtype is dtypes.bool_ or input.dtype.is_complex:
            raise refuse("median_cpu" if dim is None else "median_out", input.dtype)
        if dim is None:
            return unary(whole, input, tuple(range(len(input.shape))), False)
        return keeping(_single(result, name, ops.median_index, input, dim, keepdim, skip_nan), (), (1,))

    named(f, name, doc)
    called = name.capitalize()
    return function(name=name)(step(lambda input, dim=None, *_, **__: f"{called}Backward{0 if dim is None else 1}")(f))


median = _median(
    ops.median_all,
    returns.median,
    "median",
    False,
    "The lower median of all elements, or along `dim` as a named tuple (values, indices). NaN if there is a NaN.",
)
nanmedian = _median(
    ops.nanmedian_all,
    returns.nanmedian,
    "nanmedian",
    True,
    "The lower median of the elements that are not NaN: of all, or along `dim` as a named tuple (values, indices).",
)


@function()
@step("ModeBackward0", keeps=((SECOND, (0,)),))
def mode(input: Tensor, dim: int = -1, keepdim: bool = False, *, out: Any = None) -> Any:
    """The most frequent element along `dim` (the smallest of equally frequent ones) and the position of its last occurrence in PyTorch's
    unstable order (on a GPU in a stable one)."""
    op = mode_unstable if input.device.type == "cpu" else ops.mode_index
    return _single(returns.mode, "mode", op, input, dim, keepdim)


# ---------------------------------------------------------------- quantiles
def _quantile(name: str, input: Tensor, q: Any, dim: int | None, keepdim: bool, interpolation: str, skip_nan: bool) -> Tensor:
    if not input.shape.numel():
        raise RuntimeError(f"{name}() input tensor must be non-empty")
    if input.dtype not in (dtypes.float32, dtypes.float64):
        raise RuntimeError(f"{name}() input tensor must be either float or double dtype")
    if interpolation not in ("linear", "lower", "higher", "midpoint", "nearest"):
        raise RuntimeError(f"{name}() interpolation must be one of linear, lower, higher, midpoint or nearest, but got {interpolation}")
    level = _levels(name, q, input)  # reads values, which may end the trace: before anything is recorded
    x, rank = node_of(input), len(input.shape)
    chosen = level if level.__class__ is Node else to(scalar(basic.mul, level, x), x.dtype)
    d = 0 if dim is None else one_dim(name, dim, rank)
    kept = tuple([1 if dim is None or i == d else n for i, n in enumerate(x.shape)])
    x = get("reshape")(x, (x.numel,)) if dim is None or not rank else get("permute")(x, *[i for i in range(rank) if i != d], d)
    values = _at_ranks(x, get("reshape")(chosen, (chosen.numel,)), interpolation, skip_nan)
    lead = len(values.shape) - 1
    if len(chosen.shape) == 0:
        rest = tuple(values.shape[:-1])
        found = wrap(get("reshape")(values, kept if keepdim else rest))
    else:
        if keepdim:
            values = reshaped(values, (*kept, chosen.numel))
            lead = len(kept)
        found = wrap(get("permute")(values, lead, *range(lead)))
    if not keepdim:
        note(found, "SqueezeBackward4")
    return found


def _levels(name: str, q: Any, input: Tensor) -> Any:
    if isinstance(q, Tensor):
        if len(q.shape) > 1:
            raise RuntimeError(f"{name}() q must be a scalar or 1D tensor")
        if q.dtype is not input.dtype:
            raise RuntimeError(f"{name}() q tensor must be same dtype as the input tensor")
        levels = value_of(q)
        if not ((levels >= 0) & (levels <= 1)).all():
            raise RuntimeError(f"{name}() q values must be in the range [0, 1]")
        return node_of(q)
    if not isinstance(q, (int, float)):
        raise TypeError(f"{name}(): argument 'q' (position 2) must be Tensor or float, not {type(q).__name__}")
    if not 0 <= q <= 1:
        raise RuntimeError(f"{name}() q must be in the range [0, 1] but got {q:g}")
    return float(q)


def _at_ranks(x: Node, q: Node, interpolation: str, skip_nan: bool) -> Node:
    """Quantiles `q` (Q,) of the last dimension of `x`: (..., Q)."""
    last = len(x.shape) - 1
    n = x.shape[last]
    order = ops.pick(x, ops.argsort(x, last, False), last)
    if skip_nan:
        count = get("sum")(logic.logical_not(logic.isnan(x)), (last,), True)
        ranks = basic.clamp_min(q * (to(count, x.dtype) - 1.0), weak(0.0))  # type: ignore[operator]
    else:  # a NaN sorts to the end: point there
        missing = logic.isnan(get("slice")(order, last, n - 1, n, 1))
        ranks = basic.where(missing, weak(float(n - 1)), q * float(n - 1))  # type: ignore[operator]
    if interpolation in ("lower", "higher", "nearest"):
        ranks = {"lower": basic.floor, "higher": basic.ceil, "nearest": basic.round_}[interpolation](ranks)
    low = basic.floor(ranks)
    below = get("gather")(order, to(low, dtypes.int64), last)
    if interpolation in ("lower", "higher", "nearest"):
        return below
    above = get("gather")(order, to(basic.ceil(ranks), dtypes.int64), last)
    weight = const(0.5, x.dtype) if interpolation == "midpoint" else ranks - low  # type: ignore[operator]
    return get("lerp")(below, above, weight)


@function()
def quantile(
    input: Tensor, q: Any, dim: int | None = None, keepdim: bool = False, *, interpolation: str = "linear", out: Tensor | None = None
) -> Tensor:
    """The `q`-quantiles (a number or a 1-d tensor, whose dimension comes first) of all elements or along `dim`; a NaN makes NaN."""
    return _quantile("quantile", input, q, dim, keepdim, interpolation, False)


@function()
def nanquantile(
    input: Tensor, q: Any, dim: int | None = None, keepdim: bool = False, *, interpolation: str = "linear", out: Tensor | None = None
) -> Tensor:
    """`quantile` of the elements that are not NaN."""
    return _quantile("nanquantile", input, q, dim, keepdim, interpolation, True)


# ---------------------------------------------------------------- searching
@function(method=False)
def searchsorted(
    sorted_sequence: Tensor,
    input: Any,
    *,
    out_int32: bool = False,
    right: bool = False,
    side: str | None = None,
    sorter: Tensor | None = None,
    out: Tensor | None = None,
) -> Tensor:
    """Where values would be inserted to keep `sorted_sequence` (last dimension) sorted: before equals, or after them (`right`)."""
    if side is not None and side not in ("left", "right"):
        raise RuntimeError(f"torch.searchsorted(): side can only be 'left' or 'right' but got {side}")
    if side == "left" and right:
        raise RuntimeError("torch.searchsorted(): side and right can't be set to opposites, got side of left while right was True")
    edges = node_of(sorted_sequence)
    if sorter is not None:
        if sorter.dtype is not dtypes.int64:
            raise RuntimeError(f"torch.searchsorted(): sorter must be a tensor of long dtype but got dtype {title(sorter.dtype)}")
        if tuple(sorter.shape) != tuple(edges.shape):
            raise RuntimeError(
                "torch.searchsorted(): boundary and sorter must have the same size, but got boundary tensor "
                f"{list(edges.shape)}and got sorter tensor {list(sorter.shape)}"
            )
        size = edges.shape[-1] if edges.shape else 1
        edges = get("gather")(edges, node_of(sorter), len(edges.shape) - 1)
    found = wrap(ops.searchsorted(edges, _value(input, edges), right or side == "right", dtypes.int32 if out_int32 else dtypes.int64))
    if sorter is not None:
        check_places(found, sorter, size, lambda _: RuntimeError("torch.searchsorted(): sorter index out of range"))
    return found


def _value(input: Any, edges: Node) -> Node:
    if isinstance(input, Tensor):
        return node_of(input)
    if isinstance(input, float) and edges.dtype.category < dtypes.FLOAT:
        return const(input, dtypes.get_default_dtype())
    return const(input, edges.dtype)


@function(method=False)
def bucketize(input: Any, boundaries: Tensor, *, out_int32: bool = False, right: bool = False, out: Tensor | None = None) -> Tensor:
    """The index of the bucket between sorted 1-d `boundaries` that each value falls into."""
    check_tensor("bucketize", "boundaries", 2, boundaries)
    if len(boundaries.shape) != 1:
        raise RuntimeError(f"boundaries tensor must be 1 dimension, but got dim({len(boundaries.shape)})")
    edges = node_of(boundaries)
    return wrap(ops.searchsorted(edges, _value(input, edges), bool(right), dtypes.int32 if out_int32 else dtypes.int64))
