"""Plain objects in files: configurations, named tuples, members of enumerations, distributions that a module keeps as attributes.

They are rebuilt as modules are (`modules.py`): of classes that this process has imported already, from their attributes alone.
A class that would run code of its own while it is rebuilt, or that belongs to Python's library, is not rebuilt.
"""

from __future__ import annotations

import functools
import importlib
import sys
from enum import Enum
from typing import Any

from .modules import imported, renamed
from .unpickler import Known

__all__ = ["known_object"]

_PACKAGE = __name__.split(".")[0]
#: parts of this package whose objects are nothing but their attributes
_OPEN = tuple(f"{_PACKAGE}.{part}." for part in ("distributions", "utils.data", "vision.transforms"))
#: bases from Python's library that hold nothing
_BASES = frozenset(("builtins.object", "abc.ABC", "typing.Generic", "typing.Protocol"))
_OWN_CODE = frozenset(("__new__", "__setstate__", "__reduce__", "__reduce_ex__", "__del__", "__slots__"))
#: where PyTorch's files say that its functions are: attributes of these classes
_HOLDERS = frozenset(("torch._C._VariableFunctionsClass", "torch._C._VariableFunctions"))


def known_object(module: str, name: str) -> Any:
    """The Known for a class of plain objects, or for what gives modules their functions; else None."""
    full = f"{module}.{name}"
    if full in ("builtins.getattr", "__builtin__.getattr"):
        return Known(full, call=_attribute)
    if full == "functools.partial":
        return Known(full, functools.partial, call=functools.partial, build=lambda obj, state: obj.__setstate__(state))
    if full in _HOLDERS:
        return _Holder
    found = imported(*renamed(module, name))
    if not isinstance(found, type):
        return None
    if issubclass(found, _function_class()):
        return found  # only its `apply` is of use, which nothing here calls
    if issubclass(found, Enum):
        return Known(full, found, call=lambda value: found._value2member_map_[value])
    if issubclass(found, tuple):
        return _named_tuple(full, found)
    return Known(full, found, new=lambda: object.__new__(found), build=_attributes) if _is_plain(found) else None


class _Holder:
    """Stands for the class that has PyTorch's functions."""


def _function_class() -> Any:
    return importlib.import_module("..autograd.function", __package__).Function


def _attribute(obj: Any, name: Any) -> Any:
    """What ``getattr(obj, name)`` is in files of modules: a Function's `apply`, or a function of the torch namespace."""
    if obj is _Holder and type(name) is str and name in importlib.import_module("..facade.register", __package__).FUNCTIONS:
        return getattr(importlib.import_module(_PACKAGE), name)
    if isinstance(obj, type) and issubclass(obj, _function_class()) and name == "apply":
        return obj.apply
    raise ValueError(f"attribute {name!r} of {obj!r} is not rebuilt")


def _named_tuple(full: str, cls: Any) -> Known | None:
    fields = vars(cls).get("_fields")
    if cls.__mro__[1:] != (tuple, object) or type(fields) is not tuple:
        return None

    def new(*values: Any) -> Any:
        if len(values) != len(fields):
            raise ValueError(f"{full} has {len(fields)} fields, not {len(values)}")
        return tuple.__new__(cls, values)

    return Known(full, cls, new=new)


def _is_plain(cls: type) -> bool:
    own = [c for c in cls.__mro__ if f"{c.__module__}.{c.__qualname__}" not in _BASES]
    return bool(own) and all(not _OWN_CODE & vars(c).keys() and _is_open(c.__module__) for c in own)


def _is_open(module: str) -> bool:
    top = module.split(".")[0]
    if top == _PACKAGE:
        return f"{module}.".startswith(_OPEN)
    return module == "__main__" or top not in sys.stdlib_module_names


def _attributes(obj: Any, state: Any) -> None:
    if type(state) is not dict or not all(type(name) is str for name in state):
        raise ValueError("expected the attributes of an object to be a dict")
    obj.__dict__.update(state)
