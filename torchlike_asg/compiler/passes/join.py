"""Sums of zero-padded pieces that fill a tensor are concatenations.

The gradient of ``q, k, v = x.split(n)`` is recorded as three tensors of zeros with one piece set, added up. Where the pieces cover
everything and do not overlap, it is their concatenation. (A negative zero plus zero is a positive one, the concatenation keeps it
negative.)
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from typing import Any

from ...asg.declare import get
from ...asg.node import Node
from ...asg.rewrite import rewrite


def join_pieces(roots: Sequence[Node], stop: Container[Node]) -> list[Node]:
    def apply(n: Node) -> Node | None:
        return _joined(n, stop) if n.op.name == "add" and n not in stop else None

    return rewrite(roots, apply, stop)


def _joined(n: Node, stop: Container[Node]) -> Node | None:
    pieces: list[Node] = []
    stack = [n]
    while stack:
        s = stack.pop()
        if s in stop:
            return None
        if s.op.name == "add" and len(pieces) < 64 and tuple(s.shape) == tuple(n.shape):
            stack += s.srcs
        elif s.op.name == "unview" and s.attrs[0] == "slice":
            pieces.append(s)
        else:
            return None
    dims = {s.attrs[1][0] for s in pieces}
    if len(dims) != 1 or any(s.attrs[1][3] != 1 for s in pieces):
        return None
    (d,) = dims
    at = 0
    ordered: list[Any] = sorted(pieces, key=lambda s: s.attrs[1][1])
    for s in ordered:
        _, lo, hi, _ = s.attrs[1]
        if lo != at or hi <= lo:
            return None
        at = hi
    return get("cat")(*[s.srcs[0] for s in ordered], d) if at == n.shape[d] else None
