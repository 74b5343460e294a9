"""Whose the gradient of a leaf is: the family that accumulates it, which a hook on the leaf outlives in the histories that end there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from weakref import ref

from ..asg import trace, traces
from ..asg.declare import VAR
from ..asg.node import Node
from .storage import Family

__all__ = ["Kept", "leaf_family", "left_behind", "owner"]


class Kept:
    """In place of a weak reference to a family: a history that ends in a leaf with hooks is to call them, also if nobody else has it."""

    __slots__ = ("family",)

    def __init__(self, family: Family) -> None:
        self.family = family

    def __call__(self) -> Family:
        return self.family


def owner(f: Family) -> Callable[[], Family | None]:
    """What a trace notes as the owner of a leaf."""
    return ref(f) if f.hooks is None else Kept(f)


def leaf_family(n: Node) -> Family | None:
    """The family whose gradient accumulates at leaf `n` in this thread's trace."""
    if n.op is VAR:
        f: Family | None = n.owner() if n.owner is not None else None
        if f is not None:
            return f
    found = traces.look_up("leaf_owner", n)
    return found() if found is not None else None


def left_behind(leaf: Node, hooks: Any, f: Family | None) -> None:
    """A permanent leaf is gone, with all that showed it, while results of it may be pending: its hooks are for these to call. `f`: its
    family, if the hooks have kept it."""
    if f is None or f.leaf is not leaf:
        f = object.__new__(Family)
        f.h = f.leaf = leaf
        f.held = f.past = f.first = f.value = None
        f.hooks, f.faces, f.limit, f.wants, f.inferred = hooks, [], 64, True, False
    tr = trace.current()
    for t in (tr, *traces.others(tr)) if trace.several else (tr,):
        if t.pending:
            t.leaf_owner[leaf] = Kept(f)
