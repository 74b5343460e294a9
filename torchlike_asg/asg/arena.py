"""Keeping the graph bounded: nodes of dropped models go, plans and memo entries with them."""

from __future__ import annotations

import gc
import sys
import weakref
from collections.abc import Callable, Iterable
from typing import Any

from .. import config
from ..dtypes import FLOAT, on_change
from . import gradients, node, trace, traces
from .declare import LEAVES, REGISTRY, SCALAR, VAR
from .node import Node

#: memo tables of other layers: functions that drop every entry for which `dead(node)` holds
_pruners: list[Callable[[Callable[[Node], bool]], None]] = []
_counts = {"vars": 0, "dead": 0}
_floor = 10_000  # below this many nodes compaction is not worth a sweep


def register(prune: Callable[[Callable[[Node], bool]], None]) -> Callable[[Callable[[Node], bool]], None]:
    """Register a function that prunes a memo table keyed by nodes."""
    _pruners.append(prune)
    return prune


def live_nodes() -> int:
    """Nodes held by the intern tables (an expression recorded in several spellings counts once)."""
    return (
        sum(1 for op in REGISTRY.values() for key, n in op.table.items() if n.srcs + n.attrs == key or op in (VAR,))
        + len(node._CONSTS)
        + len(node.WEAK)
    )


#: permanent leaf -> its storage, while the tensors of that storage live
_storages: dict[Node, Any] = {}


def track(leaf: Node, owner: Any, storage: Any) -> None:
    """Count a permanent leaf, and its end. A storage whose tensors die while results that read it are pending lives until they are computed."""  # noqa: E501
    _counts["vars"] += 1
    _storages[leaf] = storage

    def died(_: Any, ending: Callable[[], bool] = sys.is_finalizing) -> None:
        if ending():  # the names of this module may be gone before its tensors
            return
        _counts["dead"] += 1
        kept = _storages.pop(leaf, None)
        tr = trace.current()
        if kept is None:
            return
        if tr.claims or tr.grads or any([r() is not None for r in tr.families]):
            tr.orphans[leaf] = kept
        if trace.several:
            for other in traces.others(tr):
                other.orphans[leaf] = kept

    leaf.owner = weakref.ref(owner, died)


def moved(leaf: Node, storage: Any) -> None:
    """The leaf's tensors took another storage."""
    if leaf in _storages:
        _storages[leaf] = storage


def parted(leaf: Node) -> None:
    """The leaf's tensors took another storage, in which it has no part: its values are kept where they are needed."""
    _storages.pop(leaf, None)


def due() -> bool:
    """Whether a quarter of the permanent leaves are dead, or the tables grew past the limit.

    A sweep looks at every node, so that for few leaves' sake there is none before an eighth of them are new.
    """
    made, kept = node.COUNTS["nodes"] - _state["removed"], _state["kept"]
    if made > max(config.max_nodes, 2 * kept) or _counts["dead"] > 4096:
        return True
    return _counts["dead"] > 16 and 4 * _counts["dead"] > _counts["vars"] and made > max(_floor, kept + kept // 8)


_state = {"removed": 0, "kept": 0, "looked": 0}


def compact(roots: Iterable[Node] = (), everything: bool = False) -> int:
    """Drop every node that depends on a dead leaf; with `everything`, every node not reachable from `roots`. Returns how many went.

    Only between traces: no pending node may exist except those reachable from `roots`.
    """
    with trace.lock:
        return _compact(roots, everything)


def forget_defaults() -> None:
    """Drop the floating-point expressions of operands that are not: their type may be the default one of the time they were recorded. Those
    recorded before the last time that it changed have been looked at then.
    """
    with trace.lock:
        looked, _state["looked"] = _state["looked"], node.COUNTS["nodes"]
        for op in REGISTRY.values():
            if op in LEAVES:
                continue
            for key, n in op.table.copy().items():
                if (
                    n.serial >= looked
                    and n.dtype.category >= FLOAT
                    and not any(s.__class__ is Node and s.dtype.category >= FLOAT and s.op is not SCALAR for s in key)
                ):
                    op.table.pop(key, None)
            op.sites.clear()


on_change.append(forget_defaults)


def _compact(roots: Iterable[Node], everything: bool) -> int:
    tables = [op.table for op in REGISTRY.values()]
    # Copies: other threads go on recording. Of items by copy(): a list of pairs allocates, so it can be interrupted by a collection whose
    # callbacks let another thread in.
    nodes = {n for table in tables for n in list(table.values())}
    dead: set[Node] = set()
    if everything or len(nodes) > config.max_nodes:
        from .rewrite import topo

        kept = set(topo(roots))
        dead = {n for n in nodes if n not in kept and n.op is not VAR}
    for n in sorted(nodes, key=lambda n: n.serial):
        if n not in dead and (
            (n.op is VAR and (n.owner is None or n.owner() is None)) or any(s in dead or _is_dead_var(s) for s in n.srcs)
        ):
            dead.add(n)
    for table in tables:
        for key in [k for k, n in table.copy().items() if n in dead or any(k_.__class__ is Node and k_ in dead for k_ in k)]:
            table.pop(key, None)
    for op in REGISTRY.values():
        op.sites.clear()
    trace.forget_inputs()

    def gone(n: Node) -> bool:
        return n in dead or _is_dead_var(n)

    for key in [k for k in list(gradients.MEMO) if any(gone(n) for part in k for n in part)]:
        gradients.MEMO.pop(key, None)
    for prune in _pruners:
        prune(gone)
    _state["removed"] += len(dead)
    _state["kept"] = node.COUNTS["nodes"] - _state["removed"]
    _counts["vars"] -= _counts["dead"]
    _counts["dead"] = 0
    return len(dead)


def _is_dead_var(n: Node) -> bool:
    return n.op is VAR and (n.owner is None or n.owner() is None)


def collect() -> int:
    """Compact now (tests and long-running notebooks)."""
    gc.collect()
    return compact()
