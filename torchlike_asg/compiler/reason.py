"""Why no plan was found, in words: what differs from the known plan that is most like what is asked for (`events.CacheMiss`)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..asg.declare import CONST, INPUT, VAR
from ..asg.node import Node
from ..asg.reference import constant

__all__ = ["difference"]

#: pairs of nodes that are compared at most, from the outputs towards the leaves
_STEPS = 2000
Outputs = tuple[Node, ...]


def difference(outputs: Outputs, known: Iterable[Outputs]) -> str:
    """What keeps `outputs` from being one of the `known` tuples of outputs, the latest of which come last.

    A shape, a number or an operation is traced to where it enters: "data of shape [7, 3] instead of [8, 3] at train.py:12".
    """
    best: Outputs | None = None
    most = (-1, -1)
    for candidate in known:
        alike = (_common(outputs, candidate, _same), _common(outputs, candidate, _similar))
        if alike >= most:
            most, best = alike, candidate
    if best is None:
        return "this is the first plan"
    pair = next(((a, b) for a, b in zip(outputs, best, strict=False) if a is not b), None)
    if pair is not None:
        return _origin(*pair)
    if len(outputs) == len(best):
        return f"the same results after another plan of an unfinished step: {_named(outputs[0])}"
    extra = (outputs if len(outputs) > len(best) else best)[min(len(outputs), len(best))]
    return f"{len(outputs)} results instead of {len(best)}: {'also' if len(outputs) > len(best) else 'without'} {_named(extra)}"


def _common(a: Outputs, b: Outputs, alike: Any) -> int:
    return sum(1 for x, y in zip(a, b, strict=False) if alike(x, y))


def _same(a: Node, b: Node) -> bool:
    return a is b


def _similar(a: Node, b: Node) -> bool:
    return a.op is b.op and a.site[1:] == b.site[1:]


def _origin(a: Node, b: Node) -> str:
    """What two graphs differ in, rather the data they start from than the operations that follow from its shape."""
    seen: set[tuple[int, int]] = set()
    pairs, told, other = [(a, b)], "", ""
    while pairs and len(seen) < _STEPS:
        a, b = pairs.pop()
        if a is b or (id(a), id(b)) in seen:
            continue
        seen.add((id(a), id(b)))
        if a.op is not b.op or len(a.srcs) != len(b.srcs):
            other = other or f"{_named(a)} instead of {_named(b)}"
        elif not a.srcs:
            if (text := _leaves(a, b)) is not None:
                return text
        else:
            before = len(pairs)
            pairs += [(x, y) for x, y in zip(reversed(a.srcs), reversed(b.srcs), strict=True) if x is not y]
            if len(pairs) == before:  # equal operands: the operation differs in what it was told
                told = told or f"{_named(a)} with {_told(a)} instead of {_told(b)}"
    return other or told or f"{_named(a)} instead of {_named(b)}"


def _leaves(a: Node, b: Node) -> str | None:
    """How two leaves differ; None if only in which of several equal places of a step they stand for."""
    if a.op is CONST:
        return f"the number {constant(a)} instead of {constant(b)} at {_place(a)}"
    if a.shape != b.shape:
        return f"{_kind(a)} of shape {list(a.shape)} instead of {list(b.shape)} at {_place(a)}"
    if a.dtype is not b.dtype:
        return f"{_kind(a)} of {a.dtype} instead of {b.dtype} at {_place(a)}"
    if a.strides != b.strides:
        return f"{_kind(a)} of strides {list(a.strides)} instead of {list(b.strides)} at {_place(a)}"
    if a.op is VAR:
        return f"another {_kind(a)} of shape {list(a.shape)}"
    if a.op is not INPUT:
        return f"{_named(a)} with {_told(a)} instead of {_told(b)}"
    return None


def _kind(n: Node) -> str:
    return "parameter or buffer" if n.op is VAR else "data"


def _told(n: Node) -> str:
    return ", ".join(map(str, n.attrs)) or "nothing"


def _named(n: Node) -> str:
    return f"{n!r} at {_place(n)}"


def _place(n: Node) -> str:
    """The user's line that recorded the node first, behind its module if there is one."""
    module, file, line = n.site
    return f"{file}:{line}" + (f" in {module}" if module else "")
