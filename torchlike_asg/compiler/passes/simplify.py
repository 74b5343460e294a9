"""Algebra that is exact in floating point, NaN and signed zeros included."""

from __future__ import annotations

import math
from collections.abc import Callable, Container, Sequence
from typing import Any

from ...asg.declare import CONST, get
from ...asg.node import Node, const
from ...asg.rewrite import rewrite

Rule = Callable[[Node], "Node | None"]
_RULES: dict[str, list[Rule]] = {}


def rule(*names: str) -> Callable[[Rule], Rule]:
    def register(fn: Rule) -> Rule:
        for name in names:
            _RULES.setdefault(name, []).append(fn)
        return fn

    return register


def simplify(roots: Sequence[Node], stop: Container[Node], opaque: bool = False) -> list[Node]:
    """See `simpler`."""
    return rewrite(roots, simpler(stop, opaque), stop)


def simpler(stop: Container[Node], opaque: bool = False) -> Rule:
    """The rule of this pass: something simpler than a node, or None.

    `opaque`: nothing may follow from what a node in `stop` was computed from, numbers included. So it must be where code is made that
    serves every graph of one structure: there the node is data, which are others the next time.
    """

    def apply(n: Node) -> Node | None:
        rules = _RULES.get(n.op.name)
        if rules is None or n in stop or (opaque and any(_number_behind(s, stop) for s in n.srcs)):
            return None
        for r in rules:
            better = r(n)
            if better is not None and not _looks_behind(better, n, stop, opaque):
                return better
        return None

    return apply


def _looks_behind(better: Node, n: Node, stop: Container[Node], opaque: bool) -> bool:
    """Whether a replacement reads what an operand was computed from, though that operand is data: its own operands may be gone."""
    hidden = {t for s in n.srcs if s in stop for t in s.srcs if opaque or t.op is not CONST}
    if not hidden:
        return False
    shown = {*n.srcs, *[t for s in n.srcs if s not in stop for t in s.srcs]}
    stack = [better]
    while stack:
        m = stack.pop()
        if m in shown:
            continue
        if m in hidden:
            return True
        stack += m.srcs
    return False


_FILLED = ("full", "expand", "reshape")


def _number_behind(n: Node, stop: Container[Node]) -> bool:
    """Whether `literal` of a node is a number only because of what a node in `stop` was computed from."""
    behind = False
    while n.op.name in _FILLED:
        behind = behind or n in stop
        n = n.srcs[0]
    return behind and n.op is CONST


def literal(n: Node) -> Any:
    """The number that every element of `n` is, or None."""
    while n.op.name in _FILLED:
        n = n.srcs[0]
    return n.attrs[0] if n.op is CONST else None


def _is(n: Node, value: float) -> bool:
    found = literal(n)
    if found.__class__ is complex:  # whose zeros have two signs each
        return False
    return found is not None and found == value and (value != 0 or math.copysign(1, found) == math.copysign(1, value))


def _kept(n: Node, s: Node) -> Node | None:
    """`s`, if it can stand for the result."""
    return s if tuple(s.shape) == tuple(n.shape) and s.dtype is n.dtype else None


@rule("mul")
def _mul(n: Node) -> Node | None:
    a, b = n.srcs
    if _is(b, 1):
        return _kept(n, a)
    if _is(a, 1):
        return _kept(n, b)
    return _scalar_operand(n)


@rule("div")
def _div(n: Node) -> Node | None:
    return _kept(n, n.srcs[0]) if _is(n.srcs[1], 1) else _scalar_operand(n)


@rule("add")
def _add(n: Node) -> Node | None:
    a, b = n.srcs
    if _is(b, -0.0) or (n.dtype.category < 2 and _is(b, 0)):
        return _kept(n, a)
    if _is(a, -0.0) or (n.dtype.category < 2 and _is(a, 0)):
        return _kept(n, b)
    if b.op.name == "neg":
        return get("sub")(a, b.srcs[0]) if n.dtype.category >= 2 else None
    return _scalar_operand(n)


@rule("sub")
def _sub(n: Node) -> Node | None:
    a, b = n.srcs
    if _is(b, 0.0):
        return _kept(n, a)
    if b.op.name == "neg" and n.dtype.category >= 2:
        return get("add")(a, b.srcs[0])
    return _scalar_operand(n)


def _scalar_operand(n: Node) -> Node | None:
    """An operand filled with one number becomes that number, if the other operand already has the result's shape."""
    a, b = n.srcs
    shape = tuple(n.shape)
    if b.op is not CONST and (value := literal(b)) is not None and tuple(a.shape) == shape:
        return n.op(a, const(value, b.dtype))
    if a.op is not CONST and (value := literal(a)) is not None and tuple(b.shape) == shape:
        return n.op(const(value, a.dtype), b)
    return None


