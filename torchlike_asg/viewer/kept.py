"""Copies of what a step reads, for a hunt to begin with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..asg.node import Node

#: bytes that a copy of what a step reads may have
LARGE = 64 << 20


@dataclass
class Kept:
    """What a step read: ``state`` the content of storages, by leaf, and ``bound`` its data, by Input. Arrays of the host or of a device."""

    state: dict[Node, Any] = field(default_factory=dict)
    bound: dict[Node, Any] = field(default_factory=dict)


def copied(leaves: Mapping[Node, Any]) -> dict[Node, Any]:
    """Copies of arrays, as long as they are not large."""
    size = 0
    found: dict[Node, Any] = {}
    for n, a in leaves.items():
        size += getattr(a, "nbytes", 0)
        if size > LARGE:
            break
        if hasattr(a, "copy"):
            found[n] = a.copy()
    return found
