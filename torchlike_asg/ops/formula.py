"""The elementwise vocabulary of ops/scalar.py interpreted on nodes, and the kinds of operands an operation takes.

A formula run through `NodeHandler` becomes a subgraph of elementary operations. That is how fused elementwise gradients get
gradients of their own: the formula stays written once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import dtypes
from ..asg.declare import Op, get
from ..asg.node import Node, const
from ..dtypes import dtype
from .promotion import promoting, title

_OPS = {
    name: name
    for name in (
        "add",
        "sub",
        "mul",
        "div",
        "neg",
        "abs",
        "sign",
        "pow",
        "fmod",
        "remainder",
        "maximum",
        "minimum",
        "reciprocal",
        "fma",
        "exp",
        "expm1",
        "log",
        "log1p",
        "log2",
        "log10",
        "sqrt",
        "rsqrt",
        "sin",
        "cos",
        "tan",
        "asin",
        "acos",
        "atan",
        "atan2",
        "sinh",
        "cosh",
        "tanh",
        "sigmoid",
        "erf",
        "erfc",
        "erfinv",
        "lgamma",
        "digamma",
        "exp2",
        "asinh",
        "acosh",
        "atanh",
        "floor",
        "ceil",
        "round",
        "trunc",
        "eq",
        "ne",
        "lt",
        "le",
        "gt",
        "ge",
        "isnan",
        "isinf",
        "where",
        "logical_and",
        "logical_or",
        "logical_not",
        "logical_xor",
        "cast",
    )
}
_OPS |= {
    "floor_div": "floor_divide",
    "bit_and": "bitwise_and",
    "bit_or": "bitwise_or",
    "bit_xor": "bitwise_xor",
    "bit_not": "bitwise_not",
    "shift_left": "bitwise_left_shift",
    "shift_right": "bitwise_right_shift",
}


class NodeHandler:
    """Evaluates formulas on nodes of one element type."""

    def __init__(self, d: dtype) -> None:
        self.type = d

    @property
    def is_float(self) -> bool:
        return self.type.category >= dtypes.FLOAT

    def const(self, value: Any) -> Node:
        return const(value, self.type)

    def rounded(self, x: Node, d: dtype) -> Node:
        return x if x.dtype is d else get("cast")(get("cast")(x, d), x.dtype)

    def __getattr__(self, name: str) -> Op:
        found = _OPS.get(name)
        if found is None:
            raise AttributeError(f"the formula vocabulary has no {name!r}")
        return get(found)


def from_formula(formula: Callable[..., Any]) -> Callable[[Node], Node]:
    """An `expand` rule: the formula of one element, as elementary operations on the whole operands."""
    return lambda n: formula(NodeHandler(n.dtype), *n.srcs, *n.attrs)


# ---------------------------------------------------------------- what operands may be
def refuse(kernel: str, d: dtype) -> NotImplementedError:
    """PyTorch's error for a kernel that has no version for an element type."""
    return NotImplementedError(f"\"{kernel}\" not implemented for '{title(d)}'")


def floating_only(kernel: str, count: int = 1) -> Callable[..., tuple[Any, ...]]:
    """A `prepare` rule: operands of one floating type after promotion; others are refused in the name of PyTorch's kernel."""
    promote = promoting(count)

    def prepare(*args: Any) -> tuple[Any, ...]:
        canonical = promote(*args) if count > 1 else args
        if not canonical[0].dtype.is_floating_point:
            raise refuse(kernel, canonical[0].dtype)
        return canonical

    return prepare


# ---------------------------------------------------------------- small subgraphs that several families build
def sum_over(x: Node, dims: tuple[int, ...]) -> Node:
    """The sum over `dims`, which stay with size one."""
    return get("sum")(x, dims, True)


def mean_over(x: Node, dims: tuple[int, ...]) -> Node:
    """The mean over `dims`, which stay with size one."""
    return get("mean")(x, dims, True)
