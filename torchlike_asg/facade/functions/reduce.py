"""Reductions over all or some dimensions, as functions and methods."""

from __future__ import annotations

import builtins
import warnings
from typing import Any

from ... import dtypes
from ...asg.declare import get
from ...asg.node import weak
from ...ops import logic, moments
from ...ops import pointwise as basic
from ...ops import reduce as ops
from ...ops.movement import sum_to
from ...ops.promotion import title
from ...ops.sort import pick
from ..core import Tensor, binary, node_of, unary, wrap
from ..register import function, method, named
from ..steps import keeping, note, step
from . import pointwise, returns
from .arguments import check_flag, check_tensor, one_dim, reduced_dims
from .factory_arguments import sizes


def converted(input: Tensor, dtype: Any) -> Tensor:
    """The operand in the type a reduction was asked to work in."""
    return input if dtype is None or input.dtype is dtype else input.to(dtype)  # type: ignore[attr-defined, no-any-return]


def reduce_with(op: Any, name: str, input: Tensor, dim: Any, keepdim: Any) -> Tensor:
    """A reduction over `dim` (None: all), by the fast path."""
    if keepdim.__class__ is not bool:
        check_flag(name, "keepdim", keepdim)
    return unary(op, input, reduced_dims(name, dim, len(input.shape)), keepdim)


# ---------------------------------------------------------------- sums
@function()
def sum(input: Tensor, dim: Any = None, keepdim: bool = False, *, dtype: Any = None, out: Tensor | None = None) -> Tensor:
    """The sum over `dim` (an int, several, or None: all). Integers and booleans are summed in int64 unless `dtype` says otherwise."""
    check_tensor("sum", "input", 1, input)
    total = reduce_with(ops.sum_, "sum", converted(input, dtype), dim, keepdim)
    if dim is not None and not total.shape:
        note(total, "SumBackward1")
    return total if dtype is None or total.dtype is dtype else total.to(dtype)  # type: ignore[attr-defined, no-any-return]


@function()
def mean(input: Tensor, dim: Any = None, keepdim: bool = False, *, dtype: Any = None, out: Tensor | None = None) -> Tensor:
    """The mean over `dim` (an int, several, or None: all) of a floating-point tensor."""
    check_tensor("mean", "input", 1, input)
    found = reduce_with(ops.mean, "mean", converted(input, dtype), dim, keepdim)
    if dim is not None and not found.shape:
        note(found, "MeanBackward1")
    return found


# ---------------------------------------------------------------- extrema
def _extremum_along(index_op: Any, result: Any, name: str, input: Tensor, dim: Any, keepdim: bool) -> Any:
    x = node_of(input)
    d = one_dim(name, dim, len(x.shape))
    if not x.shape:
        return keeping(result(wrap(get("clone")(x)), wrap(index_op(x, 0, False))), (), (1,))
    if not x.shape[d]:
        raise IndexError(f"{name}(): Expected reduction dim {d} to have non-zero size.")
    index = index_op(x, d, True)
    return keeping(result(*picked(x, index, d, check_flag(name, "keepdim", keepdim))), (), (1,))


def picked(x: Any, index: Any, d: int, keepdim: bool) -> tuple[Tensor, Tensor]:
    """The values at `index` (size one along `d`) and the index itself, both without that dimension unless `keepdim`."""
    values = pick(x, index, d)
    if not keepdim:
        shape = tuple([n for i, n in enumerate(x.shape) if i != d])
        values, index = get("reshape")(values, shape), get("reshape")(index, shape)
    return wrap(values), wrap(index)


@function()
def max(input: Tensor, dim: Tensor | int | None = None, keepdim: bool = False, *, other: Any = None, out: Any = None) -> Any:
    """``max(input)``: the largest; ``max(input, dim)``: (values, indices) along a dimension; ``max(input, other)``: elementwise.

    Without `dim` equal maxima share the gradient; along a dimension it goes to the (first) index returned. A NaN is larger than anything.
    """
    return _select(ops.max_all, ops.argmax, returns.max_, pointwise.maximum, "max", input, dim, keepdim, other)


