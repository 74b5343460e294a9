"""``torch._dynamo`` for scripts that tell PyTorch's compiler how to treat them: there is no tracing of Python to steer.

Settings are remembered and change nothing; functions that mark tensors or functions give them back as they are.
"""

from __future__ import annotations

from typing import Any

from ..compiler import allow_in_graph, assume_constant_result, disable, is_compiling, reset
from . import config
from .eval_frame import OptimizedModule

__all__ = ["OptimizedModule", "allow_in_graph", "assume_constant_result", "config", "disable", "is_compiling", "mark_dynamic",
           "mark_static", "mark_static_address", "maybe_mark_dynamic", "reset"]  # fmt: skip


def mark_static_address(t: Any, guard: bool = True) -> None:
    """Nothing to mark: a plan finds its tensors at every run."""


def mark_dynamic(t: Any, index: Any, *, hint_override: Any = None, min: int | None = None, max: int | None = None) -> None:
    """Nothing to mark: kernels take sizes at run time."""


def mark_static(t: Any, index: Any = None) -> None:
    """Nothing to mark: kernels take sizes at run time."""


maybe_mark_dynamic = mark_static
