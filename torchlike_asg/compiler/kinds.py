"""What a node is to grouping: data, a literal, a view, a part of a loop nest, or something computed by itself."""

from __future__ import annotations

from collections.abc import Callable

from ..asg.declare import CONST, LEAVES
from ..asg.node import Node
from .views import is_view

#: reduction operations -> how a kernel combines
REDUCTIONS = {"sum": "sum", "amax": "max", "max": "max", "amin": "min", "min": "min", "prod": "prod", "any": "any", "all": "all"}
REDUCTIONS |= {"mean": "mean", "variance": "variance"}


def in_one_pass(n: Node) -> bool:
    """Whether a mean or a variance is to be found by updates, in one pass, and not by sums."""
    return bool(n.attrs[-1] == "updated")


def order_of(n: Node) -> str:
    """The order in which a sum is to add up (`Reduce.order`)."""
    return n.attrs[2] if n.op.name == "sum" and len(n.attrs) > 2 else ""


def kind_of(n: Node, stop: set[Node], own: Callable[[Node], bool], complex_views: bool = False) -> str:
    """The usual classification: `own` nodes are computed by kernels of their own. With `complex_views`, complex numbers are seen through
    views as others are."""
    if n in stop or (n.op in LEAVES and n.op is not CONST):
        return "leaf"
    if n.op is CONST:
        return "literal"
    if n.op.multi:
        return "own"
    complex_ = n.dtype.is_complex or True in [s.dtype.is_complex for s in n.srcs]
    if is_view(n) and (complex_views or not complex_):
        return "view"
    if complex_:
        return "own"
    if own(n):
        return "own"
    if n.op.scalar is not None or n.op.name in ("cast", "philox_uniform"):
        return "point"
    if n.op.name in REDUCTIONS and n.attrs[0] and n.srcs[0].numel and (n.op.name not in ("mean", "variance") or in_one_pass(n)):
        return "reduce"
    return "own"
