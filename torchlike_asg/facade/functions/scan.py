"""Running sums, products and extrema along a dimension, as functions and methods."""

from __future__ import annotations

from typing import Any

from ...asg.declare import get
from ...ops import scan as ops
from ..core import Tensor, node_of, unary, wrap
from ..register import apply_inplace, function, method, named
from ..steps import SECOND, step
from . import returns
from .arguments import check_tensor, one_dim
from .reduce import converted


def _accumulated(op: Any, name: str, input: Tensor, dim: Any, dtype: Any) -> Tensor:
    check_tensor(name, "input", 1, input)
    found = unary(op, converted(input, dtype), one_dim(name, dim, len(input.shape)), False)
    return found if dtype is None or found.dtype is dtype else found.to(dtype)  # type: ignore[attr-defined, no-any-return]


@function()
def cumsum(input: Tensor, dim: int, *, dtype: Any = None, out: Tensor | None = None) -> Tensor:
    """The sums of the elements up to each one along `dim`; integers in int64 unless `dtype` says otherwise."""
    return _accumulated(ops.cumsum, "cumsum", input, dim, dtype)


@function()
def cumprod(input: Tensor, dim: int, *, dtype: Any = None, out: Tensor | None = None) -> Tensor:
    """The products of the elements up to each one along `dim`; integers in int64 unless `dtype` says otherwise."""
    return _accumulated(ops.cumprod, "cumprod", input, dim, dtype)


@method("cumsum_")
def _cumsum_(self: Tensor, dim: int, *, dtype: Any = None) -> Tensor:
    """In-place version of `cumsum`; the type stays."""
    return apply_inplace(self, lambda t: cumsum(t, dim, dtype=dtype or t.dtype))


@method("cumprod_")
def _cumprod_(self: Tensor, dim: int, *, dtype: Any = None) -> Tensor:
    """In-place version of `cumprod`; the type stays."""
    return apply_inplace(self, lambda t: cumprod(t, dim, dtype=dtype or t.dtype))


@function()
def logcumsumexp(input: Tensor, dim: int, *, out: Tensor | None = None) -> Tensor:
    """The logarithms of the running sums of ``exp(input)`` along `dim`, without overflow."""
    return unary(ops.logcumsumexp, input, one_dim("logcumsumexp", dim, len(input.shape)))


def _running(name: str, op: Any, result: Any, doc: str) -> Any:
    def f(input: Tensor, dim: int, *, out: Any = None) -> Any:
        x = node_of(input)
        d = one_dim(name, dim, len(x.shape))
        index = op(x, d)
        return result(wrap(get("gather")(x, index, d) if x.shape else get("clone")(x)), wrap(index))

    named(f, name, doc)
    return function(name=name)(step(f"{name.capitalize()}Backward0", keeps=((0, (0,)), (SECOND, (0,))))(f))


cummax = _running(
    "cummax",
    ops.cummax_index,
    returns.cummax,
    "The running maximum along `dim` and where it was last reached: named tuple (values, indices).",
)
cummin = _running(
    "cummin",
    ops.cummin_index,
    returns.cummin,
    "The running minimum along `dim` and where it was last reached: named tuple (values, indices).",
)