@function()
def min(input: Tensor, dim: Tensor | int | None = None, keepdim: bool = False, *, other: Any = None, out: Any = None) -> Any:
    """``min(input)``: the smallest; ``min(input, dim)``: (values, indices) along a dimension; ``min(input, other)``: elementwise."""
    return _select(ops.min_all, ops.argmin, returns.min_, pointwise.minimum, "min", input, dim, keepdim, other)


def _select(whole: Any, index: Any, result: Any, elementwise: Any, name: str, input: Tensor, dim: Any, keepdim: Any, other: Any) -> Any:
    check_tensor(name, "input", 1, input)
    if other is not None or isinstance(dim, Tensor):
        if keepdim is not False:
            raise TypeError(f"{name}() received an invalid combination of arguments: keepdim needs a dim")
        return elementwise(input, dim if other is None else other)
    if dim is None:
        if keepdim is not False:
            raise TypeError(f"{name}() received an invalid combination of arguments: keepdim needs a dim")
        return unary(whole, input, tuple(range(len(input.shape))), False)
    return _extremum_along(index, result, name, input, dim, keepdim)


def _extreme(op: Any, name: str, input: Tensor, dim: Any, keepdim: Any) -> Tensor:
    if dim.__class__ is int and input.shape and not input.shape[one_dim(name, dim, len(input.shape))]:
        raise IndexError(f"{name}(): Expected reduction dim {dim % len(input.shape)} to have non-zero size.")
    return reduce_with(op, name, input, dim, keepdim)


@function()
def amax(input: Tensor, dim: Any = (), keepdim: bool = False, *, out: Tensor | None = None) -> Tensor:
    """The largest value over one or several dimensions (none given: all); equal maxima share the gradient."""
    return _extreme(ops.amax, "amax", input, dim, keepdim)


@function()
def amin(input: Tensor, dim: Any = (), keepdim: bool = False, *, out: Tensor | None = None) -> Tensor:
    """The smallest value over one or several dimensions (none given: all); equal minima share the gradient."""
    return _extreme(ops.amin, "amin", input, dim, keepdim)


def _arg(op: Any, name: str, input: Tensor, dim: Any, keepdim: bool) -> Tensor:
    if dim.__class__ is int and keepdim.__class__ is bool and (n := op.table.get((input._n, dim, keepdim))) is not None:
        return wrap(n)
    if input.dtype is dtypes.bool_:
        raise RuntimeError(f"{name}(): does not support bool input")
    return unary(op, input, None if dim is None else one_dim(name, dim, len(input.shape)), check_flag(name, "keepdim", keepdim))


@function()
def argmax(input: Tensor, dim: Any = None, keepdim: bool = False, *, out: Tensor | None = None) -> Tensor:
    """The index of the (first) largest element along `dim`, or in the flattened tensor."""
    return _arg(ops.argmax, "argmax", input, dim, keepdim)


@function()
def argmin(input: Tensor, dim: Any = None, keepdim: bool = False, *, out: Tensor | None = None) -> Tensor:
    """The index of the (first) smallest element along `dim`, or in the flattened tensor."""
    return _arg(ops.argmin, "argmin", input, dim, keepdim)


# ---------------------------------------------------------------- products, truth, counts
@function()
def prod(input: Tensor, dim: int | None = None, keepdim: bool = False, *, dtype: Any = None, out: Tensor | None = None) -> Tensor:
    """The product of all elements, or along `dim`. Integers and booleans are multiplied in int64 unless `dtype` says otherwise."""
    check_tensor("prod", "input", 1, input)
    if dim is not None:
        dim = one_dim("prod", dim, len(input.shape))
    total = reduce_with(ops.prod, "prod", converted(input, dtype), dim, keepdim)
    return total if dtype is None or total.dtype is dtype else total.to(dtype)  # type: ignore[attr-defined, no-any-return]


