"""What is known of a loss without computing, waiting or copying."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..asg.declare import LEAVES
from ..asg.node import Node
from ..asg.trace import Trace
from ..facade.storage import Family

#: nodes that are looked at to see of what loss a truth value was made
FAR = 16


def content(family: Family) -> Any:
    """The array of a storage, if it is at hand as it was computed."""
    try:
        return family.cell.array
    except AttributeError:
        return None


def computed(tensor: Any) -> Any:
    """The array (of the host or another device) that a loss is, once its trace has closed; else None."""
    family = tensor._f
    if family is None:
        return None
    return content(family) if family.value is None else family.value[1]


def scale_of(tensor: Any) -> float:
    """What a `GradScaler` multiplied a loss by."""
    return tensor._scaled[1] if "_scaled" in tensor.__dict__ else 1.0  # type: ignore[no-any-return]


def asked(n: Node | None, tr: Trace) -> tuple[Node, float] | None:
    """The loss that a read value was made of, if it is known and not finite: ``loss.item()``, ``if loss.isnan(): ...``"""
    queue = [] if n is None else [n]
    for n in queue:
        if n.rg:
            value = tr.known.get(n)
            if n.numel == 1 and n.op not in LEAVES and value.__class__ is np.ndarray and value.dtype.kind == "f":
                number = value.item()
                if number - number:
                    return n, number
        elif len(queue) < FAR:
            queue += n.srcs
    return None
