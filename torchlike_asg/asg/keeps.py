"""What one step of PyTorch keeps for its gradient, on the result of a function that is recorded as several operations."""

from __future__ import annotations

from typing import Any

import numpy as np

from .declare import IDENTITIES, REBIND, Array, Grads, Meta, Op, Sample
from .node import Node


def _rule(value: Node, *kept: Node) -> Meta:
    return value.shape, value.dtype, value.strides, value.offset


def _ref(value: Array, *kept: Any) -> Array:
    return value


def _vjp(n: Node, g: Node) -> Grads:
    return (g, *[None] * (len(n.srcs) - 1))


#: ``keeps(value, *kept)``: the value, whose backward pass is refused once one of `kept` is overwritten; `keeps_result` is refused once the
#: value itself is, too. Only errors follow from them: what the gradient reads is saved by the operations that `value` is made of.
KEEPS = Op("keeps", "identity", _rule, _ref, vjp=_vjp, saves=lambda n: n.srcs[1:], samples=lambda: [Sample((np.ones(2), np.ones(3)))])
KEEPS_RESULT = Op(
    "keeps_result", "identity", _rule, _ref, vjp=_vjp, saves=lambda n: (*n.srcs[1:], n), samples=lambda: [Sample((np.ones(2), np.ones(3)))]
)
KEEPING = (KEEPS, KEEPS_RESULT)
IDENTITIES.update(dict.fromkeys(KEEPING, 0))


def made(n: Node) -> Node:
    """The node that made the history of `n`, which may have another value, or keep more, since."""
    while n.op is REBIND or n.op in KEEPING:
        n = n.srcs[0]
    return n
