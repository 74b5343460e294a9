"""Two tensors exchanged: each object becomes what the other was."""

from __future__ import annotations

from typing import Any
from weakref import ref

from ..asg.interrupts import whole
from .core import Tensor
from .families import family_of

__all__ = ["swap"]

_SLOTS = ("_d", "_f", "_geo", "_kind", "_n")


@whole
def swap(a: Tensor, b: Tensor) -> None:
    """Exchange value, history, gradient, class and attributes of two tensors."""
    if a is b:
        return
    families = {family_of(a), family_of(b)}
    other = {id(a): ref(b), id(b): ref(a)}
    for f in families:
        f.faces[:] = [other.get(id(r()), r) for r in f.faces]
    for slot in _SLOTS:
        mine: Any = getattr(a, slot)
        setattr(a, slot, getattr(b, slot))
        setattr(b, slot, mine)
    filled = [getattr(t, "_initialiser", None) for t in (b, a)]
    for t, how in zip((a, b), filled, strict=True):
        if how is not None:
            t._initialiser = how
        elif hasattr(t, "_initialiser"):
            del t._initialiser
    a.__class__, b.__class__ = b.__class__, a.__class__
    attributes = dict(a.__dict__)
    for t, given in ((a, dict(b.__dict__)), (b, attributes)):
        t.__dict__.clear()
        t.__dict__.update(given)
