"""What batching rules are made of: operands as batches, and dimensions that count one more."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..asg.batching import Operand, spread
from ..asg.node import Node, const
from ..dtypes import int64
from .movement import arange, reshape


def whole(operands: Sequence[Operand], size: int) -> list[Node]:
    """Every operand as a batch."""
    return [n if mapped else spread(n, size) for n, mapped in operands]


def shifted(value: Any) -> Any:
    return tuple([v + 1 for v in value]) if isinstance(value, tuple) else value + 1


def moves(*places: int, rank_of: int = 0) -> Any:
    """All operands become batches; the attributes at `places`, dimensions or tuples of them, count one more."""

    def rule(n: Node, operands: Sequence[Operand], size: int) -> Node:
        attrs = [shifted(a) if i in places else a for i, a in enumerate(n.attrs)]
        xs = whole(operands, size)
        if not n.srcs[rank_of].ndim and any(not isinstance(n.attrs[i], tuple) for i in places):  # dimension 0 of a 0-d tensor
            xs = [reshape(x, (size, 1)) if x.ndim == 1 else x for x in xs]
            return reshape(n.op(*xs, *attrs), (size, *n.shape))
        return n.op(*xs, *attrs)

    return rule


def leading(n: Node, operands: Sequence[Operand], size: int) -> Node:
    """Leading dimensions are a batch to the operation itself."""
    return n.op(*whole(operands, size), *n.attrs)


def rows_of(size: int, rank: int) -> Node:
    """The numbers of the examples, to be indexed with beside index tensors of that rank."""
    return reshape(arange(const(0, int64), const(1, int64), size, int64), (size, *(1,) * rank))
