"""The few names of PyTorch's C++ module that packages written for PyTorch reach for; `hasattr` is honest about all others."""

from __future__ import annotations

from typing import Any

from .errors import Unsupported
from .facade.core import Tensor as TensorBase
from .facade.generator import Generator
from .size import Size

__all__ = ["Generator", "Size", "TensorBase"]


def _log_api_usage_once(event: str) -> None:
    """Nothing is reported to anyone."""


def _get_tracing_state() -> None:
    """None: no function is being traced."""


def __getattr__(name: str) -> Any:
    raise Unsupported(f"torch._C.{name} is internal to PyTorch: use the public functions")
