"""The graph as plain data, for viewers and export: no tensors, no nodes, nothing that keeps memory alive."""

from __future__ import annotations

from collections.abc import Container, Iterable
from typing import Any

from .declare import CONST, INPUT, LEAVES, VAR
from .gradients import MEMO
from .node import Node
from .rewrite import topo

FORMAT = 1


def snapshot(roots: Iterable[Node], stop: Container[Node] = ()) -> dict[str, Any]:
    """``{"format", "nodes": [...], "outputs": [...]}``; nodes in order, operands by index. JSON-serialisable."""
    roots = list(roots)
    order = topo(roots, stop)
    cuts = dict.fromkeys([s for n in order for s in n.srcs if s in stop] + [r for r in roots if r in stop])
    listed = [*cuts, *order]
    index = {n: i for i, n in enumerate(listed)}
    return {"format": FORMAT, "nodes": [_plain(n, index, n in cuts) for n in listed], "outputs": [index[r] for r in roots]}


def _plain(n: Node, index: dict[Node, int], cut: bool) -> dict[str, Any]:
    kind = (
        "known"
        if cut
        else "parameter"
        if n.op is VAR and n.rg
        else "buffer"
        if n.op is VAR
        else "input"
        if n.op is INPUT
        else "constant"
        if n.op is CONST
        else "op"
    )
    return {
        "id": index[n],
        "serial": n.serial,
        "op": n.op.name,
        "kind": kind,
        "category": n.op.category,
        "inputs": [] if cut or n.op in LEAVES else [index[s] for s in n.srcs],
        "attrs": {name: _readable(a) for name, a in zip(n.op.params or map(str, range(len(n.attrs))), n.attrs, strict=False)},
        "shape": list(n.shape),
        "dtype": n.dtype.name,
        "device": str(n.device),
        "grad": n.rg,
        "module": n.site[0],
        "file": n.site[1],
        "line": n.site[2],
    }


def _readable(a: Any) -> Any:
    if isinstance(a, (bool, int, float, str)) or a is None:
        return a
    return [_readable(v) for v in a] if isinstance(a, tuple) else str(a)


def sweeps() -> int:
    """How many reverse sweeps are remembered."""
    return len(MEMO)
