"""Composite operations as elementary ones, for backends that fuse: softmax becomes a maximum, exponentials, a sum and a quotient, which
the fuser then puts into one kernel again, together with whatever stands before and after.

Statistics of a normalisation are nodes like any other, so forward and backward pass share them. Composites of float16 and bfloat16 are
computed in float32 and rounded once at the end, as their references do.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Container, Mapping, Sequence
from typing import Any

from ... import dtypes
from ...asg.declare import get
from ...asg.node import Node, const
from ...asg.rewrite import settle
from ..kinds import in_one_pass

Expansion = Callable[..., "Node | None"]
#: operations whose references are better than their expansions, which serve derivatives
_KEPT = frozenset(("cofactor",))
_EXPANSIONS: dict[str, Expansion] = {}


def expansion(*names: str) -> Callable[[Expansion], Expansion]:
    """Register ``fn(node, *operands)`` as the expansion of operations; None leaves a node as it is."""

    def register(fn: Expansion) -> Expansion:
        for name in names:
            _EXPANSIONS[name] = fn
        return fn

    return register


def decompose(
    roots: Sequence[Node], stop: Container[Node], native: Callable[[Node], bool], preferred: Mapping[str, Expansion] | None = None
) -> list[Node]:
    """The roots with composites expanded, also those that expansions are made of, but for those that the backend has a kernel for:
    ``native(node)``. `preferred`: expansions to be tried before those of this module."""
    preferred = preferred or {}

    def apply(n: Node) -> Node | None:
        if n in stop or n.op.multi or n.dtype.is_complex:
            return None
        first = preferred.get(n.op.name)
        better = None if first is None else _widened(n, first)
        if better is not None:
            return better
        if native(n):
            return None
        found = _EXPANSIONS.get(n.op.name)
        if found is None:
            if n.op.expand is None or n.op.scalar is not None or n.op.name in _KEPT or any(s.dtype.is_complex for s in n.srcs):
                return None
            found = _own
        return _widened(n, found)

    return settle(roots, apply, stop)


def _own(n: Node, *operands: Node) -> Node | None:
    """The declaration's own expansion."""
    assert n.op.expand is not None
    return n.op.expand(n if operands == n.srcs else n.op(*operands, *n.attrs))


def _widened(n: Node, expand: Expansion) -> Node | None:
    narrow = n.dtype.is_floating_point and n.dtype.storage != n.dtype.compute
    if not narrow:
        return expand(n, *n.srcs)
    wide = [_to(s, dtypes.float32) if s.dtype is n.dtype else s for s in n.srcs]
    found = expand(n.op(*wide, *n.attrs), *wide)
    return None if found is None else _to(found, n.dtype)


# ---------------------------------------------------------------- words
def _to(x: Node, d: dtypes.dtype) -> Node:
    return x if x.dtype is d else get("cast")(x, d)


def _lit(value: Any, like: Node) -> Node:
    return const(value, like.dtype)


def _sum(x: Node, dims: tuple[int, ...], keepdim: bool = True) -> Node:
    return get("sum")(x, dims, keepdim) if dims else x


def _max(x: Node, dims: tuple[int, ...]) -> Node:
    return get("amax")(x, dims, True) if dims else x


def _mean(x: Node, dims: tuple[int, ...], keepdim: bool = True) -> Node:
    count = math.prod([x.shape[d] for d in dims])
    total = _sum(x, dims, keepdim)
    return total if count == 1 else get("div")(total, _lit(count, x))


def _reshape(x: Node, shape: tuple[int, ...]) -> Node:
    return x if tuple(x.shape) == shape else get("reshape")(x, shape)


def _add(a: Node, b: Node) -> Node:
    return get("add")(a, b)


def _sub(a: Node, b: Node) -> Node:
    return get("sub")(a, b)


def _mul(a: Node, b: Node) -> Node:
    return get("mul")(a, b)


def _div(a: Node, b: Node) -> Node:
    return get("div")(a, b)


def _dims(n: Node, x: Node) -> tuple[int, ...]:
    return (n.attrs[-1],) if x.ndim else ()


# ---------------------------------------------------------------- softmax and its logarithm
def _exponentials(x: Node, dims: tuple[int, ...]) -> tuple[Node, Node, Node]:
    """(x - max, exp of it, its sum)"""
    shifted = _sub(x, _max(x, dims))
    e = get("exp")(shifted)
    return shifted, e, _sum(e, dims)


