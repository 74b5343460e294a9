"""Module, the base class of all layers and models."""

from __future__ import annotations

import importlib
import inspect
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Self

from ...asg.scope import _get as _stack
from ...asg.scope import note, stack
from ...facade.boundary import enter
from ...facade.core import Tensor
from ..parameter import Buffer, Parameter
from . import module_hooks
from .kept import keep
from .module_conversion import ConversionMixin
from .module_hooks import (
    HookMixin,
    register_module_backward_hook,
    register_module_buffer_registration_hook,
    register_module_forward_hook,
    register_module_forward_pre_hook,
    register_module_full_backward_hook,
    register_module_full_backward_pre_hook,
    register_module_module_registration_hook,
    register_module_parameter_registration_hook,
)
from .module_state import StateMixin, _IncompatibleKeys
from .module_tree import TreeMixin
from .registry import Registry
from .utils import typename

__all__ = [
    "Module",
    "_IncompatibleKeys",
    "register_module_backward_hook",
    "register_module_buffer_registration_hook",
    "register_module_forward_hook",
    "register_module_forward_pre_hook",
    "register_module_full_backward_hook",
    "register_module_full_backward_pre_hook",
    "register_module_module_registration_hook",
    "register_module_parameter_registration_hook",
]

_ABSENT = object()
_REGISTRIES = ("_parameters", "_buffers", "_modules")
_HOOK_DICTS = (
    "_backward_pre_hooks",
    "_backward_hooks",
    "_forward_hooks",
    "_forward_hooks_with_kwargs",
    "_forward_hooks_always_called",
    "_forward_pre_hooks",
    "_forward_pre_hooks_with_kwargs",
    "_state_dict_hooks",
    "_state_dict_pre_hooks",
    "_load_state_dict_pre_hooks",
    "_load_state_dict_post_hooks",
)


def _forward_unimplemented(self: Any, *input: Any) -> None:
    raise NotImplementedError(f'Module [{type(self).__name__}] is missing the required "forward" function')


def _outermost(module: Any, *args: Any) -> list[Any]:
    """The stack of modules being called, for a module that is called by none."""
    modules = stack()
    if not modules:
        enter(module, args, modules)
    return modules


