"""Sequences of samples: differences, numerical derivatives and integrals, powers, covariance."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np

from ... import dtypes
from ...asg.node import Node, const, weak
from ...ops.complex import complex_, imag, real
from ...ops.join import cat
from ...ops.linalg import matmul
from ...ops.logic import logical_xor
from ...ops.movement import arange, clone, diagonal, reshape, reshaped, slice_
from ...ops.pointwise import add, clamp_max, clamp_min, div, mul, pow_, sqrt, sub
from ...ops.promotion import result_type, title, to
from ...ops.reduce import sum_
from ...ops.scan import cumsum
from ...ops.solve import adjoint
from ..core import Tensor, node_of, wrap
from ..held import value_of
from ..register import function
from ..steps import step
from .views import dims_of, wrap_dim


def cut(x: Node, d: int, lo: int, hi: int) -> Node:
    """Elements `lo` to `hi` of a dimension; negative numbers count from the end."""
    n = x.shape[d]
    return slice_(x, d, lo + n if lo < 0 else lo, hi + n if hi < 0 else hi, 1)


def _ends(x: Node, d: int) -> tuple[Node, Node]:
    """All elements but the first, all but the last."""
    n = x.shape[d]
    return slice_(x, d, 1, n, 1), slice_(x, d, 0, n - 1, 1)


# ---------------------------------------------------------------- differences
def _extended(x: Node, other: Tensor | None, d: int, before: bool) -> Node:
    if other is None:
        return x
    y = node_of(other)
    if len(y.shape) != len(x.shape):
        raise RuntimeError("diff expects prepend or append to be the same dimension as input")
    for i, (m, n) in enumerate(zip(x.shape, y.shape, strict=True)):
        if i != d and m != n:
            raise RuntimeError(
                "diff expects the shape of tensor to prepend or append to match that of input except along the differencing dimension; "
                f"input.size({i}) = {m}, but got tensor.size({i}) = {n}"
            )
    return cat(y, x, d) if before else cat(x, y, d)


@function()
def diff(
    input: Tensor, n: int = 1, dim: int = -1, prepend: Tensor | None = None, append: Tensor | None = None, *, out: Tensor | None = None
) -> Tensor:
    """Differences of neighbours along `dim`, `n` times over; `prepend` and `append` extend the input first."""
    if not input.shape:
        raise RuntimeError("diff expects input to be at least one-dimensional")
    if n < 0:
        raise RuntimeError(f"order must be non-negative but got {n}")
    d = wrap_dim(dim, len(input.shape))
    if n == 0:
        return wrap(clone(node_of(input)))
    x = _extended(_extended(node_of(input), prepend, d, True), append, d, False)
    for _ in range(n):
        if not x.shape[d]:
            break
        after, before = _ends(x, d)
        x = logical_xor(after, before) if x.dtype is dtypes.bool_ else sub(after, before)
    return wrap(x)


# ---------------------------------------------------------------- derivatives
def _scaled(x: Node, divisor: Any) -> Node:
    return div(x, divisor if divisor.__class__ is Node else weak(divisor if isinstance(divisor, complex) else float(divisor)))


def _uniform(f: Node, d: int, h: Any, order: int) -> Node:
    """Central differences inside, one-sided ones of first or second order at the ends."""
    n = f.shape[d]
    inside = _scaled(sub(cut(f, d, 2, n), cut(f, d, 0, n - 2)), 2 * h if h.__class__ is not Node else mul(h, weak(2)))
    if order == 1:
        first, last = sub(cut(f, d, 1, 2), cut(f, d, 0, 1)), sub(cut(f, d, n - 1, n), cut(f, d, n - 2, n - 1))
        return cat(_scaled(first, h), inside, _scaled(last, h), d)

    def edge(a: Node, b: Node, c: Node) -> Node:  # -3/2 a + 2 b - 1/2 c
        return sub(sub(mul(b, weak(2)), mul(a, weak(1.5))), mul(c, weak(0.5)))

    def at(i: int) -> Node:
        return cut(f, d, i, i + 1)

    first, last = edge(at(0), at(1), at(2)), mul(edge(at(n - 1), at(n - 2), at(n - 3)), weak(-1))
    return cat(_scaled(first, h), inside, _scaled(last, h), d)


def _uneven(f: Node, d: int, x: Node, order: int) -> Node:
    """The derivative of the parabola through each point and its neighbours, at points `x` along `d`."""
    n = f.shape[d]
    shape = tuple([n - 1 if i == d else 1 for i in range(len(f.shape))])
    h = reshape(sub(*_ends(x, 0)), shape)
    left, right = cut(h, d, 0, n - 2), cut(h, d, 1, n - 1)
    a = div(mul(right, weak(-1)), mul(left, add(left, right)))
    b = div(sub(right, left), mul(left, right))
    c = div(left, mul(right, add(left, right)))
    inside = add(add(mul(a, cut(f, d, 0, n - 2)), mul(b, cut(f, d, 1, n - 1))), mul(c, cut(f, d, 2, n)))

    def edge(at: int, towards: int) -> Node:
        """One-sided, from point `at`; `towards` is the direction of the other points."""
        near = at if towards > 0 else at - 1
        h0 = cut(h, d, near, near + 1)
        f0, f1 = cut(f, d, at, at + 1), cut(f, d, at + towards, at + towards + 1)
        if order == 1:
            return div(mul(sub(f1, f0), weak(towards)), h0)
        h1, f2 = cut(h, d, near + towards, near + towards + 1), cut(f, d, at + 2 * towards, at + 2 * towards + 1)
        both = add(h0, h1)
        slope = sub(sub(mul(div(both, mul(h0, h1)), f1), mul(div(add(h0, both), mul(h0, both)), f0)), mul(div(h0, mul(h1, both)), f2))
        return mul(slope, weak(towards))

    return cat(edge(0, 1), inside, edge(n - 1, -1), d)


@function(method=False)
def gradient(input: Tensor, *, spacing: Any = 1, dim: Any = None, edge_order: int = 1) -> tuple[Tensor, ...]:
    """Numerical derivatives along each of `dim` (default: all), from central differences.

    `spacing` is one distance, a distance per dimension, or a 1-d tensor of coordinates per dimension.
    """
    rank = len(input.shape)
    if edge_order not in (1, 2):
        raise RuntimeError("torch.gradient only supports edge_order=1 and edge_order=2.")
    dims = tuple(range(rank)) if dim is None else dims_of(dim, rank)
    spacing = 1 if spacing is None else spacing
    listed = isinstance(spacing, (list, tuple))
    steps = list(spacing) if listed else [spacing] * len(dims)
    if len(steps) != len(dims):
        if dim is None:
            raise RuntimeError(
                "torch.gradient expected spacing to be unspecified, a scalar, or a list of length equal to 'self.dim() "
                f"= {rank}', since dim argument was not given, "
                f"but got a list of length {len(steps)}"
            )
        raise RuntimeError(
            "torch.gradient expected spacing to be unspecified, a scalar or it's spacing and dim arguments to have the "
            f"same length, but got a spacing argument of length {len(steps)} and a dim argument of length {len(dims)}."
        )
    found = []
    for d, gap in zip(dims, steps, strict=True):
        if input.shape[d] < edge_order + 1:
            raise RuntimeError("torch.gradient expected each dimension size to be at least edge_order+1")
        f = node_of(input)
        if isinstance(gap, Tensor) and gap.shape:
            slope = _uneven(f, d, node_of(gap), edge_order)
        else:
            slope = _uniform(f, d, node_of(gap) if isinstance(gap, Tensor) else gap, edge_order)
        found.append(wrap(slope))
    return tuple(found)


# ---------------------------------------------------------------- integrals
def _strips(name: str, y: Tensor, x: Tensor | None, dx: Any, dim: int) -> tuple[Node | None, int]:
    """The areas of the trapezoids along `dim`, or None if there are no points."""
    if not y.shape:
        raise IndexError(f"Dimension specified as {dim} but tensor has no dimensions")
    if x is not None and dx is not None:
        raise TypeError(f"{name}() received an invalid combination of arguments: x and dx cannot both be given")
    d = wrap_dim(dim, len(y.shape))
    for label, t in (("y", y), ("x", x)):
        if t is not None and t.dtype is dtypes.bool_:
            raise RuntimeError(f"{name}: received a bool input for `{label}`, but bool is not supported")
    f = node_of(y)
    if not f.shape[d]:
        return None, d
    after, before = _ends(f, d)
    if x is None:
        step = 1 if dx is None else dx
        return mul(add(after, before), node_of(step) * 0.5 if isinstance(step, Tensor) else weak(step / 2)), d  # type: ignore[operator]
    points = node_of(x)
    if len(points.shape) == 1:
        if points.shape[0] != f.shape[d]:
            raise RuntimeError(f"{name}: There must be one `x` value for each sample point")
        points = reshape(points, tuple([points.shape[0] if i == d else 1 for i in range(len(f.shape))]))
    elif len(points.shape) < len(f.shape):
        points = reshape(points, (1,) * (len(f.shape) - len(points.shape)) + tuple(points.shape))
    right, left = _ends(points, d)
    return mul(mul(add(after, before), sub(right, left)), weak(0.5)), d


@function(method=False, aliases=("trapz",))
@step(lambda y, x=None, **_: "DivBackward1" if x is not None or not y.shape else "MulBackward1")
def trapezoid(y: Tensor, x: Tensor | None = None, *, dx: Any = None, dim: int = -1) -> Tensor:
    """The integral of samples `y` along `dim` by the trapezoidal rule, at points `x` or `dx` (1) apart."""
    areas, d = _strips("trapezoid", y, x, dx, dim)
    return y.sum(d) if areas is None else wrap(sum_(areas, (d,), False))  # type: ignore[attr-defined, no-any-return]


@function(method=False)
@step(lambda y, x=None, **_: "DivBackward1" if x is None else "CumsumBackward0")
def cumulative_trapezoid(y: Tensor, x: Tensor | None = None, *, dx: Any = None, dim: int = -1) -> Tensor:
    """The running integral of samples `y` along `dim` by the trapezoidal rule: one value less than there are samples."""
    areas, d = _strips("cumulative_trapezoid", y, x, dx, dim)
    return y.clone() if areas is None else wrap(cumsum(areas, d, False))  # type: ignore[attr-defined, no-any-return]


# ---------------------------------------------------------------- powers
def _powers(x: Node, count: int, increasing: bool) -> Node:
    x = x if x.shape else reshape(x, (1,))
    d = dtypes.int64 if x.dtype.category < dtypes.FLOAT else x.dtype
    first, step = (0, 1) if increasing else (count - 1, -1)
    exponents = arange(const(first, dtypes.int64), const(step, dtypes.int64), count, d)
    return pow_(to(reshape(x, (*x.shape, 1)), d), exponents)


@function(method=False, name="vander")
def vander_of_vector(x: Tensor, N: int | None = None, increasing: bool = False) -> Tensor:
    """The Vandermonde matrix: the powers of a vector's elements as columns, descending unless `increasing`."""
    if len(x.shape) != 1:
        raise RuntimeError("x must be a one-dimensional tensor.")
    if N is not None and N < 0:
        raise RuntimeError("N must be non-negative.")
    return wrap(_powers(node_of(x), x.shape[0] if N is None else N, increasing))


