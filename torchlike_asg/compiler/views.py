"""Where values lie: views as geometry over the buffer of the value they show, and the orders in which buffers are laid out."""

from __future__ import annotations

from collections.abc import Sequence

from ..asg.declare import ViewRule
from ..asg.geometry import Geometry, Shape, view_strides
from ..asg.node import Node


def viewed(g: Geometry, n: Node) -> Geometry | None:
    """The geometry of view `n`, given that of its operand; None where only a copy can show it."""
    shape = tuple(n.shape)
    name = n.op.name
    if name in ("reshape", "view"):
        strides = view_strides((tuple(g[0]), g[1], g[2]), shape)
        return None if strides is None else (shape, strides, g[2])
    if name == "full":
        return shape, (0,) * len(shape), g[2]
    if name == "restride":
        size, strides, offset, base = n.attrs
        if not same_strides(tuple(g[0]), g[1], base):
            return None
        return tuple(size), tuple(strides), g[2] + offset
    rule = n.op.rule
    assert isinstance(rule, ViewRule)
    return rule.geometry((tuple(g[0]), g[1], g[2]), *n.attrs)


def is_view(n: Node) -> bool:
    """Whether an operation only shows its operand's elements again (`full` shows one number everywhere)."""
    return n.op.name in ("reshape", "full") or (n.op.view and isinstance(n.op.rule, ViewRule))


def unviewed(g: Geometry, n: Node) -> Geometry | None:
    """The geometry that the operand of view `n` must have so that the view lies at `g`: for storing a value where its only reader wants it.
    None for views that do not show every element exactly once, or where the shapes do not allow it.
    """
    x = n.srcs[0]
    name = n.op.name
    if name in ("reshape", "view", "squeeze", "unsqueeze"):
        strides = view_strides((tuple(g[0]), g[1], g[2]), tuple(x.shape))
        return None if strides is None else (tuple(x.shape), strides, g[2])
    if name == "permute":
        moved = [0] * len(g[1])
        for to, source in enumerate(n.attrs):
            moved[source] = g[1][to]
        return tuple(x.shape), tuple(moved), g[2]
    return None


def same_strides(shape: Shape, a: Sequence[int], b: Sequence[int]) -> bool:
    """Whether two layouts put every element at the same place: strides of dimensions of one element do not count."""
    return 0 in shape or all(s == t for n, s, t in zip(shape, a, b, strict=True) if n != 1)


def ordered_strides(shape: Shape, order: Sequence[int]) -> Shape:
    """Strides of a dense buffer whose dimensions lie in `order`, outermost first."""
    strides = [0] * len(shape)
    step = 1
    for d in reversed(order):
        strides[d] = step
        step *= max(shape[d], 1)
    return tuple(strides)


def permuted_order(users: Sequence[Node], shape: Shape) -> tuple[int, ...] | None:
    """The order of dimensions that makes every reader's view row-major, if all readers permute alike."""
    found: tuple[int, ...] | None = None
    for u in users:
        if u.op.name != "permute" or (found is not None and u.attrs != found):
            return None
        found = u.attrs
    return found


def reduced_dims(n: Node) -> tuple[int, ...]:
    """The dimensions that a reduction combines."""
    return n.attrs[0]  # type: ignore[no-any-return]
