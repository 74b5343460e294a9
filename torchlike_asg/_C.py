"""The few names of PyTorch's C++ module that packages written for PyTorch reach for; `hasattr` is honest about all others."""

from __future__ import annotations

from typing import Any

from .asg.trace import current as _current
from .errors import Absent, Unsupported
from .facade import generator as _generator
from .facade.core import Tensor as TensorBase
from .facade.derived import torch_functions_off
from .facade.generator import Generator
from .ops.solve import LinAlgError as _LinAlgError
from .size import Size

assert _LinAlgError  # which is pickled by this name

__all__ = ["Generator", "Graph", "Node", "PyTorchFileReader", "Size", "SymBool", "SymFloat", "SymInt", "TensorBase", "Value"]


default_generator = _generator.default_generator
_TensorBase = TensorBase
_KNOWN = "sizes are Python numbers here"
_SCRIPTS = "torchlike_asg.asg.explain shows the recorded graph"
_TensorMeta = type(TensorBase)


class SymInt(Absent, within="torch", instead=_KNOWN):
    """PyTorch's integer that is not known while it traces; no number here is one."""


class SymFloat(Absent, within="torch", instead=_KNOWN):
    """PyTorch's float that is not known while it traces; no number here is one."""


class SymBool(Absent, within="torch", instead=_KNOWN):
    """PyTorch's truth value that is not known while it traces; no number here is one."""


class PyTorchFileReader(Absent, within="torch", instead="use torch.load, or zipfile for the archive itself"):
    """PyTorch's reader of its zip files, for annotations: `torch.load` reads them here."""


class Graph(Absent, within="torch._C", instead=_SCRIPTS):
    """TorchScript's graph, for annotations (of ``symbolic`` methods, which exporters call)."""


class Node(Absent, within="torch._C", instead=_SCRIPTS):
    """A node of TorchScript's graph, for annotations."""


class Value(Absent, within="torch._C", instead=_SCRIPTS):
    """A value of TorchScript's graph, for annotations."""


def _log_api_usage_once(event: str) -> None:
    """Nothing is reported to anyone."""


def _disabled_torch_function_impl(func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
    """The ``__torch_function__`` of a class that wants functions of PyTorch's run on it as they are."""
    with torch_functions_off():
        return func(*args, **(kwargs or {}))


DisableTorchFunctionSubclass = DisableTorchFunction = torch_functions_off


def _are_functorch_transforms_active() -> bool:
    """Whether this is called inside of a transform: `vmap`, `func.grad` and their like."""
    return bool(_current().level)


def _get_tracing_state() -> None:
    """None: no function is being traced."""


def _is_tracing() -> bool:
    """False: Python runs."""
    return False


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
