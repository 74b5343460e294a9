"""A model's storages in the graph: what is known of them, and what they hold now."""

from __future__ import annotations

from typing import Any

from ..asg.node import Node
from .capture import behind
from .losses import content
from .roles import NodeInfo, owners


def infos(model: Any) -> dict[Node, NodeInfo]:
    """What is known of the parameters and buffers of a model (or None), by leaf."""
    if model is None:
        return {}
    known = owners(model)
    found = {}
    for t in [*model.parameters(), *model.buffers()]:
        family = t._f
        if family is not None and family.leaf is not None and id(t) in known:
            found[family.leaf] = known[id(t)]
    return found


def pending(model: Any) -> dict[Node, Node]:
    """The content of parameters and buffers that was recorded and not computed yet -> their leaves."""
    found = {}
    for t in [*model.parameters(), *model.buffers()] if model is not None else []:
        family = t._f
        if family is not None and family.leaf is not None and family.h is not None and family.h is not family.leaf:
            found[behind(family.h)] = family.leaf
    return found


def held(n: Node) -> Any:
    """What a storage holds now, by its leaf."""
    family = n.owner() if n.owner is not None else None
    if family is None:
        return None
    found = content(family)
    return family.cell.shaped() if found is None and family.cell.device.type == "cpu" else found
