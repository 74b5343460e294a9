"""The nodes of tensors whose gradients are asked for, and what keeps these."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..asg import gradients
from ..asg.declare import INPUT, get
from ..asg.node import Node
from ..asg.trace import current
from .core import Tensor, node_of
from .families import family_of
from .nodes import recorded_as, with_history
from .saved_values import Ended


def asked_node(t: Tensor) -> Node:
    """The node whose gradient is that of `t`: a leaf's own, from which all that shows its memory has its values. A write without history
    leaves it where it was.
    """
    n, f = node_of(t), t._f
    if f is None or f.leaf is None or n is f.leaf or t._kind is not None or f.leaf.shape != n.shape or not t.is_leaf:  # type: ignore[attr-defined]
        return with_history(n)
    return f.leaf


def keeper(t: Tensor) -> Any:
    """What keeps the gradient of `t`: a family that of its base, a view its own."""
    return family_of(t) if t._f is None or t._kind is None else t


def record_again(outputs: Sequence[Tensor], inputs: Sequence[Tensor]) -> None:
    """Have what the outputs were made of recorded in the current trace, if inputs may be other nodes there (see `asked_nodes`)."""
    if current().retained or any(["_shown" in t.__dict__ or (t._f is not None and t._f.past.__class__ is Ended) for t in inputs]):
        for t in outputs:
            node_of(t)


def asked_nodes(t: Tensor) -> tuple[Node, ...]:
    """`asked_node`, and those that a view had before writes without history, or a result before its history ended: for PyTorch it is one
    and the same. What was recorded in an earlier trace is here as it was recorded again.
    """
    n, tr = asked_node(t), current()
    end = tr.retained.get(n) if tr.retained and n.op is INPUT else None
    had = t.__dict__.get("_shown", ())
    if not had and end.__class__ is not Ended:
        return (n,)
    now = tr.index, tr.generation
    if end.__class__ is Ended:
        had = *had, *[(snap.made, m) for r, m in end.places if (snap := r()) is not None]
    found = [n]
    for when, m in had:
        if when != now:
            m = recorded_as(m, when, tr) or n
        m = with_history(m)
        if m not in found:
            found.append(m)
    return tuple(found)


def given_to(result: gradients.Sweep, nodes: tuple[Node, ...]) -> Node | None:
    """The gradient that a sweep found for a tensor, which has had these nodes."""
    found = [g for n in nodes if (g := result.gradients.get(n)) is not None]
    if len(found) < 2:
        return found[0] if found else None
    total = gradients.dense(found[0])
    for g in found[1:]:
        total = get("add")(total, gradients.dense(g))
    return total


def check_inputs(inputs: list[Any]) -> list[Any]:
    """Those `inputs`; RuntimeError if there are none, or one of them is no tensor that wants a gradient."""
    if not inputs:
        raise RuntimeError("`inputs` argument to `backward()` cannot be empty.")
    for t in inputs:
        if not isinstance(t, Tensor):
            raise RuntimeError(f"all inputs have to be Tensors or GradientEdges, but got {type(t).__name__}")
    if not all([t.requires_grad for t in inputs]):
        raise RuntimeError("One of the differentiated Tensors does not require grad")
    return inputs


def keep_asked(inputs: Sequence[Tensor] | None) -> None:
    """Those with a history keep their gradients of later passes, too, as after `retain_grad`."""
    for t in inputs or ():
        if not t.is_leaf:
            t.retain_grad()  # type: ignore[attr-defined]
