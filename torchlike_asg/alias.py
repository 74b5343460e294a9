"""An opt-in alias: `import torch`, in this program and in packages it imports, gives this package (and `torchvision` its vision part).

    import torchlike_asg
    torchlike_asg.install_as_torch()
    import einops, torch.nn.functional as F  # torchlike_asg.nn.functional

Both spellings of a module name one module object, so classes, registries and `isinstance` agree however a module was imported.
"""

from __future__ import annotations

import importlib
import sys
import types
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from typing import Any

from . import places
from .torch_version import TorchVersion
from .version import API_VERSION, __version__

__all__ = ["install_as_torch", "uninstall_as_torch"]

_PACKAGE = __name__.rpartition(".")[0]
#: what an import asks for, and what it gets
_ALIASES = {"torch": _PACKAGE, "torchvision": f"{_PACKAGE}.vision", "functorch": f"{_PACKAGE}.functorch"}
#: packages that load PyTorch's own libraries, and would not get far -> what to use instead
_OTHERS = {
    "torchaudio": "another reader of sound files, and torch.stft",
    "torchtext": "Python's own text functions and torch.utils.data",
}


def _is_question() -> bool:
    """Whether the finder that calls this is asked by `importlib.util.find_spec`, and not by an import."""
    return sys._getframe(3).f_globals.get("__name__") == "importlib.util"


def _target(name: str) -> str | None:
    """Our name of the module that `name` is an alias of."""
    root, dot, rest = name.partition(".")
    return None if root not in _ALIASES else _ALIASES[root] + dot + rest


class _Finder(MetaPathFinder, Loader):
    """Answers imports of aliased names with modules that exist under our names already or are imported now."""

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: types.ModuleType | None = None) -> ModuleSpec | None:
        if name in _OTHERS and not _is_question():
            raise ModuleNotFoundError(f"{name} is built for PyTorch, which torchlike_asg stands for: use {_OTHERS[name]}", name=name)
        ours = _target(name)
        if ours is None:
            return None
        try:
            module = importlib.import_module(ours)
        except ModuleNotFoundError as error:
            if error.name is None or not f"{ours}.".startswith(f"{error.name}."):
                raise  # the module is there, and something that it needs is not
            return None
        return ModuleSpec(name, self, loader_state=module, is_package=hasattr(module, "__path__"))

    def create_module(self, spec: ModuleSpec) -> None:
        """Nothing of our own: the import machinery makes an empty module, which `exec_module` replaces."""

    def exec_module(self, module: types.ModuleType) -> None:
        assert module.__spec__ is not None
        sys.modules[module.__name__] = module.__spec__.loader_state


_finder = _Finder()


def install_as_torch() -> None:
    """From now on `import torch` and `import torchvision` mean this package, everywhere in this process. Calling it again does nothing.

    Every spelling works: ``import torch.nn as nn``, ``from torch.utils.data import DataLoader``, ``import_module("torch.optim")``.
    While the alias is installed `__version__` is that of the PyTorch release whose API this is, with our own as its local part
    ("2.13.0+asg.0.1.0"), because packages choose their code by comparing it. Forked worker processes inherit the alias; a process
    that starts anew has to install it again.

    Raises:
        RuntimeError: PyTorch (or torchvision) is imported already: two packages of one name cannot share a program.
    """
    package = sys.modules[_PACKAGE]
    if _finder in sys.meta_path:
        return
    for name in _ALIASES:
        found = sys.modules.get(name)
        if found is not None and not _is_ours(found):
            raise RuntimeError(
                f"install_as_torch(): {name} is already imported from {getattr(found, '__file__', None) or 'elsewhere'}; "
                f"call it at the start of the program, before anything imports {name}"
            )
    sys.meta_path.insert(0, _finder)
    sys.modules["torch"] = package
    for name in _OTHERS:
        if PathFinder.find_spec(name) is not None:
            sys.modules.setdefault(name, None)  # type: ignore[arg-type]  # so that `find_spec` says no, which packages choose their code by
    for name in places.SHADOWED:
        sys.modules[f"torch.{name}"] = sys.modules[f"{_PACKAGE}.{name}"]
    # PyTorch's package is called torch, has itself as an attribute, and packages rely on both
    vars(package).update(__version__=TorchVersion(f"{API_VERSION}+asg.{__version__}"), __name__="torch", torch=package)


def uninstall_as_torch() -> None:
    """Take the alias back: later imports of torch find PyTorch again, if it is there. What was imported under the alias stays as it is."""
    if _finder not in sys.meta_path:
        return
    sys.meta_path.remove(_finder)
    for name in [name for name, module in sys.modules.items() if _target(name) is not None and _is_ours(module)]:
        del sys.modules[name]
    for name in _OTHERS:
        if name in sys.modules and sys.modules[name] is None:
            del sys.modules[name]
    package = sys.modules[_PACKAGE]
    vars(package).update(__version__=TorchVersion(__version__), __name__=_PACKAGE)
    del vars(package)["torch"]


def _is_ours(module: Any) -> bool:
    if module is sys.modules[_PACKAGE]:
        return True
    name = getattr(module, "__name__", "")
    return isinstance(name, str) and f"{name}.".startswith(f"{_PACKAGE}.")
