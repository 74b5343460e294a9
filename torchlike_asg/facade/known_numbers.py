"""Numbers that are read though hardly anything has to be computed for them: on the host, without a plan.

A loop whose control flow depends on numbers, such as an adaptive solver, asks of every step whether a size is finite, above a limit,
equal to one. Had each of these reads what is pending computed, each would begin another plan, and in a trace that stays open for its
histories the plans would be others after every sequence of answers.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..asg import reference
from ..asg.node import Node
from ..asg.trace import Trace
from ..dtypes import bool_, float32, float64, int64
from .leaf_data import leaf_value

#: Inputs of a trace up to which `counted` leaves it open; in one that was left open, those since its last read
FEW = 64
#: results recorded since then up to which it does
_PENDING = 256
#: elements of the largest operand, operations on the way to known values
_SMALL, _DEEP = 256, 4
_SUMS = frozenset(("add", "sub", "mul"))
#: whose results are exact: a kernel gives the same in whatever it stands
_EXACT = frozenset((
    "eq", "ne", "lt", "le", "gt", "ge", "isnan", "isinf", "isfinite", "isposinf", "isneginf", "signbit", "logical_and", "logical_or",
    "logical_xor", "logical_not", "all", "any",
))  # fmt: skip
#: the same, of operands of one type and whatever they hold
_MOVES = frozenset(("select", "neg", "abs", "stop", "detach"))
_TYPES = (float32, float64, int64, bool_)


def counted(n: Node, tr: Trace, depth: int = 0) -> Any:
    """The value of a number that follows from known ones by one sum or product, of an integer that takes a few, such as the end of a
    slice, ``text[i : i + n + 1]``, or of a comparison of such: too little to compute all that is pending for. Rounded once, it is what a
    kernel would give. None for anything else.
    """
    return _value(n, tr, _DEEP - depth, depth == 0)


def _value(n: Node, tr: Trace, left: int, rounds: bool) -> Any:
    """The same by at most `left` operations; `rounds`: of floating-point numbers, too, by one that rounds."""
    value = tr.known[n] if n in tr.known else leaf_value(n, tr)
    if value is not None:
        return value if value.__class__ is np.ndarray else None
    name = n.op.name
    if not left or n.dtype not in _TYPES:
        return None
    if name in _SUMS:
        if n.shape or (n.dtype is not int64 and not (rounds and n.dtype is not bool_)):
            return None
        rounds = False
    elif (name not in _EXACT and name not in _MOVES) or not _small(n) or any(s.dtype not in _TYPES or not _small(s) for s in n.srcs):
        return None
    claims, slots = tr.read
    if tr.slots - slots >= FEW or len(tr.claims) - claims >= _PENDING:
        return None
    operands = [_value(s, tr, left - 1, rounds) for s in n.srcs]
    if any([v is None for v in operands]):
        return None
    with np.errstate(all="ignore"):
        value = tr.known[n] = reference.apply(n, operands)
    return value if value.__class__ is np.ndarray else None


def _small(n: Node) -> bool:
    return bool(n.shape.numel() <= _SMALL)
