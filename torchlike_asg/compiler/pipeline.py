"""The ordered list of passes. Each takes output nodes and gives equivalent ones; nodes in `stop` are data already computed."""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence

from .. import config, events
from ..asg.lint import lint
from ..asg.node import Node
from ..asg.rewrite import topo
from .passes.fold import fold, folded
from .passes.identities import strip_identities
from .passes.simplify import simpler, simplify

Pass = Callable[[Sequence[Node], Container[Node]], list[Node]]
#: common subexpressions need no pass (nodes are interned), dead code none either (only what the outputs need is walked)
PASSES: list[tuple[str, Pass]] = [("identities", strip_identities), ("simplify", simplify), ("fold", fold)]


def optimise(roots: Sequence[Node], stop: Container[Node], watch: Callable[[str, list[Node]], None] | None = None) -> list[Node]:
    """Run every pass. `watch(name, roots)` sees the graph after each one; where nobody looks, they are one walk."""
    current = list(roots)
    telling = events.wanted(events.PassApplied)
    if not (telling or config.lint or watch is not None):
        simple = simpler(stop)
        return strip_identities(current, stop, lambda n: simple(n) or folded(n))
    for name, run in PASSES:
        before = len(topo(current, stop)) if telling else 0
        current = run(current, stop)
        if config.lint:
            lint(current, stop)
        if telling:
            events.publish(events.PassApplied(name, before, len(topo(current, stop))))
        if watch is not None:
            watch(name, current)
    return current
