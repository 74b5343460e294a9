"""From recorded graphs to programs; and the switches of ``torch.compiler`` that scripts touch, none of which has anything to switch."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from ..absent import asked


def is_compiling() -> bool:
    """False: the script itself runs, and what it records is compiled afterwards."""
    return False


is_dynamo_compiling = is_exporting = is_compiling


def disable(fn: Any = None, recursive: bool = True, *, reason: str | None = None) -> Any:
    """The function itself, called or used as a decorator: there is no tracing of Python to keep out."""
    return fn if fn is not None else lambda f: f


def allow_in_graph(fn: Any) -> Any:
    """The function itself."""
    return fn


assume_constant_result = allow_in_graph


def reset() -> None:
    """Nothing is kept between compilations that could be stale."""


cudagraph_mark_step_begin = reset


def set_stance(stance: str = "default", **options: Any) -> Callable[[Any], Any]:
    """Accepted: as a function or decorator it changes nothing."""
    return allow_in_graph


def list_backends(exclude_tags: tuple[str, ...] | None = ("debug", "experimental")) -> list[str]:
    """The names that ``torch.compile(backend=...)`` takes; all of them mean this package's compiler."""
    found: list[str] = importlib.import_module(f"{__name__.partition('.')[0]}._dynamo").list_backends(exclude_tags)
    return found


def nested_compile_region(fn: Any = None, *args: Any, **options: Any) -> Any:
    """The function itself, called or used as a decorator: equal parts are compiled once anyway."""
    return disable(fn)


def compile(*args: Any, **options: Any) -> Any:
    """`torchlike_asg.compile`."""
    return importlib.import_module("torchlike_asg").compile(*args, **options)


__getattr__ = asked(__name__)