def _truth(op: Any, name: str, doc: str) -> Any:
    def f(input: Tensor, dim: Any = None, keepdim: bool = False, *, out: Tensor | None = None) -> Tensor:
        if isinstance(dim, (tuple, list)) and not dim:  # unlike for sums, no dimensions mean none here
            found = binary(logic.ne, input, 0) if input.dtype is not dtypes.bool_ else input.clone()  # type: ignore[attr-defined]
        else:
            found = reduce_with(op, name, input, dim, keepdim)
        return found.to(dtypes.uint8) if input.dtype is dtypes.uint8 else found  # type: ignore[attr-defined, no-any-return]

    return function(name=name)(named(f, name, doc))


all = _truth(ops.all_, "all", "Whether all elements (along `dim`) are nonzero; uint8 stays uint8.")
any = _truth(ops.any_, "any", "Whether any element (along `dim`) is nonzero; uint8 stays uint8.")


@function()
def count_nonzero(input: Tensor, dim: Any = None) -> Tensor:
    """The number of nonzero elements, over `dim` or all."""
    return reduce_with(ops.sum_, "count_nonzero", binary(logic.ne, input, 0), dim, False)


# ---------------------------------------------------------------- ignoring NaN
@function()
@step("NansumBackward0", keeps=((0, (0,)),))
def nansum(input: Tensor, dim: Any = None, keepdim: bool = False, *, dtype: Any = None, out: Tensor | None = None) -> Tensor:
    """The sum with NaN counted as zero."""
    if input.dtype.is_complex and input.device.type == "cpu":
        raise RuntimeError("nansum on CPU does not support complex inputs")
    clean = input if input.dtype.category < dtypes.FLOAT else _without_nan(input)
    return sum(clean, dim, keepdim, dtype=dtype)  # type: ignore[no-any-return]


def _without_nan(input: Tensor) -> Tensor:
    x = node_of(input)
    return wrap(basic.where(logic.isnan(x), weak(0.0), x))


@function()
def nanmean(input: Tensor, dim: Any = None, keepdim: bool = False, *, dtype: Any = None, out: Tensor | None = None) -> Tensor:
    """The mean of the elements that are not NaN."""
    if input.dtype.category < dtypes.FLOAT:
        raise RuntimeError(f"nanmean(): expected input to have floating point or complex dtype but got {title(input.dtype)}")
    count = sum(pointwise.logical_not(pointwise.isnan(input)), dim, keepdim)
    return pointwise.div(nansum(input, dim, keepdim, dtype=dtype), count)  # type: ignore[no-any-return]


# ---------------------------------------------------------------- moments
def _spread(name: str, input: Tensor, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, float, bool]:
    """dim, correction, keepdim of PyTorch's three overloads: (unbiased), (dim, unbiased, keepdim), (dim, *, correction, keepdim)."""
    given = dict(zip(("dim", "unbiased", "keepdim"), args, strict=False))
    if args and isinstance(args[0], bool):
        given = dict(zip(("unbiased",), args, strict=False))
    clash = given.keys() & kwargs.keys()
    unknown = kwargs.keys() - {"dim", "unbiased", "keepdim", "correction"}
    if clash or unknown or len(args) > len(given) or (("unbiased" in kwargs or "unbiased" in given) and "correction" in kwargs):
        raise TypeError(
            f"{name}() received an invalid combination of arguments: "
            f"{', '.join([*map(str, args), *[f'{k}={v}' for k, v in kwargs.items()]])}"
        )
    given |= kwargs
    if "unbiased" in given and not isinstance(given["unbiased"], bool):
        raise TypeError(f"{name}(): argument 'unbiased' must be bool, not {type(given['unbiased']).__name__}")
    correction = given.get("correction")
    correction = float(given.get("unbiased", True)) if correction is None else float(correction)
    if input.dtype.category < dtypes.FLOAT:
        raise RuntimeError(
            f"{name} only support floating point and complex dtypes"
            if "_" in name
            else "std and var only support floating point and complex dtypes"
        )
    dims = reduced_dims(name, given.get("dim"), len(input.shape))
    count = ops.count_of(input.shape, dims)
    if count - correction <= 0:
        warnings.warn(
            f"{name}(): degrees of freedom is <= 0. Correction should be strictly less than the reduction factor (input "
            "numel divided by output numel).",
            stacklevel=4,
        )
    return dims, correction, check_flag(name, "keepdim", given.get("keepdim", False))


