"""One operation at a time, for hunting a NaN: slow, and it says where."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import config
from ..asg import reference, scope
from ..asg.declare import CONST, LEAVES, get
from ..asg.node import Node
from ..asg.rewrite import topo
from ..asg.trace import Trace
from ..backends.meta import absent

_POWER, _ROOTS = get("pow"), {0.5: get("sqrt"), -0.5: get("rsqrt")}


def run_eagerly(tr: Trace, outputs: tuple[Node, ...]) -> None:
    """Compute every recorded operation through its reference, in order, keeping everything."""
    found = evaluated(topo(outputs, tr.known), tr, _check if config.detect_anomaly else None)
    tr.known.update((n, v) for n, v in found.items() if n.op not in LEAVES)
    tr.known.update((n, np.array(found[n])) for n in outputs if n.op in LEAVES)  # a gradient may be what the pass began with


def evaluated(order: Sequence[Node], tr: Trace, after: Callable[[Node, dict[Node, Any], list[Any]], None] | None) -> dict[Node, Any]:
    """The values of nodes, through their references. ``after(node, values so far, its operands)`` follows each operation, and may take
    values away that nothing reads any more.
    """
    from . import plan

    known, values = tr.known, dict[Node, Any]()
    with np.errstate(all="ignore"):
        for n in order:
            if n.op in LEAVES:
                values[n] = reference.constant(n) if n.op is CONST else plan.leaf_value(n, tr)
                continue
            if n.device.type == "meta":
                values[n] = absent(n)
                continue
            operands = [values[s] if s in values else known[s] for s in n.srcs]
            try:
                values[n] = _computed(n, operands)
            except Exception as error:
                scope.placed(error, n)
                raise
            if after is not None:
                after(n, values, operands)
    return values


def _computed(n: Node, operands: list[Any]) -> Any:
    """One operation on arrays, as the compiler understands it: a power with the number 0.5 or -0.5 is a root, as in PyTorch."""
    if n.op is _POWER and n.srcs[1].op is CONST and n.srcs[1].attrs[0] in _ROOTS:
        return reference.rounded(_ROOTS[n.srcs[1].attrs[0]].ref(operands[0]), n.dtype)  # type: ignore[misc]
    return reference.apply(n, operands)


def _check(n: Node, values: dict[Node, Any], operands: list[Any]) -> None:
    value = values[n]
    if isinstance(value, np.ndarray) and value.dtype.kind == "f" and np.isnan(value).any():
        if any(isinstance(a, np.ndarray) and a.dtype.kind == "f" and np.isnan(a).any() for a in operands):
            return
        where = f" in {n.site[0]}" if n.site[0] else ""
        raise RuntimeError(f"Function '{n.op.name}' returned nan values{where}, recorded at {n.site[1]}:{n.site[2]}")
