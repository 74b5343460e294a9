"""The dicts in which a Module keeps its parameters, buffers and submodules."""

from __future__ import annotations

import weakref
from typing import Any

__all__ = ["Registry"]

_ABSENT = object()


class Registry(dict[str, Any]):
    """A dict of a Module's parameters, buffers or submodules whose entries also stand in the module's ``__dict__``.

    Reading ``self.weight`` is then a plain attribute read. A ``__getattr__`` that searches three dicts would cost ten times as much, on
    every call of every layer. Each way of changing the dict keeps both places equal, so scripts may write ``module._parameters[name] = p``.
    The owner is held weakly: a dropped model is freed at once, without waiting for the cycle collector.
    """

    __slots__ = ("_owner",)

    def __init__(self, owner: Any, entries: Any = ()) -> None:
        super().__init__(entries)
        self._owner = weakref.ref(owner)
        for name, value in self.items():
            self._show(name, value)

    def _attributes(self) -> dict[str, Any]:
        owner = self._owner()
        return {} if owner is None else owner.__dict__

    def _show(self, name: str, value: Any) -> None:
        """Make an entry an attribute, unless the class has one of that name: it comes first in PyTorch, and a part may be called
        "parameters" without hiding the method."""
        owner = self._owner()
        if owner is not None and not any(name in part.__dict__ for part in type(owner).__mro__):
            owner.__dict__[name] = value

    def __setitem__(self, name: str, value: Any) -> None:
        super().__setitem__(name, value)
        self._show(name, value)

    def __delitem__(self, name: str) -> None:
        super().__delitem__(name)
        self._attributes().pop(name, None)

    def pop(self, name: str, default: Any = _ABSENT) -> Any:
        if name in self:
            value = self[name]
            del self[name]
            return value
        if default is _ABSENT:
            raise KeyError(name)
        return default

    def popitem(self) -> tuple[str, Any]:
        name, value = super().popitem()
        self._attributes().pop(name, None)
        return name, value

    def clear(self) -> None:
        for name in list(self):
            del self[name]

    def setdefault(self, name: str, default: Any = None) -> Any:
        if name not in self:
            self[name] = default
        return self[name]

    def update(self, *args: Any, **kwargs: Any) -> None:
        for name, value in dict(*args, **kwargs).items():
            self[name] = value

    def __ior__(self, other: Any) -> Registry:  # type: ignore[override, misc]
        self.update(other)
        return self

    def __reduce_ex__(self, protocol: Any) -> Any:
        return dict, (dict(self),)  # copies and pickles as a plain dict: the owner's `__setstate__` makes a new Registry of it