def _moment(name: str, op: Any, with_mean: bool, doc: str) -> Any:
    def f(input: Tensor, *args: Any, out: Tensor | None = None, **kwargs: Any) -> Any:
        dims, correction, keepdim = _spread(name, input, args, kwargs)
        if input.dtype.is_complex:
            found = wrap(moments.of_complex(op, node_of(input), dims, correction, keepdim))
        else:
            found = unary(op, input, dims, correction, keepdim)
        return (found, unary(ops.mean, input, dims, keepdim)) if with_mean else found

    named(f, name, doc)
    made = step("VarMeanBackward0" if name == "var_mean" else "StdMeanBackward0")(f) if with_mean else f
    return function(name=name, method=not with_mean)(made)


_DOC = "Called as ``f(x)``, ``f(x, dim, unbiased, keepdim)`` or ``f(x, dim, correction=1, keepdim=False)``."
var = _moment("var", moments.var, False, "The variance over `dim` (None: all); the divisor is the count minus `correction`. " + _DOC)
std = _moment("std", moments.std, False, "The standard deviation over `dim` (None: all). " + _DOC)
var_mean = _moment("var_mean", moments.var, True, "Variance and mean over `dim` (None: all). " + _DOC)
std_mean = _moment("std_mean", moments.std, True, "Standard deviation and mean over `dim` (None: all). " + _DOC)


# ---------------------------------------------------------------- both extrema, sums of exponentials
@function()
@step("AminmaxBackward0")
def aminmax(input: Tensor, *, dim: int | None = None, keepdim: bool = False, out: Any = None) -> Any:
    """Minimum and maximum, of all elements or along `dim`, as a named tuple (min, max)."""
    d = None if dim is None else one_dim("aminmax", dim, len(input.shape))
    if d is None and not input.shape.numel():
        raise RuntimeError("aminmax(): cannot compute aminmax over an empty dimension as the operation has no identity.")
    if d is not None and input.shape and not input.shape[d]:
        raise IndexError(f"aminmax: Expected reduction dim {d} to have non-zero size.")
    return returns.aminmax(reduce_with(ops.amin, "aminmax", input, d, keepdim), reduce_with(ops.amax, "aminmax", input, d, keepdim))


@function()
def logsumexp(input: Tensor, dim: Any, keepdim: bool = False, *, out: Tensor | None = None) -> Tensor:
    """``log(sum(exp(input)))`` over `dim`, without overflow."""
    if dim is None:
        raise TypeError("logsumexp(): argument 'dim' must be tuple of ints, not NoneType")
    if dim.__class__ in (tuple, list) and not dim and input.shape and not keepdim:  # PyTorch has no sum over no dimension to add to
        raise RuntimeError(f"output with shape [] doesn't match the broadcast shape {[1] * len(input.shape)}")
    return reduce_with(ops.logsumexp, "logsumexp", input, dim, keepdim)


@method()
def sum_to_size(self: Tensor, *size: Any) -> Tensor:
    """The sum over the dimensions that broadcasting from `size` to this shape would expand."""
    target, shape = sizes(size), tuple(self.shape)
    lead = len(shape) - len(target)
    if lead < 0 or builtins.any(t not in (1, n) for t, n in zip(target, shape[lead:], strict=True)):
        raise RuntimeError(f"size {{{list(target)}}} is not expandable to size {{{list(shape)}}}.")
    if not target:
        return self.sum()  # type: ignore[no-any-return, attr-defined]
    if target == shape:
        return self
    return unary(sum_to, self.to(dtypes.int64) if self.dtype.category <= dtypes.INTEGER else self, target)  # type: ignore[attr-defined]
