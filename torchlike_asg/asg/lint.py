"""The verifier: what must hold of every graph. Run after every pass in the tests, and on demand by `asg.lint`."""

from __future__ import annotations

from collections.abc import Container, Iterable

from ..devices import device
from ..dtypes import dtype
from ..errors import GraphError
from .declare import LEAVES, REGISTRY
from .node import Node
from .rewrite import topo


def lint(roots: Iterable[Node], stop: Container[Node] = ()) -> int:
    """Check every node reachable from the roots; raises GraphError naming the first that is wrong. Returns how many were checked."""
    order = topo(roots, stop)
    place = {n: i for i, n in enumerate(order)}
    for i, n in enumerate(order):
        _check(n)
        for s in n.srcs:
            if s in stop:
                continue
            if place[s] >= i:
                raise GraphError(f"{_name(n)} reads {_name(s)}, which comes after it")
            if s.op.name == "scalar":
                raise GraphError(f"{_name(n)} reads an untyped scalar: its operation does not promote its operands")
    return len(order)


def _name(n: Node) -> str:
    return f"{n!r} (recorded at {n.site[1]}:{n.site[2]})"


def _check(n: Node) -> None:
    op = n.op
    if op.name not in REGISTRY and op.pure:
        raise GraphError(f"{_name(n)}: operation {op.name} is not declared")
    if not isinstance(n.dtype, dtype) or not isinstance(n.device, device):
        raise GraphError(f"{_name(n)}: dtype or device is not one")
    if any(d < 0 for d in n.shape) or len(n.strides) != len(n.shape):
        raise GraphError(f"{_name(n)}: shape {tuple(n.shape)} and strides {n.strides} do not fit")
    if op in LEAVES:
        if n.srcs:
            raise GraphError(f"{_name(n)}: a leaf with operands")
        return
    if not op.pure or op.name in ("leaf_of", "argument"):
        return
    if op.rule is None:
        raise GraphError(f"{_name(n)}: operation {op.name} has no rule")
    meta = op.rule(*n.srcs, *n.attrs)
    if tuple(meta[0]) != tuple(n.shape) or meta[1] is not n.dtype:
        raise GraphError(f"{_name(n)}: inferred {tuple(meta[0])} {meta[1]}, but the node says {tuple(n.shape)} {n.dtype}")
    if n.rg and not op.differentiable:
        raise GraphError(f"{_name(n)}: carries a gradient through an operation without one")


def check_expansion(n: Node) -> None:
    """An expansion may read its node's operands and nothing beyond them, and must have its node's shape and type."""
    assert n.op.expand is not None
    out = n.op.expand(n)
    if tuple(out.shape) != tuple(n.shape) or out.dtype is not n.dtype:
        raise GraphError(f"{_name(n)}: expands to {out!r}")
    inside = topo([out], frozenset(n.srcs))
    for m in inside:
        if m.op in LEAVES and m.op.name not in ("const", "scalar"):
            raise GraphError(f"{_name(n)}: its expansion reaches beyond its operands, to {m!r}")
