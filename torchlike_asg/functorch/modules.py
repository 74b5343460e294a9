"""Modules as functions of their parameters, before there was ``torch.func.functional_call``."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

from .. import notices
from ..facade.core import Tensor
from ..nn.modules.module import Module
from ..nn.utils.stateless import alike, called_with, stack_module_state

__all__ = [
    "FunctionalModule",
    "FunctionalModuleWithBuffers",
    "combine_state_for_ensemble",
    "make_functional",
    "make_functional_with_buffers",
]


def _deprecated(name: str, instead: str) -> None:
    notices.deprecated(f"functorch.{name} is deprecated, and torch.func has what replaces it: {instead}.")


class _Called(Module):
    """A module without its own state: what is given is put in place of the named parameters and buffers."""

    def __init__(self, stateless_model: Module, param_names: Sequence[str], buffer_names: Sequence[str]) -> None:
        super().__init__()
        self.stateless_model, self.param_names, self.buffer_names = stateless_model, tuple(param_names), tuple(buffer_names)

    def _call(self, names: Sequence[str], values: Sequence[Tensor], args: Any, kwargs: Any) -> Any:
        if len(values) != len(names):
            raise RuntimeError(f"expected {len(names)} tensors, {', '.join(names)}, got {len(values)}")
        return called_with(self.stateless_model, dict(zip(names, values, strict=True)), args, kwargs)


class FunctionalModule(_Called):
    """``f(params, *args)``: see `make_functional`."""

    def forward(self, params: Sequence[Tensor], *args: Any, **kwargs: Any) -> Any:
        """The module's result with these parameters, in the order of its `named_parameters`."""
        return self._call(self.param_names, params, args, kwargs)


class FunctionalModuleWithBuffers(_Called):
    """``f(params, buffers, *args)``: see `make_functional_with_buffers`."""

    def forward(self, params: Sequence[Tensor], buffers: Sequence[Tensor], *args: Any, **kwargs: Any) -> Any:
        """The module's result with these parameters and buffers; buffers that it updates are written."""
        return self._call((*self.param_names, *self.buffer_names), (*params, *buffers), args, kwargs)


def _taken_apart(model: Module, disable_autograd_tracking: bool) -> tuple[Module, dict[str, Any], dict[str, Any]]:
    """A copy of the model on the meta device, and the parameters and buffers that the copy had."""
    model = copy.deepcopy(model)
    params, buffers = dict(model.named_parameters()), dict(model.named_buffers())
    kept = {name: copy.deepcopy(p) for name, p in params.items()}, {name: copy.deepcopy(b) for name, b in buffers.items()}
    if disable_autograd_tracking:
        for p in kept[0].values():
            p.requires_grad_(False)
    return model.to("meta"), *kept


def make_functional(model: Module, disable_autograd_tracking: bool = False) -> tuple[FunctionalModule, tuple[Any, ...]]:
    """(a function of parameters and of the model's arguments, copies of the model's parameters as leaves).

    `disable_autograd_tracking`: the copies require no gradients.

    Raises:
        RuntimeError: the model has buffers.
    """
    if any(True for _ in model.buffers()):
        raise RuntimeError("make_functional(model): `model` has buffers. Please use make_functional_with_buffers(model) instead.")
    _deprecated("make_functional", "functional_call")
    stateless, params, _ = _taken_apart(model, disable_autograd_tracking)
    return FunctionalModule(stateless, tuple(params), ()), tuple(params.values())


def make_functional_with_buffers(
    model: Module, disable_autograd_tracking: bool = False
) -> tuple[FunctionalModuleWithBuffers, tuple[Any, ...], tuple[Any, ...]]:
    """(a function of parameters, buffers and the model's arguments, copies of the parameters as leaves, copies of the buffers)."""
    _deprecated("make_functional_with_buffers", "functional_call")
    stateless, params, buffers = _taken_apart(model, disable_autograd_tracking)
    return FunctionalModuleWithBuffers(stateless, tuple(params), tuple(buffers)), tuple(params.values()), tuple(buffers.values())


def combine_state_for_ensemble(models: Any) -> tuple[FunctionalModuleWithBuffers, tuple[Any, ...], tuple[Any, ...]]:
    """(a function of parameters, buffers and arguments for `vmap`, the parameters of several models of one structure, stacked along a new
    first dimension and without gradients, and their buffers).

    Raises:
        RuntimeError: no models, or models of several classes or modes.
    """
    models = alike(models, "combine_state_for_ensemble")
    _deprecated("combine_state_for_ensemble", "stack_module_state")
    params, buffers = stack_module_state(models)
    stateless = copy.deepcopy(models[0]).to("meta")
    stacked = tuple([p.detach() for p in params.values()])  # type: ignore[attr-defined]
    return FunctionalModuleWithBuffers(stateless, tuple(params), tuple(buffers)), stacked, tuple(buffers.values())