@function(method=False, namespace=False)
@step("CatBackward0")
def vander(x: Tensor, N: int | None = None) -> Tensor:
    """Vandermonde matrices: the powers 0, 1, ... N - 1 of the last dimension's elements, as a new last dimension."""
    count = (x.shape[-1] if x.shape else 1) if N is None else N
    if count <= 1:
        raise RuntimeError("N must be greater than 1.")
    if x.dtype in (dtypes.bool_, dtypes.float16, dtypes.bfloat16):
        raise RuntimeError(f"linalg.vander supports floating point, complex, and integer tensors, but got {title(x.dtype)}")
    return wrap(_powers(node_of(x), count, True))


# ---------------------------------------------------------------- covariance
def _check_weights(count: int, fweights: Tensor | None, aweights: Tensor | None) -> None:
    for name, w, floating in (("fweights", fweights, False), ("aweights", aweights, True)):
        if w is None:
            continue
        if len(w.shape) > 1:
            raise RuntimeError(f"cov(): expected {name} to have one or fewer dimensions but got {name} with {len(w.shape)} dimensions")
        if (w.dtype.category >= dtypes.FLOAT) != floating or w.dtype is dtypes.bool_:
            raise RuntimeError(
                f"cov(): expected {name} to have {'floating point' if floating else 'integral'} dtype but got {name} "
                f"with {title(w.dtype)} dtype"
            )
        if w.shape.numel() != count:
            raise RuntimeError(
                f"cov(): expected {name} to have the same numel as there are observations in the input but got {w.shape.numel()} != {count}"
            )
        if bool((value_of(w) < 0).any()):
            raise RuntimeError(f"cov(): {name} cannot be negative")


