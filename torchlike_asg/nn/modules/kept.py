"""Tensors that a module makes in a call and keeps as an attribute: ``if self.mask is None: self.mask = causal(n)``."""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

from ...asg.scope import stack
from ...facade.core import Tensor
from ...facade.literals import hold

#: module -> the names under which it has kept one
_seen: WeakKeyDictionary[Any, set[str]] = WeakKeyDictionary()


def keep(module: Any, name: str, value: Tensor) -> None:
    """Have a tensor that follows from literals and from what the modules called have kept hold its value, when it is first kept under this
    name: later calls find it as data. One that is made again in each call is part of each step's program.
    """
    if value._n is None and value._f is not None and value._f.h is None:
        return
    names = _seen.setdefault(module, set())
    if name not in names:
        names.add(name)
        hold(value, [t for m in stack() for t in vars(m).values() if isinstance(t, Tensor) and t is not value])
