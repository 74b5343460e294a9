"""The Abstract Semantic Graph: what PyTorch code records into. README.md beside this file states its invariants."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .node import COUNTS, Node

__all__ = ["Node", "collect", "dump", "explain", "export", "node_of", "stats", "sync", "verify"]


def stats() -> dict[str, int]:
    """Counts since the start of the process: ``nodes`` made, ``plans`` built, ``compiles`` (executables linked), ``flushes``,
    ``cache_hits``, and ``interpreted`` (programs whose operations ran one by one, since a plan for them would run once).
    """
    return dict(COUNTS)


def __getattr__(name: str) -> Any:
    """What looks at tensors needs layers above this one, which are loaded when asked for."""
    import importlib

    if name in ("explain", "collect", "sync"):
        return getattr(importlib.import_module("torchlike_asg.facade.inspect"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _nodes(tensors: Any) -> list[Node]:
    import importlib

    found: Callable[[Any], list[Node]] = importlib.import_module("torchlike_asg.facade.inspect").nodes_of
    return found(tensors)


def dump(*tensors: Any) -> str:
    """The graph that tensors (or nodes) stand for, as text that `asg.text.parse` reads."""
    from .text import dump as write

    return write(_nodes(tensors))


def export(*tensors: Any) -> dict[str, Any]:
    """The graph that tensors (or nodes) stand for, as plain data."""
    from .snapshot import snapshot as plain

    return plain(_nodes(tensors))


def verify(*tensors: Any) -> int:
    """Verify the graph that tensors (or nodes) stand for; returns the number of nodes checked."""
    from .lint import lint as check

    return check(_nodes(tensors))


def node_of(tensor: Any) -> Node:
    """The node a tensor stands for now."""
    return _nodes([tensor])[0]