@expansion("softmax")
def _softmax(n: Node, x: Node) -> Node | None:
    if not x.numel:
        return None
    _, e, total = _exponentials(x, _dims(n, x))
    return _div(e, total)


@expansion("log_softmax")
def _log_softmax(n: Node, x: Node) -> Node | None:
    return _log_softmax_over(x, _dims(n, x)) if x.numel else None


def _log_softmax_over(x: Node, dims: tuple[int, ...]) -> Node:
    shifted, _, total = _exponentials(x, dims)
    return _sub(shifted, get("log")(total))


@expansion("softmax_grad")
def _softmax_grad(n: Node, g: Node, y: Node) -> Node:
    p = _mul(g, y)
    return _sub(p, _mul(y, _sum(p, _dims(n, y))))


@expansion("log_softmax_grad")
def _log_softmax_grad(n: Node, g: Node, y: Node) -> Node:
    return _sub(g, _mul(get("exp")(y), _sum(g, _dims(n, y))))


@expansion("logsumexp")
def _logsumexp(n: Node, x: Node) -> Node | None:
    dims, keepdim = n.attrs
    if not x.numel or not dims:
        return None
    top = _max(x, dims)
    top = get("where")(get("isinf")(top), _lit(0, top), top)
    found = _add(get("log")(_sum(get("exp")(_sub(x, top)), dims)), top)
    return found if keepdim else _reshape(found, tuple(n.shape))


# ---------------------------------------------------------------- sums
@expansion("sum", "amax", "max", "amin", "min", "prod", "any", "all")
def _of_one(n: Node, x: Node) -> Node | None:
    """A reduction over dimensions of one element combines nothing."""
    if math.prod([x.shape[d] for d in n.attrs[0]]) != 1 or not x.numel:
        return None
    return _reshape(_to(x, n.dtype), tuple(n.shape))


@expansion("mean")
def _mean_of(n: Node, x: Node) -> Node | None:
    return _mean(x, *n.attrs) if x.numel and not in_one_pass(n) else None


@expansion("sum_to")
def _sum_to(n: Node, x: Node) -> Node:
    shape = tuple(n.shape)
    lead = x.ndim - len(shape)
    dims = tuple(range(lead)) + tuple(lead + i for i, d in enumerate(shape) if d == 1 and x.shape[lead + i] != 1)
    if x.dtype.category < dtypes.FLOAT:
        return _reshape(_to(_sum(x, dims), x.dtype), shape)
    return _reshape(get("sum")(x, dims, True, *n.attrs[1:]) if dims else x, shape)


def _squares(x: Node, dims: tuple[int, ...], correction: float, keepdim: bool) -> Node:
    count = math.prod([x.shape[d] for d in dims])
    centred = _sub(x, _mean(x, dims))
    return _div(_sum(_mul(centred, centred), dims, keepdim), _lit(max(count - correction, 0), x))


@expansion("variance")
def _variance(n: Node, x: Node) -> Node | None:
    return _squares(x, *n.attrs) if x.numel and n.attrs[0] and not in_one_pass(n) else None


@expansion("std")
def _std(n: Node, x: Node) -> Node | None:
    """Of the differences from one element: equal elements deviate by exactly 0, where the gradient is 0 too, and not noise over noise."""
    if not x.numel or not n.attrs[0]:
        return None
    first = x
    for d in n.attrs[0]:
        first = get("slice")(first, d, 0, 1, 1)
    return get("sqrt")(_squares(_sub(x, first), *n.attrs))


@expansion("vector_norm")
def _vector_norm(n: Node, x: Node) -> Node | None:
    p, dims, keepdim = n.attrs
    if not x.numel or not dims or p not in (1.0, 2.0, math.inf):
        return None
    if p == 2:
        return get("sqrt")(_sum(_mul(x, x), dims, keepdim))
    size = get("abs")(x)
    return _sum(size, dims, keepdim) if p == 1 else get("amax")(size, dims, keepdim)


