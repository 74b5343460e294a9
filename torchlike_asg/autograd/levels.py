"""Nesting of function transforms, and the arguments they hand to a function."""

from __future__ import annotations

from collections.abc import Container, Iterator
from contextlib import contextmanager

from ..asg.declare import ARGUMENT, EXAMPLE, LEAVES, ONWARD, ONWARD_VIEW, STOP
from ..asg.gradients import argument_of, dense, history, is_leaf
from ..asg.node import Node
from ..asg.trace import current
from ..facade.backward import grad_mode
from ..facade.core import Tensor, node_of, wrap


@contextmanager
def level() -> Iterator[int]:
    """One transform more around what is recorded inside. A read inside must not end the trace under the nodes being transformed."""
    tr = current()
    tr.level += 1
    tr.held += 1
    try:
        yield tr.level
    finally:
        tr.level -= 1
        tr.held -= 1


class Depth(int):
    """How deep a transform is nested, and whether the code around it records gradients."""

    tracked: bool

    def __new__(cls, depth: int, tracked: bool) -> Depth:
        made = super().__new__(cls, depth)
        made.tracked = tracked
        return made


@contextmanager
def differentiating() -> Iterator[Depth]:
    """`level`, inside which gradients are recorded; under ``no_grad`` what comes out has no history."""
    tracked = current().grad
    with level() as depth, grad_mode(True):
        yield Depth(depth, tracked)


def argument(t: Tensor, depth: int, index: int) -> Tensor:
    """`t` as an argument to differentiate by: a value of its own, through which gradients flow on to `t`."""
    n = node_of(t)
    with grad_mode(True):
        return wrap(argument_of(n, depth, index))


def result(n: Node, depth: Depth, own: Container[Node] = ()) -> Tensor:
    """A tensor of the result of the transform at that depth. Its own arguments are no history: what depends on nothing else has none.

    `own`: those arguments, where others of that depth may be met.
    """
    further = n.rg and depth.tracked and _reaches_further(n, depth, own)
    # a tensor cannot be the result that another one's data are
    return wrap(dense(n if further or (not n.rg and n.op not in LEAVES) else STOP(n)))


def _reaches_further(n: Node, depth: int, own: Container[Node]) -> bool:
    """Whether gradients flow from `n` to a leaf, or to an argument of a transform around this one."""
    seen: set[Node] = set()
    nodes = history((n,), seen)
    barred = [m for m in nodes if m.op is ONWARD or m.op is ONWARD_VIEW]
    if barred:  # what lies behind these alone is reached by tangents only
        seen = set(barred)
        nodes = history((n,), seen)
    return any(is_leaf(m) or m.op is EXAMPLE or (m.op is ARGUMENT and m.attrs[0] < depth and m not in own) for m in nodes)
