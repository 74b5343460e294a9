"""``torch._dynamo`` for scripts that tell PyTorch's compiler how to treat them: there is no tracing of Python to steer.

Settings are remembered and change nothing; functions that mark tensors or functions give them back as they are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

from ..compiler import allow_in_graph, assume_constant_result, disable, is_compiling, reset
from ..errors import Unsupported, refuses
from . import config, exc
from .eval_frame import OptimizedModule, check, compiled, list_backends

__all__ = ["OptimizedModule", "allow_in_graph", "assume_constant_result", "config", "disable", "exc", "explain", "graph_break",
           "is_compiling", "list_backends", "mark_dynamic", "mark_static", "mark_static_address", "maybe_mark_dynamic", "optimize",
           "reset"]  # fmt: skip


def optimize(backend: Any = "inductor", *args: Any, **options: Any) -> Callable[[Any], Any]:
    """``torch.compile`` as it was called first: a decorator."""
    check(backend, None, None)
    return compiled


def graph_break(msg: str = "") -> None:
    """Nothing: the script itself runs, up to here and from here on."""


@refuses
def explain(f: Any, *args: Any, **kwargs: Any) -> NoReturn:
    """Raises Unsupported."""
    raise Unsupported("torch._dynamo.explain: torchlike_asg.asg.explain shows what is recorded of a tensor and how it is run")


def mark_static_address(t: Any, guard: bool = True) -> None:
    """Nothing to mark: a plan finds its tensors at every run."""


def mark_dynamic(t: Any, index: Any, *, hint_override: Any = None, min: int | None = None, max: int | None = None) -> None:
    """Nothing to mark: kernels take sizes at run time."""


def mark_static(t: Any, index: Any = None) -> None:
    """Nothing to mark: kernels take sizes at run time."""


maybe_mark_dynamic = mark_static
