"""Looking at the graph behind tensors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..asg import arena
from ..asg.node import Node
from ..asg.rewrite import topo
from ..asg.text import dump
from ..asg.trace import current
from .core import Tensor, node_of
from .flush import flush
from .functions.reading import sync

__all__ = ["collect", "explain", "nodes_of", "sync"]


def nodes_of(tensors: Any) -> list[Node]:
    """The nodes of tensors, in nested lists, tuples and dicts."""
    if isinstance(tensors, Tensor):
        return [node_of(tensors)]
    if isinstance(tensors, Node):
        return [tensors]
    if isinstance(tensors, dict):
        tensors = tensors.values()
    if isinstance(tensors, (list, tuple)) or hasattr(tensors, "__iter__"):
        return [n for t in tensors for n in nodes_of(t)]
    return []


def explain(
    fn: Callable[..., Any],
    *args: Any,
    show: Callable[[str], None] | None = print,
    kernels: bool = False,
    llvm: bool = False,
    **kwargs: Any,
) -> str:
    """Record ``fn(*args)`` and show its graph as recorded and after each pass of the compiler. Returns the text; `show` prints it.

    With `kernels` also what it is compiled to: the steps with the operations fused into each, their loop kernels, the bytes they move, and
    what no kernel computes (on a GPU also the WGSL of every kernel); with `llvm` the LLVM IR of every kernel, too. Nothing is executed but
    what `fn` itself reads.
    """
    from ..compiler import building, pipeline

    flush()
    out = fn(*args, **kwargs)
    roots = nodes_of(out)
    known = current().known
    parts = [_section("recorded", roots, known)]
    before = [len(topo(roots, known))]

    def watch(name: str, after: list[Node]) -> None:
        count = len(topo(after, known))
        parts.append(_section(f"after {name} ({before[0]} -> {count} nodes)", after, known))
        before[0] = count

    after = pipeline.optimise(roots, known, watch)
    if kernels or llvm:
        parts.append(f"=== compiled\n{building.describe(after, current(), llvm)}")
    text = "\n\n".join(parts)
    if show is not None:
        show(text)
    return text


def _section(title: str, roots: list[Node], known: Any) -> str:
    places = {n: n.site[0] for n in topo(roots, known) if n.site[0]}
    return f"=== {title}\n{dump(roots, known, places)}"


def collect() -> int:
    """Compute what is pending and drop every node that belongs to models that no longer exist; returns how many were dropped."""
    flush()
    return arena.collect()