class Module(TreeMixin, ConversionMixin, StateMixin, HookMixin):
    """Base class of layers and models.

    Subclasses call ``super().__init__()`` first and define `forward`. Parameters, Modules and Buffers assigned to attributes are
    registered: they appear in `parameters()`, `modules()`, `state_dict()`, and are converted by `to()`.

    Attributes:
        training (bool): what `train()` and `eval()` set; Dropout and BatchNorm act on it.
    """

    dump_patches: bool = False
    call_super_init: bool = False
    training: bool
    forward: Callable[..., Any] = _forward_unimplemented

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if not self.call_super_init:
            if kwargs:
                raise TypeError(f"{type(self).__name__}.__init__() got an unexpected keyword argument '{next(iter(kwargs))}'")
            if args:
                raise TypeError(f"{type(self).__name__}.__init__() takes 1 positional argument but {len(args) + 1} were given")
        attributes = self.__dict__  # past __setattr__, which has no use for these
        attributes["training"] = True
        for name in _REGISTRIES:
            attributes[name] = Registry(self)
        attributes["_non_persistent_buffers_set"] = set()
        attributes["_is_full_backward_hook"] = None
        for name in _HOOK_DICTS:
            attributes[name] = OrderedDict()
        if self.call_super_init:
            super().__init__(*args, **kwargs)

    # --- calling

    def __call__(self, input: Any = _ABSENT, /, *args: Any, **kwargs: Any) -> Any:
        if self._hooked:
            return self._call_impl(*args, **kwargs) if input is _ABSENT else self._call_impl(input, *args, **kwargs)
        modules = _stack() or _outermost(self, input, *args)
        modules.append(self)
        try:
            if args or kwargs or input is _ABSENT:
                out = self.forward(*args, **kwargs) if input is _ABSENT else self.forward(input, *args, **kwargs)
            else:  # nearly always; calls without * are quicker
                out = self.forward(input)
        except BaseException as error:
            note(error, modules)
            modules.pop()
            raise
        modules.pop()
        return out

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """Does nothing: every module is compiled at its first calls anyway. Takes PyTorch's arguments."""

    def visualize(self, lang: str = "en", theme: str = "auto", **options: Any) -> Any:
        """Open a window on this module, which follows its training; returns its handle at once. See `torchlike_asg.viewer.visualize`."""
        viewer = importlib.import_module(f"{__name__.partition('.')[0]}.viewer")  # of a layer above
        return viewer.visualize(self, lang, theme, **options)

    # --- attributes

    def __setattr__(self, name: str, value: Any) -> None:
        attributes = self.__dict__
        parameters = attributes.get("_parameters")
        if isinstance(value, Parameter):
            if parameters is None:
                raise AttributeError("cannot assign parameters before Module.__init__() call")
            self._unregister(name, "_parameters")
            self.register_parameter(name, value)
        elif isinstance(value, Module):
            if parameters is None:
                raise AttributeError("cannot assign module before Module.__init__() call")
            self._unregister(name, "_modules")
            self._modules[name] = self._replaced_by_hooks(module_hooks._global_module_registration_hooks, name, value)
        elif parameters is None:
            if name in _REGISTRIES:
                value = Registry(self, value)
            object.__setattr__(self, name, value)
        elif name in parameters:
            if value is not None:
                raise TypeError(f"cannot assign '{typename(value)}' as parameter '{name}' (torch.nn.Parameter or None expected)")
            parameters[name] = None
        elif name in attributes["_modules"]:
            if value is not None:
                raise TypeError(f"cannot assign '{typename(value)}' as child module '{name}' (torch.nn.Module or None expected)")
            self._modules[name] = None
        elif isinstance(value, Tensor) and isinstance(value, Buffer):
            self._register_assigned(name, value, value.persistent)  # type: ignore[attr-defined]
        elif name in attributes["_buffers"]:
            if value is not None and not isinstance(value, Tensor):
                raise TypeError(f"cannot assign '{typename(value)}' as buffer '{name}' (torch.nn.Buffer, torch.Tensor or None expected)")
            self._buffers[name] = self._replaced_by_hooks(module_hooks._global_buffer_registration_hooks, name, value)
            if value is not None and _stack():
                keep(self, name, value)
        elif name in _REGISTRIES:  # scripts that clone a module do `clone._parameters = clone._parameters.copy()`
            for old in attributes[name]:
                attributes.pop(old, None)
            attributes[name] = Registry(self, value)
        else:
            object.__setattr__(self, name, value)
            if isinstance(value, Tensor) and _stack():
                keep(self, name, value)

    def __getattr__(self, name: str) -> Any:
        # Registered things are ordinary attributes (see Registry), so this runs only for names that do not exist, and for those in a
        # dict that a class with a __setattr__ of its own has put in a registry's place.
        attributes = self.__dict__
        for registry in _REGISTRIES:
            if name in (entries := attributes.get(registry, ())):
                return entries[name]
        raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")

    def __delattr__(self, name: str) -> None:
        for registry in _REGISTRIES:
            if name in self.__dict__.get(registry, ()):
                del self.__dict__[registry][name]
                if registry == "_buffers":
                    self._non_persistent_buffers_set.discard(name)
                return
        object.__delattr__(self, name)

    def _unregister(self, name: str, becomes: str) -> None:
        """Forgets what attribute `name` was. An entry of registry `becomes` stays: it is replaced, and keeps its place in the order."""
        attributes = self.__dict__
        if name in attributes and name not in attributes[becomes]:
            for registry in _REGISTRIES:
                attributes[registry].pop(name, None)
            attributes.pop(name, None)
            self._non_persistent_buffers_set.discard(name)

    def __dir__(self) -> list[str]:
        return sorted(key for key in {*dir(type(self)), *self.__dict__} if not key[0].isdigit())

    # --- registration

    def _check_name(self, kind: str, name: Any, registry: str) -> None:
        if registry not in self.__dict__:
            raise AttributeError(f"cannot assign {kind} before Module.__init__() call")
        if not isinstance(name, str):
            raise TypeError(f"{kind} name should be a string. Got {typename(name)}")
        if "." in name:
            raise KeyError(f'{kind} name can\'t contain "."' + (f", got: {name}" if kind == "module" else ""))
        if not name:
            raise KeyError(f'{kind} name can\'t be empty string ""')
        if name not in self.__dict__[registry] and hasattr(self, name):
            raise KeyError(f"attribute '{name}' already exists")

    def _replaced_by_hooks(self, hooks: Any, name: str, value: Any) -> Any:
        for hook in hooks.values():
            replacement = hook(self, name, value)
            value = value if replacement is None else replacement
        return value

    def register_buffer(self, name: str, tensor: Any, persistent: bool = True) -> None:
        """Adds a tensor (or None) that belongs to the state but is not learnable; only persistent ones are in the state dict."""
        self._check_name("buffer", name, "_buffers")
        if tensor is not None and not isinstance(tensor, Tensor):
            raise TypeError(f"cannot assign '{typename(tensor)}' object to buffer '{name}' (torch Tensor or None required)")
        self._buffers[name] = self._replaced_by_hooks(module_hooks._global_buffer_registration_hooks, name, tensor)
        if tensor is not None and _stack():
            keep(self, name, tensor)
        if persistent:
            self._non_persistent_buffers_set.discard(name)
        else:
            self._non_persistent_buffers_set.add(name)

    def _register_assigned(self, name: str, buffer: Buffer, persistent: bool) -> None:
        """`register_buffer` for a Buffer that is assigned, where a class has one of its own without `persistent`, too."""
        if type(self).register_buffer is Module.register_buffer or "persistent" in inspect.signature(self.register_buffer).parameters:
            self.register_buffer(name, buffer, persistent)
        elif persistent:
            self.register_buffer(name, buffer)
        else:
            raise RuntimeError(
                "Registering a non-persistent buffer on a Module subclass that implements register_buffer() without the persistent "
                "argument is not allowed."
            )

    def register_parameter(self, name: str, param: Any) -> None:
        """Adds a Parameter; None reserves the name, as for a layer without bias."""
        self._check_name("parameter", name, "_parameters")
        if param is not None:
            if not isinstance(param, Parameter):
                raise TypeError(f"cannot assign '{typename(param)}' object to parameter '{name}' (torch.nn.Parameter or None required)")
            if param.grad_fn is not None:
                raise ValueError(
                    f"Cannot assign non-leaf Tensor to parameter '{name}'. Model parameters must be created explicitly. To express "
                    f"'{name}' as a function of another Tensor, compute the value in the forward() method."
                )
            param = self._replaced_by_hooks(module_hooks._global_parameter_registration_hooks, name, param)
        self._parameters[name] = param

    def add_module(self, name: str, module: Module | None) -> None:
        """Adds a submodule, which can then be read as attribute `name`."""
        if module is not None and not isinstance(module, Module):
            raise TypeError(f"{typename(module)} is not a Module subclass")
        self._check_name("module", name, "_modules")
        self._modules[name] = self._replaced_by_hooks(module_hooks._global_module_registration_hooks, name, module)

    def register_module(self, name: str, module: Module | None) -> None:
        """Same as `add_module`."""
        self.add_module(name, module)

    # --- mode

    def train(self, mode: bool = True) -> Self:
        """Sets `training` here and in all submodules."""
        if not isinstance(mode, bool):
            raise ValueError("training mode is expected to be boolean")
        self.training = mode
        for module in self.children():
            module.train(mode)
        return self

    def eval(self) -> Self:
        """Same as ``train(False)``."""
        return self.train(False)

    # --- copies

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        for name in _HOOK_DICTS:
            self.__dict__.setdefault(name, OrderedDict())
        self.__dict__.setdefault("_non_persistent_buffers_set", set())
        self.__dict__.setdefault("_is_full_backward_hook", None)
        for name in _REGISTRIES:
            self.__dict__[name] = Registry(self, self.__dict__[name])

    def _replicate_for_data_parallel(self) -> Self:
        replica = type(self).__new__(type(self))
        replica.__setstate__(self.__dict__)
        return replica

    # --- text

    def _get_name(self) -> str:
        return type(self).__name__

    def extra_repr(self) -> str:
        """What the printed form shows between the parentheses; layers override it."""
        return ""

    def __repr__(self) -> str:
        extra = self.extra_repr()
        lines = extra.split("\n") if extra else []
        children = [f"({name}): " + _addindent(repr(module), 2) for name, module in self._modules.items()]
        if len(lines) == 1 and not children:
            return f"{self._get_name()}({extra})"
        body = "".join(f"\n  {line}" for line in lines + children)
        return f"{self._get_name()}({body}\n)" if body else f"{self._get_name()}()"


_EXTRA_STATE_KEY_SUFFIX = "_extra_state"


def _addindent(s_: str, numSpaces: int) -> str:
    """A text whose lines but the first are moved right, as in the repr of modules: layers of others call it for theirs.

    Lines of nothing but blanks are left empty.
    """
    first, *others = s_.split("\n")
    return "\n".join([first, *(" " * numSpaces + line if line.strip() else "" for line in others)])


def __getattr__(name: str) -> Any:
    if name.startswith("_global_") and hasattr(module_hooks, name):
        return getattr(module_hooks, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
