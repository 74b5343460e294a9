"""The few names of PyTorch's C++ module that packages written for PyTorch reach for; `hasattr` is honest about all others."""

from __future__ import annotations

from typing import Any

from .errors import Unsupported
from .facade.core import Tensor as TensorBase
from .facade.generator import Generator
from .size import Size

__all__ = ["Generator", "PyTorchFileReader", "Size", "SymBool", "SymFloat", "SymInt", "TensorBase"]


_TensorMeta = type(TensorBase)


class _Symbolic:
    """PyTorch's numbers whose value is not known while it traces; no number here is one."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        raise Unsupported(f"torch.{type(self).__name__}: sizes are Python numbers here")


class SymInt(_Symbolic):
    """An integer of `_Symbolic`'s kind."""


class SymFloat(_Symbolic):
    """A float of `_Symbolic`'s kind."""


class SymBool(_Symbolic):
    """A truth value of `_Symbolic`'s kind."""


class PyTorchFileReader:
    """PyTorch's reader of its zip files, for annotations: `torch.load` reads them here."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        raise Unsupported("torch.PyTorchFileReader: use torch.load, or zipfile for the archive itself")


def _log_api_usage_once(event: str) -> None:
    """Nothing is reported to anyone."""


def _disabled_torch_function_impl(func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
    """The ``__torch_function__`` of a class that wants functions of PyTorch's run on it as they are."""
    return func(*args, **(kwargs or {}))


def _get_tracing_state() -> None:
    """None: no function is being traced."""


def __getattr__(name: str) -> Any:
    raise Unsupported(f"torch._C.{name} is internal to PyTorch: use the public functions")


class _nn:
    """Functions that PyTorch keeps there."""

    @staticmethod
    def _parse_to(*args: Any, **kwargs: Any) -> tuple[Any, Any, bool, Any]:
        """(device, type, non_blocking: copies never are, memory format) of the arguments of ``Module.to``."""
        from .nn.modules.module_conversion import _parse_to

        device, dtype, options = _parse_to(*args, **kwargs)
        return device, dtype, False, options.get("memory_format")