def _freedom(count: int, correction: int, fweights: Tensor | None, aweights: Tensor | None) -> float:
    """The divisor of the covariance: total weight less the correction, which importances (`aweights`) spread by weight."""
    frequency, importance = [np.ones(1) if w is None else value_of(w).reshape(-1).astype(np.float64) for w in (fweights, aweights)]
    weights = np.broadcast_to(frequency * importance, (count,))
    total = float(weights.sum())
    if aweights is None or not correction:
        return total - correction
    return total - correction * float((weights * importance).sum()) / total if total else math.nan


@function()
@step("SqueezeBackward0")
def cov(input: Tensor, *, correction: int = 1, fweights: Tensor | None = None, aweights: Tensor | None = None) -> Tensor:
    """The covariance matrix of variables (rows) over observations (columns), with frequencies and importances of the observations."""
    rank = len(input.shape)
    if rank > 2:
        raise RuntimeError(f"cov(): expected input to have two or fewer dimensions but got an input with {rank} dimensions")
    if input.dtype is dtypes.bool_:
        raise RuntimeError("cov(): bool dtype is not supported for input")
    count = input.shape[-1] if rank else 1
    _check_weights(count, fweights, aweights)
    norm = _freedom(count, correction, fweights, aweights)  # values are read before anything is recorded: reading may end the trace
    if norm <= 0:
        warnings.warn(
            "cov(): degrees of freedom is <= 0. Correction should be strictly less than the number of observations.", stacklevel=3
        )
    x = node_of(input)
    x = x if rank == 2 else reshape(x, (1, count))
    d = result_type([x, weak(1.0)])
    given = [reshaped(node_of(t), (count,)) for t in (fweights, aweights) if t is not None]
    divisor: Any = weak(max(norm, 0.0))
    if given:
        w = given[0] if len(given) == 1 else mul(*given)
        total = sum_(w, (0,), False)
        centred = sub(to(x, d), div(sum_(mul(x, w), (1,), True), total))
        weighted = mul(centred, w)
        if aweights is not None and norm > 0:  # importances may want gradients
            shared = div(mul(sum_(mul(w, given[-1]), (0,), False), weak(correction)), total)
            divisor = sub(total, shared) if correction else total
    else:
        weighted = centred = sub(to(x, d), div(sum_(x, (1,), True), weak(float(count))))
    found = div(matmul(weighted, adjoint(centred)), divisor)
    return wrap(reshape(found, ()) if x.shape[0] == 1 else found)


@function()
@step(lambda input: "ClampBackward1" if len(input.shape) == 2 else None)
def corrcoef(input: Tensor) -> Tensor:
    """The matrix of correlation coefficients of variables (rows) over observations (columns)."""
    if len(input.shape) > 2:
        raise RuntimeError(
            f"corrcoef(): expected input to have two or fewer dimensions but got an input with {len(input.shape)} dimensions"
        )
    c = node_of(cov(input))
    if not c.shape:
        return wrap(div(c, c))
    spread = sqrt(diagonal(c, 0, 0, 1))
    n = spread.shape[0]
    scaled = div(div(c, reshape(spread, (n, 1))), spread)
    if scaled.dtype.is_complex:
        return wrap(complex_(*[_bounded(part(scaled)) for part in (real, imag)]))
    return wrap(_bounded(scaled))


def _bounded(x: Node) -> Node:
    return clamp_max(clamp_min(x, weak(-1.0)), weak(1.0))