# ---------------------------------------------------------------- random numbers
@expansion("philox_normal")
def _philox_normal(n: Node, key: Node, block: Node) -> Node | None:
    """Box-Muller on pairs of uniform numbers, as rng/philox.py has it."""
    if not n.numel:
        return None
    u = get("philox_uniform")(key, block, (-(-n.numel // 2), 2))
    first, second = get("select")(u, 1, 0), get("select")(u, 1, 1)
    radius = get("sqrt")(_mul(_lit(-2.0, u), get("log")(_sub(_lit(1.0, u), first))))
    angle = _mul(_lit(2 * math.pi, u), second)
    pairs = _reshape(get("stack")(_mul(radius, get("cos")(angle)), _mul(radius, get("sin")(angle)), 1), (-(-n.numel // 2) * 2,))
    return _reshape(pairs if n.numel % 2 == 0 else get("slice")(pairs, 0, 0, n.numel, 1), tuple(n.shape))


# ---------------------------------------------------------------- normalisations
def _statistics(x: Node, dims: tuple[int, ...], eps: float) -> tuple[Node, Node]:
    """(x - mean, 1 / sqrt(biased variance + eps))"""
    centred = _sub(x, _mean(x, dims))
    var = _mean(_mul(centred, centred), dims)
    return centred, get("rsqrt")(_add(var, _lit(eps, x)))


@expansion("layer_norm", "batch_norm", "instance_norm")
def _norm(n: Node, x: Node, *affine: Node) -> Node | None:
    if not x.numel:
        return None
    dims, eps = n.attrs
    centred, scale = _statistics(x, dims, eps)
    y = _mul(centred, scale)
    if affine:
        y = _mul(y, affine[0])
    return _add(y, affine[1]) if len(affine) > 1 else y


@expansion("group_norm")
def _group_norm(n: Node, x: Node, *affine: Node) -> Node | None:
    if not x.numel:
        return None
    groups, eps = n.attrs
    shape = (x.shape[0], groups, x.shape[1] // groups, math.prod(x.shape[2:]))
    centred, scale = _statistics(_reshape(x, shape), (2, 3), eps)
    y = _mul(centred, scale)
    each = (groups, shape[2], 1)
    if affine:
        y = _mul(y, _reshape(affine[0], each))
    if len(affine) > 1:
        y = _add(y, _reshape(affine[1], each))
    return _reshape(y, tuple(x.shape))


@expansion("norm_grad_input")
def _norm_grad_input(n: Node, g: Node, x: Node, *w: Node) -> Node | None:
    if not x.numel:
        return None
    dims, eps = n.attrs
    centred, scale = _statistics(x, dims, eps)
    y = _mul(centred, scale)
    if w and 0 in dims and len(dims) > 1 and w[0].numel == math.prod([s for d, s in enumerate(x.shape) if d not in dims]):
        # a weight for each channel: without it the sums are the gradients of weight and bias, which are wanted, too
        count = _lit(math.prod([x.shape[d] for d in dims]), x)
        along = _mul(y, _div(_sum(_mul(g, y), dims), count))
        return _mul(_mul(scale, w[0]), _sub(g, _add(_div(_sum(g, dims), count), along)))
    if w:
        g = _mul(g, w[0])
    return _mul(scale, _sub(_sub(g, _mean(g, dims)), _mul(y, _mean(_mul(g, y), dims))))


@expansion("norm_grad_weight")
def _norm_grad_weight(n: Node, g: Node, x: Node) -> Node | None:
    if not x.numel:
        return None
    shape, dims, eps = n.attrs
    centred, scale = _statistics(x, dims, eps)
    return get("sum_to")(_mul(g, _mul(centred, scale)), shape)


@expansion("rms_norm")
def _rms_norm(n: Node, x: Node, *w: Node) -> Node | None:
    if not x.numel:
        return None
    y = _mul(x, _root_mean_square(x, *n.attrs))
    return _mul(y, w[0]) if w else y


def _root_mean_square(x: Node, dims: tuple[int, ...], eps: float) -> Node:
    return get("rsqrt")(_add(_mean(_mul(x, x), dims), _lit(eps, x)))


@expansion("rms_norm_grad")
def _rms_norm_grad(n: Node, g: Node, x: Node, *w: Node) -> Node | None:
    if not x.numel:
        return None
    dims, eps = n.attrs
    scale = _root_mean_square(x, dims, eps)
    if w:
        g = _mul(g, w[0])
    return _mul(scale, _sub(g, _mul(_mul(x, _mul(scale, scale)), _mean(_mul(g, x), dims))))
