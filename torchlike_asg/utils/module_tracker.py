"""``torch.utils.module_tracker``: which modules are being called, or differentiated, at a moment."""

from __future__ import annotations

import weakref
from typing import Any

from ..asg.trace import current
from ..autograd.graph import register_multi_grad_hook
from ..facade.core import Tensor
from ..nn.modules.module import Module
from ..nn.modules.module_hooks import register_module_forward_hook, register_module_forward_pre_hook
from ..pytree import tree_flatten

__all__ = ["ModuleTracker"]


class ModuleTracker:
    """A context manager; inside, `parents` are the names of all modules that are being called, and in a backward pass of those whose
    gradients are being computed. ``"Global"`` is always among them. `is_bw` tells whether a backward pass is running.

    A module is named after its class where it is called by itself, else by its place in the module that calls it: ``Net.layers.0``.
    """

    def __init__(self) -> None:
        self._parents = {"Global"}
        self._known: weakref.WeakKeyDictionary[Module, str] = weakref.WeakKeyDictionary()
        self._backward = False
        self._hooks: list[Any] = []

    @property
    def is_bw(self) -> bool:
        """Whether a backward pass is running."""
        self._settle()
        return self._backward

    @property
    def parents(self) -> set[str]:
        """The names."""
        self._settle()
        return self._parents

    def _settle(self) -> None:
        """A backward pass that is over leaves no module: not all are told of their end, as where no input has a gradient."""
        if self._backward and not current().held:
            self._backward = False
            self._parents = {"Global"}

    def __enter__(self) -> ModuleTracker:
        self._hooks = [register_module_forward_pre_hook(self._begin), register_module_forward_hook(self._end, always_call=True)]
        return self

    def __exit__(self, *error: object) -> None:
        for hook in self._hooks:
            hook.remove()
        self._hooks = []

    def _name(self, module: Module) -> str:
        if module not in self._known:
            for path, part in module.named_modules(prefix=type(module).__name__):
                if part not in self._known:
                    self._known[part] = path
        return self._known[module]

    def _begin(self, module: Module, args: Any) -> None:
        name = self._name(module)
        self.parents.add(name)
        given = _differentiable(args)
        if given:
            register_multi_grad_hook(given, lambda *_: self._leave(name))

    def _end(self, module: Module, args: Any, output: Any) -> None:
        name = self._name(module)
        self.parents.discard(name)
        found = _differentiable(output)
        if found:
            register_multi_grad_hook(found, lambda *_: self._come_back(name), mode="any")

    def _come_back(self, name: str) -> None:
        self._settle()
        self._backward = True
        self._parents.add(name)

    def _leave(self, name: str) -> None:
        self.parents.discard(name)


def _differentiable(values: Any) -> list[Tensor]:
    return [t for t in tree_flatten(values)[0] if isinstance(t, Tensor) and t.requires_grad]
