"""Parametrisations: a parameter that is computed from others each time it is read.

After ``register_parametrization(layer, "weight", Symmetric())``, reading ``layer.weight`` computes
``Symmetric()(layer.parametrizations.weight.original)``.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torchlike_asg as torch

from ...facade.core import Tensor
from ..modules.container import ModuleDict, ModuleList
from ..modules.module import Module
from ..parameter import Parameter

__all__ = [
    "ParametrizationList",
    "cached",
    "is_parametrized",
    "register_parametrization",
    "remove_parametrizations",
    "type_before_parametrizations",
]

_cache: dict[tuple[int, str], Any] = {}
_cache_depth = 0


@contextmanager
def cached() -> Iterator[None]:
    """Inside, a parametrised tensor is computed once and then kept, until the outermost block ends."""
    global _cache_depth
    _cache_depth += 1
    try:
        yield
    finally:
        _cache_depth -= 1
        if not _cache_depth:
            _cache.clear()


class ParametrizationList(ModuleList):
    """The parametrisations of one tensor, applied in order, and what they start from: `original`, or `original0`, `original1`..."""

    def __init__(self, modules: Sequence[Any], original: Any, unsafe: bool = False) -> None:
        if not modules:
            raise ValueError("ParametrizationList requires one or more modules.")
        super().__init__(modules)
        self.unsafe = unsafe
        start = original
        with torch.no_grad():
            for module in reversed(list(self)):
                start = _inverted(module, start, start)
        if not isinstance(start, (Tensor, Sequence)):
            raise ValueError(f"'right_inverse' must return a Tensor or a Sequence of tensors (list, tuple...). Got {type(start).__name__}")
        self.is_tensor = isinstance(start, Tensor)
        self.ntensors = 1 if self.is_tensor else len(start)
        shape, dtype = original.shape, original.dtype
        if self.is_tensor:
            if start.dtype != dtype:
                raise ValueError(
                    "When `right_inverse` outputs one tensor, it may not change the dtype.\n"
                    f"original.dtype: {dtype}\nright_inverse(original).dtype: {start.dtype}"
                )
            if start is not original:
                _write(original, start)
            register_parameter_or_buffer(self, "original", original)
        else:
            for i, tensor in enumerate(start):
                if not isinstance(tensor, Tensor):
                    raise ValueError(
                        "'right_inverse' must return a Tensor or a Sequence of tensors (list, tuple...). "
                        f"Got element {i} of the sequence with type {type(tensor).__name__}."
                    )
                if isinstance(original, Parameter):
                    tensor = Parameter(tensor, original.requires_grad)
                register_parameter_or_buffer(self, f"original{i}", tensor)
        if not unsafe:
            _check_result("unparametrized", shape, dtype, "parametrized", self())

    def originals(self) -> list[Any]:
        """The tensors the parametrised one is computed from."""
        names = ["original"] if self.is_tensor else [f"original{i}" for i in range(self.ntensors)]
        return [getattr(self, name) for name in names]

    def right_inverse(self, value: Any) -> None:
        """Sets the original tensors so that the parametrised one becomes `value`."""
        with torch.no_grad():
            for module in reversed(list(self)):
                if not hasattr(module, "right_inverse"):
                    raise RuntimeError(f"parametrization {type(module).__name__} does not implement right_inverse.")
                value = module.right_inverse(value)
            values = [value] if self.is_tensor else list(value)
            if len(values) != self.ntensors:
                raise ValueError(
                    f"'right_inverse' must return a sequence of tensors of length {self.ntensors}. Got a sequence of length {len(values)}."
                )
            for original, new in zip(self.originals(), values, strict=True):
                if not isinstance(new, Tensor):
                    raise ValueError(f"`right_inverse` should return a tensor. Got {type(new).__name__}")
                if new.dtype != original.dtype:
                    raise ValueError(
                        f"The tensor returned by `right_inverse` has dtype {new.dtype} while `original` has dtype {original.dtype}"
                    )
                _write(original, new)

    def forward(self) -> Any:
        modules = list(self)
        value = modules[0](*self.originals())
        for module in modules[1:]:
            value = module(value)
        return value


def _write(tensor: Any, value: Any) -> None:
    """Gives `tensor` the value and shape of `value`."""
    if tensor.shape == value.shape:
        with torch.no_grad():
            tensor.copy_(value)
    else:
        tensor.data = value.detach()


def _inverted(module: Any, value: Any, default: Any) -> Any:
    """`module.right_inverse(value)`, or `default` for a parametrisation without one."""
    if not hasattr(module, "right_inverse"):
        return default
    try:
        return module.right_inverse(value)
    except NotImplementedError:
        return default


def _check_result(before: str, shape: Any, dtype: Any, after: str, value: Any) -> None:
    if not isinstance(value, Tensor):
        raise ValueError(f"A parametrization must return a tensor. Got {type(value).__name__}.")
    for what, old, new in (("dtype", dtype, value.dtype), ("shape", shape, value.shape)):
        if old != new:
            raise ValueError(
                f"Registering a parametrization may not change the {what} of the tensor, unless `unsafe` flag is enabled.\n"
                f"{before} {what}: {old}\n{after} {what}: {new}"
            )


def _check_inverse(before: str, value: Any, inverse: Any) -> None:
    if not isinstance(inverse, Tensor):
        raise ValueError(f"parametrization.right_inverse must return a tensor. Got: {type(inverse).__name__}")
    for what, old, new in (("dtype", value.dtype, inverse.dtype), ("shape", value.shape, inverse.shape)):
        if old != new:
            raise ValueError(
                f"The tensor that parametrization.right_inverse returns must have the same {what} as {before}, unless the `unsafe` flag is "
                f"enabled.\n{before} {what}: {old}\nreturned {what}: {new}"
            )


def register_parameter_or_buffer(module: Any, name: str, tensor: Any) -> None:
    """Registers `tensor` as what it is."""
    (module.register_parameter if isinstance(tensor, Parameter) else module.register_buffer)(name, tensor)


def register_parametrization(module: Any, tensor_name: str, parametrization: Any, *, unsafe: bool = False) -> Any:
    """Makes ``module.tensor_name``, a parameter or buffer, the result of `parametrization`, a Module; further ones apply after it.

    Assigning to the tensor calls the `right_inverse` methods. Unless `unsafe`, dtype and shape must stay as they are (ValueError).
    """
    parametrization.train(module.training)
    if is_parametrized(module, tensor_name):
        if not unsafe:
            value = getattr(module, tensor_name)
            result = parametrization(value)
            _check_result(f"module.{tensor_name}", value.shape, value.dtype, "parametrization's", result)
            _check_inverse(f"module.{tensor_name}", value, _inverted(parametrization, result, value))
        module.parametrizations[tensor_name].append(parametrization)
        module.parametrizations[tensor_name].unsafe |= unsafe
    elif tensor_name in module._buffers or tensor_name in module._parameters:
        parametrizations = ParametrizationList([parametrization], getattr(module, tensor_name), unsafe=unsafe)
        delattr(module, tensor_name)
        if not is_parametrized(module):
            _give_own_class(module)
            module.parametrizations = ModuleDict()
        setattr(type(module), tensor_name, _property(tensor_name))
        module.parametrizations[tensor_name] = parametrizations
    else:
        raise ValueError(f"Module '{module}' does not have a parameter, a buffer, or a parametrized element with name '{tensor_name}'")
    return module


def _give_own_class(module: Any) -> None:
    """A class of this instance alone, to carry its properties."""
    cls = type(module)

    def deepcopy(self: Any, memo: dict[int, Any]) -> Any:
        replica = memo[id(self)] = type(self).__new__(type(self))
        replica.__setstate__(copy.deepcopy(self.__dict__, memo))
        return replica

    def getstate(self: Any) -> Any:
        raise RuntimeError("Serialization of parametrized modules is only supported through state_dict().")

    module.__class__ = type(f"Parametrized{cls.__name__}", (cls,), {"__deepcopy__": deepcopy, "__getstate__": getstate})


def _property(name: str) -> property:
    def read(self: Any) -> Any:
        if not _cache_depth:
            return self.parametrizations[name]()
        key = (id(self), name)
        if key not in _cache:
            _cache[key] = self.parametrizations[name]()
        return _cache[key]

    def write(self: Any, value: Any) -> None:
        self.parametrizations[name].right_inverse(value)

    return property(read, write)


def is_parametrized(module: Any, tensor_name: str | None = None) -> bool:
    """Whether `module`, or its tensor `tensor_name`, is parametrised."""
    parametrizations = getattr(module, "__dict__", {}).get("parametrizations")
    if not isinstance(parametrizations, ModuleDict):
        return False
    return len(parametrizations) > 0 if tensor_name is None else tensor_name in parametrizations


def remove_parametrizations(module: Any, tensor_name: str, leave_parametrized: bool = True) -> Any:
    """Makes `tensor_name` an ordinary parameter or buffer again: with the parametrised value, or with the original one."""
    if not is_parametrized(module, tensor_name):
        raise ValueError(f"Module {module} does not have a parametrization on {tensor_name}")
    parametrizations = module.parametrizations[tensor_name]
    if not leave_parametrized and not parametrizations.is_tensor:
        raise ValueError(
            "Cannot leave unparametrized (`leave_parametrized=False`) a tensor that is parametrized in terms of a sequence of tensors."
        )
    if parametrizations.is_tensor:
        tensor = parametrizations.original
        if leave_parametrized:
            _write(tensor, getattr(module, tensor_name))
    else:
        value = getattr(module, tensor_name)
        tensor = Parameter(value.detach()) if value.requires_grad else value
    delattr(type(module), tensor_name)
    del module.parametrizations[tensor_name]
    register_parameter_or_buffer(module, tensor_name, tensor)
    if not is_parametrized(module):
        del module.parametrizations
        module.__class__ = type(module).__bases__[0]
    return module


def type_before_parametrizations(module: Module) -> type:
    """The class `module` had before it was parametrised."""
    return type(module).__bases__[0] if is_parametrized(module) else type(module)


def transfer_parametrizations_and_params(from_module: Module, to_module: Module, tensor_name: str | None = None) -> Module:
    """Gives `to_module` the parametrisations of `from_module` (of its tensor `tensor_name`, or of all) and the parameters behind them.

    A parameter that `to_module` lacks is added. Parametrisations are the same modules in both.

    Raises:
        AssertionError: `tensor_name` is not parametrised.
    """
    if not is_parametrized(from_module, tensor_name):
        if tensor_name is None:
            return to_module
        raise AssertionError("parametrizations must be a ModuleDict")
    for name in [tensor_name] if tensor_name is not None else list(from_module.parametrizations):
        given = from_module.parametrizations[name]
        if not hasattr(to_module, name):
            setattr(to_module, name, Parameter(getattr(from_module, name)))
        for parametrization in given:
            register_parametrization(to_module, name, parametrization)
        taken = to_module.parametrizations[name]
        if hasattr(given, "original"):
            taken.original = given.original
        else:
            for i in range(given.ntensors):
                setattr(taken, f"original{i}", getattr(given, f"original{i}"))
    return to_module