@rule("neg")
def _neg(n: Node) -> Node | None:
    (x,) = n.srcs
    return x.srcs[0] if x.op.name == "neg" else None


@rule("pow")
def _pow(n: Node) -> Node | None:
    x, p = n.srcs
    if p.op is not CONST:
        return None
    if p.attrs[0] == 1:
        return _kept(n, x)
    if p.attrs[0] == 2:
        return get("mul")(x, x)
    root = {0.5: "sqrt", -0.5: "rsqrt"}.get(p.attrs[0])  # PyTorch's powers are these roots also where they differ: at -0 and -inf
    return None if root is None else get(root)(x)


@rule("cast")
def _cast(n: Node) -> Node | None:
    (x,) = n.srcs
    if x.dtype is n.dtype:
        return x
    if x.op is CONST and n.dtype.category >= x.dtype.category:
        return const(x.attrs[0], n.dtype)
    return None


@rule("reshape")
def _reshape(n: Node) -> Node | None:
    (x,) = n.srcs
    if tuple(x.shape) == tuple(n.shape):
        return x
    return n.op(x.srcs[0], *n.attrs) if x.op.name == "reshape" else None


@rule("permute")
def _permute(n: Node) -> Node | None:
    (x,) = n.srcs
    if n.attrs == tuple(range(len(n.attrs))):
        return x
    return n.op(x.srcs[0], *[x.attrs[i] for i in n.attrs]) if x.op.name == "permute" else None


@rule("expand", "sum_to")
def _same_shape(n: Node) -> Node | None:
    (x,) = n.srcs
    return x if tuple(x.shape) == tuple(n.shape) else None


@rule("clone", "contiguous", "relayout")
def _copy(n: Node) -> Node | None:
    return n.srcs[0]


@rule("copy", "fill")
def _written(n: Node) -> Node | None:
    """A value written over a whole tensor is that value."""
    x, v = n.srcs
    if tuple(v.shape) == tuple(x.shape):
        return v
    if v.op is CONST:
        return get("full")(v, tuple(x.shape))
    return get("expand")(v, *x.shape)


@rule("restride")
def _restride(n: Node) -> Node | None:
    """Reading back exactly the region that was just written, or the whole storage."""
    (x,) = n.srcs
    shape, strides, offset, base = n.attrs
    if (shape, strides, offset) == (tuple(x.shape), base, 0):
        return x
    if x.op.name == "restride_scatter" and x.attrs[0] == (shape, strides, offset):
        return x.srcs[1]
    return None


@rule("zeros_of")
def _zeros(n: Node) -> Node | None:
    return get("full")(const(0, n.dtype), tuple(n.shape))


# ---------------------------------------------------------------- tables read from end to end
def _first_row(indices: Node) -> int | None:
    """Where indices that count by one begin, whatever their shape; None for others."""
    while indices.op.name in ("reshape", "view", "unsqueeze", "squeeze", "flatten", "cast") and indices.srcs[0].numel == indices.numel:
        indices = indices.srcs[0]
    if indices.op.name != "arange" or any(s.op is not CONST for s in indices.srcs):
        return None
    first, step = (s.attrs[0] for s in indices.srcs)
    return first if step == 1 and first >= 0 and first == int(first) else None


@rule("embedding")
def _embedding(n: Node) -> Node | None:
    """Positions in their order are a part of the table."""
    table, indices = n.srcs
    first = _first_row(indices)
    if first is None or not 0 < indices.numel <= table.shape[0] - first:
        return None
    found = get("slice")(table, 0, int(first), int(first) + indices.numel, 1)
    return found if tuple(found.shape) == tuple(n.shape) else get("reshape")(found, tuple(n.shape))


@rule("embedding_grad")
def _embedding_grad(n: Node) -> Node | None:
    """The gradient of such a part. (A sum that begins with zero has no negative zeros.)"""
    g, indices = n.srcs
    rows, padding, _ = n.attrs
    first, count = _first_row(indices), indices.numel
    if first is None or padding >= 0 or not 0 < count <= rows - first:
        return None
    shape = (count, n.shape[1])
    g = get("add")(g if tuple(g.shape) == shape else get("reshape")(g, shape), const(0.0, g.dtype))
    if count == rows:
        return g
    whole = tuple(n.shape)
    return get("unview")(g, "slice", (0, int(first), int(first) + count, 1), (whole, (whole[1], 1), 0))
