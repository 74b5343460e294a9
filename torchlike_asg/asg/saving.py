"""What the gradient of an operation keeps: rules for `Op.saves`."""

from __future__ import annotations

from collections.abc import Callable

from .node import Node


def keep(*needs: tuple[int, tuple[int, ...]]) -> Callable[[Node], tuple[Node, ...]]:
    """`saves` rule from pairs (operand, operands whose gradient reads it); operand -1 is the result itself.

    ``keep((0, (1,)), (1, (0,)))`` for a product: each factor is kept if the other one needs a gradient.
    """

    def saves(n: Node) -> tuple[Node, ...]:
        return tuple(
            n if i < 0 else n.srcs[i] for i, need in needs if i < len(n.srcs) and any(j < len(n.srcs) and n.srcs[j].rg for j in need)
        )

    return saves


def keep_all(n: Node) -> tuple[Node, ...]:
    """`saves` rule: every operand."""
    return n.srcs


def keep_result(n: Node) -> tuple[Node, ...]:
    """`saves` rule: the result, as for exp and tanh."""
    return (n,)


def keep_shape(n: Node) -> tuple[Node, ...]:
    """`saves` rule: only constants; a second backward is refused, but no overwritten value can hurt."""
    return ()
