"""``torch.overrides`` as far as packages ask it: whether arguments have functions of their own for PyTorch's."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .errors import Unsupported
from .facade.core import Tensor

__all__ = ["TorchFunctionMode", "has_torch_function", "is_tensor_like", "is_tensor_method_or_property"]


def has_torch_function(relevant_args: Iterable[Any]) -> bool:
    """Whether an argument that is not one of our tensors has a ``__torch_function__``."""
    return any(not isinstance(a, Tensor) and hasattr(type(a), "__torch_function__") for a in relevant_args)


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
