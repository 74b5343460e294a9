"""``torch.overrides`` as far as packages ask it: whether arguments have functions of their own for PyTorch's."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import Any

from .absent import asked
from .errors import Unsupported
from .facade.core import Tensor

__all__ = ["TorchFunctionMode", "get_default_nowrap_functions", "get_ignored_functions", "handle_torch_function", "has_torch_function",
           "is_tensor_like", "is_tensor_method_or_property", "wrap_torch_function"]  # fmt: skip


def has_torch_function(relevant_args: Iterable[Any]) -> bool:
    """Whether an argument is an instance of a class derived from Tensor, or another object with a ``__torch_function__``."""
    return any(
        (getattr(type(a), "_asks", False) if isinstance(a, Tensor) else hasattr(type(a), "__torch_function__")) for a in relevant_args
    )


def is_tensor_like(inp: Any) -> bool:
    """Whether an object is a tensor, or has a ``__torch_function__`` and so wants to be taken for one."""
    return isinstance(inp, Tensor) or hasattr(inp, "__torch_function__")


def is_tensor_method_or_property(func: Any) -> bool:
    """Whether a function is a method or property of tensors."""
    return any(func is found or func is getattr(found, "fget", None) for found in vars(Tensor).values() if found is not None)


class TorchFunctionMode:
    """A base class that subclasses may have; entering one raises, as calls are recorded without going through Python functions that a
    mode could replace.
    """

    def __enter__(self) -> Any:
        raise Unsupported("torch.overrides.TorchFunctionMode cannot be entered: torch.func and tensor hooks see what is computed")

    def __exit__(self, *error: object) -> None:
        """Never entered."""


def has_torch_function_unary(relevant_arg: Any) -> bool:
    """`has_torch_function` of one argument."""
    return has_torch_function((relevant_arg,))


def has_torch_function_variadic(*relevant_args: Any) -> bool:
    """`has_torch_function` of arguments."""
    return has_torch_function(relevant_args)


def handle_torch_function(public_api: Callable[..., Any], relevant_args: Iterable[Any], *args: Any, **kwargs: Any) -> Any:
    """What the first ``__torch_function__`` among the types of `relevant_args` that does not return NotImplemented makes of the call.

    A subclass is asked before the classes it derives from, otherwise the first argument first.

    Raises:
        TypeError: all returned NotImplemented.
    """
    own: list[Any] = []
    for arg in relevant_args:
        if not has_torch_function((arg,)) or any(type(arg) is type(other) for other in own):
            continue
        place = next((i for i, other in enumerate(own) if issubclass(type(arg), type(other))), len(own))
        own.insert(place, arg)
    types = tuple(type(arg) for arg in own)
    for arg in own:
        result = arg.__torch_function__(public_api, types, args, kwargs)
        if result is not NotImplemented:
            return result
    name = f"{public_api.__module__}.{public_api.__name__}"
    raise TypeError(f"no implementation found for '{name}' on types that implement __torch_function__: {[type(arg) for arg in own]}")


def wrap_torch_function(dispatcher: Callable[..., Iterable[Any]]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorator: a call goes to `handle_torch_function` if one of ``dispatcher(*args, **kwargs)`` has a ``__torch_function__``."""

    def wrap(func: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(func)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            relevant = dispatcher(*args, **kwargs)
            if has_torch_function(relevant):
                return handle_torch_function(wrapped, relevant, *args, **kwargs)
            return func(*args, **kwargs)

        return wrapped

    return wrap


def get_ignored_functions() -> set[Any]:
    """Functions that no ``__torch_function__`` sees: none are kept from it by a list here."""
    return set()


def get_default_nowrap_functions() -> set[Any]:
    """Functions whose result stays a plain tensor: none are listed here."""
    return set()


__getattr__ = asked(__name__)
