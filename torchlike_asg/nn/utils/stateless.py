"""Modules as functions of their parameters (`torch.func.functional_call`)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from ... import notices
from ...facade.core import Tensor
from ..modules.module import Module

#: what a name that no module has stands for
_NOTHING = object()


def _merged(given: Any) -> dict[str, Tensor]:
    if isinstance(given, dict):
        return given
    if isinstance(given, Sequence) and all(isinstance(d, dict) for d in given):
        merged: dict[str, Tensor] = {}
        for d in given:
            for key, value in d.items():
                merged[key] = value
        twice = {key for i, d in enumerate(given) for key in d if any(key in other for other in given[:i])}
        if twice:
            raise ValueError(f"{sorted(twice)} appeared in multiple dictionaries; behavior of functional call is ambiguous")
        return merged
    raise ValueError(f"Expected parameter_and_buffer_dicts to be a dict, or a list/tuple of dicts, but got {type(given)}")


def _slot(module: Module, path: str) -> tuple[dict[str, Any], str]:
    """Where the tensor of that name is kept, or would be: (the registry of its module, or all attributes; its name)."""
    *parents, name = path.split(".")
    owner: Any = module
    for parent in parents:
        inner = getattr(owner, parent, _NOTHING)
        if inner is _NOTHING:
            raise AttributeError(f"{owner._get_name()} has no attribute `{parent}`")
        if not isinstance(inner, Module):
            raise TypeError(f"submodule `{parent}`: {inner} is not an instance of torch.nn.Module")
        owner = inner
    for registry in (owner._parameters, owner._buffers):
        if name in registry:
            return registry, name
    found = getattr(owner, name, _NOTHING)
    if found is not _NOTHING and not isinstance(found, Tensor):
        raise TypeError(f"attribute `{name}`: {found} is not an instance of torch.Tensor")
    return owner.__dict__, name


@contextmanager
def swapped(module: Module, values: dict[str, Tensor], tie_weights: bool = True, strict: bool = False) -> Iterator[None]:
    """Inside, the module's parameters, buffers and other attributes are these tensors; with `tie_weights` wherever the same tensor is kept.

    What is another tensor afterwards, since `forward` assigned it, is in `values` then, and the module has its own again.
    """
    own: dict[str, Any] = {
        **dict(module.named_parameters(remove_duplicate=False)),
        **dict(module.named_buffers(remove_duplicate=False)),
    }
    if strict and values.keys() != own.keys():
        named = (("Unexpected", set(values) - set(own)), ("Missing", set(own) - set(values)))
        lines = [f"\n\t{kind} key(s): {', '.join(map(repr, sorted(keys)))}." for kind, keys in named if keys]
        raise RuntimeError(f"Error(s) in reparametrizing for {module._get_name()}:{''.join(lines)}")
    targets = dict(values)
    if tie_weights:
        by_identity: dict[int, list[str]] = {}
        for name, t in own.items():
            by_identity.setdefault(id(t), []).append(name)
        for name, value in values.items():
            tied = by_identity[id(own[name])] if name in own else ()
            if any(values.get(other, value) is not value for other in tied):
                keys = sorted(other for other in tied if other in values)
                raise ValueError(f"functional_call got multiple values for keys {keys}, which are tied. Consider using tie_weights=False")
            for other in tied:
                targets.setdefault(other, value)
    for value in targets.values():
        if value is not None and not isinstance(value, Tensor):
            raise TypeError(f"{value} is not an instance of torch.Tensor")
    kept = [(*_slot(module, name), value) for name, value in targets.items()]
    old = [registry.get(name, _NOTHING) for registry, name, _ in kept]
    try:
        for registry, name, value in kept:
            registry[name] = value
        yield
    finally:
        values.update(
            {path: registry[name] for path, (registry, name, _) in zip(targets, kept, strict=True) if path in values and name in registry}
        )
        for (registry, name, _), before in zip(kept, old, strict=True):
            if before is _NOTHING:
                registry.pop(name, None)
            else:
                registry[name] = before


def functional_call(
    module: Module,
    parameters_and_buffers: Any,
    args: Any = None,
    kwargs: dict[str, Any] | None = None,
    *,
    tie_weights: bool = True,
    strict: bool = False,
) -> Any:
    """`torch.func.functional_call` of one dict, by its old name."""
    notices.deprecated(
        "`torch.nn.utils.stateless.functional_call` is deprecated as of PyTorch 2.0 and will be removed in a future version of PyTorch. "
        "Please use `torch.func.functional_call` instead: it takes the same arguments."
    )
    return called_with(module, parameters_and_buffers, args, kwargs, tie_weights=tie_weights, strict=strict)


def called_with(
    module: Module,
    parameter_and_buffer_dicts: Any,
    args: Any = None,
    kwargs: dict[str, Any] | None = None,
    *,
    tie_weights: bool = True,
    strict: bool = False,
) -> Any:
    """``module(*args, **kwargs)`` with other tensors for the parameters and buffers named (several dicts are taken together)."""
    if not isinstance(module, Module):
        raise TypeError(f"Expected module to be an nn.Module, got {type(module).__name__}")
    positional = () if args is None else args if isinstance(args, tuple) else (args,)
    with swapped(module, _merged(parameter_and_buffer_dicts), tie_weights, strict):
        return module(*positional, **(kwargs or {}))


def alike(models: Any, name: str) -> list[Module]:
    """A list of the models given to the function `name`; RuntimeError if there are none, or they are of several classes or modes."""
    models = list(models)
    if not models:
        raise RuntimeError(f"{name}: Expected at least one model, got 0.")
    if len({m.training for m in models}) > 1:
        raise RuntimeError(f"{name}: Expected all models to have the same training/eval mode.")
    if len({type(m) for m in models}) > 1:
        raise RuntimeError(f"{name}: Expected all models to be of the same class.")
    return models


def stack_module_state(models: Any) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """(parameters, buffers) of several models of one structure, each stacked along a new first dimension, as leaves of their own."""
    models = alike(models, "stack_module_state")
    from ... import no_grad, stack  # type: ignore[attr-defined]

    def stacked(tables: list[dict[str, Any]]) -> dict[str, Tensor]:
        found = {}
        for name in tables[0]:
            tensors = [t[name] for t in tables]
            with no_grad():
                whole = stack(tensors)
            found[name] = whole.detach().requires_grad_(tensors[0].requires_grad)
        return found

    return stacked([dict(m.named_parameters()) for m in models]), stacked([dict(m.named_buffers()) for m in models])


def replace_all_batch_norm_modules_(root: Module) -> Module:
    """Make every batch normalisation inside `root` use the statistics of its batch alone, so that nothing is written while it is mapped."""
    from ..modules.batchnorm import _BatchNorm

    for module in root.modules():
        if isinstance(module, _BatchNorm) and module.track_running_stats:
            module.running_mean = module.running_var = module.num_batches_tracked = None
            module.track_running_stats = False
    return root
