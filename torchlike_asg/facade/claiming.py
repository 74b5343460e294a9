"""Whose value a node is in its trace: two storages with an equal expression have nodes of their own."""

from __future__ import annotations

from typing import Any
from weakref import ref

from ..asg.node import Node
from ..asg.trace import Trace, current


def twin(tr: Trace, n: Node, r: Any) -> Node:
    """`n` is another storage's value in this trace already: give this storage the next twin (same operation, own identity)."""
    used = tr.twinned.get(n, 0)
    tr.twinned[n] = used + 1
    if n.twins is not None and used < len(n.twins):
        m = n.twins[used]
        tr.claims[m] = r
        return m
    m = n.twin()
    if n.saved and n in n.saved:
        m.saved = tuple([m if s is n else s for s in n.saved])
    tr.claims[m] = r
    return m


def owned(n: Node, who: Any) -> Node:
    """`n`, or a twin of it that no other storage has claimed."""
    tr, r = current(), ref(who)
    return n if tr.claims.setdefault(n, r) is r else twin(tr, n, r)


class Nobody:
    """Claims a node that is to be no tensor's (`owned`): that of a replayed value, say, whose tensor is gone, or finds it by its `Past`."""

    __slots__ = ("__weakref__",)
