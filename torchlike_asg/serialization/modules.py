"""Whole modules in files: written like any object; rebuilt only from classes that this process has imported already.

Rebuilding makes an empty object of the class and restores its attributes. Neither its constructor nor any other code the
file could choose runs, and nothing is imported on its behalf.
"""

from __future__ import annotations

import importlib
import sys
from types import FunctionType, ModuleType
from typing import Any

from .unpickler import Known
from .writer import Reduce

__all__ = ["imported", "known_module", "looks_like_module", "reduce_module", "renamed"]

_REGISTRIES = ("_parameters", "_buffers", "_modules")
_PACKAGE = __name__.split(".")[0]


def module_class() -> Any:
    """nn.Module, found by name: nn is a layer above this one, and need not be imported yet."""
    return importlib.import_module("..nn.modules.module", __package__).Module


def reduce_module(obj: Any) -> Reduce | None:
    """How a Module is written: its class, and its attributes without the second copy of what its registries hold."""
    if not isinstance(obj, module_class()):
        return None
    cls: Any = type(obj)
    if cls.__reduce_ex__ is not object.__reduce_ex__ or cls.__reduce__ is not object.__reduce__:
        return None
    state = obj.__getstate__()
    if cls.__getstate__ is object.__getstate__:
        registered = {name for registry in _REGISTRIES for name in state.get(registry, ())}
        state = {name: dict(value) if name in _REGISTRIES else value for name, value in state.items() if name not in registered}
    return Reduce(cls, (), state, new=True)


def known_module(module: str, name: str, where: str) -> Known | None:
    """The Known for a Module class, or for a function of tensors (which modules keep as their activation), else None."""
    full = f"{module}.{name}"
    found = imported(*renamed(module, name))
    if isinstance(found, FunctionType):
        public = _of_tensors(found)
        return None if public is None else Known(full, public)
    base = module_class()
    if not isinstance(found, type) or not issubclass(found, base):
        return None
    restorer = next(c for c in found.__mro__ if "__setstate__" in vars(c))
    if restorer.__module__.split(".")[0] != _PACKAGE or "__new__" in _own_names(found):
        return None  # code of the user's own would run: that takes add_safe_globals

    def new() -> Any:
        return object.__new__(found)

    def build(obj: Any, state: Any) -> None:
        if type(state) is not dict or not all(type(key) is str for key in state):
            raise ValueError(f"the attributes of {full} are not a dict")
        if not all(type(state.get(registry)) is dict or isinstance(state.get(registry), dict) for registry in _REGISTRIES):
            raise ValueError(f"{full} lacks its parameters, buffers or modules")
        obj.__setstate__(state)

    return Known(full, found, new=new, build=build)


def looks_like_module(module: str, name: str) -> bool:
    """Whether a refused name is, or probably is, the class of a whole module."""
    found = imported(*renamed(module, name))
    return module.startswith("torch.nn.modules.") or (isinstance(found, type) and issubclass(found, module_class()))


def _of_tensors(found: FunctionType) -> Any:
    """The public function of ``nn.functional`` or of the torch namespace (not `load`, `save` and their like) that this one is; else None.
    Once a class was derived from Tensor, the public functions wrap what they were.
    """
    if found.__module__ == _PACKAGE:
        module, name, registered = _PACKAGE, found.__qualname__, importlib.import_module("..facade.register", __package__).FUNCTIONS
        if name not in registered:
            return None
    else:
        module, name = f"{_PACKAGE}.nn.functional", found.__name__
    public = imported(module, name)
    is_public = not name.startswith("_") and (found is public or found is getattr(public, "__wrapped__", None))
    return public if is_public else None


def renamed(module: str, name: str) -> tuple[str, str]:
    """Our place for PyTorch's layers, functions and distributions."""
    if module.startswith("torch.nn.modules."):
        return f"{_PACKAGE}.nn", name
    if module in ("torch.nn.functional", "torch._C._nn"):
        return f"{_PACKAGE}.nn.functional", name
    return (_PACKAGE + module.removeprefix("torch"), name) if module.startswith("torch.distributions.") else (module, name)


def imported(module: str, qualname: str) -> Any:
    """The object of that name if its module is imported. Reads ``__dict__``s only: a module's ``__getattr__`` could import more."""
    found: Any = sys.modules.get(module)
    for part in qualname.split("."):
        if not isinstance(found, type | ModuleType):
            return None
        found = vars(found).get(part)
    return found


def _own_names(cls: type) -> set[str]:
    return {name for c in cls.__mro__ if c.__module__.split(".")[0] not in (_PACKAGE, "builtins") for name in vars(c)}
